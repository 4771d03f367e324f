//! The loop around flow, packets and engine.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use paceline_framing::rtcp::{self, FirReceiver, Packet};
use paceline_types::{Bitrate, ConnectionEvent, EncodedFrame, PacketKind, Signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout_at};
use tracing::{debug, info, warn};

use super::address::Way;
use super::config::{SfuConfig, SfuTarget};
use super::engine::Engine;
use super::error::PublishError;
use super::keyframes::Keyframes;
use super::names::Names;
use super::signalling::{Signalling, Todo, error_of};
use super::tracks::{Taken, Tracks, random, random_u32};
use super::{Order, SfuEvent, Shared, address, rest, socket};
use crate::failure::printable;
use crate::mediasoup::{FlowError, SrtpParameters, SrtpSuite, Step};
use crate::rtp_parameters::MediaKind;
use crate::{Failure, FailureKind, broadcaster, mediasoup, protoo};

/// What the task is made of.
pub(super) struct Start {
    pub(super) target: SfuTarget,
    pub(super) config: SfuConfig,
    pub(super) frames: mpsc::Receiver<EncodedFrame>,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    pub(super) shared: Arc<Shared>,
}

pub(super) type Ready = oneshot::Sender<Result<(), PublishError>>;

/// From the first connection to the last goodbye.
pub(super) async fn run(start: Start, mut ready: Ready) {
    let Start { target, config, frames, orders, shared } = start;
    // However this ends, nothing more is told then.
    let ending = Ending(Arc::clone(&shared));
    let began = clock();
    let ready_by = began + config.connect_timeout;
    let opening = timeout_at(ready_by.into(), open(&target, &config, ready_by));
    let opened = tokio::select! {
        () = ready.closed() => return,
        opened = opening => opened,
    };
    let (signalling, tracks, engine, way) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return drop(ready.send(Err(error))),
        Err(_) => {
            let seconds = config.connect_timeout.as_secs();
            return drop(ready.send(Err(PublishError::TimedOut { seconds, step: None })));
        }
    };
    let mut sending = Sending {
        config,
        signalling,
        tracks,
        engine,
        names: Names::new(way.bind()),
        tried: Vec::new(),
        way,
        shared,
        keyframes: Keyframes::default(),
        firs: FirReceiver::new(),
        target: Bitrate::default(),
        began,
        ready_by: Some(ready_by),
        path_by: None,
        ready: Some(ready),
    };
    let ended = sending.run(frames, orders).await;
    sending.finish(ended).await;
    drop(ending);
}

struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.mailbox.end();
    }
}

async fn open(
    target: &SfuTarget,
    config: &SfuConfig,
    ready_by: Instant,
) -> Result<(Signalling, Tracks, Engine, Way), PublishError> {
    // Whoever has chosen another keeps it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tracks = Tracks::new(config)?;
    Ok(match target {
        SfuTarget::Mediasoup { url } => {
            if target.is_in_the_clear() && is_first(&address::origin_of(url)) {
                warn!(%target, "the token and what is said to the server can be read on the way");
            }
            let (auth, patience) = (config.auth.as_ref(), config.close_timeout);
            let link = socket::connect(url, auth, MAX_MESSAGE, patience).await?;
            let now = clock();
            let flow = mediasoup::FlowConfig::web_rtc(tracks.codecs().collect())
                .display_name(config.display_name.as_str())
                .client(protoo::ClientConfig::default().max_message(MAX_MESSAGE))
                .connect_timeout(ready_by.saturating_duration_since(now));
            let flow = mediasoup::Flow::new(now, flow, random_u32()?);
            let way = Way::new(config.bind, url);
            let engine = Engine::web(config, &tracks, way.bind(), now);
            (Signalling::mediasoup(flow, link), tracks, engine, way)
        }
        SfuTarget::Broadcaster { url } => {
            if url.scheme() == "http" && !address::is_loopback(url) {
                return Err(PublishError::Insecure { target: target.to_string() });
            }
            let (base, room) = SfuTarget::room_of(url)?;
            let us = format!("paceline-{:08x}", random_u32()?);
            let suite = SrtpSuite::AesCm128HmacSha1_80;
            let srtp = SrtpParameters::new(suite, &random::<30>()?)
                .map_err(|error| PublishError::Engine { reason: error.to_string() })?;
            let flow = broadcaster::FlowConfig::plain(room, us, tracks.streams().collect(), srtp)
                .map_err(|error| PublishError::BadRequest { what: error.to_string() })?
                .display_name(config.display_name.as_str());
            let auth = config.auth.clone();
            let link = rest::connect(base, auth, MAX_TEXT, config.connect_timeout)?;
            let signalling = Signalling::broadcaster(broadcaster::Flow::new(flow), link);
            (signalling, tracks, Engine::Plain(None), Way::new(config.bind, url))
        }
    })
}

/// Everything there is while frames are sent.
struct Sending {
    config: SfuConfig,
    signalling: Signalling,
    tracks: Tracks,
    engine: Engine,
    names: Names,
    /// Where the server takes media, as far as it is reached.
    tried: Vec<SocketAddr>,
    way: Way,
    shared: Arc<Shared>,
    keyframes: Keyframes,
    firs: FirReceiver,
    /// What the path takes, as last told.
    target: Bitrate,
    began: Instant,
    /// When media has to flow.
    ready_by: Option<Instant>,
    /// When a lost path has to be there again.
    path_by: Option<Instant>,
    /// Whom to tell that media can flow, or why not.
    ready: Option<Ready>,
}

/// Why it is over.
enum Ended {
    /// The owner wants it.
    Asked,
    Failed(PublishError),
    /// The media connection is gone.
    Media(String),
}

impl Sending {
    async fn run(
        &mut self,
        mut frames: mpsc::Receiver<EncodedFrame>,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) -> Ended {
        let shared = Arc::clone(&self.shared);
        loop {
            let now = clock();
            if let Some(ended) = self.turn(now) {
                return ended;
            }
            let deadline = self.poll_timeout();
            let sleep = async {
                match deadline {
                    Some(at) => sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = orders.recv() => match order {
                    None | Some(Order::Close) => return Ended::Asked,
                    Some(Order::RestartIce) => self.signalling.restart_ice(clock()),
                },
                Some(frame) = frames.recv() => self.handle_frame(clock(), &frame),
                () = shared.hole.news.notified() => self.keyframes.handle_request(),
                what = self.signalling.receive() => self.signalling.handle(clock(), what),
                answer = self.names.resolved() => {
                    if let Some(ended) = self.handle_answer(clock(), answer) {
                        return ended;
                    }
                }
                () = self.engine.ready() => {}
                () = sleep => self.signalling.handle_timeout(clock()),
            }
        }
    }

    /// Lets everything happen that can happen now.
    fn turn(&mut self, now: Instant) -> Option<Ended> {
        loop {
            let mut is_idle = true;
            while let Some(todo) = self.signalling.poll() {
                is_idle = false;
                if let Some(ended) = self.handle_todo(now, todo) {
                    return Some(ended);
                }
            }
            while let Some(event) = self.engine.poll_event() {
                is_idle = false;
                if let Some(ended) = self.handle_engine(now, event) {
                    return Some(ended);
                }
            }
            if is_idle {
                break;
            }
        }
        if let Some(ended) = self.overdue(now) {
            return Some(ended);
        }
        let mut errors = 0;
        while let Some((kind, bytes)) = self.tracks.poll_transmit(now) {
            // In no history of the engine's, it cannot be sent again either.
            let is_picture = kind == PacketKind::Rtp && self.tracks.is_picture(&bytes);
            if let Err(error) = self.engine.try_send(now, kind, bytes) {
                debug!(%error, "a packet is not taken");
                errors += 1;
                if is_picture {
                    self.keyframes.handle_request();
                }
            }
        }
        if self.tracks.poll_needs_keyframe() {
            self.keyframes.handle_request();
        }
        if self.keyframes.poll(now) {
            self.tell(SfuEvent::KeyframeNeeded);
        }
        self.note(now, errors);
        None
    }

    /// Whether something took too long.
    fn overdue(&self, now: Instant) -> Option<Ended> {
        let is_due = |by: Option<Instant>| by.is_some_and(|by| by <= now);
        if is_due(self.ready_by) {
            return Some(Ended::Failed(self.late(now, self.signalling.step())));
        }
        let reason = || format!("no path for {} s", self.config.path_timeout.as_secs_f64());
        is_due(self.path_by).then(|| Ended::Media(reason()))
    }

    /// What it is to wait for this no longer.
    fn late(&self, now: Instant, step: Step) -> PublishError {
        let seconds = self.seconds(now);
        match self.names.pending() {
            Some(host) => PublishError::Name { host: host.to_owned() },
            None if step == Step::Path && !self.tried.is_empty() => {
                PublishError::NoPath { seconds, tried: self.tried.clone() }
            }
            None => PublishError::TimedOut { seconds, step: Some(step) },
        }
    }

    /// Since it began.
    fn seconds(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let media = [self.tracks.poll_timeout(), self.keyframes.poll_timeout()];
        let all = [self.signalling.poll_timeout(), self.ready_by, self.path_by];
        let all = all.into_iter().chain(media);
        all.flatten().min()
    }

    fn handle_todo(&mut self, now: Instant, todo: Todo) -> Option<Ended> {
        match todo {
            Todo::Answer(sdp) => {
                return match self.names.handle_answer(sdp) {
                    Some(answer) => self.handle_answer(now, answer),
                    None => None,
                };
            }
            Todo::Fail(FlowError::TimedOut { step }) => {
                return Some(Ended::Failed(self.late(now, step)));
            }
            Todo::Fail(error) => {
                return Some(Ended::Failed(error_of(error, self.seconds(now))));
            }
            Todo::Negotiated(agreed) => {
                agreed.iter().for_each(|stream| info!("agreed on {stream}"));
                if let Some((wanted, agreed)) = self.tracks.handle_negotiated(&agreed) {
                    warn!(%wanted, %agreed, "the router takes a lower level of H.264");
                    self.tell(SfuEvent::LevelLowered { wanted, agreed });
                }
            }
            Todo::Plain(remote) => {
                let (config, tracks, way) = (&self.config, &self.tracks, &self.way);
                if let Err(error) = self.engine.connect_plain(config, tracks, way, &remote) {
                    return Some(Ended::Failed(error));
                }
            }
            Todo::RestartIce => self.engine.restart_ice(now),
            Todo::Score(kind, score) => {
                self.with_stats(|stats| match kind {
                    MediaKind::Audio => stats.audio_score = Some(score),
                    MediaKind::Video => stats.video_score = Some(score),
                });
                self.tell(SfuEvent::Score { kind, score });
            }
            Todo::Start => {
                self.ready_by = None;
                let after = now.saturating_duration_since(self.began);
                self.with_stats(|stats| stats.connected_after = after);
                if let Some(ready) = self.ready.take()
                    && ready.send(Ok(())).is_err()
                {
                    return Some(Ended::Asked);
                }
                // Whoever is there already has nothing to start with.
                self.keyframes.handle_request();
            }
        }
        None
    }

    /// Gives the engine an answer, once its candidates have addresses.
    fn handle_answer(
        &mut self,
        now: Instant,
        answer: Result<String, PublishError>,
    ) -> Option<Ended> {
        let sdp = match answer {
            Ok(sdp) => sdp,
            Err(error) => return Some(Ended::Failed(error)),
        };
        match address::check(self.way.bind(), &sdp) {
            Ok(tried) => self.tried = tried,
            Err(error) if self.ready_by.is_some() => return Some(Ended::Failed(error)),
            Err(_) => {}
        }
        self.engine.answer(now, sdp);
        None
    }

    fn handle_engine(&mut self, now: Instant, event: ConnectionEvent) -> Option<Ended> {
        match event {
            ConnectionEvent::Local(Signal::Offer { sdp }) => {
                self.names.forget();
                self.signalling.handle_offer(now, &sdp);
            }
            ConnectionEvent::Open => self.signalling.handle_path(now, true),
            ConnectionEvent::Path { up } => {
                self.signalling.handle_path(now, up);
                self.tracks.handle_path(up);
                let by = now + self.config.path_timeout;
                self.path_by = if up { None } else { self.path_by.or(Some(by)) };
                self.tell(SfuEvent::Path { up });
            }
            ConnectionEvent::Rtcp(compound) => self.handle_rtcp(compound),
            ConnectionEvent::Target(target) => {
                self.tracks.set_target(target);
                if target != self.target {
                    self.target = target;
                    self.tell(SfuEvent::Bitrate(target));
                }
            }
            ConnectionEvent::Closed { reason } => return Some(Ended::Media(reason)),
            _ => {}
        }
        None
    }

    fn handle_rtcp(&mut self, compound: bytes::Bytes) {
        let packets = match rtcp::parse(compound) {
            Ok(packets) => packets,
            Err(error) => return debug!(%error, "a report cannot be read"),
        };
        let tracks = &self.tracks;
        let mut requests = 0;
        for packet in packets {
            requests += match packet {
                Packet::PictureLossIndication(pli) => u64::from(tracks.is_video(pli.media_ssrc)),
                Packet::FullIntraRequest(fir) => {
                    self.firs.handle_request(&fir, |ssrc| tracks.is_video(ssrc)).len() as u64
                }
                _ => 0,
            };
        }
        if requests > 0 {
            self.keyframes.handle_request();
            self.with_stats(|stats| stats.keyframe_requests += requests);
        }
    }

    fn handle_frame(&mut self, now: Instant, frame: &EncodedFrame) {
        let is_picture = !frame.coding.is_audio();
        match self.tracks.handle_frame(now, frame) {
            Taken::Queued if is_picture && frame.coding.is_key() => {
                self.keyframes.handle_keyframe();
            }
            Taken::Refused => self.with_stats(|stats| stats.refused += 1),
            Taken::Queued | Taken::LeftOut => {}
        }
    }

    fn with_stats(&self, change: impl FnOnce(&mut super::SfuStats)) {
        change(&mut self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn note(&self, now: Instant, errors: u64) {
        let (engine, sender) = (self.engine.stats(), self.tracks.stats());
        let (queued_bytes, queue_delay) = self.tracks.queue(now);
        let without_path = self.tracks.without_path();
        self.with_stats(|stats| {
            stats.frames = sender.frames;
            (stats.left_out, stats.without_path) = (sender.left_out, without_path);
            stats.packets = engine.packets;
            stats.bytes = engine.bytes;
            stats.retransmissions = engine.retransmissions;
            stats.send_errors += errors;
            (stats.queued_bytes, stats.queue_delay) = (queued_bytes, queue_delay);
            stats.rtt = engine.rtt;
            stats.lost = f64::from(engine.fraction_lost) / 256.0;
            stats.target = engine.target;
        });
    }

    fn tell(&self, event: SfuEvent) {
        self.shared.mailbox.tell(event);
    }

    async fn finish(self, ended: Ended) {
        let Self { config, signalling, mut engine, shared, ready, .. } = self;
        tokio::join!(engine.shutdown(), signalling.close(config.close_timeout));
        let error = match ended {
            Ended::Asked => return,
            Ended::Failed(error) => error,
            Ended::Media(reason) => PublishError::Engine { reason: printable(&reason) },
        };
        match ready {
            // Nobody waits for it any more, perhaps.
            Some(ready) => drop(ready.send(Err(error))),
            None => {
                let mut failure = Failure::from(&error);
                if let PublishError::Engine { reason } = &error {
                    failure = Failure::new(FailureKind::TransportClosed, reason);
                }
                shared.mailbox.tell(SfuEvent::Closed { failure });
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
fn clock() -> Instant {
    Instant::now()
}

/// Bytes of one body of the server.
const MAX_TEXT: usize = 64 << 10;

/// Bytes of one message of the server, as [`protoo::ClientConfig`] has it: who is in the room
/// is one message.
const MAX_MESSAGE: usize = 256 << 10;

/// Whether a server is warned of for the first time: a program tries again and again.
fn is_first(server: &str) -> bool {
    let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
    warned.len() < MAX_WARNED && warned.insert(server.to_owned())
}

/// Those that are spoken with in the clear.
static WARNED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Ours: whoever has heard it of so many servers knows.
const MAX_WARNED: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::link::Link;
    use super::*;

    /// One whose server says nothing.
    fn sending(config: SfuConfig, now: Instant, ready: Option<Ready>) -> Sending {
        let config = config.bounded();
        let tracks = Tracks::new(&config).expect("a picture");
        let flow = mediasoup::FlowConfig::web_rtc(tracks.codecs().collect());
        let link = Link::spawn(|mut end| async move {
            while end.to.recv().await.is_some() {}
            drop(end.from);
        });
        let url = "ws://127.0.0.1/".parse().expect("a URL");
        let way = Way::new(config.bind, &url);
        Sending {
            signalling: Signalling::mediasoup(mediasoup::Flow::new(now, flow, 1), link),
            engine: Engine::web(&config, &tracks, way.bind(), now),
            tracks,
            names: Names::new(way.bind()),
            tried: Vec::new(),
            way,
            shared: Arc::default(),
            keyframes: Keyframes::default(),
            firs: FirReceiver::new(),
            target: Bitrate::default(),
            began: now,
            ready_by: ready.as_ref().map(|_| now + config.connect_timeout),
            path_by: None,
            ready,
            config,
        }
    }

    #[tokio::test]
    async fn a_path_that_does_not_come_back_is_an_end_and_one_that_does_is_none() {
        let now = clock();
        let mut sending = sending(SfuConfig::default(), now, None);
        let shared = Arc::clone(&sending.shared);
        let at = |seconds| now + Duration::from_secs(seconds);
        let path = |up| ConnectionEvent::Path { up };
        assert!(sending.handle_engine(at(1), path(false)).is_none());
        assert!(sending.handle_engine(at(9), path(true)).is_none());
        assert!(sending.turn(at(30)).is_none());
        assert!(sending.handle_engine(at(30), path(false)).is_none());
        // That it is told again does not make it later.
        assert!(sending.handle_engine(at(39), path(false)).is_none());
        assert!(sending.turn(at(39)).is_none());
        assert_eq!(sending.path_by, Some(at(40)));
        assert!(sending.poll_timeout().is_some_and(|by| by <= at(40)), "it wakes for it");
        let ended = sending.overdue(at(40)).expect("it is over");
        sending.finish(ended).await;
        let mut closed = None;
        while let Some(event) = shared.mailbox.poll() {
            closed = Some(event);
        }
        let failure = Failure::new(FailureKind::TransportClosed, "no path for 10 s");
        assert_eq!(closed, Some(SfuEvent::Closed { failure }));
    }

    #[tokio::test]
    async fn a_picture_of_which_a_packet_is_refused_is_counted_and_another_is_asked_for() {
        use paceline_types::{
            AudioCodec, Coding, Frequency, MediaTime, NtpTime, SeqNo, StreamId, VideoCodec,
        };

        use super::super::AudioTrack;

        let now = clock();
        let config = SfuConfig::default().audio(Some(AudioTrack { channels: 1 }));
        let mut sending = sending(config, now, None);
        let shared = Arc::clone(&sending.shared);
        let (codec, key, discardable) = (VideoCodec::H264, true, false);
        let picture = EncodedFrame {
            stream: StreamId::VIDEO,
            seq: SeqNo::new(0),
            time: MediaTime::new(0, Frequency::VIDEO),
            capture: NtpTime::default(),
            coding: Coding::Video { codec, key, discardable, width: 320, height: 180 },
            data: bytes::Bytes::from_static(&[0, 0, 0, 1, 0x65, 0b1000_1000, 0b1000_0000]),
        };
        let coding = Coding::Audio { codec: AudioCodec::Opus, channels: 1 };
        let time = MediaTime::new(0, Frequency::AUDIO);
        let sound = EncodedFrame { coding, time, ..picture.clone() };
        // Its engine is not open, and takes nothing.
        for (frame, asked) in [(sound, None), (picture, Some(SfuEvent::KeyframeNeeded))] {
            sending.handle_frame(now, &frame);
            assert!(sending.turn(now).is_none());
            assert_eq!(shared.mailbox.poll(), asked);
        }
        assert_eq!(shared.stats.lock().expect("whole").send_errors, 2);
    }

    #[tokio::test]
    async fn whatever_is_not_ready_in_time_has_failed_and_that_is_not_for_ever() {
        let now = clock();
        let (ready, mut is_ready) = oneshot::channel();
        let config = SfuConfig::default().connect_timeout(Duration::from_secs(3));
        let mut sending = sending(config, now, Some(ready));
        assert!(sending.turn(now + Duration::from_millis(2_999)).is_none());
        let ended = sending.turn(now + Duration::from_secs(3)).expect("it is over");
        sending.finish(ended).await;
        let error = is_ready.try_recv().expect("it is told").expect_err("it failed");
        assert!(matches!(error, PublishError::TimedOut { seconds: 3, .. }), "{error}");
        assert_eq!(
            error.to_string(),
            "the server was not ready after 3 s, while asking for the router's capabilities"
        );
        assert_eq!(Failure::from(&error).kind(), FailureKind::TimedOut);
    }

    #[tokio::test]
    async fn a_media_connection_that_ends_before_it_is_ready_is_tried_again() {
        let now = clock();
        let (ready, mut is_ready) = oneshot::channel();
        let longest =
            SfuConfig::default().connect_timeout(Duration::MAX).path_timeout(Duration::MAX);
        let mut sending = sending(longest, now, Some(ready));
        let reason = "DTLS gave up\r\n".to_owned();
        let ended = sending.handle_engine(now, ConnectionEvent::Closed { reason });
        sending.finish(ended.expect("it is over")).await;
        let error = is_ready.try_recv().expect("it is told").expect_err("it failed");
        let failure = Failure::from(&error);
        assert_eq!(failure.kind().severity(false), crate::Severity::Transient, "{failure}");
        assert!(!failure.to_string().contains('\n'), "{failure}");
    }

    #[tokio::test]
    async fn keys_are_not_told_in_the_clear_beyond_this_machine() {
        let target: SfuTarget =
            "broadcaster:http://192.0.2.1/rooms/r?a=hunter2".parse().expect("one");
        let config = SfuConfig::default();
        let refused = open(&target, &config, clock()).await.map(|_| ()).expect_err("refused");
        assert_eq!(
            refused.to_string(),
            "broadcaster:http://192.0.2.1/rooms/r would tell the keys of the media to whoever \
             listens: use https"
        );
        for target in ["http://127.0.0.1/rooms/r", "https://192.0.2.1/rooms/r"] {
            let target: SfuTarget = format!("broadcaster:{target}").parse().expect("one");
            assert!(open(&target, &config, clock()).await.is_ok(), "nothing is asked yet");
        }
    }
}
