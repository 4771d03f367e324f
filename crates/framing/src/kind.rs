//! The packet types that there are, and how urgent each is.

/// How urgent a packet is: all of a class goes before any of the next.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Class {
    /// What keeps the call going. Never shed.
    Control,
    /// Sound.
    Audio,
    /// Pictures, however they are encoded.
    Video,
    /// What has no time to keep. No packet type of version 1 is bulk.
    Bulk,
}

/// The type field of the header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u16)]
pub(crate) enum Kind {
    Image = 1,
    Audio = 2,
    Cells = 3,
    Video = 4,
    Hello = 128,
    Ping = 129,
    Pong = 130,
    KeyframeRequest = 131,
    TrackState = 132,
    ReceiverReport = 133,
    Bye = 135,
    MixInfo = 149,
}

impl Kind {
    pub(crate) const fn from_wire(kind: u16) -> Option<Self> {
        Some(match kind {
            1 => Self::Image,
            2 => Self::Audio,
            3 => Self::Cells,
            4 => Self::Video,
            128 => Self::Hello,
            129 => Self::Ping,
            130 => Self::Pong,
            131 => Self::KeyframeRequest,
            132 => Self::TrackState,
            133 => Self::ReceiverReport,
            135 => Self::Bye,
            149 => Self::MixInfo,
            _ => return None,
        })
    }

    pub(crate) const fn class(self) -> Class {
        match self {
            Self::Audio => Class::Audio,
            Self::Cells | Self::Image | Self::Video => Class::Video,
            Self::Bye
            | Self::Hello
            | Self::KeyframeRequest
            | Self::MixInfo
            | Self::Ping
            | Self::Pong
            | Self::ReceiverReport
            | Self::TrackState => Class::Control,
        }
    }
}
