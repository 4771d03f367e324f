//! When the ladder moves, to the number.

mod ladder_model;

use std::time::Duration;

use ladder_model::{FULL_HD, HD, Pressure, Sample, camera, changes, epoch, screen, seconds};
use paceline_codec::types::{Bitrate, Content, PictureFormat};
use paceline_codec::{Cause, Direction, FrameReport, Ladder, LadderConfig, LadderConfigError};

#[test]
fn a_step_up_that_is_undone_has_the_next_one_wait_twice_as_long() {
    // It takes as long whatever is asked of it above 15 a second, which nobody can foretell.
    let mut ladder = Ladder::new(LadderConfig::default());
    let mut now = epoch();
    ladder.handle_source(now, HD, 30.0, Content::Camera);
    let (mut ups, mut downs) = (Vec::new(), Vec::new());
    let start = now;
    while now - start < seconds(1_800) {
        let step = ladder.step();
        let interval = Duration::from_secs_f64(1.0 / step.frame_rate);
        let part = if step.frame_rate > 25.0 { 0.95 } else { 0.3 };
        now += interval;
        let encode_time = interval.mul_f64(part);
        ladder.handle_frame(now, FrameReport { encode_time, ..FrameReport::default() });
        while let Some(change) = ladder.poll_output() {
            let all = if change.direction == Direction::Up { &mut ups } else { &mut downs };
            all.push(now);
        }
    }
    let waits: Vec<u64> =
        ups.iter().zip(&downs).map(|(up, down)| (*up - *down).as_secs()).collect();
    assert!(waits.len() > 8, "{waits:?}");
    for (undone, wait) in waits.iter().enumerate() {
        let least = (10 << undone.min(10)).min(240);
        assert!((least..=least + 2).contains(wait), "{waits:?}");
    }
    assert_eq!(ladder.stats().undone, downs.len() as u64 - 1);
}

#[test]
fn a_step_up_waits_for_the_headroom_that_it_will_need() {
    let loaded = |load| move |_| Pressure { load, ..Pressure::NONE };
    // 720p at 30 is 20 % of the machine that was measured.
    let mut model = camera(LadderConfig::default());
    let _ = changes(&mut model, seconds(20), loaded(4.6));
    assert_eq!(model.ladder.step().frame_rate, 20.0);
    let usage = |load: f64| load * 1_280.0 * 720.0 * 7.2e-9 * 30.0;
    assert!(usage(3.2) > 0.6 && usage(2.9) < 0.6);
    assert_eq!(changes(&mut model, seconds(300), loaded(3.2)), [], "it would be 64 %");
    let all = changes(&mut model, seconds(30), loaded(2.9));
    assert_eq!(all.len(), 1, "it is 58 %: {all:?}");
    assert_eq!(model.ladder.step().frame_rate, 30.0);
}

#[test]
fn what_a_path_takes_is_followed_at_once_and_is_no_level() {
    let mut ladder = Ladder::new(LadderConfig::default().max_bitrate(Bitrate::from_kbps(8_000)));
    let now = epoch();
    ladder.handle_source(now, HD, 30.0, Content::Camera);
    for (target, bitrate) in
        [(900, 900), (875, 875), (0, 30), (u64::MAX / 1_000, 8_000), (400, 400)]
    {
        ladder.handle_target(now, Bitrate::from_kbps(target));
        assert_eq!(ladder.step().bitrate, Bitrate::from_kbps(bitrate));
    }
    assert_eq!(ladder.level(), 0);
    let told: Vec<_> = std::iter::from_fn(|| ladder.poll_output())
        .map(|change| change.to.bitrate.bps() / 1_000)
        .collect();
    assert_eq!(told, [900, 30, 8_000, 400], "3 % are not worth telling");
}

#[test]
fn what_waits_cuts_the_bitrate_until_it_is_gone() {
    // The session believes in 2 Mbit/s for a minute; the path takes a quarter of it.
    let lied_to = |at: Duration| Pressure {
        target: 2_000,
        path: if (10..40).contains(&at.as_secs()) { 500 } else { 20_000 },
        ..Pressure::NONE
    };
    let mut model = camera(LadderConfig::default());
    let (mut longest, mut late) = (Duration::ZERO, Duration::ZERO);
    model.run(seconds(40), lied_to, |sample: &Sample, _| {
        longest = longest.max(sample.queue);
        if sample.at > seconds(25) {
            late = late.max(sample.queue);
        }
    });
    assert!(model.ladder.stats().queue_cuts >= 4);
    assert!(longest > Duration::from_millis(200) && longest < seconds(3), "{longest:?}");
    assert!(late < Duration::from_millis(700), "it holds {late:?} in the end");
    let _ = changes(&mut model, seconds(60), lied_to);
    assert_eq!(model.ladder.step().bitrate, Bitrate::from_kbps(2_000));
    assert_eq!(model.ladder.poll_timeout(), None, "nobody has to wake for it any more");
}

#[test]
fn a_cut_heals_by_the_timeout_alone() {
    let mut ladder = Ladder::new(LadderConfig::default());
    let mut now = epoch();
    ladder.handle_source(now, HD, 30.0, Content::Camera);
    ladder.handle_target(now, Bitrate::from_kbps(1_000));
    ladder.handle_queue(now, Duration::from_millis(199));
    assert_eq!(ladder.step().bitrate, Bitrate::from_kbps(1_000));
    ladder.handle_queue(now, Duration::from_millis(200));
    assert_eq!(ladder.step().bitrate, Bitrate::from_kbps(700));
    assert_eq!(ladder.poll_timeout(), None, "as long as it waits, nothing heals");
    ladder.handle_queue(now, Duration::ZERO);
    for bitrate in [800, 900, 1_000] {
        let due = ladder.poll_timeout().expect("it heals");
        assert_eq!(due - now, seconds(4));
        ladder.handle_timeout(due - Duration::from_nanos(1));
        assert!(ladder.step().bitrate < Bitrate::from_kbps(bitrate));
        now = due;
        ladder.handle_timeout(now);
        assert_eq!(ladder.step().bitrate, Bitrate::from_kbps(bitrate));
    }
    assert_eq!(ladder.poll_timeout(), None);
}

#[test]
fn the_first_raise_after_a_cut_comes_when_it_was_calm_for_as_long_as_the_others() {
    let mut ladder = Ladder::new(LadderConfig::default());
    let start = epoch();
    ladder.handle_target(start, Bitrate::from_kbps(1_000));
    ladder.handle_queue(start, Duration::from_millis(200));
    // Too much to be calm for five seconds, longer than the wait itself.
    for second in 1..=5 {
        ladder.handle_queue(start + seconds(second), Duration::from_millis(150));
    }
    let calm = start + seconds(6);
    ladder.handle_queue(calm, Duration::ZERO);
    assert_eq!(ladder.step().bitrate, Bitrate::from_kbps(700), "it was not calm until now");
    assert_eq!(ladder.poll_timeout(), Some(calm + seconds(4)));
    // That it is still calm does not put it off, and that it was not does.
    ladder.handle_queue(calm + seconds(1), Duration::from_millis(99));
    assert_eq!(ladder.poll_timeout(), Some(calm + seconds(4)));
    ladder.handle_queue(calm + seconds(2), Duration::from_millis(100));
    ladder.handle_queue(calm + seconds(3), Duration::ZERO);
    assert_eq!(ladder.poll_timeout(), Some(calm + seconds(7)));
    ladder.handle_timeout(calm + seconds(7));
    assert_eq!(ladder.step().bitrate, Bitrate::from_kbps(800));
}

#[test]
fn a_queue_that_is_told_of_often_is_cut_once_in_half_a_second() {
    let mut ladder = Ladder::new(LadderConfig::default());
    let start = epoch();
    ladder.handle_target(start, Bitrate::from_kbps(1_000));
    for (millis, bitrate) in [(0, 700), (1, 700), (499, 700), (500, 490), (999, 490), (1_000, 343)]
    {
        let now = start + Duration::from_millis(millis);
        ladder.handle_queue(now, Duration::from_millis(300));
        assert_eq!(ladder.step().bitrate.bps().div_ceil(1_000), bitrate, "after {millis} ms");
    }
}

#[test]
fn while_the_bitrate_is_cut_no_size_comes_back() {
    let mut ladder = Ladder::new(LadderConfig::default());
    let mut now = epoch();
    ladder.handle_source(now, HD, 30.0, Content::Camera);
    ladder.handle_queue(now, Duration::from_millis(200));
    // Too much for it to heal, too little for it to be cut again.
    ladder.handle_queue(now, Duration::from_millis(150));
    let mut feed = |ladder: &mut Ladder, qp: u8, span: u64| {
        for _ in 0..span * 30 {
            now += Duration::from_micros(33_334);
            ladder.handle_frame(now, FrameReport { qp: Some(qp), ..FrameReport::default() });
            ladder.handle_timeout(now);
        }
        now
    };
    feed(&mut ladder, 40, 5);
    assert_eq!(ladder.level(), 1);
    let calm = feed(&mut ladder, 20, 120);
    assert_eq!(ladder.level(), 1, "it is cut");
    ladder.handle_queue(calm, Duration::ZERO);
    feed(&mut ladder, 20, 12);
    assert_eq!(ladder.level(), 1, "it heals, and the wait begins only then");
    feed(&mut ladder, 20, 20);
    assert_eq!(ladder.level(), 0);
}

#[test]
fn a_cut_is_forgotten_once_the_path_is_said_to_take_less() {
    let mut ladder = Ladder::new(LadderConfig::default());
    let now = epoch();
    ladder.handle_target(now, Bitrate::from_kbps(1_000));
    ladder.handle_queue(now, Duration::from_millis(300));
    ladder.handle_queue(now, Duration::ZERO);
    assert_eq!(ladder.step().bitrate, Bitrate::from_kbps(700));
    for (target, wakes) in [(800, true), (600, false), (2_000, false)] {
        ladder.handle_target(now, Bitrate::from_kbps(target));
        let bitrate = if wakes { 700 } else { target };
        assert_eq!(ladder.step().bitrate, Bitrate::from_kbps(bitrate));
        assert_eq!(ladder.poll_timeout().is_some(), wakes, "{target}");
    }
}

#[test]
fn a_screen_is_encoded_as_a_camera_only_where_that_is_cheaper() {
    for (format, cheaper) in
        [(PictureFormat::H264, true), (PictureFormat::Vp8, false), (PictureFormat::Vp9, false)]
    {
        let mut model = screen(LadderConfig::of(format));
        let slow = Pressure { load: 20.0, ..Pressure::NONE };
        let all = changes(&mut model, seconds(120), |_| slow);
        let down: Vec<_> = all.iter().filter(|(_, change)| change.cause == Cause::Cpu).collect();
        assert!(down.len() > 2, "{format:?}: {}", down.len());
        let camera = down.iter().any(|(_, change)| change.to.content == Content::Camera);
        assert_eq!(camera, cheaper, "{format:?}");
    }
}

#[test]
fn changes_that_nobody_takes_are_dropped_and_counted() {
    let mut ladder = Ladder::new(LadderConfig::default());
    let now = epoch();
    ladder.handle_source(now, HD, 30.0, Content::Camera);
    for round in 1..=20 {
        ladder.handle_target(now, Bitrate::from_kbps(1_000 + 500 * (round % 2)));
    }
    assert_eq!(ladder.stats().unread, 4);
    assert_eq!(std::iter::from_fn(|| ladder.poll_output()).count(), 16);
}

#[test]
fn a_still_screen_with_a_slow_picture_now_and_then_is_no_pressure() {
    let mut ladder = Ladder::new(LadderConfig::default());
    let mut now = epoch();
    ladder.handle_source(now, FULL_HD, 30.0, Content::Screen);
    for _ in 0..600 {
        now += Duration::from_millis(500);
        let encode_time = Duration::from_millis(60);
        ladder
            .handle_frame(now, FrameReport { encode_time, qp: Some(20), ..FrameReport::default() });
        assert_eq!(ladder.level(), 0);
    }
    assert!((ladder.stats().usage - 0.12).abs() < 0.01);
    assert_eq!(ladder.poll_timeout(), None, "nothing is to be done when nothing comes");
}

#[test]
fn a_source_of_another_size_is_held_to_the_pixels_of_the_one_before() {
    let pressed = |_| Pressure { load: 10.0, ..Pressure::NONE };
    let mut model = camera(LadderConfig::default());
    let _ = changes(&mut model, seconds(60), pressed);
    let (held, level) = (model.ladder.step(), model.ladder.level());
    assert!(held.pixels() < 1_280 * 720 && level > 2);
    let near = |a: u32, b: u32| f64::from(a.abs_diff(b)) < 0.03 * f64::from(b);

    model.switch((3_840, 2_160), 60.0, Content::Camera);
    let large = model.ladder.step();
    assert!(near(large.pixels(), held.pixels()), "{held} became {large}");
    assert!((large.frame_rate - held.frame_rate).abs() < 0.1);
    assert!(model.ladder.level() > level, "there is more to give back");
    let told = model.ladder.poll_output().expect("it is told");
    assert_eq!((told.cause, told.direction), (Cause::Source, Direction::Down));

    model.switch((2_160, 3_840), 60.0, Content::Camera);
    let upright = model.ladder.step();
    assert_eq!((upright.size.1, upright.size.0), large.size);

    model.switch((320, 240), 5.0, Content::Camera);
    assert_eq!((model.ladder.step().size, model.ladder.step().frame_rate), ((320, 240), 5.0));
    assert_eq!(model.ladder.level(), 0, "no rung limits it");

    model.switch(HD, 30.0, Content::Camera);
    assert_eq!(model.ladder.step().size, HD, "nothing is known of it any more");
}

#[test]
fn a_camera_after_a_screen_in_camera_mode_has_nothing_to_give_back() {
    let mut model = screen(LadderConfig::default());
    let slow = |_| Pressure { load: 1.8, ..Pressure::NONE };
    let _ = changes(&mut model, seconds(20), slow);
    assert_eq!((model.ladder.step().content, model.ladder.level()), (Content::Camera, 1));
    assert_eq!(model.ladder.step().size, FULL_HD, "at full size");
    assert_eq!(model.ladder.step().frame_rate, 30.0, "and full rate");
    model.switch(HD, 30.0, Content::Camera);
    assert_eq!(model.ladder.level(), 0);
}

#[test]
fn quantizers_mean_what_their_format_says() {
    for (format, low, high) in [
        (PictureFormat::H264, 24, 37),
        (PictureFormat::Vp8, 29, 95),
        (PictureFormat::Vp9, 149, 205),
    ] {
        let mut ladder = Ladder::new(LadderConfig::of(format));
        let mut now = epoch();
        ladder.handle_source(now, HD, 30.0, Content::Camera);
        let mut feed = |ladder: &mut Ladder, qp: u8, span: u64| {
            for _ in 0..span * 30 {
                now += Duration::from_micros(33_334);
                ladder.handle_frame(now, FrameReport { qp: Some(qp), ..FrameReport::default() });
            }
        };
        feed(&mut ladder, high, 60);
        assert_eq!(ladder.level(), 0, "{format:?}: at the threshold all is well");
        feed(&mut ladder, high + 1, 5);
        assert_eq!(ladder.level(), 1, "{format:?}: above it, it is not");
        feed(&mut ladder, low + 1, 60);
        assert_eq!(ladder.level(), 1, "{format:?}: between them nothing moves");
        feed(&mut ladder, low, 15);
        assert_eq!(ladder.level(), 0, "{format:?}: at the low one it comes back");
    }
}

#[test]
fn six_skipped_of_ten_are_bearable_and_more_are_not() {
    for (skipped_of_ten, level) in [(6, 0), (7, 1)] {
        let mut ladder = Ladder::new(LadderConfig::default());
        let start = epoch();
        ladder.handle_source(start, HD, 30.0, Content::Camera);
        for frame in 0..60_u32 {
            let skipped = frame % 10 < skipped_of_ten;
            let report = FrameReport { skipped, ..FrameReport::default() };
            assert_eq!(ladder.level(), 0, "not before there are 60");
            ladder.handle_frame(start + Duration::from_millis(33) * frame, report);
        }
        assert_eq!(ladder.level(), level);
        let causes = (ladder.stats().down_drops, ladder.stats().down_qp);
        assert_eq!(causes, (level as u64, 0));
    }
}

#[test]
fn a_configuration_that_cannot_be_is_refused_with_the_name_of_what_is_wrong() {
    let good = LadderConfig::default();
    assert_eq!(good.validate(), Ok(()));
    for (bad, name) in [
        (good.headroom(0.7).max_usage(0.65), "headroom"),
        (good.pixel_step(1.0), "pixel_step"),
        (good.frame_rate_step(f64::NAN), "frame_rate_step"),
        (good.qp_low(37), "qp_low"),
        (good.min_pixels(0), "min_pixels"),
        (good.hold(Duration::ZERO), "hold (s)"),
        (good.max_back_off(seconds(9)), "max_back_off (s)"),
        (
            good.min_bitrate(Bitrate::from_kbps(2)).max_bitrate(Bitrate::from_kbps(1)),
            "min_bitrate (bit/s)",
        ),
    ] {
        let Err(LadderConfigError::OutOfRange { field, .. }) = bad.validate() else {
            panic!("{name} was let through");
        };
        assert_eq!(field, name);
    }
}
