//! The engine of one uplink, driven by hand: no socket, no clock.
//!
//! **Nothing is missed.** What a datagram or a deadline makes the engine do may make it do
//! more, so it is asked until it has nothing to say ([`Engine::settle`]): a handshake takes no
//! longer than its round trips. Its pauses between two looks at its candidate pairs are fixed
//! at 200 ms; while it opens, or looks for a path anew, a check that came makes it look at
//! once, by a clock that skips ([`Engine::ahead`]).

mod description;
mod incoming;
mod negotiation;
mod outgoing;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use paceline_types::ConnectionEvent;
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::event::RTCPeerConnectionEvent;
use rtc::peer_connection::state::{RTCIceConnectionState, RTCPeerConnectionState};
use rtc::peer_connection::transport::RTCDtlsTransportState;
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use sansio::Protocol;
use shared::error::Error;
use tracing::debug;

use self::negotiation::{Negotiated, Offered};
use super::chain::{self, Ear};
use super::config::UplinkConfig;
use super::mailbox::{Mailbox, Phase};
use super::track::{TrackKind, UplinkTrack};
use crate::rtp::Unanswered;

/// One uplink's engine.
pub(super) struct Engine {
    connection: RTCPeerConnection,
    ear: Ear,
    /// Where congestion control is told that what it knows is of another path or clock.
    unanswered: Unanswered,
    bind: IpAddr,
    port: u16,
    born: Instant,
    tracks: Vec<Negotiated>,
    offered: Option<Offered>,
    answered: bool,
    /// A path is looked for, and media waits for it.
    searching: bool,
    /// DTLS came: it may have been a goodbye.
    heard_dtls: bool,
    /// How often its next look may still be brought forward.
    looks: u8,
    ahead: Duration,
    /// Our address, by the other end's.
    routes: Vec<(SocketAddr, SocketAddr)>,
    /// Candidates that came by themselves since the last answer.
    added: usize,
    transmits: VecDeque<(SocketAddr, BytesMut)>,
    /// Whom the engine asks for a path.
    asked: VecDeque<SocketAddr>,
    /// Sources of RTCP that the engine was asked about, and datagrams that it was not.
    reporters: Vec<[u8; 4]>,
    rejected: u64,
}

impl Engine {
    /// An engine that sends from `port`.
    pub(super) fn new(now: Instant, config: &UplinkConfig, port: u16) -> Result<Self, Error> {
        let (registry, ear, unanswered) = chain::registry(config);
        let mut settings = SettingEngineBuilder::new()
            .with_multicast_dns_mode(rtc::ice::mdns::MulticastDnsMode::Disabled)
            // A server may answer from elsewhere than it said: that pair is as good.
            .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
            .with_include_loopback_candidate(config.bind.is_loopback())
            .with_ice_timeouts(Some(DISCONNECTED), Some(FAILED), Some(KEEPALIVE));
        let without_rtx =
            |track: &UplinkTrack| track.kind == TrackKind::Video && track.rtx.is_none();
        if config.tracks.iter().any(without_rtx) {
            // The same packet again, with another transport-wide number, is one sequence
            // number in two packets, which GCM must not see (RFC 7714 §8.1).
            settings = settings.with_srtp_protection_profiles(vec![
                SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
            ]);
        }
        let mut connection = RTCPeerConnectionBuilder::new()
            .with_media_engine(description::media_engine(config)?)
            .with_setting_engine(settings.build())
            .with_interceptor_registry(registry)
            .build(now)?;
        let mut tracks = Vec::new();
        for (index, track) in config.tracks.iter().enumerate() {
            let (media, init) = description::section(index, track);
            let transceiver = connection.add_transceiver_from_track(media, Some(init))?;
            let (mid, abs_send_time) = (None, None);
            tracks.push(Negotiated { ssrc: track.ssrc, transceiver, mid, abs_send_time });
        }
        Ok(Self {
            connection,
            ear,
            unanswered,
            bind: config.bind,
            port,
            born: now,
            tracks,
            offered: None,
            answered: false,
            searching: true,
            heard_dtls: false,
            looks: LOOKS,
            ahead: Duration::ZERO,
            routes: Vec::new(),
            added: 0,
            transmits: VecDeque::new(),
            asked: VecDeque::new(),
            reporters: Vec::new(),
            rejected: 0,
        })
    }

    /// Whether media would go anywhere.
    pub(super) fn has_path(&self) -> bool {
        !self.searching
    }

    /// Lets time pass.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Err(error) = self.connection.handle_timeout(now + self.ahead) {
            debug!(%error, "a deadline was of no use");
        }
    }

    /// When to let time pass next.
    pub(super) fn poll_timeout(&mut self) -> Option<Instant> {
        let due = self.connection.poll_timeout()?;
        Some(due.checked_sub(self.ahead).unwrap_or(due))
    }

    /// Asks the engine until it has nothing to say, and tells the owner. The error is the
    /// reason to close.
    pub(super) fn settle(&mut self, now: Instant, mailbox: &Mailbox) -> Result<(), String> {
        let mut found = false;
        loop {
            let mut more = false;
            // With a path the handshake begins, but its first flight is handed out with the
            // next deadline, which is up to 200 ms away.
            if !found && mailbox.is(Phase::Opening) && self.has_path() {
                (found, more) = (true, true);
                self.handle_timeout(now);
            }
            while let Some(transmit) = self.connection.poll_write() {
                let to = transmit.transport.peer_addr;
                self.note_asked(to, &transmit.message);
                self.transmits.push_back((to, transmit.message));
                more = true;
            }
            while let Some(event) = self.connection.poll_event() {
                self.told(event, mailbox)?;
                more = true;
            }
            // The listener ends the way in, but the engine moves it by being asked.
            while self.connection.poll_read().is_some() {
                more = true;
            }
            if !more {
                break;
            }
        }
        self.hand_on(mailbox);
        if std::mem::take(&mut self.heard_dtls) && self.dtls_closed() {
            return Err("the server closed the connection".to_owned());
        }
        Ok(())
    }

    /// The engine tells of no state when the other end says goodbye: it would be `Connected`
    /// until ICE has heard nothing for long.
    fn dtls_closed(&mut self) -> bool {
        let Some(track) = self.tracks.first() else { return false };
        let transceiver = self.connection.rtp_transceiver(track.transceiver);
        let Some(id) = transceiver.and_then(|transceiver| transceiver.sender()) else {
            return false;
        };
        let state =
            self.connection.rtp_sender(id).and_then(|sender| Some(sender.transport()?.state()));
        state == Some(RTCDtlsTransportState::Closed)
    }

    fn told(&mut self, event: RTCPeerConnectionEvent, mailbox: &Mailbox) -> Result<(), String> {
        match event {
            RTCPeerConnectionEvent::OnIceConnectionStateChangeEvent(state) => {
                debug!(%state, "ICE");
                let up = match state {
                    RTCIceConnectionState::Connected | RTCIceConnectionState::Completed => true,
                    RTCIceConnectionState::Disconnected | RTCIceConnectionState::Failed => false,
                    _ => return Ok(()),
                };
                if up {
                    self.searching = false;
                }
                if mailbox.is(Phase::Open) {
                    mailbox.tell(ConnectionEvent::Path { up });
                } else if state == RTCIceConnectionState::Failed {
                    return Err("the server cannot be reached".to_owned());
                }
            }
            RTCPeerConnectionEvent::OnConnectionStateChangeEvent(state) => {
                debug!(%state, "connection");
                match state {
                    RTCPeerConnectionState::Connected if mailbox.is(Phase::Opening) => {
                        mailbox.tell(ConnectionEvent::Open);
                    }
                    RTCPeerConnectionState::Closed => {
                        return Err("the server closed the connection".to_owned());
                    }
                    RTCPeerConnectionState::Failed if mailbox.is(Phase::Opening) => {
                        return Err("no connection came about".to_owned());
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What the interceptors left.
    fn hand_on(&self, mailbox: &Mailbox) {
        let mut heard = self.ear.heard();
        mailbox.count(|stats| {
            stats.rtt = heard.rtt.or(stats.rtt);
            stats.fraction_lost = heard.fraction_lost.unwrap_or(stats.fraction_lost);
            stats.retransmissions = heard.retransmissions;
            stats.retransmitted_bytes = heard.retransmitted_bytes;
            stats.not_retransmitted = heard.not_retransmitted;
            stats.feedback_refused = heard.feedback_refused;
            stats.rejected = self.rejected;
        });
        if std::mem::take(&mut heard.target_is_new) {
            mailbox.tell(ConnectionEvent::Target(heard.target));
        }
        for compound in heard.rtcp.drain(..) {
            match rtcp::packet::marshal(&compound) {
                Ok(bytes) => mailbox.tell(ConnectionEvent::Rtcp(bytes.freeze())),
                Err(error) => debug!(%error, "a report cannot be written"),
            }
        }
    }

    /// The next datagram to send, and where to.
    pub(super) fn poll_transmit(&mut self) -> Option<(SocketAddr, BytesMut)> {
        self.transmits.pop_front()
    }

    /// Says goodbye: what is to be sent for it is in [`poll_transmit`](Self::poll_transmit).
    pub(super) fn close(&mut self) {
        if let Err(error) = self.connection.close() {
            debug!(%error, "closing");
        }
        while let Some(transmit) = self.connection.poll_write() {
            self.transmits.push_back((transmit.transport.peer_addr, transmit.message));
        }
    }
}

/// The engine's pause between two looks at its candidate pairs.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// Looks brought forward: one that finds a pair that works, one that nominates it, and
/// one for a datagram that was lost.
const LOOKS: u8 = 3;

/// Nothing heard for this long, and the path is down: two answers are missing by then.
const DISCONNECTED: Duration = Duration::from_millis(2_500);

/// And for this long after it, ICE gives up: together 30 s, when consent to send has expired
/// (RFC 7675 §5.1).
const FAILED: Duration = Duration::from_millis(27_500);

/// How often the other end is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(1);
