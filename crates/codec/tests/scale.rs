//! Pictures of another size.
#![cfg(feature = "scale")]

use paceline_codec::types::{Frequency, MediaTime, NtpTime, PixelFormat, VideoFrame};
use paceline_codec::{ScaleError, Scaler};
use proptest::prelude::*;

fn picture(size: (u16, u16), mut level: impl FnMut(usize) -> u8) -> VideoFrame {
    let planes: Vec<u8> = (0..PixelFormat::I420.bytes(size.0, size.1)).map(&mut level).collect();
    let time = MediaTime::new(7, Frequency::VIDEO);
    VideoFrame::new(size.0, size.1, time, NtpTime::default(), planes.into()).expect("of this size")
}

fn mean(plane: &[u8]) -> f64 {
    plane.iter().map(|&level| f64::from(level)).sum::<f64>() / plane.len() as f64
}

/// The mean of the area that a pixel covers, in floating point.
fn area(plane: &[u8], from: (usize, usize), to: (usize, usize), (x, y): (usize, usize)) -> f64 {
    let cover = |from: usize, to: usize, at: usize| {
        let (begin, end) =
            (at as f64 * from as f64 / to as f64, (at + 1) as f64 * from as f64 / to as f64);
        (0..from).filter_map(move |old| {
            let part = (end.min(old as f64 + 1.0)) - begin.max(old as f64);
            (part > 1e-9).then_some((old, part * to as f64 / from as f64))
        })
    };
    cover(from.1, to.1, y)
        .flat_map(|(row, height)| {
            cover(from.0, to.0, x).map(move |(column, width)| (row, column, height * width))
        })
        .map(|(row, column, weight)| weight * f64::from(plane[row * from.0 + column]))
        .sum()
}

#[test]
fn each_new_pixel_is_the_mean_of_the_area_that_it_covers() {
    let mut seed = 1_u32;
    let mut noise = |_| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    for (from, to) in [
        ((192, 108), (128, 72)),
        ((192, 108), (150, 84)),
        ((191, 107), (96, 54)),
        ((64, 64), (16, 16)),
        ((300, 40), (16, 38)),
        ((1_200, 30), (16, 16)),
    ] {
        let frame = picture(from, &mut noise);
        let small = Scaler::new().scale(&frame, to).expect("a size that is taken");
        assert_eq!((small.time(), small.capture()), (frame.time(), frame.capture()));
        let full = (usize::from(from.0), usize::from(from.1));
        let chroma = (frame.chroma_width(), frame.chroma_height());
        let size = (usize::from(to.0), usize::from(to.1));
        let half = (size.0 / 2, size.1 / 2);
        for (old, new, from, to) in [
            (frame.y(), small.y(), full, size),
            (frame.u(), small.u(), chroma, half),
            (frame.v(), small.v(), chroma, half),
        ] {
            for at in (0..to.1).flat_map(|y| (0..to.0).map(move |x| (x, y))) {
                let (is, due) = (f64::from(new[at.1 * to.0 + at.0]), area(old, from, to, at));
                assert!(
                    (is - due).abs() <= 2.0,
                    "{from:?} → {to:?} at {at:?}: {is}, {due:.2} was due"
                );
            }
        }
    }
}

#[test]
fn a_thin_line_that_moves_keeps_its_brightness_and_does_not_flicker() {
    let (from, to) = ((192, 108), (128, 72));
    let mut scaler = Scaler::new();
    let sums: Vec<u32> = (40..80)
        .map(|at| {
            let line = picture(from, |index| if index % 192 == at { 255 } else { 0 });
            let small = scaler.scale(&line, to).expect("a size that is taken");
            small.y()[128 * 30..128 * 31].iter().map(|&level| u32::from(level)).sum()
        })
        .collect();
    // Two thirds of a pixel's worth, wherever it is.
    assert!(sums.iter().all(|sum| sum.abs_diff(170) <= 1), "{sums:?}");
}

#[test]
fn enlarged_a_slope_stays_a_slope() {
    let ramp = picture((64, 32), |index| if index < 64 * 32 { (index % 64 * 4) as u8 } else { 99 });
    let large = Scaler::new().scale(&ramp, (192, 96)).expect("a size that is taken");
    assert!(large.u().iter().chain(large.v()).all(|&level| level == 99));
    for row in large.y().chunks_exact(192) {
        assert!(row.windows(2).all(|pair| pair[0] <= pair[1] && pair[1] - pair[0] <= 2), "{row:?}");
        for (x, &level) in row.iter().enumerate().skip(2).take(188) {
            let due = (x as f64 + 0.5) / 3.0 * 4.0 - 2.0;
            assert!((f64::from(level) - due).abs() <= 1.0, "{level} at {x}, {due} was due");
        }
    }
}

#[test]
fn sizes_that_no_encoder_takes_are_refused() {
    let frame = picture((64, 64), |_| 1);
    let mut scaler = Scaler::new();
    for size in [
        (0, 0),
        (0, 64),
        (14, 64),
        (64, 14),
        (65, 64),
        (64, 33),
        (3_842, 64),
        (64, 3_842),
        (2_162, 2_162),
    ] {
        let refused = ScaleError::Size { width: size.0, height: size.1 };
        assert_eq!(scaler.scale(&frame, size), Err(refused));
    }
    for size in [(16, 16), (3_840, 2_160), (2_160, 3_840), (2_160, 2_160)] {
        let scaled = scaler.scale(&frame, size).expect("a size that is taken");
        assert_eq!((scaled.width(), scaled.height()), size);
    }
    assert!(
        scaler
            .scale(&picture((65_535, 1), |_| 9), (16, 16))
            .expect("a thread")
            .y()
            .iter()
            .all(|&level| level == 9)
    );
}

#[test]
fn the_same_size_is_the_same_picture() {
    let frame = picture((64, 64), |index| index as u8);
    let same = Scaler::new().scale(&frame, (64, 64)).expect("a size that is taken");
    assert_eq!(same.planes().as_ptr(), frame.planes().as_ptr());
}

#[test]
fn from_the_second_picture_of_a_size_on_nothing_is_allocated() {
    for to in [(128, 72), (96, 54), (384, 216)] {
        let frame = picture((192, 108), |index| index as u8);
        let mut scaler = Scaler::new();
        let mut before = scaler.scale(&frame, to).expect("a size that is taken");
        let mut last = scaler.scale(&frame, to).expect("a size that is taken");
        // Two are in use while the third is made.
        let _ = scaler.scale(&frame, to);
        let counted = allocation_counter::measure(|| {
            for _ in 0..100 {
                let next = scaler.scale(&frame, to).expect("a size that is taken");
                before = std::mem::replace(&mut last, next);
            }
        });
        assert_eq!(counted.count_total, 0, "{counted:?}");
        assert_eq!(before.planes(), last.planes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// What is flat stays flat, to the level, from any size to any other.
    #[test]
    fn what_is_flat_stays_flat(
        from in (1..700_u16, 1..300_u16),
        halves in (8..200_u16, 8..150_u16),
        level in any::<u8>(),
    ) {
        let frame = picture(from, |_| level);
        let to = (halves.0 * 2, halves.1 * 2);
        let scaled = Scaler::new().scale(&frame, to).expect("a size that is taken");
        prop_assert!(scaled.planes().iter().all(|&byte| byte == level));
    }

    /// A picture of noise is as bright as it was, and so is each of its colours.
    #[test]
    fn the_brightness_stays(
        from in (64..400_u16, 64..300_u16),
        halves in (16..200_u16, 16..150_u16),
        seed in any::<u32>(),
    ) {
        let mut state = seed;
        let frame = picture((from.0 & !1, from.1 & !1), |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let to = ((halves.0 * 2).min(from.0 & !1), (halves.1 * 2).min(from.1 & !1));
        let scaled = Scaler::new().scale(&frame, to).expect("a size that is taken");
        for (old, new) in [(frame.y(), scaled.y()), (frame.u(), scaled.u()), (frame.v(), scaled.v())] {
            prop_assert!((mean(old) - mean(new)).abs() < 1.0, "{} became {}", mean(old), mean(new));
        }
    }
}
