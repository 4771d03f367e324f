//! From samples of a device to frames of 20 ms.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::rate::{OUTPUT_RATE, Resampler};
use super::ring::Outlet;
use super::stamps::Stamps;
use crate::source::FRAME_SAMPLES;

/// Takes samples out of the ring, at 48 kHz and 960 at a time.
#[derive(Debug)]
pub(super) struct Frames {
    resampler: Resampler,
    pub(super) stamps: Stamps,
    rate: u32,
    /// Samples of the device that may wait, besides a block.
    keep: u64,
    /// What the next frame has so far.
    staged: Vec<f32>,
    /// What had been dropped and lost when its first sample came.
    begun: Missing,
    missing: Missing,
    piece: Vec<f32>,
    /// Buffers of frames that were handed out.
    lent: Vec<Arc<[f32]>>,
    /// The media time of the first sample, and how many ticks were missing before it.
    anchor: Option<(u64, u64)>,
    /// When the last frame's first sample was captured, in seconds since the epoch.
    captured: f64,
    /// Frames handed out.
    pub(super) frames: u64,
    pub(super) gaps: u64,
}

/// 20 ms of sound.
#[derive(Debug)]
pub(super) struct Frame {
    /// The media time of the first sample.
    pub(super) ticks: u64,
    /// When it was captured, in seconds since the epoch that was given.
    pub(super) captured: f64,
    pub(super) samples: Arc<[f32]>,
}

/// Samples of a device that no frame has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Missing {
    /// By us, as nobody read them in time.
    pub(super) dropped: u64,
    /// By the device or its server.
    pub(super) lost: u64,
}

impl Frames {
    pub(super) fn new(rate: u32, buffer: Duration) -> Self {
        Self {
            resampler: Resampler::new(rate),
            stamps: Stamps::new(rate),
            rate,
            keep: (buffer.as_secs_f64() * f64::from(rate)) as u64,
            staged: Vec::with_capacity(2 * FRAME_SAMPLES),
            begun: Missing::default(),
            missing: Missing::default(),
            piece: vec![0.0; MAX_PIECE],
            lent: Vec::with_capacity(MAX_LENT),
            anchor: None,
            captured: f64::MIN,
            frames: 0,
            gaps: 0,
        }
    }

    /// The next frame, if it is there; if not, the reader is woken when it is. `ticks` is
    /// what the first frame is stamped with, `epoch` where seconds begin.
    pub(super) fn read(
        &mut self,
        outlet: &mut Outlet,
        epoch: Instant,
        ticks: u64,
    ) -> Option<Frame> {
        while !self.fill(outlet, epoch) {
            self.missing.dropped += outlet.left_out();
            if !outlet.want(self.needed() as u64) {
                return None;
            }
        }
        let frame = self.frame(ticks);
        if outlet.want(self.needed() as u64) {
            outlet.wake();
        }
        Some(frame)
    }

    pub(super) const fn missing(&self) -> Missing {
        self.missing
    }

    /// So many samples of the device, in samples at 48 kHz.
    pub(super) fn ticks(&self, samples: u64) -> u64 {
        (u128::from(samples) * u128::from(OUTPUT_RATE) / u128::from(self.rate)) as u64
    }

    /// Takes what is there until a frame is full. Whether it is.
    fn fill(&mut self, outlet: &mut Outlet, epoch: Instant) -> bool {
        loop {
            let before = outlet.position();
            while let Some(mark) = outlet.mark() {
                let time = match mark.captured.checked_duration_since(epoch) {
                    Some(after) => after.as_secs_f64(),
                    None => -(epoch - mark.captured).as_secs_f64(),
                };
                if let Some(lost) = self.stamps.handle_block(mark.position, time) {
                    self.missing.lost += lost;
                    self.gaps += 1;
                }
            }
            self.missing.dropped += outlet.position() - before;
            if self.staged.len() >= FRAME_SAMPLES {
                return true;
            }
            let excess = outlet.excess(self.keep);
            if excess > 0 {
                let skipped = outlet.skip(excess);
                self.missing.dropped += skipped as u64;
                if skipped > 0 {
                    continue;
                }
            }
            let wanted = self.needed().clamp(1, MAX_PIECE);
            let taken = outlet.take(&mut self.piece[..wanted]);
            if taken == 0 {
                return false;
            }
            let fresh = self.staged.is_empty();
            self.resampler.resample(&self.piece[..taken], &mut self.staged);
            if fresh {
                self.begun = self.missing;
            }
        }
    }

    fn frame(&mut self, ticks: u64) -> Frame {
        let missing = self.ticks(self.begun.dropped + self.begun.lost);
        let delivered = self.frames * FRAME_SAMPLES as u64;
        let (ticks, before) = *self.anchor.get_or_insert((ticks, missing));
        let position = delivered as f64 * f64::from(self.rate) / f64::from(OUTPUT_RATE);
        let captured = self.stamps.captured(position + self.begun.dropped as f64);
        // The line may be put right while it is young.
        self.captured = self.captured.max(captured.unwrap_or_default());
        let samples = self.share();
        self.staged.drain(..FRAME_SAMPLES);
        self.begun = self.missing;
        self.frames += 1;
        Frame { ticks: ticks + delivered + (missing - before), captured: self.captured, samples }
    }

    /// The first frame of what is staged, in a buffer that nobody has any more if there is one.
    fn share(&mut self) -> Arc<[f32]> {
        let samples = &self.staged[..FRAME_SAMPLES];
        for lent in &mut self.lent {
            if let Some(buffer) = Arc::get_mut(lent) {
                buffer.copy_from_slice(samples);
                return Arc::clone(lent);
            }
        }
        let shared = Arc::from(samples);
        if self.lent.len() < MAX_LENT {
            self.lent.push(Arc::clone(&shared));
        }
        shared
    }

    /// How many more samples of the device make the next frame full.
    fn needed(&self) -> usize {
        self.resampler.needed(FRAME_SAMPLES.saturating_sub(self.staged.len()))
    }
}

/// 20 ms of a device at 192 kHz, and what a filter needs at first.
const MAX_PIECE: usize = 4_096;

/// Frames under way at a time: one is encoded while others wait in a queue of three. Beyond
/// them a frame is allocated.
const MAX_LENT: usize = 8;

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::super::ring::{Inlet, Shared, rings};
    use super::super::stream::now;
    use super::*;

    /// A device of that rate whose callback is called by hand, with a sine of 440 Hz.
    struct Rig {
        inlet: Inlet,
        outlet: Outlet,
        frames: Frames,
        epoch: Instant,
        rate: u32,
        given: u64,
        late: Duration,
    }

    impl Rig {
        fn new(rate: u32) -> Self {
            let span = |ms: usize| rate as usize * ms / 1_000;
            let (inlet, outlet) = rings(&Shared::new(), rate, 2, span(60), span(250), span(2));
            let frames = Frames::new(rate, Duration::from_millis(60));
            Self { inlet, outlet, frames, epoch: now(), rate, given: 0, late: Duration::ZERO }
        }

        /// A block, captured when its place says.
        fn give(&mut self, len: u64) {
            let at = |n: u64| n as f64 / f64::from(self.rate);
            let block: Vec<i16> = (self.given..self.given + len)
                .flat_map(|n| [((TAU * 440.0 * at(n)).sin() * 16_384.0).round() as i16; 2])
                .collect();
            let captured = self.epoch + self.late + Duration::from_secs_f64(at(self.given));
            self.inlet.handle_block(&block, captured);
            self.given += len;
        }

        fn read(&mut self) -> Option<Frame> {
            self.frames.read(&mut self.outlet, self.epoch, 1_000_000)
        }
    }

    /// What a frame of the sine should be, by its capture time.
    fn fits(frame: &Frame) -> bool {
        frame.samples.iter().enumerate().all(|(n, &sample)| {
            let time = frame.captured + n as f64 / 48_000.0;
            (f64::from(sample) - 0.5 * (TAU * 440.0 * time).sin()).abs() < 0.002
        })
    }

    #[test]
    fn frames_are_what_their_stamps_say_whatever_the_rate_and_the_blocks() {
        for rate in [8_000, 11_025, 16_000, 44_100, 48_000, 96_000, 192_000] {
            let (mut rig, mut read) = (Rig::new(rate), 0);
            for block in (0..600).map(|n| 1 + n * 37 % 1_024) {
                rig.give(block);
                while let Some(frame) = rig.read() {
                    assert_eq!(frame.ticks, 1_000_000 + read * 960, "{rate}");
                    assert!((frame.captured - read as f64 * 0.02).abs() < 1e-6, "{rate}");
                    assert!(read == 0 || fits(&frame), "{rate}: frame {read}");
                    read += 1;
                }
            }
            let given = rig.given as f64 / f64::from(rate);
            assert!(read as f64 * 0.02 > given - 0.04, "{rate}: {read} of {given} s");
            assert_eq!(rig.frames.missing().dropped, 0);
        }
    }

    #[test]
    fn what_nobody_read_in_time_is_dropped_and_the_stamps_go_on_by_it() {
        for rate in [16_000, 44_100, 48_000] {
            let mut rig = Rig::new(rate);
            let block = u64::from(rate) / 100;
            let (mut last, mut begin) = (None, None);
            for turn in 0..20 {
                // Some seconds of which nobody reads all but a little.
                for _ in 0..(turn * 31) % 300 {
                    rig.give(block);
                }
                let mut run = 0;
                while let Some(frame) = rig.read() {
                    // By the sound that is in it a frame is where its media time says.
                    let ticks = (frame.captured * 48_000.0).round() as u64;
                    let apart = frame.ticks - ticks;
                    assert!(begin.get_or_insert(apart).abs_diff(apart) <= 2, "{rate}: {apart}");
                    assert!(last.is_none_or(|last| frame.ticks >= last + 960));
                    last = Some(frame.ticks);
                    run += 1;
                }
                // 60 ms, the block that came last, and the frame that was begun.
                assert!(run <= 5, "{run}");
            }
            let missing = rig.frames.missing();
            assert!(missing.dropped > 20 * u64::from(rate), "{missing:?}");
            assert_eq!(missing.lost, 0);
        }
    }

    #[test]
    fn what_the_device_left_out_moves_the_stamps_by_as_much_once() {
        let mut rig = Rig::new(48_000);
        let mut steps = Vec::new();
        let mut last = 1_000_000;
        for n in 0..500 {
            if n == 200 {
                // A second passes, and no sample of it comes.
                rig.late = Duration::from_secs(1);
            }
            rig.give(480);
            if let Some(frame) = rig.read() {
                steps.extend(Some(frame.ticks - last).filter(|step| *step != 960));
                last = frame.ticks;
            }
        }
        assert_eq!(steps, [0, 48_960], "the first, and the gap");
        assert_eq!((rig.frames.gaps, rig.frames.missing().lost), (1, 48_000));
    }

    #[test]
    fn a_reader_that_waits_is_told_of_each_frame() {
        const ROUNDS: usize = 5_000;
        let mut rig = Rig::new(48_000);
        let shared = Shared::new();
        let (mut inlet, mut outlet) = rings(&shared, 48_000, 1, 2_880, 12_000, 120);
        let (told, done) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            shared.set_reader(std::thread::current());
            for _ in 0..ROUNDS {
                while rig.frames.read(&mut outlet, rig.epoch, 0).is_none() {
                    let _ = told.send(false);
                    // A wake that does not come is a test that hangs here.
                    std::thread::park();
                }
                told.send(true).expect("it is waited for");
            }
        });
        let watchdog = Duration::from_secs(20);
        for _ in 0..ROUNDS {
            // It has found nothing, and waits or is about to.
            while done.recv_timeout(watchdog).expect("it looks") {}
            for _ in 0..3 {
                inlet.handle_block(&[0.0_f32; 320], now());
            }
            while !done.recv_timeout(watchdog).expect("it is woken") {}
        }
        reader.join().expect("it ends");
    }

    #[test]
    fn a_frame_that_nobody_has_any_more_is_used_again() {
        let mut rig = Rig::new(48_000);
        let mut places = std::collections::BTreeSet::new();
        for _ in 0..100 {
            rig.give(960);
            places.insert(rig.read().map(|frame| frame.samples.as_ptr()));
        }
        assert_eq!(places.len(), 1);
    }
}
