//! Nothing reaches a terminal but what the renderer means.

use paceline_playout::terminal::{RenderConfig, RenderMode, Renderer, sanitize};
use paceline_types::{Frequency, GLYPHS, MediaTime, NtpTime, PixelFormat, VideoFrame};

struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.0 >> 33
    }
}

fn picture(width: u16, height: u16, mut byte: impl FnMut() -> u8) -> VideoFrame {
    let planes: Vec<u8> = (0..PixelFormat::I420.bytes(width, height)).map(|_| byte()).collect();
    let time = MediaTime::new(0, Frequency::VIDEO);
    VideoFrame::new(width, height, time, NtpTime::default(), planes.into()).expect("right size")
}

const MODES: [RenderMode; 5] = [
    RenderMode::Ascii,
    RenderMode::HalfBlock,
    RenderMode::HalfBlock16,
    RenderMode::HalfBlock256,
    RenderMode::Shade,
];

/// Splits output by its grammar: `ESC [ digits ; … (m|H|K)` or a glyph. Panics at
/// anything else. Returns glyphs in each row.
fn parse(output: &[u8], columns: u16, rows: u16) -> Vec<usize> {
    let text = std::str::from_utf8(output).expect("UTF-8");
    let mut widths = vec![0; rows.into()];
    let mut row = None;
    let mut rest = text.chars();
    while let Some(first) = rest.next() {
        if first != '\u{1b}' {
            assert!(GLYPHS.contains(&first) || "░▒▓".contains(first), "{first:?}");
            widths[row.expect("a place before a glyph")] += 1;
            continue;
        }
        assert_eq!(rest.next(), Some('['));
        let parameters: String =
            rest.clone().take_while(|it| it.is_ascii_digit() || *it == ';').collect();
        let numbers: Vec<u16> = parameters.split(';').filter_map(|it| it.parse().ok()).collect();
        match rest.nth(parameters.len()) {
            Some('m') => match numbers[..] {
                [0 | 30..=37 | 40..=47 | 90..=97 | 100..=107] => {}
                [38 | 48, 5, index] => assert!((16..=255).contains(&index)),
                [38 | 48, 2, r, g, b] => assert!(r.max(g).max(b) <= 255),
                _ => panic!("SGR {parameters}"),
            },
            Some('H') => {
                assert!(numbers.len() == 2 && numbers[1] == 1 && (1..=rows).contains(&numbers[0]));
                row = Some(usize::from(numbers[0] - 1));
            }
            Some('K') => {
                assert_eq!(parameters, "");
                let used = widths[row.expect("a place before clearing")];
                assert!(used < columns.into(), "clears what it has drawn");
            }
            other => panic!("ends with {other:?}"),
        }
    }
    widths
}

#[test]
fn output_keeps_to_its_grammar_for_any_picture_and_size() {
    let mut random = Lcg(11);
    for mode in MODES {
        let mut renderer = Renderer::new(RenderConfig::default().mode(mode));
        for _ in 0..300 {
            let [width, height] = [0; 2].map(|_| 1 + (random.next() % 70) as u16);
            let [columns, rows] = [0; 2].map(|_| (random.next() % 60) as u16);
            let picture = picture(width, height, || random.next() as u8);
            let widths = parse(renderer.render(&picture, columns, rows), columns, rows);
            assert!(widths.iter().all(|&width| width <= columns.into()));
            let drawn = widths.iter().any(|&width| width > 0);
            assert_eq!(drawn, columns > 0 && rows > 0, "{columns}×{rows}");
        }
    }
}

#[test]
fn a_terminal_without_cells_gets_nothing() {
    let picture = picture(4, 4, || 128);
    let mut renderer = Renderer::new(RenderConfig::default());
    for (columns, rows) in [(0, 0), (0, 50), (80, 0)] {
        assert_eq!(renderer.render(&picture, columns, rows), b"");
    }
}

#[test]
fn a_terminal_too_large_to_be_true_is_not_believed() {
    let picture = picture(2, 1, || 128);
    let mut renderer = Renderer::new(RenderConfig::default().mode(RenderMode::Ascii));
    let widths = parse(renderer.render(&picture, u16::MAX, u16::MAX), 1_000, 500);
    assert_eq!((widths.len(), widths.iter().max()), (500, Some(&1_000)));
}

#[test]
fn a_colour_is_set_only_when_it_changes() {
    let mut luma = [235; 8].into_iter().chain([128; 4]);
    let white = picture(4, 2, || luma.next().expect("twelve bytes"));
    let mut renderer = Renderer::new(RenderConfig::default());
    let line = "\x1b[1;1H\x1b[38;2;255;255;255m\x1b[48;2;255;255;255m▀▀▀▀\x1b[0m";
    assert_eq!(renderer.render(&white, 4, 1), line.as_bytes());
    // Beside a picture it is cleared; it stands in the middle.
    let beside = format!("\x1b[1;1H  {}\x1b[K", &line[6..]);
    assert_eq!(renderer.render(&white, 8, 1), beside.as_bytes());
}

#[test]
fn colours_are_those_of_bt_601() {
    // Pure red, blue and black in limited range.
    for (yuv, rgb) in
        [([81, 90, 240], [255, 0, 0]), ([41, 240, 110], [0, 0, 255]), ([16, 128, 128], [0, 0, 0])]
    {
        let mut bytes = [yuv[0], yuv[0], yuv[1], yuv[2]].into_iter();
        let picture = picture(1, 2, || bytes.next().expect("four bytes"));
        let mut renderer = Renderer::new(RenderConfig::default());
        let output = String::from_utf8(renderer.render(&picture, 1, 1).to_vec()).expect("UTF-8");
        let colour = output.split("38;2;").nth(1).and_then(|it| it.split('m').next());
        let parts: Vec<i32> =
            colour.expect("a colour").split(';').map(|it| it.parse().expect("digits")).collect();
        assert!(parts.iter().zip(rgb).all(|(a, b)| (a - b).abs() <= 2), "{parts:?} for {rgb:?}");
    }
}

#[test]
fn text_from_strangers_cannot_steer_the_terminal() {
    let corpus = [
        ("Ann", "Ann"),
        ("Zoë Ødegård", "Zoë Ødegård"),
        // OSC 52 writes the clipboard; ended by BEL, by ST, by the C1 ST.
        ("a\x1b]52;c;cm0gLXJmIC8=\x07b", "a]52;c;cm0gLXJmIC8=b"),
        ("a\x1b]52;c;eA==\x1b\\b", "a]52;c;eA==\\b"),
        ("a\u{9d}52;c;eA==\u{9c}b", "a52;c;eA==b"),
        // DCS, CSI, both as escape sequence and as C1; reset; character sets.
        ("\x1bPq#0\x1b\\", "Pq#0\\"),
        ("\u{90}q\u{9b}2J", "q2J"),
        ("\x1bc\x1b(0\x0ex\x0f", "c(0x"),
        ("line\r\nnext\u{85}next\u{2028}next\u{2029}", "linenextnextnext"),
        ("\0\x08\x7f\t", ""),
        // Bidirectional overrides, isolates, marks.
        ("Ann\u{202e}nimda\u{202c}", "Annnimda"),
        ("\u{2066}a\u{2067}b\u{2068}c\u{2069}\u{200e}\u{200f}\u{61c}", "abc"),
        ("A\u{200b}n\u{200d}n\u{feff}\u{ad}\u{2060}\u{e0041}", "Ann"),
    ];
    for (text, expected) in corpus {
        assert_eq!(sanitize(text, 80), expected, "{text:?}");
    }
}

#[test]
fn text_never_takes_more_than_its_columns() {
    assert_eq!(sanitize("Annabelle", 4), "Anna");
    assert_eq!(sanitize("日本", 3), "日");
    assert_eq!(sanitize("Ann", 0), "");
    let pile = format!("A{}", "\u{301}".repeat(1_000));
    assert_eq!(sanitize(&pile, 10).chars().count(), 10);

    let mut random = Lcg(5);
    for _ in 0..1_000 {
        let text: String =
            (0..20).filter_map(|_| char::from_u32((random.next() % 0x11_0000) as u32)).collect();
        let clean = sanitize(&text, 15);
        assert!(clean.chars().count() <= 15 && !clean.chars().any(char::is_control));
        assert_eq!(sanitize(&clean, 15), clean);
    }
}
