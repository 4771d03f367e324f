//! The parameters and results of the methods, as JSON has them.

mod witness;

use std::fmt;

use paceline_types::{Epoch, PeerId, SenderId, Signal};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::limits;
use crate::message::{Capabilities, Joined, Member};

pub(crate) use witness::{AskLease, AskVote, TookLease, Voted, answer};

pub(crate) const ANNOUNCE: &str = "peer.announce";
pub(crate) const ANSWER: &str = "peer.answer";
pub(crate) const CANDIDATE: &str = "peer.ice_candidate";
pub(crate) const DISCONNECT: &str = "peer.disconnect";
pub(crate) const HOST: &str = "room.host";
pub(crate) const JOINED: &str = "peer.joined";
pub(crate) const LEASE: &str = "witness.lease";
pub(crate) const LEFT: &str = "peer.left";
pub(crate) const OFFER: &str = "peer.offer";
pub(crate) const VOTE: &str = "witness.vote";

/// A [`PeerId`] that is a string in JSON.
#[derive(Clone, Copy)]
pub(crate) struct Uuid(pub(crate) PeerId);

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
    }
}

#[derive(Deserialize)]
pub(crate) struct Announce {
    pub(crate) peer: Uuid,
    pub(crate) name: String,
    pub(crate) capabilities: Capabilities,
    pub(crate) protocol: u32,
}

/// The `to` of a signal on its way to the server, where `from` means nothing.
#[derive(Deserialize)]
pub(crate) struct To {
    pub(crate) to: Uuid,
}

/// The `from` of a signal on its way to a client.
#[derive(Deserialize)]
pub(crate) struct From {
    pub(crate) from: Uuid,
}

#[derive(Deserialize)]
pub(crate) struct SetHost {
    pub(crate) host: bool,
}

#[derive(Deserialize)]
pub(crate) struct Left {
    pub(crate) peer: Uuid,
    pub(crate) reason: String,
}

/// Who hosts, and since which epoch.
#[derive(Deserialize)]
pub(crate) struct Hosting {
    pub(crate) host: Option<Uuid>,
    epoch: Term,
}

impl Hosting {
    pub(crate) fn emit(host: Option<PeerId>, epoch: Epoch) -> Value {
        json!({ "host": host.map(Uuid), "epoch": Term::of(epoch) })
    }

    pub(crate) fn epoch(&self) -> Result<Epoch, BadParams> {
        self.epoch.check()
    }
}

/// An [`Epoch`] as its two parts.
#[derive(Deserialize, Serialize)]
struct Term {
    term: u64,
    ballot: u16,
}

impl Term {
    const fn of(epoch: Epoch) -> Self {
        Self { term: epoch.term(), ballot: epoch.ballot() }
    }

    fn check(&self) -> Result<Epoch, BadParams> {
        if self.term >> 48 != 0 {
            return Err(BadParams("the term does not fit 48 bits".into()));
        }
        Ok(Epoch::new(self.term, self.ballot))
    }
}

/// A [`Member`] as JSON has it.
#[derive(Deserialize)]
pub(crate) struct Entry {
    peer: Uuid,
    sender: u32,
    name: String,
    capabilities: Capabilities,
}

impl Entry {
    pub(crate) fn emit(member: &Member) -> Value {
        let Member { peer, sender, name, capabilities } = member;
        json!({
            "peer": Uuid(*peer),
            "sender": sender.get(),
            "name": name,
            "capabilities": capabilities,
        })
    }

    pub(crate) fn check(self) -> Result<Member, BadParams> {
        limits::check_name(&self.name).map_err(BadParams::new)?;
        self.capabilities.check().map_err(BadParams::new)?;
        Ok(Member {
            peer: self.peer.0,
            sender: SenderId::new(self.sender),
            name: self.name,
            capabilities: self.capabilities,
        })
    }
}

/// The result of `peer.announce`.
#[derive(Deserialize)]
pub(crate) struct Welcome {
    session: Uuid,
    sender: u32,
    epoch: Term,
    host: Option<Uuid>,
    genesis: bool,
    members: Vec<Entry>,
}

impl Welcome {
    pub(crate) fn emit(joined: &Joined) -> Value {
        let Joined { session, sender, epoch, host, genesis, members } = joined;
        json!({
            "session": Uuid(PeerId::from_bytes(*session)),
            "sender": sender.get(),
            "epoch": Term::of(*epoch),
            "host": host.map(Uuid),
            "genesis": genesis,
            "members": members.iter().map(Entry::emit).collect::<Vec<_>>(),
        })
    }

    pub(crate) fn check(self) -> Result<Joined, BadParams> {
        Ok(Joined {
            session: self.session.0.to_bytes(),
            sender: SenderId::new(self.sender),
            epoch: self.epoch.check()?,
            host: self.host.map(|Uuid(peer)| peer),
            genesis: self.genesis,
            members: self.members.into_iter().map(Entry::check).collect::<Result<_, _>>()?,
        })
    }
}

#[derive(Deserialize)]
struct Description {
    sdp: String,
}

#[derive(Deserialize)]
struct Candidate {
    candidate: String,
    mid: String,
    mline_index: u16,
    #[serde(default)]
    ufrag: String,
}

/// Whether `method` passes a [`Signal`] on.
pub(crate) fn is_signal(method: &str) -> bool {
    matches!(method, ANSWER | CANDIDATE | OFFER)
}

/// The signal in the parameters of `method`, which [`is_signal`]; its limits
/// are not checked here.
pub(crate) fn read_signal(method: &str, params: Option<&Value>) -> Result<Signal, BadParams> {
    if method == CANDIDATE {
        let Candidate { candidate, mid, mline_index, ufrag } = read(params)?;
        return Ok(Signal::Candidate { candidate, mid, mline_index, ufrag });
    }
    let Description { sdp } = read(params)?;
    Ok(if method == OFFER { Signal::Offer { sdp } } else { Signal::Answer { sdp } })
}

/// The method and parameters that pass `signal` on; `end` is `"to"` or `"from"`.
pub(crate) fn emit_signal(signal: Signal, end: &str, peer: PeerId) -> (&'static str, Value) {
    let (method, mut params) = match signal {
        Signal::Offer { sdp } => (OFFER, json!({ "sdp": sdp })),
        Signal::Answer { sdp } => (ANSWER, json!({ "sdp": sdp })),
        Signal::Candidate { candidate, mid, mline_index, ufrag } => (
            CANDIDATE,
            json!({
                "candidate": candidate,
                "mid": mid,
                "mline_index": mline_index,
                "ufrag": ufrag,
            }),
        ),
    };
    params[end] = json!(Uuid(peer));
    (method, params)
}

/// Parameters by name; none at all are the empty object.
pub(crate) fn read<T: DeserializeOwned>(params: Option<&Value>) -> Result<T, BadParams> {
    match params {
        None => T::deserialize(Value::Object(Map::new())).map_err(BadParams::new),
        Some(params @ Value::Object(_)) => T::deserialize(params).map_err(BadParams::new),
        Some(_) => Err(BadParams("parameters are by name: send an object".into())),
    }
}

/// What is wrong with parameters, in a short line.
#[derive(Debug)]
pub(crate) struct BadParams(pub(crate) String);

impl BadParams {
    /// Tames what may quote the peer: one line, and a short one.
    fn new(why: impl fmt::Display) -> Self {
        let line = |c: char| if c.is_control() { ' ' } else { c };
        Self(why.to_string().chars().map(line).take(MAX_WHY).collect())
    }
}

/// Characters of an error message that may quote a peer: enough for a line.
const MAX_WHY: usize = 160;
