//! A microphone that is pulled out says so once and for all, and opens again when it is back.
#![cfg(all(feature = "microphone", target_os = "linux"))]

#[path = "pulse/mod.rs"]
mod pulse;

use std::fs;
use std::thread;
use std::time::Duration;

use paceline_capture::types::{Frequency, MediaTime, NtpTime};
use paceline_capture::{AudioSource, CaptureError, Microphone, MicrophoneConfig, microphones};
use pulse::{Pulse, with_pulse};

const ROOM: &str = "pulseaudio:room.monitor";

fn open(id: Option<&str>) -> Result<Microphone, CaptureError> {
    let mut microphone = Microphone::open(id, MicrophoneConfig::default())?;
    microphone.wake(thread::current());
    Ok(microphone)
}

fn read(microphone: &mut Microphone) -> Result<usize, CaptureError> {
    let time = MediaTime::new(0, Frequency::AUDIO);
    loop {
        match microphone.read(time, NtpTime::default())? {
            Some(frame) => return Ok(frame.samples.len()),
            None => thread::park(),
        }
    }
}

/// Reads until it is gone; why.
fn until_gone(microphone: &mut Microphone) -> CaptureError {
    loop {
        if let Err(error) = read(microphone) {
            return error;
        }
    }
}

/// Threads of this process that are called so.
fn threads_named(name: &str) -> usize {
    let threads = fs::read_dir("/proc/self/task").expect("each process has some");
    let names = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("comm")));
    names.flatten().filter(|of| of.trim_end() == name).count()
}

#[test]
fn one_that_is_pulled_out_is_gone_and_opens_again_when_it_is_back() {
    with_pulse("one_that_is_pulled_out_is_gone_and_opens_again_when_it_is_back", |pulse| {
        let mut module = pulse.null_sink("room", 48_000, 2);
        for _ in 0..3 {
            let mut microphone = open(Some(ROOM)).expect("it is there");
            assert_eq!(read(&mut microphone).expect("it is heard"), 960);
            pulse.unload(module);
            let error = until_gone(&mut microphone);
            assert!(error.is_gone(), "{error}");
            assert!(error.to_string().contains(ROOM), "{error}");
            assert!(microphone.stats().device_errors > 0);
            assert!(read(&mut microphone).is_err_and(|error| error.is_gone()), "it stays so");
            // It is not held open for as long as somebody has this.
            while threads_named("microphone") > 0 {
                pulse.pactl(&["info"]);
            }
            drop(microphone);

            let error = open(Some(ROOM)).expect_err("it is out");
            let CaptureError::UnknownDevice { present, .. } = error else { panic!("{error}") };
            assert_eq!(present, []);
            let error = open(None).expect_err("there is none at all");
            assert!(matches!(error, CaptureError::UnknownDevice { .. }), "{error}");
            module = pulse.null_sink("room", 44_100, 1);
        }
        let mut microphone = open(Some(ROOM)).expect("it is back");
        assert_eq!(read(&mut microphone).expect("it is heard"), 960);
    });
}

#[test]
fn to_ask_again_and_again_leaves_nothing_behind() {
    with_pulse("to_ask_again_and_again_leaves_nothing_behind", |pulse| {
        pulse.null_sink("room", 48_000, 2);
        let threads = || fs::read_dir("/proc/self/task").expect("each process has some").count();
        // The first time makes the connection that all others use.
        drop(open(Some(ROOM)).expect("it is there"));
        let _ = microphones().expect("they are listed");
        let before = threads();
        for _ in 0..20 {
            let _ = microphones().expect("they are listed");
            let mut microphone = open(Some(ROOM)).expect("it is there");
            assert_eq!(read(&mut microphone).expect("it is heard"), 960);
        }
        // The thread of the one just closed may still be ending.
        while threads() > before {
            pulse.pactl(&["info"]);
        }
    });
}

#[test]
fn without_its_server_it_is_gone_and_there_is_no_other() {
    with_pulse("without_its_server_it_is_gone_and_there_is_no_other", |pulse| {
        pulse.null_sink("room", 48_000, 2);
        let mut microphone = open(Some(ROOM)).expect("it is there");
        assert_eq!(read(&mut microphone).expect("it is heard"), 960);
        pulse.crash();
        let error = until_gone(&mut microphone);
        assert!(error.is_gone(), "{error}");
        // A machine with a sound card has others by ALSA.
        if let Err(error) = microphones() {
            assert!(matches!(error, CaptureError::Unavailable { .. }), "{error}");
            assert!(error.to_string().contains("start PulseAudio"), "{error}");
        }
        let error = open(Some(ROOM)).expect_err("there is no server");
        assert!(matches!(error, CaptureError::Unavailable { .. }), "{error}");

        pulse.run();
        pulse.null_sink("room", 48_000, 2);
        let mut microphone = open(Some(ROOM)).expect("it is back");
        assert_eq!(read(&mut microphone).expect("it is heard"), 960);
    });
}

#[test]
fn a_server_that_hangs_holds_up_neither_opening_nor_closing() {
    with_pulse("a_server_that_hangs_holds_up_neither_opening_nor_closing", |pulse| {
        pulse.null_sink("room", 48_000, 2);
        let config = MicrophoneConfig::default()
            .open_timeout(Duration::from_secs(4))
            .close_timeout(Duration::from_millis(50));
        let mut microphone = Microphone::open(Some(ROOM), config).expect("it is there");
        microphone.wake(thread::current());
        assert_eq!(read(&mut microphone).expect("it is heard"), 960);
        pulse.freeze();
        drop(microphone);
        let hasty = config.open_timeout(Duration::from_millis(100));
        let error = Microphone::open(Some(ROOM), hasty).expect_err("it does not answer");
        assert!(matches!(error, CaptureError::Unavailable { .. }), "{error}");
        assert!(error.to_string().contains("100ms"), "{error}");
        pulse.thaw();
        let mut microphone = open(Some(ROOM)).expect("it answers again");
        assert_eq!(read(&mut microphone).expect("it is heard"), 960);
    });
}

#[test]
fn a_server_started_by_a_test_that_was_killed_is_ended_by_who_started_the_test() {
    let Some(mut pulse) = Pulse::start() else { return };
    pulse.kill();
    let mut of_test = pulse.lend();
    of_test.run();
    // Its process ends here, without another word.
    pulse.end_left();
    assert!(of_test.wait(), "it runs on");

    // One that is over is nobody's to end: its id may be another's.
    of_test.run();
    of_test.kill();
    pulse.end_left();
}
