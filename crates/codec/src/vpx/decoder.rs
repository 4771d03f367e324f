//! Frames to pictures.

use paceline_types::{Coding, EncodedFrame, Pool, SeqNo, VideoFrame};

use super::native::{Code, Decoder};
use super::{NAME, Vpx, header};
use crate::planes::{PICTURES, check_announced, check_size, tight_planes};
use crate::{DecodeError, VideoDecoder};

/// VP8 or VP9 to pictures.
///
/// The native decoder lives from a key frame to the first error: what follows an error is
/// not shown, and the next key frame meets a decoder that remembers nothing.
#[derive(Debug)]
pub(crate) struct VpxDecoder {
    codec: Vpx,
    running: Option<Running>,
    pool: Pool,
    /// A frame of VP9 with an index of it alone.
    indexed: Vec<u8>,
}

#[derive(Debug)]
struct Running {
    native: Decoder,
    /// Which frame it decoded last.
    last: SeqNo,
}

impl VpxDecoder {
    pub(crate) fn new(codec: Vpx) -> Self {
        Self { codec, running: None, pool: Pool::new(PICTURES), indexed: Vec::new() }
    }
}

impl VideoDecoder for VpxDecoder {
    fn decode(&mut self, frame: &EncodedFrame) -> Result<Option<VideoFrame>, DecodeError> {
        let (width, height) = match frame.coding {
            Coding::Video { codec, width, height, .. } if codec == self.codec.codec() => {
                (width, height)
            }
            other => return Err(DecodeError::OtherCoding(other)),
        };
        // Taken out, and put back only if all goes well.
        let running = self.running.take();
        let (coding, expected, found) = (frame.coding, MAX_PACKET, frame.data.len());
        check_announced(coding, width, height)?;
        if found == 0 || found > expected {
            return Err(DecodeError::Length { coding, expected, found });
        }
        let header = header::read(self.codec, &frame.data)
            .map_err(|header::Unreadable| DecodeError::Damaged { state: 0 })?;
        if let Some(size) = header.size {
            check_size(coding, size)?;
        }
        let mut native = match running {
            // Neither codec says which frame it refers to: one that is missing would be
            // noticed by nobody.
            Some(running) if header.key || follows(running.last, frame.seq) => running.native,
            None if header.key => Decoder::start(self.codec)
                .map_err(|Code(code)| DecodeError::Native { decoder: NAME, code })?,
            _ => return Err(DecodeError::NeedsKeyframe),
        };
        let packet = if header.whole {
            &frame.data[..]
        } else {
            header::push_index(&frame.data, &mut self.indexed);
            &self.indexed
        };
        let decoded = native
            .decode(packet)
            .map_err(|Code(code)| DecodeError::Damaged { state: code.into() })?;
        let shown = match decoded {
            Some(decoded) => {
                let (width, height, planes) =
                    tight_planes(&mut self.pool, coding, decoded.size(), |plane, row| {
                        decoded.row(plane, row)
                    })?;
                let picture = VideoFrame::new(width, height, frame.time, frame.capture, planes);
                Some(picture.map_err(|error| DecodeError::of(coding, error))?)
            }
            None => None,
        };
        self.running = Some(Running { native, last: frame.seq });
        Ok(shown)
    }
}

fn follows(last: SeqNo, seq: SeqNo) -> bool {
    last.get().checked_add(1) == Some(seq.get())
}

/// The largest packet that is carried.
const MAX_PACKET: usize = 4 << 20;
