//! Pictures that show something else than their source says.

use paceline_capture::{CaptureError, VideoSource};
use paceline_types::{Content, MediaTime, NtpTime, VideoFrame};

/// A source, as it is if `content` is none.
pub(super) fn seen_as(
    source: Box<dyn VideoSource>,
    content: Option<Content>,
) -> Box<dyn VideoSource> {
    match content {
        Some(content) => Box::new(SeenAs { source, content }),
        None => source,
    }
}

#[derive(Debug)]
struct SeenAs {
    source: Box<dyn VideoSource>,
    content: Content,
}

impl VideoSource for SeenAs {
    fn size(&self) -> (u16, u16) {
        self.source.size()
    }

    fn frame_rate(&self) -> f64 {
        self.source.frame_rate()
    }

    fn content(&self) -> Content {
        self.content
    }

    fn read(
        &mut self,
        index: u64,
        time: MediaTime,
        capture: NtpTime,
    ) -> Result<Option<VideoFrame>, CaptureError> {
        self.source.read(index, time, capture)
    }
}
