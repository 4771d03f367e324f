//! Offers, answers and candidates.
//!
//! **A restart is not applied before it is answered.** The engine forgets its path the
//! moment that a restarting offer is set. So the offer is told, and set when its answer is there.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use paceline_types::Signal;
use rtc::peer_connection::configuration::RTCOfferOptions;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::transport::{
    CandidateConfig, CandidateHostConfig, RTCIceCandidate, RTCIceCandidateInit,
};
use rtc::rtp_transceiver::{RTCRtpSenderId, RTCRtpTransceiverId};
use shared::error::Error;
use tracing::debug;

use super::{Engine, LOOKS};
use crate::uplink::routes;
use crate::uplink::track::HeaderExtension;

/// What was offered and is not answered yet.
pub(super) enum Offered {
    /// The first offer, which the engine knows.
    Call,
    /// One that restarts ICE, which the engine made and has not been given.
    Restart(Box<RTCSessionDescription>),
}

/// A track, as it was agreed on.
pub(super) struct Negotiated {
    pub(super) ssrc: u32,
    pub(super) transceiver: RTCRtpTransceiverId,
    pub(super) mid: Option<(u8, Bytes)>,
    pub(super) abs_send_time: Option<u8>,
}

impl Engine {
    /// The first offer; nothing if there has been one.
    pub(in crate::uplink) fn call(&mut self, now: Instant) -> Result<Option<Signal>, Error> {
        if self.offered.is_some() || self.answered {
            return Ok(None);
        }
        let offer = self.connection.create_offer(None)?;
        self.connection.set_local_description(now + self.ahead, offer.clone())?;
        self.offered = Some(Offered::Call);
        Ok(Some(Signal::Offer { sdp: offer.sdp }))
    }

    /// An offer to look for a path anew. One that is not answered yet is replaced.
    pub(in crate::uplink) fn restart(&mut self) -> Result<Option<Signal>, Error> {
        if !self.answered {
            return Ok(None);
        }
        let options = RTCOfferOptions { ice_restart: true };
        let offer = self.connection.create_offer(Some(options))?;
        let signal = Signal::Offer { sdp: offer.sdp.clone() };
        self.offered = Some(Offered::Restart(Box::new(offer)));
        Ok(Some(signal))
    }

    /// Forgets a restart that is not answered.
    pub(in crate::uplink) fn roll_back(&mut self) {
        if matches!(self.offered, Some(Offered::Restart(_))) {
            self.offered = None;
        }
    }

    /// Takes the answer to the last offer.
    pub(in crate::uplink) fn answer(&mut self, now: Instant, sdp: String) -> Result<(), Error> {
        let now = now + self.ahead;
        let candidates = routes::candidates(&sdp).count();
        // An answer may have them in each section.
        if candidates > MAX_CANDIDATES.saturating_mul(self.tracks.len().max(1)) {
            return Err(Error::Other(format!("{candidates} candidates are too many")));
        }
        let remotes: Vec<_> =
            routes::candidates(&sdp).filter_map(routes::address_of).take(MAX_CANDIDATES).collect();
        let answer = RTCSessionDescription::answer(sdp)?;
        match self.offered.take() {
            Some(Offered::Call) => {}
            Some(Offered::Restart(offer)) => {
                self.connection.set_local_description(now, *offer)?;
                (self.searching, self.looks) = (true, LOOKS);
                self.unanswered.begin_path();
                self.routes.clear();
                self.asked.clear();
                self.added = 0;
            }
            None => {
                debug!("an answer to nothing is dropped");
                return Ok(());
            }
        }
        for remote in remotes {
            self.add_route(remote)?;
        }
        self.connection.set_remote_description(now, answer)?;
        self.answered = true;
        self.agree();
        Ok(())
    }

    /// Takes a candidate of the other end. One that is of no use does not matter.
    pub(in crate::uplink) fn candidate(&mut self, candidate: String) -> Result<(), Error> {
        if self.added >= MAX_CANDIDATES {
            debug!("a candidate is one too many");
            return Ok(());
        }
        self.added += 1;
        if let Some(remote) = routes::candidates(&candidate).find_map(routes::address_of) {
            self.add_route(remote)?;
        }
        let candidate = RTCIceCandidateInit { candidate, ..RTCIceCandidateInit::default() };
        if let Err(error) = self.connection.add_remote_candidate(candidate) {
            debug!(%error, "a candidate is of no use");
        }
        Ok(())
    }

    fn add_route(&mut self, remote: SocketAddr) -> Result<(), Error> {
        let Some(address) = routes::local_address(self.bind, remote) else { return Ok(()) };
        let local = SocketAddr::new(address, self.port);
        if !self.routes.iter().any(|(_, known)| *known == local) {
            let candidate = CandidateHostConfig {
                base_config: CandidateConfig {
                    network: "udp".to_owned(),
                    address: address.to_string(),
                    port: self.port,
                    component: 1,
                    ..CandidateConfig::default()
                },
                ..CandidateHostConfig::default()
            };
            let candidate = RTCIceCandidate::from(&candidate.new_candidate_host()?).to_json()?;
            self.connection.add_local_candidate(candidate)?;
        }
        self.routes.push((remote, local));
        Ok(())
    }

    /// Which header extensions the other end takes, track by track.
    fn agree(&mut self) {
        for track in &mut self.tracks {
            let Some(transceiver) = self.connection.rtp_transceiver(track.transceiver) else {
                continue;
            };
            let mid = transceiver.mid().clone();
            let sender: Option<RTCRtpSenderId> = transceiver.sender();
            let Some(mut sender) = sender.and_then(|id| self.connection.rtp_sender(id)) else {
                continue;
            };
            let extensions = &sender.get_parameters().rtp_parameters.header_extensions;
            let id = |extension: HeaderExtension| {
                let found = extensions.iter().find(|found| found.uri == extension.uri())?;
                u8::try_from(found.id).ok()
            };
            track.abs_send_time = id(HeaderExtension::AbsSendTime);
            track.mid = id(HeaderExtension::Mid).zip(mid.map(Bytes::from));
        }
    }
}

/// Candidates of the other end that are taken, of one answer and after it: mediasoup has one an
/// address and protocol. Each is sent checks, wherever it is.
const MAX_CANDIDATES: usize = 32;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one instant to count from")]
mod tests {
    use rtc::peer_connection::RTCPeerConnectionBuilder;
    use rtc::peer_connection::configuration::media_engine::MediaEngine;

    use super::*;
    use crate::uplink::{TrackKind, UplinkConfig, UplinkTrack};

    fn engine(tracks: usize) -> Engine {
        let track = |ssrc| UplinkTrack::new(TrackKind::Audio, "audio/opus", 48_000, 111, ssrc);
        let config = UplinkConfig::default();
        let config = (1..=tracks as u32).fold(config, |config, ssrc| config.track(track(ssrc)));
        Engine::new(Instant::now(), &config, 9).expect("an engine")
    }

    /// Whether an answer with so many candidates is refused for their number.
    fn too_many(tracks: usize, candidates: usize) -> bool {
        let mut engine = engine(tracks);
        engine.call(Instant::now()).expect("an offer");
        let lines = (0..candidates)
            .map(|at| format!("a=candidate:{at} 1 udp 1 192.0.2.1 {} typ host\r\n", at + 1));
        let sdp = format!("v=0\r\n{}", lines.collect::<String>());
        // It is no answer otherwise either.
        let error = engine.answer(Instant::now(), sdp).expect_err("nonsense").to_string();
        error.contains("candidates are too many")
    }

    fn answer_to(offer: Option<Signal>, now: Instant) -> String {
        let Some(Signal::Offer { sdp }) = offer else { panic!("it offers nothing") };
        let mut media = MediaEngine::default();
        media.register_default_codecs().expect("codecs");
        let other = RTCPeerConnectionBuilder::new().with_media_engine(media).build(now);
        let mut other = other.expect("a connection");
        let offer = RTCSessionDescription::offer(sdp).expect("an offer");
        other.set_remote_description(now, offer).expect("it is taken");
        let answer = other.create_answer(None).expect("an answer");
        other.set_local_description(now, answer.clone()).expect("it is ours");
        answer.sdp
    }

    #[test]
    fn congestion_control_hears_of_a_path_that_is_looked_for_anew() {
        let now = Instant::now();
        let mut engine = engine(1);
        let offer = engine.call(now).expect("an offer");
        engine.answer(now, answer_to(offer, now)).expect("an answer");
        assert!(!engine.unanswered.take_path(), "it is the first");
        let offer = engine.restart().expect("an offer");
        assert!(!engine.unanswered.take_path(), "it is not answered");
        engine.answer(now, answer_to(offer, now)).expect("an answer");
        assert!(engine.unanswered.take_path());
    }

    #[test]
    fn an_answer_has_no_more_candidates_than_a_server_has_addresses() {
        for (tracks, bound) in [(0, MAX_CANDIDATES), (1, MAX_CANDIDATES), (2, 2 * MAX_CANDIDATES)] {
            assert!(!too_many(tracks, bound - 1) && !too_many(tracks, bound));
            assert!(too_many(tracks, bound + 1) && too_many(tracks, 100 * bound));
        }
    }

    #[test]
    fn of_candidates_that_come_one_by_one_no_more_are_taken() {
        let mut engine = engine(1);
        for at in 0..1_000 {
            // Of which ours of the other family reach none.
            let address = if at % 2 == 0 { "192.0.2.1" } else { "2001:db8::1" };
            let candidate = format!("candidate:{at} 1 udp 1 {address} 9 typ host");
            engine.candidate(candidate).expect("it is of no use");
        }
        assert_eq!((engine.added, engine.routes.len()), (MAX_CANDIDATES, MAX_CANDIDATES / 2));
    }
}
