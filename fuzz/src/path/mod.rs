//! A path of RTP whose other end says what it likes of it.

mod chain;
mod estimator;
mod link;

pub use self::chain::rtp_path;
pub use self::estimator::estimator;
pub use self::link::rtp_link;
