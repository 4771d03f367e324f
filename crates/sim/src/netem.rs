//! One direction of a link: what it loses, and how long the rest takes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::Random;

/// How a link treats packets, in each direction by itself.
///
/// The presets are a ladder of links to find where a call breaks; each is meant to
/// be climbed down by [`delay`](Self::delay), [`jitter`](Self::jitter) and
/// [`loss`](Self::loss).
///
/// ```
/// use std::time::Duration;
///
/// use paceline_sim::LinkConfig;
///
/// let satellite = LinkConfig::wan().delay(Duration::from_millis(300));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkConfig {
    delay: Duration,
    jitter: Duration,
    loss: f64,
    burst: f64,
}

impl LinkConfig {
    /// A switch in between: 0.2 ± 0.1 ms, nothing lost. If a call is not perfect
    /// here, it is the call.
    #[must_use]
    pub const fn lan() -> Self {
        Self::of(Duration::from_micros(200), Duration::from_micros(100), 0.0)
    }

    /// Two homes on one continent, one of them on a busy wireless LAN: 40 ± 15 ms,
    /// 2 % lost. A call has to be good here.
    #[must_use]
    pub const fn wan() -> Self {
        Self::of(Duration::from_millis(40), Duration::from_millis(15), 0.02)
    }

    /// A train with one bar: 120 ± 60 ms, 5 % lost. A call has to hold here, and
    /// need not be good.
    #[must_use]
    pub const fn bad() -> Self {
        Self::of(Duration::from_millis(120), Duration::from_millis(60), 0.05)
    }

    const fn of(delay: Duration, jitter: Duration, loss: f64) -> Self {
        Self { delay, jitter, loss, burst: 1.0 }
    }

    /// How long a packet takes one way, on average; twice that is the round trip.
    #[must_use]
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// How far a packet's delay may be off, either way; all values between are
    /// equally likely, and none is below zero.
    #[must_use]
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// The share of packets that are lost: each by its own throw of the dice, unless
    /// they are lost in [bursts](Self::burst).
    ///
    /// # Panics
    ///
    /// If it is not within 0 to 1.
    #[must_use]
    pub const fn loss(mut self, loss: f64) -> Self {
        assert!(loss >= 0.0 && loss <= 1.0, "loss is a share, from 0 to 1");
        self.loss = loss;
        self
    }

    /// How many packets in a row are lost on average; the share stays what
    /// [`loss`](Self::loss) says. Defaults to 1, which is no bursts at all.
    ///
    /// A chain of two states, one of which loses everything (Gilbert 1960, "Capacity
    /// of a burst-noise channel"; with Elliott's error rates at 0 and 1). It moves by
    /// packets and not by time: how long a burst lasts depends on what is sent.
    ///
    /// # Panics
    ///
    /// If it is below 1, or not finite.
    ///
    /// ```
    /// use paceline_sim::LinkConfig;
    ///
    /// let wireless = LinkConfig::wan().loss(0.05).burst(4.0);
    /// ```
    #[must_use]
    pub const fn burst(mut self, packets: f64) -> Self {
        assert!(packets >= 1.0 && packets.is_finite(), "a burst is a packet at least");
        self.burst = packets;
        self
    }
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self::lan()
    }
}

/// What became of a packet given to [`Netem::handle_packet`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is gone.
    Lost,
    /// It will arrive.
    Queued,
}

/// Counts since the link was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NetemStats {
    /// Packets put in, the lost ones included.
    pub packets: u64,
    /// Packets lost by the dice. Not those that a cut link threw away.
    pub lost: u64,
}

/// One direction of a link, as a machine.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_packet`](Self::handle_packet), [`handle_timeout`](Self::handle_timeout) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
///
/// Packets never overtake each other: one that is faster than the one before waits
/// for it, as behind a queue. Packets of one instant are a burst and take equally
/// long. There is no limit on how many are under way.
///
/// ```
/// use paceline_sim::{LinkConfig, Netem, Random, epoch};
///
/// let mut link = Netem::new(LinkConfig::lan().loss(0.0), Random::new(1));
/// let _ = link.handle_packet(epoch(), "hello");
/// assert_eq!(link.poll_output(), None);
///
/// let arrival = link.poll_timeout().expect("it is under way");
/// link.handle_timeout(arrival);
/// assert_eq!(link.poll_output(), Some("hello"));
/// ```
#[derive(Debug)]
pub struct Netem<T> {
    config: LinkConfig,
    random: Random,
    /// Under way, by arrival.
    packets: VecDeque<(Instant, T)>,
    /// When the last packet that was not lost was put in, and when it arrives.
    last: Option<(Instant, Instant)>,
    now: Option<Instant>,
    /// Whether the packet before was lost, if losses come in bursts.
    losing: bool,
    stats: NetemStats,
}

impl<T> Netem<T> {
    /// A link with nothing under way, whose dice are `random`.
    #[must_use]
    pub const fn new(config: LinkConfig, random: Random) -> Self {
        Self {
            config,
            random,
            packets: VecDeque::new(),
            last: None,
            now: None,
            losing: false,
            stats: NetemStats { packets: 0, lost: 0 },
        }
    }

    /// Puts in a packet at `now`.
    pub fn handle_packet(&mut self, now: Instant, packet: T) -> Verdict {
        self.stats.packets += 1;
        if self.config.loss > 0.0 && self.is_lost() {
            self.stats.lost += 1;
            return Verdict::Lost;
        }
        let arrival = match self.last {
            Some((put_in, arrival)) if put_in == now => arrival,
            Some((_, before)) => before.max(now + self.transit()),
            None => now + self.transit(),
        };
        self.last = Some((now, arrival));
        self.packets.push_back((arrival, packet));
        Verdict::Queued
    }

    /// Lets time pass. Calling it early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(Some(now));
    }

    /// Takes what has arrived, in the order it was put in.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<T> {
        let now = self.now?;
        self.packets.pop_front_if(|(arrival, _)| *arrival <= now).map(|(_, packet)| packet)
    }

    /// When the next packet arrives.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.packets.front().map(|&(arrival, _)| arrival)
    }

    /// Counts since the link was made.
    #[must_use]
    pub const fn stats(&self) -> NetemStats {
        self.stats
    }

    /// Whether nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    fn is_lost(&mut self) -> bool {
        let LinkConfig { loss, burst, .. } = self.config;
        let dice = self.random.fraction();
        if burst <= 1.0 || loss >= 1.0 {
            return dice < loss;
        }
        // A burst ends after `burst` packets on average; then it begins so seldom that
        // the share of the lost is `loss`.
        let ends = 1.0 / burst;
        let begins = ends * loss / (1.0 - loss);
        self.losing = if self.losing { dice >= ends } else { dice < begins };
        self.losing
    }

    fn transit(&mut self) -> Duration {
        let most = self.config.delay + self.config.jitter;
        let back = (2 * self.config.jitter).mul_f64(self.random.fraction());
        most.saturating_sub(back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch;

    #[test]
    fn delay_and_loss_are_what_the_config_says() {
        let config = LinkConfig::wan();
        let mut link = Netem::new(config, Random::new(3));
        let mut arrived = 0;
        for number in 0..50_000_u32 {
            // A packet every 40 ms: none ever waits for the one before.
            let sent = epoch() + Duration::from_millis(40) * number;
            if link.handle_packet(sent, number) == Verdict::Lost {
                continue;
            }
            let arrival = link.poll_timeout().unwrap();
            let took = (arrival - sent).as_millis();
            assert!((25..=55).contains(&took), "{took} ms");
            link.handle_timeout(arrival);
            assert_eq!(link.poll_output(), Some(number));
            arrived += 1;
        }
        let lost = link.stats().lost;
        assert_eq!(lost + arrived, 50_000);
        assert!((900..=1_100).contains(&lost), "{lost} of 50,000 is not 2 %");
    }

    #[test]
    fn bursts_lose_the_same_share_in_longer_rows() {
        for (burst, seed) in [(2.0, 3), (4.0, 5), (8.0, 7)] {
            let mut link = Netem::new(LinkConfig::lan().loss(0.05).burst(burst), Random::new(seed));
            let (mut bursts, mut losing) = (0_u32, false);
            for number in 0..200_000_u32 {
                let lost = link.handle_packet(epoch(), number) == Verdict::Lost;
                bursts += u32::from(lost && !losing);
                losing = lost;
            }
            let lost = link.stats().lost as f64;
            assert!((9_000.0..11_000.0).contains(&lost), "{lost} of 200,000 is not 5 %");
            let mean = lost / f64::from(bursts);
            assert!((mean / burst - 1.0).abs() < 0.1, "bursts of {mean}, and not of {burst}");
        }
    }

    #[test]
    fn packets_do_not_overtake_each_other() {
        let mut link = Netem::new(LinkConfig::bad(), Random::new(5));
        let mut put_in = Vec::new();
        for number in 0..1_000_u32 {
            let sent = epoch() + Duration::from_millis(number.into());
            if link.handle_packet(sent, number) == Verdict::Queued {
                put_in.push(number);
            }
        }
        link.handle_timeout(epoch() + Duration::from_secs(10));
        assert_eq!(Vec::from_iter(std::iter::from_fn(|| link.poll_output())), put_in);
    }
}
