//! The two ways in which mediasoup's demo servers name the same things.

use serde::Deserialize;
use serde_json::Value;

use crate::rtp_parameters::RtpCapabilities;

/// Which demo server it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    /// In JavaScript, to 2024: answers are bare, producers are controlled by requests.
    Bare,
    /// In TypeScript, after it: answers name what is in them, producers are controlled by
    /// notifications.
    Named,
}

impl Dialect {
    /// The dialect, and the router's capabilities, of the first answer.
    pub(crate) fn of(capabilities: &Value) -> Option<(Self, RtpCapabilities)> {
        let (dialect, value) = match capabilities.get("routerRtpCapabilities") {
            Some(value) => (Self::Named, value),
            None => (Self::Bare, capabilities),
        };
        let router = value.get("codecs").and_then(|_| RtpCapabilities::deserialize(value).ok())?;
        Some((dialect, router))
    }

    pub(crate) fn transport_id(self, data: &Value) -> Result<String, &'static str> {
        self.id(data, "transportId")
    }

    pub(crate) fn producer_id(self, data: &Value) -> Result<String, &'static str> {
        self.id(data, "producerId")
    }

    fn id(self, data: &Value, named: &'static str) -> Result<String, &'static str> {
        let field = match self {
            Self::Bare => "id",
            Self::Named => named,
        };
        identifier(data.get(field)).ok_or(field)
    }
}

/// A name the server gave something. mediasoup's are UUIDs; only what may stand in a path and
/// in a log as it is will do.
fn identifier(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
    let fits = plain && (1..=MAX_ID).contains(&text.len()) && text.contains(|c| c != '.');
    fits.then(|| text.to_owned())
}

/// A UUID has 36.
const MAX_ID: usize = 128;
