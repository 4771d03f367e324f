//! What is shared, for whoever sends it next.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

use paceline_capture::{AudioSource, CaptureError, VideoSource};
use paceline_types::{AudioFrame, Content, MediaTime, NtpTime, VideoFrame};

use crate::publish::{AudioInput, Publish, VideoInput};

/// The sources of a share, as often as they are wanted: those that can be described are opened
/// anew each time, and a program's own is lent. Only one at a time reads them.
pub(super) struct Supply {
    video: Box<dyn Fn() -> VideoInput + Send + Sync>,
    audio: Option<Box<dyn Fn() -> AudioInput + Send + Sync>>,
    content: Option<Content>,
}

impl Supply {
    pub(super) fn new(video: VideoInput, audio: Option<AudioInput>) -> Self {
        Self { video: pictures(video), audio: audio.map(sounds), content: None }
    }

    /// The picture shows this, whatever its source says.
    pub(super) fn content(mut self, content: Option<Content>) -> Self {
        self.content = content;
        self
    }

    pub(super) fn publish(&self) -> Publish {
        let publish = Publish::default().video((self.video)());
        let publish = match self.content {
            Some(content) => publish.content(content),
            None => publish,
        };
        match &self.audio {
            Some(audio) => publish.audio(audio()),
            None => publish,
        }
    }
}

impl fmt::Debug for Supply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supply")
            .field("video", &(self.video)())
            .field("audio", &self.audio.as_ref().map(|audio| audio()))
            .finish()
    }
}

fn pictures(input: VideoInput) -> Box<dyn Fn() -> VideoInput + Send + Sync> {
    match input {
        VideoInput::Camera(id) => Box::new(move || VideoInput::Camera(id.clone())),
        VideoInput::File(path) => Box::new(move || VideoInput::File(path.clone())),
        VideoInput::Screen(id) => Box::new(move || VideoInput::Screen(id.clone())),
        VideoInput::Source(source) => {
            let lent = Lent::new(source);
            Box::new(move || VideoInput::Source(Box::new(lent.clone())))
        }
        VideoInput::Test => Box::new(|| VideoInput::Test),
        VideoInput::Window(id) => Box::new(move || VideoInput::Window(id.clone())),
    }
}

fn sounds(input: AudioInput) -> Box<dyn Fn() -> AudioInput + Send + Sync> {
    match input {
        AudioInput::File(path) => Box::new(move || AudioInput::File(path.clone())),
        AudioInput::Microphone(id) => Box::new(move || AudioInput::Microphone(id.clone())),
        AudioInput::Silence => Box::new(|| AudioInput::Silence),
        AudioInput::Source(source) => {
            let lent = Lent::new(source);
            Box::new(move || AudioInput::Source(Box::new(lent.clone())))
        }
        AudioInput::Tone => Box::new(|| AudioInput::Tone),
    }
}

/// A program's own source. Whoever has had it ends before the next one reads it.
#[derive(Debug)]
struct Lent<T: ?Sized>(Arc<Mutex<Box<T>>>);

impl<T: ?Sized> Lent<T> {
    fn new(source: Box<T>) -> Self {
        Self(Arc::new(Mutex::new(source)))
    }

    /// A source that panicked is asked again, as it would be without this.
    fn source(&self) -> MutexGuard<'_, Box<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Clone for Lent<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl VideoSource for Lent<dyn VideoSource> {
    fn size(&self) -> (u16, u16) {
        self.source().size()
    }

    fn frame_rate(&self) -> f64 {
        self.source().frame_rate()
    }

    fn content(&self) -> Content {
        self.source().content()
    }

    fn read(
        &mut self,
        index: u64,
        time: MediaTime,
        capture: NtpTime,
    ) -> Result<Option<VideoFrame>, CaptureError> {
        self.source().read(index, time, capture)
    }
}

impl AudioSource for Lent<dyn AudioSource> {
    fn read(
        &mut self,
        time: MediaTime,
        capture: NtpTime,
    ) -> Result<Option<AudioFrame>, CaptureError> {
        self.source().read(time, capture)
    }

    fn is_live(&self) -> bool {
        self.source().is_live()
    }

    fn wake(&mut self, reader: Thread) {
        self.source().wake(reader);
    }
}

#[cfg(test)]
mod tests {
    use paceline_capture::TestPattern;
    use paceline_types::Frequency;

    use super::*;

    #[test]
    fn a_programs_own_source_is_lent_again_and_again_and_any_other_opened_anew() {
        let pattern = TestPattern::new(64, 32, 10.0).expect("a small one");
        let supply = Supply::new(VideoInput::Source(Box::new(pattern)), Some(AudioInput::Tone));
        for index in 0..3 {
            let opened = supply.publish().open().expect("it is there");
            let mut source = opened.video.expect("a picture").source;
            assert_eq!((source.size(), source.frame_rate()), ((64, 32), 10.0));
            let time = MediaTime::new(9_000 * index, Frequency::VIDEO);
            let frame = source.read(index, time, NtpTime::default()).expect("it goes on");
            assert_eq!(frame.expect("each is new").time(), time);
            assert!(opened.audio.is_some());
            assert_eq!(source.content(), Content::Camera);
        }
        let supply = supply.content(Some(Content::Screen));
        let opened = supply.publish().open().expect("it is there");
        assert_eq!(opened.video.expect("a picture").source.content(), Content::Screen);
        assert!(
            Supply::new(VideoInput::Test, None).publish().open().expect("test").audio.is_none()
        );
    }
}
