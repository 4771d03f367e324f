//! Requests, responses, notifications and bounds of a protoo connection.

#![allow(clippy::unwrap_used, reason = "what does not fit fails the test")]
#![allow(clippy::disallowed_methods, reason = "a beginning for virtual time")]

use std::time::{Duration, Instant};

use paceline_publish::protoo::{
    Client, ClientConfig, MessageError, Output, RequestError, ResponseError, time_out,
};
use serde_json::{Value, json};

fn drain(client: &mut Client) -> Vec<Output> {
    std::iter::from_fn(|| client.poll_output()).collect()
}

#[test]
fn a_request_is_as_protoo_has_it() {
    let mut client = Client::new(ClientConfig::default(), u32::MAX);
    let now = Instant::now();
    let first = client.request(now, "a", json!({ "x": 1 })).unwrap();
    let second = client.request(now, "b", json!({})).unwrap();
    assert_eq!((first.get(), second.get()), (u32::MAX, 0), "ids go round");
    let Some(Output::Transmit(text)) = client.poll_output() else { panic!("a text") };
    let sent: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(sent, json!({ "request": true, "id": u32::MAX, "method": "a", "data": { "x": 1 } }));
}

#[test]
fn responses_find_their_requests_in_any_order() {
    let mut client = Client::new(ClientConfig::default(), 1);
    let now = Instant::now();
    let ids: Vec<_> = (0..3).map(|_| client.request(now, "m", json!({})).unwrap()).collect();
    drain(&mut client);
    client.handle_text(r#"{"response":true,"id":3,"ok":true}"#).unwrap();
    client
        .handle_text(
            r#"{"response":true,"id":1,"ok":false,"errorCode":404,"errorReason":"no\u0007"}"#,
        )
        .unwrap();
    client.handle_text(r#"{"response":true,"id":2}"#).unwrap();
    let rejected =
        |code, reason: &str| Err(ResponseError::Rejected { code, reason: reason.into() });
    assert_eq!(
        drain(&mut client),
        [
            Output::Response { id: ids[2], result: Ok(json!({})) },
            Output::Response { id: ids[0], result: rejected(404, "no\\u{7}") },
            Output::Response { id: ids[1], result: rejected(0, "") },
        ],
    );
    // Once.
    let again = client.handle_text(r#"{"response":true,"id":3,"ok":true}"#);
    assert_eq!(again, Err(MessageError::Unsolicited(ids[2])));
    assert_eq!(client.poll_timeout(), None);
}

#[test]
fn a_request_times_out_at_its_time_and_no_other_with_it() {
    assert_eq!(time_out(10), Duration::from_secs(24));
    assert_eq!(time_out(usize::MAX), Duration::from_millis(u64::MAX));
    let mut client = Client::new(ClientConfig::default(), 1);
    let now = Instant::now();
    let first = client.request(now, "m", json!({})).unwrap();
    let second = client.request(now, "m", json!({})).unwrap();
    drain(&mut client);
    let due = client.poll_timeout().unwrap();
    assert_eq!(due, now + Duration::from_millis(22_500));
    client.handle_timeout(due - Duration::from_nanos(1));
    assert_eq!(drain(&mut client), []);
    client.handle_timeout(due);
    let late = |id| Output::Response { id, result: Err(ResponseError::TimedOut) };
    assert_eq!(drain(&mut client), [late(first)]);
    assert_eq!(client.poll_timeout(), Some(now + Duration::from_millis(22_650)));
    client.handle_timeout(now + Duration::from_secs(60));
    assert_eq!(drain(&mut client), [late(second)]);
    assert_eq!(client.stats().timed_out, 2);
}

#[test]
fn a_close_ends_every_request_and_all_sending() {
    let mut client = Client::new(ClientConfig::default(), 1);
    let now = Instant::now();
    let id = client.request(now, "m", json!({})).unwrap();
    client.handle_text(r#"{"request":true,"id":5,"method":"m"}"#).unwrap();
    let outputs = drain(&mut client);
    let Some(Output::Request { id: theirs, .. }) = outputs.last() else { panic!("{outputs:?}") };
    client.handle_closed();
    let closed = Output::Response { id, result: Err(ResponseError::Closed) };
    assert_eq!(drain(&mut client), [closed]);
    assert_eq!(client.request(now, "m", json!({})), Err(RequestError::Closed));
    assert_eq!(client.notify("m", json!({})), Err(RequestError::Closed));
    assert_eq!(client.accept(*theirs, json!({})), Err(RequestError::Closed));
    // What the socket still had comes to nothing: not even a refusal could go out.
    for id in 0..70 {
        client.handle_text(&format!(r#"{{"request":true,"id":{id},"method":"m"}}"#)).unwrap();
    }
    assert_eq!((client.poll_timeout(), client.poll_output()), (None, None));
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let config = ClientConfig::default().max_message(100).max_requests(2).max_depth(3);
    let mut client = Client::new(config, 1);
    let now = Instant::now();
    for _ in 0..2 {
        client.request(now, "m", json!({})).unwrap();
    }
    assert_eq!(
        client.request(now, "m", json!({})),
        Err(RequestError::TooManyRequests { limit: 2 })
    );
    drain(&mut client);

    let notification = |filling: usize| {
        let empty = r#"{"notification":true,"method":""}"#.len();
        format!(r#"{{"notification":true,"method":"{}"}}"#, "a".repeat(filling - empty))
    };
    client.handle_text(&notification(100)).unwrap();
    let too_large = MessageError::TooLarge { len: 101, limit: 100 };
    assert_eq!(client.handle_text(&notification(101)), Err(too_large));
    assert!(matches!(
        client.notify(&"a".repeat(100), json!({})),
        Err(RequestError::TooLarge { .. })
    ));

    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        format!(r#"{{"notification":true,"method":"[[[\"[[[","data":{open}{close}}}"#)
    };
    client.handle_text(&nested(3)).unwrap();
    assert_eq!(client.handle_text(&nested(4)), Err(MessageError::TooDeep { limit: 3 }));
    assert_eq!(client.stats().malformed, 2);
}

#[test]
fn what_is_no_message_says_what_is_wrong() {
    let mut client = Client::new(ClientConfig::default(), 1);
    for (text, error) in [
        ("", MessageError::NotJson),
        ("{}}", MessageError::NotJson),
        ("[]", MessageError::NotAMessage),
        ("7", MessageError::NotAMessage),
        ("{}", MessageError::NotAMessage),
        (r#"{"request":false}"#, MessageError::NotAMessage),
        (r#"{"request":true,"method":"m"}"#, MessageError::Field("id")),
        (r#"{"request":true,"method":"m","id":-1}"#, MessageError::Field("id")),
        (r#"{"request":true,"id":1}"#, MessageError::Field("method")),
        (r#"{"request":true,"id":1,"method":7}"#, MessageError::Field("method")),
        (r#"{"response":true,"id":4294967296}"#, MessageError::Field("id")),
        (r#"{"notification":true}"#, MessageError::Field("method")),
    ] {
        assert_eq!(client.handle_text(text), Err(error), "{text}");
    }
    assert_eq!((client.stats().malformed, client.poll_output()), (12, None));
    // As JavaScript has it, and as an absent field.
    client.handle_text(r#"{"notification":1,"method":"m","data":null}"#).unwrap();
    assert_eq!(
        client.poll_output(),
        Some(Output::Notification { method: "m".into(), data: json!({}) })
    );
}
