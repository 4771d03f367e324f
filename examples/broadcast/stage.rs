//! What runs: the server, the publisher and the viewers, as far as they are here.

use std::future::pending;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline::capture::H264File;
use paceline::playout::terminal::sanitize;
use paceline::types::WallClock;
use paceline::{BroadcastConfig, Publisher, PublisherEvent, PublisherStats};
use paceline_signaling::{RoomsConfig, Server, ServerConfig};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::args::{Args, Mode};
use crate::audience::{Audience, Change, Invitation};
use crate::broadcast::Failure;
use crate::holdings::Holdings;
use crate::lan;
use crate::report::{Latency, Open, Report, Stalled, round};
use crate::screen::Row;
use crate::system;
use crate::tally;
use crate::terminal::Terminal;
use crate::viewer::{Order, State};

/// What a turn came to.
pub(crate) enum Turn {
    Draw,
    Go,
    Over,
}

/// Everything that runs.
pub(crate) struct Stage {
    args: Args,
    wall: WallClock,
    server: Option<Server>,
    publisher: Option<Publisher>,
    audience: Audience,
    /// What went wrong last.
    notice: String,
    /// The number of the next message or picture.
    next: u64,
    ticks: Interval,
    churn: Option<Interval>,
    samples: Interval,
    sampled: u64,
    stats: PublisherStats,
    began: Instant,
    started: Option<Instant>,
    held: usize,
}

impl Stage {
    pub(crate) async fn open(args: Args) -> Result<Self, Failure> {
        let began = system::now();
        if let Some(file) = &args.media {
            // A file that is of no use is told before anybody joins.
            H264File::open(file, FRAME_RATE)?;
        }
        let (mut server, mut publisher) = (None, None);
        let config = BroadcastConfig::default().join_timeout(PATIENCE);
        let (url, bind) = match &args.mode {
            Mode::View(url) => (url.clone(), lan::towards(url)?),
            Mode::All | Mode::Host => {
                // Who comes may be there before who goes is not.
                let places = (args.viewers + SPARE).min(127);
                let rooms = RoomsConfig::default().max_members(places + 1);
                let rooms = rooms.announce_timeout(PATIENCE);
                let listening =
                    lan::listen_with(args.listen, ServerConfig::default().rooms(rooms)).await?;
                let urls = lan::urls(&listening, ROOM);
                if args.mode == Mode::Host {
                    urls.iter().for_each(|url| eprintln!("viewers: broadcast --view {url}"));
                    lan::warning(listening.local_addr())
                        .iter()
                        .for_each(|line| eprintln!("{line}"));
                }
                let config = config.clone().max_peers(places).bind(args.listen.ip());
                let builder = Publisher::builder(&urls[0]).name("publisher").config(config);
                server = Some(listening);
                publisher = Some(builder.start().await?);
                (urls[0].clone(), args.listen.ip())
            }
        };
        let wall = publisher.as_ref().map_or_else(system::wall_clock, Publisher::wall_clock);
        let invitation = Invitation { url, config: config.bind(bind), wall };
        let (publishes, keyed) = (args.mode == Mode::All, args.media.is_some());
        let mut audience = Audience::new(invitation, args.stall, publishes, keyed);
        if args.mode != Mode::Host {
            (0..args.viewers).for_each(|_| audience.seat(true));
        }
        Ok(Self {
            wall,
            server,
            publisher,
            audience,
            notice: String::new(),
            next: 0,
            ticks: every(Duration::from_secs(1) / args.rate),
            churn: (args.churn > 0).then(|| every(Duration::from_secs(1) / args.churn)),
            samples: every(SAMPLE),
            sampled: 0,
            stats: PublisherStats::default(),
            began,
            started: None,
            held: 0,
            args,
        })
    }

    /// Waits for what happens next, and does what it asks for.
    pub(crate) async fn turn(&mut self) -> Result<Turn, Failure> {
        let runs = self.started.is_some();
        let sends = runs && self.args.media.is_none() && self.publisher.is_some();
        let over = self.started.map(|at| at + self.args.duration);
        let stalls = self.args.stall > 0 && !self.audience.has_stalled();
        let stall = self.started.filter(|_| stalls).map(|at| at + STALL_AFTER);
        tokio::select! {
            _ = self.ticks.tick(), if sends => self.send().await?,
            change = self.audience.next() => return self.handle_change(change),
            event = heard(&mut self.publisher) => match event {
                Some(event) => self.handle_event(event),
                None => return Err("the broadcast is over: the signalling server is gone".into()),
            },
            () = until(stall) => self.audience.stall(),
            () = until(over) => return Ok(Turn::Over),
            _ = churned(&mut self.churn), if runs => {
                self.audience.come_or_go(self.args.viewers, self.next);
            }
            _ = self.samples.tick() => {
                self.sample().await;
                self.begin_if_ready().await?;
                return Ok(Turn::Draw);
            }
        }
        Ok(Turn::Go)
    }

    async fn send(&mut self) -> Result<(), Failure> {
        let Some(publisher) = &self.publisher else { return Ok(()) };
        let mut message = vec![0x5a; self.args.bytes];
        tally::stamp(&mut message, self.next, self.wall.at(system::now()));
        publisher.send(CHANNEL, Bytes::from(message)).await?;
        self.next += 1;
        Ok(())
    }

    fn handle_change(&mut self, change: Change) -> Result<Turn, Failure> {
        match change {
            Change::Joined(joined) => {
                if let Some(text) = self.audience.handle_joined(joined) {
                    self.tell(text);
                }
                Ok(Turn::Go)
            }
            Change::Done(done) => {
                if !self.audience.handle_done(done, self.next)? {
                    return Ok(Turn::Go);
                }
                match self.audience.failure.take().filter(|_| self.started.is_none()) {
                    Some(failure) => Err(failure.into()),
                    None => Ok(Turn::Over),
                }
            }
        }
    }

    fn handle_event(&mut self, event: PublisherEvent) {
        match event {
            PublisherEvent::ViewerReady { peer, .. } => self.audience.handle_ready(peer, self.next),
            PublisherEvent::ViewerGone { peer, .. } => self.audience.handle_gone(peer),
            PublisherEvent::Warning(text) => self.tell(sanitize(&text, 240)),
            _ => {}
        }
    }

    /// Sending starts when everybody who could join is there, at both ends.
    async fn begin_if_ready(&mut self) -> Result<(), Failure> {
        let is_ready = match self.args.mode {
            Mode::Host => self.audience.came > 0,
            Mode::All | Mode::View(_) => self.audience.is_ready(),
        };
        if self.started.is_some() || !is_ready {
            return Ok(());
        }
        if self.args.mode != Mode::Host && self.audience.there() == 0 {
            return Err(self.audience.failure.clone().unwrap_or_default().into());
        }
        if let (Some(file), Some(publisher)) = (&self.args.media, &mut self.publisher) {
            publisher.start_encoded(file, FRAME_RATE).await?;
        }
        self.started = Some(system::now());
        self.ticks.reset_immediately();
        if let Some(churn) = &mut self.churn {
            churn.reset();
        }
        Ok(())
    }

    async fn sample(&mut self) {
        self.sampled += 1;
        if let Some(publisher) = &self.publisher {
            self.stats = publisher.stats().await;
            if self.started.is_some() {
                self.audience.forget_others(&self.stats);
            }
        }
        if self.args.media.is_some() {
            self.next = self.stats.pictures;
        }
        self.held = self.held.max(self.audience.held(&self.stats));
        if self.sampled.is_multiple_of(10) && !self.is_drawn() {
            eprintln!("{}", self.title());
        }
    }

    fn is_drawn(&self) -> bool {
        !self.args.json && Terminal::available()
    }

    fn tell(&mut self, text: String) {
        if !self.is_drawn() {
            eprintln!("{text}");
        }
        self.notice = text;
    }

    pub(crate) fn notice(&self) -> &str {
        &self.notice
    }

    /// How it stands, in a line.
    pub(crate) fn title(&self) -> String {
        let audience = &self.audience;
        let seconds = system::now().duration_since(self.started.unwrap_or(self.began)).as_secs();
        let what = if self.started.is_some() { "sending" } else { "joining" };
        let there = match self.args.mode {
            Mode::Host => format!("{} connected", self.stats.viewers.len()),
            _ => format!(
                "{} watching, {} stalled, {} joining, {} failed",
                audience.count(State::Watching),
                audience.count(State::Stalled),
                audience.count(State::Joining),
                audience.failed
            ),
        };
        let (sent, delivered) = (self.next, audience.delivered());
        format!("{seconds:>4} s  {what}: {there}; {sent} sent, {delivered} delivered")
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        self.audience.rows(&self.stats)
    }

    /// Ends it all in good order, and says what it came to. What is on its way is waited for
    /// until `hurry` is done.
    pub(crate) async fn close(
        mut self,
        before: Holdings,
        hurry: impl Future<Output = ()>,
    ) -> Result<Report, Failure> {
        if let Some(publisher) = &mut self.publisher {
            publisher.stop_video().await;
            if self.args.media.is_some() {
                self.next = publisher.stats().await.pictures;
            }
        }
        let order = match (&self.publisher, self.started) {
            (Some(_), Some(_)) => Order::Finish { end: self.next },
            _ => Order::Leave,
        };
        self.audience.close(order, self.next, hurry).await?;
        if let Some(publisher) = self.publisher.take() {
            publisher.leave().await;
        }
        if let Some(server) = self.server.take() {
            server.shutdown().await;
        }
        let left = Holdings::more_than(before).await;
        Ok(self.report(left))
    }

    fn report(&self, left: Holdings) -> Report {
        let Audience { open, open_all, failed, totals, .. } = &self.audience;
        let watched = self.args.mode != Mode::Host;
        let published = !matches!(self.args.mode, Mode::View(_));
        let ms = |figure: Option<f64>| figure.map(round);
        let (all, shift) = (totals.latencies(), totals.shift());
        Report {
            viewers: if watched { self.args.viewers } else { self.audience.came },
            open_ms: Open {
                p50: ms(open.percentile(0.5)),
                p99: ms(open.percentile(0.99)),
                all: ms(open_all.map(|all| all.as_secs_f64() * 1e3)),
            },
            failed: *failed,
            delivered: watched.then_some(totals.delivered),
            expected: watched.then_some(totals.expected),
            lost: watched.then_some(totals.expected.saturating_sub(totals.delivered)),
            reordered: watched.then_some(totals.reordered),
            latency_ms: Latency { p50: ms(all.percentile(0.5)), p99: ms(all.percentile(0.99)) },
            healthy_p99_shift_ms: ms(shift.filter(|_| self.args.stall > 0)),
            stalled: Stalled {
                count: self.args.stall,
                held_bytes_max: published.then_some(self.held),
                evicted: published.then_some(self.audience.evicted),
            },
            cpu_seconds: system::cpu_seconds(),
            peak_rss_bytes: system::peak_rss_bytes(),
            tasks_after_close: left.tasks,
            fds_after_close: left.fds,
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn heard(publisher: &mut Option<Publisher>) -> Option<PublisherEvent> {
    match publisher {
        Some(publisher) => publisher.next().await,
        None => pending().await,
    }
}

async fn churned(churn: &mut Option<Interval>) {
    match churn {
        Some(churn) => drop(churn.tick().await),
        None => pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => pending().await,
    }
}

/// The one kind of message that is sent.
const CHANNEL: u16 = 1;

/// What the bundled clips run at.
const FRAME_RATE: f64 = 25.0;

/// How long joining may take: the most that a broadcast allows. A hundred at once on a
/// busy machine take their time.
const PATIENCE: Duration = Duration::from_secs(60);

/// The room of the embedded server.
const ROOM: &str = "stage";

/// How often the publisher is asked how its viewers are, and a screen is drawn.
const SAMPLE: Duration = Duration::from_millis(100);

/// Places for viewers that come while others have not quite gone.
const SPARE: usize = 8;

/// When viewers stall, after the start.
const STALL_AFTER: Duration = Duration::from_secs(1);
