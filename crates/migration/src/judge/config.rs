//! The bounds of the judge.

use std::time::Duration;

use paceline_types::Bitrate;

/// What hosting needs, and by how much and for how long another has to be better.
///
/// ```
/// use paceline_migration::JudgeConfig;
/// use paceline_migration::types::Bitrate;
///
/// let config = JudgeConfig::default().mix_bitrate(Bitrate::from_kbps(2_500)).advantage(150);
/// ```
#[derive(Clone, Debug)]
pub struct JudgeConfig {
    pub(super) mix_bitrate: Bitrate,
    pub(super) usable: u32,
    pub(super) window: Duration,
    pub(super) smoothing: u32,
    pub(super) advantage: u32,
    pub(super) hold: Duration,
    pub(super) interval: Duration,
    pub(super) max_members: usize,
}

impl JudgeConfig {
    /// What the mix, picture and sound, takes to one member. Defaults to 1,250 kbit/s: the
    /// encoders' defaults, 1,200 and 48. A host needs it for every other member; the higher
    /// it is, the more uplinks count and the less delays do.
    #[must_use]
    pub const fn mix_bitrate(mut self, bitrate: Bitrate) -> Self {
        self.mix_bitrate = bitrate;
        self
    }

    /// How much of a measured uplink media may take, in percent, at most 100. Defaults to 80:
    /// the rest is for what is sent again, for keyframes and for what else the line is used
    /// for. A higher value takes those for hosts whose mix then comes in jerks.
    #[must_use]
    pub const fn usable(mut self, percent: u32) -> Self {
        self.usable = percent;
        self
    }

    /// How long members measure before they say so. Defaults to 30 s, at least 1 s. What was
    /// said is forgotten two of these later: longer, and who left a bad network is known by it for
    /// longer; shorter than what members do, and there are gaps in which nothing is known.
    #[must_use]
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// How many windows an average is of. Defaults to 4; 1 to 1,024. The first few are
    /// averaged alike, later ones enter with this part of theirs. More, and a network that
    /// changed is seen later; fewer, and noise looks like change.
    #[must_use]
    pub const fn smoothing(mut self, windows: u32) -> Self {
        self.smoothing = windows;
        self
    }

    /// What part of the host's score another's has to be, in percent, for a handover.
    /// Defaults to 120. Lower, and hosts change for what nobody notices.
    #[must_use]
    pub const fn advantage(mut self, percent: u32) -> Self {
        self.advantage = percent;
        self
    }

    /// For how long it has to be. Defaults to 10 s: a line that somebody's upload fills for
    /// a moment moves nobody.
    #[must_use]
    pub const fn hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// How long after a change of hosts, or the advice to change, there is no other advice.
    /// Defaults to 30 s: the new host is to be measured as host before he is judged.
    #[must_use]
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Members that are known at a time, ourselves included. Defaults to 32. Of each pair
    /// some 50 bytes are kept; who comes after them is not judged.
    #[must_use]
    pub const fn max_members(mut self, members: usize) -> Self {
        self.max_members = members;
        self
    }

    /// When what was said is forgotten.
    pub(super) fn stale_after(&self) -> Duration {
        self.window.max(Duration::from_secs(1)).saturating_mul(2)
    }
}

impl Default for JudgeConfig {
    fn default() -> Self {
        Self {
            mix_bitrate: Bitrate::from_kbps(1_250),
            usable: 80,
            window: Duration::from_secs(30),
            smoothing: 4,
            advantage: 120,
            hold: Duration::from_secs(10),
            interval: Duration::from_secs(30),
            max_members: 32,
        }
    }
}
