//! What one peer's path takes of our pictures: a machine for each peer.
//!
//! ```text
//!            delay sustained, and more comes in than goes out
//!   ┌─────────┐ ────────────────────────────────────────────▶ ┌──────────┐
//!   │ growing │   0.85 × what was delivered meanwhile, and    │ draining │
//!   │ (cubic) │   less until the queue is gone                │          │
//!   └─────────┘ ◀──────────────────────────────────────────── └──────────┘
//! ```
//!
//! On a channel that loses nothing a loss is a delay: of one round trip, as a rule. So
//! loss is no sign here, and a delay is one only when it is longer than that, lasts, and
//! the backlog grows with it. Then what was acknowledged in that time is what the path
//! takes, for it was busy all along: the target is a part of this measurement and not of
//! the target before, so that being asked twice does no more than once.
//!
//! Growth is cubic in time (RFC 9438 §4.2): at first quickly back to near where it was too
//! much, slowly past that, then ever faster. In seconds and not in round trips, so that who
//! is far away gets his share; with one constant for all rates, so that of two that meet in
//! one link the smaller one gains on the larger. It stands still while the encoder makes
//! less than it may, as such a path has shown nothing.
//!
//! Of what goes out while there is no path nothing is concluded, nor of a time that holds
//! such an outage: what was measured before it was another path, perhaps.
//!
//! While two streams of pictures go to one peer, as around a handover, each may take half of
//! what he is measured at. Nobody announces the second one: the first gives way when there is
//! a queue, and when one of them ends the other grows into its place, as it does otherwise.
//!
//! Where a connection has congestion control of its own, as one that carries RTP does, all of
//! this is left to that for what goes by it: its estimate, less the sound and the headers of
//! both, is the target. What goes over the channel of such a connection has a machine of its
//! own.
//!
//! Nothing here wakes anybody: it is asked when a picture goes and when something is
//! acknowledged. Who sends no pictures needs no bitrate for them.

mod acks;
mod policy;
mod usage;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_mesh::Load;
use paceline_types::{Bitrate, StreamId};

use self::acks::{Acks, Measured};
pub(crate) use self::policy::{delay_among, target_among};
use self::usage::Usage;

/// Chooses the bitrate of our pictures for one peer.
#[derive(Debug)]
pub(crate) struct RateControl {
    min: f64,
    max: f64,
    /// Bits in a second, of each stream of pictures.
    target: f64,
    acks: Acks,
    pictures: Usage,
    /// The headers of one packet of each picture.
    headers: Usage,
    /// When the last picture of each stream went to him.
    streams: BTreeMap<StreamId, Instant>,
    sound: Usage,
    over: Option<Over>,
    phase: Phase,
    /// A delay that is not ours, up to when.
    foreign: Option<(Duration, Instant)>,
    /// What the path was found to take last, for each stream of pictures.
    peak: f64,
    last: Option<Instant>,
    /// What was last told of how much may be in flight.
    limit: Option<Bitrate>,
    /// What congestion control says, where the connection has one.
    estimate: Option<Bitrate>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nothing has been too much yet.
    Free,
    /// In `age` seconds the encoder has used what it may; after `plateau` seconds it is at
    /// `peak`, and goes beyond.
    Growing {
        peak: f64,
        plateau: f64,
        age: f64,
    },
    Draining(Drain),
}

#[derive(Clone, Copy, Debug)]
struct Drain {
    since: Instant,
    delivered: u64,
    backlog: usize,
    shed: u64,
    /// What the path takes, of everything.
    rate: f64,
    /// The target before it was too much, and once the queue is gone.
    before: f64,
    after: f64,
}

/// The delay has been too long since a while.
#[derive(Clone, Copy, Debug)]
struct Over {
    since: Instant,
    shed: u64,
    /// When the target was last halved because nothing came back at all.
    halved: Option<Instant>,
}

impl RateControl {
    /// Of a path that nothing is known of: it may take the most.
    pub(crate) fn new(min: Bitrate, max: Bitrate) -> Self {
        let max = max.bps() as f64;
        Self {
            min: min.bps() as f64,
            max,
            target: max,
            acks: Acks::default(),
            pictures: Usage::default(),
            headers: Usage::default(),
            streams: BTreeMap::new(),
            sound: Usage::default(),
            over: None,
            phase: Phase::Free,
            foreign: None,
            peak: max,
            last: None,
            limit: None,
            estimate: None,
        }
    }

    /// The same pictures went to him by something else, which found that he takes so much: they
    /// begin with no more.
    pub(crate) fn begin_with(&mut self, target: Bitrate) {
        let target = (target.bps() as f64).clamp(self.min, self.max);
        if target < self.target {
            (self.target, self.peak) = (target, target);
            self.phase = Phase::growing(target, target);
        }
    }

    /// A picture was given to his queue. Of two streams at most, which are ours.
    pub(crate) fn handle_picture(&mut self, now: Instant, stream: StreamId, bytes: usize) {
        self.pictures.handle(now, bytes);
        self.headers.handle(now, HEADERS);
        self.streams.insert(stream, now);
    }

    /// When the last picture of a stream was.
    pub(crate) fn last_picture(&self, stream: StreamId) -> Option<Instant> {
        self.streams.get(&stream).copied()
    }

    /// A sound was.
    pub(crate) fn handle_sound(&mut self, now: Instant, bytes: usize) {
        self.sound.handle(now, bytes);
    }

    /// A sound was, as a packet of RTP.
    pub(crate) fn handle_carried_sound(&mut self, now: Instant, bytes: usize) {
        self.sound.handle(now, bytes.saturating_add(HEADERS));
    }

    /// Congestion control of the connection has measured what the path takes, of everything:
    /// that is the target then, less the sound and the headers, and nothing is concluded from
    /// what is acknowledged. `None`: the connection has none.
    pub(crate) const fn set_estimate(&mut self, estimate: Option<Bitrate>) {
        self.estimate = estimate;
    }

    /// How it stands, after a picture was queued or something acknowledged.
    pub(crate) fn handle_load(&mut self, now: Instant, load: &Load) {
        if let Some(estimate) = self.estimate {
            self.target = self.each_carried(now, estimate.bps() as f64 * ONCE);
            return;
        }
        let passed = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.last = Some(now);
        self.acks.handle(now, load.delivered, load.backlog);
        let Some(rtt) = load.least_rtt.filter(|_| load.path_up) else {
            return self.pause();
        };
        let foreign = self.foreign.filter(|&(_, until)| now < until);
        let delay = load.delay.saturating_sub(foreign.map_or(Duration::ZERO, |(delay, _)| delay));
        if let Phase::Draining(drain) = self.phase {
            self.drain(now, &drain, delay, rtt, load);
        } else if delay <= QUEUED + rtt {
            self.over = None;
            if delay <= DRAINED + rtt {
                self.grow(now, passed);
            }
        } else {
            let shed = load.shed;
            let over = *self.over.get_or_insert(Over { since: now, shed, halved: None });
            self.judge(now, over, rtt, load);
        }
    }

    /// What each stream of pictures may take.
    pub(crate) fn target(&self) -> Bitrate {
        Bitrate::from_bps(self.target as u64)
    }

    /// Takes what the path is taken to hold from now on, if that is news: something while a
    /// queue drains, and nothing otherwise.
    pub(crate) fn poll_limit(&mut self) -> Option<Option<Bitrate>> {
        let limit = match self.phase {
            Phase::Draining(drain) => Some(Bitrate::from_bps(drain.rate as u64)),
            Phase::Free | Phase::Growing { .. } => None,
        };
        (std::mem::replace(&mut self.limit, limit) != limit).then_some(limit)
    }

    /// Who cannot be reached is not slow, and of what is on its way to him meanwhile nothing
    /// can be told: what there is to see is seen anew when there is a path.
    fn pause(&mut self) {
        self.over = None;
        self.acks.forget();
        if let Phase::Draining(drain) = self.phase {
            self.target = drain.after;
            self.phase = Phase::growing(drain.after, self.peak);
        }
    }

    /// The delay is too long: perhaps it is too much.
    fn judge(&mut self, now: Instant, over: Over, rtt: Duration, load: &Load) {
        if self.pictures.rate(now) < self.min / 2.0 {
            return;
        }
        let sheds = load.shed > over.shed;
        let measured = self.acks.since(over.since);
        // What is left out is replaced by a keyframe, which is not to be of the old size.
        let measured = measured.or_else(|| self.acks.around(over.since).filter(|_| sheds));
        let Some(Measured { rate, span, growth }) = measured else {
            return self.judge_silence(now, over, sheds);
        };
        let room = rate / 8.0 * (GROWTH + rtt / 2).as_secs_f64();
        let grows = growth as f64 > room && span >= FAIR_SPAN
            || growth as f64 > room * GROSS && span >= LEAST_SPAN;
        let loses = sheds && span >= LEAST_SPAN;
        if !grows && !loses && span < STANDING {
            return;
        }
        let after = self.each(now, rate * SHARE);
        if self.target <= after {
            // A keyframe, or an application's data: pictures are not what is too much.
            self.over = None;
            return;
        }
        let peak = self.each(now, rate);
        // RFC 9438 §4.7: with less than last time, somebody else is there.
        self.peak = if peak < self.peak { peak * (1.0 + SHARE) / 2.0 } else { peak }.max(after);
        let before = self.target;
        self.over = None;
        self.start_draining(now, before, rate, rtt, load);
        tracing::debug!(
            rate = rate as u64,
            target = self.target as u64,
            backlog = load.backlog,
            "too much for the path"
        );
    }

    /// Not even two acknowledgements came: there is nothing to measure by.
    fn judge_silence(&mut self, now: Instant, over: Over, sheds: bool) {
        let since = [Some(over.since), over.halved, self.acks.latest()].into_iter().flatten().max();
        let silent = since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        if silent < if sheds { SILENCE / 3 } else { SILENCE } {
            return;
        }
        self.target = (self.target / 2.0).max(self.min);
        self.peak = self.target;
        self.phase = Phase::growing(self.target, self.target);
        self.over = Some(Over { halved: Some(now), ..over });
    }

    /// Less than the path takes, by as much as brings the queue away within [`DRAIN`].
    fn start_draining(&mut self, now: Instant, before: f64, rate: f64, rtt: Duration, load: &Load) {
        let after = self.each(now, rate * SHARE);
        // Little's law. How long the oldest has been under way tells of the queue as it was.
        let queue = load.backlog as f64 * 8.0 / rate - rtt.as_secs_f64();
        let share = SHARE - queue.max(0.0) / DRAIN.as_secs_f64();
        self.target = self.each(now, rate * share.max(LEAST_SHARE)).min(after);
        self.phase = Phase::Draining(Drain {
            since: now,
            delivered: load.delivered,
            backlog: load.backlog,
            shed: load.shed,
            rate,
            before,
            after,
        });
    }

    fn drain(&mut self, now: Instant, drain: &Drain, delay: Duration, rtt: Duration, load: &Load) {
        if delay <= DRAINED + rtt / 2 {
            self.target = drain.after;
            self.phase = Phase::growing(drain.after, self.peak);
            return;
        }
        let span = now.saturating_duration_since(drain.since);
        if span < DRAIN {
            return;
        }
        let bits = |bytes: f64| bytes * 8.0 / span.as_secs_f64();
        let went = bits(load.delivered.saturating_sub(drain.delivered) as f64);
        let came = went + bits(load.backlog as f64 - drain.backlog as f64);
        // What was shed came in and is in neither figure, and what nothing was heard of for a
        // while may have been stuck: then it can be a queue of ours all the same.
        let is_whole = went > 0.0
            && load.shed == drain.shed
            && self.acks.are_steady(drain.since, now, rtt.saturating_add(STEADY));
        let has_made_room =
            came < drain.rate * OBEYED && came <= went && went < (came + drain.rate) / 2.0;
        if is_whole && has_made_room {
            // We sent less, less came through, and it took as long: there is no queue of ours.
            // The way is longer than it was, or we wait in somebody else's queue.
            let was = self.foreign.filter(|&(_, until)| now < until);
            let was = was.map_or(Duration::ZERO, |(delay, _)| delay);
            self.foreign = Some((was.saturating_add(delay), now + FOREIGN));
            self.target = drain.before;
            self.phase = Phase::growing(drain.before, drain.before);
        } else if went > 0.0 {
            self.start_draining(now, drain.before, went, rtt, load);
        } else {
            self.target = self.min;
            self.phase = Phase::growing(self.min, self.min);
        }
    }

    fn grow(&mut self, now: Instant, passed: Duration) {
        let used = self.pictures.rate(now) / self.streams_of_late(now);
        let Phase::Growing { peak, plateau, age } = &mut self.phase else { return };
        if self.target >= self.max || used < self.target * USED {
            return;
        }
        let passed = passed.min(MAX_STEP).as_secs_f64();
        *age += passed;
        let beyond = *age - *plateau;
        let grown = CUBIC * beyond * beyond * beyond + *peak;
        let most = (self.target * (1.0 + STEEPEST * passed)).min(self.max);
        self.target = grown.clamp(self.target, most);
    }

    /// What each stream of pictures may take, of so much for everything.
    fn each(&self, now: Instant, rate: f64) -> f64 {
        let pictures = rate - self.sound.rate(now);
        (pictures / self.streams_of_late(now)).clamp(self.min, self.max)
    }

    /// The same of pictures that go as packets of RTP, of which every one has headers: small
    /// ones of a single packet, large ones of full packets and on average half of one.
    fn each_carried(&self, now: Instant, rate: f64) -> f64 {
        let (packets, headers) = (rate - self.sound.rate(now), self.headers.rate(now));
        let pictures = (packets - headers).min((packets - headers / 2.0) * FULL);
        (pictures / self.streams_of_late(now)).clamp(self.min, self.max)
    }

    fn streams_of_late(&self, now: Instant) -> f64 {
        let goes_on = |at: &&Instant| now.saturating_duration_since(**at) < OF_LATE;
        self.streams.values().filter(goes_on).count().max(1) as f64
    }
}

impl Phase {
    /// RFC 9438 §4.2: K, the time in which it comes back to the peak.
    fn growing(from: f64, peak: f64) -> Self {
        Self::Growing { peak, plateau: ((peak - from).max(0.0) / CUBIC).cbrt(), age: 0.0 }
    }
}

/// Of what congestion control gives out, what may be sent once: 2 % of packets may be sent
/// again.
const ONCE: f64 = 0.98;

/// What a packet has beside what is in it: its header (12), extensions (12 with the frame's
/// number and that of congestion control) and SRTP's tag (10), and two bytes that an engine may
/// add.
const HEADERS: usize = 36;

/// What pictures are of full packets: `paceline_mesh` has up to 1,160 bytes of them in each.
const FULL: f64 = 1_160.0 / (1_160.0 + HEADERS as f64);

/// Of what the path takes, what we use after it was too much: GCC's
/// (draft-ietf-rmcat-gcc-02 §5.5).
const SHARE: f64 = 0.85;

/// While a queue is there at least so much of it, or pictures would stand still.
const LEAST_SHARE: f64 = 0.4;

/// Bits in a second, in a second cubed: after 0.85 of 1 Mbit/s it is back there in 2.5 s and at
/// 4 Mbit/s in 9.3 s, and from 100 kbit/s at 1.2 Mbit/s in 6 s.
const CUBIC: f64 = 9_600.0;

/// A part more in a second at most: until a queue is seen, which takes half of one, it is a
/// sixth too much.
const STEEPEST: f64 = 0.3;

/// A queue of three pictures at 60 a second is no sign; a round trip more is a loss.
const QUEUED: Duration = Duration::from_millis(60);

/// Who sends less than this of what came through before has made room.
const OBEYED: f64 = 0.95;

/// So much of a queue is no queue; with more than this nothing grows.
const DRAINED: Duration = Duration::from_millis(30);

/// By so long a time the backlog grows if it is too much, half a round trip more: what
/// waits behind something lost comes at once.
const GROWTH: Duration = Duration::from_millis(40);

/// From the first acknowledgement to the last: of four pictures of 15 a second, which are
/// confirmed one by one, so that what is measured is true to a fourth.
const FAIR_SPAN: Duration = Duration::from_millis(250);

/// So many times as much is a link that has become another: then it has to be quick, and is
/// measured again while the queue drains.
const GROSS: f64 = 3.0;

/// Two pictures of 15 a second.
const LEAST_SPAN: Duration = Duration::from_millis(100);

/// A queue that neither grows nor goes is one that we keep up. A keyframe of ten pictures
/// is gone by then.
const STANDING: Duration = Duration::from_secs(1);

/// In which a queue is to go: one of 200 ms by sending 0.65.
const DRAIN: Duration = Duration::from_secs(1);

/// Longer than that, and the shortest round trip, nothing is silent whose pictures are
/// confirmed one by one: three of ten a second.
const STEADY: Duration = Duration::from_millis(300);

/// A stream whose last picture is older has ended: as long as [`usage`] remembers it.
const OF_LATE: Duration = Duration::from_secs(1);

/// As long as a shortest round trip is remembered (`paceline_mesh`): then it is known by it.
const FOREIGN: Duration = Duration::from_secs(10);

/// Longer than RTO.Min of RFC 9260 §16, a second, after which what was lost twice is sent
/// again. A third of it if what waits was too old by then.
const SILENCE: Duration = Duration::from_millis(1_500);

/// An encoder that makes less than this of what it may does not want more: OpenH264 made
/// 0.8 to 1.0 of it on what moved.
const USED: f64 = 0.7;

/// What passes between two pictures of ten a second.
const MAX_STEP: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
