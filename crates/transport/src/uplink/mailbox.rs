//! What the owner of an uplink is told, and what it may hand over.
//!
//! Nothing waits for the owner: what it has not read is coalesced (the target, the path) or
//! dropped and counted (reports), so a task never stands still for it.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use paceline_types::{Bitrate, ConnectionEvent, PacketKind};
use tokio::sync::Notify;

use super::track::UplinkTrack;

/// Why a packet was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UplinkError {
    /// More waits than the queue holds: send less, or later.
    Full,
    /// It is not a packet of RTP or RTCP.
    Malformed,
    /// The connection is not open, or not any more.
    NotOpen,
    /// It is larger than the configured bound.
    TooLarge,
    /// Its source or payload type is not that of a track.
    UnknownTrack,
}

impl fmt::Display for UplinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the uplink's queue is full: send less",
            Self::Malformed => "this is no packet of RTP or RTCP",
            Self::NotOpen => "the uplink is not open",
            Self::TooLarge => "the packet is larger than the uplink takes",
            Self::UnknownTrack => "no track has this source and payload type",
        })
    }
}

impl Error for UplinkError {}

/// What an uplink has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct UplinkStats {
    /// RTP packets sent for the first time.
    pub packets: u64,
    /// Their bytes, with headers, without what encryption adds.
    pub bytes: u64,
    /// Packets sent again because they were asked for.
    pub retransmissions: u64,
    /// Their bytes.
    pub retransmitted_bytes: u64,
    /// Sequence numbers that were asked for and not sent again: too old, too soon after the
    /// last time, more than the target has room for, or far more than was sent.
    pub not_retransmitted: u64,
    /// Packets of congestion control feedback that told of far more than was sent, and requests
    /// that asked for far more; they were not heeded. Counted by [`Uplink`](crate::Uplink) only.
    pub feedback_refused: u64,
    /// Packets of ours refused because the queue was full.
    pub refused: u64,
    /// Compounds of RTCP that the owner did not poll in time.
    pub unread: u64,
    /// Datagrams that were not let in. [`PlainUplink`](crate::PlainUplink): not authentic, or
    /// malformed. [`Uplink`](crate::Uplink): RTP, which nobody sends us, handshakes and RTCP from
    /// where no path was asked for, and RTCP from more sources than a server has. What the engine
    /// finds not to be authentic is not counted.
    pub rejected: u64,
    /// Packets of ours that waited for a path for so long that they were not sent any more.
    /// Counted by [`Uplink`](crate::Uplink) only.
    pub stale: u64,
    /// Packets that wait to be sent.
    pub waiting: usize,
    /// The round trip, by the newest report on a sender report of ours
    /// (RFC 3550 §6.4.1). Nothing before the first.
    pub rtt: Option<Duration>,
    /// Of 256 packets, how many the newest report says were lost: of pictures, or of sound if there
    /// are none. Retransmissions are not counted.
    pub fraction_lost: u8,
    /// What the path takes.
    pub target: Bitrate,
}

/// Where an uplink stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Phase {
    Opening = 0,
    Open = 1,
    Closed = 2,
}

/// A packet that was checked.
pub(crate) type Outgoing = (PacketKind, Bytes);

/// Shared by an uplink and its task.
#[derive(Debug)]
pub(crate) struct Mailbox {
    phase: AtomicU8,
    refused: AtomicU64,
    inner: Mutex<Inner>,
    news: Notify,
    max_reports: usize,
    max_packet: usize,
    /// Source, payload type.
    tracks: Vec<(u32, u8)>,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<ConnectionEvent>,
    /// Of those, how many are RTCP.
    reports: usize,
    stats: UplinkStats,
}

impl Mailbox {
    pub(crate) fn new(tracks: &[UplinkTrack], max_reports: usize, max_packet: usize) -> Self {
        Self {
            phase: AtomicU8::new(Phase::Opening as u8),
            refused: AtomicU64::new(0),
            inner: Mutex::default(),
            news: Notify::new(),
            max_reports,
            max_packet,
            tracks: tracks.iter().map(|track| (track.ssrc, track.payload_type)).collect(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Acquire) == phase as u8
    }

    /// Leaves word for the owner.
    pub(crate) fn tell(&self, event: ConnectionEvent) {
        let mut inner = self.inner();
        match &event {
            ConnectionEvent::Open => {
                let (from, to) = (Phase::Opening as u8, Phase::Open as u8);
                // The owner may have closed it meanwhile, and what is closed stays so.
                let opened =
                    self.phase.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
                if opened.is_err() {
                    return;
                }
            }
            ConnectionEvent::Closed { .. } => {
                if self.is(Phase::Closed) {
                    return;
                }
                self.phase.store(Phase::Closed as u8, Ordering::Release);
            }
            ConnectionEvent::Target(target) => {
                inner.stats.target = *target;
                // The newest is all that counts.
                inner.events.retain(|old| !matches!(old, ConnectionEvent::Target(_)));
            }
            ConnectionEvent::Path { .. } => {
                inner.events.retain(|old| !matches!(old, ConnectionEvent::Path { .. }));
            }
            ConnectionEvent::Rtcp(_) => {
                if inner.reports >= self.max_reports {
                    inner.stats.unread += 1;
                    return;
                }
                inner.reports += 1;
            }
            _ => {}
        }
        inner.events.push_back(event);
        drop(inner);
        self.news.notify_one();
    }

    /// Nothing is sent any more, whatever the reason.
    pub(crate) fn close(&self) {
        self.phase.store(Phase::Closed as u8, Ordering::Release);
        self.news.notify_one();
    }

    pub(crate) fn poll(&self) -> Option<ConnectionEvent> {
        let mut inner = self.inner();
        let event = inner.events.pop_front()?;
        if matches!(event, ConnectionEvent::Rtcp(_)) {
            inner.reports -= 1;
        }
        Some(event)
    }

    /// Until there is something to poll. Never, once it is closed and all is read.
    pub(crate) async fn ready(&self) {
        loop {
            // A permit is kept for who comes late, so nothing is missed in between.
            if !self.inner().events.is_empty() {
                return;
            }
            self.news.notified().await;
        }
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut UplinkStats)) {
        change(&mut self.inner().stats);
    }

    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self, waiting: usize) -> UplinkStats {
        let refused = self.refused.load(Ordering::Relaxed);
        UplinkStats { refused, waiting, ..self.inner().stats }
    }

    /// Whether a packet may go out. The engine would log and drop what is not of a track.
    pub(crate) fn check(&self, kind: PacketKind, packet: &[u8]) -> Result<(), UplinkError> {
        if !self.is(Phase::Open) {
            return Err(UplinkError::NotOpen);
        }
        if packet.len() > self.max_packet {
            return Err(UplinkError::TooLarge);
        }
        match (kind, packet) {
            // RFC 3550 §5.1: version 2, then the payload type below the marker.
            (PacketKind::Rtp, &[0x80..=0xbf, marked, _, _, _, _, _, _, a, b, c, d, ..]) => {
                let (ssrc, payload_type) = (u32::from_be_bytes([a, b, c, d]), marked & 0x7f);
                if self.tracks.contains(&(ssrc, payload_type)) {
                    Ok(())
                } else {
                    Err(UplinkError::UnknownTrack)
                }
            }
            // RFC 3550 §6.4: the sender's source is in the first eight bytes.
            (PacketKind::Rtcp, &[0x80..=0xbf, 192..=223, _, _, a, b, c, d, ..]) => {
                let ssrc = u32::from_be_bytes([a, b, c, d]);
                if self.tracks.iter().any(|track| track.0 == ssrc) {
                    Ok(())
                } else {
                    Err(UplinkError::UnknownTrack)
                }
            }
            _ => Err(UplinkError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uplink::track::TrackKind;

    fn mailbox() -> Mailbox {
        let track = UplinkTrack::new(TrackKind::Video, "video/VP8", 90_000, 97, 0x0102_0304);
        Mailbox::new(&[track], 2, 100)
    }

    fn packet(first: u8, second: u8, ssrc: u32) -> Vec<u8> {
        let mut packet = vec![first, second, 0, 1, 0, 0, 0, 0];
        packet.extend(ssrc.to_be_bytes());
        packet
    }

    #[test]
    fn only_what_a_track_says_of_itself_is_taken() {
        let mailbox = mailbox();
        let rtp = |packet: &[u8]| mailbox.check(PacketKind::Rtp, packet);
        let good = packet(0x80, 0x80 | 97, 0x0102_0304);
        assert_eq!(rtp(&good), Err(UplinkError::NotOpen));
        mailbox.tell(ConnectionEvent::Open);
        assert_eq!(rtp(&good), Ok(()));
        assert_eq!(rtp(&packet(0x80, 96, 0x0102_0304)), Err(UplinkError::UnknownTrack));
        assert_eq!(rtp(&packet(0x80, 97, 0x0102_0305)), Err(UplinkError::UnknownTrack));
        assert_eq!(rtp(&packet(0x40, 97, 0x0102_0304)), Err(UplinkError::Malformed));
        assert_eq!(rtp(&good[..11]), Err(UplinkError::Malformed));
        assert_eq!(rtp(&[0x80; 101]), Err(UplinkError::TooLarge));
        assert_eq!(mailbox.check(PacketKind::Message, &good), Err(UplinkError::Malformed));
        let report = [0x80, 200, 0, 0, 1, 2, 3, 4];
        assert_eq!(mailbox.check(PacketKind::Rtcp, &report), Ok(()));
        assert_eq!(mailbox.check(PacketKind::Rtcp, &report[..7]), Err(UplinkError::Malformed));
        let other = [0x80, 200, 0, 0, 1, 2, 3, 5];
        assert_eq!(mailbox.check(PacketKind::Rtcp, &other), Err(UplinkError::UnknownTrack));
        mailbox.close();
        assert_eq!(rtp(&good), Err(UplinkError::NotOpen));
    }

    #[test]
    fn what_the_owner_closed_is_not_opened_by_word_that_was_under_way() {
        let mailbox = mailbox();
        mailbox.close();
        mailbox.tell(ConnectionEvent::Open);
        assert!(mailbox.is(Phase::Closed));
        assert_eq!(mailbox.poll(), None);
    }

    #[test]
    fn an_owner_that_does_not_read_costs_no_more_than_the_bound() {
        let mailbox = mailbox();
        for bps in 0..1_000 {
            mailbox.tell(ConnectionEvent::Rtcp(Bytes::from_static(&[1])));
            mailbox.tell(ConnectionEvent::Target(Bitrate::from_bps(bps)));
            mailbox.tell(ConnectionEvent::Path { up: bps % 2 == 0 });
        }
        mailbox.tell(ConnectionEvent::Closed { reason: "first".to_owned() });
        mailbox.tell(ConnectionEvent::Closed { reason: "second".to_owned() });
        let told: Vec<_> = std::iter::from_fn(|| mailbox.poll()).collect();
        assert_eq!(told.len(), 5, "{told:?}");
        assert_eq!(told[2], ConnectionEvent::Target(Bitrate::from_bps(999)));
        assert_eq!(told[3], ConnectionEvent::Path { up: false });
        assert_eq!(told[4], ConnectionEvent::Closed { reason: "first".to_owned() });
        assert_eq!(mailbox.stats(0).unread, 998);
    }
}
