//! Fields off the front of a body, each with the name it has in an error.

use std::mem;
use std::num::NonZeroU32;

use paceline_types::{Epoch, Frequency, MediaTime, StreamId};

use crate::ParseError;

#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    #[inline]
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], ParseError> {
        match self.0.split_first_chunk() {
            Some((bytes, rest)) => {
                self.0 = rest;
                Ok(*bytes)
            }
            None => Err(ParseError::Truncated { field }),
        }
    }

    #[inline]
    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, ParseError> {
        self.array(field).map(u8::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, ParseError> {
        self.array(field).map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, ParseError> {
        self.array(field).map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, ParseError> {
        self.array(field).map(u64::from_be_bytes)
    }

    pub(crate) fn uuid(&mut self, field: &'static str) -> Result<[u8; 16], ParseError> {
        self.array(field)
    }

    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, ParseError> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(ParseError::BadValue { field, value: value.into() }),
        }
    }

    pub(crate) fn epoch(&mut self) -> Result<Epoch, ParseError> {
        self.u64("epoch").map(Epoch::from_bits)
    }

    pub(crate) fn stream(&mut self) -> Result<StreamId, ParseError> {
        self.u16("stream").map(StreamId::new)
    }

    pub(crate) fn frequency(&mut self, field: &'static str) -> Result<Frequency, ParseError> {
        let hz = NonZeroU32::new(self.u32(field)?);
        hz.map(Frequency::new).ok_or(ParseError::BadValue { field, value: 0 })
    }

    pub(crate) fn media_time(
        &mut self,
        field: &'static str,
        clock: Frequency,
    ) -> Result<MediaTime, ParseError> {
        Ok(MediaTime::new(self.u64(field)?, clock))
    }

    /// One of `table`, by its place counted from 1.
    pub(crate) fn code<T: Copy>(
        &mut self,
        field: &'static str,
        table: &[T],
    ) -> Result<T, ParseError> {
        let code = self.u8(field)?;
        usize::from(code)
            .checked_sub(1)
            .and_then(|place| table.get(place).copied())
            .ok_or(ParseError::BadValue { field, value: code.into() })
    }

    /// The next `len` bytes as text.
    pub(crate) fn text_of(
        &mut self,
        len: usize,
        field: &'static str,
    ) -> Result<String, ParseError> {
        let Some((bytes, rest)) = self.0.split_at_checked(len) else {
            return Err(ParseError::Truncated { field });
        };
        self.0 = rest;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| ParseError::BadText { field })
    }

    /// All that is left as text.
    pub(crate) fn text(&mut self, field: &'static str) -> Result<String, ParseError> {
        self.text_of(self.len(), field)
    }

    /// What `item` reads, as often as there is something left.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let mut items = Vec::new();
        while !self.is_empty() {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// A byte that is kept for later versions.
    pub(crate) fn reserved(&mut self) -> Result<(), ParseError> {
        match self.u8("reserved")? {
            0 => Ok(()),
            value => Err(ParseError::BadValue { field: "reserved", value: value.into() }),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn take_rest(&mut self) -> &'a [u8] {
        mem::take(&mut self.0)
    }

    /// That nothing is left.
    pub(crate) fn finish(self) -> Result<(), ParseError> {
        match self.len() {
            0 => Ok(()),
            len => Err(ParseError::TrailingBytes { len }),
        }
    }
}
