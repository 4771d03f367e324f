//! What is shared.

use std::ffi::OsString;
use std::path::PathBuf;

use paceline::playout::terminal::sanitize;
use paceline::types::{Device, DeviceKind};
use paceline::{AudioInput, VideoInput};
use serde_json::json;

use crate::args::UsageError;

/// Where the picture comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// `None`: the system's first.
    Camera(Option<String>),
    File(PathBuf),
    Screen(Option<String>),
    Test,
    Window(String),
}

/// Where the sound comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Sound {
    File(PathBuf),
    /// `None`: the system's choice.
    Microphone(Option<String>),
    None,
    Test,
}

impl Source {
    pub(crate) fn parse(value: OsString) -> Result<Self, UsageError> {
        match named(&value) {
            ("camera", id) => Ok(Self::Camera(id)),
            ("screen", id) => Ok(Self::Screen(id)),
            ("test", None) => Ok(Self::Test),
            ("window", Some(id)) => Ok(Self::Window(id)),
            _ if is_file(&value, &["y4m", "h264", "264"]) => Ok(Self::File(value.into())),
            _ => Err(UsageError(format!(
                "--source {}: it is screen, screen:ID, window:ID, camera, camera:ID, FILE.y4m, \
                 FILE.h264 or test",
                value.display()
            ))),
        }
    }

    pub(crate) fn input(&self) -> VideoInput {
        match self.clone() {
            Self::Camera(id) => VideoInput::Camera(id),
            Self::File(path) => VideoInput::File(path),
            Self::Screen(id) => VideoInput::Screen(id),
            Self::Test => VideoInput::Test,
            Self::Window(id) => VideoInput::Window(id),
        }
    }
}

impl Sound {
    pub(crate) fn parse(value: OsString) -> Result<Self, UsageError> {
        match named(&value) {
            ("mic", id) => Ok(Self::Microphone(id)),
            ("none", None) => Ok(Self::None),
            ("test", None) => Ok(Self::Test),
            _ if is_file(&value, &["wav"]) => Ok(Self::File(value.into())),
            _ => Err(UsageError(format!(
                "--audio {}: it is mic, mic:ID, FILE.wav, test or none",
                value.display()
            ))),
        }
    }

    pub(crate) fn input(&self) -> Option<AudioInput> {
        match self.clone() {
            Self::File(path) => Some(AudioInput::File(path)),
            Self::Microphone(id) => Some(AudioInput::Microphone(id)),
            Self::None => None,
            Self::Test => Some(AudioInput::Tone),
        }
    }
}

/// All that can be shared, for a person or as one JSON line. What cannot be asked for is told
/// on standard error, and the rest all the same.
pub(crate) fn list_devices(json: bool) -> String {
    let devices = KINDS.map(|(kind, _)| {
        paceline::devices(kind).unwrap_or_else(|error| {
            crate::complain(&error.to_string());
            Vec::new()
        })
    });
    if json {
        let all: Vec<_> = devices.iter().flatten().map(as_json).collect();
        return json!({ "devices": all }).to_string();
    }
    let mut text = Vec::new();
    for ((kind, option), devices) in KINDS.iter().zip(&devices) {
        text.push(format!("{kind}s ({option})"));
        text.extend(devices.iter().map(as_line));
        if devices.is_empty() {
            text.push("  none".to_owned());
        }
    }
    text.join("\n")
}

fn as_json(device: &Device) -> serde_json::Value {
    let kind = device.kind.to_string();
    json!({ "kind": kind, "id": device.id, "name": device.name, "default": device.is_default })
}

fn as_line(device: &Device) -> String {
    let mark = if device.is_default { '*' } else { ' ' };
    // A window is called what a web page likes.
    format!("{mark} {}  {}", sanitize(&device.id, MAX_ID), sanitize(&device.name, MAX_NAME))
}

/// `word:ID`, or a word alone.
fn named(value: &OsString) -> (&str, Option<String>) {
    let value = value.to_str().unwrap_or_default();
    match value.split_once(':') {
        Some((word, id)) if !id.is_empty() => (word, Some(id.to_owned())),
        _ => (value, None),
    }
}

fn is_file(value: &OsString, extensions: &[&str]) -> bool {
    let path = PathBuf::from(value);
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| extensions.contains(&extension))
}

const KINDS: [(DeviceKind, &str); 4] = [
    (DeviceKind::Screen, "--source screen:ID"),
    (DeviceKind::Window, "--source window:ID"),
    (DeviceKind::Camera, "--source camera:ID"),
    (DeviceKind::Microphone, "--audio mic:ID"),
];

/// Characters that are shown: the ids of PulseAudio have up to 128.
const MAX_ID: usize = 128;
const MAX_NAME: usize = 60;
