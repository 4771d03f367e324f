//! Where sound and pictures of members go, and where a mix comes from.

mod common;

use std::collections::BTreeSet;

use paceline_session::types::StreamId;
use paceline_session::{Event, Input, Output, Recipients};

use common::{Call, MS, mix, number, own, peer, picture, sound};

fn standby(call: &Call) -> u8 {
    number(call.node(1).standby().expect("there are enough"))
}

#[test]
fn sound_goes_to_the_host_and_the_standby_and_pictures_to_the_host_only() {
    let mut call = Call::of(5);
    call.media = true;
    let since = call.elapsed();
    call.run_for(2_000 * MS);
    let standby = standby(&call);
    for n in 2..=5 {
        let others: BTreeSet<_> = [1, standby].into_iter().filter(|&other| other != n).collect();
        assert_eq!(call.sent_to(n, StreamId::AUDIO, since), others, "sound of {n}");
        assert_eq!(call.sent_to(n, StreamId::VIDEO, since), [1].into(), "picture of {n}");
    }
    // The host's own is for who may have to mix it in a moment.
    assert_eq!(call.sent_to(1, StreamId::AUDIO, since), [standby].into());
    assert!(call.sent_to(1, StreamId::VIDEO, since).is_empty());
}

#[test]
fn the_standby_hears_everybody_and_the_others_hear_the_mix() {
    let mut call = Call::of(5);
    call.media = true;
    call.run_for(3_000 * MS);
    let standby = standby(&call);
    for n in 1..=5 {
        for of in (1..=5).filter(|&of| of != n) {
            let heard = !call.seqs(n, own(of, StreamId::AUDIO)).is_empty();
            let mixes = n == standby || n == 1;
            assert_eq!(heard, mixes, "{n} hears {of}");
        }
        let mixed = call.seqs(n, mix(StreamId::MIX_AUDIO));
        assert_eq!(mixed.is_empty(), n == 1, "the mix at {n}");
        assert!(mixed.windows(2).all(|two| two[1] == two[0] + 1), "at {n}");
        assert_eq!(call.node(n).stats().wrong_role, 0, "at {n}");
    }
}

#[test]
fn what_is_mixed_in_the_dark_is_seen_by_nobody() {
    let mut call = Call::of(4);
    call.media = true;
    let since = call.elapsed();
    call.run_for(2_000 * MS);
    let standby = standby(&call);
    let mixes = |n| {
        call.heard.iter().any(|(by, _, output)| {
            *by == n && matches!(output, Output::Stage(paceline_session::StageOrder::Follow))
        })
    };
    assert!(mixes(standby), "the standby was told to follow");
    assert!(call.sent_to(standby, StreamId::MIX_AUDIO, since).is_empty());
}

#[test]
fn a_picture_goes_to_the_next_host_too_while_a_handover_is_prepared_a_keyframe_first() {
    let mut call = Call::of(5);
    call.media = true;
    call.run_for(2_000 * MS);
    let (standby, since) = (standby(&call), call.elapsed());
    call.input(1, Input::HandOver);
    call.run_for(3_000 * MS);
    assert_eq!(call.host(), Some(standby));
    for n in (2..=5).filter(|&n| n != standby) {
        let of = |to| {
            let is_it = move |sent: &&common::Sent| {
                let frame = sent.frame().is_some_and(|frame| frame.stream == StreamId::VIDEO);
                frame && (sent.from, sent.to) == (n, to) && sent.at >= since
            };
            call.sent.iter().filter(is_it).filter_map(common::Sent::frame).collect::<Vec<_>>()
        };
        let (to_next, to_before) = (of(standby), of(1));
        let first = to_next[0];
        assert!(first.coding.is_key(), "{n} begins with a picture that builds on others");
        // And goes on to the one before for as long as he shows them.
        let is_doubled = |old: &&&_| to_next.iter().any(|new| new == *old);
        let doubled = to_before.iter().filter(is_doubled);
        assert!(doubled.count() > 6, "{n}");
        assert!(to_before.len() < 60, "{n} sends it to the host of before for ever");
    }
}

#[test]
fn a_keyframe_of_the_mix_is_asked_of_who_hosts_and_of_a_member_by_who_gets_his_picture() {
    let mut call = Call::of(5);
    call.media = true;
    call.run_for(3_000 * MS);
    let standby = standby(&call);
    let steered = |call: &Call, stream| -> Vec<u8> {
        let of = |(n, _, output): &(u8, _, Output)| match output {
            Output::Steer { stream: it, .. } if *it == stream => Some(*n),
            _ => None,
        };
        call.heard.iter().filter_map(of).collect()
    };
    call.heard.clear();
    call.input(5, Input::NeedsKeyframe(mix(StreamId::MIX_VIDEO)));
    call.run_for(500 * MS);
    assert_eq!(steered(&call, StreamId::MIX_VIDEO), [1]);
    call.input(1, Input::NeedsKeyframe(own(5, StreamId::VIDEO)));
    call.run_for(500 * MS);
    assert_eq!(steered(&call, StreamId::VIDEO), [5]);

    call.input(1, Input::HandOver);
    call.run_for(4_000 * MS);
    call.heard.clear();
    call.input(5, Input::NeedsKeyframe(mix(StreamId::MIX_VIDEO)));
    call.run_for(500 * MS);
    assert_eq!(steered(&call, StreamId::MIX_VIDEO), [standby]);
}

#[test]
fn what_a_member_has_for_all_goes_to_the_host_and_what_the_host_has_to_all() {
    let mut call = Call::of(4);
    let data = |channel| Input::Data { to: Recipients::All, channel, data: vec![1].into() };
    call.input(3, data(7));
    call.input(1, data(8));
    call.run_for(200 * MS);
    let got = |n| -> Vec<_> {
        let of = |event: &Event| match event {
            Event::Data { peer, channel, .. } => Some((number(*peer), *channel)),
            _ => None,
        };
        call.events(n).filter_map(of).collect()
    };
    assert_eq!((got(1), got(2), got(4)), (vec![(3, 7)], vec![(1, 8)], vec![(1, 8)]));
}

#[test]
fn media_of_members_are_not_taken_by_who_mixes_nothing() {
    let mut call = Call::of(5);
    let standby = standby(&call);
    let idle = (2..=5).find(|&n| n != standby && !call.links(n).is_empty()).expect("there is one");
    let from = call.links(idle)[1];
    for frame in [sound(StreamId::AUDIO, 0), picture(StreamId::VIDEO, 0, true)] {
        let (sender, epoch) = (common::sender(from), None);
        let body = paceline_framing::Body::Media(frame);
        call.inject(from, idle, &paceline_framing::Packet { sender, epoch, body });
    }
    call.run_for(500 * MS);
    assert_eq!(call.node(idle).stats().unused, 2);
    assert!(call.seqs(idle, own(from, StreamId::AUDIO)).is_empty());
}

#[test]
fn who_is_told_that_nothing_can_be_handed_over_hears_it_at_once() {
    let mut call = Call::of(3);
    call.heard.clear();
    call.input(2, Input::HandOver);
    let aborted = |event: &&Event| matches!(event, Event::HandoverAborted { .. });
    assert_eq!(call.events(2).filter(aborted).count(), 1);
    assert_eq!(call.node(2).standby().map(number), Some(standby(&call)));
    assert_ne!(peer(1), peer(2));
}
