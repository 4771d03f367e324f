//! What an uplink sends.

use std::borrow::Cow;

/// Whether a track is a picture or sound.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "RTP has no third kind that is sent here")]
pub enum TrackKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// One source that is sent, and how it is described (RFC 8866 §6.6, RFC 5576).
///
/// ```
/// use paceline_transport::{TrackKind, UplinkTrack};
///
/// let camera = UplinkTrack::new(TrackKind::Video, "video/H264", 90_000, 96, 0x1111)
///     .fmtp("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
///     .rtx(97, 0x1112);
/// let voice = UplinkTrack::new(TrackKind::Audio, "audio/opus", 48_000, 111, 0x2222)
///     .channels(2)
///     .fmtp("minptime=10;useinbandfec=1");
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "webrtc"),
    expect(dead_code, reason = "only a description needs all that is known of a track")
)]
pub struct UplinkTrack {
    pub(crate) kind: TrackKind,
    pub(crate) mime: Cow<'static, str>,
    pub(crate) clock_rate: u32,
    pub(crate) channels: u16,
    pub(crate) fmtp: String,
    pub(crate) payload_type: u8,
    pub(crate) ssrc: u32,
    /// Payload type and source of retransmissions (RFC 4588 §8).
    pub(crate) rtx: Option<(u8, u32)>,
    pub(crate) cname: String,
}

impl UplinkTrack {
    /// A track without format parameters and without retransmissions of its own.
    ///
    /// `mime` is as in `video/H264`, `clock_rate` in hertz, `payload_type` at most 127.
    #[must_use]
    pub fn new(
        kind: TrackKind,
        mime: impl Into<Cow<'static, str>>,
        clock_rate: u32,
        payload_type: u8,
        ssrc: u32,
    ) -> Self {
        Self {
            kind,
            mime: mime.into(),
            clock_rate,
            channels: 0,
            fmtp: String::new(),
            payload_type,
            ssrc,
            rtx: None,
            cname: "paceline".to_owned(),
        }
    }

    /// Channels of sound. Defaults to 0, for pictures; Opus is always 2 (RFC 7587 §7).
    #[must_use]
    pub const fn channels(mut self, channels: u16) -> Self {
        self.channels = channels;
        self
    }

    /// Format parameters (`a=fmtp`), without the payload type. Defaults to none.
    #[must_use]
    pub fn fmtp(mut self, fmtp: impl Into<String>) -> Self {
        self.fmtp = fmtp.into();
        self
    }

    /// What is asked for again is sent with this payload type from this source
    /// (RFC 4588). Defaults to none: the same packet is sent again.
    #[must_use]
    pub const fn rtx(mut self, payload_type: u8, ssrc: u32) -> Self {
        self.rtx = Some((payload_type, ssrc));
        self
    }

    /// The canonical name (RFC 3550 §6.5.1), the same for all tracks that are played
    /// together. Defaults to `paceline`.
    #[must_use]
    pub fn cname(mut self, cname: impl Into<String>) -> Self {
        self.cname = cname.into();
        self
    }
}

/// A header extension that is offered, with its id (RFC 8285 §5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HeaderExtension {
    /// When a packet left, in 24 bits, at the resolution of 2⁻¹⁸ s.
    AbsSendTime,
    /// The media section a packet belongs to (RFC 9143 §15).
    Mid,
    /// The number by which the other end says which packets arrived, and when.
    TransportWideCc,
}

impl HeaderExtension {
    /// Its name in a description.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::TransportWideCc => {
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            }
        }
    }
}
