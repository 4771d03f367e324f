//! The nouns of a room: who is in it, what he can do, what is passed on.

use paceline_types::{Epoch, PeerId, SenderId, Signal};
use serde::{Deserialize, Serialize};

use crate::limits::{self, Broken};
use crate::nat::Nat;

/// The version of the protocol that `peer.announce` names.
///
/// 2: rooms have a witness. A host that counts on one must not be let in where there is
/// none, and fence itself every half second.
pub const PROTOCOL: u32 = 2;

/// What a member says it can do. Nobody checks that it is true.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Capabilities {
    /// Video codecs it can receive, the preferred first, as `"h264"`.
    pub video: Vec<String>,
    /// Audio codecs it can receive, the preferred first, as `"opus"`.
    pub audio: Vec<String>,
    /// It may host; it becomes the host if there is none when it joins, and nobody who
    /// votes on that.
    pub host: bool,
    /// What it knows of its place in the network, if it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat: Option<Nat>,
}

impl Capabilities {
    pub(crate) fn check(&self) -> Result<(), Broken> {
        limits::check_codecs(&self.video)?;
        limits::check_codecs(&self.audio)
    }
}

/// Somebody in the room.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// Its session.
    pub peer: PeerId,
    /// Its number in the room: from 1, never given to anybody else.
    pub sender: SenderId,
    /// What people call it; at most 64 characters, none of them a control character.
    pub name: String,
    /// What it says it can do.
    pub capabilities: Capabilities,
}

/// Whether a signal is within its bounds.
pub(crate) fn check_signal(signal: &Signal) -> Result<(), Broken> {
    match signal {
        Signal::Answer { sdp } | Signal::Offer { sdp } => limits::check_sdp(sdp),
        Signal::Candidate { candidate, mid, ufrag, .. } => {
            limits::check_candidate(candidate, mid, ufrag)
        }
    }
}

/// What a peer learns when it has joined.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Joined {
    /// The room's UUID. A room ends when its last member leaves; the next one of
    /// the same name has another.
    pub session: [u8; 16],
    /// The number this peer has in the room.
    pub sender: SenderId,
    /// Since when that is so. Later at each change of the host.
    pub epoch: Epoch,
    /// Who hosts, as far as the server was told; this peer itself if it may and nobody else
    /// did.
    pub host: Option<PeerId>,
    /// Nobody votes on who hosts but the witness: nobody was here before, or nobody who
    /// voted is any more.
    pub genesis: bool,
    /// Everybody else in the room.
    pub members: Vec<Member>,
}
