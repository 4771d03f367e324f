//! Keys of SRTP (RFC 3711) as mediasoup exchanges them.

use std::fmt;

use serde_json::{Value, json};

/// How packets are protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SrtpSuite {
    /// RFC 7714, 16-byte tag.
    AeadAes128Gcm,
    /// RFC 7714, 16-byte tag.
    AeadAes256Gcm,
    /// RFC 4568 §6.2.2, 4-byte tag: the shortest, for links where each byte counts.
    AesCm128HmacSha1_32,
    /// RFC 4568 §6.2.1, 10-byte tag: what mediasoup takes if nothing is said.
    AesCm128HmacSha1_80,
}

impl SrtpSuite {
    /// As mediasoup has it (`SrtpCryptoSuite`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
        }
    }

    /// Master key and salt, in bytes (RFC 3711 §8.2, RFC 7714 §12).
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm => 16 + 12,
            Self::AeadAes256Gcm => 32 + 12,
            Self::AesCm128HmacSha1_32 | Self::AesCm128HmacSha1_80 => 16 + 14,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        let all = [
            Self::AeadAes128Gcm,
            Self::AeadAes256Gcm,
            Self::AesCm128HmacSha1_32,
            Self::AesCm128HmacSha1_80,
        ];
        all.into_iter().find(|suite| suite.name() == name)
    }
}

/// A suite, and the key of one direction. Its `Debug` does not show the key.
///
/// ```
/// use paceline_publish::mediasoup::{SrtpParameters, SrtpSuite};
///
/// let random = [7; 30];
/// let ours = SrtpParameters::new(SrtpSuite::AesCm128HmacSha1_80, &random)?;
/// assert_eq!(ours.key(), random);
/// assert!(!format!("{ours:?}").contains('7'));
/// # Ok::<(), paceline_publish::mediasoup::KeyLengthError>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct SrtpParameters {
    suite: SrtpSuite,
    key: Vec<u8>,
}

/// A key that is not as long as its suite has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a key of {len} bytes where {expected} are needed")]
pub struct KeyLengthError {
    /// Of what was given, in bytes.
    pub len: usize,
    /// Of key and salt together, in bytes.
    pub expected: usize,
}

impl SrtpParameters {
    /// A key: random bytes, master key and then salt.
    ///
    /// # Errors
    ///
    /// If there are not [`SrtpSuite::key_len`] of them.
    pub fn new(suite: SrtpSuite, key: &[u8]) -> Result<Self, KeyLengthError> {
        let (len, expected) = (key.len(), suite.key_len());
        if len != expected {
            return Err(KeyLengthError { len, expected });
        }
        Ok(Self { suite, key: key.to_vec() })
    }

    /// How packets are protected.
    #[must_use]
    pub const fn suite(&self) -> SrtpSuite {
        self.suite
    }

    /// Master key and salt. A secret.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Reads `cryptoSuite` and `keyBase64`; none if they are not there or do not fit.
    pub(crate) fn parse(value: &Value) -> Option<Self> {
        let suite = SrtpSuite::parse(value.get("cryptoSuite")?.as_str()?)?;
        let key = from_base64(value.get("keyBase64")?.as_str()?)?;
        Self::new(suite, &key).ok()
    }

    /// As mediasoup takes it.
    pub(crate) fn emit(&self) -> Value {
        json!({ "cryptoSuite": self.suite.name(), "keyBase64": to_base64(&self.key) })
    }
}

impl fmt::Debug for SrtpParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpParameters").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// RFC 4648 §4.
fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place)) & 63;
            let letter = char::from(ALPHABET[index as usize]);
            text.push(if place > chunk.len() { '=' } else { letter });
        }
    }
    text
}

/// RFC 4648 §4, of at most [`MAX_KEY_TEXT`] letters.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) || text.len() > MAX_KEY_TEXT {
        return None;
    }
    let letters = text.trim_end_matches('=');
    if text.len() - letters.len() > 2 {
        return None;
    }
    let (mut bits, mut held) = (0_u32, 0);
    let mut bytes = Vec::with_capacity(letters.len() / 4 * 3 + 2);
    for letter in letters.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    // What is left over is padding, and has to be zero.
    (bits & ((1 << held) - 1) == 0).then_some(bytes)
}

/// RFC 4648 table 1.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The longest key has 44 bytes, 60 letters.
const MAX_KEY_TEXT: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{from_base64, to_base64};

    /// RFC 4648 §10.
    #[test]
    fn base64_is_that_of_the_rfc() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in vectors {
            assert_eq!(to_base64(bytes.as_bytes()), text);
            assert_eq!(from_base64(text).as_deref(), Some(bytes.as_bytes()));
        }
        for text in ["Zg=", "Zg", "Zh==", "Z===", "Zg==Zg==", "Zm\n9", "Zm9*"] {
            assert_eq!(from_base64(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn base64_gives_back_what_it_took(bytes in prop::collection::vec(any::<u8>(), 0..90)) {
            prop_assert_eq!(from_base64(&to_base64(&bytes)), Some(bytes));
        }
    }
}
