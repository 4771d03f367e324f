//! What a peer may make anybody hold, in numbers, and the checks of them.
//!
//! They are part of the protocol: server and client hold each other to the same.

use std::fmt;

/// Bytes of one WebSocket message to a server, or from one client by way of it to another:
/// 64 KiB, twice the largest session description.
pub const MAX_FRAME: usize = 64 << 10;
/// Bytes of one WebSocket message to a client: 160 KiB, what a join reply may take.
pub const MAX_REPLY: usize = 160 << 10;
/// How deep arrays and objects may nest. The protocol itself needs seven,
/// for a join reply within a batch.
pub const MAX_DEPTH: usize = 16;
/// Calls in one batch.
pub const MAX_BATCH: usize = 16;
/// Bytes of a session description: 32 KiB, some five times what a browser makes
/// for a call with two tracks.
pub const MAX_SDP: usize = 32 << 10;
/// Candidates from one peer to another for each offer or answer between them.
pub const MAX_CANDIDATES: usize = 32;
/// Bytes of one candidate line; with every extension of RFC 8839 §5.1 one is
/// below 300.
pub const MAX_CANDIDATE: usize = 1 << 10;
/// Bytes of a media identification tag (`mid`, RFC 5888 §4); browsers use one or two.
pub const MAX_MID: usize = 32;
/// Bytes of the username fragment of a candidate (RFC 8839 §5.4: 4 to 256).
pub const MAX_UFRAG: usize = 256;
/// Characters of a member's name.
pub const MAX_NAME: usize = 64;
/// Characters of a room's name.
pub const MAX_ROOM: usize = 64;
/// Codecs of one kind that a member can list.
pub const MAX_CODECS: usize = 8;
/// Characters of a codec's name.
pub const MAX_CODEC: usize = 32;
/// The most members a room can be configured for: the join reply has to fit
/// [`MAX_REPLY`] when every member uses all that the other limits allow.
pub const MAX_MEMBERS: usize = 128;

/// Members that can vote on who hosts: as many as a call has (`MigrationConfig::max_members`).
pub const MAX_ELECTORS: usize = 32;
/// The longest lease in µs: 5 s, some ten times what it is by default. For so long a host
/// that is gone can keep the witness from voting.
pub const MAX_LEASE: u32 = 5_000_000;

/// A bound that a text breaks: its name, its number, and the sentence to tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Broken {
    pub(crate) bound: &'static str,
    pub(crate) limit: usize,
    why: &'static str,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (the limit is {})", self.why, self.limit)
    }
}

/// Whether `name` can name a room: 1 to 64 of `A–Z a–z 0–9 _ -`.
pub(crate) fn is_room(name: &str) -> bool {
    (1..=MAX_ROOM).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

pub(crate) fn check_name(name: &str) -> Result<(), Broken> {
    let fits = name.chars().count() <= MAX_NAME && !name.chars().any(char::is_control);
    ensure(fits, "name", MAX_NAME, "a name is a short line without control characters")
}

pub(crate) fn check_codecs(names: &[String]) -> Result<(), Broken> {
    ensure(names.len() <= MAX_CODECS, "codecs", MAX_CODECS, "too many codecs are listed")?;
    let fits = names.iter().all(|name| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"+-./_".contains(&b);
        (1..=MAX_CODEC).contains(&name.len()) && name.bytes().all(plain)
    });
    ensure(fits, "codec", MAX_CODEC, "a codec's name is letters, digits and + - . / _")
}

/// The lines of a description end in CR LF (RFC 8866 §5); no other control
/// character belongs in one.
pub(crate) fn check_sdp(sdp: &str) -> Result<(), Broken> {
    ensure(sdp.len() <= MAX_SDP, "sdp", MAX_SDP, "the session description is too long")?;
    let clean = !sdp.chars().any(|c| c.is_control() && !matches!(c, '\r' | '\n' | '\t'));
    ensure(clean, "sdp", MAX_SDP, "a session description has no control characters but line ends")
}

pub(crate) fn check_candidate(candidate: &str, mid: &str, ufrag: &str) -> Result<(), Broken> {
    let one_line = |text: &str, max| text.len() <= max && !text.chars().any(char::is_control);
    let why = "a candidate is one short line without control characters";
    ensure(one_line(candidate, MAX_CANDIDATE), "candidate", MAX_CANDIDATE, why)?;
    let why = "a mid is a short token without control characters";
    ensure(one_line(mid, MAX_MID), "mid", MAX_MID, why)?;
    let why = "a username fragment is a token without control characters";
    ensure(one_line(ufrag, MAX_UFRAG), "ufrag", MAX_UFRAG, why)
}

pub(crate) fn check_lease(length: u32, electors: usize) -> Result<(), Broken> {
    check_length(length)?;
    ensure(electors <= MAX_ELECTORS, "electors", MAX_ELECTORS, "too many vote")
}

/// What a lease may be, and a vote that is one.
pub(crate) fn check_length(length: u32) -> Result<(), Broken> {
    ensure(length <= MAX_LEASE, "length_us", MAX_LEASE as usize, "the lease is too long")
}

fn ensure(holds: bool, bound: &'static str, limit: usize, why: &'static str) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken { bound, limit, why }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_1_to_64_plain_characters() {
        for (len, good) in [(0, false), (1, true), (63, true), (64, true), (65, false)] {
            assert_eq!(is_room(&"r".repeat(len)), good, "{len}");
        }
        assert!(is_room("Kitchen_2-b"));
        for bad in ["a/b", "a b", "a\nb", "küche", "a%20b", "."] {
            assert!(!is_room(bad), "{bad:?}");
        }
    }

    #[test]
    fn texts_are_held_to_their_limit_and_not_one_more() {
        for extra in [0, 1, 2] {
            let good = extra < 2;
            assert_eq!(check_name(&"ü".repeat(MAX_NAME - 1 + extra)).is_ok(), good);
            assert_eq!(check_sdp(&"s".repeat(MAX_SDP - 1 + extra)).is_ok(), good);
            let candidate = "c".repeat(MAX_CANDIDATE - 1 + extra);
            assert_eq!(check_candidate(&candidate, "0", "").is_ok(), good);
            assert_eq!(check_candidate("", &"m".repeat(MAX_MID - 1 + extra), "").is_ok(), good);
            let ufrag = "u".repeat(MAX_UFRAG - 1 + extra);
            assert_eq!(check_candidate("", "0", &ufrag).is_ok(), good);
            assert_eq!(check_codecs(&["c".repeat(MAX_CODEC - 1 + extra)]).is_ok(), good);
            assert_eq!(check_codecs(&vec!["c".into(); MAX_CODECS - 1 + extra]).is_ok(), good);
        }
    }

    #[test]
    fn control_characters_are_refused() {
        for text in ["a\rb", "a\nb", "a\u{1b}[2J", "a\u{9b}b", "a\0b"] {
            assert!(check_name(text).is_err(), "{text:?}");
            assert!(check_candidate(text, "0", "").is_err(), "{text:?}");
            assert!(check_candidate("", text, "").is_err(), "{text:?}");
            assert!(check_candidate("", "0", text).is_err(), "{text:?}");
            assert!(check_codecs(&[text.into()]).is_err(), "{text:?}");
        }
        assert!(check_sdp("v=0\r\ns=-\r\n").is_ok());
        assert!(check_sdp("v=0\r\ns=\u{1b}\r\n").is_err());
    }
}
