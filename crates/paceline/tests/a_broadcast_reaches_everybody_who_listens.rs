//! Whole broadcasts over real connections on loopback.

#[allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
mod common;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use common::{WATCHDOG, server, server_with};
use paceline::capture::H264File;
use paceline::signaling::{RoomsConfig, Server, ServerConfig};
use paceline::types::EncodedFrame;
use paceline::{
    BroadcastConfig, JoinError, MAX_DATA, Publisher, PublisherEvent, SendError, VideoInput, Viewer,
    ViewerEvent,
};

fn patient() -> BroadcastConfig {
    BroadcastConfig::default().join_timeout(WATCHDOG)
}

async fn publish(server: &Server, config: BroadcastConfig) -> Publisher {
    let builder = Publisher::builder(server.url("stage")).name("Ada").config(config);
    builder.start().await.expect("the room is empty")
}

async fn watch(server: &Server, name: &str) -> Viewer {
    let builder = Viewer::builder(server.url("stage")).name(name).config(patient());
    builder.join().await.expect("somebody publishes")
}

/// Anything, within the watchdog.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(WATCHDOG, future).await.expect("it did not happen in time")
}

/// The number that the next message begins with, and on which channel it came.
async fn next_number(viewer: &mut Viewer) -> (u16, u32) {
    let (channel, data) = next_message(viewer).await;
    (channel, number(&data))
}

async fn next_message(viewer: &mut Viewer) -> (u16, Bytes) {
    loop {
        match soon(viewer.next()).await {
            Some(ViewerEvent::Message { channel, data }) => return (channel, data),
            // On a busy machine a path may seem lost. What then is missing shows.
            Some(ViewerEvent::Interrupted { .. } | ViewerEvent::Reconnected) => {}
            other => panic!("no message, but {other:?}"),
        }
    }
}

async fn read_all(viewer: &mut Viewer, channel: u16, numbers: std::ops::Range<u32>) {
    for expected in numbers {
        assert_eq!(next_number(viewer).await, (channel, expected));
    }
}

/// Why the broadcast is over, once it is.
async fn until_closed(viewer: &mut Viewer) -> String {
    loop {
        match soon(viewer.next()).await {
            Some(ViewerEvent::Closed { reason }) => return reason,
            // A goodbye can be overtaken by the end of its channel; the server tells too.
            Some(ViewerEvent::Interrupted { .. } | ViewerEvent::Reconnected) => {}
            other => panic!("not closed, but {other:?}"),
        }
    }
}

fn number(data: &[u8]) -> u32 {
    u32::from_be_bytes(data[..4].try_into().expect("four bytes"))
}

fn numbered(number: u32, len: usize) -> Bytes {
    let mut data = number.to_be_bytes().to_vec();
    data.resize(len, 0x5a);
    data.into()
}

async fn next_frame(viewer: &mut Viewer) -> EncodedFrame {
    frame_or_gap(viewer).await.1
}

/// The next frame, and whether something is missing before it.
async fn frame_or_gap(viewer: &mut Viewer) -> (bool, EncodedFrame) {
    let mut gap = false;
    loop {
        match soon(viewer.next()).await {
            Some(ViewerEvent::Frame(frame)) => return (gap, frame),
            Some(ViewerEvent::Warning(_)) => {}
            // On a busy machine pictures come late, and a path may seem lost.
            Some(
                ViewerEvent::Interrupted { .. }
                | ViewerEvent::Lost { .. }
                | ViewerEvent::Reconnected,
            ) => gap = true,
            other => panic!("no frame, but {other:?}"),
        }
    }
}

fn clip() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/media/ada.h264")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_viewer_gets_every_message_in_order_from_its_joining_on() {
    let server = server().await;
    let mut publisher = publish(&server, patient()).await;
    let (mut ben, mut cem) = tokio::join!(watch(&server, "ben"), watch(&server, "cem"));
    soon(publisher.ready(2)).await;
    let mut names = Vec::new();
    for _ in 0..2 {
        match soon(publisher.next()).await {
            Some(PublisherEvent::ViewerReady { name, .. }) => names.push(name),
            other => panic!("nobody is ready, but {other:?}"),
        }
    }
    names.sort();
    assert_eq!(names, ["ben", "cem"]);

    // More than may wait for anybody, at once.
    let burst = async {
        for number in 0..100 {
            publisher.send(3, numbered(number, 20_000)).await.expect("it goes on");
        }
    };
    let ((), (), ()) =
        tokio::join!(burst, read_all(&mut ben, 3, 0..100), read_all(&mut cem, 3, 0..100));
    let mut late = watch(&server, "dora").await;
    soon(publisher.ready(3)).await;
    for number in 100..110 {
        publisher.send(4, numbered(number, 20_000)).await.expect("it goes on");
    }
    for viewer in [&mut ben, &mut cem, &mut late] {
        for expected in 100..110 {
            assert_eq!(next_number(viewer).await, (4, expected));
        }
    }
    let stats = soon(publisher.stats()).await;
    let mut names: Vec<_> = stats.viewers.iter().map(|viewer| viewer.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["ben", "cem", "dora"]);
    assert!(stats.viewers.iter().all(|viewer| viewer.connection.shed == 0), "{stats:?}");
    soon(publisher.leave()).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_message_arrives_whatever_came_before() {
    let server = server().await;
    let publisher = publish(&server, patient()).await;
    let mut viewer = watch(&server, "ben").await;
    soon(publisher.ready(1)).await;
    // The small ones take some more than half of the window, and the last that were read are
    // not much: the largest has a place only once the publisher has been told of those too.
    for smalls in [125, 127, 129] {
        for number in 0..smalls {
            publisher.send(2, numbered(number, 1 << 10)).await.expect("it goes on");
            assert_eq!(next_number(&mut viewer).await, (2, number));
        }
        let largest = numbered(smalls, MAX_DATA);
        publisher.send(3, largest.clone()).await.expect("it goes on");
        assert!(next_message(&mut viewer).await == (3, largest), "after {smalls}");
    }
    soon(publisher.leave()).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_network_changes_a_path_is_looked_for_at_once_and_nothing_is_lost() {
    let server = server().await;
    let publisher = publish(&server, patient()).await;
    let mut viewer = watch(&server, "ben").await;
    soon(publisher.ready(1)).await;
    viewer.network_changed().await;
    publisher.send(1, numbered(0, 1 << 10)).await.expect("it goes on");
    let (mut said, mut came) = (Vec::new(), false);
    while !came || said.last() != Some(&"again") {
        match soon(viewer.next()).await {
            Some(ViewerEvent::Interrupted { reason }) => {
                assert!(reason.starts_with("the path to the publisher is lost"), "{reason}");
                said.push("interrupted");
            }
            Some(ViewerEvent::Reconnected) => said.push("again"),
            Some(ViewerEvent::Message { data, .. }) => came = number(&data) == 0,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(said[0], "interrupted");
    // The other end may be heard before the engine has made its offer, which is counted.
    let mut turn = 0;
    while soon(viewer.stats()).await.mesh.restarts == 0 {
        turn += 1;
        publisher.send(1, numbered(turn, 1 << 10)).await.expect("it goes on");
        assert_eq!(next_number(&mut viewer).await, (1, turn));
    }
    let stats = soon(viewer.stats()).await;
    assert_eq!((stats.mesh.active, stats.mesh.retries, stats.peers.len()), (1, 0, 1));

    soon(publisher.network_changed()).await;
    publisher.send(1, numbered(turn + 1, 1 << 10)).await.expect("it goes on");
    assert_eq!(next_number(&mut viewer).await, (1, turn + 1));
    assert_eq!(soon(publisher.stats()).await.mesh.retries, 0);
    soon(publisher.leave()).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_takes_nothing_holds_nobody_up_and_is_given_up_with_a_reason() {
    let server = server().await;
    let mut publisher = publish(&server, patient()).await;
    let (mut idle, mut busy) = tokio::join!(watch(&server, "idle"), watch(&server, "busy"));
    soon(publisher.ready(2)).await;
    // Far more than all queues on the way hold.
    for expected in 0..400 {
        publisher.send(0, numbered(expected, 64 << 10)).await.expect("it goes on");
        assert_eq!(next_number(&mut busy).await, (0, expected));
    }
    let reason = loop {
        match soon(publisher.next()).await {
            Some(PublisherEvent::ViewerGone { peer, reason }) if peer == idle.peer() => {
                break reason;
            }
            Some(PublisherEvent::ViewerReady { .. }) => {}
            other => panic!("he is not given up, but {other:?}"),
        }
    };
    assert!(reason.contains("takes less than is sent"), "{reason}");
    let stats = soon(publisher.stats()).await;
    let [left] = &stats.viewers[..] else { panic!("one viewer: {stats:?}") };
    assert_eq!((left.name.as_str(), left.connection.shed), ("busy", 0));

    // What had come before that is his, whole and in order: as much as his window.
    let mut expected = 0;
    let reason = loop {
        match soon(idle.next()).await {
            Some(ViewerEvent::Message { data, .. }) => {
                assert_eq!(number(&data), expected);
                expected += 1;
            }
            Some(ViewerEvent::Closed { reason }) => break reason,
            Some(ViewerEvent::Interrupted { .. } | ViewerEvent::Reconnected) => {}
            other => panic!("neither a message nor the end, but {other:?}"),
        }
    };
    assert!((1..=4).contains(&expected), "{expected} of 64 KiB had a place");
    assert!(reason.contains("too slow") && reason.ends_with("and join again"), "{reason}");
    // He does not come back by himself; his program may, and is somebody new.
    let mut back = watch(&server, "back").await;
    soon(publisher.ready(2)).await;
    publisher.send(1, numbered(7, 4)).await.expect("it goes on");
    assert_eq!(next_number(&mut back).await, (1, 7));
    let stats = soon(publisher.stats()).await;
    assert_eq!((stats.mesh.evicted, stats.viewers.len(), stats.transport_refused), (1, 2, 0));
    soon(publisher.leave()).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_are_told_when_the_publisher_leaves_and_it_when_they_do() {
    let server = server().await;
    let mut publisher = publish(&server, patient()).await;
    let ben = watch(&server, "ben").await;
    let mut cem = watch(&server, "cem").await;
    let gone = ben.peer();
    soon(ben.leave()).await;
    loop {
        match soon(publisher.next()).await {
            Some(PublisherEvent::ViewerGone { peer, .. }) => break assert_eq!(peer, gone),
            Some(PublisherEvent::ViewerReady { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    soon(publisher.leave()).await;
    let reason = until_closed(&mut cem).await;
    let said = ["the publisher ", "the connection to the publisher is over: "];
    assert!(said.iter().any(|said| reason.starts_with(said)), "{reason}");
    assert!(soon(cem.next()).await.is_none());

    // The room is free for another then. If it is gone before it has heard of a viewer,
    // that one hears so from the server.
    let again = publish(&server, patient()).await;
    let mut dora = watch(&server, "dora").await;
    drop(again);
    until_closed(&mut dora).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_over_the_cap_is_refused_and_told_what_to_do() {
    let server = server().await;
    let mut publisher = publish(&server, patient().max_peers(1)).await;
    let mut ben = watch(&server, "ben").await;
    let impatient = BroadcastConfig::default().join_timeout(Duration::from_secs(3));
    let cem = Viewer::builder(server.url("stage")).name("cem").config(impatient);
    let error = soon(cem.join()).await.expect_err("there is one place");
    assert!(matches!(error, JoinError::NotTaken { .. }), "{error:?}");
    assert!(error.to_string().ends_with("as many viewers as it allows: try again later"));
    let warning = loop {
        match soon(publisher.next()).await {
            Some(PublisherEvent::Warning(text)) => break text,
            Some(PublisherEvent::ViewerReady { .. }) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(warning.starts_with("cem is not connected: "), "{warning}");
    assert!(warning.ends_with("raise `max_peers`"), "{warning}");
    // Nobody was evicted for it.
    publisher.send(1, numbered(1, 4)).await.expect("it goes on");
    assert_eq!(next_number(&mut ben).await, (1, 1));
    soon(publisher.leave()).await;
    server.shutdown().await;

    let small = ServerConfig::default().rooms(RoomsConfig::default().max_members(2));
    let server = server_with(small).await;
    let publisher = publish(&server, patient()).await;
    let ben = watch(&server, "ben").await;
    let cem = Viewer::builder(server.url("stage")).config(patient());
    let error = soon(cem.join()).await.expect_err("the room has two places").to_string();
    assert!(error.ends_with("the room is full: 2 of 2 are in it"), "{error}");
    soon(ben.leave()).await;
    soon(publisher.leave()).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_is_said_in_one_line() {
    let server = server().await;
    let soon_over = BroadcastConfig::default().join_timeout(Duration::from_secs(3));
    let alone = Viewer::builder(server.url("stage")).config(soon_over);
    let error = soon(alone.join()).await.expect_err("nobody publishes");
    assert!(matches!(error, JoinError::NobodyPublishes { .. }), "{error:?}");

    let mut publisher = publish(&server, patient()).await;
    let second = Publisher::builder(server.url("stage")).config(patient());
    let error = soon(second.start()).await.expect_err("somebody does");
    assert!(matches!(error, JoinError::SomebodyPublishes { .. }), "{error:?}");

    let too_large = publisher.send(0, vec![0; 4 << 20].into()).await;
    assert_eq!(too_large, Err(SendError::TooLarge { len: 4 << 20, max: MAX_DATA }));
    assert!(publisher.start_encoded("/nowhere/ada.h264", 25.0).await.is_err());
    for (config, says) in [
        (patient().max_peers(0), "max_peers is 0: it must be 1 to 127"),
        (patient().receive_queue(1), "receive_queue is 1 bytes: it must be 1024 to 67108864 bytes"),
        (
            patient().join_timeout(Duration::ZERO),
            "join_timeout is 0 ms: it must be 100 to 60000 ms",
        ),
    ] {
        let error = Viewer::builder(server.url("x")).config(config).join().await;
        assert_eq!(error.expect_err("out of its bounds").to_string(), says);
    }
    soon(publisher.leave()).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pictures_of_a_file_come_as_they_are() {
    let server = server().await;
    let mut publisher = publish(&server, patient()).await;
    let mut viewer = watch(&server, "ben").await;
    soon(publisher.ready(1)).await;
    publisher.start_encoded(clip(), 60.0).await.expect("it is a clip");
    let file = H264File::open(&clip(), 60.0).expect("it is a clip");
    let first = next_frame(&mut viewer).await;
    assert!(first.coding.is_key());
    let (mut last, mut steps) = (first, Vec::new());
    while steps.len() < 90 {
        let (gap, frame) = frame_or_gap(&mut viewer).await;
        let (number, before) = (frame.seq.get(), last.seq.get());
        assert!(number > before && (gap || number == before + 1), "{number} after {before}");
        assert!(frame.data == file.unit(number), "picture {number}");
        assert_eq!(frame.coding.is_key(), file.is_key(number));
        if number == before + 1 {
            steps.push(frame.time.ticks() - last.time.ticks());
        }
        last = frame;
    }
    // One that was sent late, and what went on from there, is no measure.
    steps.sort_unstable();
    assert!(steps[45].abs_diff(1_500) <= 1, "a 60th of 90000 ticks a second: {steps:?}");
    soon(publisher.leave()).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_encoded_once_for_all() {
    let server = server().await;
    let mut publisher = publish(&server, patient()).await;
    let (mut ben, mut cem) = tokio::join!(watch(&server, "ben"), watch(&server, "cem"));
    soon(publisher.ready(2)).await;
    publisher.start_video(VideoInput::Test).await.expect("it needs no device");
    let of_ben = next_frame(&mut ben).await;
    let of_cem = loop {
        let frame = next_frame(&mut cem).await;
        if frame.seq >= of_ben.seq {
            break frame;
        }
    };
    if of_ben.seq == of_cem.seq {
        assert!(of_ben.data == of_cem.data);
    }
    assert!(next_frame(&mut ben).await.seq > of_ben.seq);
    soon(publisher.leave()).await;
    server.shutdown().await;
}
