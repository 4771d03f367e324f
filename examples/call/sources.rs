//! Where pictures and sounds come from, and where sound is played.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use paceline::codec::{Cause, Change, Direction, Step};
use paceline::playout::terminal::sanitize;
use paceline::types::{Content, Device, DeviceKind};
use paceline::{AudioInput, Stats, VideoInput};
use serde_json::{Value, json};

use crate::args::{Args, Mode, NAMES, UsageError, text};

/// Where a picture comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Video {
    /// `None`: the system's first.
    Camera(Option<String>),
    Clip,
    File(PathBuf),
    Screen(Option<String>),
    Test,
    Window(String),
}

/// Where a sound comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Audio {
    Clip,
    File(PathBuf),
    /// `None`: the system's choice.
    Microphone(Option<String>),
    Silence,
    Tone,
}

/// Where sound is played.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Speaker {
    /// On the default one, if somebody speaks into a microphone here.
    Auto,
    Default,
    Device(String),
    None,
}

impl Video {
    pub(crate) fn parse(value: OsString) -> Result<Self, UsageError> {
        let path = PathBuf::from(&value);
        let (word, id) = split(&value);
        Ok(match (word, id) {
            ("camera", id) => Self::Camera(id),
            ("screen", id) => Self::Screen(id),
            ("test", None) => Self::Test,
            ("window", Some(id)) => Self::Window(id),
            _ if matches!(extension(&path), "y4m" | "h264" | "264") => Self::File(path),
            _ => {
                return Err(UsageError(format!(
                    "--video {}: it is screen, screen:ID, window:ID, camera, camera:ID, \
                     FILE.y4m, FILE.h264 or test",
                    path.display()
                )));
            }
        })
    }

    /// What `--video` takes for it; `None`: nothing.
    pub(crate) fn word(&self) -> Option<OsString> {
        Some(match self {
            Self::Camera(id) => joined("camera", id.as_deref()),
            Self::Clip => return None,
            Self::File(path) => path.into(),
            Self::Screen(id) => joined("screen", id.as_deref()),
            Self::Test => "test".into(),
            Self::Window(id) => joined("window", Some(id)),
        })
    }

    /// Whether two cannot well use it at once, or would show the same.
    fn is_device(&self) -> bool {
        matches!(self, Self::Camera(_) | Self::Screen(_) | Self::Window(_))
    }
}

impl Audio {
    pub(crate) fn parse(value: OsString) -> Result<Self, UsageError> {
        let path = PathBuf::from(&value);
        let (word, id) = split(&value);
        Ok(match (word, id) {
            ("mic", id) => Self::Microphone(id),
            ("silence", None) => Self::Silence,
            ("tone", None) => Self::Tone,
            _ if extension(&path) == "wav" => Self::File(path),
            _ => {
                return Err(UsageError(format!(
                    "--audio {}: it is mic, mic:ID, FILE.wav, tone or silence",
                    path.display()
                )));
            }
        })
    }

    /// What `--audio` takes for it; `None`: nothing.
    pub(crate) fn word(&self) -> Option<OsString> {
        Some(match self {
            Self::Clip => return None,
            Self::File(path) => path.into(),
            Self::Microphone(id) => joined("mic", id.as_deref()),
            Self::Silence => "silence".into(),
            Self::Tone => "tone".into(),
        })
    }
}

impl Speaker {
    pub(crate) fn parse(value: OsString) -> Result<Self, UsageError> {
        Ok(match text(value)?.as_str() {
            "default" => Self::Default,
            "none" => Self::None,
            id => Self::Device(id.to_owned()),
        })
    }

    /// What `--speaker` takes for it; `None`: nothing.
    pub(crate) fn word(&self) -> Option<OsString> {
        match self {
            Self::Auto => None,
            Self::Default => Some("default".into()),
            Self::Device(id) => Some(id.into()),
            Self::None => Some("none".into()),
        }
    }
}

impl Args {
    /// Whether participant `index` is the person at this machine: of several in one process it
    /// is who is viewed.
    pub(crate) fn is_person(&self, index: usize) -> bool {
        !matches!(self.mode, Mode::All) || index == self.viewer()
    }

    /// What participant `index` shows. A device is the person's; the others show their clips.
    pub(crate) fn video_input(&self, index: usize) -> VideoInput {
        match self.video.clone() {
            video if video.is_device() && !self.is_person(index) => clip_of(index),
            Video::Camera(id) => VideoInput::Camera(id),
            Video::Clip => clip_of(index),
            Video::File(path) => VideoInput::File(path),
            Video::Screen(id) => VideoInput::Screen(id),
            Video::Test => VideoInput::Test,
            Video::Window(id) => VideoInput::Window(id),
        }
    }

    /// What participant `index` says. A microphone is the person's.
    pub(crate) fn audio_input(&self, index: usize) -> AudioInput {
        match &self.audio {
            Audio::Microphone(id) if self.is_person(index) => AudioInput::Microphone(id.clone()),
            // Ten at once, of which three or four say the same, are not a conversation.
            Audio::Clip | Audio::Microphone(_) if self.is_mesh() && index >= NAMES.len() => {
                AudioInput::Silence
            }
            Audio::Clip | Audio::Microphone(_) => AudioInput::File(clip(index, "wav")),
            Audio::File(path) => AudioInput::File(path.clone()),
            Audio::Silence => AudioInput::Silence,
            Audio::Tone => AudioInput::Tone,
        }
    }

    /// Whether participant `index` plays what he hears, on which loudspeaker, and whether the
    /// command line has asked for it.
    pub(crate) fn loudspeaker(&self, index: usize) -> Option<(Option<String>, bool)> {
        let is_mic = matches!(self.audio, Audio::Microphone(_));
        match &self.speaker {
            _ if !self.is_person(index) => None,
            Speaker::Auto => is_mic.then_some((None, false)),
            Speaker::Default => Some((None, true)),
            Speaker::Device(id) => Some((Some(id.clone()), true)),
            Speaker::None => None,
        }
    }

    /// The sources and the loudspeaker of participant `index`, as options of a process that is
    /// him alone.
    pub(crate) fn source_options(&self, index: usize) -> Vec<(&'static str, OsString)> {
        let is_person = self.is_person(index);
        let video = self.video.word().filter(|_| is_person || !self.video.is_device());
        let is_mic = matches!(self.audio, Audio::Microphone(_));
        let audio = self.audio.word().filter(|_| is_person || !is_mic);
        let speaker = self.speaker.word().filter(|_| is_person);
        [("--video", video), ("--audio", audio), ("--speaker", speaker)]
            .into_iter()
            .filter_map(|(option, word)| word.map(|word| (option, word)))
            .collect()
    }
}

/// All that can be captured and played on, for a person or as one JSON line. What cannot be
/// asked for is told on standard error, and the rest all the same.
pub(crate) fn list_devices(json: bool) -> String {
    let mut all = Vec::new();
    for kind in KINDS {
        match paceline::devices(kind) {
            Ok(devices) => all.push((kind, devices)),
            Err(error) => {
                eprintln!("call: {error}");
                all.push((kind, Vec::new()));
            }
        }
    }
    if json {
        let devices = all.iter().flat_map(|(_, devices)| devices).map(|device| {
            json!({
                "kind": device.kind.to_string(),
                "id": device.id,
                "name": device.name,
                "default": device.is_default,
                "size": device.size.map(|(width, height)| [width, height]),
            })
        });
        return json!({ "devices": devices.collect::<Vec<_>>() }).to_string();
    }
    let mut lines = Vec::new();
    for (kind, devices) in &all {
        let option = match kind {
            DeviceKind::Camera => "--video camera:ID",
            DeviceKind::Loudspeaker => "--speaker ID",
            DeviceKind::Microphone => "--audio mic:ID",
            DeviceKind::Screen => "--video screen:ID",
            _ => "--video window:ID",
        };
        lines.push(format!("{kind}s ({option})"));
        if devices.is_empty() {
            lines.push("  none".to_owned());
        }
        lines.extend(devices.iter().map(line_of));
    }
    lines.join("\n")
}

fn line_of(device: &Device) -> String {
    let star = if device.is_default { '*' } else { ' ' };
    let size = device.size.map(|(width, height)| format!("  {width} x {height}"));
    // Names are others' choice: those of windows are whatever a web page says.
    let (id, name) = (sanitize(&device.id, ID), sanitize(&device.name, NAME));
    format!("{star} {id}  {name}{}", size.unwrap_or_default())
}

/// What one sent of himself and played, for a program.
pub(crate) fn report(name: &str, stats: &Stats) -> Value {
    let media = &stats.media;
    let round = |value: f64| (value * 100.0).round() / 100.0;
    json!({
        "name": name,
        "video": stats.ladder.as_ref().map(|(step, ladder)| {
            let &Step { size, frame_rate, bitrate, content, .. } = step;
            json!({
                "size": [size.0, size.1],
                "frame_rate": round(frame_rate),
                "bitrate_kbps": bitrate.bps() / 1_000,
                "content": if content == Content::Screen { "screen" } else { "camera" },
                "target_kbps": ladder.target.bps() / 1_000,
                "level": ladder.level,
                "encode_usage": round(ladder.usage),
                "qp": ladder.qp.map(round),
                "steps": {
                    "cpu": ladder.down_cpu,
                    "drops": ladder.down_drops,
                    "qp": ladder.down_qp,
                    "up": ladder.up,
                },
            })
        }),
        "encoded": media.video_encoded,
        "superseded": media.video_superseded,
        "skipped": media.video_skipped,
        "unsent": media.video_unsent,
        "devices_gone": media.devices_gone,
        "loudspeaker": stats.loudspeaker.as_ref().map(|played| {
            json!({
                "underruns": played.underruns,
                "dropped_ms": played.dropped.as_millis() as u64,
                "latency_ms": (played.latency + played.device_latency).as_millis() as u64,
            })
        }),
    })
}

/// What became of our picture, for a person.
pub(crate) fn adapted(change: &Change) -> String {
    let why = match (change.cause, change.direction) {
        (Cause::Cpu, Direction::Down) => "the processor is short of time",
        (Cause::Cpu, Direction::Up) => "the processor has time again",
        (Cause::Network(_), Direction::Down) => "the path takes no more",
        (Cause::Network(_), Direction::Up) => "the path takes more again",
        _ => "its source is another",
    };
    let Step { size: (width, height), frame_rate, .. } = change.to;
    format!("your picture is {width} x {height} at {frame_rate:.0} fps now: {why}")
}

/// The bundled clip of one person; more people than clips share them.
fn clip(index: usize, extension: &str) -> PathBuf {
    let name = NAMES[index % NAMES.len()].to_lowercase();
    Path::new(env!("CARGO_MANIFEST_DIR")).join("media").join(name).with_extension(extension)
}

fn clip_of(index: usize) -> VideoInput {
    VideoInput::File(clip(index, "h264"))
}

/// `word:ID`, or a word alone.
fn split(value: &OsString) -> (&str, Option<String>) {
    let value = value.to_str().unwrap_or_default();
    match value.split_once(':') {
        Some((word, id)) if !id.is_empty() => (word, Some(id.to_owned())),
        _ => (value, None),
    }
}

fn joined(word: &str, id: Option<&str>) -> OsString {
    id.map_or_else(|| word.into(), |id| format!("{word}:{id}").into())
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

const KINDS: [DeviceKind; 5] = [
    DeviceKind::Screen,
    DeviceKind::Window,
    DeviceKind::Camera,
    DeviceKind::Microphone,
    DeviceKind::Loudspeaker,
];

/// Characters of an id and of a name that are shown: those of PulseAudio have up to 128.
const ID: usize = 128;
const NAME: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_source_is_called_is_what_makes_it() {
        for word in ["camera", "camera:/dev/video2", "screen", "screen:HDMI-1", "window:0x1e00003"]
        {
            let video = Video::parse(word.into()).expect(word);
            assert_eq!(video.word(), Some(word.into()));
            assert!(video.is_device());
        }
        for word in ["test", "me.y4m", "a:b.h264"] {
            assert_eq!(Video::parse(word.into()).expect(word).word(), Some(word.into()));
        }
        for word in ["mic", "mic:alsa_input.usb", "tone", "silence", "me.wav"] {
            assert_eq!(Audio::parse(word.into()).expect(word).word(), Some(word.into()));
        }
        for word in ["default", "none", "alsa_output.usb"] {
            assert_eq!(Speaker::parse(word.into()).expect(word).word(), Some(word.into()));
        }
        for word in ["window", "screen:", "test:1", "me.mp4"] {
            assert!(Video::parse(word.into()).is_err(), "{word}");
        }
        assert!(Audio::parse("mike".into()).is_err());
    }

    #[test]
    fn a_device_is_the_persons_and_nobody_elses() {
        let line = ["call", "--video", "screen", "--audio", "mic", "--view", "3"];
        let Ok(crate::args::Parsed::Run(args)) = Args::parse(line.map(Into::into)) else {
            panic!("it is right");
        };
        let is_screen = |index| matches!(args.video_input(index), VideoInput::Screen(None));
        assert_eq!([0, 1, 2].map(is_screen), [false, false, true]);
        assert_eq!([0, 1, 2].map(|index| args.loudspeaker(index).is_some()), [false, false, true]);
        assert!(args.source_options(0).is_empty());
        assert_eq!(
            args.source_options(2),
            [("--video", "screen".into()), ("--audio", "mic".into())]
        );
    }
}
