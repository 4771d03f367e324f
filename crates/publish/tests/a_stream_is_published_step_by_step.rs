//! Whole flows against a server that follows a script.

#![allow(clippy::unwrap_used, reason = "what does not fit fails the test")]

mod support;

use std::time::Duration;

use paceline_publish::mediasoup::{
    ControlError, FlowConfig, Output, Producer, ProducerAction, Step,
};
use paceline_publish::protoo::ResponseError;
use paceline_publish::rtp_parameters::{Codec, MediaKind};
use serde_json::{Value, json};

use crate::support::{Talk, codecs, offer, restarted_offer, router, transport};

fn methods(talk: &mut Talk, answers: &[(&str, Value)]) {
    for (method, answer) in answers {
        let request = talk.request();
        assert_eq!(request["method"], *method);
        talk.accept(&request, answer.clone());
    }
}

#[test]
fn the_steps_come_in_their_order_and_each_once() {
    let mut talk = Talk::new(FlowConfig::web_rtc(codecs()).display_name("ada"));
    methods(
        &mut talk,
        &[("getRouterRtpCapabilities", router()), ("createWebRtcTransport", transport())],
    );
    let join = talk.request();
    assert_eq!(join["method"], "join");
    assert_eq!(join["data"]["displayName"], "ada");
    assert_eq!(join["data"].get("rtpCapabilities"), None, "we consume nothing");
    talk.accept(&join, json!({ "peers": [{ "id": "ben" }] }));
    talk.silent();
    assert_eq!(talk.flow.step(), Step::Offer);

    // The offer comes late here.
    talk.flow.handle_offer(talk.now, &offer());
    let Output::Negotiated(negotiated) = talk.next() else { panic!("what was agreed on") };
    let lines: Vec<_> = negotiated.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "video/H264 96 42e01f ssrc 4369, rtx 97 ssrc 4370, extensions 1=mid 4=abs-send-time \
             5=draft-holmer-rmcat-transport-wide-cc-extensions-01",
            "audio/opus 111 ssrc 8738, extensions 1=mid 4=abs-send-time \
             5=draft-holmer-rmcat-transport-wide-cc-extensions-01",
        ],
    );
    let Output::Answer(sdp) = talk.next() else { panic!("an answer") };
    assert_eq!(sdp.matches("a=recvonly\r\n").count(), 2);
    assert_eq!(sdp.matches("a=setup:passive\r\n").count(), 2, "we are DTLS's client");

    // The same offer again, before connecting is answered, connects nothing again.
    let connect = talk.request();
    assert_eq!(connect["method"], "connectWebRtcTransport");
    assert_eq!(connect["data"]["dtlsParameters"]["role"], "client");
    talk.flow.handle_offer(talk.now, &offer());
    assert!(matches!(talk.next(), Output::Answer(_)));
    talk.silent();
    talk.accept(&connect, json!({}));

    let (video, audio) = (talk.request(), talk.request());
    talk.silent();
    for (request, kind, source) in [(&video, "video", "screensharing"), (&audio, "audio", "audio")]
    {
        assert_eq!(request["method"], "produce");
        assert_eq!(request["data"]["kind"], kind);
        assert_eq!(request["data"]["transportId"], transport()["id"]);
        assert_eq!(request["data"]["appData"], json!({ "source": source }));
    }
    // The answers may come in any order; there is nothing to send over until there is a path.
    talk.accept(&audio, json!({ "id": "a" }));
    talk.accept(&video, json!({ "id": "v" }));
    talk.silent();
    assert_eq!(talk.flow.step(), Step::Path);
    talk.flow.handle_up(talk.now);
    let producers = [(MediaKind::Video, "v"), (MediaKind::Audio, "a")]
        .map(|(kind, id)| Producer { kind, id: id.to_owned() });
    assert_eq!(talk.next(), Output::Ready { producers: producers.into() });
    assert_eq!((talk.flow.step(), talk.flow.poll_timeout()), (Step::Ready, None));
    talk.flow.handle_up(talk.now);
    talk.silent();
}

/// The newer demo server: other names, and producers are controlled by notifications.
#[test]
fn the_newer_server_is_spoken_to_in_its_words() {
    let mut talk = Talk::new(FlowConfig::web_rtc(vec![Codec::opus()]));
    talk.flow.handle_offer(talk.now, &offer());
    methods(
        &mut talk,
        &[("getRouterRtpCapabilities", json!({ "routerRtpCapabilities": router() }))],
    );
    let create = talk.request();
    let appended = json!({ "forceTcp": false, "appData": { "direction": "producer" } });
    assert_eq!(create["data"], appended);
    let mut answer = transport();
    answer["transportId"] = answer["id"].take();
    talk.accept(&create, answer);
    methods(
        &mut talk,
        &[
            ("join", json!({ "peers": [] })),
            ("connectWebRtcTransport", json!({})),
            ("produce", json!({ "producerId": "p" })),
        ],
    );
    talk.flow.handle_up(talk.now);
    assert!(matches!(talk.next(), Output::Ready { .. }));

    talk.flow.control(talk.now, ProducerAction::Pause, MediaKind::Audio).unwrap();
    let controlled = Output::Controlled {
        action: ProducerAction::Pause,
        kind: MediaKind::Audio,
        result: Ok(()),
    };
    let told = talk.next();
    let pause = talk.request();
    assert_eq!((told, &talk.told[talk.told.len()..]), (controlled, &[][..]));
    let notification =
        json!({ "notification": true, "method": "pauseProducer", "data": { "producerId": "p" } });
    assert_eq!(pause, notification);

    talk.flow.restart_ice(talk.now).unwrap();
    let restart = talk.request();
    let ice = json!({ "usernameFragment": "fresh1", "password": "aaaaaaaaaaaaaaaaaaaaaaaa", "iceLite": true });
    talk.accept(&restart, json!({ "iceParameters": ice }));
    assert_eq!(talk.next(), Output::RestartIce);
}

fn fresh(ufrag: &str) -> Value {
    json!({ "usernameFragment": ufrag, "password": "bbbbbbbbbbbbbbbbbbbbbbbb", "iceLite": true })
}

#[test]
fn a_lost_path_restarts_ice_on_both_sides() {
    let mut talk = Talk::ready();
    talk.flow.handle_down(talk.now);
    talk.flow.handle_down(talk.now);
    let restart = talk.request();
    assert_eq!(restart["method"], "restartIce");
    assert_eq!(restart["data"]["transportId"], transport()["id"]);
    talk.silent();
    talk.accept(&restart, fresh("server2"));
    assert_eq!(talk.next(), Output::RestartIce);

    talk.flow.handle_offer(talk.now, &restarted_offer());
    let Output::Answer(sdp) = talk.next() else { panic!("an answer") };
    assert_eq!(sdp.matches("a=ice-ufrag:server2\r\n").count(), 2);
    assert!(sdp.starts_with("v=0\r\no=- 1 1 IN IP4"), "the second version: {sdp}");
    // Candidates and certificate are as they were.
    assert_eq!(sdp.matches("a=candidate:").count(), 2);
    talk.flow.handle_up(talk.now);
    talk.silent();
}

/// The engine may find out first.
#[test]
fn an_engine_that_restarted_is_answered_after_the_server_has() {
    let mut talk = Talk::ready();
    talk.flow.handle_offer(talk.now, &restarted_offer());
    let restart = talk.request();
    assert_eq!(restart["method"], "restartIce");
    talk.silent();
    talk.accept(&restart, fresh("server3"));
    let Output::Answer(sdp) = talk.next() else { panic!("an answer") };
    assert!(sdp.contains("a=ice-ufrag:server3\r\n"));
    talk.silent();
}

#[test]
fn a_refused_restart_does_not_end_it() {
    let mut talk = Talk::ready();
    talk.flow.restart_ice(talk.now).unwrap();
    let restart = talk.request();
    talk.reject(&restart, 500, "no");
    let refused = ResponseError::Rejected { code: 500, reason: "no".into() };
    assert_eq!(talk.next(), Output::RestartRefused(refused));
    assert_eq!(talk.flow.step(), Step::Ready);
    talk.flow.restart_ice(talk.now).unwrap();
    assert_eq!(talk.request()["method"], "restartIce");
}

#[test]
fn a_producer_is_paused_resumed_and_closed_once() {
    let mut talk = Talk::ready();
    for (action, method) in [
        (ProducerAction::Pause, "pauseProducer"),
        (ProducerAction::Resume, "resumeProducer"),
        (ProducerAction::Close, "closeProducer"),
    ] {
        talk.flow.control(talk.now, action, MediaKind::Video).unwrap();
        let request = talk.request();
        assert_eq!(request["method"], method);
        assert_eq!(request["data"], json!({ "producerId": "video-producer" }));
        talk.accept(&request, json!({}));
        let controlled = Output::Controlled { action, kind: MediaKind::Video, result: Ok(()) };
        assert_eq!(talk.next(), controlled);
    }
    let again = talk.flow.control(talk.now, ProducerAction::Pause, MediaKind::Video);
    assert_eq!(again, Err(ControlError::NotProduced(MediaKind::Video)));
    talk.flow.control(talk.now, ProducerAction::Pause, MediaKind::Audio).unwrap();
}

#[test]
fn what_the_server_tells_is_passed_on() {
    let mut talk = Talk::ready();
    let notify = |talk: &mut Talk, method: &str, data: Value| {
        talk.say(&json!({ "notification": true, "method": method, "data": data }));
    };
    let scores =
        json!([{ "encodingIdx": 0, "ssrc": 4369, "score": 7 }, { "ssrc": 4370, "score": 9 }]);
    notify(&mut talk, "producerScore", json!({ "producerId": "video-producer", "score": scores }));
    assert_eq!(talk.next(), Output::Score { kind: MediaKind::Video, score: 7 });
    for (id, score) in
        [("another", json!(3)), ("video-producer", json!(11)), ("video-producer", json!(-1))]
    {
        notify(
            &mut talk,
            "producerScore",
            json!({ "producerId": id, "score": [{ "score": score }] }),
        );
        talk.silent();
    }
    notify(&mut talk, "downlinkBwe", json!({ "availableBitrate": 600_000 }));
    let estimate = paceline_publish::types::Bitrate::from_bps(600_000);
    assert_eq!(talk.next(), Output::DownlinkEstimate(estimate));
    for method in ["mediasoup-version", "mediasoupVersion"] {
        notify(&mut talk, method, json!({ "version": "3.27.1" }));
        assert_eq!(talk.next(), Output::Version("3.27.1".into()));
    }
    notify(&mut talk, "new\u{1b}Peer", json!({ "id": "ben" }));
    let notification =
        Output::Notification { method: "new\\u{1b}Peer".into(), data: json!({ "id": "ben" }) };
    assert_eq!(talk.next(), notification);
}

/// Whoever consumes nothing says so, and the server is never left without an answer.
#[test]
fn what_the_server_asks_is_declined() {
    let mut talk = Talk::ready();
    for (method, code) in [("newConsumer", 403), ("newDataConsumer", 403), ("dance", 404)] {
        talk.say(&json!({ "request": true, "id": 5, "method": method, "data": {} }));
        let answer = talk.request();
        assert_eq!((&answer["id"], &answer["ok"]), (&json!(5), &json!(false)));
        assert_eq!(answer["errorCode"], code);
    }
    assert_eq!(talk.flow.step(), Step::Ready);
}

/// Whoever drives it is always told when to come back until media can flow.
#[test]
fn there_is_a_deadline_until_media_can_flow() {
    let mut talk = Talk::new(FlowConfig::web_rtc(codecs()).connect_timeout(Duration::from_secs(5)));
    assert_eq!(talk.flow.poll_timeout(), Some(talk.now + Duration::from_secs(5)));
    talk.flow.handle_timeout(talk.now + Duration::from_millis(4_999));
    assert_eq!(talk.request()["method"], "getRouterRtpCapabilities");
    talk.silent();
}
