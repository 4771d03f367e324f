//! What is counted of RTP.

/// Counts of one peer's RTP, since he was first called or expected. All zero if his
/// connection carries none.
///
/// ```
/// use paceline_mesh::RtpStats;
///
/// let before = RtpStats { sent_packets: 5, ..RtpStats::default() };
/// assert_eq!(before.plus(before).sent_packets, 10);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RtpStats {
    /// Packets of RTP handed to the transport. Not what it sends again.
    pub sent_packets: u64,
    /// Frames of which all packets were.
    pub sent_frames: u64,
    /// Frames that were left out whole: they waited too long, built on such a one, or there
    /// was no path.
    pub shed_frames: u64,
    /// Frames that have a payload format and went over the channel all the same: no bitstream
    /// of their codec, or a keyframe of more packets than a receiver holds
    /// ([`Sender::MAX_PACKETS`](paceline_framing::rtp::Sender::MAX_PACKETS)) with what builds on
    /// it.
    pub unpacketized: u64,
    /// Packets of RTP and RTCP that came and were understood.
    pub received_packets: u64,
    /// Frames that came whole.
    pub received_frames: u64,
    /// Packets of pictures that did not come in time. What was lost of sound is not in it:
    /// a jitter buffer counts that.
    pub missing_packets: u64,
    /// Frames of pictures of which something came, but not all; and those whose number was
    /// forgotten, because parts of more frames came than may be held.
    pub broken_frames: u64,
    /// What was no RTP or RTCP, of no stream of his or ours, of a codec that is not the
    /// stream's kind, or without its frame's number; and what came too early or too much, or
    /// late, of the codec that a stream had before.
    pub bad_packets: u64,
    /// Keyframes asked for, those asked for again included.
    pub asked: u64,
    /// Keyframes that he asked for. Not those of which he said so more than once.
    pub asked_of_us: u64,
}

impl RtpStats {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            sent_packets: self.sent_packets + other.sent_packets,
            sent_frames: self.sent_frames + other.sent_frames,
            shed_frames: self.shed_frames + other.shed_frames,
            unpacketized: self.unpacketized + other.unpacketized,
            received_packets: self.received_packets + other.received_packets,
            received_frames: self.received_frames + other.received_frames,
            missing_packets: self.missing_packets + other.missing_packets,
            broken_frames: self.broken_frames + other.broken_frames,
            bad_packets: self.bad_packets + other.bad_packets,
            asked: self.asked + other.asked,
            asked_of_us: self.asked_of_us + other.asked_of_us,
        }
    }
}
