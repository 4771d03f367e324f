//! The picture of everybody, and what is told about it.

#![allow(clippy::disallowed_methods, reason = "an epoch for the tests")]

use std::time::{Duration, Instant};

use paceline_playout::{ConfigError, Kind, Stage, StageConfig, StageOutput, Verdict};
use paceline_types::{
    AudioFrame, Frequency, MediaTime, MixInfo, NtpTime, PixelFormat, Rect, SenderId, StreamId,
    VideoFrame, WallClock,
};

const ANN: SenderId = SenderId::new(1);
const BOB: SenderId = SenderId::new(2);

fn stage(config: StageConfig, members: u32) -> (Stage, Instant) {
    let now = Instant::now();
    let wall = WallClock::new(now, NtpTime::from_unix(Duration::from_secs(1_700_000_000)));
    let mut stage = Stage::new(now, wall, config);
    for id in 1..=members {
        assert_eq!(stage.add_source(now, SenderId::new(id)), Verdict::Accepted);
    }
    (stage, now)
}

/// A picture of one luma, captured at `capture`.
fn flat(width: u16, height: u16, luma: u8, capture: u64) -> VideoFrame {
    let mut planes = vec![128; PixelFormat::I420.bytes(width, height)];
    planes[..usize::from(width) * usize::from(height)].fill(luma);
    let time = MediaTime::new(0, Frequency::VIDEO);
    VideoFrame::new(width, height, time, NtpTime::from_bits(capture), planes.into())
        .expect("right size")
}

fn shown(stage: &mut Stage, now: Instant) -> (Vec<VideoFrame>, Vec<MixInfo>) {
    stage.handle_timeout(now);
    let (mut pictures, mut infos) = (Vec::new(), Vec::new());
    while let Some(output) = stage.poll_output() {
        match output {
            StageOutput::Picture(picture) => pictures.push(picture),
            StageOutput::MixInfo(info) => {
                let last = pictures.last().expect("a picture comes before");
                assert_eq!((info.stream, info.time), (StreamId::MIX_VIDEO, last.time()));
                infos.push(info);
            }
            _ => {}
        }
    }
    (pictures, infos)
}

fn luma(picture: &VideoFrame, x: u16, y: u16) -> u8 {
    picture.y()[usize::from(y) * usize::from(picture.width()) + usize::from(x)]
}

/// All of a rectangle has this luma, and all beside it in the mix another.
fn assert_covers(picture: &VideoFrame, tile: Rect, value: u8) {
    for y in 0..picture.height() {
        for x in 0..picture.width() {
            let inside = (tile.x..tile.x + tile.width).contains(&x)
                && (tile.y..tile.y + tile.height).contains(&y);
            assert_eq!(luma(picture, x, y) == value, inside, "at {x},{y}, tile {tile:?}");
        }
    }
}

#[test]
fn a_picture_of_any_size_fits_its_tile() {
    let sides = [1, 2, 3, 17, 64, 101, 720];
    for (width, height) in sides.iter().flat_map(|&w| sides.map(|h| (w, h))) {
        let (mut stage, now) = stage(StageConfig::default().width(64).height(36), 3);
        assert_eq!(stage.handle_video(now, BOB, flat(width, height, 200, 5)), Verdict::Accepted);
        let (pictures, infos) = shown(&mut stage, now);
        let sources = &infos[0].sources;
        assert_eq!(sources.iter().map(|source| source.sender.get()).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(sources[0].tile, Rect::default());
        assert_eq!(sources[1].capture, NtpTime::from_bits(5));
        let tile = sources[1].tile;
        assert!(tile.x >= 32 && tile.y + tile.height <= 18, "{tile:?}");
        assert_covers(&pictures[0], tile, 200);
    }
}

#[test]
fn a_picture_that_changes_its_shape_leaves_nothing_behind() {
    let (mut stage, mut now) = stage(StageConfig::default().width(64).height(36), 1);
    for (size, luma) in [((16, 9), 200), ((9, 16), 210), ((40, 9), 220)] {
        let _ = stage.handle_video(now, ANN, flat(size.0, size.1, luma, 1));
        let (pictures, infos) = shown(&mut stage, now);
        assert_covers(&pictures[0], infos[0].sources[0].tile, luma);
        assert!(!pictures[0].y().contains(&(luma - 10)));
        now += Duration::from_millis(40);
    }
}

#[test]
fn colour_lies_where_the_luma_does() {
    let (mut stage, now) = stage(StageConfig::default().width(64).height(32), 2);
    let mut planes = vec![200; PixelFormat::I420.bytes(33, 33)];
    planes[33 * 33..33 * 33 + 17 * 17].fill(60);
    planes[33 * 33 + 17 * 17..].fill(240);
    let time = MediaTime::new(0, Frequency::VIDEO);
    let purple = VideoFrame::new(33, 33, time, NtpTime::default(), planes.into());
    let _ = stage.handle_video(now, BOB, purple.expect("right size"));
    let mix = shown(&mut stage, now).0.remove(0);
    // Ann's half has no picture, Bob's square fills his.
    for (i, (u, v)) in mix.u().iter().zip(mix.v()).enumerate() {
        let expected = if i % 32 < 16 { (128, 128) } else { (60, 240) };
        assert_eq!((*u, *v), expected, "chroma at {},{}", i % 32, i / 32);
    }
    assert_covers(&mix, Rect { x: 32, y: 0, width: 32, height: 32 }, 200);
}

#[test]
fn pictures_have_the_frame_rate_and_the_90_khz_clock() {
    let (mut stage, start) = stage(StageConfig::default().frame_rate(30), 1);
    let mut times = Vec::new();
    while stage.stats().pictures < 31 {
        let now = stage.poll_timeout().expect("always");
        times.extend(shown(&mut stage, now).0.into_iter().map(|it| (now - start, it)));
    }
    for (number, (since, picture)) in times.iter().enumerate() {
        assert_eq!(picture.time(), MediaTime::new(number as u64 * 3_000, Frequency::VIDEO));
        let capture = picture.capture().saturating_since(times[0].1.capture());
        assert!(capture.abs_diff(*since) < Duration::from_micros(1));
    }
    assert_eq!(times[30].0, Duration::from_secs(1));
}

#[test]
fn of_several_late_pictures_only_the_last_is_made() {
    let (mut stage, start) = stage(StageConfig::default(), 1);
    let _ = shown(&mut stage, start);
    let (pictures, _) = shown(&mut stage, start + Duration::from_millis(110));
    assert_eq!(pictures.len(), 1);
    assert_eq!(pictures[0].time().ticks(), 9_000);
    assert_eq!((stage.stats().pictures, stage.stats().pictures_skipped), (2, 2));
}

#[test]
fn the_newest_picture_wins_and_stays() {
    let (mut stage, start) = stage(StageConfig::default(), 1);
    let _ = stage.handle_video(start, ANN, flat(16, 9, 100, 1));
    let _ = stage.handle_video(start, ANN, flat(16, 9, 150, 2));
    assert_eq!(stage.source_stats(ANN).expect("is there").pictures_superseded, 1);
    let (first, infos) = shown(&mut stage, start);
    assert_eq!((luma(&first[0], 9, 9), infos[0].sources[0].capture.to_bits()), (150, 2));
    let (second, _) = shown(&mut stage, start + Duration::from_millis(40));
    assert_eq!(second[0].planes(), first[0].planes());
    assert_eq!(stage.handle_video(start, BOB, flat(16, 9, 1, 1)), Verdict::Unknown);
}

#[test]
fn what_is_told_comes_every_100_ms_and_at_each_change() {
    let (mut stage, start) = stage(StageConfig::default(), 2);
    let mut now = start;
    let mut told = Vec::new();
    let mut run = |stage: &mut Stage, millis: u64| {
        let end = now + Duration::from_millis(millis);
        while let Some(next) = stage.poll_timeout().filter(|&next| next <= end) {
            for info in shown(stage, next).1 {
                told.push(((next - start).as_millis(), info));
            }
        }
        now = end;
        std::mem::take(&mut told)
    };
    let times = |told: &[(u128, MixInfo)]| told.iter().map(|it| it.0).collect::<Vec<_>>();

    assert_eq!(times(&run(&mut stage, 310)), [0, 100, 200, 300]);
    // Somebody leaves at 310; the next picture is at 333.
    stage.remove_source(now_of(&stage), BOB);
    let left = run(&mut stage, 60);
    assert_eq!((times(&left), left[0].1.sources.len()), (vec![333], 1));
    // A first picture makes a tile.
    let _ = stage.handle_video(now_of(&stage), ANN, flat(16, 9, 100, 7));
    let first = run(&mut stage, 40);
    assert_eq!(times(&first), [400]);
    assert_eq!(first[0].1.sources[0].tile, Rect { x: 0, y: 0, width: 640, height: 360 });
    // One of another shape moves it; one of the same does not.
    let _ = stage.handle_video(now_of(&stage), ANN, flat(9, 9, 100, 8));
    let second = run(&mut stage, 30);
    assert_eq!(times(&second), [433]);
    assert_eq!(second[0].1.sources[0].tile, Rect { x: 140, y: 0, width: 360, height: 360 });
    let _ = stage.handle_video(now_of(&stage), ANN, flat(18, 18, 100, 9));
    assert_eq!(times(&run(&mut stage, 50)), []);
    // Switched off, he has no tile and is muted.
    stage.set_enabled(now_of(&stage), ANN, Kind::Video, false);
    stage.set_enabled(now_of(&stage), ANN, Kind::Audio, false);
    let off = run(&mut stage, 30);
    let source = off[0].1.sources[0];
    assert_eq!((times(&off), source.tile), (vec![500], Rect::default()));
    assert!(source.muted && source.level == 127 && source.capture == NtpTime::default());
    assert_eq!(stage.handle_video(now_of(&stage), ANN, flat(9, 9, 1, 1)), Verdict::SwitchedOff);
}

fn now_of(stage: &Stage) -> Instant {
    stage.poll_timeout().expect("always")
}

#[test]
fn a_level_is_the_loudness_below_full_scale() {
    // A square wave of full scale is the reference (RFC 6465 §3).
    for (amplitude, level) in [(1.0, 0), (0.1, 20), (0.01, 40), (0.0, 127)] {
        let (mut stage, mut now) = stage(StageConfig::default(), 1);
        let mut last = 200;
        for _ in 0..50 {
            let square = (0..960).map(|i| if i / 50 % 2 == 0 { amplitude } else { -amplitude });
            let time = MediaTime::new(0, Frequency::AUDIO);
            let samples = square.collect();
            let frame = AudioFrame { channels: 1, time, capture: NtpTime::default(), samples };
            let _ = stage.handle_audio(now, ANN, frame);
            if let Some(info) = shown(&mut stage, now).1.last() {
                last = info.sources[0].level;
            }
            now += Duration::from_millis(20);
        }
        assert_eq!(last, level, "of {amplitude}");
    }
}

#[test]
fn who_comes_and_goes_leaves_no_trace_in_the_picture() {
    let (mut stage, start) = stage(StageConfig::default(), 1);
    let _ = stage.handle_video(start, ANN, flat(9, 16, 100, 1));
    let alone = shown(&mut stage, start).0.remove(0);
    let _ = stage.add_source(start, BOB);
    let _ = stage.handle_video(start, BOB, flat(31, 9, 222, 1));
    let both = shown(&mut stage, start + Duration::from_millis(40)).0.remove(0);
    assert!(both.y().contains(&222));
    stage.remove_source(start, BOB);
    let again = shown(&mut stage, start + Duration::from_millis(80)).0.remove(0);
    assert_eq!(again.planes(), alone.planes());
}

#[test]
fn the_same_calls_give_the_same_outputs() {
    let start = Instant::now();
    let run = || {
        let wall = WallClock::new(start, NtpTime::from_bits(1 << 40));
        let mut stage = Stage::new(start, wall, StageConfig::default().width(128).height(72));
        let (mut state, mut now, mut outputs) = (42_u64, start, Vec::new());
        for _ in 0..400 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (id, size) = (SenderId::new((state >> 40) as u32 % 6), (state >> 48) as u16 % 90);
            match state >> 61 {
                0 => _ = stage.add_source(now, id),
                1 if size < 20 => stage.remove_source(now, id),
                2 => _ = stage.handle_video(now, id, flat(size + 1, 50, size as u8, state)),
                3 => stage.set_enabled(now, id, Kind::Audio, size % 4 > 0),
                _ => {
                    let samples = (0..size * 40).map(|i| f32::from(i).sin() * 2.0).collect();
                    let (time, capture) = (MediaTime::new(0, Frequency::AUDIO), NtpTime::default());
                    let frame = AudioFrame { channels: 1, time, capture, samples };
                    _ = stage.handle_audio(now, id, frame);
                }
            }
            now += Duration::from_micros(u64::from(size) * 200);
            stage.handle_timeout(now);
            outputs.extend(std::iter::from_fn(|| stage.poll_output()));
            assert!(stage.poll_timeout().is_some_and(|next| next > now));
        }
        (outputs, stage.stats())
    };
    let (outputs, stats) = run();
    assert!(outputs.len() > 500 && stats.pictures > 50);
    assert!((outputs, stats) == run());
}

#[test]
fn a_config_out_of_bounds_names_its_field() {
    let config = StageConfig::default();
    let cases = [
        (config.clone().width(0), "stage: width is 0; set it from 16 to 1920"),
        (config.clone().height(1_082), "stage: height is 1082; set it from 16 to 1080"),
        (config.clone().height(99), "stage: height is 99; set an even number"),
        (config.clone().frame_rate(0), "stage: frame_rate is 0; set it from 1 to 60"),
        (config.clone().max_sources(33), "stage: max_sources is 33; set it from 1 to 32"),
        (
            config.clone().cushion(Duration::from_millis(61)),
            "stage: cushion (ms) is 61; set it from 0 to 60",
        ),
    ];
    for (config, text) in cases {
        assert_eq!(config.validate().map_err(|error| error.to_string()), Err(text.to_owned()));
    }
    let endless = config.max_audio_queue(Duration::MAX);
    let Err(ConfigError::OutOfRange { field, .. }) = endless.validate() else {
        panic!("an endless queue is accepted");
    };
    assert_eq!(field, "max_audio_queue (ms)");
}
