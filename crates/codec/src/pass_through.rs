//! Codecs that change nothing: for the simulator, and to see what a codec costs.

use bytes::BytesMut;
use paceline_types::{
    AudioCodec, AudioFrame, Coding, EncodedFrame, MediaTime, NtpTime, PixelFormat, VideoFrame,
};

use crate::{
    AudioDecoder, AudioEncoder, DecodeError, EncodeError, EncodedPicture, EncodedSound,
    EncoderTarget, VideoDecoder, VideoEncoder,
};

/// Pictures as they are: I420, and both ways the bytes are shared, not copied.
///
/// ```
/// use bytes::Bytes;
/// use paceline_codec::types::{Frequency, MediaTime, NtpTime, VideoFrame};
/// use paceline_codec::{PassThrough, VideoEncoder};
///
/// let time = MediaTime::new(0, Frequency::VIDEO);
/// let grey = Bytes::from(vec![128; 4 * 2 + 2 * 2]);
/// let frame = VideoFrame::new(4, 2, time, NtpTime::default(), grey)?;
/// let picture = PassThrough.encode(&frame)?.expect("nothing is skipped");
/// assert_eq!(picture.data.as_ptr(), frame.planes().as_ptr());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct PassThrough;

impl VideoEncoder for PassThrough {
    fn encode(&mut self, frame: &VideoFrame) -> Result<Option<EncodedPicture>, EncodeError> {
        let coding = Coding::Image {
            format: PixelFormat::I420,
            width: frame.width(),
            height: frame.height(),
        };
        Ok(Some(EncodedPicture {
            coding,
            qp: None,
            temporal_layer: 0,
            data: frame.planes().clone(),
        }))
    }

    fn set_target(&mut self, _target: EncoderTarget) {}
}

impl VideoDecoder for PassThrough {
    fn decode(&mut self, frame: &EncodedFrame) -> Result<Option<VideoFrame>, DecodeError> {
        let Coding::Image { format: PixelFormat::I420, width, height } = frame.coding else {
            return Err(DecodeError::OtherCoding(frame.coding));
        };
        check_length(frame, PixelFormat::I420.bytes(width, height))?;
        let planes = frame.data.clone();
        let picture = VideoFrame::new(width, height, frame.time, frame.capture, planes);
        picture.map(Some).map_err(|error| DecodeError::of(frame.coding, error))
    }
}

/// Sound as it is: 20 ms of little-endian floats. What is lost becomes silence.
#[derive(Clone, Copy, Debug)]
pub struct Pcm {
    channels: u8,
}

impl Pcm {
    /// For sound of 1 or 2 `channels`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Layout`] for any other number.
    pub const fn new(channels: u8) -> Result<Self, EncodeError> {
        match channels {
            1 | 2 => Ok(Self { channels }),
            other => Err(EncodeError::Layout(other)),
        }
    }
}

impl AudioEncoder for Pcm {
    fn encode(&mut self, frame: &AudioFrame) -> Result<EncodedSound, EncodeError> {
        check_sound(frame, self.channels)?;
        let mut data = BytesMut::with_capacity(frame.samples.len() * SAMPLE_BYTES);
        for sample in frame.samples.iter() {
            data.extend_from_slice(&sample.to_le_bytes());
        }
        let coding = Coding::Audio { codec: AudioCodec::PcmF32, channels: self.channels };
        Ok(EncodedSound { coding, data: data.freeze() })
    }
}

impl AudioDecoder for Pcm {
    fn decode(&mut self, frame: &EncodedFrame) -> Result<AudioFrame, DecodeError> {
        let coding = Coding::Audio { codec: AudioCodec::PcmF32, channels: self.channels };
        if frame.coding != coding {
            return Err(DecodeError::OtherCoding(frame.coding));
        }
        check_length(frame, samples_in_20_ms(self.channels) * SAMPLE_BYTES)?;
        let (samples, _) = frame.data.as_chunks::<SAMPLE_BYTES>();
        let samples: Vec<f32> = samples.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        // What is not a number is in no range.
        if let Some(index) =
            samples.iter().position(|sample| !(-MAX_SAMPLE..=MAX_SAMPLE).contains(sample))
        {
            return Err(DecodeError::Sample { index });
        }
        Ok(AudioFrame {
            channels: self.channels,
            time: frame.time,
            capture: frame.capture,
            samples: samples.into(),
        })
    }

    fn conceal(&mut self, time: MediaTime, capture: NtpTime) -> AudioFrame {
        let samples = vec![0.0; samples_in_20_ms(self.channels)].into();
        AudioFrame { channels: self.channels, time, capture, samples }
    }
}

/// Samples of 20 ms, all channels together.
pub(crate) const fn samples_in_20_ms(channels: u8) -> usize {
    FRAME_SAMPLES * channels as usize
}

/// Refuses a frame that an encoder for `channels` cannot take.
pub(crate) fn check_sound(frame: &AudioFrame, channels: u8) -> Result<(), EncodeError> {
    if frame.channels != channels {
        return Err(EncodeError::Channels { expected: channels, found: frame.channels });
    }
    let expected = samples_in_20_ms(channels);
    if frame.samples.len() != expected {
        return Err(EncodeError::Samples { expected, found: frame.samples.len() });
    }
    Ok(())
}

/// Refuses a frame whose bytes are not as many as its coding says.
pub(crate) fn check_length(frame: &EncodedFrame, expected: usize) -> Result<(), DecodeError> {
    let found = frame.data.len();
    if found != expected {
        return Err(DecodeError::Length { coding: frame.coding, expected, found });
    }
    Ok(())
}

/// 20 ms of one channel at 48 kHz: the default ptime of RFC 7587 §6.1.
const FRAME_SAMPLES: usize = 960;

const SAMPLE_BYTES: usize = size_of::<f32>();

/// +24 dBFS. Honest overshoot stays far below; sums of this for every peer in a
/// room stay far from infinity.
pub(crate) const MAX_SAMPLE: f32 = 16.0;
