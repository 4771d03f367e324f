//! The machines of the data channel, driven by a script of operations.

use std::time::Duration;

use bytes::{Buf, Bytes};
use paceline_framing::types::{
    AudioCodec, Coding, EncodedFrame, Frequency, MediaTime, NtpTime, SenderId, SeqNo, StreamId,
    VideoCodec,
};
use paceline_framing::{
    Body, Class, Control, Cut, Fragmenter, Interleaver, InterleaverConfig, Packet, QueuePolicy,
    Reassembler, ReassemblyConfig, Verdict,
};

use crate::packets::{epoch, sealed};

/// A peer that sends fragments: each step is flags, a type, a packet id, an index, a
/// count, and how many bytes of body.
pub fn reassembly(mut script: &[u8]) {
    const LIMIT: usize = 8_192;
    let config = ReassemblyConfig::default()
        .max_bytes(LIMIT)
        .max_control_packet(500)
        .max_message(300)
        .max_packet(1_000)
        .max_unfinished(4);
    let mut reassembler = Reassembler::new(config);
    let mut now = epoch();
    let mut messages = 0;
    while let Some((&[flags, kind, packet, index, count, len], rest)) = script.split_first_chunk() {
        script = rest;
        let mut message = vec![0; 20];
        message[5] = flags & 3;
        message[7] = kind;
        if flags & 2 != 0 {
            message.extend_from_slice(&[0; 8]);
        }
        if flags & 1 != 0 {
            message.extend_from_slice(&[0, 0, 0, packet, 0, index, 0, count]);
        }
        let len = usize::from(len).min(script.len());
        message.extend_from_slice(&script[..len]);
        script.advance(len);
        now += Duration::from_millis(u64::from(flags >> 2) * 8);
        if flags & 4 != 0 {
            reassembler.handle_timeout(now);
        }
        messages += 1;
        let _ = reassembler.handle_message(now, sealed(message));
        while let Some(packet) = reassembler.poll_output() {
            assert!(packet.emit().len() <= 1_000);
        }
        assert!(reassembler.held() <= LIMIT);
        assert!(reassembler.poll_timeout().is_none_or(|deadline| deadline > now));
    }
    let stats = reassembler.stats();
    let refused = stats.malformed + stats.mismatched + stats.too_large + stats.unknown_type;
    assert!(stats.delivered + stats.duplicate + stats.stray + refused <= messages);
    reassembler.handle_timeout(now + Duration::from_secs(1));
    assert_eq!(reassembler.poll_timeout(), None, "no picture stays for ever");
}

/// A sender and its transport: each step is an operation, a length and a stream.
pub fn interleaver(mut script: &[u8]) {
    const DEADLINE: Duration = Duration::from_secs(2);
    const LIMIT: usize = 4_096;
    const MAX_AGE: Duration = Duration::from_millis(250);
    let config = InterleaverConfig::default()
        .max_audio_bytes(LIMIT)
        .data_policy(QueuePolicy::Reliable { deadline: DEADLINE, max_bytes: LIMIT })
        .max_control_bytes(LIMIT)
        .max_outstanding(600)
        .video_policy(QueuePolicy::DropToKeyframe { max_age: MAX_AGE, max_bytes: LIMIT });
    let mut queue = Interleaver::new(config);
    let mut fragmenter = Fragmenter::new(300);
    let mut now = epoch();
    let mut seq = 0;
    let mut outstanding: Vec<usize> = Vec::new();
    // Of the newest packet of each kind, for the larger ones that may wait alone.
    let mut largest = 0;
    while let Some((&[op, len, stream], rest)) = script.split_first_chunk() {
        script = rest;
        seq += 1;
        let cut = |fragmenter: &mut Fragmenter, class| -> Cut {
            let data = Bytes::from(vec![0; usize::from(len) * 20]);
            fragmenter.cut(&packet(class, op, stream, seq, data))
        };
        match op % 8 {
            class @ 0..=3 => {
                let class =
                    [Class::Control, Class::Audio, Class::Video, Class::Bulk][usize::from(class)];
                let cut = cut(&mut fragmenter, class);
                largest = largest.max(cut.bytes() + 64 * cut.messages().len() + 192);
                let verdict = queue.push(now, cut);
                // Only what may be refused is.
                match class {
                    Class::Audio => assert_eq!(verdict, Verdict::Queued),
                    Class::Video => assert_ne!(verdict, Verdict::Full),
                    _ => assert_ne!(verdict, Verdict::Shed),
                }
            }
            4 | 5 => {
                if let Some(message) = queue.pop(now, outstanding.iter().sum()) {
                    outstanding.push(message.len());
                }
                assert!(outstanding.iter().sum::<usize>() < 600 + 300);
            }
            6 => drop(outstanding.pop()),
            _ => now += Duration::from_millis(u64::from(len) * 4),
        }
        if op == u8::MAX {
            queue.clear();
            assert_eq!(queue.queued_bytes(), 0);
        }
        let _ = queue.poll_needs_keyframe();
        assert!(queue.queued_bytes() <= 4 * LIMIT + 3 * largest);
    }
    // What is left all comes out, and makes whole packets.
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    while let Some(message) = queue.pop(now, 0) {
        let _ = reassembler.handle_message(now, message);
        while reassembler.poll_output().is_some() {}
    }
    assert_eq!(queue.queued_bytes(), 0);
    assert_eq!(reassembler.stats().malformed, 0);
}

fn packet(class: Class, op: u8, stream: u8, seq: u64, data: Bytes) -> Packet {
    let coding = match class {
        Class::Control => {
            let control = Control::Ping { t1: seq };
            return Packet { sender: SenderId::new(1), epoch: None, body: Body::Control(control) };
        }
        Class::Audio => Coding::Audio { codec: AudioCodec::Opus, channels: 1 },
        Class::Video => Coding::Video {
            codec: VideoCodec::Vp8,
            key: op & 0x10 != 0,
            discardable: op & 0x20 != 0,
            width: 64,
            height: 64,
        },
        _ => {
            let control = Control::ApplicationData { channel: stream.into(), data };
            return Packet { sender: SenderId::new(1), epoch: None, body: Body::Control(control) };
        }
    };
    let clock = if coding.is_audio() { Frequency::AUDIO } else { Frequency::VIDEO };
    let frame = EncodedFrame {
        stream: StreamId::new(u16::from(stream % 3)),
        seq: SeqNo::new(seq),
        time: MediaTime::new(seq, clock),
        capture: NtpTime::default(),
        coding,
        data,
    };
    Packet { sender: SenderId::new(1), epoch: None, body: Body::Media(frame) }
}
