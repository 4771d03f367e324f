//! What goes into the machine of one member and what comes out of it.

use std::time::Instant;

use paceline_framing::{AbortReason, Control, Lease, NatState, Numbering, Role, Vote, VoteRequest};
use paceline_types::{Epoch, MediaTime, PeerId, SenderId};

/// Who we are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers make it")]
pub struct Identity {
    /// The room's session, a UUID.
    pub session: [u8; 16],
    /// Our number in the room: one that nobody had before us.
    pub sender: SenderId,
    /// Our session.
    pub peer: PeerId,
    /// Whether we may host.
    pub may_host: bool,
}

/// What the join reply of the witness says of the host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers make it")]
pub struct Welcome {
    /// The newest that the witness promised.
    pub epoch: Epoch,
    /// Who hosts under it; us if the witness has just made us host.
    pub host: Option<SenderId>,
    /// Nobody votes but the witness: nobody was in the room before, or nobody who voted is
    /// any more.
    pub genesis: bool,
}

/// Somebody else in the room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers make it")]
pub struct Candidate {
    /// His number.
    pub sender: SenderId,
    /// His session.
    pub peer: PeerId,
    /// Whether he may host.
    pub may_host: bool,
    /// What the witness knows of his place in the network.
    pub nat: Option<NatState>,
}

/// What became of a control packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum Verdict {
    /// It claims what the host before still holds. It may come again when that has run out.
    Early,
    /// It is none of this machine's.
    NotOurs,
    /// It was right to send it. It may have changed nothing.
    Taken,
    /// It is of a host of before.
    Stale,
    /// Who sent it may not say so.
    WrongRole,
}

/// Whether media of a host may be rendered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum Admission {
    /// They are the host's, or those of the one before him within the window of a handover.
    Accepted,
    /// They are of an epoch that we have not come to: its host has to prove himself first.
    Early,
    /// They are of a host of before.
    Stale,
    /// Who sent them does not host under that epoch.
    WrongRole,
}

/// What our stage knows of the mix it makes, or follows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers make it")]
pub struct MixerState {
    /// Of each stream of the mix, the number and media time of the frame made last.
    pub numbering: Vec<Numbering>,
    /// Who is in the mix, in the order of the tiles.
    pub tiles: Vec<SenderId>,
}

/// What our stage has to do. Given in this order: `Idle` or `Follow` first; a standby gets
/// `Follow`, then `Prepare`, then `Host`; a host that hands over gets `Stop`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum StageOrder {
    /// Mix nothing: somebody else hosts, and another stands by.
    Idle,
    /// Stand by: mix and encode sound in the dark, on the host's media clock, and send
    /// nothing. Also when a handover that was prepared does not take place.
    Follow,
    /// A handover is prepared: everybody sends us pictures too. Compose them, and tell
    /// [`Migration::handle_stage_ready`](crate::Migration::handle_stage_ready) when a frame
    /// is mixed and a keyframe encoded.
    Prepare {
        /// Under which we would host.
        epoch: Epoch,
        /// Where the host's mix stands.
        state: MixerState,
    },
    /// We host: what has this media time of the mix, or a later one, goes out, the picture
    /// beginning with a keyframe. `None`: at once, after what the host before is known to
    /// have sent; at zero if there was none.
    Host {
        /// Under which.
        epoch: Epoch,
        /// The first media time that is ours, on the 90 kHz clock.
        from: Option<MediaTime>,
    },
    /// Somebody else hosts from this media time on: pictures of it and later ones do not go
    /// out any more, sound goes out for a crossfade longer. Go on in the dark.
    Stop {
        /// The first media time that is his, on the 90 kHz clock.
        at: MediaTime,
    },
}

/// What a machine asks of the witness.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two things to ask for")]
pub enum WitnessRequest {
    /// We host: `witness.lease`. With those who vote, so that the witness knows when none
    /// of them is left.
    Lease {
        /// As members get it.
        lease: Lease,
        /// Who votes.
        electors: Vec<SenderId>,
    },
    /// We want to: `witness.vote`.
    Vote(VoteRequest),
}

/// What the witness answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two things to ask for")]
pub enum WitnessReply {
    /// Whether it took a lease, as a member's echo: the lease as it came, with the newest
    /// roster that the witness has. `granted` is false if it has promised a later epoch.
    Lease {
        /// Ours.
        lease: Lease,
        /// Yes.
        granted: bool,
    },
    /// Its vote.
    Vote(Vote),
}

/// What comes out.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Something to tell the owner.
    Event(Event),
    /// We are something else now, or somebody else hosts. Told before what is sent under it.
    Role {
        /// What we are.
        role: Role,
        /// Under which epoch.
        epoch: Epoch,
        /// Who hosts; `None`: nobody that we know of.
        host: Option<SenderId>,
    },
    /// A control packet, with our newest epoch in its header but for
    /// [`Migrate`](Control::Migrate), which has the one that ends.
    Send {
        /// To whom.
        to: SenderId,
        /// What its header says.
        epoch: Epoch,
        /// What.
        control: Control,
    },
    /// Our stage has to do something else.
    Stage(StageOrder),
    /// Who may follow the host, the next one first: everybody is to have a connection to
    /// each of them.
    Successors(Vec<SenderId>),
    /// Who gets our picture besides the host; `None`: nobody any more. A keyframe goes
    /// first.
    VideoAlsoTo(Option<SenderId>),
    /// Something for the witness.
    Witness(WitnessRequest),
}

/// What the owner is told.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A handover that was prepared did not take place.
    Aborted {
        /// The epoch it was prepared for.
        epoch: Epoch,
        /// Why.
        reason: AbortReason,
    },
    /// Who hosts was decided anew.
    Elected {
        /// Under which epoch.
        epoch: Epoch,
        /// Who.
        host: SenderId,
        /// By the one before him, and not by votes.
        planned: bool,
        /// When the last renewal of the host before came to us, if there was one.
        last_heard: Option<Instant>,
        /// When we began to doubt, if we did.
        suspected: Option<Instant>,
    },
    /// We stopped hosting by ourselves: too few have heard of us of late.
    Fenced {
        /// Under which epoch we hosted.
        epoch: Epoch,
    },
    /// We handed over all that there is to: we may go.
    Retired {
        /// The new host's epoch.
        epoch: Epoch,
    },
    /// What was measured, when it was looked at: the scores of the host and of the best of
    /// the others, ours and the documented baseline's, in hundredths of a point.
    Scored {
        /// The host's.
        host: u16,
        /// The best of the others, and his score.
        best: Option<(SenderId, u16)>,
        /// The baseline's for the host.
        baseline_host: u16,
        /// And its best.
        baseline_best: Option<(SenderId, u16)>,
    },
    /// Nothing was heard of the host for a while.
    Suspected {
        /// Who hosts.
        host: SenderId,
    },
}

/// Why [`Migration::poll_timeout`](crate::Migration::poll_timeout) wants to be woken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// The round of an election is over, or another may begin.
    Election,
    /// A handover is due, or took too long.
    Handover,
    /// The host's lease runs out, or ours does.
    Lease,
    /// What was measured is looked at.
    Measure,
    /// The lease is to be renewed.
    Renewal,
    /// Too long nothing was heard of the host.
    Suspicion,
}

/// Counts since the machine was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct MigrationStats {
    /// Elections that were begun here.
    pub candidacies: u64,
    /// Handovers that did not take place.
    pub aborted: u64,
    /// How often we stopped hosting by ourselves.
    pub fenced: u64,
    /// How often another came to host.
    pub host_changes: u64,
    /// Packets of hosts of before. Not those accepted in the window of a handover.
    pub stale: u64,
    /// Packets that their sender's role does not allow.
    pub wrong_role: u64,
}
