//! Fields off the front of a packet's body, each with the name it has in an error.

use bytes::{Buf, Bytes};

use super::RtcpError;

#[derive(Clone, Debug)]
pub(super) struct Fields(Bytes);

impl Fields {
    pub(super) const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, RtcpError> {
        self.0.try_get_u8().map_err(|_| RtcpError::Truncated { field })
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, RtcpError> {
        self.0.try_get_u16().map_err(|_| RtcpError::Truncated { field })
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, RtcpError> {
        self.0.try_get_u32().map_err(|_| RtcpError::Truncated { field })
    }

    /// The next `len` octets, without a copy.
    pub(super) fn take(&mut self, len: usize, field: &'static str) -> Result<Bytes, RtcpError> {
        if self.0.len() < len {
            return Err(RtcpError::Truncated { field });
        }
        Ok(self.0.split_to(len))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All that is left.
    pub(super) fn rest(self) -> Bytes {
        self.0
    }

    /// That no more is left than what fills a word. What the filling is does not
    /// matter: there are senders that count it where it should be zero.
    pub(super) fn finish_word(self, field: &'static str) -> Result<(), RtcpError> {
        match self.0.len() {
            0..4 => Ok(()),
            len => Err(RtcpError::TrailingBytes { field, len }),
        }
    }

    /// That nothing is left.
    pub(super) fn finish(self, field: &'static str) -> Result<(), RtcpError> {
        match self.0.len() {
            0 => Ok(()),
            len => Err(RtcpError::TrailingBytes { field, len }),
        }
    }
}
