//! What the server tells and nobody answers.

use paceline_types::Bitrate;
use serde_json::Value;

use super::Flow;
use crate::mediasoup::Output;
use crate::protoo::printable;

impl Flow {
    pub(super) fn notified(&mut self, method: &str, data: Value) {
        let output = match method {
            "producerScore" => self.score(&data),
            "downlinkBwe" => {
                let bitrate = data.get("availableBitrate").and_then(Value::as_f64);
                // Saturates: a bitrate is neither negative nor endless.
                bitrate.map(|bps| Output::DownlinkEstimate(Bitrate::from_bps(bps as u64)))
            }
            "mediasoup-version" | "mediasoupVersion" => {
                let version = data.get("version").and_then(Value::as_str);
                version.map(|version| Output::Version(printable(version)))
            }
            other => Some(Output::Notification { method: printable(other), data }),
        };
        self.outputs.extend(output);
    }

    /// `{ producerId, score: [{ encodingIdx, ssrc, rid, score }] }`
    fn score(&self, data: &Value) -> Option<Output> {
        let id = data.get("producerId")?.as_str()?;
        let producer = self.producers.values().find(|producer| producer.id == id)?;
        let scores = data.get("score")?.as_array()?.iter();
        let worst = scores.filter_map(|encoding| encoding.get("score")?.as_u64()).min()?;
        let score = u8::try_from(worst).ok().filter(|score| *score <= MAX_SCORE)?;
        Some(Output::Score { kind: producer.kind, score })
    }
}

/// mediasoup's documentation, `ProducerScore`.
const MAX_SCORE: u8 = 10;
