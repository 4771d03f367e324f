//! Whatever a server says, nothing panics, and the bounds hold.

#![allow(clippy::unwrap_used, reason = "what does not fit fails the test")]
#![allow(clippy::disallowed_methods, reason = "a beginning for virtual time")]

mod support;

use std::time::Instant;

use paceline_publish::broadcaster;
use paceline_publish::protoo::{Client, ClientConfig, Output};
use paceline_publish::rtp_parameters::Codec;
use paceline_publish::sdp::{Offer, RemoteTransport};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::{Talk, golden, offer, transport};

/// A text with some of its bytes exchanged, kept UTF-8.
fn spoilt(text: &str, spots: &[(usize, char)]) -> String {
    let mut letters: Vec<_> = text.chars().collect();
    for &(place, letter) in spots {
        let len = letters.len();
        letters[place % len] = letter;
    }
    letters.into_iter().collect()
}

fn spots() -> impl Strategy<Value = Vec<(usize, char)>> {
    let letter = prop_oneof![
        any::<char>(),
        proptest::sample::select(r#"{}[]",:0-9e.a \n"#.chars().collect::<Vec<_>>())
    ];
    prop::collection::vec((any::<usize>(), letter), 0..6)
}

proptest! {
    #[test]
    fn no_text_panics_a_client(texts in prop::collection::vec("\\PC{0,80}", 0..8)) {
        let mut client = Client::new(ClientConfig::default(), 0);
        for text in &texts {
            let _ = client.handle_text(text);
        }
        let malformed = client.stats().malformed;
        prop_assert!(usize::try_from(malformed).unwrap() <= texts.len());
    }

    #[test]
    fn no_answer_panics_a_flow(at in 0_usize..5, spots in spots()) {
        let method = ["getRouterRtpCapabilities", "createWebRtcTransport", "join", "connectWebRtcTransport", "produce"][at];
        let (mut talk, request) = Talk::until(method);
        let recorded = golden("h264").into_iter().find(|exchange| exchange["method"] == method).unwrap();
        let response = recorded.get("response").cloned().unwrap_or(Value::Null);
        let text = serde_json::json!({ "response": true, "id": request["id"], "ok": true, "data": response });
        let _ = talk.flow.handle_text(talk.now, &spoilt(&text.to_string(), &spots));
        while talk.flow.poll_output().is_some() {}
    }

    #[test]
    fn no_sdp_panics_a_flow(spots in spots(), cut in any::<usize>()) {
        let (mut talk, request) = Talk::until("join");
        let offer = spoilt(&offer(), &spots);
        let offer: String = offer.chars().take(cut % 4_000).collect();
        talk.flow.handle_offer(talk.now, &offer);
        let answer = serde_json::json!({ "response": true, "id": request["id"], "ok": true });
        let _ = talk.flow.handle_text(talk.now, &answer.to_string());
        while talk.flow.poll_output().is_some() {}
    }

    #[test]
    fn no_body_panics_a_broadcaster(spots in spots(), status in any::<u16>()) {
        let config = broadcaster::FlowConfig::web_rtc("r", "b", vec![Codec::Vp8]).unwrap();
        let mut flow = broadcaster::Flow::new(config);
        flow.handle_offer(&offer());
        flow.handle_response(200, &support::router().to_string());
        flow.handle_response(200, "");
        flow.handle_response(status, &spoilt(&transport().to_string(), &spots));
        flow.close();
        while flow.poll_output().is_some() {}
    }

    #[test]
    fn no_text_panics_a_parser(text in "\\PC{0,200}") {
        let _ = Offer::parse(&text);
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            let _ = RemoteTransport::parse(&value);
        }
    }

    /// Requests of the server's are held up to the bound, and every one is answered.
    #[test]
    fn every_request_of_the_server_s_is_answered_once(ids in prop::collection::vec(0_u64..40, 0..80)) {
        let mut client = Client::new(ClientConfig::default().max_unanswered(8), 0);
        let mut answers = Vec::new();
        let mut held = Vec::new();
        for id in &ids {
            let text = format!(r#"{{"request":true,"id":{id},"method":"m"}}"#);
            let _ = client.handle_text(&text);
            while let Some(output) = client.poll_output() {
                match output {
                    Output::Request { id, .. } => held.push(id),
                    Output::Transmit(text) => answers.push(text),
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            prop_assert!(held.len() <= 8);
        }
        for id in held {
            client.accept(id, Value::Null).unwrap();
            prop_assert!(client.reject(id, 500, "").is_err(), "answered already");
            answers.extend(client.poll_output().map(|_| String::new()));
        }
        let duplicates = client.stats().malformed - answers.iter().filter(|text| text.contains("503")).count() as u64;
        prop_assert_eq!(answers.len() as u64 + duplicates, ids.len() as u64);
    }
}

#[test]
fn a_clock_that_stands_still_is_no_trouble() {
    let now = Instant::now();
    let mut client = Client::new(ClientConfig::default(), u32::MAX);
    client.handle_timeout(now);
    client.handle_closed();
    client.handle_closed();
    assert_eq!(client.poll_output(), None);
}
