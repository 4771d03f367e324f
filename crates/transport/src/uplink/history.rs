//! What was sent, for who asks for it again (RFC 4585 §6.2.1, RFC 4588).
//!
//! Who asks may be mistaken or hostile: one datagram can name thousands of packets. So
//! a packet is not sent again within one round trip of the last time, and all
//! retransmissions together take no more than the target ([`Allowance`]).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use paceline_types::Bitrate;
use rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtp::packet::Packet;
use shared::marshal::MarshalSize;

use crate::rtp::{Allowance, MAX_KEPT};

/// What was sent on some streams.
#[derive(Debug)]
pub(crate) struct History {
    /// Packets that each stream keeps.
    packets: usize,
    /// Few: a search is as fast as a map, and keeps its order.
    streams: Vec<Stream>,
    allowance: Allowance,
    target: Bitrate,
    rtt: Duration,
}

#[derive(Debug)]
struct Stream {
    ssrc: u32,
    /// Payload type, source and next sequence number of its retransmissions.
    rtx: Option<(u8, u32, u16)>,
    /// In the order they were sent, which is that of their numbers.
    sent: VecDeque<Sent>,
}

#[derive(Debug)]
struct Sent {
    packet: Packet,
    again: Option<Instant>,
}

impl History {
    /// Keeps so many packets of each stream.
    pub(crate) fn new(packets: u16, target: Bitrate) -> Self {
        let packets = usize::from(packets.min(MAX_KEPT));
        let (streams, allowance) = (Vec::new(), Allowance::default());
        Self { packets, streams, allowance, target, rtt: MIN_AGAIN }
    }

    /// Keeps the packets of a stream from now on. Told again, it is only told how to
    /// retransmit.
    pub(crate) fn add_stream(&mut self, ssrc: u32, rtx: Option<(u8, u32)>) {
        // It has to begin somewhere that is not the same for all (RFC 3550 §5.1), and not near the
        // wrap: who misses what is before it counts wraps wrongly for ever (RFC 3711 §3.3.1).
        let first = |source: u32| source as u16 & (u16::MAX >> 1);
        let rtx = rtx.map(|(payload_type, source)| (payload_type, source, first(source)));
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == ssrc) else {
            return self.streams.push(Stream { ssrc, rtx, sent: VecDeque::new() });
        };
        // A source goes on counting: a number that comes twice under one key gives away what it
        // protects (RFC 7714 §8.1).
        stream.rtx = match (stream.rtx, rtx) {
            (Some((_, source, next)), Some((payload_type, same, _))) if same == source => {
                Some((payload_type, source, next))
            }
            (_, rtx) => rtx,
        };
    }

    /// How long an answer takes to be acknowledged: sooner than that it is not repeated.
    pub(crate) fn set_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt.clamp(MIN_AGAIN, MAX_AGAIN);
    }

    /// What is sent in a second, that which is sent again included.
    pub(crate) fn set_target(&mut self, target: Bitrate) {
        self.target = target;
    }

    /// Takes note of a packet that is sent for the first time.
    pub(crate) fn record(&mut self, packet: &Packet) {
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == packet.header.ssrc)
        else {
            return;
        };
        let newest = packet.header.sequence_number;
        let is_kept = |sent: &Sent| newest.wrapping_sub(sent.number()) < MAX_KEPT;
        while stream.sent.len() >= self.packets.max(1)
            || stream.sent.front().is_some_and(|sent| !is_kept(sent))
        {
            stream.sent.pop_front();
        }
        stream.sent.push_back(Sent { packet: packet.clone(), again: None });
    }

    /// What to send because of a request. Returns how many of the named packets are not in it.
    pub(crate) fn answer(
        &mut self,
        now: Instant,
        nack: &TransportLayerNack,
        again: &mut Vec<Packet>,
    ) -> usize {
        let (allowance, target, rtt) = (&mut self.allowance, self.target, self.rtt);
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == nack.media_ssrc)
        else {
            return 0;
        };
        let bits = |lost: u16| (0..16).filter(move |bit| lost >> bit & 1 == 1).map(|bit| bit + 1);
        let (searched, beyond) = nack.nacks.split_at(nack.nacks.len().min(MAX_PAIRS));
        let mut refused: usize =
            beyond.iter().map(|pair| 1 + pair.lost_packets.count_ones() as usize).sum();
        let named = searched.iter().flat_map(|pair| {
            std::iter::once(0)
                .chain(bits(pair.lost_packets))
                .map(|ahead| pair.packet_id.wrapping_add(ahead))
        });
        for seq in named {
            match stream.find(seq).filter(|sent| sent.is_due(now, rtt)) {
                Some(sent) if allowance.take(now, target, sent.packet.marshal_size() + OSN) => {
                    sent.again = Some(now);
                    let packet = sent.packet.clone();
                    again.push(stream.wrap(packet));
                }
                _ => refused += 1,
            }
        }
        refused
    }
}

impl Stream {
    /// Sequence numbers rise from the first on; the owner may leave some out.
    fn find(&mut self, seq: u16) -> Option<&mut Sent> {
        let first = self.sent.front()?.number();
        let ahead = |seq: u16| seq.wrapping_sub(first);
        let at = self.sent.binary_search_by_key(&ahead(seq), |sent| ahead(sent.number())).ok()?;
        self.sent.get_mut(at)
    }

    /// RFC 4588 §4: a source, a payload type and sequence numbers of its own, and the
    /// original sequence number before the payload.
    fn wrap(&mut self, mut packet: Packet) -> Packet {
        let Some((payload_type, ssrc, next)) = &mut self.rtx else { return packet };
        let mut payload = BytesMut::with_capacity(OSN + packet.payload.len());
        payload.put_u16(packet.header.sequence_number);
        payload.extend_from_slice(&packet.payload);
        packet.payload = payload.freeze();
        packet.header.payload_type = *payload_type;
        packet.header.ssrc = *ssrc;
        packet.header.sequence_number = *next;
        *next = next.wrapping_add(1);
        packet
    }
}

impl Sent {
    fn number(&self) -> u16 {
        self.packet.header.sequence_number
    }

    fn is_due(&self, now: Instant, rtt: Duration) -> bool {
        self.again.is_none_or(|last| now.saturating_duration_since(last) >= rtt)
    }
}

/// RFC 4588 §4: the original sequence number.
const OSN: usize = 2;

/// Pairs of one request that are looked at, each of 17 packets: all that are kept, by default,
/// and as many again.
const MAX_PAIRS: usize = 128;

/// Before a round trip is known, and at least: receivers wait 5 to 20 ms before they ask again.
const MIN_AGAIN: Duration = Duration::from_millis(5);

/// At most, whatever the other end reports.
const MAX_AGAIN: Duration = Duration::from_millis(500);

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one instant to count from")]
mod tests {
    use super::*;
    use rtcp::transport_feedbacks::transport_layer_nack::NackPair;

    fn packet(seq: u16) -> Packet {
        let mut packet = Packet::default();
        packet.header.version = 2;
        packet.header.ssrc = 7;
        packet.header.payload_type = 96;
        packet.header.sequence_number = seq;
        packet.header.timestamp = 3_000 * u32::from(seq);
        packet.header.marker = true;
        packet.payload = bytes::Bytes::from(vec![seq as u8; 1_000]);
        packet
    }

    fn nack(packet_id: u16, lost_packets: u16) -> TransportLayerNack {
        let nacks = vec![NackPair { packet_id, lost_packets }];
        TransportLayerNack { sender_ssrc: 1, media_ssrc: 7, nacks }
    }

    fn history(packets: u16) -> History {
        History::new(packets, Bitrate::from_kbps(10_000))
    }

    fn ask(history: &mut History, now: Instant, nack: &TransportLayerNack) -> (Vec<Packet>, usize) {
        let mut again = Vec::new();
        let refused = history.answer(now, nack, &mut again);
        (again, refused)
    }

    #[test]
    fn what_is_asked_for_comes_in_a_stream_of_its_own_across_the_wrap() {
        let mut history = history(16);
        history.add_stream(7, Some((97, 8)));
        for seq in 65_530..65_540_u32 {
            history.record(&packet(seq as u16));
        }
        let now = Instant::now();
        // 65,535, and the second and third after it: 1 and 2.
        let (again, refused) = ask(&mut history, now, &nack(65_535, 0b110));
        assert_eq!(refused, 0);
        let found: Vec<_> =
            again.iter().map(|rtx| u16::from_be_bytes([rtx.payload[0], rtx.payload[1]])).collect();
        assert_eq!(found, [65_535, 1, 2]);
        for (index, rtx) in again.iter().enumerate() {
            assert_eq!((rtx.header.ssrc, rtx.header.payload_type), (8, 97));
            assert_eq!(rtx.header.sequence_number, 8 + index as u16);
            assert_eq!(rtx.payload.len(), 1_002);
            assert!(rtx.header.marker);
        }
        assert_eq!(again[1].header.timestamp, 3_000);
    }

    #[test]
    fn without_a_stream_of_its_own_the_same_packet_is_sent_again() {
        let mut history = history(16);
        history.add_stream(7, None);
        history.record(&packet(5));
        assert_eq!(ask(&mut history, Instant::now(), &nack(5, 0)), (vec![packet(5)], 0));
    }

    #[test]
    fn the_same_packet_is_sent_again_once_a_round_trip_however_often_it_is_asked_for() {
        let mut history = history(16);
        history.add_stream(7, None);
        history.set_rtt(Duration::from_millis(100));
        history.record(&packet(5));
        let now = Instant::now();
        let mut sent = 0;
        for millis in 0..1_000 {
            sent += ask(&mut history, now + Duration::from_millis(millis), &nack(5, 0)).0.len();
        }
        assert_eq!(sent, 10);
    }

    #[test]
    fn no_more_is_kept_or_sent_again_than_the_bounds_whatever_is_asked_for() {
        let mut history = history(1_000);
        history.add_stream(7, None);
        for seq in 0..5_000 {
            history.record(&packet(seq));
        }
        assert_eq!(history.streams[0].sent.len(), 1_000);
        let now = Instant::now();
        let (mut bytes, mut named) = (Vec::new(), 0);
        // All that is sent in half a second; 60,000 bytes of a round number of packets.
        for (round, target) in [(1, 960), (2, 960), (3, 96), (4, 0)] {
            history.set_target(Bitrate::from_kbps(target));
            let (now, mut sent) = (now + Duration::from_secs(round), 0);
            for seq in (0..u16::MAX - 17).step_by(17) {
                let (again, refused) = ask(&mut history, now, &nack(seq, u16::MAX));
                sent += again.iter().map(MarshalSize::marshal_size).sum::<usize>();
                named += again.len() + refused;
            }
            bytes.push(sent);
        }
        // 1,012 bytes each, and two for its number if it had a source of its own.
        assert_eq!(bytes, [59 * 1_012, 59 * 1_012, 5 * 1_012, 0]);
        assert_eq!(named, 4 * 17 * (0..u16::MAX - 17).step_by(17).count());
    }

    #[test]
    fn what_the_owner_left_out_does_not_hide_what_it_sent() {
        let mut history = history(16);
        history.add_stream(7, None);
        for seq in [1, 2, 5, 6, 9] {
            history.record(&packet(seq));
        }
        let (again, refused) = ask(&mut history, Instant::now(), &nack(1, 0b1111_1111));
        let found: Vec<_> = again.iter().map(|packet| packet.header.sequence_number).collect();
        assert_eq!((found, refused), (vec![1, 2, 5, 6, 9], 4));
    }

    #[test]
    fn of_one_request_so_much_is_looked_at_and_the_rest_counted() {
        let mut history = history(16);
        history.add_stream(7, None);
        // Only ever the last two, so that a search finds nothing where it should be.
        history.record(&packet(1));
        history.record(&packet(60_000));
        let pair = |packet_id| NackPair { packet_id, lost_packets: u16::MAX };
        let nacks = (0..1_000).map(|_| pair(2)).chain([pair(60_000)]).collect();
        let nack = TransportLayerNack { sender_ssrc: 1, media_ssrc: 7, nacks };
        assert_eq!(ask(&mut history, Instant::now(), &nack), (Vec::new(), 1_001 * 17));
        let (again, refused) = ask(&mut history, Instant::now(), &self::nack(60_000, 1));
        assert_eq!((again, refused), (vec![packet(60_000)], 1));
    }

    #[test]
    fn retransmissions_begin_far_from_the_wrap_and_count_on_whatever_is_agreed_on_anew() {
        let mut numbers = Vec::new();
        for source in [0x1234_8000, 0xffff_ffff, 0x7fff, 8] {
            let mut history = history(16);
            history.add_stream(7, Some((97, source)));
            for (seq, payload_type) in [(1, 97), (2, 98), (3, 97)] {
                // As a restart of ICE has it.
                history.add_stream(7, Some((payload_type, source)));
                history.record(&packet(seq));
                let (again, _) = ask(&mut history, Instant::now(), &nack(seq, 0));
                let header = &again[0].header;
                assert_eq!((header.ssrc, header.payload_type), (source, payload_type));
                numbers.push(header.sequence_number);
            }
        }
        assert_eq!(numbers, [0, 1, 2, 0x7fff, 0x8000, 0x8001, 0x7fff, 0x8000, 0x8001, 8, 9, 10]);
    }

    /// SRTP would take it, or what is sent after it, for one of another round.
    #[test]
    fn what_is_a_quarter_of_the_numbers_behind_is_not_sent_again() {
        let mut history = history(1_000);
        history.add_stream(7, None);
        for at in 0..200_u32 {
            history.record(&packet((at * 1_000) as u16));
        }
        let newest = (199_u32 * 1_000) as u16;
        for back in 0..65 {
            let seq = newest.wrapping_sub(back * 1_000);
            let (again, refused) = ask(&mut history, Instant::now(), &nack(seq, 0));
            assert_eq!((again.len(), refused), if back < 17 { (1, 0) } else { (0, 1) }, "{back}");
        }
    }

    #[test]
    fn a_request_for_a_stream_that_is_not_ours_is_nothing() {
        let mut history = history(16);
        history.add_stream(8, None);
        history.record(&packet(5));
        assert_eq!(ask(&mut history, Instant::now(), &nack(5, 0)), (Vec::new(), 0));
    }
}
