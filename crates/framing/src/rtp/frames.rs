//! Packets in order to frames: where one begins, where it ends, whether it is whole.

use std::collections::VecDeque;

use bytes::Bytes;
use paceline_types::{MediaTime, SeqNo};

use super::window::{Content, Held, nearest};
use super::{Codec, DepacketizerStats, Frame, Output};

/// Takes packets in the order of their numbers, and the gaps between them.
#[derive(Debug)]
pub(super) struct Frames {
    codec: Codec,
    at: At,
    /// The latest timestamp, extended.
    time: Option<u64>,
    /// The timestamp of the last frame that was counted as broken.
    broken: Option<u32>,
    pub(super) outputs: VecDeque<Output>,
    pub(super) stats: DepacketizerStats,
}

/// Where in the stream the next packet comes.
#[derive(Debug)]
enum At {
    /// Right behind the last packet of a frame: it begins one.
    Boundary,
    /// Within a frame of which all is there so far, or behind it.
    Open(Open),
    /// Behind a gap, or in a frame that is dropped: where the next begins is unknown.
    Lost {
        /// The timestamp of the packet before, if that came.
        after: Option<u32>,
    },
}

#[derive(Debug)]
struct Open {
    first: u64,
    /// The last number, padding included.
    last: u64,
    time: u32,
    marker: bool,
    payloads: Vec<Bytes>,
    held: usize,
}

impl Frames {
    pub(super) fn new(codec: Codec) -> Self {
        Self {
            codec,
            at: At::Lost { after: None },
            time: None,
            broken: None,
            outputs: VecDeque::new(),
            stats: DepacketizerStats::default(),
        }
    }

    /// Takes the packet that follows the last one, or the last gap.
    pub(super) fn push(&mut self, seq: u64, packet: Held) {
        let held = packet.size();
        let Held { time, marker, content, .. } = packet;
        let (first, bytes) = match content {
            Content::Malformed => return self.miss(seq, 1),
            Content::Padding => {
                if let At::Open(open) = &mut self.at {
                    open.last = seq;
                }
                self.stats.padding += 1;
                return;
            }
            Content::Payload { first, bytes } => (first, bytes),
        };
        match &mut self.at {
            At::Open(open) if open.time == time => {
                open.last = seq;
                open.marker = marker;
                open.payloads.push(bytes);
                open.held += held;
            }
            // What has the timestamp of a packet that was dropped just before it is not
            // the first, whatever it says.
            At::Lost { after } if *after == Some(time) || (after.is_none() && !first) => {
                self.at = At::Lost { after: Some(time) };
                self.drop_packets(seq, seq, 1, time);
            }
            _ => {
                // The timestamp is another one: whatever is open has ended.
                self.close();
                let payloads = vec![bytes];
                let (first, last) = (seq, seq);
                let open = Open { first, last, time, marker, payloads, held };
                self.at = At::Open(open);
            }
        }
        if marker || self.codec == Codec::Opus {
            self.close();
            self.at = At::Boundary;
        }
    }

    /// `count` packets from `first` on will not come.
    pub(super) fn miss(&mut self, first: u64, count: u64) {
        self.abandon();
        self.at = At::Lost { after: None };
        self.stats.missing += count;
        if let Some(Output::Missing { first: earlier, count: sum }) = self.outputs.back_mut()
            && earlier.get() + *sum == first
        {
            *sum += count;
        } else {
            self.outputs.push_back(Output::Missing { first: SeqNo::new(first), count });
        }
    }

    /// Drops the frame that is open: it cannot be told whether it is whole.
    pub(super) fn abandon(&mut self) {
        if let At::Open(Open { first, last, time, payloads, .. }) = &self.at {
            let (first, last, time, packets) = (*first, *last, *time, payloads.len());
            self.at = At::Lost { after: Some(time) };
            self.drop_packets(first, last, packets as u64, time);
        }
    }

    /// The stream goes on with other numbers.
    pub(super) fn restart(&mut self, first: u64) {
        self.abandon();
        self.at = At::Lost { after: None };
        self.outputs.push_back(Output::Restart { first: SeqNo::new(first) });
    }

    /// Gives out the frame that is open: it is whole.
    fn close(&mut self) {
        let At::Open(open) = std::mem::replace(&mut self.at, At::Boundary) else { return };
        let Open { first, last, time, marker, payloads, .. } = open;
        let ticks = match self.time {
            None => FIRST_TIME + u64::from(time),
            Some(latest) => nearest(latest, time, 32),
        };
        self.time = Some(ticks);
        match self.codec.assemble(&payloads) {
            Ok(assembled) => {
                self.stats.frames += 1;
                self.outputs.push_back(Output::Frame(Frame {
                    time: MediaTime::new(ticks, self.codec.clock()),
                    first_seq: SeqNo::new(first),
                    packets: payloads.len(),
                    key: assembled.key,
                    discardable: assembled.discardable,
                    marker,
                    data: assembled.data,
                }));
            }
            Err(_) => {
                self.stats.malformed_frames += 1;
                self.give_back(first, last, payloads.len() as u64);
            }
        }
    }

    fn drop_packets(&mut self, first: u64, last: u64, packets: u64, time: u32) {
        if self.broken.replace(time) != Some(time) {
            self.stats.broken_frames += 1;
        }
        self.give_back(first, last, packets);
    }

    fn give_back(&mut self, first: u64, last: u64, packets: u64) {
        self.stats.dropped_packets += packets;
        let count = last - first + 1;
        if let Some(Output::Dropped { first: earlier, count: sum }) = self.outputs.back_mut()
            && earlier.get() + *sum == first
        {
            *sum += count;
        } else {
            self.outputs.push_back(Output::Dropped { first: SeqNo::new(first), count });
        }
    }

    /// Whether a number is that of a packet of the frame that is open.
    pub(super) fn contains(&self, seq: u64) -> bool {
        matches!(&self.at, At::Open(open) if (open.first..=open.last).contains(&seq))
    }

    pub(super) const fn bytes(&self) -> usize {
        match &self.at {
            At::Open(open) => open.held,
            At::Boundary | At::Lost { .. } => 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        match &self.at {
            At::Open(open) => open.payloads.len(),
            At::Boundary | At::Lost { .. } => 0,
        }
    }
}

/// RFC 3550 §5.1: timestamps have 32 bits. Frames may be sampled before the first one
/// that comes, so it is not the lowest.
const FIRST_TIME: u64 = 1 << 32;
