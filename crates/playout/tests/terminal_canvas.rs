//! What a terminal shows after a canvas has written to it.

use std::num::NonZero;

use paceline_playout::terminal::{Area, Canvas, RenderMode, Style};
use paceline_types::{Frequency, MediaTime, NtpTime, PixelFormat, Rect, VideoFrame};
use proptest::prelude::*;
use vt100::{Color, Parser};

const MODES: [RenderMode; 5] = [
    RenderMode::Ascii,
    RenderMode::HalfBlock,
    RenderMode::HalfBlock16,
    RenderMode::HalfBlock256,
    RenderMode::Shade,
];

const SIZES: [(u16, u16); 3] = [(80, 24), (40, 12), (200, 60)];

fn picture(width: u16, height: u16, planes: Vec<u8>) -> VideoFrame {
    let time = MediaTime::new(0, Frequency::VIDEO);
    VideoFrame::new(width, height, time, NtpTime::default(), planes.into()).expect("right size")
}

/// White, and black from the middle on.
fn halves(width: u16, height: u16) -> VideoFrame {
    let mut planes = vec![128; PixelFormat::I420.bytes(width, height)];
    for (place, luma) in planes[..usize::from(width) * usize::from(height)].iter_mut().enumerate() {
        *luma = if place % usize::from(width) < usize::from(width / 2) { 235 } else { 16 };
    }
    picture(width, height, planes)
}

fn terminal(columns: u16, rows: u16) -> Parser {
    let side = |side| NonZero::new(side).expect("a terminal with cells");
    Parser::new(side(rows), side(columns), 0)
}

fn whole(picture: &VideoFrame) -> Rect {
    Rect { x: 0, y: 0, width: picture.width(), height: picture.height() }
}

/// Columns `x` and on of a row, as text.
fn text(parser: &Parser, y: u16, x: u16, columns: u16) -> String {
    let cells = (x..x + columns).map(|x| parser.screen().cell(y, x).expect("on the screen"));
    cells.map(|cell| if cell.has_contents() { cell.contents() } else { " " }).collect()
}

fn colours(parser: &Parser, y: u16, x: u16) -> (Color, Color) {
    let cell = parser.screen().cell(y, x).expect("on the screen");
    (cell.fgcolor(), cell.bgcolor())
}

#[test]
fn each_mode_shows_white_and_black_as_it_can() {
    const RGB: Color = Color::Rgb(255, 255, 255);
    for (columns, rows) in SIZES {
        for (mode, glyphs, white, black) in [
            (RenderMode::Ascii, ["@", " "], Color::Default, Color::Default),
            (RenderMode::Shade, ["█", " "], Color::Default, Color::Default),
            (RenderMode::HalfBlock, ["▀", "▀"], RGB, Color::Rgb(0, 0, 0)),
            (RenderMode::HalfBlock256, ["▀", "▀"], Color::Idx(231), Color::Idx(16)),
            (RenderMode::HalfBlock16, ["▀", "▀"], Color::Idx(15), Color::Idx(0)),
        ] {
            let frame = halves(columns, rows * 2);
            let mut canvas = Canvas::new(mode);
            canvas.start(columns, rows);
            let taken = canvas.picture(&frame, whole(&frame), canvas.area());
            assert_eq!(taken, canvas.area());
            let mut parser = terminal(columns, rows);
            parser.process(canvas.finish());
            let half = usize::from(columns / 2);
            for y in 0..rows {
                let row = glyphs.map(|glyph| glyph.repeat(half)).concat();
                assert_eq!(text(&parser, y, 0, columns), row, "{mode:?} {columns}×{rows}");
                assert_eq!(colours(&parser, y, 0), (white, white), "{mode:?}");
                if glyphs[0] == "▀" {
                    assert_eq!(colours(&parser, y, columns - 1), (black, black), "{mode:?}");
                }
            }
        }
    }
}

#[test]
fn nothing_is_drawn_outside_an_area() {
    for mode in MODES {
        for (columns, rows) in SIZES {
            let frame = halves(64, 64);
            let mut canvas = Canvas::new(mode);
            canvas.start(columns, rows);
            let area = Area { x: 5, y: 3, columns: 30, rows: 7 };
            let taken = canvas.picture(&frame, whole(&frame), area);
            assert_eq!((taken.columns, taken.rows), (14, 7), "a square of cells twice as high");
            canvas.text(columns - 3, rows - 1, 80, "abcdef", Style::Marked);
            canvas.text(2, rows, 80, "below", Style::Label);
            canvas.text(columns, 0, 80, "beside", Style::Label);
            // A terminal with two more rows, to see what would be written there.
            let mut parser = terminal(columns, rows + 2);
            parser.process(canvas.finish());
            for (y, x) in (0..rows + 2).flat_map(|y| (0..columns).map(move |x| (y, x))) {
                let inside = (taken.y..taken.y + taken.rows).contains(&y)
                    && (taken.x..taken.x + taken.columns).contains(&x);
                let in_text = y == rows - 1 && x >= columns - 3;
                if !inside && !in_text {
                    assert_eq!(text(&parser, y, x, 1), " ", "{mode:?} at {x}, {y}");
                    assert_eq!(colours(&parser, y, x), (Color::Default, Color::Default));
                }
            }
            assert_eq!(text(&parser, rows - 1, columns - 3, 3), "abc");
        }
    }
}

#[test]
fn a_part_of_a_picture_is_all_that_is_seen_of_it() {
    let frame = halves(64, 36);
    for (x, glyph) in [(0, '@'), (32, ' ')] {
        let mut canvas = Canvas::new(RenderMode::Ascii);
        canvas.start(32, 9);
        let part = Rect { x, y: 18, width: 32, height: 18 };
        let taken = canvas.picture(&frame, part, canvas.area());
        assert_eq!(taken, canvas.area());
        let mut parser = terminal(32, 9);
        parser.process(canvas.finish());
        assert!((0..9).all(|y| text(&parser, y, 0, 32).chars().all(|it| it == glyph)), "{x}");
    }
}

#[test]
fn a_part_that_is_not_in_the_picture_is_not_drawn() {
    let frame = halves(64, 36);
    let far = Rect { x: u16::MAX, y: u16::MAX, width: u16::MAX, height: u16::MAX };
    for (part, seen) in [
        (Rect::default(), false),
        (far, false),
        (Rect { x: 64, ..whole(&frame) }, false),
        (Rect { x: 63, y: 35, ..far }, true),
    ] {
        let mut canvas = Canvas::new(RenderMode::HalfBlock);
        canvas.start(20, 10);
        let taken = canvas.picture(&frame, part, canvas.area());
        assert_eq!(taken.columns > 0 && taken.rows > 0, seen, "{part:?}");
    }
}

#[test]
fn a_frame_that_is_the_same_costs_nothing_until_it_is_forgotten() {
    let frame = halves(80, 48);
    for mode in MODES {
        let mut canvas = Canvas::new(mode);
        let mut draw = |columns, forget: bool| {
            if forget {
                canvas.forget();
            }
            canvas.start(columns, 24);
            canvas.picture(&frame, whole(&frame), canvas.area());
            canvas.text(0, 0, 80, "Ann", Style::Label);
            canvas.finish().len()
        };
        let first = draw(80, false);
        assert_eq!(draw(80, false), 0, "{mode:?}");
        assert_eq!(draw(80, true), first, "{mode:?}");
        assert!(draw(79, false) > first / 2, "another size is a whole frame");
    }
}

#[test]
fn an_ascii_canvas_sends_ascii() {
    let mut canvas = Canvas::new(RenderMode::Ascii);
    canvas.start(20, 1);
    assert_eq!(canvas.text(0, 0, 20, "Zoë 日\x1b[m", Style::Marked), 7);
    assert_eq!(canvas.finish(), b"\x1b[1;1HZo? ?[m\x1b[K");
}

#[test]
fn a_wide_glyph_that_is_half_covered_is_gone() {
    for (covered_at, expected) in [(2, "aaX b"), (3, "aa Xb")] {
        let mut canvas = Canvas::new(RenderMode::HalfBlock);
        canvas.start(8, 1);
        canvas.text(0, 0, 8, "aaaaaaaa", Style::Plain);
        let mut parser = terminal(8, 1);
        parser.process(canvas.finish());
        canvas.start(8, 1);
        canvas.text(0, 0, 8, "aa日b", Style::Plain);
        canvas.text(covered_at, 0, 1, "X", Style::Plain);
        parser.process(canvas.finish());
        assert_eq!(text(&parser, 0, 0, 8).trim_end(), expected);
    }
}

/// Something on a frame.
#[derive(Clone, Debug)]
enum Put {
    Picture { sides: (u16, u16), seed: u8, part: (u16, u16, u16, u16), area: Area },
    Text { x: u16, y: u16, columns: u16, text: String, style: usize },
}

fn puts() -> impl Strategy<Value = Vec<Put>> {
    let area = (0..20_u16, 0..8_u16, 0..30_u16, 0..10_u16).prop_map(|(x, y, columns, rows)| Area {
        x,
        y,
        columns,
        rows,
    });
    let part = (0..9_u16, 0..9_u16, 0..20_u16, 0..20_u16);
    // Letters, wide and combining characters, what is no character at all.
    let text = prop_oneof!["[a-d ]{0,12}", "[a日\u{301}ë\u{1f600}\u{2501}]{0,9}", any::<String>()];
    let put = prop_oneof![
        ((1..17_u16, 1..17_u16), any::<u8>(), part, area)
            .prop_map(|(sides, seed, part, area)| Put::Picture { sides, seed, part, area }),
        (0..24_u16, 0..10_u16, 0..24_u16, text, 0..3_usize)
            .prop_map(|(x, y, columns, text, style)| Put::Text { x, y, columns, text, style }),
    ];
    prop::collection::vec(put, 0..6)
}

fn draw(canvas: &mut Canvas, size: (u16, u16), puts: &[Put]) -> Vec<u8> {
    canvas.start(size.0, size.1);
    for put in puts {
        match put {
            &Put::Picture { sides: (width, height), seed, part: (x, y, w, h), area } => {
                let bytes = 0..PixelFormat::I420.bytes(width, height);
                let noise = bytes.map(|at| (at as u8).wrapping_mul(seed | 1) & 0xc0).collect();
                let part = Rect { x, y, width: w, height: h };
                canvas.picture(&picture(width, height, noise), part, area);
            }
            Put::Text { x, y, columns, text, style } => {
                let style = [Style::Label, Style::Marked, Style::Plain][*style];
                canvas.text(*x, *y, *columns, text, style);
            }
        }
    }
    canvas.finish().to_vec()
}

proptest! {
    /// Whatever stood on the screen before, and whatever the names are.
    #[test]
    fn drawing_what_changed_shows_what_drawing_all_shows(
        mode in 0..MODES.len(),
        frames in prop::collection::vec(puts(), 1..8),
    ) {
        let size = (24, 10);
        let mut canvas = Canvas::new(MODES[mode]);
        let mut parser = terminal(size.0, size.1);
        for puts in frames {
            parser.process(&draw(&mut canvas, size, &puts));
            let mut fresh = terminal(size.0, size.1);
            fresh.process(&draw(&mut Canvas::new(MODES[mode]), size, &puts));
            for y in 0..size.1 {
                prop_assert_eq!(text(&parser, y, 0, size.0), text(&fresh, y, 0, size.0));
                for x in 0..size.0 {
                    prop_assert_eq!(colours(&parser, y, x), colours(&fresh, y, x), "{}, {}", x, y);
                }
            }
        }
    }
}
