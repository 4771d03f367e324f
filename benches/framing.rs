//! What it costs to make messages of a packet, and a packet of messages, beside the
//! least that it could cost: one copy of the frame and one pass of its checksum.
//!
//! `cargo bench -p paceline-benches --bench framing`; the ratio to `memcpy + crc32c`
//! of the same size is the figure.
#![allow(clippy::disallowed_methods, missing_docs, reason = "a bench: it has a clock")]

use std::hint::black_box;
use std::time::Instant;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use paceline_framing::types::{
    Coding, EncodedFrame, Epoch, Frequency, MediaTime, NtpTime, SenderId, SeqNo, StreamId,
    VideoCodec,
};
use paceline_framing::{
    Body, Fragmenter, Interleaver, InterleaverConfig, Packet, Reassembler, ReassemblyConfig,
};

fn packet(len: usize) -> Packet {
    let coding = Coding::Video {
        codec: VideoCodec::H264,
        key: true,
        discardable: false,
        width: 1280,
        height: 720,
    };
    Packet {
        sender: SenderId::new(1),
        epoch: Some(Epoch::new(1, 0)),
        body: Body::Media(EncodedFrame {
            stream: StreamId::VIDEO,
            seq: SeqNo::new(1),
            time: MediaTime::new(3_000, Frequency::VIDEO),
            capture: NtpTime::default(),
            coding,
            data: (0..len).map(|n| n as u8).collect(),
        }),
    }
}

/// The least that either direction could do.
fn floor(c: &mut Criterion) {
    let mut group = c.benchmark_group("memcpy + crc32c");
    for len in SIZES {
        let frame: Vec<u8> = (0..len).map(|n| n as u8).collect();
        let mut copy = vec![0; len];
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::from_parameter(len), |b| {
            b.iter(|| {
                copy.copy_from_slice(black_box(&frame));
                crc32c::crc32c(black_box(&copy))
            });
        });
    }
}

fn send(c: &mut Criterion) {
    let mut group = c.benchmark_group("emit + cut");
    for len in SIZES {
        let packet = packet(len);
        let mut fragmenter = Fragmenter::new(MAX_MESSAGE);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::from_parameter(len), |b| {
            b.iter(|| fragmenter.cut(black_box(&packet)));
        });
    }
}

fn receive(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse + reassemble");
    for len in SIZES {
        let packet = packet(len);
        let mut fragmenter = Fragmenter::new(MAX_MESSAGE);
        let mut reassembler = Reassembler::new(ReassemblyConfig::default());
        let now = Instant::now();
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::from_parameter(len), |b| {
            b.iter_batched(
                || fragmenter.cut(&packet),
                |cut| {
                    for message in cut.messages() {
                        reassembler.handle_message(now, message.clone()).expect("it is whole");
                    }
                    // What is given back is dropped off the clock.
                    (reassembler.poll_output().expect("it is complete"), cut)
                },
                // As from a transport: just written, and so in the cache.
                BatchSize::PerIteration,
            );
        });
    }
    drop(group);

    let message = packet(1_024 - 20 - 8 - 28).emit();
    assert_eq!(message.len(), 1_024);
    c.bench_function("parse a message of 1,024 bytes", |b| {
        b.iter(|| Packet::parse(black_box(&message).clone()));
    });
}

/// One packet to many: what each further peer adds.
fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("one packet of 16 KiB to peers");
    let packet = packet(16 << 10);
    let now = Instant::now();
    for peers in [1, 10, 100] {
        let mut fragmenter = Fragmenter::new(MAX_MESSAGE);
        let mut queues: Vec<_> =
            (0..peers).map(|_| Interleaver::new(InterleaverConfig::default())).collect();
        group.bench_function(BenchmarkId::from_parameter(peers), |b| {
            b.iter(|| {
                let cut = fragmenter.cut(black_box(&packet));
                for queue in &mut queues {
                    let _ = queue.push(now, cut.clone());
                    while let Some(message) = queue.pop(now, 0) {
                        black_box(message);
                    }
                }
            });
        });
    }
}

criterion_group!(benches, floor, send, receive, fan_out);
criterion_main!(benches);

/// What every implementation takes (RFC 8831 §6.6).
const MAX_MESSAGE: usize = 16_384;

const SIZES: [usize; 3] = [1 << 10, 16 << 10, 400 << 10];
