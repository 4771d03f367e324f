//! The desktop moves, and when it did is written down.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use paceline_benches::painter::Painter;
use paceline_benches::scene::Scene;

use crate::Failure;

/// A thread that paints. It ends with this.
#[derive(Debug)]
pub(crate) struct Painting {
    stop: Sender<()>,
    thread: JoinHandle<Result<Vec<Duration>, Failure>>,
}

impl Painting {
    /// Paints `scene` on `display` from its first picture on.
    pub(crate) fn start(display: &str, scene: Arc<Scene>) -> Result<Self, Failure> {
        let painter = Painter::open(display, &scene)?;
        let (stop, stopped) = channel();
        let paint = move || {
            let begin = Instant::now();
            let mut painted = vec![since_unix()?];
            loop {
                let due = begin + PERIOD * painted.len() as u32;
                let wait = due.saturating_duration_since(Instant::now());
                if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                    return Ok(painted);
                }
                // When it begins: what follows is part of what a viewer waits for.
                painted.push(since_unix()?);
                painter.paint(&scene, painted.len() as u32 - 1)?;
            }
        };
        let thread = thread::Builder::new().name("painter".into()).spawn(paint)?;
        Ok(Self { stop, thread })
    }

    /// Ends, and gives for each number when it was painted, since the beginning of 1970.
    pub(crate) fn end(self) -> Result<Vec<Duration>, Failure> {
        drop(self.stop);
        self.thread.join().map_err(|_| "the painter has panicked")?
    }
}

/// The clock that the kernel stamps packets with.
pub(crate) fn since_unix() -> Result<Duration, Failure> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

/// A little more than 1/30 s: so the phase between painting and grabbing goes through all its
/// values, once a second, and nobody is lucky or unlucky with it.
const PERIOD: Duration = Duration::from_nanos(34_482_759);
