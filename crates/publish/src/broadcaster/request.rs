//! A request of HTTP, as values.

use std::fmt;

use serde_json::Value;

/// What to do with a resource (RFC 9110 §9.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Method {
    /// Ends it.
    Delete,
    /// Reads it.
    Get,
    /// Makes something in it.
    Post,
}

impl Method {
    /// As it is on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A request to send to the server. Its `Debug` does not show the body, which may hold a key.
#[derive(Clone, PartialEq)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// With what: begins with a slash, is percent-encoded, and has no query.
    pub path: String,
    /// JSON, `application/json`.
    pub body: Option<Value>,
}

impl Request {
    /// A request for a path of these segments.
    pub(super) fn new(method: Method, segments: &[&str], body: Option<Value>) -> Self {
        let mut path = String::new();
        for segment in segments {
            path.push('/');
            for byte in segment.bytes() {
                if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                    path.push(char::from(byte));
                } else {
                    path.push_str(&format!("%{byte:02X}"));
                }
            }
        }
        Self { method, path, body }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.body.as_ref().map(|body| body.to_string().len());
        write!(f, "Request({self}, {} bytes)", len.unwrap_or(0))
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.name(), self.path)
    }
}
