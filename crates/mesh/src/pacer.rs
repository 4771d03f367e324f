//! How much may be in flight to a peer, and how much his path takes.
//!
//! A model of the path after BBR (Cardwell et al., "BBR: Congestion-Based Congestion
//! Control", CACM 60(2), 2017; draft-cheng-iccrg-delivery-rate-estimation-00): its
//! capacity is the best rate at which bytes were acknowledged lately, its length the least
//! round trip. What both together hold is in flight; more would only wait in queues on the
//! way, where it can be neither overtaken nor shed.
//!
//! One deviation: BBR paces packets, which here the engine does. A window alone, some
//! larger than the product of both, keeps the link busy.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use paceline_types::Bitrate;

use crate::path::{Capacity, LeastRtt, MIN_INTERVAL, rate};
use crate::probe::{Cluster, Probe};

/// The bounds of a [`Pacer`].
///
/// ```
/// use paceline_mesh::PacerConfig;
///
/// let config = PacerConfig::default().max_window(256 << 10);
/// ```
#[derive(Clone, Debug)]
pub struct PacerConfig {
    pub(crate) max_message: usize,
    pub(crate) max_window: usize,
    pub(crate) min_window: usize,
    pub(crate) probe_bytes: usize,
    pub(crate) probe_interval: Duration,
}

impl PacerConfig {
    /// Bytes of the longest message. Defaults to 16,384, the size that every data-channel
    /// implementation sends (RFC 8831 §6.6).
    ///
    /// The window is that much larger than what the path holds.
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Bytes that may be in flight at most. Defaults to 1 MiB: 80 Mbit/s at 100 ms.
    ///
    /// It has to fit the engine's own limit. More lets fast, long paths be filled, and
    /// costs that much memory for each peer.
    #[must_use]
    pub const fn max_window(mut self, bytes: usize) -> Self {
        self.max_window = bytes;
        self
    }

    /// Bytes that may be in flight at least, and at first. Defaults to 32 KiB, two messages:
    /// one on its way and one behind it.
    ///
    /// Less lets a link fall idle between messages. On a link slower than this in a round
    /// trip it is all delay: 131 ms at 2 Mbit/s, of which sound waits for most.
    #[must_use]
    pub const fn min_window(mut self, bytes: usize) -> Self {
        self.min_window = bytes;
        self
    }

    /// Bytes of a probe. Defaults to 32 KiB, two messages. Zero: there are no probes, and
    /// the capacity beyond the demand stays unknown.
    ///
    /// Two to four messages. Fewer measure the path less well, more cost more.
    #[must_use]
    pub const fn probe_bytes(mut self, bytes: usize) -> Self {
        self.probe_bytes = bytes;
        self
    }

    /// The least time from one probe to the next. Defaults to 5 s: with 32 KiB that is
    /// 52 kbit/s.
    #[must_use]
    pub const fn probe_interval(mut self, interval: Duration) -> Self {
        self.probe_interval = interval;
        self
    }
}

impl Default for PacerConfig {
    fn default() -> Self {
        Self {
            max_message: 16_384,
            max_window: 1 << 20,
            min_window: 32 << 10,
            probe_bytes: 32 << 10,
            probe_interval: Duration::from_secs(5),
        }
    }
}

/// Decides how much may be in flight to one peer, and measures what his path takes.
///
/// The owner sends whenever the window has room and something waits, and then says
/// whether something still does.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_sent`](Self::handle_sent), [`handle_acked`](Self::handle_acked), [`handle_rtt`](Self::handle_rtt) |
/// | steering | [`set_waiting`](Self::set_waiting), [`set_limit`](Self::set_limit) |
/// | output | [`window`](Self::window), [`capacity`](Self::capacity), [`poll_probe`](Self::poll_probe) |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use paceline_mesh::{Pacer, PacerConfig};
///
/// // 100 ms there and back, 10 Mbit/s; more waits at all times.
/// let mut now = Instant::now();
/// let mut pacer = Pacer::new(PacerConfig::default());
/// let (mut outstanding, mut arrive) = (0, std::collections::VecDeque::new());
/// let mut link_free = now;
/// for _ in 0..500 {
///     while outstanding + 16_384 <= pacer.window() {
///         pacer.handle_sent(now, 16_384);
///         outstanding += 16_384;
///         link_free = link_free.max(now) + Duration::from_micros(13_107);
///         arrive.push_back(link_free + Duration::from_millis(100));
///     }
///     pacer.set_waiting(now, true);
///     now = arrive.pop_front().expect("something is in flight");
///     outstanding -= 16_384;
///     pacer.handle_acked(now, 16_384);
/// }
/// let capacity = pacer.capacity().expect("it is measured").bps();
/// assert!((9_500_000..10_500_000).contains(&capacity));
/// assert!((125_000..220_000).contains(&pacer.window()));
/// ```
#[derive(Debug)]
pub struct Pacer {
    config: PacerConfig,
    sent: u64,
    delivered: u64,
    /// When `delivered` last grew, or sending began anew.
    delivered_at: Option<Instant>,
    /// When the first byte went of those that the latest sample is about.
    first_sent: Option<Instant>,
    in_flight: VecDeque<Sent>,
    /// Up to this byte what was sent is all that there was to send.
    demand_ends: u64,
    /// Since when there has been nothing more to send.
    idle_since: Option<Instant>,
    waiting: bool,
    capacity: Capacity,
    least_rtt: LeastRtt,
    phase: Phase,
    /// Bytes that may be in flight while the path shows no limit.
    growing: usize,
    round: Round,
    /// The latest full round had to wait on its way.
    queued: bool,
    /// How much longer than the least a round trip is without any queue of ours.
    spread: Duration,
    probe: Option<Cluster>,
    next_probe: Option<Instant>,
    limit: Option<Bitrate>,
}

/// Some bytes that went at one time.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// The byte after the last.
    end: u64,
    at: Instant,
    /// How things stood then.
    delivered: u64,
    delivered_at: Instant,
    first_sent: Instant,
    demand_limited: bool,
    /// Its first byte is acknowledged.
    touched: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// The window doubles in a round trip.
    Start,
    /// A cycle of eight rounds: one asks for more, the next makes good for it.
    Steady { step: usize },
}

/// A round trip, counted in acknowledgements.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    /// It is over when something is acknowledged that went after this many bytes were.
    ends: u64,
    since: Option<Instant>,
    least_rtt: Option<Duration>,
    /// Of all round trips in it.
    sum: Duration,
    count: u32,
    /// Something of it was limited by the window, not by the demand.
    full: bool,
    /// The capacity a while ago, and for how many rounds it has not grown since.
    best: u64,
    flat: u32,
    /// How many rounds have been longer than the model says.
    late: u32,
}

impl Pacer {
    /// Of a path that nothing is known of.
    ///
    /// # Panics
    ///
    /// If the config's `max_message` is zero, its `max_window` below its `min_window`, or
    /// its `probe_interval` zero.
    #[must_use]
    pub fn new(config: PacerConfig) -> Self {
        assert!(config.max_message > 0, "max_message is not zero");
        assert!(config.min_window <= config.max_window, "max_window is not below min_window");
        assert!(!config.probe_interval.is_zero(), "probe_interval is not zero");
        Self {
            sent: 0,
            delivered: 0,
            delivered_at: None,
            first_sent: None,
            in_flight: VecDeque::new(),
            demand_ends: 0,
            idle_since: None,
            waiting: false,
            capacity: Capacity::default(),
            least_rtt: LeastRtt::default(),
            phase: Phase::Start,
            growing: config.min_window,
            round: Round::default(),
            queued: false,
            spread: Duration::ZERO,
            probe: None,
            next_probe: None,
            limit: None,
            config,
        }
    }

    /// A message went to the transport.
    pub fn handle_sent(&mut self, now: Instant, bytes: usize) {
        self.idle_since.get_or_insert(now);
        if !self.waiting {
            // One more: what is sent from nothing waits for its first acknowledgement.
            self.demand_ends = self.sent.saturating_add(1);
        }
        if self.outstanding() == 0 {
            // What was before an idle time says nothing of what comes after it.
            self.first_sent = Some(now);
            self.delivered_at = Some(now);
        }
        self.sent = self.sent.saturating_add(bytes as u64);
        let sent = Sent {
            end: self.sent,
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at.unwrap_or(now),
            first_sent: self.first_sent.unwrap_or(now),
            demand_limited: self.delivered < self.demand_ends,
            touched: false,
        };
        let crowded = self.in_flight.len() >= MAX_IN_FLIGHT;
        match self.in_flight.back_mut() {
            Some(last) if crowded || last.at == now && last.delivered == sent.delivered => {
                last.end = sent.end;
            }
            _ => self.in_flight.push_back(sent),
        }
        if let Some(probe) = &mut self.probe {
            probe.handle_sent(now, self.sent - bytes as u64);
        }
    }

    /// Bytes sent earlier are acknowledged. More than there are outstanding count as all.
    pub fn handle_acked(&mut self, now: Instant, bytes: usize) {
        let bytes = (bytes as u64).min(self.outstanding());
        if bytes == 0 {
            return;
        }
        self.delivered += bytes;
        self.delivered_at = Some(now);
        self.measure_probe(now);

        let mut last = None;
        while let Some(sent) = self.in_flight.front_mut() {
            let begin_acked = !sent.touched;
            sent.touched = true;
            let (at, sent, done) = (sent.at, *sent, sent.end <= self.delivered);
            if begin_acked {
                // The first bytes of a message: the others are that much later.
                self.handle_round_trip(now, now.saturating_duration_since(at));
            }
            if !done {
                break;
            }
            self.in_flight.pop_front();
            let next_begins = self.delivered > sent.end;
            last = Some(sent);
            if !next_begins {
                break;
            }
        }
        let Some(sent) = last else {
            let limited = self.in_flight.front().is_some_and(|sent| sent.demand_limited);
            return self.grow(bytes, limited);
        };
        self.first_sent = Some(sent.at);
        self.take_sample(now, &sent);
        self.grow(bytes, sent.demand_limited);
        if sent.delivered >= self.round.ends
            && self
                .round
                .since
                .is_none_or(|since| now.saturating_duration_since(since) >= MIN_ROUND)
        {
            self.end_round(now);
        }
    }

    /// A round trip was measured, by ping and pong or the like.
    pub fn handle_rtt(&mut self, now: Instant, rtt: Duration) {
        self.handle_round_trip(now, rtt);
    }

    /// As long as this is set, no more is in flight than a path of that rate holds, and a
    /// message: for somebody who sees that there is a queue, and lets it drain.
    ///
    /// That the path has become slower the window finds out by itself when it has been full
    /// for two rounds. That may never be if less is sent from now on, and until then what
    /// is in flight is too much.
    pub const fn set_limit(&mut self, rate: Option<Bitrate>) {
        self.limit = rate;
    }

    /// Whether something waits for no other reason than that the window has no room for
    /// it. To be told when nothing more is sent: after anything was queued, and after each
    /// acknowledgement; and before anything is sent if not all of what waits will fit.
    ///
    /// While nothing waits, what comes through is the demand, not the capacity.
    pub fn set_waiting(&mut self, now: Instant, waiting: bool) {
        if waiting {
            self.idle_since = None;
        } else {
            self.idle_since.get_or_insert(now);
            self.demand_ends = self.sent.saturating_add(1);
        }
        self.waiting = waiting;
    }

    /// Bytes that may be outstanding: the next message may go if it fits.
    #[must_use]
    pub fn window(&self) -> usize {
        let bytes = match (self.phase, self.product()) {
            (Phase::Steady { step }, Some(product)) => {
                let percent = CYCLE.get(step).copied().unwrap_or(100);
                let bytes = product.saturating_mul(percent) / 100;
                if product <= self.config.min_window {
                    // The least window is spare enough. Whether it is too little shows when
                    // there is more, unless that would wait in a queue for sure.
                    let more = percent > 100 && !self.queued;
                    self.config.min_window + if more { self.config.max_message } else { 0 }
                } else if percent >= 100 {
                    // A message is all or nothing, so on average half of one does not fit.
                    let spread = held(self.capacity.best(), self.spread);
                    bytes.saturating_add(spread).saturating_add(self.config.max_message)
                } else {
                    // This round is to empty the queue.
                    bytes
                }
            }
            (_, product) => self.growing.max(product.unwrap_or(0)),
        };
        bytes.min(self.most()).clamp(self.config.min_window, self.config.max_window)
    }

    /// What the path takes, as far as it was seen: it may take more, if nobody ever sent
    /// more. `None` before the window was full once, or a probe came back.
    ///
    /// Little demand never lowers it. If the path gets worse meanwhile, probes show
    /// that when what was seen before is 30 s old and the next one goes.
    #[must_use]
    pub fn capacity(&self) -> Option<Bitrate> {
        self.capacity
            .is_measured()
            .then(|| Bitrate::from_bps(self.capacity.best().saturating_mul(8)))
    }

    /// Bytes that were acknowledged since it was made.
    pub(crate) const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// The shortest round trip of the last 10 s, if there was one.
    pub(crate) fn least_rtt(&self) -> Option<Duration> {
        self.least_rtt.get()
    }

    /// How long the oldest has been under way of what is not acknowledged.
    pub(crate) fn oldest_age(&self, now: Instant) -> Option<Duration> {
        self.in_flight.front().map(|sent| now.saturating_duration_since(sent.at))
    }

    /// Whether padding may be sent to measure the path, because nothing else has filled it
    /// for a while. Whoever asks sends it at once, and says so by
    /// [`handle_sent`](Self::handle_sent).
    #[must_use]
    pub fn poll_probe(&mut self, now: Instant) -> Option<Probe> {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return None;
        }
        self.next_probe = Some(now.checked_add(self.config.probe_interval)?);
        let bytes = self.config.probe_bytes;
        self.probe = Some(Cluster::new(now, self.sent, bytes, self.outstanding()));
        Some(Probe { bytes })
    }

    /// When to ask [`poll_probe`](Self::poll_probe).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let fits = |bytes: usize, window: usize| {
            self.outstanding().saturating_add(bytes as u64) <= window as u64
        };
        let PacerConfig { max_message, max_window, probe_bytes, .. } = self.config;
        let room = fits(max_message, self.window()) && fits(probe_bytes, max_window);
        if self.waiting || probe_bytes == 0 || !room {
            return None;
        }
        let due = self.idle_since? + PROBE_AFTER;
        Some(self.next_probe.map_or(due, |next| next.max(due)))
    }

    const fn outstanding(&self) -> u64 {
        self.sent.saturating_sub(self.delivered)
    }

    /// The draft's sample of the delivery rate: no faster than it was sent, no faster
    /// than it was acknowledged.
    fn take_sample(&mut self, now: Instant, sent: &Sent) {
        let took = sent.at.saturating_duration_since(sent.first_sent);
        let took = took.max(now.saturating_duration_since(sent.delivered_at));
        if took < self.least_rtt.get().unwrap_or_default().max(MIN_INTERVAL) {
            return;
        }
        let rate = rate(self.delivered - sent.delivered, took);
        if sent.demand_limited {
            self.capacity.raise(now, rate);
        } else {
            self.round.full = true;
            self.capacity.handle_sample(now, rate);
        }
    }

    fn measure_probe(&mut self, now: Instant) {
        let Some(probe) = &mut self.probe else { return };
        let way = self.least_rtt.get().unwrap_or_default();
        probe.handle_acked(now, self.delivered, way);
        if probe.is_over(now, self.delivered) {
            let rate = probe.rate();
            self.probe = None;
            if rate > 0 {
                self.capacity.handle_probe(now, rate);
            }
        }
    }

    fn handle_round_trip(&mut self, now: Instant, rtt: Duration) {
        self.least_rtt.handle(now, rtt);
        let least = self.round.least_rtt.map_or(rtt, |least| least.min(rtt));
        self.round.least_rtt = Some(least);
        self.round.sum = self.round.sum.saturating_add(rtt);
        self.round.count += 1;
    }

    /// What may be in flight while somebody sees a queue.
    fn most(&self) -> usize {
        let Some((rate, rtt)) = self.limit.zip(self.least_rtt.get()) else { return usize::MAX };
        held(rate.bps() / 8, rtt).saturating_add(self.config.max_message)
    }

    /// What the path holds: capacity times length.
    fn product(&self) -> Option<usize> {
        let rtt = self.least_rtt.get()?;
        let rate = self.capacity.is_measured().then(|| self.capacity.best())?;
        Some(held(rate, rtt))
    }

    fn grow(&mut self, acked: u64, demand_limited: bool) {
        if self.phase == Phase::Start && !demand_limited {
            let acked = usize::try_from(acked).unwrap_or(usize::MAX);
            self.growing = self.growing.saturating_add(acked).min(self.config.max_window);
        }
    }

    fn end_round(&mut self, now: Instant) {
        let round = self.round;
        let best = self.capacity.best();
        let window = self.window() as u64;
        self.round = Round {
            ends: self.delivered,
            since: Some(now),
            best: round.best,
            flat: round.flat,
            late: round.late,
            ..Round::default()
        };
        let (true, Some(rtt), Some(least)) = (round.full, round.least_rtt, self.least_rtt.get())
        else {
            return;
        };
        self.capacity.handle_round();
        // Little's law: a window that is delivered at that rate is gone after this long.
        let model = least.max(span(window, best));
        let late = rtt > model + model / 2 + SLACK;
        self.round.late = if late { round.late + 1 } else { 0 };
        if self.round.late >= 2 {
            // The path has become slower than it was.
            self.round.late = 0;
            self.capacity.forget_but_latest();
        }
        let queued = rtt > least + least / 4 + SLACK;
        self.queued = queued;
        match self.phase {
            Phase::Start => {
                let grown = best > round.best + round.best / 4;
                self.round.flat = if grown { 0 } else { round.flat + 1 };
                self.round.best = if grown { best } else { round.best };
                if self.round.flat >= FLAT_ROUNDS || queued && self.round.flat >= 1 {
                    self.round.best = best;
                    self.phase = Phase::Steady { step: 1 };
                }
            }
            Phase::Steady { step } => {
                if step == 0 {
                    self.round.best = best;
                }
                let step = (step + 1) % CYCLE.len();
                self.phase = Phase::Steady { step };
                if step == 3 {
                    // What is acknowledged now went while a part of the path was empty. Twice
                    // the mean is the most of what is spread evenly, and no outlier.
                    let mean = round.sum / round.count.max(1);
                    self.spread = (mean.saturating_sub(least) * 2).min(least / 2);
                }
                if step == 2 && best > round.best + round.best / 8 && !queued {
                    // More was asked for, and more came: there may be much more.
                    self.growing = self.window();
                    self.round.best = best;
                    self.round.flat = 0;
                    self.phase = Phase::Start;
                }
            }
        }
    }
}

/// What a path of that rate and length holds.
fn held(rate: u64, rtt: Duration) -> usize {
    let bytes = u128::from(rate) * rtt.as_micros() / 1_000_000;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// How long so many bytes take at so many in a second.
fn span(bytes: u64, rate: u64) -> Duration {
    let micros = u128::from(bytes) * 1_000_000 / u128::from(rate.max(1));
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// Percent of what the path holds, round by round (BBR, "Steady-state behavior"): a
/// quarter more shows whether it takes more, a quarter less takes away the queue that this
/// made, and shows the length of the path.
const CYCLE: [usize; 8] = [125, 75, 100, 100, 100, 100, 100, 100];

/// BBR, "Single BBR Flow Startup Behavior": three rounds without a quarter more.
const FLAT_ROUNDS: u32 = 3;

/// Rounds of a LAN would be over before a task is woken.
const MIN_ROUND: Duration = Duration::from_millis(20);

/// What a round trip may vary by for the reason of timers and threads.
const SLACK: Duration = Duration::from_millis(10);

/// Longer than the pictures and sounds of a stream are apart.
const PROBE_AFTER: Duration = Duration::from_secs(1);

/// Of messages in flight, each a record of 72 bytes; beyond it several share one. A full
/// window of 1 MiB is 64 messages; this many are sound of a minute.
const MAX_IN_FLIGHT: usize = 1_024;
