//! What is chosen of what a camera has.

use proptest::prelude::*;
use rustix::io::Errno;

use super::model::{Model, per};
use crate::camera::CameraConfig;
use crate::camera::driver::{Fourcc, Interval, Intervals, Sizes};
use crate::camera::modes::{Mode, Modes, even, rank};

fn discrete(sizes: &[(u32, u32)]) -> Vec<Sizes> {
    sizes.iter().copied().map(Sizes::Discrete).collect()
}

fn rates(rates: &[u32]) -> Vec<Intervals> {
    rates.iter().map(|&rate| Intervals::Discrete(per(rate))).collect()
}

type Has = Vec<(Fourcc, Vec<Sizes>, Vec<Intervals>)>;

fn chosen(has: Has, config: CameraConfig) -> Option<Mode> {
    let mut driver = Model::new(has).open().expect("it is there");
    Modes::ask(&mut driver, &config).expect("it says what it has").choose(&config)
}

fn mode(format: Fourcc, width: u32, height: u32, rate: u32) -> Option<Mode> {
    Some(Mode { format, size: (width, height), interval: Some(per(rate)) })
}

#[test]
fn the_mode_nearest_to_what_is_wanted_is_chosen() {
    let default = CameraConfig::default();
    // A usual one: what is not compressed is too slow at 720p.
    let sizes = [(640, 480), (1_280, 720), (1_920, 1_080), (320, 240)];
    let usual = || {
        vec![
            (Fourcc::YUYV, discrete(&sizes), rates(&[10, 5])),
            (Fourcc::MJPG, discrete(&sizes), rates(&[60, 30, 24])),
        ]
    };
    assert_eq!(chosen(usual(), default), mode(Fourcc::MJPG, 1_280, 720, 30));
    assert_eq!(chosen(usual(), default.frame_rate(50.0)), mode(Fourcc::MJPG, 1_280, 720, 60));
    assert_eq!(chosen(usual(), default.frame_rate(5.0)), mode(Fourcc::YUYV, 1_280, 720, 5));
    // Else the largest within, or if there is none the smallest.
    assert_eq!(chosen(usual(), default.size(1_000, 700)), mode(Fourcc::MJPG, 640, 480, 30));
    assert_eq!(chosen(usual(), default.size(100, 100)), mode(Fourcc::MJPG, 320, 240, 30));
    // As good in all, what costs less.
    let all = [Fourcc::MJPG, Fourcc::YUYV, Fourcc::NV12, Fourcc::YU12];
    let has = all.map(|format| (format, discrete(&[(1_280, 720)]), rates(&[30]))).to_vec();
    assert_eq!(chosen(has, default), mode(Fourcc::YU12, 1_280, 720, 30));
    // Rather smaller than slow: that is what USB 2.0 has bits for without compression.
    let large = |rate| (Fourcc::YUYV, discrete(&[(1_280, 720)]), rates(&[rate]));
    let small = || (Fourcc::YUYV, discrete(&[(640, 480), (352, 288)]), rates(&[30, 15]));
    assert_eq!(chosen(vec![large(10), small()], default), mode(Fourcc::YUYV, 640, 480, 30));
    assert_eq!(chosen(vec![large(20), small()], default), mode(Fourcc::YUYV, 1_280, 720, 20));
    // Slow in all that it has.
    let has = vec![(Fourcc::YUYV, discrete(&[(640, 480), (1_280, 720)]), rates(&[10]))];
    assert_eq!(chosen(has, default), mode(Fourcc::YUYV, 1_280, 720, 10));
    // 29.97 is 30.
    let ntsc = Interval { numerator: 1_001, denominator: 30_000 };
    let has = [Intervals::Discrete(ntsc), Intervals::Discrete(per(60))].to_vec();
    let has = vec![(Fourcc::NV12, discrete(&[(1_280, 720)]), has)];
    assert_eq!(chosen(has, default).and_then(|mode| mode.interval), Some(ntsc));
}

#[test]
fn of_ranges_what_is_wanted_is_taken_in_whole_steps() {
    let range = |min, max, step| vec![Sizes::Stepwise { min, max, step }];
    let has = |sizes: Vec<Sizes>| {
        let (min, max) = (per(90), per(2));
        vec![(Fourcc::YU12, sizes, vec![Intervals::Range { min, max }])]
    };
    let size = |sizes| chosen(has(sizes), CameraConfig::default()).map(|mode| mode.size);
    assert_eq!(size(range((32, 32), (2_592, 1_944), (2, 2))), Some((1_280, 720)));
    assert_eq!(size(range((64, 64), (640, 480), (16, 16))), Some((640, 480)));
    assert_eq!(size(range((100, 100), (3_000, 2_000), (100, 100))), Some((1_200, 700)));
    assert_eq!(size(range((1_600, 1_200), (3_000, 2_000), (2, 2))), Some((1_600, 1_200)));
    // A step of nothing, and a range that ends before it begins.
    assert_eq!(size(range((320, 240), (640, 480), (0, 0))), Some((640, 480)));
    assert_eq!(size(range((320, 240), (100, 100), (8, 8))), Some((320, 240)));
    let rate = |config| {
        let mode = chosen(has(range((32, 32), (2_592, 1_944), (2, 2))), config);
        mode.and_then(|mode| mode.interval?.rate())
    };
    assert_eq!(rate(CameraConfig::default()), Some(30.0));
    assert_eq!(rate(CameraConfig::default().frame_rate(120.0)), Some(90.0));
    assert_eq!(rate(CameraConfig::default().frame_rate(1.0)), Some(2.0));
}

#[test]
fn a_driver_that_does_not_tell_sizes_and_rates_is_asked_for_what_is_wanted() {
    let has = vec![(Fourcc::YUYV, Vec::new(), Vec::new())];
    let expected = Mode { format: Fourcc::YUYV, size: (1_280, 720), interval: None };
    assert_eq!(chosen(has, CameraConfig::default()), Some(expected));
}

#[test]
fn what_cannot_be_read_or_sent_is_not_chosen() {
    let config = CameraConfig::default();
    let h264 = Fourcc(*b"H264");
    let mut driver =
        Model::new(vec![(h264, discrete(&[(1_280, 720)]), rates(&[30]))]).open().unwrap();
    let modes = Modes::ask(&mut driver, &config).unwrap();
    assert_eq!((modes.choose(&config), modes.others), (None, vec![h264]));
    let sizes = discrete(&[(8, 8), (8_000, 6_000), (1_280, 15), (u32::MAX, u32::MAX)]);
    assert_eq!(chosen(vec![(Fourcc::YUYV, sizes, rates(&[30]))], config), None);
}

#[test]
fn a_camera_that_is_pulled_out_while_it_is_asked_is_told() {
    let model = Model::new(vec![(Fourcc::YUYV, discrete(&[(640, 480)]), rates(&[30]))]);
    let mut driver = model.open().unwrap();
    model.fail("enum_frameintervals", Errno::NODEV);
    assert_eq!(Modes::ask(&mut driver, &CameraConfig::default()).err(), Some(Errno::NODEV));
}

const USUAL: [(u32, u32); 3] = [(320, 240), (640, 480), (1_280, 720)];

fn any_side() -> impl Strategy<Value = u32> {
    prop_oneof![0..5_000_u32, Just(0), Just(u32::MAX), any::<u32>()]
}

fn any_pair() -> impl Strategy<Value = (u32, u32)> {
    (any_side(), any_side())
}

fn any_sizes() -> impl Strategy<Value = Sizes> {
    prop_oneof![
        any_pair().prop_map(Sizes::Discrete),
        prop::sample::select(USUAL.to_vec()).prop_map(Sizes::Discrete),
        (any_pair(), any_pair(), any_pair()).prop_map(|(min, max, step)| Sizes::Stepwise {
            min,
            max,
            step
        }),
    ]
}

fn any_intervals() -> impl Strategy<Value = Intervals> {
    let interval =
        || any_pair().prop_map(|(numerator, denominator)| Interval { numerator, denominator });
    prop_oneof![
        interval().prop_map(Intervals::Discrete),
        prop::sample::select(vec![15, 30, 60]).prop_map(|rate| Intervals::Discrete(per(rate))),
        (interval(), interval()).prop_map(|(min, max)| Intervals::Range { min, max }),
    ]
}

proptest! {
    /// Whatever a driver says that it has, of any numbers.
    #[test]
    fn what_is_chosen_can_be_read_and_sent_and_nothing_better_was_there(
        has in prop::collection::vec(
            (
                prop::sample::select(vec![
                    Fourcc::YU12, Fourcc::NV12, Fourcc::YUYV, Fourcc::MJPG, Fourcc(*b"H264"),
                ]),
                prop::collection::vec(any_sizes(), 0..4),
                prop::collection::vec(any_intervals(), 0..4),
            ),
            0..4,
        ),
        size in prop::sample::select(USUAL.to_vec()),
        rate in prop::sample::select(vec![15.0, 30.0, 60.0]),
    ) {
        let config = CameraConfig::default().size(size.0 as u16, size.1 as u16).frame_rate(rate);
        let mut driver = Model::new(has).open().unwrap();
        let modes = Modes::ask(&mut driver, &config).unwrap();
        let mode = modes.choose(&config);
        prop_assert_eq!(mode.is_some(), modes.known.iter().any(|mode| even(mode.size).is_some()));
        if let Some(mode) = mode {
            prop_assert!(rank(mode.format).is_some() && even(mode.size).is_some());
            let exact = |mode: &&Mode| {
                let rate = mode.interval.and_then(Interval::rate);
                mode.size == size && rate == Some(config.frame_rate)
            };
            if modes.known.iter().filter(|mode| even(mode.size).is_some()).any(|mode| exact(&mode)) {
                prop_assert!(exact(&&mode));
            }
        }
    }
}
