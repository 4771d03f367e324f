//! From what the router takes to producers that exist.

use std::time::Instant;

use serde_json::{Map, Value, json};
use tracing::debug;

use super::{Asked, Flow, Remote, Transport};
use crate::mediasoup::config::Route;
use crate::mediasoup::{Dialect, FlowError, Output, PlainError, PlainRemote, Producer, Step};
use crate::rtp_parameters::{MediaKind, Stream, negotiate};
use crate::sdp::RemoteTransport;

impl Flow {
    pub(super) fn handle_capabilities(
        &mut self,
        now: Instant,
        data: &Value,
    ) -> Result<(), FlowError> {
        let (dialect, router) = Dialect::of(data).ok_or_else(|| self.malformed("codecs"))?;
        // What the router does not take is known before anything is made.
        for codec in self.codecs() {
            negotiate(&codec, &Stream::new(0, 0, ""), &router)?;
        }
        (self.dialect, self.router) = (dialect, router);
        self.step = Step::Transport;
        let direction: &[(&str, Value)] = match dialect {
            Dialect::Bare => &[("producing", json!(true)), ("consuming", json!(false))],
            Dialect::Named => &[("appData", json!({ "direction": "producer" }))],
        };
        let mut data: Map<_, _> = object(direction);
        let method = match &self.config.route {
            Route::Plain { srtp, .. } => {
                data.extend(object(&PlainRemote::request(srtp)));
                "createPlainTransport"
            }
            Route::WebRtc { .. } => {
                data.insert("forceTcp".to_owned(), json!(self.config.force_tcp));
                "createWebRtcTransport"
            }
        };
        self.ask(now, Asked::Transport, method, Value::Object(data));
        Ok(())
    }

    pub(super) fn handle_transport(&mut self, now: Instant, data: &Value) -> Result<(), FlowError> {
        let id = self.dialect.transport_id(data).map_err(|field| self.malformed(field))?;
        let remote = match &self.config.route {
            Route::Plain { srtp, .. } => {
                Remote::Plain(PlainRemote::parse(data, srtp).map_err(|error| match error {
                    PlainError::Field(field) => self.malformed(field),
                    PlainError::NoSrtp => FlowError::SrtpUnavailable,
                })?)
            }
            Route::WebRtc { .. } => Remote::WebRtc(
                RemoteTransport::parse(data)
                    .map_err(|error| FlowError::Sdp { step: self.step, error })?,
            ),
        };
        self.transport = Some(Transport { id, remote });
        self.step = Step::Join;
        // Without capabilities of ours: the server then offers us nothing to consume.
        let join = json!({
            "displayName": self.config.display_name,
            "device": { "flag": "unknown", "name": "paceline", "version": env!("CARGO_PKG_VERSION") },
        });
        self.ask(now, Asked::Join, "join", join);
        Ok(())
    }

    /// With comedia, only the keys are told; the address is learnt from our packets.
    pub(super) fn connect_plain(&mut self, now: Instant) {
        let Some(Transport { id, remote: Remote::Plain(remote) }) = &self.transport else { return };
        let data = json!({ "transportId": id, "srtpParameters": remote.local.emit() });
        self.step = Step::Connect;
        self.ask(now, Asked::Connect, "connectPlainTransport", data);
    }

    pub(super) fn produce(&mut self, now: Instant) {
        self.step = Step::Produce;
        if let Route::Plain { streams, .. } = &self.config.route {
            let all = streams.iter().map(|(codec, stream)| negotiate(codec, stream, &self.router));
            match all.collect::<Result<Vec<_>, _>>() {
                Ok(negotiated) => self.negotiated = negotiated,
                Err(error) => return self.fail(error.into()),
            }
            self.outputs.push_back(Output::Negotiated(self.negotiated.clone()));
        }
        let Some(Transport { id, remote }) = &self.transport else { return };
        if let Remote::Plain(remote) = remote {
            self.outputs.push_back(Output::Plain(remote.clone()));
        }
        let id = id.clone();
        for (index, negotiated) in self.negotiated.clone().iter().enumerate() {
            debug!(%negotiated, "producing");
            let source = match negotiated.kind() {
                MediaKind::Audio => "audio",
                MediaKind::Video => &self.config.video_source,
            };
            let data = json!({
                "transportId": id,
                "kind": negotiated.kind(),
                "rtpParameters": negotiated.parameters(),
                "appData": { "source": source },
            });
            self.ask(now, Asked::Produce(index), "produce", data);
        }
        self.settle();
    }

    pub(super) fn handle_produced(&mut self, index: usize, data: &Value) -> Result<(), FlowError> {
        let id = self.dialect.producer_id(data).map_err(|field| self.malformed(field))?;
        if let Some(negotiated) = self.negotiated.get(index) {
            self.producers.insert(index, Producer { kind: negotiated.kind(), id });
        }
        self.settle();
        Ok(())
    }

    /// Goes on to being ready when nothing is missing.
    pub(super) fn settle(&mut self) {
        if self.is_over {
            return;
        }
        let is_produced = self.producers.len() == self.negotiated.len();
        if self.step == Step::Produce && is_produced {
            self.step = Step::Path;
        }
        if self.step == Step::Path && self.is_up {
            self.step = Step::Ready;
            self.deadline = None;
            let producers = self.producers.values().cloned().collect();
            self.outputs.push_back(Output::Ready { producers });
        }
    }
}

fn object(pairs: &[(&str, Value)]) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}
