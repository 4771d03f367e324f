//! What a hostile peer may send, as bodies of fuzz targets.
//!
//! A body takes bytes that nobody vouches for, does with them what a program would, and
//! panics if something is held that should not be, or if what was read is not what is
//! written back. `make fuzz` runs libFuzzer on each; `cargo test -p paceline-fuzz`
//! replays each on its folder of `corpus`, without libFuzzer.

mod decoders;
mod migration;
mod packets;
mod path;
mod publish;
mod queues;
mod rtp;
mod timing;

pub use self::decoders::{
    STREAMS, Stream, decode_h264, decode_opus, decode_pixels, decode_vp8, decode_vp9,
};
pub use self::migration::migration;
pub use self::packets::{bodies, header};
pub use self::path::{estimator, rtp_link, rtp_path};
pub use self::publish::{broadcaster, protoo, publish, sdp};
pub use self::queues::{interleaver, reassembly};
pub use self::rtp::{rtcp, rtp_frames, rtp_h264, rtp_header, rtp_opus, rtp_send, rtp_vp8, rtp_vp9};
pub use self::timing::{drift, jitter_buffer, sync};

/// The body of a target.
pub type Body = fn(&[u8]);

/// Every target: the name of its folder and program, and its body.
pub const TARGETS: [(&str, Body); 28] = [
    ("bodies", bodies),
    ("broadcaster", broadcaster),
    ("decode_h264", decode_h264),
    ("decode_opus", decode_opus),
    ("decode_pixels", decode_pixels),
    ("decode_vp8", decode_vp8),
    ("decode_vp9", decode_vp9),
    ("drift", drift),
    ("estimator", estimator),
    ("header", header),
    ("interleaver", interleaver),
    ("jitter_buffer", jitter_buffer),
    ("migration", migration),
    ("protoo", protoo),
    ("publish", publish),
    ("reassembly", reassembly),
    ("rtcp", rtcp),
    ("rtp_frames", rtp_frames),
    ("rtp_h264", rtp_h264),
    ("rtp_header", rtp_header),
    ("rtp_link", rtp_link),
    ("rtp_opus", rtp_opus),
    ("rtp_path", rtp_path),
    ("rtp_send", rtp_send),
    ("rtp_vp8", rtp_vp8),
    ("rtp_vp9", rtp_vp9),
    ("sdp", sdp),
    ("sync", sync),
];
