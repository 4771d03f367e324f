//! The octets before a fragment of a VP9 frame.

use crate::rtp::PayloadError;
use crate::rtp::picture_id::{self, octet};

/// What a descriptor says, as far as it matters here.
#[derive(Debug)]
pub(super) struct Descriptor {
    /// A layer frame begins here.
    pub(super) begin: bool,
    /// A layer frame ends here.
    pub(super) end: bool,
    /// The layer frame refers to an earlier picture.
    pub(super) inter: bool,
    pub(super) picture_id: Option<u16>,
    /// The spatial layer. Without layer indices there is only layer 0.
    pub(super) spatial: u8,
    /// The layer frame refers to that of the spatial layer below, in this picture.
    pub(super) above: bool,
    /// Bytes that it has.
    pub(super) len: usize,
}

impl Descriptor {
    /// Reserved bits are not looked at, as RFC 9628 §4.2 has it.
    ///
    /// # Errors
    ///
    /// `Truncated`, if the bytes end within the descriptor, or with it. `BadValue`, if
    /// the mode is flexible and there is no picture ID, or if a fourth reference is
    /// announced.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, PayloadError> {
        let mut rest = payload;
        let first = octet(&mut rest, "payload descriptor")?;
        let (mut picture_id, mut spatial, mut above) = (None, 0, false);
        if first & I != 0 {
            picture_id = Some(picture_id::parse(&mut rest)?);
        } else if first & F != 0 {
            return Err(PayloadError::BadValue { field: "I", value: 0 });
        }
        if first & L != 0 {
            let layer = octet(&mut rest, "layer indices")?;
            spatial = layer >> SID_SHIFT & SID;
            above = layer & D != 0;
            if first & F == 0 {
                octet(&mut rest, "TL0PICIDX")?;
            }
        }
        if first & (F | P) == F | P {
            references(&mut rest)?;
        }
        if first & V != 0 {
            structure(&mut rest)?;
        }
        if rest.is_empty() {
            return Err(PayloadError::Truncated { field: "payload" });
        }
        Ok(Self {
            begin: first & B != 0,
            end: first & E != 0,
            inter: first & P != 0,
            picture_id,
            spatial,
            above,
            len: payload.len() - rest.len(),
        })
    }
}

/// RFC 9628 §4.2: each reference says whether another follows.
fn references(rest: &mut &[u8]) -> Result<(), PayloadError> {
    for _ in 0..MAX_REFERENCES {
        if octet(rest, "P_DIFF")? & MORE == 0 {
            return Ok(());
        }
    }
    Err(PayloadError::BadValue { field: "N", value: 1 })
}

/// RFC 9628 §4.2.1.
fn structure(rest: &mut &[u8]) -> Result<(), PayloadError> {
    let first = octet(rest, "scalability structure")?;
    if first & Y != 0 {
        // Width and height of each layer, two octets each.
        let layers = usize::from(first >> N_S_SHIFT) + 1;
        skip(rest, 4 * layers, "layer sizes")?;
    }
    if first & G != 0 {
        for _ in 0..octet(rest, "N_G")? {
            let picture = octet(rest, "picture group")?;
            skip(rest, usize::from(picture >> R_SHIFT & R), "picture group")?;
        }
    }
    Ok(())
}

fn skip(bytes: &mut &[u8], len: usize, field: &'static str) -> Result<(), PayloadError> {
    *bytes = bytes.get(len..).ok_or(PayloadError::Truncated { field })?;
    Ok(())
}

/// RFC 9628 §4.2: a picture ID is present.
pub(super) const I: u8 = 0x80;
/// RFC 9628 §4.2: the layer frame refers to an earlier picture.
pub(super) const P: u8 = 0x40;
/// RFC 9628 §4.2: layer indices are present.
const L: u8 = 0x20;
/// RFC 9628 §4.2: flexible mode.
const F: u8 = 0x10;
/// RFC 9628 §4.2: a layer frame begins.
pub(super) const B: u8 = 0x08;
/// RFC 9628 §4.2: a layer frame ends.
pub(super) const E: u8 = 0x04;
/// RFC 9628 §4.2: a scalability structure is present.
pub(super) const V: u8 = 0x02;
/// RFC 9628 §4.2: no higher spatial layer refers to this one.
pub(super) const Z: u8 = 0x01;
/// RFC 9628 §4.2, layer indices: where the spatial layer is.
const SID_SHIFT: u8 = 1;
/// RFC 9628 §4.2: three bits of spatial layer.
const SID: u8 = 0x07;
/// RFC 9628 §4.2, layer indices: the layer below is referred to.
const D: u8 = 0x01;
/// RFC 9628 §4.2: `N`, another reference follows.
const MORE: u8 = 0x01;
/// RFC 9628 §4.2: P_DIFF is there up to three times.
const MAX_REFERENCES: usize = 3;
/// RFC 9628 §4.2.1: the number of spatial layers, less one, is in the top three bits.
const N_S_SHIFT: u8 = 5;
/// RFC 9628 §4.2.1: the size of each layer is present.
pub(super) const Y: u8 = 0x10;
/// RFC 9628 §4.2.1: a picture group is present.
const G: u8 = 0x08;
/// RFC 9628 §4.2.1: where the number of a picture's references is.
const R_SHIFT: u8 = 2;
/// RFC 9628 §4.2.1: two bits of it.
const R: u8 = 0x03;
