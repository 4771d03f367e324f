//! The encoder of a sound, for what carries it.

use paceline_codec::{AudioContent, AudioEncoder, AudioEncoderConfig, EncodeError, EncodedSound};
use paceline_types::{AudioCodec, AudioFrame, Bitrate, Carrier};

use crate::wire::Switches;

/// Encodes a sound, ours or one member's mix: as music where nothing is lost for good, and as
/// speech that survives loss where some is.
///
/// libopus says of speech alone in each frame what was in the one before, and what it is made
/// for can be chosen only in the beginning: so another encoder goes on.
#[derive(Debug)]
pub(crate) struct SoundEncoder {
    encoder: Box<dyn AudioEncoder>,
    carrier: Carrier,
    switches: Switches,
    survives: bool,
}

impl SoundEncoder {
    pub(crate) fn new(carrier: Carrier, switches: Switches) -> Result<Self, EncodeError> {
        let survives = has_to_survive(carrier, &switches);
        Ok(Self { encoder: encoder(survives)?, carrier, switches, survives })
    }

    /// Encodes 20 ms.
    pub(crate) fn encode(&mut self, frame: &AudioFrame) -> Result<EncodedSound, EncodeError> {
        let survives = has_to_survive(self.carrier, &self.switches);
        if survives != self.survives {
            self.encoder = encoder(survives)?;
            self.survives = survives;
        }
        self.encoder.encode(frame)
    }
}

fn has_to_survive(carrier: Carrier, switches: &Switches) -> bool {
    carrier == Carrier::Rtp && switches.loses_sound()
}

/// Of every tenth lost frame 10.7 dB are left if each says what was in the one before, and 1.8
/// without (`AudioEncoderConfig::expected_loss`).
fn encoder(survives: bool) -> Result<Box<dyn AudioEncoder>, EncodeError> {
    let config = AudioEncoderConfig::default();
    let config = if survives {
        config.content(AudioContent::Voice).bitrate(Bitrate::from_kbps(40)).expected_loss(10)
    } else {
        config
    };
    paceline_codec::audio_encoder(AudioCodec::Opus, config)
}

#[cfg(test)]
mod tests {
    use paceline_types::{Frequency, MediaTime, NtpTime};

    use super::*;

    /// What a second of a chord is coded as at its end: RFC 6716 §3.1, Table 2.
    fn configuration(encoder: &mut SoundEncoder) -> u8 {
        let mut toc = 0;
        for index in 0..50 {
            let sample = |at: u64| {
                let at = (index * 960 + at) as f32 / 48_000.0;
                [220.0, 277.2, 3_520.0].map(|hz: f32| (at * hz * std::f32::consts::TAU).sin())
            };
            let samples: Vec<f32> =
                (0..960).map(|at| sample(at).iter().sum::<f32>() * 0.2).collect();
            let frame = AudioFrame {
                time: MediaTime::new(index * 960, Frequency::AUDIO),
                capture: NtpTime::default(),
                channels: 1,
                samples: samples.into(),
            };
            toc = encoder.encode(&frame).expect("it is sound").data[0];
        }
        toc >> 3
    }

    #[test]
    fn sound_is_coded_as_speech_only_over_rtp_and_while_some_is_lost() {
        let switches = Switches::default();
        let new = |carrier| SoundEncoder::new(carrier, switches.clone()).expect("built in");
        let (mut channel, mut rtp) = (new(Carrier::Channel), new(Carrier::Rtp));
        let is_speech = |encoder: &mut SoundEncoder| configuration(encoder) < 16;
        for _ in 0..2 {
            switches.set_loses_sound(false);
            assert!(!is_speech(&mut channel) && !is_speech(&mut rtp));
            switches.set_loses_sound(true);
            assert!(!is_speech(&mut channel) && is_speech(&mut rtp));
            assert!(is_speech(&mut new(Carrier::Rtp)), "also of one that begins then");
        }
    }
}
