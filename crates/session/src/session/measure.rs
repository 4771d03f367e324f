//! What we measured of the others, for whoever decides who is best placed to host.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_framing::{Control, Mapping, MemberQuality, NatState, NatType, NetworkQuality};
use paceline_types::{PeerId, StreamKey};

use super::{Room, Session};
use crate::io::MIX_SENDER;

/// When we tell what we measured, and what had been counted when we did last.
#[derive(Debug)]
pub(super) struct Measure {
    interval: Duration,
    since: Instant,
    next: Option<Instant>,
    counted: BTreeMap<StreamKey, Counted>,
}

/// Counts of a stream that is received.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    received: u64,
    lost: u64,
}

impl Measure {
    /// `None`: nobody wants to know.
    pub(super) fn new(now: Instant, interval: Option<Duration>) -> Self {
        Self {
            interval: interval.unwrap_or_default(),
            since: now,
            next: interval.and_then(|interval| now.checked_add(interval)),
            counted: BTreeMap::new(),
        }
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}

impl Session {
    /// Tells the host, those who may follow him and our own judge, if it is time.
    pub(super) fn tell_quality(&mut self, now: Instant, room: &mut Room) {
        if room.measure.next.is_none_or(|at| at > now) {
            return;
        }
        let quality = self.measure(now, room);
        let Some(star) = &mut room.star else {
            room.measure.next = None;
            return;
        };
        let followers = star.successors.clone();
        star.migration.handle_quality(now, &quality);
        let followers = followers.into_iter().filter_map(|one| room.peer_of(self.peer, one));
        let mut judges: Vec<_> = room.host.into_iter().chain(followers).collect();
        judges.sort_unstable();
        judges.dedup();
        judges.retain(|&judge| judge != self.peer);
        let packet = room.mesh.control_packet(Control::NetworkQuality(quality));
        room.mesh.send_to(now, judges, &packet);
    }

    fn measure(&self, now: Instant, room: &mut Room) -> NetworkQuality {
        let mut counted = BTreeMap::new();
        let mut members = Vec::new();
        for (&peer, quality) in &self.qualities {
            let (Some(member), Some(rtt)) = (room.sender_of(peer), quality.rtt) else { continue };
            let (mut since, mut jitter) = (Counted::default(), Duration::ZERO);
            for (stream, stats) in self.receiver.all_stats() {
                // The mix is the host's.
                let is_his = stream.sender == member
                    || stream.sender == MIX_SENDER && room.host == Some(peer);
                if is_his {
                    let then = room.measure.counted.get(&stream).copied().unwrap_or_default();
                    let all = Counted { received: stats.frames, lost: stats.jitter.lost };
                    // A stream that began anew counts from zero.
                    let went_on = all.received >= then.received && all.lost >= then.lost;
                    let then = if went_on { then } else { Counted::default() };
                    since.received += all.received - then.received;
                    since.lost += all.lost - then.lost;
                    jitter = jitter.max(stats.jitter.jitter);
                    counted.insert(stream, all);
                }
            }
            let expected = since.received + since.lost;
            let loss = (since.lost << 16).checked_div(expected).unwrap_or(0);
            members.push(MemberQuality {
                member,
                // Not measured: what came is what was sent, not what the path could carry, and
                // what our pacer knows is the way to him.
                capacity: 0,
                loss: u16::try_from(loss).unwrap_or(u16::MAX),
                min_rtt: micros(rtt.min),
                mean_rtt: micros(rtt.mean),
                max_rtt: micros(rtt.max),
                jitter: micros(jitter),
                received: u32::try_from(since.received).unwrap_or(u32::MAX),
                expected: u32::try_from(expected).unwrap_or(u32::MAX),
            });
        }
        let measure = &mut room.measure;
        let window = micros(now.saturating_duration_since(measure.since));
        measure.counted = counted;
        measure.since = now;
        measure.next = now.checked_add(measure.interval);
        NetworkQuality { window, members }
    }
}

/// What somebody knows of his place in the network who has not looked.
pub(super) const fn unknown(peer: PeerId) -> NatState {
    NatState {
        nat: NatType::Unknown,
        mapping: Mapping::Unknown,
        upload: 0,
        rtt: 0,
        needs_relay: false,
        tie_break: peer,
    }
}

fn micros(span: Duration) -> u32 {
    u32::try_from(span.as_micros()).unwrap_or(u32::MAX)
}
