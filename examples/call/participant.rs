//! One participant: joins, takes what comes, and tells what it was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline::types::{Bitrate, MixInfo, PeerId, SenderId, VideoFrame, WallClock};
use paceline::{Event, JoinError, Publish, Room, Stats};
use tokio::sync::{mpsc, watch};

use crate::args::Args;
use crate::measure::{Figures, Measure};
use crate::system;

/// What a participant's screen shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Screen {
    pub(crate) picture: Option<VideoFrame>,
    pub(crate) info: Option<Arc<MixInfo>>,
    pub(crate) names: BTreeMap<SenderId, String>,
    /// In a mesh there is none.
    pub(crate) host: Option<String>,
    pub(crate) mesh: bool,
    pub(crate) speaker: Option<String>,
    pub(crate) stats: Stats,
    /// Pictures a second, over the last second.
    pub(crate) fps: f64,
    /// What all connections carry, both ways, over the last second.
    pub(crate) bitrate: Bitrate,
    /// Of the whole process, over the last second, in parts of one core; `None` where
    /// the system does not tell.
    pub(crate) cpu: Option<f64>,
    /// Each connection, by name.
    pub(crate) peers: Vec<(String, PeerStats)>,
    pub(crate) notice: Option<String>,
    /// How others join, line by line.
    pub(crate) invitation: Arc<Vec<String>>,
    /// Who speaks, by the mix's own levels.
    pub(crate) speaking: Option<SenderId>,
    pub(crate) muted: bool,
    pub(crate) camera_off: bool,
    /// Does what the viewer's keys ask for; `None` before anything was seen.
    pub(crate) control: Option<mpsc::UnboundedSender<Control>>,
}

/// What a person can ask his participant for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Control {
    /// The camera off, or on again.
    Camera,
    /// The sound off, or on again.
    Mute,
}

/// One connection, and what comes in from its other end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PeerStats {
    pub(crate) rtt: Option<Duration>,
    /// The worst of his streams; `None` if nothing comes from him.
    pub(crate) streams: Option<StreamStats>,
}

/// The worst of several streams.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StreamStats {
    /// Frames, of all streams together.
    pub(crate) lost: u64,
    pub(crate) jitter: Duration,
    pub(crate) delay: Duration,
}

/// What a participant took with him.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) hosted: bool,
    /// Who hosted last.
    pub(crate) host: Option<String>,
    /// The most people who were in the room at once, himself included.
    pub(crate) met: usize,
    pub(crate) stats: Stats,
    /// Pictures that came to the screen.
    pub(crate) displayed: u64,
    /// When joining began, in microseconds since 1970.
    pub(crate) began_us: u64,
    /// When each connection was first up, by the number of who is at its other end.
    pub(crate) connected_us: BTreeMap<SenderId, u64>,
    pub(crate) sender: SenderId,
    /// For how long pictures came.
    pub(crate) watched: Duration,
    pub(crate) figures: Option<Figures>,
    pub(crate) errors: Vec<String>,
}

/// A participant who is in the room.
pub(crate) struct Participant {
    name: String,
    room: Room,
    wall: WallClock,
    measure: Option<Measure>,
    screen: Screen,
    /// What he publishes again after his camera or sound was off.
    args: Args,
    index: usize,
    controls: mpsc::UnboundedReceiver<Control>,
    peers: BTreeMap<PeerId, (SenderId, String)>,
    /// Everybody else who was ever there.
    met_by_name: BTreeMap<SenderId, String>,
    began_us: u64,
    connected_us: BTreeMap<SenderId, u64>,
    hosted: bool,
    host_peer: Option<PeerId>,
    host: Option<String>,
    met: usize,
    shown: u64,
    first: Option<Instant>,
    /// The notice that was there a second ago, and how many seconds it is there.
    noticed: (Option<String>, u32),
    /// When the figures of a second were last made, of how much.
    second: (Instant, u64, u64),
    cpu_before: Option<f64>,
    errors: Vec<String>,
}

impl Participant {
    /// Joins the room as participant `index`.
    pub(crate) async fn join(
        args: &Args,
        index: usize,
        host: bool,
        url: &str,
    ) -> Result<Self, JoinError> {
        let name = args.name(index);
        let began_us = system::unix_micros();
        let publish =
            Publish::default().video(args.video_input(index)).audio(args.audio_input(index));
        let room = Room::builder(url)
            .name(&name)
            .publish(publish)
            .host(host)
            .config(args.config())
            .join()
            .await?;
        let measure = args.json.then(|| Measure::new(room.sender()));
        let (control, controls) = mpsc::unbounded_channel();
        let screen = Screen {
            names: BTreeMap::from([(room.sender(), name.clone())]),
            invitation: Arc::clone(&args.invitation),
            mesh: args.is_mesh(),
            control: Some(control),
            ..Screen::default()
        };
        Ok(Self {
            name,
            wall: system::wall_clock(),
            measure,
            screen,
            args: args.clone(),
            index,
            controls,
            peers: BTreeMap::new(),
            met_by_name: BTreeMap::new(),
            began_us,
            connected_us: BTreeMap::new(),
            hosted: false,
            host_peer: None,
            host: None,
            met: 1,
            shown: 0,
            first: None,
            noticed: (None, 0),
            second: (system::now(), 0, 0),
            cpu_before: system::cpu_seconds(),
            errors: Vec::new(),
            room,
        })
    }

    /// Takes what comes until `stop`, then leaves. Whoever looks at `screen` sees
    /// what this participant sees.
    pub(crate) async fn run(
        mut self,
        mut stop: watch::Receiver<bool>,
        screen: watch::Sender<Screen>,
    ) -> Outcome {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        let mut last = None;
        loop {
            tokio::select! {
                () = told_to_stop(&mut stop) => break,
                _ = second.tick() => self.note_second().await,
                Some(control) = self.controls.recv() => self.handle_control(control).await,
                event = self.room.next() => match event {
                    None => break,
                    // A sound changes nothing that can be seen.
                    Some(event @ Event::Sound(_)) => {
                        self.handle(event);
                        continue;
                    }
                    Some(event) => {
                        last = matches!(event, Event::Picture(_)).then(system::now).or(last);
                        self.handle(event);
                    }
                },
            }
            if self.screen.host.is_some() {
                self.host.clone_from(&self.screen.host);
            }
            self.met = self.met.max(self.screen.names.len());
            screen.send_replace(self.screen.clone());
        }
        let watched = self.first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first);
        Outcome {
            name: self.name,
            hosted: self.hosted,
            host: self.host,
            met: self.met,
            began_us: self.began_us,
            connected_us: self.connected_us,
            sender: self.room.sender(),
            stats: self.room.leave().await,
            displayed: self.shown,
            watched,
            figures: self.measure.map(|measure| measure.figures(&self.met_by_name)),
            errors: self.errors,
        }
    }

    async fn handle_control(&mut self, control: Control) {
        let done = match (control, self.screen.camera_off, self.screen.muted) {
            (Control::Camera, true, _) => {
                self.room.start_video(self.args.video_input(self.index)).await
            }
            (Control::Mute, _, true) => {
                self.room.start_audio(self.args.audio_input(self.index)).await
            }
            (Control::Camera, false, _) => {
                self.room.stop_video().await;
                Ok(())
            }
            (Control::Mute, _, false) => {
                self.room.stop_audio().await;
                Ok(())
            }
        };
        match (done, control) {
            (Ok(()), Control::Camera) => self.screen.camera_off ^= true,
            (Ok(()), Control::Mute) => self.screen.muted ^= true,
            (Err(error), _) => self.screen.notice = Some(error.to_string()),
        }
    }

    /// Makes the figures of the last second.
    async fn note_second(&mut self) {
        let stats = self.room.stats().await;
        let (now, shown) = (system::now(), self.shown);
        let peers = stats.peers.iter();
        let bytes = peers.map(|(_, peer)| peer.sent_bytes + peer.received_bytes).sum();
        let (before, shown_before, bytes_before) = self.second;
        let span = now - before;
        let pictures = shown.saturating_sub(shown_before);
        self.screen.fps = pictures as f64 / span.as_secs_f64().max(0.001);
        self.screen.bitrate = Bitrate::of(u64::saturating_sub(bytes, bytes_before), span);
        let cpu = system::cpu_seconds();
        self.screen.cpu = cpu
            .zip(self.cpu_before)
            .map(|(cpu, before)| (cpu - before) / span.as_secs_f64().max(0.001));
        self.cpu_before = cpu;
        self.screen.peers = self.peer_stats(&stats);
        self.screen.stats = stats;
        self.second = (now, shown, bytes);
        self.age_notice();
    }

    /// What has happened is news for a while; that nobody hosts is so until it ends.
    fn age_notice(&mut self) {
        let (before, seconds) = &mut self.noticed;
        *seconds = if *before == self.screen.notice { *seconds + 1 } else { 0 };
        if *seconds >= NOTICE_SECONDS && (self.screen.mesh || self.screen.host.is_some()) {
            self.screen.notice = None;
        }
        before.clone_from(&self.screen.notice);
    }

    fn peer_stats(&self, stats: &Stats) -> Vec<(String, PeerStats)> {
        let named = stats.peers.iter().filter_map(|(id, peer)| {
            let (sender, name) = self.peers.get(id)?;
            let streams = stats.streams.iter().filter(|(key, _)| key.sender == *sender);
            let worst = streams.fold(None, |worst: Option<StreamStats>, (_, stream)| {
                let (worst, stream) = (worst.unwrap_or_default(), &stream.jitter);
                Some(StreamStats {
                    lost: worst.lost + stream.lost,
                    jitter: worst.jitter.max(stream.jitter),
                    delay: worst.delay.max(stream.delay),
                })
            });
            Some((name.clone(), PeerStats { rtt: peer.rtt, streams: worst }))
        });
        named.collect()
    }

    fn handle(&mut self, event: Event) {
        let screen = &mut self.screen;
        match event {
            Event::Connected { peer } => {
                screen.notice = None;
                if let Some(&(sender, _)) = self.peers.get(&peer) {
                    self.connected_us.entry(sender).or_insert_with(system::unix_micros);
                }
            }
            Event::Disconnected { peer, reason, again } => {
                let name = self.peers.get(&peer).map_or("somebody", |(_, name)| name);
                let then = if again { ", trying again" } else { "" };
                screen.notice = Some(format!("no connection to {name}: {reason}{then}"));
            }
            Event::HostChanged { host, us } => {
                self.hosted |= us;
                self.host_peer = host;
                screen.host = if us {
                    Some(self.name.clone())
                } else {
                    host.and_then(|host| Some(self.peers.get(&host)?.1.clone()))
                };
                screen.notice =
                    host.is_none().then(|| "nobody hosts: waiting for a host".to_owned());
            }
            Event::MemberJoined { peer, sender, name } => {
                // Who hosts is told before he is introduced.
                if self.host_peer == Some(peer) {
                    screen.host = Some(name.clone());
                }
                screen.names.insert(sender, name.clone());
                self.met_by_name.insert(sender, name.clone());
                self.peers.insert(peer, (sender, name));
            }
            Event::MemberLeft { peer, sender, name } => {
                screen.notice = Some(format!("{name} has left"));
                screen.names.remove(&sender);
                self.peers.remove(&peer);
            }
            Event::MixInfo(info) => {
                if let Some(measure) = &mut self.measure {
                    measure.handle_mix_info(info.clone());
                }
                screen.info = Some(Arc::new(info));
            }
            Event::Picture(picture) => {
                let now = system::now();
                self.first.get_or_insert(now);
                if let Some(measure) = &mut self.measure {
                    measure.handle_picture(self.wall.at(now), &picture);
                }
                self.shown += 1;
                screen.picture = Some(picture.frame);
            }
            Event::Sound(sound) => {
                if let Some(measure) = &mut self.measure {
                    measure.handle_sound(&sound);
                }
            }
            Event::Speaking { sender, name } => (screen.speaking, screen.speaker) = (sender, name),
            Event::Warning(text) => {
                screen.notice = Some(text.clone());
                self.errors.push(text);
            }
            _ => {}
        }
    }
}

/// Nobody left who could say so is a stop too.
async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|&stop| stop).await;
}

/// How long a notice stays: long enough to be read twice.
const NOTICE_SECONDS: u32 = 5;
