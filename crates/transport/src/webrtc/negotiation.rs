//! Offers and answers of one connection, as the engine is told them.
//!
//! **A restart is not applied before it is answered.** The engine forgets its
//! candidate pair the moment that a restarting offer is set, and nothing flows until the
//! answer has come and been acted on. So the offer is made and told, and set only
//! when its answer is there (until then the old path carries on, and to take
//! the offer back is to forget it). The other end hears of it by that same offer,
//! and is without a path from then on, for one way of the signalling and
//! two round trips; its datagrams wait meanwhile ([`Shared::hold`]).

use std::sync::Arc;

use paceline_types::{PeerId, Signal};
use rtc::peer_connection::configuration::RTCOfferOptions;
use tracing::debug;
use webrtc::data_channel::DataChannel;
use webrtc::error::Error;
use webrtc::peer_connection::{PeerConnection, RTCIceCandidateInit, RTCSessionDescription};

use super::media;
use super::shared::Shared;

/// What was offered to the other end and is not answered yet.
enum Offered {
    /// The first offer, which the engine knows.
    Call,
    /// One that restarts ICE, which the engine made and has not been given.
    Restart(Box<RTCSessionDescription>),
}

/// Where the negotiation of a connection stands.
pub(super) struct Negotiation {
    connection: Arc<dyn PeerConnection>,
    shared: Arc<Shared>,
    offered: Option<Offered>,
    /// Credentials of the last description of ours that is in force.
    ufrag: String,
    /// Those of the other end's.
    remote_ufrag: String,
    local_peer: PeerId,
    /// The engine has our streams of RTP.
    has_tracks: bool,
    /// The engine has credentials at hand for a restart that was taken back.
    leftover: bool,
}

impl Negotiation {
    pub(super) fn new(
        connection: Arc<dyn PeerConnection>,
        shared: Arc<Shared>,
        local_peer: PeerId,
    ) -> Self {
        Self {
            local_peer,
            has_tracks: false,
            connection,
            shared,
            offered: None,
            ufrag: String::new(),
            remote_ufrag: String::new(),
            leftover: false,
        }
    }

    /// The first offer, and the channel that it is for; `None` if there has been
    /// a description already.
    pub(super) async fn call(&mut self) -> Result<Option<(Arc<dyn DataChannel>, Signal)>, Error> {
        if self.offered.is_some() || !self.ufrag.is_empty() {
            return Ok(None);
        }
        if self.shared.has_tap() {
            self.add_tracks(false).await?;
        }
        let channel = self.connection.create_data_channel(LABEL, None).await?;
        let offer = self.connection.create_offer(None).await?;
        self.ufrag = ice_ufrag(&offer.sdp).to_owned();
        self.connection.set_local_description(offer.clone()).await?;
        self.shared.send_round();
        self.offered = Some(Offered::Call);
        Ok(Some((channel, Signal::Offer { sdp: offer.sdp })))
    }

    /// An offer to look for a path anew. One that is not answered yet is replaced: the
    /// owner wants to try again.
    pub(super) async fn restart(&mut self) -> Result<Option<Signal>, Error> {
        if matches!(self.offered, Some(Offered::Call)) || self.remote_ufrag.is_empty() {
            return Ok(None);
        }
        let options = RTCOfferOptions { ice_restart: true };
        let offer = self.connection.create_offer(Some(options)).await?;
        let signal = Signal::Offer { sdp: offer.sdp.clone() };
        self.offered = Some(Offered::Restart(Box::new(offer)));
        Ok(Some(signal))
    }

    /// Takes back a restart that is not answered. A call that is not is taken back with the
    /// connection: the engine would keep its channel and its streams, and offer them again.
    pub(super) fn roll_back(&mut self) {
        if matches!(self.offered, Some(Offered::Restart(_))) {
            (self.offered, self.leftover) = (None, true);
        }
    }

    /// Takes the other end's offer and answers it.
    pub(super) async fn offer(&mut self, sdp: String) -> Result<Option<Signal>, Error> {
        if self.offered.is_some() {
            debug!("an offer that crosses ours is dropped: it was not rolled back");
            return Ok(None);
        }
        let remote_ufrag = ice_ufrag(&sdp).to_owned();
        let carries_rtp = self.shared.has_tap() && media::carries_rtp(&sdp);
        let offer = RTCSessionDescription::offer(sdp)?;
        let is_first = self.remote_ufrag.is_empty();
        let restarts = !is_first && remote_ufrag != self.remote_ufrag;
        if !is_first && !restarts && self.leftover {
            // The engine would put its leftover credentials into the answer, and lose
            // the path by it.
            return Err(Error::ErrIncorrectSignalingState);
        }
        if restarts {
            self.shared.hold();
        }
        self.connection.set_remote_description(offer).await?;
        if is_first {
            if carries_rtp {
                self.add_tracks(true).await?;
            }
            self.shared.set_carries_rtp(carries_rtp);
        }
        let answer = self.connection.create_answer(None).await?;
        self.ufrag = ice_ufrag(&answer.sdp).to_owned();
        self.connection.set_local_description(answer.clone()).await?;
        (self.remote_ufrag, self.leftover) = (remote_ufrag, false);
        self.settle().await?;
        Ok(Some(Signal::Answer { sdp: answer.sdp }))
    }

    /// Takes the answer to our offer.
    pub(super) async fn answer(&mut self, sdp: String) -> Result<(), Error> {
        let remote_ufrag = ice_ufrag(&sdp).to_owned();
        let carries_rtp = media::carries_rtp(&sdp);
        let answer = RTCSessionDescription::answer(sdp)?;
        match self.offered.take() {
            Some(Offered::Call) => self.shared.set_carries_rtp(carries_rtp),
            Some(Offered::Restart(offer)) => {
                self.ufrag = ice_ufrag(&offer.sdp).to_owned();
                self.shared.hold();
                self.connection.set_local_description(*offer).await?;
            }
            None => {
                debug!("an answer to nothing is dropped");
                return Ok(());
            }
        }
        self.connection.set_remote_description(answer).await?;
        if self.has_tracks && self.remote_ufrag.is_empty() && !carries_rtp {
            // A section that was refused has no codecs left, and the engine makes no second
            // offer with something to send in it.
            for sender in self.connection.get_senders().await {
                self.connection.remove_track(&sender).await?;
            }
        }
        (self.remote_ufrag, self.leftover) = (remote_ufrag, false);
        self.settle().await
    }

    async fn add_tracks(&mut self, offered: bool) -> Result<(), Error> {
        if !self.has_tracks {
            media::add_tracks(&*self.connection, self.local_peer, offered).await?;
            self.has_tracks = true;
        }
        Ok(())
    }

    /// What both descriptions together say.
    async fn settle(&self) -> Result<(), Error> {
        self.shared.send_round();
        if let Some(sctp) = self.connection.sctp().await {
            self.shared.set_max_message(sctp.max_message_size().await? as usize);
        }
        Ok(())
    }

    /// Takes a candidate of the other end. One that is of no use does not end a
    /// connection.
    pub(super) async fn candidate(&self, candidate: RTCIceCandidateInit) {
        if let Err(error) = self.connection.add_ice_candidate(candidate).await {
            debug!(%error, "a remote candidate is of no use");
        }
        self.shared.send_round();
    }

    /// A candidate of our own, with the credentials it is for, which the engine does
    /// not say.
    pub(super) fn local_candidate(&self, candidate: RTCIceCandidateInit) -> Signal {
        Signal::Candidate {
            candidate: candidate.candidate,
            mid: candidate.sdp_mid.unwrap_or_default(),
            mline_index: candidate.sdp_mline_index.unwrap_or_default(),
            ufrag: self.ufrag.clone(),
        }
    }
}

/// The username fragment of a description's first section (RFC 8839 §5.4): all
/// sections of ours are in one bundle and have the same.
fn ice_ufrag(sdp: &str) -> &str {
    sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).map_or("", str::trim)
}

/// The label of the one channel.
const LABEL: &str = "paceline";
