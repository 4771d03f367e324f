//! The host hands over while everybody looks on: what is seen and heard goes on.

mod common;

use std::time::Duration;

use paceline_framing::Control;
use paceline_session::types::{Epoch, StreamId};
use paceline_session::{Event, Input, Output, Role, StageOrder};

use common::{Call, MS, mix, number, own, peer};

/// Five in a call that is under way, and who is next.
fn call() -> (Call, u8) {
    let mut call = Call::of(5);
    call.media = true;
    call.run_for(3_000 * MS);
    let next = number(call.node(1).standby().expect("there are enough"));
    (call, next)
}

fn watchers(next: u8) -> impl Iterator<Item = u8> {
    (2..=5).filter(move |&n| n != next)
}

#[test]
fn no_frame_of_the_mix_is_lost_or_comes_twice_and_no_decoder_starts_anew() {
    let (mut call, next) = call();
    call.input(1, Input::HandOver);
    call.run_for(4_000 * MS);
    assert_eq!(call.host(), Some(next));
    for n in watchers(next) {
        for stream in [StreamId::MIX_AUDIO, StreamId::MIX_VIDEO] {
            let seqs = call.seqs(n, mix(stream));
            assert!(seqs.windows(2).all(|two| two[1] == two[0] + 1), "{stream:?} at {n}: {seqs:?}");
            // It was there up to now.
            let interval = if stream == StreamId::MIX_AUDIO { 20_000 } else { 33_333 };
            let made = call.elapsed().as_micros() as u64 / interval;
            assert!(seqs.last().is_some_and(|&last| last + 15 > made), "{stream:?} at {n}");
        }
        let stats = call.node(n).receive_stats();
        let of_mix = stats.iter().filter(|(stream, _)| stream.sender == mix(stream.stream).sender);
        assert_eq!(of_mix.clone().count(), 2, "one stream each for the whole call");
        for (stream, stats) in of_mix {
            assert_eq!((stats.jitter.lost, stats.restarts), (0, 0), "{stream:?} at {n}");
        }
        let stats = call.node(n).stats();
        assert_eq!((stats.stale_epoch, stats.wrong_role, stats.early_dropped), (0, 0, 0), "{n}");
    }
    let lost = |(_, _, output): &&(u8, _, Output)| matches!(output, Output::Lost { .. });
    let lost: Vec<_> = call.heard.iter().filter(lost).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn sound_of_both_hosts_is_given_out_together_around_the_switch() {
    let (mut call, next) = call();
    call.input(1, Input::HandOver);
    call.run_for(4_000 * MS);
    for n in watchers(next) {
        let faded: Vec<_> = call
            .heard
            .iter()
            .filter_map(|(by, _, output)| match output {
                Output::Crossfade { old, new, epoch, .. } if *by == n => {
                    assert_eq!(old.seq, new.seq);
                    Some((new.seq.get(), *epoch))
                }
                _ => None,
            })
            .collect();
        assert_eq!(faded.len(), 2, "40 ms at {n}: {faded:?}");
        assert!(faded.iter().all(|&(_, epoch)| epoch == Epoch::new(1, 1)));
    }
}

#[test]
fn streams_of_members_go_on_where_they_are_mixed() {
    let (mut call, next) = call();
    let since = call.elapsed();
    call.input(1, Input::HandOver);
    call.run_for(3_000 * MS);
    for of in watchers(next) {
        // The next host had their sound all the time, and has it still as one stream.
        let seqs = call.seqs(next, own(of, StreamId::AUDIO));
        assert!(seqs.windows(2).all(|two| two[1] == two[0] + 1), "{of} at {next}");
        // Their pictures begin with a keyframe.
        let first = call
            .decoded
            .iter()
            .find(|it| (it.by, it.stream) == (next, own(of, StreamId::VIDEO)) && it.at > since);
        assert!(first.is_some_and(|first| first.key), "{of} at {next}");
        // The host of before shows them up to the switch.
        let seen = call
            .decoded
            .iter()
            .filter(|it| (it.by, it.stream) == (1, own(of, StreamId::VIDEO)) && it.at > since);
        assert!(seen.count() >= 6, "{of} at 1");
    }
    // Who hosted is a member now, whom the next one shows.
    assert!(!call.seqs(next, own(1, StreamId::VIDEO)).is_empty());
    assert!(!call.seqs(1, mix(StreamId::MIX_AUDIO)).is_empty());
}

#[test]
fn everybody_is_told_once_and_the_host_of_before_that_he_may_go() {
    let (mut call, next) = call();
    call.heard.clear();
    call.input(1, Input::HandOver);
    call.run_for(3_000 * MS);
    for n in 1..=5 {
        let changes: Vec<_> = call
            .events(n)
            .filter_map(|event| match event {
                Event::HostChanged { host, epoch, planned, .. } => Some((*host, *epoch, *planned)),
                _ => None,
            })
            .collect();
        assert_eq!(changes, [(Some(peer(next)), Epoch::new(1, 1), true)], "at {n}");
        let retired = call.events(n).filter(|event| matches!(event, Event::Retired)).count();
        assert_eq!(retired, usize::from(n == 1), "at {n}");
    }
    let orders: Vec<_> = call
        .heard
        .iter()
        .filter_map(|(n, _, output)| match output {
            Output::Stage(order) if *n == next => Some(order.clone()),
            _ => None,
        })
        .collect();
    assert!(
        matches!(orders[..], [StageOrder::Prepare { .. }, StageOrder::Host { from: Some(_), .. }]),
        "{orders:?}"
    );
}

#[test]
fn what_names_the_next_host_has_the_old_epoch_on_it_and_his_own_packets_the_new_one() {
    let (mut call, next) = call();
    let since = call.elapsed();
    call.input(1, Input::HandOver);
    call.run_for(3_000 * MS);
    let mut named = 0;
    for sent in call.sent.iter().filter(|sent| sent.at >= since) {
        if let Some(Control::Migrate(migrate)) = sent.control() {
            assert_eq!(sent.packet.epoch, Some(Epoch::new(1, 0)));
            assert_eq!(migrate.epoch, Epoch::new(1, 1));
            named += 1;
        }
        if let Some(frame) = sent.frame().filter(|frame| mix(frame.stream).stream == frame.stream)
            && matches!(frame.stream, StreamId::MIX_AUDIO | StreamId::MIX_VIDEO)
        {
            let ballot = u16::from(sent.from == next);
            assert_eq!(sent.packet.epoch, Some(Epoch::new(1, ballot)), "of {}", sent.from);
        }
    }
    assert_eq!(named, 4);
}

/// The way from the next host is much faster than that from the host of before.
#[test]
fn frames_of_the_next_host_that_come_before_his_name_are_not_lost() {
    let (mut call, next) = call();
    let watcher = watchers(next).next().expect("there are more");
    // The one word comes late, and what the host of before sends with it.
    call.set_way(1, watcher, 330 * MS);
    call.set_way(next, watcher, MS);
    call.run_for(2_000 * MS);
    call.input(1, Input::HandOver);
    call.run_for(5_000 * MS);
    assert_eq!(call.host(), Some(next));
    let stats = call.node(watcher).stats();
    assert!(stats.early > 0, "none came early: the test shows nothing");
    assert_eq!((stats.early_dropped, stats.stale_epoch, stats.wrong_role), (0, 0, 0));
    for stream in [StreamId::MIX_AUDIO, StreamId::MIX_VIDEO] {
        let lost: Vec<_> = call
            .heard
            .iter()
            .filter(|(n, _, output)| {
                *n == watcher
                    && matches!(output, Output::Lost { stream: of, .. } if *of == mix(stream))
            })
            .collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
}

#[test]
fn who_comes_right_after_sees_the_picture_at_once() {
    let (mut call, next) = call();
    call.input(1, Input::HandOver);
    call.run_for(700 * MS);
    assert_eq!(call.host(), Some(next));
    let n = call.join();
    call.run_for(1_000 * MS);
    let first = call.decoded.iter().find(|it| it.by == n && it.stream == mix(StreamId::MIX_VIDEO));
    let first = first.expect("he sees something");
    assert!(first.key && first.epoch == Some(Epoch::new(1, 1)), "{first:?}");
    assert_eq!(call.node(n).stats().stale_epoch, 0);
    assert!(call.seqs(n, mix(StreamId::MIX_VIDEO)).windows(2).all(|it| it[1] == it[0] + 1));
}

#[test]
fn one_who_is_not_ready_changes_nothing() {
    let mut call = Call::of(4);
    // Stages do nothing: nobody is ever ready.
    call.heard.clear();
    let links: Vec<_> = (1..=4).map(|n| call.links(n)).collect();
    call.input(1, Input::HandOver);
    call.run_for(3_000 * MS);
    assert_eq!(call.host(), Some(1));
    assert_eq!(call.events(1).filter(|it| matches!(it, Event::HandoverAborted { .. })).count(), 1);
    for n in 1..=4 {
        assert!(!call.events(n).any(|event| matches!(event, Event::HostChanged { .. })));
        assert_eq!(call.links(n), links[usize::from(n) - 1]);
    }
}

#[test]
fn all_may_host_one_after_another_and_the_mix_goes_on() {
    let (mut call, _) = call();
    let mut hosts = vec![1];
    for _ in 0..6 {
        let host = call.host().expect("somebody hosts");
        call.input(host, Input::HandOver);
        call.run_for(3_000 * MS);
        hosts.extend(call.host());
    }
    assert!(hosts.len() == 7 && hosts.windows(2).all(|two| two[0] != two[1]), "{hosts:?}");
    for n in 1..=5 {
        let lost = |(by, _, output): &&(u8, Duration, Output)| {
            *by == n && matches!(output, Output::Lost { .. })
        };
        let lost: Vec<_> = call.heard.iter().filter(lost).collect();
        assert!(lost.is_empty(), "{lost:?}");
        let roles = call.node(n).roster();
        assert_eq!(roles.iter().filter(|place| place.role == Role::Host).count(), 1, "at {n}");
    }
}

/// The word of the majority comes late, and his first pictures do not go out.
#[test]
fn the_pictures_of_a_host_begin_with_a_keyframe_whatever_was_held_back_of_them() {
    let (mut call, next) = call();
    // The name of the next host is there in time, the echoes of his lease are not.
    for n in watchers(next).chain([1]) {
        call.set_way(n, next, 250 * MS);
    }
    call.run_for(2_000 * MS);
    let since = call.elapsed();
    call.input(1, Input::HandOver);
    call.run_for(4_000 * MS);
    assert_eq!(call.host(), Some(next));
    let epoch = Some(Epoch::new(1, 1));
    let of_next = |sent: &&common::Sent| {
        let is_picture = sent.frame().is_some_and(|frame| frame.stream == StreamId::MIX_VIDEO);
        is_picture && sent.at >= since && sent.packet.epoch == epoch
    };
    for n in watchers(next) {
        let mut sent = call.sent.iter().filter(of_next).filter(|sent| sent.to == n);
        let first = sent.next().and_then(common::Sent::frame).expect("he hosts");
        assert!(first.coding.is_key(), "{first:?} to {n}");
        assert!(sent.count() > 30, "to {n}");
    }
}

#[test]
fn who_has_had_all_our_pictures_needs_no_other_keyframe() {
    let (mut call, next) = call();
    call.input(1, Input::HandOver);
    call.run_for(3_000 * MS);
    assert_eq!(call.host(), Some(next));
    for n in watchers(next) {
        // One is for who is next; the host of before goes on.
        let keys = |to: u8| {
            let is_key = |sent: &&common::Sent| {
                let key = |frame: &&paceline_session::types::EncodedFrame| {
                    frame.stream == StreamId::VIDEO && frame.coding.is_key()
                };
                (sent.from, sent.to) == (n, to) && sent.frame().as_ref().is_some_and(key)
            };
            call.sent.iter().filter(is_key).count()
        };
        assert_eq!((keys(1), keys(next)), (2, 1), "of {n}");
    }
}

#[test]
fn who_asks_again_while_it_is_under_way_is_answered_once() {
    let (mut call, next) = call();
    call.heard.clear();
    call.input(1, Input::HandOver);
    for _ in 0..40 {
        call.run_for(10 * MS);
        if call.node(1).is_retiring() || call.node(1).is_host() {
            call.input(1, Input::HandOver);
        }
    }
    call.run_for(2_000 * MS);
    assert_eq!(call.host(), Some(next));
    let count = |wanted: fn(&Event) -> bool| call.events(1).filter(|event| wanted(event)).count();
    assert_eq!(count(|event| matches!(event, Event::Retired)), 1);
    assert_eq!(count(|event| matches!(event, Event::HandoverAborted { .. })), 0);
}

#[test]
fn who_has_just_come_to_host_is_answered_when_he_is_to_hand_over() {
    let (mut call, next) = call();
    call.input(1, Input::HandOver);
    while call.host() != Some(next) {
        call.run_for(MS);
    }
    call.heard.clear();
    call.input(next, Input::HandOver);
    call.run_for(2_000 * MS);
    let answers = call
        .events(next)
        .filter(|event| matches!(event, Event::HandoverAborted { .. } | Event::Retired));
    assert_eq!(answers.count(), 1);
}

#[test]
fn our_picture_is_wanted_as_long_as_a_handover_is_under_way_and_no_longer() {
    let mut call = Call::of(4);
    let wanted = |call: &Call| {
        let of_host = |(n, _, output): &(u8, Duration, Output)| match output {
            Output::VideoAlsoTo(who) if *n == 1 => Some(who.is_some()),
            _ => None,
        };
        call.heard.iter().filter_map(of_host).collect::<Vec<_>>()
    };
    // Stages do nothing: it is aborted.
    call.heard.clear();
    call.input(1, Input::HandOver);
    call.run_for(100 * MS);
    assert_eq!(wanted(&call), [true]);
    call.run_for(3_000 * MS);
    assert_eq!(wanted(&call), [true, false]);
}

#[test]
fn who_follows_is_told_how_far_the_host_is_and_anew_of_another() {
    let (mut call, next) = call();
    let member = watchers(next).next().expect("there are more");
    let told = |call: &Call| {
        let of_member = |(n, _, output): &(u8, Duration, Output)| match output {
            Output::OneWay(delay) if *n == member => Some(*delay),
            _ => None,
        };
        call.heard.iter().filter_map(of_member).collect::<Vec<_>>()
    };
    assert!(told(&call).last().is_some_and(|&it| it >= 9 * MS && it <= 12 * MS), "{call:?}");
    call.heard.clear();
    call.run_for(5_000 * MS);
    assert!((3..=7).contains(&told(&call).len()), "{:?}", told(&call));
    assert!(!call.heard.iter().any(|(n, _, it)| *n == 1 && matches!(it, Output::OneWay(_))));
}
