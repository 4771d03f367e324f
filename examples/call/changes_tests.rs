//! Changes of which it is known what they are like.

use super::*;

const ADA: SenderId = SenderId::new(1);
const BEN: SenderId = SenderId::new(2);
const CEM: SenderId = SenderId::new(3);

/// Milliseconds after a call began.
fn at(ms: u64) -> NtpTime {
    NtpTime::from_unix(Duration::from_millis(1_000_000 + ms))
}

fn news(epoch: u64) -> News {
    News {
        epoch: Epoch::new(epoch, 0),
        from: Some("Ada".into()),
        to: Some("Ben".into()),
        detect: Some(Duration::from_millis(300)),
        promote: Some(Duration::from_millis(180)),
        planned: false,
        before: Some(ADA),
    }
}

/// A call from `from` to `to`, of which nothing is seen or heard in `gap`, though the mix
/// goes on: 25 pictures a second with a new mark in each, 50 frames of sound. A member hears
/// of changes at those times.
fn call(from: u64, to: u64, gap: std::ops::Range<u64>, news_at: &[u64]) -> Changes {
    let mut changes = Changes::default();
    for ms in (from..to).step_by(20) {
        for (index, _) in news_at.iter().enumerate().filter(|(_, at)| **at == ms) {
            changes.handle_news(at(ms), news(2 + index as u64));
        }
        if gap.contains(&ms) {
            continue;
        }
        changes.handle_sound(at(ms), ms * 48, 960);
        if ms % 40 == 0 {
            changes.handle_mark(BEN, at(ms));
            changes.handle_picture(at(ms), ms * 90);
        }
    }
    changes
}

/// What the only change of such a call was like.
fn around(change: u64, from: u64, to: u64, gap: std::ops::Range<u64>) -> Change {
    call(from, to, gap, &[change]).all(at(to)).remove(0)
}

#[test]
fn a_gap_is_as_long_as_it_was() {
    // Pictures are missing from 5,000 to 5,480, and the one at 4,960 was the last.
    let change = around(5_400, 0, 9_000, 5_000..5_500);
    assert_eq!(change.video_gap, Some(520.0));
    assert_eq!(change.frames_lost, Some(13));
    // Sound from 5,000 to 5,500.
    assert_eq!((change.audio_gap, change.samples_lost), (Some(500.0), Some(500 * 48)));
    assert_eq!(change.audio_beyond, Some(200.0));
    assert_eq!((change.detect, change.promote), (Some(300.0), Some(180.0)));
}

#[test]
fn a_change_that_nobody_notices_has_no_gap() {
    let change = around(5_000, 0, 9_000, 0..0);
    assert_eq!((change.video_gap, change.audio_gap), (Some(0.0), Some(0.0)));
    assert_eq!((change.frames_lost, change.samples_lost), (Some(0), Some(0)));
    assert_eq!(change.audio_beyond, Some(0.0));
}

#[test]
fn what_is_shown_twice_is_new_once() {
    let mut changes = Changes::default();
    for ms in (0..9_000).step_by(40) {
        if ms == 5_400 {
            changes.handle_news(at(ms), news(2));
        }
        // The mix stands still while its pictures go on: somebody shows the last one again.
        let time = if (5_000..5_500).contains(&ms) { 4_960 } else { ms };
        changes.handle_picture(at(ms), time * 90);
        changes.handle_picture(at(ms + 10), time * 90);
        if time == ms {
            changes.handle_mark(BEN, at(ms));
        }
    }
    let change = changes.all(at(9_000)).remove(0);
    assert_eq!((change.video_gap, change.frames_lost), (Some(520.0), Some(13)));
    // Nobody has heard anything, so nothing is said of it.
    assert_eq!((change.audio_gap, change.samples_lost, change.audio_beyond), (None, None, None));
}

#[test]
fn who_came_just_before_has_missed_nothing_that_was_before_him() {
    let change = around(5_000, 4_800, 9_000, 0..0);
    assert_eq!((change.video_gap, change.audio_gap), (Some(0.0), Some(0.0)));
    assert_eq!((change.frames_lost, change.samples_lost), (Some(0), Some(0)));
    let nothing = around(5_000, 5_000, 5_020, 0..0);
    assert_eq!((nothing.video_gap, nothing.frames_lost), (None, None));
}

#[test]
fn what_did_not_come_back_is_a_gap_to_the_end() {
    let mut changes = call(0, 5_000, 0..0, &[]);
    changes.handle_news(at(5_400), news(2));
    let early = changes.all(at(6_000)).remove(0);
    assert!(!early.closed);
    assert_eq!((early.video_gap, early.audio_gap), (Some(1_000.0), Some(1_000.0)));
    // What is looked at ends three seconds after the change.
    changes.handle_second(at(20_000), 0);
    let late = changes.all(at(20_000)).remove(0);
    assert!(late.closed);
    assert_eq!((late.video_gap, late.audio_gap), (Some(3_400.0), Some(3_400.0)));
    assert_eq!((late.frames_lost, late.samples_lost), (Some(84), Some(3_400 * 48)));
}

#[test]
fn a_gap_elsewhere_is_not_of_the_change() {
    for gap in [1_000..1_500, 8_100..8_600] {
        let change = around(5_000, 0, 9_000, gap);
        assert_eq!((change.video_gap, change.audio_gap), (Some(0.0), Some(0.0)));
        assert_eq!((change.frames_lost, change.samples_lost), (Some(0), Some(0)));
    }
}

#[test]
fn sound_that_stands_still_is_a_gap_in_which_nothing_is_lost() {
    let mut changes = Changes::default();
    for index in 0..400 {
        // From the 200th on all comes 300 ms later, but all of it comes.
        let late = if index < 200 { 0 } else { 300 };
        if index == 200 {
            changes.handle_news(at(4_000), news(2));
        }
        changes.handle_sound(at(index * 20 + late), index * 960, 960);
    }
    let change = changes.all(at(7_000)).remove(0);
    assert_eq!((change.audio_gap, change.samples_lost), (Some(300.0), Some(0)));
}

#[test]
fn decoders_are_counted_from_before_the_change_to_after_it() {
    let mut changes = Changes::default();
    changes.handle_second(at(1_000), 4);
    changes.handle_second(at(3_900), 4);
    changes.handle_news(at(5_000), news(2));
    changes.handle_second(at(5_900), 6);
    assert_eq!(changes.all(at(5_900))[0].decoder_resets, 2);
    changes.handle_second(at(8_100), 7);
    changes.handle_second(at(9_100), 9);
    let change = changes.all(at(9_100)).remove(0);
    assert_eq!((change.closed, change.decoder_resets), (true, 3));
}

#[test]
fn changes_that_overlap_are_each_looked_at() {
    let mut changes = call(0, 9_000, 5_000..5_500, &[5_500, 6_000]);
    changes.handle_second(at(8_600), 0);
    let both = changes.all(at(8_700));
    assert_eq!(both.iter().map(|change| change.closed).collect::<Vec<_>>(), [true, false]);
    assert_eq!(both.iter().map(|change| change.epoch.term()).collect::<Vec<_>>(), [2, 3]);
    assert!(both.iter().all(|change| change.video_gap == Some(520.0)), "{both:?}");
}

#[test]
fn an_hour_takes_no_more_room_than_seconds() {
    let mut changes = call(0, 3_600_000, 0..0, &[]);
    changes.handle_second(at(3_600_000), 0);
    assert!(changes.waits.len() < 200, "{}", changes.waits.len());
    assert!(changes.pictures.len() < 100 && changes.sounds.len() < 200);
}

#[test]
fn media_times_from_nowhere_do_no_harm() {
    let mut changes = Changes::default();
    for (ms, time) in [(0, 0), (40, u64::MAX), (80, 5), (120, u64::MAX - 1)] {
        changes.handle_picture(at(ms), time);
        changes.handle_sound(at(ms), time, 960);
        changes.handle_mark(BEN, at(ms));
    }
    changes.handle_news(at(100), news(2));
    let change = changes.all(at(9_000)).remove(0);
    assert!(change.samples_lost > Some(0) && change.frames_lost.is_some(), "{change:?}");
}

/// Nine seconds in which Ada hosts until 5,000, Ben then, of which a member hears at 5,400,
/// and `happens` each 20 ms before anything is seen. New marks of each but those for whom
/// `still` is so.
fn three(
    planned: bool,
    still: impl Fn(SenderId, u64) -> bool,
    happens: impl Fn(&mut Changes, u64),
) -> Option<f64> {
    let mut changes = Changes::default();
    for ms in (0..9_000).step_by(20) {
        happens(&mut changes, ms);
        if ms == 5_400 {
            changes.handle_news(at(ms), News { planned, ..news(2) });
        }
        for who in [ADA, BEN, CEM].into_iter().filter(|&who| ms % 40 == 0 && !still(who, ms)) {
            changes.handle_mark(who, at(ms));
        }
    }
    changes.all(at(9_000)).remove(0).video_gap
}

#[test]
fn who_stands_still_is_not_covered_up_by_those_who_move() {
    let still = |who, ms| who == CEM && (5_000..8_000).contains(&ms);
    assert_eq!(three(false, still, |_, _| {}), Some(3_000.0));
    // Nor if he never moves again.
    let still = |who, ms| who == CEM && ms >= 5_000;
    assert_eq!(three(false, still, |_, _| {}), Some(3_400.0));
}

#[test]
fn of_who_died_or_left_nothing_is_expected() {
    let died = |who, ms| who == ADA && ms >= 5_000;
    assert_eq!(three(false, died, |_, _| {}), Some(0.0));
    // Who handed over has not died.
    assert_eq!(three(true, died, |_, _| {}), Some(1_600.0));
    let left = |changes: &mut Changes, ms: u64| {
        if ms == 5_600 {
            changes.waits.handle_left(ADA);
        }
    };
    assert_eq!(three(true, died, left), Some(0.0));
}

#[test]
fn whose_camera_is_off_keeps_nobody_waiting() {
    let still = |who, ms| who == CEM && (3_000..6_000).contains(&ms);
    let camera = |changes: &mut Changes, ms: u64| {
        if ms == 3_000 || ms == 5_960 {
            changes.waits.handle_camera(CEM, ms != 3_000);
        }
    };
    assert_eq!(three(false, still, camera), Some(0.0));
    // Be it for good, and in the midst of the change.
    let still = |who, ms| who == CEM && ms >= 5_000;
    let off = |changes: &mut Changes, ms: u64| {
        if ms == 5_000 {
            changes.waits.handle_camera(CEM, false);
        }
    };
    assert_eq!(three(false, still, off), Some(0.0));
    // Who is not told it sees that he has no tile, since before the change.
    let no_tile = |since: u64| {
        move |changes: &mut Changes, ms: u64| {
            if ms >= since {
                changes.waits.handle_empty(CEM, at(ms));
            }
        }
    };
    let still = |who, ms| who == CEM && ms >= 3_000;
    assert_eq!(three(false, still, no_tile(3_040)), Some(0.0));
    // A tile that the change itself took away is a gap.
    let still = |who, ms| who == CEM && ms >= 5_000;
    assert_eq!(three(false, still, no_tile(5_040)), Some(3_400.0));
}

#[test]
fn who_is_left_alone_waited_from_the_last_of_the_dead_to_the_first_of_himself() {
    let mut changes = Changes::default();
    for ms in (0..9_000).step_by(40) {
        if ms == 5_400 {
            changes.handle_news(at(ms), news(2));
            changes.waits.handle_left(ADA);
        }
        match ms {
            0..5_000 => changes.handle_mark(ADA, at(ms)),
            5_000..5_600 => {}
            _ => changes.handle_mark(CEM, at(ms)),
        }
    }
    assert_eq!(changes.all(at(9_000))[0].video_gap, Some(600.0));
}

#[test]
fn a_change_that_was_planned_is_looked_at_for_as_long_as_it_takes() {
    let mut changes = call(0, 5_000, 0..0, &[]);
    changes.handle_news(at(4_000), news(2));
    changes.handle_news(at(5_000), News { planned: true, ..news(3) });
    changes.handle_second(at(6_100), 0);
    assert!(changes.all(at(6_100)).iter().all(|change| !change.closed));
    // It is over before the one that came before it.
    changes.handle_second(at(6_300), 0);
    let all = changes.all(at(6_300));
    let closed = all.iter().filter(|change| change.closed).collect::<Vec<_>>();
    assert_eq!((all.len(), closed.len(), closed[0].planned), (2, 1, true));
}

/// Sound each 20 ms, of which from 4,000 on 70 ms come twice, more than a device holds; then nothing in `gap`.
fn heard_twice(gap: std::ops::Range<u64>) -> (Option<f64>, Option<u64>) {
    let mut changes = Changes::default();
    for ms in (0..7_000).step_by(20) {
        if ms == 4_000 {
            changes.handle_news(at(ms), News { planned: true, ..news(2) });
        }
        if gap.contains(&ms) {
            continue;
        }
        let back = if ms >= 4_000 { 70 } else { 0 };
        changes.handle_sound(at(ms), (ms - back) * 48, 960);
    }
    let change = changes.all(at(7_000)).remove(0);
    (change.audio_gap, change.samples_lost)
}

#[test]
fn sound_that_is_heard_twice_is_no_gap() {
    assert_eq!(heard_twice(0..0), (Some(0.0), Some(0)));
}

#[test]
fn sound_that_stops_where_some_is_heard_twice_is_a_gap() {
    // What would have come twice in it is not lost.
    assert_eq!(heard_twice(4_000..4_200), (Some(200.0), Some(130 * 48)));
    assert_eq!(heard_twice(4_000..9_000), (Some(1_200.0), Some(1_200 * 48)));
}

#[test]
fn the_same_sound_again_and_again_stands_still() {
    let mut changes = Changes::default();
    for ms in (0..7_000_u64).step_by(20) {
        if ms == 4_000 {
            changes.handle_news(at(ms), news(2));
        }
        changes.handle_sound(at(ms), ms.min(4_000) * 48, 960);
    }
    assert_eq!(changes.all(at(7_000))[0].audio_gap, Some(2_980.0));
}
