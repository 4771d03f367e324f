//! Going from the front: another is to host first, but not for ever.

use std::time::{Duration, Instant};

use paceline_session::Input;
use tokio::sync::oneshot;

use super::{Driver, clock};
use crate::counters::Stats;
use crate::event::Events;
use crate::wire::Frames;

/// What is done when somebody else hosts, or that has taken too long.
#[derive(Debug)]
pub(super) enum Then {
    /// The room is left, and who waits for that is told.
    Leave(oneshot::Sender<Stats>),
    /// We go on as a member who may not host.
    StopHosting,
}

/// A host on his way from the front.
#[derive(Debug)]
pub(crate) struct Departure {
    /// When we go, whether somebody has taken over or not.
    pub(super) until: Instant,
    /// There is nothing to wait for.
    pub(super) is_settled: bool,
    pub(super) then: Then,
}

impl<F: Frames, E: Events> Driver<F, E> {
    /// Begins to go: at once, unless we host and somebody can follow, or have just handed
    /// over: the others need our mix up to the switch.
    pub(super) fn go(&mut self, then: Then) {
        let now = clock();
        if let Some(departure) = &mut self.departure {
            // Who has begun to stop hosting may leave as well; it is the same handover.
            return departure.then = then;
        }
        let has_heir = self.has_heir();
        let drained_at = self.drained_at.filter(|&at| now < at);
        let is_settled = !has_heir && !self.session.is_retiring() && drained_at.is_none();
        let latest = now + self.handover_timeout;
        let until = drained_at.filter(|_| !has_heir).map_or(latest, |at| at.min(latest));
        self.departure = Some(Departure { until, is_settled, then });
        if has_heir {
            self.handle(Input::HandOver);
        }
    }

    fn has_heir(&self) -> bool {
        self.session.is_host() && self.session.standby().is_some()
    }

    /// No handover takes place.
    pub(super) fn settle(&mut self) {
        if let Some(departure) = &mut self.departure {
            departure.is_settled = true;
        }
    }

    /// Our mix is at its end. What we sent last as the host is on its way still, and a
    /// goodbye would overtake it.
    pub(super) fn drain(&mut self, now: Instant) {
        self.drained_at = Some(now + DRAIN);
        if let Some(departure) = &mut self.departure {
            departure.until = departure.until.min(now + DRAIN);
        }
    }

    /// Does what was waited for, if it is time; who waits for the end of the room is
    /// returned.
    pub(super) fn depart(&mut self) -> Option<oneshot::Sender<Stats>> {
        let now = clock();
        let departure = self.departure.take_if(|it| it.is_settled || it.until <= now)?;
        match departure.then {
            Then::Leave(done) => return Some(done),
            Then::StopHosting => {
                if self.session.is_host() {
                    self.handle(Input::Resign);
                }
                self.handle(Input::MayHost(false));
            }
        }
        None
    }
}

/// How long what a host sent last may be on its way: as long as a switch is announced ahead
/// (`MigrationConfig::lead`). Measured, with five times as many threads at work as there are
/// cores: without it members lacked 40 to 120 ms of sound in two departures of six.
const DRAIN: Duration = Duration::from_millis(200);
