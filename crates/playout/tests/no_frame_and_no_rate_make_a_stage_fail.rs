//! Sound and rates as only somebody hostile sends them.

#![allow(clippy::disallowed_methods, reason = "an epoch for the tests")]

use std::time::{Duration, Instant};

use paceline_playout::{Kind, PlayoutRate, Stage, StageConfig, StageOutput};
use paceline_types::{AudioFrame, Frequency, MediaTime, NtpTime, SenderId, WallClock};
use proptest::prelude::*;

const ANN: SenderId = SenderId::new(1);
const BOB: SenderId = SenderId::new(2);

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Frame { len: usize, channels: u8, bits: u32 },
    Rate { drift_ppm: f64, stretch: f64 },
    Switch(bool),
    Wait { micros: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let number = prop_oneof![
        any::<f64>(),
        -0.1..0.1_f64,
        -20_000.0..20_000.0_f64,
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
    ];
    prop_oneof![
        4 => (prop_oneof![Just(960_usize), 0_usize..6_000], 0_u8..4, any::<u32>())
            .prop_map(|(len, channels, bits)| Step::Frame { len, channels, bits }),
        1 => (number.clone(), number)
            .prop_map(|(drift_ppm, stretch)| Step::Rate { drift_ppm, stretch }),
        1 => any::<bool>().prop_map(Step::Switch),
        4 => prop_oneof![Just(20_000_u64), 0_u64..50_000, Just(10_000_000)]
            .prop_map(|micros| Step::Wait { micros }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes whenever: each tick has its sound, none over full scale, and
    /// the statistics stay within what they can be.
    #[test]
    fn whatever_comes_each_tick_has_its_sound(
        steps in prop::collection::vec(step(), 1..150),
        cushion in 0_u64..60,
    ) {
        let mut now = Instant::now();
        let wall = WallClock::new(now, NtpTime::default());
        let config = StageConfig::default().width(16).height(16).frame_rate(1);
        let mut stage = Stage::new(now, wall, config.cushion(Duration::from_millis(cushion)));
        let _ = stage.add_source(now, ANN);
        let _ = stage.add_source(now, BOB);
        for step in steps {
            match step {
                Step::Frame { len, channels, bits } => {
                    let value = f32::from_bits(bits);
                    let samples = (0..len).map(|i| if i % 7 == 0 { value } else { 0.3 });
                    let frame = AudioFrame {
                        channels,
                        time: MediaTime::new(u64::from(bits), Frequency::AUDIO),
                        capture: NtpTime::from_bits(u64::from(bits) << 32),
                        samples: samples.collect(),
                    };
                    let _ = stage.handle_audio(now, ANN, frame);
                }
                Step::Rate { drift_ppm, stretch } => {
                    let _ = stage.set_playout_rate(now, ANN, PlayoutRate { drift_ppm, stretch });
                }
                Step::Switch(on) => stage.set_enabled(now, ANN, Kind::Audio, on),
                Step::Wait { micros } => {
                    now += Duration::from_micros(micros);
                    stage.handle_timeout(now);
                }
            }
            while let Some(output) = stage.poll_output() {
                if let StageOutput::Audio { frame, .. } = output {
                    prop_assert_eq!(frame.samples.len(), 960);
                    prop_assert!(frame.samples.iter().all(|sample| sample.abs() <= 1.0));
                }
            }
            let stats = stage.source_stats(ANN).expect("is on the stage");
            prop_assert!(stats.rate_ppm.abs() <= 10_000, "{:?}", stats);
            // 60 ms, ten late ticks of 20 ms, and what a stretch may hold.
            prop_assert!(stats.queue_level <= 48_000, "{:?}", stats);
            prop_assert!(stats.samples_concealed <= stats.underruns * 2_880, "{:?}", stats);
        }
    }
}
