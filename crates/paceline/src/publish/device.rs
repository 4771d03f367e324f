//! Devices: listed, opened, and opened anew when they are back.

use paceline_capture::{AudioSource, CaptureError, VideoSource};
use paceline_types::{Content, Device, DeviceKind};

use super::content::seen_as;
use crate::error::PublishError;

/// Lists what can be opened by its id, the default first: of cameras
/// [`VideoInput::Camera`](crate::VideoInput::Camera) takes it, of screens and windows
/// [`Screen`](crate::VideoInput::Screen) and [`Window`](crate::VideoInput::Window), of
/// microphones [`AudioInput::Microphone`](crate::AudioInput::Microphone), of loudspeakers
/// [`Room::start_loudspeaker`](crate::Room::start_loudspeaker).
///
/// Asks the system, which takes a few milliseconds, and more if a sound server has to wake
/// up: not for the thread that a runtime needs.
///
/// # Errors
///
/// [`PublishError::Capture`] or [`PublishError::Loudspeaker`] if this build has none of that
/// kind, or the system cannot be asked. That there is none is no error.
pub fn devices(kind: DeviceKind) -> Result<Vec<Device>, PublishError> {
    match kind {
        #[cfg(all(feature = "camera", target_os = "linux"))]
        DeviceKind::Camera => Ok(paceline_capture::cameras()?),
        #[cfg(feature = "sound")]
        DeviceKind::Loudspeaker => Ok(paceline_playout::loudspeakers()?),
        #[cfg(feature = "sound")]
        DeviceKind::Microphone => Ok(paceline_capture::microphones()?),
        #[cfg(all(feature = "screen", target_os = "linux"))]
        DeviceKind::Screen => Ok(paceline_capture::screens(None)?),
        #[cfg(all(feature = "screen", target_os = "linux"))]
        DeviceKind::Window => Ok(paceline_capture::windows(None)?),
        kind => Err(not_built_in(kind).into()),
    }
}

pub(crate) fn not_built_in(kind: DeviceKind) -> CaptureError {
    let reason = match kind {
        DeviceKind::Camera => "enable the feature `camera` of paceline, on Linux",
        DeviceKind::Loudspeaker | DeviceKind::Microphone => {
            "enable the feature `sound` of paceline"
        }
        _ => "enable the feature `screen` of paceline, on Linux",
    };
    CaptureError::NotBuiltIn { kind, reason }
}

/// A device that has pictures.
#[derive(Clone, Debug)]
pub(crate) struct Eye {
    pub(crate) kind: DeviceKind,
    pub(crate) id: Option<String>,
    /// What it is to be encoded as, if that is not what it says.
    pub(crate) content: Option<Content>,
}

impl Eye {
    pub(crate) fn open(&self) -> Result<Box<dyn VideoSource>, CaptureError> {
        self.look().map(|source| seen_as(source, self.content))
    }

    fn look(&self) -> Result<Box<dyn VideoSource>, CaptureError> {
        match (self.kind, self.id.as_deref()) {
            #[cfg(all(feature = "camera", target_os = "linux"))]
            (DeviceKind::Camera, id) => {
                let config = paceline_capture::CameraConfig::default();
                Ok(Box::new(paceline_capture::Camera::open(id, config)?))
            }
            #[cfg(all(feature = "screen", target_os = "linux"))]
            (DeviceKind::Screen, id) => {
                let config = paceline_capture::ScreenConfig::default();
                Ok(Box::new(paceline_capture::Screen::open(id, config)?))
            }
            #[cfg(all(feature = "screen", target_os = "linux"))]
            (DeviceKind::Window, Some(id)) => {
                let config = paceline_capture::ScreenConfig::default();
                Ok(Box::new(paceline_capture::Screen::window(id, config)?))
            }
            (kind, _) => Err(not_built_in(kind)),
        }
    }

    /// Whether what was opened can come back. A window that was closed is another when its
    /// program opens it again.
    pub(crate) fn may_come_back(&self) -> bool {
        self.kind != DeviceKind::Window
    }
}

/// A microphone.
#[derive(Clone, Debug)]
pub(crate) struct Ear {
    #[cfg_attr(not(feature = "sound"), expect(dead_code, reason = "none can be opened"))]
    pub(crate) id: Option<String>,
}

impl Ear {
    pub(crate) fn open(&self) -> Result<Box<dyn AudioSource>, CaptureError> {
        #[cfg(feature = "sound")]
        {
            let config = paceline_capture::MicrophoneConfig::default();
            Ok(Box::new(paceline_capture::Microphone::open(self.id.as_deref(), config)?))
        }
        #[cfg(not(feature = "sound"))]
        Err(not_built_in(DeviceKind::Microphone))
    }
}
