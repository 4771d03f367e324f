//! What a jitter buffer promises, whatever the network does.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::time::{Duration, Instant};

use paceline_jitter::types::{Frequency, MediaTime, NtpTime, SeqNo};
use paceline_jitter::{
    JitterBuffer, JitterConfig, Media, Output, Sample, State, StreamSync, SyncConfig, Verdict,
};
use proptest::prelude::*;

fn time(seq: u64) -> MediaTime {
    MediaTime::new(seq * 960, Frequency::AUDIO)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn drain(buffer: &mut JitterBuffer<u64>, now: Instant) -> Vec<Output<u64>> {
    buffer.handle_timeout(now);
    std::iter::from_fn(|| buffer.poll_output()).collect()
}

#[test]
fn a_clean_stream_plays_at_exactly_the_least_delay() {
    let start = Instant::now();
    let mut buffer = JitterBuffer::new(JitterConfig::default());
    for seq in 0..500 {
        let now = start + ms(20 * seq);
        assert_eq!(buffer.handle_frame(now, SeqNo::new(seq), time(seq), seq), Verdict::Queued);
        for output in drain(&mut buffer, now) {
            let Output::Play { payload, due, .. } = output else { panic!("{output:?}") };
            assert_eq!(due, start + ms(20 * payload) + ms(50));
        }
    }
    assert_eq!(buffer.stats().lost + buffer.stats().late, 0);
    assert_eq!(buffer.state(), State::Stable);
}

#[test]
fn the_delay_grows_with_jitter_and_shrinks_after_it() {
    let start = Instant::now();
    let mut buffer = JitterBuffer::new(JitterConfig::default());
    for seq in 0..2_000_u64 {
        let extra = if seq < 500 && seq % 50 == 0 { 120 } else { 0 };
        let now = start + ms(20 * seq + extra);
        let _ = buffer.handle_frame(now, SeqNo::new(seq), time(seq), seq);
        drain(&mut buffer, now);
        if seq == 400 {
            assert_eq!(buffer.stats().delay, ms(120));
        }
    }
    assert_eq!(buffer.stats().delay, ms(50));
}

#[test]
fn a_stall_longer_than_the_bound_is_dropped_not_replayed_slowly() {
    let start = Instant::now();
    let mut buffer = JitterBuffer::new(JitterConfig::default());
    let _ = buffer.handle_frame(start, SeqNo::new(0), time(0), 0);
    drain(&mut buffer, start + ms(50));
    let verdict = buffer.handle_frame(start + ms(900), SeqNo::new(1), time(1), 1);
    assert_eq!(verdict, Verdict::Late(1));
    let verdict = buffer.handle_frame(start + ms(900), SeqNo::new(44), time(44), 44);
    assert_eq!(verdict, Verdict::Queued);
    let outputs = drain(&mut buffer, start + ms(1_300));
    assert_eq!(outputs[0], Output::Lost { first: SeqNo::new(1), count: 43 });
}

#[test]
fn one_hostile_timestamp_schedules_nothing_and_three_are_a_new_start() {
    let start = Instant::now();
    let mut buffer = JitterBuffer::new(JitterConfig::default());
    let _ = buffer.handle_frame(start, SeqNo::new(0), time(0), 0);
    let far = MediaTime::new(u64::MAX, Frequency::AUDIO);
    assert_eq!(buffer.handle_frame(start, SeqNo::new(1), far, 1), Verdict::Outlier(1));
    assert_eq!(buffer.handle_frame(start, SeqNo::new(2), time(2), 2), Verdict::Queued);
    for seq in 3..6 {
        let verdict = buffer.handle_frame(start, SeqNo::new(seq), time(seq + 10_000), seq);
        assert_eq!(verdict == Verdict::Queued, seq == 5);
    }
    assert_eq!(buffer.stats().resyncs, 1);
    assert_eq!(buffer.poll_timeout(), Some(start + ms(50)));
}

#[test]
fn too_many_frames_are_played_early() {
    let start = Instant::now();
    let mut buffer = JitterBuffer::new(JitterConfig::default().min_delay(ms(200)).max_frames(4));
    for seq in 0..6 {
        let _ = buffer.handle_frame(start + ms(20 * seq), SeqNo::new(seq), time(seq), seq);
    }
    assert_eq!(drain(&mut buffer, start + ms(100)).len(), 2);
    assert_eq!(buffer.stats().early, 2);
}

#[test]
fn an_absurd_capture_time_holds_nothing_back_for_ever() {
    let now = Instant::now();
    let mut sync = StreamSync::new(SyncConfig::default());
    let capture = NtpTime::from_unix(Duration::from_secs(4_000));
    let sample = |capture| Sample { capture, playout: now, delay: ms(50) };
    sync.handle_sample(Media::Audio, sample(capture));
    sync.handle_sample(Media::Video, sample(NtpTime::default()));
    assert_eq!(sync.min_playout_delay(Media::Audio), ms(350));
    assert_eq!(sync.min_playout_delay(Media::Video), Duration::ZERO);
}

proptest! {
    /// Whatever a network drops, doubles and reorders: what comes out is in order,
    /// nothing twice, and each frame before the last is either played or told lost.
    #[test]
    fn every_frame_is_played_or_told_lost_once(
        arrivals in prop::collection::vec((0_u64..200, 0_u64..400), 1..300),
    ) {
        let start = Instant::now();
        let mut order: Vec<_> =
            arrivals.iter().map(|&(seq, jitter)| (20 * seq + jitter, seq)).collect();
        order.sort_unstable();
        let mut buffer = JitterBuffer::new(JitterConfig::default());
        let mut outputs = Vec::new();
        for (at, seq) in order {
            let now = start + ms(at);
            let _ = buffer.handle_frame(now, SeqNo::new(seq), time(seq), seq);
            outputs.extend(drain(&mut buffer, now));
        }
        outputs.extend(drain(&mut buffer, start + ms(10_000)));

        let mut next: Option<u64> = None;
        for output in outputs {
            let (first, count) = match output {
                Output::Play { seq, payload, .. } => {
                    prop_assert_eq!(seq.get(), payload);
                    (seq.get(), 1)
                }
                Output::Lost { first, count } => (first.get(), count),
                _ => unreachable!("there is no third"),
            };
            prop_assert!(next.is_none_or(|next| next == first));
            next = Some(first + count);
        }
    }
}
