//! One participant: joins, takes what comes, and tells what it was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline::types::{Bitrate, Epoch, PeerId, SenderId, StreamId, WallClock};
use paceline::{Event, JoinError, Picture, Publish, Room, Sound, Stats};
use tokio::sync::{mpsc, watch};

use crate::args::Args;
use crate::changes::{Change, Changes, News};
use crate::measure::{Figures, Measure, Seen};
use crate::orders::{Front, note_front};
use crate::screen::{Control, PeerStats, Screen, StreamStats};
use crate::sources::adapted;
use crate::system;

/// What a participant took with him.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    /// He hosted before anybody else did whom he knew of.
    pub(crate) hosted_first: bool,
    /// He saw pictures of another's mix.
    pub(crate) was_guest: bool,
    pub(crate) changes: Arc<Vec<Change>>,
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
    hosted_first: bool,
    was_guest: bool,
    hosts: bool,
    /// Who hosted last: under which epoch, and his name if it is known.
    front: Option<(Epoch, Option<String>)>,
    host_peer: Option<PeerId>,
    /// Whose number in the room that was.
    front_sender: Option<SenderId>,
    changes: Changes,
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
    pub(crate) async fn join(args: &Args, index: usize, url: &str) -> Result<Self, JoinError> {
        let name = args.name(index);
        let began_us = system::unix_micros();
        let publish =
            Publish::default().video(args.video_input(index)).audio(args.audio_input(index));
        let mut room = Room::builder(url)
            .name(&name)
            .publish(publish)
            .host(!args.is_mesh())
            .config(args.config())
            .join()
            .await?;
        let mut notice = None;
        if let Some((id, is_asked_for)) = args.loudspeaker(index)
            && let Err(error) = room.start_loudspeaker(id).await
        {
            if is_asked_for {
                return Err(error.into());
            }
            notice = Some(error.to_string());
        }
        let measure = args.json.then(|| Measure::new(room.sender()));
        let (control, controls) = mpsc::unbounded_channel();
        let screen = Screen {
            names: BTreeMap::from([(room.sender(), name.clone())]),
            invitation: Arc::clone(&args.invitation),
            mesh: args.is_mesh(),
            control: Some(control),
            notice: notice.clone(),
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
            hosted_first: false,
            was_guest: false,
            hosts: false,
            front: None,
            host_peer: None,
            front_sender: None,
            changes: Changes::default(),
            met: 1,
            shown: 0,
            first: None,
            noticed: (None, 0),
            second: (system::now(), 0, 0),
            cpu_before: system::cpu_seconds(),
            errors: Vec::from_iter(notice),
            room,
        })
    }

    /// Takes what comes until `stop`, then leaves. Whoever looks at `screen` sees
    /// what this participant sees; `front` is told when he comes to the front or goes from it.
    pub(crate) async fn run(
        mut self,
        mut stop: watch::Receiver<bool>,
        screen: watch::Sender<Screen>,
        front: watch::Sender<Front>,
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
                    Some(Event::Sound(sound)) => {
                        self.hear(&sound);
                        continue;
                    }
                    Some(event @ Event::HostChanged { .. }) => {
                        self.handle(event);
                        let hosts = self.front.as_ref().filter(|_| self.hosts);
                        note_front(&front, self.index, hosts.map(|(epoch, _)| *epoch));
                    }
                    Some(event) => {
                        last = matches!(event, Event::Picture(_)).then(system::now).or(last);
                        self.handle(event);
                    }
                },
            }
            self.met = self.met.max(self.screen.names.len());
            screen.send_replace(self.screen.clone());
        }
        let watched = self.first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first);
        let over = self.wall.at(system::now());
        let sender = self.room.sender();
        let stats = self.room.leave().await;
        self.changes.handle_second(over, stats.media.decoder_resets);
        note_front(&front, self.index, None);
        Outcome {
            name: self.name,
            hosted_first: self.hosted_first,
            was_guest: self.was_guest,
            changes: Arc::new(self.changes.all(over)),
            host: self.front.and_then(|(_, name)| name),
            met: self.met,
            began_us: self.began_us,
            connected_us: self.connected_us,
            sender,
            stats,
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
            (Control::HandOver, ..) => {
                self.room.hand_over().await;
                Ok(())
            }
            (Control::Camera, false, _) => {
                self.room.stop_video().await;
                Ok(())
            }
            (Control::Mute, _, muted) => {
                self.room.set_muted(StreamId::AUDIO, !muted).await;
                Ok(())
            }
        };
        match (done, control) {
            (Ok(()), Control::Camera) => self.screen.camera_off ^= true,
            (Ok(()), Control::HandOver) => {}
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
        let at = self.wall.at(now);
        self.changes.handle_second(at, stats.media.decoder_resets);
        self.screen.changes = Arc::new(self.changes.all(at));
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
            Event::HostChanged { host, us, epoch, planned, detect, promote } => {
                self.host_peer = host;
                let name = host.and_then(|host| self.name_of(host, us));
                let news = News { epoch, planned, detect, promote, ..News::default() };
                self.handle_front(host.is_some(), us, name, news);
            }
            Event::MemberJoined { peer, sender, name } => {
                // Who hosts may be told before he is introduced.
                if self.host_peer == Some(peer) {
                    screen.host = Some(name.clone());
                    screen.hosting = Some(sender);
                    self.front_sender = Some(sender);
                    if let Some((_, front)) = &mut self.front {
                        front.get_or_insert_with(|| name.clone());
                    }
                }
                screen.names.insert(sender, name.clone());
                self.met_by_name.insert(sender, name.clone());
                self.peers.insert(peer, (sender, name));
            }
            Event::MemberLeft { peer, sender, name } => {
                screen.notice = Some(format!("{name} has left"));
                screen.names.remove(&sender);
                self.peers.remove(&peer);
                self.changes.waits.handle_left(sender);
            }
            Event::MixInfo(info) => {
                if let Some(measure) = &mut self.measure {
                    measure.handle_mix_info(info.clone());
                }
                screen.info = Some(Arc::new(info));
            }
            Event::Picture(picture) => self.see(picture),
            Event::Speaking { sender, name } => (screen.speaking, screen.speaker) = (sender, name),
            Event::TrackState { sender, stream: StreamId::VIDEO, enabled } => {
                self.changes.waits.handle_camera(sender, enabled);
            }
            Event::Adapted(change) => screen.notice = Some(adapted(&change)),
            Event::DeviceBack { kind } => screen.notice = Some(format!("the {kind} is back")),
            Event::DeviceGone { reason, .. } => {
                screen.notice = Some(reason.clone());
                self.errors.push(reason);
            }
            Event::HandoverAborted { reason } => {
                let text = format!("nobody took over: {reason}");
                screen.notice = Some(text.clone());
                self.errors.push(text);
            }
            Event::Warning(text) => {
                screen.notice = Some(text.clone());
                self.errors.push(text);
            }
            _ => {}
        }
    }

    fn see(&mut self, picture: Picture) {
        let now = system::now();
        let at = self.wall.at(now);
        self.first.get_or_insert(now);
        self.was_guest |= !self.hosts;
        if let Some(measure) = &mut self.measure {
            for (sender, seen) in measure.handle_picture(at, &picture, self.hosts) {
                match seen {
                    Seen::Empty => self.changes.waits.handle_empty(sender, at),
                    Seen::Mark => self.changes.handle_mark(sender, at),
                }
            }
        }
        self.changes.handle_picture(at, picture.frame.time().ticks());
        self.shown += 1;
        self.screen.picture = Some(picture.frame);
    }

    fn hear(&mut self, sound: &Sound) {
        if let Some(measure) = &mut self.measure {
            measure.handle_sound(sound, self.hosts);
        }
        if !sound.concealed {
            let samples = sound.frame.samples.len() / usize::from(sound.frame.channels.max(1));
            let start = sound.frame.time.ticks();
            self.changes.handle_sound(sound.ready, start, samples as u64);
        }
    }

    fn name_of(&self, peer: PeerId, us: bool) -> Option<String> {
        match us {
            true => Some(self.name.clone()),
            false => self.peers.get(&peer).map(|(_, name)| name.clone()),
        }
    }

    /// Takes in who is at the front now, or that nobody is.
    fn handle_front(&mut self, anybody: bool, us: bool, name: Option<String>, news: News) {
        let host = self.host_peer.and_then(|peer| Some(self.peers.get(&peer)?.0));
        self.screen.hosting = if us { Some(self.room.sender()) } else { host };
        self.screen.host.clone_from(&name);
        self.hosts = us;
        if !anybody {
            self.screen.notice = Some(NOBODY.to_owned());
            return;
        }
        if self.screen.notice.as_deref() == Some(NOBODY) {
            self.screen.notice = None;
        }
        match &self.front {
            // Who was there when we came did not come after anybody.
            None => self.hosted_first = us,
            Some((epoch, _)) if *epoch >= news.epoch => return,
            Some((_, from)) => {
                self.screen.notice = Some(match (&name, us) {
                    (_, true) => "you are at the front now".to_owned(),
                    (Some(name), false) => format!("{name} is at the front now"),
                    (None, false) => "another is at the front now".to_owned(),
                });
                let at = self.wall.at(system::now());
                let (from, to) = (from.clone(), name.clone());
                let before = self.front_sender;
                self.changes.handle_news(at, News { from, to, before, ..news.clone() });
            }
        }
        self.front_sender = self.screen.hosting;
        self.front = Some((news.epoch, name));
    }
}

/// Nobody left who could say so is a stop too.
async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|&stop| stop).await;
}

/// How long a notice stays: long enough to be read twice.
const NOTICE_SECONDS: u32 = 5;

/// What there is to tell while there is no host.
const NOBODY: &str = "looking for a host ...";
