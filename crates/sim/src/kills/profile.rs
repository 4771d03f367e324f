//! What kind of room hosts are killed in.

use std::time::Duration;

use paceline_migration::MigrationConfig;

use crate::{LinkConfig, Recovery};

/// What the packets of one connection go through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Road {
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    pub(super) loss: f64,
    pub(super) recovery: Recovery,
}

impl Road {
    pub(super) const fn link(&self) -> LinkConfig {
        LinkConfig::lan().delay(self.delay).jitter(self.jitter).loss(self.loss)
    }
}

/// How many are in a room, what lies between them, and what happens beside the kills.
///
/// ```
/// use paceline_sim::kills::Profile;
///
/// let names: Vec<_> = Profile::all().iter().map(Profile::name).collect();
/// assert!(names.contains(&"wan5") && names.contains(&"two_dark"));
/// assert!(Profile::named("mars").is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Profile {
    pub(super) name: &'static str,
    pub(super) members: u32,
    pub(super) road: Road,
    /// Clocks are that much off at most, in parts of a million.
    pub(super) skew: i32,
    /// Lines are cut and healed.
    pub(super) cuts: bool,
    /// Members restart without a memory of what they promised.
    pub(super) restarts: bool,
    /// The witness is out of reach from before the first kill.
    pub(super) dark: bool,
    pub(super) migration: MigrationConfig,
}

impl Profile {
    /// Every profile, the mildest first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let wan = Self::new("wan5", 5, WAN, 0.02);
        vec![
            Self::new("lan5", 5, LAN, 0.01),
            wan.clone(),
            Self::new("wan8", 8, WAN, 0.05),
            Self::new("wan8bad", 8, WAN, 0.10),
            Self { name: "partition", cuts: true, ..wan.clone() },
            Self { name: "skew", skew: 500, ..wan.clone() },
            Self { name: "amnesia", restarts: true, ..wan.clone() },
            Self { name: "two", members: 2, ..wan.clone() },
            Self { name: "two_dark", members: 2, dark: true, ..wan },
        ]
    }

    /// The profile of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|profile| profile.name == name)
    }

    /// What it is called.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How the machines are set. Defaults to what they are set to in a call.
    #[must_use]
    pub fn migration(mut self, config: MigrationConfig) -> Self {
        self.migration = config;
        self
    }

    /// How what is lost is sent again. Defaults to [`Recovery::Quick`].
    #[must_use]
    pub const fn recovery(mut self, recovery: Recovery) -> Self {
        self.road.recovery = recovery;
        self
    }

    fn new(name: &'static str, members: u32, (delay, jitter): (u64, u64), loss: f64) -> Self {
        let (delay, jitter) = (Duration::from_micros(delay), Duration::from_micros(jitter));
        Self {
            name,
            members,
            road: Road { delay, jitter, loss, recovery: Recovery::Quick },
            skew: 0,
            cuts: false,
            restarts: false,
            dark: false,
            migration: MigrationConfig::default(),
        }
    }
}

/// Delay and jitter of [`LinkConfig::lan`], in µs.
const LAN: (u64, u64) = (200, 100);

/// Those of [`LinkConfig::wan`], in µs.
const WAN: (u64, u64) = (40_000, 15_000);
