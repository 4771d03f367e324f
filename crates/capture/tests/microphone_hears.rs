//! What is played into a sink is heard from its monitor, with the stamps of its clock.
#![cfg(all(feature = "microphone", target_os = "linux"))]

#[path = "pulse/mod.rs"]
mod pulse;

use std::ops::RangeInclusive;
use std::thread;

use paceline_capture::types::{AudioFrame, Frequency, MediaTime, NtpTime};
use paceline_capture::{AudioSource, CaptureError, Microphone, MicrophoneConfig, microphones};
use pulse::{level, sine, with_pulse};

fn open(id: &str) -> Microphone {
    let mut microphone = Microphone::open(Some(id), MicrophoneConfig::default()).expect("it opens");
    microphone.wake(thread::current());
    microphone
}

/// The next frame, waited for without a clock: whoever started this process has one.
fn next(microphone: &mut Microphone) -> AudioFrame {
    let (time, capture) = (MediaTime::new(5_000, Frequency::AUDIO), NtpTime::from_bits(1 << 40));
    loop {
        match microphone.read(time, capture).expect("it is not gone") {
            Some(frame) => return frame,
            None => thread::park(),
        }
    }
}

/// Waits for the tone of `hz`.
fn until_heard(microphone: &mut Microphone, hz: f64) {
    while level(&next(microphone).samples, hz, 48_000) < 0.05 {}
}

/// A level that is to be heard: by which of the microphones, at how many Hz, from and to.
type Level = (usize, f64, RangeInclusive<f64>);

/// Hears whole seconds until one of them has all these levels at once.
///
/// A machine that is too busy loses samples: a second in which one of the microphones says so
/// is none. It may also be who plays that is late, which nobody says, so that more than one of
/// the others is needed to call the levels wrong.
fn assert_levels(microphones: &mut [&mut Microphone], expected: &[Level]) {
    let mut wrong = Vec::new();
    while wrong.len() < TRIES {
        let missing = missing(microphones);
        let mut heard = vec![Vec::new(); microphones.len()];
        for _ in 0..50 {
            for (microphone, heard) in microphones.iter_mut().zip(&mut heard) {
                heard.extend_from_slice(&next(microphone).samples);
            }
        }
        if missing != self::missing(microphones) {
            continue;
        }
        let levels = expected.iter().map(|&(of, hz, _)| level(&heard[of], hz, 48_000));
        let levels: Vec<f64> = levels.collect();
        if levels.iter().zip(expected).all(|(level, (_, _, right))| right.contains(level)) {
            return;
        }
        wrong.push(levels);
    }
    panic!("{wrong:?} in seconds of which nothing is missing, and not {expected:?}");
}

/// Samples that were dropped or left out so far.
fn missing(microphones: &[&mut Microphone]) -> u64 {
    let stats = microphones.iter().map(|microphone| microphone.stats());
    stats.map(|stats| stats.overrun + stats.lost).sum()
}

/// Plays a tone into a sink, and asserts that it is what is heard from its monitor.
fn heard_from(sink: &str, microphone: &mut Microphone, pulse: &pulse::Pulse, hz: f64) {
    let _playing = pulse.play(sink, 48_000, 1, &sine(hz, 0.5, 48_000, SECONDS));
    until_heard(microphone, hz);
    assert_levels(&mut [microphone], &[(0, hz, 0.45..=0.55), (0, 2.0 * hz, 0.0..=0.005)]);
}

#[test]
fn a_tone_played_into_a_sink_is_heard_from_its_monitor() {
    with_pulse("a_tone_played_into_a_sink_is_heard_from_its_monitor", |pulse| {
        pulse.null_sink("room", 48_000, 2);
        heard_from("room", &mut open("pulseaudio:room.monitor"), pulse, 440.0);
    });
}

#[test]
fn a_stereo_source_at_44_100_hz_is_heard_as_mono_at_48_000() {
    with_pulse("a_stereo_source_at_44_100_hz_is_heard_as_mono_at_48_000", |pulse| {
        pulse.null_sink("room", 44_100, 2);
        let mut microphone = open("pulseaudio:room.monitor");
        heard_from("room", &mut microphone, pulse, 1_000.0);
        let stats = microphone.stats();
        assert_eq!((stats.rate, stats.channels), (48_000, 1), "its server converts");
    });
}

#[test]
fn frames_follow_each_other_by_960_where_nothing_is_missing() {
    with_pulse("frames_follow_each_other_by_960_where_nothing_is_missing", |pulse| {
        pulse.null_sink("room", 48_000, 1);
        let mut microphone = open("pulseaudio:room.monitor");
        let first = next(&mut microphone);
        assert_eq!((first.time.ticks(), first.channels, first.samples.len()), (5_000, 1, 960));
        let mut last = first;
        for count in 2..=150 {
            let frame = next(&mut microphone);
            let stats = microphone.stats();
            let (step, missing) =
                (frame.time.ticks() - last.time.ticks(), stats.overrun + stats.lost);
            // A machine that is too busy may lose some, and then says so.
            assert!(step == 960 || (step > 960 && step <= 960 + missing), "{step}: {stats:?}");
            assert_eq!(stats.frames, count);
            last = frame;
        }
    });
}

#[test]
fn two_are_heard_at_once_and_one_after_the_other() {
    with_pulse("two_are_heard_at_once_and_one_after_the_other", |pulse| {
        pulse.null_sink("left", 48_000, 1);
        pulse.null_sink("right", 32_000, 2);
        let mut left = open("pulseaudio:left.monitor");
        let mut right = open("pulseaudio:right.monitor");
        let _left = pulse.play("left", 48_000, 1, &sine(600.0, 0.4, 48_000, SECONDS));
        let _right = pulse.play("right", 48_000, 1, &sine(900.0, 0.2, 48_000, SECONDS));
        until_heard(&mut left, 600.0);
        until_heard(&mut right, 900.0);
        let of_left = [(0, 600.0, 0.36..=0.44), (0, 900.0, 0.0..=0.01)];
        let of_right = [(1, 900.0, 0.18..=0.22), (1, 600.0, 0.0..=0.01)];
        assert_levels(&mut [&mut left, &mut right], &[of_left, of_right].concat());

        drop(left);
        let mut other = open("pulseaudio:right.monitor");
        until_heard(&mut other, 900.0);
        assert_levels(&mut [&mut other], &[(0, 900.0, 0.18..=0.22)]);
    });
}

#[test]
fn a_microphone_that_nobody_reads_keeps_the_newest_and_its_time_goes_on() {
    with_pulse("a_microphone_that_nobody_reads_keeps_the_newest_and_its_time_goes_on", |pulse| {
        pulse.null_sink("room", 48_000, 1);
        let mut microphone = open("pulseaudio:room.monitor");
        let before = next(&mut microphone);
        let stats = microphone.stats();
        // Three seconds, as that sink counts them.
        drop(pulse.record("room.monitor", 48_000, 1).take(3 * 48_000));
        let after = next(&mut microphone);
        let dropped = microphone.stats().overrun - stats.overrun;
        assert!(dropped > 2 * 48_000, "{dropped}");
        let step = after.time.ticks() - before.time.ticks();
        assert!(step >= dropped, "{step} for {dropped}");
        // What is left to read now is what had not been dropped, and no more.
        let mut left = 0;
        while let Ok(Some(_)) = microphone.read(before.time, before.capture) {
            left += 1;
        }
        assert!(left <= 20, "{left} frames: more than 60 ms and the largest block");
    });
}

#[test]
fn devices_are_listed_the_default_first_and_monitors_last() {
    with_pulse("devices_are_listed_the_default_first_and_monitors_last", |pulse| {
        pulse.null_sink("room", 48_000, 2);
        pulse.load("module-null-source source_name=desk");
        pulse.load("module-null-source source_name=lap description=Lap");
        pulse.pactl(&["set-default-source", "lap"]);
        let devices = microphones().expect("the server answers");
        let ids: Vec<&str> = devices.iter().map(|device| device.id.as_str()).collect();
        assert_eq!(ids, ["pulseaudio:lap", "pulseaudio:desk", "pulseaudio:room.monitor"]);
        assert!(devices[0].is_default && !devices[1].is_default && !devices[2].is_default);
        assert!(devices[2].name.contains("Monitor"), "{:?}", devices[2].name);
        assert_eq!(microphones().expect("it answers again"), devices);

        let config = MicrophoneConfig::default();
        let default = Microphone::open(None, config).expect("it opens");
        assert_eq!(default.id(), "pulseaudio:lap");
        for unknown in ["pulseaudio:attic", "room.monitor", "pulseaudio:room", ""] {
            let error = Microphone::open(Some(unknown), config).expect_err("there is none");
            let CaptureError::UnknownDevice { id, present, .. } = &error else {
                panic!("{error}");
            };
            assert_eq!((id.as_str(), present), (unknown, &devices));
            assert!(error.to_string().contains("pulseaudio:desk"), "{error}");
        }
    });
}

#[test]
fn a_monitor_is_opened_by_its_id_only() {
    with_pulse("a_monitor_is_opened_by_its_id_only", |pulse| {
        pulse.null_sink("room", 48_000, 2);
        let config = MicrophoneConfig::default();
        let listed = || microphones().expect("the server answers");
        let marked = || listed().into_iter().filter(|device| device.is_default);
        let error = Microphone::open(None, config).expect_err("a call would hear itself");
        let CaptureError::UnknownDevice { id, present, .. } = &error else { panic!("{error}") };
        assert_eq!((id.as_str(), present), ("default", &listed()));
        assert_eq!((present.len(), marked().count()), (1, 0));

        // The headset was pulled out: the server's default is a monitor, and another is there.
        pulse.load("module-null-source source_name=desk");
        pulse.pactl(&["set-default-source", "room.monitor"]);
        let opened = Microphone::open(None, config).expect("it opens");
        assert_eq!(opened.id(), "pulseaudio:desk");
        assert_eq!(marked().map(|device| device.id).collect::<Vec<_>>(), ["pulseaudio:desk"]);
        let mut monitor = open("pulseaudio:room.monitor");
        assert_eq!(next(&mut monitor).samples.len(), 960);
    });
}

/// A tone lasts longer than it takes to hear it on a machine that is busy now and then.
const SECONDS: f64 = 60.0;
/// So many seconds that nothing is missing of may have the wrong levels.
const TRIES: usize = 5;
