//! Text cells.

mod material;

use material::{frame, picture, psnr};
use paceline_codec::types::{CELL_BYTES, Coding, GLYPHS, PictureFormat};
use paceline_codec::{
    AnyVideoDecoder, DecodeError, EncodeError, EncodedPicture, VideoDecoder, VideoEncoderConfig,
    video_encoder,
};

fn encode(width: u16, height: u16, columns: u16, rows: u16) -> EncodedPicture {
    let config = VideoEncoderConfig::default().cells(columns, rows);
    let mut encoder = video_encoder(PictureFormat::Cells, config).expect("a grid");
    encoder.encode(&picture(width, height, 0)).expect("a picture").expect("not skipped")
}

fn decode(columns: u16, rows: u16, cells: Vec<u8>) -> Result<[u8; 2], DecodeError> {
    let coding = Coding::Cells { columns, rows };
    let got = AnyVideoDecoder::new().decode(&frame(coding, cells, 0))?.expect("a picture");
    Ok([got.y()[0], got.y()[usize::from(columns)]])
}

#[test]
fn the_default_grid_is_160_by_45() {
    let mut encoder = video_encoder(PictureFormat::Cells, VideoEncoderConfig::default()).unwrap();
    let encoded = encoder.encode(&picture(640, 360, 0)).unwrap().unwrap();
    assert_eq!(encoded.coding, Coding::Cells { columns: 160, rows: 45 });
    assert_eq!(encoded.data.len(), 160 * 45 * CELL_BYTES);
}

#[test]
fn a_picture_of_the_grids_own_size_comes_back() {
    let encoded = encode(160, 90, 160, 45);
    let got = AnyVideoDecoder::new().decode(&frame(encoded.coding, encoded.data, 0)).unwrap();
    let psnr = psnr(&picture(160, 90, 0), &got.unwrap());
    assert!(psnr > 40.0, "{psnr:.1} dB");
}

#[test]
fn a_pixel_is_the_average_of_its_box() {
    use bytes::Bytes;
    use paceline_codec::types::VideoFrame;

    // Left half: black and white columns in turn. Right half: white.
    let mut planes: Vec<u8> = Vec::new();
    for _ in 0..8 {
        planes.extend_from_slice(&[16, 235, 16, 235, 235, 235, 235, 235]);
    }
    planes.extend_from_slice(&[128; 32]);
    let (time, capture) = (material::time(0), material::capture(0));
    let stripes = VideoFrame::new(8, 8, time, capture, Bytes::from(planes)).unwrap();
    let config = VideoEncoderConfig::default().cells(2, 1);
    let mut encoder = video_encoder(PictureFormat::Cells, config).unwrap();
    let encoded = encoder.encode(&stripes).unwrap().unwrap();

    let got = AnyVideoDecoder::new().decode(&frame(encoded.coding, encoded.data, 0)).unwrap();
    let got = got.unwrap();
    assert_eq!((got.width(), got.height()), (2, 2));
    for (found, expected) in got.y().iter().zip([126, 235, 126, 235]) {
        assert!(found.abs_diff(expected) <= 1, "{:?}", got.y());
    }
}

#[test]
fn a_picture_smaller_than_the_grid_is_repeated() {
    for (width, height) in [(1, 1), (3, 2), (7, 5)] {
        let encoded = encode(width, height, 20, 10);
        let got = AnyVideoDecoder::new().decode(&frame(encoded.coding, encoded.data, 0)).unwrap();
        let got = got.unwrap();
        assert_eq!((got.width(), got.height()), (20, 20));
        assert!(got.y()[0].abs_diff(picture(width, height, 0).y()[0]) <= 1);
    }
}

#[test]
fn every_glyph_is_shown_by_what_its_ink_covers() {
    let mut ramp = 0;
    for (index, glyph) in GLYPHS.into_iter().enumerate() {
        let white_on_black = vec![index as u8, 255, 255, 255, 0, 0, 0];
        let [upper, lower] = decode(1, 1, white_on_black).unwrap();
        match glyph {
            ' ' => assert_eq!([upper, lower], [16, 16]),
            '▀' => assert_eq!([upper, lower], [235, 16]),
            '▄' => assert_eq!([upper, lower], [16, 235]),
            '█' | '@' => assert_eq!([upper, lower], [235, 235], "{glyph}"),
            _ => {
                assert_eq!(upper, lower, "{glyph}");
                assert!(upper > 16 + ramp && upper < 235, "{glyph} is {upper}");
                ramp = upper - 16;
            }
        }
    }
}

#[test]
fn a_glyph_that_is_not_in_the_list_is_refused() {
    for glyph in [GLYPHS.len() as u8, 27, 255] {
        let mut cells = vec![0; 6 * CELL_BYTES];
        cells[5 * CELL_BYTES] = glyph;
        assert_eq!(decode(3, 2, cells), Err(DecodeError::Glyph(glyph)));
    }
}

#[test]
fn cells_of_another_number_than_the_header_says_are_refused() {
    for (columns, rows, len) in
        [(0, 0, 0), (0, 9, 0), (9, 0, 0), (1, 1, 6), (1, 1, 8), (u16::MAX, u16::MAX, 70), (3, 3, 0)]
    {
        assert!(decode(columns, rows, vec![0; len]).is_err(), "{columns} × {rows}, {len}");
    }
    // As many as it says, and too many for a picture's height.
    let tall = decode(1, 40_000, vec![0; 40_000 * CELL_BYTES]);
    let coding = Coding::Cells { columns: 1, rows: 40_000 };
    assert_eq!(tall, Err(DecodeError::Size { coding, width: 1, height: 80_000 }));
}

#[test]
fn a_grid_without_cells_is_refused() {
    for (columns, rows) in [(0, 45), (160, 0), (1, 32_768)] {
        let config = VideoEncoderConfig::default().cells(columns, rows);
        let error = video_encoder(PictureFormat::Cells, config).expect_err("no such grid");
        assert_eq!(error, EncodeError::CellGrid { columns, rows });
    }
}
