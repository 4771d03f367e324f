//! Colours of 24 bits as those that a terminal has.

use crate::terminal::RenderMode;

/// A colour as a terminal is told it, or that it shall take its own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Colour(u32);

impl Colour {
    /// What the terminal shows text in, or behind it.
    pub(crate) const OWN: Self = Self(0);

    const fn rgb([r, g, b]: [u8; 3]) -> Self {
        Self(RGB | (r as u32) << 16 | (g as u32) << 8 | b as u32)
    }

    /// Sets it: what a cell is drawn in, or what it is drawn on.
    pub(crate) fn emit(self, out: &mut Vec<u8>, ground: Ground) {
        let [kind, r, g, b] = self.0.to_be_bytes();
        let mut code = [0; 20];
        let start = if ground == Ground::Fore { b'3' } else { b'4' };
        let len = match u32::from(kind) << 24 {
            RGB => {
                code[..6].copy_from_slice(&[0x1b, b'[', start, b'8', b';', b'2']);
                let mut len = 6;
                for part in [r, g, b] {
                    len = parameter(&mut code, len, part);
                }
                len
            }
            INDEXED_256 => {
                code[..6].copy_from_slice(&[0x1b, b'[', start, b'8', b';', b'5']);
                parameter(&mut code, 6, b)
            }
            INDEXED_16 if b < 8 => {
                code[..4].copy_from_slice(&[0x1b, b'[', start, b'0' + b]);
                4
            }
            INDEXED_16 => {
                // The bright half: 90 to 97 and 100 to 107.
                let bright: &[u8] = if ground == Ground::Fore { b"\x1b[9" } else { b"\x1b[10" };
                code[..bright.len()].copy_from_slice(bright);
                code[bright.len()] = b'0' + (b & 7);
                bright.len() + 1
            }
            _ => {
                code[..4].copy_from_slice(&[0x1b, b'[', start, b'9']);
                4
            }
        };
        code[len] = b'm';
        out.extend_from_slice(&code[..=len]);
    }
}

/// Which of a cell's two colours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ground {
    Back,
    Fore,
}

/// Finds the colour of a mode that is nearest.
#[derive(Debug)]
pub(crate) struct Palette {
    mode: RenderMode,
    /// For five bits of each part of a colour the index of the nearest; empty if
    /// the mode has no indices.
    nearest: Vec<u8>,
}

impl Palette {
    pub(crate) fn new(mode: RenderMode) -> Self {
        let nearest = match mode {
            RenderMode::HalfBlock16 => (0..1 << 15).map(|bits| nearest_16(unpack(bits))).collect(),
            RenderMode::HalfBlock256 => {
                (0..1 << 15).map(|bits| nearest_256(unpack(bits))).collect()
            }
            RenderMode::Ascii | RenderMode::HalfBlock | RenderMode::Shade => Vec::new(),
        };
        Self { mode, nearest }
    }

    pub(crate) fn colour(&self, rgb: [u8; 3]) -> Colour {
        let index = || {
            let [r, g, b] = rgb.map(|part| usize::from(part >> 3));
            u32::from(self.nearest[r << 10 | g << 5 | b])
        };
        match self.mode {
            RenderMode::Ascii | RenderMode::Shade => Colour::OWN,
            RenderMode::HalfBlock => Colour::rgb(rgb),
            RenderMode::HalfBlock16 => Colour(INDEXED_16 | index()),
            RenderMode::HalfBlock256 => Colour(INDEXED_256 | index()),
        }
    }
}

/// Fifteen bits as a colour; all bits set are white.
fn unpack(bits: u32) -> [u8; 3] {
    [bits >> 10, bits >> 5, bits].map(|part| {
        let part = part as u8 & 31;
        part << 3 | part >> 2
    })
}

fn distance(a: [u8; 3], b: [u8; 3]) -> u32 {
    a.into_iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
}

fn nearest_16(rgb: [u8; 3]) -> u8 {
    let indices = 0..XTERM_16.len();
    indices.min_by_key(|&index| distance(XTERM_16[index], rgb)).unwrap_or_default() as u8
}

/// Either from the cube or from the greys: the first sixteen are what a person has
/// chosen them to be.
fn nearest_256(rgb: [u8; 3]) -> u8 {
    let steps = rgb.map(|part| {
        let steps = 0..CUBE.len();
        steps.min_by_key(|&step| CUBE[step].abs_diff(part)).unwrap_or_default()
    });
    let mean = rgb.into_iter().map(u16::from).sum::<u16>() / 3;
    let grey = (mean.saturating_sub(3) / 10).min(23) as u8;
    if distance([8 + 10 * grey; 3], rgb) < distance(steps.map(|step| CUBE[step]), rgb) {
        return 232 + grey;
    }
    (16 + 36 * steps[0] + 6 * steps[1] + steps[2]) as u8
}

/// Appends `;` and `byte` in decimal to a code that is `len` long.
fn parameter(code: &mut [u8; 20], len: usize, byte: u8) -> usize {
    let (text, digits) = PARAMETERS[usize::from(byte)];
    code[len..len + 4].copy_from_slice(&text);
    len + 1 + usize::from(digits)
}

/// The kinds of [`Colour`], in its highest byte.
const INDEXED_16: u32 = 1 << 24;

/// See [`INDEXED_16`].
const INDEXED_256: u32 = 2 << 24;

/// See [`INDEXED_16`].
const RGB: u32 = 3 << 24;

/// The levels of the cube that the indices 16 to 231 are (xterm, `256colres.pl`).
const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The first sixteen of xterm (`XTerm-col.ad`). What a terminal shows for them is
/// its owner's choice; most are near these.
const XTERM_16: [[u8; 3]; 16] = [
    [0, 0, 0],
    [205, 0, 0],
    [0, 205, 0],
    [205, 205, 0],
    [0, 0, 238],
    [205, 0, 205],
    [0, 205, 205],
    [229, 229, 229],
    [127, 127, 127],
    [255, 0, 0],
    [0, 255, 0],
    [255, 255, 0],
    [92, 92, 255],
    [255, 0, 255],
    [0, 255, 255],
    [255, 255, 255],
];

/// Each byte as a parameter of a code, `;` and its decimal digits, and how many
/// digits there are. A picture of 200 × 60 cells has up to 72,000 of them, most of
/// its bytes.
static PARAMETERS: [([u8; 4], u8); 256] = {
    let mut table = [([b';'; 4], 1); 256];
    let mut byte = 0;
    while byte < table.len() {
        let digits = if byte < 10 {
            1
        } else if byte < 100 {
            2
        } else {
            3
        };
        let (mut rest, mut place) = (byte, digits);
        while place > 0 {
            table[byte].0[place] = b'0' + (rest % 10) as u8;
            rest /= 10;
            place -= 1;
        }
        table[byte].1 = digits as u8;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn code(mode: RenderMode, rgb: [u8; 3], ground: Ground) -> String {
        let mut out = Vec::new();
        Palette::new(mode).colour(rgb).emit(&mut out, ground);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_mode_has_its_own_codes() {
        let (white, red) = ([255; 3], [200, 0, 10]);
        assert_eq!(code(RenderMode::HalfBlock, red, Ground::Fore), "\x1b[38;2;200;0;10m");
        assert_eq!(code(RenderMode::HalfBlock, white, Ground::Back), "\x1b[48;2;255;255;255m");
        assert_eq!(code(RenderMode::HalfBlock16, red, Ground::Fore), "\x1b[31m");
        assert_eq!(code(RenderMode::HalfBlock16, red, Ground::Back), "\x1b[41m");
        assert_eq!(code(RenderMode::HalfBlock16, white, Ground::Fore), "\x1b[97m");
        assert_eq!(code(RenderMode::HalfBlock16, white, Ground::Back), "\x1b[107m");
        assert_eq!(code(RenderMode::HalfBlock256, white, Ground::Fore), "\x1b[38;5;231m");
        assert_eq!(code(RenderMode::HalfBlock256, [8; 3], Ground::Back), "\x1b[48;5;232m");
        assert_eq!(code(RenderMode::Shade, white, Ground::Fore), "\x1b[39m");
    }

    #[test]
    fn the_colours_of_a_palette_are_their_own_nearest() {
        for (index, rgb) in XTERM_16.into_iter().enumerate() {
            assert_eq!(usize::from(nearest_16(rgb)), index);
        }
        for index in 16..=255_u8 {
            let rgb = if index >= 232 {
                [8 + 10 * (index - 232); 3]
            } else {
                let index = usize::from(index - 16);
                [index / 36, index / 6 % 6, index % 6].map(|step| CUBE[step])
            };
            assert_eq!(nearest_256(rgb), index, "{rgb:?}");
        }
    }

    #[test]
    fn nothing_of_the_256_is_nearer_than_the_nearest() {
        let all = (16..=255_u8).map(|index| match index {
            232.. => [8 + 10 * (index - 232); 3],
            _ => {
                let index = usize::from(index - 16);
                [index / 36, index / 6 % 6, index % 6].map(|step| CUBE[step])
            }
        });
        let all: Vec<_> = all.collect();
        for bits in (0..1 << 15).step_by(7) {
            let rgb = unpack(bits);
            let best = all.iter().map(|&other| distance(other, rgb)).min().unwrap();
            let found = distance(all[usize::from(nearest_256(rgb) - 16)], rgb);
            assert_eq!(found, best, "{rgb:?}");
        }
    }
}
