//! What a packet of RTP costs, beside what it costs with the `rtp` crate alone.
//!
//! `cargo bench -p paceline-benches --bench rtp`. A frame of 60 KiB in NAL units of
//! 20 KiB, and a frame of Opus; the figures are of a whole frame. Both sides make packets of
//! the frame, and a frame of the packets; ours also checks, orders and accounts for them.
#![allow(clippy::disallowed_methods, missing_docs, reason = "a bench: it has a clock")]

use std::hint::black_box;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use paceline_framing::rtp::{
    Codec, Depacketizer, DepacketizerConfig, Output, Packetizer, PacketizerConfig,
};
use paceline_framing::types::{
    AudioCodec, Coding, EncodedFrame, MediaTime, NtpTime, SeqNo, StreamId, VideoCodec,
};
use rtp::codec::h264::{H264Packet, H264Payloader};
use rtp::codec::opus::OpusPayloader;
use rtp::packetizer::{Depacketizer as _, Packetizer as _, Payloader, new_packetizer};
use rtp::sequence::new_random_sequencer;

/// An access unit of SPS, PPS and three slices of an IDR picture.
fn access_unit() -> Bytes {
    let mut unit = vec![0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xd9, 0, 0, 0, 1, 0x68, 0xce, 0x3c];
    for slice in 0..3_u32 {
        unit.extend([0, 0, 0, 1, 0x65, 0xb8]);
        // No zeros, so no start codes by chance.
        unit.extend((0..20 << 10).map(|n: u32| ((n * 31 + slice) % 255 + 1) as u8));
    }
    unit.into()
}

fn frame(codec: Codec, data: Bytes) -> EncodedFrame {
    let coding = match codec {
        Codec::Opus => Coding::Audio { codec: AudioCodec::Opus, channels: 1 },
        _ => Coding::Video {
            codec: VideoCodec::H264,
            key: true,
            discardable: false,
            width: 1280,
            height: 720,
        },
    };
    EncodedFrame {
        stream: StreamId::VIDEO,
        seq: SeqNo::new(0),
        time: MediaTime::new(0, codec.clock()),
        capture: NtpTime::default(),
        coding,
        data,
    }
}

fn packetize(c: &mut Criterion) {
    let opus = Bytes::from(vec![0xfc; 120]);
    let payloaders: [(Codec, Bytes, Box<dyn Payloader>); 2] = [
        (Codec::H264, access_unit(), Box::new(H264Payloader::default())),
        (Codec::Opus, opus, Box::new(OpusPayloader)),
    ];
    for (codec, data, payloader) in payloaders {
        let mut ours = Packetizer::new(PacketizerConfig::new(codec, 96, 1));
        let mut theirs = new_packetizer(
            Instant::now(),
            1_200,
            96,
            1,
            payloader,
            Box::new(new_random_sequencer()),
            90_000,
        );
        let frame = frame(codec, data.clone());
        let packets = ours.packetize(&frame).expect("a frame").len();
        let mut group = c.benchmark_group(format!("packetize {codec:?}, {packets} packets"));
        group.throughput(Throughput::Elements(packets as u64));
        group.bench_function("paceline", |b| b.iter(|| ours.packetize(black_box(&frame))));
        let now = Instant::now();
        group.bench_function("rtp crate", |b| {
            b.iter(|| theirs.packetize(now, black_box(&data), 3_000));
        });
    }
}

fn depacketize(c: &mut Criterion) {
    let data = access_unit();
    let mut packetizer = Packetizer::new(PacketizerConfig::new(Codec::H264, 96, 1));
    let packets = packetizer.packetize(&frame(Codec::H264, data.clone())).expect("a frame");
    let mut group = c.benchmark_group(format!("depacketize H264, {} packets", packets.len()));
    group.throughput(Throughput::Elements(packets.len() as u64));
    let now = Instant::now();
    let mut ours = Depacketizer::new(1, Codec::H264, DepacketizerConfig::default());
    let mut seq = 0_u16;
    group.bench_function("paceline", |b| {
        b.iter_batched(
            || {
                let mut packets = packets.clone();
                for packet in &mut packets {
                    packet.header.sequence_number = seq;
                    packet.header.timestamp = seq.into();
                    seq = seq.wrapping_add(1);
                }
                let time = packets[0].header.timestamp;
                packets.iter_mut().for_each(|packet| packet.header.timestamp = time);
                packets
            },
            |packets| {
                for packet in packets {
                    let _ = ours.handle_packet(now, packet);
                }
                let Some(Output::Frame(frame)) = ours.poll_output() else { panic!("no frame") };
                assert_eq!(frame.data.len(), data.len());
                frame
            },
            BatchSize::PerIteration,
        );
    });
    let mut theirs = H264Packet::default();
    group.bench_function("rtp crate", |b| {
        b.iter_batched(
            || packets.clone(),
            |packets| {
                // What it gives for each packet has to be put together by its user.
                let mut frame = BytesMut::new();
                for packet in packets {
                    frame.extend_from_slice(&theirs.depacketize(&packet.payload).expect("valid"));
                }
                assert_eq!(frame.len(), data.len());
                frame
            },
            BatchSize::PerIteration,
        );
    });
}

criterion_group!(benches, packetize, depacketize);
criterion_main!(benches);
