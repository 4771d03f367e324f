//! Publishing to servers that refuse, hang, die and are late, in virtual time.
//!
//! [`race`] has a real [`Supervisor`], an application that starts and stops it whenever a
//! seed says so, and a few servers. Each server has a nature: it accepts and is good for
//! ever, or refuses, or answers nothing, or dies, or is sick. All take their time, to
//! the millisecond, so that much happens at once; and then which comes first is chance too.
//! Reports of attempts that are long over come late, come twice, or never.
//!
//! ```
//! use paceline_sim::publish::race;
//!
//! let ending = race(7)?;
//! assert!(ending.attempts >= 1);
//! # Ok::<(), paceline_sim::publish::Violation>(())
//! ```

mod rules;
mod server;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use paceline_publish::{Attempt, Output, State, Supervisor, SupervisorConfig};

use self::rules::Rules;
pub(crate) use self::server::{Happening, Server};
use crate::{Random, epoch};

/// How a race ended, when no rule was broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ending {
    /// Where the supervisor came to rest.
    pub state: State,
    /// Targets opened, each time counted.
    pub attempts: u64,
    /// Attempts that did not close in time.
    pub abandoned: u64,
    /// Targets that were given up, the last one included.
    pub given_up: u64,
    /// Senders that were live.
    pub started: u64,
    /// Reports that came too late to matter.
    pub stale: u64,
}

/// A rule of publishing that was broken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Which.
    pub rule: &'static str,
    /// When.
    pub at: Duration,
    /// In which race.
    pub seed: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "race {}, at {} ms: {}", self.seed, self.at.as_millis(), self.rule)
    }
}

impl std::error::Error for Violation {}

/// Runs the race of a seed until nothing more can happen.
///
/// # Errors
///
/// The first rule that is broken: two attempts open at once, an attempt that is closed twice
/// or not at all, something opened after a stop or after the last target, senders that are
/// started twice or stopped without having been started, a fallback that is told twice or
/// completed without a cause, a state in which it waits for nothing.
pub fn race(seed: u64) -> Result<Ending, Violation> {
    Race::new(seed).run()
}

/// Everything of one race.
#[derive(Debug)]
struct Race {
    seed: u64,
    random: Random,
    supervisor: Supervisor,
    servers: Vec<Server>,
    rules: Rules,
    now: Instant,
    /// By when, then in an order of chance, then by a number that makes it unique.
    agenda: BTreeMap<(Instant, u64, u64), Happening>,
    scheduled: u64,
}

impl Race {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let count = 1 + below(&mut random, 3) as usize;
        let external = below(&mut random, 2) == 0;
        let config = SupervisorConfig::default().external(external);
        let servers = (0..count).map(|_| Server::new(&mut random)).collect();
        let mut race = Self {
            seed,
            random,
            supervisor: Supervisor::new(count, config),
            servers,
            rules: Rules::new(count, external),
            now: epoch(),
            agenda: BTreeMap::new(),
            scheduled: 0,
        };
        race.schedule_application();
        race
    }

    fn run(mut self) -> Result<Ending, Violation> {
        for _ in 0..MAX_STEPS {
            let planned = self.agenda.keys().next().map(|key| key.0);
            let deadline = self.supervisor.poll_timeout();
            if deadline.is_some_and(|deadline| deadline < self.now) {
                return Err(self.violation("a deadline is in the past"));
            }
            // At the same instant a deadline is sometimes first, sometimes last.
            let first = match (planned, deadline) {
                (None, None) => return self.end(),
                (Some(planned), Some(deadline)) if planned == deadline => {
                    below(&mut self.random, 2) == 0
                }
                (planned, Some(deadline)) => planned.is_none_or(|planned| deadline < planned),
                (Some(_), None) => false,
            };
            if first {
                self.now = deadline.unwrap_or(self.now);
                self.supervisor.handle_timeout(self.now);
            } else if let Some(((at, ..), happening)) = self.agenda.pop_first() {
                self.now = at;
                // A timeout that is due in the same instant has been handled when this
                // returns; so the rules are told before.
                self.rules.handle_input(at, &happening);
                happening.tell(&mut self.supervisor, at);
            }
            self.drain()?;
        }
        Err(self.violation("it never comes to rest"))
    }

    /// Takes what the supervisor wants done, and has the servers do it.
    fn drain(&mut self) -> Result<(), Violation> {
        while let Some(output) = self.supervisor.poll_output() {
            self.rules.handle_output(self.now, &output).map_err(|rule| self.violation(rule))?;
            match output {
                Output::Close { attempt } => self.schedule_closing(attempt),
                Output::Event(_) => {}
                Output::Open { attempt, target } => {
                    let life = self.servers[target].live(attempt, &mut self.random);
                    for (after, happening) in life {
                        self.schedule(after, happening);
                    }
                    if attempt.get() > 1 && below(&mut self.random, 3) == 0 {
                        self.schedule_stray(attempt);
                    }
                }
            }
        }
        Ok(())
    }

    fn end(self) -> Result<Ending, Violation> {
        let state = self.supervisor.health(self.now, 0).state;
        self.rules.handle_rest(state).map_err(|rule| self.violation(rule))?;
        let stats = self.supervisor.stats();
        Ok(Ending {
            state,
            attempts: stats.attempts,
            abandoned: stats.abandoned,
            given_up: self.rules.given_up(),
            started: self.rules.started(),
            stale: stats.stale,
        })
    }

    /// Starts and stops, most of them at once, and more starts than stops.
    fn schedule_application(&mut self) {
        self.schedule(Duration::ZERO, Happening::Start);
        let mut at = 0;
        for _ in 0..below(&mut self.random, 7) {
            at += match below(&mut self.random, 3) {
                0 => 0,
                1 => below(&mut self.random, 1_500),
                _ => below(&mut self.random, 30_000),
            };
            let stop = below(&mut self.random, 5) < 2;
            let happening = if stop { Happening::Stop } else { Happening::Start };
            self.schedule(Duration::from_millis(at), happening);
        }
    }

    /// In time, just too late, much later, or never; maybe twice.
    fn schedule_closing(&mut self, attempt: Attempt) {
        let after = match below(&mut self.random, 8) {
            0 => return,
            1 => 1_000,
            2 => below(&mut self.random, 20_000),
            3 => 0,
            _ => below(&mut self.random, 1_000),
        };
        for _ in 0..1 + below(&mut self.random, 5) / 4 {
            self.schedule(Duration::from_millis(after), Happening::Closed(attempt));
        }
    }

    /// A report of an attempt before this one.
    fn schedule_stray(&mut self, newest: Attempt) {
        let after = Duration::from_millis(below(&mut self.random, 5_000));
        let Some(old) = self.rules.older_than(newest, self.random.bits()) else {
            return;
        };
        let happening = match below(&mut self.random, 3) {
            0 => Happening::Up(old),
            1 => Happening::Closed(old),
            _ => Happening::failure(old, &mut self.random),
        };
        self.schedule(after, happening);
    }

    fn schedule(&mut self, after: Duration, happening: Happening) {
        self.scheduled += 1;
        self.agenda.insert((self.now + after, self.random.bits(), self.scheduled), happening);
    }

    fn violation(&self, rule: &'static str) -> Violation {
        Violation { rule, at: self.now.saturating_duration_since(epoch()), seed: self.seed }
    }
}

fn below(random: &mut Random, bound: u64) -> u64 {
    random.bits() % bound
}

/// Far above what any race of seven commands and three servers takes.
const MAX_STEPS: usize = 20_000;
