//! What an allocator that counts says of the bounds, and of what is shared.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::time::{Duration, Instant};

use allocation_counter::measure;
use bytes::Bytes;
use paceline_framing::types::{
    AudioCodec, Coding, EncodedFrame, Frequency, MediaTime, NtpTime, SenderId, SeqNo, StreamId,
    VideoCodec,
};
use paceline_framing::{
    Body, Control, Fragmenter, Interleaver, InterleaverConfig, Packet, QueuePolicy, Reassembler,
    ReassemblyConfig,
};
use proptest::prelude::*;

fn packet(stream: StreamId, len: usize) -> Packet {
    let (coding, clock) = if stream == StreamId::AUDIO {
        (Coding::Audio { codec: AudioCodec::Opus, channels: 1 }, Frequency::AUDIO)
    } else {
        let codec = VideoCodec::H264;
        let (width, height) = (640, 360);
        let coding = Coding::Video { codec, key: true, discardable: false, width, height };
        (coding, Frequency::VIDEO)
    };
    let frame = EncodedFrame {
        stream,
        seq: SeqNo::new(0),
        time: MediaTime::new(0, clock),
        capture: NtpTime::default(),
        coding,
        data: vec![7; len].into(),
    };
    Packet { sender: SenderId::new(1), epoch: None, body: Body::Media(frame) }
}

fn data(len: usize) -> Packet {
    let body = Body::Control(Control::ApplicationData { channel: 0, data: vec![7; len].into() });
    Packet { sender: SenderId::new(1), epoch: None, body }
}

#[test]
fn a_frame_that_fits_a_message_is_parsed_without_an_allocation() {
    let message = packet(StreamId::VIDEO, 1_024).emit();
    let mut parsed = None;
    let cost = measure(|| parsed = Some(Packet::parse(message)));
    assert_eq!(cost.count_total, 0);
    assert_eq!(parsed, Some(Ok(packet(StreamId::VIDEO, 1_024))));
}

/// What is emitted, checksummed and cut is so once: a further peer costs a place in his
/// queue. All that this crate copies, it copies into memory that it allocates.
#[test]
fn a_hundred_peers_cost_no_more_copying_than_one() {
    let now = Instant::now();
    let packet = packet(StreamId::VIDEO, 100_000);
    let fan_out = |peers: usize| {
        let mut fragmenter = Fragmenter::new(16_384);
        let mut queues: Vec<_> =
            (0..peers).map(|_| Interleaver::new(InterleaverConfig::default())).collect();
        let mut sent: Vec<Vec<Bytes>> = (0..peers).map(|_| Vec::with_capacity(8)).collect();
        let cost = measure(|| {
            let cut = fragmenter.cut(&packet);
            for (queue, sent) in queues.iter_mut().zip(&mut sent) {
                let _ = queue.push(now, cut.clone());
                sent.extend(std::iter::from_fn(|| queue.pop(now, 0)));
            }
        });
        // The very same bytes, not equal ones.
        for (index, first) in sent[0].iter().enumerate() {
            assert!(sent.iter().all(|sent| sent[index].as_ptr() == first.as_ptr()));
        }
        assert!(sent.iter().all(|sent| sent.len() == 7));
        (cost.bytes_total as f64, fragmenter.stats().copied_bytes as f64)
    };
    let ((one, copied_for_one), (hundred, copied)) = (fan_out(1), fan_out(100));
    assert!(one < 1.02 * 100_000.0, "one peer costs {one} bytes");
    // 99 queues with room for four packets are 13 KB of it.
    assert!(hundred < 1.2 * one, "100 peers cost {hundred} bytes, one {one}");

    assert!(copied <= 1.2 * copied_for_one, "{copied} and {copied_for_one} bytes copied");
}

/// A fragment with the next unused id, of a packet that is never finished.
fn begun(fragmenter: &mut Fragmenter, len: usize) -> Bytes {
    let cut = fragmenter.cut(&packet(StreamId::VIDEO, len));
    cut.messages()[0].clone()
}

#[test]
fn many_gaps_stay_within_the_bound() {
    const LIMIT: usize = 300_000;
    let now = Instant::now();
    let config = ReassemblyConfig::default().max_bytes(LIMIT).max_unfinished(10_000);
    let mut reassembler = Reassembler::new(config);
    let messages: Vec<_> = {
        let mut fragmenter = Fragmenter::new(128);
        // Of each packet every second fragment, the largest numbers first.
        let cuts: Vec<_> =
            (0..20).map(|_| fragmenter.cut(&packet(StreamId::VIDEO, 40_000))).collect();
        cuts.iter().flat_map(|cut| cut.messages().iter().rev().step_by(2).cloned()).collect()
    };
    let attack = measure(|| {
        for message in &messages {
            let received = Bytes::copy_from_slice(message);
            let _ = reassembler.handle_message(now, received);
        }
    });
    assert!(reassembler.stats().evicted > 0, "it is an attack");
    assert!(attack.bytes_max as usize <= LIMIT, "{} bytes at once", attack.bytes_max);
    // The bound is used, not just kept.
    assert!(attack.bytes_max as usize >= LIMIT / 2, "{} bytes at once", attack.bytes_max);
}

#[test]
fn many_packets_that_are_begun_stay_within_the_bound() {
    const LIMIT: usize = 300_000;
    let now = Instant::now();
    let config = ReassemblyConfig::default().max_bytes(LIMIT).max_unfinished(10_000);
    let mut reassembler = Reassembler::new(config);
    let mut fragmenter = Fragmenter::new(128);
    let messages: Vec<_> = (0..2_000).map(|_| begun(&mut fragmenter, 5_000)).collect();
    let attack = measure(|| {
        for message in &messages {
            let _ = reassembler.handle_message(now, Bytes::copy_from_slice(message));
        }
    });
    assert!(reassembler.stats().evicted > 0, "it is an attack");
    assert!(attack.bytes_max as usize <= LIMIT + CLOSED, "{} at once", attack.bytes_max);
}

proptest! {
    /// Whatever is pushed, and however little is popped.
    #[test]
    fn a_peer_that_takes_nothing_costs_no_more_than_the_bounds(
        packets in prop::collection::vec((0..3_u8, 1..3_000_usize), 1..300),
        pop_every in 1..20_usize,
    ) {
        const LIMIT: usize = 40_000;
        const SECOND: Duration = Duration::from_secs(1);
        let start = Instant::now();
        let config = InterleaverConfig::default()
            .max_audio_bytes(LIMIT)
            .data_policy(QueuePolicy::Reliable { deadline: SECOND, max_bytes: LIMIT })
            .video_policy(QueuePolicy::DropToKeyframe { max_age: SECOND, max_bytes: LIMIT });
        let mut queue = Interleaver::new(config);
        let mut fragmenter = Fragmenter::new(1_000);
        // Made before, so that only what is queued is counted.
        let packets: Vec<_> = packets
            .iter()
            .map(|&(class, len)| match class {
                0 => packet(StreamId::AUDIO, len),
                1 => packet(StreamId::VIDEO, len),
                _ => data(len),
            })
            .collect();
        let cost = measure(|| {
            for (index, packet) in packets.iter().enumerate() {
                let now = start + Duration::from_millis(index as u64);
                let _ = queue.push(now, fragmenter.cut(packet));
                if index % pop_every == 0 {
                    let _ = queue.pop(now, 0);
                }
            }
        });
        // Besides, the one packet that is being pushed.
        prop_assert!(cost.bytes_max as usize <= 3 * LIMIT + 2 * 3_000, "{}", cost.bytes_max);
        prop_assert!(queue.queued_bytes() <= 3 * LIMIT);
    }

    /// Fragments of many packets, in any order, some never.
    #[test]
    fn what_a_peer_sends_is_held_within_the_bound(
        lens in prop::collection::vec(200..6_000_usize, 1..40),
        keep in prop::collection::vec(any::<bool>(), 400),
        seed in any::<u64>(),
    ) {
        const LIMIT: usize = 30_000;
        const MAX_PACKET: usize = 5_000;
        let now = Instant::now();
        let config = ReassemblyConfig::default().max_bytes(LIMIT).max_packet(MAX_PACKET);
        let mut reassembler = Reassembler::new(config);
        let mut fragmenter = Fragmenter::new(128);
        let mut messages: Vec<_> = lens
            .iter()
            .flat_map(|&len| {
                fragmenter.cut(&packet(StreamId::VIDEO, len)).messages().to_vec()
            })
            .zip(keep.iter().cycle())
            .filter_map(|(message, &keep)| keep.then_some(message))
            .collect();
        messages.sort_by_key(|message| crc32c::crc32c_append(seed as u32, message));
        let mut delivered = 0;
        let cost = measure(|| {
            for message in &messages {
                let _ = reassembler.handle_message(now, Bytes::copy_from_slice(message));
                delivered += u64::from(reassembler.poll_output().is_some());
            }
        });
        let most = LIMIT + MAX_PACKET + CLOSED;
        prop_assert!(cost.bytes_max as usize <= most, "{}", cost.bytes_max);
        prop_assert_eq!(reassembler.stats().delivered, delivered);
        prop_assert!(cost.bytes_current as usize <= reassembler.held() + CLOSED);
    }
}

/// What a reassembler keeps however little is held: the numbers of 128 packets that are
/// done with, room for 64 unfinished ones and for a few finished.
const CLOSED: usize = 16 << 10;
