//! How fast a source is to be played.

/// What timing asks of playout for one source: feedback as a value.
///
/// ```
/// use paceline_types::PlayoutRate;
///
/// let rate = PlayoutRate { drift_ppm: 48.5, ..PlayoutRate::default() };
/// assert_eq!(rate.stretch, 0.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlayoutRate {
    /// By how many parts in a million the source's clock is fast against ours; zero
    /// if that is not known. It is to be resampled by as much.
    pub drift_ppm: f64,
    /// By what part the source is released faster than real time now: positive while
    /// its delay is made smaller. It is to be shortened or lengthened by as much, at
    /// its pitch.
    pub stretch: f64,
}
