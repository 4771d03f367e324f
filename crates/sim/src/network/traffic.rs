//! What goes over the links, and what ends make of it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_types::ConnectionEvent;

use super::end::{DOWN_AFTER, Route};
use super::{Link, Network, Way};
use crate::netem::Netem;
use crate::reliable::{Ack, Data};

/// What goes over a link.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    /// The addresses.
    route: Route,
    /// The ends, by number: whose it is and whom it is for.
    ends: (u64, u64),
    body: Body,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    Ack(Ack),
    Alive,
    Close,
    Data(Data),
    /// RTP or RTCP.
    Datagram(Bytes),
    /// A check, with the sender's credentials and the receiver's (RFC 8445 §7.2.2).
    Knock(u64, u64),
    /// The answer to one, likewise.
    LetIn(u64, u64),
}

impl Body {
    /// How long it is on the wire.
    fn bytes(&self) -> usize {
        match self {
            Self::Ack(ack) => HEADERS + ack.bytes(),
            Self::Data(data) => HEADERS + data.bytes(),
            Self::Datagram(bytes) => RTP_HEADERS + bytes.len(),
            Self::Alive | Self::Close | Self::Knock(..) | Self::LetIn(..) => HEADERS,
        }
    }
}

impl Network {
    /// Sends over the path there is, if there is one.
    pub(super) fn put(&mut self, now: Instant, way: Way, body: Body) {
        if let Some(route) = self.ends.get(&way).and_then(|end| end.route) {
            self.put_to(now, way, route, body);
        }
    }

    fn put_to(&mut self, now: Instant, way: Way, route: Route, body: Body) {
        let own = self.address(way.0);
        let cut = self.is_cut(way);
        let Some(end) = self.ends.get_mut(&way) else { return };
        let Some(theirs) = end.theirs else { return };
        end.sent = now;
        if cut || route.ours != own {
            return;
        }
        let bytes = body.bytes();
        let packet = Packet { route, ends: (end.id, theirs.session), body };
        let mut departs = now;
        let straits = [self.uplinks.get_mut(&way.0), self.downlinks.get_mut(&way.1)];
        for strait in straits.into_iter().flatten() {
            match strait.pass(departs, bytes) {
                Some(through) => departs = through,
                None => return,
            }
        }
        let (config, random) = (self.config.link, &mut self.random);
        let new = || Link { netem: Netem::new(config, random.fork()), wake: None };
        let link = self.links.entry(way).or_insert_with(new);
        // Whether it is lost, its sender must not know.
        let _ = link.netem.handle_packet(departs, packet);
        self.wake_link(way);
    }

    fn is_cut(&self, way: Way) -> bool {
        self.cuts.contains(&way) || self.isolated.contains(&way.0) || self.isolated.contains(&way.1)
    }

    /// Brings to its other end what has arrived.
    pub(super) fn deliver(&mut self, now: Instant, (from, to): Way) {
        let Some(link) = self.links.get_mut(&(from, to)) else { return };
        link.wake = None;
        link.netem.handle_timeout(now);
        let packets = Vec::from_iter(std::iter::from_fn(|| link.netem.poll_output()));
        self.wake_link((from, to));
        if !self.is_cut((from, to)) {
            for packet in packets {
                self.handle_packet(now, (to, from), packet);
            }
            let way = (to, from);
            if let Some(end) = self.ends.get_mut(&way)
                && let Some(ack) = end.inbox.poll_ack()
            {
                self.put(now, way, Body::Ack(ack));
            }
            self.wake_end(way);
        }
        self.tidy((from, to));
    }

    /// Takes in a packet at the end `way` that it is for.
    fn handle_packet(&mut self, now: Instant, way: Way, packet: Packet) {
        let Packet { route: Route { ours: from, theirs: to }, ends: (whose, whom), body } = packet;
        if (to, from) != (self.address(way.0), self.address(way.1)) {
            return;
        }
        let window = self.config.receive_window;
        let Some(end) = self.ends.get_mut(&way) else { return };
        if end.id != whom || end.theirs.is_none_or(|theirs| theirs.session != whose) {
            return;
        }
        let route = Route { ours: to, theirs: from };
        let known = match body {
            Body::Knock(theirs, ours) | Body::LetIn(theirs, ours) => end.is_for(theirs, ours),
            _ => true,
        };
        if !known {
            return;
        }
        end.heard = now;
        // A check that ends a search tells so itself.
        let checks = matches!(body, Body::Knock(..) | Body::LetIn(..)) && end.search.is_some();
        if end.open && !end.up && !checks {
            end.up = true;
            self.tell(way, ConnectionEvent::Path { up: true });
        }
        let Some(end) = self.ends.get_mut(&way) else { return };
        match body {
            Body::Ack(ack) => {
                let freed = end.outbox.handle_ack(now, &ack);
                self.flush(now, way);
                if freed > 0 {
                    self.tell(way, ConnectionEvent::Acked(freed));
                }
            }
            Body::Alive => {}
            Body::Close => {
                self.remove_end(way);
                self.remove_ops(way);
                let reason = "the other end closed it".to_owned();
                self.tell(way, ConnectionEvent::Closed { reason });
            }
            Body::Data(data) => {
                if end.unread >= window {
                    return;
                }
                let messages = end.inbox.handle_data(data);
                end.unread += messages.iter().map(Bytes::len).sum::<usize>();
                if !end.open {
                    self.settle(now, way, route);
                }
                for message in messages {
                    self.tell(way, ConnectionEvent::Message(message));
                }
            }
            Body::Datagram(bytes) => {
                if let Some(chain) = end.chain.as_mut().filter(|_| end.open) {
                    chain.handle_incoming(now, bytes);
                    self.drain_chain(now, way);
                }
            }
            Body::Knock(theirs, ours) => {
                // Before what now can be sent, for it opens the way to that.
                self.put_to(now, way, route, Body::LetIn(ours, theirs));
                self.settle(now, way, route);
            }
            Body::LetIn(..) => self.settle(now, way, route),
        }
    }

    /// A path was found: the channel opens over it, or goes on over it.
    fn settle(&mut self, now: Instant, way: Way, route: Route) {
        let Some(end) = self.ends.get_mut(&way) else { return };
        if !end.settle(now, route) {
            return;
        }
        let event =
            if end.open { ConnectionEvent::Path { up: true } } else { ConnectionEvent::Open };
        (end.open, end.up) = (true, true);
        self.tell(way, event);
        // The target that it starts with.
        self.drain_chain(now, way);
        self.flush(now, way);
    }

    /// Does what is due at an end.
    pub(super) fn handle_end(&mut self, now: Instant, way: Way) {
        let own = self.address(way.0);
        let Some(end) = self.ends.get_mut(&way) else { return };
        end.wake = None;
        if let Some(theirs) = end.theirs
            && let Some(ours) = end.ours
            && let Some(search) = &mut end.search
            && search.again.is_some_and(|at| at <= now)
        {
            search.again = Some(now + KNOCK_INTERVAL);
            for at in search.candidates.clone() {
                let route = Route { ours: own, theirs: at };
                self.put_to(now, way, route, Body::Knock(ours, theirs.ufrag));
            }
        }
        let Some(end) = self.ends.get_mut(&way) else { return };
        if end.open {
            if end.outbox.poll_timeout().is_some_and(|at| at <= now) {
                end.outbox.handle_timeout(now);
                self.flush(now, way);
            }
            self.handle_chain(now, way);
            let Some(end) = self.ends.get_mut(&way) else { return };
            if end.is_quiet(now) {
                self.put(now, way, Body::Alive);
            }
            let Some(end) = self.ends.get_mut(&way) else { return };
            if end.up && end.heard + DOWN_AFTER <= now {
                end.up = false;
                self.tell(way, ConnectionEvent::Path { up: false });
            }
        }
        self.wake_end(way);
    }

    pub(super) fn flush(&mut self, now: Instant, way: Way) {
        let Some(end) = self.ends.get_mut(&way) else { return };
        for data in Vec::from_iter(std::iter::from_fn(|| end.outbox.poll_output())) {
            self.put(now, way, Body::Data(data));
        }
        self.wake_end(way);
    }
}

/// Of IPv4 or IPv6, UDP, DTLS and SCTP: what is left of 1,280 bytes when 1,200 are
/// payload.
const HEADERS: usize = 80;

/// Of IPv6 and UDP, and what SRTP adds (RFC 3711 §5.2).
const RTP_HEADERS: usize = 58;

/// How often the caller knocks: as often as ICE sends its checks again when it has
/// but one pair (RFC 8445 §14.3).
const KNOCK_INTERVAL: Duration = Duration::from_millis(500);
