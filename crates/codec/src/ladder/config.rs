//! When the ladder moves, and how far.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use paceline_types::{Bitrate, PictureFormat};

use super::change::DegradationPreference;

/// Every threshold of a [`Ladder`](crate::Ladder), and every bound.
///
/// ```
/// use paceline_codec::types::PictureFormat;
/// use paceline_codec::{LadderConfig, LadderConfigError};
///
/// let config = LadderConfig::of(PictureFormat::Vp8).min_frame_rate(10.0);
/// assert_eq!(config.validate(), Ok(()));
///
/// let fidgety = config.headroom(0.9).validate();
/// assert!(matches!(fidgety, Err(LadderConfigError::OutOfRange { field: "headroom", .. })));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LadderConfig {
    pub(super) back_off: Duration,
    pub(super) bitrate_step: f64,
    pub(super) camera: DegradationPreference,
    pub(super) drop_frames: u32,
    pub(super) drop_share: f64,
    pub(super) frame_rate_step: f64,
    pub(super) headroom: f64,
    pub(super) hold: Duration,
    pub(super) in_a_row: u32,
    pub(super) max_back_off: Duration,
    pub(super) max_bitrate: Bitrate,
    pub(super) max_queue: Duration,
    pub(super) max_usage: f64,
    pub(super) min_bitrate: Bitrate,
    pub(super) min_bitrate_share: f64,
    pub(super) min_frame_rate: f64,
    pub(super) min_pixels: u32,
    pub(super) pixel_step: f64,
    pub(super) qp_high: u8,
    pub(super) qp_low: u8,
    pub(super) qp_window: Duration,
    pub(super) queue_cut: f64,
    pub(super) queue_recovery: Duration,
    pub(super) screen: DegradationPreference,
    pub(super) screen_cost: f64,
    pub(super) start_bitrate: Bitrate,
    pub(super) window: Duration,
}

impl LadderConfig {
    /// The defaults, with the quantizers that `format` has. Of one without any, only the
    /// pictures that are skipped show that the bitrate is too low. Of VP8 and VP9 camera mode
    /// is no rung, for it saves nothing: see [`screen_cost`](Self::screen_cost).
    #[must_use]
    pub fn of(format: PictureFormat) -> Self {
        let (low, high) = match format {
            PictureFormat::Vp8 => VP8_QP,
            PictureFormat::Vp9 => VP9_QP,
            _ => H264_QP,
        };
        let config = Self::default().qp_low(low).qp_high(high);
        match format {
            PictureFormat::Vp8 | PictureFormat::Vp9 => config.screen_cost(VPX_SCREEN_COST),
            _ => config,
        }
    }

    /// How long there must have been room before a step up. Defaults to 10 s; 1 s to 10 min.
    ///
    /// libwebrtc waits 40 s, for it goes up without knowing what a step costs. Here
    /// [`headroom`](Self::headroom) has to allow it first, and one that fails doubles the wait.
    /// Shorter, more is undone; longer, a call stays coarse after its pressure has ended.
    #[must_use]
    pub const fn back_off(mut self, back_off: Duration) -> Self {
        self.back_off = back_off;
        self
    }

    /// What is left of the bitrate after a step of it for CPU pressure. Defaults to 3/4; 0.1 to 0.9.
    ///
    /// The last resort: entropy coding is what scales with the bits, and it is the smaller part
    /// of the work. No field number: libwebrtc has no such step.
    #[must_use]
    pub const fn bitrate_step(mut self, bitrate_step: f64) -> Self {
        self.bitrate_step = bitrate_step;
        self
    }

    /// What is kept longest of what a camera sees. Defaults to [`DegradationPreference::Balanced`].
    #[must_use]
    pub const fn camera(mut self, camera: DegradationPreference) -> Self {
        self.camera = camera;
        self
    }

    /// Of how many pictures the share that the encoder skipped is taken. Defaults to 60, which is
    /// libwebrtc's (`QualityScaler`, two seconds at 30 a second); 10 to 1,000.
    ///
    /// Fewer, and the pictures skipped after one large key frame count as pressure.
    #[must_use]
    pub const fn drop_frames(mut self, drop_frames: u32) -> Self {
        self.drop_frames = drop_frames;
        self
    }

    /// The share of pictures skipped above which there is too little bitrate. Defaults to 0.6,
    /// which is libwebrtc's; 0.1 to 0.95.
    #[must_use]
    pub const fn drop_share(mut self, drop_share: f64) -> Self {
        self.drop_share = drop_share;
        self
    }

    /// What is left of the frame rate after a step of it. Defaults to 2/3, which is libwebrtc's;
    /// 0.1 to 0.9.
    ///
    /// Nearer to 1 it takes more steps, and as many times [`hold`](Self::hold), to get out of
    /// pressure.
    #[must_use]
    pub const fn frame_rate_step(mut self, frame_rate_step: f64) -> Self {
        self.frame_rate_step = frame_rate_step;
        self
    }

    /// The usage that a step up may lead to, foretold, of 1. Defaults to 0.6; 0.1 to 0.8.
    ///
    /// Usage now, times what the step adds in pixels or pictures. libwebrtc goes up below a
    /// usage of 42 %, half of its high threshold, whatever the step costs. It must not be above
    /// [`max_usage`](Self::max_usage): the gap is the hysteresis.
    #[must_use]
    pub const fn headroom(mut self, headroom: f64) -> Self {
        self.headroom = headroom;
        self
    }

    /// The least time between two steps, whatever their causes. Defaults to 2 s; 100 ms to 1 min.
    ///
    /// A step of the size is a key frame, which is large and slow: until that is through, what is
    /// measured is the step itself.
    #[must_use]
    pub const fn hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// How many windows in a row must say the same before a step down. Defaults to 2, which is
    /// libwebrtc's for CPU; 1 to 10.
    #[must_use]
    pub const fn in_a_row(mut self, in_a_row: u32) -> Self {
        self.in_a_row = in_a_row;
        self
    }

    /// The longest wait before a step up. Defaults to 240 s, which is libwebrtc's; from
    /// [`back_off`](Self::back_off) to 1 h.
    #[must_use]
    pub const fn max_back_off(mut self, max_back_off: Duration) -> Self {
        self.max_back_off = max_back_off;
        self
    }

    /// The bitrate is never above, whatever the path takes. Defaults to 240 Mbit/s, the most that
    /// our encoders hold to; up to 1 Gbit/s.
    #[must_use]
    pub const fn max_bitrate(mut self, max_bitrate: Bitrate) -> Self {
        self.max_bitrate = max_bitrate;
        self
    }

    /// How long what waits to be sent may take before the bitrate is cut. Defaults to 200 ms, which
    /// is when OBS's dynamic bitrate acts; 20 ms to 10 s.
    ///
    /// What waits is delay: it adds to that of the path, picture by picture.
    #[must_use]
    pub const fn max_queue(mut self, max_queue: Duration) -> Self {
        self.max_queue = max_queue;
        self
    }

    /// The part of the time that encoding may take, of 1. Defaults to 0.85, which is libwebrtc's
    /// high threshold; 0.2 to 1.
    ///
    /// At 1 pictures are lost already: what is left out in capture is not seen here.
    #[must_use]
    pub const fn max_usage(mut self, max_usage: f64) -> Self {
        self.max_usage = max_usage;
        self
    }

    /// The bitrate is never below, even when the path takes less. Defaults to 30 kbit/s, which is
    /// libwebrtc's least for video; up to [`max_bitrate`](Self::max_bitrate), from 1 kbit/s.
    #[must_use]
    pub const fn min_bitrate(mut self, min_bitrate: Bitrate) -> Self {
        self.min_bitrate = min_bitrate;
        self
    }

    /// The part of the target that CPU pressure leaves of the bitrate at least. Defaults to 1/4;
    /// 0.05 to 1.
    #[must_use]
    pub const fn min_bitrate_share(mut self, min_bitrate_share: f64) -> Self {
        self.min_bitrate_share = min_bitrate_share;
        self
    }

    /// Pictures a second that no step goes below. Defaults to 5; 0.5 to 60. A source that is slower
    /// stays as it is.
    ///
    /// libwebrtc goes down to 2. At 5 one can still follow a pointer. What is
    /// [`Balanced`](DegradationPreference::Balanced) stops above: 7 up to 320 × 240, 10 up to
    /// 480 × 360, 15 for what is larger (libwebrtc's `BalancedDegradationSettings`).
    #[must_use]
    pub const fn min_frame_rate(mut self, min_frame_rate: f64) -> Self {
        self.min_frame_rate = min_frame_rate;
        self
    }

    /// Pixels of a picture that no step goes below. Defaults to 57,600, 320 × 180, which is
    /// libwebrtc's; 256 to 3840 × 2160. A source that is smaller stays as it is.
    #[must_use]
    pub const fn min_pixels(mut self, min_pixels: u32) -> Self {
        self.min_pixels = min_pixels;
        self
    }

    /// What is left of the pixels after a step of the size. Defaults to 3/5, which is libwebrtc's;
    /// 0.1 to 0.9.
    #[must_use]
    pub const fn pixel_step(mut self, pixel_step: f64) -> Self {
        self.pixel_step = pixel_step;
        self
    }

    /// The mean quantizer above which a picture has too few bits for its size. Defaults to 37, which
    /// is libwebrtc's for H.264; 95 for VP8 and 205 for VP9.
    #[must_use]
    pub const fn qp_high(mut self, qp_high: u8) -> Self {
        self.qp_high = qp_high;
        self
    }

    /// The mean quantizer at or below which there are bits for more. Defaults to 24, which is
    /// libwebrtc's for H.264; 29 for VP8 and 149 for VP9. Below [`qp_high`](Self::qp_high): the
    /// gap is the hysteresis, and a step up must be foretold to stay in its lower half.
    #[must_use]
    pub const fn qp_low(mut self, qp_low: u8) -> Self {
        self.qp_low = qp_low;
        self
    }

    /// Over how long the quantizer's mean is taken. Defaults to 2 s, libwebrtc's sampling period;
    /// 100 ms to 1 min. It takes at least ten pictures, too.
    #[must_use]
    pub const fn qp_window(mut self, qp_window: Duration) -> Self {
        self.qp_window = qp_window;
        self
    }

    /// What is left of the bitrate when too much waits to be sent. Defaults to 0.7; 0.1 to 0.9.
    ///
    /// It must be less than what the path takes, or the queue does not shrink; OBS estimates
    /// what that is, here the target does, and this has the queue drained.
    #[must_use]
    pub const fn queue_cut(mut self, queue_cut: f64) -> Self {
        self.queue_cut = queue_cut;
        self
    }

    /// How often the bitrate rises by a tenth of the target after a cut, while little waits.
    /// Defaults to 4 s, which is OBS's; 100 ms to 1 min.
    #[must_use]
    pub const fn queue_recovery(mut self, queue_recovery: Duration) -> Self {
        self.queue_recovery = queue_recovery;
        self
    }

    /// What is kept longest of a screen. Defaults to [`DegradationPreference::MaintainResolution`]:
    /// scaled text is unreadable long before ten pictures a second are too few.
    #[must_use]
    pub const fn screen(mut self, screen: DegradationPreference) -> Self {
        self.screen = screen;
        self
    }

    /// How many times longer a screen takes to encode as what it is than as what a camera sees.
    /// Defaults to 2.5, measured: 18.5 ms against 7.5 of OpenH264 2.7 at 1080p; 1 of VP8 and
    /// VP9. 1 to 10. At 1.1 or less it is not tried: nobody would notice what it saves.
    #[must_use]
    pub const fn screen_cost(mut self, screen_cost: f64) -> Self {
        self.screen_cost = screen_cost;
        self
    }

    /// The target until [`handle_target`](crate::Ladder::handle_target) says one. Defaults to
    /// 1.2 Mbit/s, that of [`VideoEncoderConfig`](crate::VideoEncoderConfig).
    #[must_use]
    pub const fn start_bitrate(mut self, start_bitrate: Bitrate) -> Self {
        self.start_bitrate = start_bitrate;
        self
    }

    /// Over how long the usage is taken. Defaults to 1 s; 100 ms to 1 min.
    ///
    /// libwebrtc looks every 5 s, and so needs 10 s to act. All the while pictures are lost and
    /// sound from the same machine may crackle: a mean of a second, two in a row, is 2 s, and a
    /// step too early costs little where the way back is known.
    #[must_use]
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Whether a ladder can be made of it.
    ///
    /// # Errors
    ///
    /// [`LadderConfigError`] names the first field that is out of its bounds.
    pub fn validate(&self) -> Result<(), LadderConfigError> {
        let seconds = Duration::as_secs_f64;
        let min_bitrate = self.min_bitrate.bps() as f64;
        within("bitrate_step", self.bitrate_step, 0.1, 0.9)?;
        within("drop_frames", self.drop_frames.into(), 10.0, 1_000.0)?;
        within("drop_share", self.drop_share, 0.1, 0.95)?;
        within("frame_rate_step", self.frame_rate_step, 0.1, 0.9)?;
        within("max_usage", self.max_usage, 0.2, 1.0)?;
        within("headroom", self.headroom, 0.1, self.max_usage.min(0.8))?;
        within("in_a_row", self.in_a_row.into(), 1.0, 10.0)?;
        within("max_bitrate (bit/s)", self.max_bitrate.bps() as f64, 1e3, 1e9)?;
        within("min_bitrate (bit/s)", min_bitrate, 1e3, self.max_bitrate.bps() as f64)?;
        within("min_bitrate_share", self.min_bitrate_share, 0.05, 1.0)?;
        within("min_frame_rate", self.min_frame_rate, 0.5, 60.0)?;
        within("min_pixels", self.min_pixels.into(), 256.0, 3_840.0 * 2_160.0)?;
        within("pixel_step", self.pixel_step, 0.1, 0.9)?;
        within("qp_high", self.qp_high.into(), 1.0, 255.0)?;
        within("qp_low", self.qp_low.into(), 0.0, f64::from(self.qp_high) - 1.0)?;
        within("queue_cut", self.queue_cut, 0.1, 0.9)?;
        within("screen_cost", self.screen_cost, 1.0, 10.0)?;
        within("back_off (s)", seconds(&self.back_off), 1.0, 600.0)?;
        within("max_back_off (s)", seconds(&self.max_back_off), seconds(&self.back_off), 3_600.0)?;
        within("max_queue (s)", seconds(&self.max_queue), 0.02, 10.0)?;
        for (field, span) in [
            ("hold (s)", self.hold),
            ("qp_window (s)", self.qp_window),
            ("queue_recovery (s)", self.queue_recovery),
            ("window (s)", self.window),
        ] {
            within(field, seconds(&span), 0.1, 60.0)?;
        }
        Ok(())
    }

    /// Pictures a second that no step goes below while there are so many pixels.
    pub(super) fn frame_rate_floor(&self, preference: DegradationPreference, pixels: f64) -> f64 {
        if preference != DegradationPreference::Balanced {
            return self.min_frame_rate;
        }
        let floor = BALANCED.iter().find(|(most, _)| pixels <= *most).map_or(15.0, |row| row.1);
        floor.max(self.min_frame_rate)
    }
}

impl Default for LadderConfig {
    fn default() -> Self {
        Self {
            back_off: Duration::from_secs(10),
            bitrate_step: 0.75,
            camera: DegradationPreference::Balanced,
            drop_frames: 60,
            drop_share: 0.6,
            frame_rate_step: 2.0 / 3.0,
            headroom: 0.6,
            hold: Duration::from_secs(2),
            in_a_row: 2,
            max_back_off: Duration::from_secs(240),
            max_bitrate: Bitrate::from_kbps(240_000),
            max_queue: Duration::from_millis(200),
            max_usage: 0.85,
            min_bitrate: Bitrate::from_kbps(30),
            min_bitrate_share: 0.25,
            min_frame_rate: 5.0,
            min_pixels: 320 * 180,
            pixel_step: 0.6,
            qp_high: H264_QP.1,
            qp_low: H264_QP.0,
            qp_window: Duration::from_secs(2),
            queue_cut: 0.7,
            queue_recovery: Duration::from_secs(4),
            screen: DegradationPreference::MaintainResolution,
            screen_cost: 2.5,
            start_bitrate: Bitrate::from_kbps(1_200),
            window: Duration::from_secs(1),
        }
    }
}

/// A configuration that no ladder can be made of: the caller's doing.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum LadderConfigError {
    /// A value is outside of its bounds.
    OutOfRange {
        /// Which, with its unit.
        field: &'static str,
        /// What it is.
        value: f64,
        /// The least that it may be.
        min: f64,
        /// The most.
        max: f64,
    },
}

impl fmt::Display for LadderConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::OutOfRange { field, value, min, max } = self;
        write!(f, "{field} of the ladder is {value}: it must be from {min} to {max}")
    }
}

impl Error for LadderConfigError {}

/// What is not a number is within nothing.
fn within(field: &'static str, value: f64, min: f64, max: f64) -> Result<(), LadderConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(LadderConfigError::OutOfRange { field, value, min, max })
}

/// libwebrtc, `h264_encoder_impl.cc`: low and high quantizer of its quality scaler.
const H264_QP: (u8, u8) = (24, 37);
/// libwebrtc, `libvpx_vp8_encoder.cc`.
const VP8_QP: (u8, u8) = (29, 95);
/// libwebrtc, `libvpx_vp9_encoder.cc`.
const VP9_QP: (u8, u8) = (149, 205);
/// Measured with libvpx, text at 1080p that scrolls, and that is typed: the fastest of 42
/// pictures as a screen over that as a camera. VP8 0.9 and 0.8, VP9 1.1 and 1.0, where OpenH264
/// has 1.5 and 1.4 in the same runs.
const VPX_SCREEN_COST: f64 = 1.0;
/// libwebrtc, `balanced_degradation_settings.cc`: up to so many pixels, at least so many
/// pictures a second. Its table ends with 15 at 640 × 480, which holds here for all above.
const BALANCED: [(f64, f64); 2] = [(320.0 * 240.0, 7.0), (480.0 * 360.0, 10.0)];
