//! Messages back to packets, within bounds.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::{Buf, Bytes};

use crate::header::{Header, Part};
use crate::kind::Class;
use crate::{Packet, ParseError, ReassemblyConfig};

/// What became of a peer's messages since the reassembler was made.
///
/// ```
/// use std::time::Instant;
///
/// use bytes::Bytes;
/// use paceline_framing::{Reassembler, ReassemblyConfig};
///
/// let mut reassembler = Reassembler::new(ReassemblyConfig::default());
/// let junk = Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n");
/// assert!(reassembler.handle_message(Instant::now(), junk).is_err());
/// assert_eq!(reassembler.stats().malformed, 1);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReassemblyStats {
    /// Packets given out.
    pub delivered: u64,
    /// Fragments that were held already, and dropped.
    pub duplicate: u64,
    /// Unfinished packets dropped to stay within the bounds on their number and
    /// bytes.
    pub evicted: u64,
    /// Unfinished packets of media whose rest did not come in time.
    pub expired: u64,
    /// Messages and reassembled packets that were none. Not those that have a
    /// counter of their own here.
    pub malformed: u64,
    /// Fragments that disagreed with the earlier ones of their packet.
    pub mismatched: u64,
    /// Fragments of packets that were given out or dropped before, as far back as
    /// is remembered.
    pub stray: u64,
    /// Messages, and packets, that were larger than the bound.
    pub too_large: u64,
    /// Messages of a type that is not known.
    pub unknown_type: u64,
}

/// Puts one peer's packets back together, whatever order their messages come in.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_message`](Self::handle_message), [`handle_timeout`](Self::handle_timeout) |
/// | output | [`poll_output`](Self::poll_output), after every message |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
///
/// ```
/// use std::time::Instant;
///
/// use paceline_framing::types::{Frequency, MediaTime, MixInfo, MixSource, NtpTime, Rect};
/// use paceline_framing::types::{SenderId, StreamId};
/// use paceline_framing::{Body, Control, Fragmenter, Packet, Reassembler, ReassemblyConfig};
///
/// let source = MixSource {
///     sender: SenderId::new(2),
///     tile: Rect { x: 0, y: 0, width: 320, height: 180 },
///     level: 30,
///     capture: NtpTime::default(),
///     muted: false,
/// };
/// let info = MixInfo {
///     stream: StreamId::MIX_VIDEO,
///     time: MediaTime::new(0, Frequency::VIDEO),
///     sources: vec![source; 10],
/// };
/// let body = Body::Control(Control::MixInfo(info));
/// let packet = Packet { sender: SenderId::new(1), epoch: None, body };
/// let mut fragmenter = Fragmenter::new(128);
///
/// let mut reassembler = Reassembler::new(ReassemblyConfig::default());
/// let now = Instant::now();
/// // Delivery in reverse order is delivery all the same.
/// for message in fragmenter.cut(&packet).messages().iter().rev() {
///     assert_eq!(reassembler.poll_output(), None);
///     reassembler.handle_message(now, message.clone())?;
/// }
/// assert_eq!(reassembler.poll_output(), Some(packet));
/// # Ok::<(), paceline_framing::ParseError>(())
/// ```
#[derive(Debug)]
pub struct Reassembler {
    config: ReassemblyConfig,
    /// Oldest first.
    unfinished: VecDeque<Partial>,
    /// Packets that are done with, the latest last.
    closed: VecDeque<u32>,
    held: usize,
    finished: VecDeque<Packet>,
    stats: ReassemblyStats,
}

/// A packet of which some fragments are there.
#[derive(Debug)]
struct Partial {
    packet: u32,
    header: Header,
    count: u16,
    since: Instant,
    /// The first so many, without a gap. All of them, on a channel that keeps order.
    prefix: Vec<Bytes>,
    /// Those that came before one that goes before them.
    early: BTreeMap<u16, Bytes>,
    /// Bytes of both.
    body: usize,
    /// What it counts as in [`Reassembler::held`].
    held: usize,
}

impl Partial {
    fn has(&self, index: u16) -> bool {
        usize::from(index) < self.prefix.len() || self.early.contains_key(&index)
    }

    /// Takes in a fragment that is not there yet.
    fn insert(&mut self, index: u16, body: Bytes) {
        if usize::from(index) > self.prefix.len() {
            self.early.insert(index, body);
            return;
        }
        self.prefix.push(body);
        while let Some(first) = self.early.first_entry()
            && usize::from(*first.key()) == self.prefix.len()
        {
            self.prefix.push(first.remove());
        }
    }
}

impl Reassembler {
    /// One that holds nothing.
    #[must_use]
    pub fn new(config: ReassemblyConfig) -> Self {
        Self {
            config,
            unfinished: VecDeque::new(),
            closed: VecDeque::new(),
            held: 0,
            finished: VecDeque::new(),
            stats: ReassemblyStats::default(),
        }
    }

    /// Takes in one message that arrived at `now`. It finishes at most one packet.
    ///
    /// # Errors
    ///
    /// [`ParseError`] if it, or the packet it finished, is none or breaks a bound.
    /// It is counted already; what else is held is not touched. A fragment that
    /// came twice or too late is no error.
    pub fn handle_message(&mut self, now: Instant, message: Bytes) -> Result<(), ParseError> {
        self.handle_timeout(now);
        let result = self.take_in(now, message);
        match result {
            Ok(()) => {}
            Err(ParseError::Mismatch { .. }) => self.stats.mismatched += 1,
            Err(ParseError::TooLarge { .. }) => self.stats.too_large += 1,
            Err(ParseError::UnknownType(_)) => self.stats.unknown_type += 1,
            Err(_) => self.stats.malformed += 1,
        }
        result
    }

    /// Drops what has waited too long. Calling it early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, deadline)) = self.oldest_media()
            && deadline <= now
        {
            self.stats.expired += 1;
            let _ = self.close(at);
        }
    }

    /// Takes a finished packet. To be called until `None` after every message:
    /// finished packets are not within the bounds.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Packet> {
        self.finished.pop_front()
    }

    /// When the oldest unfinished packet of media is to be dropped.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.oldest_media().map(|(_, deadline)| deadline)
    }

    /// Bytes held for unfinished packets, headers and bookkeeping included. A message
    /// counts as long as it is: one that is a slice of a larger buffer keeps all of that
    /// alive, and what is larger is not known here.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Counts since it was made.
    #[must_use]
    pub const fn stats(&self) -> ReassemblyStats {
        self.stats
    }

    /// Control and an application's data are of use however late they are, and what
    /// goes before them may hold them up for long.
    fn oldest_media(&self) -> Option<(usize, Instant)> {
        let mut unfinished = self.unfinished.iter();
        let at = unfinished.position(|partial| {
            matches!(partial.header.kind.class(), Class::Audio | Class::Video)
        })?;
        Some((at, self.unfinished[at].since.checked_add(self.config.max_age)?))
    }

    fn take_in(&mut self, now: Instant, message: Bytes) -> Result<(), ParseError> {
        let len = message.len();
        check_limit(len, self.config.max_message)?;
        let (header, part, read) = Header::parse(&message)?;
        let Some(part) = part else {
            check_limit(len, self.limit(header))?;
            return self.finish(header, message, read);
        };
        let Some(index) = self.place(now, header, part)? else {
            self.stats.stray += 1;
            return Ok(());
        };
        let mut body = message;
        body.advance(read);
        self.add(index, part, body, len)
    }

    /// Where the unfinished packet of a fragment is; a new one if it has none.
    /// `None` if the packet is done with.
    fn place(
        &mut self,
        now: Instant,
        header: Header,
        Part { packet, count, .. }: Part,
    ) -> Result<Option<usize>, ParseError> {
        if let Some(index) = self.unfinished.iter().position(|partial| partial.packet == packet) {
            let partial = &self.unfinished[index];
            if partial.header != header || partial.count != count {
                return Err(ParseError::Mismatch { packet });
            }
            return Ok(Some(index));
        }
        if self.closed.contains(&packet) {
            return Ok(None);
        }
        self.unfinished.push_back(Partial {
            packet,
            header,
            count,
            since: now,
            prefix: Vec::with_capacity(usize::from(count).min(PREFIX)),
            early: BTreeMap::new(),
            body: 0,
            held: PACKET_OVERHEAD,
        });
        self.held += PACKET_OVERHEAD;
        Ok(Some(self.unfinished.len() - 1))
    }

    fn add(&mut self, at: usize, part: Part, body: Bytes, len: usize) -> Result<(), ParseError> {
        let limit = self.limit(self.unfinished[at].header);
        let partial = &mut self.unfinished[at];
        if partial.has(part.index) {
            self.stats.duplicate += 1;
            return Ok(());
        }
        let header = partial.header;
        let total = header.len() + partial.body + body.len();
        if let Err(error) = check_limit(total, limit) {
            let _ = self.close(at);
            return Err(error);
        }
        partial.body += body.len();
        partial.held += len + FRAGMENT_OVERHEAD;
        self.held += len + FRAGMENT_OVERHEAD;
        partial.insert(part.index, body);

        if partial.prefix.len() == usize::from(part.count)
            && let Some(partial) = self.close(at)
        {
            return self.finish(header, partial.prefix.concat().into(), 0);
        }
        while self.unfinished.len() > self.config.max_unfinished
            || self.held > self.config.max_bytes
        {
            self.stats.evicted += 1;
            let _ = self.close(0);
        }
        Ok(())
    }

    fn finish(&mut self, header: Header, bytes: Bytes, at: usize) -> Result<(), ParseError> {
        self.finished.push_back(Packet::from_parts(header, bytes, at)?);
        self.stats.delivered += 1;
        Ok(())
    }

    /// Takes an unfinished packet out, for good.
    fn close(&mut self, at: usize) -> Option<Partial> {
        let partial = self.unfinished.remove(at)?;
        self.held -= partial.held;
        if self.closed.len() == CLOSED {
            self.closed.pop_front();
        }
        self.closed.push_back(partial.packet);
        Some(partial)
    }

    const fn limit(&self, header: Header) -> usize {
        match header.kind.class() {
            Class::Control => self.config.max_control_packet,
            _ => self.config.max_packet,
        }
    }
}

const fn check_limit(len: usize, max: usize) -> Result<(), ParseError> {
    if len > max { Err(ParseError::TooLarge { len, max }) } else { Ok(()) }
}

/// How many packets that are done with are remembered, so that what is left of
/// one that was dropped does not begin it anew: twice the default bound on
/// unfinished ones, which all may be dropped at once.
const CLOSED: usize = 128;

/// What a fragment costs beside its message: a slot in a list that may be half empty
/// (64 bytes) or in a tree that may be (70), and the header of a shared buffer with
/// its allocation (50).
const FRAGMENT_OVERHEAD: usize = 128;

/// What an unfinished packet costs before its first fragment: itself (160 bytes), a
/// list of [`PREFIX`] and a tree's first node (390).
const PACKET_OVERHEAD: usize = 1_664;

/// For how many fragments there is room from the start: a packet of 512 KiB at the
/// default limit.
const PREFIX: usize = 32;
