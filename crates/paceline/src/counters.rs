//! Counts that several threads write, and the figures made of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use paceline_session::{PeerStats, ReceiveStats, SessionStats};
use paceline_types::{PeerId, StreamKey};

/// A count; only ever added to.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One for each room, shared by its threads.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) video_encoded: Count,
    pub(crate) video_skipped: Count,
    pub(crate) video_superseded: Count,
    pub(crate) video_sent: Count,
    pub(crate) video_received: Count,
    pub(crate) video_decoded: Count,
    pub(crate) video_shown: Count,
    pub(crate) audio_encoded: Count,
    pub(crate) audio_received: Count,
    pub(crate) audio_decoded: Count,
    pub(crate) audio_overrun: Count,
    pub(crate) concealed_ms: Count,
    pub(crate) decode_errors: Count,
    pub(crate) encode_errors: Count,
    pub(crate) events_dropped: Count,
    pub(crate) stage_overrun: Count,
}

impl Counters {
    pub(crate) fn media(&self) -> MediaStats {
        MediaStats {
            video_encoded: self.video_encoded.get(),
            video_skipped: self.video_skipped.get(),
            video_superseded: self.video_superseded.get(),
            video_sent: self.video_sent.get(),
            video_received: self.video_received.get(),
            video_decoded: self.video_decoded.get(),
            video_shown: self.video_shown.get(),
            audio_encoded: self.audio_encoded.get(),
            audio_received: self.audio_received.get(),
            audio_decoded: self.audio_decoded.get(),
            audio_overrun: self.audio_overrun.get(),
            concealed_ms: self.concealed_ms.get(),
            decode_errors: self.decode_errors.get(),
            encode_errors: self.encode_errors.get(),
            events_dropped: self.events_dropped.get(),
            stage_overrun: self.stage_overrun.get(),
        }
    }
}

/// What happened to the media of one participant since he joined.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MediaStats {
    /// Pictures encoded: his own, and the mix if he hosts.
    pub video_encoded: u64,
    /// Pictures that the encoder left out to keep its bitrate, or that the driver
    /// had no room for.
    pub video_skipped: u64,
    /// Pictures that were never encoded because a newer one was due.
    pub video_superseded: u64,
    /// Encoded pictures handed to peers, one for each peer.
    pub video_sent: u64,
    /// Pictures of others that came and whose time to be decoded has come. Not
    /// those that still wait in a jitter buffer.
    pub video_received: u64,
    /// Of these, those that were decoded.
    pub video_decoded: u64,
    /// Pictures given to the application or replaced by a newer one before it took
    /// them.
    pub video_shown: u64,
    /// Frames of sound encoded.
    pub audio_encoded: u64,
    /// Frames of sound whose time to be decoded has come.
    pub audio_received: u64,
    /// Of these, those that were decoded.
    pub audio_decoded: u64,
    /// Frames of our own sound that nobody had room for.
    pub audio_overrun: u64,
    /// Milliseconds of sound made up where frames were missing.
    pub concealed_ms: u64,
    /// Frames that could not be decoded.
    pub decode_errors: u64,
    /// Frames that could not be encoded.
    pub encode_errors: u64,
    /// Events and sounds the application did not take in time.
    pub events_dropped: u64,
    /// Frames of others that were not decoded because 32 MiB of them were waiting for
    /// the stage thread.
    pub stage_overrun: u64,
}

/// Everything that can be told of a room at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// What happened to the media.
    pub media: MediaStats,
    /// From the call of `join` to the first connection; `None` while there is none.
    pub connect: Option<Duration>,
    /// From the call of `join` to the first mixed picture.
    pub first_picture: Option<Duration>,
    /// Each connection that is up.
    pub peers: Vec<(PeerId, PeerStats)>,
    /// Each stream that comes in.
    pub streams: Vec<(StreamKey, ReceiveStats)>,
    /// What was refused.
    pub session: SessionStats,
    /// Frames that receivers say they lost, of all that we send.
    pub reported_lost: u64,
}
