//! A server whose clients are lines of a test.

#![allow(clippy::disallowed_methods, reason = "a test needs one instant to count from")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_signaling::types::PeerId;
use paceline_signaling::{CloseReason, ConnId, Rooms, RoomsConfig, RoomsOutput};
use serde_json::{Value, json};

pub(crate) struct House {
    pub(crate) rooms: Rooms,
    pub(crate) now: Instant,
    pub(crate) closed: BTreeMap<u64, CloseReason>,
    pub(crate) pinged: Vec<u64>,
    inboxes: BTreeMap<u64, Vec<String>>,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(RoomsConfig::default())
    }

    pub(crate) fn with(config: RoomsConfig) -> Self {
        Self {
            rooms: Rooms::new(config, 7),
            now: Instant::now(),
            closed: BTreeMap::new(),
            pinged: Vec::new(),
            inboxes: BTreeMap::new(),
        }
    }

    pub(crate) fn open(&mut self, conn: u64, room: &str) {
        self.rooms.handle_open(self.now, ConnId::new(conn), room);
        self.drain();
    }

    pub(crate) fn close(&mut self, conn: u64) {
        self.rooms.handle_close(self.now, ConnId::new(conn));
        self.drain();
    }

    pub(crate) fn pong(&mut self, conn: u64) {
        self.rooms.handle_pong(self.now, ConnId::new(conn));
        self.drain();
    }

    pub(crate) fn wait(&mut self, span: Duration) {
        self.now += span;
        self.rooms.handle_timeout(self.now);
        self.drain();
    }

    pub(crate) fn say(&mut self, conn: u64, text: &str) {
        self.rooms.handle_text(self.now, ConnId::new(conn), text);
        self.drain();
    }

    /// Everything that was sent to `conn` since the last time.
    pub(crate) fn heard(&mut self, conn: u64) -> Vec<Value> {
        let texts = self.inboxes.remove(&conn).unwrap_or_default();
        texts
            .iter()
            .map(|text| serde_json::from_str(text).expect("the server sends JSON"))
            .collect()
    }

    pub(crate) fn heard_texts(&mut self, conn: u64) -> Vec<String> {
        self.inboxes.remove(&conn).unwrap_or_default()
    }

    /// The answer to a request, which must be the last thing said to `conn`.
    pub(crate) fn ask(&mut self, conn: u64, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.say(conn, &request.to_string());
        let mut answer = self.heard(conn).pop().expect("a request is answered");
        assert_eq!(answer["id"], 1, "{answer}");
        match answer["result"].take() {
            Value::Null => answer["error"].take(),
            result => result,
        }
    }

    pub(crate) fn announce(&mut self, conn: u64, host: bool) -> Value {
        self.ask(conn, "peer.announce", announcement(conn, host))
    }

    /// A member of `room` on connection `conn`.
    pub(crate) fn join(&mut self, conn: u64, room: &str) -> Value {
        self.open(conn, room);
        let joined = self.announce(conn, false);
        assert!(joined["sender"].is_u64(), "{joined}");
        joined
    }

    fn drain(&mut self) {
        while let Some(output) = self.rooms.poll_output() {
            match output {
                RoomsOutput::Close { conn, reason } => {
                    self.closed.insert(conn.get(), reason);
                }
                RoomsOutput::Ping { conn } => self.pinged.push(conn.get()),
                RoomsOutput::Send { conn, text } => {
                    self.inboxes.entry(conn.get()).or_default().push(text);
                }
                other => panic!("unknown output {other:?}"),
            }
        }
    }
}

/// The peer that connection `conn` announces.
pub(crate) fn peer(conn: u64) -> String {
    id(conn).to_string()
}

pub(crate) fn id(conn: u64) -> PeerId {
    PeerId::from_random((u128::from(conn) << 64 | u128::from(conn)).to_be_bytes())
}

pub(crate) fn announcement(conn: u64, host: bool) -> Value {
    json!({
        "peer": peer(conn),
        "name": format!("peer {conn}"),
        "capabilities": { "video": ["h264"], "audio": ["opus"], "host": host },
        "protocol": 2,
    })
}
