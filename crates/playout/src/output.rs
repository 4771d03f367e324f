//! What a stage returns.

use paceline_types::{AudioFrame, MixInfo, SenderId, VideoFrame};

/// What a [`Stage`](crate::Stage) has made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum StageOutput {
    /// 20 ms of sound: everybody but its receiver, mono.
    ///
    Audio {
        /// Who is to hear it.
        for_peer: SenderId,
        /// The sound.
        frame: AudioFrame,
        /// It is the same for all for whom this is so: those who have not been heard for a
        /// second. It has to be encoded only once.
        is_shared: bool,
        /// Which 20 ms since the media clock read zero; ones that were skipped count,
        /// so that `frame.time` is always 960 times this.
        seq_tick: u64,
    },
    /// Who is where in the picture that came just before this.
    MixInfo(MixInfo),
    /// Everybody in one picture.
    Picture(VideoFrame),
}

/// One of the two things a source sends.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// What became of a source or a frame that was given to a
/// [`Stage`](crate::Stage).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum Verdict {
    /// It is in.
    Accepted,
    /// There are as many sources as the config allows; this one is not in.
    Full,
    /// The sound has neither one nor two channels, or not the same number of
    /// samples in both; it is not in.
    Malformed,
    /// It is in, and the oldest sound of its source was dropped for it.
    Overrun,
    /// The source has this kind switched off; it is not in.
    SwitchedOff,
    /// No source has this id; it is not in.
    Unknown,
}

/// What happened to one source's media.
///
/// [`queue_level`](Self::queue_level) and [`rate_ppm`](Self::rate_ppm) are what
/// is now, and zero in the [total](StageStats::total); the rest is counted.
///
/// Frames that got another verdict than [`Verdict::Accepted`] or
/// [`Verdict::Overrun`] are not in here but in [`StageStats`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SourceStats {
    /// Pictures that a newer one replaced before the mix showed them. Not those
    /// that a switched-off or removed source took with it.
    pub pictures_superseded: u64,
    /// How long after it comes a frame is heard, smoothed over 2 s; samples at
    /// 48 kHz. Not the delay of the resampler,
    /// [`Resampler::LATENCY`](crate::Resampler::LATENCY).
    pub queue_level: u32,
    /// By how many ppm it is played faster than nominal. Not what is stretched.
    pub rate_ppm: i32,
    /// Samples made up because it ran dry, 60 ms each time at most; also after
    /// its last sound. Not when it was switched off or removed.
    pub samples_concealed: u64,
    /// Samples, of all channels together, that were not a number or infinite and
    /// became zero, or were beyond ±4 and became that.
    pub samples_repaired: u64,
    /// Samples dropped because the queue was full. Not those that a switched-off
    /// or removed source took with it.
    pub samples_dropped: u64,
    /// Samples taken out or put in, in whole pitch periods, because the queue was
    /// far too long or short or the jitter buffer asked for it.
    pub samples_stretched: u64,
    /// How often it was heard and ran dry. Not when it was switched off or
    /// removed, nor the silence before its first sound.
    pub underruns: u64,
}

impl SourceStats {
    pub(crate) fn add(&mut self, other: Self) {
        self.pictures_superseded += other.pictures_superseded;
        self.samples_concealed += other.samples_concealed;
        self.samples_stretched += other.samples_stretched;
        self.samples_repaired += other.samples_repaired;
        self.samples_dropped += other.samples_dropped;
        self.underruns += other.underruns;
    }
}

/// What a [`Stage`](crate::Stage) has done since it began.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StageStats {
    /// Frames of sound with a shape that cannot be.
    pub malformed: u64,
    /// Pictures of the mix.
    pub pictures: u64,
    /// Pictures of the mix not made, because a later one was due as well.
    pub pictures_skipped: u64,
    /// Sources not taken in because there were too many.
    pub sources_refused: u64,
    /// Frames of a kind that their source has switched off.
    pub switched_off: u64,
    /// Ticks of sound, 20 ms each, however many receivers each had.
    pub ticks: u64,
    /// Ticks left out because they were more than 200 ms late.
    pub ticks_skipped: u64,
    /// The sum over all sources, those that have been removed too.
    pub total: SourceStats,
    /// Frames of nobody on the stage, and rates for nobody.
    pub unknown: u64,
}
