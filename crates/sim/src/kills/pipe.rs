//! One direction of a connection: nothing is lost for good, and nothing overtakes.

use std::collections::VecDeque;
use std::time::Duration;

use super::profile::Road;
use crate::netem::{Netem, Verdict};
use crate::{Random, Recovery, epoch};

/// How a packet is under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Trip {
    /// When the copy of it that arrives was sent: if its sender is dead by then, it is not.
    pub(super) departs: Duration,
    /// When it is handed over at the other end.
    pub(super) arrives: Duration,
}

/// One direction of a connection.
///
/// What [`reliable`](crate::reliable) does packet by packet is done here in one step, as
/// nobody looks at acknowledgements: a packet that is lost is sent again after a round
/// trip and the time in which the next packet shows the gap, as often as it takes, and all
/// that is sent after it waits behind it.
#[derive(Debug)]
pub(super) struct Pipe<T> {
    netem: Netem<()>,
    road: Road,
    /// Since when nothing gets through, and what waits.
    cut: bool,
    held: VecDeque<T>,
    /// When the sender's last that got through had departed: one after it cannot come
    /// before.
    behind: Duration,
}

impl<T> Pipe<T> {
    pub(super) fn new(road: Road, random: Random) -> Self {
        let netem = Netem::new(road.link(), random);
        Self { netem, road, cut: false, held: VecDeque::new(), behind: Duration::ZERO }
    }

    /// Puts in a packet; it comes back with its trip unless the line is cut.
    pub(super) fn send(&mut self, now: Duration, packet: T) -> Option<(Trip, T)> {
        if self.cut {
            // Older than what a real queue would hold: media go first there.
            if self.held.len() < MAX_HELD {
                self.held.push_back(packet);
            }
            return None;
        }
        Some((self.trip(now), packet))
    }

    pub(super) fn set_cut(&mut self, cut: bool) {
        self.cut = cut;
    }

    /// What waited for the line to heal, in order.
    pub(super) fn take_held(&mut self) -> VecDeque<T> {
        std::mem::take(&mut self.held)
    }

    fn trip(&mut self, now: Duration) -> Trip {
        let mut at = now;
        let mut tries = 0;
        while self.netem.handle_packet(epoch() + at, ()) == Verdict::Lost {
            at += self.road.again_after(tries);
            tries += 1;
        }
        let arrives = self.netem.poll_timeout().map_or(at, |arrival| arrival - epoch());
        self.netem.handle_timeout(epoch() + arrives);
        while self.netem.poll_output().is_some() {}
        self.behind = self.behind.max(at);
        Trip { departs: self.behind, arrives }
    }
}

impl Road {
    /// After how long a packet is sent again that was lost `tries` times before.
    fn again_after(&self, tries: u32) -> Duration {
        let round_trip = 2 * (self.delay + self.jitter);
        match self.recovery {
            Recovery::Quick => round_trip + SPACING,
            // Three packets show the gap; a second loss is left to the timer.
            Recovery::Sctp { .. } if tries == 0 => round_trip + 3 * SPACING,
            Recovery::Sctp { rto_min } => rto_min * (1 << (tries - 1).min(5)),
        }
    }
}

/// Sound is sent every 20 ms in either direction: so long it takes until something comes
/// that shows a gap.
const SPACING: Duration = Duration::from_millis(20);

/// Ten seconds of a mix.
const MAX_HELD: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kills::Profile;

    #[test]
    fn all_arrives_in_order_and_the_lost_later() {
        let road = Profile::named("wan8bad").expect("it is one").road;
        let mut pipe = Pipe::new(road, Random::new(3));
        let (mut last, mut late) = (Duration::ZERO, 0);
        for number in 0..10_000_u32 {
            let now = number * Duration::from_millis(200);
            let (trip, _) = pipe.send(now, number).expect("it is not cut");
            assert!(trip.arrives >= last && trip.departs >= now && trip.arrives > trip.departs);
            late += u32::from(trip.departs > now);
            last = trip.arrives;
        }
        assert!((900..1_100).contains(&late), "{late} of 10,000 is not 10 %");
    }

    #[test]
    fn what_is_sent_while_the_line_is_cut_waits() {
        let road = Profile::named("lan5").expect("it is one").road;
        let mut pipe = Pipe::new(road, Random::new(3));
        pipe.set_cut(true);
        assert_eq!(pipe.send(Duration::ZERO, 1), None);
        assert_eq!(pipe.send(Duration::ZERO, 2), None);
        pipe.set_cut(false);
        assert_eq!(pipe.take_held(), [1, 2]);
        assert!(pipe.send(Duration::ZERO, 3).is_some());
    }
}
