//! The cache of a stream: what is in it, for how long, and that it copies nothing.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::time::{Duration, Instant};

use paceline_mesh::framing::{Body, Control, Cut, Fragmenter, Packet};
use paceline_mesh::types::{
    AudioCodec, Coding, EncodedFrame, Frequency, MediaTime, NtpTime, SenderId, SeqNo, StreamId,
    StreamKey, VideoCodec,
};
use paceline_mesh::{Cache, CacheConfig};
use proptest::prelude::*;

const SENDER: SenderId = SenderId::new(7);
const VIDEO: StreamKey = StreamKey { sender: SENDER, stream: StreamId::VIDEO };
const MIX: StreamKey = StreamKey { sender: SENDER, stream: StreamId::MIX_VIDEO };

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Key,
    Delta,
    Discardable,
}
use Kind::{Delta, Discardable, Key};

/// Pictures of 30 a second, by their number.
fn packet(stream: StreamKey, seq: u64, kind: Kind, len: usize) -> Packet {
    let frame = EncodedFrame {
        stream: stream.stream,
        seq: SeqNo::new(seq),
        time: MediaTime::new(3_000 * seq, Frequency::VIDEO),
        capture: NtpTime::default(),
        coding: Coding::Video {
            codec: VideoCodec::H264,
            key: kind == Key,
            discardable: kind == Discardable,
            width: 640,
            height: 360,
        },
        data: vec![0; len].into(),
    };
    Packet { sender: stream.sender, epoch: None, body: Body::Media(frame) }
}

#[derive(Debug)]
struct Sender {
    fragmenter: Fragmenter,
    cache: Cache,
}

impl Sender {
    fn new(config: CacheConfig) -> Self {
        Self { fragmenter: Fragmenter::new(1_000), cache: Cache::new(config) }
    }

    fn send(&mut self, now: Instant, packet: &Packet) -> Cut {
        let cut = self.fragmenter.cut(packet);
        self.cache.handle_packet(now, packet, &cut);
        cut
    }

    /// Whether the bytes are those of `cuts`, at the same place in memory.
    fn replays(&mut self, now: Instant, stream: StreamKey, cuts: &[&Cut]) -> bool {
        let places =
            |cut: &Cut| cut.messages().iter().map(|message| message.as_ptr()).collect::<Vec<_>>();
        let kept = self.cache.replay(now, stream).map(|cuts| cuts.map(places).collect::<Vec<_>>());
        kept.is_some_and(|kept| kept == cuts.iter().map(|cut| places(cut)).collect::<Vec<_>>())
    }
}

#[test]
fn it_is_the_last_keyframe_and_what_others_need_since_and_shares_its_bytes() {
    let now = Instant::now();
    let mut sender = Sender::new(CacheConfig::default());
    let cuts = [Key, Delta, Key, Delta, Discardable, Delta]
        .iter()
        .zip(0..)
        .map(|(&kind, seq)| sender.send(now, &packet(VIDEO, seq, kind, 2_500)))
        .collect::<Vec<_>>();
    // Two streams do not get in each other's way.
    let mix = sender.send(now, &packet(MIX, 90, Key, 700));
    assert!(sender.replays(now, VIDEO, &[&cuts[2], &cuts[3], &cuts[5]]));
    assert!(sender.replays(now, MIX, &[&mix]));
    assert_eq!(sender.cache.streams(now).collect::<Vec<_>>(), [VIDEO, MIX]);
}

#[test]
fn nothing_is_kept_before_a_keyframe_or_after_a_gap() {
    let now = Instant::now();
    let mut sender = Sender::new(CacheConfig::default());
    for (seq, kind, kept) in [
        (0, Delta, None),
        (1, Key, Some(1)),
        (2, Discardable, Some(1)),
        (3, Delta, Some(2)),
        (5, Delta, None),
        (6, Delta, None),
        (7, Key, Some(1)),
        (7, Delta, None),
        (8, Key, Some(1)),
        // One that nobody needs is missed all the same: who knows what else is.
        (10, Discardable, None),
    ] {
        sender.send(now, &packet(VIDEO, seq, kind, 100));
        let count = sender.cache.replay(now, VIDEO).map(Iterator::count);
        assert_eq!(count, kept, "{seq}");
    }
}

#[test]
fn it_is_void_when_it_is_two_seconds_old_by_either_clock() {
    let start = Instant::now();
    let mut sender = Sender::new(CacheConfig::default());
    // By arrival, without any other call.
    let key = sender.send(start, &packet(VIDEO, 0, Key, 100));
    assert!(sender.replays(start + ms(2_000), VIDEO, &[&key]));
    assert!(sender.cache.replay(start + ms(2_001), VIDEO).is_none());
    assert_eq!(sender.cache.held(), 0);
    // By media time, though all of it came at once: 60 pictures are 2 s.
    for seq in 0..=60 {
        sender.send(start, &packet(VIDEO, seq, if seq == 0 { Key } else { Delta }, 100));
    }
    assert_eq!(sender.cache.replay(start, VIDEO).map(Iterator::count), Some(61));
    sender.send(start, &packet(VIDEO, 61, Delta, 100));
    assert!(sender.cache.replay(start, VIDEO).is_none());
    sender.send(start, &packet(VIDEO, 62, Delta, 100));
    assert!(sender.cache.replay(start, VIDEO).is_none(), "until the next keyframe");
    // A call for one stream lets go of another.
    sender.send(start, &packet(MIX, 0, Key, 100));
    sender.send(start + ms(2_001), &packet(VIDEO, 63, Delta, 100));
    assert_eq!(sender.cache.held(), 0);
}

#[test]
fn it_is_void_when_it_is_too_much() {
    let now = Instant::now();
    let mut sender = Sender::new(CacheConfig::default());
    sender.send(now, &packet(VIDEO, 0, Key, 600_000));
    sender.send(now, &packet(VIDEO, 1, Delta, 600_000));
    assert!(sender.cache.replay(now, VIDEO).is_none());
    sender.send(now, &packet(VIDEO, 2, Key, 1_100_000));
    assert!(sender.cache.replay(now, VIDEO).is_none());
    assert_eq!(sender.cache.held(), 0);
    sender.send(now, &packet(VIDEO, 3, Key, 600_000));
    assert!(sender.cache.replay(now, VIDEO).is_some());
}

#[test]
fn sound_and_control_are_not_kept_and_streams_are_bounded() {
    let now = Instant::now();
    let mut sender = Sender::new(CacheConfig::default().max_streams(2));
    let Packet { body: Body::Media(mut sound), .. } = packet(VIDEO, 0, Key, 100) else {
        panic!("it is a frame");
    };
    sound.coding = Coding::Audio { codec: AudioCodec::Opus, channels: 1 };
    sound.time = MediaTime::new(0, Frequency::AUDIO);
    for body in [Body::Media(sound), Body::Control(Control::Ping { t1: 0 })] {
        sender.send(now, &Packet { sender: SENDER, epoch: None, body });
        assert_eq!(sender.cache.held(), 0);
    }
    let streams = [1, 2, 3].map(|id| StreamKey { sender: SENDER, stream: StreamId::new(id) });
    for stream in streams.iter().chain(&streams) {
        sender.send(now, &packet(*stream, 0, Key, 100));
    }
    assert_eq!(sender.cache.streams(now).collect::<Vec<_>>(), streams[..2]);
}

proptest! {
    /// Whatever is sent: what is replayed begins with a keyframe that is young enough, no
    /// needed picture since is missing, and the bounds hold.
    #[test]
    fn what_is_replayed_can_be_decoded(
        script in prop::collection::vec((0..2_u8, 0..8_u8, 0..300_u64, 0..3_000_usize), 1..200),
    ) {
        let config = CacheConfig::default().max_bytes(20_000);
        let mut sender = Sender::new(config);
        let start = Instant::now();
        let mut now = start;
        let mut all: [Vec<(Cut, Kind, Instant)>; 2] = Default::default();
        for (stream, kind, wait, len) in script {
            now += ms(wait);
            let key = [VIDEO, MIX][usize::from(stream)];
            let sent = &mut all[usize::from(stream)];
            let kind = match kind {
                0 => Key,
                1 | 2 => Discardable,
                _ => Delta,
            };
            let cut = sender.send(now, &packet(key, sent.len() as u64, kind, len));
            sent.push((cut, kind, now));
            prop_assert!(sender.cache.held() <= 2 * 20_000);
            for (key, sent) in [VIDEO, MIX].into_iter().zip(&all) {
                let last = sent.iter().rposition(|sent| sent.1 == Key);
                let needed: Vec<_> = last.map_or(Vec::new(), |last| {
                    sent[last..].iter().filter(|sent| sent.1 != Discardable).map(|sent| &sent.0).collect()
                });
                let age = last.map(|last| now - sent[last].2);
                let bytes: usize =
                    needed.iter().map(|cut| cut.bytes() + 64 * cut.messages().len() + 192).sum();
                let media = last.map_or(0, |last| sent.len() - 1 - last);
                let expected = age.is_some_and(|age| age <= ms(2_000)) && bytes <= 20_000 && media <= 60;
                prop_assert_eq!(sender.replays(now, key, &needed), expected);
                prop_assert_eq!(sender.cache.replay(now, key).is_some(), expected);
            }
        }
    }
}
