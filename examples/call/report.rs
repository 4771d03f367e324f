//! What a call came to: for a person, or as one JSON line.

use std::time::Duration;

use paceline::playout::terminal::sanitize;
use serde_json::{Value, json};

use crate::measure::percentile;
use crate::participant::Outcome;
use crate::system;

/// Everything there is to tell at the end.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) failures: Vec<String>,
    pub(crate) wall: Duration,
    /// Sums and percentiles of all participants of this process.
    pub(crate) media: paceline::MediaStats,
    pub(crate) displayed: u64,
    pub(crate) fps: Option<f64>,
    pub(crate) connect: Vec<f64>,
    pub(crate) first_frame: Option<f64>,
    pub(crate) latency: Vec<f64>,
    pub(crate) skew: Vec<f64>,
    pub(crate) measured: bool,
}

impl Report {
    pub(crate) fn new(outcomes: Vec<Outcome>, failures: Vec<String>, wall: Duration) -> Self {
        let mut media = paceline::MediaStats::default();
        let (mut latency, mut skew, mut fps) = (Vec::new(), Vec::new(), Vec::new());
        let mut measured = false;
        for outcome in &outcomes {
            add(&mut media, &outcome.stats.media);
            let watched = outcome.watched.as_secs_f64();
            if watched > 0.0 {
                fps.push(outcome.displayed.saturating_sub(1) as f64 / watched);
            }
            // The host's own screen is not the other end of his mix.
            if let Some(figures) = outcome.figures.as_ref().filter(|_| !outcome.hosted) {
                measured = true;
                latency.extend(&figures.latency);
                skew.extend(&figures.skew);
            }
        }
        let members = || outcomes.iter().filter(|outcome| !outcome.hosted);
        let ms = |span: Duration| span.as_secs_f64() * 1e3;
        Self {
            connect: members().filter_map(|o| o.stats.connect).map(ms).collect(),
            first_frame: members().filter_map(|o| o.stats.first_picture).map(ms).reduce(f64::max),
            displayed: outcomes.iter().map(|o| o.displayed).sum(),
            fps: percentile(&mut fps, 0.5),
            outcomes,
            failures,
            wall,
            media,
            latency,
            skew,
            measured,
        }
    }

    fn host(&self) -> Option<&str> {
        self.outcomes.iter().find_map(|outcome| outcome.host.as_deref())
    }

    /// How many were in the call, those of other processes included.
    fn participants(&self) -> usize {
        self.outcomes.iter().map(|outcome| outcome.met).max().unwrap_or(0)
    }

    fn errors(&self) -> Vec<String> {
        let named =
            |o: &Outcome| o.errors.iter().map(|e| format!("{}: {e}", o.name)).collect::<Vec<_>>();
        self.failures.iter().cloned().chain(self.outcomes.iter().flat_map(named)).collect()
    }

    /// One line of figures; what was not measured is null, with the reason.
    pub(crate) fn json(&mut self) -> Value {
        let errors = self.errors();
        let media = self.media;
        let both = |figures: &mut Vec<f64>, reason: &str| match percentile(figures, 0.5) {
            Some(p50) => json!({ "p50": round(p50), "p95": percentile(figures, 0.95).map(round) }),
            None => json!({ "p50": null, "p95": null, "reason": reason }),
        };
        let no_marks = if self.measured {
            "no mark was found in what arrived"
        } else {
            "nobody here receives a host's mix"
        };
        json!({
            "participants": self.participants(),
            "host": self.host(),
            "carrier": "data-channel",
            "connect_ms": {
                "median": percentile(&mut self.connect, 0.5).map(round),
                "max": percentile(&mut self.connect, 1.0).map(round),
            },
            "first_frame_ms": self.first_frame.map(round),
            "video": {
                "encoded": media.video_encoded,
                "sent": media.video_sent,
                "received": media.video_received,
                "decoded": media.video_decoded,
                "displayed": self.displayed,
                "fps": self.fps.map(round),
            },
            "audio": { "frames": media.audio_decoded, "concealed_ms": media.concealed_ms },
            "latency_ms": both(&mut self.latency, no_marks),
            "av_skew_ms": both(&mut self.skew, no_marks),
            "cpu_seconds": system::cpu_seconds(),
            "wall_seconds": round(self.wall.as_secs_f64()),
            "peak_rss_bytes": system::peak_rss_bytes(),
            "errors": errors,
        })
    }

    /// The same for a person.
    pub(crate) fn text(&mut self) -> String {
        let media = self.media;
        let mut lines = vec![
            format!(
                "{} in the call for {:.1} s, hosted by {}",
                self.participants(),
                self.wall.as_secs_f64(),
                sanitize(self.host().unwrap_or("nobody"), 64),
            ),
            format!(
                "  connected   {} ms (slowest {}), first picture after {} ms",
                show(percentile(&mut self.connect, 0.5)),
                show(percentile(&mut self.connect, 1.0)),
                show(self.first_frame),
            ),
            format!(
                "  pictures    {} encoded, {} received, {} decoded, {} shown at {} a second",
                media.video_encoded,
                media.video_received,
                media.video_decoded,
                self.displayed,
                show(self.fps),
            ),
            format!(
                "  sound       {} frames of 20 ms decoded, {} ms made up",
                media.audio_decoded, media.concealed_ms,
            ),
        ];
        let cost = system::cpu_seconds().zip(system::peak_rss_bytes());
        if let Some((cpu, memory)) = cost {
            let load = 100.0 * cpu / self.wall.as_secs_f64().max(0.001);
            lines.push(format!(
                "  cost        {cpu:.1} s of processor time ({load:.0} % of a core), {} MB of memory",
                memory / 1_000_000,
            ));
        }
        for error in self.errors() {
            lines.push(format!("  problem     {error}"));
        }
        lines.join("\n")
    }
}

fn add(sum: &mut paceline::MediaStats, one: &paceline::MediaStats) {
    sum.video_encoded += one.video_encoded;
    sum.video_sent += one.video_sent;
    sum.video_received += one.video_received;
    sum.video_decoded += one.video_decoded;
    sum.audio_decoded += one.audio_decoded;
    sum.concealed_ms += one.concealed_ms;
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn show(value: Option<f64>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| format!("{value:.0}"))
}
