//! What an encoder is told once, before its first frame.

use paceline_types::{Bitrate, Content};

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
    pub(crate) max_slice_bytes: Option<u16>,
    pub(crate) temporal_layers: u8,
}

impl VideoEncoderConfig {
    /// Target of the rate control, in bits per second. Defaults to 1.2 Mbit/s;
    /// held between 30 kbit/s and 240 Mbit/s.
    ///
    /// The default is a little above the 1 Mbit/s below which GStreamer's webrtcsink
    /// goes down to 360 rows, and one who sends it to three others takes 3.6 Mbit/s
    /// of an uplink.
    ///
    /// It bounds seconds, not pictures: at 2 Mbit/s the first of a full desktop of 1080p
    /// has 184 KB, the one after a change of scene 124 (screen) to 206 (camera, after the
    /// desktop was still; measured), and pictures are skipped behind it until half a
    /// second is left of it. Pace what is sent, or send a smaller picture.
    ///
    /// What is measured here is H.264's. VP8 and VP9 keep a key frame to what is sent in
    /// 300 ms, and are held between 30 kbit/s and 240 Mbit/s as well; RGB and text cells are
    /// as large as they are. In flight, change it with
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

    /// What the pictures show. Defaults to [`Content::Camera`]. H.264, VP8 and VP9; RGB and
    /// text cells do not care.
    ///
    /// In flight, change it with
    /// [`VideoEncoder::set_content`](crate::VideoEncoder::set_content): of H.264 the next
    /// picture is then a key frame, VP8 and VP9 go on without.
    #[must_use]
    pub const fn content(mut self, content: Content) -> Self {
        self.content = content;
        self
    }

    /// Frames a second that the source makes at most. Defaults to 30; 0 is taken
    /// as 1, more than 60 as 60.
    ///
    /// The rate control divides the bitrate by it: a source that is slower uses
    /// less than the bitrate, one that is faster more. Of VP8 and VP9 it bounds key frames
    /// too. RGB and text cells do not care. In flight, change it
    /// with [`VideoEncoder::set_frame_rate`](crate::VideoEncoder::set_frame_rate), and
    /// change how many pictures come as well: half the rate for as many pictures is
    /// twice the bitrate.
    #[must_use]
    pub const fn max_frame_rate(mut self, max_frame_rate: u8) -> Self {
        self.max_frame_rate = match max_frame_rate {
            0 => 1,
            1..=60 => max_frame_rate,
            _ => 60,
        };
        self
    }

    /// Bytes that a slice, which is a NAL unit, has at most. Defaults to `None`: each
    /// picture is one slice. Less than 500 is taken as 500.
    ///
    /// With 1,300 each NAL unit fits an RTP packet of 1,200 bytes, for OpenH264 stays some
    /// 120 below: no FU-A (RFC 6184 §5.8), and a packet that is lost takes its slice
    /// alone. It costs up to an eighth more CPU and 0.5 dB (1080p at 2 Mbit/s: a desktop
    /// in camera mode 7.4 ms for 6.5, of a camera no more; measured). The last macroblock
    /// is not split off: where it takes more than 148 bytes, the last slice exceeds the
    /// bound, by 252 at most (measured with noise at 20 Mbit/s; pictures never did).
    /// H.264 only: VP8 and VP9 have no slices, and an RTP packet ends where it is full.
    #[must_use]
    pub const fn max_slice_bytes(mut self, max_slice_bytes: Option<u16>) -> Self {
        self.max_slice_bytes = match max_slice_bytes {
            Some(few) if few < MIN_SLICE_BYTES => Some(MIN_SLICE_BYTES),
            other => other,
        };
        self
    }

    /// Temporal layers, 1 to 3. Defaults to 1; 0 is taken as 1, more than 3 as 3.
    ///
    /// With two, every other picture can be dropped without harm to the others, with
    /// three, three of four: the upper layer is [`discardable`], and what can be dropped
    /// of the others [`temporal_layer`] says. A host that forwards takes frames from a
    /// slow receiver so. It takes bits: 0.3 dB of a camera with three (1080p at 2 Mbit/s;
    /// measured). H.264 only, and of [`Content::Screen`] two at most: OpenH264 has no third.
    /// VP8 and VP9 are made with one, whatever is asked for.
    ///
    /// [`discardable`]: paceline_types::Coding::Video::discardable
    /// [`temporal_layer`]: crate::EncodedPicture::temporal_layer
    #[must_use]
    pub const fn temporal_layers(mut self, temporal_layers: u8) -> Self {
        self.temporal_layers = match temporal_layers {
            0 => 1,
            1..=3 => temporal_layers,
            _ => 3,
        };
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
            max_slice_bytes: None,
            temporal_layers: 1,
        }
    }
}

/// How sound is encoded: frames of 20 ms at 48 kHz.
///
/// The default is what a host encodes its mixes with, over a channel that loses nothing:
/// music as well as speech, at half the price, and nothing said twice. A microphone's own
/// sound over RTP wants the other end of each:
///
/// ```
/// use paceline_codec::types::Bitrate;
/// use paceline_codec::{AudioContent, AudioEncoderConfig};
///
/// let mix = AudioEncoderConfig::default().channels(2).bitrate(Bitrate::from_kbps(96));
/// let microphone = AudioEncoderConfig::default()
///     .content(AudioContent::Voice)
///     .bitrate(Bitrate::from_kbps(40))
///     .expected_loss(10)
///     .dtx(true);
/// # let _ = (mix, microphone);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AudioEncoderConfig {
    pub(crate) bitrate: Bitrate,
    pub(crate) channels: u8,
    pub(crate) complexity: u8,
    pub(crate) content: AudioContent,
    pub(crate) dtx: bool,
    pub(crate) expected_loss: u8,
}

impl AudioEncoderConfig {
    /// Target in bits per second, all channels together. Defaults to 48 kbit/s;
    /// held between 6 and 510 kbit/s, which is what Opus has (RFC 6716 §2.1.1).
    ///
    /// 48 kbit/s is where RFC 7587 §3.1.1 has full-band mono music begin; speech
    /// is good from 28. Stereo music begins at 64. Opus only. In flight, change it with
    /// [`AudioEncoder::set_target`](crate::AudioEncoder::set_target).
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

    /// How much time to spend for the same bits, from 0 to 10. Defaults to 5; more is taken
    /// as 10.
    ///
    /// 9 and 10 take up to twice the time of 5 (measured: stereo music 148 µs against 92 for
    /// 20 ms). Opus only.
    #[must_use]
    pub const fn complexity(mut self, complexity: u8) -> Self {
        self.complexity = if complexity > 10 { 10 } else { complexity };
        self
    }

    /// What the sound is. Defaults to [`AudioContent::Music`]. Opus only.
    #[must_use]
    pub const fn content(mut self, content: AudioContent) -> Self {
        self.content = content;
        self
    }

    /// Whether silence is sent as packets of one byte, after 200 ms of it (discontinuous
    /// transmission, RFC 6716 §2.1.9). Defaults to no. Opus only.
    ///
    /// There is a packet for each 20 ms all the same, so that nobody takes silence for loss;
    /// now and then one says how the silence sounds, and the decoder makes up the rest. A
    /// voice that begins softly may lose its first few milliseconds.
    #[must_use]
    pub const fn dtx(mut self, dtx: bool) -> Self {
        self.dtx = dtx;
        self
    }

    /// How many frames of a hundred are expected to be lost, up to 100. Defaults to 0:
    /// a data channel loses none.
    ///
    /// With any, speech carries a copy of the frame before in each frame (in-band FEC,
    /// RFC 6716 §2.1.7), which [`recover`](crate::AudioDecoder::recover) reads. It takes
    /// bits from the frame itself and up to twice the time. Opus only. In flight, change it
    /// with [`AudioEncoder::set_target`](crate::AudioEncoder::set_target).
    ///
    /// Measured on 7 s of speech of which every tenth frame is lost: what stands for it is
    /// 1.8 dB near to it without, and 10.7 dB with 10 at the same 40 kbit/s; at 24 kbit/s
    /// 7.4 dB with 10 and 8.9 with 20. With 5, libopus says nothing twice below 36 kbit/s of a
    /// voice, nor at any bitrate of music: if there is loss at all, say at least 10.
    #[must_use]
    pub const fn expected_loss(mut self, percent: u8) -> Self {
        self.expected_loss = if percent > 100 { 100 } else { percent };
        self
    }
}

impl Default for AudioEncoderConfig {
    fn default() -> Self {
        Self {
            bitrate: Bitrate::from_kbps(48),
            channels: 1,
            complexity: 5,
            content: AudioContent::Music,
            dtx: false,
            expected_loss: 0,
        }
    }
}

/// What sound is, as far as its encoder minds.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AudioContent {
    /// Anything: what comes out is as near as can be to what goes in.
    #[default]
    Music,
    /// Speech: what comes out is as easy to understand as can be.
    Voice,
}

/// What a running encoder of sound is asked to change.
///
/// ```
/// use paceline_codec::types::{AudioCodec, Bitrate};
/// use paceline_codec::{AudioEncoderConfig, AudioEncoderTarget, audio_encoder};
///
/// let mut encoder = audio_encoder(AudioCodec::PcmF32, AudioEncoderConfig::default())?;
/// encoder.set_target(AudioEncoderTarget {
///     bitrate: Some(Bitrate::from_kbps(24)),
///     expected_loss: Some(10),
/// });
/// # Ok::<(), paceline_codec::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AudioEncoderTarget {
    /// As [`AudioEncoderConfig::bitrate`]; `None` leaves it as it is.
    pub bitrate: Option<Bitrate>,
    /// As [`AudioEncoderConfig::expected_loss`], from reports of the receiver; `None` leaves
    /// it as it is.
    pub expected_loss: Option<u8>,
}

/// OpenH264 takes no less than the 400 bytes of a macroblock at its largest, and 48 of
/// its own (`MAX_MACROBLOCK_SIZE_IN_BYTE`, `NAL_HEADER_ADD_0X30BYTES`).
const MIN_SLICE_BYTES: u16 = 500;
