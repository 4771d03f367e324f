//! What is done to a room beside what its members do: kills above all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paceline_framing::{ByeReason, Control};
use paceline_migration::Electorate;
use paceline_types::SenderId;

use super::event::{Event, Packet};
use super::kill::Kill;
use super::node::Life;
use super::room::{Room, index};

/// Something that is done to a room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Incident {
    /// Somebody comes in.
    Join,
    /// The host vanishes, and whatever the dice say with him. Tried again while there is
    /// none, a number of times.
    Kill { tries: u32 },
    /// It is looked at what came of the kill.
    Verdict { kill: usize },
    /// The host is asked to hand over.
    HandOver,
    /// Somebody goes as one should.
    Leave { host: bool },
    /// A member that does not host vanishes and comes back under another number.
    Restart,
    /// Some lines are cut for a while.
    Cut,
    /// One direction of one line is whole again.
    Heal { from: SenderId, to: SenderId },
    /// A member stands still for a while.
    Freeze,
    /// The witness goes out of reach, or comes back.
    Witness { cut: bool },
    /// That was it.
    End,
}

impl Room {
    /// Lets the first people in, and plans the first kill.
    pub(super) fn open(&mut self) {
        for number in 0..self.profile.members {
            let at = Duration::from_millis(250).mul_f64(self.random.fraction()) * number;
            self.agenda.push(at, Event::Happens(Incident::Join));
        }
        self.plan(self.profile.members * Duration::from_millis(250) + SETTLING);
    }

    /// Plans a kill, and what else happens until then.
    fn plan(&mut self, after: Duration) {
        let kill = self.now + after + self.within(Duration::from_millis(1_500));
        let begin = self.now + after.min(Duration::from_millis(500));
        self.agenda.push(kill, Event::Happens(Incident::Kill { tries: 0 }));
        if self.profile.dark {
            let at = kill.saturating_sub(Duration::from_millis(100));
            self.agenda.push(at, Event::Happens(Incident::Witness { cut: true }));
        }
        if self.chance(0.25) {
            // Often not done when the host dies.
            let at = kill.saturating_sub(self.within(Duration::from_millis(1_200)));
            self.agenda.push(at, Event::Happens(Incident::HandOver));
        }
        if self.profile.members > 3 && self.chance(0.15) {
            let at = begin + (kill - begin).mul_f64(self.random.fraction());
            let host = self.chance(0.5);
            self.agenda.push(at, Event::Happens(Incident::Leave { host }));
        }
        let mut more = Vec::new();
        if self.profile.cuts {
            more.extend([Incident::Cut, Incident::Cut, Incident::Freeze]);
        }
        if self.profile.restarts {
            more.extend([Incident::Restart, Incident::Restart]);
        }
        if self.profile.skew > 0 {
            more.push(Incident::Freeze);
        }
        for incident in more {
            if self.chance(0.6) {
                let until = kill + Duration::from_millis(600);
                let at = begin + (until - begin).mul_f64(self.random.fraction());
                self.agenda.push(at, Event::Happens(incident));
            }
        }
    }

    pub(super) fn happens(&mut self, incident: Incident) {
        if !matches!(incident, Incident::Verdict { .. }) {
            self.note(|| format!("== {incident:?}"));
        }
        match incident {
            Incident::Join => self.join(),
            Incident::Kill { tries } => self.kill(tries),
            Incident::Verdict { kill } => {
                if self.oracle.kills.len() == kill {
                    self.give_up_on_kill(kill);
                }
            }
            Incident::HandOver => {
                if let Some(host) = self.oracle.host(self.now) {
                    self.with(host, |machine, now| {
                        let _ = machine.hand_over(now);
                    });
                }
            }
            Incident::Leave { host } => self.leave(host),
            Incident::Restart => self.restart(),
            Incident::Cut => self.cut(),
            Incident::Heal { from, to } => {
                for packet in self.lines.set_cut(from, to, false) {
                    self.send(from, to, packet);
                }
            }
            Incident::Freeze => {
                let alive = self.alive();
                let who = alive[self.pick(alive.len())];
                let until = self.now + self.within(Duration::from_millis(1_500));
                self.note(|| format!("{who} stands still until {:.4} s", until.as_secs_f64()));
                self.oracle.excuse(until);
                if let Some(node) = self.node_mut(who) {
                    node.frozen = node.frozen.max(Some(until));
                }
            }
            Incident::Witness { cut } => self.cut_witness(cut),
            Incident::End => self.ends = true,
        }
    }

    /// The host vanishes, sometimes his heir too, and sometimes while the witness cannot be
    /// reached.
    fn kill(&mut self, tries: u32) {
        let Some(host) = self.oracle.host(self.now) else {
            if tries < MAX_TRIES {
                let again = Event::Happens(Incident::Kill { tries: tries + 1 });
                self.agenda.push(self.now + RETRY, again);
            } else {
                // Ten seconds without a host: that is as bad as one who is not followed.
                self.oracle.hostless = self.could_elect(&BTreeSet::new());
                self.oracle.lost = !self.oracle.hostless;
                self.ends = true;
            }
            return;
        };
        let audience = self.oracle.audience(self.now);
        let mut victims = vec![host];
        let heir = self.oracle.succession().into_iter().find(|who| *who != host);
        if self.profile.members >= 5 && self.chance(0.15) {
            victims.extend(heir);
        }
        if self.profile.members >= 5 && self.chance(0.1) {
            self.cut_witness(true);
            let heals = Event::Happens(Incident::Witness { cut: false });
            self.agenda.push(self.now + PATIENCE, heals);
        }
        let epoch = self.oracle.newest_epoch();
        for &victim in &victims {
            self.vanish(victim);
        }
        let survivors: BTreeSet<_> =
            audience.into_iter().filter(|who| !victims.contains(who)).collect();
        let due = self.now.max(self.lines_heal());
        let kill = Kill {
            at: self.now,
            heir: self.oracle.succession().into_iter().find(|who| survivors.contains(who)),
            promised: !survivors.is_empty() && self.could_elect(&survivors),
            survivors,
            due,
            epoch,
            host: None,
            reach: BTreeSet::new(),
            seen: BTreeMap::new(),
            victims,
        };
        self.note(|| format!("== killed {:?}, promised {}", kill.victims, kill.promised));
        self.oracle.dark = self.profile.dark;
        self.oracle.kill = Some(kill);
        let verdict = Incident::Verdict { kill: self.oracle.kills.len() };
        self.agenda.push(due + PATIENCE, Event::Happens(verdict));
    }

    /// Whether the kill has been got over, and the next may be planned.
    pub(super) fn look_at_kill(&mut self) {
        let is_over = |kill: &Kill| {
            kill.host.is_some() && kill.survivors.iter().all(|who| kill.seen.contains_key(who))
        };
        if self.oracle.kill.as_ref().is_some_and(is_over) {
            self.close_kill();
        }
    }

    /// Nobody has followed for long enough: unless lines were cut since, that was it.
    fn give_up_on_kill(&mut self, number: usize) {
        let heal = self.lines_heal();
        let Some(kill) = &mut self.oracle.kill else { return };
        kill.due = kill.due.max(heal);
        if kill.due + PATIENCE > self.now {
            let verdict = Incident::Verdict { kill: number };
            self.agenda.push(kill.due + PATIENCE, Event::Happens(verdict));
        } else {
            self.close_kill();
        }
    }

    /// Somebody goes while nobody has followed a host yet: those who are left may be too few.
    fn look_at_promise(&mut self) {
        let survivors = self.oracle.kill.iter().flat_map(|kill| &kill.survivors).copied();
        let can = self.could_elect(&survivors.collect());
        if let Some(kill) = self.oracle.kill.as_mut().filter(|kill| kill.host.is_none()) {
            kill.promised &= can;
        }
    }

    fn close_kill(&mut self) {
        let Some(mut kill) = self.oracle.kill.take() else { return };
        // Who went meanwhile need not see anybody.
        kill.survivors.retain(|who| kill.seen.contains_key(who) || self.node(*who).is_some());
        let victims = kill.victims.len();
        let last = kill.last();
        self.note(|| format!("== the kill is over: seen by all after {last:?}"));
        self.oracle.kills.push(kill);
        self.oracle.dark = false;
        if self.profile.dark {
            self.cut_witness(false);
        }
        if self.oracle.kills.len() >= self.wanted_kills {
            self.agenda.push(self.now + AFTER, Event::Happens(Incident::End));
            return;
        }
        let back = Duration::from_millis(300) + self.within(Duration::from_millis(1_500));
        for number in 0..victims {
            let at = self.now + back + number as u32 * Duration::from_millis(100);
            self.agenda.push(at, Event::Happens(Incident::Join));
        }
        let after = back + self.within(SETTLING);
        self.plan(after);
    }

    /// Somebody is not there from now on, and says nothing of it.
    fn vanish(&mut self, who: SenderId) {
        let now = self.now;
        let Some(node) = self.node_mut(who) else { return };
        node.life = Life::Gone { at: now };
        self.oracle.went(who, now);
        for peer in self.lines.peers(who) {
            let link = self.lines.link(peer, who);
            let at = now + GIVES_UP + self.within(Duration::from_millis(500));
            self.agenda.push(at, Event::GivesUp { at: peer, peer: who, link });
        }
        let at = now + Duration::from_secs(1) + self.within(Duration::from_secs(5));
        self.agenda.push(at, Event::Misses { who, said_so: false });
        self.look_at_promise();
    }

    /// Somebody wants to go: as host he hands over first.
    fn leave(&mut self, host: bool) {
        let alive = self.alive();
        let hosts = self.oracle.host(self.now);
        let who = if host { hosts } else { alive.get(self.pick(alive.len())).copied() };
        let Some(who) = who else { return };
        if Some(who) != hosts {
            self.departs(who, false);
        } else {
            let mut begun = false;
            self.with(who, |machine, now| begun = machine.hand_over(now));
            if begun {
                if let Some(node) = self.node_mut(who) {
                    node.life = Life::Leaves;
                }
                self.agenda.push(self.now + HANDS_OVER, Event::Departs { who });
            } else {
                self.departs(who, true);
            }
        }
        let back = self.now + Duration::from_secs(2);
        self.agenda.push(back, Event::Happens(Incident::Join));
    }

    /// Somebody goes now.
    pub(super) fn departs(&mut self, who: SenderId, resigns: bool) {
        if resigns {
            self.with(who, |machine, now| machine.resign(now));
        }
        for peer in self.lines.peers(who) {
            let control = Control::Bye { reason: ByeReason::Leaving };
            let epoch = self.nodes[index(who)].machine.epoch();
            self.send(who, peer, Packet::Control { epoch, control });
        }
        let now = self.now;
        self.oracle.excuse(now);
        self.oracle.went(who, now);
        // His packets are flushed: he is gone once the last of them is under way.
        if let Some(node) = self.node_mut(who) {
            node.life = Life::Gone { at: now + FLUSH };
        }
        self.note(|| format!("{who} is gone"));
        self.look_at_promise();
        self.agenda.push(now + self.profile.road.delay, Event::Misses { who, said_so: true });
    }

    fn restart(&mut self) {
        let host = self.oracle.host(self.now);
        let others: Vec<_> = self.alive().into_iter().filter(|who| Some(*who) != host).collect();
        if others.is_empty() {
            return;
        }
        let who = others[self.pick(others.len())];
        self.note(|| format!("{who} vanishes"));
        self.vanish(who);
        let back = self.now + self.within(Duration::from_millis(800));
        self.agenda.push(back, Event::Happens(Incident::Join));
    }

    /// Cuts some lines, in one direction or both, and says when they heal.
    fn cut(&mut self) {
        let alive = self.alive();
        let host = self.oracle.host(self.now);
        let one = match self.pick(4) {
            0 => host,
            1 => self.oracle.succession().get(1).copied(),
            _ => None,
        };
        let one = one.unwrap_or(alive[self.pick(alive.len())]);
        let kind = self.pick(5);
        let side = self.random.bits();
        let is_there = |who: SenderId| side >> (who.get() % 64) & 1 == 1;
        let for_long = if self.chance(0.1) { 7_000 } else { 2_500 };
        let heals = self.now + self.within(Duration::from_millis(for_long));
        self.note(|| format!("cut {kind} of {one} until {:.4} s", heals.as_secs_f64()));
        self.oracle.excuse(heals);
        for &from in &alive {
            for &to in &alive {
                let is_cut = from != to
                    && match kind {
                        // One is alone, or only heard, or only hears; halves; one line.
                        0 => from == one || to == one,
                        1 => from == one,
                        2 => to == one,
                        3 => is_there(from) != is_there(to),
                        _ => from == one && is_there(to),
                    };
                if is_cut && !self.lines.is_cut(from, to) {
                    let _ = self.lines.set_cut(from, to, true);
                    self.agenda.push(heals, Event::Happens(Incident::Heal { from, to }));
                    self.lines.until = self.lines.until.max(heals);
                    let link = self.lines.link(to, from);
                    let at = self.now + GIVES_UP;
                    self.agenda.push(at, Event::GivesUp { at: to, peer: from, link });
                }
            }
        }
    }

    fn lines_heal(&self) -> Duration {
        self.lines.until
    }

    /// Whether somebody is left who reaches enough voters, by each of the last rosters that
    /// were sent. Who has a newer one than he does not vote for him, and reaches no others
    /// while the witness is out of reach, by which connections are made; nor is he seen by
    /// most of an `audience` then that he has no connection to.
    pub(super) fn could_elect(&self, audience: &BTreeSet<SenderId>) -> bool {
        let alive = self.alive();
        let may_vote = |voter, candidate| {
            !self.witness_is_cut || self.oracle.roster_of(voter) <= self.oracle.roster_of(candidate)
        };
        let reaches = |a, b| a == b || self.lines.are_connected(a, b) && may_vote(b, a);
        let rosters = self.oracle.rosters();
        !rosters.is_empty()
            && alive.iter().any(|&candidate| {
                let seeing = audience.iter().filter(|&&who| reaches(candidate, who)).count();
                let is_seen = !self.witness_is_cut || seeing * 2 > audience.len();
                let is_seen = is_seen || audience.is_empty();
                is_seen
                    && rosters.iter().all(|roster| {
                        let voters = alive.iter().copied().filter(|&who| reaches(candidate, who));
                        Electorate::of(roster).is_quorum(voters, !self.witness_is_cut)
                    })
            })
    }

    fn chance(&mut self, share: f64) -> bool {
        self.random.fraction() < share
    }

    fn pick(&mut self, of: usize) -> usize {
        (self.random.fraction() * of as f64) as usize
    }

    fn within(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.random.fraction())
    }
}

/// Until so many voters have been taken in, one at a time, and a standby is chosen.
const SETTLING: Duration = Duration::from_millis(1_500);

/// Who is not followed by then is not followed.
const PATIENCE: Duration = Duration::from_secs(5);

/// For so long it is looked at what comes after the last recovery.
const AFTER: Duration = Duration::from_secs(1);

/// How long a connection is silent until ICE says that it failed: RFC 7675 §5.1 has 30 s,
/// the engine's default is 5 s until it is called disconnected.
const GIVES_UP: Duration = Duration::from_secs(5);

/// How long a leaving host waits for another to take over.
const HANDS_OVER: Duration = Duration::from_millis(1_500);

/// How long somebody who goes waits for his last packets to get through.
const FLUSH: Duration = Duration::from_millis(500);

const RETRY: Duration = Duration::from_millis(500);

/// Ten seconds of [`RETRY`].
const MAX_TRIES: u32 = 20;
