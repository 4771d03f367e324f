//! The chain without an engine.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use interceptor::{
    BoxedInterceptor, Packet, RTCPFeedback, RTPHeaderExtension, StreamInfo, TaggedPacket,
};
use paceline_types::{ConnectionEvent, PacketKind, Ssrc};
use sansio::Protocol;
use shared::TransportContext;
use shared::marshal::Marshal;

use super::numbers::TRANSPORT_CC;
use super::tap::{Tap, TapStats, parse};
use super::{RtpConfig, registry};
use crate::SendError;

/// A stream of RTP, as the chain has to know it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stream {
    /// Its source.
    pub ssrc: Ssrc,
    /// Ticks of its timestamps in a second.
    pub clock_rate: u32,
}

impl Stream {
    /// The stream of this source, with so many ticks in a second.
    #[must_use]
    pub const fn new(ssrc: Ssrc, clock_rate: u32) -> Self {
        Self { ssrc, clock_rate }
    }

    fn info(self) -> StreamInfo {
        let feedback = |typ: &str, parameter: &str| RTCPFeedback {
            typ: typ.to_owned(),
            parameter: parameter.to_owned(),
        };
        StreamInfo {
            ssrc: self.ssrc.get(),
            clock_rate: self.clock_rate,
            rtp_header_extensions: vec![RTPHeaderExtension {
                uri: TRANSPORT_CC.to_owned(),
                id: TRANSPORT_CC_ID,
            }],
            rtcp_feedback: vec![feedback("nack", ""), feedback("transport-cc", "")],
            ..StreamInfo::default()
        }
    }
}

/// One end of a path of RTP, without encryption: bytes in, bytes out.
///
/// The same input gives the same output, byte by byte: what the interceptors choose by chance
/// (the source that their reports are from, and the order of those of one moment) is put
/// straight here.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_outgoing`](Self::handle_outgoing), [`handle_incoming`](Self::handle_incoming), [`handle_timeout`](Self::handle_timeout) |
/// | output | [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event), until `None` |
/// | steering | [`begin_path`](Self::begin_path) |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
///
/// ```
/// use std::time::Instant;
///
/// use bytes::Bytes;
/// use paceline_transport::rtp::{Chain, RtpConfig, Stream};
/// use paceline_transport::types::{ConnectionEvent, PacketKind, Ssrc};
///
/// let (config, stream) = (RtpConfig::default(), Stream::new(Ssrc::new(7), 90_000));
/// let mut sender = Chain::new(&config, &[stream], &[]);
/// let mut receiver = Chain::new(&config, &[], &[stream]);
///
/// // Version 2, payload type 96, number 1, timestamp 0, source 7, and a byte.
/// let packet = Bytes::from_static(&[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 42]);
/// let now = Instant::now();
/// sender.handle_outgoing(now, PacketKind::Rtp, packet)?;
/// let transmit = sender.poll_transmit().expect("it leaves at once");
/// receiver.handle_incoming(now, transmit);
/// assert!(matches!(receiver.poll_event(), Some(ConnectionEvent::Target(_))));
/// let Some(ConnectionEvent::Rtp(packet)) = receiver.poll_event() else { panic!("it came") };
/// assert_eq!(packet.last(), Some(&42));
/// # Ok::<(), paceline_transport::SendError>(())
/// ```
pub struct Chain {
    interceptors: BoxedInterceptor,
    tap: Tap,
    transmits: VecDeque<Bytes>,
    timeout: Option<Instant>,
    malformed: u64,
}

impl Chain {
    /// An end that sends these streams and receives those.
    #[must_use]
    pub fn new(config: &RtpConfig, local: &[Stream], remote: &[Stream]) -> Self {
        let (registry, tap) = registry(config);
        let mut interceptors: BoxedInterceptor = Box::new(registry.build());
        for stream in local {
            interceptors.bind_local_stream(&stream.info());
        }
        for stream in remote {
            interceptors.bind_remote_stream(&stream.info());
        }
        let sources = |streams: &[Stream]| Vec::from_iter(streams.iter().map(|stream| stream.ssrc));
        tap.set_streams(sources(local), sources(remote));
        Self { interceptors, tap, transmits: VecDeque::new(), timeout: None, malformed: 0 }
    }

    /// Sends one RTP packet or compound of RTCP packets.
    ///
    /// # Errors
    ///
    /// [`SendError::Malformed`] if it is not what it is said to be, or not of a local stream.
    pub fn handle_outgoing(
        &mut self,
        now: Instant,
        kind: PacketKind,
        bytes: Bytes,
    ) -> Result<(), SendError> {
        self.tap.try_send(now, kind, bytes)?;
        self.drain();
        Ok(())
    }

    /// Takes one datagram of the other end's, RTP or RTCP (RFC 5761 §4). One that is neither
    /// is counted and forgotten.
    pub fn handle_incoming(&mut self, now: Instant, bytes: Bytes) {
        let kind = match bytes.get(1) {
            Some(192..=223) => PacketKind::Rtcp,
            _ => PacketKind::Rtp,
        };
        let Some(packet) = parse(kind, bytes) else {
            self.malformed += 1;
            return;
        };
        let transport = TransportContext::default();
        let packet = TaggedPacket { now, transport, message: packet.into() };
        // The interceptors of the chain are not ones that fail.
        if self.interceptors.handle_read(packet).is_err() {
            self.malformed += 1;
        }
        self.drain();
    }

    /// Lets time pass: what is due is reported, and what is missing asked for.
    pub fn handle_timeout(&mut self, now: Instant) {
        let before = self.transmits.len();
        if self.interceptors.handle_timeout(now).is_err() {
            self.malformed += 1;
        }
        self.drain();
        let mut due = self.transmits.split_off(before);
        due.make_contiguous().sort_by_key(|packet| {
            // Kind, and the source that it is about (RFC 3550 §6.4.2, RFC 4585 §6.1): of each
            // there is an order already.
            (packet.get(1).copied(), packet.first().copied(), packet.get(8..12).map(<[u8]>::to_vec))
        });
        self.transmits.append(&mut due);
    }

    /// From now on packets take another way, as after a restart of ICE: when congestion control
    /// next hears of them, it begins anew with the way's delay ([`Estimator::begin_path`]). A
    /// report on what left before says nothing of the round trip.
    ///
    /// [`Estimator::begin_path`]: super::Estimator::begin_path
    pub fn begin_path(&mut self) {
        self.tap.begin_path();
    }

    /// What is to go to the other end, in order.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.transmits.pop_front()
    }

    /// What came, as [`Tap::poll_event`] has it.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<ConnectionEvent> {
        self.tap.poll_event()
    }

    /// When something is due, if anything is.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    /// What went through so far.
    #[must_use]
    pub fn stats(&self) -> TapStats {
        self.tap.stats()
    }

    /// Datagrams that were neither RTP nor RTCP.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    fn drain(&mut self) {
        // The tap has had what came.
        while self.interceptors.poll_read().is_some() {}
        while let Some(packet) = self.interceptors.poll_write() {
            let bytes = match &packet.message.packet {
                Packet::Rtp(packet) => packet.marshal().ok(),
                Packet::Rtcp(packets) => rtcp::packet::marshal(packets).ok(),
                _ => None,
            };
            self.transmits.extend(bytes.map(BytesMut::freeze));
        }
        self.timeout = self.interceptors.poll_timeout();
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("tap", &self.tap).finish_non_exhaustive()
    }
}

/// Ours for it, in every call.
const TRANSPORT_CC_ID: u16 = 5;
