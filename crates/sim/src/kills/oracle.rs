//! Who watches: what every node did, and nothing of what a machine believes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use paceline_framing::{Control, Migrate, Roster, RosterId};
use paceline_migration::{Electorate, WitnessReply};
use paceline_types::{Epoch, SenderId, StreamId};

use super::kill::Kill;

/// A frame of a mix, as it was seen on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) from: SenderId,
    pub(super) epoch: Epoch,
    pub(super) stream: StreamId,
    /// Its place in the mix.
    pub(super) time: Duration,
    /// When it was sent, by the room's time.
    pub(super) made: Duration,
}

/// What must not be.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Split {
    /// Somebody sent a frame as host after another had sent one under a later epoch: one
    /// that does not lie before the end of the window of a handover from the one to the
    /// other.
    AtOnce,
    /// Two sent as host under one epoch; or one did that another was named for.
    OneEpoch,
    /// A member rendered a frame of an older epoch after one of a newer, but for those
    /// within the window of a handover.
    StaleRendered,
    /// Somebody took over while too few could have agreed.
    WithoutQuorum,
}

/// One case of what must not be.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Violation {
    /// What kind.
    pub split: Split,
    /// When, since the room was opened.
    pub at: Duration,
    /// Who and what, for a reader.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:9.4} s {:?}: {}", self.at.as_secs_f64(), self.split, self.what)
    }
}

/// The window of a handover, as the host of before announced it to everybody.
#[derive(Clone, Copy, Debug)]
struct Window {
    next: Epoch,
    switch: Duration,
}

/// The observer.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    holders: BTreeMap<Epoch, SenderId>,
    /// By the epoch that ends.
    windows: BTreeMap<Epoch, Window>,
    newest: Option<Frame>,
    rendered: BTreeMap<SenderId, (Epoch, Duration)>,
    /// Rosters by which somebody may be elected: the newest that most of its voters have,
    /// and those sent since.
    rosters: Vec<Roster>,
    /// The newest roster that each has shown to have; `None` is the witness.
    has: BTreeMap<Option<SenderId>, RosterId>,
    alive: BTreeSet<SenderId>,
    /// Until when a change of hosts has a reason that is none of the machines'.
    excused: Duration,
    /// Nobody may take over at all.
    pub(super) dark: bool,
    /// A machine wanted to be woken again and again.
    pub(super) spins: bool,
    /// There was nobody to kill for a long time.
    pub(super) hostless: bool,
    /// The same, and too few of those who vote are left.
    pub(super) lost: bool,
    pub(super) kill: Option<Kill>,
    pub(super) kills: Vec<Kill>,
    pub(super) flaps: Vec<Duration>,
    pub(super) handovers: u32,
    pub(super) violations: Vec<Violation>,
    seen: BTreeSet<(Split, Epoch, SenderId)>,
}

impl Oracle {
    pub(super) fn came(&mut self, who: SenderId) {
        self.alive.insert(who);
    }

    /// Somebody is not there any more; hosts may change for a while, if it was the host.
    pub(super) fn went(&mut self, who: SenderId, now: Duration) {
        self.alive.remove(&who);
        if self.newest.is_some_and(|frame| frame.from == who) {
            self.excuse(now);
        }
    }

    /// Something was done to the network or to a node.
    pub(super) fn excuse(&mut self, now: Duration) {
        self.excused = self.excused.max(now + EXCUSED);
    }

    /// Who sent as host last, if that was just now.
    pub(super) fn host(&self, now: Duration) -> Option<SenderId> {
        let frame = self.newest.filter(|frame| frame.made + RECENT >= now)?;
        self.alive.contains(&frame.from).then_some(frame.from)
    }

    /// Who follows, as the last roster has it, those alive only.
    pub(super) fn succession(&self) -> Vec<SenderId> {
        let members = self.rosters.last().map_or(&[][..], |roster| &roster.members);
        members.iter().map(|member| member.sender).filter(|who| self.alive.contains(who)).collect()
    }

    /// The newest roster that somebody has shown to have.
    pub(super) fn roster_of(&self, who: SenderId) -> RosterId {
        self.has.get(&Some(who)).copied().unwrap_or_default()
    }

    pub(super) fn rosters(&self) -> &[Roster] {
        &self.rosters
    }

    /// Those who see and hear the host.
    pub(super) fn audience(&self, now: Duration) -> BTreeSet<SenderId> {
        let sees = |at: Duration| at + SEES >= now;
        let rendered =
            self.rendered.iter().filter(|(who, (_, at))| self.alive.contains(*who) && sees(*at));
        rendered.map(|(&who, _)| who).collect()
    }

    pub(super) fn newest_epoch(&self) -> Epoch {
        self.newest.map_or(Epoch::default(), |frame| frame.epoch)
    }

    pub(super) fn roster(&mut self, from: SenderId, roster: &Roster) {
        let is_new = self.rosters.last().is_none_or(|last| last.id < roster.id);
        if is_new && roster.members.first().is_some_and(|first| first.sender == from) {
            self.rosters.push(roster.clone());
            self.has.insert(Some(from), roster.id);
            self.settle_rosters();
        }
    }

    /// Somebody says which roster he has.
    pub(super) fn echoed(&mut self, from: SenderId, control: &Control) {
        if let Control::Lease(lease) = control {
            self.knows(Some(from), lease.roster);
        }
    }

    /// The witness does.
    pub(super) fn answered(&mut self, reply: &WitnessReply) {
        if let WitnessReply::Lease { lease, .. } = reply {
            self.knows(None, lease.roster);
        }
    }

    fn knows(&mut self, who: Option<SenderId>, roster: RosterId) {
        let newest = self.has.entry(who).or_default();
        if *newest < roster {
            *newest = roster;
            self.settle_rosters();
        }
    }

    /// Drops the rosters before one that most of its voters have: nobody is elected by them
    /// any more.
    fn settle_rosters(&mut self) {
        let settled = self.rosters.iter().rposition(|roster| {
            let has = |who| self.has.get(&who).is_some_and(|id| *id >= roster.id);
            let voters = roster.members.iter().map(|member| member.sender);
            Electorate::of(roster).is_quorum(voters.filter(|&who| has(Some(who))), has(None))
        });
        self.rosters.drain(..settled.unwrap_or(0));
    }

    /// A handover is announced.
    pub(super) fn migrate(&mut self, now: Duration, from: SenderId, epoch: Epoch, to: &Migrate) {
        if self.holders.get(&epoch) != Some(&from) {
            // He never sent as host, and so cannot name another.
            let what = format!("{from} of {epoch} names {} for {}", to.new_host, to.epoch);
            self.violation(Split::OneEpoch, now, (epoch, from), what);
            return;
        }
        self.hold(now, to.epoch, to.new_host);
        let switch = to.switch_time.saturating_since(video_zero());
        self.windows.entry(epoch).or_insert(Window { next: to.epoch, switch });
    }

    pub(super) fn sent(&mut self, frame: Frame) {
        let Frame { from, epoch, made, .. } = frame;
        self.hold(made, epoch, from);
        let Some(newest) = self.newest else {
            self.newest = Some(frame);
            return;
        };
        if epoch < newest.epoch {
            if !self.in_window(frame, newest.epoch) {
                let what = format!(
                    "{from} sends under {epoch}, and {} did under {} at {:.4} s",
                    newest.from,
                    newest.epoch,
                    newest.made.as_secs_f64()
                );
                self.violation(Split::AtOnce, made, (epoch, from), what);
            }
            return;
        }
        if epoch > newest.epoch {
            let window = self.windows.get(&newest.epoch);
            let planned = window.is_some_and(|window| window.next == epoch);
            self.handovers += u32::from(planned);
            // Who goes on under a later epoch is the same host.
            let had_reason = planned
                || from == newest.from
                || made <= self.excused
                || !self.alive.contains(&newest.from);
            if !had_reason {
                self.flaps.push(made);
            }
            if self.dark && !planned {
                let what = format!("{from} sends under {epoch}");
                self.violation(Split::WithoutQuorum, made, (epoch, from), what);
            }
        }
        self.newest = Some(frame);
        // He shows it to himself.
        self.rendered.insert(from, (epoch, made));
        if let Some(kill) = &mut self.kill {
            kill.sent(&frame);
        }
    }

    pub(super) fn rendered(&mut self, now: Duration, at: SenderId, frame: Frame) {
        let before = self.rendered.get(&at).map_or(frame.epoch, |(epoch, _)| *epoch);
        if frame.epoch < before && !self.in_window(frame, before) {
            let what = format!(
                "{at} renders {:?} of {} ({} at {:.3} s) after {before}",
                frame.stream,
                frame.epoch,
                frame.from,
                frame.time.as_secs_f64()
            );
            self.violation(Split::StaleRendered, now, (frame.epoch, at), what);
        }
        self.rendered.insert(at, (before.max(frame.epoch), now));
        if let Some(kill) = &mut self.kill {
            kill.rendered(now, at, &frame);
        }
    }

    /// Whether a frame of an older epoch may be sent, or rendered, after one of `newer`.
    fn in_window(&self, frame: Frame, newer: Epoch) -> bool {
        let tail = if frame.stream == StreamId::MIX_AUDIO { CROSSFADE } else { Duration::ZERO };
        self.windows
            .get(&frame.epoch)
            .is_some_and(|window| window.next == newer && frame.time < window.switch + tail)
    }

    fn hold(&mut self, now: Duration, epoch: Epoch, who: SenderId) {
        let holder = *self.holders.entry(epoch).or_insert(who);
        if holder != who {
            let what = format!("{who} and {holder} under {epoch}");
            self.violation(Split::OneEpoch, now, (epoch, who), what);
        }
    }

    /// Notes it, once for each pair of an epoch and a node.
    fn violation(&mut self, split: Split, at: Duration, of: (Epoch, SenderId), what: String) {
        if self.seen.insert((split, of.0, of.1)) {
            self.violations.push(Violation { split, at, what });
        }
    }
}

const fn video_zero() -> paceline_types::MediaTime {
    paceline_types::MediaTime::new(0, paceline_types::Frequency::VIDEO)
}

/// For so long after a cut, a stall or a departure a change of hosts is no flap: a lease,
/// a round of votes after it, and as much again.
const EXCUSED: Duration = Duration::from_secs(2);

/// Who rendered a frame since then sees the host: a packet that is lost more than once
/// holds up the others for so long.
const SEES: Duration = Duration::from_secs(1);

/// Ten frames: who sent none for longer does not host.
const RECENT: Duration = Duration::from_millis(200);

/// For how long after the switch sound of the host of before may be heard.
const CROSSFADE: Duration = Duration::from_millis(40);
