//! What an SFU's server may say while we publish to it.

mod broadcaster;
mod mediasoup;
mod protoo;
mod sdp;
mod server;

pub use self::broadcaster::broadcaster;
pub use self::mediasoup::publish;
pub use self::protoo::protoo;
pub use self::sdp::sdp;
