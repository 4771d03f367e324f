//! The queue of one peer: what overtakes what, and what is left out.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::types::{
    AudioCodec, Coding, EncodedFrame, Frequency, MediaTime, NtpTime, PixelFormat, SenderId, SeqNo,
    StreamId, VideoCodec,
};
use paceline_framing::{
    Body, Class, Control, Cut, Fragmenter, Interleaver, InterleaverConfig, Packet, QueuePolicy,
    Reassembler, ReassemblyConfig, Verdict,
};
use proptest::prelude::*;

const SENDER: SenderId = SenderId::new(1);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn pictures(max_bytes: usize) -> QueuePolicy {
    QueuePolicy::DropToKeyframe { max_age: ms(250), max_bytes }
}

fn frame(stream: StreamId, seq: u64, coding: Coding, data: Vec<u8>) -> Packet {
    let clock = if coding.is_audio() { Frequency::AUDIO } else { Frequency::VIDEO };
    let frame = EncodedFrame {
        stream,
        seq: SeqNo::new(seq),
        time: MediaTime::new(0, clock),
        capture: NtpTime::default(),
        coding,
        data: data.into(),
    };
    Packet { sender: SENDER, epoch: None, body: Body::Media(frame) }
}

/// Cuts to messages of 1,000 bytes.
#[derive(Debug)]
struct Maker(Fragmenter);

impl Maker {
    fn new() -> Self {
        Self(Fragmenter::new(1_000))
    }

    fn control(&mut self) -> Cut {
        let body = Body::Control(Control::Ping { t1: 0 });
        self.0.cut(&Packet { sender: SENDER, epoch: None, body })
    }

    fn audio(&mut self, seq: u64) -> Cut {
        let coding = Coding::Audio { codec: AudioCodec::Opus, channels: 1 };
        self.0.cut(&frame(StreamId::AUDIO, seq, coding, vec![0; 80]))
    }

    fn key(&mut self, seq: u64, len: usize) -> Cut {
        self.video(StreamId::VIDEO, seq, true, false, len)
    }

    fn delta(&mut self, seq: u64, len: usize) -> Cut {
        self.video(StreamId::VIDEO, seq, false, false, len)
    }

    fn video(
        &mut self,
        stream: StreamId,
        seq: u64,
        key: bool,
        discardable: bool,
        len: usize,
    ) -> Cut {
        let codec = VideoCodec::H264;
        let coding = Coding::Video { codec, key, discardable, width: 640, height: 360 };
        self.0.cut(&frame(stream, seq, coding, vec![0; len]))
    }

    fn image(&mut self, seq: u64, side: u16) -> Cut {
        let coding = Coding::Image { format: PixelFormat::Rgba, width: side, height: side };
        let len = 4 * usize::from(side) * usize::from(side);
        self.0.cut(&frame(StreamId::VIDEO, seq, coding, vec![0; len]))
    }
}

/// The sequence numbers of all packets that still go out, in order.
fn drain(queue: &mut Interleaver, now: Instant) -> Vec<u64> {
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    std::iter::from_fn(|| queue.pop(now, 0))
        .filter_map(|message| {
            reassembler.handle_message(now, message).expect("what is sent parses");
            match reassembler.poll_output()?.body {
                Body::Media(frame) => Some(frame.seq.get()),
                Body::Control(_) => None,
            }
        })
        .collect()
}

fn kind_of(message: &Bytes) -> u8 {
    message[7]
}

#[test]
fn a_cut_knows_what_it_is() {
    let mut maker = Maker::new();
    let classes = |cut: &Cut| (cut.class(), cut.is_video(), cut.is_key());
    assert_eq!(classes(&maker.control()), (Class::Control, false, false));
    assert_eq!(classes(&maker.audio(0)), (Class::Audio, false, true));
    assert_eq!(classes(&maker.key(0, 10)), (Class::Video, true, true));
    assert_eq!(classes(&maker.delta(0, 10)), (Class::Video, true, false));
    assert_eq!(classes(&maker.image(0, 4)), (Class::Video, true, true));
}

#[test]
fn a_clone_of_a_cut_shares_its_bytes() {
    let cut = Maker::new().key(0, 5_000);
    assert_eq!(cut.messages().as_ptr(), cut.clone().messages().as_ptr());
}

#[test]
fn control_goes_before_sound_before_pictures() {
    let now = Instant::now();
    let (mut maker, mut queue) = (Maker::new(), Interleaver::new(InterleaverConfig::default()));
    for cut in [maker.key(0, 10), maker.audio(0), maker.control(), maker.audio(1)] {
        assert_eq!(queue.push(now, cut), Verdict::Queued);
    }
    let kinds: Vec<_> = std::iter::from_fn(|| queue.pop(now, 0)).map(|m| kind_of(&m)).collect();
    assert_eq!(kinds, [129, 2, 2, 4]);
    assert_eq!(queue.queued_bytes(), 0);
}

#[test]
fn an_applications_data_goes_last_and_may_have_to_wait() {
    let now = Instant::now();
    let mut make = Maker::new();
    let data = |make: &mut Maker, len| {
        let data = Bytes::from(vec![0; len]);
        let body = Body::Control(Control::ApplicationData { channel: 1, data });
        make.0.cut(&Packet { sender: SENDER, epoch: None, body })
    };
    let mut queue = Interleaver::new(
        InterleaverConfig::default()
            .data_policy(QueuePolicy::Reliable { deadline: ms(2_000), max_bytes: 1_500 }),
    );
    // Larger than the bound, but it waits alone.
    assert_eq!(queue.push(now, data(&mut make, 2_500)), Verdict::Queued);
    assert_eq!(queue.push(now, data(&mut make, 10)), Verdict::Full);
    assert_eq!(queue.stats().full, 1);
    // It is no reason to keep anything else out.
    for cut in [make.key(0, 10), make.audio(0), make.control()] {
        assert_eq!(queue.push(now, cut), Verdict::Queued);
    }
    let kinds: Vec<_> = std::iter::from_fn(|| queue.pop(now, 0)).map(|m| kind_of(&m)).collect();
    assert_eq!(kinds, [129, 2, 4, 148, 148, 148]);
    assert_eq!(queue.push(now, data(&mut make, 10)), Verdict::Queued);
}

/// What the transport holds can be neither overtaken nor shed.
#[test]
fn at_most_two_messages_are_in_the_engine() {
    let now = Instant::now();
    let mut queue = Interleaver::new(InterleaverConfig::default());
    let coding = Coding::Image { format: PixelFormat::Rgba, width: 200, height: 200 };
    let picture = frame(StreamId::VIDEO, 0, coding, vec![0; 4 * 200 * 200]);
    let _ = queue.push(now, Fragmenter::new(16_384).cut(&picture));
    let mut engine = VecDeque::new();
    for _ in 0..20 {
        while let Some(message) = queue.pop(now, engine.iter().sum()) {
            engine.push_back(message.len());
        }
        assert!(engine.len() <= 2 && engine.iter().sum::<usize>() <= 32 << 10);
        let _ = engine.pop_front();
    }
    assert_eq!((queue.queued_bytes(), engine.len()), (0, 0));
}

#[test]
fn a_packet_that_is_begun_is_finished_before_the_next_of_its_class() {
    let now = Instant::now();
    let (mut maker, mut queue) = (Maker::new(), Interleaver::new(InterleaverConfig::default()));
    let (first, second) = (maker.key(0, 3_000), maker.delta(1, 3_000));
    let _ = queue.push(now, first.clone());
    assert_eq!(queue.pop(now, 0).as_ref(), first.messages().first());
    let _ = queue.push(now, second.clone());
    let _ = queue.push(now, maker.audio(0));
    assert_eq!(kind_of(&queue.pop(now, 0).unwrap()), 2);
    let rest: Vec<_> = std::iter::from_fn(|| queue.pop(now, 0)).collect();
    assert_eq!(rest, [&first.messages()[1..], second.messages()].concat());
}

#[test]
fn an_old_picture_is_shed_with_all_that_builds_on_it() {
    let start = Instant::now();
    let (mut maker, mut queue) = (Maker::new(), Interleaver::new(InterleaverConfig::default()));
    for seq in 0..3 {
        let cut = if seq == 0 { maker.key(0, 3_000) } else { maker.delta(seq, 500) };
        assert_eq!(queue.push(start + ms(100 * seq), cut), Verdict::Queued);
    }
    // The first is 250 ms old, then older.
    assert!(!queue.poll_needs_keyframe());
    assert_eq!(queue.push(start + ms(250), maker.delta(3, 500)), Verdict::Queued);
    let now = start + ms(251);
    assert_eq!(queue.push(now, maker.delta(4, 500)), Verdict::Shed);
    assert!(queue.poll_needs_keyframe());
    assert!(!queue.poll_needs_keyframe(), "it is told once");
    assert_eq!(queue.queued_bytes(), 0);
    assert_eq!((queue.stats().shed_video, queue.stats().refused_video), (4, 1));

    assert_eq!(queue.push(now, maker.key(5, 500)), Verdict::Queued);
    assert_eq!(queue.push(now, maker.delta(6, 500)), Verdict::Queued);
    assert_eq!(drain(&mut queue, now), [5, 6]);
}

#[test]
fn a_keyframe_that_waits_ends_the_shedding() {
    let start = Instant::now();
    let (mut maker, mut queue) = (Maker::new(), Interleaver::new(InterleaverConfig::default()));
    let _ = queue.push(start, maker.delta(0, 500));
    let _ = queue.push(start + ms(100), maker.delta(1, 500));
    let _ = queue.push(start + ms(200), maker.key(2, 500));
    let now = start + ms(300);
    assert_eq!(queue.push(now, maker.delta(3, 500)), Verdict::Queued);
    assert!(!queue.poll_needs_keyframe());
    assert_eq!(drain(&mut queue, now), [2, 3]);
}

#[test]
fn a_picture_that_nothing_builds_on_is_shed_alone() {
    let start = Instant::now();
    let (mut maker, mut queue) = (Maker::new(), Interleaver::new(InterleaverConfig::default()));
    let _ = queue.push(start, maker.video(StreamId::VIDEO, 0, false, true, 500));
    let _ = queue.push(start + ms(200), maker.delta(1, 500));
    let now = start + ms(300);
    assert_eq!(drain(&mut queue, now), [1]);
    assert!(!queue.poll_needs_keyframe());
    // Plain images need nothing either.
    let _ = queue.push(now, maker.image(2, 20));
    let _ = queue.push(now + ms(200), maker.image(3, 20));
    assert_eq!(drain(&mut queue, now + ms(300)), [3]);
    assert!(!queue.poll_needs_keyframe());
}

#[test]
fn a_stream_is_not_shed_for_another() {
    let start = Instant::now();
    let (mut maker, mut queue) = (Maker::new(), Interleaver::new(InterleaverConfig::default()));
    let _ = queue.push(start, maker.delta(0, 500));
    let _ = queue.push(start + ms(200), maker.video(StreamId::MIX_VIDEO, 1, false, false, 500));
    let now = start + ms(300);
    assert_eq!(queue.push(now, maker.delta(2, 500)), Verdict::Shed);
    assert_eq!(drain(&mut queue, now), [1]);
}

#[test]
fn a_keyframe_is_asked_for_once_for_each_stream() {
    let now = Instant::now();
    let config = InterleaverConfig::default().video_policy(pictures(5_000));
    let (mut maker, mut queue) = (Maker::new(), Interleaver::new(config));
    // Too many messages, again and again.
    for seq in 0..3 {
        let mut fragmenter = Fragmenter::new(Fragmenter::MIN_MESSAGE);
        let coding = Coding::Image { format: PixelFormat::Rgba, width: 2_000, height: 1_000 };
        let huge = frame(StreamId::new(9), seq, coding, vec![0; 8_000_000]);
        let coding = Coding::Video {
            codec: VideoCodec::H264,
            key: true,
            discardable: false,
            width: 2_000,
            height: 1_000,
        };
        let Body::Media(mut media) = huge.body else { unreachable!("it is a frame") };
        media.coding = coding;
        let huge = Packet { body: Body::Media(media), ..huge };
        assert_eq!(queue.push(now, fragmenter.cut(&huge)), Verdict::TooLarge);
        assert_eq!(queue.poll_needs_keyframe(), seq == 0);
    }
    // Another stream's keyframe that makes way for the next has its successor.
    for seq in 0..3 {
        assert_eq!(queue.push(now, maker.key(seq, 3_000)), Verdict::Queued);
        assert!(!queue.poll_needs_keyframe());
    }
}

#[test]
fn a_picture_that_is_begun_is_never_shed() {
    let start = Instant::now();
    let config = InterleaverConfig::default().video_policy(pictures(10_000));
    let (mut maker, mut queue) = (Maker::new(), Interleaver::new(config));
    let _ = queue.push(start, maker.key(0, 9_000));
    let begun = queue.pop(start, 0).unwrap();
    let _ = queue.push(start, maker.delta(1, 500));
    // It takes a keyframe that makes the rest too much, and time.
    assert_eq!(queue.push(start, maker.key(2, 9_000)), Verdict::Queued);
    assert_eq!(queue.stats().shed_video, 1);
    assert!(!queue.poll_needs_keyframe(), "there is one");
    let now = start + ms(1_000);
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    reassembler.handle_message(now, begun).unwrap();
    while let Some(message) = queue.pop(now, 0) {
        reassembler.handle_message(now, message).unwrap();
    }
    let Some(Body::Media(frame)) = reassembler.poll_output().map(|packet| packet.body) else {
        panic!("the picture that was begun arrives");
    };
    assert_eq!((frame.seq.get(), reassembler.poll_output()), (0, None));
    assert!(queue.poll_needs_keyframe(), "the keyframe became too old");
}

#[test]
fn too_many_bytes_of_pictures_are_shed_oldest_first() {
    let now = Instant::now();
    let config = InterleaverConfig::default().video_policy(pictures(11_000));
    let (mut maker, mut queue) = (Maker::new(), Interleaver::new(config));
    for seq in 0..10 {
        // Each is 1,600 bytes, and some 400 beside.
        assert_eq!(queue.push(now, maker.image(seq, 20)), Verdict::Queued);
        assert!(queue.queued_bytes() <= 11_000);
    }
    assert_eq!(drain(&mut queue, now), [5, 6, 7, 8, 9]);
}

#[test]
fn a_picture_over_the_bound_goes_if_it_waits_alone() {
    let now = Instant::now();
    let config = InterleaverConfig::default().video_policy(pictures(10_000));
    let (mut maker, mut queue) = (Maker::new(), Interleaver::new(config));
    assert_eq!(queue.push(now, maker.image(0, 100)), Verdict::Queued);
    assert_eq!(queue.push(now, maker.image(1, 100)), Verdict::Queued);
    assert_eq!(drain(&mut queue, now), [1]);
}

#[test]
fn old_sound_is_dropped_and_pictures_do_not_suffer() {
    let start = Instant::now();
    let (mut maker, mut queue) = (Maker::new(), Interleaver::new(InterleaverConfig::default()));
    for seq in 0..30 {
        assert_eq!(queue.push(start + ms(20 * seq), maker.audio(seq)), Verdict::Queued);
    }
    let now = start + ms(600);
    assert_eq!(drain(&mut queue, now), (10..30).collect::<Vec<_>>());
    assert_eq!((queue.stats().shed_audio, queue.stats().shed_video), (10, 0));
    assert!(!queue.poll_needs_keyframe());
}

#[test]
fn control_is_never_shed_but_has_an_end() {
    let start = Instant::now();
    let config = InterleaverConfig::default().max_control_bytes(900);
    let (mut maker, mut queue) = (Maker::new(), Interleaver::new(config));
    let verdicts: Vec<_> = (0..4).map(|_| queue.push(start, maker.control())).collect();
    assert_eq!(verdicts, [Verdict::Queued, Verdict::Queued, Verdict::Queued, Verdict::Full]);
    let later = start + Duration::from_secs(60);
    assert_eq!(std::iter::from_fn(|| queue.pop(later, 0)).count(), 3);
}

#[test]
fn a_picture_of_too_many_messages_breaks_its_stream() {
    let now = Instant::now();
    let mut fragmenter = Fragmenter::new(Fragmenter::MIN_MESSAGE);
    let coding = |key| Coding::Video {
        codec: VideoCodec::H264,
        key,
        discardable: false,
        width: 640,
        height: 360,
    };
    let mut queue = Interleaver::new(InterleaverConfig::default());
    let huge = fragmenter.cut(&frame(StreamId::VIDEO, 0, coding(true), vec![0; 100 << 16]));
    assert_eq!(queue.push(now, huge), Verdict::TooLarge);
    assert!(queue.poll_needs_keyframe());
    let next = fragmenter.cut(&frame(StreamId::VIDEO, 1, coding(false), vec![0; 100]));
    assert_eq!(queue.push(now, next), Verdict::Shed);
}

#[test]
fn a_queue_that_is_cleared_begins_anew() {
    let start = Instant::now();
    let (mut maker, mut queue) = (Maker::new(), Interleaver::new(InterleaverConfig::default()));
    let _ = queue.push(start, maker.key(0, 3_000));
    let _ = queue.push(start, maker.control());
    assert_eq!(queue.push(start + ms(300), maker.delta(1, 100)), Verdict::Shed);
    queue.clear();
    assert!(!queue.poll_needs_keyframe());
    assert_eq!((queue.queued_bytes(), queue.pop(start, 0)), (0, None));
    assert_eq!(queue.push(start, maker.delta(2, 100)), Verdict::Queued);
    assert_eq!(queue.stats().shed_video, 1);
}

proptest! {
    /// On a link that takes a message now and then: the next message after sound
    /// is pushed is sound or control, the order is kept, and the bounds hold.
    #[test]
    fn sound_never_waits_behind_more_than_the_message_on_its_way(
        script in prop::collection::vec((0..6_u8, 0..8_000_usize, 0..60_u64, 0..4_usize), 1..150),
    ) {
        let mut now = Instant::now();
        let config = InterleaverConfig::default().video_policy(pictures(20_000)).max_control_bytes(500);
        let (mut maker, mut queue) = (Maker::new(), Interleaver::new(config));
        let mut arrived = Vec::new();
        let mut reassembler = Reassembler::new(ReassemblyConfig::default().max_age(ms(60_000)));
        let mut newest = 0;
        for (seq, (kind, len, wait, pops)) in (0_u64..).zip(script) {
            now += ms(wait);
            let cut = match kind {
                0 => maker.control(),
                1 => maker.audio(seq),
                2 => maker.key(seq, len),
                _ => maker.delta(seq, len),
            };
            newest = if cut.is_video() { cut.bytes() } else { newest };
            let is_sound = cut.class() == Class::Audio;
            let verdict = queue.push(now, cut);
            prop_assert!(!is_sound || verdict == Verdict::Queued);
            prop_assert!(queue.queued_bytes() <= 20_000 + 8_100 + 500 + 21 * 130 + newest);
            for turn in 0..pops {
                let Some(message) = queue.pop(now, 0) else { break };
                prop_assert!(!is_sound || turn > 0 || kind_of(&message) != 4);
                reassembler.handle_message(now, message).expect("what is sent parses");
                arrived.extend(reassembler.poll_output());
            }
        }
        while let Some(message) = queue.pop(now, 0) {
            reassembler.handle_message(now, message).expect("what is sent parses");
            arrived.extend(reassembler.poll_output());
        }
        prop_assert_eq!((queue.queued_bytes(), reassembler.held()), (0, 0));
        let order = |sound: bool| {
            arrived.iter().filter_map(move |packet| match &packet.body {
                Body::Media(frame) if frame.coding.is_audio() == sound => Some(frame.seq.get()),
                _ => None,
            })
        };
        prop_assert!(order(true).is_sorted() && order(false).is_sorted());
    }

    /// No picture goes out without the one that it builds on.
    #[test]
    fn what_goes_out_can_be_decoded(
        script in prop::collection::vec((any::<bool>(), 0..6_000_usize, 0..80_u64, 0..6_usize), 1..150),
    ) {
        let mut now = Instant::now();
        let config = InterleaverConfig::default().video_policy(pictures(20_000));
        let (mut maker, mut queue) = (Maker::new(), Interleaver::new(config));
        let mut reassembler = Reassembler::new(ReassemblyConfig::default().max_age(ms(60_000)));
        let mut last = None;
        let mut sent = 0;
        let count = script.len() as u64;
        for (seq, (key, len, wait, pops)) in (0_u64..).zip(script) {
            now += ms(wait);
            let cut = if key || seq == 0 { maker.key(seq, len) } else { maker.delta(seq, len) };
            let _ = queue.push(now, cut);
            let pops = if seq + 1 == count { usize::MAX } else { pops };
            for message in std::iter::from_fn(|| queue.pop(now, 0)).take(pops) {
                reassembler.handle_message(now, message).expect("what is sent parses");
                let Some(Packet { body: Body::Media(frame), .. }) = reassembler.poll_output() else {
                    continue;
                };
                let seq = frame.seq.get();
                prop_assert!(frame.coding.is_key() || last.is_some_and(|last| last + 1 == seq));
                last = Some(seq);
                sent += 1;
            }
        }
        let stats = queue.stats();
        prop_assert_eq!(sent + stats.shed_video + stats.refused_video, count);
    }
}
