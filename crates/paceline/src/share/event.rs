//! What a program hears of a share.

use paceline_codec::Change;
use paceline_publish::rtp_parameters::Level;
use paceline_publish::{Event, Failure};
use paceline_types::DeviceKind;

/// Something a program may want to know.
///
/// As many as [`Config::event_queue`](crate::Config::event_queue) says wait to be read. Beyond
/// that the oldest is dropped, whatever it tells, and counted in
/// [`ShareStats::events_dropped`](crate::ShareStats::events_dropped); the end is always told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ShareEvent {
    /// The picture is sent larger or smaller, oftener or more seldom, finer or coarser than
    /// before. Its bitrate alone changes too often to be told:
    /// [`ShareStats::ladder`](crate::ShareStats::ladder).
    Adapted(Change),
    /// A device that was gone is back, and used again.
    DeviceBack {
        /// What it is.
        kind: DeviceKind,
    },
    /// A device is gone. It is looked for once a second; the share goes on meanwhile, with
    /// nothing to show or to say.
    DeviceGone {
        /// What it was.
        kind: DeviceKind,
        /// One line for a person: which, and what the system says.
        reason: String,
    },
    /// The share is over; nothing follows.
    Ended(ShareEnd),
    /// The SFU takes less of H.264 than pictures of this size and rate may need: the share goes
    /// on, and some who look may see nothing. A smaller or a slower picture
    /// ([`Config::max_own_picture`](crate::Config::max_own_picture)) needs less. It is no failure of
    /// the target, and none that it is given up for.
    LevelLowered {
        /// Which of [`Share::targets`](crate::Share::targets).
        target: usize,
        /// What the pictures may need.
        wanted: Level,
        /// What the SFU takes.
        agreed: Level,
    },
    /// What became of a target: tried, live, given up for another. [`Event::name`] is what to
    /// count it under; the numbers in it are places in
    /// [`Share::targets`](crate::Share::targets). An SFU is live when media can flow to it, a
    /// room as soon as it is joined, whether or not anybody there is connected yet.
    Target(Event),
    /// Something went wrong and the share goes on.
    Warning(String),
}

/// Why a share is over.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ShareEnd {
    /// The program has stopped or dropped it.
    Asked,
    /// The share itself has failed, or its runtime has ended. The former is a fault of this
    /// library, and its log says which.
    BrokenOff,
    /// The program is to go on in another way: no other target was left than
    /// [`ShareTarget::External`](crate::ShareTarget::External). The sources are closed.
    External,
    /// No target is left. This is what happened to the last of them.
    NoTarget(Failure),
    /// There is nothing to share any more: the window was closed, or the file, the encoder or
    /// the device failed for good.
    Source {
        /// One line for a person.
        reason: String,
    },
}
