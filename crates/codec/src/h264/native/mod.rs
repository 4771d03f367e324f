//! The calls into OpenH264, and nothing else; in this file those into its encoder.
//!
//! Its safe wrapper fixes the maximum bitrate at the first target, so that the
//! rate could never be raised; hence the raw interface.
#![expect(unsafe_code, reason = "OpenH264 has a C interface")]

mod cpu;
mod decoder;
#[cfg(feature = "cisco")]
mod library;
mod parameters;

use std::ffi::{c_float, c_int};
use std::fmt;
use std::ptr;
use std::sync::Arc;

use bytes::Bytes;
use openh264_sys2::{
    API, DynamicAPI, ENCODER_OPTION, ENCODER_OPTION_BITRATE, ENCODER_OPTION_FRAME_RATE,
    ENCODER_OPTION_GET_STATISTICS, ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, ENCODER_OPTION_TRACE_LEVEL,
    ISVCEncoder, ISVCEncoderVtbl, SBitrateInfo, SEncParamExt, SEncoderStatistics, SFrameBSInfo,
    SLayerBSInfo, SPATIAL_LAYER_ALL, SSourcePicture, VIDEO_CODING_LAYER, WELS_LOG_QUIET,
    videoFormatI420, videoFrameTypeIDR,
};
use paceline_types::{Frequency, MediaTime, NtpTime, PixelFormat, Pool, VideoFrame};

pub(super) use cpu::cpu_features;
pub(super) use decoder::NativeDecoder;
#[cfg(feature = "cisco")]
pub use library::Library;
pub(super) use parameters::Parameters;

/// A code of OpenH264's, not zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code(pub(super) i32);

/// What came of one picture that was not skipped.
pub(super) struct AccessUnit {
    pub(super) idr: bool,
    /// Nothing depends on it: `nal_ref_idc` is 0 (ITU-T H.264 §7.4.1).
    pub(super) discardable: bool,
    pub(super) qp: u8,
    pub(super) temporal_layer: u8,
    pub(super) data: Bytes,
}

/// An encoder of OpenH264's.
pub(super) struct Native {
    /// Whose encoder it is; keeps the code loaded.
    api: Arc<DynamicAPI>,
    /// Never null; ours alone; destroyed by `drop`.
    encoder: *mut ISVCEncoder,
}

// SAFETY: the encoder has no tie to the thread that made it, runs no threads of
// its own (`iMultipleThreadIdc` is 1), and nobody else has the pointer.
unsafe impl Send for Native {}

impl Native {
    /// A running encoder. It makes an IDR of its first picture.
    pub(super) fn start(api: Arc<DynamicAPI>, parameters: &Parameters) -> Result<Self, Code> {
        let mut native = Self::create(api)?;
        let mut level: c_int = WELS_LOG_QUIET;
        native.set_option(ENCODER_OPTION_TRACE_LEVEL, &mut level)?;
        native.initialize(parameters)?;
        Ok(native)
    }

    /// The same, where the first IDR is to have another id than the [`FIRST_ID`]: an IDR of
    /// 16 × 16 before it, which nobody gets, takes that one.
    pub(super) fn start_second(
        api: Arc<DynamicAPI>,
        parameters: &Parameters,
        millis: i64,
    ) -> Result<Self, Code> {
        let small = Parameters { width: 16, height: 16, ..*parameters };
        let mut native = Self::start(api, &small)?;
        let grey = vec![128; PixelFormat::I420.bytes(16, 16)].into();
        let time = MediaTime::new(0, Frequency::VIDEO);
        let grey = VideoFrame::new(16, 16, time, NtpTime::default(), grey);
        native.encode(&grey.map_err(|_| NO_METHOD)?, millis, &mut Pool::new(0))?;
        native.change_size(parameters)?;
        Ok(native)
    }

    /// Goes on with pictures of another size, the first of which is an IDR.
    ///
    /// On an error it must not be used any more: OpenH264 has then let go of what
    /// it had, and has nothing instead.
    pub(super) fn change_size(&mut self, parameters: &Parameters) -> Result<(), Code> {
        let mut params = parameters.complete(self.defaults()?);
        self.set_option(ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, &mut params)
    }

    /// Aims at another bitrate from the next picture on.
    pub(super) fn set_bitrate(&mut self, bits_per_second: i32) -> Result<(), Code> {
        let mut info = SBitrateInfo { iLayer: SPATIAL_LAYER_ALL, iBitrate: bits_per_second };
        self.set_option(ENCODER_OPTION_BITRATE, &mut info)
    }

    /// Divides the bitrate by so many pictures a second from the next one on.
    pub(super) fn set_frame_rate(&mut self, frame_rate: f32) -> Result<(), Code> {
        let mut frame_rate: c_float = frame_rate;
        self.set_option(ENCODER_OPTION_FRAME_RATE, &mut frame_rate)
    }

    /// Makes an IDR of the next picture, which is then not skipped.
    pub(super) fn force_idr(&mut self) -> Result<(), Code> {
        let force = self.methods().ForceIntraFrame.ok_or(NO_METHOD)?;
        // SAFETY: the encoder is initialized, and `&mut self` makes us its only user.
        check(unsafe { force(self.encoder, true) })
    }

    /// Encodes a picture of the size that the encoder was started with, into a buffer
    /// of the pool. `None` if the rate control skipped it.
    pub(super) fn encode(
        &mut self,
        frame: &VideoFrame,
        millis: i64,
        packets: &mut Pool,
    ) -> Result<Option<AccessUnit>, Code> {
        let encode = self.methods().EncodeFrame.ok_or(NO_METHOD)?;
        let (luma_stride, chroma_stride) =
            (c_int::from(frame.width()), frame.chroma_width() as c_int);
        let picture = SSourcePicture {
            iColorFormat: videoFormatI420,
            iStride: [luma_stride, chroma_stride, chroma_stride, 0],
            pData: [
                frame.y().as_ptr().cast_mut(),
                frame.u().as_ptr().cast_mut(),
                frame.v().as_ptr().cast_mut(),
                ptr::null_mut(),
            ],
            iPicWidth: frame.width().into(),
            iPicHeight: frame.height().into(),
            uiTimeStamp: millis,
            ..SSourcePicture::default()
        };
        let mut info = SFrameBSInfo::default();
        // SAFETY: the planes outlive the call and have the strides and the size
        // given, which `VideoFrame` guarantees; the encoder copies them before it
        // works on them and writes to none. `info` is a valid place for the answer.
        check(unsafe { encode(self.encoder, &raw const picture, &raw mut info) })?;

        let layers = usize::try_from(info.iLayerNum).unwrap_or(0).min(info.sLayerInfo.len());
        let layers = &info.sLayerInfo[..layers];
        // SAFETY: `info` is what the encoder answered, and it is not called before the
        // last of the slices is gone.
        let chunks = || layers.iter().map(|layer| unsafe { bytes_of(layer) });
        let len: usize = chunks().map(<[u8]>::len).sum();
        if len == 0 {
            return Ok(None);
        }
        let mut data = packets.take(len);
        let mut rest = &mut data[..];
        for chunk in chunks() {
            let (place, behind) = rest.split_at_mut(chunk.len());
            place.copy_from_slice(chunk);
            rest = behind;
        }
        let coded = layers.iter().find(|layer| i32::from(layer.uiLayerType) == VIDEO_CODING_LAYER);
        Ok(Some(AccessUnit {
            idr: info.eFrameType == videoFrameTypeIDR,
            // SAFETY: as above.
            discardable: coded.is_some_and(|layer| is_unreferenced(unsafe { bytes_of(layer) })),
            qp: self.last_qp()?,
            temporal_layer: coded.map_or(0, |layer| layer.uiTemporalId),
            data: packets.share(data),
        }))
    }

    /// The quantizer of the picture encoded last: the mean over the macroblocks that
    /// took bits. It costs the copy of 60 bytes, where the slice header would be parsed
    /// and has that of the first macroblock alone.
    fn last_qp(&mut self) -> Result<u8, Code> {
        let get = self.methods().GetOption.ok_or(NO_METHOD)?;
        let mut statistics = SEncoderStatistics::default();
        let place = (&raw mut statistics).cast();
        // SAFETY: the option answers with a `SEncoderStatistics`, for which this is a place.
        check(unsafe { get(self.encoder, ENCODER_OPTION_GET_STATISTICS, place) })?;
        Ok(u8::try_from(statistics.uiAverageFrameQP).unwrap_or(MAX_QP).min(MAX_QP))
    }

    /// An encoder that has yet to be initialized: until then it takes options of
    /// its trace only.
    fn create(api: Arc<DynamicAPI>) -> Result<Self, Code> {
        let mut encoder = ptr::null_mut();
        // SAFETY: `encoder` is a valid place for the pointer.
        check(unsafe { api.WelsCreateSVCEncoder(&raw mut encoder) })?;
        if encoder.is_null() {
            return Err(NO_METHOD);
        }
        Ok(Self { api, encoder })
    }

    fn initialize(&mut self, parameters: &Parameters) -> Result<(), Code> {
        let initialize = self.methods().InitializeExt.ok_or(NO_METHOD)?;
        let params = parameters.complete(self.defaults()?);
        // SAFETY: `params` is complete and is only read.
        check(unsafe { initialize(self.encoder, &raw const params) })
    }

    fn defaults(&mut self) -> Result<SEncParamExt, Code> {
        let defaults = self.methods().GetDefaultParams.ok_or(NO_METHOD)?;
        let mut params = SEncParamExt::default();
        // SAFETY: `params` is a valid place for the answer.
        check(unsafe { defaults(self.encoder, &raw mut params) })?;
        Ok(params)
    }

    fn set_option<T>(&mut self, option: ENCODER_OPTION, value: &mut T) -> Result<(), Code> {
        let set = self.methods().SetOption.ok_or(NO_METHOD)?;
        // SAFETY: each caller passes the type that its option has in `codec_api.h`,
        // and the encoder does not keep the pointer to it.
        check(unsafe { set(self.encoder, option, ptr::from_mut(value).cast()) })
    }

    fn methods(&self) -> &ISVCEncoderVtbl {
        // SAFETY: an encoder starts with a pointer to its table of methods, which
        // lives as long as the code that `api` keeps loaded.
        unsafe { &**self.encoder }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `WelsCreateSVCEncoder` and is not used after
        // this; destroying uninitializes first.
        unsafe { self.api.WelsDestroySVCEncoder(self.encoder) };
    }
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Native").finish_non_exhaustive()
    }
}

/// OpenH264 as it was compiled into this program.
pub(super) fn from_source() -> Arc<DynamicAPI> {
    Arc::new(DynamicAPI::from_source())
}

/// The NAL units of one layer, one behind the other.
///
/// # Safety
///
/// The layer is of an answer of the encoder's that was not followed by another call.
unsafe fn bytes_of(layer: &SLayerBSInfo) -> &[u8] {
    let nal_units = usize::try_from(layer.iNalCount).unwrap_or(0);
    if nal_units == 0 || layer.pNalLengthInByte.is_null() || layer.pBsBuf.is_null() {
        return &[];
    }
    // SAFETY: the encoder says that there are so many lengths, and that so many bytes
    // lie one behind the other in its buffer, which stays as it is until the next call.
    unsafe {
        let lengths = std::slice::from_raw_parts(layer.pNalLengthInByte, nal_units);
        let len = lengths.iter().map(|len| usize::try_from(*len).unwrap_or(0)).sum();
        std::slice::from_raw_parts(layer.pBsBuf, len)
    }
}

/// Whether the first NAL unit, behind its start code, has a `nal_ref_idc` of 0.
fn is_unreferenced(nal_units: &[u8]) -> bool {
    let header = nal_units.iter().position(|&byte| byte == 1).map(|one| one + 1);
    header.and_then(|at| nal_units.get(at)).is_some_and(|header| header >> 5 & 3 == 0)
}

const fn check(code: c_int) -> Result<(), Code> {
    if code == 0 { Ok(()) } else { Err(Code(code)) }
}

/// OpenH264 built us an encoder that lacks a method. It has no code for that.
const NO_METHOD: Code = Code(-1);

/// What OpenH264 gives the first IDR as `idr_pic_id` (ITU-T H.264 §7.4.3), and counts on
/// from, also over a change of size.
pub(super) const FIRST_ID: u16 = 1;

/// ITU-T H.264 §7.4.2.2: the quantizer of 8-bit video ends there.
const MAX_QP: u8 = 51;
