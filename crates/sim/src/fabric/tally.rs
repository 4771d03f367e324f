//! What is counted.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Counts of all nodes since the fabric was made, of those who left too.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Tally {
    /// Nodes that came.
    pub joins: u64,
    /// Nodes that went, with a goodbye or without.
    pub leaves: u64,
    /// Ends that became connected for the first time, or after the mesh had given the
    /// peer up.
    pub connected: u64,
    /// Ends that became connected again after an interruption.
    pub reconnected: u64,
    /// The longest that a first connection took, from when the second of the two joined.
    pub slowest_connect: Duration,
    /// Connections of which the mesh said that they are down and made again.
    pub interrupted: u64,
    /// Connections that the mesh gave up, or whose other end said goodbye.
    pub gone: u64,
    /// Peers for whom a mesh had no room.
    pub refused: u64,
    /// Offers that were sent, those that restart ICE included.
    pub offers: u64,
    /// Answers that were sent.
    pub answers: u64,
    /// Messages of the application that a queue took.
    pub sent: u64,
    /// Those that came out as they should.
    pub received: u64,
    /// Those that came doubled, in the wrong place or from another connection; those that
    /// follow a lost one, too.
    pub wrong: u64,
    /// Those that a full queue did not take.
    pub held_back: u64,
    /// Messages of a mesh that the transport had no room for, and which are lost.
    pub untaken: u64,
    /// Why connections were interrupted or given up.
    pub reasons: BTreeMap<String, u64>,
}

impl Tally {
    pub(super) fn handle_connected(&mut self, took: Duration, again: bool) {
        if again {
            self.reconnected += 1;
        } else {
            self.connected += 1;
            self.slowest_connect = self.slowest_connect.max(took);
        }
    }

    pub(super) fn handle_reason(&mut self, reason: &impl fmt::Display) {
        *self.reasons.entry(reason.to_string()).or_default() += 1;
    }
}

/// What is held at an instant, by all who are there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Holding {
    /// Peers that meshes were told to call or expect and have not let go.
    pub peers: usize,
    /// Those of them that are connected.
    pub connected: usize,
    /// Meshes that have a deadline.
    pub deadlines: usize,
    /// Bytes that wait in queues.
    pub queued_bytes: usize,
    /// Ends of connections in the network.
    pub ends: usize,
    /// Links that the network remembers.
    pub links: usize,
    /// Messages on the signalling road.
    pub on_the_road: usize,
}
