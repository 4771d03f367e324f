//! RTP over the links: the chain of each end, without encryption.

use std::time::Instant;

use bytes::Bytes;
use paceline_transport::SendError;
use paceline_transport::rtp::{Chain, Stream, TapStats};
use paceline_types::{Carrier, PacketKind, PeerId, Ssrc, StreamId};

use super::traffic::Body;
use super::{Network, NetworkConfig, Way};

/// What the end `way` of a connection that carries RTP has.
pub(super) fn chain(config: &NetworkConfig, (us, peer): Way) -> Option<Chain> {
    let streams = |of: PeerId| {
        let stream = |(id, clock_rate)| Some(Stream::new(Ssrc::of(of, id)?, clock_rate));
        Vec::from_iter(STREAMS.into_iter().filter_map(stream))
    };
    let carries = config.carrier == Carrier::Rtp;
    carries.then(|| Chain::new(&config.rtp, &streams(us), &streams(peer)))
}

impl Network {
    /// What an end of a connection that carries RTP counts of it.
    #[must_use]
    pub fn rtp_stats(&self, us: PeerId, peer: PeerId) -> Option<TapStats> {
        Some(self.ends.get(&(us, peer))?.chain.as_ref()?.stats())
    }

    pub(crate) fn try_send_rtp(
        &mut self,
        now: Instant,
        way: Way,
        kind: PacketKind,
        bytes: Bytes,
    ) -> Result<(), SendError> {
        let end = self.ends.get_mut(&way).filter(|end| end.open);
        let chain = end.and_then(|end| end.chain.as_mut()).ok_or(SendError::NotOpen)?;
        chain.handle_outgoing(now, kind, bytes)?;
        self.drain_chain(now, way);
        self.wake_end(way);
        Ok(())
    }

    /// What is due is reported, asked for, and judged.
    pub(super) fn handle_chain(&mut self, now: Instant, way: Way) {
        let chain = self.ends.get_mut(&way).and_then(|end| end.chain.as_mut());
        let due = |chain: &&mut Chain| chain.poll_timeout().is_some_and(|at| at <= now);
        if let Some(chain) = chain.filter(due) {
            chain.handle_timeout(now);
            self.drain_chain(now, way);
        }
    }

    pub(super) fn drain_chain(&mut self, now: Instant, way: Way) {
        let Some(end) = self.ends.get_mut(&way).filter(|end| end.open) else { return };
        let Some(chain) = &mut end.chain else { return };
        let events = Vec::from_iter(std::iter::from_fn(|| chain.poll_event()));
        let transmits = Vec::from_iter(std::iter::from_fn(|| chain.poll_transmit()));
        for event in events {
            self.tell(way, event);
        }
        for bytes in transmits {
            self.put(now, way, Body::Datagram(bytes));
        }
    }
}

/// Four each way, as the engine's descriptions have, and their clocks (RFC 6184 §8.2.1,
/// RFC 7587 §4.1).
const STREAMS: [(StreamId, u32); 4] = [
    (StreamId::VIDEO, 90_000),
    (StreamId::AUDIO, 48_000),
    (StreamId::MIX_VIDEO, 90_000),
    (StreamId::MIX_AUDIO, 48_000),
];
