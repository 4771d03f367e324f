//! The machine of one member.

mod candidacy;
mod follow;
mod handover;
mod host;
mod mutant;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use paceline_framing::{Control, Lease, NatState, NetworkQuality, Role, Roster};
use paceline_types::{Epoch, MediaTime, SenderId, StreamId};
use tracing::{debug, info};

use self::candidacy::Candidacy;
use self::follow::Window;
use self::handover::Retiring;
use self::host::Hosting;
#[cfg_attr(not(feature = "__mutants"), expect(unreachable_pub, reason = "tests alone see it"))]
pub use self::mutant::Mutant;
use crate::io::{
    Admission, Candidate, Event, Identity, MigrationStats, MixerState, Output, Reason, StageOrder,
    Verdict, Welcome, WitnessReply, WitnessRequest,
};
use crate::judge::{Judge, JudgeConfig};
use crate::{Electorate, MigrationConfig, Voter};

/// Who is at the front, as one member knows it.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_control`](Self::handle_control), [`handle_witness`](Self::handle_witness), [`handle_member_joined`](Self::handle_member_joined) and the like, [`handle_timeout`](Self::handle_timeout) |
/// | our stage | [`handle_mixer`](Self::handle_mixer), [`handle_stage_ready`](Self::handle_stage_ready) |
/// | commands | [`hand_over`](Self::hand_over), [`resign`](Self::resign), [`set_may_host`](Self::set_may_host) |
/// | media | [`admit`](Self::admit), [`may_send`](Self::may_send) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use paceline_migration::types::{Epoch, PeerId, SenderId};
/// use paceline_migration::{
///     Identity, Migration, MigrationConfig, Output, Role, Welcome, WitnessReply, WitnessRequest,
/// };
///
/// let now = Instant::now();
/// let (sender, peer) = (SenderId::new(1), PeerId::from_bytes([1; 16]));
/// let identity = Identity { session: [7; 16], sender, peer, may_host: true };
/// // The first in a room is made its host by the witness …
/// let welcome = Welcome { epoch: Epoch::new(1, 0), host: Some(sender), genesis: true };
/// let mut ann = Migration::new(now, identity, welcome, MigrationConfig::default(), 1);
/// assert_eq!(ann.role(), Role::Host);
///
/// // … and is so for as long as the witness hears of it.
/// ann.handle_timeout(now);
/// while let Some(output) = ann.poll_output() {
///     if let Output::Witness(WitnessRequest::Lease { lease, .. }) = output {
///         ann.handle_witness(now, WitnessReply::Lease { lease, granted: true });
///     }
/// }
/// ann.handle_timeout(now + Duration::from_secs(1));
/// assert_eq!(ann.role(), Role::Member);
/// ```
#[derive(Debug)]
pub struct Migration {
    identity: Identity,
    config: MigrationConfig,
    random: u64,
    voter: Voter,
    roster: Option<Roster>,
    electorate: Electorate,
    members: BTreeMap<SenderId, Known>,
    judge: Judge,
    /// When there is something to decide.
    judge_at: Option<Instant>,
    /// Who may follow the host, the best placed first.
    ranking: Vec<SenderId>,
    /// Under which epoch somebody hosts, or hosted last, as far as it is proven.
    fence: Epoch,
    host: Option<SenderId>,
    /// When the lease was last renewed here.
    heard: Option<Instant>,
    suspected: Option<Instant>,
    /// When we become a candidate if nothing changes.
    stand_at: Option<Instant>,
    /// The newest epoch that we asked votes for: an answer does not say to which of two
    /// requests it is, so no two are under one.
    asked: Epoch,
    /// We hosted last, as far as we know.
    deposed: bool,
    /// Somebody who is ahead of us wanted to host since we doubt, or tried ourselves.
    yielded: bool,
    /// An epoch that a voter of ours promised to another, later than we asked for.
    later: Option<Epoch>,
    /// Elections of ours that came to nothing since somebody hosted.
    failures: u32,
    /// Who hosts by the word of the witness, if that is news.
    hint: Option<(SenderId, Epoch)>,
    state: State,
    /// In which the host of before is heard too.
    window: Option<Window>,
    /// We hosted until a moment ago, and our last frames are on their way.
    retiring: Option<Retiring>,
    /// Who prepares for a handover, if it is not us, and until when it may take.
    duplicate: Option<(Option<SenderId>, Instant)>,
    /// Requests that are answered when the lease of the host before has run out.
    deferred: BTreeMap<SenderId, paceline_framing::VoteRequest>,
    mixer: Option<(Instant, MixerState)>,
    /// What our stage was told last.
    stage: StageOrder,
    /// What the owner was told last.
    told: (Role, Epoch, Option<SenderId>),
    successors: Vec<SenderId>,
    /// Whom everybody is to be connected to, as the owner was told last.
    told_successors: Vec<SenderId>,
    /// Nobody has hosted for so long that all who vote are to reach each other.
    scattered: bool,
    outputs: VecDeque<Output>,
    stats: MigrationStats,
}

#[derive(Debug)]
enum State {
    Candidate(Candidacy),
    Follower,
    Host(Box<Hosting>),
}

/// What we know of somebody else in the room.
#[derive(Debug)]
struct Known {
    candidate: Candidate,
    connected: bool,
    rtt: Option<Rtt>,
}

/// A round trip as RFC 6298 §2 smooths it.
#[derive(Clone, Copy, Debug)]
struct Rtt {
    smoothed: Duration,
    variation: Duration,
}

impl Migration {
    /// A member who has just been let into the room. `seed` decides every random number.
    ///
    /// # Panics
    ///
    /// If the settings do not fit each other; [`MigrationConfig::validate`] says so without.
    #[must_use]
    pub fn new(
        now: Instant,
        identity: Identity,
        welcome: Welcome,
        config: MigrationConfig,
        seed: u64,
    ) -> Self {
        if let Err(error) = config.validate() {
            panic!("settings of migration: {error}");
        }
        let Welcome { epoch, host, genesis } = welcome;
        let mut this = Self {
            identity,
            random: seed,
            voter: Voter::promised_to(epoch, host),
            roster: None,
            electorate: Electorate::genesis(),
            members: BTreeMap::new(),
            judge: Judge::new(JudgeConfig::default()),
            judge_at: None,
            ranking: Vec::new(),
            fence: epoch,
            host: None,
            heard: None,
            suspected: None,
            stand_at: None,
            asked: Epoch::default(),
            deposed: false,
            yielded: false,
            later: None,
            failures: 0,
            hint: None,
            state: State::Follower,
            window: None,
            retiring: None,
            duplicate: None,
            deferred: BTreeMap::new(),
            mixer: None,
            stage: StageOrder::Idle,
            told: (Role::Member, Epoch::default(), None),
            successors: Vec::new(),
            told_successors: Vec::new(),
            scattered: false,
            outputs: VecDeque::new(),
            stats: MigrationStats::default(),
            config,
        };
        let _ = this.judge.handle_member(now, this.ourselves());
        if !genesis {
            // Who votes is in the roster, which the host tells.
            this.electorate.witness = false;
        }
        match host {
            Some(host) if host == identity.sender => this.become_host(now, epoch, None, None),
            Some(host) => {
                // The host is given the time that a renewal takes to come.
                let _ = this.voter.take_lease(now, epoch, host, this.config.lease);
                this.host = Some(host);
                this.heard = Some(now);
            }
            None => {
                this.suspected = Some(now);
                this.schedule(now);
            }
        }
        this.tell_role();
        this
    }

    fn ourselves(&self) -> Candidate {
        let Identity { sender, peer, may_host, .. } = self.identity;
        Candidate { sender, peer, may_host, nat: None }
    }

    /// Takes in that somebody is in the room. Who is one too many for
    /// [`max_members`](MigrationConfig::max_members) is not known here.
    pub fn handle_member_joined(&mut self, now: Instant, member: Candidate) {
        let is_new = !self.members.contains_key(&member.sender);
        let is_full = is_new && self.members.len() + 1 >= self.config.max_members;
        if member.sender == self.identity.sender || is_full {
            return;
        }
        let _ = self.judge.handle_member(now, member);
        self.rank_anew(now);
        let new = Known { candidate: member, connected: false, rtt: None };
        self.members.entry(member.sender).or_insert(new).candidate = member;
    }

    /// Takes in that somebody left the room, as the witness says.
    pub fn handle_member_left(&mut self, now: Instant, member: SenderId) {
        self.members.remove(&member);
        self.deferred.remove(&member);
        self.judge.handle_left(now, member);
        self.rank_anew(now);
        if let State::Host(hosting) = &mut self.state {
            hosting.forget(member);
        }
        self.lose_follower(now, member);
        self.lose(now, member, false);
        self.step_roster(now);
    }

    /// Takes in that there is a connection to somebody.
    pub fn handle_connected(&mut self, now: Instant, member: SenderId) {
        let Some(known) = self.members.get_mut(&member) else { return };
        known.connected = true;
        self.greet(now, member);
        if let State::Candidate(candidacy) = &mut self.state {
            candidacy.ask_again(now);
        }
    }

    /// Takes in that there is none any more. `bye`: he said so himself.
    pub fn handle_gone(&mut self, now: Instant, member: SenderId, bye: bool) {
        if let Some(known) = self.members.get_mut(&member) {
            (known.connected, known.rtt) = (false, None);
        }
        if let State::Host(hosting) = &mut self.state {
            hosting.forget(member);
        }
        self.lose_follower(now, member);
        self.lose(now, member, bye);
        self.step_roster(now);
    }

    /// Takes in a round trip to somebody.
    pub fn handle_rtt(&mut self, _now: Instant, member: SenderId, rtt: Duration) {
        let Some(known) = self.members.get_mut(&member) else { return };
        let rtt = rtt.min(MAX_RTT);
        known.rtt = Some(match known.rtt {
            None => Rtt { smoothed: rtt, variation: rtt / 2 },
            Some(Rtt { smoothed, variation }) => Rtt {
                smoothed: (smoothed * 7 + rtt) / 8,
                variation: (variation * 3 + smoothed.abs_diff(rtt)) / 4,
            },
        });
    }

    /// Takes in a control packet that came over the channel of `from`, with the epoch of its
    /// header. What nobody may send is counted and changes nothing.
    pub fn handle_control(
        &mut self,
        now: Instant,
        from: SenderId,
        epoch: Option<Epoch>,
        control: &Control,
    ) -> Verdict {
        let verdict = if self.members.contains_key(&from) {
            self.take_control(now, from, epoch, control)
        } else {
            Verdict::WrongRole
        };
        match verdict {
            Verdict::Stale => self.stats.stale += 1,
            Verdict::WrongRole => self.stats.wrong_role += 1,
            _ => {}
        }
        verdict
    }

    fn take_control(
        &mut self,
        now: Instant,
        from: SenderId,
        epoch: Option<Epoch>,
        control: &Control,
    ) -> Verdict {
        match control {
            Control::Lease(lease) => self.handle_lease(now, from, lease),
            Control::VoteRequest(request) => self.handle_vote_request(now, from, request),
            Control::Vote(vote) => self.handle_vote(now, from, vote),
            Control::Roster(roster) => match self.fenced(from, epoch) {
                Verdict::Taken => self.handle_roster(now, roster),
                verdict => verdict,
            },
            Control::Prepare(prepare) => match self.fenced(from, epoch) {
                Verdict::Taken => self.handle_prepare(now, prepare),
                verdict => verdict,
            },
            Control::Migrate(migrate) => match self.fenced(from, epoch) {
                Verdict::Taken => self.handle_migrate(now, from, migrate),
                verdict => verdict,
            },
            Control::Abort { epoch: of, .. } => match self.fenced(from, epoch) {
                Verdict::Taken => self.handle_abort(now, *of),
                verdict => verdict,
            },
            Control::Retire { epoch } => self.handle_retire(from, *epoch),
            Control::Ready(ready) => self.handle_ready(now, from, ready),
            Control::NatState(state) => {
                if let Some(known) = self.members.get_mut(&from) {
                    known.candidate.nat = Some(*state);
                    let _ = self.judge.handle_member(now, known.candidate);
                    self.rank_anew(now);
                }
                Verdict::Taken
            }
            Control::NetworkQuality(quality) => {
                self.judge.handle_quality(now, from, quality);
                self.rank_anew(now);
                Verdict::Taken
            }
            _ => Verdict::NotOurs,
        }
    }

    /// The one place where epochs of control packets are compared: whether the host says it,
    /// under his epoch.
    fn fenced(&self, from: SenderId, epoch: Option<Epoch>) -> Verdict {
        match epoch {
            Some(epoch) if epoch < self.fence => Verdict::Stale,
            Some(epoch) if epoch == self.fence && self.host == Some(from) => Verdict::Taken,
            Some(epoch) if epoch > self.fence => Verdict::Early,
            _ => Verdict::WrongRole,
        }
    }

    /// Takes in what the witness answers.
    pub fn handle_witness(&mut self, now: Instant, reply: WitnessReply) {
        match reply {
            WitnessReply::Lease { lease, granted } => {
                if let Some(retiring) = self.retiring.as_mut().filter(|_| granted) {
                    retiring.hosting.note_echo(None, &lease);
                    self.validate();
                }
                if granted {
                    self.handle_echo(now, None, &lease);
                }
            }
            WitnessReply::Vote(vote) => {
                self.handle_vote_again(now, None, &vote);
                self.count_vote(now, None, &vote);
            }
        }
    }

    /// Takes in who hosts by the word of the witness. Only who knows of no host that is
    /// alive goes by it, and a voter only when he could vote.
    pub fn handle_hint(&mut self, now: Instant, host: Option<SenderId>, epoch: Epoch) {
        self.hint = host.map(|host| (host, epoch));
        self.take_hint(now);
    }

    fn take_hint(&mut self, now: Instant) {
        let Some((host, epoch)) = self.hint else { return };
        if epoch <= self.fence || host == self.identity.sender {
            self.hint = None;
            return;
        }
        let votes = self.electorate.members.contains(&self.identity.sender);
        let lost = self.host.is_none() || self.suspected.is_some();
        let may = !votes || lost && self.voter.would_vote(now, epoch, host, self.voter.roster());
        if may
            && !matches!(self.state, State::Host(_))
            && self.voter.take_lease(now, epoch, host, self.config.lease)
        {
            self.hint = None;
            self.follow(now, epoch, host, None);
        } else if lost && self.voter.held_until().is_none_or(|until| until <= now) {
            // Nothing that is waited for would change our mind.
            self.hint = None;
        }
    }

    /// Takes in what we measured ourselves, every 30 s or so.
    pub fn handle_quality(&mut self, now: Instant, quality: &NetworkQuality) {
        self.judge.handle_quality(now, self.identity.sender, quality);
        self.rank_anew(now);
    }

    /// Takes in what we know of our own place in the network.
    pub fn handle_nat_state(&mut self, now: Instant, state: NatState) {
        let ourselves = Candidate { nat: Some(state), ..self.ourselves() };
        let _ = self.judge.handle_member(now, ourselves);
        self.rank_anew(now);
    }

    /// Takes in how our stage stands: as the host after each frame or so.
    pub fn handle_mixer(&mut self, now: Instant, state: MixerState) {
        self.mixer = Some((now, state));
    }

    /// Gives the lease up, if we host: somebody is elected at once.
    pub fn resign(&mut self, now: Instant) {
        if let State::Host(hosting) = &self.state {
            let lease = Lease { length: 0, ..hosting.lease(self.voter.roster()) };
            let epoch = hosting.epoch;
            self.outputs.push_back(Output::Witness(WitnessRequest::Lease {
                lease,
                electors: self.electorate.members.iter().copied().collect(),
            }));
            self.broadcast(epoch, &Control::Lease(lease));
            self.stop_hosting(now);
            self.stand_at = None;
        }
    }

    /// Says whether we may host from now on. Who hosts and may not any more hands over, or
    /// resigns if there is nobody to hand over to.
    pub fn set_may_host(&mut self, now: Instant, may_host: bool) {
        self.identity.may_host = may_host;
        let _ = self.judge.handle_member(now, self.ourselves());
        self.rank_anew(now);
        if let State::Host(hosting) = &self.state
            && !may_host
            && hosting.handover.is_none()
            && !self.hand_over(now)
        {
            self.resign(now);
        }
        let is_lost = self.host.is_none() || self.suspected.is_some();
        if may_host && is_lost {
            self.schedule(now);
        }
        if !may_host {
            self.stand_at = None;
            if let State::Candidate(_) = self.state {
                self.state = State::Follower;
            }
        }
    }

    /// Lets time pass. Calling it early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.hosting_timeout(now);
        self.handover_timeout(now);
        self.answer_deferred(now);
        self.following_timeout(now);
        self.take_hint(now);
        self.candidacy_timeout(now);
        self.update_stage();
    }

    /// The one place where epochs of media are compared: whether a frame of the mix, or what
    /// tells of it, may be rendered.
    pub fn admit(
        &mut self,
        now: Instant,
        from: SenderId,
        epoch: Epoch,
        stream: StreamId,
        time: MediaTime,
    ) -> Admission {
        if self.mutant(Mutant::NoFence) {
            return Admission::Accepted;
        }
        if epoch > self.fence {
            return Admission::Early;
        }
        if epoch == self.fence && self.host == Some(from) {
            return Admission::Accepted;
        }
        let heard = self.window.as_ref().is_some_and(|window| {
            window.has(now, from, epoch, stream, time, self.config.crossfade)
        });
        if heard {
            return Admission::Accepted;
        }
        if epoch < self.fence {
            self.stats.stale += 1;
            return Admission::Stale;
        }
        self.stats.wrong_role += 1;
        Admission::WrongRole
    }

    /// Takes what is to be done, in order.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let deferred = (!self.deferred.is_empty()).then(|| self.voter.held_until()).flatten();
        [
            self.next_hosting(),
            self.next_handover(),
            deferred.map(|at| (at, Reason::Lease)),
            self.next_following(),
            self.next_candidacy(),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|&(at, _)| at)
    }

    /// What we are.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.state {
            State::Host(_) => Role::Host,
            _ if self.standby() == Some(self.identity.sender) => Role::Standby,
            _ => Role::Member,
        }
    }

    /// The newest epoch of which we know the host, or knew it.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.fence
    }

    /// Who hosts, as far as we know.
    #[must_use]
    pub const fn host(&self) -> Option<SenderId> {
        self.host
    }

    /// Who is ready to follow him, by the newest roster.
    #[must_use]
    pub fn standby(&self) -> Option<SenderId> {
        self.successors.first().copied()
    }

    /// The newest roster, if there is one.
    #[must_use]
    pub const fn roster(&self) -> Option<&Roster> {
        self.roster.as_ref()
    }

    /// Counts since the machine was made.
    #[must_use]
    pub const fn stats(&self) -> MigrationStats {
        self.stats
    }

    /// What was measured or who is there has changed.
    fn rank_anew(&mut self, now: Instant) {
        self.ranking = self.judge.ranking(now);
        self.judge_at = self.judge.poll_timeout();
    }

    fn is_connected(&self, member: SenderId) -> bool {
        self.members.get(&member).is_some_and(|known| known.connected)
    }

    fn send(&mut self, to: SenderId, epoch: Epoch, control: Control) {
        self.outputs.push_back(Output::Send { to, epoch, control });
    }

    /// To everybody there is a connection to.
    fn broadcast(&mut self, epoch: Epoch, control: &Control) {
        let connected = self.members.iter().filter(|(_, known)| known.connected);
        let to = Vec::from_iter(connected.map(|(&to, _)| to));
        for to in to {
            self.send(to, epoch, control.clone());
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Says what we are, if that is news.
    fn tell_role(&mut self) {
        let (role, epoch, host) = (self.role(), self.fence, self.host);
        if self.told != (role, epoch, host) {
            info!(?role, %epoch, ?host, "who is at the front");
            self.told = (role, epoch, host);
            self.outputs.push_back(Output::Role { role, epoch, host });
        }
    }

    /// Tells our stage what to do, if it does something else.
    fn order(&mut self, order: StageOrder) {
        if self.stage != order {
            debug!(?order, "the stage has to change");
            self.stage = order.clone();
            self.outputs.push_back(Output::Stage(order));
        }
    }

    /// What a stage does that neither hosts nor hands over.
    fn update_stage(&mut self) {
        if matches!(self.state, State::Host(_)) || self.retiring.is_some() {
            return;
        }
        let prepares = matches!(self.stage, StageOrder::Prepare { .. });
        match self.role() {
            Role::Standby if prepares && self.duplicate.is_some() => {}
            Role::Standby if self.identity.may_host => self.order(StageOrder::Follow),
            // Nobody hosts: what we mix in the dark is all that there will be.
            _ if self.host.is_none() && self.stage != StageOrder::Idle => {}
            _ => self.order(StageOrder::Idle),
        }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): candidates must not keep step.
    fn random(&mut self, below: Duration) -> Duration {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let micros = u64::try_from(below.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros((z ^ (z >> 31)) % micros)
    }
}

/// Longer round trips are as good as none: no lease outlives them.
const MAX_RTT: Duration = Duration::from_secs(10);
