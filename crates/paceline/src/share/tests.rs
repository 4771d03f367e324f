//! A share with an SFU that does what a test wants.

#![allow(clippy::disallowed_methods, reason = "a test is at the edge, where clocks are")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use paceline_capture::{CaptureError, TestPattern, VideoSource};
use paceline_publish::rtp_parameters::Level;
use paceline_publish::{
    ClassifierConfig, Event as TargetEvent, Failure, FailureKind, State, SupervisorConfig,
};
use paceline_types::{Bitrate, EncodedFrame, MediaTime, NtpTime, StreamId, VideoFrame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

use super::line::{Dial, Line, LineEvent, Missed};
use super::*;
use crate::config::Config;
use crate::publish::AudioInput;

/// How long anything may take before it has hung.
const WATCHDOG: Duration = Duration::from_secs(20);

/// What an SFU does with the next who calls.
#[derive(Clone, Debug)]
enum Answer {
    Accept,
    /// Takes calls and frames, and has no room for any of these.
    AcceptFull,
    /// Takes calls, and is over before a frame comes.
    AcceptGone,
    /// Takes calls, and refuses frames.
    AcceptNothing,
    /// Takes calls and frames, and of each frame its transport refuses a packet.
    AcceptWithErrors,
    /// Has a fault that ends whoever calls.
    Panic,
    Refuse(FailureKind),
    /// Says nothing, and takes its time to hear that it is not waited for any more.
    Silence,
}

/// SFUs that answer one call after another as they were told to, and then no more.
#[derive(Clone, Debug)]
struct Exchange {
    answers: Arc<Mutex<Vec<Answer>>>,
    lines: mpsc::UnboundedSender<FarEnd>,
    /// Those who say nothing: one was called, and so many were told that they are not waited
    /// for.
    silent: Arc<(Notify, AtomicUsize)>,
}

/// The other end of a line.
#[derive(Debug)]
struct FarEnd {
    frames: mpsc::UnboundedReceiver<EncodedFrame>,
    events: mpsc::UnboundedSender<LineEvent>,
}

#[derive(Debug)]
struct NearEnd {
    answer: Answer,
    frames: mpsc::UnboundedSender<EncodedFrame>,
    events: mpsc::UnboundedReceiver<LineEvent>,
    figures: SenderFigures,
}

impl Dial for Exchange {
    type Line = NearEnd;

    async fn dial(
        &self,
        _target: SfuTarget,
        given_up: impl Future<Output = ()> + Send,
    ) -> Result<NearEnd, Failure> {
        let answer = self.answers.lock().expect("whole").pop().unwrap_or(Answer::Silence);
        match answer {
            Answer::Panic => panic!("as told"),
            Answer::Refuse(kind) => return Err(Failure::new(kind, "as told")),
            Answer::Silence => {
                self.silent.0.notify_one();
                given_up.await;
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                self.silent.1.fetch_add(1, Ordering::SeqCst);
                return Err(FailureKind::TransportClosed.into());
            }
            _ => {}
        }
        let (to_far, frames) = mpsc::unbounded_channel();
        let (to_near, events) = mpsc::unbounded_channel();
        self.lines.send(FarEnd { frames, events: to_near }).expect("the test listens");
        Ok(NearEnd { answer, frames: to_far, events, figures: SenderFigures::default() })
    }
}

impl Line for NearEnd {
    fn send(&mut self, _now: Instant, frame: &EncodedFrame) -> Result<(), Missed> {
        match self.answer {
            Answer::AcceptFull => return Err(Missed::Full),
            Answer::AcceptGone => return Err(Missed::Gone),
            Answer::AcceptWithErrors => self.figures.send_errors += 1,
            Answer::AcceptNothing => return Err(Missed::Refused("as told".to_owned())),
            _ => {}
        }
        self.figures.packets += 1;
        self.figures.bytes += frame.data.len() as u64;
        // Who does not look is sent to all the same.
        let _ = self.frames.send(frame.clone());
        Ok(())
    }

    async fn next(&mut self) -> LineEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    fn figures(&self) -> SenderFigures {
        self.figures
    }

    async fn close(self) {}
}

impl FarEnd {
    /// The next picture.
    async fn picture(&mut self) -> EncodedFrame {
        within("a picture", async {
            loop {
                let frame = self.frames.recv().await.expect("the line is up");
                if frame.stream == StreamId::VIDEO {
                    return frame;
                }
            }
        })
        .await
    }

    fn tell(&self, event: LineEvent) {
        self.events.send(event).expect("the line is up");
    }
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(WATCHDOG, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not come"),
    }
}

/// SFUs that answer so, and the lines to them as they come about.
fn exchange(
    answers: impl IntoIterator<Item = Answer>,
) -> (Exchange, mpsc::UnboundedReceiver<FarEnd>) {
    let mut answers: Vec<_> = answers.into_iter().collect();
    answers.reverse();
    let (lines, calls) = mpsc::unbounded_channel();
    (Exchange { answers: Arc::new(Mutex::new(answers)), lines, silent: Arc::default() }, calls)
}

/// A builder with so many SFUs to go to, and little patience.
fn builder(video: VideoInput, sfus: usize) -> ShareBuilder {
    let sfu = |_| ShareTarget::Sfu("mediasoup:wss://sfu.example".parse().expect("one"));
    (0..sfus).map(sfu).fold(Share::builder(video).patience(impatient()), ShareBuilder::target)
}

fn impatient() -> SupervisorConfig {
    SupervisorConfig::default().backoff([Duration::ZERO])
}

fn small() -> TestPattern {
    TestPattern::new(64, 32, 30.0).expect("a small one")
}

/// Waits for an event of a target by its name, and says which came before it.
async fn until(share: &mut Share, name: &str) -> Vec<&'static str> {
    within(name, async {
        let mut names = Vec::new();
        loop {
            match share.next().await.expect("the share goes on") {
                ShareEvent::Target(event) if event.name() == name => return names,
                ShareEvent::Target(event) => names.push(event.name()),
                _ => {}
            }
        }
    })
    .await
}

/// All that is still told.
async fn rest(share: &mut Share) -> (Vec<&'static str>, Option<ShareEnd>) {
    within("the end", async {
        let (mut names, mut end) = (Vec::new(), None);
        while let Some(event) = share.next().await {
            match event {
                ShareEvent::Target(event) => names.push(event.name()),
                ShareEvent::Ended(why) => end = Some(why),
                _ => {}
            }
        }
        (names, end)
    })
    .await
}

async fn call(calls: &mut mpsc::UnboundedReceiver<FarEnd>) -> FarEnd {
    within("a call", calls.recv()).await.expect("somebody dials")
}

#[tokio::test]
async fn where_one_sfu_dies_the_share_falls_back_once_and_goes_on_with_the_next() {
    let (exchange, mut calls) = exchange([Answer::Accept, Answer::Accept]);
    let input = VideoInput::Source(Box::new(small()));
    let mut share = builder(input, 2).audio(AudioInput::Tone).build().expect("it can be");
    share.start_over(|_| exchange).await.expect("it starts");
    let mut first = call(&mut calls).await;
    assert!(first.picture().await.coding.is_key(), "who joins can begin with it");
    assert_eq!(until(&mut share, "sender_started").await, [""; 0]);
    first.tell(LineEvent::Closed(Failure::from(FailureKind::TransportClosed)));
    // It is said once, however often it is heard.
    first.tell(LineEvent::Closed(Failure::from(FailureKind::ServerClosed)));
    let told = until(&mut share, "fallback_completed").await;
    let order = ["transport_error", "fallback_triggered", "sender_stopped", "sender_started"];
    assert_eq!(told, order);
    let mut second = call(&mut calls).await;
    assert!(second.picture().await.coding.is_key());
    // Pictures and sound are made by threads of their own.
    within("sound", async {
        while share.stats().await.media.audio_encoded == 0 {
            second.picture().await;
        }
    })
    .await;
    let stats = share.stats().await;
    assert_eq!((stats.target, stats.fallbacks), (Some(1), 1));
    let health = stats.health.expect("it runs");
    let reason = health.fallback_reason.expect("it fell back");
    assert_eq!(reason.failure.kind(), FailureKind::TransportClosed);
    assert_eq!(health.state, State::Live);
    let stats = share.stop().await;
    assert!(stats.latency.expect("pictures were sent").pictures >= 2);
    assert!(stats.media.audio_encoded > 0 && stats.sender.bytes > 0, "{stats:?}");
    assert_eq!(rest(&mut share).await, (vec!["sender_stopped"], Some(ShareEnd::Asked)));
}

#[tokio::test]
async fn who_refuses_or_says_nothing_is_given_up_for_the_next() {
    let refused = Answer::Refuse(FailureKind::AuthRefused);
    let (exchange, mut calls) = exchange([refused, Answer::Silence, Answer::Accept]);
    let patience = impatient().connect_timeout(Duration::from_millis(500));
    let share = builder(VideoInput::Source(Box::new(small())), 3).patience(patience).build();
    let mut share = share.expect("it can be");
    share.start_over(|_| exchange).await.expect("it starts");
    let mut line = call(&mut calls).await;
    line.picture().await;
    let told = until(&mut share, "fallback_completed").await;
    assert_eq!(told.iter().filter(|&&name| name == "fallback_triggered").count(), 2);
    let stats = share.stop().await;
    assert_eq!(stats.fallbacks, 2);
    let errors = stats.health.expect("it ran").last_errors;
    assert_eq!(errors.transport.expect("the last one").kind(), FailureKind::TimedOut);
}

#[tokio::test]
async fn a_line_that_is_full_or_refuses_frames_for_long_is_given_up() {
    let (exchange, mut calls) =
        exchange([Answer::AcceptFull, Answer::AcceptNothing, Answer::Accept]);
    let failures =
        ClassifierConfig::default().drop_span(Duration::from_millis(300)).max_send_errors(3);
    let share = builder(VideoInput::Source(Box::new(small())), 3)
        .patience(impatient().failures(failures))
        .build();
    let mut share = share.expect("it can be");
    share.start_over(|_| exchange).await.expect("it starts");
    let (_full, _refuses) = (call(&mut calls).await, call(&mut calls).await);
    call(&mut calls).await.picture().await;
    let mut kinds = Vec::new();
    while kinds.len() < 2 {
        let event = within("a fallback", share.next()).await.expect("it goes on");
        if let ShareEvent::Target(TargetEvent::FallbackTriggered(reason)) = event {
            kinds.push(reason.failure.kind());
        }
    }
    assert_eq!(kinds, [FailureKind::QueueDropped, FailureKind::SendFailed]);
    let stats = share.stop().await;
    assert_eq!(stats.send_errors, 4, "one too many");
    assert!(stats.media.video_unsent > 0);
}

#[tokio::test]
async fn packets_that_a_transport_refuses_for_long_are_why_it_is_given_up() {
    let (exchange, mut calls) = exchange([Answer::AcceptWithErrors, Answer::Accept]);
    let failures = ClassifierConfig::default().max_send_errors(3);
    let share = builder(VideoInput::Source(Box::new(small())), 2)
        .patience(impatient().failures(failures))
        .build();
    let mut share = share.expect("it can be");
    share.start_over(|_| exchange).await.expect("it starts");
    let _refuses = call(&mut calls).await;
    call(&mut calls).await.picture().await;
    let stats = share.stop().await;
    assert_eq!(stats.send_errors, 4, "one too many");
    let reason = stats.health.expect("it ran").fallback_reason.expect("it fell back");
    let failure = reason.failure.to_string();
    assert_eq!(failure, "sending failed: the transport did not take a packet");
}

#[tokio::test]
async fn frames_for_a_line_that_is_over_are_no_failure_and_its_own_words_say_why() {
    let (exchange, mut calls) = exchange([Answer::AcceptGone, Answer::Accept]);
    let failures = ClassifierConfig::default().max_send_errors(3);
    let share = builder(VideoInput::Source(Box::new(small())), 2)
        .audio(AudioInput::Tone)
        .patience(impatient().failures(failures))
        .build();
    let mut share = share.expect("it can be");
    share.start_over(|_| exchange).await.expect("it starts");
    let gone = call(&mut calls).await;
    // More of them than would be too many. As many as wait for the worker at most: of more, some
    // are left out before the line is asked.
    let unsent = within("frames", async {
        let mut unsent = 0;
        loop {
            let media = share.stats().await.media;
            if media.video_encoded + media.audio_encoded <= 32 {
                unsent = media.video_unsent;
            }
            if media.video_encoded >= 10 {
                return unsent;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    gone.tell(LineEvent::Closed(Failure::new(FailureKind::ServerClosed, "as told")));
    call(&mut calls).await.picture().await;
    let stats = share.stop().await;
    assert_eq!((stats.send_errors, unsent), (0, 0));
    let reason = stats.health.expect("it ran").fallback_reason.expect("it fell back");
    assert_eq!(reason.failure.to_string(), "closed by the server: as told");
    let (names, _) = rest(&mut share).await;
    assert_eq!(names.iter().filter(|&&name| name == "transport_error").count(), 1, "{names:?}");
}

#[tokio::test]
async fn who_was_called_knows_that_nobody_waits_for_him_when_a_share_has_stopped() {
    let (exchange, _calls) = exchange([Answer::Silence]);
    let silent = Arc::clone(&exchange.silent);
    let share = builder(VideoInput::Source(Box::new(small())), 1).build();
    let mut share = share.expect("it can be");
    share.start_over(|_| exchange).await.expect("it starts");
    within("a call", silent.0.notified()).await;
    assert_eq!(silent.1.load(Ordering::SeqCst), 0);
    share.stop().await;
    assert_eq!(silent.1.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn events_that_nobody_reads_make_room_for_newer_ones_and_are_counted() {
    let (exchange, _calls) = exchange(vec![Answer::Refuse(FailureKind::AuthRefused); 16]);
    let config = Config::default().event_queue(16);
    let share = builder(VideoInput::Source(Box::new(small())), 16).config(config).build();
    let mut share = share.expect("it can be");
    share.start_over(|_| exchange).await.expect("it starts");
    within("the end", async {
        while share.is_running() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let stats = share.stop().await;
    let (names, end) = rest(&mut share).await;
    // Of each target that it was given up, and why.
    assert_eq!((names.len(), stats.events_dropped), (16, 16));
    assert!(matches!(end, Some(ShareEnd::NoTarget(_))), "{end:?}");
}

/// An SFU that lets nobody in, and what it was asked.
async fn refuses(listener: TcpListener) -> String {
    let (mut stream, _) = listener.accept().await.expect("somebody calls");
    let mut request = String::new();
    while !request.contains("\r\n\r\n") {
        let mut buffer = [0; 1_024];
        let len = stream.read(&mut buffer).await.expect("he asks");
        assert!(len > 0, "{request}");
        request += std::str::from_utf8(&buffer[..len]).expect("text");
    }
    let _ = stream.write_all(b"HTTP/1.1 401 Who\r\ncontent-length: 0\r\n\r\n").await;
    request.lines().next().expect("a line").to_owned()
}

#[tokio::test]
async fn what_a_server_knows_us_by_is_told_to_it_alone() {
    let (mut servers, mut targets) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let target: SfuTarget = format!("mediasoup:ws://{address}/r").parse().expect("one");
        targets.push(target);
        servers.push(tokio::spawn(refuses(listener)));
    }
    let builder = Share::builder(VideoInput::Source(Box::new(small())))
        .auth(Auth::Token("ours".to_owned()))
        .auth_for(&targets[2], Auth::Token("theirs".to_owned()));
    let sfus = targets.into_iter().map(ShareTarget::Sfu);
    let share = sfus.fold(builder, ShareBuilder::target).build();
    let mut share = share.expect("it can be");
    share.start().await.expect("it starts");
    let (_, end) = rest(&mut share).await;
    assert!(matches!(end, Some(ShareEnd::NoTarget(_))), "{end:?}");
    let mut asked = Vec::new();
    for server in servers {
        asked.push(within("a request", server).await.expect("it was asked"));
    }
    let expected =
        ["GET /r?token=ours HTTP/1.1", "GET /r HTTP/1.1", "GET /r?token=theirs HTTP/1.1"];
    assert_eq!(asked, expected);
}

#[test]
fn an_address_that_was_asked_for_is_bound_and_another_is_not_made_up() {
    let bound = |config: Config| {
        let plan = builder(VideoInput::Test, 1).config(config).build().expect("it can be").plan;
        let sfus = format!("{:?}", Sfus::new(&plan, &Opened { video: None, audio: None }));
        let rest = sfus.split_once("bind: ").expect("it is shown").1;
        rest.split_once(", ").expect("more is shown").0.to_owned()
    };
    assert_eq!(bound(Config::default()), "None");
    for address in ["127.0.0.1", "127.0.0.5", "0.0.0.0", "203.0.113.5"] {
        let config = Config::default().bind(address.parse().expect("an address"));
        assert_eq!(bound(config), format!("Some({address})"));
    }
}

#[tokio::test]
async fn an_sfu_steers_bitrate_and_keyframes() {
    let (exchange, mut calls) = exchange([Answer::Accept]);
    let share = builder(VideoInput::Source(Box::new(small())), 1).build();
    let mut share = share.expect("it can be");
    share.start_over(|_| exchange).await.expect("it starts");
    let mut line = call(&mut calls).await;
    assert!(line.picture().await.coding.is_key());
    assert!(!line.picture().await.coding.is_key(), "one is enough");
    line.tell(LineEvent::KeyframeNeeded);
    line.tell(LineEvent::Bitrate(Bitrate::from_kbps(123)));
    within("a keyframe", async { while !line.picture().await.coding.is_key() {} }).await;
    within("the target", async {
        // With each picture the encoder may be told.
        while share.stats().await.ladder.map(|(_, ladder)| ladder.target.bps()) != Some(123_000) {
            line.picture().await;
        }
    })
    .await;
    // More than was asked for is not used.
    line.tell(LineEvent::Bitrate(Bitrate::from_kbps(90_000)));
    within("the target", async {
        while share.stats().await.ladder.map(|(_, ladder)| ladder.target.bps()) != Some(2_500_000) {
            line.picture().await;
        }
    })
    .await;
    line.tell(LineEvent::Path { up: false });
    within("the path", async {
        while share.health().await.map(|health| health.transport_state)
            != Some(paceline_publish::TransportState::Interrupted)
        {
            line.picture().await;
        }
    })
    .await;
    share.stop().await;
}

#[tokio::test]
async fn an_sfu_that_takes_less_of_h264_is_told_of_once_and_not_given_up() {
    let refused = Answer::Refuse(FailureKind::AuthRefused);
    let (exchange, mut calls) = exchange([refused, Answer::Accept]);
    let share = builder(VideoInput::Source(Box::new(small())), 2).build();
    let mut share = share.expect("it can be");
    share.start_over(|_| exchange).await.expect("it starts");
    let mut line = call(&mut calls).await;
    let wanted = Level::of(1_920, 1_080, 30).expect("a common size");
    line.tell(LineEvent::LevelLowered { wanted, agreed: Level::L3_1 });
    let lowered = within("what is lowered", async {
        loop {
            match share.next().await.expect("the share goes on") {
                ShareEvent::LevelLowered { target, wanted, agreed } => {
                    return (target, wanted, agreed);
                }
                _ => continue,
            }
        }
    })
    .await;
    assert_eq!(lowered, (1, wanted, Level::L3_1));
    line.picture().await;
    let stats = share.stop().await;
    assert_eq!((stats.fallbacks, stats.health.expect("it ran").counts.send_errors), (1, 0));
    let (names, end) = rest(&mut share).await;
    assert_eq!((names, end), (vec!["sender_stopped"], Some(ShareEnd::Asked)));
}

/// What a player on this machine has of a mirror: packets of its first stream.
#[cfg(feature = "mirror")]
fn packets(player: &std::net::UdpSocket) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut read = [0; 2_000];
    while let Ok(len) = player.recv(&mut read) {
        packets.push(read[..len].to_vec());
    }
    packets
}

#[cfg(feature = "mirror")]
#[tokio::test]
async fn a_mirror_shows_what_is_sent_and_nothing_that_is_not() {
    use paceline_publish::mirror::MirrorConfig;

    let player = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    player.set_nonblocking(true).expect("it can be");
    let port = player.local_addr().expect("it is bound").port();
    // One that takes nothing for a while, and then one that does.
    let (exchange, mut calls) = exchange([Answer::AcceptNothing, Answer::Accept]);
    let failures = ClassifierConfig::default().max_send_errors(3);
    let share = builder(VideoInput::Source(Box::new(small())), 2)
        .patience(impatient().failures(failures))
        .mirror(MirrorConfig::default().first_port(port))
        .build();
    let mut share = share.expect("it can be");
    let description = share.mirror().expect("there is one").to_string();
    assert!(description.contains(&format!("m=video {port} RTP/AVP 96")), "{description}");
    share.start_over(|_| exchange).await.expect("it starts");
    let _refuses = call(&mut calls).await;
    until(&mut share, "fallback_triggered").await;
    let mut line = call(&mut calls).await;
    let mut times = Vec::new();
    for _ in 0..5 {
        // RFC 3550 §5.1: RTP's times are the low 32 bits.
        times.push(line.picture().await.time.ticks() as u32);
    }
    let stats = share.stop().await.mirror.expect("there was one");
    assert!(stats.frames.frames >= 5 && stats.frames.unmirrored == 0, "{stats:?}");
    let shown = packets(&player);
    assert_eq!(shown.len() as u64, stats.frames.packets, "{stats:?}");
    let time = |packet: &Vec<u8>| u32::from_be_bytes(packet[4..8].try_into().expect("four"));
    let mut seen: Vec<_> = shown.iter().map(time).collect();
    seen.dedup();
    assert_eq!(seen[..5], times, "nothing was shown of what was not taken");
}

#[cfg(all(feature = "mirror", target_os = "linux"))]
#[tokio::test]
async fn who_begins_to_look_at_a_mirror_gets_a_keyframe() {
    use paceline_publish::mirror::MirrorConfig;

    // A port that was free a moment ago.
    let socket = || std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket().local_addr().expect("it is bound").port();
    let (exchange, mut calls) = exchange([Answer::Accept]);
    let share = builder(VideoInput::Source(Box::new(small())), 1)
        .mirror(MirrorConfig::default().first_port(port))
        .build();
    let mut share = share.expect("it can be");
    share.start_over(|_| exchange).await.expect("it starts");
    let mut line = call(&mut calls).await;
    assert!(line.picture().await.coding.is_key());
    within("a refusal", async {
        while share.stats().await.mirror.is_none_or(|stats| stats.socket.refused < 3) {
            line.picture().await;
        }
    })
    .await;
    let _player = std::net::UdpSocket::bind(("127.0.0.1", port)).expect("it was free");
    within("a keyframe", async { while !line.picture().await.coding.is_key() {} }).await;
    share.stop().await;
}

#[tokio::test]
async fn when_no_target_is_left_the_share_ends_and_says_why_and_may_be_started_again() {
    let refused = || Answer::Refuse(FailureKind::AuthRefused);
    let (exchange, _calls) = exchange([refused(), refused(), refused()]);
    let mut share = builder(VideoInput::Test, 1).build().expect("it can be");
    share.start_over(|_| exchange.clone()).await.expect("it starts");
    let (names, end) = rest(&mut share).await;
    assert_eq!(names, ["transport_error", "fallback_triggered"]);
    let Some(ShareEnd::NoTarget(failure)) = end else { panic!("{end:?}") };
    assert_eq!(failure.kind(), FailureKind::AuthRefused);
    within("the end", async {
        while share.is_running() {
            tokio::task::yield_now().await
        }
    })
    .await;
    assert_eq!(share.stop().await.fallbacks, 0);
    // And with a path of the program's own at the end of the list.
    let mut share = builder(VideoInput::Test, 1).target(ShareTarget::External);
    for _ in 0..2 {
        let mut again = share.build().expect("it can be");
        again.start_over(|_| exchange.clone()).await.expect("it starts");
        let (names, end) = rest(&mut again).await;
        assert_eq!(names, ["transport_error", "fallback_triggered", "fallback_completed"]);
        assert_eq!(end, Some(ShareEnd::External));
        assert_eq!(again.stop().await.fallbacks, 1);
        share = builder(VideoInput::Test, 1).target(ShareTarget::External);
    }
}

/// A source that ends after so many pictures.
#[derive(Debug)]
struct Ends(TestPattern, u32);

impl VideoSource for Ends {
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
        if self.1 == 0 {
            return Err(CaptureError::Empty { path: "the end".into(), what: "picture" });
        }
        self.1 -= 1;
        self.0.read(index, time, capture)
    }
}

#[tokio::test]
async fn when_there_is_nothing_to_show_any_more_the_share_ends_and_no_target_is_blamed() {
    let (exchange, mut calls) = exchange([Answer::Accept, Answer::Accept]);
    // A second of them, so that one is seen also where this thread stands still for a moment.
    let share = builder(VideoInput::Source(Box::new(Ends(small(), 30))), 2).build();
    let mut share = share.expect("it can be");
    share.start_over(|_| exchange).await.expect("it starts");
    let mut line = call(&mut calls).await;
    line.picture().await;
    let (names, end) = rest(&mut share).await;
    assert_eq!(names, ["sender_started", "sender_stopped"]);
    assert!(matches!(end, Some(ShareEnd::Source { .. })), "{end:?}");
    assert_eq!(share.stop().await.fallbacks, 0);
}

/// Tells when the thread ends that has read it.
#[derive(Debug)]
struct Watched(TestPattern, std::sync::mpsc::Sender<bool>);

struct Alive(std::sync::mpsc::Sender<bool>);

impl Drop for Alive {
    fn drop(&mut self) {
        let _ = self.0.send(false);
    }
}

thread_local! {
    static ALIVE: std::cell::RefCell<Option<Alive>> = const { std::cell::RefCell::new(None) };
}

impl VideoSource for Watched {
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
        ALIVE.with_borrow_mut(|alive| {
            alive.get_or_insert_with(|| {
                let _ = self.1.send(true);
                Alive(self.1.clone())
            });
        });
        self.0.read(index, time, capture)
    }
}

#[tokio::test]
async fn a_share_that_is_started_and_stopped_again_and_again_leaves_no_thread_behind() {
    const ROUNDS: usize = 10;
    let (threads, ends) = std::sync::mpsc::channel();
    let (exchange, mut calls) = exchange(vec![Answer::Accept; ROUNDS]);
    let input = VideoInput::Source(Box::new(Watched(small(), threads)));
    let mut share = builder(input, 1).build().expect("it can be");
    assert_eq!(share.stop().await, ShareStats::default(), "nothing was started");
    for _ in 0..ROUNDS {
        share.start_over(|_| exchange.clone()).await.expect("it starts");
        share.start_over(|_| exchange.clone()).await.expect("it runs");
        call(&mut calls).await.picture().await;
        let stats = share.stop().await;
        assert_eq!(share.stop().await, stats, "it was stopped");
        assert!(!share.is_running());
    }
    drop(share);
    let (mut begun, mut ended) = (0, 0);
    // Who sends last is dropped with the last thread, or with the source.
    while ended < ROUNDS {
        match ends.recv_timeout(WATCHDOG).expect("each thread ends") {
            true => begun += 1,
            false => ended += 1,
        }
    }
    assert_eq!((begun, ended), (ROUNDS, ROUNDS));
    assert!(ends.recv_timeout(WATCHDOG).is_err(), "no thread has a source any more");
}

#[tokio::test]
async fn a_share_that_breaks_off_says_so_and_ends() {
    let (exchange, _calls) = exchange([Answer::Panic]);
    let share = builder(VideoInput::Source(Box::new(small())), 1).build();
    let mut share = share.expect("it can be");
    share.start_over(|_| exchange).await.expect("it starts");
    assert_eq!(rest(&mut share).await, (vec![], Some(ShareEnd::BrokenOff)));
    assert!(!share.is_running());
    within("the end", share.stop()).await;
    assert!(within("nothing", share.next()).await.is_none());
}

#[tokio::test]
async fn that_a_token_can_be_read_on_the_way_is_told_once_a_target() {
    // RFC 5737: nobody has these addresses.
    let at = |text: &str| ShareTarget::Sfu(text.parse().expect("a target"));
    let refused = || Answer::Refuse(FailureKind::Unreachable);
    let (exchange, _calls) = exchange([refused(), refused(), refused(), refused()]);
    let share = Share::builder(VideoInput::Source(Box::new(small())))
        .patience(SupervisorConfig::default().backoff([Duration::ZERO, Duration::from_millis(1)]))
        .target(at("mediasoup:ws://192.0.2.1/?token=hunter2"))
        .target(at("mediasoup:wss://192.0.2.2"))
        .build();
    let mut share = share.expect("it can be");
    share.start_over(|_| exchange).await.expect("it starts");
    let mut warnings = Vec::new();
    while let Some(event) = within("the end", share.next()).await {
        if let ShareEvent::Warning(text) = event {
            warnings.push(text);
        }
    }
    let text =
        "what is said to mediasoup:ws://192.0.2.1/, a token too, can be read on the way: use wss";
    assert_eq!(warnings, [text]);
    share.stop().await;
}

/// Its own words, not that there was nothing in time.
#[tokio::test]
async fn an_sfu_that_is_not_ready_in_time_says_what_took_so_long() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let sfu = format!("mediasoup:ws://{}", listener.local_addr().expect("it is bound"));
    let patience = impatient().connect_timeout(Duration::from_millis(100));
    let mut failure = String::new();
    // A machine that stands still for two seconds lets the supervisor be first.
    for _ in 0..3 {
        let share = Share::builder(VideoInput::Source(Box::new(small())))
            .target(ShareTarget::Sfu(sfu.parse().expect("a target")))
            .patience(patience.clone())
            .build();
        let mut share = share.expect("it can be");
        share.start().await.expect("it starts");
        let (_, end) = rest(&mut share).await;
        let Some(ShareEnd::NoTarget(why)) = end else { panic!("{end:?}") };
        failure = why.to_string();
        if failure.ends_with("while connecting to it") {
            return;
        }
    }
    panic!("{failure}");
}

#[tokio::test]
async fn whoever_drops_a_share_ends_it() {
    let (exchange, mut calls) = exchange([Answer::Accept]);
    let share = builder(VideoInput::Source(Box::new(small())), 1).build();
    let mut share = share.expect("it can be");
    share.start_over(|_| exchange).await.expect("it starts");
    let mut line = call(&mut calls).await;
    line.picture().await;
    drop(share);
    within("the end", async { while line.frames.recv().await.is_some() {} }).await;
}
