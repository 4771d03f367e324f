//! Counts that several threads write, and the figures made of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use paceline_codec::{LadderStats, Step};
#[cfg(feature = "sound")]
use paceline_playout::LoudspeakerStats;
use paceline_session::{MeshStats, MigrationStats, PeerStats, Quality, ReceiveStats, SessionStats};
use paceline_types::{PeerId, StreamKey};
use tokio::sync::Notify;

/// A count; only ever added to.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
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
    pub(crate) video_unsent: Count,
    pub(crate) video_received: Count,
    pub(crate) video_decoded: Count,
    pub(crate) video_shown: Count,
    pub(crate) audio_encoded: Count,
    pub(crate) audio_received: Count,
    pub(crate) audio_decoded: Count,
    pub(crate) audio_overrun: Count,
    pub(crate) concealed_ms: Count,
    pub(crate) decode_errors: Count,
    pub(crate) decoder_resets: Count,
    pub(crate) encode_errors: Count,
    /// Of these, single pictures of ours; and who acts on them is woken.
    pub(crate) pictures_failed: Count,
    pub(crate) picture_failed: Notify,
    pub(crate) devices_gone: Count,
    pub(crate) events_dropped: Count,
    pub(crate) stage_overrun: Count,
    pub(crate) stale_epoch_rendered: Count,
    pub(crate) rtp_refused: Count,
    pub(crate) transport_refused: Count,
    /// When the first mixed picture was ready for the program.
    pub(crate) shown: OnceLock<Instant>,
    ladder: Mutex<Option<(Step, LadderStats)>>,
}

impl Counters {
    /// One picture of ours could not be encoded.
    pub(crate) fn note_failed_picture(&self) {
        self.encode_errors.add(1);
        self.pictures_failed.add(1);
        self.picture_failed.notify_one();
    }

    /// What is sent of our picture, and why not all.
    pub(crate) fn set_ladder(&self, ladder: (Step, LadderStats)) {
        *self.ladder.lock().unwrap_or_else(PoisonError::into_inner) = Some(ladder);
    }

    pub(crate) fn ladder(&self) -> Option<(Step, LadderStats)> {
        *self.ladder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn media(&self) -> MediaStats {
        MediaStats {
            video_encoded: self.video_encoded.get(),
            video_skipped: self.video_skipped.get(),
            video_superseded: self.video_superseded.get(),
            video_sent: self.video_sent.get(),
            video_unsent: self.video_unsent.get(),
            video_received: self.video_received.get(),
            video_decoded: self.video_decoded.get(),
            video_shown: self.video_shown.get(),
            audio_encoded: self.audio_encoded.get(),
            audio_received: self.audio_received.get(),
            audio_decoded: self.audio_decoded.get(),
            audio_overrun: self.audio_overrun.get(),
            concealed_ms: self.concealed_ms.get(),
            decode_errors: self.decode_errors.get(),
            decoder_resets: self.decoder_resets.get(),
            encode_errors: self.encode_errors.get(),
            devices_gone: self.devices_gone.get(),
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
    /// Pictures that the encoder left out to keep its bitrate.
    pub video_skipped: u64,
    /// Pictures that were never encoded because a newer one was due. Not those that a ladder
    /// leaves out, nor those of a screen on which nothing has changed.
    pub video_superseded: u64,
    /// Encoded pictures handed to peers, one for each peer.
    pub video_sent: u64,
    /// Encoded pictures that the driver had no room for. Not what the queue of one peer sheds:
    /// that is among the figures of his connection.
    pub video_unsent: u64,
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
    /// Frames of our own sound, of the mix as host too, that nobody had room for; and what
    /// tells of the mix, if there was none for that.
    pub audio_overrun: u64,
    /// Milliseconds of sound made up where frames were missing.
    pub concealed_ms: u64,
    /// Frames that could not be decoded.
    pub decode_errors: u64,
    /// Decoders of the mix that were made anew in the middle of a stream, because it
    /// changed to another coding. Not the second one with which the sound of a new host
    /// is decoded while two are heard, and which then takes the place of the first.
    pub decoder_resets: u64,
    /// Frames that could not be encoded, and tracks that were given up.
    pub encode_errors: u64,
    /// How often a device of ours was gone.
    pub devices_gone: u64,
    /// Events and sounds the application did not take in time.
    pub events_dropped: u64,
    /// Frames of others that were not decoded because 32 MiB of them were waiting for
    /// the stage thread.
    pub stage_overrun: u64,
}

/// How far joining had come after how long: each from the call of `join`, `None` until
/// it has happened. Steps that happen more than once, as with several peers, are told
/// of the first time.
///
/// The order is that of a member. Whoever hosts skips what only a member receives.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct JoinTimeline {
    /// What is published from the start had been opened.
    pub opened: Option<Duration>,
    /// The server had taken the WebSocket.
    pub signaling: Option<Duration>,
    /// The server had let us in.
    pub joined: Option<Duration>,
    /// The offer or the answer of a peer had come.
    pub described: Option<Duration>,
    /// A data channel was open.
    pub channel: Option<Duration>,
    /// Both ends of it had said hello: [`Stats::connect`].
    pub connected: Option<Duration>,
    /// The first picture of the mix, in a mesh of anybody, had come whole. It waits in the
    /// jitter buffer next.
    pub first_frame: Option<Duration>,
    /// It was due to be decoded: [`Stats::first_picture`].
    pub due: Option<Duration>,
    /// A decoded one was ready for the program, in a mesh as a part of the mix. Not when
    /// the program took it.
    pub shown: Option<Duration>,
}

/// Everything that can be told of a room at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// What happened to the media.
    pub media: MediaStats,
    /// From the call of `join` to the first connection; `None` while there is none.
    pub connect: Option<Duration>,
    /// From the call of `join` to the first mixed picture; in a mesh, to the first picture
    /// of somebody else.
    pub first_picture: Option<Duration>,
    /// When each step of joining was done.
    pub timeline: JoinTimeline,
    /// How often another came to host, or nobody.
    pub host_changes: u64,
    /// Pictures and sounds that the program was given of a host before one whose mix it
    /// had been given already. None is expected.
    pub stale_epoch_rendered: u64,
    /// What the machine that decides who hosts has counted; nothing unless the room is a
    /// star.
    pub migration: MigrationStats,
    /// Each connection that is up.
    pub peers: Vec<(PeerId, PeerStats)>,
    /// The last ten seconds of each connection, brought up to date every second.
    pub qualities: Vec<(PeerId, Quality)>,
    /// What happened to all connections together: made, made again, refused, given up.
    pub mesh: MeshStats,
    /// Messages that the transport refused for another reason than that the connection was
    /// closed. None is expected; each time that connection is made again, for what it
    /// carried is not whole any more.
    pub transport_refused: u64,
    /// Packets of RTP and RTCP that the transport refused for another reason than that the
    /// connection was closed: too many waited, or it was a bug. None is expected; each counts
    /// as lost on the way.
    pub rtp_refused: u64,
    /// Each stream that comes in.
    pub streams: Vec<(StreamKey, ReceiveStats)>,
    /// What was refused.
    pub session: SessionStats,
    /// Frames that receivers say they lost, of all that we send.
    pub reported_lost: u64,
    /// How our own picture is sent, and why not all of it; of the last one if none is any more.
    /// `None` if none was, or in a format without a bitrate.
    pub ladder: Option<(Step, LadderStats)>,
    /// What our loudspeaker has done; `None` if none is open. What [leaving](crate::Room::leave)
    /// returns is of the last moment.
    #[cfg(feature = "sound")]
    pub loudspeaker: Option<LoudspeakerStats>,
}
