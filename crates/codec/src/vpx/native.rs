//! The calls into libvpx, by way of `shim.c`, and nothing else.
#![expect(unsafe_code, reason = "libvpx has a C interface")]

use std::ffi::{c_int, c_uint};
use std::marker::{PhantomData, PhantomPinned};
use std::{fmt, ptr, slice};

use paceline_types::VideoFrame;

use super::Vpx;

/// A code that is not zero: above it libvpx's own, below it the shim's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code(pub(super) i32);

/// What an encoder is started with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameters {
    pub(super) codec: Vpx,
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) kilobits: u32,
    pub(super) screen: bool,
    pub(super) max_intra_percent: u32,
}

/// What came of one picture that was not left out.
pub(super) struct Packet<'a> {
    pub(super) data: &'a [u8],
    pub(super) key: bool,
    pub(super) quantizer: u8,
}

/// An encoder of libvpx's.
pub(super) struct Encoder {
    /// Never null; ours alone; freed by `drop`.
    encoder: *mut RawEncoder,
    /// Of the pictures that it takes: width and height.
    size: (u16, u16),
}

// SAFETY: the encoder has no tie to the thread that made it, runs no threads of its own
// (`g_threads` is 1), and nobody else has the pointer.
unsafe impl Send for Encoder {}

impl Encoder {
    /// A running encoder. It makes a key frame of its first picture.
    pub(super) fn start(parameters: Parameters) -> Result<Self, Code> {
        let Parameters { codec, width, height, kilobits, screen, max_intra_percent } = parameters;
        let mut encoder = ptr::null_mut();
        // SAFETY: `encoder` is a valid place for the pointer, which is null unless the code
        // is zero.
        check(unsafe {
            paceline_vpx_encoder_new(
                &raw mut encoder,
                (codec == Vpx::Vp9).into(),
                width.into(),
                height.into(),
                kilobits,
                screen.into(),
                max_intra_percent,
            )
        })?;
        Ok(Self { encoder, size: (width, height) })
    }

    /// Aims at another bitrate from the next picture on.
    pub(super) fn set_bitrate(&mut self, kilobits: u32) -> Result<(), Code> {
        // SAFETY: the encoder runs, and `&mut self` makes us its only user.
        check(unsafe { paceline_vpx_encoder_set_bitrate(self.encoder, kilobits) })
    }

    /// How large a key frame may be, in percent of what a picture has on average.
    pub(super) fn set_max_intra(&mut self, percent: u32) -> Result<(), Code> {
        // SAFETY: as above.
        check(unsafe { paceline_vpx_encoder_set_max_intra(self.encoder, percent) })
    }

    /// Whether the next pictures are of a screen.
    pub(super) fn set_screen(&mut self, screen: bool) -> Result<(), Code> {
        // SAFETY: as above.
        check(unsafe { paceline_vpx_encoder_set_screen(self.encoder, screen.into()) })
    }

    /// Encodes a picture that lasts so many ticks of 90 kHz. `None` if the rate control
    /// left it out.
    pub(super) fn encode(
        &mut self,
        frame: &VideoFrame,
        ticks: u32,
        key: bool,
    ) -> Result<Option<Packet<'_>>, Code> {
        if (frame.width(), frame.height()) != self.size {
            return Err(OTHER_SIZE);
        }
        let mut packet = RawPacket::NONE;
        // SAFETY: the planes are tight I420 of the encoder's size, which `VideoFrame`
        // guarantees; they outlive the call, and the encoder copies them and writes to none.
        // `packet` is a valid place for the answer.
        check(unsafe {
            paceline_vpx_encode(
                self.encoder,
                frame.planes().as_ptr(),
                ticks,
                key.into(),
                &raw mut packet,
            )
        })?;
        if packet.len == 0 || packet.data.is_null() {
            return Ok(None);
        }
        // SAFETY: the encoder says that so many bytes lie there, which stay as they are
        // until the next call; the borrow of `self` ends before that.
        let data = unsafe { slice::from_raw_parts(packet.data, packet.len) };
        let quantizer = u8::try_from(packet.quantizer).unwrap_or(u8::MAX);
        Ok(Some(Packet { data, key: packet.key != 0, quantizer }))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `paceline_vpx_encoder_new`, and this is its last use.
        unsafe { paceline_vpx_encoder_free(self.encoder) };
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

/// A decoder of libvpx's.
pub(super) struct Decoder {
    /// Never null; ours alone; freed by `drop`.
    decoder: *mut RawDecoder,
}

// SAFETY: as the encoder; `threads` is 1.
unsafe impl Send for Decoder {}

impl Decoder {
    /// One that has seen nothing.
    pub(super) fn start(codec: Vpx) -> Result<Self, Code> {
        let mut decoder = ptr::null_mut();
        // SAFETY: `decoder` is a valid place for the pointer, which is null unless the code
        // is zero.
        check(unsafe { paceline_vpx_decoder_new(&raw mut decoder, (codec == Vpx::Vp9).into()) })?;
        Ok(Self { decoder })
    }

    /// Decodes a frame. `None` if it is not to be shown.
    pub(super) fn decode(&mut self, data: &[u8]) -> Result<Option<Picture<'_>>, Code> {
        let len = c_uint::try_from(data.len()).map_err(|_| OTHER_SIZE)?;
        let mut picture = RawPicture::NONE;
        // SAFETY: `data` is read only, during the call; `picture` is a valid place for the
        // answer.
        check(unsafe { paceline_vpx_decode(self.decoder, data.as_ptr(), len, &raw mut picture) })?;
        if picture.width == 0 || picture.height == 0 || picture.planes.iter().any(|p| p.is_null()) {
            return Ok(None);
        }
        Ok(Some(Picture { raw: picture, decoder: PhantomData }))
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `paceline_vpx_decoder_new`, and this is its last use.
        unsafe { paceline_vpx_decoder_free(self.decoder) };
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

/// A decoded picture, in the decoder's own memory.
pub(super) struct Picture<'a> {
    /// 8-bit 4:2:0 of at least 1 × 1, no plane null.
    raw: RawPicture,
    decoder: PhantomData<&'a Decoder>,
}

impl<'a> Picture<'a> {
    /// Width and height.
    pub(super) const fn size(&self) -> (usize, usize) {
        (self.raw.width as usize, self.raw.height as usize)
    }

    /// One row of a plane: 0 is luma, 1 and 2 are the chroma. `None` if there is no such.
    pub(super) fn row(&self, plane: usize, row: usize) -> Option<&'a [u8]> {
        let (width, height) = match (plane, self.size()) {
            (0, size) => size,
            (_, (width, height)) => (width.div_ceil(2), height.div_ceil(2)),
        };
        let (start, stride) = (*self.raw.planes.get(plane)?, *self.raw.strides.get(plane)?);
        let stride =
            isize::try_from(stride).ok().filter(|stride| stride.unsigned_abs() >= width)?;
        if row >= height {
            return None;
        }
        // SAFETY: libvpx says that the plane starts there and has `height` rows of `width`
        // bytes, `stride` apart; the row is one of them. They stay until the next call,
        // which the borrow of the decoder puts off.
        Some(unsafe { slice::from_raw_parts(start.offset(row as isize * stride), width) })
    }
}

const fn check(code: c_int) -> Result<(), Code> {
    if code == 0 { Ok(()) } else { Err(Code(code)) }
}

/// A picture of another size than the encoder's, or a frame of more bytes than C counts. The
/// shim's own codes go down from -1 to -4.
const OTHER_SIZE: Code = Code(-5);

/// Never made nor read here.
#[repr(C)]
struct RawEncoder {
    opaque: [u8; 0],
    unmovable: PhantomData<(*mut u8, PhantomPinned)>,
}

/// Never made nor read here.
#[repr(C)]
struct RawDecoder {
    opaque: [u8; 0],
    unmovable: PhantomData<(*mut u8, PhantomPinned)>,
}

#[repr(C)]
struct RawPacket {
    data: *const u8,
    len: usize,
    key: c_int,
    quantizer: c_int,
}

impl RawPacket {
    const NONE: Self = Self { data: ptr::null(), len: 0, key: 0, quantizer: 0 };
}

#[repr(C)]
struct RawPicture {
    planes: [*const u8; 3],
    strides: [c_int; 3],
    width: c_uint,
    height: c_uint,
}

impl RawPicture {
    const NONE: Self = Self { planes: [ptr::null(); 3], strides: [0; 3], width: 0, height: 0 };
}

// SAFETY: as `shim.c` defines them, which is compiled with this crate.
unsafe extern "C" {
    fn paceline_vpx_encoder_new(
        out: *mut *mut RawEncoder,
        vp9: c_int,
        width: c_uint,
        height: c_uint,
        kilobits: c_uint,
        screen: c_int,
        max_intra_percent: c_uint,
    ) -> c_int;
    fn paceline_vpx_encoder_free(encoder: *mut RawEncoder);
    fn paceline_vpx_encoder_set_bitrate(encoder: *mut RawEncoder, kilobits: c_uint) -> c_int;
    fn paceline_vpx_encoder_set_max_intra(encoder: *mut RawEncoder, percent: c_uint) -> c_int;
    fn paceline_vpx_encoder_set_screen(encoder: *mut RawEncoder, screen: c_int) -> c_int;
    fn paceline_vpx_encode(
        encoder: *mut RawEncoder,
        planes: *const u8,
        ticks: c_uint,
        force_key: c_int,
        packet: *mut RawPacket,
    ) -> c_int;
    fn paceline_vpx_decoder_new(out: *mut *mut RawDecoder, vp9: c_int) -> c_int;
    fn paceline_vpx_decoder_free(decoder: *mut RawDecoder);
    fn paceline_vpx_decode(
        decoder: *mut RawDecoder,
        data: *const u8,
        len: c_uint,
        picture: *mut RawPicture,
    ) -> c_int;
}
