//! Hostile clocks, and streams that come and go.
#![allow(clippy::disallowed_methods, reason = "where the virtual clock starts")]

mod sync_room;

use std::time::{Duration, Instant};

use paceline_jitter::types::{Frequency, MediaTime, NtpTime};
use paceline_jitter::{Media, Playout, StreamSync, SyncConfig, SyncOutput, SyncState};
use proptest::prelude::*;
use sync_room::{PICTURE, Path, Room, SOUND, run, worst_after};

const MAX: Duration = Duration::from_millis(300);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A sender whose sound and picture are captured together, told of by capture times.
struct Call {
    sync: StreamSync<u32, u32>,
    start: Instant,
    media: Duration,
}

impl Call {
    fn new(config: SyncConfig) -> Self {
        Self { sync: StreamSync::new(config), start: Instant::now(), media: Duration::ZERO }
    }

    fn add(&mut self, id: u32, group: u32) -> bool {
        let (media, clock) = Self::kind(id);
        self.sync.add_stream(id, group, media, clock)
    }

    fn kind(id: u32) -> (Media, Frequency) {
        if id % 2 == 1 {
            (Media::Audio, Frequency::AUDIO)
        } else {
            (Media::Video, Frequency::VIDEO)
        }
    }

    /// Some seconds of frames each 20 ms; each stream with its transit and the offset
    /// of its capture clock, in ms.
    fn play(&mut self, streams: &[(u32, u64, u64)], seconds: u64) {
        self.play_frames(streams, seconds * 50);
    }

    fn play_frames(&mut self, streams: &[(u32, u64, u64)], frames: u64) {
        for _ in 0..frames {
            self.media += ms(20);
            let now = self.start + self.media;
            for &(id, transit, clock) in streams {
                let (_, frequency) = Self::kind(id);
                let time = MediaTime::new(0, frequency) + self.media;
                let capture = NtpTime::from_unix(self.media + ms(clock));
                self.sync.handle_capture(now, id, time, capture);
                let due = now + ms(transit + 50);
                self.sync.handle_playout(now, id, Playout { time, due, delay: ms(50) });
            }
        }
    }

    fn delay(&self, id: u32) -> Duration {
        self.sync.min_playout_delay(id)
    }
}

#[test]
fn streams_that_leave_or_fall_silent_hold_nobody_back() {
    for leaves in [false, true] {
        let mut call = Call::new(SyncConfig::default());
        assert!(call.add(1, 7) && call.add(2, 7) && !call.add(2, 7));
        call.play(&[(1, 20, 0), (2, 120, 0)], 5);
        assert_eq!(call.delay(1), ms(150));
        if leaves {
            assert!(call.sync.remove_stream(2) && !call.sync.remove_stream(2));
        }
        call.play(&[(1, 20, 0)], 10);
        assert_eq!(call.delay(1), Duration::ZERO, "leaves: {leaves}");
        assert_eq!(call.sync.status(1).map(|status| status.state), Some(SyncState::Alone));
        let gone = call.sync.status(2).map(|status| status.state);
        assert_eq!(gone, if leaves { None } else { Some(SyncState::Stale) });
        // And back again.
        assert_eq!(call.add(2, 7), leaves);
        call.play(&[(1, 20, 0), (2, 90, 0)], 5);
        assert_eq!(call.delay(1), ms(120));
    }
}

#[test]
fn pictures_wait_for_sound_whose_path_and_theirs_got_faster() {
    let mut call = Call::new(SyncConfig::default());
    assert!(call.add(1, 7) && call.add(2, 7));
    call.play(&[(1, 20, 0), (2, 220, 0)], 6);
    assert_eq!(call.delay(1), ms(250));
    // The picture could be shown 200 ms earlier at once, sound only by 50 ms a second.
    let own = ms(50);
    for frame in 0..300 {
        call.play_frames(&[(1, 20, 0), (2, 20, 0)], 1);
        let (sound, picture) = (call.delay(1).max(own), call.delay(2).max(own));
        assert!(sound.abs_diff(picture) <= ms(15), "frame {frame}: {sound:?}, {picture:?}");
        assert!(frame > 100 || sound > ms(130), "frame {frame}: {sound:?}");
    }
    assert_eq!((call.delay(1), call.delay(2)), (Duration::ZERO, Duration::ZERO));
}

#[test]
fn groups_do_not_meet() {
    let mut call = Call::new(SyncConfig::default());
    for (id, group) in [(1, 7), (2, 7), (3, 8), (4, 8)] {
        assert!(call.add(id, group));
    }
    // The second sender's clock is a year ahead; his sound is the slow one.
    let year = 365 * 86_400_000;
    call.play(&[(1, 20, 0), (2, 60, 0), (3, 300, year), (4, 130, year)], 5);
    let delays = [1, 2, 3, 4].map(|id| call.delay(id));
    assert_eq!(delays, [ms(90), Duration::ZERO, Duration::ZERO, ms(220)]);
}

#[test]
fn a_media_clock_that_jumps_alone_is_followed() {
    let mut call = Call::new(SyncConfig::default());
    assert!(call.add(1, 7) && call.add(2, 7));
    call.play(&[(1, 20, 0), (2, 20, 0)], 5);
    assert_eq!(call.delay(1), Duration::ZERO);
    // From here on sound is captured 100 ms later than its timestamps said before, so it
    // is 100 ms ahead of a picture whose clock did not change.
    call.play(&[(1, 20, 100), (2, 20, 0)], 10);
    assert_eq!((call.delay(1), call.delay(2)), (ms(150), Duration::ZERO));
    assert_eq!(call.sync.stats().steps, 1);
}

#[test]
fn an_absurd_clock_holds_nothing_back() {
    let mut call = Call::new(SyncConfig::default());
    assert!(call.add(1, 7) && call.add(2, 7));
    call.play(&[(1, 20, 0), (2, 20, 4_000_000)], 3);
    assert_eq!((call.delay(1), call.delay(2)), (Duration::ZERO, Duration::ZERO));
    assert_eq!(call.sync.status(2).map(|status| status.state), Some(SyncState::Apart));
}

#[test]
fn streams_are_bounded_and_strangers_refused() {
    let mut call = Call::new(SyncConfig::default().max_streams(2));
    assert!(call.add(1, 7) && call.add(2, 7) && !call.add(3, 7));
    let now = call.start;
    call.sync.handle_sender_report(now, 3, NtpTime::default(), 0);
    let wrong = MediaTime::new(0, Frequency::VIDEO);
    call.sync.handle_capture(now, 1, wrong, NtpTime::default());
    assert_eq!(call.sync.stats().refused, 2);
}

#[test]
fn an_early_poll_changes_nothing_and_a_late_one_does_not_jump() {
    let mut call = Call::new(SyncConfig::default());
    assert!(call.add(1, 7) && call.add(2, 7));
    call.play(&[(1, 20, 0)], 3);
    call.play(&[(1, 20, 0), (2, 200, 0)], 1);
    let before = call.delay(1);
    assert!(before > ms(95) && before <= ms(102), "{before:?}");
    let now = call.start + call.media;
    for _ in 0..1_000 {
        call.sync.handle_timeout(now);
    }
    assert_eq!(call.delay(1), before);
    call.sync.handle_timeout(now + ms(1_500));
    assert!(call.delay(1) <= before + ms(6), "{:?}", call.delay(1));
}

#[test]
fn a_call_over_the_turn_of_the_ntp_era_is_as_any() {
    let at = |start: NtpTime| {
        let mut sync = StreamSync::new(SyncConfig::default());
        sync.add_stream(1, 7, Media::Audio, Frequency::AUDIO);
        sync.add_stream(2, 7, Media::Video, Frequency::VIDEO);
        let origin = Instant::now();
        let mut delays = Vec::new();
        for n in 0..500 {
            let now = origin + ms(20 * n);
            for (id, clock, late) in [(1, Frequency::AUDIO, 0), (2, Frequency::VIDEO, 70)] {
                let time = MediaTime::new(n * u64::from(clock.hz()) / 50, clock);
                sync.handle_capture(now, id, time, start + ms(20 * n));
                let due = now + ms(50 + late);
                sync.handle_playout(now, id, Playout { time, due, delay: ms(50) });
            }
            delays.push(sync.min_playout_delay(1));
        }
        (delays, sync.stats())
    };
    let turn = at(NtpTime::from_bits(0_u64.wrapping_sub(5 << 32)));
    assert_eq!(turn, at(NtpTime::from_bits(0xee00_0000_0000_0000)));
    assert_eq!((turn.0.last(), turn.1.outliers), (Some(&ms(120)), 0));
}

#[derive(Clone, Debug)]
enum Step {
    Capture(u32, u64, u64),
    Drift(u32, f64, f64),
    Join(u32, u32),
    Leave(u32),
    Pass(u64),
    Playout(u32, u64, i64, u64),
    Quiet(u32, bool),
    Report(u32, u64, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 0_u32..4;
    // Both what is wild and what is nearly plausible.
    let wild = || prop_oneof![any::<u64>(), 0_u64..200_000, Just(u64::MAX), Just(1 << 63)];
    let ntp = || prop_oneof![any::<u64>(), (0_u64..1 << 34).prop_map(|bits| (0xee << 56) + bits)];
    prop::collection::vec(
        prop_oneof![
            3 => (id.clone(), wild(), ntp()).prop_map(|(id, t, n)| Step::Capture(id, t, n)),
            1 => (id.clone(), any::<f64>(), any::<f64>()).prop_map(|(id, p, s)| Step::Drift(id, p, s)),
            1 => (id.clone(), 0_u32..2).prop_map(|(id, group)| Step::Join(id, group)),
            1 => id.clone().prop_map(Step::Leave),
            3 => (0_u64..3_000).prop_map(Step::Pass),
            4 => (id.clone(), wild(), any::<i32>(), 0_u64..400)
                .prop_map(|(id, t, due, own)| Step::Playout(id, t, i64::from(due) / 100, own)),
            1 => (id.clone(), any::<bool>()).prop_map(|(id, quiet)| Step::Quiet(id, quiet)),
            3 => (id, ntp(), any::<u32>()).prop_map(|(id, n, t)| Step::Report(id, n, t)),
        ],
        0..200,
    )
}

proptest! {
    /// Whatever clocks say, no delay is over its budget above the stream's own, and none
    /// is asked for that the own delay satisfies.
    #[test]
    fn hostile_clocks_move_nothing_beyond_the_budget(steps in steps()) {
        let start = Instant::now() + Duration::from_secs(100_000_000);
        let mut sync = StreamSync::new(SyncConfig::default());
        let mut own = [Duration::ZERO; 4];
        let mut now = start;
        for id in 0..4 {
            let (media, clock) = Call::kind(id);
            prop_assert!(sync.add_stream(id, id / 2, media, clock));
        }
        for step in steps {
            match step {
                Step::Capture(id, ticks, bits) => {
                    let time = MediaTime::new(ticks, Call::kind(id).1);
                    sync.handle_capture(now, id, time, NtpTime::from_bits(bits));
                }
                Step::Drift(id, ppm, sigma) => sync.set_drift(id, ppm, sigma),
                Step::Join(id, group) => {
                    let (media, clock) = Call::kind(id);
                    let _ = sync.add_stream(id, group, media, clock);
                }
                Step::Leave(id) => {
                    if sync.remove_stream(id) {
                        own[id as usize] = Duration::ZERO;
                    }
                }
                Step::Pass(passed) => {
                    now += ms(passed);
                    sync.handle_timeout(now);
                }
                Step::Playout(id, ticks, due, delay) => {
                    let time = MediaTime::new(ticks, Call::kind(id).1);
                    let span = ms(due.unsigned_abs());
                    let due = if due < 0 { now - span } else { now + span };
                    let before = sync.stats().playouts;
                    sync.handle_playout(now, id, Playout { time, due, delay: ms(delay) });
                    if sync.stats().playouts > before {
                        own[id as usize] = ms(delay);
                    }
                }
                Step::Quiet(id, quiet) => sync.set_quiet(now, id, quiet),
                Step::Report(id, bits, rtp) => {
                    sync.handle_sender_report(now, id, NtpTime::from_bits(bits), rtp);
                }
            }
            for id in 0..4 {
                let delay = sync.min_playout_delay(id);
                prop_assert!(delay <= own[id as usize] + MAX, "{delay:?}");
                prop_assert!(delay.is_zero() || delay > own[id as usize]);
                if let Some(status) = sync.status(id) {
                    prop_assert!(status.readings <= 32 && status.slope.abs() <= 10_000_000);
                }
            }
            let mut outputs = 0;
            while let Some(SyncOutput::MinPlayoutDelay { stream, delay }) = sync.poll_output() {
                prop_assert_eq!(delay, sync.min_playout_delay(stream));
                outputs += 1;
                prop_assert!(outputs <= 4);
            }
            prop_assert!(sync.poll_timeout().is_none_or(|due| due > start));
        }
    }

    /// Noise of reports, their interval, paths, drift and seeds drawn at random: once settled, the
    /// error is that of the reports and not more.
    #[test]
    fn any_plausible_sender_settles(
        seed in any::<u64>(),
        late in -150_i64..150,
        every in 500_i64..6_000,
        ppm in -60_i64..60,
    ) {
        let path = Path { report_every: every * 1_000_000, ..Path::default() };
        let mut room = Room {
            sound: path.clone(),
            picture: Path { ppm, ..path },
            noise: 1_000_000,
            seed,
            ..Room::default()
        };
        room.sound.transit += 200_000_000;
        room.picture.transit += 200_000_000 + late * 1_000_000;
        let (track, sync) = run(&room, 30);
        let worst = worst_after(&track, 20_000_000_000);
        prop_assert!(worst <= 6_000_000, "{worst}");
        for id in [SOUND, PICTURE] {
            prop_assert_eq!(sync.status(id).map(|status| status.state), Some(SyncState::Synced));
        }
    }
}
