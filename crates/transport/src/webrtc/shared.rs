//! What the tasks of one connection, its sockets and the transport all see.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::outbox::Outbox;
use crate::rtp::Tap;

/// One connection's counters and flags.
#[derive(Debug)]
pub(super) struct Shared {
    phase: AtomicU8,
    /// The owner has been told that it is open: paths are worth telling too.
    told_open: AtomicBool,
    /// Bytes handed over and not acknowledged.
    outstanding: AtomicUsize,
    /// Bytes acknowledged and not told yet. One event tells them all.
    acked: AtomicUsize,
    /// The largest message that both ends take.
    max_message: AtomicUsize,
    /// DTLS came in: there may be an acknowledgement in it.
    arrived: AtomicBool,
    /// A path is looked for anew: data waits.
    held: AtomicBool,
    /// How often the engine is still to be sent round its loop at once.
    rounds: AtomicU8,
    /// How often it has slept since, while it was opening or held.
    naps: AtomicU8,
    /// How often its next check may still be brought forward.
    checks: AtomicU8,
    /// Microseconds that the engine's clock is ahead.
    ahead: AtomicU64,
    born: Instant,
    /// When data last came, in microseconds since then.
    heard: AtomicU64,
    /// Sockets at which somebody waits for the release.
    sockets: Mutex<Vec<Waker>>,
    /// What waits to leave them.
    outbox: Outbox,
    /// Where RTP goes in and comes out, if our end has it.
    tap: Option<Tap>,
    /// So does the other end.
    carries_rtp: AtomicBool,
    /// Events of RTP and RTCP in the queue of all connections that are of this one.
    media_waiting: AtomicUsize,
}

impl Shared {
    pub(super) fn new(now: Instant, tap: Option<Tap>) -> Self {
        Self {
            phase: AtomicU8::new(OPENING),
            told_open: AtomicBool::new(false),
            outstanding: AtomicUsize::new(0),
            acked: AtomicUsize::new(0),
            max_message: AtomicUsize::new(FIRST_MAX_MESSAGE),
            arrived: AtomicBool::new(false),
            held: AtomicBool::new(false),
            rounds: AtomicU8::new(0),
            naps: AtomicU8::new(0),
            checks: AtomicU8::new(CHECKS),
            ahead: AtomicU64::new(0),
            born: now,
            heard: AtomicU64::new(0),
            sockets: Mutex::default(),
            outbox: Outbox::default(),
            tap,
            carries_rtp: AtomicBool::new(false),
            media_waiting: AtomicUsize::new(0),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase.load(Ordering::Acquire) == OPEN
    }

    pub(super) fn is_opening(&self) -> bool {
        self.phase.load(Ordering::Acquire) == OPENING
    }

    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Our end can carry RTP.
    pub(super) fn has_tap(&self) -> bool {
        self.tap.is_some()
    }

    /// Where RTP goes in and comes out, if both ends carry it.
    pub(super) fn tap(&self) -> Option<&Tap> {
        self.tap.as_ref().filter(|_| self.carries_rtp.load(Ordering::Acquire))
    }

    /// Whether the other end carries RTP, by its description.
    pub(super) fn set_carries_rtp(&self, carries: bool) {
        self.carries_rtp.store(carries, Ordering::Release);
    }

    /// One more event of RTP or RTCP is to wait for the owner. Returns how many waited.
    pub(super) fn note_media(&self) -> usize {
        self.media_waiting.fetch_add(1, Ordering::AcqRel)
    }

    /// One waits no longer.
    pub(super) fn note_media_taken(&self) {
        self.media_waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// The channel is open. Not if it is closed already.
    pub(super) fn set_open(&self) {
        let _ = self.phase.compare_exchange(OPENING, OPEN, Ordering::AcqRel, Ordering::Acquire);
    }

    /// No message is taken any more.
    pub(super) fn set_closed(&self) {
        self.phase.store(CLOSED, Ordering::Release);
    }

    pub(super) fn set_told_open(&self) {
        self.told_open.store(true, Ordering::Release);
    }

    pub(super) fn told_open(&self) -> bool {
        self.told_open.load(Ordering::Acquire)
    }

    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Acquire)
    }

    pub(super) fn hand_over(&self, bytes: usize) {
        self.outstanding.fetch_add(bytes, Ordering::AcqRel);
    }

    /// So much was acknowledged; `true` if the owner has to be woken for it.
    pub(super) fn acknowledge(&self, bytes: usize) -> bool {
        self.outstanding.fetch_sub(bytes, Ordering::AcqRel);
        self.acked.fetch_add(bytes, Ordering::AcqRel) == 0
    }

    /// What was acknowledged since it was last asked.
    pub(super) fn take_acked(&self) -> usize {
        self.acked.swap(0, Ordering::AcqRel)
    }

    pub(super) fn max_message(&self) -> usize {
        self.max_message.load(Ordering::Acquire)
    }

    pub(super) fn set_max_message(&self, bytes: usize) {
        self.max_message.store(bytes, Ordering::Release);
    }

    /// Something came from the network and goes to the engine: data, or a check.
    pub(super) fn note_arrival(&self, data: bool) {
        if data {
            self.arrived.store(true, Ordering::Release);
        }
        if self.is_opening() || self.is_held() {
            self.send_round();
        }
        // The engine acts on a check that succeeded when it next looks at its pairs,
        // which is up to 200 ms later. So it looks now.
        if !data && (self.is_held() || self.is_opening()) && less_one(&self.checks) {
            self.advance(CHECK_INTERVAL);
        }
    }

    /// Data came, whether it goes to the engine now or waits.
    pub(super) fn note_data(&self, now: Instant) {
        self.heard.store(micros(now.saturating_duration_since(self.born)), Ordering::Release);
    }

    /// How far the engine's clock is ahead of ours.
    ///
    /// Its timers are fixed, and two of them are too slow for a restart. The clock is
    /// ours, so it skips what there is no reason to wait for, and never goes back.
    pub(super) fn ahead(&self) -> Duration {
        Duration::from_micros(self.ahead.load(Ordering::Acquire))
    }

    fn advance(&self, by: Duration) {
        // Congestion control is told before: it would take the skip for a queue, or for silence.
        self.note_new_path();
        self.ahead.fetch_add(micros(by), Ordering::AcqRel);
    }

    /// What congestion control knows of the path is of another one, or of another clock.
    fn note_new_path(&self) {
        if let Some(tap) = &self.tap {
            tap.begin_path();
        }
    }

    pub(super) fn take_arrived(&self) -> bool {
        self.arrived.swap(false, Ordering::AcqRel)
    }

    /// Has the engine go round its loop at once, until nothing comes of it.
    pub(super) fn send_round(&self) {
        self.rounds.store(ROUNDS, Ordering::Release);
        self.naps.store(0, Ordering::Release);
    }

    /// How long the engine sleeps that wanted to sleep for so long.
    pub(super) fn nap(&self, wanted: Duration) -> Duration {
        if !self.is_opening() && !self.is_held() {
            return wanted;
        }
        if less_one(&self.rounds) {
            return Duration::ZERO;
        }
        let naps = self.naps.fetch_add(1, Ordering::AcqRel).min(LAST_NAP);
        self.naps.fetch_min(LAST_NAP, Ordering::AcqRel);
        wanted.min(FIRST_NAP * (1 << naps))
    }

    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// Data is to wait until there is a path.
    pub(super) fn hold(&self) {
        self.held.store(true, Ordering::Release);
        self.checks.store(CHECKS, Ordering::Release);
        self.send_round();
    }

    /// There is a path. `true` if there was none, as far as data is concerned.
    pub(super) fn release(&self, now: Instant) -> bool {
        let held = self.held.swap(false, Ordering::AcqRel);
        if held {
            self.note_new_path();
            let heard = self.born + Duration::from_micros(self.heard.load(Ordering::Acquire));
            let silent = now.saturating_duration_since(heard);
            if silent >= MIN_RTO {
                // SCTP has lost what it sent, has found out, and waits ever longer
                // to try again. There is a reason now.
                self.advance(silent.min(MAX_SKIP));
            }
            let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
            sockets.drain(..).for_each(Waker::wake);
        }
        held
    }

    /// `false` if nothing is held any more: it is not woken then.
    pub(super) fn wake_when_released(&self, waker: &Waker) -> bool {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_held() {
            return false;
        }
        if !sockets.iter().any(|known| known.will_wake(waker)) {
            sockets.push(waker.clone());
        }
        true
    }
}

const OPENING: u8 = 0;
const OPEN: u8 = 1;
const CLOSED: u8 = 2;

/// One less, if it was not zero.
fn less_one(counter: &AtomicU8) -> bool {
    let less = |left: u8| left.checked_sub(1);
    counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_ok()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Before the other end's description is settled: what every implementation takes
/// (RFC 8831 §6.6).
const FIRST_MAX_MESSAGE: usize = 16 << 10;

/// Rounds of the engine's loop after something came: what comes in is read in the
/// first, what it makes happen is written in the second, and a third is for what
/// happens because of that.
const ROUNDS: u8 = 3;

/// The first sleep after those rounds, for what they miss: a timer's resolution. Each is
/// twice the one before, so whoever waits for a peer that is silent soon sleeps.
const FIRST_NAP: Duration = Duration::from_millis(1);

/// So often a nap is doubled: to 16 ms. What the rounds after an arrival miss leaves then.
const LAST_NAP: u8 = 4;

/// The engine's pause between two looks at its candidate pairs.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// Looks brought forward while a connection opens, and in each restart: one that finds a
/// pair that works, one that nominates it, and one for a datagram that was lost. Of a hundred
/// connections that open at once on two cores the last took 265 ms without, and 104 with.
const CHECKS: u8 = 3;

/// RFC 9260 §16, RTO.Min, which the engine fixes: silence shorter than this is no loss
/// that SCTP knows of.
const MIN_RTO: Duration = Duration::from_secs(1);

/// The most to skip at once: the engine's ICE hears of nobody while its clock jumps,
/// and calls the path lost after 2.5 s.
const MAX_SKIP: Duration = Duration::from_secs(2);

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one instant to count from")]
mod tests {
    use super::*;

    #[test]
    fn naps_double_until_something_comes_and_end_when_it_is_open() {
        let shared = Shared::new(Instant::now(), None);
        let day = Duration::from_secs(86_400);
        shared.send_round();
        for _ in 0..ROUNDS {
            assert_eq!(shared.nap(day), Duration::ZERO);
        }
        for doublings in 0..=LAST_NAP {
            assert_eq!(shared.nap(day), FIRST_NAP * (1 << doublings));
        }
        for _ in 0..1_000 {
            assert_eq!(shared.nap(day), FIRST_NAP * (1 << LAST_NAP));
        }
        assert_eq!(shared.nap(FIRST_NAP), FIRST_NAP);
        shared.note_arrival(false);
        assert_eq!(shared.nap(day), Duration::ZERO);
        shared.set_open();
        assert_eq!(shared.nap(day), day);
    }

    #[test]
    fn the_clock_skips_only_what_a_restart_has_no_reason_to_wait_for() {
        let now = Instant::now();
        let shared = Shared::new(now, None);
        shared.set_open();
        shared.note_arrival(false);
        assert_eq!(shared.ahead(), Duration::ZERO);
        // A restart of a path that works: checks only, and not more than a few.
        shared.hold();
        for _ in 0..50 {
            shared.note_arrival(false);
        }
        shared.note_data(now + Duration::from_secs(9));
        assert!(shared.release(now + Duration::from_millis(9_900)));
        assert_eq!(shared.ahead(), CHECK_INTERVAL * u32::from(CHECKS));
        assert!(!shared.release(now + Duration::from_secs(60)));
        // After silence, that too, and no more than ICE bears.
        let before = shared.ahead();
        shared.hold();
        assert!(shared.release(now + Duration::from_millis(10_500)));
        assert_eq!(shared.ahead() - before, Duration::from_millis(1_500));
        let before = shared.ahead();
        shared.hold();
        assert!(shared.release(now + Duration::from_secs(100)));
        assert_eq!(shared.ahead() - before, MAX_SKIP);
    }

    #[test]
    fn congestion_control_is_told_of_each_skip_and_of_each_new_path() {
        let now = Instant::now();
        let (_, tap) = crate::rtp::registry(&crate::rtp::RtpConfig::default());
        let told = crate::rtp::Unanswered::default();
        tap.heed(told.clone());
        let shared = Shared::new(now, Some(tap));
        shared.set_open();
        shared.note_arrival(false);
        assert!(!told.take_path(), "nothing happened");
        shared.hold();
        assert!(!told.take_path(), "it is only looked for");
        shared.note_arrival(false);
        assert!(told.take_path(), "the clock was put forward");
        shared.note_data(now);
        assert!(shared.release(now));
        assert!(told.take_path(), "there is a path, and the clock was left");
        assert!(!shared.release(now));
        assert!(!told.take_path(), "there was one");
    }

    #[test]
    fn what_is_acknowledged_is_told_once_however_late_it_is_read() {
        let shared = Shared::new(Instant::now(), None);
        shared.hand_over(100);
        assert!(shared.acknowledge(30));
        assert!(!shared.acknowledge(50));
        assert_eq!(shared.outstanding(), 20);
        assert_eq!(shared.take_acked(), 80);
        assert!(shared.acknowledge(20));
        assert_eq!((shared.take_acked(), shared.outstanding()), (20, 0));
    }
}
