//! What a negotiation has to know of a session description: whose it is, and which
//! candidates belong to it.

/// The two things. Texts are kept as hashes, so that a description of any length costs
/// the same; whoever makes two of his collide harms himself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Description {
    /// The session id of its `o=` line (RFC 8866 §5.2): the same in all descriptions of
    /// one connection (RFC 9429 §5.2.2), and another in any other.
    pub(crate) session: Option<u64>,
    /// Its ICE username fragments (RFC 8839 §5.4), mostly one.
    pub(crate) ufrags: Vec<u64>,
}

impl Description {
    pub(crate) fn peek(sdp: &str) -> Self {
        let mut found = Self::default();
        for line in sdp.lines() {
            if let Some(origin) = line.strip_prefix("o=") {
                let id = origin.split_ascii_whitespace().nth(1);
                found.session = found.session.or(id.map(|id| hash(id.as_bytes())));
            } else if let Some(ufrag) = line.strip_prefix("a=ice-ufrag:") {
                let ufrag = hash(ufrag.trim().as_bytes());
                if found.ufrags.len() < MAX_UFRAGS && !found.ufrags.contains(&ufrag) {
                    found.ufrags.push(ufrag);
                }
            }
        }
        found
    }

    /// Whether it is one more of the connection that `other` describes.
    pub(crate) fn continues(&self, other: &Self) -> bool {
        self.session.is_some() && self.session == other.session
    }
}

/// The username fragment that a candidate says it belongs to: in its own field, or in
/// the attribute's extensions, where browsers put it too.
pub(crate) fn ufrag_of(candidate: &str, ufrag: &str) -> Option<u64> {
    if !ufrag.is_empty() {
        return Some(hash(ufrag.as_bytes()));
    }
    let mut words = candidate.split_ascii_whitespace();
    words.find(|&word| word == "ufrag")?;
    words.next().map(|ufrag| hash(ufrag.as_bytes()))
}

/// FNV-1a, the same on every machine, so that the logs of both ends have it alike.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(FNV_OFFSET, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

/// draft-eastlake-fnv §5: the constants for 64 bits.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Sections of a description whose fragments are told apart. Ours have one; a browser
/// that does not bundle has one for each kind of media.
const MAX_UFRAGS: usize = 8;

#[cfg(test)]
mod tests {
    use super::{Description, hash, ufrag_of};

    #[test]
    fn the_session_id_is_the_second_word_of_the_origin() {
        let sdp = "v=0\r\no=- 4611 2 IN IP4 127.0.0.1\r\na=ice-ufrag:abcd\r\na=ice-ufrag:abcd\r\n";
        let description = Description::peek(sdp);
        assert_eq!(description.session, Some(hash(b"4611")));
        assert_eq!(description.ufrags, [hash(b"abcd")]);
        assert!(description.continues(&description.clone()));
    }

    #[test]
    fn what_has_no_origin_continues_nothing() {
        for sdp in ["", "o=", "o=-", "offer", "\r\n\r\no= x"] {
            let description = Description::peek(sdp);
            assert_eq!(description.session, None, "{sdp:?}");
            assert!(!description.continues(&description.clone()));
        }
    }

    #[test]
    fn a_candidate_says_its_fragment_in_a_field_or_in_its_text() {
        let text = "candidate:1 1 udp 1 192.0.2.1 9 typ host generation 0 ufrag abcd network-id 1";
        assert_eq!(ufrag_of(text, ""), Some(hash(b"abcd")));
        assert_eq!(ufrag_of(text, "wxyz"), Some(hash(b"wxyz")));
        assert_eq!(ufrag_of("candidate:1 1 udp 1 192.0.2.1 9 typ host", ""), None);
        assert_eq!(ufrag_of("candidate:1 1 udp ufrag", ""), None);
    }
}
