//! One stream's numbers and reports.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use paceline_types::PacketKind;
use rtp::header::{EXTENSION_PROFILE_ONE_BYTE, Extension};

use super::queue::Waiting;
use super::{SenderConfig, SenderStats, SenderStream};
use crate::rtcp::{self, SdesChunk, SdesItem, SenderReport, SourceDescription};
use crate::rtp::{Packet, Packetized, emit};

#[derive(Debug)]
pub(super) struct Stream {
    config: SenderStream,
    next_seq: u16,
    packets: u32,
    octets: u32,
    reported: Option<Instant>,
    /// The first report went twice.
    repeated: bool,
    /// What builds on others cannot go: no keyframe went, or one of the others did not.
    pub(super) awaits_key: bool,
    /// Something that went before does not go on.
    pub(super) broken_off: bool,
    /// A keyframe was asked for, and did not come.
    pub(super) asked: bool,
    /// When one is asked for once more: the last was too large to go.
    again_at: Option<Instant>,
}

impl Stream {
    pub(super) fn new(config: SenderStream) -> Self {
        assert!(
            config.frame_extension.is_none_or(|id| (1..=14).contains(&id)),
            "a header extension's id is 1 to 14"
        );
        Self {
            next_seq: config.first_seq,
            config,
            packets: 0,
            octets: 0,
            reported: None,
            repeated: false,
            awaits_key: true,
            broken_off: false,
            asked: false,
            again_at: None,
        }
    }

    pub(super) const fn break_off(&mut self) {
        self.awaits_key = true;
        self.broken_off = true;
    }

    pub(super) const fn resume(&mut self) {
        (self.awaits_key, self.broken_off, self.asked) = (false, false, false);
        self.again_at = None;
    }

    /// A keyframe came that cannot go: none is asked for until then.
    pub(super) const fn put_off(&mut self, until: Option<Instant>) {
        (self.asked, self.again_at) = (true, until);
    }

    /// The same as [`ask`](Self::ask), and also once what was put off is due.
    pub(super) fn ask_again(&mut self, now: Instant) -> bool {
        if self.again_at.is_some_and(|at| at <= now) {
            (self.asked, self.again_at) = (false, None);
        }
        self.ask()
    }

    /// Whether it is to be asked now.
    pub(super) const fn ask(&mut self) -> bool {
        !std::mem::replace(&mut self.asked, true)
    }

    /// Gives out the next packet of a frame, a report before it if one is due, and says
    /// whether it was the last.
    pub(super) fn emit(
        &mut self,
        now: Instant,
        waiting: &mut Waiting,
        config: &SenderConfig,
        out: &mut VecDeque<(PacketKind, Bytes)>,
        stats: &mut SenderStats,
    ) -> bool {
        let frame = &waiting.frame;
        let is_due = |at: Instant| now.saturating_duration_since(at) >= config.report_interval;
        // One without a time of capture has nothing to report.
        let is_begun = self.reported.is_some();
        // The first tells what nothing else does, and packets are lost.
        let is_again = is_begun && !self.repeated && waiting.sent == 0;
        if (self.reported.is_none_or(is_due) || is_again) && frame.capture.to_bits() != 0 {
            self.reported = Some(now);
            self.repeated = is_begun;
            let report = self.report(frame);
            stats.reports += 1;
            stats.bytes += report.len() as u64;
            out.push_back((PacketKind::Rtcp, report));
        }
        if let Some(packet) = frame.packets.get(waiting.sent) {
            let bytes = self.packet(packet, frame);
            stats.packets += 1;
            stats.bytes += bytes.len() as u64;
            out.push_back((PacketKind::Rtp, bytes));
        }
        waiting.sent += 1;
        let is_last = waiting.sent >= frame.packets.len();
        stats.frames += u64::from(is_last);
        is_last
    }

    fn packet(&mut self, packet: &Packet, frame: &Packetized) -> Bytes {
        let mut header = packet.header.clone();
        header.ssrc = self.config.ssrc.get();
        header.sequence_number = self.next_seq;
        self.next_seq = self.next_seq.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(packet.payload.len() as u32);
        if let Some(id) = self.config.frame_extension {
            let number = Bytes::copy_from_slice(&frame.seq.wrapped().to_be_bytes());
            header.extension = true;
            header.extension_profile = EXTENSION_PROFILE_ONE_BYTE;
            header.extensions = vec![Extension { id, payload: number }];
        }
        emit(&Packet { header, payload: packet.payload.clone() })
    }

    /// What was captured when (RFC 3550 §6.4.1), and whose it is.
    fn report(&self, frame: &Packetized) -> Bytes {
        let ssrc = self.config.ssrc.get();
        let ticks = frame.time.ticks();
        let wraps = ((ticks >> 32) as u32).to_be_bytes();
        let told = if self.config.tells_wraps { &wraps[..] } else { &[] };
        let mut packets = vec![rtcp::Packet::SenderReport(SenderReport {
            ssrc,
            ntp_time: frame.capture.to_bits(),
            rtp_time: frame.packets.first().map_or(ticks as u32, |it| it.header.timestamp),
            packet_count: self.packets,
            octet_count: self.octets,
            reports: Vec::new(),
            profile_extensions: Bytes::copy_from_slice(told),
        })];
        if let Some(cname) = &self.config.cname {
            let chunks = vec![SdesChunk::new(ssrc, [SdesItem::cname(cname.clone())])];
            packets.push(rtcp::Packet::SourceDescription(SourceDescription { chunks }));
        }
        rtcp::emit(&packets)
    }
}
