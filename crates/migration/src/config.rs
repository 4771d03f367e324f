//! The bounds of the machine.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// How long a host may be silent, and what another host has to be better by.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_migration::MigrationConfig;
///
/// let config = MigrationConfig::default().lease(Duration::from_millis(600));
/// ```
#[derive(Clone, Debug)]
pub struct MigrationConfig {
    pub(crate) lease: Duration,
    pub(crate) renewal: Duration,
    pub(crate) suspicion: Duration,
    pub(crate) margin: Duration,
    pub(crate) vote_hold: Duration,
    pub(crate) stagger: Duration,
    pub(crate) retry: Duration,
    pub(crate) ready_timeout: Duration,
    pub(crate) lead: Duration,
    pub(crate) crossfade: Duration,
    pub(crate) successors: usize,
    pub(crate) max_members: usize,
    pub(crate) automatic: bool,
    #[cfg(feature = "__mutants")]
    pub(crate) mutant: Option<crate::Mutant>,
}

impl MigrationConfig {
    /// How long a lease holds. Defaults to 450 ms.
    ///
    /// Nobody is elected before it has run out, and a host who is not heard stops when it
    /// has; a network that stands still for longer costs the host his place.
    #[must_use]
    pub const fn lease(mut self, length: Duration) -> Self {
        self.lease = length;
        self
    }

    /// How often it is renewed. Defaults to 80 ms: five times in a lease, so that four
    /// renewals may be lost. Each is some 70 bytes to everybody.
    #[must_use]
    pub const fn renewal(mut self, interval: Duration) -> Self {
        self.renewal = interval;
        self
    }

    /// Silence after which the host is doubted. Defaults to 240 ms, three renewals, and more
    /// where round trips vary. Doubt asks others whether they doubt; it takes nothing from the host.
    #[must_use]
    pub const fn suspicion(mut self, silence: Duration) -> Self {
        self.suspicion = silence;
        self
    }

    /// How much earlier than its voters a host takes its lease for run out. Defaults to
    /// 10 ms: clocks of ±1 % over a lease.
    #[must_use]
    pub const fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// For how long a vote is a lease. Defaults to 450 ms: the votes and then the
    /// echoes of the first renewal are there by then, over round trips of 200 ms. A
    /// candidate who fails keeps those who voted for him waiting for as long. Voters refuse
    /// one of more than 5 s.
    #[must_use]
    pub const fn vote_hold(mut self, hold: Duration) -> Self {
        self.vote_hold = hold;
        self
    }

    /// How much later each who is further down the ranking becomes a candidate. Defaults to
    /// 120 ms: a round of votes.
    #[must_use]
    pub const fn stagger(mut self, stagger: Duration) -> Self {
        self.stagger = stagger;
        self
    }

    /// How long a candidate waits for votes before he asks again. Defaults to 100 ms.
    #[must_use]
    pub const fn retry(mut self, retry: Duration) -> Self {
        self.retry = retry;
        self
    }

    /// How long a standby has to get ready. Defaults to 500 ms; then the handover is
    /// aborted, and nothing has changed.
    #[must_use]
    pub const fn ready_timeout(mut self, timeout: Duration) -> Self {
        self.ready_timeout = timeout;
        self
    }

    /// How far ahead a switch is announced. Defaults to 200 ms, or two and a half of the
    /// longest round trips to a member if that is more: the new host is to have heard of a
    /// majority by then.
    #[must_use]
    pub const fn lead(mut self, lead: Duration) -> Self {
        self.lead = lead;
        self
    }

    /// For how long sound of both hosts is heard in a handover. Defaults to 40 ms: two
    /// frames.
    #[must_use]
    pub const fn crossfade(mut self, crossfade: Duration) -> Self {
        self.crossfade = crossfade;
        self
    }

    /// How many are kept ready to follow a host, the standby included. Defaults to 2.
    /// Everybody has a connection to each of them.
    #[must_use]
    pub const fn successors(mut self, successors: usize) -> Self {
        self.successors = successors;
        self
    }

    /// Members that are known at a time, ourselves included. Defaults to 32.
    #[must_use]
    pub const fn max_members(mut self, members: usize) -> Self {
        self.max_members = members;
        self
    }

    /// Whether the host hands over to whoever is measured to be better placed. Defaults to
    /// yes.
    #[must_use]
    pub const fn automatic(mut self, automatic: bool) -> Self {
        self.automatic = automatic;
        self
    }

    /// Which rule the machine breaks, for tests that must notice. Defaults to none.
    #[cfg(feature = "__mutants")]
    #[must_use]
    pub const fn mutant(mut self, mutant: crate::Mutant) -> Self {
        self.mutant = Some(mutant);
        self
    }
}

impl MigrationConfig {
    /// Whether the settings fit each other.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use paceline_migration::{MigrationConfig, MigrationConfigError};
    ///
    /// assert_eq!(MigrationConfig::default().validate(), Ok(()));
    /// let hasty = MigrationConfig::default().lease(Duration::from_millis(300));
    /// assert_eq!(hasty.validate(), Err(MigrationConfigError::LeaseTooShort));
    /// ```
    ///
    /// # Errors
    ///
    /// The first setting that does not: its name, and what it has to be.
    pub fn validate(&self) -> Result<(), MigrationConfigError> {
        use MigrationConfigError as Error;
        let durations = [
            ("crossfade", self.crossfade),
            ("lead", self.lead),
            ("lease", self.lease),
            ("margin", self.margin),
            ("ready_timeout", self.ready_timeout),
            ("renewal", self.renewal),
            ("retry", self.retry),
            ("stagger", self.stagger),
            ("suspicion", self.suspicion),
            ("vote_hold", self.vote_hold),
        ];
        if let Some((field, _)) = durations.into_iter().find(|(_, length)| length.is_zero()) {
            return Err(Error::Zero(field));
        }
        let too_long = durations.into_iter().find(|(_, length)| *length > MAX_LEASE);
        if let Some((field, _)) = too_long {
            return Err(Error::TooLong(field));
        }
        // Each is 5 s at most: nothing overflows.
        let wrong = [
            (self.lease <= self.renewal * 4 + self.margin, Error::LeaseTooShort),
            (self.margin >= self.lease / 2, Error::MarginTooLong),
            (self.vote_hold <= self.margin, Error::VoteHoldTooShort),
            (self.suspicion >= self.lease, Error::SuspicionTooLong),
            (self.suspicion < self.renewal, Error::SuspicionTooShort),
            (self.successors == 0, Error::NoSuccessors),
            (self.max_members < 2, Error::TooFewMembers),
        ];
        match wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// [`vote_hold`](Self::vote_hold) as a request has it.
    pub(crate) fn vote_length(&self) -> u32 {
        u32::try_from(self.vote_hold.as_micros()).unwrap_or(u32::MAX)
    }
}

impl Default for MigrationConfig {
    fn default() -> Self {
        Self {
            lease: Duration::from_millis(450),
            renewal: Duration::from_millis(80),
            suspicion: Duration::from_millis(240),
            margin: Duration::from_millis(10),
            vote_hold: Duration::from_millis(450),
            stagger: Duration::from_millis(120),
            retry: Duration::from_millis(100),
            ready_timeout: Duration::from_millis(500),
            lead: Duration::from_millis(200),
            crossfade: Duration::from_millis(40),
            successors: 2,
            max_members: 32,
            automatic: true,
            #[cfg(feature = "__mutants")]
            mutant: None,
        }
    }
}

/// Settings of a [`MigrationConfig`] that do not fit each other: whoever made them has to
/// change what is named.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MigrationConfigError {
    /// [`lease`](MigrationConfig::lease) is not longer than four
    /// [`renewal`](MigrationConfig::renewal)s and the [`margin`](MigrationConfig::margin):
    /// make it longer, or renew more often.
    LeaseTooShort,
    /// [`margin`](MigrationConfig::margin) is half a lease or more: make it shorter.
    MarginTooLong,
    /// [`successors`](MigrationConfig::successors) is 0: nobody could follow. Keep one.
    NoSuccessors,
    /// [`suspicion`](MigrationConfig::suspicion) is not shorter than a lease: make it so.
    SuspicionTooLong,
    /// [`suspicion`](MigrationConfig::suspicion) is shorter than a renewal takes to come:
    /// every host would be doubted. Make it longer.
    SuspicionTooShort,
    /// [`max_members`](MigrationConfig::max_members) is less than 2: we would know nobody.
    TooFewMembers,
    /// The setting of this name is longer than 5 s, which no peer takes: make it shorter.
    TooLong(&'static str),
    /// [`vote_hold`](MigrationConfig::vote_hold) is not longer than the margin: who is
    /// elected would stop at once. Make it longer.
    VoteHoldTooShort,
    /// The setting of this name is zero: give it a length.
    Zero(&'static str),
}

impl fmt::Display for MigrationConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::LeaseTooShort => {
                f.write_str("lease has to be longer than four times renewal and margin")
            }
            Self::MarginTooLong => f.write_str("margin has to be less than half of lease"),
            Self::NoSuccessors => f.write_str("successors has to be 1 at least"),
            Self::SuspicionTooLong => f.write_str("suspicion has to be less than lease"),
            Self::SuspicionTooShort => f.write_str("suspicion has to be renewal at least"),
            Self::TooFewMembers => f.write_str("max_members has to be 2 at least"),
            Self::TooLong(field) => write!(f, "{field} has to be 5 s at most"),
            Self::VoteHoldTooShort => f.write_str("vote_hold has to be longer than margin"),
            Self::Zero(field) => write!(f, "{field} has to be more than zero"),
        }
    }
}

impl Error for MigrationConfigError {}

/// What no host or candidate may ask for at a time: ten times what ours do. Voters keep to
/// it whoever asks.
pub(crate) const MAX_LEASE: Duration = Duration::from_secs(5);
