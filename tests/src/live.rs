//! A clip that does not end.

use paceline_framing::types::{EncodedFrame, MediaTime, NtpTime, SeqNo, StreamId};

use crate::Clip;

/// The frames of a [`Clip`], again and again, numbered and timed on as if an encoder that
/// runs made them.
///
/// A clip begins with a key frame, so that a decoder does not mind the seam.
#[derive(Debug)]
pub struct Live {
    frames: Vec<EncodedFrame>,
    /// Ticks from one frame to the next.
    step: u64,
    next: usize,
    made: u64,
}

impl Live {
    /// From the clip's beginning.
    ///
    /// # Panics
    ///
    /// If the clip has less than two frames.
    #[must_use]
    pub fn of(clip: &Clip) -> Self {
        let [first, second, ..] = clip.frames.as_slice() else { panic!("a clip has frames") };
        let step = second.time.ticks() - first.time.ticks();
        Self { frames: clip.frames.clone(), step, next: 0, made: 0 }
    }

    /// The next frame, captured then.
    pub fn frame(&mut self, capture: NtpTime) -> EncodedFrame {
        let frame = &self.frames[self.next];
        let stream = if frame.coding.is_audio() { StreamId::AUDIO } else { StreamId::VIDEO };
        let time = MediaTime::new(self.made * self.step, frame.time.frequency());
        let frame =
            EncodedFrame { stream, seq: SeqNo::new(self.made), time, capture, ..frame.clone() };
        self.next = (self.next + 1) % self.frames.len();
        self.made += 1;
        frame
    }

    /// The next frame starts a decoder, as if the encoder had been asked for that.
    pub fn restart(&mut self) {
        self.next = 0;
    }

    /// How many frames there were.
    #[must_use]
    pub const fn made(&self) -> u64 {
        self.made
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use paceline_framing::rtp::Codec;
    use paceline_framing::types::{AudioCodec, Coding, Frequency};

    use super::*;

    #[test]
    fn a_clip_goes_on_with_the_next_number_and_the_next_time() {
        let frame = |index: u8| EncodedFrame {
            stream: StreamId::VIDEO,
            seq: SeqNo::new(index.into()),
            time: MediaTime::new(u64::from(index) * 960, Frequency::AUDIO),
            capture: NtpTime::default(),
            coding: Coding::Audio { codec: AudioCodec::Opus, channels: 2 },
            data: Bytes::copy_from_slice(&[index]),
        };
        let frames = (0..3).map(frame).collect();
        let mut live = Live::of(&Clip { codec: Codec::Opus, file: "none".into(), frames });
        let capture = NtpTime::from_bits(7);
        let mut made: Vec<_> = (0..4).map(|_| live.frame(capture)).collect();
        live.restart();
        made.extend([live.frame(capture), live.frame(capture)]);
        let shown: Vec<_> = made.iter().map(|frame| frame.data[0]).collect();
        assert_eq!(shown, [0, 1, 2, 0, 0, 1]);
        for (index, frame) in (0..).zip(&made) {
            assert_eq!((frame.seq.get(), frame.time.ticks()), (index, index * 960));
            assert_eq!((frame.stream, frame.capture), (StreamId::AUDIO, capture));
        }
        assert_eq!(live.made(), 6);
    }
}
