//! What one viewer got, held against what was sent.

use paceline::types::NtpTime;

use crate::histogram::Histogram;

/// What one viewer got.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Numbers of the first and of the newest that came.
    range: Option<(u64, u64)>,
    /// How many came, each number once.
    pub(crate) delivered: u64,
    /// How many came after a later one, or again.
    pub(crate) reordered: u64,
    /// Latencies of what was sent before viewers stalled, and from then on.
    before: Histogram,
    after: Histogram,
    /// The latest, in microseconds.
    pub(crate) latest: u32,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            range: None,
            delivered: 0,
            reordered: 0,
            before: Histogram::new(),
            after: Histogram::new(),
            latest: 0,
        }
    }

    /// Takes in that number `seq`, sent at `sent`, is here `now`. `stalled` is when viewers
    /// stalled, if they have.
    pub(crate) fn handle(
        &mut self,
        seq: u64,
        sent: NtpTime,
        now: NtpTime,
        stalled: Option<NtpTime>,
    ) {
        match &mut self.range {
            Some((_, newest)) if seq <= *newest => {
                // Either it came before, or it was counted as missing until now; which of
                // both, only a list of all would tell, and neither may happen.
                self.reordered += 1;
                return;
            }
            Some((_, newest)) => *newest = seq,
            none => *none = Some((seq, seq)),
        }
        self.delivered += 1;
        self.latest = u32::try_from(now.saturating_since(sent).as_micros()).unwrap_or(u32::MAX);
        match stalled.is_some_and(|stalled| sent.to_bits() >= stalled.to_bits()) {
            true => self.after.record(self.latest),
            false => self.before.record(self.latest),
        }
    }

    pub(crate) fn newest(&self) -> Option<u64> {
        self.range.map(|(_, newest)| newest)
    }

    /// How many had to come: from `from`, or from the first that came if that is earlier
    /// (or `keyed`: what comes begins when it can), to before `end`.
    pub(crate) fn expected(&self, from: u64, keyed: bool, end: u64) -> u64 {
        let from = match self.range {
            Some((first, _)) if keyed || first < from => first,
            _ => from,
        };
        end.saturating_sub(from)
    }
}

/// What all together got.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    pub(crate) delivered: u64,
    pub(crate) expected: u64,
    pub(crate) reordered: u64,
    before: Histogram,
    after: Histogram,
}

impl Default for Totals {
    fn default() -> Self {
        let (before, after) = (Histogram::new(), Histogram::new());
        Self { delivered: 0, expected: 0, reordered: 0, before, after }
    }
}

impl Totals {
    /// Adds what one got who had to get `expected`.
    pub(crate) fn add(&mut self, tally: &Tally, expected: u64) {
        self.delivered += tally.delivered;
        self.expected += expected;
        self.reordered += tally.reordered;
        self.before.add(&tally.before);
        self.after.add(&tally.after);
    }

    pub(crate) fn latencies(&self) -> Histogram {
        let mut all = self.before.clone();
        all.add(&self.after);
        all
    }

    /// By how many milliseconds the 99th percentile moved when viewers stalled.
    pub(crate) fn shift(&self) -> Option<f64> {
        let both = self.before.percentile(0.99).zip(self.after.percentile(0.99));
        both.map(|(before, after)| after - before)
    }
}

/// Number and time that a message begins with.
pub(crate) fn stamp(message: &mut [u8], seq: u64, sent: NtpTime) {
    message[..8].copy_from_slice(&seq.to_be_bytes());
    message[8..16].copy_from_slice(&sent.to_bits().to_be_bytes());
}

/// What [`stamp`] wrote; `None` if it did not write it.
pub(crate) fn read(message: &[u8]) -> Option<(u64, NtpTime)> {
    let (seq, rest) = message.split_first_chunk()?;
    let (sent, _) = rest.split_first_chunk()?;
    Some((u64::from_be_bytes(*seq), NtpTime::from_bits(u64::from_be_bytes(*sent))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tally(numbers: &[u64]) -> Tally {
        let mut tally = Tally::new();
        let at = NtpTime::default();
        numbers.iter().for_each(|&seq| tally.handle(seq, at, at, None));
        tally
    }

    #[test]
    fn what_is_missing_or_out_of_order_shows() {
        let whole = tally(&[5, 6, 7]);
        assert_eq!((whole.delivered, whole.expected(5, false, 8), whole.reordered), (3, 3, 0));
        let gap = tally(&[5, 7, 9]);
        assert_eq!((gap.delivered, gap.expected(5, false, 10)), (3, 5));
        // The end is missing too, and the beginning.
        assert_eq!(gap.expected(3, false, 12), 9);
        // One that was sent before the program heard that the viewer is there.
        assert_eq!(gap.expected(6, false, 10), 5);
        assert_eq!(gap.expected(3, true, 10), 5);
        assert_eq!(tally(&[]).expected(3, true, 10), 7);
        assert_eq!(tally(&[5, 7, 6, 7]).reordered, 2);
    }

    #[test]
    fn what_those_got_who_have_left_is_in_the_totals() {
        let mut totals = Totals::default();
        totals.add(&tally(&[5, 6, 7]), 3);
        totals.add(&tally(&[5, 7, 6]), 4);
        assert_eq!((totals.delivered, totals.expected, totals.reordered), (5, 7, 1));
        assert!(totals.latencies().percentile(0.5).is_some() && totals.shift().is_none());
        let (mut late, sent) = (Tally::new(), NtpTime::from_unix(Duration::from_secs(9)));
        late.handle(1, sent, NtpTime::from_unix(Duration::from_secs(10)), Some(sent));
        totals.add(&late, 1);
        assert!(totals.shift().is_some_and(|ms| (990.0..1_010.0).contains(&ms)), "{totals:?}");
    }

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let mut message = [0xff; 20];
        stamp(&mut message, 77, NtpTime::from_bits(99));
        assert_eq!(read(&message), Some((77, NtpTime::from_bits(99))));
        assert_eq!(read(&message[..15]), None);
    }
}
