//! JSON-RPC 2.0, and nothing about rooms: which texts are messages, and what a
//! batch of them is answered with.

use serde_json::{Map, Value, json};

use crate::code;
use crate::limits::{Broken, MAX_BATCH, MAX_DEPTH};

/// The error object of a response (specification §5.1).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RpcError {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
}

impl RpcError {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// Names the bound that was met, for a program to read.
    pub(crate) fn bound(mut self, bound: &str, limit: usize) -> Self {
        self.data = Some(json!({ "bound": bound, "limit": limit }));
        self
    }

    pub(crate) fn invalid_params(why: impl std::fmt::Display) -> Self {
        Self::new(code::INVALID_PARAMS, format!("Invalid params: {why}"))
    }

    pub(crate) fn method_not_found() -> Self {
        Self::new(code::METHOD_NOT_FOUND, "Method not found")
    }
}

impl From<Broken> for RpcError {
    fn from(broken: Broken) -> Self {
        Self::invalid_params(&broken).bound(broken.bound, broken.limit)
    }
}

/// One element of what a peer sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    /// Neither a request nor a response; `id` is null unless it could be told.
    Invalid { id: Value, why: &'static str },
    /// A call; a notification if it has no id.
    Request { id: Option<Value>, method: String, params: Option<Value> },
    /// What came of a request.
    Response { id: Value, outcome: Result<Value, RpcError> },
}

/// Hands each message in `text` to `answer` and returns what to send back:
/// nothing at all if there is no answer to any, an array if a batch came.
///
/// # Errors
///
/// What to answer, with id null, when the text as a whole is refused.
pub(crate) fn dispatch(
    text: &str,
    mut answer: impl FnMut(Message) -> Option<Value>,
) -> Result<Option<Value>, RpcError> {
    if is_deeper_than(text, MAX_DEPTH) {
        let why = format!("the JSON nests deeper than {MAX_DEPTH} levels");
        return Err(RpcError::new(code::OVER_LIMIT, why).bound("depth", MAX_DEPTH));
    }
    match serde_json::from_str(text) {
        Err(_) => Err(RpcError::new(code::PARSE_ERROR, "Parse error")),
        Ok(Value::Array(batch)) if batch.is_empty() => {
            Err(RpcError::new(code::INVALID_REQUEST, "Invalid Request: the batch is empty"))
        }
        Ok(Value::Array(batch)) if batch.len() > MAX_BATCH => {
            let why = format!("the batch has {} calls, {MAX_BATCH} are allowed", batch.len());
            Err(RpcError::new(code::OVER_LIMIT, why).bound("batch", MAX_BATCH))
        }
        Ok(Value::Array(batch)) => {
            let replies: Vec<_> =
                batch.into_iter().filter_map(|value| answer(read(value))).collect();
            Ok((!replies.is_empty()).then_some(Value::Array(replies)))
        }
        Ok(value) => Ok(answer(read(value))),
    }
}

/// A response object.
pub(crate) fn reply(id: Value, outcome: Result<Value, RpcError>) -> Value {
    match outcome {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(RpcError { code, message, data: None }) => {
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
        }
        Err(RpcError { code, message, data: Some(data) }) => {
            let error = json!({ "code": code, "message": message, "data": data });
            json!({ "jsonrpc": "2.0", "id": id, "error": error })
        }
    }
}

/// A request object.
pub(crate) fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// A notification.
pub(crate) fn notification(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

fn read(value: Value) -> Message {
    let Value::Object(mut object) = value else {
        return Message::Invalid { id: Value::Null, why: "it is not an object" };
    };
    let id = object.remove("id");
    let known = match &id {
        Some(id @ (Value::String(_) | Value::Number(_))) => id.clone(),
        _ => Value::Null,
    };
    let invalid = |why| Message::Invalid { id: known.clone(), why };
    if matches!(id, Some(Value::Bool(_) | Value::Array(_) | Value::Object(_))) {
        return invalid("an id is a string, a number or null");
    }
    if object.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return invalid("jsonrpc is not \"2.0\"");
    }
    match object.remove("method") {
        None => read_response(object, id).unwrap_or_else(invalid),
        Some(Value::String(method)) => match object.remove("params") {
            params @ (None | Some(Value::Array(_) | Value::Object(_))) => {
                Message::Request { id, method, params }
            }
            Some(_) => invalid("params is neither an array nor an object"),
        },
        Some(_) => invalid("method is not a string"),
    }
}

fn read_response(
    mut object: Map<String, Value>,
    id: Option<Value>,
) -> Result<Message, &'static str> {
    let outcome = match (object.remove("result"), object.remove("error")) {
        (None, None) => return Err("there is no method"),
        (Some(_), Some(_)) => return Err("a response has a result or an error, not both"),
        (Some(result), None) => Ok(result),
        (None, Some(mut error)) => {
            let code = error["code"].as_i64().ok_or("an error's code is an integer")?;
            let message = error["message"].as_str().ok_or("an error's message is a string")?;
            let message = message.to_owned();
            let data = error.as_object_mut().and_then(|error| error.remove("data"));
            Err(RpcError { code, message, data })
        }
    };
    let id = id.ok_or("a response has an id")?;
    Ok(Message::Response { id, outcome })
}

/// Whether arrays and objects nest deeper than `max`, told without parsing, so
/// that no parser has to survive the depth.
fn is_deeper_than(text: &str, max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_strings_only() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(!is_deeper_than(&nested(15), MAX_DEPTH));
        assert!(!is_deeper_than(&nested(16), MAX_DEPTH));
        assert!(is_deeper_than(&nested(17), MAX_DEPTH));
        assert!(!is_deeper_than(&"[]".repeat(100), MAX_DEPTH));
        assert!(!is_deeper_than(r#"["[[[[[[[[[[[[[[[[\"[[[[\\"]"#, MAX_DEPTH));
    }

    #[test]
    fn a_malformed_response_is_not_a_response() {
        for bad in [
            json!({ "jsonrpc": "2.0", "id": 1, "result": 1, "error": { "code": 1, "message": "" } }),
            json!({ "jsonrpc": "2.0", "id": 1, "error": "no" }),
            json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": 1.5, "message": "" } }),
            json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": 1 } }),
            json!({ "jsonrpc": "2.0", "result": 1 }),
            json!({ "id": 1, "result": 1 }),
        ] {
            assert!(matches!(read(bad.clone()), Message::Invalid { .. }), "{bad}");
        }
    }
}
