//! RTP packets to frames, within bounds.

use std::time::{Duration, Instant};

use super::frames::Frames;
use super::window::{Content, Held, Place, Window};
use super::{Codec, DepacketizerStats, Output, Packet, Verdict};

/// Limits on what one stream's packets make us hold, and for how long.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_framing::rtp::DepacketizerConfig;
///
/// let config = DepacketizerConfig::default().max_age(Duration::from_millis(100));
/// ```
#[derive(Clone, Debug)]
pub struct DepacketizerConfig {
    max_age: Duration,
    max_bytes: usize,
    max_packets: usize,
}

impl DepacketizerConfig {
    /// How long a packet waits for one that should have come before it, and an unended
    /// frame for its next packet. Defaults to 200 ms, after which media is too late to
    /// be played.
    ///
    /// A shorter wait gives up packets that a retransmission would have brought; a
    /// longer one makes each loss a longer stall.
    #[must_use]
    pub const fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Bytes to hold, bookkeeping included. Defaults to 4 MiB.
    ///
    /// Over it a packet that is far from the others goes first, then the first gap is
    /// given up, and if there is none, the frame that is not
    /// ended. A payload counts as long as it is: one that is a slice of a larger buffer
    /// keeps all of that alive, and what is larger is not known here.
    #[must_use]
    pub const fn max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Packets to hold. Defaults to 1,024: 200 ms at 49 Mbit/s in packets of 1,200
    /// bytes.
    ///
    /// Over it the same is given up as over [`max_bytes`](Self::max_bytes). A frame of
    /// more packets never comes out.
    #[must_use]
    pub const fn max_packets(mut self, max_packets: usize) -> Self {
        self.max_packets = max_packets;
        self
    }
}

impl Default for DepacketizerConfig {
    fn default() -> Self {
        Self { max_age: Duration::from_millis(200), max_bytes: 4 << 20, max_packets: 1_024 }
    }
}

/// Puts one stream's packets back into frames, whatever order they come in, and says
/// which are missing.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_packet`](Self::handle_packet), [`handle_timeout`](Self::handle_timeout) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
///
/// A frame is the packets of one timestamp: it ends with the marker bit (RFC 3551 §4.1)
/// or where the next number has another timestamp; a frame of sound is one packet. It is
/// given out when all its packets and all before them are there or given up, and never
/// in part: next to a gap it needs a first packet that says it is one, and a last packet
/// with the marker bit or the next frame behind it. A frame without either is held until
/// the next packet tells.
///
/// What says that it is first: for VP8 and VP9 the descriptor; for H.264 a delimiter, an
/// SPS, the slice with the first macroblock. Of an IDR picture only in a stream that has
/// no parameter sets in band: else they may be what is missing.
///
/// The stream begins with the first packet that is provably the first of a frame. As
/// long as there is only an earlier one that is not, what comes before it is waited for.
///
/// ```
/// use std::time::Instant;
///
/// use bytes::Bytes;
/// use paceline_framing::rtp::{
///     Codec, Depacketizer, DepacketizerConfig, Header, Output, Packet, Verdict,
/// };
///
/// let packet = |sequence_number: u16| Packet {
///     header: Header {
///         version: 2,
///         ssrc: 7,
///         sequence_number,
///         timestamp: 960 * u32::from(sequence_number),
///         ..Header::default()
///     },
///     payload: Bytes::from_static(b"\xfcsound"),
/// };
/// let mut sound = Depacketizer::new(7, Codec::Opus, DepacketizerConfig::default());
/// let now = Instant::now();
/// let mut seqs = Vec::new();
/// // The third does not come; the fifth overtakes the fourth.
/// for seq in [1, 2, 5, 4] {
///     assert_eq!(sound.handle_packet(now, packet(seq)), Verdict::Queued);
///     while let Some(Output::Frame(frame)) = sound.poll_output() {
///         seqs.push(frame.first_seq.wrapped() as u16);
///     }
/// }
/// assert_eq!(seqs, [1, 2]);
///
/// let deadline = sound.poll_timeout().expect("two packets wait for the third");
/// sound.handle_timeout(deadline);
/// assert!(matches!(sound.poll_output(), Some(Output::Missing { count: 1, .. })));
/// assert!(matches!(sound.poll_output(), Some(Output::Frame(_))));
/// assert!(matches!(sound.poll_output(), Some(Output::Frame(_))));
/// assert_eq!(sound.handle_packet(deadline, packet(3)), Verdict::Late);
/// ```
#[derive(Debug)]
pub struct Depacketizer {
    config: DepacketizerConfig,
    ssrc: u32,
    codec: Codec,
    window: Window,
    frames: Frames,
    /// Parameter sets of H.264 came, so an IDR picture may lack its own.
    sets_in_band: bool,
    /// A packet that is far from the others, if it was the last such.
    jumped: Option<(u16, Held)>,
}

impl Depacketizer {
    /// One that holds nothing, for the packets of the source `ssrc`, whose payload is
    /// that of `codec`. Telling payload types apart is the caller's.
    #[must_use]
    pub fn new(ssrc: u32, codec: Codec, config: DepacketizerConfig) -> Self {
        let (window, frames) = (Window::default(), Frames::new(codec));
        Self { config, ssrc, codec, window, frames, sets_in_band: false, jumped: None }
    }

    /// Takes in a packet that arrived at `now`. Its payload is shared, not copied.
    pub fn handle_packet(&mut self, now: Instant, packet: Packet) -> Verdict {
        self.handle_timeout(now);
        let verdict = self.take_in(now, packet);
        match verdict {
            Verdict::Duplicate => self.frames.stats.duplicate += 1,
            Verdict::Late => self.frames.stats.late += 1,
            Verdict::Malformed(_) => self.frames.stats.malformed_packets += 1,
            Verdict::OtherSource => self.frames.stats.other_source += 1,
            Verdict::Jumped | Verdict::Queued => {}
        }
        self.advance();
        while self.packets() > self.config.max_packets || self.held() > self.config.max_bytes {
            if self.jumped.take().is_some() {
                self.frames.stats.dropped_packets += 1;
            } else {
                self.give_up();
            }
        }
        verdict
    }

    /// Gives up what has been waited for too long. Calling it early or twice does
    /// nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.jump_timeout().is_some_and(|deadline| deadline <= now) {
            self.jumped = None;
            self.frames.stats.dropped_packets += 1;
        }
        while self.gap_timeout().is_some_and(|deadline| deadline <= now) {
            self.give_up();
        }
    }

    /// Takes what is ready. To be called until `None` after every input: what is ready is
    /// not within the bounds.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.frames.outputs.pop_front()
    }

    /// When something is to be given up: the first gap, or a packet that is far from all
    /// others.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.gap_timeout().into_iter().chain(self.jump_timeout()).min()
    }

    /// Bytes held, bookkeeping included, outputs not.
    #[must_use]
    pub fn held(&self) -> usize {
        let jumped = self.jumped.as_ref().map_or(0, |(_, packet)| packet.size());
        self.window.bytes() + self.frames.bytes() + jumped
    }

    /// Counts since it was made.
    #[must_use]
    pub const fn stats(&self) -> DepacketizerStats {
        self.frames.stats
    }

    fn gap_timeout(&self) -> Option<Instant> {
        self.window.oldest()?.checked_add(self.config.max_age)
    }

    fn jump_timeout(&self) -> Option<Instant> {
        let (_, packet) = self.jumped.as_ref()?;
        packet.arrived.checked_add(MAX_JUMP_AGE)
    }

    fn take_in(&mut self, now: Instant, Packet { header, payload }: Packet) -> Verdict {
        if header.ssrc != self.ssrc {
            return Verdict::OtherSource;
        }
        let place = self.window.place(header.sequence_number);
        match place {
            Place::Behind(seq) if self.frames.contains(seq) => return Verdict::Duplicate,
            Place::Behind(_) => return Verdict::Late,
            Place::Taken => return Verdict::Duplicate,
            Place::Far | Place::Free(_) => {}
        }
        let (content, verdict) = if payload.is_empty() {
            (Content::Padding, Verdict::Queued)
        } else {
            match self.codec.inspect(&payload) {
                Ok(look) => {
                    self.sets_in_band |= look.sets;
                    let first = look.first || (look.idr && !self.sets_in_band);
                    (Content::Payload { first, bytes: payload }, Verdict::Queued)
                }
                Err(error) => (Content::Malformed, Verdict::Malformed(error)),
            }
        };
        let (time, marker) = (header.timestamp, header.marker);
        let packet = Held { arrived: now, time, marker, content };
        match (place, verdict) {
            (Place::Free(seq), _) => {
                if let Some(packet) = self.window.pass(seq, packet) {
                    self.frames.push(seq, packet);
                }
            }
            (_, Verdict::Malformed(_)) => {}
            _ => return self.jump(header.sequence_number, packet),
        }
        verdict
    }

    /// Believes in a jump if this is the second packet of it, as RFC 3550 A.1 does; there
    /// the first is lost.
    fn jump(&mut self, seq: u16, packet: Held) -> Verdict {
        if self.jumped.as_ref().is_some_and(|(first, _)| *first == seq) {
            return Verdict::Duplicate;
        }
        match self.jumped.take() {
            Some((first, mut earlier)) if first.wrapping_add(1) == seq => {
                // What comes before it is waited for from now on, however long it was not
                // believed.
                earlier.arrived = packet.arrived;
                while self.packets() > 0 {
                    self.give_up();
                }
                self.frames.stats.restarts += 1;
                let first = self.window.restart(first);
                self.window.insert(first, earlier);
                self.window.insert(first + 1, packet);
                Verdict::Queued
            }
            other => {
                self.frames.stats.dropped_packets += u64::from(other.is_some());
                self.jumped = Some((seq, packet));
                Verdict::Jumped
            }
        }
    }

    /// Gives up the first gap. If there is none, something is over a bound, and the frame
    /// that is not ended goes.
    fn give_up(&mut self) {
        match self.window.skip() {
            None => self.frames.abandon(),
            Some((first, Some(waited))) => self.frames.miss(waited, first - waited),
            Some((first, None)) if self.frames.stats.restarts > 0 => self.frames.restart(first),
            Some((_, None)) => {}
        }
        self.advance();
    }

    /// Hands on what is in order.
    fn advance(&mut self) {
        if self.window.can_begin() {
            return self.give_up();
        }
        while let Some((seq, packet)) = self.window.pop() {
            self.frames.push(seq, packet);
        }
    }

    fn packets(&self) -> usize {
        self.window.len() + self.frames.len() + usize::from(self.jumped.is_some())
    }
}

/// How long a packet that is far from the others waits for the one that confirms it. A
/// stream of one packet in 5 s has other troubles; a screen that stands still is sent
/// once a second at least.
const MAX_JUMP_AGE: Duration = Duration::from_secs(5);
