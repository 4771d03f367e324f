//! What went wrong, and whether it is bad enough to go elsewhere.
//!
//! | kind | before media flows | afterwards |
//! |---|---|---|
//! | authorisation refused, negotiation failed, transport closed | fatal | fatal |
//! | no path, server closed, timed out, unreachable | transient: tried again | fatal |
//! | encode failed, send failed | transient, fatal if there are too many | the same |
//! | queue dropped | transient, fatal if it goes on | the same |
//!
//! The third group is counted in rolling windows, since one frame that could not be sent is
//! nothing and fifty in ten seconds are a broken path.

mod classifier;

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

pub use self::classifier::{Classifier, ClassifierConfig, Counts};

/// What kind of thing happened to a sender. The remedy is in each variant.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// The server does not let us in: bring another token.
    AuthRefused,
    /// The encoder made nothing of a picture or a piece of sound.
    EncodeFailed,
    /// The two sides have no codec, transport or parameter in common, or the server did not
    /// answer in the words of its protocol: another server, or another configuration.
    NegotiationFailed,
    /// All was agreed on, and no connection came about with where the server takes media: let UDP
    /// through, or have the server announce an address that is reached.
    NoPath,
    /// Frames waited for longer than a live picture may, and were dropped.
    QueueDropped,
    /// A packet was not taken by the transport.
    SendFailed,
    /// The server said goodbye, or the process behind it died.
    ServerClosed,
    /// There was no answer in time.
    TimedOut,
    /// The media transport is closed: ICE or DTLS gave up, or the other side closed it.
    TransportClosed,
    /// Nobody could be talked to at the address: no route, no name, refused.
    Unreachable,
}

impl FailureKind {
    /// How bad one of it is by itself; `live` says whether media has flowed.
    ///
    /// Errors that are counted are transient by themselves: [`Classifier`] says when there
    /// are too many.
    ///
    /// ```
    /// use paceline_publish::{FailureKind, Severity};
    ///
    /// assert_eq!(FailureKind::Unreachable.severity(false), Severity::Transient);
    /// assert_eq!(FailureKind::Unreachable.severity(true), Severity::Fatal);
    /// ```
    pub const fn severity(self, live: bool) -> Severity {
        match self {
            Self::AuthRefused | Self::NegotiationFailed | Self::TransportClosed => Severity::Fatal,
            Self::NoPath | Self::ServerClosed | Self::TimedOut | Self::Unreachable if live => {
                Severity::Fatal
            }
            _ => Severity::Transient,
        }
    }

    /// Whether a sender goes on after it: it is counted, and ends nothing by itself.
    #[must_use]
    pub const fn is_counted(self) -> bool {
        matches!(self, Self::EncodeFailed | Self::QueueDropped | Self::SendFailed)
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuthRefused => "authorisation refused",
            Self::EncodeFailed => "encoding failed",
            Self::NegotiationFailed => "negotiation failed",
            Self::NoPath => "no path for media",
            Self::QueueDropped => "frames dropped from the queue",
            Self::SendFailed => "sending failed",
            Self::ServerClosed => "closed by the server",
            Self::TimedOut => "timed out",
            Self::TransportClosed => "transport closed",
            Self::Unreachable => "unreachable",
        })
    }
}

/// What happened to a sender: its kind, and what was said about it.
///
/// ```
/// use paceline_publish::{Failure, FailureKind};
///
/// let failure = Failure::new(FailureKind::NegotiationFailed, "no codec in common\r\n");
/// assert_eq!(failure.to_string(), "negotiation failed: no codec in common\\u{d}\\u{a}");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Failure {
    kind: FailureKind,
    #[serde(serialize_with = "serialize_text")]
    text: Arc<str>,
}

impl Failure {
    /// A failure of a kind; `text` may be what a server said.
    ///
    /// Control characters, and those that change the direction of writing or begin a line, are
    /// escaped, and
    /// what is over 256 bytes is cut: the text ends up in logs.
    #[must_use]
    pub fn new(kind: FailureKind, text: &str) -> Self {
        Self { kind, text: printable(text).into() }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        self.kind
    }

    /// What was said about it. May be empty.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<FailureKind> for Failure {
    fn from(kind: FailureKind) -> Self {
        Self::new(kind, "")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() {
            return self.kind.fmt(f);
        }
        write!(f, "{}: {}", self.kind, self.text)
    }
}

impl Error for Failure {}

/// How bad something is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[must_use]
#[expect(clippy::exhaustive_enums, reason = "either one goes elsewhere, or not")]
pub enum Severity {
    /// This target is given up.
    Fatal,
    /// It is counted, or tried again.
    Transient,
}

fn serialize_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// A text of somebody else's, as a log may have it.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let before = out.len();
        if c.is_control() || MISLEADING.contains(&c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
        if out.len() > MAX_TEXT {
            out.truncate(before);
            break;
        }
    }
    out
}

/// Ours: bytes of a text that are of use to somebody who reads a log.
const MAX_TEXT: usize = 256;

/// The characters of Unicode that change the direction of writing (UAX #9 §2), or begin a
/// line without being control characters: with either a log seems to say something else.
const MISLEADING: [char; 14] = [
    '\u{2028}', '\u{2029}', '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}',
    '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_breaks_a_line_of_a_log_or_is_longer_than_256_bytes() {
        let hostile = "a\r\n\u{1b}]52;c;\u{7}\u{9b}\u{202e}\u{2028}ü".repeat(100);
        let failure = Failure::new(FailureKind::ServerClosed, &hostile);
        assert!(failure.text().starts_with("a\\u{d}\\u{a}\\u{1b}]52;c;\\u{7}\\u{9b}\\u{202e}"));
        assert!(failure.text().chars().all(|c| !c.is_control() && c != '\u{202e}'));
        assert!((250..=256).contains(&failure.text().len()), "{}", failure.text().len());
    }

    #[test]
    fn what_only_the_first_try_may_survive_is_fatal_once_media_flows() {
        use FailureKind::*;
        for kind in [AuthRefused, NegotiationFailed, TransportClosed] {
            assert_eq!([false, true].map(|live| kind.severity(live)), [Severity::Fatal; 2]);
        }
        for kind in [NoPath, ServerClosed, TimedOut, Unreachable] {
            let expected = [Severity::Transient, Severity::Fatal];
            assert_eq!([false, true].map(|live| kind.severity(live)), expected);
        }
        for kind in [EncodeFailed, QueueDropped, SendFailed] {
            assert!(kind.is_counted());
            assert_eq!([false, true].map(|live| kind.severity(live)), [Severity::Transient; 2]);
        }
    }
}
