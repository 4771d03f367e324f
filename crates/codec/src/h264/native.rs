//! The calls into OpenH264's encoder, and nothing else.
//!
//! Its safe wrapper fixes the maximum bitrate at the first target, so that the
//! rate could never be raised; hence the raw interface.
#![expect(unsafe_code, reason = "OpenH264's encoder has a C interface")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::ptr;

use bytes::{Bytes, BytesMut};
use openh264_sys2::{
    API, CAMERA_VIDEO_REAL_TIME, CM_SMPTE170M, CONSTANT_ID, CP_SMPTE170M, DynamicAPI,
    ENCODER_OPTION, ENCODER_OPTION_BITRATE, ENCODER_OPTION_TRACE_CALLBACK,
    ENCODER_OPTION_TRACE_CALLBACK_CONTEXT, ENCODER_OPTION_TRACE_LEVEL, ISVCEncoder,
    ISVCEncoderVtbl, LOW_COMPLEXITY, PRO_BASELINE, RC_BITRATE_MODE, SBitrateInfo,
    SCREEN_CONTENT_REAL_TIME, SEncParamExt, SFrameBSInfo, SM_SINGLE_SLICE, SPATIAL_LAYER_ALL,
    SSourcePicture, TRC_SMPTE170M, UNSPECIFIED_BIT_RATE, VF_UNDEF, WELS_LOG_INFO, WELS_LOG_QUIET,
    WelsTraceCallback, videoFormatI420, videoFrameTypeIDR,
};
use paceline_types::VideoFrame;

/// What the encoder is started with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameters {
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) bits_per_second: i32,
    pub(super) max_frame_rate: u8,
    pub(super) screen: bool,
}

/// A code of OpenH264's, not zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code(pub(super) i32);

/// What came of one picture that was not skipped.
pub(super) struct AccessUnit {
    pub(super) idr: bool,
    pub(super) data: Bytes,
}

/// An encoder of OpenH264's.
pub(super) struct Native {
    api: DynamicAPI,
    /// Never null; ours alone; destroyed by `drop`.
    encoder: *mut ISVCEncoder,
}

// SAFETY: the encoder has no tie to the thread that made it, runs no threads of
// its own (`iMultipleThreadIdc` is 1), and nobody else has the pointer.
unsafe impl Send for Native {}

impl Native {
    /// A running encoder. It makes an IDR of its first picture.
    pub(super) fn start(parameters: Parameters) -> Result<Self, Code> {
        let mut native = Self::create()?;
        let mut level: c_int = WELS_LOG_QUIET;
        native.set_option(ENCODER_OPTION_TRACE_LEVEL, &mut level)?;
        native.initialize(parameters)?;
        Ok(native)
    }

    /// Aims at another bitrate from the next picture on.
    pub(super) fn set_bitrate(&mut self, bits_per_second: i32) -> Result<(), Code> {
        let mut info = SBitrateInfo { iLayer: SPATIAL_LAYER_ALL, iBitrate: bits_per_second };
        self.set_option(ENCODER_OPTION_BITRATE, &mut info)
    }

    /// Makes an IDR of the next picture, which is then not skipped.
    pub(super) fn force_idr(&mut self) -> Result<(), Code> {
        let force = self.methods().ForceIntraFrame.ok_or(NO_METHOD)?;
        // SAFETY: the encoder is initialized, and `&mut self` makes us its only user.
        check(unsafe { force(self.encoder, true) })
    }

    /// Encodes a picture of the size that the encoder was started with. `None` if
    /// the rate control skipped it.
    pub(super) fn encode(
        &mut self,
        frame: &VideoFrame,
        millis: i64,
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

        let mut data =
            BytesMut::with_capacity(usize::try_from(info.iFrameSizeInBytes).unwrap_or(0));
        let layers = usize::try_from(info.iLayerNum).unwrap_or(0);
        for layer in info.sLayerInfo.iter().take(layers) {
            let nal_units = usize::try_from(layer.iNalCount).unwrap_or(0);
            if nal_units == 0 || layer.pNalLengthInByte.is_null() || layer.pBsBuf.is_null() {
                continue;
            }
            // SAFETY: the encoder says that there are so many lengths, and that so
            // many bytes lie one behind the other in its buffer, which stays as it
            // is until the next call; both are copied before that.
            let bytes = unsafe {
                let lengths = std::slice::from_raw_parts(layer.pNalLengthInByte, nal_units);
                let len = lengths.iter().map(|len| usize::try_from(*len).unwrap_or(0)).sum();
                std::slice::from_raw_parts(layer.pBsBuf, len)
            };
            data.extend_from_slice(bytes);
        }
        if data.is_empty() {
            return Ok(None);
        }
        let idr = info.eFrameType == videoFrameTypeIDR;
        Ok(Some(AccessUnit { idr, data: data.freeze() }))
    }

    /// An encoder that has yet to be initialized: until then it takes options of
    /// its trace only.
    fn create() -> Result<Self, Code> {
        let api = DynamicAPI::from_source();
        let mut encoder = ptr::null_mut();
        // SAFETY: `encoder` is a valid place for the pointer.
        check(unsafe { api.WelsCreateSVCEncoder(&raw mut encoder) })?;
        if encoder.is_null() {
            return Err(NO_METHOD);
        }
        Ok(Self { api, encoder })
    }

    fn initialize(&mut self, parameters: Parameters) -> Result<(), Code> {
        let defaults = self.methods().GetDefaultParams.ok_or(NO_METHOD)?;
        let initialize = self.methods().InitializeExt.ok_or(NO_METHOD)?;
        let mut params = SEncParamExt::default();
        // SAFETY: `params` is a valid place for the answer.
        check(unsafe { defaults(self.encoder, &raw mut params) })?;

        let (width, height) = (parameters.width.into(), parameters.height.into());
        params.iPicWidth = width;
        params.iPicHeight = height;
        params.fMaxFrameRate = parameters.max_frame_rate.into();
        params.iUsageType =
            if parameters.screen { SCREEN_CONTENT_REAL_TIME } else { CAMERA_VIDEO_REAL_TIME };
        params.iRCMode = RC_BITRATE_MODE;
        params.bEnableFrameSkip = true;
        params.iTargetBitrate = parameters.bits_per_second;
        params.iMaxBitrate = UNSPECIFIED_BIT_RATE as c_int;
        params.iComplexityMode = LOW_COMPLEXITY;
        params.iMultipleThreadIdc = 1;
        // IDRs come when they are asked for. Screen mode insists on its scene
        // change detection, turns it on again, and says so in a trace.
        params.uiIntraPeriod = 0;
        params.bEnableSceneChangeDetect = parameters.screen;
        params.bEnableBackgroundDetection = !parameters.screen;
        params.bEnableAdaptiveQuant = false;
        // Every IDR brings its parameter sets; one that replaces another has its id.
        params.eSpsPpsIdStrategy = CONSTANT_ID;
        params.iEntropyCodingModeFlag = 0;
        params.iSpatialLayerNum = 1;
        params.iTemporalLayerNum = 1;

        let layer = &mut params.sSpatialLayers[0];
        layer.iVideoWidth = width;
        layer.iVideoHeight = height;
        layer.fFrameRate = params.fMaxFrameRate;
        layer.iSpatialBitrate = parameters.bits_per_second;
        layer.iMaxSpatialBitrate = UNSPECIFIED_BIT_RATE as c_int;
        layer.uiProfileIdc = PRO_BASELINE;
        layer.sSliceArgument.uiSliceMode = SM_SINGLE_SLICE;
        layer.sSliceArgument.uiSliceNum = 1;
        // A decoder that is told nothing takes HD for BT.709.
        layer.bVideoSignalTypePresent = true;
        layer.uiVideoFormat = VF_UNDEF as u8;
        layer.bFullRange = false;
        layer.bColorDescriptionPresent = true;
        layer.uiColorPrimaries = CP_SMPTE170M as u8;
        layer.uiTransferCharacteristics = TRC_SMPTE170M as u8;
        layer.uiColorMatrix = CM_SMPTE170M as u8;

        // SAFETY: `params` is complete and is only read.
        check(unsafe { initialize(self.encoder, &raw const params) })
    }

    fn set_option<T>(&mut self, option: ENCODER_OPTION, value: &mut T) -> Result<(), Code> {
        let set = self.methods().SetOption.ok_or(NO_METHOD)?;
        // SAFETY: each caller passes the type that its option has in `codec_api.h`,
        // and the encoder does not keep the pointer to it.
        check(unsafe { set(self.encoder, option, ptr::from_mut(value).cast()) })
    }

    fn methods(&self) -> &ISVCEncoderVtbl {
        // SAFETY: an encoder starts with a pointer to its table of methods, which
        // lives as long as the program.
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

/// The CPU features that OpenH264 was built to use and found here, as a bit mask
/// of its own; `None` if it does not say.
pub(super) fn cpu_features() -> Option<u32> {
    let mut features: Option<u32> = None;
    let mut native = Native::create().ok()?;
    let mut context: *mut c_void = (&raw mut features).cast();
    let mut callback: WelsTraceCallback = Some(note_features);
    let mut level: c_int = WELS_LOG_INFO;
    native.set_option(ENCODER_OPTION_TRACE_CALLBACK_CONTEXT, &mut context).ok()?;
    native.set_option(ENCODER_OPTION_TRACE_CALLBACK, &mut callback).ok()?;
    native.set_option(ENCODER_OPTION_TRACE_LEVEL, &mut level).ok()?;
    let smallest = Parameters {
        width: 16,
        height: 16,
        bits_per_second: 100_000,
        max_frame_rate: 30,
        screen: false,
    };
    native.initialize(smallest).ok()?;
    drop(native);
    features
}

/// Takes the mask out of the trace line that has it.
///
/// # Safety
///
/// `context` is that of [`cpu_features`], `text` a C string.
unsafe extern "C" fn note_features(context: *mut c_void, _level: c_int, text: *const c_char) {
    // SAFETY: the caller's promise.
    let (features, text) = unsafe { (&mut *context.cast::<Option<u32>>(), CStr::from_ptr(text)) };
    let text = text.to_string_lossy();
    if let Some((_, rest)) = text.split_once("CPU features/capacities (0x")
        && let Some((mask, _)) = rest.split_once(')')
    {
        *features = u32::from_str_radix(mask, 16).ok();
    }
}

const fn check(code: c_int) -> Result<(), Code> {
    if code == 0 { Ok(()) } else { Err(Code(code)) }
}

/// OpenH264 built us an encoder that lacks a method. It has no code for that.
const NO_METHOD: Code = Code(-1);

#[cfg(test)]
mod tests {
    #[test]
    fn openh264_names_its_cpu_features_as_it_starts() {
        assert!(super::cpu_features().is_some());
    }
}
