//! Either flow, with its link.

use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::error::PublishError;
use super::link::{FromServer, Link, ToServer};
use crate::mediasoup::{FlowError, PlainRemote, Step};
use crate::rtp_parameters::{MediaKind, Negotiated};
use crate::{broadcaster, mediasoup};

/// Talks with the server.
pub(super) struct Signalling {
    flow: Flow,
    link: Link,
}

enum Flow {
    Broadcaster(Box<broadcaster::Flow>),
    Mediasoup(Box<mediasoup::Flow>),
}

/// What there is to do.
pub(super) enum Todo {
    /// Give the engine this answer.
    Answer(String),
    /// It is over.
    Fail(FlowError),
    /// Keep to what was agreed on.
    Negotiated(Vec<Negotiated>),
    /// Send to there.
    Plain(PlainRemote),
    /// Have the engine make an offer that restarts ICE.
    RestartIce,
    /// Tell how well a stream arrives.
    Score(MediaKind, u8),
    /// Media can flow.
    Start,
}

impl Signalling {
    pub(super) fn broadcaster(flow: broadcaster::Flow, link: Link) -> Self {
        Self { flow: Flow::Broadcaster(Box::new(flow)), link }
    }

    pub(super) fn mediasoup(flow: mediasoup::Flow, link: Link) -> Self {
        Self { flow: Flow::Mediasoup(Box::new(flow)), link }
    }

    /// Waits for the server. Cancel-safe.
    pub(super) async fn receive(&mut self) -> FromServer {
        self.link.receive().await
    }

    pub(super) fn handle(&mut self, now: Instant, what: FromServer) {
        match (&mut self.flow, what) {
            (Flow::Mediasoup(flow), FromServer::Text(text)) => {
                if let Err(error) = flow.handle_text(now, &text) {
                    debug!(%error, "what the server says is of no use");
                }
            }
            (Flow::Mediasoup(flow), _) => flow.handle_closed(),
            (Flow::Broadcaster(flow), FromServer::Response { status, body }) => {
                flow.handle_response(status, &body);
            }
            (Flow::Broadcaster(flow), FromServer::NoResponse { timed_out: true, .. }) => {
                flow.handle_failure(true);
            }
            (Flow::Broadcaster(flow), FromServer::NoResponse { reason, .. }) => {
                flow.handle_unreachable(&reason);
            }
            (Flow::Broadcaster(flow), _) => flow.handle_failure(false),
        }
    }

    pub(super) fn handle_offer(&mut self, now: Instant, sdp: &str) {
        match &mut self.flow {
            Flow::Broadcaster(flow) => flow.handle_offer(sdp),
            Flow::Mediasoup(flow) => flow.handle_offer(now, sdp),
        }
    }

    pub(super) fn handle_path(&mut self, now: Instant, up: bool) {
        match &mut self.flow {
            Flow::Broadcaster(flow) if up => flow.handle_up(),
            Flow::Broadcaster(_) => {}
            Flow::Mediasoup(flow) if up => flow.handle_up(now),
            Flow::Mediasoup(flow) => flow.handle_down(now),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Flow::Mediasoup(flow) = &mut self.flow {
            flow.handle_timeout(now);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.flow {
            Flow::Broadcaster(_) => None,
            Flow::Mediasoup(flow) => flow.poll_timeout(),
        }
    }

    pub(super) fn restart_ice(&mut self, now: Instant) {
        let Flow::Mediasoup(flow) = &mut self.flow else { return };
        if let Err(error) = flow.restart_ice(now) {
            debug!(%error, "ICE is not restarted");
        }
    }

    /// What is waited for.
    pub(super) const fn step(&self) -> Step {
        match &self.flow {
            Flow::Broadcaster(flow) => flow.step(),
            Flow::Mediasoup(flow) => flow.step(),
        }
    }

    /// What there is to do; what goes to the server goes there by itself.
    pub(super) fn poll(&mut self) -> Option<Todo> {
        match &mut self.flow {
            Flow::Broadcaster(flow) => poll_broadcaster(flow, &self.link),
            Flow::Mediasoup(flow) => poll_mediasoup(flow, &self.link),
        }
    }

    /// Says goodbye.
    pub(super) async fn close(mut self, patience: Duration) {
        if let Flow::Broadcaster(flow) = &mut self.flow {
            flow.close();
            while poll_broadcaster(flow, &self.link).is_some() {}
        }
        self.link.close(patience).await;
    }
}

fn poll_mediasoup(flow: &mut mediasoup::Flow, link: &Link) -> Option<Todo> {
    use mediasoup::Output;
    while let Some(output) = flow.poll_output() {
        return Some(match output {
            Output::Transmit(text) => {
                if !link.send(ToServer::Text(text)) {
                    flow.handle_closed();
                }
                continue;
            }
            Output::Answer(sdp) => Todo::Answer(sdp),
            Output::Failed(error) => Todo::Fail(error),
            Output::Negotiated(agreed) => Todo::Negotiated(agreed),
            Output::Plain(remote) => Todo::Plain(remote),
            Output::Ready { .. } => Todo::Start,
            Output::RestartIce => Todo::RestartIce,
            Output::RestartRefused(error) => {
                warn!(%error, "the server does not restart ICE");
                continue;
            }
            Output::Score { kind, score } => Todo::Score(kind, score),
            // Its data may be 256 KiB.
            Output::Notification { method, .. } => {
                debug!(method, "the server tells");
                continue;
            }
            other => {
                debug!(?other, "the server tells");
                continue;
            }
        });
    }
    None
}

fn poll_broadcaster(flow: &mut broadcaster::Flow, link: &Link) -> Option<Todo> {
    use broadcaster::Output;
    while let Some(output) = flow.poll_output() {
        return Some(match output {
            Output::Request(request) => {
                if !link.send(ToServer::Request(request)) {
                    flow.handle_failure(false);
                }
                continue;
            }
            Output::Answer(sdp) => Todo::Answer(sdp),
            Output::Failed(error) => Todo::Fail(error),
            Output::Negotiated(agreed) => Todo::Negotiated(agreed),
            Output::Plain(remote) => Todo::Plain(remote),
            Output::Ready { .. } => Todo::Start,
        });
    }
    None
}

/// What a flow's end after so many seconds is to who wanted to publish.
pub(super) fn error_of(error: FlowError, seconds: u64) -> PublishError {
    match error {
        FlowError::Closed { .. } => PublishError::Closed { reason: error.to_string() },
        FlowError::Rejected { code: status @ (401 | 403), .. } => {
            PublishError::AuthRefused { status: status as u16 }
        }
        // RFC 9110 §15.6.3 to §15.6.5: who is busy, or has lost who is behind it, may be well
        // another time.
        FlowError::Rejected { code: 502..=504, .. } => {
            PublishError::Unreachable { reason: error.to_string() }
        }
        FlowError::Rejected { .. } => PublishError::Refused { reason: error.to_string() },
        FlowError::Unreachable { .. } => PublishError::Unreachable { reason: error.to_string() },
        FlowError::TimedOut { step } => PublishError::TimedOut { seconds, step: Some(step) },
        other => PublishError::Negotiation { reason: other.to_string() },
    }
}
