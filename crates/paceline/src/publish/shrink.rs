//! A source's pictures, made no larger and no more than is wanted.

use paceline_capture::{CaptureError, VideoSource};
use paceline_types::{MediaTime, NtpTime, VideoFrame};

/// A source of which pictures are left out, and those that stay are scaled down.
///
/// Each new pixel is the mean of the area that it covers: a picture of fewer pixels
/// keeps its brightness, and nothing flickers.
#[derive(Debug)]
pub(crate) struct Shrunk {
    source: Box<dyn VideoSource>,
    size: (u16, u16),
    frame_rate: f64,
    columns: Axis,
    rows: Axis,
    chroma_columns: Axis,
    chroma_rows: Axis,
    /// One line of weighted sums.
    line: Vec<f32>,
}

impl Shrunk {
    /// `source` within so many pixels and pictures a second: itself, if it is already.
    pub(crate) fn within(
        source: Box<dyn VideoSource>,
        (width, height, frame_rate): (u16, u16, u32),
    ) -> Box<dyn VideoSource> {
        let (from, rate) = (source.size(), source.frame_rate());
        let size = fit(from, (width, height));
        let frame_rate = rate.min(frame_rate.into());
        if size == from && frame_rate == rate {
            return source;
        }
        Box::new(Self {
            source,
            size,
            frame_rate,
            columns: Axis::new(from.0, size.0),
            rows: Axis::new(from.1, size.1),
            chroma_columns: Axis::new(from.0.div_ceil(2), size.0 / 2),
            chroma_rows: Axis::new(from.1.div_ceil(2), size.1 / 2),
            line: Vec::new(),
        })
    }
}

impl VideoSource for Shrunk {
    fn size(&self) -> (u16, u16) {
        self.size
    }

    fn frame_rate(&self) -> f64 {
        self.frame_rate
    }

    fn read(
        &mut self,
        index: u64,
        time: MediaTime,
        capture: NtpTime,
    ) -> Result<VideoFrame, CaptureError> {
        // The source counts by its own rate. What is between is never read.
        let of_source = (index as f64 * self.source.frame_rate() / self.frame_rate).floor() as u64;
        let frame = self.source.read(of_source, time, capture)?;
        let (width, height) = self.size;
        if (frame.width(), frame.height()) != self.source.size() || self.size == self.source.size()
        {
            // A source that breaks its word about its size is encoded as it is.
            return Ok(frame);
        }
        let mut planes = Vec::with_capacity(usize::from(width) * usize::from(height) * 3 / 2);
        let Self { columns, rows, chroma_columns, chroma_rows, line, .. } = self;
        for (plane, columns, rows) in [
            (frame.y(), &*columns, &*rows),
            (frame.u(), &*chroma_columns, &*chroma_rows),
            (frame.v(), &*chroma_columns, &*chroma_rows),
        ] {
            scale(plane, columns, rows, line, &mut planes);
        }
        let scaled = VideoFrame::new(width, height, time, capture, planes.into());
        Ok(scaled.expect("the planes are of this size"))
    }
}

/// The largest even size within `room` that has the shape of `size`; `size` if it is
/// within already.
fn fit((width, height): (u16, u16), room: (u16, u16)) -> (u16, u16) {
    if width <= room.0 && height <= room.1 {
        return (width, height);
    }
    let scale = (f64::from(room.0) / f64::from(width)).min(f64::from(room.1) / f64::from(height));
    let even = |side: u16, most: u16| {
        let halves = (f64::from(side) * scale / 2.0).round().max(1.0) as u16;
        // A long thin picture may not become too thin for an encoder.
        (halves * 2).max(MIN_SIDE).min(most).min(side)
    };
    (even(width, room.0), even(height, room.1))
}

/// For each new pixel of an axis, which old ones it covers, and how much of each.
#[derive(Debug)]
struct Axis {
    from: usize,
    /// Where it begins, and where its weights are.
    pixels: Vec<(usize, std::ops::Range<usize>)>,
    /// Of each new pixel they sum to 1.
    weights: Vec<f32>,
}

impl Axis {
    /// In units of 1/to of an old pixel: the new one `i` covers `i·from..(i+1)·from`, the
    /// old one `j` covers `j·to..(j+1)·to`.
    fn new(from: u16, to: u16) -> Self {
        let (from, to) = (usize::from(from), usize::from(to).max(1));
        let mut weights = Vec::new();
        let pixels = (0..to).map(|i| {
            let (begin, end) = (i * from, (i + 1) * from);
            let first = weights.len();
            weights.extend((begin / to..end.div_ceil(to)).map(|j| {
                let covered = ((j + 1) * to).min(end) - (j * to).max(begin);
                covered as f32 / from as f32
            }));
            (begin / to, first..weights.len())
        });
        let pixels = pixels.collect();
        Self { from, pixels, weights }
    }
}

fn scale(plane: &[u8], columns: &Axis, rows: &Axis, line: &mut Vec<f32>, to: &mut Vec<u8>) {
    for (top, taps) in &rows.pixels {
        line.clear();
        line.resize(columns.from, 0.0);
        let covered = plane.chunks_exact(columns.from).skip(*top);
        for (row, &weight) in covered.zip(&rows.weights[taps.clone()]) {
            for (sum, &byte) in line.iter_mut().zip(row) {
                *sum += weight * f32::from(byte);
            }
        }
        to.extend(columns.pixels.iter().map(|(left, taps)| {
            let weights = &columns.weights[taps.clone()];
            let sum: f32 = line[*left..].iter().zip(weights).map(|(sum, w)| sum * w).sum();
            // Of what is not negative this rounds, and is no call of the C library.
            (sum + 0.5) as u8
        }));
    }
}

/// The least that our encoders take.
const MIN_SIDE: u16 = 16;

#[cfg(test)]
mod tests {
    use paceline_types::Frequency;

    use super::*;

    /// Grey that tells its picture's number, brighter to the right.
    #[derive(Debug)]
    struct Ramp((u16, u16), f64);

    impl VideoSource for Ramp {
        fn size(&self) -> (u16, u16) {
            self.0
        }

        fn frame_rate(&self) -> f64 {
            self.1
        }

        fn read(
            &mut self,
            index: u64,
            time: MediaTime,
            capture: NtpTime,
        ) -> Result<VideoFrame, CaptureError> {
            let (width, height) = self.0;
            let luma = (0..height)
                .flat_map(|_| (0..width).map(|x| (u32::from(x) * 200 / u32::from(width)) as u8));
            let chroma = usize::from(width / 2) * usize::from(height / 2) * 2;
            let planes: Vec<u8> = luma.chain(std::iter::repeat_n(index as u8, chroma)).collect();
            Ok(VideoFrame::new(width, height, time, capture, planes.into()).expect("right size"))
        }
    }

    fn read(source: &mut dyn VideoSource, index: u64) -> VideoFrame {
        let time = MediaTime::new(0, Frequency::VIDEO);
        source.read(index, time, NtpTime::default()).expect("it never ends")
    }

    #[test]
    fn a_picture_is_scaled_into_the_room_and_keeps_its_shape() {
        for (from, room, to) in [
            ((480, 270), (320, 180), (320, 180)),
            ((640, 480), (320, 180), (240, 180)),
            ((100, 300), (320, 180), (60, 180)),
            ((3_840, 16), (320, 180), (320, 16)),
            ((320, 180), (480, 270), (320, 180)),
        ] {
            assert_eq!(fit(from, room), to, "{from:?} in {room:?}");
            let mut source = Shrunk::within(Box::new(Ramp(from, 10.0)), (room.0, room.1, 10));
            assert_eq!(source.size(), to);
            let frame = read(&mut *source, 7);
            assert_eq!((frame.width(), frame.height()), to);
            // The ramp is the same one, and what is flat stays flat.
            for x in 0..to.0 {
                let ideal = i32::from(x) * 200 / i32::from(to.0);
                let pixel = i32::from(frame.y()[usize::from(x)]);
                assert!((pixel - ideal).abs() <= 2, "{from:?}: {pixel} at {x}, {ideal} was due");
            }
            assert!(frame.u().iter().chain(frame.v()).all(|&byte| byte == 7));
        }
    }

    #[test]
    fn pictures_between_are_left_out_evenly() {
        let mut source = Shrunk::within(Box::new(Ramp((64, 64), 25.0)), (32, 32, 10));
        assert_eq!(source.frame_rate(), 10.0);
        let read: Vec<u8> = (0..6).map(|index| read(&mut *source, index).u()[0]).collect();
        assert_eq!(read, [0, 2, 5, 7, 10, 12]);
    }

    #[test]
    fn what_is_small_and_slow_enough_is_not_touched() {
        let mut source = Shrunk::within(Box::new(Ramp((64, 64), 10.0)), (64, 64, 30));
        assert_eq!((source.size(), source.frame_rate()), ((64, 64), 10.0));
        assert_eq!(read(&mut *source, 9).u()[0], 9);
    }
}
