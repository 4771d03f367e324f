//! A plain transport, by protoo and by HTTP: with SRTP under a key of ours, or not at all.

#![allow(clippy::unwrap_used, reason = "what does not fit fails the test")]

mod support;

use paceline_publish::broadcaster::{self, Request};
use paceline_publish::mediasoup::{
    FlowConfig, FlowError, Output, PlainRemote, SrtpParameters, SrtpSuite, Step,
};
use paceline_publish::rtp_parameters::{Codec, Stream};
use serde_json::{Value, json};

use crate::support::{Talk, router, transport};

const SUITE: SrtpSuite = SrtpSuite::AesCm128HmacSha1_80;

fn ours() -> SrtpParameters {
    SrtpParameters::new(SUITE, &[1; 30]).unwrap()
}

fn theirs() -> Value {
    // 30 bytes of 2.
    json!({ "cryptoSuite": "AES_CM_128_HMAC_SHA1_80", "keyBase64": "AgIC".repeat(10) })
}

fn streams() -> Vec<(Codec, Stream)> {
    vec![(Codec::Vp8, Stream::new(96, 7, "ada"))]
}

/// The answer of a server that encrypts.
fn answer() -> Value {
    json!({ "id": "t", "ip": "127.0.0.1", "port": 4000, "srtpParameters": theirs() })
}

fn spoilt(field: &str, value: Value) -> Value {
    let mut answer = answer();
    answer[field] = value;
    answer
}

#[test]
fn keys_are_exchanged_before_anything_is_produced() {
    let mut talk = Talk::new(FlowConfig::plain(streams(), ours()));
    let capabilities = talk.request();
    talk.accept(&capabilities, router());
    let create = talk.request();
    assert_eq!(create["method"], "createPlainTransport");
    let asked = json!({
        "comedia": true, "rtcpMux": true, "enableSrtp": true,
        "srtpCryptoSuite": "AES_CM_128_HMAC_SHA1_80", "producing": true, "consuming": false,
    });
    assert_eq!(create["data"], asked);
    talk.accept(&create, answer());
    let join = talk.request();
    talk.accept(&join, json!({}));
    let connect = talk.request();
    let key = json!({ "cryptoSuite": "AES_CM_128_HMAC_SHA1_80", "keyBase64": "AQEB".repeat(10) });
    assert_eq!(connect["data"], json!({ "transportId": "t", "srtpParameters": key }));
    talk.silent();
    talk.accept(&connect, json!({}));
    assert!(matches!(talk.next(), Output::Negotiated(_)));
    let Output::Plain(PlainRemote { port: 4000, rtcp_port: None, remote, .. }) = talk.next() else {
        panic!("where to")
    };
    assert_eq!((remote.suite(), remote.key()), (SUITE, &[2; 30][..]));
    let produce = talk.request();
    assert_eq!(produce["data"]["rtpParameters"].get("mid"), None);
    talk.accept(&produce, json!({ "id": "p" }));
    talk.flow.handle_up(talk.now);
    assert!(matches!(talk.next(), Output::Ready { .. }));
    assert!(talk.flow.restart_ice(talk.now).is_err());
}

#[test]
fn a_server_without_srtp_is_refused() {
    for value in [
        Value::Null,
        json!({}),
        json!({ "cryptoSuite": "AES_CM_128_HMAC_SHA1_80", "keyBase64": "AgIC" }),
        json!({ "cryptoSuite": "AES_CM_128_HMAC_SHA1_32", "keyBase64": "AgIC".repeat(10) }),
        json!({ "cryptoSuite": "NULL", "keyBase64": "" }),
    ] {
        let mut talk = Talk::new(FlowConfig::plain(streams(), ours()));
        let capabilities = talk.request();
        talk.accept(&capabilities, router());
        let create = talk.request();
        talk.accept(&create, spoilt("srtpParameters", value.clone()));
        assert_eq!(talk.next(), Output::Failed(FlowError::SrtpUnavailable), "{value}");
        talk.silent();
    }
}

/// A broadcaster, and the requests it has made.
struct Http {
    flow: broadcaster::Flow,
    told: Vec<broadcaster::Output>,
}

impl Http {
    fn new(config: broadcaster::FlowConfig) -> Self {
        Self { flow: broadcaster::Flow::new(config), told: Vec::new() }
    }

    fn request(&mut self) -> Request {
        loop {
            match self.flow.poll_output().expect("a request") {
                broadcaster::Output::Request(request) => return request,
                other => self.told.push(other),
            }
        }
    }

    fn step(&mut self, line: &str, answer: &str) -> Value {
        let request = self.request();
        assert_eq!(request.to_string(), line);
        assert_eq!(self.flow.poll_output(), None, "one request at a time");
        self.flow.handle_response(200, answer);
        request.body.unwrap_or_default()
    }

    fn failure(&mut self) -> FlowError {
        match self.flow.poll_output() {
            Some(broadcaster::Output::Failed(error)) => error,
            other => panic!("{other:?}"),
        }
    }
}

fn plain() -> Http {
    let config = broadcaster::FlowConfig::plain("a room/é", "b", streams(), ours());
    Http::new(config.unwrap().display_name("ada"))
}

const ROOM: &str = "/rooms/a%20room%2F%C3%A9";

#[test]
fn a_broadcaster_goes_its_steps_and_is_deleted() {
    let mut http = plain();
    http.step(&format!("GET {ROOM}"), &router().to_string());
    let body = http.step(&format!("POST {ROOM}/broadcasters"), r#"{"peers":[]}"#);
    assert_eq!((&body["id"], &body["displayName"]), (&json!("b"), &json!("ada")));
    let body = http.step(&format!("POST {ROOM}/broadcasters/b/transports"), &answer().to_string());
    assert_eq!((&body["type"], &body["enableSrtp"]), (&json!("plain"), &json!(true)));
    let connect = format!("POST {ROOM}/broadcasters/b/transports/t/connect");
    let body = http.step(&connect, "not JSON, and not read");
    assert_eq!(body["srtpParameters"]["keyBase64"], "AQEB".repeat(10));
    let produce = format!("POST {ROOM}/broadcasters/b/transports/t/producers");
    let body = http.step(&produce, r#"{"id":"p"}"#);
    assert_eq!(
        (&body["kind"], &body["rtpParameters"]["encodings"][0]["ssrc"]),
        (&json!("video"), &json!(7))
    );
    assert!(matches!(
        http.told[..],
        [broadcaster::Output::Negotiated(_), broadcaster::Output::Plain(_)]
    ));
    assert_eq!((http.flow.poll_output(), http.flow.step()), (None, Step::Path));
    http.flow.handle_up();
    assert!(matches!(http.flow.poll_output(), Some(broadcaster::Output::Ready { .. })));
    http.flow.close();
    http.flow.close();
    assert_eq!(http.request().to_string(), format!("DELETE {ROOM}/broadcasters/b"));
    assert_eq!(http.flow.poll_output(), None);
}

/// The newer demo server: other paths, and it is to be joined.
#[test]
fn a_newer_server_is_joined_before_producing() {
    let mut http = plain();
    let wrapped = json!({ "routerRtpCapabilities": router() });
    http.step(&format!("GET {ROOM}"), &wrapped.to_string());
    let body = http.step(&format!("POST {ROOM}/broadcasters"), "BroadcasterPeer created");
    assert_eq!(body["peerId"], "b");
    let mut transport = answer();
    transport["transportId"] = json!("t2");
    let body = http.step(&format!("POST {ROOM}/broadcasters/b/transports"), &transport.to_string());
    assert_eq!(body["direction"], "producer");
    http.step(&format!("POST {ROOM}/broadcasters/b/join"), "joined");
    http.step(&format!("POST {ROOM}/broadcasters/b/transports/t2/connect"), "");
    let body = http.step(&format!("POST {ROOM}/broadcasters/b/producers"), r#"{"producerId":"p"}"#);
    assert_eq!(body["transportId"], "t2");
    assert_eq!(http.flow.step(), Step::Path);
}

#[test]
fn a_broadcaster_can_have_an_engine_too() {
    let config = broadcaster::FlowConfig::web_rtc("r", "b", support::codecs()).unwrap();
    let mut http = Http::new(config);
    http.step("GET /rooms/r", &router().to_string());
    http.step("POST /rooms/r/broadcasters", "{}");
    let body = http.step("POST /rooms/r/broadcasters/b/transports", &transport().to_string());
    assert_eq!(body, json!({ "type": "webrtc" }));
    assert_eq!(http.flow.poll_output(), None);
    http.flow.handle_offer(&support::offer());
    let id = transport()["id"].as_str().unwrap().to_owned();
    let body = http.step(&format!("POST /rooms/r/broadcasters/b/transports/{id}/connect"), "{}");
    assert_eq!(body["dtlsParameters"]["role"], "client");
    assert!(matches!(
        http.told[..],
        [broadcaster::Output::Negotiated(_), broadcaster::Output::Answer(_)]
    ));
    for producer in ["v", "a"] {
        let answer = json!({ "id": producer }).to_string();
        http.step(&format!("POST /rooms/r/broadcasters/b/transports/{id}/producers"), &answer);
    }
    http.flow.handle_up();
    assert!(matches!(http.flow.poll_output(), Some(broadcaster::Output::Ready { .. })));
}

#[test]
fn a_broadcaster_that_fails_says_why_and_cleans_up() {
    let at_transport = || {
        let mut http = plain();
        http.step(&format!("GET {ROOM}"), &router().to_string());
        http.step(&format!("POST {ROOM}/broadcasters"), "{}");
        http.request();
        http
    };
    // The demo server as it is.
    for (answer, error) in [
        (json!({ "id": "t", "ip": "127.0.0.1", "port": 4000 }), FlowError::SrtpUnavailable),
        (
            spoilt("ip", json!("0.0.0.0")),
            FlowError::Malformed { step: Step::Transport, field: "ip" },
        ),
        (spoilt("port", json!(0)), FlowError::Malformed { step: Step::Transport, field: "port" }),
        (
            spoilt("rtcpPort", json!(70_000)),
            FlowError::Malformed { step: Step::Transport, field: "rtcpPort" },
        ),
        (spoilt("id", json!("..")), FlowError::Malformed { step: Step::Transport, field: "id" }),
        (spoilt("id", json!("a/b")), FlowError::Malformed { step: Step::Transport, field: "id" }),
    ] {
        let mut http = at_transport();
        http.flow.handle_response(200, &answer.to_string());
        assert_eq!(http.failure(), error);
        http.flow.handle_response(200, "{}");
        http.flow.close();
        assert_eq!(http.request().to_string(), format!("DELETE {ROOM}/broadcasters/b"));
    }
    let mut http = at_transport();
    http.flow.handle_response(404, "no\nroom");
    let (step, reason) = (Step::Transport, "no\\u{a}room".into());
    assert_eq!(http.failure(), FlowError::Rejected { step, code: 404, reason });
    for (timed_out, error) in
        [(true, FlowError::TimedOut { step }), (false, FlowError::Closed { step })]
    {
        let mut http = at_transport();
        http.flow.handle_failure(timed_out);
        assert_eq!(http.failure(), error);
    }
    let mut http = plain();
    http.request();
    http.flow.handle_response(200, "{");
    assert_eq!(http.failure(), FlowError::Malformed { step: Step::Capabilities, field: "body" });
    http.flow.close();
    assert_eq!(http.flow.poll_output(), None, "the server knows nothing of us");
}

/// A response that is lost is none; the server may have made us.
#[test]
fn who_asked_to_join_says_goodbye_unless_it_was_refused() {
    type Step = fn(&mut broadcaster::Flow);
    let cases: [(bool, Step); 6] = [
        (true, |_| {}),
        (true, |flow| flow.handle_failure(true)),
        (true, |flow| flow.handle_unreachable("broken")),
        (true, |flow| flow.handle_response(502, "")),
        (true, |flow| flow.handle_response(201, "")),
        (false, |flow| flow.handle_response(409, "the name is taken")),
    ];
    for (nth, (goodbye, step)) in cases.into_iter().enumerate() {
        let mut http = plain();
        http.step(&format!("GET {ROOM}"), &router().to_string());
        http.request();
        step(&mut http.flow);
        http.flow.close();
        let mut requests = std::iter::from_fn(|| http.flow.poll_output());
        let last = requests.find_map(|output| match output {
            broadcaster::Output::Request(request) => Some(request.to_string()),
            _ => None,
        });
        // Nothing is asked for between: not the transport that would have been next.
        assert_eq!(last, goodbye.then(|| format!("DELETE {ROOM}/broadcasters/b")), "{nth}");
        assert_eq!(requests.next(), None);
    }
}

#[test]
fn nothing_wakes_what_is_over() {
    for offer in [support::offer(), "no SDP".to_owned()] {
        let config = broadcaster::FlowConfig::web_rtc("r", "b", support::codecs()).unwrap();
        let mut http = Http::new(config);
        http.step("GET /rooms/r", &router().to_string());
        http.step("POST /rooms/r/broadcasters", "{}");
        http.step("POST /rooms/r/broadcasters/b/transports", &transport().to_string());
        http.flow.close();
        assert_eq!(http.request().to_string(), "DELETE /rooms/r/broadcasters/b");
        http.flow.handle_offer(&offer);
        http.flow.handle_up();
        assert_eq!(http.flow.poll_output(), None);
    }
}

#[test]
fn no_debug_form_shows_a_key() {
    let key = "AQEBAQEB";
    let mut http = plain();
    http.step(&format!("GET {ROOM}"), &router().to_string());
    http.step(&format!("POST {ROOM}/broadcasters"), "{}");
    http.step(&format!("POST {ROOM}/broadcasters/b/transports"), &answer().to_string());
    assert!(!format!("{:?}", http.flow).contains(key));
    let connect = http.request();
    let path = format!("{ROOM}/broadcasters/b/transports/t/connect");
    let len = connect.body.as_ref().unwrap().to_string().len();
    assert!(connect.body.as_ref().unwrap().to_string().contains(key));
    assert_eq!(format!("{connect:?}"), format!("Request(POST {path}, {len} bytes)"));
    let text = Output::Transmit(key.to_owned());
    assert_eq!(format!("{text:?}"), "Transmit(8 bytes)");
}

#[test]
fn a_key_has_the_length_of_its_suite() {
    for (suite, len) in [
        (SrtpSuite::AeadAes128Gcm, 28),
        (SrtpSuite::AeadAes256Gcm, 44),
        (SrtpSuite::AesCm128HmacSha1_32, 30),
        (SrtpSuite::AesCm128HmacSha1_80, 30),
    ] {
        assert!(SrtpParameters::new(suite, &vec![0; len]).is_ok());
        let error = SrtpParameters::new(suite, &vec![0; len + 1]).unwrap_err();
        assert_eq!((error.len, error.expected), (len + 1, len));
    }
}
