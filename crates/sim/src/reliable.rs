//! Messages over packets that get lost: both ends of what SCTP does below a data
//! channel, as far as it can be felt above.
//!
//! A message is cut into segments, numbered through. The receiver acknowledges
//! what it has and hands messages over in order only, so one lost segment holds up
//! all that follows. A link never reorders, so whatever was sent before something
//! that arrived, and did not arrive itself, is lost: the sender knows a round trip
//! and a little after it sent it, and sends it again at once. RFC 9260 §7.2.4
//! waits for three reports of a gap, and for a timer of a second when what is sent
//! again gets lost as well; finding that as quickly as the first time is RACK's way
//! (RFC 8985). When nothing is acknowledged at all, the oldest segment is sent
//! again as a probe (RFC 9002 §6.2).
//!
//! [`Recovery::Sctp`] goes by RFC 9260 instead, with the timer that a real engine has.
//!
//! There is no congestion window: how much is under way is for the owner to bound.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// A piece of a message that fits a packet. It carries no bytes of its own: the
/// last piece of a message carries all of it.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    number: u64,
    bytes: usize,
    ends: Option<Bytes>,
}

/// A segment on its way, for the first time or again.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    /// Counts transmissions, so that a segment's first and second are two things.
    transmission: u64,
    segment: Segment,
}

/// What the receiver has.
#[derive(Clone, Debug)]
pub(crate) struct Ack {
    /// Every segment before this one.
    next: u64,
    /// And these.
    held: Vec<u64>,
    /// The transmission that came last.
    transmission: u64,
}

/// How what is lost is noticed, and sent again.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_sim::{NetworkConfig, Recovery};
///
/// let engine = NetworkConfig::default()
///     .recovery(Recovery::Sctp { rto_min: Duration::from_secs(1) });
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Recovery {
    /// As soon as it can be known, the second time as the first (RFC 8985); silence is
    /// probed after a round trip and its variation, and at once over a new path.
    #[default]
    Quick,
    /// As RFC 9260 §7.2.4 has it: three later packets have to arrive, once for each
    /// packet; all else waits for a timer, which doubles up to a minute and knows
    /// nothing of paths.
    Sctp {
        /// The shortest that the timer can be: RFC 9260 §16 has one second (RTO.Min),
        /// and so does the engine.
        rto_min: Duration,
    },
}

impl Data {
    /// Bytes of the message that it stands for.
    pub(crate) const fn bytes(&self) -> usize {
        self.segment.bytes
    }
}

impl Ack {
    /// A block of gaps is four bytes (RFC 9260 §3.3.4), for as many as there are at most.
    pub(crate) fn bytes(&self) -> usize {
        let gaps = self.held.chunk_by(|a, b| a + 1 == *b).count();
        16 + 4 * gaps
    }
}

/// The sending end.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    recovery: Recovery,
    /// Transmissions before this one were given up by the timer.
    timed_out: u64,
    next_segment: u64,
    next_transmission: u64,
    /// By transmission.
    flight: VecDeque<Flight>,
    /// Messages not acknowledged yet: the number of the last segment, and bytes.
    messages: VecDeque<(u64, usize)>,
    outstanding: usize,
    rtt: Option<Rtt>,
    probe_at: Option<Instant>,
    probes: u32,
    outputs: VecDeque<Data>,
}

#[derive(Debug)]
struct Flight {
    transmission: u64,
    sent: Instant,
    segment: Segment,
    /// It was sent before.
    again: bool,
}

/// RFC 6298 §2.
#[derive(Clone, Copy, Debug)]
struct Rtt {
    smoothed: Duration,
    variation: Duration,
}

impl Outbox {
    pub(crate) fn new(recovery: Recovery) -> Self {
        Self { recovery, ..Self::default() }
    }

    /// Takes a message in.
    pub(crate) fn push(&mut self, now: Instant, message: Bytes) {
        let segments = message.len().div_ceil(SEGMENT).max(1) as u64;
        let last = self.next_segment + segments - 1;
        self.messages.push_back((last, message.len()));
        self.outstanding += message.len();
        for number in self.next_segment..=last {
            let ends = (number == last).then(|| message.clone());
            let bytes = match ends {
                Some(_) => message.len() - SEGMENT * (segments as usize - 1),
                None => SEGMENT,
            };
            self.transmit(now, Segment { number, bytes, ends }, false);
        }
        self.next_segment = last + 1;
        if self.probe_at.is_none() {
            self.restart_timer(now);
        }
    }

    /// Takes in what the other end has; the bytes of messages that it has whole,
    /// with all before them, and not until now.
    pub(crate) fn handle_ack(&mut self, now: Instant, ack: &Ack) -> usize {
        if let Some(latest) = self.flight.iter().find(|f| f.transmission == ack.transmission) {
            self.rtt = Some(Rtt::update(self.rtt, now - latest.sent));
        }
        let mut lost = Vec::new();
        let (recovery, timed_out) = (self.recovery, self.timed_out);
        self.flight.retain(|&Flight { transmission, again, ref segment, .. }| {
            let has = segment.number < ack.next || ack.held.binary_search(&segment.number).is_ok();
            let is_lost = !has
                && match recovery {
                    Recovery::Quick => transmission < ack.transmission,
                    Recovery::Sctp { .. } => {
                        let missed = !again && transmission + GAPS <= ack.transmission;
                        missed || transmission < timed_out.min(ack.transmission)
                    }
                };
            if is_lost {
                lost.push(segment.clone());
            }
            !has && !is_lost
        });
        for segment in lost {
            self.transmit(now, segment, true);
        }
        let mut freed = 0;
        while let Some((_, bytes)) = self.messages.pop_front_if(|(last, _)| *last < ack.next) {
            freed += bytes;
        }
        self.outstanding -= freed;
        self.probes = 0;
        self.restart_timer(now);
        freed
    }

    /// Probes if nothing has been acknowledged for too long.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.probe_at.is_some_and(|at| at <= now) {
            self.probe(now);
        }
    }

    /// Something changed below: what was under way is lost, and all of it is sent again
    /// at once, unless the timer is all there is to go by.
    pub(crate) fn handle_new_path(&mut self, now: Instant) {
        if self.recovery == Recovery::Quick {
            let mut lost = Vec::from_iter(std::mem::take(&mut self.flight));
            // What was probed for in vain is at the back, and is waited for.
            lost.sort_unstable_by_key(|flight| flight.segment.number);
            for Flight { segment, .. } in lost {
                self.transmit(now, segment, true);
            }
            self.probes = 0;
            self.restart_timer(now);
        }
    }

    fn probe(&mut self, now: Instant) {
        if let Some(Flight { segment, .. }) = self.flight.pop_front() {
            self.probes += 1;
            self.timed_out = self.next_transmission;
            self.transmit(now, segment, true);
            self.restart_timer(now);
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<Data> {
        self.outputs.pop_front()
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Instant> {
        self.probe_at
    }

    /// Bytes of messages that are not acknowledged.
    pub(crate) const fn outstanding(&self) -> usize {
        self.outstanding
    }

    fn transmit(&mut self, now: Instant, segment: Segment, again: bool) {
        let transmission = self.next_transmission;
        self.next_transmission += 1;
        self.flight.push_back(Flight { transmission, sent: now, segment: segment.clone(), again });
        self.outputs.push_back(Data { transmission, segment });
    }

    /// As T3-rtx of RFC 9260 §6.3.2: it runs while something is under way, and
    /// anew from each acknowledgement.
    fn restart_timer(&mut self, now: Instant) {
        let (shortest, longest) = match self.recovery {
            Recovery::Quick => (Duration::ZERO, LAST_PROBE),
            Recovery::Sctp { rto_min } => (rto_min, RTO_MAX.max(rto_min)),
        };
        let wait = self.rtt.map_or(FIRST_PROBE, Rtt::probe_after).max(shortest);
        let wait = (wait * (1 << self.probes.min(8))).min(longest);
        self.probe_at = (!self.flight.is_empty()).then(|| now + wait);
    }
}

impl Rtt {
    fn update(before: Option<Self>, sample: Duration) -> Self {
        let Some(Self { smoothed, variation }) = before else {
            return Self { smoothed: sample, variation: sample / 2 };
        };
        Self {
            smoothed: smoothed * 7 / 8 + sample / 8,
            variation: variation * 3 / 4 + smoothed.abs_diff(sample) / 4,
        }
    }

    fn probe_after(self) -> Duration {
        self.smoothed + (4 * self.variation).max(Duration::from_millis(1))
    }
}

/// The receiving end.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    next: u64,
    held: BTreeMap<u64, Segment>,
    /// The last transmission, while it is not acknowledged.
    unacknowledged: Option<u64>,
}

impl Inbox {
    /// Takes in a segment; the messages that are whole now.
    pub(crate) fn handle_data(&mut self, data: Data) -> Vec<Bytes> {
        let Data { transmission, segment } = data;
        self.unacknowledged = Some(transmission);
        if segment.number >= self.next {
            self.held.insert(segment.number, segment);
        }
        let mut messages = Vec::new();
        while let Some(segment) = self.held.remove(&self.next) {
            self.next += 1;
            messages.extend(segment.ends);
        }
        messages
    }

    /// Takes what is to be told the sender, once for all that came at an instant.
    pub(crate) fn poll_ack(&mut self) -> Option<Ack> {
        let transmission = self.unacknowledged.take()?;
        Some(Ack { next: self.next, held: self.held.keys().copied().collect(), transmission })
    }
}

/// Payload of a packet: what fits the 1,280 bytes that every IPv6 link carries,
/// after the headers of IP, UDP, DTLS and SCTP.
const SEGMENT: usize = 1_200;

/// Until there is a round trip to go by: a little more than one of the worst preset.
const FIRST_PROBE: Duration = Duration::from_millis(400);

/// Probes are a second apart at most, so that a link that heals is noticed soon.
const LAST_PROBE: Duration = Duration::from_secs(1);

/// RFC 9260 §7.2.4: reports of a gap before what is missing is sent again.
const GAPS: u64 = 3;

/// RFC 9260 §16: RTO.Max.
const RTO_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch;

    fn message(byte: u8, len: usize) -> Bytes {
        vec![byte; len].into()
    }

    fn drain(outbox: &mut Outbox) -> Vec<Data> {
        std::iter::from_fn(|| outbox.poll_output()).collect()
    }

    #[test]
    fn what_follows_a_lost_segment_waits_for_it() {
        let (mut outbox, mut inbox) = (Outbox::default(), Inbox::default());
        outbox.push(epoch(), message(1, 3_000));
        outbox.push(epoch(), message(2, 100));
        let sent = drain(&mut outbox);
        assert_eq!(sent.len(), 4);
        for (index, data) in sent.into_iter().enumerate() {
            // The second packet is lost.
            if index != 1 {
                assert_eq!(inbox.handle_data(data), Vec::<Bytes>::new());
            }
        }
        let later = epoch() + Duration::from_millis(80);
        assert_eq!(outbox.handle_ack(later, &inbox.poll_ack().unwrap()), 0);
        assert_eq!(outbox.outstanding(), 3_100);

        let again = drain(&mut outbox);
        assert_eq!(again.len(), 1, "only what is lost is sent again");
        let messages = inbox.handle_data(again[0].clone());
        assert_eq!(messages, [message(1, 3_000), message(2, 100)]);
        assert_eq!(outbox.handle_ack(later, &inbox.poll_ack().unwrap()), 3_100);
        assert_eq!((outbox.outstanding(), outbox.poll_timeout()), (0, None));
    }

    #[test]
    fn a_second_loss_is_noticed_like_the_first() {
        let (mut outbox, mut inbox) = (Outbox::default(), Inbox::default());
        let mut now = epoch();
        outbox.push(now, message(1, 10));
        let mut oldest = drain(&mut outbox);
        for byte in 2..5 {
            // Whatever was sent last is lost, and what is new arrives.
            assert_eq!((oldest.len(), oldest[0].segment.number), (1, 0));
            outbox.push(now, message(byte, 10));
            assert_eq!(inbox.handle_data(drain(&mut outbox).remove(0)), Vec::<Bytes>::new());
            now += Duration::from_millis(80);
            assert_eq!(outbox.handle_ack(now, &inbox.poll_ack().unwrap()), 0);
            oldest = drain(&mut outbox);
        }
        assert_eq!(inbox.handle_data(oldest.remove(0)).len(), 4);
    }

    #[test]
    fn silence_is_probed_and_ever_more_slowly() {
        let mut outbox = Outbox::default();
        outbox.push(epoch(), message(0, 2_000));
        let _ = drain(&mut outbox);
        let mut at = epoch();
        let mut waits = Vec::new();
        for _ in 0..4 {
            let next = outbox.poll_timeout().unwrap();
            waits.push((next - at).as_millis());
            at = next;
            outbox.handle_timeout(at);
            assert_eq!(drain(&mut outbox).len(), 1);
        }
        assert_eq!(waits, [400, 800, 1_000, 1_000]);
    }

    #[test]
    fn the_timer_of_rfc_9260_is_a_second_at_least_and_doubles_to_a_minute() {
        let mut outbox = Outbox::new(Recovery::Sctp { rto_min: Duration::from_secs(1) });
        outbox.push(epoch(), message(0, 100));
        let mut at = epoch();
        let mut waits = Vec::new();
        for _ in 0..8 {
            let next = outbox.poll_timeout().unwrap();
            waits.push((next - at).as_secs());
            at = next;
            outbox.handle_timeout(at);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        let sent = drain(&mut outbox).len();
        outbox.handle_new_path(at);
        assert_eq!((sent, drain(&mut outbox).len()), (9, 0));
    }

    #[test]
    fn rfc_9260_sends_again_after_three_gaps_and_only_once() {
        let mut outbox = Outbox::new(Recovery::Sctp { rto_min: Duration::from_secs(1) });
        let mut inbox = Inbox::default();
        let mut later = epoch();
        outbox.push(epoch(), message(0, 10));
        let _ = drain(&mut outbox);
        let mut again = Vec::new();
        for byte in 1..9 {
            outbox.push(epoch(), message(byte, 10));
            later += Duration::from_millis(10);
            let new = drain(&mut outbox).pop().unwrap();
            assert_eq!(inbox.handle_data(new), Vec::<Bytes>::new());
            assert_eq!(outbox.handle_ack(later, &inbox.poll_ack().unwrap()), 0);
            again.push(drain(&mut outbox).len());
        }
        assert_eq!(again, [0, 0, 1, 0, 0, 0, 0, 0]);
        outbox.handle_timeout(outbox.poll_timeout().unwrap());
        let oldest = drain(&mut outbox).remove(0);
        assert_eq!(inbox.handle_data(oldest).len(), 9);
    }

    #[test]
    fn all_that_was_under_way_is_sent_again_over_a_new_path() {
        let (mut outbox, mut inbox) = (Outbox::default(), Inbox::default());
        for byte in 0..3 {
            outbox.push(epoch(), message(byte, 10));
        }
        // The first is probed for, and then last of those that are under way.
        outbox.handle_timeout(outbox.poll_timeout().unwrap());
        let _ = drain(&mut outbox);
        outbox.handle_new_path(epoch() + Duration::from_secs(1));
        let again = drain(&mut outbox);
        let messages = again.into_iter().flat_map(|data| inbox.handle_data(data));
        assert_eq!(Vec::from_iter(messages), [0, 1, 2].map(|byte| message(byte, 10)));
    }
}
