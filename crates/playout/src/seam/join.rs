//! Where one sound ends and another begins.

use std::time::Duration;

use paceline_types::AudioFrame;

use crate::Crossfade;
use crate::rate::Concealer;

/// Fades into a sound out of another, or out of what was heard before it as that would
/// have gone on.
#[derive(Debug)]
pub(super) struct Join {
    len: usize,
    fade: Crossfade,
    concealer: Concealer,
    /// What it fades out of is made up.
    made_up: bool,
}

impl Join {
    pub(super) fn new(span: Duration) -> Self {
        let len = span.as_millis() as usize * 48;
        Self { len, fade: Crossfade::new(0), concealer: Concealer::new(), made_up: false }
    }

    /// The next sound fades in.
    pub(super) fn begin(&mut self) {
        self.fade = Crossfade::new(self.len);
        self.made_up = false;
    }

    /// The next sound fades in, and there is nothing else of its time.
    pub(super) fn begin_after_heard(&mut self) {
        self.begin();
        self.make_up();
    }

    /// The next sound, for which there is none of the other.
    pub(super) fn go_on(&mut self, frame: &mut AudioFrame) {
        if self.fade.is_over() || frame.channels != 1 {
            return;
        }
        if !self.made_up {
            self.make_up();
        }
        let mut old = vec![0.0; frame.samples.len()];
        self.concealer.make(&mut old);
        let mut new = frame.samples.to_vec();
        self.fade.mix(&old, &mut new, 1);
        frame.samples = new.into();
    }

    /// The next sound of both.
    pub(super) fn fade(&mut self, old: &AudioFrame, new: &mut AudioFrame) {
        if self.made_up || (old.channels, new.channels) != (1, 1) {
            // What it fades out of already is not changed for another.
            return self.go_on(new);
        }
        if self.fade.is_over() {
            return;
        }
        let mut samples = new.samples.to_vec();
        self.fade.mix(&old.samples, &mut samples, 1);
        new.samples = samples.into();
    }

    /// Remembers what is heard.
    pub(super) fn hear(&mut self, frame: &AudioFrame) {
        if frame.channels == 1 {
            self.concealer.hear(&frame.samples);
        } else {
            self.concealer.clear();
        }
    }

    fn make_up(&mut self) {
        self.concealer.begin();
        self.made_up = true;
    }
}
