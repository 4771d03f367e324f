//! Packets to sound.

use paceline_types::{AudioCodec, AudioFrame, Coding, EncodedFrame, MediaTime, NtpTime};

use ::opus::{Decoder, Error};

use super::{MAX_PACKET, NAME, RATE, layout};
use crate::pass_through::{MAX_SAMPLE, samples_in_20_ms};
use crate::{AudioDecoder, DecodeError};

/// One packet of Opus to 20 ms.
#[derive(Debug)]
pub(crate) struct OpusDecoder {
    channels: u8,
    decoder: Decoder,
}

impl OpusDecoder {
    pub(crate) fn new(channels: u8) -> Result<Self, DecodeError> {
        let coding = Coding::Audio { codec: AudioCodec::Opus, channels };
        let layout = layout(channels).ok_or(DecodeError::NotBuiltIn(coding))?;
        let decoder = Decoder::new(RATE, layout).map_err(decoder_failed)?;
        Ok(Self { channels, decoder })
    }
}

impl AudioDecoder for OpusDecoder {
    fn decode(&mut self, frame: &EncodedFrame) -> Result<AudioFrame, DecodeError> {
        let mut samples = vec![0.0; self.check(frame)?];
        self.decoder.decode_float(&frame.data, &mut samples, false).map_err(decoder_failed)?;
        limit(&mut samples);
        Ok(AudioFrame {
            channels: self.channels,
            time: frame.time,
            capture: frame.capture,
            samples: samples.into(),
        })
    }

    fn conceal(&mut self, time: MediaTime, capture: NtpTime) -> AudioFrame {
        self.make_up(&[], time, capture)
    }

    fn recover(&mut self, next: &EncodedFrame, time: MediaTime, capture: NtpTime) -> AudioFrame {
        let says = self.check(next).is_ok();
        self.make_up(if says { &next.data } else { &[] }, time, capture)
    }
}

impl OpusDecoder {
    /// Of how many samples a frame is, all channels together, if it can be decoded.
    fn check(&mut self, frame: &EncodedFrame) -> Result<usize, DecodeError> {
        let coding = Coding::Audio { codec: AudioCodec::Opus, channels: self.channels };
        if frame.coding != coding {
            return Err(DecodeError::OtherCoding(frame.coding));
        }
        // Nothing at all is how libopus is told of a loss.
        if frame.data.is_empty() || frame.data.len() > MAX_PACKET {
            let (expected, found) = (MAX_PACKET, frame.data.len());
            return Err(DecodeError::Length { coding, expected, found });
        }
        // The length is looked up before anything is decoded: a packet that is
        // refused leaves the decoder as it was.
        let per_channel = self.decoder.get_nb_samples(&frame.data).map_err(decoder_failed)?;
        let found = per_channel * usize::from(self.channels);
        let expected = samples_in_20_ms(self.channels);
        if found != expected {
            return Err(DecodeError::Samples { expected, found });
        }
        Ok(expected)
    }

    /// 20 ms before `next`, of what it says of them, or of nothing.
    fn make_up(&mut self, next: &[u8], time: MediaTime, capture: NtpTime) -> AudioFrame {
        let mut samples = vec![0.0; samples_in_20_ms(self.channels)];
        if self.decoder.decode_float(next, &mut samples, !next.is_empty()).is_err() {
            samples.fill(0.0);
        }
        limit(&mut samples);
        AudioFrame { channels: self.channels, time, capture, samples: samples.into() }
    }
}

/// Holds samples to what those of [`Pcm`](crate::Pcm) may be: a packet that no encoder made can
/// be louder than any sound is. What is no number, or has no end, is silence: clamping would
/// leave the first as it is, and it would spread through every mix.
fn limit(samples: &mut [f32]) {
    for sample in samples {
        let finite = if sample.is_finite() { *sample } else { 0.0 };
        *sample = finite.clamp(-MAX_SAMPLE, MAX_SAMPLE);
    }
}

fn decoder_failed(error: Error) -> DecodeError {
    DecodeError::Native { decoder: NAME, code: error.code() as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_silence_and_what_is_too_loud_is_as_loud_as_may_be() {
        let mut samples =
            [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e9, -1e9, 0.5, f32::MIN_POSITIVE];
        limit(&mut samples);
        assert_eq!(samples, [0.0, 0.0, 0.0, 16.0, -16.0, 0.5, f32::MIN_POSITIVE]);
    }
}
