//! paceline beside programs that are not ours: what the tests in `interop/` share.
//!
//! A [`Clip`] is encoded once, by ffmpeg, and both ends of a test are held against its
//! file: frames are passed on as they are, so that what a peer decodes in the end has
//! to be the same pictures, bit for bit.
//!
//! | way | is |
//! |---|---|
//! | a peer sends | [`Recording::of`] what it sent, and [`check`] it |
//! | a peer receives | [`Stream::of`] a clip, [`Stream::send`] to a [`Receiver`] |
//! | a mediasoup is between | [`Server::start`], [`Server::consume`] in a browser; [`Live`] goes on sending a clip |
//!
//! Nobody sleeps. A peer that sends is over when its output is closed; one that receives
//! is ready when the kernel lists its socket, and has read everything when that socket's
//! queue is empty (`/proc/net/udp`, so all this needs Linux). A peer that hangs is killed
//! at its deadline, and the test fails with what it wrote.

mod check;
mod clip;
mod container;
mod live;
mod mediasoup;
mod peer;
mod recording;
mod socket;
mod stream;
mod temp;

pub use self::check::check;
pub use self::clip::{Clip, hashes, hashes_in};
pub use self::container::{nal_units, opus_packets, write_frames};
pub use self::live::Live;
pub use self::mediasoup::{Browser, Server, has_browser, has_mediasoup};
pub use self::peer::{Peer, has_ffmpeg, has_gstreamer};
pub use self::recording::{Recording, Replay};
pub use self::socket::{Receiver, port, send, socket};
pub use self::stream::{EXTENSION, Stream, TWCC};
pub use self::temp::TempDir;
