//! What a system gives: when which sound was played.

/// Real sound, not concealment, as a system played it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Marker {
    /// When it began, in ms of the receiver's clock.
    pub(crate) play_ms: f64,
    /// How long it lasted.
    pub(crate) wall_ms: f64,
    /// True media time of its beginning, in ms.
    pub(crate) media_ms: f64,
    /// How much more media time a system that stretches time itself, in the signal, put in
    /// before it: that sound is heard, if faster. Zero for one that plays packets.
    pub(crate) squeezed_ms: f64,
    /// The packet's true sequence number; none for a system that mixes packets into blocks.
    pub(crate) seq: Option<i64>,
}

/// One system's pass over one trace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    /// In the order in which they were played.
    pub(crate) markers: Vec<Marker>,
    /// True sequence numbers that the system said were lost; none if it says nothing, and
    /// its concealment is the report.
    pub(crate) reported: Option<Vec<i64>>,
    /// What it cost; none if it was not measured.
    pub(crate) cost: Option<Cost>,
}

/// What a system costs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Median of an insert, in ns.
    pub(crate) insert_ns: f64,
    /// Median of a poll, or of a block of 10 ms, in ns.
    pub(crate) poll_ns: f64,
    /// Per insert, after warm-up.
    pub(crate) insert_allocations: f64,
    /// Per poll or block, after warm-up.
    pub(crate) poll_allocations: f64,
    /// Held by one stream, without payloads if the system can hold none.
    pub(crate) bytes: f64,
}
