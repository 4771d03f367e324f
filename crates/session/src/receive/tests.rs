#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use paceline_jitter::JitterConfig;
use paceline_types::{AudioCodec, Coding, Frequency, MediaTime, PixelFormat, SeqNo, VideoCodec};

use super::stream::MAX_OVERLAP;
use super::*;

const ANN: SenderId = SenderId::new(1);
const BEN: SenderId = SenderId::new(2);
const OF_ANN: Epoch = Epoch::new(1, 0);
const HANDED_TO_BEN: Epoch = Epoch::new(1, 1);
const BEN_ELECTED: Epoch = Epoch::new(2, 0);
const TICK: Duration = Duration::from_millis(20);

/// 20 ms of a mix, of which the first byte tells who made it.
fn sound(stream: StreamId, seq: u64, maker: SenderId) -> EncodedFrame {
    EncodedFrame {
        stream,
        seq: SeqNo::new(seq),
        time: MediaTime::new(seq * 960, Frequency::AUDIO),
        capture: NtpTime::default(),
        coding: Coding::Audio { codec: AudioCodec::PcmF32, channels: 1 },
        data: vec![maker.get() as u8; 8].into(),
    }
}

fn picture(seq: u64, time: u64) -> EncodedFrame {
    EncodedFrame {
        stream: StreamId::MIX_VIDEO,
        time: MediaTime::new(time, Frequency::VIDEO),
        coding: Coding::Image { format: PixelFormat::I420, width: 2, height: 2 },
        ..sound(StreamId::MIX_VIDEO, seq, ANN)
    }
}

/// As it comes over the channel.
fn direct(frame: EncodedFrame) -> (EncodedFrame, CaptureTime) {
    (frame, CaptureTime::Own)
}

#[test]
fn a_mix_that_goes_on_after_an_interruption_is_as_late_as_lip_sync_wants_it() {
    let mut bench = Bench::new();
    bench.send(ANN, OF_ANN, 0..20, 10);
    bench.run(0..400);
    let key = key_of(ANN, StreamId::MIX_AUDIO);
    let stream = bench.receiver.streams.get_mut(&key).expect("it came");
    stream.set_min_delay(Duration::from_millis(150));
    bench.receiver.interrupt_mix();
    bench.send(ANN, OF_ANN, 50..70, 10);
    bench.run(400..1_500);
    let first = bench.played.iter().find(|&&(_, seq, ..)| seq == 50).expect("it goes on");
    assert!(first.0 >= 50 * 20 + 10 + 140, "at {}", first.0);
}

/// A receiver that is given frames and asked for what is due each millisecond.
struct Bench {
    start: Instant,
    receiver: Receiver,
    frames: Vec<(u64, SenderId, EncodedFrame, Epoch)>,
    /// When, since the start; which number; of whom; with whom crossfaded.
    played: Vec<(u64, u64, u8, Option<u8>)>,
    lost: u64,
}

impl Bench {
    fn new() -> Self {
        let receiver = Receiver::new(SessionConfig::default());
        let (frames, played) = (Vec::new(), Vec::new());
        Self { start: Instant::now(), receiver, frames, played, lost: 0 }
    }

    /// `sender` sends these numbers so that number n comes at 20·n + `after` ms.
    fn send(&mut self, sender: SenderId, epoch: Epoch, seqs: std::ops::Range<u64>, after: u64) {
        self.frames.extend(
            seqs.map(|seq| {
                (20 * seq + after, sender, sound(StreamId::MIX_AUDIO, seq, sender), epoch)
            }),
        );
    }

    fn run(&mut self, millis: std::ops::Range<u64>) {
        self.frames.sort_by_key(|&(at, ..)| at);
        for ms in millis {
            let now = self.start + Duration::from_millis(ms);
            for (_, sender, frame, epoch) in self.frames.iter().filter(|&&(at, ..)| at == ms) {
                assert!(self.receiver.handle_frame(
                    now,
                    *sender,
                    direct(frame.clone()),
                    Some(*epoch)
                ));
            }
            self.receiver.handle_timeout(now);
            while let Some(due) = self.receiver.poll_due(now) {
                match due {
                    Due::Crossfade { stream, old, new, epoch, .. } => {
                        assert_eq!((stream.sender, epoch), (MIX, HANDED_TO_BEN));
                        assert_eq!(old.seq, new.seq);
                        let both = (new.data[0], Some(old.data[0]));
                        self.played.push((ms, new.seq.get(), both.0, both.1));
                    }
                    Due::Lost { count, .. } => self.lost += count,
                    Due::Play { stream, frame, .. } => {
                        assert_eq!(stream.sender, MIX);
                        self.played.push((ms, frame.seq.get(), frame.data[0], None));
                    }
                    Due::Rate { .. } => {}
                }
            }
        }
    }

    fn stats(&self) -> ReceiveStats {
        let sound = StreamKey { sender: MIX, stream: StreamId::MIX_AUDIO };
        let mut all = self.receiver.all_stats();
        all.find(|&(key, _)| key == sound).map(|(_, stats)| stats).unwrap_or_default()
    }
}

#[test]
fn a_frame_whose_capture_is_not_known_is_reported_with_the_last_that_was() {
    let mut receiver = Receiver::new(SessionConfig::default());
    let now = Instant::now();
    let at = |seq, capture| EncodedFrame { capture, ..sound(StreamId::AUDIO, seq, ANN) };
    let known = NtpTime::from_unix(Duration::from_secs(5));
    let told = |receiver: &Receiver| receiver.reports(ANN)[0].last_capture;
    assert!(receiver.handle_frame(now, ANN, direct(at(0, NtpTime::default())), None));
    assert_eq!(told(&receiver), NtpTime::default());
    assert!(receiver.handle_frame(now + TICK, ANN, direct(at(1, known)), None));
    assert!(receiver.handle_frame(now + TICK * 2, ANN, direct(at(2, NtpTime::default())), None));
    assert_eq!(told(&receiver), known);
}

#[test]
fn a_handover_is_one_stream_with_both_mixes_where_both_are() {
    let mut bench = Bench::new();
    // Ben is 15 ms nearer: his first frames come before Ann's last.
    bench.send(ANN, OF_ANN, 0..52, 40);
    bench.send(BEN, HANDED_TO_BEN, 50..100, 25);
    bench.run(0..2_200);
    let numbers: Vec<_> = bench.played.iter().map(|&(_, seq, ..)| seq).collect();
    assert_eq!(numbers, Vec::from_iter(0..100));
    assert_eq!(bench.lost, 0);
    for &(_, seq, new, old) in &bench.played {
        let expected = match seq {
            0..50 => (1, None),
            50..52 => (2, Some(1)),
            _ => (2, None),
        };
        assert_eq!((new, old), expected, "{seq}");
    }
    let stats = bench.stats();
    assert_eq!((stats.overlapped, stats.restarts, stats.jitter.resyncs), (2, 0, 0));
}

#[test]
fn who_is_elected_is_heard_at_once_and_nothing_between_is_lost() {
    let mut bench = Bench::new();
    bench.send(ANN, OF_ANN, 0..50, 40);
    // He took 600 ms, his path is slower, and his clock is 700 ms ahead of hers.
    let (ahead, first) = (35, 50 + 30 + 35);
    for seq in first..first + 50 {
        let at = 20 * (seq - ahead) + 90;
        bench.frames.push((at, BEN, sound(StreamId::MIX_AUDIO, seq, BEN), BEN_ELECTED));
    }
    bench.run(0..3_000);
    assert_eq!(bench.played.len(), 100, "{:?}", bench.played);
    assert_eq!(bench.lost, 0);
    assert_eq!(bench.stats().jitter.lost, 0);
    assert_eq!(bench.stats().restarts, 1);
    let (at, seq, ..) = bench.played[50];
    let came = 20 * 80 + 90;
    assert_eq!(seq, first);
    assert!(at <= came + 20, "came at {came}, played at {at}");
}

#[test]
fn what_a_host_left_behind_is_played_before_the_next_ones() {
    let mut bench = Bench::new();
    // He resigned: Ben's first comes while Ann's last still wait.
    bench.receiver.config = bench
        .receiver
        .config
        .clone()
        .jitter(JitterConfig::default().min_delay(Duration::from_millis(100)));
    bench.send(ANN, OF_ANN, 0..50, 40);
    bench.send(BEN, BEN_ELECTED, 53..100, 0);
    bench.run(0..2_500);
    let numbers: Vec<_> = bench.played.iter().map(|&(_, seq, ..)| seq).collect();
    assert_eq!(numbers, Vec::from_iter((0..50).chain(53..100)));
    assert_eq!(bench.lost, 0);
    let stats = bench.stats().jitter;
    assert_eq!((stats.queued, stats.played, stats.lost), (97, 97, 0));
}

#[test]
fn a_second_copy_that_comes_too_late_is_not_heard() {
    let mut bench = Bench::new();
    bench.send(ANN, OF_ANN, 0..52, 40);
    bench.send(BEN, HANDED_TO_BEN, 50..80, 130);
    bench.run(0..2_500);
    let numbers: Vec<_> = bench.played.iter().map(|&(_, seq, ..)| seq).collect();
    assert_eq!(numbers, Vec::from_iter(0..80));
    assert_eq!(bench.stats().overlapped, 0);
    assert_eq!(bench.played[51].2, 1);
    assert_eq!(bench.played[52].2, 2);
}

#[test]
fn copies_of_a_flood_are_not_kept() {
    let mut bench = Bench::new();
    bench.send(ANN, OF_ANN, 0..100, 40);
    for ballot in 1..500 {
        // All at once, while Ann's wait, of the same 20 ms.
        let frame = sound(StreamId::MIX_AUDIO, 50, BEN);
        bench.frames.push((1_045, BEN, frame, Epoch::new(1, ballot)));
    }
    bench.run(0..1_046);
    let key = StreamKey { sender: MIX, stream: StreamId::MIX_AUDIO };
    let stream = &bench.receiver.streams[&key];
    assert!(!stream.overlap.is_empty() && stream.overlap.len() <= MAX_OVERLAP);
    assert_eq!(bench.receiver.streams.len(), 1);
}

#[test]
fn the_mix_outlives_its_host_and_is_reported_to_the_next_as_his() {
    let mut bench = Bench::new();
    // Number 20 is lost on the way from Ann, 70 on the way from Ben.
    bench.send(ANN, OF_ANN, 0..20, 40);
    bench.send(ANN, OF_ANN, 21..50, 40);
    bench.send(BEN, HANDED_TO_BEN, 50..70, 40);
    bench.send(BEN, HANDED_TO_BEN, 71..100, 40);
    bench.run(0..1_000);
    let to_ann = bench.receiver.reports(ANN);
    let of_ann = StreamKey { sender: ANN, stream: StreamId::MIX_AUDIO };
    assert_eq!((to_ann[0].stream, to_ann[0].lost), (of_ann, 1));
    bench.receiver.forget(ANN);
    bench.run(1_000..2_500);
    assert_eq!(bench.played.len(), 98);
    assert!(bench.receiver.reports(ANN).is_empty());
    let to_ben = bench.receiver.reports(BEN);
    let of_ben = StreamKey { sender: BEN, stream: StreamId::MIX_AUDIO };
    assert_eq!((to_ben[0].stream, to_ben[0].lost, to_ben.len()), (of_ben, 1, 1));
    assert_eq!(to_ben[0].highest_seq, 99);
}

#[test]
fn after_a_broken_way_the_mix_goes_on_and_no_picture_counts_as_lost() {
    let start = Instant::now();
    let mut receiver = Receiver::new(SessionConfig::default());
    let mut played = Vec::new();
    let frames = (0..30).chain(180..210).map(|seq| (seq, seq * 3_000));
    for (seq, time) in frames {
        let now = start + Duration::from_micros(seq * 1_000_000 / 30);
        if seq == 180 {
            receiver.interrupt_mix();
        }
        assert!(receiver.handle_frame(now, ANN, direct(picture(seq, time)), Some(OF_ANN)));
        receiver.handle_timeout(now);
        while let Some(due) = receiver.poll_due(now) {
            match due {
                Due::Play { frame, .. } => played.push(frame.seq.get()),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(played, Vec::from_iter((0..30).chain(180..209)));
}

#[test]
fn a_member_s_own_sound_does_not_become_the_mix() {
    let mut receiver = Receiver::new(SessionConfig::default());
    let now = Instant::now();
    let own = sound(StreamId::AUDIO, 7, BEN);
    assert!(receiver.handle_frame(now, BEN, direct(own), Some(BEN_ELECTED)));
    assert!(receiver.handle_frame(
        now,
        BEN,
        direct(sound(StreamId::MIX_AUDIO, 7, BEN)),
        Some(OF_ANN)
    ));
    let keys: Vec<_> = receiver.all_stats().map(|(key, _)| key.sender).collect();
    assert_eq!(keys, [MIX, BEN]);
    let now = now + 5 * TICK;
    let due = std::iter::from_fn(|| receiver.poll_due(now));
    let epochs: Vec<_> = due
        .filter_map(|due| match due {
            Due::Play { epoch, .. } => Some(epoch),
            _ => None,
        })
        .collect();
    assert_eq!(epochs, [Some(OF_ANN), None]);
}

#[test]
fn a_keyframe_that_waits_answers_until_it_is_played_or_goes_with_its_buffer() {
    let start = Instant::now();
    let key = key_of(ANN, StreamId::MIX_VIDEO);
    let at = |seq: u64| start + Duration::from_micros(seq * 1_000_000 / 30);
    let delta = |seq: u64| {
        let (codec, discardable, width, height) = (VideoCodec::H264, false, 2, 2);
        let coding = Coding::Video { codec, key: false, discardable, width, height };
        EncodedFrame { coding, ..picture(seq, 3_000 * seq) }
    };
    let take = |receiver: &mut Receiver, frame: EncodedFrame| {
        let now = at(frame.seq.get());
        assert!(receiver.handle_frame(now, ANN, direct(frame), Some(OF_ANN)));
    };
    let play = |receiver: &mut Receiver, now| while receiver.poll_due(now).is_some() {};

    let mut receiver = Receiver::new(SessionConfig::default());
    assert!(receiver.needs_keyframe(key), "of what is not known");
    for seq in 0..10 {
        take(&mut receiver, delta(seq));
        play(&mut receiver, at(seq));
    }
    assert!(receiver.needs_keyframe(key));
    take(&mut receiver, picture(10, 30_000));
    assert!(!receiver.needs_keyframe(key));
    assert_eq!(receiver.poll_needs_keyframe(), None);
    play(&mut receiver, at(40));
    assert!(receiver.needs_keyframe(key), "it was played");
    assert_eq!(receiver.poll_needs_keyframe(), None);

    // One that waits while the way breaks twice is there no more.
    take(&mut receiver, picture(41, 123_000));
    assert!(!receiver.needs_keyframe(key));
    for seq in [42, 43] {
        receiver.interrupt_mix();
        assert_eq!(receiver.poll_needs_keyframe(), None, "{seq}");
        take(&mut receiver, delta(seq));
    }
    assert_eq!(receiver.poll_needs_keyframe(), Some(key));
    assert_eq!(receiver.poll_needs_keyframe(), None);
    assert!(receiver.needs_keyframe(key));
}

/// How lip sync took 12 s of a picture over RTP with a report each second, of which the `odd`
/// ones are off by 60 ms: with how many readings, how many it ignored, and how often the
/// wallclock stepped.
fn readings(odd: std::ops::Range<u64>) -> (u64, u64, u64) {
    let mut receiver = Receiver::new(SessionConfig::default());
    let (start, epoch) = (Instant::now(), Some(OF_ANN));
    for seq in 0..360 {
        let passed = Duration::from_micros(seq * 1_000_000 / 30);
        let off = if odd.contains(&(seq / 30)) { 60 } else { 0 };
        let capture = NtpTime::from_unix(passed + Duration::from_millis(1_000 + off));
        let known = if seq % 30 == 0 { CaptureTime::Reported } else { CaptureTime::Derived };
        let frame = EncodedFrame { capture, ..picture(seq, 3_000 * seq) };
        assert!(receiver.handle_frame(start + passed, ANN, (frame, known), epoch));
        while receiver.poll_due(start + passed).is_some() {}
    }
    let stats = receiver.sync.stats();
    (stats.captures + stats.reports, stats.outliers, stats.steps)
}

#[test]
fn one_report_is_one_reading_for_lip_sync_and_two_that_agree_are_a_step() {
    assert_eq!(readings(0..0), (12, 0, 0));
    assert_eq!(readings(3..4), (12, 1, 0));
    assert_eq!(readings(3..12), (12, 1, 1));
}

#[test]
fn what_the_newest_report_says_is_read_again_for_the_next_host() {
    let mut receiver = Receiver::new(SessionConfig::default());
    let now = Instant::now();
    for (seq, epoch) in [(0, OF_ANN), (1, OF_ANN), (2, HANDED_TO_BEN), (3, HANDED_TO_BEN)] {
        let capture = NtpTime::from_unix(Duration::from_secs(1) + TICK * seq as u32);
        let frame = EncodedFrame { capture, ..sound(StreamId::MIX_AUDIO, seq, ANN) };
        let frame = (frame, CaptureTime::Derived);
        assert!(receiver.handle_frame(now + TICK * seq as u32, ANN, frame, Some(epoch)));
    }
    assert_eq!(receiver.sync.stats().reports, 2);
}

#[test]
fn what_was_lost_of_the_mix_over_an_earlier_connection_is_not_told_over_the_next() {
    let mut bench = Bench::new();
    bench.send(ANN, OF_ANN, 0..20, 10);
    bench.send(ANN, OF_ANN, 23..50, 10);
    bench.run(0..1_100);
    let told = |bench: &Bench| bench.receiver.reports(ANN)[0].lost;
    assert_eq!(told(&bench), 3);
    bench.receiver.forget(ANN);
    bench.receiver.interrupt_mix();
    assert_eq!(told(&bench), 0, "before anything came");
    // A second later, under the same epoch.
    bench.send(ANN, OF_ANN, 100..120, 10);
    bench.send(ANN, OF_ANN, 121..150, 10);
    bench.run(1_100..3_200);
    assert_eq!(told(&bench), 1);
    assert_eq!(bench.stats().jitter.lost, 4);
}
