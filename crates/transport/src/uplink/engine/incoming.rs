//! What comes from the network, and what of it the engine gets to see.
//!
//! The engine takes protected packets and handshakes from anybody once it has a path, and keeps
//! something of each: of a source of reports before it has looked whether they are authentic,
//! and of each message of a handshake, which anybody can write while none is finished. So only
//! whom it asks for a path itself is let in. That is who was named by the server, and who
//! knows the password that was agreed on (RFC 8445 §7.3.1.3).

use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;
use sansio::Protocol;
use shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use tracing::debug;

use super::{CHECK_INTERVAL, Engine};

impl Engine {
    /// Takes a datagram in.
    pub(in crate::uplink) fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
    ) {
        let known = self.routes.iter().find(|(remote, _)| *remote == from);
        // Who was not named may still be on the way from who was (RFC 8445 §7.3.1.3).
        let route = known.or_else(|| self.routes.first()).copied();
        let Some((_, local_addr)) = route.filter(|_| self.admits(from, datagram)) else {
            self.rejected += 1;
            return;
        };
        // RFC 7983 §7.
        self.heard_dtls |= matches!(datagram.first(), Some(20..=63));
        let is_check = matches!(datagram.first(), Some(0..=3));
        let transport = TransportContext {
            local_addr,
            peer_addr: from,
            transport_protocol: TransportProtocol::UDP,
            ecn: None,
        };
        let message =
            TaggedBytesMut { now: now + self.ahead, transport, message: BytesMut::from(datagram) };
        if let Err(error) = self.connection.handle_read(message) {
            debug!(%error, "a datagram is of no use");
        }
        if is_check && self.searching && self.looks > 0 && self.asked.contains(&from) {
            self.looks -= 1;
            // It would take the skip for a queue, or for silence.
            self.unanswered.begin_path();
            self.ahead += CHECK_INTERVAL;
            self.handle_timeout(now);
        }
    }

    fn admits(&mut self, from: SocketAddr, datagram: &[u8]) -> bool {
        // RFC 7983 §7.
        match datagram.first() {
            // A check may be the first word of all, and is signed.
            Some(0..=3) => true,
            Some(20..=63) => self.asked.contains(&from),
            Some(128..=191) => self.asked.contains(&from) && self.admits_report(datagram),
            _ => false,
        }
    }

    /// Nobody sends us RTP, and a server reports from a few sources.
    fn admits_report(&mut self, datagram: &[u8]) -> bool {
        // RFC 5761 §4. The source is in the open (RFC 3711 §3.4).
        let (Some(192..=223), Some(&[a, b, c, d])) = (datagram.get(1), datagram.get(4..8)) else {
            return false;
        };
        let source = [a, b, c, d];
        if self.reporters.contains(&source) {
            return true;
        }
        let has_room = self.reporters.len() < MAX_REPORTERS;
        if has_room {
            self.reporters.push(source);
        }
        has_room
    }

    /// Takes note of a datagram of the engine's: a check says whom it asks for a path.
    pub(super) fn note_asked(&mut self, to: SocketAddr, datagram: &[u8]) {
        // RFC 8489 §5, §18.1: a binding request.
        if !datagram.starts_with(&[0, 1]) || self.asked.contains(&to) {
            return;
        }
        if self.asked.len() >= MAX_ASKED {
            self.asked.pop_front();
        }
        self.asked.push_back(to);
    }
}

/// Sources of one server's reports: mediasoup has one for all, others one a stream.
const MAX_REPORTERS: usize = 64;

/// Addresses that are asked for a path: all candidates of one server, and as many that its checks
/// came from. One that is forgotten and in use is asked again within a second, whether it is
/// still there.
const MAX_ASKED: usize = 64;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one instant to count from")]
mod tests {
    use super::*;
    use crate::uplink::UplinkConfig;

    fn addresses<const N: usize>(texts: [&str; N]) -> [SocketAddr; N] {
        texts.map(|text| text.parse().expect("an address"))
    }

    fn engine(now: Instant, server: SocketAddr) -> Engine {
        let mut engine = Engine::new(now, &UplinkConfig::default(), 9).expect("an engine");
        let [ours] = addresses(["192.0.2.3:9"]);
        engine.routes.push((server, ours));
        engine
    }

    fn report(source: u32) -> Vec<u8> {
        [&[0x80, 201, 0, 1], &source.to_be_bytes()[..]].concat()
    }

    /// The engine keeps something of each source that it is asked about.
    #[test]
    fn of_a_hundred_thousand_sources_the_engine_hears_of_no_more_than_a_server_has() {
        let now = Instant::now();
        let [server, stranger] = addresses(["192.0.2.1:9", "192.0.2.2:9"]);
        let mut engine = engine(now, server);
        engine.note_asked(server, &[0, 1, 0, 0]);
        for source in 0..100_000_u32 {
            engine.handle_datagram(now, stranger, &report(source));
            // Nobody sends us RTP.
            let packet = [&[0x80, 96, 0, 1, 0, 0, 0, 9], &source.to_be_bytes()[..]].concat();
            engine.handle_datagram(now, server, &packet);
        }
        assert_eq!((engine.reporters.len(), engine.rejected), (0, 200_000));
        for source in 0..100_000_u32 {
            engine.handle_datagram(now, server, &report(source));
        }
        assert_eq!(engine.reporters.len(), MAX_REPORTERS);
        assert_eq!(engine.rejected, 300_000 - MAX_REPORTERS as u64);
        // Whom it heard of it hears on, also from where else it asks for a path.
        engine.note_asked(stranger, &[0, 1, 0, 0]);
        assert!(engine.admits(server, &report(5)) && engine.admits(stranger, &report(5)));
        assert!(!engine.admits(server, &report(5_000)) && !engine.admits(server, &[0x80, 201]));
    }

    #[test]
    fn handshakes_are_of_whom_the_engine_asks_for_a_path_and_checks_of_anybody() {
        let now = Instant::now();
        let [server, stranger] = addresses(["192.0.2.1:9", "192.0.2.2:9"]);
        let mut engine = engine(now, server);
        for first in 0..=255 {
            assert_eq!(engine.admits(stranger, &[first; 9]), first < 4, "{first}");
        }
        assert!(!engine.admits(server, &[]));
        // An answer to a check is no question.
        engine.note_asked(server, &[1, 1, 0, 0]);
        assert!(!engine.admits(server, &[22, 254, 253]));
        engine.note_asked(server, &[0, 1, 0, 0]);
        for first in 0..=255 {
            // A report has another second byte.
            let admitted = matches!(first, 0..=3 | 20..=63);
            assert_eq!(engine.admits(server, &[first; 9]), admitted, "{first}");
        }
    }

    #[test]
    fn a_check_of_a_stranger_does_not_use_up_the_looks_brought_forward() {
        let now = Instant::now();
        let [server, stranger] = addresses(["192.0.2.1:9", "192.0.2.2:9"]);
        let mut engine = engine(now, server);
        engine.note_asked(server, &[0, 1, 0, 0]);
        for _ in 0..10 {
            engine.handle_datagram(now, stranger, &[1, 1, 0, 0]);
        }
        assert_eq!(engine.looks, super::super::LOOKS);
        engine.handle_datagram(now, server, &[1, 1, 0, 0]);
        assert_eq!(engine.looks, super::super::LOOKS - 1);
    }

    #[test]
    fn as_many_are_remembered_as_a_server_has_addresses_and_the_oldest_is_forgotten() {
        let now = Instant::now();
        let [server] = addresses(["192.0.2.1:9"]);
        let mut engine = engine(now, server);
        let at = |port| SocketAddr::new(server.ip(), port);
        for port in 1..=1_000 {
            engine.note_asked(at(port), &[0, 1, 0, 0]);
            engine.note_asked(at(port), &[0, 1, 0, 0]);
        }
        assert_eq!(engine.asked.len(), MAX_ASKED);
        assert!(engine.asked.contains(&at(1_000)) && !engine.asked.contains(&at(1)));
    }
}
