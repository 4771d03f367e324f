//! What a queue does when it is given more than goes.

use std::time::Duration;

/// What becomes of packets that wait for a peer who takes less than he is given.
///
/// Every policy keeps the order of packets of a kind, and none gives up a packet of
/// which a message has gone. Bytes count bookkeeping: 64 for each message and 192 for
/// each packet beside its own. A packet larger than a bound on bytes goes if it waits
/// alone, or it would never go.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_framing::{InterleaverConfig, QueuePolicy};
///
/// // Positions of pointers: of each only the latest matters.
/// let config = InterleaverConfig::default()
///     .data_policy(QueuePolicy::LatestWins { max_bytes: 64 << 10 });
///
/// // A file: all of it or nothing.
/// let deadline = Duration::from_secs(10);
/// let config = InterleaverConfig::default()
///     .data_policy(QueuePolicy::Reliable { deadline, max_bytes: 256 << 10 });
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum QueuePolicy {
    /// What waits for too long, or is too much, is left out: whole packets, oldest
    /// first. With a picture that others build on go those others, up to the next
    /// keyframe; if none waits, pictures of that stream are refused until one comes.
    /// An application's data stand alone.
    DropToKeyframe {
        /// How long one may wait. A shorter wait makes a slow link choppier, a longer
        /// one more delayed.
        max_age: Duration,
        /// Bytes that may wait.
        max_bytes: usize,
    },
    /// A newer packet replaces those that wait, of its channel of application data or
    /// of its stream of pictures, and takes the place of the oldest of them.
    ///
    /// A picture that builds on one that waits cannot replace it: it is left out, and
    /// so are the following ones up to a keyframe. So this suits images, cells and
    /// streams of keyframes; on others each wait costs a keyframe.
    LatestWins {
        /// Bytes that may wait, of all channels or streams together. Over it
        /// [`Verdict::Full`](crate::Verdict::Full) is the answer, and what waits stays:
        /// there are more channels than fit.
        max_bytes: usize,
    },
    /// Nothing is ever left out. Over either bound
    /// [`Verdict::Full`](crate::Verdict::Full) is the answer: it has to be tried again
    /// later, or the peer given up.
    Reliable {
        /// How long the oldest may wait for its turn, or one that is begun for its next
        /// message. When it is over, [`overdue`](crate::Interleaver::overdue) says so,
        /// and nothing more is taken.
        deadline: Duration,
        /// Bytes that may wait.
        max_bytes: usize,
    },
}
