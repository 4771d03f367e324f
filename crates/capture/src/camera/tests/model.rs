//! A driver as uvcvideo is, and as some are not.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use crate::camera::driver::{
    Capability, Driver, Filled, Fourcc, Interval, Intervals, Layout, Ready, Sizes,
};
use crate::camera::wait::wait;

/// A camera; drivers are opened on it.
#[derive(Clone, Debug)]
pub(super) struct Model {
    state: Arc<Mutex<State>>,
    /// Can be read while something is to be taken or wrong.
    event: Arc<OwnedFd>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) card: &'static str,
    pub(super) streams_video: bool,
    /// Formats, those of one together, with sizes that have intervals in common.
    pub(super) modes: Vec<(Fourcc, Vec<Sizes>, Vec<Intervals>)>,
    /// What it gives instead of what is asked for.
    pub(super) layout: Option<Layout>,
    pub(super) parm: Option<Result<Interval, Errno>>,
    pub(super) buffers: u32,
    /// Errors of calls to come, by the call's name.
    pub(super) failures: VecDeque<(&'static str, Errno)>,
    pub(super) breaks: bool,
    /// It says that there are buffers when there are none.
    pub(super) cries_wolf: bool,
    pub(super) error: bool,
    pub(super) gone: bool,
    pub(super) asked: Option<(Fourcc, (u32, u32), Interval)>,
    pub(super) queued: VecDeque<u32>,
    filled: VecDeque<(Filled, Vec<u8>)>,
    pub(super) lost: u32,
    pub(super) streaming: bool,
    pub(super) starts: u32,
    pub(super) open: u32,
    /// What no program may do.
    pub(super) violations: Vec<String>,
}

/// 64 × 48 in one format, 30 times a second.
pub(super) fn small(format: Fourcc) -> Model {
    Model::new(vec![(format, vec![Sizes::Discrete((64, 48))], vec![Intervals::Discrete(per(30))])])
}

pub(super) const fn per(second: u32) -> Interval {
    Interval { numerator: 1, denominator: second }
}

impl Model {
    pub(super) fn new(modes: Vec<(Fourcc, Vec<Sizes>, Vec<Intervals>)>) -> Self {
        let state = State {
            card: "Model camera",
            streams_video: true,
            modes,
            layout: None,
            parm: None,
            buffers: 4,
            failures: VecDeque::new(),
            breaks: false,
            cries_wolf: false,
            error: false,
            gone: false,
            asked: None,
            queued: VecDeque::new(),
            filled: VecDeque::new(),
            lost: 0,
            streaming: false,
            starts: 0,
            open: 0,
            violations: Vec::new(),
        };
        let event =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("descriptors");
        Self { state: Arc::new(Mutex::new(state)), event: Arc::new(event) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn open(&self) -> Result<Opened, Errno> {
        if self.state().gone {
            return Err(Errno::NODEV);
        }
        self.state().open += 1;
        Ok(Opened { model: self.clone(), memory: Vec::new() })
    }

    /// A picture is captured: lost if no buffer is there, as with cameras.
    pub(super) fn fill(&self, data: &[u8]) {
        self.fill_as(data, |_| ());
    }

    pub(super) fn fill_as(&self, data: &[u8], change: impl FnOnce(&mut Filled)) {
        let mut state = self.state();
        match state.queued.pop_front() {
            Some(index) if state.streaming => {
                let bytes_used = data.len() as u32;
                let mut filled = Filled { index, bytes_used, damaged: false, age: Duration::ZERO };
                change(&mut filled);
                state.filled.push_back((filled, data.to_vec()));
            }
            Some(index) => state.queued.push_front(index),
            None => state.lost += 1,
        }
        drop(state);
        self.signal();
    }

    pub(super) fn unplug(&self) {
        self.state().gone = true;
        self.signal();
    }

    pub(super) fn fail(&self, call: &'static str, errno: Errno) {
        self.state().failures.push_back((call, errno));
        self.signal();
    }

    pub(super) fn signal(&self) {
        rustix::io::write(&*self.event, &1_u64.to_ne_bytes()).expect("a count");
    }
}

/// The model, opened.
#[derive(Debug)]
pub(super) struct Opened {
    model: Model,
    memory: Vec<Vec<u8>>,
}

impl Opened {
    fn enter(&self, call: &str) -> Result<MutexGuard<'_, State>, Errno> {
        let mut state = self.model.state();
        if state.gone {
            return Err(Errno::NODEV);
        }
        if state.failures.front().is_some_and(|(of, _)| *of == call)
            && let Some((_, errno)) = state.failures.pop_front()
        {
            return Err(errno);
        }
        Ok(state)
    }
}

impl Driver for Opened {
    fn query_cap(&mut self) -> Result<Capability, Errno> {
        let state = self.enter("query_cap")?;
        Ok(Capability { card: state.card.to_owned(), streams_video: state.streams_video })
    }

    fn enum_fmt(&mut self, index: u32) -> Result<Fourcc, Errno> {
        let state = self.enter("enum_fmt")?;
        let mut formats: Vec<_> = state.modes.iter().map(|(format, ..)| *format).collect();
        formats.dedup();
        formats.get(index as usize).copied().ok_or(Errno::INVAL)
    }

    fn enum_framesizes(&mut self, format: Fourcc, index: u32) -> Result<Sizes, Errno> {
        let state = self.enter("enum_framesizes")?;
        let mut of = state.modes.iter().filter(|(of, ..)| *of == format).flat_map(|(_, of, _)| of);
        of.nth(index as usize).copied().ok_or(Errno::INVAL)
    }

    fn enum_frameintervals(
        &mut self,
        format: Fourcc,
        size: (u32, u32),
        index: u32,
    ) -> Result<Intervals, Errno> {
        let state = self.enter("enum_frameintervals")?;
        let has = |sizes: &[Sizes]| match sizes {
            [] => true,
            sizes => sizes.iter().any(|of| match of {
                Sizes::Discrete(of) => *of == size,
                Sizes::Stepwise { .. } => true,
            }),
        };
        let of = state.modes.iter().find(|(of, sizes, _)| *of == format && has(sizes));
        of.and_then(|(.., intervals)| intervals.get(index as usize).copied()).ok_or(Errno::NOTTY)
    }

    fn s_fmt(&mut self, format: Fourcc, size: (u32, u32)) -> Result<Layout, Errno> {
        let mut state = self.enter("s_fmt")?;
        state.asked = Some((format, size, per(0)));
        Ok(state.layout.unwrap_or(Layout { format, size, bytes_per_row: 0, full_range: false }))
    }

    fn s_parm(&mut self, interval: Interval) -> Result<Interval, Errno> {
        let mut state = self.enter("s_parm")?;
        if let Some(asked) = &mut state.asked {
            asked.2 = interval;
        }
        state.parm.unwrap_or(Ok(interval))
    }

    fn reqbufs(&mut self, count: u32) -> Result<u32, Errno> {
        let state = self.enter("reqbufs")?;
        let count = count.min(state.buffers);
        drop(state);
        self.memory = vec![Vec::new(); count as usize];
        Ok(count)
    }

    fn qbuf(&mut self, index: u32) -> Result<(), Errno> {
        let known = (index as usize) < self.memory.len();
        let mut state = self.enter("qbuf")?;
        let twice = state.queued.contains(&index)
            || state.filled.iter().any(|(filled, _)| filled.index == index);
        if twice || !known {
            state.violations.push(format!("buffer {index} was given twice, or is none"));
            return Err(Errno::INVAL);
        }
        state.queued.push_back(index);
        Ok(())
    }

    fn dqbuf(&mut self) -> Result<Filled, Errno> {
        let mut state = self.enter("dqbuf")?;
        assert!(!state.breaks, "a fault of the model");
        if !state.streaming {
            return Err(Errno::INVAL);
        }
        let Some((filled, data)) = state.filled.pop_front() else { return Err(Errno::AGAIN) };
        drop(state);
        if let Some(memory) = self.memory.get_mut(filled.index as usize) {
            *memory = data;
        }
        Ok(filled)
    }

    fn bytes(&self, index: u32) -> Option<&[u8]> {
        let mut state = self.model.state();
        if state.queued.contains(&index) {
            state.violations.push(format!("buffer {index} was read while the driver has it"));
        }
        self.memory.get(index as usize).map(|memory| &memory[..])
    }

    fn streamon(&mut self) -> Result<(), Errno> {
        let mut state = self.enter("streamon")?;
        state.streaming = true;
        state.starts += 1;
        Ok(())
    }

    fn streamoff(&mut self) -> Result<(), Errno> {
        let mut state = self.enter("streamoff")?;
        state.streaming = false;
        state.error = false;
        state.queued.clear();
        state.filled.clear();
        Ok(())
    }

    fn poll(&mut self, end: BorrowedFd<'_>, timeout: Duration) -> Result<Ready, Errno> {
        let ready = wait(self.model.event.as_fd(), end, timeout)?;
        let state = self.model.state();
        if ready != Ready::Filled {
            return Ok(ready);
        }
        // What is left keeps it readable, as with cameras.
        let left = state.filled.len() > 1 || state.gone || state.cries_wolf;
        if !left {
            let _ = rustix::io::read(&*self.model.event, &mut [0; 8]);
        }
        Ok(match &*state {
            State { gone: true, error: false, .. } => Ready::Hangup,
            State { error: true, .. } => Ready::Error,
            _ => Ready::Filled,
        })
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut state = self.model.state();
        state.open -= 1;
        state.streaming = false;
        state.queued.clear();
        state.filled.clear();
    }
}
