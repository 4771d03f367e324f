//! The host's list of who is in the room, and when to tell it.

use std::time::{Duration, Instant};

use paceline_framing::{Role, Roster, RosterId, RosterMember};
use paceline_types::{Epoch, PeerId, SenderId};

/// Says when the members of a star are told the roster: soon after it has changed, and
/// all that changes within an interval at once, so that many who come together cost
/// what one costs.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    due: Option<Instant>,
    last: Option<Instant>,
}

impl Telling {
    pub(crate) fn handle_change(&mut self, now: Instant) {
        let free = self.last.map_or(now, |last| now.max(last + INTERVAL));
        self.due.get_or_insert(free);
    }

    /// Whether the roster is to be told now.
    pub(crate) fn poll_due(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_some_and(|at| at <= now);
        if is_due {
            *self = Self { due: None, last: Some(now) };
        }
        is_due
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }
}

/// Who is in the room: the host by what he is, everybody else a member.
pub(crate) fn roster(
    epoch: Epoch,
    host: Option<PeerId>,
    people: impl Iterator<Item = (PeerId, SenderId)>,
) -> Roster {
    let member = |(peer, sender)| {
        let role = if host == Some(peer) { Role::Host } else { Role::Member };
        RosterMember { sender, peer, role, votes: false }
    };
    let id = RosterId { epoch, number: 0 };
    Roster { id, witness: false, members: people.map(member).collect() }
}

/// As often as heartbeats: 31 members of 21 bytes each are 5 kbit/s to everybody.
const INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use super::*;

    #[test]
    fn a_hundred_changes_in_a_second_are_told_twice() {
        let start = Instant::now();
        let mut telling = Telling::default();
        let mut told = 0;
        for at in 0..=100 {
            let now = start + Duration::from_millis(at * 10);
            if at < 100 {
                telling.handle_change(now);
            }
            told += u32::from(telling.poll_due(now));
        }
        assert_eq!(told, 2);
        assert_eq!(telling.poll_timeout(), None);
    }
}
