//! What a supervisor is at, and what it remembers of an open attempt.

use std::time::Instant;

use crate::{Attempt, Failure};

#[derive(Clone, Debug)]
pub(super) enum Phase {
    External,
    Open(Sender),
    Stopped,
    /// None is for ever: further away than an `Instant` can say.
    Waiting(Option<Instant>),
}

/// An attempt that is open.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) attempt: Attempt,
    pub(super) target: usize,
    pub(super) opened: Instant,
    /// Media has flowed.
    pub(super) live: bool,
    /// The path has not been lost since.
    pub(super) path: bool,
    /// When it is too late for what it does; a live one may live for ever.
    pub(super) deadline: Option<Instant>,
    pub(super) closing: Option<Closing>,
}

#[derive(Clone, Debug)]
pub(super) struct Closing {
    pub(super) failure: Option<Failure>,
    pub(super) next: Next,
}

/// What comes when the open attempt is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    External,
    Stop,
    /// The target and the try that are noted.
    Try,
}
