//! What has to be true of anything that a peer sends.

use bytes::Bytes;
use paceline_framing::rtp::Codec;

use crate::{Clip, Recording, hashes, nal_units, write_frames};

/// Checks that a peer's packets of a clip come out as what is in its file, and are
/// decoded to the same pictures; that with every tenth packet lost, whichever of ten is
/// the first, what comes out still is, and a lost packet costs a frame at most. Says what
/// there was.
///
/// # Panics
///
/// If not.
pub fn check(peer: &str, clip: &Clip, recording: &Recording) {
    let codec = clip.codec;
    let whole = recording.replay(codec, |_| false);
    assert_eq!((whole.missing.len(), whole.dropped.len()), (0, 0));
    assert_eq!(whole.frames.len(), clip.frames.len());
    assert_eq!(whole.keys(), clip.keys());
    for (frame, encoded) in whole.frames.iter().zip(&clip.frames) {
        assert_eq!(content(codec, &frame.data), content(codec, &encoded.data));
    }
    if codec != Codec::Opus {
        let file = clip.file.with_file_name("received");
        write_frames(&file, codec, &whole.data());
        assert_eq!(hashes(&file), hashes(&clip.file));
    }

    let mut least = whole.frames.len();
    for phase in 0..TENTH {
        let holes = recording.replay(codec, |index| index % TENTH == phase);
        assert_eq!(holes.missing, holes.lost);
        assert!(holes.frames.len() + holes.lost.len() >= whole.frames.len());
        for frame in &holes.frames {
            // The last that begins with the same packet, or one before.
            let later = whole.frames.partition_point(|whole| whole.first_seq <= frame.first_seq);
            let same = &whole.frames[later - 1];
            assert_eq!(content(codec, &frame.data), content(codec, &same.data));
            assert_eq!((frame.key, frame.time), (same.key, same.time));
        }
        least = least.min(holes.frames.len());
    }
    let (packets, frames) = (recording.packets.len(), whole.frames.len());
    eprintln!("{codec:?} from {peer}: {packets} packets, {frames} frames; {least} with losses");
}

/// What of a frame has to come out the same: of H.264 its NAL units, as start codes have
/// two forms; not the delimiter, as a frame of which only that is lost is whole.
fn content(codec: Codec, data: &Bytes) -> Vec<Bytes> {
    let Codec::H264 = codec else { return vec![data.clone()] };
    nal_units(data).into_iter().filter(|unit| unit[0] & 0x1f != DELIMITER).collect()
}

/// H.264 table 7-1: an access unit delimiter.
const DELIMITER: u8 = 9;

/// Every so many-th packet is lost.
const TENTH: usize = 10;
