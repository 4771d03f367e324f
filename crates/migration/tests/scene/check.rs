//! What has to hold at every moment, whatever happens.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_framing::Migrate;
use paceline_migration::types::{Epoch, MediaTime, StreamId};

use super::{Room, name};

/// What was seen so far.
#[derive(Default)]
pub struct Checks {
    /// Who sent a mix under an epoch.
    hosts: BTreeMap<Epoch, u32>,
    /// Of the host of an epoch: when he named another, and from which media time on.
    switches: BTreeMap<(u32, Epoch), (Instant, MediaTime)>,
    /// The newest epoch of what was rendered, by member and stream.
    rendered: BTreeMap<(u32, StreamId), Epoch>,
    /// What did not hold.
    pub faults: Vec<String>,
    /// Frames that were rendered.
    pub frames: u64,
}

/// A handover is over for the host of before: the longest lead, and the crossfade.
const WINDOW: Duration = Duration::from_millis(450);

impl Checks {
    pub fn switched(&mut self, now: Instant, host: u32, migrate: &Migrate) {
        let epoch = migrate.epoch;
        let before = Epoch::new(epoch.term(), epoch.ballot().saturating_sub(1));
        self.switches.entry((host, before)).or_insert((now, migrate.switch_time));
    }

    pub fn rendered(&mut self, by: u32, epoch: Epoch, stream: StreamId, time: MediaTime) {
        self.frames += 1;
        let newest = self.rendered.entry((by, stream)).or_insert(epoch);
        if epoch >= *newest {
            *newest = epoch;
            return;
        }
        let host = self.hosts.get(&epoch).copied().unwrap_or_default();
        let in_window = self.switches.get(&(host, epoch)).is_some_and(|&(_, at)| {
            let fade = Duration::from_millis(if stream == StreamId::MIX_AUDIO { 40 } else { 0 });
            let next = Epoch::new(epoch.term(), epoch.ballot() + 1);
            // Media times of two clocks, as the time that each shows.
            let since_zero = |of: MediaTime| of.saturating_since(MediaTime::new(0, of.frequency()));
            *newest == next && since_zero(time) < since_zero(at) + fade
        });
        if !in_window {
            self.faults.push(format!("{} renders {epoch} after {newest}", name(by)));
        }
    }

    fn sends(&mut self, now: Instant, senders: &[(u32, Epoch)]) {
        for &(id, epoch) in senders {
            let host = *self.hosts.entry(epoch).or_insert(id);
            if host != id {
                self.faults.push(format!("{} and {} both host {epoch}", name(host), name(id)));
            }
        }
        // Who handed over a moment ago may still send what is before the switch.
        let retires = |&(id, epoch): &(u32, Epoch)| {
            self.switches.get(&(id, epoch)).is_some_and(|&(at, _)| now <= at + WINDOW)
        };
        let hosts = Vec::from_iter(senders.iter().copied().filter(|it| !retires(it)));
        if hosts.len() > 1 {
            self.faults.push(format!("several may send at a time: {hosts:?}"));
        }
    }
}

impl Room {
    pub fn check(&mut self) {
        let ids = Vec::from_iter(self.nodes.keys().copied());
        let may = |&id: &u32| Some((id, self.may_send(id, StreamId::MIX_VIDEO)?));
        let senders = Vec::from_iter(ids.iter().filter_map(may));
        self.checks.sends(self.now, &senders);
        assert!(self.checks.faults.is_empty(), "{:?}\n{}", self.checks.faults, self.script.text());
    }
}
