//! What engines are asked to do.

use std::time::Instant;

use paceline_types::{ConnectionEvent, ConnectionOp, PeerId, Signal};

use super::carrier;
use super::description::{Description, emit_candidate, parse_candidate};
use super::end::{End, Refusal};
use super::traffic::Body;
use super::{Network, Wake, Way};

impl Network {
    pub(crate) fn apply(&mut self, now: Instant, us: PeerId, peer: PeerId, op: ConnectionOp) {
        let way = (us, peer);
        if op == ConnectionOp::Close {
            self.remove_ops(way);
            self.put(now, way, Body::Close);
            self.remove_end(way);
            self.forget_events(way);
            return;
        }
        if self.config.max_op_delay.is_zero() {
            return self.execute(now, way, op);
        }
        let queue = self.ops.get(&way);
        let free = queue.and_then(|queue| queue.back()).map_or(now, |&(at, _)| at);
        let at = free + self.config.max_op_delay.mul_f64(self.engines.fraction());
        let queue = self.ops.entry(way).or_default();
        if queue.is_empty() {
            self.wakes.insert((at, Wake::Ops(way)));
        }
        queue.push_back((at, op));
    }

    /// Does what an engine was asked and has had the time for.
    pub(super) fn work(&mut self, now: Instant, way: Way) {
        while let Some(queue) = self.ops.get_mut(&way) {
            if let Some((_, op)) = queue.pop_front_if(|(at, _)| *at <= now) {
                self.execute(now, way, op);
            } else if let Some(&(at, _)) = queue.front() {
                self.wakes.insert((at, Wake::Ops(way)));
                return;
            } else {
                self.ops.remove(&way);
            }
        }
    }

    fn execute(&mut self, now: Instant, way: Way, op: ConnectionOp) {
        let makes = matches!(op, ConnectionOp::Call | ConnectionOp::Remote(Signal::Offer { .. }));
        let known = self.ends.contains_key(&way);
        if !known && !makes {
            // About a connection that is gone.
            return;
        }
        if !known {
            self.forget_events(way);
        }
        let (id, ufrag) = (self.numbers + 1, self.numbers + 2);
        self.numbers += 2;
        let (recovery, config) = (self.config.recovery, &self.config);
        let new = || End::new(now, id, recovery, carrier::chain(config, way));
        let end = self.ends.entry(way).or_insert_with(new);
        let done = match op {
            ConnectionOp::Call if known => Err("it is called twice"),
            ConnectionOp::Call | ConnectionOp::RestartIce => {
                let sdp = end.offer(ufrag).emit();
                self.tell_signals(way, Signal::Offer { sdp }, Some(ufrag));
                Ok(())
            }
            ConnectionOp::Rollback => end.roll_back(),
            ConnectionOp::Remote(Signal::Offer { sdp }) => match Description::parse(&sdp) {
                Some(offer) => end.answer(offer, ufrag).map(|(answer, restart)| {
                    let sdp = answer.emit();
                    self.tell_signals(way, Signal::Answer { sdp }, restart.then_some(ufrag));
                }),
                None => Err("the offer is not of this network"),
            },
            ConnectionOp::Remote(Signal::Answer { sdp }) => match Description::parse(&sdp) {
                Some(answer) => end.handle_answer(answer),
                None => Err("the answer is not of this network"),
            },
            ConnectionOp::Remote(Signal::Candidate { candidate, ufrag, .. }) => {
                let at = parse_candidate(&candidate);
                if !at.is_some_and(|at| end.handle_candidate(now, at, &ufrag)) {
                    self.stats.stray_candidates += 1;
                }
                Ok(())
            }
            _ => Ok(()),
        };
        match done {
            Ok(()) => self.wake_end(way),
            Err(why) => self.refuse(now, way, why),
        }
    }

    /// The engine did not do as it was asked, and gives the connection up.
    fn refuse(&mut self, now: Instant, way: Way, why: Refusal) {
        self.stats.refused += 1;
        self.put(now, way, Body::Close);
        self.remove_end(way);
        self.remove_ops(way);
        self.tell(way, ConnectionEvent::Closed { reason: format!("the engine refused: {why}") });
    }

    /// A description, and the one candidate that there is if it has new credentials.
    fn tell_signals(&mut self, way: Way, description: Signal, ufrag: Option<u64>) {
        self.tell(way, ConnectionEvent::Local(description));
        if let Some(ufrag) = ufrag {
            let candidate = emit_candidate(self.address(way.0), ufrag);
            self.tell(way, ConnectionEvent::Local(candidate));
        }
    }
}
