//! What a peer sends, and what we make of it.
#![expect(clippy::disallowed_methods, reason = "packets come in real time")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::rtp::{
    self, Codec, Depacketizer, DepacketizerConfig, DepacketizerStats, Frame, Output, Verdict,
};

use crate::socket::receive;
use crate::{Peer, port, socket};

/// The datagrams of a peer that sends one stream.
#[derive(Debug, Default)]
pub struct Recording {
    /// RTP, each with when it came.
    pub packets: Vec<(Instant, Bytes)>,
    /// RTCP.
    pub reports: Vec<Bytes>,
}

impl Recording {
    /// All that a peer sends until it is over. It is started with the ports to send RTP
    /// and RTCP to.
    ///
    /// # Panics
    ///
    /// If the peer fails.
    #[must_use]
    pub fn of(start: impl FnOnce(u16, u16) -> Peer) -> Self {
        let (rtp, rtcp) = (socket(), socket());
        let mut peer = start(port(&rtp), port(&rtcp));
        let mut recording = Self::default();
        // On loopback what is sent is there at once: after the peer's end one more look
        // is enough.
        let mut over = false;
        while !over {
            over = peer.is_over_within(Duration::ZERO);
            while let Some(packet) = receive(&rtp, Duration::from_millis(10)) {
                recording.packets.push((Instant::now(), packet));
            }
            while let Some(report) = receive(&rtcp, Duration::from_millis(1)) {
                recording.reports.push(report);
            }
        }
        let _ = peer.finish();
        recording
    }

    /// Gives the packets to a depacketizer of ours, but for those whose index is lost; the
    /// first and the last, that nobody could miss, are not.
    ///
    /// # Panics
    ///
    /// If a packet is refused, or is not emitted as it was parsed; if a frame comes twice,
    /// or a number is in none of the outputs or in two.
    #[must_use]
    pub fn replay(&self, codec: Codec, is_lost: impl Fn(usize) -> bool) -> Replay {
        let mut replay = Replay::default();
        let first = &self.packets.first().expect("the peer sent something").1;
        let ssrc = rtp::parse(first.clone()).expect("a packet").header.ssrc;
        let mut depacketizer = Depacketizer::new(ssrc, codec, DepacketizerConfig::default());
        let last = self.packets.len() - 1;
        for (index, (now, datagram)) in self.packets.iter().enumerate() {
            let packet = rtp::parse(datagram.clone()).expect("a packet");
            assert_eq!(rtp::emit(&packet), datagram, "not emitted as it was parsed");
            if (1..last).contains(&index) && is_lost(index) {
                replay.lost.insert(packet.header.sequence_number);
                continue;
            }
            assert_eq!(depacketizer.handle_packet(*now, packet), Verdict::Queued);
            replay.take(&mut depacketizer);
        }
        while let Some(deadline) = depacketizer.poll_timeout() {
            depacketizer.handle_timeout(deadline);
        }
        replay.take(&mut depacketizer);
        replay.stats = depacketizer.stats();
        replay
    }
}

/// What a depacketizer made of a recording.
#[derive(Debug, Default)]
pub struct Replay {
    /// The frames, in order.
    pub frames: Vec<Frame>,
    /// The numbers it named as missing.
    pub missing: BTreeSet<u16>,
    /// The numbers that did not get to it.
    pub lost: BTreeSet<u16>,
    /// The numbers that came and were of no use.
    pub dropped: BTreeSet<u16>,
    /// Its counts.
    pub stats: DepacketizerStats,
    /// The number after the last output.
    next: Option<u64>,
}

impl Replay {
    fn take(&mut self, depacketizer: &mut Depacketizer) {
        while let Some(output) = depacketizer.poll_output() {
            let (first, count) = match &output {
                Output::Dropped { first, count } | Output::Missing { first, count } => {
                    (first.get(), *count)
                }
                Output::Frame(frame) => (frame.first_seq.get(), frame.packets as u64),
                other => panic!("the peer did not begin again: {other:?}"),
            };
            assert_eq!(self.next.unwrap_or(first), first, "numbers not in order: {output:?}");
            self.next = Some(first + count);
            // A clip has less packets than there are numbers.
            let numbers = (first..first + count).map(|seq| (seq & 0xffff) as u16);
            match output {
                Output::Dropped { .. } => self.dropped.extend(numbers),
                Output::Frame(frame) => self.frames.push(frame),
                _ => self.missing.extend(numbers),
            }
        }
    }

    /// What is in the frames.
    #[must_use]
    pub fn data(&self) -> Vec<Bytes> {
        self.frames.iter().map(|frame| frame.data.clone()).collect()
    }

    /// How many of them a decoder can start with.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.frames.iter().filter(|frame| frame.key).count()
    }
}
