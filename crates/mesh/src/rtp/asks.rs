//! Keyframes that are asked for, by us and of us.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::rtcp::{self, FirReceiver, FullIntraRequest, PictureLossIndication};
use paceline_types::{PeerId, Ssrc, StreamId};

use super::is_sound_stream;

/// Requests to one peer that no keyframe has answered yet, and his to us.
///
/// A keyframe comes a round trip after its request at the earliest, and not at once on a
/// narrow path: one request that is repeated meanwhile is two keyframes, where one is much
/// already.
#[derive(Debug)]
pub(crate) struct Asks {
    interval: Duration,
    /// The latest round trip, once one was measured.
    rtt: Duration,
    open: BTreeMap<StreamId, Ask>,
    commands: FirReceiver,
}

#[derive(Debug)]
struct Ask {
    /// When it was sent last.
    at: Instant,
    /// After how long it is repeated, by how often it was.
    wait: Duration,
    /// Whether anything of the stream came since.
    goes_on: bool,
}

impl Asks {
    pub(crate) fn new(interval: Duration) -> Self {
        let (rtt, open) = (Duration::ZERO, BTreeMap::new());
        Self { interval, rtt, open, commands: FirReceiver::new() }
    }

    pub(crate) const fn set_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt;
    }

    /// A keyframe of a stream is needed: whether he is to be asked. Not while a request is
    /// under way.
    pub(crate) fn ask(&mut self, now: Instant, stream: StreamId) -> bool {
        let is_new = !self.open.contains_key(&stream);
        if is_new {
            let wait = self.interval.max(self.rtt.saturating_mul(2));
            self.open.insert(stream, Ask { at: now, wait, goes_on: true });
        }
        is_new
    }

    /// Something of a stream came.
    pub(crate) fn handle_packet(&mut self, stream: StreamId) {
        if let Some(ask) = self.open.get_mut(&stream) {
            ask.goes_on = true;
        }
    }

    /// A keyframe of a stream came.
    pub(crate) fn handle_keyframe(&mut self, stream: StreamId) {
        self.open.remove(&stream);
    }

    /// A stream of which a keyframe is to be asked for again. Of one that has stopped it is
    /// not: what there is when it goes on may be none. Nor, for a while, of one of which
    /// `is_held` says that a frame is there in part: it may be that one.
    pub(crate) fn poll_again(
        &mut self,
        now: Instant,
        is_held: impl Fn(StreamId) -> bool,
    ) -> Option<StreamId> {
        loop {
            let due = |(&stream, ask): (&StreamId, &Ask)| {
                let is_due = ask.due(is_held(stream)).is_some_and(|at| at <= now);
                is_due.then_some(stream)
            };
            let stream = self.open.iter().find_map(due)?;
            let longest = self.interval.saturating_mul(LONGEST);
            let ask = self.open.get_mut(&stream)?;
            if std::mem::take(&mut ask.goes_on) {
                ask.at = now;
                ask.wait = ask.wait.max(ask.wait.saturating_mul(2).min(longest));
                return Some(stream);
            }
            self.open.remove(&stream);
        }
    }

    /// When something is to be asked for again, with what is held now.
    pub(crate) fn poll_timeout(&self, is_held: impl Fn(StreamId) -> bool) -> Option<Instant> {
        self.open.iter().filter_map(|(&stream, ask)| ask.due(is_held(stream))).min()
    }

    /// The stream of ours that a PLI is about.
    pub(crate) fn handle_pli(us: PeerId, pli: PictureLossIndication) -> Option<StreamId> {
        picture_of(us, pli.media_ssrc)
    }

    /// The streams of ours that a FIR is about, if it is none that was said before; and
    /// whether any of it is about ours at all.
    pub(crate) fn handle_fir(
        &mut self,
        us: PeerId,
        fir: &FullIntraRequest,
    ) -> (Vec<StreamId>, bool) {
        let ours = |ssrc| picture_of(us, ssrc);
        let is_ours = fir.fir.iter().any(|entry| ours(entry.ssrc).is_some());
        let new = self.commands.handle_request(fir, |ssrc| ours(ssrc).is_some());
        (new.into_iter().filter_map(ours).collect(), is_ours)
    }
}

impl Ask {
    fn due(&self, is_held: bool) -> Option<Instant> {
        let more = if is_held { ARRIVAL } else { Duration::ZERO };
        self.at.checked_add(self.wait.saturating_add(more))
    }
}

/// A request for a keyframe of a stream of his; `None` for one that nobody defined.
pub(crate) fn pli(us: PeerId, peer: PeerId, stream: StreamId) -> Option<Bytes> {
    let pli = PictureLossIndication {
        sender_ssrc: Ssrc::of(us, StreamId::VIDEO)?.get(),
        media_ssrc: Ssrc::of(peer, stream)?.get(),
    };
    Some(rtcp::emit(&[rtcp::Packet::PictureLossIndication(pli)]))
}

fn picture_of(us: PeerId, ssrc: u32) -> Option<StreamId> {
    Ssrc::new(ssrc).stream_of(us).filter(|&stream| !is_sound_stream(stream))
}

/// How much longer is waited for a frame that is there in part: what its sender takes for a
/// keyframe at most ([`max_extra`](paceline_framing::rtp::SenderConfig::max_extra)).
const ARRIVAL: Duration = Duration::from_secs(2);

/// As many intervals are the most from one request to the next, unless two round trips are
/// more: 4 s. Whoever did not answer three has reasons of his own.
const LONGEST: u32 = 8;

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// When it is asked again, by a stream that goes on, of which a frame is held up to then.
    fn again(asks: &mut Asks, held_until: u64, end: u64) -> Vec<u64> {
        let start = Instant::now();
        let mut times = Vec::new();
        assert!(asks.ask(start, StreamId::VIDEO));
        for at in 0..end {
            let is_held = |_| at < held_until;
            asks.handle_packet(StreamId::VIDEO);
            let due = asks.poll_timeout(is_held).expect("it is open") <= start + ms(at);
            let asked = asks.poll_again(start + ms(at), is_held).is_some();
            assert_eq!(due, asked, "whoever waits is woken for something");
            times.extend(asked.then_some(at));
        }
        times
    }

    #[test]
    fn each_time_it_is_waited_twice_as_long_up_to_four_seconds() {
        let mut asks = Asks::new(ms(500));
        assert_eq!(again(&mut asks, 0, 12_000), [500, 1_500, 3_500, 7_500, 11_500]);
    }

    #[test]
    fn the_answer_has_two_round_trips() {
        let mut asks = Asks::new(ms(500));
        asks.set_rtt(ms(700));
        assert_eq!(again(&mut asks, 0, 4_300), [1_400, 4_200]);
        let mut asks = Asks::new(ms(500));
        asks.set_rtt(Duration::MAX);
        assert!(again_is_never(&mut asks));
    }

    fn again_is_never(asks: &mut Asks) -> bool {
        let now = Instant::now();
        asks.ask(now, StreamId::VIDEO) && asks.poll_timeout(|_| true).is_none()
    }

    #[test]
    fn what_is_there_in_part_is_waited_for_and_not_for_ever() {
        assert_eq!(again(&mut Asks::new(ms(500)), 900, 1_000), [900]);
        assert_eq!(again(&mut Asks::new(ms(500)), 5_000, 2_600), [2_500]);
    }
}
