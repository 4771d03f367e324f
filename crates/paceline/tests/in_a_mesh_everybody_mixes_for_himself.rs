//! Rooms that are all connected to each other on loopback, and nobody hosts.
#![allow(clippy::disallowed_methods, reason = "a program reads the clock")]

#[allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
mod common;

use std::collections::BTreeSet;
use std::time::Instant;

use common::{WATCHDOG, builder, join, server, until, until_picture};
use paceline::types::{Carrier, NtpTime, StreamId};
use paceline::{Config, Event, Room, RoomBuilder, Topology, VideoInput};
use paceline_signaling::Server;

fn in_mesh(server: &Server, name: &str) -> RoomBuilder {
    builder(server, name).topology(Topology::Mesh)
}

async fn join_mesh(server: &Server, name: &str) -> Room {
    in_mesh(server, name).join().await.expect("the room is open")
}

/// Until the mix shows a picture of each of so many people that was captured after `since`;
/// their numbers.
async fn until_all_shown(room: &mut Room, people: usize, since: NtpTime) -> Vec<u32> {
    until(room, |event| match event {
        Event::MixInfo(info) if info.sources.len() == people => {
            let shown = |s: &paceline::types::MixSource| s.tile.width > 0 && s.capture > since;
            let all = info.sources.iter().all(shown);
            all.then(|| info.sources.iter().map(|source| source.sender.get()).collect())
        }
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_shows_and_hears_all_and_no_mix_is_on_the_wire() {
    let server = server().await;
    // The config may say it too, and the builder has the last word.
    let config = Config::default().topology(Topology::Star);
    let mut ada = in_mesh(&server, "ada").config(config).join().await.expect("the room is open");
    let config = Config::default().topology(Topology::Mesh).max_own_picture(160, 90, 15);
    let ben = builder(&server, "ben").config(config).join();
    let mut ben = ben.await.expect("the room is open");
    let mut cem = join_mesh(&server, "cem").await;
    for room in [&mut ada, &mut ben, &mut cem] {
        assert_eq!(until_all_shown(room, 3, NtpTime::default()).await, [1, 2, 3]);
        until_picture(room).await;
        // The tones of the others, and nothing is clipped.
        let loud = until(room, |event| match event {
            Event::Sound(sound) => {
                let peak = sound.frame.samples.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
                (peak > 0.05).then_some(peak)
            }
            _ => None,
        })
        .await;
        assert!(loud <= 1.0);
    }
    let us = [ada.sender(), ben.sender(), cem.sender()];
    for (room, us) in [(&ada, us[0]), (&ben, us[1]), (&cem, us[2])] {
        let stats = room.stats().await;
        assert_eq!(stats.peers.len(), 2);
        let streams: BTreeSet<_> = stats.streams.iter().map(|(key, _)| key.stream).collect();
        assert_eq!(streams, BTreeSet::from([StreamId::AUDIO, StreamId::VIDEO]));
        assert!(stats.streams.iter().all(|(key, _)| key.sender != us));
        assert_eq!(stats.streams.len(), 4);
        assert!(stats.first_picture.is_some() && stats.timeline.shown.is_some());
        assert_eq!((stats.session.wrong_role, stats.session.stale_epoch), (0, 0));
    }
    for room in [cem, ben, ada] {
        let stats = room.leave().await;
        assert_eq!((stats.media.decode_errors, stats.media.encode_errors), (0, 0));
        assert!(stats.media.video_encoded > 0 && stats.media.video_decoded > 0);
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_picture_is_noted_when_it_comes_over_rtp_too_and_before_it_is_due() {
    let server = server().await;
    let config = || Config::default().carrier(Carrier::Rtp);
    let _ada = in_mesh(&server, "ada").config(config()).topology(Topology::Mesh).join().await;
    let ben = in_mesh(&server, "ben").config(config()).topology(Topology::Mesh).join().await;
    let mut ben = ben.expect("the room is open");
    until_all_shown(&mut ben, 2, NtpTime::default()).await;
    let stats = ben.leave().await;
    assert_eq!(stats.peers.iter().map(|(_, it)| it.carrier).collect::<Vec<_>>(), [Carrier::Rtp]);
    let steps = [stats.timeline.connected, stats.timeline.first_frame, stats.timeline.due];
    let [Some(connected), Some(first), Some(due)] = steps else { panic!("{steps:?}") };
    assert!(connected <= first && first <= due, "{steps:?}");
    assert_eq!(stats.rtp_refused, 0);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_alone_sees_himself_and_does_not_hear_himself() {
    let server = server().await;
    let mut ada = join_mesh(&server, "ada").await;
    assert_eq!(until_all_shown(&mut ada, 1, NtpTime::default()).await, [1]);
    // He says something: the mix tells how loud.
    until(&mut ada, |event| match event {
        Event::MixInfo(info) => (info.sources[0].level < 40).then_some(()),
        _ => None,
    })
    .await;
    for _ in 0..10 {
        let silent = until(&mut ada, |event| match event {
            Event::Sound(sound) => Some(sound.frame.samples.iter().all(|&sample| sample == 0.0)),
            _ => None,
        })
        .await;
        assert!(silent);
    }
    let stats = ada.leave().await;
    // What nobody gets is not encoded, and nobody has been seen yet.
    assert_eq!((stats.media.video_encoded, stats.media.audio_encoded), (0, 0));
    assert_eq!((stats.first_picture, stats.timeline.shown), (None, None));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_late_is_seen_by_all_and_who_leaves_or_dies_is_gone_at_all() {
    let server = server().await;
    let mut ada = join_mesh(&server, "ada").await;
    let mut ben = join_mesh(&server, "ben").await;
    until_all_shown(&mut ada, 2, NtpTime::default()).await;
    until_all_shown(&mut ben, 2, NtpTime::default()).await;
    let mut cem = join_mesh(&server, "cem").await;
    for room in [&mut ada, &mut ben, &mut cem] {
        assert_eq!(until_all_shown(room, 3, NtpTime::default()).await, [1, 2, 3]);
    }
    // The first leaves: nothing hangs on him.
    ada.leave().await;
    for room in [&mut ben, &mut cem] {
        let since = room.wall_clock().at(Instant::now());
        assert_eq!(until_all_shown(room, 2, since).await, [2, 3]);
    }
    // And one who is simply gone.
    drop(ben);
    assert_eq!(until_all_shown(&mut cem, 1, NtpTime::default()).await, [3]);
    cem.leave().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_that_is_switched_off_is_off_at_all_and_comes_back() {
    let server = server().await;
    let mut ada = join_mesh(&server, "ada").await;
    let mut ben = join_mesh(&server, "ben").await;
    until_all_shown(&mut ada, 2, NtpTime::default()).await;
    until_all_shown(&mut ben, 2, NtpTime::default()).await;
    ben.stop_video().await;
    let sender = ben.sender();
    // At himself too: there his picture does not come over the network.
    for room in [&mut ada, &mut ben] {
        until(room, |event| match event {
            Event::MixInfo(info) => {
                let of_ben = info.sources.iter().find(|source| source.sender == sender)?;
                (of_ben.tile.width == 0).then_some(())
            }
            _ => None,
        })
        .await;
    }
    ben.start_video(VideoInput::Test).await.expect("it starts");
    for room in [&mut ada, &mut ben] {
        let since = room.wall_clock().at(Instant::now());
        until_all_shown(room, 2, since).await;
    }
    ben.leave().await;
    ada.leave().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_can_host_in_a_mesh_and_it_is_said() {
    let server = server().await;
    let error = in_mesh(&server, "ada").host(true).join().await.expect_err("nobody hosts");
    assert_eq!(
        error.to_string(),
        "nobody hosts in a mesh: leave `host(true)` out, or take Topology::Star"
    );
    let mut ada = join_mesh(&server, "ada").await;
    let mut ben = join_mesh(&server, "ben").await;
    ada.start_hosting().await;
    let warning = until(&mut ada, |event| match event {
        Event::HostChanged { .. } => Some("somebody hosts".to_owned()),
        Event::Warning(text) => Some(text),
        _ => None,
    })
    .await;
    assert!(warning.contains("in a mesh nobody does"), "{warning}");
    ada.stop_hosting().await;
    // Whom the server calls host, because he asked to, changes nothing for the others.
    let mallory = join(&server, "mallory", true).await;
    until(&mut ben, |event| match event {
        Event::MemberJoined { name, .. } => (name == "mallory").then_some(()),
        _ => None,
    })
    .await;
    let since = ben.wall_clock().at(Instant::now());
    until(&mut ben, |event| match event {
        Event::HostChanged { .. } => panic!("nobody hosts in a mesh"),
        Event::MixInfo(info) => {
            let shown = info.sources.iter().filter(|source| source.capture > since).count();
            (shown == 2).then_some(())
        }
        _ => None,
    })
    .await;
    mallory.leave().await;
    tokio::time::timeout(WATCHDOG, ben.leave()).await.expect("it leaves");
    ada.leave().await;
    server.shutdown().await;
}
