//! What becomes pictures and sound: sequences of frames that are whole, cut, changed, missing,
//! or of no encoder at all.

mod script;
mod sound;
mod uncompressed;
mod video;

pub use self::script::{STREAMS, Stream};
pub use self::sound::decode_opus;
pub use self::uncompressed::decode_pixels;
pub use self::video::{decode_h264, decode_vp8, decode_vp9};
