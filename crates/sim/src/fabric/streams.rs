//! What goes over each connection, and whether it comes out as it went in.

use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::epoch;

/// What one node knows of its stream to a peer and back, since the two became connected.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stream {
    /// Which connection of ours it is; from 1.
    life: u32,
    next_out: u64,
    /// The other end's count of connections, and what comes next of this one.
    their_life: u32,
    next_in: u64,
    connected: bool,
}

/// What came of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// It was the next, and took so long.
    Good(Duration),
    /// It is none that was sent here, or not the next.
    Wrong,
}

impl Stream {
    /// A connection begins: our so-and-so-manieth.
    pub(super) const fn handle_connected(&mut self, life: u32) {
        self.life = life;
        self.next_out = 0;
        self.next_in = 0;
        self.connected = true;
    }

    /// What comes next, if it is sent now.
    pub(super) fn emit(&self, now: Instant, len: usize) -> Bytes {
        let mut out = BytesMut::with_capacity(len.max(HEADER));
        out.put_u32(self.life);
        out.put_u64(self.next_out);
        out.put_u64((now - epoch()).as_nanos() as u64);
        out.resize(len.max(HEADER), 0);
        out.freeze()
    }

    pub(super) const fn handle_sent(&mut self) {
        self.next_out += 1;
    }

    /// Takes in a message. The first of a connection has a life that is new, and number
    /// zero; each that follows has the same life and the next number.
    pub(super) fn handle_message(&mut self, now: Instant, mut message: Bytes) -> Outcome {
        if message.len() < HEADER {
            return Outcome::Wrong;
        }
        let (life, number) = (message.get_u32(), message.get_u64());
        let sent = epoch() + Duration::from_nanos(message.get_u64());
        let fits = if self.next_in == 0 { life > self.their_life } else { life == self.their_life };
        if !self.connected || !fits || number != self.next_in {
            return Outcome::Wrong;
        }
        self.their_life = life;
        self.next_in += 1;
        Outcome::Good(now - sent)
    }

    /// Sent and not arrived at `there`.
    pub(super) const fn missing(&self, there: &Self) -> u64 {
        // What came of another connection is nothing of this one.
        let arrived = if there.their_life == self.life { there.next_in } else { 0 };
        self.next_out.abs_diff(arrived)
    }
}

/// A life, a number, and when it was sent.
const HEADER: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> [Stream; 2] {
        let mut streams = [Stream::default(); 2];
        streams.iter_mut().for_each(|stream| stream.handle_connected(1));
        streams
    }

    fn send(from: &mut Stream) -> Bytes {
        let message = from.emit(epoch(), 40);
        from.handle_sent();
        message
    }

    #[test]
    fn each_message_is_good_once_and_in_its_place() {
        let [mut ann, mut ben] = pair();
        let [first, second, third] = [(); 3].map(|()| send(&mut ann));
        let good = Outcome::Good(Duration::ZERO);
        assert_eq!(ben.handle_message(epoch(), first.clone()), good);
        assert_eq!(ben.handle_message(epoch(), first), Outcome::Wrong, "doubled");
        assert_eq!(ben.handle_message(epoch(), third.clone()), Outcome::Wrong, "lost");
        assert_eq!(ben.handle_message(epoch(), second), good);
        assert_eq!(ann.missing(&ben), 1);
        assert_eq!(ben.handle_message(epoch(), third), good);
        assert_eq!(ann.missing(&ben), 0);
    }

    #[test]
    fn what_was_sent_on_one_connection_is_wrong_on_the_next() {
        let [mut ann, mut ben] = pair();
        let first = send(&mut ann);
        assert_ne!(ben.handle_message(epoch(), first.clone()), Outcome::Wrong);
        let late = send(&mut ann);
        ben.handle_connected(2);
        assert_eq!(ben.handle_message(epoch(), first), Outcome::Wrong);
        assert_eq!(ben.handle_message(epoch(), late), Outcome::Wrong);
        ann.handle_connected(2);
        assert_ne!(ben.handle_message(epoch(), send(&mut ann)), Outcome::Wrong);
    }
}
