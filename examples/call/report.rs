//! What a call came to: for a person, or as one JSON line.

pub(crate) mod changes;

use std::time::Duration;

use paceline::playout::terminal::sanitize;
use paceline::types::Carrier;
use serde_json::{Value, json};

pub(crate) use self::changes::HostChanges;
use crate::args::Args;
use crate::measure::{Figures, percentile};
use crate::participant::Outcome;
use crate::shape::topology_word;
use crate::{sources, system};

/// Everything there is to tell at the end, of one process or of several. Figures are
/// kept one by one: percentiles are made of all of them.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) wall: Duration,
    topology: &'static str,
    carrier: &'static str,
    host: Option<String>,
    /// How many were in the call, those of other processes included.
    participants: usize,
    /// Sums over all participants.
    media: paceline::MediaStats,
    displayed: u64,
    fps: Vec<f64>,
    /// One figure for each connection, by whoever came later.
    connect: Vec<f64>,
    /// When the first began to join, and when the last connection was up, in microseconds
    /// since 1970.
    began_us: Option<u64>,
    up_us: Option<u64>,
    /// What each saw and heard of each.
    people: Vec<Value>,
    /// What each sent of himself, and played.
    sources: Vec<Value>,
    first_frame: Option<f64>,
    latency: Vec<f64>,
    skew: Vec<f64>,
    measured: bool,
    /// Who came to the front after whom, and what that was like.
    pub(crate) changes: HostChanges,
    /// Pictures and sounds of a host of before, after one of his successor.
    pub(crate) stale: u64,
    /// Packets that the transport did not take.
    rtp_refused: u64,
    cpu_seconds: Option<f64>,
    peak_rss_bytes: Option<u64>,
    pub(crate) errors: Vec<String>,
    /// What there is to tell of each process, if there are several.
    pub(crate) children: Option<Vec<Value>>,
}

impl Report {
    /// Of the participants of this process.
    pub(crate) fn new(
        args: &Args,
        outcomes: &[Outcome],
        failures: Vec<String>,
        wall: Duration,
    ) -> Self {
        let mut this = Self {
            wall,
            host: outcomes.iter().find_map(|outcome| outcome.host.clone()),
            participants: outcomes.iter().map(|outcome| outcome.met).max().unwrap_or(0),
            errors: failures,
            ..Self::of_this_process(args)
        };
        let ms = |span: Duration| span.as_secs_f64() * 1e3;
        for outcome in outcomes {
            add(&mut this.media, &outcome.stats.media);
            this.displayed += outcome.displayed;
            this.stale += outcome.stats.stale_epoch_rendered;
            this.rtp_refused += outcome.stats.rtp_refused;
            this.sources.push(sources::report(&outcome.name, &outcome.stats));
            let watched = outcome.watched.as_secs_f64();
            if watched > 0.0 {
                this.fps.push(outcome.displayed.saturating_sub(1) as f64 / watched);
            }
            this.errors.extend(outcome.errors.iter().map(|e| format!("{}: {e}", outcome.name)));
            this.began_us = earlier(this.began_us, Some(outcome.began_us));
            this.up_us = this.up_us.max(outcome.connected_us.values().copied().max());
            if args.is_mesh() {
                let earlier = outcome.connected_us.range(..outcome.sender);
                let took = earlier.map(|(_, at)| at.saturating_sub(outcome.began_us) as f64 / 1e3);
                this.connect.extend(took);
            } else if !outcome.hosted_first {
                // Who hosts from the start waits for others.
                this.connect.extend(outcome.stats.connect.map(ms));
            }
            if !outcome.was_guest {
                // A host's own screen is not the other end of his mix.
                continue;
            }
            if !outcome.hosted_first {
                let first = outcome.stats.first_picture.map(ms);
                this.first_frame = later(this.first_frame, first);
            }
            if let Some(figures) = &outcome.figures {
                this.measured = true;
                this.latency.extend(&figures.latency);
                this.skew.extend(&figures.skew);
                this.people.push(person(&outcome.name, outcome.connected_us.len(), figures));
            }
        }
        this
    }

    /// Nothing yet but what this process costs.
    pub(crate) fn of_this_process(args: &Args) -> Self {
        Self {
            topology: topology_word(args.topology),
            carrier: match args.carrier {
                Carrier::Rtp => "rtp",
                _ => "data-channel",
            },
            cpu_seconds: system::cpu_seconds(),
            peak_rss_bytes: system::peak_rss_bytes(),
            ..Self::default()
        }
    }

    /// All of it, for the process that adds several up. What [`absorb`](Self::absorb)
    /// takes.
    pub(crate) fn raw(&self) -> Value {
        json!({
            "host": self.host,
            "participants": self.participants,
            "media": [
                self.media.video_encoded,
                self.media.video_sent,
                self.media.video_received,
                self.media.video_decoded,
                self.media.audio_decoded,
                self.media.concealed_ms,
            ],
            "displayed": self.displayed,
            "fps": self.fps,
            "connect": self.connect,
            "began_us": self.began_us,
            "up_us": self.up_us,
            "people": self.people,
            "sources": self.sources,
            "first_frame": self.first_frame,
            "latency": some_of(&self.latency),
            "skew": some_of(&self.skew),
            "measured": self.measured,
            "stale": self.stale,
            "rtp_refused": self.rtp_refused,
            "changes": changes::raw(&self.changes.all()),
            "cpu_seconds": self.cpu_seconds,
            "peak_rss_bytes": self.peak_rss_bytes,
            "errors": self.errors,
        })
    }

    /// Adds another process's report to this one.
    pub(crate) fn absorb(&mut self, raw: &Value) {
        let count = |value: &Value| value.as_u64().unwrap_or(0);
        let figures = |name: &str| {
            raw[name].as_array().into_iter().flatten().filter_map(Value::as_f64).collect::<Vec<_>>()
        };
        if let Some(host) = raw["host"].as_str() {
            self.host.get_or_insert_with(|| host.to_owned());
        }
        self.participants = self.participants.max(count(&raw["participants"]) as usize);
        let media = &raw["media"];
        add(
            &mut self.media,
            &paceline::MediaStats {
                video_encoded: count(&media[0]),
                video_sent: count(&media[1]),
                video_received: count(&media[2]),
                video_decoded: count(&media[3]),
                audio_decoded: count(&media[4]),
                concealed_ms: count(&media[5]),
                ..paceline::MediaStats::default()
            },
        );
        self.displayed += count(&raw["displayed"]);
        self.fps.extend(figures("fps"));
        self.connect.extend(figures("connect"));
        self.began_us = earlier(self.began_us, raw["began_us"].as_u64());
        self.up_us = self.up_us.max(raw["up_us"].as_u64());
        self.people.extend(raw["people"].as_array().into_iter().flatten().cloned());
        self.sources.extend(raw["sources"].as_array().into_iter().flatten().cloned());
        self.first_frame = later(self.first_frame, raw["first_frame"].as_f64());
        self.latency.extend(figures("latency"));
        self.skew.extend(figures("skew"));
        self.stale += count(&raw["stale"]);
        self.rtp_refused += count(&raw["rtp_refused"]);
        self.changes.merge(&changes::of_raw(&raw["changes"]));
        self.measured |= raw["measured"] == true;
        // A sum of which a part is not known is not known.
        self.cpu_seconds = self.cpu_seconds.zip(raw["cpu_seconds"].as_f64()).map(|(a, b)| a + b);
        self.peak_rss_bytes =
            self.peak_rss_bytes.zip(raw["peak_rss_bytes"].as_u64()).map(|(a, b)| a + b);
        let errors = raw["errors"].as_array().into_iter().flatten();
        self.errors.extend(errors.filter_map(Value::as_str).map(str::to_owned));
    }

    /// One line of figures; what was not measured is null, with the reason.
    pub(crate) fn json(&mut self) -> Value {
        let media = self.media;
        let both = |figures: &mut Vec<f64>, reason: &str| match percentile(figures, 0.5) {
            Some(p50) => json!({ "p50": round(p50), "p95": percentile(figures, 0.95).map(round) }),
            None => json!({ "p50": null, "p95": null, "reason": reason }),
        };
        let no_marks = if self.measured {
            "no mark was found in what arrived"
        } else {
            "nobody here receives pictures of others"
        };
        let mut line = json!({
            "participants": self.participants,
            "topology": self.topology,
            "host": self.host,
            "carrier": self.carrier,
            "connections": self.connect.len(),
            "all_connected_ms": self.all_connected().map(round),
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
                "fps": percentile(&mut self.fps, 0.5).map(round),
            },
            "audio": { "frames": media.audio_decoded, "concealed_ms": media.concealed_ms },
            "people": self.people,
            "sources": self.sources,
            "latency_ms": both(&mut self.latency, no_marks),
            "av_skew_ms": both(&mut self.skew, no_marks),
            "host_changes": self.changes.json(),
            "stale_epoch_rendered": self.stale,
            "rtp_refused": self.rtp_refused,
            "cpu_seconds": self.cpu_seconds.map(|cpu| (cpu * 100.0).round() / 100.0),
            "wall_seconds": round(self.wall.as_secs_f64()),
            "peak_rss_bytes": self.peak_rss_bytes,
            "errors": self.errors,
        });
        if let Some(children) = &self.children {
            line["processes"] = children.len().into();
            line["children"] = children.as_slice().into();
        }
        line
    }

    /// The same for a person.
    pub(crate) fn text(&mut self) -> String {
        let media = self.media;
        let mut lines = vec![
            format!(
                "{} in the call for {:.1} s, {}",
                self.participants,
                self.wall.as_secs_f64(),
                match (self.topology, &self.host) {
                    ("mesh", _) => "a mesh".to_owned(),
                    (_, Some(host)) => format!("hosted by {}", sanitize(host, 64)),
                    (_, None) => "hosted by nobody".to_owned(),
                },
            ),
            format!(
                "  connected   {} ms (slowest {}), all {} after {} ms; first picture after {} ms",
                show(percentile(&mut self.connect, 0.5)),
                show(percentile(&mut self.connect, 1.0)),
                self.connect.len(),
                show(self.all_connected()),
                show(self.first_frame),
            ),
            format!(
                "  pictures    {} encoded, {} received, {} decoded, {} shown at {} a second",
                media.video_encoded,
                media.video_received,
                media.video_decoded,
                self.displayed,
                show(percentile(&mut self.fps, 0.5)),
            ),
            format!(
                "  sound       {} frames of 20 ms decoded, {} ms made up",
                media.audio_decoded, media.concealed_ms,
            ),
        ];
        lines.extend(self.changes.lines());
        if self.stale > 0 {
            lines.push(format!(
                "  stale       {} pictures and sounds of a host of before",
                self.stale
            ));
        }
        if self.rtp_refused > 0 {
            lines.push(format!(
                "  refused     {} packets of media by our own end",
                self.rtp_refused
            ));
        }
        let cost = self.cpu_seconds.zip(self.peak_rss_bytes);
        if let Some((cpu, memory)) = cost {
            let load = 100.0 * cpu / self.wall.as_secs_f64().max(0.001);
            lines.push(format!(
                "  cost        {cpu:.1} s of processor time ({load:.0} % of a core), {} MB of memory",
                memory / 1_000_000,
            ));
        }
        for error in &self.errors {
            lines.push(format!("  problem     {error}"));
        }
        lines.join("\n")
    }

    /// From when the first began to join until the last connection was up.
    fn all_connected(&self) -> Option<f64> {
        let (began, up) = self.began_us.zip(self.up_us)?;
        Some(up.saturating_sub(began) as f64 / 1e3)
    }
}

fn person(name: &str, connections: usize, figures: &Figures) -> Value {
    let of = figures.marks.iter().map(
        |(name, marks)| json!({ "name": name, "pictures": marks.pictures, "sounds": marks.sounds }),
    );
    json!({ "name": name, "connections": connections, "of": of.collect::<Vec<_>>() })
}

fn add(sum: &mut paceline::MediaStats, one: &paceline::MediaStats) {
    sum.video_encoded += one.video_encoded;
    sum.video_sent += one.video_sent;
    sum.video_received += one.video_received;
    sum.video_decoded += one.video_decoded;
    sum.audio_decoded += one.audio_decoded;
    sum.concealed_ms += one.concealed_ms;
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// The later of two, if there are two.
fn later(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::max)
}

/// Every so manieth of the figures if there are too many to hand on: percentiles of an
/// hour do not need each.
fn some_of(figures: &[f64]) -> Vec<f64> {
    let step = figures.len().div_ceil(MAX_FIGURES).max(1);
    figures.iter().step_by(step).copied().map(round).collect()
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn show(value: Option<f64>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| format!("{value:.0}"))
}

/// Figures of one kind that one process hands to another, at most: 160 kB as text, and
/// the 95th percentile then has a thousand beyond it.
const MAX_FIGURES: usize = 20_000;
