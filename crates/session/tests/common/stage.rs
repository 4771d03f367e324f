//! Camera, microphone and mixer of one node, with frames of few bytes.

use std::time::Duration;

use paceline_framing::Numbering;
use paceline_session::types::{
    AudioCodec, Coding, EncodedFrame, Epoch, Frequency, MediaTime, NtpTime, SeqNo, StreamId,
    VideoCodec,
};
use paceline_session::{Input, MixerState, Output, Recipients, StageOrder};

#[derive(Debug)]
pub(super) struct Stage {
    order: StageOrder,
    /// What the next picture of ours, or of the mix, has to be.
    own_key: bool,
    mix_key: bool,
    ready: Option<Epoch>,
    audio: Option<Numbering>,
}

impl Default for Stage {
    fn default() -> Self {
        Self { order: StageOrder::Idle, own_key: true, mix_key: true, ready: None, audio: None }
    }
}

impl Stage {
    pub(super) fn handle_output(&mut self, output: &Output) {
        match output {
            Output::Stage(order) => {
                match order {
                    StageOrder::Prepare { epoch, .. } => self.ready = Some(*epoch),
                    StageOrder::Host { .. } => self.mix_key = true,
                    _ => self.ready = None,
                }
                self.order = order.clone();
            }
            Output::Steer { stream: StreamId::VIDEO, .. } => self.own_key = true,
            Output::Steer { stream: StreamId::MIX_VIDEO, .. } => self.mix_key = true,
            _ => {}
        }
    }

    /// What is encoded of one moment: sound or pictures.
    pub(super) fn make(
        &mut self,
        pictures: bool,
        seq: u64,
        hosts: bool,
        links: &[u8],
    ) -> Vec<Input> {
        let all = |frame| Input::Encoded { to: Recipients::All, frame };
        if !pictures {
            let mut inputs = vec![all(sound(StreamId::AUDIO, seq))];
            let frame = sound(StreamId::MIX_AUDIO, seq);
            self.audio = Some(Numbering { stream: frame.stream, seq: frame.seq, time: frame.time });
            if self.order != StageOrder::Idle {
                // Everybody gets a mix of his own.
                inputs.extend(links.iter().map(|&n| Input::Encoded {
                    to: Recipients::One(super::peer(n)),
                    frame: frame.clone(),
                }));
            }
            return inputs;
        }
        let own = picture(StreamId::VIDEO, seq, std::mem::take(&mut self.own_key));
        let mut inputs = vec![all(own)];
        let time = MediaTime::new(3_000 * seq, Frequency::VIDEO);
        let composes = match &self.order {
            StageOrder::Host { from, .. } => from.is_none_or(|from| time.ticks() >= from.ticks()),
            StageOrder::Prepare { .. } | StageOrder::Stop { .. } => true,
            _ => false,
        };
        if composes {
            // The encoder of who takes over begins with what goes out first.
            let key = self.mix_key && !matches!(self.order, StageOrder::Prepare { .. });
            self.mix_key &= !key;
            let frame = picture(StreamId::MIX_VIDEO, seq, key);
            if hosts {
                let video =
                    Numbering { stream: StreamId::MIX_VIDEO, seq: frame.seq, time: frame.time };
                let numbering = self.audio.into_iter().chain([video]).collect();
                inputs.push(Input::Mixer(MixerState { numbering, tiles: Vec::new() }));
            }
            inputs.push(all(frame));
        }
        if let Some(epoch) = self.ready.take() {
            inputs.push(Input::StageReady { epoch, missing: Vec::new() });
        }
        inputs
    }
}

pub(crate) fn sound(stream: StreamId, seq: u64) -> EncodedFrame {
    EncodedFrame {
        stream,
        seq: SeqNo::new(seq),
        time: MediaTime::new(seq * 960, Frequency::AUDIO),
        capture: NtpTime::from_unix(Duration::from_millis(20 * seq)),
        coding: Coding::Audio { codec: AudioCodec::Opus, channels: 1 },
        data: vec![1, 2, 3].into(),
    }
}

pub(crate) fn picture(stream: StreamId, seq: u64, key: bool) -> EncodedFrame {
    let (codec, discardable) = (VideoCodec::H264, false);
    EncodedFrame {
        time: MediaTime::new(seq * 3_000, Frequency::VIDEO),
        capture: NtpTime::from_unix(Duration::from_nanos(33_333_333 * seq)),
        coding: Coding::Video { codec, key, discardable, width: 640, height: 360 },
        data: (if key { KEY } else { DELTA }).into(),
        ..sound(stream, seq)
    }
}

/// Annex B: parameter sets and a slice.
const KEY: &[u8] = &[
    0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0xab, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0, 0, 0, 1, 0x65,
    0x88, 0xab,
];

/// A slice.
const DELTA: &[u8] = &[0, 0, 0, 1, 0x41, 0x88, 0xab];
