//! What the ladder says is within its bounds, whatever it is told.

mod ladder_model;

use std::time::Duration;

use ladder_model::epoch;
use paceline_codec::types::{Bitrate, Content};
use paceline_codec::{FrameReport, Ladder, LadderConfig};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Input {
    Source((u16, u16), f64, Content),
    Frames(u16, Duration, FrameReport),
    Target(u64),
    Queue(Duration),
    Timeout,
    Back(Duration),
}

fn input() -> impl Strategy<Value = Input> {
    let rate = prop_oneof![
        1.0..120.0,
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(-1.0),
        Just(0.0),
        Just(1e-300)
    ];
    let side = || prop_oneof![any::<u16>(), 0..2_000_u16, 0..20_u16];
    let content = prop_oneof![Just(Content::Camera), Just(Content::Screen)];
    let span = || {
        prop_oneof![
            (0..100_u64).prop_map(Duration::from_millis),
            Just(Duration::from_secs(3_600)),
            Just(Duration::MAX)
        ]
    };
    let report = (span(), any::<Option<u8>>(), any::<usize>(), any::<bool>()).prop_map(
        |(encode_time, qp, bytes, skipped)| FrameReport { encode_time, qp, bytes, skipped },
    );
    let interval =
        prop_oneof![Just(Duration::ZERO), (1..2_000_u64).prop_map(Duration::from_millis)];
    prop_oneof![
        2 => ((side(), side()), rate, content).prop_map(|(size, rate, content)| Input::Source(size, rate, content)),
        6 => (1..300_u16, interval, report).prop_map(|(count, interval, report)| Input::Frames(count, interval, report)),
        1 => any::<u64>().prop_map(Input::Target),
        1 => span().prop_map(Input::Queue),
        1 => Just(Input::Timeout),
        1 => (0..100_u64).prop_map(|back| Input::Back(Duration::from_secs(back))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever comes in, what goes out is within the source and above the floors.
    #[test]
    fn no_input_takes_a_step_out_of_its_bounds(inputs in prop::collection::vec(input(), 1..40)) {
        let config = LadderConfig::default();
        let mut ladder = Ladder::new(config);
        let mut now = epoch() + Duration::from_secs(10_000);
        let mut source = None;
        for input in inputs {
            match input {
                Input::Source(size, rate, content) => {
                    ladder.handle_source(now, size, rate, content);
                    if size.0 > 0 && size.1 > 0 {
                        let rate = if rate.is_nan() || rate <= 0.0 { 30.0 } else { rate };
                        source = Some((size, rate, content));
                    }
                }
                Input::Frames(count, interval, report) => for _ in 0..count {
                    now += interval;
                    ladder.handle_frame(now, report);
                },
                Input::Target(bps) => ladder.handle_target(now, Bitrate::from_bps(bps)),
                Input::Queue(delay) => ladder.handle_queue(now, delay),
                Input::Timeout => ladder.handle_timeout(now),
                Input::Back(span) => ladder.handle_timeout(now - span),
            }
            let step = ladder.step();
            let Some(((width, height), rate, content)) = source else {
                prop_assert_eq!(step.size, (0, 0));
                continue;
            };
            prop_assert!(step.size.0 <= width && step.size.1 <= height);
            let (long, short) = (step.size.0.max(step.size.1), step.size.0.min(step.size.1));
            prop_assert!(long <= 3_840 && short <= 2_160);
            prop_assert!(step.size.0 >= width.min(16) && step.size.1 >= height.min(16));
            prop_assert!(step.size.0.is_multiple_of(2) || step.size.0 < 16);
            prop_assert!(step.frame_rate.is_finite() && step.frame_rate <= rate.max(0.1));
            prop_assert!(step.frame_rate >= 4.999 || step.frame_rate >= rate.max(0.1) * 0.999);
            let whole = u32::from(width & !1) * u32::from(height & !1);
            let narrow = width.min(height) < 16 || width.max(height) / width.min(height) > 60;
            prop_assert!(narrow || step.pixels() >= 57_600 || step.pixels() >= whole);
            prop_assert!((30_000..=240_000_000).contains(&step.bitrate.bps()));
            prop_assert!(content == Content::Screen || step.content == Content::Camera);
            prop_assert!(ladder.level() <= 40);
            prop_assert!(ladder.stats().usage.is_finite());
        }
        let told = std::iter::from_fn(|| ladder.poll_output()).count();
        prop_assert!(told <= 16);
    }
}
