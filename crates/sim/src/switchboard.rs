//! The signalling server, and the way to it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_signaling::{ConnId, Rooms, RoomsConfig, RoomsOutput};

use crate::Random;
use crate::netem::{LinkConfig, Netem};

/// What goes between the server and a client, over TCP and so never lost.
#[derive(Clone, Debug)]
enum Frame {
    Close,
    Ping,
    Pong,
    Text(String),
}

/// What a client gets to hear.
#[derive(Debug)]
pub(crate) enum Heard {
    Closed,
    Text(String),
}

#[derive(Debug)]
struct Wire {
    up: Netem<Frame>,
    down: Netem<Frame>,
}

/// The server with everybody's connection to it.
#[derive(Debug)]
pub(crate) struct Switchboard {
    rooms: Rooms,
    wires: BTreeMap<ConnId, Wire>,
    opened: u64,
    /// The wires are without jitter and loss, so nothing is drawn from it.
    random: Random,
}

impl Switchboard {
    pub(crate) fn new(mut random: Random) -> Self {
        let rooms = Rooms::new(RoomsConfig::default(), random.bits());
        Self { rooms, wires: BTreeMap::new(), opened: 0, random }
    }

    /// A new connection to the one room.
    pub(crate) fn open(&mut self, now: Instant) -> ConnId {
        self.opened += 1;
        let conn = ConnId::new(self.opened);
        let config = LinkConfig::lan().delay(WIRE_DELAY).jitter(Duration::ZERO);
        let mut wire = || Netem::new(config, self.random.fork());
        self.wires.insert(conn, Wire { up: wire(), down: wire() });
        self.rooms.handle_open(now, conn, ROOM);
        conn
    }

    /// A client is dead. Its connection breaks, or hangs: then the server finds out by
    /// itself, when its pings are not answered.
    pub(crate) fn kill(&mut self, now: Instant, conn: ConnId, hangs: bool) {
        if self.wires.remove(&conn).is_some() && !hangs {
            self.rooms.handle_close(now, conn);
        }
    }

    /// Sends a text to the server.
    pub(crate) fn send(&mut self, now: Instant, conn: ConnId, text: String) {
        if let Some(wire) = self.wires.get_mut(&conn) {
            let _ = wire.up.handle_packet(now, Frame::Text(text));
        }
    }

    /// Brings what has arrived, at the server and at the clients; what clients heard.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<(ConnId, Heard)> {
        let mut heard = Vec::new();
        let mut closed = Vec::new();
        for (&conn, wire) in &mut self.wires {
            wire.down.handle_timeout(now);
            while let Some(frame) = wire.down.poll_output() {
                match frame {
                    Frame::Close => {
                        closed.push(conn);
                        heard.push((conn, Heard::Closed));
                    }
                    Frame::Ping => drop(wire.up.handle_packet(now, Frame::Pong)),
                    Frame::Pong => {}
                    Frame::Text(text) => heard.push((conn, Heard::Text(text))),
                }
            }
            wire.up.handle_timeout(now);
            while let Some(frame) = wire.up.poll_output() {
                match frame {
                    Frame::Pong => self.rooms.handle_pong(now, conn),
                    Frame::Text(text) => self.rooms.handle_text(now, conn, &text),
                    Frame::Close | Frame::Ping => {}
                }
            }
        }
        for conn in closed {
            self.wires.remove(&conn);
        }
        self.rooms.handle_timeout(now);
        while let Some(output) = self.rooms.poll_output() {
            let (conn, frame) = match output {
                RoomsOutput::Close { conn, .. } => (conn, Frame::Close),
                RoomsOutput::Ping { conn } => (conn, Frame::Ping),
                RoomsOutput::Send { conn, text } => (conn, Frame::Text(text)),
                _ => continue,
            };
            if let Some(wire) = self.wires.get_mut(&conn) {
                let _ = wire.down.handle_packet(now, frame);
            }
        }
        heard
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let wires = self.wires.values();
        let frames = wires.flat_map(|wire| [wire.up.poll_timeout(), wire.down.poll_timeout()]);
        frames.flatten().chain(self.rooms.poll_timeout()).min()
    }
}

/// One way to the server: a data centre in the same country.
const WIRE_DELAY: Duration = Duration::from_millis(20);

const ROOM: &str = "sim";
