//! The host dies from one moment to the next.

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use paceline_session::types::{Epoch, StreamId};
use paceline_session::{Event, Input, Output};

use common::{Call, MS, mix, number, own, peer, sound};

fn call(people: u8) -> (Call, u8) {
    let mut call = Call::of(people);
    call.media = true;
    call.run_for(3_000 * MS);
    let next = number(call.node(1).standby().expect("there are enough"));
    (call, next)
}

#[test]
fn the_standby_hosts_within_a_second_and_the_streams_go_on_under_the_same_keys() {
    for people in [2, 3, 5, 8] {
        let (mut call, next) = call(people);
        let died = call.elapsed();
        call.kill(1);
        call.run_for(1_000 * MS);
        assert_eq!(call.host(), Some(next), "of {people}");
        call.run_for(2_000 * MS);
        for n in (2..=people).filter(|&n| n != next) {
            for stream in [StreamId::MIX_AUDIO, StreamId::MIX_VIDEO] {
                let seqs = call.seqs(n, mix(stream));
                assert!(seqs.windows(2).all(|two| two[1] > two[0]), "{stream:?} goes back at {n}");
                let after = call.decoded.iter().find(|it| {
                    (it.by, it.stream) == (n, mix(stream)) && it.epoch > Some(Epoch::new(1, 9))
                });
                let after = after.expect("the mix goes on");
                assert!(after.key, "it begins with a keyframe: {after:?}");
                assert!(after.at - died < 1_200 * MS, "{after:?} after {died:?}");
            }
            assert_eq!(call.node(n).stats().wrong_role, 0, "at {n} of {people}");
            // What the dead one had sent was given out, nothing after what followed.
            let epochs: Vec<_> = call
                .decoded
                .iter()
                .filter(|it| (it.by, it.stream) == (n, mix(StreamId::MIX_AUDIO)))
                .map(|it| it.epoch)
                .collect();
            assert!(epochs.is_sorted(), "at {n}");
        }
    }
}

#[test]
fn sound_of_members_was_there_all_the_time_and_their_pictures_begin_with_a_keyframe() {
    let (mut call, next) = call(5);
    let died = call.elapsed();
    call.kill(1);
    call.run_for(3_000 * MS);
    for of in (2..=5).filter(|&of| of != next) {
        let seqs = call.seqs(next, own(of, StreamId::AUDIO));
        assert!(seqs.windows(2).all(|two| two[1] == two[0] + 1), "{of} at {next}");
        let first = call
            .decoded
            .iter()
            .find(|it| (it.by, it.stream) == (next, own(of, StreamId::VIDEO)) && it.at > died);
        assert!(first.is_some_and(|first| first.key && first.at - died < 1_200 * MS), "{first:?}");
    }
}

#[test]
fn everybody_is_told_when_he_was_last_heard_of_and_that_nobody_planned_it() {
    let (mut call, next) = call(4);
    call.heard.clear();
    let died = call.now;
    call.kill(1);
    call.run_for(2_000 * MS);
    for n in 2..=4 {
        let changes: Vec<_> = call
            .events(n)
            .filter_map(|event| match event {
                Event::HostChanged { host, planned, last_heard, suspected, .. } => {
                    Some((*host, *planned, *last_heard, *suspected))
                }
                _ => None,
            })
            .collect();
        let [(host, planned, Some(heard), Some(suspected))] = changes[..] else {
            panic!("at {n}: {changes:?}")
        };
        assert_eq!((host, planned), (Some(peer(next)), false));
        assert!(heard < died + 100 * MS && heard + 200 * MS > died, "at {n}");
        let doubted = suspected - heard;
        assert!(doubted >= 240 * MS && doubted < 500 * MS, "{doubted:?} at {n}");
    }
}

#[test]
fn sound_goes_to_who_is_next_now() {
    let (mut call, next) = call(5);
    call.kill(1);
    call.run_for(4_000 * MS);
    let since = call.elapsed();
    call.run_for(1_000 * MS);
    let after = number(call.node(next).standby().expect("there are enough"));
    for n in 2..=5 {
        let wanted: BTreeSet<_> = [next, after].into_iter().filter(|&to| to != n).collect();
        let to = call.sent_to(n, StreamId::AUDIO, since);
        assert_eq!(&to - &[1].into(), wanted, "of {n}");
    }
}

#[test]
fn two_who_are_cut_off_from_the_others_hear_no_mix_and_make_none() {
    let (mut call, next) = call(5);
    // The host and one more on one side.
    let lone = (2..=5).find(|&n| n != next).expect("there are more");
    for here in [1, lone] {
        for there in (2..=5).filter(|&there| there != lone) {
            call.cut(here, there);
        }
    }
    call.run_for(2_000 * MS);
    let fenced = call.events(1).filter(|event| matches!(event, Event::Fenced { .. })).count();
    assert_eq!(fenced, 1, "the host has no majority");
    assert_eq!(call.host(), Some(next));
    let since = call.elapsed();
    call.run_for(1_000 * MS);
    assert!(call.sent_to(1, StreamId::MIX_AUDIO, since).is_empty());
    assert!(call.sent_to(lone, StreamId::MIX_AUDIO, since).is_empty());
    let told = call
        .heard
        .iter()
        .any(|(n, _, output)| *n == 1 && matches!(output, Output::Role { host: None, .. }));
    assert!(told);
}

#[test]
fn a_host_that_leaves_is_followed_at_once() {
    let (mut call, next) = call(4);
    call.input(1, Input::Leave);
    let left = call.elapsed();
    call.run_for(250 * MS);
    assert_eq!(call.host(), Some(next), "nobody waits for his lease to run out");
    call.run_for(1_000 * MS);
    for n in (2..=4).filter(|&n| n != next) {
        let after = call.decoded.iter().find(|it| {
            (it.by, it.stream) == (n, mix(StreamId::MIX_AUDIO)) && it.epoch > Some(Epoch::new(1, 9))
        });
        assert!(after.is_some_and(|it| it.at - left < 500 * MS), "{after:?}");
    }
}

#[test]
fn a_host_that_resigns_stays_and_hears_the_mix_of_another() {
    let (mut call, next) = call(4);
    call.input(1, Input::Resign);
    call.run_for(2_000 * MS);
    assert_eq!(call.host(), Some(next));
    let since = call.elapsed();
    call.run_for(500 * MS);
    let heard = call.decoded.iter().filter(|it| it.by == 1 && it.at > since);
    assert!(heard.filter(|it| it.stream == mix(StreamId::MIX_AUDIO)).count() > 20);
}

#[test]
fn one_who_may_not_host_is_not_chosen_and_a_host_who_may_not_any_more_hands_over() {
    let (mut call, next) = call(5);
    call.input(1, Input::MayHost(false));
    call.run_for(2_000 * MS);
    assert_eq!(call.host(), Some(next));
    assert_eq!(call.node(next).migration_stats().aborted, 0);
    let planned =
        call.events(2).any(|event| matches!(event, Event::HostChanged { planned: true, .. }));
    assert!(planned);
    let _: Duration = call.elapsed();
}

/// What comes from elsewhere before it is heard must not bring the doubt.
#[test]
fn who_was_late_hears_what_was_said_meanwhile_before_he_doubts() {
    let (mut call, _) = call(4);
    call.heard.clear();
    let stalled = 4;
    call.stall(stalled);
    call.run_for(400 * MS);
    let (audio, video) = (StreamId::AUDIO, StreamId::VIDEO);
    call.encode(stalled, sound(audio, 1_000_000));
    call.input(stalled, Input::TrackState { stream: video, enabled: true });
    call.input(stalled, Input::MayHost(true));
    call.resume();
    call.run_for(500 * MS);
    let doubts = call.events(stalled).filter(|event| matches!(event, Event::Suspected { .. }));
    assert_eq!(doubts.count(), 0);
}

/// His lease has run out by his own clock, but the echoes of those he sent are there.
#[test]
fn a_host_who_was_late_for_a_moment_hears_the_echoes_before_he_steps_back() {
    let (mut call, _) = call(4);
    call.heard.clear();
    call.stall(1);
    call.run_for(150 * MS);
    call.encode(1, sound(StreamId::AUDIO, 1_000_000));
    call.resume();
    call.run_for(500 * MS);
    assert_eq!(call.host(), Some(1));
    assert!(!call.events(1).any(|event| matches!(event, Event::Fenced { .. })));
}
