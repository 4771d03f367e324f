//! What a host sends before he has proved to us that he is it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use paceline_framing::{Body, Packet};
use paceline_mesh::CaptureTime;
use paceline_types::PeerId;

use crate::config::EarlyConfig;

/// Holds packets of epochs that we have not come to, for a while and within a bound.
#[derive(Debug)]
pub(super) struct Early {
    config: EarlyConfig,
    /// Those of each peer, oldest first.
    held: BTreeMap<PeerId, VecDeque<Held>>,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct Held {
    since: Instant,
    cost: usize,
    pub(super) packet: Packet,
    pub(super) capture: CaptureTime,
}

impl Early {
    pub(super) const fn new(config: EarlyConfig) -> Self {
        Self { config, held: BTreeMap::new(), bytes: 0 }
    }

    /// Holds a packet, and says how many were dropped for it.
    pub(super) fn push(
        &mut self,
        now: Instant,
        peer: PeerId,
        (packet, capture): (Packet, CaptureTime),
    ) -> u64 {
        let cost = cost(&packet);
        self.put_back(peer, Held { since: now, cost, packet, capture })
    }

    /// Holds on to what is still too early: as old as it is.
    pub(super) fn put_back(&mut self, peer: PeerId, held: Held) -> u64 {
        self.bytes += held.cost;
        self.held.entry(peer).or_default().push_back(held);
        let mut dropped = 0;
        while self.bytes > self.config.max_bytes {
            let of = |queue: &VecDeque<Held>| queue.iter().map(|held| held.cost).sum();
            let most = self.held.iter().max_by_key(|&(_, queue)| -> usize { of(queue) });
            let Some(peer) = most.map(|(&peer, _)| peer) else { break };
            self.drop_first(peer);
            dropped += 1;
        }
        dropped
    }

    /// Takes all that waits; those of one peer in the order they came.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (PeerId, Held)> + use<> {
        self.bytes = 0;
        let held = std::mem::take(&mut self.held);
        held.into_iter().flat_map(|(peer, queue)| queue.into_iter().map(move |held| (peer, held)))
    }

    /// Drops what has waited for too long, and says how much that was.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> u64 {
        let mut dropped = 0;
        while let Some((peer, since)) = self.oldest()
            && now.saturating_duration_since(since) >= self.config.max_age
        {
            self.drop_first(peer);
            dropped += 1;
        }
        dropped
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.oldest().and_then(|(_, since)| since.checked_add(self.config.max_age))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn oldest(&self) -> Option<(PeerId, Instant)> {
        let first = |(&peer, queue): (&PeerId, &VecDeque<Held>)| Some((peer, queue.front()?.since));
        self.held.iter().filter_map(first).min_by_key(|&(_, since)| since)
    }

    fn drop_first(&mut self, peer: PeerId) {
        let Some(queue) = self.held.get_mut(&peer) else { return };
        if let Some(held) = queue.pop_front() {
            self.bytes -= held.cost;
        }
        if queue.is_empty() {
            self.held.remove(&peer);
        }
    }
}

/// What a packet holds, and what it takes to hold it.
fn cost(packet: &Packet) -> usize {
    let own = match &packet.body {
        Body::Media(frame) => frame.data.len(),
        // What it says takes no more than twice as much in memory as on the wire.
        Body::Control(_) => 2 * packet.emit().len(),
    };
    own + size_of::<Held>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use std::time::Duration;

    use paceline_types::{
        AudioCodec, Coding, EncodedFrame, Epoch, Frequency, MediaTime, NtpTime, SenderId, SeqNo,
        StreamId,
    };

    use super::*;

    fn peer(n: u8) -> PeerId {
        PeerId::from_bytes([n; 16])
    }

    fn packet(seq: u64, bytes: usize) -> (Packet, CaptureTime) {
        let frame = EncodedFrame {
            stream: StreamId::MIX_AUDIO,
            seq: SeqNo::new(seq),
            time: MediaTime::new(seq * 960, Frequency::AUDIO),
            capture: NtpTime::default(),
            coding: Coding::Audio { codec: AudioCodec::Opus, channels: 1 },
            data: vec![0; bytes].into(),
        };
        let (sender, epoch) = (SenderId::new(1), Some(Epoch::new(9, 0)));
        (Packet { sender, epoch, body: Body::Media(frame) }, CaptureTime::Own)
    }

    fn config() -> EarlyConfig {
        EarlyConfig { max_age: Duration::from_millis(500), max_bytes: 100_000 }
    }

    fn seqs(early: &mut Early, of: PeerId) -> Vec<u64> {
        let seq = |held: Held| match held.packet.body {
            Body::Media(frame) => frame.seq.get(),
            Body::Control(_) => unreachable!("there is only media here"),
        };
        early.take().filter(|&(peer, _)| peer == of).map(|(_, held)| seq(held)).collect()
    }

    #[test]
    fn who_sends_most_loses_his_oldest_and_crowds_nobody_out() {
        let now = Instant::now();
        let mut early = Early::new(config());
        let mut dropped = 0;
        for seq in 0..10 {
            dropped += early.push(now, peer(1), packet(seq, 100));
        }
        for seq in 0..1_000 {
            dropped += early.push(now, peer(2), packet(seq, 5_000));
            assert!(early.bytes <= 100_000);
        }
        assert!(dropped > 900);
        let mut others = Early::new(config());
        std::mem::swap(&mut early, &mut others);
        assert_eq!(seqs(&mut others, peer(1)), (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn what_waits_is_dropped_when_its_time_is_up_and_not_before() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut early = Early::new(config());
        let _ = early.push(now, peer(1), packet(0, 10));
        let _ = early.push(at(100), peer(2), packet(1, 10));
        assert_eq!(early.poll_timeout(), Some(at(500)));
        assert_eq!(early.handle_timeout(at(499)), 0);
        assert_eq!(early.handle_timeout(at(500)), 1);
        assert_eq!(early.poll_timeout(), Some(at(600)));
        // What is put back is as old as it was.
        let taken: Vec<_> = early.take().collect();
        assert!(early.is_empty());
        for (peer, held) in taken {
            early.put_back(peer, held);
        }
        assert_eq!(early.handle_timeout(at(600)), 1);
        assert_eq!((early.poll_timeout(), early.bytes), (None, 0));
    }

    #[test]
    fn one_that_is_over_the_bound_alone_is_not_held() {
        let mut early = Early::new(config());
        assert_eq!(early.push(Instant::now(), peer(1), packet(0, 100_001)), 1);
        assert!(early.is_empty() && early.bytes == 0);
    }
}
