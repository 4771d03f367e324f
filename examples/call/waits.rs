//! How long a member waited for something new of each of the others.

use std::collections::{BTreeMap, VecDeque};

use paceline::types::{NtpTime, SenderId};

use crate::changes::{forget, micros, pairs};

/// The marks of each who is in the room. Whoever stands still is not covered up by those
/// who move.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// When a mark of anybody was new, be he gone since.
    all: VecDeque<NtpTime>,
    people: BTreeMap<SenderId, Person>,
}

#[derive(Debug, Default)]
struct Person {
    marks: VecDeque<Mark>,
    /// He has said that his camera is off.
    off: bool,
    /// Since when nothing was to be expected of him, if that has not ended with a mark.
    empty: Option<NtpTime>,
}

/// The first sight of one.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: NtpTime,
    /// Since when nothing was to be expected of him before it.
    after_empty: Option<NtpTime>,
}

impl Waits {
    /// Takes in that a mark of his was seen that had not been seen before.
    pub(crate) fn handle_mark(&mut self, sender: SenderId, at: NtpTime, keep: i64) {
        // What one picture shows of several people is seen at once.
        if self.all.back() != Some(&at) {
            self.all.push_back(at);
        }
        let person = self.people.entry(sender).or_default();
        person.marks.push_back(Mark { at, after_empty: person.empty.take() });
        forget(&mut self.all, |&at| at, keep);
        forget(&mut person.marks, |mark| mark.at, keep);
    }

    /// Takes in that the mix shows no picture of his.
    pub(crate) fn handle_empty(&mut self, sender: SenderId, at: NtpTime) {
        if let Some(person) = self.people.get_mut(&sender) {
            person.empty.get_or_insert(at);
        }
    }

    /// Takes in what he says of his camera.
    pub(crate) fn handle_camera(&mut self, sender: SenderId, on: bool) {
        let person = self.people.entry(sender).or_default();
        if person.off && on {
            // However long that was, nobody waited for it.
            person.empty = Some(NtpTime::default());
        }
        person.off = !on;
    }

    /// Takes in that he has left, or is gone.
    pub(crate) fn handle_left(&mut self, sender: SenderId) {
        self.people.remove(&sender);
    }

    /// The longest wait for a new mark of any one of them, and of all of them together, of
    /// which a part lies between these; less the median of his waits. In microseconds. Of
    /// `lost` no more is expected.
    pub(crate) fn longest(&self, lost: Option<SenderId>, from: i64, to: i64) -> Option<i64> {
        let all = self.all.iter().map(|&at| micros(at));
        let usual = median(pairs(all.clone(), |&at| at, from, to).map(|(a, b)| b - a));
        let of_each = self
            .people
            .iter()
            .filter_map(|(&sender, person)| person.longest(usual, lost != Some(sender), from, to));
        // If all was dark on purpose, nobody waited.
        let dark = !self.people.is_empty() && self.people.values().all(|it| it.is_dark(from));
        let end = (!dark).then_some(to);
        let of_all = pairs(all.clone().chain(end), |&at| at, from, to).map(|(a, b)| b - a).max();
        let of_all = of_all.zip(usual).map(|(longest, usual)| longest - usual);
        of_each.chain(of_all).max().map(|gap| gap.max(0))
    }

    /// How many marks are held.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.len() + self.people.values().map(|person| person.marks.len()).sum::<usize>()
    }
}

impl Person {
    /// `usual` is that of all, for one who has had no two marks there.
    fn longest(&self, usual: Option<i64>, stays: bool, from: i64, to: i64) -> Option<i64> {
        let waits = pairs(self.marks.iter(), |mark| micros(mark.at), from, to)
            .filter(|(_, next)| !is_before(next.after_empty, from))
            .map(|(mark, next)| micros(next.at) - micros(mark.at));
        let usual = median(waits.clone()).or(usual)?;
        // If no more came, it is not over yet.
        let last = self.marks.back().filter(|_| stays && !self.is_dark(from));
        let open = last.map(|last| to - micros(last.at));
        waits.chain(open).max().map(|longest| longest - usual)
    }

    /// Nothing is to be expected of him now. A tile that went empty later than `from` may
    /// have been lost by the change.
    fn is_dark(&self, from: i64) -> bool {
        self.off || is_before(self.empty, from)
    }
}

fn is_before(at: Option<NtpTime>, from: i64) -> bool {
    at.is_some_and(|at| micros(at) <= from)
}

fn median(figures: impl Iterator<Item = i64>) -> Option<i64> {
    let mut figures = Vec::from_iter(figures);
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied()
}
