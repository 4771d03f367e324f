//! The packet types that there are, and how urgent each is.

/// How urgent a packet is: all of a class goes before any of the next.
///
/// ```
/// use paceline_framing::Class;
///
/// assert!(Class::Control < Class::Audio && Class::Audio < Class::Video);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Class {
    /// What keeps the call going. Never shed.
    Control,
    /// Sound.
    Audio,
    /// Pictures, however they are encoded.
    Video,
    /// What has no time to keep: an application's own data.
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
    Window = 134,
    Bye = 135,
    Signal = 136,
    Lease = 137,
    VoteRequest = 138,
    Vote = 139,
    NatState = 140,
    NetworkQuality = 141,
    Migrate = 142,
    Prepare = 143,
    Ready = 144,
    Abort = 145,
    Retire = 146,
    Roster = 147,
    ApplicationData = 148,
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
            134 => Self::Window,
            135 => Self::Bye,
            136 => Self::Signal,
            137 => Self::Lease,
            138 => Self::VoteRequest,
            139 => Self::Vote,
            140 => Self::NatState,
            141 => Self::NetworkQuality,
            142 => Self::Migrate,
            143 => Self::Prepare,
            144 => Self::Ready,
            145 => Self::Abort,
            146 => Self::Retire,
            147 => Self::Roster,
            148 => Self::ApplicationData,
            149 => Self::MixInfo,
            _ => return None,
        })
    }

    pub(crate) const fn class(self) -> Class {
        match self {
            Self::Audio => Class::Audio,
            Self::Cells | Self::Image | Self::Video => Class::Video,
            Self::ApplicationData => Class::Bulk,
            _ => Class::Control,
        }
    }
}
