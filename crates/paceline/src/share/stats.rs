//! The figures of a share.

use std::time::Duration;

use paceline_codec::{LadderStats, Step};
use paceline_publish::Health;

use super::CaptureToSend;
#[cfg(feature = "mirror")]
use super::ShareMirrorStats;
use crate::counters::MediaStats;

/// What the way to one target has carried; of the one that is used now, or was last.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SenderFigures {
    /// From us to the other end and back; `None` until it is known.
    pub rtt: Option<Duration>,
    /// Bytes that were sent.
    pub bytes: u64,
    /// RTP packets that were sent, those that were sent again not counted; 0 in a room, where
    /// others than packets are counted.
    pub packets: u64,
    /// Packets that were sent again.
    pub retransmissions: u64,
    /// Bytes that wait to be sent.
    pub queued_bytes: u64,
    /// Pictures that waited for longer than they are of use, and were not sent.
    pub shed: u64,
    /// Frames of picture and sound that came, or waited, while there was no path to an SFU.
    pub without_path: u64,
    /// Packets that the transport of an SFU did not take, and frames that could not be made into
    /// packets.
    pub send_errors: u64,
}

/// Everything that can be told of a share at one moment, from its start on.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ShareStats {
    /// Which of [`Share::targets`](crate::Share::targets) it goes to, from 0; `None` while none
    /// of them takes it.
    pub target: Option<usize>,
    /// How often a target was given up for the next.
    pub fallbacks: u64,
    /// What happened to the media. In a room also to those of the others, as far as it counts
    /// what it receives.
    pub media: MediaStats,
    /// Frames of picture and sound that the way to an SFU refused or that could not be made into
    /// packets, and packets that its transport did not take. Not frames for which there was no room:
    /// [`MediaStats::video_unsent`].
    pub send_errors: u64,
    /// How the picture is sent, and why not all of it; `None` if none was yet.
    pub ladder: Option<(Step, LadderStats)>,
    /// From the capture of a picture until it was handed over to be sent; `None` if none was. Of
    /// SFUs only: a room sends frames, to each of the others for himself.
    pub latency: Option<CaptureToSend>,
    /// What the way to the target has carried.
    pub sender: SenderFigures,
    /// Events that nobody read in time, dropped for newer ones:
    /// [`Config::event_queue`](crate::Config::event_queue).
    pub events_dropped: u64,
    /// What was mirrored; `None` if nothing is.
    #[cfg(feature = "mirror")]
    pub mirror: Option<ShareMirrorStats>,
    /// What is tried or used, why, and what was wrong with what was before; `None` if it has
    /// never been started.
    pub health: Option<Health>,
}
