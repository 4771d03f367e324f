//! Opus.

use bytes::Bytes;
use paceline_codec::audio_decoder;
use paceline_codec::types::{
    AudioCodec, AudioFrame, Coding, EncodedFrame, Frequency, MediaTime, NtpTime, SeqNo, StreamId,
};

use super::script::{Script, Stream};

/// A sender of Opus: the first byte of the script says whether it has one channel or two.
pub fn decode_opus(script: &[u8]) {
    let Some((&first, script)) = script.split_first() else { return };
    let (channels, name) = if first & 1 == 0 { (1, "opus_mono") } else { (2, "opus_stereo") };
    let stream = Stream::named(name);
    let mut script = Script::new(script, stream);
    let coding = Coding::Audio { codec: AudioCodec::Opus, channels };
    let mut decoder = audio_decoder(&coding).expect("built in");
    let mut seq = 0;
    while let Some(step) = script.step() {
        let untouched = step.untouched;
        let next = frame(coding, seq + u64::from(step.missing % 4), step.data);
        // What is missing is made up: the last of it from what the next one says.
        while seq + 1 < next.seq.get() {
            check(&decoder.conceal(next.time, next.capture), channels);
            seq += 1;
        }
        if seq < next.seq.get() {
            check(&decoder.recover(&next, next.time, next.capture), channels);
            seq += 1;
        }
        match decoder.decode(&next) {
            Ok(sound) => {
                assert_eq!((sound.time, sound.capture), (next.time, next.capture));
                check(&sound, channels);
            }
            Err(error) => assert!(!untouched, "{error}"),
        }
        seq += 1;
    }
    let (_, data) = stream.frames().swap_remove(0);
    check(&decoder.decode(&frame(coding, seq, data)).expect("as it was encoded"), channels);
}

fn check(sound: &AudioFrame, channels: u8) {
    assert_eq!((sound.channels, sound.samples.len()), (channels, 960 * usize::from(channels)));
    assert!(sound.samples.iter().all(|sample| sample.abs() <= 16.0), "louder than any sound");
}

fn frame(coding: Coding, seq: u64, data: Bytes) -> EncodedFrame {
    EncodedFrame {
        stream: StreamId::AUDIO,
        seq: SeqNo::new(seq),
        time: MediaTime::new(seq * 960, Frequency::AUDIO),
        capture: NtpTime::from_bits(seq << 26),
        coding,
        data,
    }
}
