//! What is left out, what is replaced, and what is never lost: policy by policy.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::types::{
    Coding, EncodedFrame, Frequency, MediaTime, NtpTime, PixelFormat, SenderId, SeqNo, StreamId,
    VideoCodec,
};
use paceline_framing::{
    Body, Control, Cut, Fragmenter, Interleaver, InterleaverConfig, Packet, QueuePolicy,
    Reassembler, ReassemblyConfig, Verdict, Watermark,
};
use proptest::prelude::*;

const KEY: Coding = video(true, false);
const DELTA: Coding = video(false, false);
const DISCARDABLE: Coding = video(false, true);

const fn video(key: bool, discardable: bool) -> Coding {
    Coding::Video { codec: VideoCodec::H264, key, discardable, width: 640, height: 360 }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn reliable(deadline: Duration, max_bytes: usize) -> QueuePolicy {
    QueuePolicy::Reliable { deadline, max_bytes }
}

/// Application data whose first eight bytes are a number.
fn data(fragmenter: &mut Fragmenter, channel: u16, number: u64, len: usize) -> Cut {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(8 + len, 0);
    let body = Body::Control(Control::ApplicationData { channel, data: bytes.into() });
    fragmenter.cut(&Packet { sender: SenderId::new(1), epoch: None, body })
}

fn picture(fragmenter: &mut Fragmenter, seq: u64, coding: Coding, len: usize) -> Cut {
    let frame = EncodedFrame {
        stream: StreamId::VIDEO,
        seq: SeqNo::new(seq),
        time: MediaTime::new(0, Frequency::VIDEO),
        capture: NtpTime::default(),
        coding,
        data: vec![0; len].into(),
    };
    fragmenter.cut(&Packet { sender: SenderId::new(1), epoch: None, body: Body::Media(frame) })
}

/// What arrives: for data its channel and number, for a picture 0 and its number.
#[derive(Debug)]
struct Receiver {
    reassembler: Reassembler,
    arrived: Vec<(u16, u64)>,
}

impl Receiver {
    fn new() -> Self {
        let config = ReassemblyConfig::default().max_age(Duration::from_secs(3_600));
        Self { reassembler: Reassembler::new(config), arrived: Vec::new() }
    }

    fn take(&mut self, now: Instant, message: Bytes) {
        self.reassembler.handle_message(now, message).expect("what is sent parses");
        while let Some(packet) = self.reassembler.poll_output() {
            self.arrived.push(match packet.body {
                Body::Control(Control::ApplicationData { channel, data }) => {
                    let number = data.first_chunk().expect("it begins with a number");
                    (channel, u64::from_be_bytes(*number))
                }
                Body::Media(frame) => (0, frame.seq.get()),
                other => panic!("nobody sent {other:?}"),
            });
        }
    }

    fn take_all(&mut self, now: Instant, queue: &mut Interleaver) {
        while let Some(message) = queue.pop(now, 0) {
            self.take(now, message);
        }
        assert_eq!(self.reassembler.held(), 0, "no packet is left in pieces");
    }
}

#[test]
fn what_may_not_be_left_out_becomes_overdue_instead() {
    let start = Instant::now();
    let mut fragmenter = Fragmenter::new(1_000);
    let mut queue = Interleaver::new(InterleaverConfig::default());
    assert_eq!(queue.poll_timeout(), None);
    let _ = queue.push(start, data(&mut fragmenter, 1, 0, 2_500));
    let _ = queue.push(start + ms(500), data(&mut fragmenter, 1, 1, 10));
    assert_eq!(queue.poll_timeout(), Some(start + ms(4_000)));
    assert!(!queue.overdue(start + ms(3_999)));
    assert!(queue.overdue(start + ms(4_000)));
    assert_eq!(queue.push(start + ms(4_000), data(&mut fragmenter, 1, 2, 10)), Verdict::Full);

    // A large packet that moves is not overdue, and nothing is lost by the wait.
    let mut receiver = Receiver::new();
    let now = start + ms(2_100);
    receiver.take(now, queue.pop(now, 0).unwrap());
    assert_eq!(queue.poll_timeout(), Some(now + ms(4_000)));
    assert!(!queue.overdue(now));
    assert_eq!(queue.push(now, data(&mut fragmenter, 1, 3, 10)), Verdict::Queued);
    receiver.take_all(now, &mut queue);
    assert_eq!(receiver.arrived, [(1, 0), (1, 1), (1, 3)]);
    assert_eq!((queue.poll_timeout(), queue.oldest_age(now)), (None, None));
}

#[test]
fn a_stalled_viewer_holds_256_kib_of_data() {
    let start = Instant::now();
    let mut fragmenter = Fragmenter::new(16_384);
    let mut queue = Interleaver::new(InterleaverConfig::default());
    for number in 0..10_000 {
        let _ = queue.push(start + ms(number / 10), data(&mut fragmenter, 1, number, 1_000));
    }
    assert!(queue.queued_bytes() <= 256 << 10);
    assert!(queue.queued_bytes() >= 250 << 10, "the room is used");
}

/// 30 pictures a second of 33 KiB, which is 8 Mbit/s.
#[test]
fn a_stalled_viewer_of_8_mbit_holds_less_than_256_kib() {
    let start = Instant::now();
    let mut fragmenter = Fragmenter::new(16_384);
    let mut queue = Interleaver::new(InterleaverConfig::default());
    let mut most = 0;
    for seq in 0..300 {
        let coding = if seq % 30 == 0 { KEY } else { DELTA };
        let _ =
            queue.push(start + ms(seq * 100 / 3), picture(&mut fragmenter, seq, coding, 33_333));
        most = most.max(queue.queued_bytes());
    }
    assert!((200 << 10..=270 << 10).contains(&most), "{most}");
}

#[test]
fn a_keyframe_of_a_megabyte_goes_with_the_pictures_behind_it() {
    let start = Instant::now();
    let mut fragmenter = Fragmenter::new(16_384);
    let mut queue = Interleaver::new(InterleaverConfig::default());
    let mut receiver = Receiver::new();
    let _ = queue.push(start, picture(&mut fragmenter, 0, KEY, 900_000));
    // 40 Mbit/s: ten messages in a picture's time.
    for seq in 1..10 {
        let now = start + ms(33 * seq);
        let _ = queue.push(now, picture(&mut fragmenter, seq, DELTA, 5_000));
        for message in std::iter::from_fn(|| queue.pop(now, 0)).take(10) {
            receiver.take(now, message);
        }
    }
    let expected: Vec<_> = (0..10).map(|seq| (0, seq)).collect();
    assert_eq!(receiver.arrived, expected);
    assert!(!queue.poll_needs_keyframe());
}

#[test]
fn a_picture_that_waits_is_replaced_by_one_that_stands_alone() {
    let now = Instant::now();
    let config =
        InterleaverConfig::default().video_policy(QueuePolicy::LatestWins { max_bytes: 100_000 });
    let (mut cutter, mut queue) = (Fragmenter::new(1_000), Interleaver::new(config));
    let mut receiver = Receiver::new();
    let image = Coding::Image { format: PixelFormat::Rgba, width: 20, height: 20 };
    for seq in 0..3 {
        assert_eq!(queue.push(now, picture(&mut cutter, seq, image, 1_600)), Verdict::Queued);
    }
    receiver.take(now, queue.pop(now, 0).unwrap());
    // The one that is begun stays; of the others the latest.
    for (seq, coding, len) in [(3, image, 1_600), (4, KEY, 500), (5, image, 1_600)] {
        assert_eq!(queue.push(now, picture(&mut cutter, seq, coding, len)), Verdict::Queued);
    }
    receiver.take_all(now, &mut queue);
    assert_eq!(receiver.arrived, [(0, 2), (0, 5)]);
    assert_eq!(queue.stats().replaced_video, 4);

    // What builds on one that waits cannot take its place.
    let verdicts = [(6, KEY), (7, DISCARDABLE), (8, DELTA), (9, DELTA)]
        .map(|(seq, coding)| queue.push(now, picture(&mut cutter, seq, coding, 500)));
    assert_eq!(verdicts, [Verdict::Queued, Verdict::Shed, Verdict::Shed, Verdict::Shed]);
    assert!(queue.poll_needs_keyframe());
    receiver.take_all(now, &mut queue);
    assert_eq!(queue.push(now, picture(&mut cutter, 10, DELTA, 500)), Verdict::Shed);
    assert_eq!(queue.push(now, picture(&mut cutter, 11, KEY, 500)), Verdict::Queued);
    receiver.take_all(now, &mut queue);
    assert_eq!(receiver.arrived[2..], [(0, 6), (0, 11)]);
    assert_eq!(queue.stats().refused_video, 4);
}

#[test]
fn a_channel_that_is_replaced_often_keeps_its_turn() {
    let now = Instant::now();
    let config =
        InterleaverConfig::default().data_policy(QueuePolicy::LatestWins { max_bytes: 10_000 });
    let (mut cutter, mut queue) = (Fragmenter::new(1_000), Interleaver::new(config));
    let mut receiver = Receiver::new();
    for number in 0..20 {
        for channel in [1, 1, 2] {
            let _ = queue.push(now, data(&mut cutter, channel, number, 10));
        }
        receiver.take(now, queue.pop(now, 0).unwrap());
    }
    let of = |channel| receiver.arrived.iter().filter(|arrived| arrived.0 == channel).count();
    assert_eq!((of(1), of(2)), (10, 10));
}

#[test]
fn a_mark_is_told_once_for_each_time_it_is_passed() {
    let now = Instant::now();
    let config = InterleaverConfig::default().watermarks(5_000, 10_000);
    let (mut cutter, mut queue) = (Fragmenter::new(16_384), Interleaver::new(config));
    let mut told = Vec::new();
    for step in 0..40 {
        // Up to 10, down to 6, up to 10, down to 0 thousand bytes.
        match step {
            0..10 | 14..18 => {
                let _ = queue.push(now, data(&mut cutter, 1, 0, 800));
            }
            _ => drop(queue.pop(now, 0)),
        }
        if let Some(mark) = queue.poll_watermark() {
            told.push((mark, queue.queued_bytes()));
        }
        assert_eq!(queue.poll_watermark(), None);
    }
    assert_eq!(
        told.iter().map(|told| told.0).collect::<Vec<_>>(),
        [Watermark::Congested, Watermark::Drained]
    );
    assert!(told[0].1 >= 10_000 && told[1].1 <= 5_000, "{told:?}");

    let _ = queue.push(now, data(&mut cutter, 1, 0, 20_000));
    assert_eq!(queue.poll_watermark(), Some(Watermark::Congested));
    queue.clear();
    assert_eq!(queue.poll_watermark(), Some(Watermark::Drained));
}

#[test]
fn a_window_is_never_overrun_but_by_a_message_that_is_alone() {
    let now = Instant::now();
    let (mut cutter, mut queue) =
        (Fragmenter::new(1_000), Interleaver::new(InterleaverConfig::default()));
    let _ = queue.push(now, data(&mut cutter, 1, 0, 9_000));
    queue.set_window(2_500);
    let mut outstanding = 0;
    while let Some(message) = queue.pop(now, outstanding) {
        outstanding += message.len();
    }
    assert_eq!(outstanding, 2_000);
    queue.set_window(10);
    assert_eq!(queue.pop(now, 1), None);
    assert!(queue.pop(now, 0).is_some());
    queue.clear();
    let _ = queue.push(now, data(&mut cutter, 1, 0, 100));
    assert_eq!(queue.pop(now, 1), None, "the window is the path's");
}

#[test]
fn the_oldest_of_all_classes_has_the_age() {
    let start = Instant::now();
    let (mut cutter, mut queue) =
        (Fragmenter::new(1_000), Interleaver::new(InterleaverConfig::default()));
    assert_eq!(queue.oldest_age(start), None);
    let _ = queue.push(start, data(&mut cutter, 1, 0, 10));
    let _ = queue.push(start + ms(20), picture(&mut cutter, 0, KEY, 10));
    let _ = queue.pop(start + ms(20), 0);
    assert_eq!(queue.oldest_age(start + ms(50)), Some(ms(50)));
}

/// What a script does: pushes so much on a channel, lets time pass, takes messages.
fn script() -> impl Strategy<Value = Vec<(u16, usize, u64, usize)>> {
    prop::collection::vec((0..4_u16, 0..6_000_usize, 0..300_u64, 0..8_usize), 1..120)
}

proptest! {
    /// Whatever is taken arrives, once and in its order, and what waits is within the
    /// bound or one packet.
    #[test]
    fn nothing_is_lost_doubled_or_reordered_under_reliable(script in script()) {
        const BOUND: usize = 20_000;
        let config = InterleaverConfig::default().data_policy(reliable(ms(2_000), BOUND));
        let (mut cutter, mut queue) = (Fragmenter::new(1_000), Interleaver::new(config));
        let mut receiver = Receiver::new();
        let (mut now, mut taken) = (Instant::now(), Vec::new());
        for (number, (channel, len, wait, pops)) in (0_u64..).zip(script) {
            now += ms(wait);
            let (due, held) = (queue.overdue(now), queue.queued_bytes());
            let cut = data(&mut cutter, channel, number, len);
            let cost = cut.bytes() + 64 * cut.messages().len() + 192;
            match queue.push(now, cut) {
                Verdict::Queued => taken.push((channel, number)),
                verdict => {
                    prop_assert_eq!(verdict, Verdict::Full);
                    prop_assert!(due || held + cost > BOUND);
                }
            }
            prop_assert!(queue.queued_bytes() <= BOUND || held == 0);
            prop_assert_eq!(queue.overdue(now), queue.poll_timeout().is_some_and(|at| at <= now));
            for message in std::iter::from_fn(|| queue.pop(now, 0)).take(pops) {
                receiver.take(now, message);
            }
        }
        receiver.take_all(now, &mut queue);
        prop_assert_eq!(receiver.arrived, taken);
        prop_assert_eq!(queue.queued_bytes(), 0);
    }

    /// On every channel the last packet that was taken is the last to arrive; none
    /// arrives after a newer one; each one is delivered or counted.
    #[test]
    fn the_latest_always_arrives_under_latest_wins(script in script()) {
        const BOUND: usize = 15_000;
        let config = InterleaverConfig::default()
            .data_policy(QueuePolicy::LatestWins { max_bytes: BOUND });
        let (mut cutter, mut queue) = (Fragmenter::new(1_000), Interleaver::new(config));
        let mut receiver = Receiver::new();
        let (mut now, mut latest, mut taken) = (Instant::now(), BTreeMap::new(), 0);
        let mut largest = 0;
        for (number, (channel, len, wait, pops)) in (0_u64..).zip(script) {
            now += ms(wait);
            let cut = data(&mut cutter, channel, number, len);
            largest = largest.max(cut.bytes() + 64 * cut.messages().len() + 192);
            if queue.push(now, cut) == Verdict::Queued {
                latest.insert(channel, number);
                taken += 1;
            }
            prop_assert!(queue.queued_bytes() <= BOUND.max(largest));
            for message in std::iter::from_fn(|| queue.pop(now, 0)).take(pops) {
                receiver.take(now, message);
            }
        }
        receiver.take_all(now, &mut queue);
        let mut last = BTreeMap::new();
        for &(channel, number) in &receiver.arrived {
            prop_assert!(last.insert(channel, number).is_none_or(|before| before < number));
        }
        prop_assert_eq!(last, latest);
        let stats = queue.stats();
        prop_assert_eq!(receiver.arrived.len() as u64 + stats.replaced_data, taken);
    }

    /// Under any policy and any bound: what is begun is finished, what arrives can be
    /// decoded, and what did not arrive is counted.
    #[test]
    fn what_is_begun_is_finished_under_every_policy(
        policy in 0..3,
        script in prop::collection::vec(
            (0..4, 0..6_000_usize, 0..200_u64, 0..8_usize), 1..120),
    ) {
        const BOUND: usize = 15_000;
        let policy = match policy {
            0 => reliable(ms(500), BOUND),
            1 => QueuePolicy::LatestWins { max_bytes: BOUND },
            _ => QueuePolicy::DropToKeyframe { max_age: ms(250), max_bytes: BOUND },
        };
        let config = InterleaverConfig::default().video_policy(policy);
        let (mut cutter, mut queue) = (Fragmenter::new(1_000), Interleaver::new(config));
        let mut receiver = Receiver::new();
        let mut now = Instant::now();
        let mut kinds = Vec::new();
        for (seq, (kind, len, wait, pops)) in (0_u64..).zip(script) {
            now += ms(wait);
            let coding = match kind {
                0 => KEY,
                1 => DISCARDABLE,
                _ if seq == 0 => KEY,
                _ => DELTA,
            };
            kinds.push(coding);
            let _ = queue.push(now, picture(&mut cutter, seq, coding, len));
            for message in std::iter::from_fn(|| queue.pop(now, 0)).take(pops) {
                receiver.take(now, message);
            }
        }
        receiver.take_all(now, &mut queue);
        // It starts anywhere: before the first keyframe there is nothing to build on.
        let mut decoded = None;
        for &(_, seq) in &receiver.arrived {
            if kinds[seq as usize] == KEY {
                decoded = Some(seq);
            }
            let base = (0..seq).rev().find(|&at| kinds[at as usize] != DISCARDABLE);
            let begins = kinds[..=seq as usize].iter().all(|&kind| kind == DISCARDABLE);
            prop_assert!(decoded == Some(seq) || decoded == base || begins, "{} {:?}", seq, decoded);
            if kinds[seq as usize] != DISCARDABLE {
                decoded = Some(seq);
            }
        }
        let stats = queue.stats();
        let left_out = stats.full + stats.refused_video + stats.replaced_video + stats.shed_video;
        prop_assert_eq!(receiver.arrived.len() as u64 + left_out, kinds.len() as u64);
    }
}
