//! Lip sync against the truth: the skew of what is played, not what the machine thinks.

mod sync_room;

use paceline_jitter::{SyncConfig, SyncState};
use sync_room::{PICTURE, Path, Room, SOUND, ms, run, worst_after};

const MS: i64 = 1_000_000;

fn slow_picture(by: i64) -> Path {
    Path { transit: ms(20 + by), ..Path::default() }
}

#[test]
fn one_report_of_each_stream_is_enough() {
    let once = |path: Path| Path { report_every: ms(1_000_000), ..path };
    let room =
        Room { sound: once(Path::default()), picture: once(slow_picture(40)), ..Room::default() };
    let (track, sync) = run(&room, 20);
    // 40 ms at 5 % are 0.8 s, after the reports at 0.3 s.
    assert!(worst_after(&track, ms(1_300)) <= MS, "{}", worst_after(&track, ms(1_300)));
    assert_eq!(sync.status(SOUND).map(|status| status.state), Some(SyncState::Synced));
    assert_eq!(sync.status(PICTURE).map(|status| status.readings), Some(1));
}

#[test]
fn reports_every_second_and_every_five_settle_within_a_millisecond() {
    for every in [1_000, 5_000] {
        for by in [-180, -40, 40, 180] {
            let mut room = Room { picture: slow_picture(0), ..Room::default() };
            room.sound.transit += ms(200);
            room.picture.transit += ms(200 + by);
            room.sound.report_every = ms(every);
            room.picture.report_every = ms(every);
            room.picture.first_report = ms(700);
            let (track, _) = run(&room, 20);
            let worst = worst_after(&track, ms(700 + by.max(0) * 20 + 100));
            assert!(worst <= MS, "every {every} ms, {by} ms: {worst}");
        }
    }
}

#[test]
fn ten_reports_with_5_ms_of_noise_leave_less_than_5_ms() {
    let (mut within, mut all) = (0, 0);
    for seed in 0..60 {
        for every in [1_000, 5_000] {
            let mut room =
                Room { noise: ms(5), seed, picture: slow_picture(40), ..Room::default() };
            room.sound.report_every = ms(every);
            room.picture.report_every = ms(every);
            let tenth = 300 + 9 * every;
            let (track, _) = run(&room, tenth / 1_000 + 6);
            let after = track.iter().filter(|at| at.time >= ms(tenth + 1_000));
            for at in after {
                all += 1;
                within += i32::from(at.skew.abs() <= ms(5));
            }
        }
    }
    assert!(f64::from(within) / f64::from(all) >= 0.95, "{within} of {all}");
}

#[test]
fn an_error_of_200_ms_with_late_sound_is_gone_with_the_next_picture() {
    let mut room = Room::default();
    room.sound.transit += ms(200);
    let (track, _) = run(&room, 5);
    assert!(worst_after(&track, ms(400)) <= MS);
    // The sound was not touched.
    assert!(track.iter().all(|at| at.sound == ms(50)));
}

#[test]
fn late_pictures_take_sound_with_them_at_5_percent_and_no_faster() {
    let room = Room { picture: slow_picture(200), ..Room::default() };
    let (track, _) = run(&room, 8);
    let first = track.iter().position(|at| at.sound != ms(50)).expect("it moves");
    for pair in track[first..].windows(1_000) {
        // A delay is told when it has changed by a millisecond, so 51 at most.
        assert!(pair[999].sound - pair[0].sound <= ms(52));
    }
    assert!(worst_after(&track, ms(300 + 4_000 + 100)) <= MS);
    assert!(track.iter().all(|at| at.picture == ms(50)), "the picture was not touched");
}

#[test]
fn sound_that_has_not_begun_to_play_waits_at_once() {
    let mut room = Room { captures: Some(0), picture: slow_picture(40), ..Room::default() };
    room.sound.own = ms(80);
    let (track, _) = run(&room, 3);
    // The first picture comes at 60 ms, the first sound is due at 100.
    assert!(worst_after(&track, ms(62)) <= MS, "{}", worst_after(&track, ms(62)));
}

#[test]
fn pictures_stay_with_sound_that_is_on_its_way_back() {
    // The slow picture goes, a fast one stays: sound returns by 5 %, pictures with it.
    let mut room = Room { picture: slow_picture(150), ..Room::default() };
    room.picture.until = ms(8_000);
    let (track, _) = run(&room, 20);
    assert!(worst_after(&track[..8_000], ms(4_000)) <= MS);
    let last = track.last().expect("time passed");
    assert_eq!(last.sound, ms(50), "alone, sound returns to its own delay");
    let back = track[8_000..].windows(2).map(|pair| pair[0].sound - pair[1].sound).max();
    assert!(back.is_some_and(|back| back <= ms(3)), "{back:?}");
}

#[test]
fn a_report_before_any_media_counts() {
    let mut room = Room { picture: slow_picture(60), ..Room::default() };
    for path in [&mut room.sound, &mut room.picture] {
        path.first_report = ms(10);
        path.from = ms(990);
        path.report_every = ms(1_000_000);
    }
    room.sound.own = ms(120);
    let (track, _) = run(&room, 5);
    assert!(worst_after(&track, ms(1_100)) <= MS);
}

#[test]
fn half_of_the_reports_lost_is_sync_all_the_same() {
    for seed in 0..20 {
        let picture = slow_picture(40);
        let room = Room { lose: 50, noise: MS, seed, picture, ..Room::default() };
        let (track, _) = run(&room, 60);
        let worst = worst_after(&track, ms(12_000));
        assert!(worst <= ms(5), "seed {seed}: {worst}");
    }
}

#[test]
fn clocks_that_are_100_ppm_apart_stay_within_5_ms() {
    for (sound, picture) in [(100, 0), (0, 100), (50, -50), (100, 100)] {
        for drift_known in [false, true] {
            let mut room = Room { drift_known, picture: slow_picture(40), ..Room::default() };
            (room.sound.ppm, room.picture.ppm) = (sound, picture);
            room.sound.report_every = ms(5_000);
            room.picture.report_every = ms(5_000);
            let (track, _) = run(&room, 120);
            let worst = worst_after(&track, ms(1_500));
            assert!(worst <= ms(5), "{sound} and {picture} ppm, {drift_known}: {worst}");
        }
    }
}

#[test]
fn a_step_of_the_wallclock_moves_no_output_by_more_than_a_frame() {
    for by in [-500, 500, -120, 3_600_000] {
        for captures in [None, Some(ms(1))] {
            for seed in 0..5 {
                let mut room = Room {
                    steps: vec![(ms(20_010), ms(by))],
                    picture: slow_picture(60),
                    noise: ms(1),
                    captures,
                    seed,
                    ..Room::default()
                };
                room.picture.first_report = ms(850);
                let (track, sync) = run(&room, 60);
                let calm = &track[10_000..];
                let span = |of: fn(&sync_room::At) -> i64| {
                    let (least, most) = (calm.iter().map(of).min(), calm.iter().map(of).max());
                    most.unwrap_or(0) - least.unwrap_or(0)
                };
                let moved = span(|at| at.sound).max(span(|at| at.picture));
                assert!(moved <= ms(10), "{by} ms, {captures:?}: moved by {moved}");
                assert!(worst_after(calm, 0) <= ms(5), "{by}: {}", worst_after(calm, 0));
                assert_eq!(sync.stats().steps, 2);
            }
        }
    }
}

#[test]
fn one_report_that_is_off_is_ignored() {
    // Out and back again before the next report of either stream.
    let steps = vec![(ms(20_250), ms(500)), (ms(20_290), ms(-500))];
    let room = Room { steps, picture: slow_picture(60), ..Room::default() };
    let (track, sync) = run(&room, 30);
    assert!(worst_after(&track[10_000..], 0) <= MS);
    assert_eq!((sync.stats().outliers, sync.stats().steps), (2, 0));
}

#[test]
fn the_budget_is_a_hard_bound() {
    for by in [350, 800, 5_000] {
        let room = Room { picture: slow_picture(by), ..Room::default() };
        let (track, sync) = run(&room, 30);
        assert!(track.iter().all(|at| at.sound <= ms(350)));
        let states = [SOUND, PICTURE].map(|id| sync.status(id).map(|status| status.state));
        assert!(states.contains(&Some(SyncState::Apart)), "{by}: {states:?}");
        let end = track.last().expect("time passed").sound;
        assert_eq!(end, if by > 1_000 { ms(50) } else { ms(350) }, "{by}");
    }
}

#[test]
fn output_does_not_depend_on_where_timestamps_start() {
    let at = |offset: u32| {
        let start = 0_u32.wrapping_sub(32 * 4_800).wrapping_add(offset * 4_800);
        let mut room = Room { noise: ms(5), picture: slow_picture(80), ..Room::default() };
        room.sound.start = start;
        room.picture.start = start;
        run(&room, 12).0
    };
    let first = at(0);
    assert!(first.iter().any(|at| at.sound != ms(50)), "something moves");
    for offset in 1..64 {
        assert!(at(offset) == first, "offset {offset}");
    }
}

#[test]
fn silence_lets_sound_move_at_once() {
    use paceline_jitter::types::{Frequency, MediaTime, NtpTime};
    use paceline_jitter::{Media, Playout, StreamSync};
    use std::time::Duration;

    #[expect(clippy::disallowed_methods, reason = "where the virtual clock starts")]
    let start = std::time::Instant::now();
    let ms = Duration::from_millis;
    let mut sync = StreamSync::new(SyncConfig::default());
    sync.add_stream(SOUND, 0, Media::Audio, Frequency::AUDIO);
    sync.add_stream(PICTURE, 0, Media::Video, Frequency::VIDEO);
    let mut say = |quiet: bool, at: u64, until: u64| {
        for n in at..until {
            let now = start + ms(20 * n);
            sync.set_quiet(now, SOUND, quiet);
            for (id, clock, late) in
                [(SOUND, Frequency::AUDIO, 0), (PICTURE, Frequency::VIDEO, 200)]
            {
                let time = MediaTime::new(n * u64::from(clock.hz()) / 50, clock);
                if n >= 50 {
                    let capture = NtpTime::from_unix(ms(1_000_000 + 20 * n));
                    sync.handle_capture(now, id, time, capture);
                }
                let due = now + ms(50 + late);
                sync.handle_playout(now, id, Playout { time, due, delay: ms(50) });
            }
        }
        sync.min_playout_delay(SOUND)
    };
    assert_eq!(say(false, 0, 51), Duration::ZERO, "it has been playing for a second");
    let moved = say(false, 51, 61);
    assert!(moved > ms(50) && moved <= ms(62), "{moved:?}");
    assert_eq!(say(true, 61, 62), ms(250));
}

/// A queue held both up, and has drained: sound goes back by 5 %, pictures need not.
#[test]
fn pictures_lead_late_sound_by_no_more_than_is_noticed() {
    use paceline_jitter::types::{Frequency, MediaTime, NtpTime};
    use paceline_jitter::{Media, Playout, StreamSync};
    use std::time::Duration;

    #[expect(clippy::disallowed_methods, reason = "where the virtual clock starts")]
    let start = std::time::Instant::now();
    let ms = Duration::from_millis;
    // As the jitter buffer of the sound wants it to be late, and as it still is.
    let run = |own: fn(u64) -> u64, excess: fn(u64) -> u64| {
        let mut sync = StreamSync::new(SyncConfig::default().max_lead(ms(125)));
        sync.add_stream(SOUND, 0, Media::Audio, Frequency::AUDIO);
        sync.add_stream(PICTURE, 0, Media::Video, Frequency::VIDEO);
        let delays = (0..500).map(|n| {
            let now = start + ms(20 * n);
            for (id, clock, own) in
                [(SOUND, Frequency::AUDIO, own(n)), (PICTURE, Frequency::VIDEO, 20)]
            {
                let time = MediaTime::new(n * u64::from(clock.hz()) / 50, clock);
                sync.handle_capture(now, id, time, NtpTime::from_unix(ms(1_000_000 + 20 * n)));
                if id == SOUND {
                    sync.set_excess(id, ms(excess(n)));
                }
                sync.handle_playout(now, id, Playout { time, due: now + ms(own), delay: ms(own) });
            }
            let sound = sync.min_playout_delay(SOUND).max(ms(own(n))) + ms(excess(n));
            (sound.as_millis() as i64, sync.min_playout_delay(PICTURE).as_millis() as i64)
        });
        delays.collect::<Vec<_>>()
    };
    // It no longer wants to be; then it came late, and nobody wanted it to.
    let wanted = run(|n| if n < 100 { 300 } else { 20 }, |_| 0);
    let late = run(|_| 20, |n| if n < 100 { 0 } else { 300_u64.saturating_sub(n - 100) });
    assert_eq!(wanted[99], (300, 300), "what it needs, pictures wait for");
    assert_eq!(late[99].1, 0);
    for delays in [wanted, late] {
        for (n, (sound, picture)) in delays.iter().enumerate().skip(100) {
            let lead = (sound - 150).clamp(0, 125);
            let picture = picture.max(&20);
            assert!((picture - (sound - lead)).abs() <= 15, "{n}: {picture} beside {sound}");
        }
        assert_eq!(delays[499].1, 0);
    }
}
