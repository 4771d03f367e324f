//! Fields off the front of a body, each with the name it has in an error.

use bytes::{Buf, Bytes};

use crate::ParseError;

#[derive(Debug)]
pub(crate) struct Reader(Bytes);

impl Reader {
    pub(crate) const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, ParseError> {
        self.0.try_get_u8().map_err(|_| ParseError::Truncated { field })
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, ParseError> {
        self.0.try_get_u16().map_err(|_| ParseError::Truncated { field })
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, ParseError> {
        self.0.try_get_u32().map_err(|_| ParseError::Truncated { field })
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, ParseError> {
        self.0.try_get_u64().map_err(|_| ParseError::Truncated { field })
    }

    pub(crate) fn uuid(&mut self, field: &'static str) -> Result<[u8; 16], ParseError> {
        let mut bytes = [0; 16];
        match self.0.try_copy_to_slice(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(_) => Err(ParseError::Truncated { field }),
        }
    }

    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, ParseError> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(ParseError::BadValue { field, value: value.into() }),
        }
    }

    /// A byte that is kept for later versions.
    pub(crate) fn reserved(&mut self) -> Result<(), ParseError> {
        match self.u8("reserved")? {
            0 => Ok(()),
            value => Err(ParseError::BadValue { field: "reserved", value: value.into() }),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All that is left, without a copy.
    pub(crate) fn rest(self) -> Bytes {
        self.0
    }

    /// That nothing is left.
    pub(crate) fn finish(self) -> Result<(), ParseError> {
        match self.0.len() {
            0 => Ok(()),
            len => Err(ParseError::TrailingBytes { len }),
        }
    }
}
