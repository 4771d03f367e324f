//! What the loudspeaker plays, on its way to where its echo is taken out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where what is played is told to a [`Voice`](super::Voice), so that its echo can be taken
/// out. Clones lead to the same voice, and go to any thread.
///
/// It holds 200 ms: who plays may be that much ahead of who listens. Over that the oldest is
/// dropped and counted ([`VoiceStats::far_end_dropped`](super::VoiceStats)).
#[derive(Clone, Debug)]
pub struct FarEnd {
    line: Option<Arc<Mutex<Line>>>,
}

#[derive(Debug)]
struct Line {
    samples: VecDeque<f32>,
    dropped: u64,
    repaired: u64,
}

impl FarEnd {
    /// One that holds, or one that nobody listens to.
    pub(super) fn new(heard: bool) -> Self {
        let line = Line { samples: VecDeque::with_capacity(CAPACITY), dropped: 0, repaired: 0 };
        Self { line: heard.then(|| Arc::new(Mutex::new(line))) }
    }

    /// Tells what is played: mono at 48 kHz, 20 ms or any length, as it is handed to the
    /// loudspeaker and in that order.
    ///
    /// It takes a lock for as long as it copies, and is not for the callback of a device.
    /// Samples that are not finite count as silence, others are clamped to ±1. It does nothing
    /// when echo cancellation is off.
    pub fn push(&self, samples: &[f32]) {
        let Some(mut line) = self.lock() else { return };
        let line = &mut *line;
        let unseen = samples.len().saturating_sub(CAPACITY);
        let samples = &samples[unseen..];
        let excess = (line.samples.len() + samples.len()).saturating_sub(CAPACITY);
        line.samples.drain(..excess);
        line.dropped += (unseen + excess) as u64;
        let repaired = &mut line.repaired;
        line.samples.extend(samples.iter().map(|&sample| super::sane(sample, repaired)));
    }

    /// Takes the oldest samples, if there are as many as `frame` holds.
    pub(super) fn take(&self, frame: &mut [f32]) -> bool {
        let Some(mut line) = self.lock() else { return false };
        let wanted = frame.len();
        if line.samples.len() < wanted {
            return false;
        }
        for (slot, sample) in frame.iter_mut().zip(line.samples.drain(..wanted)) {
            *slot = sample;
        }
        true
    }

    /// Samples dropped, and samples that were not finite or over full scale.
    pub(super) fn counted(&self) -> (u64, u64) {
        self.lock().map_or((0, 0), |line| (line.dropped, line.repaired))
    }

    fn lock(&self) -> Option<MutexGuard<'_, Line>> {
        // Nobody leaves it half done.
        Some(self.line.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// 200 ms at 48 kHz: ten frames of the mix. Who plays and who listens are two threads that
/// wake every 20 ms; later than this, one of them stood still.
const CAPACITY: usize = 9_600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_200_ms_the_oldest_is_dropped_and_counted() {
        let far_end = FarEnd::new(true);
        let all: Vec<f32> = (0..CAPACITY + 960).map(|i| i as f32 / 20_000.0).collect();
        for block in all.chunks(960) {
            far_end.push(block);
        }
        assert_eq!(far_end.counted(), (960, 0));
        let mut frame = [0.0; 480];
        assert!(far_end.take(&mut frame));
        assert_eq!(frame, all[960..1_440]);
        far_end.push(&all);
        assert!(far_end.take(&mut frame));
        assert_eq!(frame, all[960..1_440]);
        assert_eq!(far_end.counted().0, 960 + (CAPACITY - 480) as u64 + 960);
    }

    #[test]
    fn a_frame_is_whole_or_stays() {
        let far_end = FarEnd::new(true);
        far_end.push(&[0.5; 479]);
        let mut frame = [0.0; 480];
        assert!(!far_end.take(&mut frame));
        far_end.push(&[f32::NAN]);
        assert!(far_end.take(&mut frame));
        assert_eq!((frame[478], frame[479]), (0.5, 0.0));
        assert_eq!(far_end.counted(), (0, 1));
    }
}
