//! From what a camera gives to planes.

use proptest::prelude::*;

use super::model::small;
use super::stream::{open, picture};
use crate::camera::driver::{Fourcc, Layout};
use crate::camera::stream::Tally;

/// I420 in which each sample differs from those beside it.
fn planes(width: usize, height: usize) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let plane = |width: usize, height: usize, seed: usize| {
        let at = |index| (seed + index % width * 7 + index / width * 31) as u8;
        (0..width * height).map(at).collect::<Vec<_>>()
    };
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    (plane(width, height, 3), plane(half_width, half_height, 90), plane(half_width, half_height, 7))
}

/// The same as a camera gives it, with `padding` behind each row of luma.
pub(super) fn packed(format: Fourcc, width: usize, height: usize, padding: usize) -> Vec<u8> {
    let (y, u, v) = planes(width, height);
    let half = width.div_ceil(2);
    let pad = |bytes: usize| vec![0xee; bytes];
    let mut data = Vec::new();
    if format == Fourcc::YUYV {
        for (row, y) in y.chunks(width).enumerate() {
            for (pair, y) in y.chunks(2).enumerate() {
                let at = row / 2 * half + pair;
                data.extend([y[0], u[at], *y.last().expect("a pixel"), v[at]]);
            }
            data.extend(pad(padding));
        }
        return data;
    }
    for row in y.chunks(width) {
        data.extend_from_slice(row);
        data.extend(pad(padding + width % 2));
    }
    if format == Fourcc::NV12 {
        for (u, v) in u.chunks(half).zip(v.chunks(half)) {
            data.extend(u.iter().zip(v).flat_map(|(u, v)| [*u, *v]));
            data.extend(pad(padding));
        }
    } else {
        for row in u.chunks(half).chain(v.chunks(half)) {
            data.extend_from_slice(row);
            data.extend(pad(padding / 2));
        }
    }
    data
}

/// What is to be seen of it when its sides are made even.
pub(super) fn expected(width: usize, height: usize) -> Vec<u8> {
    let (even_width, even_height) = (width & !1, height & !1);
    let (y, u, v) = planes(width, height);
    let crop = |plane: &[u8], stride: usize, width: usize, height: usize| {
        plane.chunks(stride).take(height).flat_map(|row| row[..width].to_vec()).collect::<Vec<_>>()
    };
    let half = width.div_ceil(2);
    [
        crop(&y, width, even_width, even_height),
        crop(&u, half, even_width / 2, even_height / 2),
        crop(&v, half, even_width / 2, even_height / 2),
    ]
    .concat()
}

#[test]
fn in_each_format_the_same_picture_is_the_same_also_with_padding_and_odd_sides() {
    for format in [Fourcc::YU12, Fourcc::NV12, Fourcc::YUYV] {
        for (width, height, padding) in [(64, 48, 0), (64, 48, 32), (67, 49, 4), (66, 50, 2)] {
            let model = small(format);
            let row = width + width % 2;
            let row = if format == Fourcc::YUYV { row * 2 } else { row };
            model.state().layout = Some(Layout {
                format,
                size: (width as u32, height as u32),
                bytes_per_row: (row + padding) as u32,
                full_range: false,
            });
            let mut stream = open(&model);
            let seen = picture(&model, &mut stream, &packed(format, width, height, padding));
            assert!(seen == Some(expected(width, height)), "{format:?} {width} × {height}");
            assert_eq!(stream.size(), (width as u16 & !1, height as u16 & !1));
        }
    }
}

#[test]
fn a_row_shorter_than_its_pixels_is_not_believed() {
    let model = small(Fourcc::YUYV);
    let (format, size) = (Fourcc::YUYV, (64, 48));
    model.state().layout = Some(Layout { format, size, bytes_per_row: 5, full_range: false });
    let mut stream = open(&model);
    assert!(picture(&model, &mut stream, &packed(format, 64, 48, 0)) == Some(expected(64, 48)));
}

#[test]
fn of_two_rows_of_chroma_the_mean_is_taken() {
    let model = small(Fourcc::YUYV);
    let mut stream = open(&model);
    let rows = [[50, 100, 50, 255].repeat(32), [50, 103, 50, 254].repeat(32)].concat().repeat(24);
    let seen = picture(&model, &mut stream, &rows).unwrap();
    let (y, chroma) = seen.split_at(64 * 48);
    let (u, v) = chroma.split_at(32 * 24);
    assert!(y.iter().all(|&y| y == 50));
    assert!(u.iter().all(|&u| u == 102) && v.iter().all(|&v| v == 255));
}

#[test]
fn full_range_is_brought_to_the_limited_one() {
    for format in [Fourcc::YU12, Fourcc::NV12] {
        let model = small(format);
        let size = (64, 48);
        model.state().layout = Some(Layout { format, size, bytes_per_row: 64, full_range: true });
        let mut stream = open(&model);
        for (luma, chroma, expected) in
            [(0, 0, (16, 16)), (255, 255, (235, 240)), (128, 128, (126, 128))]
        {
            let data = [vec![luma; 64 * 48], vec![chroma; 64 * 24]].concat();
            let seen = picture(&model, &mut stream, &data).unwrap();
            assert_eq!(
                (seen[0], seen[64 * 48], seen[seen.len() - 1]),
                (expected.0, expected.1, expected.1)
            );
        }
    }
}

/// Four bars of 16 × 48, by ffmpeg: black, white, red, blue.
const BARS: &[u8] = include_bytes!("bars.jpg");
/// The same colours in BT.601 of limited range.
const COLOURS: [[u8; 3]; 4] = [[16, 128, 128], [235, 128, 128], [81, 90, 240], [41, 240, 110]];

#[track_caller]
fn is_bars(seen: &[u8]) {
    for (bar, colour) in COLOURS.iter().enumerate() {
        // The middle of a bar, where its neighbours are not.
        let luma = seen[20 * 64 + bar * 16 + 8];
        let at = 64 * 48 + 10 * 32 + bar * 8 + 4;
        let found = [luma, seen[at], seen[at + 32 * 24]];
        assert!(found.iter().zip(colour).all(|(a, b)| a.abs_diff(*b) <= 2), "{found:?} {colour:?}");
    }
}

/// The JPEG without its Huffman tables, as cameras send it.
fn bare() -> Vec<u8> {
    let mut bare = BARS.to_vec();
    let mut at = 2;
    loop {
        let len = usize::from(u16::from_be_bytes([bare[at + 2], bare[at + 3]]));
        match bare[at + 1] {
            0xda => return bare,
            0xc4 => drop(bare.drain(at..at + 2 + len)),
            _ => at += 2 + len,
        }
    }
}

#[test]
fn motion_jpeg_is_decoded_with_and_without_tables() {
    for format in [Fourcc::MJPG, Fourcc::JPEG] {
        let model = small(format);
        let mut stream = open(&model);
        assert!(bare().len() + 400 < BARS.len());
        for data in [BARS, &bare()] {
            is_bars(&picture(&model, &mut stream, data).unwrap());
        }
        // What is behind its end is no part of it.
        is_bars(&picture(&model, &mut stream, &[BARS, &[0; 500]].concat()).unwrap());
    }
}

#[test]
fn a_jpeg_that_is_broken_or_of_another_size_is_no_picture() {
    let model = small(Fourcc::MJPG);
    let mut stream = open(&model);
    let bare = bare();
    let half = [&bare[..bare.len() - 40], &[]].concat();
    let none: [&[u8]; 4] = [&half, &bare[..100], b"\xff\xd8\xff\xd9", &[7; 1_000]];
    for data in none {
        assert!(picture(&model, &mut stream, data).is_none());
    }
    assert_eq!(stream.tally(), Tally { damaged: 4, ..Tally::default() });
    is_bars(&picture(&model, &mut stream, BARS).unwrap());

    let model = small(Fourcc::MJPG);
    let (format, size) = (Fourcc::MJPG, (64, 64));
    model.state().layout = Some(Layout { format, size, bytes_per_row: 0, full_range: true });
    let mut stream = open(&model);
    assert!(picture(&model, &mut stream, BARS).is_none());
    assert_eq!(stream.tally().damaged, 1);
}

proptest! {
    /// What USB loses and cheap cameras make up: bytes changed, left out and cut off.
    #[test]
    fn no_jpeg_breaks_the_decoder(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        out in any::<prop::sample::Index>(),
        without in 0..40_usize,
        cut in any::<prop::sample::Index>(),
        tables in any::<bool>(),
    ) {
        let mut data = if tables { BARS.to_vec() } else { bare() };
        for (at, byte) in changes {
            let at = at.index(data.len());
            data[at] = byte;
        }
        let at = out.index(data.len());
        data.drain(at..(at + without).min(data.len()));
        data.truncate(cut.index(data.len() * 2 + 1));
        let model = small(Fourcc::MJPG);
        let mut stream = open(&model);
        let read = u64::from(picture(&model, &mut stream, &data).is_some());
        prop_assert_eq!(read + stream.tally().damaged, 1);
    }
}
