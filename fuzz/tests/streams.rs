//! What the fuzz targets of decoders begin with.

use paceline_fuzz::{STREAMS, Stream};

#[test]
fn every_stream_begins_with_a_key_frame_and_has_others() {
    for stream in STREAMS {
        let frames = stream.frames();
        assert!(frames.len() > 5 && frames[0].0, "{}", stream.name);
        let len: usize = frames.iter().map(|(_, frame)| frame.len() + 3).sum();
        assert_eq!(Stream::file(&frames).len(), len);
    }
}
