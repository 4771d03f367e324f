//! Whatever packets come in whatever order: what is held is bounded, and each number is
//! accounted for once.
#![cfg(feature = "rtp")]
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::rtp::{
    Codec, Depacketizer, DepacketizerConfig, Frame, Header, Output, Packet, Verdict,
};
use proptest::prelude::*;

const MAX_BYTES: usize = 4_000;
const MAX_PACKETS: usize = 20;
const SSRC: u32 = 9;

/// One number of a stream.
#[derive(Clone, Debug)]
struct Sent {
    time: u32,
    marker: bool,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    First,
    Later,
    Malformed,
    Padding,
}

/// What is sent, from the number `base` on; the same again and again when it is over, so
/// that every number has a packet.
#[derive(Clone, Debug)]
struct Stream {
    base: u16,
    sent: Vec<Sent>,
}

impl Stream {
    fn place(&self, seq: u16) -> &Sent {
        &self.sent[usize::from(seq.wrapping_sub(self.base)) % self.sent.len()]
    }

    fn packet(&self, seq: u16) -> Packet {
        let Sent { time, marker, kind } = *self.place(seq);
        let mut payload = match kind {
            Kind::First => vec![0x10, 0x01, 0, 0],
            Kind::Later => vec![0x00],
            // A descriptor that says it goes on, and does not.
            Kind::Malformed => vec![0x80],
            Kind::Padding => Vec::new(),
        };
        if matches!(kind, Kind::First | Kind::Later) {
            payload.extend(seq.to_be_bytes());
        }
        Packet {
            header: Header {
                version: 2,
                ssrc: SSRC,
                sequence_number: seq,
                timestamp: time,
                marker,
                ..Header::default()
            },
            payload: Bytes::from(payload),
        }
    }

    /// The numbers of the frame that `frame` says it is, if it is that as it was sent.
    fn whole(&self, frame: &Frame) -> Result<Vec<u16>, TestCaseError> {
        let mut seqs = vec![frame.first_seq.wrapped() as u16];
        prop_assert_eq!(self.place(seqs[0]).kind, Kind::First);
        let mut seq = seqs[0];
        let ended = |seq: u16| self.place(seq).marker && self.place(seq).kind != Kind::Padding;
        while !ended(seq) {
            seq = seq.wrapping_add(1);
            match self.place(seq).kind {
                Kind::First => break,
                Kind::Later => seqs.push(seq),
                Kind::Malformed => return Err(TestCaseError::fail("malformed within a frame")),
                Kind::Padding => {}
            }
        }
        let mut data = vec![0x01, 0, 0];
        data.extend(seqs.iter().flat_map(|seq| seq.to_be_bytes()));
        prop_assert_eq!(&frame.data[..], &data[..]);
        prop_assert_eq!(frame.packets, seqs.len());
        prop_assert_eq!(frame.time.ticks() as u32, self.place(seqs[0]).time);
        Ok(seqs)
    }
}

/// A frame: what its packets are after the first, whether a marker ends it, and how much
/// padding follows.
fn frame() -> impl Strategy<Value = (Vec<Kind>, bool, usize)> {
    let kind = prop_oneof![
        10 => Just(Kind::Later),
        1 => Just(Kind::Padding),
        1 => Just(Kind::Malformed),
    ];
    let padding = prop_oneof![5 => Just(0_usize), 1 => 1..3_usize];
    (prop::collection::vec(kind, 0..5), prop::bool::weighted(0.8), padding)
}

prop_compose! {
    fn stream()(
        base in prop_oneof![Just(0), Just(65_500), any::<u16>()],
        start in prop_oneof![Just(0), Just(u32::MAX - 9_000), any::<u32>()],
        frames in prop::collection::vec(frame(), 4..20),
    ) -> Stream {
        let mut sent = Vec::new();
        for (index, (kinds, ended, padding)) in (0..).zip(frames) {
            let time = start.wrapping_add(3_000 * index);
            let from = sent.len();
            let kinds = std::iter::once(Kind::First).chain(kinds);
            sent.extend(kinds.map(|kind| Sent { time, marker: false, kind }));
            if let Some(last) = sent[from..].iter_mut().rev().find(|sent| sent.kind != Kind::Padding) {
                last.marker = ended;
            }
            let kind = Kind::Padding;
            sent.extend(std::iter::repeat_n(Sent { time, marker: false, kind }, padding));
        }
        // It goes on without a seam where numbers wrap.
        let time = sent[sent.len() - 1].time;
        let padding = Sent { time, marker: false, kind: Kind::Padding };
        sent.resize(sent.len().next_power_of_two(), padding);
        Stream { base, sent }
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// A packet at so many numbers from the last one.
    Give(i16),
    /// The next ones, in order.
    Run(u16),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..12_u16).prop_map(Step::Run),
        8 => (-8..12_i16).prop_map(Step::Give),
        1 => any::<i16>().prop_map(Step::Give),
        1 => prop_oneof![Just(2_999), Just(3_001), Just(-3_001)].prop_map(Step::Give),
        3 => (0..150_u64).prop_map(Step::Wait),
    ]
}

/// Follows the outputs and finds what is named twice, or not at all.
#[derive(Default)]
struct Account {
    next: Option<u64>,
}

impl Account {
    fn take(&mut self, stream: &Stream, output: &Output) -> Result<(), TestCaseError> {
        let (first, end) = match output {
            Output::Restart { first } => {
                prop_assert!(self.next.is_none_or(|next| next <= first.get()));
                self.next = Some(first.get());
                return Ok(());
            }
            Output::Frame(frame) => {
                let seqs = stream.whole(frame)?;
                let last = seqs[seqs.len() - 1].wrapping_sub(seqs[0]);
                (frame.first_seq.get(), frame.first_seq.get() + u64::from(last) + 1)
            }
            Output::Dropped { first, count } | Output::Missing { first, count } => {
                (first.get(), first.get() + count)
            }
            _ => return Err(TestCaseError::fail("an output that is not known here")),
        };
        for skipped in self.next.unwrap_or(first)..first {
            prop_assert_eq!(stream.place(skipped as u16).kind, Kind::Padding);
        }
        prop_assert!(self.next.unwrap_or(first) <= first && first < end);
        self.next = Some(end);
        Ok(())
    }
}

proptest! {
    #[test]
    fn each_number_is_accounted_for_once(
        stream in stream(),
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let config = DepacketizerConfig::default().max_bytes(MAX_BYTES).max_packets(MAX_PACKETS);
        let mut machine = Depacketizer::new(SSRC, Codec::Vp8, config);
        let mut now = Instant::now();
        let mut seq = stream.base;
        let mut account = Account::default();
        let mut queued = 0;
        let (mut given_out, mut missing) = (0, 0);
        for step in steps {
            let mut seqs = Vec::new();
            match step {
                Step::Give(offset) => seqs.push(seq.wrapping_add_signed(offset)),
                Step::Run(count) => seqs.extend((1..=count).map(|by| seq.wrapping_add(by))),
                Step::Wait(millis) => {
                    now += Duration::from_millis(millis);
                    machine.handle_timeout(now);
                }
            }
            for given in seqs {
                seq = given;
                let verdict = machine.handle_packet(now, stream.packet(seq));
                queued += u64::from(matches!(verdict, Verdict::Queued | Verdict::Jumped));
                prop_assert!(machine.held() <= MAX_BYTES);
            }
            prop_assert!(machine.poll_timeout().is_none_or(|deadline| deadline > now));
            while let Some(output) = machine.poll_output() {
                account.take(&stream, &output)?;
                match output {
                    Output::Frame(frame) => given_out += frame.packets as u64,
                    Output::Missing { count, .. } => missing += count,
                    _ => {}
                }
            }
        }
        // In the end nothing is waited for, and every packet that was taken is in a counter,
        // but those of a frame that may yet go on.
        machine.handle_timeout(now + Duration::from_secs(5));
        while let Some(output) = machine.poll_output() {
            account.take(&stream, &output)?;
            match output {
                Output::Frame(frame) => given_out += frame.packets as u64,
                Output::Missing { count, .. } => missing += count,
                _ => {}
            }
        }
        prop_assert_eq!(machine.poll_timeout(), None);
        let stats = machine.stats();
        let counted = given_out + stats.dropped_packets + stats.padding;
        let open = u64::from(machine.held() > 0);
        prop_assert!(counted + open <= queued && (open == 1 || counted == queued));
        prop_assert_eq!(missing, stats.missing);
        prop_assert_eq!(stats.malformed_frames, 0);
    }

    #[test]
    fn without_loss_every_frame_comes_back(
        mut stream in stream(),
        within in 1..16_usize,
        moves in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 400),
    ) {
        for sent in &mut stream.sent {
            if sent.kind == Kind::Malformed {
                sent.kind = Kind::Later;
            }
        }
        // The last frame is proven whole by its marker.
        let media = |sent: &&mut Sent| sent.kind != Kind::Padding;
        stream.sent.iter_mut().rev().find(media).expect("a frame").marker = true;

        // The first packet comes first; each other is overtaken by fewer than `within`.
        let count = stream.sent.len() as u16;
        let mut order: Vec<_> = (0..count).map(|by| stream.base.wrapping_add(by)).collect();
        for (chunk, moves) in order[1..].chunks_mut(within).zip(moves.chunks(within)) {
            for (at, (with, _)) in moves.iter().enumerate().take(chunk.len()) {
                chunk.swap(at, with.index(chunk.len()));
            }
        }
        let copies = order.iter().zip(&moves).flat_map(|(&seq, &(_, copy))| {
            std::iter::repeat_n(seq, 1 + usize::from(copy))
        });

        let mut machine = Depacketizer::new(SSRC, Codec::Vp8, DepacketizerConfig::default());
        let now = Instant::now();
        for seq in copies {
            let _ = machine.handle_packet(now, stream.packet(seq));
        }
        let frames = stream.sent.iter().filter(|sent| sent.kind == Kind::First).count();
        let mut ticks = None;
        for _ in 0..frames {
            match machine.poll_output() {
                Some(Output::Frame(frame)) => {
                    stream.whole(&frame)?;
                    let step = ticks.map_or(3_000, |ticks| frame.time.ticks() - ticks);
                    prop_assert_eq!(step, 3_000);
                    ticks = Some(frame.time.ticks());
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(machine.poll_output(), None);
        prop_assert_eq!(machine.held(), 0);
    }
}
