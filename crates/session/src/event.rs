//! What the owner of a session is told.

use std::time::Instant;

use bytes::Bytes;
use paceline_framing::AbortReason;
use paceline_types::{Epoch, MixInfo, PeerId, SenderId, StreamKey};

/// What the owner of a session is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Much waits for somebody: more than his queue's high watermark.
    Congested {
        /// For whom.
        peer: PeerId,
    },
    /// A connection is up.
    Connected {
        /// To whom.
        peer: PeerId,
        /// His number.
        sender: SenderId,
    },
    /// Somebody's application has something for ours.
    Data {
        /// Who, by the connection it came on.
        peer: PeerId,
        /// His number.
        sender: SenderId,
        /// For the application to tell one use from another.
        channel: u16,
        /// As his application gave them.
        data: Bytes,
    },
    /// A connection is down.
    Disconnected {
        /// To whom.
        peer: PeerId,
        /// His number.
        sender: SenderId,
        /// For a log and a person.
        reason: String,
        /// It is being made again: [`Connected`](Self::Connected) may follow.
        again: bool,
    },
    /// Little waits any more for somebody who was congested.
    Drained {
        /// For whom.
        peer: PeerId,
    },
    /// We stopped hosting by ourselves: too few have heard of us of late.
    Fenced {
        /// Under which epoch we hosted.
        epoch: Epoch,
    },
    /// A handover did not take place. Nothing has changed.
    HandoverAborted {
        /// Why.
        reason: AbortReason,
    },
    /// The room has another host, or none; or the same one under another epoch.
    HostChanged {
        /// Who.
        host: Option<PeerId>,
        /// Under which epoch.
        epoch: Epoch,
        /// The one before him handed over; nobody elected him.
        planned: bool,
        /// When the one before him was last heard of here, if that is known.
        last_heard: Option<Instant>,
        /// When we began to doubt whether he was there, if we did.
        suspected: Option<Instant>,
    },
    /// Somebody is in the room.
    MemberJoined {
        /// Who.
        peer: PeerId,
        /// His number.
        sender: SenderId,
        /// What he calls himself.
        name: String,
    },
    /// Somebody has left the room.
    MemberLeft {
        /// Who.
        peer: PeerId,
        /// His number.
        sender: SenderId,
        /// What he called himself.
        name: String,
    },
    /// The host tells what is in the mix.
    MixInfo(MixInfo),
    /// The path to somebody is lost, and one is looked for; what is sent waits.
    Reconnecting {
        /// To whom.
        peer: PeerId,
    },
    /// There is a path to him again, and nothing was lost.
    Reconnected {
        /// To whom.
        peer: PeerId,
    },
    /// Somebody cannot be connected to because there is no place left.
    Refused {
        /// Who.
        peer: PeerId,
        /// Why, and what to do.
        reason: String,
    },
    /// We handed over all that there is to: we may go.
    Retired,
    /// Who is best placed to host a star was looked at: scores of ours and of the documented
    /// baseline, in hundredths of a point.
    Scored {
        /// The host's.
        host: u16,
        /// The best of the others, and his.
        best: Option<(SenderId, u16)>,
        /// The baseline's for the host.
        baseline_host: u16,
        /// And its best.
        baseline_best: Option<(SenderId, u16)>,
    },
    /// Nothing was heard of the host for a while. Another may be elected, or not.
    Suspected {
        /// Who hosts.
        host: Option<PeerId>,
    },
    /// Somebody switched a stream of his on or off.
    TrackState {
        /// Whose, and which.
        stream: StreamKey,
        /// Whether it is on.
        enabled: bool,
    },
}
