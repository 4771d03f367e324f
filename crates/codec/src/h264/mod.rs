//! H.264, by OpenH264: constrained baseline, Annex B byte stream.

mod decoder;
mod encoder;
mod native;

pub(crate) use decoder::H264Decoder;
pub(crate) use encoder::H264Encoder;

/// Whether OpenH264 runs assembly, and not its C++ alone, which is slower.
///
/// On x86 it is built with assembly if `nasm` was found when this crate was
/// compiled; without it the build succeeds all the same, in silence. On Arm the
/// compiler is all it takes. Asks by starting an encoder of 16 × 16, which says
/// what CPU features it will use: ask once, for the log.
#[must_use]
pub fn has_assembly() -> bool {
    native::cpu_features().is_some_and(|features| features != 0)
}

/// Whether a picture is of a size that level 5.2 has and OpenH264 takes, either
/// way up.
const fn fits(width: usize, height: usize) -> bool {
    let (long, short) = if width > height { (width, height) } else { (height, width) };
    long <= MAX_LONG as usize && short <= MAX_SHORT as usize
}

/// What OpenH264's encoder is documented to take. Its decoder stops a little
/// later, at the 36,864 macroblocks of level 5.2 (ITU-T H.264, Table A-1).
const MAX_LONG: u16 = 3_840;

const MAX_SHORT: u16 = 2_160;
