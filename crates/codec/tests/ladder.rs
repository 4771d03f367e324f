//! The ladder in a loop with an encoder, a machine and a path.

mod ladder_model;

use std::time::Duration;

use ladder_model::{Model, Pressure, camera, changes, line, screen, seconds};
use paceline_codec::types::Bitrate;
use paceline_codec::{Cause, Change, DegradationPreference, Direction, LadderConfig, NetworkCause};

fn transcript(
    model: &mut Model,
    span: Duration,
    pressure: impl Fn(Duration) -> Pressure,
) -> String {
    let mut level = 0;
    let mut lines = Vec::new();
    for (at, change) in changes(model, span, pressure) {
        match (change.cause, change.direction) {
            (Cause::Network(NetworkCause::Bitrate | NetworkCause::Queue), _) => {}
            (_, Direction::Down) => level += 1,
            (_, Direction::Up) => level -= 1,
        }
        lines.push(line(at, &change, level));
    }
    assert_eq!(level, model.ladder.level());
    lines.join("\n") + "\n"
}

/// What a change took: 'f'rame rate, 's'ize, 'b'itrate or 'c'amera mode.
fn taken(change: &Change) -> char {
    let (from, to) = (&change.from, &change.to);
    let all = [
        (from.frame_rate != to.frame_rate, 'f'),
        (from.size != to.size, 's'),
        (from.bitrate != to.bitrate, 'b'),
        (from.content != to.content, 'c'),
    ];
    let mut taken = all.iter().filter(|(is, _)| *is).map(|(_, rung)| *rung);
    let rung = taken.next().expect("a change changes something");
    assert_eq!(taken.next(), None, "one thing at a time: {change:?}");
    rung
}

fn order_under(model: &mut Model, cause: Cause, pressure: Pressure) -> String {
    let all = changes(model, seconds(600), |_| pressure);
    let down = all.iter().filter(|(_, change)| change.cause == cause);
    down.inspect(|(_, change)| assert_eq!(change.direction, Direction::Down))
        .map(|(_, change)| taken(change))
        .collect()
}

#[test]
fn a_slow_machine_and_then_a_fast_one_leave_this_trace() {
    let slow = |at: Duration| Pressure {
        load: if (10..40).contains(&at.as_secs()) { 14.0 } else { 1.0 },
        ..Pressure::NONE
    };
    let mut model = camera(LadderConfig::default());
    insta::assert_snapshot!("cpu", transcript(&mut model, seconds(180), slow));
    assert_eq!(model.ladder.level(), 0);
}

#[test]
fn a_narrow_path_and_then_a_wide_one_leave_this_trace() {
    let narrow = |at: Duration| {
        let target = if (10..60).contains(&at.as_secs()) { 120 } else { 2_500 };
        Pressure { target, path: 1_000_000, ..Pressure::NONE }
    };
    let mut model = camera(LadderConfig::default());
    insta::assert_snapshot!("network", transcript(&mut model, seconds(180), narrow));
    assert_eq!(model.ladder.level(), 0);
}

#[test]
fn a_share_on_a_slow_machine_leaves_this_trace() {
    let slow = |at: Duration| Pressure {
        load: if (10..40).contains(&at.as_secs()) { 7.0 } else { 1.0 },
        ..Pressure::NONE
    };
    let mut model = screen(LadderConfig::default());
    insta::assert_snapshot!("screen", transcript(&mut model, seconds(180), slow));
    assert_eq!(model.ladder.level(), 0);
}

#[test]
fn the_order_of_what_a_slow_machine_takes_is_the_one_that_is_written_down() {
    let hopeless = Pressure { load: 2_000.0, complexity: 0.01, ..Pressure::NONE };
    let config = LadderConfig::default().in_a_row(1);
    let under = |mut model: Model| order_under(&mut model, Cause::Cpu, hopeless);
    // 30 → 20 → 15, four sizes, 15 → 10 as it is small now, one, 10 → 7, the least, bits.
    let prefer = |camera| config.camera(camera);
    assert_eq!(under(camera(config)), "ffssssfsfsbbbbb");
    let smooth = prefer(DegradationPreference::MaintainFramerate);
    assert_eq!(under(camera(smooth)), "ssssssfffffbbbbb");
    let sharp = prefer(DegradationPreference::MaintainResolution);
    assert_eq!(under(camera(sharp)), "fffffssssssbbbbb");
    assert_eq!(under(screen(config)), "cfffffsssssssbbbbb");
}

#[test]
fn the_order_of_what_a_narrow_path_takes_is_the_one_that_is_written_down() {
    let hopeless = Pressure { target: 1, complexity: 20.0, ..Pressure::NONE };
    let under = |mut model: Model| {
        let all = changes(&mut model, seconds(600), |_| hopeless);
        let (_, first) = all.first().expect("there are changes");
        assert_eq!(first.cause, Cause::Network(NetworkCause::Bitrate), "bits come first");
        let steps = &all[1..];
        assert!(steps.iter().all(|(_, change)| {
            matches!(change.cause, Cause::Network(NetworkCause::Qp | NetworkCause::Drops))
        }));
        steps.iter().map(|(_, change)| taken(change)).collect::<String>()
    };
    let config = LadderConfig::default();
    assert_eq!(under(camera(config)), "ssssssffff");
    assert_eq!(under(screen(config)), "fffffsssssss");
}

#[test]
fn whatever_the_load_it_settles() {
    let mut seed = 1_u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 11) as f64 / (1_u64 << 53) as f64
    };
    let (mut most, mut most_late) = (0, 0);
    for _ in 0..100 {
        let pressure = Pressure {
            load: 0.5 * 40_f64.powf(random()),
            complexity: 0.3 * 10_f64.powf(random()),
            target: (60.0 * 60_f64.powf(random())) as u64,
            path: 1_000_000,
        };
        let is_screen = random() < 0.5;
        let mut model = if is_screen { screen } else { camera }(LadderConfig::default());
        // Scenes of a second each, a third more or less than the mean.
        let scenes: Vec<f64> = (0..601).map(|_| 0.67 + 0.66 * random()).collect();
        let scene = |at: Duration| scenes[at.as_secs().min(600) as usize];
        let all = changes(&mut model, seconds(600), |at| Pressure {
            load: pressure.load * scene(at),
            complexity: pressure.complexity * scene(at),
            ..pressure
        });
        most = most.max(all.len());
        let late = all.iter().filter(|(at, _)| *at > seconds(300)).count();
        most_late = most_late.max(late);
    }
    assert!(most <= 24, "{most} changes in ten minutes");
    assert!(most_late <= 4, "{most_late} changes in the last five");
}

#[test]
fn when_the_pressure_is_over_everything_comes_back() {
    for (load, target, complexity) in [(30.0, 2_500, 1.0), (1.0, 60, 1.0), (12.0, 200, 2.0)] {
        let pressed = move |at: Duration| match at < seconds(120) {
            true => Pressure { load, target, complexity, path: 1_000_000 },
            false => Pressure { load: 0.5, complexity: 0.5, ..Pressure::NONE },
        };
        for mut model in [camera(LadderConfig::default()), screen(LadderConfig::default())] {
            let best = model.ladder.step();
            let _ = changes(&mut model, seconds(120), pressed);
            assert!(model.ladder.level() > 0);
            let _ = changes(&mut model, seconds(480), pressed);
            let step = model.ladder.step();
            assert_eq!(model.ladder.level(), 0, "{load} {target}: {step}");
            assert_eq!(
                (step.size, step.frame_rate, step.content),
                (best.size, best.frame_rate, best.content)
            );
            assert_eq!(step.bitrate, Bitrate::from_kbps(2_500));
        }
    }
}

#[test]
fn no_two_steps_are_nearer_than_they_may_be() {
    // Both causes at once, and a change of mind every second.
    let fidgety = |at: Duration| match at.as_secs() % 2 {
        0 => Pressure { load: 40.0, target: 40, complexity: 8.0, path: 1_000_000 },
        _ => Pressure { load: 20.0, target: 60, complexity: 4.0, path: 1_000_000 },
    };
    let config = LadderConfig::default().hold(seconds(3)).in_a_row(1);
    let mut model = camera(config);
    let all = changes(&mut model, seconds(120), fidgety);
    let steps: Vec<_> = all
        .iter()
        .filter(|(_, change)| {
            !matches!(change.cause, Cause::Network(NetworkCause::Bitrate | NetworkCause::Queue))
        })
        .collect();
    let both = |cause: fn(&Cause) -> bool| steps.iter().any(|(_, change)| cause(&change.cause));
    assert!(both(|cause| *cause == Cause::Cpu) && both(|cause| *cause != Cause::Cpu));
    for pair in steps.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= seconds(3) - Duration::from_millis(500), "{pair:?}");
    }
}
