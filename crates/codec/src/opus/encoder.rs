//! Sound to packets.

use paceline_types::{AudioCodec, AudioFrame, Bitrate, Coding, Pool};

use ::opus::{Application, Encoder, Error};

use super::{MAX_PACKET, NAME, RATE, layout};
use crate::pass_through::check_sound;
use crate::{
    AudioContent, AudioEncoder, AudioEncoderConfig, AudioEncoderTarget, EncodeError, EncodedSound,
};

/// 20 ms to one packet of Opus.
#[derive(Debug)]
pub(crate) struct OpusEncoder {
    channels: u8,
    encoder: Encoder,
    /// What it did not take; the next frame tells.
    refused: Option<EncodeError>,
    pool: Pool,
}

impl OpusEncoder {
    pub(crate) fn new(config: AudioEncoderConfig) -> Result<Self, EncodeError> {
        let channels = config.channels;
        let layout = layout(channels).ok_or(EncodeError::Layout(channels))?;
        let application = match config.content {
            AudioContent::Music => Application::Audio,
            AudioContent::Voice => Application::Voip,
        };
        let encoder = Encoder::new(RATE, layout, application).map_err(encoder_failed)?;
        let mut this = Self { channels, encoder, refused: None, pool: Pool::new(PACKETS) };
        this.encoder.set_complexity(config.complexity.into()).map_err(encoder_failed)?;
        this.encoder.set_dtx(config.dtx).map_err(encoder_failed)?;
        this.set_bitrate(config.bitrate)?;
        this.set_expected_loss(config.expected_loss)?;
        Ok(this)
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) -> Result<(), EncodeError> {
        let bits = bitrate.bps().clamp(MIN_BITRATE, MAX_BITRATE) as i32;
        self.encoder.set_bitrate(::opus::Bitrate::Bits(bits)).map_err(encoder_failed)
    }

    fn set_expected_loss(&mut self, percent: u8) -> Result<(), EncodeError> {
        // Each packet says what was in the one before, more roughly, if some are lost.
        self.encoder.set_inband_fec(percent > 0).map_err(encoder_failed)?;
        self.encoder.set_packet_loss_perc(percent.min(100).into()).map_err(encoder_failed)
    }
}

impl AudioEncoder for OpusEncoder {
    fn encode(&mut self, frame: &AudioFrame) -> Result<EncodedSound, EncodeError> {
        if let Some(error) = self.refused.take() {
            return Err(error);
        }
        check_sound(frame, self.channels)?;
        let mut packet = self.pool.take(MAX_PACKET);
        let encoded = self.encoder.encode_float(&frame.samples, &mut packet);
        packet.truncate(*encoded.as_ref().unwrap_or(&0));
        let data = self.pool.share(packet);
        encoded.map_err(encoder_failed)?;
        let coding = Coding::Audio { codec: AudioCodec::Opus, channels: self.channels };
        Ok(EncodedSound { coding, data })
    }

    fn set_target(&mut self, target: AudioEncoderTarget) {
        let bitrate = target.bitrate.map_or(Ok(()), |bitrate| self.set_bitrate(bitrate));
        let loss = target.expected_loss.map_or(Ok(()), |loss| self.set_expected_loss(loss));
        self.refused = bitrate.and(loss).err().or(self.refused.take());
    }
}

fn encoder_failed(error: Error) -> EncodeError {
    EncodeError::Native { encoder: NAME, code: error.code() as i32 }
}

/// RFC 6716 §2.1.1: Opus goes from 6 kbit/s …
const MIN_BITRATE: u64 = 6_000;

/// … to 510 kbit/s.
const MAX_BITRATE: u64 = 510_000;

/// Packets that wait to be sent: 320 ms of them. What is encoded besides is allocated.
const PACKETS: usize = 16;
