//! One message, parsed and emitted.

use serde_json::{Map, Value, json};

use super::{MessageError, RequestId, ResponseError, ServerRequestId, printable};

/// What a text says.
#[derive(Debug)]
pub(super) enum Message {
    Notification { method: String, data: Value },
    Request { id: ServerRequestId, method: String, data: Value },
    Response { id: RequestId, result: Result<Value, ResponseError> },
}

impl Message {
    pub(super) fn parse(
        text: &str,
        max_message: usize,
        max_depth: usize,
    ) -> Result<Self, MessageError> {
        if text.len() > max_message {
            return Err(MessageError::TooLarge { len: text.len(), limit: max_message });
        }
        if depth(text) > max_depth {
            return Err(MessageError::TooDeep { limit: max_depth });
        }
        let value: Value = serde_json::from_str(text).map_err(|_| MessageError::NotJson)?;
        let Value::Object(mut object) = value else { return Err(MessageError::NotAMessage) };
        if is(&object, "request") {
            let id = id(&object)?;
            let (method, data) = (method(&mut object)?, data(&mut object));
            Ok(Self::Request { id: ServerRequestId::new(id), method, data })
        } else if is(&object, "response") {
            let id = u32::try_from(id(&object)?).map_err(|_| MessageError::Field("id"))?;
            let result =
                if is(&object, "ok") { Ok(data(&mut object)) } else { Err(rejection(&object)) };
            Ok(Self::Response { id: RequestId::new(id), result })
        } else if is(&object, "notification") {
            Ok(Self::Notification { method: method(&mut object)?, data: data(&mut object) })
        } else {
            Err(MessageError::NotAMessage)
        }
    }
}

pub(super) fn request(id: RequestId, method: &str, data: Value) -> String {
    json!({ "request": true, "id": id.get(), "method": method, "data": data }).to_string()
}

pub(super) fn notification(method: &str, data: Value) -> String {
    json!({ "notification": true, "method": method, "data": data }).to_string()
}

pub(super) fn accepted(id: ServerRequestId, data: Value) -> String {
    json!({ "response": true, "id": id.get(), "ok": true, "data": data }).to_string()
}

pub(super) fn rejected(id: ServerRequestId, code: u16, reason: &str) -> String {
    json!({
        "response": true, "id": id.get(), "ok": false, "errorCode": code, "errorReason": reason,
    })
    .to_string()
}

/// Whether a field is true as JavaScript sees it: `protoo-client` asks no more.
fn is(object: &Map<String, Value>, field: &str) -> bool {
    match object.get(field) {
        Some(Value::Bool(truth)) => *truth,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(_) | Value::Object(_)) => true,
        Some(Value::Null) | None => false,
    }
}

fn id(object: &Map<String, Value>) -> Result<u64, MessageError> {
    object.get("id").and_then(Value::as_u64).ok_or(MessageError::Field("id"))
}

fn method(object: &mut Map<String, Value>) -> Result<String, MessageError> {
    match object.remove("method") {
        Some(Value::String(method)) => Ok(method),
        _ => Err(MessageError::Field("method")),
    }
}

/// `data`, an empty object if there is none.
fn data(object: &mut Map<String, Value>) -> Value {
    match object.remove("data") {
        None | Some(Value::Null) => Value::Object(Map::new()),
        Some(data) => data,
    }
}

fn rejection(object: &Map<String, Value>) -> ResponseError {
    ResponseError::Rejected {
        code: object.get("errorCode").and_then(Value::as_i64).unwrap_or(0),
        reason: printable(object.get("errorReason").and_then(Value::as_str).unwrap_or_default()),
    }
}

/// How deep objects and arrays lie in each other; of what is no JSON, any number.
fn depth(text: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
