//! What is compared, behind one face.

use audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Adjustable, Async, FixedAsync, Resampler as _, SincInterpolationParameters,
    SincInterpolationType, WindowFunction,
};

/// Frames that come out at a time: 20 ms.
pub const BLOCK: usize = 960;

/// Which resampler.
#[derive(Clone, Copy)]
pub enum Contestant {
    Ours,
    Rubato { taps: usize, interpolation: SincInterpolationType, name: &'static str },
}

impl Contestant {
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Ours];
        for (taps, linear, cubic) in [
            (32, "rubato sinc32 linear", "rubato sinc32 cubic"),
            (64, "rubato sinc64 linear", "rubato sinc64 cubic"),
            (128, "rubato sinc128 linear", "rubato sinc128 cubic"),
            (256, "rubato sinc256 linear", "rubato sinc256 cubic"),
        ] {
            for (interpolation, name) in
                [(SincInterpolationType::Linear, linear), (SincInterpolationType::Cubic, cubic)]
            {
                all.push(Self::Rubato { taps, interpolation, name });
            }
        }
        all
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Rubato { name, .. } => name,
        }
    }

    pub fn start(&self) -> Running {
        match *self {
            Self::Ours => Running::Ours(paceline_playout::Resampler::new()),
            Self::Rubato { taps, interpolation, .. } => {
                // 512 phases as ours has; the cutoff and the window as recommended.
                let parameters =
                    SincInterpolationParameters::new(taps, WindowFunction::BlackmanHarris2)
                        .oversampling_factor(512)
                        .interpolation(interpolation);
                let inner = Async::new_sinc(1.0, 1.1, &parameters, BLOCK, 1, FixedAsync::Output);
                Running::Rubato(Box::new(inner.expect("the parameters are within bounds")))
            }
        }
    }
}

/// A resampler at work.
pub enum Running {
    Ours(paceline_playout::Resampler),
    Rubato(Box<Async<f32>>),
}

impl Running {
    /// Sets the speed: input frames to an output frame, less one, in ppm. Both go
    /// there gradually.
    pub fn set_ppm(&mut self, ppm: f64) {
        match self {
            Self::Ours(inner) => inner.set_ppm(ppm),
            Self::Rubato(inner) => {
                let ratio = 1.0 / (1.0 + ppm * 1e-6);
                inner.set_resample_ratio(ratio, true).expect("1 % is within bounds");
            }
        }
    }

    /// Makes a block of `input`; how many frames of it were read.
    pub fn make(&mut self, input: &[f32], block: &mut [f32; BLOCK]) -> usize {
        match self {
            Self::Ours(inner) => {
                let done = inner.resample(input, block);
                assert_eq!(done.written, BLOCK);
                done.read
            }
            Self::Rubato(inner) => {
                let wanted = inner.input_frames_next();
                let input = InterleavedSlice::new(&input[..wanted], 1, wanted);
                let output = InterleavedSlice::new_mut(block, 1, BLOCK);
                let (input, mut output) = (input.expect("fits"), output.expect("fits"));
                let done = inner.process_into_buffer(&input, &mut output, None);
                let (read, written) = done.expect("the buffers have the lengths asked for");
                assert_eq!(written, BLOCK);
                read
            }
        }
    }
}
