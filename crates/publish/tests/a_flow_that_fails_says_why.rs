//! Each way a flow can end, and that it ends there.

#![allow(clippy::unwrap_used, reason = "what does not fit fails the test")]

mod support;

use std::time::Duration;

use paceline_publish::mediasoup::{
    ControlError, FlowConfig, FlowError, Output, ProducerAction, Step,
};
use paceline_publish::protoo::{ClientConfig, MessageError, RequestError};
use paceline_publish::rtp_parameters::{Codec, MediaKind, NegotiationError};
use paceline_publish::sdp::SdpError;
use serde_json::{Value, json};

use crate::support::{Talk, codecs, offer, transport};

fn failure(talk: &mut Talk) -> FlowError {
    let Output::Failed(error) = talk.next() else { panic!("it has failed") };
    // Nothing follows.
    talk.flow.handle_closed();
    talk.flow.handle_up(talk.now);
    talk.flow.handle_down(talk.now);
    talk.flow.handle_offer(talk.now, &offer());
    talk.flow.handle_timeout(talk.now + Duration::from_secs(600));
    assert_eq!(talk.flow.handle_text(talk.now, "{"), Ok(()));
    assert_eq!(talk.flow.restart_ice(talk.now), Err(ControlError::NotConnected));
    let paused = talk.flow.control(talk.now, ProducerAction::Pause, MediaKind::Video);
    assert_eq!(paused, Err(ControlError::NotProduced(MediaKind::Video)));
    talk.silent();
    assert_eq!(talk.flow.poll_timeout(), None);
    error
}

const STEPS: [(&str, Step); 5] = [
    ("getRouterRtpCapabilities", Step::Capabilities),
    ("createWebRtcTransport", Step::Transport),
    ("join", Step::Join),
    ("connectWebRtcTransport", Step::Connect),
    ("produce", Step::Produce),
];

#[test]
fn a_rejection_names_step_code_and_reason() {
    for (method, step) in STEPS {
        let (mut talk, request) = Talk::until(method);
        while talk.flow.poll_output().is_some() {}
        talk.reject(&request, 403, "not\r\nyou");
        let rejected = FlowError::Rejected { step, code: 403, reason: "not\\u{d}\\u{a}you".into() };
        assert_eq!(failure(&mut talk), rejected);
    }
}

#[test]
fn a_closed_socket_names_the_step() {
    for (method, step) in STEPS {
        let (mut talk, _) = Talk::until(method);
        while talk.flow.poll_output().is_some() {}
        talk.flow.handle_closed();
        assert_eq!(failure(&mut talk), FlowError::Closed { step });
    }
    let mut talk = Talk::ready();
    talk.flow.handle_closed();
    assert_eq!(failure(&mut talk), FlowError::Closed { step: Step::Ready });
}

#[test]
fn a_silent_server_times_out_by_the_request() {
    for (method, step) in STEPS {
        let (mut talk, _) = Talk::until(method);
        while talk.flow.poll_output().is_some() {}
        assert_eq!(talk.flow.poll_timeout(), Some(talk.now + Duration::from_millis(22_500)));
        talk.flow.handle_timeout(talk.now + Duration::from_millis(22_500));
        assert_eq!(failure(&mut talk), FlowError::TimedOut { step });
    }
}

#[test]
fn an_engine_without_offer_or_path_times_out() {
    let mut talk = Talk::new(FlowConfig::web_rtc(codecs()));
    for _ in 0..3 {
        let request = talk.request();
        talk.accept(&request, support::answer_to(&request));
    }
    let due = talk.flow.poll_timeout().unwrap();
    assert_eq!(due, talk.now + Duration::from_secs(30));
    talk.flow.handle_timeout(due);
    assert_eq!(failure(&mut talk), FlowError::TimedOut { step: Step::Offer });

    let (mut talk, video) = Talk::until("produce");
    let audio = talk.request();
    for request in [video, audio] {
        talk.accept(&request, json!({ "id": "p" }));
    }
    talk.flow.handle_timeout(talk.now + Duration::from_secs(30));
    assert_eq!(failure(&mut talk), FlowError::TimedOut { step: Step::Path });
}

#[test]
fn a_router_without_the_codec_is_listed() {
    let (mut talk, request) = Talk::until("getRouterRtpCapabilities");
    let codecs = json!([
        { "mimeType": "audio/opus", "clockRate": 48000, "channels": 2 },
        { "mimeType": "video/VP8", "clockRate": 90000, "parameters": { "x": "y\r\n" } },
        { "mimeType": "video/rtx", "clockRate": 90000, "parameters": { "apt": 101 } },
    ]);
    talk.accept(&request, json!({ "codecs": codecs }));
    let FlowError::Negotiation(NegotiationError::Unsupported { wanted, router }) =
        failure(&mut talk)
    else {
        panic!("unsupported")
    };
    assert!(wanted.starts_with("video/H264 90000 "), "{wanted}");
    assert_eq!(router, ["audio/opus 48000/2", "video/VP8 90000 x=y\\u{d}\\u{a}"]);
}

#[test]
fn an_offer_without_the_codec_is_no_offer() {
    let mut talk = Talk::new(FlowConfig::web_rtc(vec![Codec::Vp8]));
    talk.flow.handle_offer(talk.now, &offer());
    for _ in 0..3 {
        let request = talk.request();
        talk.accept(&request, support::answer_to(&request));
    }
    let error = failure(&mut talk);
    assert!(matches!(
        error,
        FlowError::Negotiation(NegotiationError::NotOffered { kind: MediaKind::Video, .. })
    ));

    let mut talk = Talk::new(FlowConfig::web_rtc(codecs()));
    let _ = talk.request();
    talk.flow.handle_offer(talk.now, "v=0\r\n");
    let FlowError::Sdp { step: Step::Offer, error } = failure(&mut talk) else {
        panic!("no offer")
    };
    assert!(matches!(error, SdpError::Field { field: "ice-pwd", .. }), "{error}");
}

/// An answer in which a field is missing, or is something else.
#[test]
fn an_answer_that_lacks_a_field_names_it() {
    let without = |data: &Value, pointer: &str| {
        let mut data = data.clone();
        *data.pointer_mut(pointer).unwrap() = json!({ "not": ["this"] });
        data
    };
    for (pointer, field) in [
        ("/id", "id"),
        ("/iceParameters", "iceParameters.usernameFragment"),
        ("/iceParameters/password", "iceParameters.password"),
        ("/iceParameters/iceLite", "iceParameters.iceLite"),
        ("/iceCandidates", "iceCandidates"),
        ("/iceCandidates/0/foundation", "iceCandidates.foundation"),
        ("/iceCandidates/0/priority", "iceCandidates.priority"),
        ("/iceCandidates/0/protocol", "iceCandidates.protocol"),
        ("/iceCandidates/1/port", "iceCandidates.port"),
        ("/iceCandidates/1/type", "iceCandidates.type"),
        ("/dtlsParameters/fingerprints", "dtlsParameters.fingerprints"),
        ("/dtlsParameters/fingerprints/2/value", "dtlsParameters.fingerprints.value"),
        ("/dtlsParameters/role", "dtlsParameters.role"),
    ] {
        let (mut talk, request) = Talk::until("createWebRtcTransport");
        talk.accept(&request, without(&transport(), pointer));
        let named = match failure(&mut talk) {
            FlowError::Sdp { step: Step::Transport, error: SdpError::Field { field, .. } }
            | FlowError::Malformed { step: Step::Transport, field } => field,
            other => panic!("{pointer}: {other:?}"),
        };
        assert_eq!(named, field, "{pointer}");
    }
    for (method, field) in [("getRouterRtpCapabilities", "codecs"), ("produce", "id")] {
        let (mut talk, request) = Talk::until(method);
        while talk.flow.poll_output().is_some() {}
        talk.accept(&request, json!({ "id": "../../etc", "codecs": 7 }));
        let FlowError::Malformed { field: named, .. } = failure(&mut talk) else {
            panic!("{method}")
        };
        assert_eq!(named, field);
    }
}

#[test]
fn a_request_over_the_limit_is_not_sent() {
    let config = FlowConfig::web_rtc(codecs())
        .client(ClientConfig::default().max_message(20_000))
        .display_name("a".repeat(20_000));
    let mut talk = Talk::new(config);
    for _ in 0..2 {
        let request = talk.request();
        talk.accept(&request, support::answer_to(&request));
    }
    let FlowError::Request { step: Step::Join, error } = failure(&mut talk) else { panic!("sent") };
    assert!(matches!(error, RequestError::TooLarge { limit: 20_000, .. }));
}

/// What is of no use is told and counted, and the flow goes on.
#[test]
fn a_useless_text_does_not_end_it() {
    let (mut talk, request) = Talk::until("join");
    for text in ["", "{", "[]", "{}", r#"{"response":true,"id":9}"#, r#"{"request":true,"id":1}"#] {
        assert!(talk.flow.handle_text(talk.now, text).is_err(), "{text}");
    }
    let unsolicited = r#"{"response":true,"id":9,"ok":true}"#;
    let error = talk.flow.handle_text(talk.now, unsolicited).unwrap_err();
    assert!(matches!(error, MessageError::Unsolicited(id) if id.get() == 9));
    assert_eq!(talk.flow.stats().malformed, 7);
    talk.accept(&request, json!({}));
    assert_eq!(talk.request()["method"], "connectWebRtcTransport");
}
