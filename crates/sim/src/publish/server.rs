//! A server, and what happens to those who send to it.

use std::time::{Duration, Instant};

use paceline_publish::{Attempt, Failure, FailureKind, Supervisor};

use super::below;
use crate::Random;

/// What a supervisor is told.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Closed(Attempt),
    Encode(Attempt, bool),
    Failure(Attempt, FailureKind),
    Path(Attempt, bool),
    Queue(Attempt, u64, u64),
    Send(Attempt, bool),
    Start,
    Stop,
    Up(Attempt),
}

impl Happening {
    /// A failure of any kind.
    pub(crate) fn failure(attempt: Attempt, random: &mut Random) -> Self {
        Self::Failure(attempt, KINDS[below(random, KINDS.len() as u64) as usize])
    }

    pub(crate) fn tell(self, supervisor: &mut Supervisor, now: Instant) {
        let outcome = |ok: bool| if ok { Ok(()) } else { Err("no") };
        match self {
            Self::Closed(attempt) => supervisor.handle_closed(now, attempt),
            Self::Encode(attempt, ok) => supervisor.handle_encode(now, attempt, outcome(ok)),
            Self::Failure(attempt, kind) => {
                supervisor.handle_failure(now, attempt, Failure::from(kind));
            }
            Self::Path(attempt, up) => supervisor.handle_path(now, attempt, up),
            Self::Queue(attempt, offered, dropped) => {
                supervisor.handle_queue(now, attempt, offered, dropped);
            }
            Self::Send(attempt, ok) => supervisor.handle_send(now, attempt, outcome(ok)),
            Self::Start => supervisor.start(now),
            Self::Stop => supervisor.stop(now),
            Self::Up(attempt) => supervisor.handle_up(now, attempt),
        }
    }
}

/// A server of one nature for a whole race.
#[derive(Debug)]
pub(crate) struct Server {
    nature: Nature,
}

#[derive(Clone, Copy, Debug)]
enum Nature {
    /// Accepts, then goes away.
    Dies,
    /// Accepts, and is good for ever.
    Good,
    /// Does not answer.
    Hangs,
    /// As good as any, until many things fail.
    Sick,
    /// Good from the second or third try on.
    Starts { refusals: u64 },
    /// Says no.
    Refuses(FailureKind),
}

impl Server {
    pub(crate) fn new(random: &mut Random) -> Self {
        let nature = match below(random, 6) {
            0 => Nature::Dies,
            1 => Nature::Good,
            2 => Nature::Hangs,
            3 => Nature::Sick,
            4 => Nature::Starts { refusals: 1 + below(random, 2) },
            _ => Nature::Refuses(KINDS[below(random, KINDS.len() as u64) as usize]),
        };
        Self { nature }
    }

    /// What will happen to an attempt that begins now, if nobody closes it.
    pub(crate) fn live(
        &mut self,
        attempt: Attempt,
        random: &mut Random,
    ) -> Vec<(Duration, Happening)> {
        // Some are as slow as the time-out of ten seconds allows, or slower.
        let up = if below(random, 10) == 0 { 10_000 } else { below(random, 3_000) };
        let mut life = Vec::new();
        let mut at = |ms: u64, happening| life.push((Duration::from_millis(ms), happening));
        match &mut self.nature {
            Nature::Hangs => {}
            Nature::Refuses(kind) => at(up, Happening::Failure(attempt, *kind)),
            Nature::Starts { refusals } if *refusals > 0 => {
                *refusals -= 1;
                at(up, Happening::Failure(attempt, FailureKind::Unreachable));
            }
            Nature::Good | Nature::Starts { .. } => {
                at(up, Happening::Up(attempt));
                at(up + below(random, 5_000), Happening::Path(attempt, false));
                at(up + below(random, 9_000), Happening::Path(attempt, true));
            }
            Nature::Dies => {
                at(up, Happening::Up(attempt));
                let end = up + below(random, 8_000);
                at(end, Happening::failure(attempt, random));
                // Sometimes it is heard of twice, or nothing but the end is.
                at(end + below(random, 3), Happening::Closed(attempt));
            }
            Nature::Sick => {
                at(up, Happening::Up(attempt));
                match below(random, 3) {
                    0 => {
                        for _ in 0..4 + below(random, 5) {
                            let ok = below(random, 8) == 0;
                            at(up + below(random, 13_000), Happening::Encode(attempt, ok));
                        }
                    }
                    1 => {
                        for _ in 0..45 + below(random, 12) {
                            let ok = below(random, 50) == 0;
                            at(up + below(random, 11_000), Happening::Send(attempt, ok));
                        }
                    }
                    _ => {
                        let dropped = 1 + below(random, 4);
                        for step in 0..10 + below(random, 20) {
                            at(up + 250 * step, Happening::Queue(attempt, 10, dropped));
                        }
                    }
                }
            }
        }
        life
    }
}

const KINDS: [FailureKind; 9] = [
    FailureKind::AuthRefused,
    FailureKind::EncodeFailed,
    FailureKind::NegotiationFailed,
    FailureKind::QueueDropped,
    FailureKind::SendFailed,
    FailureKind::ServerClosed,
    FailureKind::TimedOut,
    FailureKind::TransportClosed,
    FailureKind::Unreachable,
];
