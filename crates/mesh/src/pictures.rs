//! The pictures of each stream since its last keyframe, in whatever form they are kept.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use paceline_framing::{Body, Packet};
use paceline_types::{Coding, MediaTime, SeqNo, StreamKey};

use crate::CacheConfig;

#[derive(Debug)]
pub(crate) struct Pictures<T> {
    config: CacheConfig,
    streams: BTreeMap<StreamKey, Kept<T>>,
}

/// From a keyframe on. Never empty.
#[derive(Debug)]
struct Kept<T> {
    /// When the keyframe came, and what it was a picture of.
    since: Instant,
    begins: MediaTime,
    last: SeqNo,
    bytes: usize,
    items: VecDeque<T>,
}

impl<T: Clone> Pictures<T> {
    pub(crate) const fn new(config: CacheConfig) -> Self {
        Self { config, streams: BTreeMap::new() }
    }

    /// Keeps what a packet is kept as, if that is a picture and was sent.
    pub(crate) fn handle_packet(
        &mut self,
        now: Instant,
        packet: &Packet,
        item: &T,
        cost: usize,
        sent: bool,
    ) {
        self.expire(now);
        let Body::Media(frame) = &packet.body else { return };
        if frame.coding.is_audio() {
            return;
        }
        let stream = StreamKey { sender: packet.sender, stream: frame.stream };
        if frame.coding.is_key() {
            let room =
                self.streams.len() < self.config.max_streams || self.streams.contains_key(&stream);
            if cost > self.config.max_bytes || !room || !sent {
                self.streams.remove(&stream);
                return;
            }
            let kept = Kept {
                since: now,
                begins: frame.time,
                last: frame.seq,
                bytes: cost,
                items: VecDeque::from([item.clone()]),
            };
            self.streams.insert(stream, kept);
            return;
        }
        let Some(kept) = self.streams.get_mut(&stream) else { return };
        let discardable = matches!(frame.coding, Coding::Video { discardable: true, .. });
        let broken =
            frame.seq != kept.last.next() || frame.time.frequency() != kept.begins.frequency();
        let old = !broken && frame.time.saturating_since(kept.begins) > self.config.max_age;
        let full = !discardable && (kept.bytes + cost > self.config.max_bytes || !sent);
        if old || broken || full {
            self.streams.remove(&stream);
            return;
        }
        kept.last = frame.seq;
        if !discardable {
            kept.bytes += cost;
            kept.items.push_back(item.clone());
        }
    }

    pub(crate) fn forget(&mut self, stream: StreamKey) {
        self.streams.remove(&stream);
    }

    pub(crate) fn replay(
        &mut self,
        now: Instant,
        stream: StreamKey,
    ) -> Option<impl Iterator<Item = &T>> {
        self.expire(now);
        self.streams.get(&stream).map(|kept| kept.items.iter())
    }

    pub(crate) fn streams(&mut self, now: Instant) -> impl Iterator<Item = StreamKey> {
        self.expire(now);
        self.streams.keys().copied()
    }

    pub(crate) fn held(&self) -> usize {
        self.streams.values().map(|kept| kept.bytes).sum()
    }

    fn expire(&mut self, now: Instant) {
        let max_age = self.config.max_age;
        self.streams.retain(|_, kept| now.saturating_duration_since(kept.since) <= max_age);
    }
}
