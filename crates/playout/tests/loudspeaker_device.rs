//! A loudspeaker of a real sound server: what is pushed is heard.
#![cfg(all(feature = "loudspeaker", target_os = "linux"))]
#![allow(clippy::disallowed_methods, reason = "pushes are due by the clock")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use paceline_playout::types::DeviceKind;
use paceline_playout::{
    Loudspeaker, LoudspeakerConfig, LoudspeakerError, LoudspeakerStats, loudspeakers,
};

#[path = "../../capture/tests/pulse/mod.rs"]
mod pulse;

use pulse::{Recording, level, sine, with_pulse};

const WATCHDOG: Duration = Duration::from_secs(60);

/// Pushes a tone each 20 ms, on a thread of its own, until dropped or the loudspeaker is gone.
struct Pushing {
    stop: Arc<AtomicBool>,
    ended: mpsc::Receiver<(Loudspeaker, Vec<LoudspeakerError>)>,
}

impl Pushing {
    fn start(mut loudspeaker: Loudspeaker, hz: f64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, ended) = mpsc::channel();
        let stopped = stop.clone();
        thread::spawn(move || {
            let tone = sine(hz, 0.5, 48_000, 1.0);
            let (never, wait) = mpsc::channel::<()>();
            let (mut errors, mut after) = (Vec::new(), 0);
            let mut due = Instant::now();
            for block in tone.chunks_exact(960).cycle() {
                if let Err(error) = loudspeaker.push(block) {
                    errors.push(error);
                }
                // Some more, to see that it is said once.
                after += usize::from(loudspeaker.is_gone());
                if stopped.load(Ordering::Relaxed) || after > 5 {
                    break;
                }
                due += Duration::from_millis(20);
                let _ = wait.recv_timeout(due.saturating_duration_since(Instant::now()));
            }
            drop(never);
            let _ = tell.send((loudspeaker, errors));
        });
        Self { stop, ended }
    }

    /// What it was given back, when it was told to stop.
    fn stop(self) -> (Loudspeaker, Vec<LoudspeakerError>) {
        self.stop.store(true, Ordering::Relaxed);
        self.wait()
    }

    /// The same, when the loudspeaker is gone.
    fn wait(self) -> (Loudspeaker, Vec<LoudspeakerError>) {
        self.ended.recv_timeout(WATCHDOG).expect("it ends")
    }
}

/// Waits until a tone comes out of a monitor on each of its channels.
fn hear(monitor: &mut Recording, hz: f64, rate: u32, channels: usize) {
    // A null sink gives what it likes when it likes: look at 0.2 s at a time, up to a minute.
    for _ in 0..300 {
        let heard = monitor.take(rate as usize / 5 * channels);
        let levels: Vec<f64> = (0..channels)
            .map(|channel| {
                let of: Vec<f32> = heard.iter().skip(channel).step_by(channels).copied().collect();
                level(&of, hz, rate)
            })
            .collect();
        if levels.iter().all(|level| (0.45..0.55).contains(level)) {
            let off =
                level(&heard.iter().step_by(channels).copied().collect::<Vec<_>>(), hz * 1.2, rate);
            assert!(off < 0.05, "{off} where nothing is played");
            return;
        }
    }
    panic!("{hz} Hz are not heard");
}

#[test]
fn what_is_pushed_is_heard_at_any_rate_and_on_all_channels() {
    with_pulse("what_is_pushed_is_heard_at_any_rate_and_on_all_channels", |pulse| {
        for (name, rate, channels) in [("a", 48_000, 2_u8), ("b", 44_100, 1), ("c", 96_000, 6)] {
            pulse.null_sink(name, rate, channels);
            let mut monitor = pulse.record(&format!("{name}.monitor"), rate, channels);
            let id = format!("pulseaudio:{name}");
            let loudspeaker = Loudspeaker::open(Some(&id), LoudspeakerConfig::default());
            let pushing = Pushing::start(loudspeaker.expect("it opens"), 500.0);
            hear(&mut monitor, 500.0, rate, usize::from(channels));
            let (loudspeaker, errors) = pushing.stop();
            assert_eq!(errors, []);
            assert_eq!(loudspeaker.id(), id);
            println!("{name}: {:?}", loudspeaker.stats());
        }
    });
}

#[test]
fn a_device_is_listed_as_what_it_is_and_the_default_one_as_that() {
    with_pulse("a_device_is_listed_as_what_it_is_and_the_default_one_as_that", |pulse| {
        pulse.null_sink("a", 48_000, 2);
        pulse.null_sink("b", 48_000, 2);
        pulse.pactl(&["set-default-sink", "b"]);
        let listed = loudspeakers().expect("they are listed");
        let ids: Vec<_> =
            listed.iter().map(|device| (device.id.as_str(), device.is_default)).collect();
        assert_eq!(ids, [("pulseaudio:a", false), ("pulseaudio:b", true)]);
        assert!(listed.iter().all(|device| device.kind == DeviceKind::Loudspeaker));
        assert!(listed.iter().all(|device| !device.name.is_empty()));
        let loudspeaker = Loudspeaker::open(None, LoudspeakerConfig::default());
        assert_eq!(loudspeaker.expect("it opens").id(), "pulseaudio:b");
    });
}

#[test]
fn one_that_is_not_there_is_told_with_those_that_are() {
    with_pulse("one_that_is_not_there_is_told_with_those_that_are", |pulse| {
        pulse.null_sink("a", 48_000, 2);
        // The monitor is no loudspeaker, and the others are no ids.
        for id in ["pulseaudio:b", "pulseaudio:a.monitor", "a", "", "nothing:a", ":"] {
            let error = Loudspeaker::open(Some(id), LoudspeakerConfig::default());
            let error = error.expect_err("there is none");
            let LoudspeakerError::UnknownDevice { id: of, present } = &error else {
                panic!("{id}: {error}");
            };
            assert_eq!(of, id);
            assert_eq!(present.len(), 1);
            assert!(error.to_string().contains("pulseaudio:a"), "{error}");
        }
    });
}

#[test]
fn one_that_is_pulled_out_is_gone_once_and_plays_again_when_it_is_back() {
    with_pulse("one_that_is_pulled_out_is_gone_once_and_plays_again_when_it_is_back", |pulse| {
        for round in 0..2 {
            let module = pulse.null_sink("a", 48_000, 2);
            let mut monitor = pulse.record("a.monitor", 48_000, 1);
            let open = || Loudspeaker::open(Some("pulseaudio:a"), LoudspeakerConfig::default());
            let pushing = Pushing::start(open().expect("it opens"), 500.0);
            hear(&mut monitor, 500.0, 48_000, 1);
            pulse.unload(module);
            let (mut loudspeaker, errors) = pushing.wait();
            assert!(loudspeaker.is_gone());
            assert!(matches!(&errors[..], [error] if error.is_gone()), "{round}: {errors:?}");
            assert_eq!(loudspeaker.push(&[0.0; 960]), Ok(()));
            assert!(open().is_err_and(|error| !error.is_gone()));
        }
    });
}

#[test]
fn when_the_server_ends_all_are_gone_and_a_new_one_is_found() {
    with_pulse("when_the_server_ends_all_are_gone_and_a_new_one_is_found", |pulse| {
        pulse.null_sink("a", 48_000, 2);
        let mut monitor = pulse.record("a.monitor", 48_000, 1);
        let open = || Loudspeaker::open(Some("pulseaudio:a"), LoudspeakerConfig::default());
        let pushing = Pushing::start(open().expect("it opens"), 500.0);
        hear(&mut monitor, 500.0, 48_000, 1);
        pulse.crash();
        let (loudspeaker, errors) = pushing.wait();
        assert!(matches!(&errors[..], [error] if error.is_gone()), "{errors:?}");
        drop(loudspeaker);
        let without = open().expect_err("nothing is there");
        println!("{without}");
        pulse.run();
        pulse.null_sink("a", 48_000, 2);
        let mut monitor = pulse.record("a.monitor", 48_000, 1);
        let pushing = Pushing::start(open().expect("it opens"), 700.0);
        hear(&mut monitor, 700.0, 48_000, 1);
        let (_, errors) = pushing.stop();
        assert_eq!(errors, []);
    });
}

#[test]
fn a_server_that_hangs_keeps_nobody() {
    with_pulse("a_server_that_hangs_keeps_nobody", |pulse| {
        pulse.null_sink("a", 48_000, 2);
        let config = LoudspeakerConfig::default().open_timeout(Duration::from_millis(500));
        let open = move |id| Loudspeaker::open(id, config.clone());
        let mut held = open(Some("pulseaudio:a")).expect("it opens");
        let id = std::env::var("PACELINE_TEST_PULSE_DAEMON").expect("the harness says it");
        let signal = |name: &str| {
            let done = std::process::Command::new("kill").args([name, &id]).status();
            assert!(done.expect("kill starts").success());
        };
        signal("-STOP");
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let refused = open(Some("pulseaudio:a")).err();
            for _ in 0..100 {
                held.push(&[0.1; 960]).expect("it is not gone");
            }
            let stats: LoudspeakerStats = held.stats();
            drop(held);
            let _ = tell.send((refused, stats));
        });
        let (refused, stats) = told.recv_timeout(WATCHDOG).expect("it ends");
        signal("-CONT");
        let refused = refused.expect("nothing answers");
        assert!(matches!(refused, LoudspeakerError::Unavailable { .. }), "{refused}");
        // Two seconds were pushed, and no more held than may be.
        assert!(stats.dropped > Duration::from_secs(1), "{stats:?}");
    });
}

#[test]
fn without_a_server_there_is_a_reason_and_no_panic() {
    with_pulse("without_a_server_there_is_a_reason_and_no_panic", |pulse| {
        pulse.crash();
        let listed = loudspeakers().expect("those of ALSA, of which there may be none");
        assert!(listed.iter().all(|device| !device.id.starts_with("pulseaudio:")));
        assert!(listed.iter().all(|device| device.id != "alsa:null"), "{listed:?}");
        let open = |id| Loudspeaker::open(id, LoudspeakerConfig::default());
        let error = open(Some("pulseaudio:a")).expect_err("nothing answers");
        assert!(matches!(error, LoudspeakerError::Unavailable { .. }), "{error}");
        let error = open(Some("alsa:hw:CARD=Nobody")).expect_err("no such card");
        assert!(matches!(error, LoudspeakerError::UnknownDevice { .. }), "{error}");
        // Where there is a card it opens, else it says why not.
        if let Err(error) = open(None) {
            assert!(matches!(error, LoudspeakerError::Unavailable { .. }), "{error}");
        }
    });
}
