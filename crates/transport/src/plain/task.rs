//! The sockets and the clock of one plain uplink.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use paceline_types::{ConnectionEvent, PacketKind};
use rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use shared::error::Error;
use shared::marshal::{Marshal, MarshalSize, Unmarshal};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tracing::{debug, trace};

use super::config::PlainUplinkConfig;
use super::crypto::Crypto;
use super::loss::LossControl;
use super::silence::{Silence, Verdict};
use crate::uplink::{History, Mailbox, Reports, TaskEnd, now, sleep_until};

/// Until it is stopped, or its handle is gone.
pub(super) async fn run(config: PlainUplinkConfig, end: TaskEnd, stop: Arc<Notify>) {
    let TaskEnd { mailbox, mut packets } = end;
    let mut plain = match Plain::new(&config, Arc::clone(&mailbox)).await {
        Ok(plain) => plain,
        Err(error) => {
            let reason = format!("no socket could be made at {}: {error}", config.bind);
            return mailbox.tell(ConnectionEvent::Closed { reason });
        }
    };
    mailbox.tell(ConnectionEvent::Open);
    mailbox.tell(ConnectionEvent::Target(plain.loss.target()));
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let deadline = plain.silence.poll_timeout();
        // By chance, which is first: neither a queue of ours nor a flood of theirs keeps the
        // other waiting.
        tokio::select! {
            packet = packets.recv() => match packet {
                Some((_, (kind, bytes))) => plain.send(kind, bytes).await,
                None => break,
            },
            received = plain.rtcp.recv_from(&mut buffer) => match received {
                Ok((len, from)) => plain.receive(from, &buffer[..len]).await,
                // The echo of a datagram that nobody took: the server may not be there yet.
                Err(error) => trace!(%error, "receiving"),
            },
            () = sleep_until(deadline) => match plain.silence.handle_timeout(now()) {
                Some(Verdict::Down) => mailbox.tell(ConnectionEvent::Path { up: false }),
                Some(Verdict::Over) => {
                    let silent = config.report_timeout.saturating_add(config.path_timeout);
                    let reason = format!("no report from the server for {} s", silent.as_secs());
                    return mailbox.tell(ConnectionEvent::Closed { reason });
                }
                None => {}
            },
            () = stop.notified() => {
                // What was handed over before is sent.
                while let Ok((_, (kind, bytes))) = packets.try_recv() {
                    plain.send(kind, bytes).await;
                }
                break;
            }
        }
    }
    mailbox.close();
}

struct Plain {
    rtp: Arc<UdpSocket>,
    /// The same, if RTCP has no port of its own.
    rtcp: Arc<UdpSocket>,
    to_rtp: SocketAddr,
    to_rtcp: SocketAddr,
    crypto: Crypto,
    history: History,
    reports: Reports,
    loss: LossControl,
    silence: Silence,
    mailbox: Arc<Mailbox>,
}

impl Plain {
    async fn new(
        config: &PlainUplinkConfig,
        mailbox: Arc<Mailbox>,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let bind = || UdpSocket::bind(SocketAddr::new(config.bind, 0));
        let rtp = Arc::new(bind().await?);
        let rtcp = match config.rtcp {
            Some(_) => Arc::new(bind().await?),
            None => Arc::clone(&rtp),
        };
        let loss = LossControl::new(&config.rates);
        let mut history = History::new(config.limits.history, loss.target());
        for track in &config.tracks {
            history.add_stream(track.ssrc, track.rtx);
        }
        Ok(Self {
            rtp,
            rtcp,
            to_rtp: config.rtp,
            to_rtcp: config.rtcp.unwrap_or(config.rtp),
            crypto: Crypto::new(&config.local_key, &config.remote_key)?,
            history,
            reports: Reports::new(&config.tracks),
            loss,
            silence: Silence::new(config.report_timeout, config.path_timeout),
            mailbox,
        })
    }

    async fn send(&mut self, kind: PacketKind, mut bytes: Bytes) {
        let sent = match kind {
            PacketKind::Rtp => self.seal_rtp(bytes).map(|sealed| (sealed, true)),
            PacketKind::Rtcp => self.crypto.seal_rtcp(&bytes).map(|sealed| {
                if let Ok(packets) = rtcp::packet::unmarshal(&mut bytes) {
                    self.reports.handle_sent(now(), &packets);
                }
                (sealed, false)
            }),
            PacketKind::Message => return,
        };
        match sent {
            Ok((sealed, true)) => {
                self.silence.handle_sent(now());
                self.transmit_rtp(&sealed).await;
            }
            Ok((sealed, false)) => lost(self.rtcp.send_to(&sealed, self.to_rtcp).await),
            Err(error) => debug!(%error, "a packet of ours cannot be protected"),
        }
    }

    fn seal_rtp(&mut self, mut bytes: Bytes) -> Result<BytesMut, Error> {
        let packet = rtp::packet::Packet::unmarshal(&mut bytes)?;
        // As it is written when it is sent again, which may not be as it came (padding): two
        // texts under one nonce would give away both (RFC 7714 §8.4).
        let sealed = self.crypto.seal_rtp(&packet.marshal()?)?;
        self.history.record(&packet);
        self.mailbox.count(|stats| {
            stats.packets += 1;
            stats.bytes += packet.marshal_size() as u64;
        });
        Ok(sealed)
    }

    async fn transmit_rtp(&mut self, sealed: &[u8]) {
        lost(self.rtp.send_to(sealed, self.to_rtp).await);
    }

    async fn receive(&mut self, from: SocketAddr, datagram: &[u8]) {
        // Who does not have the key cannot say anything; who has it may be behind any address.
        let opened = self.crypto.open_rtcp(datagram);
        let packets = opened.and_then(|mut compound| rtcp::packet::unmarshal(&mut compound));
        let mut packets = match packets {
            Ok(packets) => packets,
            Err(error) => {
                debug!(%from, %error, "a datagram is not the server's");
                return self.mailbox.count(|stats| stats.rejected += 1);
            }
        };
        if self.silence.handle_heard() {
            self.mailbox.tell(ConnectionEvent::Path { up: true });
        }
        let now = now();
        let heard = self.reports.handle_received(now, &packets);
        if let Some(rtt) = heard.rtt {
            self.history.set_rtt(rtt);
            self.mailbox.count(|stats| stats.rtt = Some(rtt));
        }
        if let Some(lost) = heard.fraction_lost {
            self.mailbox.count(|stats| stats.fraction_lost = lost);
            if let Some(target) = self.loss.handle_report(now, lost) {
                self.history.set_target(target);
                self.mailbox.tell(ConnectionEvent::Target(target));
            }
        }
        for nack in packets.iter().filter_map(|packet| packet.as_any().downcast_ref()) {
            self.answer(now, nack).await;
        }
        packets.retain(|packet| !packet.as_any().is::<TransportLayerNack>());
        if packets.is_empty() {
            return;
        }
        match rtcp::packet::marshal(&packets) {
            Ok(bytes) => self.mailbox.tell(ConnectionEvent::Rtcp(bytes.freeze())),
            Err(error) => debug!(%error, "a report cannot be written"),
        }
    }

    async fn answer(&mut self, now: Instant, nack: &TransportLayerNack) {
        let mut again = Vec::new();
        let refused = self.history.answer(now, nack, &mut again);
        self.mailbox.count(|stats| stats.not_retransmitted += refused as u64);
        for packet in again {
            // The same packet under the same key is the same datagram: nothing is learned
            // from it that was not sent before.
            let sealed = packet.marshal().and_then(|bytes| self.crypto.seal_rtp(&bytes));
            match sealed {
                Ok(sealed) => {
                    self.transmit_rtp(&sealed).await;
                    self.mailbox.count(|stats| {
                        stats.retransmissions += 1;
                        stats.retransmitted_bytes += packet.marshal_size() as u64;
                    });
                }
                Err(error) => debug!(%error, "a packet cannot be sent again"),
            }
        }
    }
}

/// A datagram that the kernel refuses is a datagram lost, as it would be a hop later.
fn lost(sent: io::Result<usize>) {
    if let Err(error) = sent {
        debug!(%error, "a datagram is lost at once");
    }
}

/// The largest datagram that is read: only RTCP comes.
const MAX_DATAGRAM: usize = 4 << 10;
