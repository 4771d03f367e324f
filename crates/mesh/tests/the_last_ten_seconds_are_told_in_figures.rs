//! Quality of a connection: what is in it, for how long, and what a liar can do.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::time::{Duration, Instant};

use paceline_mesh::framing::ReceptionReport;
use paceline_mesh::types::{
    AudioCodec, Bitrate, Coding, NtpTime, SenderId, StreamId, StreamKey, VideoCodec,
};
use paceline_mesh::{Direction, QualityConfig, QualityMeter, RttRange};
use proptest::prelude::*;

const SOUND: Coding = Coding::Audio { codec: AudioCodec::Opus, channels: 1 };

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn video(width: u16, height: u16) -> Coding {
    Coding::Video { codec: VideoCodec::H264, key: false, discardable: false, width, height }
}

const fn key(stream: StreamId) -> StreamKey {
    StreamKey { sender: SenderId::new(1), stream }
}

fn report(highest_seq: u32, lost: u32, jitter: u32) -> ReceptionReport {
    ReceptionReport {
        stream: key(StreamId::VIDEO),
        highest_seq,
        lost,
        jitter,
        last_capture: NtpTime::default(),
        queue_delay: 0,
    }
}

#[test]
fn rates_are_those_of_the_last_ten_seconds() {
    let start = Instant::now();
    let mut meter = QualityMeter::new(start, QualityConfig::default());
    // 20 s of 30 pictures of 5,000 bytes, then of 15 of 2,000.
    for at in 0..35_000 {
        let now = start + ms(at);
        if at < 20_000 && at % 100 < 3 {
            meter.handle_sent(now, key(StreamId::VIDEO), &video(640, 360), 5_000);
        }
        if at >= 20_000 && at % 200 < 3 {
            meter.handle_sent(now, key(StreamId::VIDEO), &video(320, 180), 2_000);
        }
        if at % 20 == 0 {
            meter.handle_received(now, key(StreamId::AUDIO), &SOUND, 100);
        }
    }
    let before = meter.quality(start + ms(35_000));
    // The current half second has not begun to fill: nine and a half count.
    let now = start + ms(34_999);
    let quality = meter.quality(now);
    assert!((235_000..245_000).contains(&quality.sent.bps()), "{quality:?}");
    assert!((39_500..40_500).contains(&quality.received.bps()), "{quality:?}");
    assert!(before.sent_bytes < quality.sent_bytes + 2_000);
    let [sound, video] = meter.streams(now).collect::<Vec<_>>()[..] else { panic!("two streams") };
    assert_eq!((sound.direction, sound.resolution), (Direction::Received, None));
    assert!((49.5..50.5).contains(&sound.frame_rate), "{sound:?}");
    assert_eq!((video.direction, video.resolution), (Direction::Sent, Some((320, 180))));
    assert!((14.5..15.5).contains(&video.frame_rate), "{video:?}");
    // What is over is over.
    let later = start + ms(46_000);
    assert_eq!(meter.quality(later).sent_bytes, 0);
    assert_eq!(meter.streams(later).count(), 0);
}

#[test]
fn a_picture_that_does_not_tell_its_size_is_not_one_without_any() {
    let now = Instant::now();
    let mut meter = QualityMeter::new(now, QualityConfig::default());
    for (size, resolution) in
        [((0, 0), None), ((640, 360), Some((640, 360))), ((0, 0), Some((640, 360)))]
    {
        meter.handle_received(now, key(StreamId::VIDEO), &video(size.0, size.1), 1_000);
        let stream = meter.streams(now).next().expect("one came");
        assert_eq!(stream.resolution, resolution);
    }
}

#[test]
fn round_trips_have_a_least_a_mean_and_a_most() {
    let start = Instant::now();
    let mut meter = QualityMeter::new(start, QualityConfig::default());
    meter.handle_rtt(start, ms(500));
    for (at, rtt) in [(11_000, 20), (12_000, 40), (13_000, 90)] {
        meter.handle_rtt(start + ms(at), ms(rtt));
    }
    meter.handle_rtt(start + ms(13_000), Duration::MAX);
    meter.set_capacity(Some(Bitrate::from_kbps(3_000)));
    let quality = meter.quality(start + ms(13_000));
    assert_eq!(quality.rtt, Some(RttRange { min: ms(20), mean: ms(50), max: ms(90) }));
    assert_eq!(quality.capacity, Some(Bitrate::from_kbps(3_000)));
    assert_eq!(meter.quality(start + ms(24_000)).rtt, None);
}

#[test]
fn loss_is_what_the_reports_differ_by() {
    let start = Instant::now();
    let mut meter = QualityMeter::new(start, QualityConfig::default());
    // Of a stream that was never sent nothing is believed.
    meter.handle_report(start, &report(0, 0, 0));
    meter.handle_report(start, &report(100, 50, 900_000));
    assert_eq!((meter.quality(start).expected, meter.quality(start).jitter), (0, None));

    meter.handle_sent(start, key(StreamId::VIDEO), &video(640, 360), 1);
    // (at, highest, lost) → (expected, lost) in all; it wraps on the way.
    for (at, highest, lost, expected) in [
        (0, u32::MAX - 9, u32::MAX, (0, 0)),
        (1_000, 20, 2, (30, 3)),
        // A late one came after all; then it stands still.
        (2_000, 50, 1, (60, 3)),
        (3_000, 50, 1, (60, 3)),
        // It goes back, as after a restart.
        (4_000, 7, 0, (60, 3)),
        (5_000, 37, 1, (90, 4)),
        // More lost than there were.
        (6_000, 47, 900, (100, 14)),
        // More than any stream has.
        (7_000, 1_000_000, 900_000, (100, 14)),
    ] {
        meter.handle_report(start + ms(at), &report(highest, lost, 700));
        let quality = meter.quality(start + ms(at));
        assert_eq!((quality.expected, quality.lost), expected, "{at}");
    }
    let quality = meter.quality(start + ms(7_000));
    assert_eq!(quality.jitter, Some(Duration::from_micros(700)));
    assert!((quality.loss() - 0.14).abs() < 1e-6);
    assert_eq!(meter.quality(start + ms(18_000)).jitter, None);
}

#[test]
fn figures_are_given_out_at_their_interval() {
    let start = Instant::now();
    let config = QualityConfig::default().update_every(ms(2_000));
    let mut meter = QualityMeter::new(start, config);
    let mut told = 0;
    let mut now = start;
    while now < start + ms(20_000) {
        now = meter.poll_timeout();
        assert!(meter.poll_update(now - ms(1)).is_none());
        told += u32::from(meter.poll_update(now).is_some());
        assert!(meter.poll_update(now).is_none());
    }
    assert_eq!(told, 10);
}

#[test]
fn streams_are_bounded_and_one_that_has_ended_makes_room() {
    let start = Instant::now();
    let mut meter = QualityMeter::new(start, QualityConfig::default().max_streams(2));
    for id in 0..100 {
        meter.handle_received(start, key(StreamId::new(id)), &SOUND, 10);
    }
    assert_eq!(meter.streams(start).count(), 2);
    assert_eq!(meter.quality(start).received_bytes, 20);
    let later = start + ms(11_000);
    meter.handle_received(later, key(StreamId::new(50)), &SOUND, 10);
    assert_eq!(meter.streams(later).map(|s| s.stream.stream.get()).collect::<Vec<_>>(), [50]);
}

proptest! {
    /// Whatever is reported, and whenever: no panic, no more lost than expected, and no
    /// more expected than a stream can have.
    #[test]
    fn a_liar_cannot_produce_nonsense(
        script in prop::collection::vec(
            (any::<u32>(), any::<u32>(), any::<u32>(), 0..3_000_u64, 0..4_u8), 1..200),
    ) {
        let start = Instant::now();
        let mut meter = QualityMeter::new(start, QualityConfig::default());
        let mut now = start;
        for (highest, lost, jitter, wait, step) in script {
            now += ms(wait);
            match step {
                0 => meter.handle_sent(now, key(StreamId::VIDEO), &video(640, 360), highest as usize),
                1 => meter.handle_rtt(now, Duration::from_micros(jitter.into())),
                2 => meter.handle_report(now, &report(highest, lost, jitter)),
                _ => meter.handle_report(now, &report(highest % 9_000, lost % 9_000, jitter)),
            }
            let quality = meter.quality(now);
            prop_assert!(quality.lost <= quality.expected);
            prop_assert!((0.0..=1.0).contains(&quality.loss()));
            prop_assert!(quality.expected <= 200 * 10_000);
            prop_assert!(quality.rtt.is_none_or(|rtt| rtt.min <= rtt.mean && rtt.mean <= rtt.max));
            prop_assert!(quality.jitter.is_none_or(|jitter| jitter <= ms(60_000)));
            prop_assert!(meter.streams(now).all(|s| s.frame_rate.is_finite() && s.lost <= s.expected));
        }
    }
}
