//! Opus, by libopus.

use bytes::Bytes;
use paceline_types::{AudioCodec, AudioFrame, Coding, EncodedFrame, MediaTime, NtpTime};

use ::opus::{Application, Bitrate, Channels, Decoder, Encoder, Error};

use crate::pass_through::{check_sound, samples_in_20_ms};
use crate::{
    AudioDecoder, AudioEncoder, AudioEncoderConfig, DecodeError, EncodeError, EncodedSound,
};

/// 20 ms to one packet of Opus.
#[derive(Debug)]
pub(crate) struct OpusEncoder {
    channels: u8,
    encoder: Encoder,
}

impl OpusEncoder {
    pub(crate) fn new(config: AudioEncoderConfig) -> Result<Self, EncodeError> {
        let channels = config.channels;
        let layout = layout(channels).ok_or(EncodeError::Layout(channels))?;
        let bits = config.bitrate.bps().clamp(MIN_BITRATE, MAX_BITRATE) as i32;
        let mut encoder = Encoder::new(RATE, layout, Application::Audio).map_err(encoder_failed)?;
        encoder.set_bitrate(Bitrate::Bits(bits)).map_err(encoder_failed)?;
        encoder.set_complexity(COMPLEXITY).map_err(encoder_failed)?;
        // Each packet says what was in the one before, more roughly, if some are lost.
        encoder.set_inband_fec(config.expected_loss > 0).map_err(encoder_failed)?;
        encoder.set_packet_loss_perc(config.expected_loss.into()).map_err(encoder_failed)?;
        Ok(Self { channels, encoder })
    }
}

impl AudioEncoder for OpusEncoder {
    fn encode(&mut self, frame: &AudioFrame) -> Result<EncodedSound, EncodeError> {
        check_sound(frame, self.channels)?;
        let mut packet = [0; MAX_PACKET];
        let len = self.encoder.encode_float(&frame.samples, &mut packet).map_err(encoder_failed)?;
        let coding = Coding::Audio { codec: AudioCodec::Opus, channels: self.channels };
        Ok(EncodedSound { coding, data: Bytes::copy_from_slice(&packet[..len]) })
    }
}

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
        AudioFrame { channels: self.channels, time, capture, samples: samples.into() }
    }
}

const fn layout(channels: u8) -> Option<Channels> {
    match channels {
        1 => Some(Channels::Mono),
        2 => Some(Channels::Stereo),
        _ => None,
    }
}

fn encoder_failed(error: Error) -> EncodeError {
    EncodeError::Native { encoder: NAME, code: error.code() as i32 }
}

fn decoder_failed(error: Error) -> DecodeError {
    DecodeError::Native { decoder: NAME, code: error.code() as i32 }
}

const NAME: &str = "libopus";

/// RFC 7587 §4.1: the clock of Opus, whatever the sound's bandwidth.
const RATE: u32 = 48_000;

/// Measured: half the CPU time of 9 and 10.
const COMPLEXITY: i32 = 5;

/// RFC 6716 §2.1.1: Opus goes from 6 kbit/s …
const MIN_BITRATE: u64 = 6_000;

/// … to 510 kbit/s.
const MAX_BITRATE: u64 = 510_000;

/// RFC 6716 §3.2.1: a frame has at most 1,275 bytes; before it, one byte says
/// what it is.
const MAX_PACKET: usize = 1_276;
