//! A share that is seen in a room, also where it went to another target first.
#![cfg(feature = "publish")]
#![allow(clippy::disallowed_methods, reason = "a test is at the edge, where clocks are")]

#[allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
mod common;

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use paceline::sfu::{Event as TargetEvent, FailureKind, SupervisorConfig, Target};
use paceline::{Event, Room, Share, ShareEnd, ShareEvent, ShareTarget, VideoInput};

use self::common::{WATCHDOG, join, server, until};

/// Where nobody listens: the port was free a moment ago.
fn nobody(scheme: &str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    format!("{scheme}://{}/room", listener.local_addr().expect("it is bound"))
}

fn room(url: impl Into<String>) -> ShareTarget {
    ShareTarget::Room { url: url.into() }
}

fn impatient() -> SupervisorConfig {
    SupervisorConfig::default().backoff([Duration::ZERO])
}

async fn event(share: &mut Share) -> Option<ShareEvent> {
    tokio::time::timeout(WATCHDOG, share.next()).await.expect("nothing happened in time")
}

/// Waits until the host has decoded pictures of who shares: nobody else shows any.
async fn until_it_is_seen(host: &mut Room) {
    while host.stats().await.media.video_decoded < 5 {
        until(host, |event| matches!(event, Event::Picture(_)).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_in_the_room_sees_what_is_shared_also_where_an_sfu_did_not_answer() {
    let server = server().await;
    let mut host = join(&server, "Ada", true).await;
    let sfu = format!("mediasoup:{}", nobody("ws")).parse().expect("a target");
    let share = Share::builder(VideoInput::Test)
        .target(ShareTarget::Sfu(sfu))
        .target(room(server.url("room")))
        .patience(impatient())
        .build();
    let mut share = share.expect("it can be");
    share.start().await.expect("there is a test picture");
    let mut reasons = Vec::new();
    let completed = loop {
        match event(&mut share).await {
            Some(ShareEvent::Target(TargetEvent::FallbackTriggered(reason))) => {
                reasons.push(reason);
            }
            Some(ShareEvent::Target(TargetEvent::FallbackCompleted { target, .. })) => {
                break target;
            }
            Some(_) => {}
            None => panic!("it goes on"),
        }
    };
    assert_eq!(completed, Target::Sender(1));
    let [reason] = &reasons[..] else { panic!("once: {reasons:?}") };
    assert_eq!(reason.failure.kind(), FailureKind::Unreachable);
    until_it_is_seen(&mut host).await;
    let stats = share.stop().await;
    assert_eq!(stats.fallbacks, 1);
    assert!(stats.media.video_encoded > 0 && stats.latency.is_none(), "{stats:?}");
    until(&mut host, |event| matches!(event, Event::MemberLeft { .. }).then_some(())).await;
    host.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_closes_is_given_up_for_the_programs_own_way() {
    let first = server().await;
    let share = Share::builder(VideoInput::Test)
        .target(room(first.url("room")))
        .target(room(nobody("ws")))
        .target(ShareTarget::External)
        .patience(impatient())
        .build();
    let mut share = share.expect("it can be");
    share.start().await.expect("there is a test picture");
    let mut names = Vec::new();
    let end = loop {
        match event(&mut share).await {
            Some(ShareEvent::Target(event)) => {
                names.push(event.name());
                if names == ["sender_started"] {
                    first.shutdown().await;
                    break None;
                }
            }
            Some(ShareEvent::Ended(end)) => break Some(end),
            Some(_) => {}
            None => panic!("it has to say why"),
        }
    };
    assert_eq!(end, None, "the first room was there");
    let end = loop {
        match event(&mut share).await {
            Some(ShareEvent::Target(event)) => names.push(event.name()),
            Some(ShareEvent::Ended(end)) => break end,
            Some(_) => {}
            None => panic!("it has to say why"),
        }
    };
    assert_eq!(end, ShareEnd::External);
    let fallbacks = names.iter().filter(|&&name| name == "fallback_triggered").count();
    assert_eq!((fallbacks, names.last()), (2, Some(&"fallback_completed")), "{names:?}");
    assert!(event(&mut share).await.is_none());
}

/// The threads of this process that are ours, by their names.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux has it");
    let names =
        tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("paceline-")).count()
}

/// A thread has its name, and is gone, some scheduling after it was told to begin, and to end.
async fn wait_until(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < WATCHDOG, "there are {} threads", threads());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_share_in_a_room_that_is_started_and_stopped_leaves_no_thread_behind() {
    // In a process of its own, since threads of all tests have the same names.
    if std::env::var_os("PACELINE_ALONE").is_none() {
        let this = std::env::current_exe().expect("this test");
        let name = "a_share_in_a_room_that_is_started_and_stopped_leaves_no_thread_behind";
        let status = std::process::Command::new(this)
            .args(["--exact", name])
            .env("PACELINE_ALONE", "1")
            .status()
            .expect("it starts");
        return assert!(status.success());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("threads").block_on(async {
        let server = server().await;
        let share = Share::builder(VideoInput::Test).target(room(server.url("room"))).build();
        let mut share = share.expect("it can be");
        for _ in 0..3 {
            share.start().await.expect("there is a test picture");
            share.start().await.expect("it runs");
            let is_shared = |event: &ShareEvent| {
                matches!(event, ShareEvent::Target(TargetEvent::SenderStarted { .. }))
            };
            while !is_shared(&event(&mut share).await.expect("it goes on")) {}
            wait_until(|| threads() > 0).await;
            share.stop().await;
        }
        wait_until(|| threads() == 0).await;
        server.shutdown().await;
    });
}
