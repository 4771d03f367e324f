//! What arrived when, of all that a transport carried.

use bytes::{BufMut, Bytes, BytesMut};

use super::RtcpError;
use super::fields::Fields;

/// Transport-wide congestion control feedback
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
///
/// Ours, not that of the `rtcp` crate: its parser makes 65,535 records of a datagram of
/// forty octets, refuses feedback without a delta that fills its words, takes half a
/// large delta for a small one, and panics if the header has the largest length.
///
/// Feedback that leaves out all deltas, which libwebrtc takes, is refused here as
/// truncated: without times it is of no use to an estimator.
///
/// ```
/// use paceline_framing::rtcp::{self, Packet, Status, Statuses, TransportFeedback};
///
/// let feedback = TransportFeedback {
///     sender_ssrc: 1,
///     media_ssrc: 2,
///     base_sequence: 65_535,
///     reference_time: 10,
///     feedback_count: 0,
///     statuses: Statuses::new([
///         Status::Received { delta: 4 },
///         Status::Lost,
///         Status::Received { delta: -2 },
///     ]),
/// };
/// assert!(feedback.arrivals().eq([(65_535, 641_000), (1, 640_500)]));
///
/// let packet = Packet::TransportFeedback(feedback);
/// let bytes = rtcp::emit(std::slice::from_ref(&packet));
/// assert_eq!(rtcp::parse(bytes)?, [packet]);
/// # Ok::<(), rtcp::RtcpError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransportFeedback {
    /// Who received.
    pub sender_ssrc: u32,
    /// One of the streams that it is about; the others go without saying.
    pub media_ssrc: u32,
    /// The transport-wide sequence number of the first packet.
    pub base_sequence: u16,
    /// What the first delta adds to, in units of 64 ms since whatever the receiver
    /// chose. Signed, 24 bits.
    pub reference_time: i32,
    /// The number of this feedback; after 255 comes 0. A gap is lost feedback.
    pub feedback_count: u8,
    /// What became of each packet from `base_sequence` on.
    pub statuses: Statuses,
}

impl TransportFeedback {
    /// The packets that arrived and when, in microseconds since whatever the receiver
    /// chose. Those that it gives no time for are left out.
    pub fn arrivals(&self) -> impl Iterator<Item = (u16, i64)> {
        let mut time = i64::from(self.reference_time) * REFERENCE_MICROS;
        let mut sequence = self.base_sequence;
        self.statuses.iter().filter_map(move |status| {
            let this = sequence;
            sequence = sequence.wrapping_add(1);
            match status {
                Status::Received { delta } => {
                    time += i64::from(delta) * DELTA_MICROS;
                    Some((this, time))
                }
                Status::Lost | Status::ReceivedUntimed => None,
            }
        })
    }

    pub(super) fn parse(body: Bytes) -> Result<Self, RtcpError> {
        let mut fields = Fields::new(body);
        let sender_ssrc = fields.u32("TWCC sender")?;
        let media_ssrc = fields.u32("TWCC media source")?;
        let base_sequence = fields.u16("TWCC base sequence number")?;
        let count = fields.u16("TWCC packet status count")?;
        let word = fields.u32("TWCC reference time")?;
        Ok(Self {
            sender_ssrc,
            media_ssrc,
            base_sequence,
            reference_time: word.cast_signed() >> 8,
            feedback_count: (word & 0xff) as u8,
            statuses: Statuses::parse(count, fields)?,
        })
    }

    pub(super) fn emit(&self, out: &mut BytesMut) {
        let Statuses { count, chunks, deltas } = &self.statuses;
        assert_ne!(*count, 0, "feedback is about a packet");
        assert_eq!(
            self.reference_time << 8 >> 8,
            self.reference_time,
            "a reference time has 24 bits"
        );
        out.put_u32(self.sender_ssrc);
        out.put_u32(self.media_ssrc);
        out.put_u16(self.base_sequence);
        out.put_u16(*count);
        out.put_i32(self.reference_time << 8 | i32::from(self.feedback_count));
        for &chunk in chunks {
            out.put_u16(chunk);
        }
        let mut len = 2 * chunks.len();
        let timed = self.statuses.symbols().filter(|&symbol| delta_len(symbol) > 0);
        for (symbol, &delta) in timed.zip(deltas) {
            match symbol {
                SMALL => out.put_u8(delta as u8),
                _ => out.put_i16(delta),
            }
            len += delta_len(symbol);
        }
        // Without the padding bit, which only a compound's last packet may have.
        out.put_bytes(0, len.next_multiple_of(4) - len);
    }
}

/// What became of one packet.
///
/// ```
/// use paceline_framing::rtcp::Status;
///
/// // 1 ms after the one before.
/// let status = Status::Received { delta: 4 };
/// assert_ne!(status, Status::Lost);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Status {
    /// It had not arrived when the feedback was sent.
    Lost,
    /// It arrived.
    Received {
        /// Since the one received before, or the reference time, in units of 250 µs.
        delta: i16,
    },
    /// It arrived, and the receiver does not say when. Not for browsers: libwebrtc
    /// refuses feedback that has it.
    ReceivedUntimed,
}

/// What became of up to 65,535 packets, held as the wire has it: two octets may say
/// that 8,191 are lost, and are two octets here too. Equal means equal on the wire: the
/// same statuses in other chunks are not.
///
/// ```
/// use paceline_framing::rtcp::{Status, Statuses};
///
/// let statuses = Statuses::new([Status::Lost; 3]);
/// assert_eq!(statuses.len(), 3);
/// assert!(statuses.iter().all(|status| status == Status::Lost));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statuses {
    count: u16,
    chunks: Vec<u16>,
    /// One for each symbol that has one, within `count`.
    deltas: Vec<i16>,
}

impl Statuses {
    /// These, in few chunks.
    ///
    /// # Panics
    ///
    /// If there are none, or more than 65,535.
    #[must_use]
    pub fn new(statuses: impl IntoIterator<Item = Status>) -> Self {
        let mut symbols = Vec::new();
        let mut deltas = Vec::new();
        for status in statuses {
            symbols.push(match status {
                Status::Lost => LOST,
                Status::Received { delta: 0..=255 } => SMALL,
                Status::Received { .. } => LARGE,
                Status::ReceivedUntimed => UNTIMED,
            });
            if let Status::Received { delta } = status {
                deltas.push(delta);
            }
        }
        let count = u16::try_from(symbols.len()).expect("feedback is about 65,535 packets at most");
        assert_ne!(count, 0, "feedback is about a packet");
        Self { count, chunks: chunks(&symbols), deltas }
    }

    fn parse(count: u16, mut fields: Fields) -> Result<Self, RtcpError> {
        if count == 0 {
            return Err(RtcpError::BadValue { field: "TWCC packet status count", value: 0 });
        }
        let mut chunks = Vec::new();
        let mut left = usize::from(count);
        while left > 0 {
            let chunk = fields.u16("TWCC packet status chunk")?;
            left = left.saturating_sub(runs(chunk).map(|(_, run)| run).sum());
            chunks.push(chunk);
        }
        // A run of deltas ends with the octets, one without is one step: what a datagram
        // costs is of its size, not of its counts.
        let mut deltas = Vec::new();
        for (symbol, run) in limit(chunks.iter().copied().flat_map(runs), count) {
            for _ in 0..if delta_len(symbol) > 0 { run } else { 0 } {
                deltas.push(match symbol {
                    SMALL => fields.u8("TWCC small delta")?.into(),
                    _ => fields.u16("TWCC large delta")?.cast_signed(),
                });
            }
        }
        fields.finish_word("TWCC delta")?;
        Ok(Self { count, chunks, deltas })
    }

    /// How many packets it is about.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Each of them, the one with the base sequence number first.
    pub fn iter(&self) -> impl Iterator<Item = Status> {
        let mut deltas = self.deltas.iter().copied();
        self.symbols().map(move |symbol| match (symbol, delta_len(symbol)) {
            (LOST, _) => Status::Lost,
            (_, 0) => Status::ReceivedUntimed,
            _ => Status::Received { delta: deltas.next().unwrap_or_default() },
        })
    }

    fn symbols(&self) -> impl Iterator<Item = u8> {
        limit(self.chunks.iter().copied().flat_map(runs), self.count)
            .flat_map(|(symbol, run)| std::iter::repeat_n(symbol, run))
    }
}

/// The symbols of a chunk, and how often each.
fn runs(chunk: u16) -> impl Iterator<Item = (u8, usize)> {
    let (symbols, bits, run) = match chunk >> 14 {
        0b10 => (ONE_BIT_SYMBOLS, 1, 1),
        0b11 => (TWO_BIT_SYMBOLS, 2, 1),
        _ => (1, 2, usize::from(chunk & RUN_MAX)),
    };
    // A run has its only symbol one bit further up than a vector its first.
    let top = if chunk >> 15 == 0 { 15 } else { 14 };
    (1..=symbols).map(move |i| {
        let symbol = chunk >> (top - i * bits) & ((1 << bits) - 1);
        (symbol as u8, run)
    })
}

/// No more than `count` symbols: a vector may have some that say nothing.
fn limit(runs: impl Iterator<Item = (u8, usize)>, count: u16) -> impl Iterator<Item = (u8, usize)> {
    runs.scan(usize::from(count), |left, (symbol, run)| {
        let run = run.min(*left);
        *left -= run;
        Some((symbol, run))
    })
}

/// Runs where they are long, vectors of one bit where those will do.
fn chunks(mut symbols: &[u8]) -> Vec<u16> {
    let mut chunks = Vec::new();
    while let Some(&first) = symbols.first() {
        let run = symbols.iter().take_while(|&&symbol| symbol == first).count();
        let window = &symbols[..symbols.len().min(ONE_BIT_SYMBOLS)];
        let one_bit = window.iter().all(|&symbol| symbol <= SMALL);
        let worth = if one_bit { ONE_BIT_SYMBOLS } else { TWO_BIT_SYMBOLS };
        let (chunk, len) = if run >= worth || run == symbols.len() {
            let run = run.min(RUN_MAX.into());
            (u16::from(first) << 13 | run as u16, run)
        } else if one_bit {
            (0b10 << 14 | vector(window, ONE_BIT_SYMBOLS, 1), window.len())
        } else {
            let window = &window[..window.len().min(TWO_BIT_SYMBOLS)];
            (0b11 << 14 | vector(window, TWO_BIT_SYMBOLS, 2), window.len())
        };
        chunks.push(chunk);
        symbols = &symbols[len..];
    }
    chunks
}

/// The symbols from the top bit of a vector on, and zeros for those that it lacks.
fn vector(symbols: &[u8], len: usize, bits: usize) -> u16 {
    let all = symbols.iter().chain(std::iter::repeat(&LOST)).take(len);
    all.fold(0, |vector, &symbol| vector << bits | u16::from(symbol))
}

/// Octets of the delta that goes with a symbol.
const fn delta_len(symbol: u8) -> usize {
    match symbol {
        SMALL => 1,
        LARGE => 2,
        _ => 0,
    }
}

/// draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.1, as are the next three.
const LOST: u8 = 0;
const SMALL: u8 = 1;
const LARGE: u8 = 2;
/// Reserved there, where an example takes it for this; libwebrtc refuses it.
const UNTIMED: u8 = 3;

/// draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.3: thirteen bits.
const RUN_MAX: u16 = 0x1fff;

/// draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.4.
const ONE_BIT_SYMBOLS: usize = 14;
const TWO_BIT_SYMBOLS: usize = 7;

/// draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1: 64 ms.
const REFERENCE_MICROS: i64 = 64_000;

/// draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.5.
const DELTA_MICROS: i64 = 250;
