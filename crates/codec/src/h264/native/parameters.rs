//! What the encoder is told as it starts, and why it is that.

use std::ffi::c_int;

use openh264_sys2::{
    CAMERA_VIDEO_REAL_TIME, CM_SMPTE170M, CONSTANT_ID, CP_SMPTE170M, LOW_COMPLEXITY, PRO_BASELINE,
    RC_BITRATE_MODE, SCREEN_CONTENT_REAL_TIME, SEncParamExt, SM_SINGLE_SLICE, SM_SIZELIMITED_SLICE,
    TRC_SMPTE170M, UNSPECIFIED_BIT_RATE, VF_UNDEF,
};

/// What the encoder is started with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Parameters {
    pub(in super::super) width: u16,
    pub(in super::super) height: u16,
    pub(in super::super) bits_per_second: i32,
    pub(in super::super) frame_rate: f32,
    pub(in super::super) screen: bool,
    /// 1 to 3.
    pub(in super::super) temporal_layers: u8,
    pub(in super::super) max_slice_bytes: Option<u16>,
}

impl Parameters {
    /// Those of the smallest picture there is.
    pub(super) const fn smallest() -> Self {
        Self {
            width: 16,
            height: 16,
            bits_per_second: 100_000,
            frame_rate: 30.0,
            screen: false,
            temporal_layers: 1,
            max_slice_bytes: None,
        }
    }

    /// The same in OpenH264's words, on top of its defaults.
    pub(super) fn complete(&self, mut params: SEncParamExt) -> SEncParamExt {
        let (width, height) = (self.width.into(), self.height.into());
        params.iPicWidth = width;
        params.iPicHeight = height;
        params.fMaxFrameRate = self.frame_rate;
        params.iUsageType =
            if self.screen { SCREEN_CONTENT_REAL_TIME } else { CAMERA_VIDEO_REAL_TIME };
        params.iRCMode = RC_BITRATE_MODE;
        params.bEnableFrameSkip = true;
        params.iTargetBitrate = self.bits_per_second;
        params.iMaxBitrate = UNSPECIFIED_BIT_RATE as c_int;
        params.iMinQp = MIN_QP;
        params.iMaxQp = MAX_QP;
        params.iComplexityMode = LOW_COMPLEXITY;
        params.iMultipleThreadIdc = 1;
        // IDRs come when they are asked for. Screen mode insists on its scene
        // change detection, turns it on again, and says so in a trace.
        params.uiIntraPeriod = 0;
        params.bEnableSceneChangeDetect = self.screen;
        params.bEnableBackgroundDetection = !self.screen;
        params.bEnableAdaptiveQuant = false;
        // Every IDR brings its parameter sets; one that replaces another has its id.
        params.eSpsPpsIdStrategy = CONSTANT_ID;
        params.iEntropyCodingModeFlag = 0;
        params.iSpatialLayerNum = 1;
        let most = if self.screen { MAX_SCREEN_LAYERS } else { MAX_LAYERS };
        params.iTemporalLayerNum = c_int::from(self.temporal_layers.clamp(1, most));

        let layer = &mut params.sSpatialLayers[0];
        layer.iVideoWidth = width;
        layer.iVideoHeight = height;
        layer.fFrameRate = params.fMaxFrameRate;
        layer.iSpatialBitrate = self.bits_per_second;
        layer.iMaxSpatialBitrate = UNSPECIFIED_BIT_RATE as c_int;
        layer.uiProfileIdc = PRO_BASELINE;
        let slices = &mut layer.sSliceArgument;
        match self.max_slice_bytes {
            Some(max) => {
                let max = u32::from(max);
                slices.uiSliceMode = SM_SIZELIMITED_SLICE;
                slices.uiSliceSizeConstraint = max;
                params.uiMaxNalSize = max;
            }
            None => {
                slices.uiSliceMode = SM_SINGLE_SLICE;
                slices.uiSliceNum = 1;
            }
        }
        // A decoder that is told nothing takes HD for BT.709.
        layer.bVideoSignalTypePresent = true;
        layer.uiVideoFormat = VF_UNDEF as u8;
        layer.bFullRange = false;
        layer.bColorDescriptionPresent = true;
        layer.uiColorPrimaries = CP_SMPTE170M as u8;
        layer.uiTransferCharacteristics = TRC_SMPTE170M as u8;
        layer.uiColorMatrix = CM_SMPTE170M as u8;
        params
    }
}

/// Finer than this no picture is quantized. Of OpenH264's own bounds, 12 for a camera
/// and 26 for a screen, the first makes a change of scene on a still desktop 268 KB at
/// 2 Mbit/s (with 20: 206 KB; measured, 1080p, synthetic desktop), and leaves camera
/// pictures as they were; the second leaves text at 36.8 dB (with 20: 39.3). Above 24
/// libwebrtc's lower threshold of quality could not be reached any more.
const MIN_QP: c_int = 20;

/// The coarsest there is. OpenH264's own bounds, 42 and 35, make the picture after a
/// change of scene a tenth larger (screen, 133 KB against 124; measured as above).
const MAX_QP: c_int = 51;

/// More would be a delay of the lowest layer that nobody here has a use for.
const MAX_LAYERS: u8 = 3;

/// With three, OpenH264 2.7.0 ends the process in screen mode: an assertion that there
/// is one reference picture (`UpdateBlockStatic`) fails at the fourth picture. With two
/// it held in 44 runs of 120 and more (measured).
const MAX_SCREEN_LAYERS: u8 = 2;
