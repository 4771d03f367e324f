//! Publishing by HTTP.

use bytes::Buf;
use paceline_publish::broadcaster::{Flow, FlowConfig, Method, Output, Request};
use paceline_publish::mediasoup::{FlowError, Step};
use serde_json::Value;

use super::server::{
    Words, assert_clean, assert_printable, codecs, key, offer, spoil, streams, text,
};

/// A broadcaster that comes and goes: each step is an operation, a place and what happens
/// there, and some take text.
pub fn broadcaster(mut script: &[u8]) {
    let Ok(first) = script.try_get_u8() else { return };
    let mut visit = Visit::new(first);
    while let Some((&[op, place, how], rest)) = script.split_first_chunk() {
        script = rest;
        visit.step(op, place, how, &mut script);
        visit.take();
    }
    visit.leave();
}

struct Visit {
    flow: Flow,
    words: Words,
    is_plain: bool,
    /// The request that has no response yet.
    waiting: Option<Request>,
    requests: u64,
    /// Whether the server has made us a broadcaster, or may have.
    is_known: bool,
    is_failed: bool,
    is_closed: bool,
    is_ready: bool,
    deletes: usize,
    answers: usize,
}

impl Visit {
    fn new(first: u8) -> Self {
        let (is_plain, h264) = (first & 1 != 0, first & 2 != 0);
        let config = if is_plain {
            FlowConfig::plain("a room/..", "b?", streams(h264), key())
        } else {
            FlowConfig::web_rtc("a room/..", "b?", codecs(h264))
        };
        let mut visit = Self {
            flow: Flow::new(config.expect("names that can stand in a path")),
            words: Words::of(first & 4 != 0),
            is_plain,
            waiting: None,
            requests: 0,
            is_known: false,
            is_failed: false,
            is_closed: false,
            is_ready: false,
            deletes: 0,
            answers: 0,
        };
        visit.take();
        visit
    }

    fn step(&mut self, op: u8, place: u8, how: u8, script: &mut &[u8]) {
        match op % 8 {
            0..=2 => self.respond(200, |_| ()),
            3 => self.respond(201, |body| spoil(body, place, how)),
            4 => {
                let Some(request) = self.waiting.take() else { return };
                let status = 100 + u16::from(place) * 2;
                // A refusal may say that the name is another's.
                let is_refused = is_of(&request, 3) && (400..500).contains(&status);
                self.is_known &= !is_refused || self.is_failed || self.is_closed;
                self.flow.handle_response(status, &text(script, how));
            }
            5 => self.flow.handle_offer(&match how {
                0..=199 => offer("first"),
                _ => text(script, place),
            }),
            6 => self.flow.handle_up(),
            _ => match place % 4 {
                0 => self.flow.handle_failure(how & 1 == 0),
                1 => self.flow.handle_unreachable(&text(script, how)),
                2 if how > 200 => self.close(),
                _ => {}
            },
        }
    }

    /// The response of a server to the request that waits, but for what is done to it.
    fn respond(&mut self, status: u16, change: impl FnOnce(&mut Value)) {
        let Some(request) = self.waiting.take() else { return };
        let last = request.path.rsplit('/').next().unwrap_or_default();
        let method = match (request.method, last) {
            (Method::Get, _) => "getRouterRtpCapabilities",
            (_, "transports") if self.is_plain => "createPlainTransport",
            (_, "transports") => "createWebRtcTransport",
            (_, "producers") => "produce",
            _ => "",
        };
        let mut body = self.words.answer(method, self.requests);
        change(&mut body);
        self.flow.handle_response(status, &body.to_string());
    }

    fn take(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.flow.poll_output() {
            outputs += 1;
            match output {
                Output::Request(request) => self.sent(request),
                Output::Answer(sdp) => {
                    assert!(!self.is_plain);
                    assert_clean(&sdp);
                    self.answers += 1;
                }
                Output::Failed(error) => {
                    assert!(!std::mem::replace(&mut self.is_failed, true), "{error} after the end");
                    if let FlowError::Rejected { reason, .. } = &error {
                        assert_printable(reason);
                    }
                    assert!(!error.to_string().contains(|c: char| c.is_control()), "{error}");
                }
                Output::Negotiated(agreed) => assert_eq!(agreed.len(), 2),
                Output::Plain(remote) => assert_eq!((self.is_plain, remote.local), (true, key())),
                Output::Ready { producers } => {
                    assert!(!std::mem::replace(&mut self.is_ready, true) && !self.is_failed);
                    assert_eq!(producers.len(), 2);
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(outputs <= 4, "{outputs} outputs of one step");
        assert!(self.answers <= 1);
        assert!(!self.is_ready || self.flow.step() == Step::Ready);
    }

    fn sent(&mut self, request: Request) {
        let path = request.path.as_str();
        assert!(path.starts_with("/rooms/a%20room%2F.."), "{path}");
        assert!(
            path.bytes().all(|c| c.is_ascii_alphanumeric() || b"/-_.~%".contains(&c)),
            "{path}"
        );
        if request.method == Method::Delete {
            assert!(self.is_closed && self.is_known && is_of(&request, 4), "{path}");
            self.deletes += 1;
            return;
        }
        assert!(!self.is_failed && !self.is_closed, "{path} after the end");
        assert_eq!(self.waiting, None, "one after the other");
        self.is_known |= is_of(&request, 3);
        self.requests += 1;
        self.waiting = Some(request);
    }

    fn close(&mut self) {
        self.flow.close();
        self.is_closed = true;
    }

    /// Whoever is known says goodbye, once.
    fn leave(mut self) {
        self.close();
        self.take();
        self.close();
        self.take();
        assert_eq!(self.deletes, usize::from(self.is_known));
    }
}

/// Whether its path has so many segments: three are all broadcasters, four are one of them.
fn is_of(request: &Request, segments: usize) -> bool {
    request.path.matches('/').count() == segments
}
