//! Sleep for interceptors that tick for ever once they have seen a packet, and a memory for
//! those that lose theirs.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use sansio::Protocol;
use shared::error::Error;

/// An interceptor whose timer runs only for so long after the last RTP packet that came.
///
/// The engine's own run on: thirty wake-ups a second for a connection over which nothing
/// flows.
///
/// And one that knows each stream once. When ICE restarts, the engine tells of all streams
/// again, and an interceptor that heeds it forgets what was missing.
pub(super) struct Rest<I> {
    inner: I,
    /// How long there may be something to do after a packet.
    work: Duration,
    until: Option<Instant>,
    /// Sources of the other end that it was told of.
    remote: BTreeSet<u32>,
}

impl<I> Rest<I> {
    pub(super) fn new(inner: I, work: Duration) -> Self {
        Self { inner, work, until: None, remote: BTreeSet::new() }
    }
}

impl<I: Interceptor> Protocol<TaggedPacket, TaggedPacket, ()> for Rest<I> {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if matches!(packet.message.packet, Packet::Rtp(_)) {
            // What is beyond any clock is never over.
            self.until = self.until.max(packet.now.checked_add(self.work));
        }
        self.inner.handle_read(packet)
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inner.poll_read()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.inner.handle_write(packet)
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.inner.poll_write()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        match self.poll_timeout() {
            Some(_) => self.inner.handle_timeout(now),
            None => Ok(()),
        }
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        // The tick after the last packet of all still has it to tell.
        self.inner.poll_timeout().filter(|at| self.until.is_some_and(|until| *at <= until))
    }

    fn close(&mut self) -> Result<(), Error> {
        self.inner.close()
    }
}

impl<I: Interceptor> Interceptor for Rest<I> {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        self.inner.bind_local_stream(info);
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.inner.unbind_local_stream(info);
    }

    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        if self.remote.insert(info.ssrc) {
            self.inner.bind_remote_stream(info);
        }
    }

    fn unbind_remote_stream(&mut self, info: &StreamInfo) {
        self.remote.remove(&info.ssrc);
        self.inner.unbind_remote_stream(info);
    }
}
