//! Answers to the engine's offers, and ICE that restarts on both sides.

use std::time::Instant;

use serde_json::{Value, json};

use super::{Asked, Flow, Remote, Transport};
use crate::mediasoup::{Dialect, FlowError, Output, Step};
use crate::sdp::{Answer, IceParameters, Offer, SdpError};

impl Flow {
    /// Answers the engine's offer, if there is one and all that is needed for it.
    pub(super) fn answer(&mut self, now: Instant) {
        if self.is_over || self.step < Step::Offer || !self.is_web_rtc() {
            return;
        }
        let Some(offer) = self.offer.take() else { return };
        let is_restart = self.answered.as_ref().is_some_and(|ufrag| ufrag != offer.ufrag());
        if is_restart {
            let Some(ice) = self.restarted.take() else {
                // The engine was first: the server has to restart its half before.
                self.offer = Some(offer);
                self.begin_restart(now);
                return;
            };
            if let Some(Transport { remote: Remote::WebRtc(remote), .. }) = &mut self.transport {
                *remote = remote.clone().with_ice(ice);
            }
        }
        if let Err(error) = self.answer_with(now, &offer) {
            self.fail(error);
        }
    }

    fn answer_with(&mut self, now: Instant, offer: &Offer) -> Result<(), FlowError> {
        let Some(Transport { id, remote: Remote::WebRtc(remote) }) = &self.transport else {
            return Ok(());
        };
        let negotiated = offer.negotiate(&self.codecs(), &self.router)?;
        let in_answer = |error| FlowError::Sdp { step: self.step, error };
        let answer = Answer::new(offer, remote, &negotiated, self.answers).map_err(in_answer)?;
        let connect = json!({
            "transportId": id,
            "dtlsParameters": {
                "role": answer.local_role().name(),
                "fingerprints": [{ "algorithm": "sha-256", "value": offer.fingerprint() }],
            },
        });
        let is_first = self.answered.is_none();
        self.answers += 1;
        self.answered = Some(offer.ufrag().to_owned());
        if is_first {
            self.outputs.push_back(Output::Negotiated(negotiated.clone()));
            self.negotiated = negotiated;
        }
        self.outputs.push_back(Output::Answer(answer.sdp().to_owned()));
        if is_first {
            self.step = Step::Connect;
            self.ask(now, Asked::Connect, "connectWebRtcTransport", connect);
        }
        Ok(())
    }

    pub(super) fn begin_restart(&mut self, now: Instant) {
        let Some(Transport { id, .. }) = &self.transport else { return };
        if !self.is_restarting {
            self.is_restarting = true;
            let data = json!({ "transportId": id });
            self.ask(now, Asked::RestartIce, "restartIce", data);
        }
    }

    pub(super) fn handle_restarted(&mut self, now: Instant, data: &Value) -> Result<(), FlowError> {
        self.is_restarting = false;
        let ice = match self.dialect {
            Dialect::Bare => data,
            Dialect::Named => {
                data.get("iceParameters").ok_or_else(|| self.malformed("iceParameters"))?
            }
        };
        let in_answer = |error: SdpError| FlowError::Sdp { step: self.step, error };
        self.restarted = Some(IceParameters::parse(ice).map_err(in_answer)?);
        if self.offer.is_some() {
            self.answer(now);
        } else {
            self.outputs.push_back(Output::RestartIce);
        }
        Ok(())
    }
}
