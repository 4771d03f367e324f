//! The machine without a device, in virtual time.

#![allow(clippy::disallowed_methods, reason = "an epoch for the tests")]

use std::f64::consts::TAU;

use cpal::{FromSample, I24, SizedSample, U24};
use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// Numbers that are the same each time.
struct Dice(u64);

impl Dice {
    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A call with a loudspeaker: pushes each 20 ms of our clock, callbacks by the device's.
struct Call {
    feed: Feed,
    drain: Drain,
    dice: Dice,
    start: Instant,
    /// Frames that the device takes in a second of ours.
    speed: f64,
    /// Takes so many frames at a time, or any number up to it.
    frames: usize,
    uneven: bool,
    jitter: Duration,
    /// Seconds since the start: of the next push, without jitter, and of the next callback.
    push_at: f64,
    pushed_at: f64,
    take_at: f64,
    /// What the device took, if it is kept.
    heard: Option<Vec<f32>>,
    /// The most that waited when the device came for more, in seconds.
    most: f64,
}

impl Call {
    fn new(rate: u32, ppm: f64, frames: usize) -> Self {
        Self::with(LoudspeakerConfig::default(), rate, ppm, frames)
    }

    fn with(config: LoudspeakerConfig, rate: u32, ppm: f64, frames: usize) -> Self {
        let start = Instant::now();
        let conversion = (rate != 48_000).then(|| Conversion::to(rate).unwrap());
        let (feed, drain) = pair(start, rate, &config, conversion);
        Self {
            feed,
            drain,
            dice: Dice(1),
            start,
            speed: f64::from(rate) * (1.0 + ppm * 1e-6),
            frames,
            uneven: false,
            jitter: Duration::ZERO,
            push_at: 0.02,
            pushed_at: 0.0,
            take_at: 0.011,
            heard: None,
            most: 0.0,
        }
    }

    fn at(&self, seconds: f64) -> Instant {
        self.start + Duration::from_secs_f64(seconds)
    }

    /// 20 ms of a tone of 250 Hz, which goes on from one to the next.
    fn tone() -> [f32; 960] {
        std::array::from_fn(|i| (0.5 * (TAU * i as f64 / 192.0).sin()) as f32)
    }

    /// Goes on until `seconds` after the start; pushes only while `push`, takes while `take`.
    fn run(&mut self, seconds: f64, push: bool, take: bool) {
        let tone = Self::tone();
        let mut taken = vec![0.0_f32; self.frames];
        loop {
            let late = (self.dice.0 % 1_000) as f64 / 500.0 - 1.0;
            let due = self.push_at + late * self.jitter.as_secs_f64();
            let due = due.max(self.pushed_at);
            if due.min(self.take_at) > seconds {
                return;
            }
            if due <= self.take_at {
                if push {
                    self.feed.push(self.at(due), &tone);
                }
                self.pushed_at = due;
                self.push_at += 0.02;
                self.dice.next();
                continue;
            }
            let frames = match self.uneven {
                true => 1 + (self.dice.next() * self.frames as f64) as usize,
                false => self.frames,
            }
            .min(self.frames);
            if take {
                self.most = self.most.max(self.waits());
                let now = self.at(self.take_at);
                self.drain.fill(now, Duration::ZERO, &mut taken[..frames], 1);
                if let Some(heard) = &mut self.heard {
                    heard.extend_from_slice(&taken[..frames]);
                }
            }
            self.take_at += frames as f64 / self.speed;
        }
    }

    /// Seconds that wait.
    fn waits(&self) -> f64 {
        self.drain.waiting() as f64 / self.speed
    }
}

/// The most from one sample to the next.
fn steepest(heard: &[f32]) -> f32 {
    heard.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
}

/// The tone itself has 0.0164; two of it that fade into each other, or one that fades within
/// 5 ms, up to 0.03. A cut anywhere in it would be up to 1.
const NO_CLICK: f32 = 0.035;

#[test]
fn ten_minutes_with_a_clock_that_is_off_have_no_gap_and_no_cut() {
    for (ppm, frames, uneven) in [(300.0, 480, false), (-300.0, 1_024, true)] {
        let mut call = Call::new(48_000, ppm, frames);
        (call.uneven, call.jitter) = (uneven, 15 * MS);
        call.run(60.0, true, true);
        let settled = call.feed.stats();
        call.most = 0.0;
        let (mut least, mut longest) = (Duration::MAX, Duration::ZERO);
        for tenth in 7..=60 {
            call.run(f64::from(tenth) * 10.0, true, true);
            let latency = call.feed.stats().latency;
            (least, longest) = (least.min(latency), longest.max(latency));
        }
        let stats = call.feed.stats();
        println!(
            "{ppm:+} ppm, {frames}: {least:?} to {longest:?}, {:.1} ms; {stats:?}",
            call.most * 1e3
        );
        assert_eq!((stats.underruns, stats.dropped), (0, Duration::ZERO), "{ppm}, {frames}");
        assert_eq!(settled.missing, stats.missing);
        // What is to wait: two periods or 20 ms, and 20 ms for the pushes.
        let target = if uneven { 63 * MS } else { 40 * MS };
        assert!(least + 6 * MS > target && longest < target + 6 * MS, "{least:?} {longest:?}");
        assert!((f64::from(stats.rate_ppm) - ppm).abs() < 100.0, "{ppm}: {stats:?}");
        assert!(call.most < target.as_secs_f64() + 0.04, "{}", call.most);
    }
}

#[test]
fn a_device_that_takes_single_frames_is_fed_like_any() {
    for rate in [48_000, 44_100, 8_000] {
        let mut call = Call::new(rate, 100.0, 1);
        call.jitter = 15 * MS;
        call.run(40.0, true, true);
        let stats = call.feed.stats();
        println!("{rate}: {stats:?}");
        assert_eq!((stats.underruns, stats.dropped), (0, Duration::ZERO), "{rate}");
        assert!(stats.latency < 50 * MS, "{rate}: {stats:?}");
    }
}

#[test]
fn the_tone_that_is_pushed_is_heard_at_any_rate() {
    for rate in [16_000, 44_100, 48_000, 96_000] {
        let mut call = Call::new(rate, -200.0, rate as usize / 100);
        call.run(5.0, true, true);
        call.heard = Some(Vec::new());
        call.run(6.0, true, true);
        let heard = call.heard.take().unwrap();
        let crossings = heard.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        assert!((248..=252).contains(&crossings), "{rate}: {crossings} Hz");
        let loudest = heard.iter().copied().fold(0.0, f32::max);
        assert!((0.49..0.51).contains(&loudest), "{rate}: {loudest}");
    }
}

#[test]
fn after_a_device_stood_still_for_a_second_nothing_is_late() {
    let mut call = Call::new(48_000, 50.0, 480);
    call.run(5.0, true, true);
    let before = call.feed.stats();
    call.run(6.0, true, false);
    let (most, capacity) = (call.waits(), 0.545);
    assert!(most <= capacity, "{most} s wait");
    call.heard = Some(Vec::new());
    call.run(6.1, true, true);
    assert!(call.waits() < 0.06, "{} s wait", call.waits());
    call.run(16.0, true, true);
    let stats = call.feed.stats();
    println!("{stats:?}");
    assert_eq!(before.dropped, Duration::ZERO);
    // All of the second but what the ring could still be played from.
    let dropped = stats.dropped.as_secs_f64();
    assert!((0.9..1.1).contains(&dropped), "{dropped} s dropped");
    assert_eq!(stats.underruns, 0);
    assert!(stats.latency < 50 * MS, "{stats:?}");
    let heard = call.heard.take().unwrap();
    // Where the device stood still it has cut by itself.
    assert!(steepest(&heard) < NO_CLICK, "{}", steepest(&heard));
}

#[test]
fn a_push_that_does_not_come_is_a_gap_without_a_click() {
    let mut call = Call::new(48_000, 0.0, 480);
    call.heard = Some(Vec::new());
    for round in 0..20 {
        let from = f64::from(round) * 2.0;
        call.run(from + 1.5, true, true);
        // Cut at any place of the tone.
        call.run(from + 1.8 + f64::from(round) * 0.001, false, true);
    }
    call.run(42.0, true, true);
    let stats = call.feed.stats();
    println!("{stats:?}");
    assert_eq!((stats.underruns, stats.dropped), (20, Duration::ZERO));
    let missing = stats.missing.as_secs_f64();
    assert!((5.0..7.5).contains(&missing), "{missing} s");
    let heard = call.heard.take().unwrap();
    assert!(steepest(&heard) < NO_CLICK, "{}", steepest(&heard));
    assert_eq!(heard.iter().filter(|sample| sample.is_nan()).count(), 0);
}

#[test]
fn what_comes_all_at_once_is_cut_to_what_is_to_wait_without_a_click() {
    let mut call = Call::new(48_000, 0.0, 480);
    call.heard = Some(Vec::new());
    call.run(2.0, true, true);
    for round in 0..10 {
        for _ in 0..5 + round {
            call.feed.push(call.at(call.pushed_at), &Call::tone());
        }
        call.run(4.0 + 2.0 * f64::from(round), true, true);
        assert!(call.waits() < 0.07, "{}", call.waits());
    }
    let stats = call.feed.stats();
    println!("{stats:?}");
    assert_eq!(stats.underruns, 0);
    assert!(stats.dropped > 1_400 * MS, "{stats:?}");
    let heard = call.heard.take().unwrap();
    assert!(steepest(&heard) < NO_CLICK, "{}", steepest(&heard));
}

#[test]
fn a_device_that_takes_two_seconds_at_a_time_is_heard_and_bounded() {
    let mut call = Call::new(48_000, 0.0, 96_000);
    call.take_at = 2.0;
    call.heard = Some(Vec::new());
    for second in 1..=60 {
        call.run(f64::from(second), true, true);
        assert!(call.waits() <= 0.545, "{}", call.waits());
    }
    let heard = call.heard.take().unwrap();
    let sounds = heard.iter().filter(|sample| sample.abs() > 0.1).count();
    // A fourth of the time is what the ring holds.
    assert!(sounds > heard.len() / 8, "{sounds} of {}", heard.len());
    assert!(steepest(&heard) < NO_CLICK, "{}", steepest(&heard));
    assert!(call.feed.stats().dropped > Duration::from_secs(30));
}

/// What a device gets of full scale, over it, half, none, and what is no number.
fn got<T: SizedSample + FromSample<f32>>() -> Vec<T> {
    let mut call = Call::new(48_000, 0.0, 480);
    // The resampler makes a plateau of it.
    for value in [1.0, 3.0, -3.0, 0.5, f32::NAN] {
        call.feed.push(call.start, &[value; 960]);
    }
    let mut taken = vec![T::EQUILIBRIUM; 3 * 4_800];
    call.drain.fill(call.start, Duration::ZERO, &mut taken, 3);
    assert!(taken.chunks(3).all(|frame| frame[0] == frame[1] && frame[1] == frame[2]));
    [600, 1_500, 2_400, 3_400, 4_400].map(|at| taken[3 * at]).to_vec()
}

#[test]
fn all_formats_get_the_same_on_all_channels() {
    const M: f32 = 1.0 - f32::EPSILON / 2.0;
    assert_eq!(got::<f32>(), [M, M, -1.0, 0.5, 0.0]);
    assert_eq!(got::<f64>(), [f64::from(M), f64::from(M), -1.0, 0.5, 0.0]);
    assert_eq!(got::<i8>(), [127, 127, -128, 64, 0]);
    assert_eq!(got::<i16>(), [32_767, 32_767, -32_768, 16_384, 0]);
    let i24 = [8_388_607, 8_388_607, -8_388_608, 4_194_304, 0];
    assert_eq!(got::<I24>().into_iter().map(I24::inner).collect::<Vec<_>>(), i24);
    let near = |a: f64, b: f64| (a - b).abs() <= 256.0;
    let i32s = got::<i32>();
    assert!(near(f64::from(i32s[0]), 2_147_483_647.0) && i32s[2] == i32::MIN, "{i32s:?}");
    assert_eq!(got::<u8>(), [255, 255, 0, 192, 128]);
    assert_eq!(got::<u16>(), [65_535, 65_535, 0, 49_152, 32_768]);
    let u24: Vec<i32> = got::<U24>().into_iter().map(U24::inner).collect();
    assert_eq!(u24, [16_777_215, 16_777_215, 0, 12_582_912, 8_388_608]);
    assert_eq!(got::<u32>()[2..], [0, 3 << 30, 1 << 31]);
    assert_eq!(got::<i64>()[2..], [i64::MIN, 1 << 62, 0]);
    assert_eq!(got::<u64>()[2..], [0, 3 << 62, 1 << 63]);
}

#[test]
fn the_latency_that_is_said_is_the_one_that_is() {
    let mut call = Call::new(48_000, 150.0, 480);
    call.run(60.0, true, true);
    // From now on something else is pushed, and it is looked for.
    let said = call.feed.stats().latency.as_secs_f64();
    let (pushed, mut heard_at) = (call.push_at, None);
    let mut taken = [0.0_f32; 480];
    while heard_at.is_none() {
        if call.push_at <= call.take_at {
            call.feed.push(call.at(call.push_at), &[-0.9; 960]);
            call.push_at += 0.02;
        } else {
            call.drain.fill(call.at(call.take_at), Duration::ZERO, &mut taken, 1);
            // Its middle is half a push later than its beginning.
            let found = taken.iter().position(|&sample| sample < -0.7);
            heard_at = found.map(|at| call.take_at + at as f64 / 48_000.0 + 0.01);
            call.take_at += 480.0 / call.speed;
        }
    }
    let is = heard_at.unwrap() - pushed;
    println!("{:.1} ms said, {:.1} ms", said * 1e3, is * 1e3);
    assert!((said - is).abs() < 0.008, "{said} {is}");
}

#[test]
fn the_speed_does_not_swing_with_where_the_device_comes_between_two_pushes() {
    // In 67 s the device comes once at each moment between two pushes.
    let mut call = Call::new(48_000, 300.0, 960);
    call.run(60.0, true, true);
    let (mut slowest, mut fastest) = (f64::MAX, f64::MIN);
    for second in 61..200 {
        call.run(f64::from(second), true, true);
        let ppm = call.feed.ppm();
        (slowest, fastest) = (slowest.min(ppm), fastest.max(ppm));
    }
    println!("{slowest:.0} to {fastest:.0} ppm");
    assert!(slowest > -350.0 && fastest < -250.0, "{slowest} to {fastest} ppm");
}

#[test]
fn a_level_that_is_far_off_goes_back_and_is_not_taken_for_the_clock() {
    for extra in [1, 2] {
        let mut call = Call::new(48_000, 0.0, 480);
        call.run(4.0, true, true);
        for _ in 0..extra {
            call.feed.push(call.at(call.pushed_at), &Call::tone());
        }
        let mut least = Duration::MAX;
        for second in 5..60 {
            call.run(f64::from(second), true, true);
            least = least.min(call.feed.stats().latency);
        }
        let stats = call.feed.stats();
        println!("{extra}: {least:?}, {stats:?}");
        assert_eq!((stats.underruns, stats.dropped), (0, Duration::ZERO));
        assert!(stats.latency < 43 * MS && least > 37 * MS, "{least:?}, {stats:?}");
        assert!(stats.rate_ppm.abs() < 100, "{stats:?}");
    }
}

#[test]
fn a_clock_that_is_off_by_nearly_half_a_percent_is_learned_within_a_minute() {
    for ppm in [4_000.0, -4_000.0] {
        let mut call = Call::new(48_000, ppm, 480);
        call.jitter = 10 * MS;
        call.run(60.0, true, true);
        let before = call.feed.stats();
        call.run(180.0, true, true);
        let stats = call.feed.stats();
        println!("{ppm:+}: {before:?}, {stats:?}");
        assert_eq!((stats.underruns, stats.dropped), (before.underruns, before.dropped));
        assert!((f64::from(stats.rate_ppm) - ppm).abs() < 150.0, "{stats:?}");
        assert!((35 * MS..45 * MS).contains(&stats.latency), "{stats:?}");
    }
}

#[test]
fn neither_end_allocates_once_it_runs() {
    for rate in [48_000, 44_100] {
        let mut call = Call::new(rate, 0.0, 480);
        call.run(5.0, true, true);
        let (tone, mut taken) = (Call::tone(), vec![0_i16; 2 * 5_000]);
        for round in 0..200 {
            let now = call.at(5.0 + 0.02 * f64::from(round));
            let Call { feed, drain, .. } = &mut call;
            // Now too little, now too much, now as it should be.
            let frames = [480, 960, 5_000, 1, 0][round as usize % 5];
            let allocated = allocation_counter::measure(|| {
                feed.push(now, &tone);
                drain.fill(now, MS, &mut taken[..2 * frames], 2);
            });
            assert_eq!(allocated.count_total, 0, "{rate}, round {round}");
        }
        let stats = call.feed.stats();
        assert!(stats.underruns > 0, "{stats:?}");
    }
}

proptest! {
    /// Any pushes, any callbacks, any moments, forwards and backwards.
    #[test]
    fn nothing_that_is_done_to_it_makes_it_fail_or_grow(
        steps in prop::collection::vec((0_u8..4, 0_usize..5_000, any::<u32>()), 1..120),
        rate in prop::sample::select(vec![8_000_u32, 44_100, 48_000, 192_000]),
        millis in 0_u64..5_000,
    ) {
        let config = LoudspeakerConfig::default()
            .period(millis as u32 * MS)
            .push_jitter(millis as u32 * MS)
            .slack(millis as u32 * MS)
            .max_queue(millis as u32 * MS);
        let most = config.max_queue.as_secs_f64() + 0.046;
        let mut call = Call::with(config, rate, 0.0, 1);
        let start = call.start;
        for (what, len, seed) in steps {
            let now = start + Duration::from_micros(u64::from(seed));
            let mut dice = Dice(u64::from(seed));
            if what == 0 {
                let mut taken = vec![9.0_f32; len];
                call.drain.fill(now, MS, &mut taken, seed as usize % 7);
                prop_assert!(taken.iter().all(|sample| sample.abs() <= 1.0));
            } else {
                let bits = |_| f32::from_bits((dice.next() * 4_294_967_296.0) as u32);
                let samples: Vec<f32> = (0..len).map(bits).collect();
                call.feed.push(now, &samples);
            }
            prop_assert!(call.waits() <= most, "{} s", call.waits());
            let _ = call.feed.stats();
        }
    }
}
