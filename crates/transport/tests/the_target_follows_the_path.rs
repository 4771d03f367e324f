//! What congestion control makes of paths: narrow ones, lossy ones, ones that change, and
//! ones that others use.
#![cfg(feature = "rtp")]

mod path_model;

use interceptor::Gcc;
use paceline_transport::rtp::{Estimator, RtpConfig};
use paceline_transport::types::Bitrate;
use path_model::{Config, Copy, Sender, run};

fn sender(start: f64) -> Sender {
    Sender::new(Estimator::new(&config(start)))
}

fn config(start: f64) -> RtpConfig {
    let config = RtpConfig::default().start_bitrate(Bitrate::from_bps(start as u64));
    config.min_bitrate(Bitrate::from_kbps(100)).max_bitrate(Bitrate::from_kbps(10_000))
}

/// The one sender of a path, after so many seconds.
fn alone(config: &Config, start: f64, seconds: f64) -> Sender {
    let mut senders = [sender(start)];
    run(config, &mut senders, &mut [], seconds);
    let [sender] = senders;
    sender
}

fn quantile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// How quickly it is found what a path takes, how much of that is used then, and how long
/// pictures take beyond the way itself.
#[test]
fn it_settles_near_what_the_path_takes() {
    println!("Mbit/s  one way ms  jitter ms  lost %  found s  used %  late p95 ms");
    for (delay, jitter, loss, used) in [
        (0.0025, 0.002, 0.0, 0.92),
        (0.02, 0.01, 0.0, 0.92),
        (0.15, 0.01, 0.0, 0.85),
        (0.02, 0.002, 0.02, 0.85),
        (0.02, 0.002, 0.05, 0.8),
        (0.08, 0.06, 0.02, 0.65),
    ] {
        for rate in [0.3e6, 1e6, 2.5e6, 8e6] {
            let path =
                Config { rates: vec![(0.0, rate)], delay, jitter, loss, ..Config::default() };
            let sender = alone(&path, 300e3, 60.0);
            let found = sender.targets.iter().position(|target| *target > 0.8 * rate);
            let share = sender.rate(25.0, 60.0) / rate;
            let late = quantile(&sender.ages(25.0, 60.0), 95) - delay;
            println!(
                "{:6}  {:10}  {:9}  {:6}  {:7.1}  {:6.1}  {:11.0}",
                rate / 1e6,
                delay * 1e3,
                jitter * 1e3,
                loss * 1e2,
                found.map_or(f64::NAN, |tenths| tenths as f64 / 10.0),
                share * 100.0,
                late * 1e3,
            );
            // Where the noise is longer than a queue may be, it takes longer.
            let most = if jitter > 0.03 { 500 } else { 120 };
            assert!(found.is_some_and(|tenths| tenths < most), "{found:?}");
            assert!(share > used, "{share}");
            assert!(late < 0.18, "{late}");
        }
    }
}

/// A path of 4 Mbit/s takes 1 from 20 s on, and 4 again from 50 s on.
fn step(sender: Sender, seed: u64, jitter: f64) -> Sender {
    let rates = vec![(0.0, 4e6), (20.0, 1e6), (50.0, 4e6)];
    let mut senders = [sender];
    run(&Config { rates, seed, jitter, ..Config::default() }, &mut senders, &mut [], 65.0);
    let [sender] = senders;
    sender
}

/// When the last picture was captured that was later than 300 ms or never came, after the
/// step; and how long after the path is wide again the target is nine tenths of it.
fn figures(sender: &Sender) -> (f64, f64) {
    let narrow = sender.pictures.iter().filter(|one| (20.0..50.0).contains(&one.captured));
    let late = narrow.filter(|picture| picture.age.is_none_or(|age| age > 0.3));
    let late = late.map(|picture| picture.captured - 20.0).fold(0.0, f64::max);
    let back = sender.targets[500..].iter().position(|target| *target > 3.6e6);
    (late, back.map_or(f64::INFINITY, |tenths| tenths as f64 / 10.0))
}

#[test]
fn half_a_second_after_a_path_became_narrow_no_picture_is_late_and_it_is_back_in_ten() {
    let measure = |make: fn() -> Sender, jitter| {
        let each = (1..=12).map(|seed| figures(&step(make(), seed, jitter)));
        let (mut late, mut back): (Vec<_>, Vec<_>) = each.unzip();
        late.sort_unstable_by(f64::total_cmp);
        back.sort_unstable_by(f64::total_cmp);
        (late, back)
    };
    println!("                 last late picture s     back at 90 % s");
    for (name, make) in [
        ("gcc, 2 ms", (|| Sender::new(Gcc::new(4e6, 100e3, 10e6))) as fn() -> Sender),
        ("ours, 2 ms", || sender(4e6)),
    ] {
        let (late, back) = measure(make, 0.002);
        println!(
            "{name:15}  median {:5.2} worst {:5.2}  median {:4.1} worst {:4.1}",
            late[6], late[11], back[6], back[11]
        );
    }
    for jitter in [0.002, 0.015] {
        let (late, back) = measure(|| sender(4e6), jitter);
        println!("jitter of {jitter} s: {late:.2?}, {back:.1?}");
        assert!(late[6] <= 0.5, "{late:?}");
        assert!(late[11] <= if jitter > 0.01 { 0.7 } else { 0.5 }, "{late:?}");
        assert!(back[11] <= 10.0, "{back:?}");
    }
}

/// With feedback each 100 ms that comes up to 80 ms late, in bundles, by a clock that is
/// half a thousandth off, what is measured is the same.
#[test]
fn late_feedback_and_a_clock_that_drifts_change_little() {
    for drift in [-500.0, 0.0, 500.0] {
        let rates = vec![(0.0, 2e6), (60.0, 1e6)];
        let (feedback, feedback_jitter) = (0.1, 0.08);
        let path = Config { rates, feedback, feedback_jitter, drift, ..Config::default() };
        let sender = alone(&path, 300e3, 120.0);
        let used = [sender.rate(20.0, 60.0) / 2e6, sender.rate(65.0, 120.0) / 1e6];
        let late = quantile(&sender.ages(65.0, 120.0), 95);
        println!("{drift} ppm: used {used:.2?}, p95 {:.0} ms", late * 1e3);
        assert!(used.iter().all(|share| *share > 0.88), "{used:?}");
        assert!(late < 0.2, "{late}");
    }
}

#[test]
fn two_who_meet_in_one_path_share_it() {
    for rate in [1e6, 3e6] {
        for seed in 1..=3 {
            let mut senders = [sender(300e3), sender(300e3)];
            senders[1].starts = 20.0;
            let path = Config { rates: vec![(0.0, rate)], seed, ..Config::default() };
            run(&path, &mut senders, &mut [], 90.0);
            let [a, b] = [0, 1].map(|index: usize| senders[index].rate(50.0, 90.0));
            // Jain, Chiu, Hawe, "A Quantitative Measure of Fairness", DEC TR-301 (1984).
            let jain = (a + b) * (a + b) / (2.0 * (a * a + b * b));
            let late = quantile(&senders[1].ages(50.0, 90.0), 95);
            println!("{:.0} and {:.0} kbit/s: Jain {jain:.3}, p95 {late:.3} s", a / 1e3, b / 1e3);
            assert!(jain > 0.9, "{jain}");
            assert!(a + b > 0.85 * rate, "{}", a + b);
            assert!(late < 0.2, "{late}");
        }
    }
}

/// Whoever copies a file fills the queue, whatever we do: neither of us gets nothing.
#[test]
fn a_file_that_is_copied_does_not_starve_a_call() {
    println!("Mbit/s  queue ms  call, of its half %  copy %  afterwards %");
    for rate in [2e6, 6e6] {
        for max_queue in [0.1, 0.2, 0.5, 1.0] {
            let path = Config { rates: vec![(0.0, rate)], max_queue, ..Config::default() };
            let (mut senders, mut copies) = ([sender(1e6)], [Copy::new(20.0, 100.0)]);
            run(&path, &mut senders, &mut copies, 120.0);
            let share = senders[0].rate(25.0, 100.0) / rate * 200.0;
            let copy = copies[0].rate(25.0, 100.0) / rate * 200.0;
            let after = senders[0].rate(112.0, 120.0) / rate * 100.0;
            let queue = max_queue * 1e3;
            println!("{:6}  {queue:8}  {share:19.0}  {copy:6.0}  {after:12.0}", rate / 1e6);
            assert!(share > 10.0, "{share}");
            assert!(copy > 50.0, "{copy}");
            assert!(after > 85.0, "{after}");
        }
    }
}

#[test]
fn silence_halves_the_target_and_what_was_is_back_soon() {
    let silence = Some((30.0, 36.0));
    let rates = vec![(0.0, 2e6)];
    let sender = alone(&Config { rates, silence, ..Config::default() }, 300e3, 50.0);
    let before = sender.targets[300];
    let [quiet, least] = [sender.least(30.0, 30.4), sender.least(30.0, 36.0)];
    let back = sender.targets[360..].iter().position(|target| *target > 0.8 * before);
    println!("{before:.0}, {least:.0} in silence, back in {back:?} tenths of a second");
    assert!(quiet > 0.8 * before, "a late report is no silence");
    assert!((0.12..0.2).contains(&(least / before)), "an eighth goes on: {least}");
    assert!(back.is_some_and(|tenths| tenths < 80), "{back:?}");
}

/// A route changes: no queue, though all takes longer.
#[test]
fn a_longer_way_is_no_queue() {
    for by in [0.1, 0.3, 0.9, 1.5, 2.0] {
        let (rates, detour) = (vec![(0.0, 2e6)], Some((30.0, by)));
        let path = Config { rates, detour, ..Config::default() };
        let mut senders = [sender(300e3)];
        senders[0].most = 1e6;
        run(&path, &mut senders, &mut [], 60.0);
        let used = senders[0].rate(40.0, 60.0);
        println!("{by} s longer: {:.0} kbit/s of 1,056", used / 1e3);
        assert!(used > 0.85e6, "{used}");
    }
}

/// Feedback each second is not taken for silence.
#[test]
fn seldom_feedback_does_not_lower_the_target() {
    for feedback in [0.25, 0.5, 1.0] {
        let path = Config { rates: vec![(0.0, 2e6)], feedback, ..Config::default() };
        let sender = alone(&path, 1e6, 60.0);
        let used = sender.rate(20.0, 60.0) / 2e6;
        let late = quantile(&sender.ages(20.0, 60.0), 95);
        println!("each {feedback} s: used {used:.2}, p95 {late:.3} s");
        assert!(used > 0.6, "{used}");
    }
}

#[test]
fn what_is_not_sent_does_not_raise_the_target() {
    let mut senders = [sender(300e3)];
    senders[0].most = 400e3;
    run(&Config { rates: vec![(0.0, 8e6)], ..Config::default() }, &mut senders, &mut [], 30.0);
    let (sent, target) = (senders[0].rate(20.0, 30.0), senders[0].targets[299]);
    println!("sent {sent:.0}, target {target:.0}");
    assert!(target > 1.2 * sent && target < 1.9 * sent);
}

/// Keyframes are four times as large, and wait for themselves.
#[test]
fn keyframes_are_not_taken_for_congestion() {
    let mut senders = [sender(1e6)];
    senders[0].keyframes = Some(60);
    run(&Config { rates: vec![(0.0, 2e6)], ..Config::default() }, &mut senders, &mut [], 60.0);
    let used = senders[0].rate(20.0, 60.0) / 2e6;
    println!("used {used:.2}");
    assert!(used > 0.8, "{used}");
}

/// Reports are lost as media are: what they told of is not lost twice.
#[test]
fn lost_feedback_is_no_loss_of_media() {
    let rates = vec![(0.0, 2e6)];
    let path = Config { rates, loss: 0.06, feedback_loss: 0.06, ..Config::default() };
    let sender = alone(&path, 300e3, 60.0);
    let used = sender.rate(20.0, 60.0) / 2e6;
    println!("used {used:.2}");
    assert!(used > 0.75, "{used}");
}

/// Who starts at 4 Mbit/s on a path of a half is back within its means at once.
#[test]
fn a_start_that_is_too_high_is_put_right() {
    let sender = alone(&Config { rates: vec![(0.0, 5e5)], ..Config::default() }, 4e6, 20.0);
    let known = sender.pictures.iter().filter(|picture| picture.captured < 19.0);
    let late = known.filter(|picture| picture.age.is_none_or(|age| age > 0.3));
    let last = late.map(|picture| picture.captured).fold(0.0, f64::max);
    println!("the last late picture is of {last:.2} s");
    assert!(last < 2.0, "{last}");
    assert!(sender.rate(5.0, 20.0) > 0.85 * 5e5);
}

#[test]
fn more_than_a_tenth_lost_is_heeded() {
    let path = Config { rates: vec![(0.0, 8e6)], loss: 0.25, ..Config::default() };
    let sender = alone(&path, 2e6, 30.0);
    assert!(sender.targets[299] < 0.3e6, "{}", sender.targets[299]);
    assert!(sender.estimator.target_bitrate() >= 100e3);
}
