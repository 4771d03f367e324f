//! Whole calls over real connections on loopback.
#![allow(clippy::disallowed_methods, reason = "a program reads the clock")]

#[allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
mod common;

use std::time::Instant;

use common::{WATCHDOG, builder, join, server, until, until_picture};
use paceline::capture::{CaptureError, TestPattern, VideoSource};
use paceline::types::{
    MediaTime, NtpTime, PictureFormat, SenderId, StreamId, StreamKey, VideoFrame,
};
use paceline::{AudioInput, Config, Event, Room, VideoInput};

/// Until the mix shows a picture of `sender` that was captured after `since`.
async fn until_shown_since(room: &mut Room, sender: SenderId, since: NtpTime) {
    until(room, |event| match event {
        Event::MixInfo(info) => {
            let shown = info.sources.iter().find(|source| source.sender == sender)?;
            (shown.tile.width > 0 && shown.capture > since).then_some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_sees_and_hears_the_mix_of_all() {
    let server = server().await;
    let mut host = join(&server, "ada", true).await;
    let mut member = join(&server, "ben", false).await;
    let mut guest = join(&server, "cem", false).await;
    for room in [&mut host, &mut member, &mut guest] {
        let senders = until(room, |event| match event {
            Event::MixInfo(info) if info.sources.len() == 3 => {
                let shown = info.sources.iter().all(|source| source.tile.width > 0);
                shown.then(|| {
                    info.sources.iter().map(|source| source.sender.get()).collect::<Vec<_>>()
                })
            }
            _ => None,
        })
        .await;
        assert_eq!(senders, [1, 2, 3]);
        until_picture(room).await;
        // Somebody's tone is heard, and it is not a click or a whisper.
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
    let stats = guest.leave().await;
    assert_eq!(stats.media.video_decoded, stats.media.video_received);
    assert!(stats.media.video_received > 0 && stats.connect.is_some());
    member.leave().await;
    host.leave().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_leaves_does_not_disturb_the_others() {
    let server = server().await;
    let mut host = join(&server, "ada", true).await;
    let mut member = join(&server, "ben", false).await;
    let guest = join(&server, "cem", false).await;
    until_picture(&mut member).await;
    guest.leave().await;
    for room in [&mut host, &mut member] {
        let name = until(room, |event| match event {
            Event::MemberLeft { name, .. } => Some(name),
            _ => None,
        })
        .await;
        assert_eq!(name, "cem");
        until_picture(room).await;
    }
    // And one who is simply gone.
    drop(member);
    let name = until(&mut host, |event| match event {
        Event::MemberLeft { name, .. } => Some(name),
        _ => None,
    })
    .await;
    assert_eq!(name, "ben");
    until_picture(&mut host).await;
    host.leave().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starting_and_stopping_twice_is_no_error_and_the_others_see_it() {
    let server = server().await;
    let mut host = join(&server, "ada", true).await;
    let mut member = join(&server, "ben", false).await;
    until_picture(&mut member).await;
    let sender = member.sender();
    // Long enough for a stream that begins anew to be late.
    for _ in 0..25 {
        until_picture(&mut host).await;
    }
    member.stop_video().await;
    member.stop_video().await;
    let off = |event| match event {
        Event::TrackState { sender, stream, enabled: false } => Some((sender, stream)),
        _ => None,
    };
    assert_eq!(until(&mut host, off).await, (sender, StreamId::VIDEO));
    member.start_video(VideoInput::Test).await.expect("it starts");
    member.start_video(VideoInput::Test).await.expect("it runs");
    let on = |event| match event {
        Event::TrackState { sender, stream, enabled: true } => Some((sender, stream)),
        _ => None,
    };
    assert_eq!(until(&mut host, on).await, (sender, StreamId::VIDEO));
    // And it is the new picture that is shown, of the same stream.
    let restarted = host.wall_clock().at(Instant::now());
    until_shown_since(&mut host, sender, restarted).await;
    let stats = host.stats().await;
    let key = StreamKey { sender, stream: StreamId::VIDEO };
    let (_, stream) = stats.streams.iter().find(|(stream, _)| *stream == key).expect("received");
    assert_eq!((stream.jitter.late, stream.jitter.outliers, stream.jitter.resyncs), (0, 0, 0));
    member.stop_audio().await;
    assert_eq!(until(&mut host, off).await, (sender, StreamId::AUDIO));
    member.start_audio(AudioInput::Silence).await.expect("it starts");
    member.leave().await;
    host.leave().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosting_can_be_given_up_and_taken_by_another() {
    let server = server().await;
    let mut ada = join(&server, "ada", true).await;
    let mut ben = join(&server, "ben", false).await;
    until_picture(&mut ben).await;
    // Ben may, and so ada need not any more.
    ben.start_hosting().await;
    ben.start_hosting().await;
    ada.stop_hosting().await;
    until(&mut ben, |event| matches!(event, Event::HostChanged { us: true, .. }).then_some(()))
        .await;
    let id = ben.peer();
    until(&mut ada, |event| match event {
        Event::HostChanged { host, us: false, .. } if host == Some(id) => Some(()),
        _ => None,
    })
    .await;
    // The picture that ada sees from now on is ben's mix.
    until_picture(&mut ada).await;
    until_picture(&mut ben).await;
    ada.leave().await;
    ben.leave().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_picture_format_makes_a_call() {
    for format in [PictureFormat::Cells, PictureFormat::Rgb] {
        let server = server().await;
        let config = Config::default().picture(format);
        let host = builder(&server, "ada").host(true).config(config.clone()).join();
        let mut host = host.await.expect("the room is open");
        let member = builder(&server, "ben").config(config).join();
        let mut member = member.await.expect("the room is open");
        let both = |event| match event {
            Event::MixInfo(info) => {
                (info.sources.iter().filter(|source| source.tile.width > 0).count() == 2)
                    .then_some(())
            }
            _ => None,
        };
        until(&mut member, both).await;
        until_picture(&mut member).await;
        until_picture(&mut host).await;
        let stats = member.leave().await;
        assert_eq!(stats.media.decode_errors, 0, "{format:?}");
        host.leave().await;
        server.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_call_goes_on_when_the_signalling_server_is_gone() {
    let server = server().await;
    let mut host = join(&server, "ada", true).await;
    let mut member = join(&server, "ben", false).await;
    until_picture(&mut member).await;
    server.shutdown().await;
    let warning = until(&mut member, |event| match event {
        Event::Warning(text) => Some(text),
        _ => None,
    })
    .await;
    assert!(warning.contains("the call goes on"), "{warning}");
    for _ in 0..30 {
        until_picture(&mut member).await;
        until_picture(&mut host).await;
    }
    // Leaving does not wait for a server that is not there.
    tokio::time::timeout(WATCHDOG, member.leave()).await.expect("it leaves");
    host.leave().await;
}

/// A camera that is pulled out after a second.
#[derive(Debug)]
struct Unplugged(TestPattern);

impl VideoSource for Unplugged {
    fn size(&self) -> (u16, u16) {
        self.0.size()
    }

    fn frame_rate(&self) -> f64 {
        self.0.frame_rate()
    }

    fn read(
        &mut self,
        index: u64,
        time: MediaTime,
        capture: NtpTime,
    ) -> Result<Option<VideoFrame>, CaptureError> {
        if index < 30 {
            return self.0.read(index, time, capture);
        }
        Err(CaptureError::Empty { path: "camera".into(), what: "picture" })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_ends_is_told_and_another_can_be_started() {
    let server = server().await;
    let mut host = join(&server, "ada", true).await;
    let mut member = join(&server, "ben", false).await;
    until_picture(&mut member).await;
    member.stop_video().await;
    let pattern = TestPattern::new(320, 180, 30.0).expect("even");
    let camera = VideoInput::Source(Box::new(Unplugged(pattern)));
    member.start_video(camera).await.expect("it starts");
    let warning = until(&mut member, |event| match event {
        Event::Warning(text) => Some(text),
        _ => None,
    })
    .await;
    assert!(warning.contains("camera holds no picture"), "{warning}");
    let sender = member.sender();
    let switched = |on: bool| {
        move |event| match event {
            Event::TrackState { sender: from, stream: StreamId::VIDEO, enabled }
                if from == sender && enabled == on =>
            {
                Some(())
            }
            _ => None,
        }
    };
    // Off when it was stopped, on with the camera, off with its end, on again.
    for on in [false, true, false] {
        until(&mut host, switched(on)).await;
    }
    member.start_video(VideoInput::Test).await.expect("it starts");
    until(&mut host, switched(true)).await;
    let restarted = host.wall_clock().at(Instant::now());
    until_shown_since(&mut host, sender, restarted).await;
    member.leave().await;
    host.leave().await;
    server.shutdown().await;
}
