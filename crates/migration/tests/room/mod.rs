//! Rooms with true uplinks, delays and losses, what members measure of them, and an oracle
//! that knows the truth.

#![allow(dead_code, clippy::disallowed_methods, reason = "each test uses a part of it; an epoch")]

use std::time::{Duration, Instant};

use paceline_framing::{MemberQuality, NetworkQuality};
use paceline_migration::types::{PeerId, SenderId};
use paceline_migration::{Candidate, Judge};

/// SplitMix64.
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Between the two.
    pub(crate) fn within(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Between the two, any ratio as likely as any other.
    pub(crate) fn ratio(&mut self, from: f64, to: f64) -> f64 {
        self.within(from.ln(), to.ln()).exp()
    }

    /// Of mean 0 and deviation 1 (the sum of twelve uniform ones).
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.within(0.0, 1.0)).sum::<f64>() - 6.0
    }
}

/// One member's place in the network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// kbit/s.
    pub(crate) up: f64,
    /// kbit/s.
    pub(crate) down: f64,
    /// Where, in ms of one way.
    pub(crate) at: (f64, f64),
    /// ms of one way to the backbone.
    pub(crate) access: f64,
    /// ms.
    pub(crate) jitter: f64,
    /// Part of what is lost on its line.
    pub(crate) loss: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub(crate) nodes: Vec<Node>,
    /// kbit/s of the mix.
    pub(crate) mix: f64,
}

impl Room {
    /// Three to sixteen members, from a village's line to an office's.
    pub(crate) fn random(random: &mut Random) -> Self {
        let members = 3 + random.below(14);
        Self::of(random, members)
    }

    pub(crate) fn of(random: &mut Random, members: usize) -> Self {
        let node = |random: &mut Random| {
            let up = random.ratio(500.0, 100_000.0);
            let far = random.below(10) == 0;
            let lossy = random.below(4) == 0;
            Node {
                up,
                down: (up * random.within(1.0, 10.0)).max(16_000.0),
                at: (random.within(0.0, 60.0), random.within(0.0, 40.0)),
                access: if far { random.within(60.0, 150.0) } else { random.within(1.0, 25.0) },
                jitter: random.within(0.5, 12.0),
                loss: if lossy { random.within(0.0, 0.08) } else { random.within(0.0, 0.005) },
            }
        };
        Self { nodes: (0..members).map(|_| node(random)).collect(), mix: 1_250.0 }
    }

    /// ms, there and back.
    pub(crate) fn rtt(&self, a: usize, b: usize) -> f64 {
        let (a, b) = (&self.nodes[a], &self.nodes[b]);
        let (x, y) = (a.at.0 - b.at.0, a.at.1 - b.at.1);
        2.0 * (a.access + b.access + x.hypot(y))
    }

    /// ms, one way, with what a jitter buffer adds so that all but a few come in time.
    pub(crate) fn leg(&self, a: usize, b: usize) -> f64 {
        self.rtt(a, b) / 2.0 + 1.5 * (self.nodes[a].jitter + self.nodes[b].jitter)
    }

    pub(crate) fn loss(&self, a: usize, b: usize) -> f64 {
        self.nodes[a].loss + self.nodes[b].loss
    }

    /// What the worst served member would get if `host` hosted, 0 to 1: the part of the mix
    /// that reaches him, times how well he talks with the others on the
    /// average (ITU-T G.107
    /// in the form of Cole and Rosenbluth: delay by its two slopes, loss by a Bpl of 20 %,
    /// which is that of a codec with concealment and some redundancy).
    pub(crate) fn worth(&self, host: usize) -> f64 {
        let others = (self.nodes.len() - 1) as f64;
        let mut worst = f64::MAX;
        for member in (0..self.nodes.len()).filter(|member| *member != host) {
            let share = 0.8 * self.nodes[host].up / others;
            let rate = share.min(self.nodes[member].down).min(self.mix) / self.mix;
            let legs: Vec<f64> = (0..self.nodes.len())
                .filter(|other| *other != member)
                .map(|other| if other == host { 0.0 } else { self.leg(other, host) })
                .collect();
            let typical = legs.iter().sum::<f64>() / legs.len() as f64;
            let delay = typical + self.leg(host, member) + 100.0;
            let lost = 100.0 * self.loss(host, member);
            let quality = 93.2
                - (0.024 * delay + 0.11 * (delay - 177.3).max(0.0))
                - 95.0 * lost / (lost + 20.0);
            worst = f64::min(worst, rate * quality.max(0.0) / 93.2);
        }
        worst
    }

    pub(crate) fn best(&self) -> f64 {
        (0..self.nodes.len()).map(|host| self.worth(host)).fold(0.0, f64::max)
    }

    /// What `from` measures of `member` in a window: the truth, and noise times `noise`.
    pub(crate) fn measure(
        &self,
        random: &mut Random,
        from: usize,
        member: usize,
        noise: f64,
    ) -> MemberQuality {
        let (receiver, sender) = (&self.nodes[from], &self.nodes[member]);
        let carried = sender.up.min(receiver.down) * (0.15 * noise * random.normal()).exp();
        let jitter = (receiver.jitter + sender.jitter) * random.within(0.7, 1.3);
        let min = self.rtt(from, member) * 1_000.0;
        let mean = min + 1_000.0 * jitter * random.within(0.5, 1.5) * noise.max(0.1);
        let lost = self.loss(from, member) * (0.5 * noise * random.normal()).exp();
        let lost = lost.min(1.0);
        MemberQuality {
            member: id(member),
            capacity: carried as u32,
            loss: (lost * 65_535.0) as u16,
            min_rtt: min as u32,
            mean_rtt: mean as u32,
            max_rtt: (mean + 5_000.0 * jitter) as u32,
            jitter: (1_000.0 * jitter) as u32,
            received: (900.0 * (1.0 - lost)) as u32,
            expected: 900,
        }
    }

    /// What `from` tells of those whose media come to him.
    pub(crate) fn report(
        &self,
        random: &mut Random,
        from: usize,
        noise: f64,
        mut hears: impl FnMut(usize) -> bool,
    ) -> NetworkQuality {
        let members = (0..self.nodes.len()).filter(|member| *member != from && hears(*member));
        let members = members.map(|member| self.measure(random, from, member, noise)).collect();
        NetworkQuality { window: 30_000_000, members }
    }

    /// Makes everybody known.
    pub(crate) fn join(&self, now: Instant, judge: &mut Judge) {
        for member in 0..self.nodes.len() {
            assert!(judge.handle_member(now, candidate(member)));
        }
    }
}

pub(crate) fn id(member: usize) -> SenderId {
    SenderId::new(u32::try_from(member + 1).expect("a room is small"))
}

pub(crate) fn index(id: SenderId) -> usize {
    id.get() as usize - 1
}

pub(crate) fn candidate(member: usize) -> Candidate {
    let sender = id(member);
    let peer = PeerId::from_random([member as u8 + 1; 16]);
    Candidate { sender, peer, may_host: true, nat: None }
}

pub(crate) fn epoch() -> Instant {
    Instant::now()
}

pub(crate) const WINDOW: Duration = Duration::from_secs(30);
