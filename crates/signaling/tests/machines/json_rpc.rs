//! JSON-RPC 2.0, held to its specification line by line.

use serde_json::{Value, json};

use crate::house::House;

/// What a peer that is in no room is answered: the code and id of each error, and
/// `None` for silence. The texts are those of the specification's §7 where it has one.
#[test]
fn errors_are_those_of_the_specification() {
    let table: &[(&str, Option<Value>)] = &[
        // Invalid JSON.
        (
            r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#,
            one(-32700, Value::Null),
        ),
        ("", one(-32700, Value::Null)),
        ("[1,", one(-32700, Value::Null)),
        // An invalid request object.
        (r#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#, one(-32600, Value::Null)),
        (r#"{"jsonrpc": "2.0", "method": "peer.offer", "params": 1}"#, one(-32600, Value::Null)),
        (r#"{"jsonrpc": "2.0", "method": "peer.offer", "params": null}"#, one(-32600, Value::Null)),
        (r#"{"jsonrpc": "1.0", "method": "a", "id": 4}"#, one(-32600, json!(4))),
        (r#"{"method": "a", "id": 4}"#, one(-32600, json!(4))),
        (r#"{"jsonrpc": 2.0, "method": "a", "id": "x"}"#, one(-32600, json!("x"))),
        (r#"{"jsonrpc": "2.0", "id": 4}"#, one(-32600, json!(4))),
        (r#"{"jsonrpc": "2.0", "method": "a", "id": {}}"#, one(-32600, Value::Null)),
        (r#"{"jsonrpc": "2.0", "method": "a", "id": [1]}"#, one(-32600, Value::Null)),
        (r#"{"jsonrpc": "2.0", "method": "a", "id": true}"#, one(-32600, Value::Null)),
        ("1", one(-32600, Value::Null)),
        ("null", one(-32600, Value::Null)),
        ("\"peer.announce\"", one(-32600, Value::Null)),
        // A method that is not there, with each kind of id.
        (r#"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#, one(-32601, json!("1"))),
        (r#"{"jsonrpc": "2.0", "method": "foobar", "id": 0}"#, one(-32601, json!(0))),
        (r#"{"jsonrpc": "2.0", "method": "foobar", "id": -7}"#, one(-32601, json!(-7))),
        (r#"{"jsonrpc": "2.0", "method": "foobar", "id": 1.5}"#, one(-32601, json!(1.5))),
        (r#"{"jsonrpc": "2.0", "method": "foobar", "id": null}"#, one(-32601, Value::Null)),
        (r#"{"jsonrpc": "2.0", "method": "rpc.discover", "id": 1}"#, one(-32601, json!(1))),
        // Parameters that do not fit.
        (
            r#"{"jsonrpc": "2.0", "method": "room.host", "params": [true], "id": 1}"#,
            one(-32602, json!(1)),
        ),
        (
            r#"{"jsonrpc": "2.0", "method": "room.host", "params": {"host": 1}, "id": 1}"#,
            one(-32602, json!(1)),
        ),
        (r#"{"jsonrpc": "2.0", "method": "room.host", "id": 1}"#, one(-32602, json!(1))),
        // A server's own error.
        (
            r#"{"jsonrpc": "2.0", "method": "room.host", "params": {"host": true}, "id": 1}"#,
            one(-32000, json!(1)),
        ),
        // Notifications are never answered, whatever is wrong with them.
        (r#"{"jsonrpc": "2.0", "method": "foobar"}"#, None),
        (r#"{"jsonrpc": "2.0", "method": "room.host", "params": {"host": 1}}"#, None),
        (r#"{"jsonrpc": "2.0", "method": "room.host", "params": {"host": true}}"#, None),
        // Nor are responses.
        (r#"{"jsonrpc": "2.0", "result": 1, "id": 1}"#, None),
        (
            r#"{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}"#,
            None,
        ),
        // Batches.
        ("[]", one(-32600, Value::Null)),
        ("[1]", some(&[(-32600, Value::Null)])),
        ("[1,2,3]", some(&[(-32600, Value::Null), (-32600, Value::Null), (-32600, Value::Null)])),
        (r#"[{"foo": "boo"}]"#, some(&[(-32600, Value::Null)])),
        (r#"[[]]"#, some(&[(-32600, Value::Null)])),
        (
            r#"[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
                {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
                {"foo": "boo"},
                {"jsonrpc": "2.0", "method": "get_data", "id": "9"}]"#,
            some(&[(-32601, json!("1")), (-32600, Value::Null), (-32601, json!("9"))]),
        ),
        (
            r#"[{"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
                {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}]"#,
            None,
        ),
    ];
    for (text, expected) in table {
        let mut house = House::new();
        house.open(1, "spec");
        house.say(1, text);
        let mut heard = house.heard(1);
        assert_eq!(heard.len(), usize::from(expected.is_some()), "{text}: {heard:?}");
        assert_eq!(heard.pop().map(|answer| outline(&answer)), *expected, "{text}");
    }
}

#[test]
fn a_response_has_a_result_or_an_error_and_not_both() {
    let mut house = House::new();
    house.open(1, "spec");
    house.say(1, r#"{"jsonrpc":"2.0","id":3,"method":"foobar"}"#);
    let error = json!({ "code": -32601, "message": "Method not found" });
    assert_eq!(house.heard(1), [json!({ "jsonrpc": "2.0", "id": 3, "error": error })]);
    house.join(2, "spec");
    house.say(2, r#"{"jsonrpc":"2.0","id":3,"method":"room.host","params":{"host":false}}"#);
    let result = json!({ "host": null, "epoch": { "term": 0, "ballot": 0 } });
    assert_eq!(house.heard(2), [json!({ "jsonrpc": "2.0", "id": 3, "result": result })]);
}

#[test]
fn a_notification_takes_effect_without_an_answer() {
    let mut house = House::new();
    house.join(1, "spec");
    house.say(1, r#"{"jsonrpc":"2.0","method":"room.host","params":{"host":true}}"#);
    let heard = house.heard(1);
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0]["method"], "room.host");
    house.say(1, r#"{"jsonrpc":"2.0","method":"peer.disconnect"}"#);
    assert!(house.heard(1).is_empty());
    assert_eq!(house.rooms.stats().rooms, 0);
}

#[test]
fn a_batch_may_announce_and_leave() {
    let mut house = House::new();
    house.join(2, "spec");
    house.open(1, "spec");
    let params = crate::house::announcement(1, false);
    let batch = json!([
        { "jsonrpc": "2.0", "id": "in", "method": "peer.announce", "params": params },
        { "jsonrpc": "2.0", "id": "out", "method": "peer.disconnect", "params": {} },
        { "jsonrpc": "2.0", "id": "again", "method": "peer.disconnect" },
    ]);
    house.say(1, &batch.to_string());
    let heard = house.heard(1);
    assert_eq!(heard[0].as_array().map(Vec::len), Some(3));
    assert_eq!(heard[0][0]["result"]["sender"], 2);
    assert_eq!(heard[0][1]["result"], json!({}));
    assert_eq!(heard[0][2]["error"]["code"], -32000);
    assert!(house.closed.contains_key(&1));
    let methods: Vec<_> = house.heard(2).into_iter().map(|n| n["method"].clone()).collect();
    assert_eq!(methods, ["peer.joined", "peer.left"]);
}

fn one(code: i64, id: Value) -> Option<Value> {
    Some(json!({ "code": code, "id": id }))
}

fn some(errors: &[(i64, Value)]) -> Option<Value> {
    Some(errors.iter().map(|(code, id)| json!({ "code": code, "id": id })).collect())
}

/// The code and id of an error, or of an array of them.
fn outline(answer: &Value) -> Value {
    if let Value::Array(answers) = answer {
        return answers.iter().map(outline).collect();
    }
    assert_eq!(answer["jsonrpc"], "2.0");
    assert!(answer.get("result").is_none() && answer["error"]["message"].is_string(), "{answer}");
    json!({ "code": answer["error"]["code"], "id": answer["id"] })
}
