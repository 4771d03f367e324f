//! A QR code of a line of text, for a terminal.

use std::fmt::Write;

use qrcodegen::{QrCode, QrCodeEcc};

/// What a code is drawn with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Style {
    /// Characters for a terminal that takes nothing else.
    pub(crate) ascii: bool,
    /// Black on white by escape codes, whatever the terminal's own colours are.
    pub(crate) colours: bool,
}

/// Draws `text`, each line of it ended; `None` if it is too long for a code.
pub(crate) fn draw(text: &str, style: Style) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let side = code.size();
    // What is beyond the edge is light.
    let dark = |x: i32, y: i32| code.get_module(x, y);
    let columns = -QUIET..side + QUIET;
    let mut drawn = String::new();
    for y in (-QUIET..side + QUIET).step_by(if style.ascii { 1 } else { 2 }) {
        if style.ascii {
            for x in columns.clone() {
                drawn.push_str(match (dark(x, y), style.colours) {
                    (true, true) => "\x1b[48;5;16m  ",
                    (false, true) => "\x1b[48;5;231m  ",
                    // As below: what is light is drawn.
                    (true, false) => "  ",
                    (false, false) => "##",
                });
            }
        } else {
            if style.colours {
                drawn.push_str("\x1b[38;5;231;48;5;16m");
            }
            // What is light is drawn: most terminals are dark.
            drawn.extend(columns.clone().map(|x| match (dark(x, y), dark(x, y + 1)) {
                (false, false) => '█',
                (false, true) => '▀',
                (true, false) => '▄',
                (true, true) => ' ',
            }));
        }
        let _ = writeln!(drawn, "{}", if style.colours { "\x1b[0m" } else { "" });
    }
    Some(drawn)
}

/// Light modules around a code (ISO/IEC 18004 §9.1).
const QUIET: i32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "ws://192.168.1.7:4455/call";

    /// The modules of a drawing, `true` for dark.
    fn read(drawn: &str, ascii: bool) -> Vec<Vec<bool>> {
        let mut rows = Vec::new();
        for line in drawn.lines() {
            let glyphs: Vec<char> = line.chars().collect();
            if ascii {
                rows.push(glyphs.chunks(2).map(|pair| pair != ['#', '#']).collect());
            } else {
                rows.push(glyphs.iter().map(|glyph| matches!(glyph, '▄' | ' ')).collect());
                rows.push(glyphs.iter().map(|glyph| matches!(glyph, '▀' | ' ')).collect());
            }
        }
        rows
    }

    #[test]
    fn both_styles_draw_the_same_modules_with_a_quiet_zone() {
        let code = QrCode::encode_text(URL, QrCodeEcc::Low).expect("it is short");
        for ascii in [false, true] {
            let drawn = draw(URL, Style { ascii, colours: false }).expect("it is short");
            let rows = read(&drawn, ascii);
            for (y, row) in (-QUIET..).zip(&rows) {
                assert_eq!(row.len() as i32, code.size() + 2 * QUIET);
                for (x, &dark) in (-QUIET..).zip(row) {
                    // A half block has a last row below the code, which is not drawn on.
                    assert_eq!(dark, code.get_module(x, y), "{x} {y} {ascii}");
                }
            }
            assert!(rows.len() as i32 >= code.size() + 2 * QUIET);
            assert_eq!(ascii, drawn.is_ascii());
        }
    }

    #[test]
    fn colours_are_ended_on_every_line() {
        for ascii in [false, true] {
            let drawn = draw(URL, Style { ascii, colours: true }).expect("it is short");
            assert!(drawn.lines().all(|line| line.ends_with("\x1b[0m")), "{drawn}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_has_no_code() {
        assert_eq!(draw(&"x".repeat(5_000), Style::default()), None);
    }
}
