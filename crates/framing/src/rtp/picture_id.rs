//! The picture ID, which the descriptors of VP8 and VP9 share (RFC 7741 §4.2,
//! RFC 9628 §4.2).

use bytes::Buf;

use super::PayloadError;

/// Numbers the pictures of one stream, with fifteen bits from the first on.
///
/// Seven would be legal, but wrap after 128 pictures, which is less than what a receiver
/// may miss.
#[derive(Debug)]
pub(super) struct PictureIds {
    next: u16,
}

impl PictureIds {
    /// The first picture gets the low fifteen bits of `first`.
    pub(super) const fn new(first: u16) -> Self {
        Self { next: first & MAX }
    }

    /// The octets for the next picture.
    pub(super) const fn octets(&self) -> [u8; 2] {
        let [high, low] = self.next.to_be_bytes();
        [M | high, low]
    }

    /// The next picture has been sent.
    pub(super) const fn advance(&mut self) {
        self.next = (self.next + 1) & MAX;
    }
}

/// A picture ID off the front of `rest`, of seven or fifteen bits.
pub(super) fn parse(rest: &mut &[u8]) -> Result<u16, PayloadError> {
    let first = octet(rest, "picture ID")?;
    if first & M == 0 {
        return Ok(first.into());
    }
    Ok(u16::from_be_bytes([first & !M, octet(rest, "picture ID")?]))
}

pub(super) fn octet(rest: &mut &[u8], field: &'static str) -> Result<u8, PayloadError> {
    rest.try_get_u8().map_err(|_| PayloadError::Truncated { field })
}

/// The ID has fifteen bits, not seven.
const M: u8 = 0x80;

/// Fifteen bits.
const MAX: u16 = 0x7fff;
