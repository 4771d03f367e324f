//! A packet cut into messages that the other end takes.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use paceline_types::{Coding, StreamKey};

use crate::Packet;
use crate::header::{EPOCH_BYTES, HEADER_BYTES, PART_BYTES, Part};
use crate::kind::Class;

/// A packet as messages, for any number of peers: a clone shares the bytes.
#[derive(Clone, Debug)]
pub struct Cut {
    pub(crate) class: Class,
    picture: Option<Picture>,
    key: bool,
    bytes: usize,
    packet_bytes: usize,
    messages: Arc<[Bytes]>,
}

/// What a queue has to know of a picture to leave it out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Picture {
    pub(crate) stream: StreamKey,
    /// Later ones cannot be decoded without it.
    pub(crate) needed: bool,
}

impl Cut {
    /// Bytes of the packet before it was cut: what a receiver's limit counts.
    #[must_use]
    pub const fn packet_bytes(&self) -> usize {
        self.packet_bytes
    }

    /// How urgent it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// Whether it is media that a receiver who has nothing can start with.
    #[must_use]
    pub const fn is_key(&self) -> bool {
        self.key
    }

    /// Whether it is a picture, however encoded.
    #[must_use]
    pub const fn is_video(&self) -> bool {
        self.picture.is_some()
    }

    /// Bytes of all its messages.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Its messages, in order. None at all if it would take more than 65,535.
    #[must_use]
    pub fn messages(&self) -> &[Bytes] {
        &self.messages
    }

    pub(crate) const fn picture(&self) -> Option<Picture> {
        self.picture
    }
}

/// Cuts packets for those who take messages up to a size.
///
/// One fragmenter serves all peers with that limit, in one numbering.
#[derive(Debug)]
pub struct Fragmenter {
    max_message: usize,
    next_packet: u32,
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
        Self { max_message, next_packet: 0 }
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
        let mut body = packet.emit_body();
        let packet_bytes = header.len() + body.remaining();
        let messages: Arc<[Bytes]> = if header.len() + body.remaining() <= self.max_message {
            Arc::new([header.emit(None, body)])
        } else {
            let room = self.max_message - header.len() - PART_BYTES;
            let count = u16::try_from(body.remaining().div_ceil(room)).unwrap_or(0);
            let packet = self.next_packet;
            self.next_packet = packet.wrapping_add(1);
            (0..count)
                .map(|index| {
                    let len = room.min(body.remaining());
                    header.emit(Some(Part { packet, index, count }), (&mut body).take(len))
                })
                .collect()
        };
        let frame = packet.frame();
        let class = header.kind.class();
        Cut {
            class,
            picture: frame.filter(|_| class == Class::Video).map(|(stream, frame)| Picture {
                stream,
                needed: matches!(frame.coding, Coding::Video { discardable: false, .. }),
            }),
            key: frame.is_some_and(|(_, frame)| frame.coding.is_key()),
            bytes: messages.iter().map(Bytes::len).sum(),
            packet_bytes,
            messages,
        }
    }
}

// What `MIN_MESSAGE` promises.
const _: () = {
    let room = Fragmenter::MIN_MESSAGE - HEADER_BYTES - EPOCH_BYTES - PART_BYTES;
    assert!((4_usize << 20).div_ceil(room) <= u16::MAX as usize);
};
