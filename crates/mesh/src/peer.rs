//! One peer: its connection's life, its queue, its heartbeat.

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::{Class, Cut, Interleaver, Reassembler, Role, Verdict};
use paceline_types::{Bitrate, Carrier, ConnectionState, SenderId};

use crate::reconnect::Recovery;
use crate::rtp::{Early, Link};
use crate::supervisor::Joining;
use crate::{
    Credit, GoneReason, MeshConfig, Meter, Negotiator, Pacer, PeerStats, Phase, QualityMeter,
    Reason, credit_cost,
};

/// Where we are with a peer.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Lost, or not come about. The caller makes it again at this time, the callee
    /// waits for that until then.
    Broken { until: Option<Instant> },
    /// Nobody has called yet.
    Expected,
    /// It is being made.
    Joining(Joining),
    /// Both ends have said hello.
    Up,
    /// It is to be made, and others are before it; the other end's offer, if it was his.
    Waiting { ticket: u64, offer: Option<String> },
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) sender: SenderId,
    /// We were told to call him.
    pub(crate) called: bool,
    /// He has called us.
    pub(crate) calls: bool,
    pub(crate) stage: Stage,
    pub(crate) negotiator: Negotiator,
    pub(crate) role: Role,
    pub(crate) max_message: usize,
    pub(crate) max_packet: usize,
    /// He speaks versions of the format that we do not.
    pub(crate) newer: bool,
    pub(crate) open: bool,
    pub(crate) queue: Interleaver,
    pub(crate) reassembler: Reassembler,
    pub(crate) outstanding: usize,
    /// He has had no keyframe yet: what builds on one is of no use to him.
    awaits_key: bool,
    /// How much may be in flight to him.
    pub(crate) pacer: Pacer,
    /// How much of an application's data he still takes, and we of his.
    pub(crate) credit: Credit,
    pub(crate) meter: Meter,
    /// When sound or a picture was last queued.
    last_media: Option<Instant>,
    /// Only credit keeps what waits from going.
    uncredited: bool,
    /// If both ends have said that they carry it.
    pub(crate) rtp: Option<Box<Link>>,
    /// What the transport said last of what the path takes.
    pub(crate) target: Option<Bitrate>,
    /// It has said another than at first, which is what it begins with: so it has measured.
    is_measured: bool,
    pub(crate) early: Early,
    /// While he is connected.
    pub(crate) quality: Option<Box<QualityMeter>>,
    pub(crate) attempts: u32,
    /// Since when he has been connected.
    pub(crate) up_since: Option<Instant>,
    pub(crate) next_ping: Option<Instant>,
    pub(crate) heard: Option<Instant>,
    /// Since when nothing that is outstanding was confirmed.
    pub(crate) stalled: Option<Instant>,
    /// It was the engine that we heard, not he.
    pub(crate) vouched: bool,
    /// A path is being looked for.
    pub(crate) recovery: Option<Recovery>,
    /// The engine says that the path works.
    pub(crate) path_up: bool,
    /// When our offer to restart is taken back.
    pub(crate) answer_by: Option<Instant>,
    /// What the mesh has this peer down for.
    pub(crate) scheduled: Option<Instant>,
    pub(crate) stats: PeerStats,
}

impl Peer {
    pub(crate) fn new(
        sender: SenderId,
        called: bool,
        negotiator: Negotiator,
        config: &MeshConfig,
    ) -> Self {
        Self {
            sender,
            called,
            calls: false,
            stage: Stage::Expected,
            negotiator,
            role: Role::Member,
            max_message: config.max_message,
            max_packet: config.reassembly.max_packet_bytes(),
            newer: false,
            open: false,
            queue: Interleaver::new(config.interleaver.clone()),
            reassembler: Reassembler::new(config.reassembly.clone()),
            outstanding: 0,
            awaits_key: true,
            pacer: Pacer::new(config.pacer.clone()),
            credit: Credit::new(Meter::INITIAL),
            meter: Meter::new(Meter::INITIAL),
            last_media: None,
            uncredited: false,
            rtp: None,
            target: None,
            is_measured: false,
            early: Early::default(),
            quality: None,
            attempts: 0,
            up_since: None,
            next_ping: None,
            heard: None,
            stalled: None,
            vouched: false,
            recovery: None,
            path_up: true,
            answer_by: None,
            scheduled: None,
            stats: PeerStats::default(),
        }
    }

    /// Forgets what came and went over the connection there was; the peer itself stays
    /// known.
    pub(crate) fn reset(&mut self, config: &MeshConfig) {
        self.open = false;
        self.stats.shed += left_out(&self.queue);
        self.queue = Interleaver::new(config.interleaver.clone());
        self.max_packet = config.reassembly.max_packet_bytes();
        self.newer = false;
        self.up_since = None;
        self.reassembler = Reassembler::new(config.reassembly.clone());
        self.max_message = config.max_message;
        self.outstanding = 0;
        self.awaits_key = true;
        self.pacer = Pacer::new(config.pacer.clone());
        self.credit = Credit::new(Meter::INITIAL);
        self.meter = Meter::new(Meter::INITIAL);
        self.last_media = None;
        self.uncredited = false;
        if let Some(link) = self.rtp.take() {
            self.stats.rtp = self.stats.rtp.plus(link.stats());
            self.stats.shed += link.stats().shed_frames;
        }
        self.target = None;
        self.is_measured = false;
        self.early = Early::default();
        self.quality = None;
        self.next_ping = None;
        self.heard = None;
        self.stalled = None;
        self.vouched = false;
        self.recovery = None;
        self.path_up = true;
        self.answer_by = None;
    }

    /// Whether both ends have said hello, and neither has given up.
    pub(crate) const fn connected(&self) -> bool {
        matches!(self.stage, Stage::Up)
    }

    pub(crate) const fn joining(&self) -> bool {
        matches!(self.stage, Stage::Joining(_))
    }

    pub(crate) const fn state(&self) -> ConnectionState {
        match &self.stage {
            Stage::Broken { .. } => ConnectionState::Failed,
            Stage::Expected | Stage::Waiting { .. } => ConnectionState::New,
            Stage::Joining(Joining { phase: Phase::Offer, .. }) => ConnectionState::Gathering,
            Stage::Joining(_) => ConnectionState::Connecting,
            Stage::Up if self.recovery.is_some() => ConnectionState::Reconnecting,
            Stage::Up => ConnectionState::Connected,
        }
    }

    /// Whether it is for us to make the connection again. If both were told to, it is
    /// for the impolite one, whose call stands when two meet.
    pub(crate) const fn redials(&self, polite: bool) -> bool {
        self.called && !(polite && self.calls)
    }

    /// Queues a packet, and says whether it is queued; or why he is to be given up, if it
    /// can be neither queued nor left out.
    pub(crate) fn push(&mut self, now: Instant, cut: Cut) -> Result<bool, GoneReason> {
        let (is_video, is_key, class) = (cut.is_video(), cut.is_key(), cut.class());
        if is_video && self.awaits_key && !is_key {
            return Ok(false);
        }
        // What he says is about media; control has a bound that all keep.
        if class != Class::Control && cut.packet_bytes() > self.max_packet {
            self.stats.shed += 1;
            return Ok(false);
        }
        if self.is_cut_off() {
            // Who cannot be reached is not slow: only the bytes count.
            self.queue.restart_deadlines(now);
        }
        if matches!(class, Class::Audio | Class::Video) {
            self.handle_media(now);
        }
        match (self.queue.push(now, cut), class) {
            (Verdict::Queued, _) => self.awaits_key &= !(is_video && is_key),
            (Verdict::Full, Class::Control) => return Err(GoneReason::Overflow),
            (Verdict::Full, Class::Bulk) => return Err(GoneReason::TooSlow),
            // The queue counts it.
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Sound or a picture goes to him.
    pub(crate) const fn handle_media(&mut self, now: Instant) {
        self.last_media = Some(now);
    }

    pub(crate) const fn carrier(&self) -> Carrier {
        if self.rtp.is_some() { Carrier::Rtp } else { Carrier::Channel }
    }

    /// The transport says what the path takes.
    pub(crate) fn handle_target(&mut self, target: Bitrate) {
        self.is_measured |= self.target.is_some_and(|before| before != target);
        self.target = Some(target);
        if let Some(link) = &mut self.rtp {
            link.set_target(target);
        }
    }

    /// What the path takes: where RTP is carried by its congestion control, once that has
    /// measured anything, or else by what was acknowledged.
    pub(crate) fn capacity(&self) -> Option<Bitrate> {
        self.estimate().or_else(|| self.pacer.capacity())
    }

    /// What congestion control has measured.
    fn estimate(&self) -> Option<Bitrate> {
        self.target.filter(|_| self.is_measured && self.rtp.is_some())
    }

    /// Bytes that wait for him.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queue.queued_bytes() + self.rtp.as_ref().map_or(0, |link| link.queued_bytes())
    }

    /// There is no path, or perhaps none.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.recovery.is_some() || !self.path_up
    }

    /// The next message, if it may go. While there is no path it stays here, where it can
    /// still be overtaken or shed.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Bytes> {
        if !self.path_up {
            return None;
        }
        self.queue.set_window(self.pacer.window());
        self.pop_behind(now, self.outstanding)
    }

    /// The next message, whatever is in flight already.
    pub(crate) fn pop_at_once(&mut self, now: Instant) -> Option<Bytes> {
        self.pop_behind(now, 0)
    }

    fn pop_behind(&mut self, now: Instant, outstanding: usize) -> Option<Bytes> {
        if !self.open {
            return None;
        }
        let (credit, uncredited) = (&mut self.credit, &mut self.uncredited);
        *uncredited = false;
        let message = self.queue.pop_admitted(now, outstanding, |cut| {
            let goes = credit.take(credit_cost(cut.data_bytes()));
            *uncredited = !goes;
            goes
        })?;
        self.handle_sent(now, message.len());
        Some(message)
    }

    /// A message goes to the transport.
    pub(crate) fn handle_sent(&mut self, now: Instant, bytes: usize) {
        self.outstanding += bytes;
        self.stalled.get_or_insert(now);
        self.pacer.handle_sent(now, bytes);
        self.stats.sent_bytes += bytes as u64;
    }

    /// What waits is about to go, and some of it will not: that is said before the first
    /// goes, or it would be taken for all there is.
    pub(crate) fn prepare(&mut self, now: Instant) {
        let room = self.pacer.window().saturating_sub(self.outstanding);
        if self.open && self.path_up && !self.uncredited && self.queue.queued_bytes() > room {
            self.pacer.set_waiting(now, true);
        }
    }

    /// All that may go now has gone.
    pub(crate) fn settle(&mut self, now: Instant) {
        let waits = self.open && self.path_up && self.queue.queued_bytes() > 0;
        self.pacer.set_waiting(now, waits && !self.uncredited);
    }

    /// The other end has confirmed so much.
    pub(crate) fn handle_acked(&mut self, now: Instant, bytes: usize) {
        self.outstanding = self.outstanding.saturating_sub(bytes);
        self.stalled = (self.outstanding > 0).then_some(now);
        self.pacer.handle_acked(now, bytes);
    }

    /// When padding may go, while nothing else does: sound behind it would be late, and
    /// pictures are probes enough. What congestion control has measured needs none.
    fn poll_probe_at(&self) -> Option<Instant> {
        let may = self.open && self.path_up && self.queue.queued_bytes() == 0;
        let may = may && self.estimate().is_none();
        let at = self.pacer.poll_timeout().filter(|_| may)?;
        match self.last_media {
            Some(media) => media.checked_add(NO_MEDIA).map(|quiet| at.max(quiet)),
            None => Some(at),
        }
    }

    /// Packets that were not sent.
    pub(crate) fn left_out(&self) -> u64 {
        let rtp = self.rtp.as_ref().map_or(0, |link| link.stats().shed_frames);
        self.stats.shed + left_out(&self.queue) + rtp
    }

    pub(crate) fn stats(&self) -> PeerStats {
        PeerStats {
            state: self.state(),
            queued_bytes: self.queued_bytes(),
            shed: self.left_out(),
            outstanding: self.outstanding,
            window: self.pacer.window(),
            capacity: self.capacity(),
            unread: self.meter.held(),
            carrier: self.carrier(),
            target: self.rtp.as_ref().map(|link| link.target()),
            rtp: self.stats.rtp.plus(self.rtp.as_ref().map(|it| it.stats()).unwrap_or_default()),
            ..self.stats
        }
    }

    /// When something of this peer has to be done, and what.
    pub(crate) fn deadline(&self, config: &MeshConfig) -> Option<(Instant, Reason)> {
        let own = match &self.stage {
            Stage::Expected | Stage::Waiting { .. } => return None,
            Stage::Broken { until } => return until.map(|at| (at, Reason::Redial)),
            Stage::Joining(joining) => joining.deadline(config),
            Stage::Up => self.deadline_up(config),
        };
        let reassembly = self.reassembler.poll_timeout().map(|at| (at, Reason::Reassembly));
        [own, reassembly].into_iter().flatten().min_by_key(|&(at, _)| at)
    }

    fn deadline_up(&self, config: &MeshConfig) -> Option<(Instant, Reason)> {
        let heard = |span| self.heard.and_then(|at| at.checked_add(span));
        let rtp = self.rtp.as_ref().and_then(|link| link.poll_timeout());
        // Who cannot be reached is not slow.
        let (restart, stall, overdue) = match &self.recovery {
            Some(recovery) => (recovery.poll_timeout(), None, None),
            None => (heard(config.restart_after), self.stalled, self.queue.poll_timeout()),
        };
        [
            // First, so that who is gone is not pinged once more.
            heard(config.gone_after).map(|at| (at, Reason::Silence)),
            stall.and_then(|at| at.checked_add(config.stall_timeout)).map(|at| (at, Reason::Stall)),
            overdue.map(|at| (at, Reason::Overdue)),
            self.answer_by.map(|at| (at, Reason::Answer)),
            restart.map(|at| (at, Reason::Restart)),
            self.next_ping.map(|at| (at, Reason::Ping)),
            self.poll_probe_at().map(|at| (at, Reason::Probe)),
            rtp.map(|at| (at, Reason::Rtp)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|&(at, _)| at)
    }
}

/// A path is probed only when no media went for so long. Probes of 32 KiB every 5 s in a
/// simulated call of three over a bad network made the sound that had to be made up ten
/// times as much.
const NO_MEDIA: Duration = Duration::from_secs(2);

/// Packets that a queue left out, whatever for.
const fn left_out(queue: &Interleaver) -> u64 {
    let stats = queue.stats();
    stats.refused_video
        + stats.replaced_data
        + stats.replaced_video
        + stats.shed_audio
        + stats.shed_data
        + stats.shed_video
        + stats.too_large
}
