//! What a share came to: for a person, or as one JSON line.

use std::process::ExitCode;
use std::time::Duration;

use paceline::playout::terminal::sanitize;
use paceline::sfu::{FailureKind, FallbackReason, Target};
use paceline::types::PictureFormat;
use paceline::{CaptureToSend, ShareEnd, ShareStats, ShareTarget};
use serde_json::{Value, json};

use crate::allocations::Allocations;
use crate::args::Args;
use crate::{complain, system};

/// Everything there is to tell at the end.
#[derive(Debug)]
pub(crate) struct Report {
    targets: Vec<String>,
    /// The last target is the server that is told our token.
    has_token: bool,
    codec: &'static str,
    fallbacks: Vec<FallbackReason>,
    moments: Vec<Moment>,
    end: Option<ShareEnd>,
    wall: Duration,
    stats: ShareStats,
    /// Since it was warm.
    weight: Option<Weight>,
}

/// What was allocated, and for how many pictures.
#[derive(Clone, Copy, Debug)]
struct Weight {
    from: (u64, Allocations),
    to: (u64, Allocations),
}

impl Weight {
    /// For each picture, if there were any.
    fn json(&self) -> Option<Value> {
        let pictures = self.to.0.saturating_sub(self.from.0);
        let each = |count: u64| round(count as f64 / pictures as f64);
        let since = self.to.1 - self.from.1;
        (pictures > 0).then(|| {
            json!({
                "process": each(since.process().calls),
                "picture_thread": each(since.picture.calls),
                "sound_thread": each(since.sound.calls),
                "rest": each(since.rest.calls),
                "bytes": each(since.process().bytes),
                "pictures": pictures,
            })
        })
    }
}

/// How the picture was sent at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    at: Duration,
    level: usize,
    bitrate_kbps: u64,
    target_kbps: u64,
}

impl Moment {
    /// `None` while nothing is sent.
    pub(crate) fn of(at: Duration, stats: &ShareStats) -> Option<Self> {
        let (step, ladder) = stats.ladder.filter(|_| stats.target.is_some())?;
        let kbps = |bps| bps / 1_000;
        Some(Self {
            at,
            level: ladder.level,
            bitrate_kbps: kbps(step.bitrate.bps()),
            target_kbps: kbps(ladder.target.bps()),
        })
    }

    fn json(&self) -> Value {
        json!({
            "at_s": round(self.at.as_secs_f64()),
            "level": self.level,
            "bitrate_kbps": self.bitrate_kbps,
            "target_kbps": self.target_kbps,
        })
    }
}

impl Report {
    pub(crate) fn new(args: &Args, targets: Vec<String>) -> Self {
        let codec = match args.codec {
            PictureFormat::Vp8 => "vp8",
            PictureFormat::Vp9 => "vp9",
            _ => "h264",
        };
        let is_sfu = |target: &&ShareTarget| matches!(target, ShareTarget::Sfu(_));
        let first = args.targets.iter().find(is_sfu);
        Self {
            targets,
            has_token: matches!(
                (first, args.targets.last()),
                (Some(ShareTarget::Sfu(first)), Some(ShareTarget::Sfu(last)))
                    if last.is_at_server_of(first)
            ),
            codec,
            fallbacks: Vec::new(),
            moments: Vec::new(),
            end: None,
            wall: Duration::ZERO,
            stats: ShareStats::default(),
            weight: None,
        }
    }

    /// Notes what was allocated so far, once there were enough pictures for caches and pools to
    /// be full.
    pub(crate) fn weigh(&mut self, stats: &ShareStats, allocations: Allocations) {
        let now = (stats.media.video_encoded, allocations);
        match &mut self.weight {
            Some(weight) => weight.to = now,
            None if now.0 >= WARM => self.weight = Some(Weight { from: now, to: now }),
            None => {}
        }
    }

    /// Keeps a moment; of many, every second one from time to time.
    pub(crate) fn note(&mut self, moment: Option<Moment>) {
        self.moments.extend(moment);
        if self.moments.len() >= MAX_MOMENTS {
            let mut index = 0;
            self.moments.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
    }

    pub(crate) fn fell_back(&mut self, reason: &FallbackReason) {
        self.fallbacks.push(reason.clone());
    }

    pub(crate) fn end(&mut self, end: ShareEnd) {
        self.end = Some(end);
    }

    pub(crate) fn finish(&mut self, wall: Duration, stats: ShareStats) {
        (self.wall, self.stats) = (wall, stats);
    }

    /// Whether it ended as somebody wanted it to.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self.problem() {
            None => ExitCode::SUCCESS,
            Some(problem) => {
                complain(&problem);
                ExitCode::FAILURE
            }
        }
    }

    fn problem(&self) -> Option<String> {
        match &self.end {
            Some(ShareEnd::NoTarget(failure)) => {
                let last = self.targets.last().map_or("", String::as_str);
                let why = sanitize(&failure.to_string(), MAX_LINE);
                let check = match failure.kind() {
                    FailureKind::AuthRefused if self.has_token => {
                        "check --token, and who is let in"
                    }
                    FailureKind::AuthRefused => "check who is let in there",
                    FailureKind::NoPath => "check that UDP gets there and back",
                    _ => "check the URL and whether the server runs",
                };
                Some(format!(
                    "{last} does not work ({why}) and no other target is left: {check}, or name \
                     another with --fallback"
                ))
            }
            Some(ShareEnd::Source { reason }) => Some(sanitize(reason, MAX_LINE)),
            Some(ShareEnd::BrokenOff) => Some(
                "the share has broken off, which is a fault of ours: start it again".to_owned(),
            ),
            _ => None,
        }
    }

    /// One line of figures; what cannot be known is null.
    pub(crate) fn json(&self) -> String {
        let Self { stats, .. } = self;
        let media = &stats.media;
        let sender = &stats.sender;
        let cpu = system::cpu_seconds();
        let end = match &self.end {
            Some(ShareEnd::BrokenOff) => "broken_off",
            Some(ShareEnd::External) => "external",
            Some(ShareEnd::NoTarget(_)) => "no_target",
            Some(ShareEnd::Source { .. }) => "source",
            _ => "asked",
        };
        json!({
            "targets": self.targets,
            "codec": self.codec,
            "ended": end,
            "problem": self.problem(),
            "fallbacks": self.fallbacks.iter().map(fallback).collect::<Vec<_>>(),
            "capture": {
                "superseded": media.video_superseded,
                "devices_gone": media.devices_gone,
            },
            "encode": {
                "pictures": media.video_encoded,
                "skipped": media.video_skipped,
                "sounds": media.audio_encoded,
                "errors": media.encode_errors,
            },
            "send": {
                "pictures": media.video_sent,
                "unsent": media.video_unsent,
                "sounds_unsent": media.audio_overrun,
                "errors": stats.send_errors,
                "shed": sender.shed,
                "packets": sender.packets,
                "bytes": sender.bytes,
                "retransmissions": sender.retransmissions,
                "rtt_ms": sender.rtt.map(ms),
            },
            "ladder": self.moments.iter().map(Moment::json).collect::<Vec<_>>(),
            "capture_to_rtp_ms": latency(stats.latency),
            "cpu_seconds": cpu,
            "cpu_percent": cpu.map(|cpu| round(100.0 * cpu / self.wall.as_secs_f64().max(0.001))),
            "allocations_per_frame": self.weight.and_then(|weight| weight.json()).unwrap_or_else(|| {
                json!({ "process": null, "reason": "it ended before it was warm: that takes 60 pictures" })
            }),
            "mirror": mirror(stats),
            "wall_seconds": round(self.wall.as_secs_f64()),
            "peak_rss_bytes": system::peak_rss_bytes(),
        })
        .to_string()
    }

    /// The same for a person.
    pub(crate) fn text(&self) -> String {
        let (media, sender) = (&self.stats.media, &self.stats.sender);
        if media.video_encoded == 0 {
            let text = format!("nothing was shared in {:.1} s", self.wall.as_secs_f64());
            let health = self.stats.health.as_ref();
            return match health.and_then(|health| health.last_errors.transport.as_ref()) {
                Some(why) if self.problem().is_none() => {
                    format!("{text}: {}", sanitize(&why.to_string(), MAX_LINE))
                }
                _ => text,
            };
        }
        let mut lines = vec![
            format!("shared for {:.1} s", self.wall.as_secs_f64()),
            format!(
                "  pictures    {} encoded, {} sent, {} left out on the way",
                media.video_encoded,
                media.video_sent,
                media.video_unsent + sender.shed,
            ),
        ];
        if media.audio_encoded > 0 {
            lines.push(format!("  sound       {} frames of 20 ms", media.audio_encoded));
        }
        if let Some(latency) = self.stats.latency {
            lines.push(format!(
                "  to RTP      {:.1} ms after capture, 95 of 100 within {:.1}",
                ms(latency.p50),
                ms(latency.p95),
            ));
        }
        if let Some(cpu) = system::cpu_seconds() {
            let load = 100.0 * cpu / self.wall.as_secs_f64().max(0.001);
            lines.push(format!(
                "  cost        {cpu:.1} s of processor time ({load:.0} % of a core)"
            ));
        }
        lines.join("\n")
    }
}

#[cfg(feature = "mirror")]
fn mirror(stats: &ShareStats) -> Value {
    let figures = |stats: paceline::ShareMirrorStats| {
        let (frames, socket) = (stats.frames, stats.socket);
        json!({
            "frames": frames.frames,
            "unmirrored": frames.unmirrored,
            "sent": socket.sent,
            "refused": socket.refused,
        })
    };
    stats.mirror.map_or(Value::Null, figures)
}

#[cfg(not(feature = "mirror"))]
fn mirror(_stats: &ShareStats) -> Value {
    Value::Null
}

fn latency(latency: Option<CaptureToSend>) -> Value {
    match latency {
        Some(latency) => {
            let (p50, p95) = (ms(latency.p50), ms(latency.p95));
            json!({ "p50": p50, "p95": p95, "max": ms(latency.max), "pictures": latency.pictures })
        }
        None => json!({ "p50": null, "p95": null, "reason": "nothing was sent to an SFU" }),
    }
}

fn ms(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e5).round() / 1e2
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// One target given up, with places in the list instead of what the library calls them.
fn fallback(reason: &FallbackReason) -> Value {
    let place = |target: Target| match target {
        Target::Sender(place) => json!(place),
        Target::External => json!("external"),
    };
    let mut value = serde_json::to_value(reason).unwrap_or_default();
    value["from"] = place(reason.from);
    value["to"] = reason.to.map_or(Value::Null, place);
    value
}

/// Pictures after which allocations are counted: two seconds of 30.
const WARM: u64 = 60;

/// Moments that are kept: an hour of them, one a second, is 250 kB as text.
const MAX_MOMENTS: usize = 3_600;

/// Characters of a line that says what went wrong.
const MAX_LINE: usize = 400;

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use paceline::sfu::Failure;

    use super::*;
    use crate::args::Parsed;

    #[test]
    fn what_to_check_is_what_can_be_wrong_with_the_last_target() {
        let (ours, other) = ("mediasoup:wss://a.example", "mediasoup:wss://b.example");
        for (targets, kind, check) in [
            (&[ours][..], FailureKind::AuthRefused, "check --token, and who is let in"),
            (&[ours, other], FailureKind::AuthRefused, "check who is let in there"),
            (&["room:ws://a:1/r", ours], FailureKind::AuthRefused, "check --token"),
            (
                &[ours, "broadcaster:https://a.example/rooms/r"],
                FailureKind::AuthRefused,
                "check --token",
            ),
            (&[ours], FailureKind::NoPath, "check that UDP gets there and back"),
            (&[ours, "room:ws://a:1/r"], FailureKind::NegotiationFailed, "check the URL"),
        ] {
            let options = ["--to"].into_iter().chain(std::iter::repeat("--fallback"));
            let words = options.zip(targets).flat_map(|(option, target)| [option, target]);
            let words = ["screen-share"].into_iter().chain(words).map(OsString::from);
            let Ok(Parsed::Run(args)) = Args::parse(words, None) else { panic!("it is right") };
            let names = args.targets.iter().map(ToString::to_string).collect();
            let mut report = Report::new(&args, names);
            report.end(ShareEnd::NoTarget(Failure::new(kind, "as told")));
            let problem = report.problem().expect("no target is left");
            let end = format!("as told) and no other target is left: {check}");
            assert!(problem.contains(&end), "{problem}");
        }
    }
}
