//! What a sender is told, and what it tells.

use std::time::Duration;

use bytes::Bytes;
use paceline_types::{Bitrate, Ssrc};

/// How long pictures wait, and how much of them.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_framing::rtp::SenderConfig;
///
/// let config = SenderConfig::default().max_age(Duration::from_millis(100));
/// ```
#[derive(Clone, Debug)]
pub struct SenderConfig {
    pub(crate) start_bitrate: Bitrate,
    pub(super) max_age: Duration,
    pub(super) max_extra: Duration,
    pub(super) max_bytes: usize,
    pub(super) report_interval: Duration,
}

impl SenderConfig {
    /// What the path is taken to carry before a target is set. Defaults to 1 Mbit/s, with
    /// which a first keyframe of 50 KiB goes in 164 ms.
    ///
    /// More floods a slow path for as long as nothing is measured; less shows a newcomer his
    /// first picture later.
    #[must_use]
    pub const fn start_bitrate(mut self, bitrate: Bitrate) -> Self {
        self.start_bitrate = bitrate;
        self
    }

    /// How long a picture may wait before its first packet goes. Defaults to 250 ms, as in
    /// the queue of a channel.
    ///
    /// Shorter makes a slow path choppier, longer more delayed. With [`max_extra`](Self::max_extra)
    /// more than an hour is an hour.
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// How much longer a keyframe may take, and what was kept for a newcomer may wait, and
    /// with them what is behind them. Defaults to 2 s.
    ///
    /// With less, a path on which a keyframe takes longer than
    /// [`max_age`](Self::max_age) sees nothing but keyframes: what comes while one goes is
    /// left out, and another is asked for.
    #[must_use]
    pub const fn max_extra(mut self, extra: Duration) -> Self {
        self.max_extra = extra;
        self
    }

    /// Bytes of pictures that may wait, bookkeeping included. Defaults to 1 MiB.
    ///
    /// Over it the oldest is left out, though never the newest alone: one frame may be
    /// larger, up to 1,000 packets.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// From one report of a stream to the next, while it has packets. Defaults to 1 s.
    ///
    /// RFC 3550 §6.2 has 5 s as the least, and RFC 4585 §3.4 lifts that. A receiver knows
    /// when frames were captured only with a report: one that was lost is missed for as long.
    #[must_use]
    pub const fn report_interval(mut self, interval: Duration) -> Self {
        self.report_interval = interval;
        self
    }
}

impl Default for SenderConfig {
    fn default() -> Self {
        Self {
            start_bitrate: Bitrate::from_kbps(1_000),
            max_age: Duration::from_millis(250),
            max_extra: Duration::from_secs(2),
            max_bytes: 1 << 20,
            report_interval: Duration::from_secs(1),
        }
    }
}

/// One stream of a [`Sender`](super::Sender).
///
/// ```
/// use paceline_framing::rtp::SenderStream;
/// use paceline_framing::types::Ssrc;
///
/// let stream = SenderStream::new(Ssrc::new(7)).first_seq(1_000).frame_extension(8);
/// ```
#[derive(Clone, Debug)]
pub struct SenderStream {
    pub(super) ssrc: Ssrc,
    pub(super) first_seq: u16,
    pub(super) frame_extension: Option<u8>,
    pub(super) cname: Option<Bytes>,
    pub(super) tells_wraps: bool,
}

impl SenderStream {
    /// The packets of this source; whatever they say themselves.
    #[must_use]
    pub const fn new(ssrc: Ssrc) -> Self {
        Self { ssrc, first_seq: 1, frame_extension: None, cname: None, tells_wraps: false }
    }

    /// The number of the first packet. Defaults to 1. RFC 3550 §5.1 wants it random; below
    /// 2¹⁵ it leaves no doubt of SRTP's rollover counter when the first are lost
    /// (RFC 3711 §3.3.1).
    #[must_use]
    pub const fn first_seq(mut self, seq: u16) -> Self {
        self.first_seq = seq;
        self
    }

    /// Every packet has the frame's number, 32 bits of it, as the header extension of this
    /// id (RFC 8285 §4.2): 1 to 14. Defaults to none.
    #[must_use]
    pub const fn frame_extension(mut self, id: u8) -> Self {
        self.frame_extension = Some(id);
        self
    }

    /// Whose the stream is, in a source description with each report (RFC 3550 §6.5.1); at
    /// most 255 bytes count. Defaults to none.
    #[must_use]
    pub fn cname(mut self, cname: impl Into<Bytes>) -> Self {
        let mut cname = cname.into();
        cname.truncate(255);
        self.cname = Some(cname);
        self
    }

    /// Reports also tell the upper 32 bits of the media time, as a profile-specific
    /// extension (RFC 3550 §6.4.3). Defaults to not.
    #[must_use]
    pub const fn tells_wraps(mut self, tells: bool) -> Self {
        self.tells_wraps = tells;
        self
    }
}

/// What became of a frame.
///
/// ```
/// use paceline_framing::rtp::SenderVerdict;
///
/// assert_ne!(SenderVerdict::Queued, SenderVerdict::Unreachable);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SenderVerdict {
    /// What it builds on did not go, or was just left out with it: it is left out.
    NeedsKeyframe,
    /// It waits for its turn.
    Queued,
    /// It has more packets than a receiver holds
    /// ([`Sender::MAX_PACKETS`](super::Sender::MAX_PACKETS)): it is left out, and what builds
    /// on it too.
    TooLarge,
    /// There is no path: it is left out.
    Unreachable,
}

/// Counts since a sender was made.
///
/// ```
/// use paceline_framing::rtp::{Sender, SenderConfig, SenderStats};
///
/// assert_eq!(Sender::new(SenderConfig::default()).stats(), SenderStats::default());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SenderStats {
    /// Packets of RTP given out. Not what is sent again.
    pub packets: u64,
    /// Bytes of RTP and RTCP given out, with their headers; without those of SRTP and below.
    pub bytes: u64,
    /// Frames of which the last packet was given out.
    pub frames: u64,
    /// Frames that were left out, whole, for whatever reason.
    pub left_out: u64,
    /// Sender reports given out.
    pub reports: u64,
}
