//! The machine that decides who hosts, among members who say whatever they like.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use paceline_framing::{
    AbortReason, Control, Mapping, MemberQuality, Migrate, NatState, NatType, NetworkQuality,
    Prepare, Ready, RosterMember,
};
use paceline_migration::types::{Epoch, Frequency, MediaTime, PeerId, SenderId, StreamId};
use paceline_migration::{
    Candidate, Electorate, Identity, Lease, Migration, MigrationConfig, MixerState, Output, Role,
    Roster, RosterId, Verdict, Vote, VoteRequest, Welcome, WitnessReply, WitnessRequest,
};

use crate::packets::epoch;

/// A member in a room: each step is an operation, who does it, an epoch and a number.
pub fn migration(mut script: &[u8]) {
    let Some((&[first], rest)) = script.split_first_chunk() else { return };
    script = rest;
    let mut seat = Seat::new(first);
    while let Some((&[op, who, when, number], rest)) = script.split_first_chunk() {
        script = rest;
        seat.step(op, who, when, number);
        seat.look();
    }
    // All that it holds, as text: no number of steps makes it more than a room of 8 needs.
    let held = format!("{:?}", seat.machine).len();
    assert!(held < MAX_HELD, "{held} bytes of state");
}

/// One member, and what it was told that makes it host.
struct Seat {
    machine: Migration,
    now: Instant,
    /// Who voted for us, under which epoch; `None` is the witness.
    votes: BTreeMap<Epoch, BTreeSet<Option<SenderId>>>,
    /// Epochs that the witness or a host gave us.
    named: BTreeSet<Epoch>,
    electorate: Electorate,
    hosted: Option<Epoch>,
    /// What it asked for last.
    asked: Option<VoteRequest>,
    leased: Option<Lease>,
    prepared: Option<Epoch>,
}

impl Seat {
    fn new(first: u8) -> Self {
        let now = epoch();
        let (epoch, host) = match first % 4 {
            0 => (Epoch::new(1, 0), Some(US)),
            1 => (Epoch::new(1, 0), Some(SenderId::new(1))),
            2 => (Epoch::new(3, 2), None),
            _ => (Epoch::default(), None),
        };
        let genesis = first & 4 != 0 || host == Some(US);
        let identity =
            Identity { session: SESSION, sender: US, peer: peer(US), may_host: first & 8 == 0 };
        let config = MigrationConfig::default().max_members(MAX_MEMBERS);
        let welcome = Welcome { epoch, host, genesis };
        let named = host.filter(|host| *host == US).map(|_| epoch);
        Self {
            machine: Migration::new(now, identity, welcome, config, first.into()),
            now,
            votes: BTreeMap::new(),
            named: named.into_iter().collect(),
            electorate: Electorate::genesis(),
            hosted: None,
            asked: None,
            leased: None,
            prepared: None,
        }
    }

    fn step(&mut self, op: u8, who: u8, when: u8, number: u8) {
        let from = SenderId::new(u32::from(who % 10));
        let epoch = self.epoch(when);
        let control = match op % 24 {
            0 => return self.join(from, who),
            1 => return self.machine.handle_member_left(self.now, from),
            2 => return self.machine.handle_connected(self.now, from),
            3 => return self.machine.handle_gone(self.now, from, number & 1 == 1),
            4 | 5 => return self.wait(Duration::from_millis(u64::from(number) * 4)),
            6 => {
                let rtt = Duration::from_micros(u64::from(number) << (who % 40));
                return self.machine.handle_rtt(self.now, from, rtt);
            }
            7 => return self.answer(from, number),
            8 => return self.be_witness(number, epoch),
            9 => return self.command(number, epoch),
            10 => Control::Lease(Lease {
                epoch,
                length: u32::from(number) << (who % 25),
                sequence: number.into(),
                roster: self.roster_id(number),
            }),
            11 => Control::VoteRequest(VoteRequest {
                epoch,
                candidate: if number & 1 == 0 { from } else { US },
                prevote: number & 2 != 0,
                length: u32::from(number) << (who % 25),
                roster: self.roster_id(number),
            }),
            12 | 13 => Control::Vote(Vote {
                epoch: self.asked.filter(|_| number & 4 == 0).map_or(epoch, |it| it.epoch),
                candidate: if number & 1 == 0 { US } else { from },
                prevote: number & 2 != 0,
                granted: number & 8 == 0,
            }),
            14 | 15 => Control::Roster(self.roster(from, epoch, number)),
            16 => Control::Prepare(Prepare {
                epoch,
                switch_time: MediaTime::new(u64::MAX >> (number % 64), Frequency::VIDEO),
                numbering: Vec::new(),
                tiles: vec![US; usize::from(number)],
            }),
            17 => Control::Migrate(Migrate {
                session: if number & 1 == 0 { SESSION } else { [0; 16] },
                host: from,
                new_host: if number & 2 == 0 { US } else { SenderId::new(2) },
                epoch: if number & 4 == 0 { successor(self.machine.epoch()) } else { epoch },
                score: u16::MAX,
                new_score: 0,
                switch_time: MediaTime::new(u64::MAX >> (number % 64), Frequency::VIDEO),
            }),
            18 => Control::Abort { epoch, reason: AbortReason::TimedOut },
            19 => Control::Retire { epoch },
            20 => Control::Ready(Ready {
                epoch: self.prepared.filter(|_| number & 1 == 0).unwrap_or(epoch),
                missing: vec![from; usize::from(number)],
            }),
            21 => Control::NatState(nat(number)),
            22 => Control::NetworkQuality(quality(number)),
            _ => return self.admit(from, epoch, number),
        };
        let header = match number % 3 {
            0 => None,
            1 => Some(epoch),
            _ => Some(self.machine.epoch()),
        };
        self.control(from, header, &control);
    }

    fn join(&mut self, sender: SenderId, who: u8) {
        let nat = (who & 64 == 0).then(|| nat(who));
        let member = Candidate { sender, peer: peer(sender), may_host: who & 128 == 0, nat };
        self.machine.handle_member_joined(self.now, member);
    }

    fn control(&mut self, from: SenderId, header: Option<Epoch>, control: &Control) {
        let was = (self.machine.host(), self.machine.epoch());
        let verdict = self.machine.handle_control(self.now, from, header, control);
        match control {
            Control::Vote(vote) if vote.granted && !vote.prevote && vote.candidate == US => {
                self.votes.entry(vote.epoch).or_default().insert(Some(from));
            }
            // A host may name whom he likes, if it is he who does, under his epoch.
            Control::Migrate(migrate) if migrate.new_host == US => {
                let by_host = was == (Some(from), header.unwrap_or_default());
                if by_host && verdict == Verdict::Taken && migrate.session == SESSION {
                    self.named.insert(migrate.epoch);
                }
            }
            _ => {}
        }
    }

    /// Does what an honest member would.
    fn answer(&mut self, from: SenderId, number: u8) {
        if let Some(asked) = self.asked.filter(|_| number & 1 == 0) {
            let VoteRequest { epoch, candidate, prevote, .. } = asked;
            let vote = Vote { epoch, candidate, prevote, granted: true };
            self.control(from, Some(epoch), &Control::Vote(vote));
        } else if let Some(lease) = self.leased {
            self.control(from, Some(lease.epoch), &Control::Lease(lease));
        }
    }

    /// Does what the witness would, or what one that lies would.
    fn be_witness(&mut self, number: u8, epoch: Epoch) {
        let reply = match (number % 4, self.asked, self.leased) {
            (0, Some(asked), _) => {
                let VoteRequest { epoch, candidate, prevote, .. } = asked;
                WitnessReply::Vote(Vote { epoch, candidate, prevote, granted: true })
            }
            (1, _, Some(lease)) => WitnessReply::Lease { lease, granted: true },
            (2, ..) => {
                let host = Some(SenderId::new(u32::from(number >> 4)));
                return self.machine.handle_hint(self.now, host, epoch);
            }
            _ => {
                let vote = Vote { epoch, candidate: US, prevote: false, granted: true };
                WitnessReply::Vote(vote)
            }
        };
        if let WitnessReply::Vote(vote) = reply
            && !vote.prevote
        {
            self.votes.entry(vote.epoch).or_default().insert(None);
        }
        self.machine.handle_witness(self.now, reply);
    }

    fn command(&mut self, number: u8, epoch: Epoch) {
        match number % 6 {
            0 => self.machine.handle_mixer(self.now, MixerState::default()),
            1 => self.machine.handle_stage_ready(self.now, epoch, vec![US]),
            2 => drop(self.machine.hand_over(self.now)),
            3 => self.machine.resign(self.now),
            4 => self.machine.set_may_host(self.now, number & 64 == 0),
            _ => self.machine.handle_quality(self.now, &quality(number)),
        }
    }

    fn admit(&mut self, from: SenderId, epoch: Epoch, number: u8) {
        let time = MediaTime::new(u64::MAX >> (number % 64), Frequency::AUDIO);
        for stream in [StreamId::MIX_AUDIO, StreamId::MIX_VIDEO, StreamId::new(9)] {
            let _ = self.machine.admit(self.now, from, epoch, stream, time);
            let _ = self.machine.may_send(self.now, stream, time);
        }
    }

    /// Time passes, and who wants to be woken is.
    fn wait(&mut self, how_long: Duration) {
        let end = self.now + how_long;
        for _ in 0..MAX_WAKES {
            match self.machine.poll_timeout() {
                Some((at, _)) if at <= end => {
                    self.now = self.now.max(at);
                    self.machine.handle_timeout(self.now);
                    self.look();
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("it wants to be woken for ever: {:?}", self.machine.poll_timeout());
    }

    /// Whatever it wants is taken, and it hosts only if it may.
    fn look(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.machine.poll_output() {
            outputs += 1;
            match output {
                Output::Send { control: Control::VoteRequest(asked), .. }
                | Output::Witness(WitnessRequest::Vote(asked)) => self.asked = Some(asked),
                Output::Send { control: Control::Lease(lease), .. }
                | Output::Witness(WitnessRequest::Lease { lease, .. }) => {
                    self.leased = Some(lease);
                }
                Output::Send { control: Control::Prepare(prepare), .. } => {
                    self.prepared = Some(prepare.epoch);
                }
                _ => {}
            }
        }
        assert!(outputs <= MAX_OUTPUTS, "{outputs} outputs at once");
        let hosts = (self.machine.role() == Role::Host).then(|| self.machine.epoch());
        if let Some(epoch) = hosts.filter(|_| hosts != self.hosted) {
            let none = BTreeSet::new();
            let votes = self.votes.get(&epoch).unwrap_or(&none);
            let members = votes.iter().copied().flatten().chain([US]);
            let elected = self.electorate.is_quorum(members, votes.contains(&None));
            assert!(
                elected || self.named.contains(&epoch),
                "host under {epoch} with {votes:?} of {:?}",
                self.electorate
            );
        }
        self.hosted = hosts;
        if let Some(roster) = self.machine.roster() {
            assert!(roster.members.len() <= 2 * MAX_MEMBERS, "{}", roster.members.len());
            self.electorate = Electorate::of(roster);
        }
    }

    fn epoch(&self, when: u8) -> Epoch {
        let now = self.machine.epoch();
        match when % 8 {
            0 => now,
            1 => Epoch::from_bits(now.to_bits().saturating_add(1)),
            2 => successor(now),
            3 => Epoch::from_bits(now.to_bits().saturating_sub(1)),
            4 => Epoch::from_bits(u64::MAX >> (when >> 3)),
            5 => Epoch::default(),
            _ => Epoch::new(u64::from(when >> 3), u16::from(when)),
        }
    }

    fn roster_id(&self, number: u8) -> RosterId {
        let newest = self.machine.roster().map(|roster| roster.id).unwrap_or_default();
        match number >> 6 {
            0 => newest,
            1 => RosterId { number: newest.number.wrapping_add(1), ..newest },
            2 => RosterId::default(),
            _ => RosterId { epoch: Epoch::from_bits(u64::MAX), number: u32::MAX },
        }
    }

    fn roster(&self, from: SenderId, epoch: Epoch, number: u8) -> Roster {
        let id = match number >> 6 {
            3 => RosterId { epoch, number: u32::MAX },
            _ => self.roster_id(number),
        };
        // A few that there are, or very many that there are not.
        let count = if number & 32 == 0 { u32::from(number % 8) } else { 2_000 };
        let member = |number: u32| RosterMember {
            sender: SenderId::new(number),
            peer: peer(SenderId::new(number)),
            role: if number % 3 == 1 { Role::Standby } else { Role::Member },
            votes: number % 5 != 4,
        };
        let host = RosterMember { role: Role::Host, ..member(from.get()) };
        let members = [host].into_iter().chain((0..count).map(member)).collect();
        Roster { id, witness: number & 16 != 0, members }
    }
}

fn successor(epoch: Epoch) -> Epoch {
    Epoch::new((epoch.term() + 1).min((1 << 48) - 1), 0)
}

fn nat(number: u8) -> NatState {
    NatState {
        nat: if number & 1 == 0 { NatType::Open } else { NatType::Unknown },
        mapping: Mapping::Unknown,
        upload: u32::MAX >> (number % 32),
        rtt: u32::MAX >> (number % 32),
        needs_relay: number & 2 != 0,
        tie_break: peer(SenderId::new(number.into())),
    }
}

fn quality(number: u8) -> NetworkQuality {
    let of = |member: u32| MemberQuality {
        member: SenderId::new(member),
        capacity: u32::MAX >> (number % 32),
        loss: u16::from(number) << 8,
        min_rtt: u32::MAX >> (number % 31),
        mean_rtt: u32::MAX >> (number % 29),
        max_rtt: u32::MAX,
        jitter: u32::MAX,
        received: u32::MAX,
        expected: number.into(),
    };
    let window = u32::MAX >> (number % 32);
    NetworkQuality { window, members: (0..u32::from(number) * 8).map(of).collect() }
}

fn peer(of: SenderId) -> PeerId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&of.get().to_be_bytes());
    PeerId::from_random(bytes)
}

/// Neither the oldest nor the newest.
const US: SenderId = SenderId::new(5);

const SESSION: [u8; 16] = [7; 16];

const MAX_MEMBERS: usize = 8;

/// A second of waiting: renewals of an unconfirmed host come every 20 ms.
const MAX_WAKES: u32 = 400;

/// What one step may say: a few packets to everybody.
const MAX_OUTPUTS: usize = 16 * MAX_MEMBERS;

/// Of a room of eight: with reports of each on each, rosters, and a lease's renewals.
const MAX_HELD: usize = 400_000;
