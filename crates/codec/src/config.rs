//! What an encoder is told once, before its first frame.

use paceline_types::Bitrate;

/// What a picture shows, as far as an encoder cares.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// What a camera sees: noise, and movement everywhere.
    #[default]
    Camera,
    /// A desktop: flat, sharp, mostly still. Measured on one, 41 dB in 951 kbit/s
    /// against 36 dB in 2,664 with [`Camera`](Self::Camera), for more than twice
    /// the CPU time. A change of the whole picture is an IDR unasked.
    Screen,
}

/// How pictures are encoded. Their size is that of the frames, and may change
/// from one to the next.
///
/// ```
/// use paceline_codec::types::Bitrate;
/// use paceline_codec::{Content, VideoEncoderConfig};
///
/// let config = VideoEncoderConfig::default()
///     .bitrate(Bitrate::from_kbps(2_000))
///     .content(Content::Screen);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct VideoEncoderConfig {
    pub(crate) bitrate: Bitrate,
    pub(crate) cells: (u16, u16),
    pub(crate) content: Content,
    pub(crate) max_frame_rate: u8,
}

impl VideoEncoderConfig {
    /// Target of the rate control, in bits per second. Defaults to 1.2 Mbit/s;
    /// held between 30 kbit/s and 240 Mbit/s.
    ///
    /// The default is a little above the 1 Mbit/s below which GStreamer's webrtcsink
    /// goes down to 360 rows, and one who sends it to three others takes 3.6 Mbit/s
    /// of an uplink. H.264 only: RGB and text cells are as large as they are. In
    /// flight, change it with
    /// [`VideoEncoder::set_target`](crate::VideoEncoder::set_target).
    #[must_use]
    pub const fn bitrate(mut self, bitrate: Bitrate) -> Self {
        self.bitrate = bitrate;
        self
    }

    /// Text cells in a row, and rows of them. Defaults to 160 × 45.
    ///
    /// A cell shows two pixels, one above the other: the default is a picture of
    /// 160 × 90, which is 16:9, and 50,400 bytes. A picture of another shape is
    /// stretched to the grid. Text cells only.
    #[must_use]
    pub const fn cells(mut self, columns: u16, rows: u16) -> Self {
        self.cells = (columns, rows);
        self
    }

    /// What the pictures show. Defaults to [`Content::Camera`]. H.264 only.
    #[must_use]
    pub const fn content(mut self, content: Content) -> Self {
        self.content = content;
        self
    }

    /// Frames a second that the source makes at most. Defaults to 30; 0 is taken
    /// as 1.
    ///
    /// The rate control divides the bitrate by it: a source that is slower uses
    /// less than the bitrate, one that is faster more. H.264 only.
    #[must_use]
    pub const fn max_frame_rate(mut self, max_frame_rate: u8) -> Self {
        self.max_frame_rate = max_frame_rate;
        self
    }
}

impl Default for VideoEncoderConfig {
    fn default() -> Self {
        Self {
            bitrate: Bitrate::from_kbps(1_200),
            cells: (160, 45),
            content: Content::Camera,
            max_frame_rate: 30,
        }
    }
}

/// How sound is encoded: frames of 20 ms at 48 kHz.
///
/// What is not here is fixed. Opus runs in its audio application, which takes
/// music as well as speech, at complexity 5: 95 µs of CPU time for 20 ms of
/// stereo, against 175 at complexity 9, and a host encodes several mixes at once.
/// In-band forward error correction is off: over a reliable channel there is no
/// loss for it to repair, and the speech application with it takes 191 µs for mono.
///
/// ```
/// use paceline_codec::AudioEncoderConfig;
/// use paceline_codec::types::Bitrate;
///
/// let config = AudioEncoderConfig::default().channels(2).bitrate(Bitrate::from_kbps(96));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AudioEncoderConfig {
    pub(crate) bitrate: Bitrate,
    pub(crate) channels: u8,
    pub(crate) expected_loss: u8,
}

impl AudioEncoderConfig {
    /// Target in bits per second, all channels together. Defaults to 48 kbit/s;
    /// held between 6 and 510 kbit/s, which is what Opus has (RFC 6716 §2.1.1).
    ///
    /// 48 kbit/s is where RFC 7587 §3.1.1 has full-band mono music begin; speech
    /// is good from 28. Stereo music begins at 64. Opus only.
    #[must_use]
    pub const fn bitrate(mut self, bitrate: Bitrate) -> Self {
        self.bitrate = bitrate;
        self
    }

    /// Channels, 1 or 2. Defaults to 1: a microphone has one.
    ///
    /// Frames of another number are refused.
    #[must_use]
    pub const fn channels(mut self, channels: u8) -> Self {
        self.channels = channels;
        self
    }

    /// How many frames of a hundred are expected to be lost, up to 100. Defaults to 0:
    /// a data channel loses none.
    ///
    /// With any, speech carries a copy of the frame before in each frame (in-band FEC,
    /// RFC 6716 §2.1.7), which [`recover`](crate::AudioDecoder::recover) reads. It takes
    /// bits from the frame itself and up to twice the time. Opus only, and only where
    /// the bitrate has it code speech as such (the LP layer, RFC 6716 §2): at 24 kbit/s
    /// what is lost is then at most half as far off.
    #[must_use]
    pub const fn expected_loss(mut self, percent: u8) -> Self {
        self.expected_loss = if percent > 100 { 100 } else { percent };
        self
    }
}

impl Default for AudioEncoderConfig {
    fn default() -> Self {
        Self { bitrate: Bitrate::from_kbps(48), channels: 1, expected_loss: 0 }
    }
}
