//! Who hosts a star: what goes into the machine that knows, and what comes out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use paceline_framing::{AbortReason, Body, Control, NatState, Packet, Role};
use paceline_mesh::Recipients;
use paceline_migration::{self as migration, Candidate, Identity, Migration, StageOrder, Welcome};
use paceline_types::{Epoch, PeerId, SenderId, StreamId};
use tracing::info;

use super::early::Early;
use super::{Room, Session};
use crate::SessionConfig;
use crate::event::Event;
use crate::io::{Input, Member, Output, Roster};

/// What only a star has.
#[derive(Debug)]
pub(super) struct Star {
    pub(super) migration: Migration,
    pub(super) early: Early,
    /// Whom the signalling server takes for the host.
    pub(super) hint: Option<PeerId>,
    /// Who may follow the host, the next one first.
    pub(super) successors: Vec<SenderId>,
    /// Who gets our picture besides the host.
    pub(super) picture_also_to: Option<SenderId>,
    /// Who has had a keyframe of it, and can go on.
    pub(super) keyed: BTreeSet<PeerId>,
    /// The epoch of the mix's pictures that went out, since a keyframe, without a gap.
    pub(super) mix_keyed: Option<Epoch>,
    /// Under which epoch each member hosted last, as far as we know.
    hosted: BTreeMap<SenderId, Epoch>,
    /// The host before this one, and until when he gets our media too: his mix goes on up to
    /// the switch.
    pub(super) before: Option<(PeerId, Instant)>,
    /// Whether members send us their sound, and their pictures.
    pub(super) sound: Served,
    pictures: Served,
    /// What the owner was told last.
    told: Option<(Option<PeerId>, Epoch)>,
    /// What he is to be told, if nothing more is known of how it came about.
    unsettled: Option<(Option<PeerId>, Epoch)>,
}

impl Star {
    pub(super) fn new(
        now: Instant,
        us: PeerId,
        roster: &Roster,
        config: &SessionConfig,
        nat: NatState,
    ) -> Self {
        let &Roster { session, sender, epoch, host, may_host, genesis, .. } = roster;
        let others = roster.members.iter().map(|member| (member.peer, member.sender));
        let mut everybody = others.chain([(us, sender)]);
        let hosts = everybody.find(|&(peer, _)| host == Some(peer)).map(|(_, sender)| sender);
        let identity = Identity { session, sender, peer: us, may_host };
        let welcome = Welcome { epoch, host: hosts, genesis };
        // No two sessions have an id in common.
        let id = u128::from_be_bytes(us.to_bytes());
        let seed = (id >> 64) as u64 ^ id as u64;
        let mut migration = Migration::new(now, identity, welcome, config.migration.clone(), seed);
        migration.handle_nat_state(now, nat);
        Self {
            migration,
            early: Early::new(config.early),
            hint: host,
            successors: Vec::new(),
            picture_also_to: None,
            keyed: BTreeSet::new(),
            mix_keyed: None,
            hosted: BTreeMap::new(),
            before: None,
            sound: Served::Never,
            pictures: Served::Never,
            told: None,
            unsettled: None,
        }
    }

    /// There is no connection to somebody any more. `leaves`: he said that he leaves the
    /// room, and so hosts no more; not if he closed it for any other reason, or we did.
    pub(super) fn handle_gone(
        &mut self,
        now: Instant,
        peer: PeerId,
        sender: SenderId,
        leaves: bool,
    ) {
        self.keyed.remove(&peer);
        self.migration.handle_gone(now, sender, leaves);
    }

    /// Under which epoch counts what somebody sends of a mix without saying one, as RTP does
    /// not: the newest under which he hosts, or hosted; `None` if he never did.
    pub(super) fn epoch_of(&self, sender: SenderId) -> Option<Epoch> {
        if self.migration.host() == Some(sender) {
            return Some(self.migration.epoch());
        }
        self.hosted.get(&sender).copied()
    }

    /// Whether somebody who does not host may be about to, so that what he sends of a mix may
    /// have overtaken the word of it. Who hosted before is only if he is the next now: else
    /// it is what he made then.
    pub(super) fn may_follow(&self, peer: PeerId, sender: SenderId) -> bool {
        let is_next = self.migration.standby() == Some(sender);
        let hosted = self.hosted.contains_key(&sender);
        is_next || !hosted && (self.hint == Some(peer) || self.successors.contains(&sender))
    }

    pub(super) fn forget(&mut self, sender: SenderId) {
        self.hosted.remove(&sender);
    }

    /// Whether somebody goes on with our pictures without another keyframe: he hosted up to
    /// now, and has had them all. Who hosted some time ago has forgotten them.
    fn goes_on(&self, now: Instant, peer: PeerId) -> bool {
        let until = now.checked_add(GRACE);
        let hosted = |(before, lasts)| before == peer && Some(lasts) == until;
        self.before.is_some_and(hosted) && self.keyed.contains(&peer)
    }
}

impl Session {
    /// What means something in a star only.
    pub(super) fn handle_for_star(&mut self, now: Instant, room: &mut Room, input: Input) {
        let Some(star) = &mut room.star else { return };
        match input {
            Input::HandOver => {
                // Of one that is under way already it will be told what came of it.
                let is_under_way = star.migration.is_handing_over();
                if !star.migration.hand_over(now) && !is_under_way {
                    self.event(Event::HandoverAborted { reason: AbortReason::Refused });
                }
            }
            Input::MayHost(may_host) => star.migration.set_may_host(now, may_host),
            Input::Mixer(state) => star.migration.handle_mixer(now, state),
            Input::Nat(state) => {
                star.migration.handle_nat_state(now, state);
                room.mesh.broadcast_control(now, Control::NatState(state));
            }
            Input::Resign => star.migration.resign(now),
            Input::StageReady { epoch, missing } => {
                star.migration.handle_stage_ready(now, epoch, missing);
            }
            Input::Witness(reply) => star.migration.handle_witness(now, reply),
            _ => {}
        }
    }

    /// Tells who hosts for the first time.
    pub(super) fn announce(&mut self, now: Instant, room: &mut Room) {
        self.drain(now, room);
        if let Some(star) = &room.star
            && star.told.is_none()
        {
            let (role, epoch) = (star.migration.role(), star.migration.epoch());
            let host = star.migration.host();
            self.handle_role(now, room, role, epoch, host);
            self.settle_host(room);
        }
    }

    /// The signalling server takes somebody for the host. He is connected to, and believed
    /// by who knows of no host that is alive.
    pub(super) fn set_hint(
        &mut self,
        now: Instant,
        room: &mut Room,
        host: Option<PeerId>,
        epoch: Epoch,
    ) {
        let sender = host.and_then(|host| room.sender_of(host));
        if let Some(star) = &mut room.star {
            star.hint = host;
            star.migration.handle_hint(now, sender, epoch);
        }
        self.relink(now, room);
    }

    pub(super) fn handle_migration_output(
        &mut self,
        now: Instant,
        room: &mut Room,
        output: migration::Output,
    ) {
        match output {
            migration::Output::Event(event) => self.handle_migration_event(room, event),
            migration::Output::Role { role, epoch, host } => {
                self.handle_role(now, room, role, epoch, host);
            }
            migration::Output::Send { to, epoch, control } => {
                let body = Body::Control(control);
                let packet = Packet { sender: room.sender, epoch: Some(epoch), body };
                if let Some(peer) = room.peer_of(self.peer, to) {
                    room.mesh.send(now, Recipients::One(peer), &packet);
                }
            }
            migration::Output::Stage(order) => self.handle_stage_order(now, room, order),
            migration::Output::Successors(successors) => {
                if let Some(star) = &mut room.star {
                    star.successors = successors;
                }
                self.relink(now, room);
            }
            migration::Output::VideoAlsoTo(who) => {
                if let Some(star) = &mut room.star {
                    star.picture_also_to = who;
                }
                let peer = who.and_then(|who| room.peer_of(self.peer, who));
                self.outputs.push_back(Output::VideoAlsoTo(peer));
                let goes_on = |peer| room.star.as_ref().is_some_and(|it| it.goes_on(now, peer));
                if peer.is_some_and(|peer| peer != self.peer && !goes_on(peer)) {
                    self.steering.handle_handover(now, StreamId::VIDEO);
                }
            }
            migration::Output::Witness(request) => {
                self.outputs.push_back(Output::Witness(request));
            }
            _ => {}
        }
    }

    fn handle_stage_order(&mut self, now: Instant, room: &mut Room, order: StageOrder) {
        let Some(star) = &mut room.star else { return };
        let sees = matches!(order, StageOrder::Host { .. } | StageOrder::Prepare { .. });
        if star.pictures.set(now, sees) {
            self.receiver.interrupt(StreamId::VIDEO);
        }
        self.outputs.push_back(Output::Stage(order));
    }

    fn handle_role(
        &mut self,
        now: Instant,
        room: &mut Room,
        role: Role,
        epoch: Epoch,
        host: Option<SenderId>,
    ) {
        if let (Some(host), Some(star)) = (host, &mut room.star) {
            star.hosted.insert(host, epoch);
        }
        let host = host.and_then(|host| room.peer_of(self.peer, host));
        let before = std::mem::replace(&mut room.host, host);
        room.mesh.set_epoch(epoch);
        room.mesh.set_role(role);
        self.outputs.push_back(Output::Role { role, epoch, host });
        let us = self.peer;
        let Some(star) = &mut room.star else { return };
        if star.told.is_none_or(|(told, _)| told != host) {
            star.unsettled = Some((host, epoch));
        }
        if star.sound.set(now, role != Role::Member) {
            self.receiver.interrupt(StreamId::AUDIO);
        }
        if host != before {
            if let Some(host) = host.filter(|&host| host != us) {
                self.outputs.push_back(Output::OneWay(self.one_way(host)));
            }
            info!(?host, %epoch, "another hosts");
            star.before = before.filter(|&peer| peer != us).zip(now.checked_add(GRACE));
            // He has had none of our pictures, unless a handover was prepared.
            if host.is_some_and(|host| host != us && !star.keyed.contains(&host)) {
                self.steering.handle_request(StreamId::VIDEO);
            }
        }
        self.relink(now, room);
        self.retry_early(now, room);
    }

    fn handle_migration_event(&mut self, room: &mut Room, event: migration::Event) {
        let us = self.peer;
        let event = match event {
            migration::Event::Aborted { reason, .. } => Event::HandoverAborted { reason },
            migration::Event::Elected { epoch, host, planned, last_heard, suspected } => {
                let host = room.peer_of(us, host);
                if let Some(star) = &mut room.star {
                    star.unsettled = None;
                    star.told = Some((host, epoch));
                }
                Event::HostChanged { host, epoch, planned, last_heard, suspected }
            }
            migration::Event::Fenced { epoch } => Event::Fenced { epoch },
            migration::Event::Retired { .. } => Event::Retired,
            migration::Event::Scored { host, best, baseline_host, baseline_best } => {
                Event::Scored { host, best, baseline_host, baseline_best }
            }
            migration::Event::Suspected { host } => {
                Event::Suspected { host: room.peer_of(us, host).or(room.host) }
            }
            _ => return,
        };
        self.event(event);
    }

    /// How long a packet takes from somebody at least; nothing if that was not measured.
    pub(super) fn one_way(&self, peer: PeerId) -> Duration {
        let rtt = self.qualities.get(&peer).and_then(|quality| quality.rtt);
        rtt.map_or(Duration::ZERO, |rtt| rtt.min / 2)
    }

    /// Tells of another host of whom nothing more is known. To be called when no machine
    /// has anything more to say.
    pub(super) fn settle_host(&mut self, room: &mut Room) {
        let Some(star) = &mut room.star else { return };
        if let Some((host, epoch)) = star.unsettled.take() {
            star.told = Some((host, epoch));
            let (planned, last_heard, suspected) = (false, None, None);
            self.event(Event::HostChanged { host, epoch, planned, last_heard, suspected });
        }
    }
}

/// Whether members send us something of theirs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Served {
    /// They never did.
    Never,
    /// They do.
    Now,
    /// They do not any more; what was on its way may come until then.
    Until(Instant),
}

impl Served {
    /// Says whether it begins anew after it had ended.
    fn set(&mut self, now: Instant, is_served: bool) -> bool {
        let had_ended = matches!(*self, Self::Until(until) if until <= now);
        *self = match *self {
            _ if is_served => Self::Now,
            Self::Now => now.checked_add(GRACE).map_or(Self::Never, Self::Until),
            other => other,
        };
        is_served && had_ended
    }

    pub(super) fn is_at(self, now: Instant) -> bool {
        match self {
            Self::Never => false,
            Self::Now => true,
            Self::Until(until) => now < until,
        }
    }
}

/// Somebody as the machine is told of him.
pub(super) fn candidate(member: &Member) -> Candidate {
    let &Member { peer, sender, may_host, nat, .. } = member;
    Candidate { sender, peer, may_host, nat }
}

/// For how long media go on to a host of before, and are taken by one: longer than any
/// switch is announced ahead, two and a half of the longest round trips.
const GRACE: Duration = Duration::from_secs(1);
