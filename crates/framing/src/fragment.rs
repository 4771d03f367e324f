//! A packet cut into messages that the other end takes.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use paceline_types::{Coding, StreamKey};

use crate::header::{EPOCH_BYTES, HEADER_BYTES, PART_BYTES, Part};
use crate::kind::Class;
use crate::{Body, Control, Packet};

/// A packet as messages, for any number of peers: a clone shares the bytes.
///
/// ```
/// use paceline_framing::types::SenderId;
/// use paceline_framing::{Body, Class, Control, Fragmenter, Packet};
///
/// let body = Body::Control(Control::Ping { t1: 0 });
/// let packet = Packet { sender: SenderId::new(1), epoch: None, body };
/// let cut = Fragmenter::new(16_384).cut(&packet);
/// assert_eq!((cut.class(), cut.messages()), (Class::Control, &[packet.emit()][..]));
/// assert_eq!(cut.clone().messages()[0].as_ptr(), cut.messages()[0].as_ptr());
/// ```
#[derive(Clone, Debug)]
pub struct Cut(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    class: Class,
    flow: Option<Flow>,
    needed: bool,
    key: bool,
    data_bytes: usize,
    bytes: usize,
    packet_bytes: usize,
    messages: Vec<Bytes>,
}

/// What a packet can be replaced by a later one of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flow {
    /// Of an application's data.
    Channel(u16),
    /// Of pictures.
    Stream(StreamKey),
}

impl Cut {
    /// Bytes of the packet before it was cut: what a receiver's limit counts.
    #[must_use]
    pub fn packet_bytes(&self) -> usize {
        self.0.packet_bytes
    }

    /// How urgent it is.
    #[must_use]
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// Whether it is media that a receiver who has nothing can start with.
    #[must_use]
    pub fn is_key(&self) -> bool {
        self.0.key
    }

    /// Whether it is a picture, however encoded.
    #[must_use]
    pub fn is_video(&self) -> bool {
        self.0.class == Class::Video
    }

    /// Bytes of all its messages.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// Bytes of an application's data in it; of anything else none.
    #[must_use]
    pub fn data_bytes(&self) -> usize {
        self.0.data_bytes
    }

    /// Its messages, in order. None at all if it would take more than 65,535.
    #[must_use]
    pub fn messages(&self) -> &[Bytes] {
        &self.0.messages
    }

    /// `None` for what has no policy: control and sound.
    pub(crate) fn flow(&self) -> Option<Flow> {
        self.0.flow
    }

    /// Later ones of its flow cannot be decoded without it.
    pub(crate) fn is_needed(&self) -> bool {
        self.0.needed
    }

    /// It is of use without any other.
    pub(crate) fn stands_alone(&self) -> bool {
        self.0.key || self.0.class == Class::Bulk
    }
}

/// Cuts packets for those who take messages up to a size.
///
/// One fragmenter serves all peers with that limit, in one numbering.
///
/// ```
/// use bytes::Bytes;
/// use paceline_framing::types::SenderId;
/// use paceline_framing::{Body, Control, Fragmenter, Packet};
///
/// let data = Bytes::from(vec![7; 250]);
/// let body = Body::Control(Control::ApplicationData { channel: 1, data });
/// let packet = Packet { sender: SenderId::new(1), epoch: None, body };
///
/// let mut fragmenter = Fragmenter::new(128);
/// assert_eq!(fragmenter.cut(&packet).messages().len(), 3);
/// // 252 bytes of body, and 28 of header for each message.
/// assert_eq!(fragmenter.stats().copied_bytes, 252 + 3 * 28);
/// ```
#[derive(Debug)]
pub struct Fragmenter {
    max_message: usize,
    next_packet: u32,
    stats: FragmenterStats,
}

/// Counts since it was made.
///
/// ```
/// use paceline_framing::{Fragmenter, FragmenterStats};
///
/// assert_eq!(Fragmenter::new(16_384).stats(), FragmenterStats::default());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FragmenterStats {
    /// Bytes written into messages: frames and headers. This, and the fields of a packet,
    /// which are put together first, is all that is copied on the way to a transport,
    /// however many peers a packet goes to.
    pub copied_bytes: u64,
    /// Messages made.
    pub messages: u64,
    /// Packets cut. Not those that would have been too many messages.
    pub packets: u64,
}

impl Fragmenter {
    /// The smallest limit there may be. With it the largest packet of
    /// [`ReassemblyConfig`](crate::ReassemblyConfig)'s defaults still is fewer than
    /// 65,536 fragments.
    pub const MIN_MESSAGE: usize = 128;

    /// Cuts to messages of at most `max_message` bytes, headers included.
    ///
    /// # Panics
    ///
    /// If that is less than [`MIN_MESSAGE`](Self::MIN_MESSAGE).
    #[must_use]
    pub const fn new(max_message: usize) -> Self {
        assert!(max_message >= Self::MIN_MESSAGE, "`max_message` is below `MIN_MESSAGE`");
        let stats = FragmenterStats { copied_bytes: 0, messages: 0, packets: 0 };
        Self { max_message, next_packet: 0, stats }
    }

    /// Counts since it was made.
    #[must_use]
    pub const fn stats(&self) -> FragmenterStats {
        self.stats
    }

    /// Cuts a packet. One that fits a message is one, without a fragment header.
    ///
    /// A packet that takes more than 65,535 messages becomes none: no receiver
    /// holds one so large.
    ///
    /// # Panics
    ///
    /// As [`Packet::emit`] does.
    #[must_use]
    pub fn cut(&mut self, packet: &Packet) -> Cut {
        let header = packet.header();
        let (fields, data) = packet.emit_body();
        let body_bytes = fields.len() + data.len();
        let packet_bytes = header.len() + body_bytes;
        let messages = if packet_bytes <= self.max_message {
            vec![header.emit(None, [&fields, data])]
        } else {
            let room = self.max_message - header.len() - PART_BYTES;
            let count = u16::try_from(body_bytes.div_ceil(room)).unwrap_or(0);
            let packet = self.next_packet;
            self.next_packet = packet.wrapping_add(1);
            (0..count)
                .map(|index| {
                    let start = room * usize::from(index);
                    let end = body_bytes.min(start + room);
                    let part = Part { packet, index, count };
                    header.emit(Some(part), between(&fields, data, start..end))
                })
                .collect()
        };
        let bytes = messages.iter().map(Bytes::len).sum();
        self.stats.copied_bytes += bytes as u64;
        self.stats.messages += messages.len() as u64;
        self.stats.packets += u64::from(!messages.is_empty());
        let frame = packet.frame();
        let class = header.kind.class();
        Cut(Arc::new(Inner {
            class,
            flow: match (&packet.body, frame) {
                (Body::Control(Control::ApplicationData { channel, .. }), _) => {
                    Some(Flow::Channel(*channel))
                }
                (_, Some((stream, _))) if class == Class::Video => Some(Flow::Stream(stream)),
                _ => None,
            },
            needed: frame.is_some_and(|(_, frame)| {
                matches!(frame.coding, Coding::Video { discardable: false, .. })
            }),
            key: frame.is_some_and(|(_, frame)| frame.coding.is_key()),
            data_bytes: match &packet.body {
                Body::Control(Control::ApplicationData { data, .. }) => data.len(),
                _ => 0,
            },
            bytes,
            packet_bytes,
            messages,
        }))
    }
}

/// The part `range` of `first` with `second` behind it.
fn between<'a>(first: &'a [u8], second: &'a [u8], range: Range<usize>) -> [&'a [u8]; 2] {
    let split = first.len();
    [
        &first[range.start.min(split)..range.end.min(split)],
        &second[range.start.saturating_sub(split)..range.end.saturating_sub(split)],
    ]
}

// What `MIN_MESSAGE` promises.
const _: () = {
    let room = Fragmenter::MIN_MESSAGE - HEADER_BYTES - EPOCH_BYTES - PART_BYTES;
    assert!((4_usize << 20).div_ceil(room) <= u16::MAX as usize);
};
