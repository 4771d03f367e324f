//! What a newcomer is shown at once: the last keyframe of each stream and what followed.

use std::time::{Duration, Instant};

use paceline_framing::{Cut, Packet};
use paceline_types::StreamKey;

use crate::pictures::Pictures;

/// The bounds of a [`Cache`].
///
/// ```
/// use std::time::Duration;
///
/// use paceline_mesh::CacheConfig;
///
/// let config = CacheConfig::default().max_age(Duration::from_secs(1));
/// ```
#[derive(Clone, Debug)]
pub struct CacheConfig {
    pub(crate) max_age: Duration,
    pub(crate) max_bytes: usize,
    pub(crate) max_streams: usize,
}

impl CacheConfig {
    /// How old a keyframe may be, by arrival and by media time. Defaults to 2 s.
    ///
    /// An older one is worth nothing: the newcomer needs a keyframe made for him. More
    /// shows him more that is past before he is at the present.
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Bytes of one stream, bookkeeping included. Defaults to 1 MiB: 2 s at 4 Mbit/s.
    ///
    /// Over it there is nothing to show until the next keyframe.
    ///
    /// A mesh that carries RTP keeps each picture as it is, for who does not, and as packets.
    /// It counts once, so that the bound is of the same pictures by either carrier: there they
    /// take somewhat more than twice as much memory as this says.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Streams at a time. Defaults to 8: a picture and a mix, and some to spare.
    ///
    /// Of a stream above them nothing is kept.
    #[must_use]
    pub const fn max_streams(mut self, streams: usize) -> Self {
        self.max_streams = streams;
        self
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { max_age: Duration::from_secs(2), max_bytes: 1 << 20, max_streams: 8 }
    }
}

/// The pictures of each stream since its last keyframe, as they are sent: a peer that
/// joins gets them from here, and no encoder is asked.
///
/// It keeps what a [`Fragmenter`](paceline_framing::Fragmenter) made, so it is for the
/// peers of one message limit: as many caches as fragmenters. What is too old is let go by
/// any call, of any stream.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_packet`](Self::handle_packet) |
/// | output | [`replay`](Self::replay), [`streams`](Self::streams) |
///
/// ```
/// use std::time::Instant;
///
/// use bytes::Bytes;
/// use paceline_mesh::framing::{Body, Fragmenter, Packet};
/// use paceline_mesh::types::{
///     Coding, EncodedFrame, Frequency, MediaTime, NtpTime, SenderId, SeqNo, StreamId, StreamKey,
///     VideoCodec,
/// };
/// use paceline_mesh::{Cache, CacheConfig};
///
/// let picture = |seq, key| Packet {
///     sender: SenderId::new(7),
///     epoch: None,
///     body: Body::Media(EncodedFrame {
///         stream: StreamId::VIDEO,
///         seq: SeqNo::new(seq),
///         time: MediaTime::new(3_000 * seq, Frequency::VIDEO),
///         capture: NtpTime::default(),
///         coding: Coding::Video {
///             codec: VideoCodec::H264,
///             key,
///             discardable: false,
///             width: 640,
///             height: 360,
///         },
///         data: Bytes::from_static(&[0; 100]),
///     }),
/// };
/// let stream = StreamKey { sender: SenderId::new(7), stream: StreamId::VIDEO };
/// let (mut fragmenter, mut cache) = (Fragmenter::new(16_384), Cache::new(CacheConfig::default()));
/// let now = Instant::now();
/// for (seq, key) in [(0, true), (1, false), (2, true), (3, false)] {
///     let packet = picture(seq, key);
///     cache.handle_packet(now, &packet, &fragmenter.cut(&packet));
/// }
/// assert_eq!(cache.replay(now, stream).expect("there is a keyframe").count(), 2);
/// ```
#[derive(Debug)]
pub struct Cache(Pictures<Cut>);

impl Cache {
    /// With nothing in it.
    #[must_use]
    pub const fn new(config: CacheConfig) -> Self {
        Self(Pictures::new(config))
    }

    /// Keeps a packet that goes out, if it is a picture that a newcomer needs.
    ///
    /// Pictures have to come in their order. If one is missing, what follows cannot be
    /// decoded, and nothing is kept up to the next keyframe.
    pub fn handle_packet(&mut self, now: Instant, packet: &Packet, cut: &Cut) {
        // One without messages was never sent.
        self.0.handle_packet(now, packet, cut, cost(cut), !cut.messages().is_empty());
    }

    /// Keeps no more of a stream that there is.
    pub fn forget(&mut self, stream: StreamKey) {
        self.0.forget(stream);
    }

    /// All that a newcomer needs to be where the others are, oldest first; `None` if only
    /// a new keyframe can do that.
    #[must_use]
    pub fn replay(
        &mut self,
        now: Instant,
        stream: StreamKey,
    ) -> Option<impl Iterator<Item = &Cut>> {
        self.0.replay(now, stream)
    }

    /// The streams of which there is something to show.
    pub fn streams(&mut self, now: Instant) -> impl Iterator<Item = StreamKey> {
        self.0.streams(now)
    }

    /// Bytes held, bookkeeping included.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.held()
    }
}

/// A cut, its place in a queue that may be half empty, and for each message its place in
/// the cut and what the allocator adds: as the queues of `paceline-framing` count.
fn cost(cut: &Cut) -> usize {
    cut.bytes() + 64 * cut.messages().len() + 192
}
