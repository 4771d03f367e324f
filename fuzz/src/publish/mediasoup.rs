//! Publishing over protoo.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Buf;
use paceline_publish::mediasoup::{Flow, FlowConfig, FlowError, Output, ProducerAction, Step};
use paceline_publish::protoo::ClientConfig;
use paceline_publish::rtp_parameters::{Codec, MediaKind};
use serde_json::{Value, json};

use super::server::{
    Words, assert_clean, assert_printable, codecs, key, offer, spoil, streams, text,
};
use crate::packets::epoch;

/// An attempt to publish, of either kind and with a server of either kind: each step is an
/// operation, a place and what happens there, and some take text.
pub fn publish(mut script: &[u8]) {
    let Ok(first) = script.try_get_u8() else { return };
    let mut attempt = Attempt::new(first);
    while let Some((&[op, place, how], rest)) = script.split_first_chunk() {
        script = rest;
        attempt.step(op, place, how, &mut script);
        attempt.look();
    }
    // All that it holds, as text: no number of steps makes it more than what answers may have.
    let held = format!("{:?}", attempt.flow).len();
    assert!(held < MAX_HELD, "{held} bytes of state");
}

struct Attempt {
    flow: Flow,
    words: Words,
    codecs: Vec<Codec>,
    is_plain: bool,
    now: Instant,
    /// Requests without an answer: their numbers, and what for.
    asked: VecDeque<(u64, String)>,
    /// How many of them were answered.
    answered: u64,
    step: Step,
    seen: Seen,
}

/// What came out of it so far.
#[derive(Default)]
struct Seen {
    answers: u64,
    /// Producers that we closed.
    closed: usize,
    connected: usize,
    is_failed: bool,
    is_negotiated: bool,
    is_plain: bool,
    is_ready: bool,
    produced: usize,
}

impl Attempt {
    fn new(first: u8) -> Self {
        let (is_plain, h264) = (first & 1 != 0, first & 2 != 0);
        let config = if is_plain {
            FlowConfig::plain(streams(h264), key())
        } else {
            FlowConfig::web_rtc(codecs(h264))
        };
        let config = config
            .client(ClientConfig::default().max_requests(REQUESTS).max_unanswered(4))
            .restart_when_down(first & 8 == 0);
        let now = epoch();
        let mut attempt = Self {
            flow: Flow::new(now, config, u32::MAX - 2),
            words: Words::of(first & 4 != 0),
            codecs: codecs(h264),
            is_plain,
            now,
            asked: VecDeque::new(),
            answered: 0,
            step: Step::Capabilities,
            seen: Seen::default(),
        };
        attempt.take();
        attempt
    }

    fn step(&mut self, op: u8, place: u8, how: u8, script: &mut &[u8]) {
        match op % 16 {
            0..=2 => self.answer(0, |_| ()),
            3 => self.answer(0, |answer| spoil(answer, place, how)),
            4 => self.answer(place, |_| ()),
            5 => {
                let Some((id, _)) = self.asked.pop_front() else { return };
                let reason = text(script, how);
                self.hear(&json!({
                    "response": true, "id": id, "errorCode": place, "errorReason": reason,
                }));
            }
            6 => {
                let (method, data) = told(place);
                let mut said = json!({ "notification": true, "method": method, "data": data });
                spoil(&mut said["data"], place >> 3, how);
                self.hear(&said);
            }
            7 => {
                let method = if how & 1 == 0 { "newConsumer" } else { "dance" };
                self.hear(&json!({ "request": true, "id": place, "method": method }));
            }
            8 => self.flow.handle_offer(self.now, &offers(place, how, script)),
            9 => self.flow.handle_up(self.now),
            10 => self.flow.handle_down(self.now),
            11 => {
                self.now += Duration::from_millis(u64::from(place) * 100);
                self.flow.handle_timeout(self.now);
                let next = self.flow.poll_timeout();
                assert!(next.is_none_or(|next| next > self.now), "it would be called for ever");
            }
            // Refused is what is not possible now.
            12 => {
                let _ = self.flow.restart_ice(self.now);
            }
            13 => {
                let action = [ProducerAction::Close, ProducerAction::Pause, ProducerAction::Resume];
                let action = action[usize::from(place % 3)];
                let kind = if how & 1 == 0 { MediaKind::Audio } else { MediaKind::Video };
                // Refused is what is not possible now.
                let is_done = self.flow.control(self.now, action, kind).is_ok();
                self.seen.closed += usize::from(is_done && action == ProducerAction::Close);
            }
            14 => {
                let _ = self.flow.handle_text(self.now, &text(script, how));
            }
            _ if place == u8::MAX => self.flow.handle_closed(),
            _ => self.hear(&json!({ "response": true, "id": how, "ok": true })),
        }
        self.take();
    }

    /// Answers one of the requests as a server does, but for what is done to it.
    fn answer(&mut self, which: u8, change: impl FnOnce(&mut Value)) {
        let index = usize::from(which) % self.asked.len().max(1);
        let Some((id, method)) = self.asked.remove(index) else { return };
        self.answered += 1;
        let mut data = self.words.answer(&method, self.answered);
        change(&mut data);
        self.hear(&json!({ "response": true, "id": id, "ok": true, "data": data }));
    }

    fn hear(&mut self, said: &Value) {
        // What is of no use is refused and counted.
        let _ = self.flow.handle_text(self.now, &said.to_string());
    }

    /// Takes what comes of one step, which is not much.
    fn take(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.flow.poll_output() {
            outputs += 1;
            assert!(!self.seen.is_failed, "{output:?} after the end");
            self.took(output);
        }
        // Each request may time out, each stream is produced, and of the rest one each.
        assert!(outputs <= REQUESTS + self.codecs.len() + 4, "{outputs} outputs of one step");
    }

    fn took(&mut self, output: Output) {
        let seen = &mut self.seen;
        match output {
            Output::Transmit(text) => self.sent(&text),
            Output::Answer(sdp) => {
                assert!(seen.is_negotiated && !self.is_plain);
                assert_clean(&sdp);
                let version = format!("v=0\r\no=- 1 {} IN ", seen.answers);
                assert!(sdp.starts_with(&version), "not the next version: {sdp}");
                seen.answers += 1;
            }
            Output::Negotiated(agreed) => {
                let kinds: Vec<_> = agreed.iter().map(|agreed| agreed.kind()).collect();
                assert!(kinds.iter().copied().eq(self.codecs.iter().map(|codec| codec.kind())));
                assert!(!std::mem::replace(&mut seen.is_negotiated, true), "agreed on twice");
            }
            Output::Plain(remote) => {
                assert!(self.is_plain && !std::mem::replace(&mut seen.is_plain, true));
                assert_eq!(remote.local, key());
                assert_eq!(remote.remote.suite(), remote.local.suite());
                assert!(remote.port != 0 && remote.rtcp_port != Some(0));
            }
            Output::Ready { producers } => {
                assert!(!std::mem::replace(&mut seen.is_ready, true), "ready twice");
                assert!(seen.is_negotiated && seen.is_plain == self.is_plain);
                assert_eq!(producers.len() + seen.closed, self.codecs.len());
                let mut kinds = self.codecs.iter().map(|codec| codec.kind());
                for producer in &producers {
                    assert!(kinds.any(|kind| kind == producer.kind), "in their order");
                    assert!((1..=128).contains(&producer.id.len()), "{}", producer.id);
                    assert!(producer.id.bytes().all(|c| c.is_ascii_graphic() && c != b'/'));
                }
            }
            Output::Failed(error) => {
                seen.is_failed = true;
                if let FlowError::Rejected { reason, .. } = &error {
                    assert_printable(reason);
                }
                assert!(!error.to_string().contains(|c: char| c.is_control()), "{error}");
            }
            Output::Notification { method, .. } => assert_printable(&method),
            Output::RestartIce | Output::RestartRefused(_) => {
                assert!(seen.connected == 1 && !self.is_plain);
            }
            Output::Score { score, .. } => assert!(score <= 10),
            Output::Version(version) => assert_printable(&version),
            Output::Controlled { .. } | Output::DownlinkEstimate(_) => {}
            other => panic!("{other:?}"),
        }
    }

    fn sent(&mut self, text: &str) {
        let said: Value = serde_json::from_str(text).expect("JSON");
        if said["request"] != true {
            // An answer to the server, or what newer servers are told.
            return assert!(
                said["response"] == true && said["ok"] == false || said["notification"] == true
            );
        }
        let method = said["method"].as_str().expect("a method");
        let id = said["id"].as_u64().expect("a number");
        assert!(self.asked.iter().all(|(known, _)| *known != id), "two requests are {id}");
        match method {
            "connectPlainTransport" | "connectWebRtcTransport" => self.seen.connected += 1,
            "produce" => self.seen.produced += 1,
            "restartIce" => {
                let others = self.asked.iter().filter(|(_, of)| of == "restartIce").count();
                assert_eq!(others, 0, "it is asked for already");
            }
            _ => {}
        }
        assert!(self.seen.connected <= 1 && self.seen.produced <= self.codecs.len());
        assert!(self.seen.produced == 0 || self.seen.connected == 1);
        self.asked.push_back((id, method.to_owned()));
    }

    fn look(&mut self) {
        let step = self.flow.step();
        assert!(step >= self.step, "from {} back to {step}", self.step);
        self.step = step;
        assert_eq!(self.seen.is_ready, step == Step::Ready);
        let is_waiting = !self.seen.is_failed && !self.seen.is_ready;
        assert!(!is_waiting || self.flow.poll_timeout().is_some(), "it might wait for ever");
        assert!(!self.seen.is_failed || self.flow.poll_timeout().is_none());
    }
}

/// What a server tells.
fn told(which: u8) -> (&'static str, Value) {
    match which % 8 {
        0 | 1 => {
            let id = ["producer-5", "producer-6"][usize::from(which & 1)];
            let score = json!([{ "encodingIdx": 0, "ssrc": 7, "score": which >> 3 }]);
            ("producerScore", json!({ "producerId": id, "score": score }))
        }
        2 => ("downlinkBwe", json!({ "availableBitrate": 600_000 })),
        3 => ("mediasoup-version", json!({ "version": "3.27.1" })),
        4 => ("mediasoupVersion", json!({ "version": "3.27.1" })),
        5 => ("newPeer", json!({ "peer": { "peerId": "ben" } })),
        6 => ("\u{1b}]52;c;\u{7}", json!({})),
        _ => ("", json!([])),
    }
}

/// What an engine offers: the same, one that restarts ICE, or one that is not as it should be.
fn offers(place: u8, how: u8, script: &mut &[u8]) -> String {
    match place % 8 {
        0..=2 => offer("first"),
        3..=5 => offer(&format!("user{how}")),
        6 => {
            let offer = offer("first");
            let lines = offer.split_inclusive("\r\n").enumerate();
            lines
                .filter(|(index, _)| *index != usize::from(how % 48))
                .map(|(_, line)| line)
                .collect()
        }
        _ => text(script, how),
    }
}

const REQUESTS: usize = 8;

/// An offer, the router's capabilities and the server's transport as `Debug` has them, each with
/// a list that is forty times as long as it should be.
const MAX_HELD: usize = 256 << 10;
