//! The calls into OpenH264's decoder.
//!
//! Its safe wrapper wants an OpenH264 of its own for each decoder, which of a shared library
//! would be the file loaded once more; hence the raw interface.

use std::ffi::{c_int, c_long};
use std::marker::PhantomData;
use std::sync::Arc;
use std::{fmt, ptr, slice};

use openh264_sys2::{
    API, DECODER_OPTION, DECODER_OPTION_NUM_OF_FRAMES_REMAINING_IN_BUFFER,
    DECODER_OPTION_TRACE_LEVEL, DynamicAPI, ISVCDecoder, ISVCDecoderVtbl, SBufferInfo,
    SDecodingParam, SSysMEMBuffer, WELS_LOG_QUIET,
};

use super::{Code, NO_METHOD, check};

/// A decoder of OpenH264's. What is missing it does not make up.
pub(in super::super) struct NativeDecoder {
    /// Whose decoder it is; keeps the code loaded.
    api: Arc<DynamicAPI>,
    /// Never null; ours alone; destroyed by `drop`.
    decoder: *mut ISVCDecoder,
}

// SAFETY: the decoder has no tie to the thread that made it, runs no threads of its own
// (which is its default), and nobody else has the pointer.
unsafe impl Send for NativeDecoder {}

impl NativeDecoder {
    /// One that has seen nothing.
    pub(in super::super) fn start(api: Arc<DynamicAPI>) -> Result<Self, Code> {
        let mut decoder = ptr::null_mut();
        // SAFETY: `decoder` is a valid place for the pointer.
        check_long(unsafe { api.WelsCreateDecoder(&raw mut decoder) })?;
        if decoder.is_null() {
            return Err(NO_METHOD);
        }
        let this = Self { api, decoder };
        let initialize = this.methods().Initialize.ok_or(NO_METHOD)?;
        // All zeros: an AVC stream, whole pictures, no concealment of errors.
        let params = SDecodingParam::default();
        // SAFETY: `params` is complete and is only read.
        check_long(unsafe { initialize(this.decoder, &raw const params) })?;
        let set = this.methods().SetOption.ok_or(NO_METHOD)?;
        let mut level: c_int = WELS_LOG_QUIET;
        let place = (&raw mut level).cast();
        // SAFETY: the option takes an `int`, and the pointer to it is not kept.
        check_long(unsafe { set(this.decoder, DECODER_OPTION_TRACE_LEVEL, place) })?;
        Ok(this)
    }

    /// Decodes an access unit of less than 2 GiB. `None` if there is no picture in it.
    pub(in super::super) fn decode(&mut self, data: &[u8]) -> Result<Option<Picture<'_>>, Code> {
        let decode = self.methods().DecodeFrameNoDelay.ok_or(NO_METHOD)?;
        let len = c_int::try_from(data.len()).map_err(|_| TOO_LONG)?;
        let mut planes: [*mut u8; 3] = [ptr::null_mut(); 3];
        let mut info = SBufferInfo::default();
        let places = planes.as_mut_ptr();
        // SAFETY: `data` is read only, during the call; there are places for three
        // pointers and for the answer.
        check(unsafe { decode(self.decoder, data.as_ptr(), len, places, &raw mut info) })?;
        if info.iBufferStatus == 0 && self.held()? > 0 {
            let flush = self.methods().FlushFrame.ok_or(NO_METHOD)?;
            // SAFETY: as above.
            check(unsafe { flush(self.decoder, places, &raw mut info) })?;
        }
        if info.iBufferStatus == 0 || planes.iter().any(|plane| plane.is_null()) {
            return Ok(None);
        }
        // SAFETY: a union of one member, which the decoder has filled.
        let buffer = unsafe { info.UsrData.sSystemBuffer };
        Ok(Some(Picture { planes, buffer, decoder: PhantomData }))
    }

    /// Pictures that are decoded and were not given out.
    fn held(&mut self) -> Result<c_int, Code> {
        const HELD: DECODER_OPTION = DECODER_OPTION_NUM_OF_FRAMES_REMAINING_IN_BUFFER;
        let get = self.methods().GetOption.ok_or(NO_METHOD)?;
        let mut held: c_int = 0;
        // SAFETY: the option answers with an `int`, for which this is a place.
        check_long(unsafe { get(self.decoder, HELD, (&raw mut held).cast()) })?;
        Ok(held)
    }

    fn methods(&self) -> &ISVCDecoderVtbl {
        // SAFETY: a decoder starts with a pointer to its table of methods, which lives as
        // long as the code that `api` keeps loaded.
        unsafe { &**self.decoder }
    }
}

impl Drop for NativeDecoder {
    fn drop(&mut self) {
        if let Some(uninitialize) = self.methods().Uninitialize {
            // SAFETY: the pointer is the decoder's; of one that was never initialized this
            // does nothing. There is nothing to be done if it fails.
            let _ = unsafe { uninitialize(self.decoder) };
        }
        // SAFETY: the pointer came from `WelsCreateDecoder`, and this is its last use.
        unsafe { self.api.WelsDestroyDecoder(self.decoder) };
    }
}

impl fmt::Debug for NativeDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeDecoder").finish_non_exhaustive()
    }
}

/// A decoded picture, in the decoder's own memory.
pub(in super::super) struct Picture<'a> {
    /// None is null.
    planes: [*mut u8; 3],
    buffer: SSysMEMBuffer,
    decoder: PhantomData<&'a NativeDecoder>,
}

impl<'a> Picture<'a> {
    /// Width and height.
    pub(in super::super) fn size(&self) -> (usize, usize) {
        let side = |side: c_int| usize::try_from(side).unwrap_or(0);
        (side(self.buffer.iWidth), side(self.buffer.iHeight))
    }

    /// One row of a plane: 0 is luma, 1 and 2 are the chroma. `None` if there is no such.
    pub(in super::super) fn row(&self, plane: usize, row: usize) -> Option<&'a [u8]> {
        let (width, height) = match (plane, self.size()) {
            (0, size) => size,
            (_, (width, height)) => (width.div_ceil(2), height.div_ceil(2)),
        };
        let start = *self.planes.get(plane)?;
        let stride = usize::try_from(self.buffer.iStride[plane.min(1)]).ok()?;
        if row >= height || stride < width {
            return None;
        }
        // SAFETY: OpenH264 says that the plane starts there and has `height` rows of
        // `width` bytes, `stride` apart; the row is one of them. They stay until the next
        // call, which the borrow of the decoder puts off.
        Some(unsafe { slice::from_raw_parts(start.add(row * stride), width) })
    }
}

fn check_long(code: c_long) -> Result<(), Code> {
    if code == 0 { Ok(()) } else { Err(Code(i32::try_from(code).unwrap_or(i32::MAX))) }
}

/// More bytes than C counts here. OpenH264 has no code for that.
const TOO_LONG: Code = Code(-2);
