//! The memory of one who votes: a member, or the witness.

use std::time::{Duration, Instant};

use paceline_framing::RosterId;
use paceline_types::{Epoch, SenderId};

/// What one voter has promised, and to whom.
///
/// Members and the witness decide by the same rules:
/// * nobody but the host himself is voted for while his lease, counted from when its last
///   renewal came, has not run out;
/// * of each epoch one is host: who was voted for, or whose lease was taken;
/// * a later epoch ends all before it: leases of those are not taken any more;
/// * who has an older roster than the voter is not voted for.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use paceline_framing::RosterId;
/// use paceline_migration::Voter;
/// use paceline_migration::types::{Epoch, SenderId};
///
/// let (now, lease) = (Instant::now(), Duration::from_millis(450));
/// let (ann, ben, roster) = (SenderId::new(1), SenderId::new(2), RosterId::default());
/// let mut voter = Voter::new();
/// assert!(voter.take_lease(now, Epoch::new(1, 0), ann, lease));
/// assert!(!voter.vote(now, Epoch::new(2, 0), ben, lease, roster));
/// assert!(voter.vote(now + lease, Epoch::new(2, 0), ben, lease, roster));
/// assert!(!voter.take_lease(now + lease, Epoch::new(1, 0), ann, lease));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Voter {
    promised: Epoch,
    holder: Option<SenderId>,
    held_until: Option<Instant>,
    /// The holder was named by the one before him, who counts on us still.
    named: bool,
    /// The epoch of the last lease that was taken: votes are no proof of any.
    proven: Epoch,
    roster: RosterId,
}

impl Voter {
    /// One that has promised nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that knows of an epoch and its host, but not since when: as who joins does.
    #[must_use]
    pub fn promised_to(epoch: Epoch, holder: Option<SenderId>) -> Self {
        Self { promised: epoch, holder, proven: epoch, ..Self::default() }
    }

    /// The newest epoch that it has promised.
    #[must_use]
    pub const fn promised(&self) -> Epoch {
        self.promised
    }

    /// To whom, if to anybody.
    #[must_use]
    pub const fn holder(&self) -> Option<SenderId> {
        self.holder
    }

    /// The newest roster that it has.
    #[must_use]
    pub const fn roster(&self) -> RosterId {
        self.roster
    }

    /// Until when it votes for nobody else; `None` if it may now.
    #[must_use]
    pub const fn held_until(&self) -> Option<Instant> {
        self.held_until
    }

    /// Notes the newest roster that it has.
    pub fn set_roster(&mut self, roster: RosterId) {
        self.roster = self.roster.max(roster);
    }

    /// Takes in a renewal by `host`, who proved that he is that by other means or holds the
    /// lease already; `false` if a later epoch was promised, or this one to another.
    pub fn take_lease(
        &mut self,
        now: Instant,
        epoch: Epoch,
        host: SenderId,
        length: Duration,
    ) -> bool {
        if !self.may_hold(epoch, host) {
            return false;
        }
        self.promise(now, epoch, host, length);
        (self.proven, self.named) = (epoch, false);
        true
    }

    /// Takes in that who holds the lease names who follows him, under `epoch`: what he was
    /// promised himself holds on, for he may count on it to the end. `false` as for
    /// [`take_lease`](Self::take_lease).
    pub fn pass_on(&mut self, now: Instant, epoch: Epoch, to: SenderId, length: Duration) -> bool {
        let before = self.held_until;
        let taken = self.take_lease(now, epoch, to, length);
        if taken {
            (self.held_until, self.named) = (self.held_until.max(before), true);
        }
        taken
    }

    /// Whether it would vote for `candidate`.
    #[must_use]
    pub fn would_vote(
        &self,
        now: Instant,
        epoch: Epoch,
        candidate: SenderId,
        roster: RosterId,
    ) -> bool {
        // Who holds the lease may be voted for under a later epoch at any time: nobody else
        // is host meanwhile.
        let renews = self.holder == Some(candidate) && !self.named;
        let is_free = self.held_until.is_none_or(|until| until <= now) || renews;
        is_free && self.may_hold(epoch, candidate) && roster >= self.roster
    }

    /// Votes, if it may: the candidate holds a lease of `hold` then, so that nobody else is
    /// elected before his first renewal is here.
    pub fn vote(
        &mut self,
        now: Instant,
        epoch: Epoch,
        candidate: SenderId,
        hold: Duration,
        roster: RosterId,
    ) -> bool {
        let granted = self.would_vote(now, epoch, candidate, roster);
        if granted {
            self.promise(now, epoch, candidate, hold);
        }
        granted
    }

    /// The holder gives the lease up.
    pub fn release(&mut self, epoch: Epoch, holder: SenderId) {
        if (self.promised, self.holder) == (epoch, Some(holder)) {
            self.held_until = None;
        }
    }

    fn may_hold(&self, epoch: Epoch, who: SenderId) -> bool {
        let is_near = epoch.term().saturating_sub(self.proven.term()) <= MAX_LEAP;
        epoch > self.promised && is_near
            || epoch == self.promised && self.holder.is_none_or(|holder| holder == who)
    }

    fn promise(&mut self, now: Instant, epoch: Epoch, holder: SenderId, length: Duration) {
        // What the holder was promised before holds on: he counts on it.
        if self.holder != Some(holder) {
            (self.held_until, self.named) = (None, false);
        }
        (self.promised, self.holder) = (epoch, Some(holder));
        self.held_until = self.held_until.max(now.checked_add(length));
    }
}

/// Terms that one may be ahead of who is known to have hosted: elections that failed, for half
/// an hour without a host. More is a lie that would use the terms up.
const MAX_LEAP: u64 = 4_096;
