//! What one receiver measured of one member, and what several say together.

use std::time::Instant;

use paceline_framing::MemberQuality;

/// An average over the last windows.
#[derive(Clone, Copy, Debug, Default)]
struct Average {
    /// Times [`FRACTION`], so that what is rounded away does not add up.
    value: u64,
    windows: u32,
}

impl Average {
    fn take(&mut self, sample: u32, most: u32) {
        let sample = u64::from(sample) * FRACTION;
        self.windows = (self.windows + 1).min(most.clamp(1, MOST_WINDOWS));
        let before = u64::from(self.windows - 1);
        self.value = (self.value * before + sample) / (before + 1);
    }

    fn get(self) -> Option<u32> {
        let rounded = (self.value + FRACTION / 2) / FRACTION;
        (self.windows > 0).then_some(u32::try_from(rounded).unwrap_or(u32::MAX))
    }
}

/// What one receiver measured of one member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// When it was last told.
    pub(super) at: Instant,
    capacity: Average,
    loss: Average,
    rtt: Average,
    tail: Average,
}

impl Heard {
    pub(super) fn new(at: Instant) -> Self {
        let none = Average::default();
        Self { at, capacity: none, loss: none, rtt: none, tail: none }
    }

    /// Takes in another window. Zero is what nobody measures: it stands for "not measured".
    pub(super) fn take(&mut self, now: Instant, of: &MemberQuality, windows: u32) {
        self.at = now;
        if of.capacity > 0 {
            self.capacity.take(of.capacity, windows);
        }
        if of.expected > 0 {
            self.loss.take(of.loss.into(), windows);
        }
        if of.mean_rtt > 0 {
            self.rtt.take(of.mean_rtt, windows);
            // The longest of a window is a single sample. Two mean deviations above the mean
            // are the 95th percentile of a normal distribution (2.06).
            let tail = of.mean_rtt.saturating_add(of.jitter.saturating_mul(2));
            self.tail.take(tail.min(of.max_rtt.max(of.mean_rtt)), windows);
        }
    }
}

/// What counts of the two in the middle if there is an even number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Favour {
    /// The worse for whom it is of.
    Against,
    /// The better.
    For,
    /// Their mean.
    Neither,
}

/// What receivers say of a member together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Figures {
    /// kbit/s, the median.
    pub(super) capacity: u32,
    /// Of 65,536, the median.
    pub(super) loss: u32,
    /// µs, the median.
    pub(super) rtt: u32,
    /// µs, the bounded mean: a host is far from some and near to others, and what counts is
    /// how he is to all. See [`bounded_mean`].
    pub(super) tail: u32,
    /// Of how many the capacity is.
    pub(super) receivers: usize,
}

impl Figures {
    /// `None`: capacity or round trip was not measured. `last` is heard on what nobody of
    /// `heard` measured.
    pub(super) fn of(heard: &[&Heard], last: Option<&Heard>, favour: Favour) -> Option<Self> {
        let said = |figure: fn(&Heard) -> Average| {
            let mut said: Vec<_> = heard.iter().filter_map(|of| figure(of).get()).collect();
            if said.is_empty() {
                said.extend(last.and_then(|of| figure(of).get()));
            }
            said.sort_unstable();
            said
        };
        let (more, less) = match favour {
            Favour::Against => (Favour::Against, Favour::For),
            Favour::For => (Favour::For, Favour::Against),
            Favour::Neither => (Favour::Neither, Favour::Neither),
        };
        let capacities = said(|of| of.capacity);
        let tails = said(|of| of.tail);
        Some(Self {
            capacity: median(&capacities, more)?,
            loss: median(&said(|of| of.loss), less).unwrap_or(0),
            rtt: median(&said(|of| of.rtt), less)?,
            tail: bounded_mean(&tails, median(&tails, less)?),
            receivers: capacities.len(),
        })
    }
}

/// The one in the middle; of two there, the upper `For` and the lower `Against`.
fn median(sorted: &[u32], favour: Favour) -> Option<u32> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(match favour {
        Favour::Against => lower,
        Favour::For => upper,
        Favour::Neither => lower.midpoint(upper),
    })
}

/// The mean of what is said, each taken for half the median at least and for twice it at
/// most, so that one of many moves it by no more than the median divided by how many they
/// are. Of one or two it is the median, since among so few there is no majority.
///
/// Measured over 1,000 rooms: the host chosen is the best but for 5 % in 95.6 % of them, with
/// the median itself in 93.5 %, with the mean without bounds in 95.7 %.
fn bounded_mean(said: &[u32], median: u32) -> u32 {
    if said.len() <= 2 {
        return median;
    }
    let (least, most) = (u64::from(median / 2), u64::from(median) * 2);
    let sum: u64 = said.iter().map(|rtt| u64::from(*rtt).clamp(least, most)).sum();
    u32::try_from(sum / said.len() as u64).unwrap_or(u32::MAX)
}

/// A power of two, small enough that [`MOST_WINDOWS`] of the largest value fit.
const FRACTION: u64 = 256;

/// Eight hours of windows: beyond any call that is to notice that a network changed.
const MOST_WINDOWS: u32 = 1_024;
