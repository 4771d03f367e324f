//! The client's end of protoo.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Buf;
use paceline_publish::protoo::{
    Client, ClientConfig, MessageError, Output, RequestError, RequestId, ResponseError,
    ServerRequestId, time_out,
};
use serde_json::{Value, json};

use super::server::{assert_printable, text};
use crate::packets::epoch;

/// A connection to a server: each step is an operation and a number, and some take text.
pub fn protoo(mut script: &[u8]) {
    let Ok(first) = script.try_get_u32() else { return };
    let mut talk = Talk::new(first);
    while let Some((&[op, number], rest)) = script.split_first_chunk() {
        script = rest;
        talk.step(op, number, &mut script);
        talk.look();
    }
    talk.end();
}

struct Talk {
    client: Client,
    now: Instant,
    /// What we wait for, and until when.
    asked: BTreeMap<RequestId, Instant>,
    /// What the server waits for.
    held: BTreeSet<ServerRequestId>,
    last: Option<u32>,
    is_closed: bool,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    malformed: u64,
    notifications: u64,
    rejected: u64,
    requests: u64,
    timed_out: u64,
}

impl Talk {
    fn new(first: u32) -> Self {
        let config = ClientConfig::default()
            .max_depth(DEPTH)
            .max_message(MESSAGE)
            .max_requests(REQUESTS)
            .max_unanswered(UNANSWERED);
        Self {
            client: Client::new(config, first),
            now: epoch(),
            asked: BTreeMap::new(),
            held: BTreeSet::new(),
            last: None,
            is_closed: false,
            counts: Counts::default(),
        }
    }

    fn step(&mut self, op: u8, number: u8, script: &mut &[u8]) {
        let asked = self.asked.keys().copied().nth(usize::from(number) % REQUESTS);
        let held = self.held.iter().copied().nth(usize::from(number) % UNANSWERED);
        match op % 16 {
            0 => self.hear(&text(script, number)),
            1 => self.hear(&request(number.into())),
            2 => self.hear(&request(u64::MAX - u64::from(number))),
            3 => {
                let Some(id) = asked else { return };
                let data = serde_json::from_str(&text(script, number)).unwrap_or(Value::Null);
                self.hear(&response(id.get().into(), json!({ "ok": true, "data": data })));
            }
            4 => {
                let Some(id) = asked else { return };
                let said = json!({ "errorCode": number, "errorReason": text(script, number) });
                self.hear(&response(id.get().into(), said));
            }
            5 => self.hear(&response(u64::from(number) << (op >> 2), json!({ "ok": 1 }))),
            6 => {
                let method = text(script, number);
                self.hear(&json!({ "notification": true, "method": method }).to_string());
            }
            7 | 8 => self.ask(&"m".repeat(usize::from(number) * 10)),
            9 => {
                let Some(id) = held else { return };
                let accepted = self.client.accept(id, json!({}));
                self.answered(accepted);
                self.held.remove(&id);
            }
            10 => {
                let Some(id) = held else { return };
                let rejected = self.client.reject(id, number.into(), &text(script, number));
                self.answered(rejected);
                self.held.remove(&id);
                assert!(self.client.accept(id, Value::Null).is_err(), "it was answered");
            }
            11 => self.wait(Duration::from_millis(u64::from(number) * 200)),
            12 => {
                let told = self.client.notify("m", json!("n".repeat(usize::from(number) * 10)));
                self.answered(told);
            }
            13 => {
                let deep = usize::from(number % 32);
                let data = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
                self.hear(&format!(r#"{{"notification":true,"method":"m","data":{data}}}"#));
            }
            14 => {
                let data = "d".repeat(usize::from(number) * 10);
                self.hear(&json!({ "notification": 1, "method": "m", "data": data }).to_string());
            }
            _ if number == u8::MAX => self.close(),
            _ => self.wait(Duration::ZERO),
        }
    }

    /// One text makes one output at most, and one that is of no use none but a refusal.
    fn hear(&mut self, said: &str) {
        let result = self.client.handle_text(said);
        let output = self.client.poll_output();
        assert_eq!(self.client.poll_output(), None);
        if self.is_closed {
            return assert_eq!((result, output), (Ok(()), None), "after the end");
        }
        if said.len() > MESSAGE {
            assert!(matches!(result, Err(MessageError::TooLarge { .. })));
        }
        self.counts.malformed += u64::from(result.is_err());
        match (result, output) {
            (Err(MessageError::TooManyRequests { .. }), Some(Output::Transmit(answer))) => {
                assert_eq!(
                    (self.held.len(), is_sent(&answer)["errorCode"].as_u64()),
                    (UNANSWERED, Some(503))
                );
            }
            (Err(_), None) => {}
            (Ok(()), Some(Output::Notification { .. })) => self.counts.notifications += 1,
            (Ok(()), Some(Output::Request { id, .. })) => assert!(self.held.insert(id)),
            (Ok(()), Some(Output::Response { id, result })) => {
                assert!(self.asked.remove(&id).is_some(), "{id} was not asked");
                if let Err(error) = result {
                    let ResponseError::Rejected { reason, .. } = error else { panic!("{error}") };
                    assert_printable(&reason);
                    self.counts.rejected += 1;
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn ask(&mut self, method: &str) {
        match self.client.request(self.now, method, json!({})) {
            Ok(id) => {
                let Some(Output::Transmit(request)) = self.client.poll_output() else { panic!() };
                assert_eq!(is_sent(&request)["id"], id.get());
                // They count up, past those that are still under way.
                let step = self.last.map_or(1, |last| id.get().wrapping_sub(last));
                assert!((1..=1 + REQUESTS).contains(&(step as usize)), "{step}");
                self.last = Some(id.get());
                let due = self.now + time_out(self.asked.len());
                assert_eq!(self.asked.insert(id, due), None, "two are called {id}");
                self.counts.requests += 1;
            }
            Err(RequestError::TooManyRequests { .. }) => assert_eq!(self.asked.len(), REQUESTS),
            Err(RequestError::Closed) => assert!(self.is_closed),
            Err(RequestError::TooLarge { len, .. }) => assert!(len > MESSAGE),
            Err(other) => panic!("{other}"),
        }
    }

    /// What is sent is sent, unless it is too long or there is nobody.
    fn answered(&mut self, result: Result<(), RequestError>) {
        match (result, self.client.poll_output()) {
            (Ok(()), Some(Output::Transmit(text))) => drop(is_sent(&text)),
            (Err(RequestError::Closed), None) => assert!(self.is_closed),
            (Err(RequestError::TooLarge { .. }), None) => {}
            other => panic!("{other:?}"),
        }
    }

    fn wait(&mut self, span: Duration) {
        self.now += span;
        self.client.handle_timeout(self.now);
        let late: Vec<_> =
            self.asked.iter().filter(|(_, due)| **due <= self.now).map(|(id, _)| *id).collect();
        self.counts.timed_out += late.len() as u64;
        self.end_of(&late, &ResponseError::TimedOut);
    }

    fn close(&mut self) {
        self.client.handle_closed();
        self.is_closed = true;
        self.held.clear();
        let all: Vec<_> = self.asked.keys().copied().collect();
        self.end_of(&all, &ResponseError::Closed);
    }

    /// Each of these, and no other, has come to nothing.
    fn end_of(&mut self, ids: &[RequestId], why: &ResponseError) {
        for expected in ids {
            let Some(Output::Response { id, result }) = self.client.poll_output() else { panic!() };
            assert_eq!((id, result), (*expected, Err(why.clone())));
            self.asked.remove(expected);
        }
        assert_eq!(self.client.poll_output(), None);
    }

    fn look(&self) {
        assert!(self.asked.len() <= REQUESTS && self.held.len() <= UNANSWERED);
        assert_eq!(self.client.poll_timeout(), self.asked.values().min().copied());
    }

    /// Whatever was asked has an end.
    fn end(mut self) {
        self.wait(Duration::from_secs(3_600));
        assert!(self.asked.is_empty());
        let (stats, counts) = (self.client.stats(), self.counts);
        assert_eq!(
            [stats.malformed, stats.notifications, stats.rejected, stats.requests, stats.timed_out],
            [
                counts.malformed,
                counts.notifications,
                counts.rejected,
                counts.requests,
                counts.timed_out
            ],
        );
    }
}

fn request(id: u64) -> String {
    json!({ "request": true, "id": id, "method": "m" }).to_string()
}

fn response(id: u64, said: Value) -> String {
    let mut response = json!({ "response": true, "id": id });
    let fields = said.as_object().cloned().unwrap_or_default();
    response.as_object_mut().expect("an object").extend(fields);
    response.to_string()
}

/// A text that may go to the server.
fn is_sent(text: &str) -> Value {
    assert!(text.len() <= MESSAGE && text.chars().all(|c| c >= ' '));
    serde_json::from_str(text).expect("JSON")
}

const DEPTH: usize = 8;
const MESSAGE: usize = 2_000;
const REQUESTS: usize = 6;
const UNANSWERED: usize = 5;
