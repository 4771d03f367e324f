//! What the one who compares waits for: that time goes by, that a packet comes, Ctrl-C.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};

use crate::Failure;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// The first datagram came to this port.
    Came(u16),
    Signal(Signal),
}

/// Says when to end: whoever waits does so here, and what was started ends on the way out.
#[derive(Debug)]
pub(crate) struct Stop {
    events: Receiver<Event>,
    teller: Sender<Event>,
    came: AtomicBool,
}

impl Stop {
    /// From now on SIGINT and SIGTERM come here. To be called before a thread is started.
    pub(crate) fn on_signals() -> Result<Self, Failure> {
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
        signals.thread_block()?;
        let (teller, events) = channel();
        let told = teller.clone();
        thread::Builder::new().name("signals".into()).spawn(move || {
            while let Ok(signal) = signals.wait()
                && told.send(Event::Signal(signal)).is_ok()
            {}
        })?;
        Ok(Self { events, teller, came: AtomicBool::new(false) })
    }

    /// Whether a wait was ended by a signal.
    pub(crate) fn is_set(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }

    /// Where events are told.
    pub(crate) fn teller(&self) -> Sender<Event> {
        self.teller.clone()
    }

    /// Waits so long.
    pub(crate) fn wait(&self, time: Duration) -> Result<(), Failure> {
        self.wait_for(time, |_| false).map(drop)
    }

    /// Waits for a datagram on `port`, and at most so long: whether one came.
    pub(crate) fn wait_for_datagram(&self, port: u16, limit: Duration) -> Result<bool, Failure> {
        self.wait_for(limit, |event| matches!(event, Event::Came(at) if at == port))
    }

    fn wait_for(&self, limit: Duration, is: impl Fn(Event) -> bool) -> Result<bool, Failure> {
        let end = Instant::now() + limit;
        loop {
            match self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Event::Signal(signal)) => {
                    self.came.store(true, Ordering::Relaxed);
                    return Err(format!("ended by {signal}").into());
                }
                Ok(event) if is(event) => return Ok(true),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Ok(false),
                Err(RecvTimeoutError::Disconnected) => return Err("nobody tells events".into()),
            }
        }
    }
}
