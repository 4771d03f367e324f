//! H.264, by OpenH264: constrained baseline, Annex B byte stream.

mod decoder;
mod encoder;
mod native;

pub(crate) use decoder::H264Decoder;
pub(crate) use encoder::H264Encoder;
#[cfg(feature = "cisco")]
pub use native::Library;

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

/// Packets that may be under way at once without one being allocated: a second at 30 a
/// second. Who holds more pays for them as they come.
const POOLED: usize = 32;
