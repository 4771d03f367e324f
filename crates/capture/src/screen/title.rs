//! Names that programs chose.

/// The text without what a terminal or a log would obey, and not longer than [`MAX_CHARS`].
pub(super) fn clean(text: &str) -> String {
    let mut clean: String = text.chars().take(MAX_CHARS).map(shown).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        clean.pop();
        clean.push('…');
    }
    clean
}

/// Latin-1 as text (ICCCM §2.7.1: what is of type `STRING`).
pub(super) fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// The character, or the one for what cannot be shown: controls (Unicode Cc), and what is not
/// seen itself but turns, joins or hides others (of Cf, Zl and Zp).
fn shown(char: char) -> char {
    let unseen = matches!(char,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}');
    if char.is_control() || unseen { char::REPLACEMENT_CHARACTER } else { char }
}

/// As much as a line of a terminal shows.
const MAX_CHARS: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let hostile = "\u{1b}]52;c;AAAA\u{7}\u{9b}2J\r\n\u{202e}evil\u{200d}\0\u{e0041}";
        let clean = clean(hostile);
        assert_eq!(clean.chars().count(), hostile.chars().count());
        assert!(clean.contains("evil") && clean.contains("]52;c;AAAA"));
        assert!(!clean.chars().any(|char| char.is_control()));
        assert!(!clean.contains(['\u{202e}', '\u{200d}', '\u{e0041}']));
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = "ä".repeat(1_000);
        let clean = clean(&long);
        assert_eq!(clean.chars().count(), MAX_CHARS);
        assert!(clean.ends_with('…'));
        assert_eq!(super::clean(&"ö".repeat(MAX_CHARS)), "ö".repeat(MAX_CHARS));
    }

    #[test]
    fn bytes_of_latin_1_are_its_characters() {
        assert_eq!(latin_1(b"caf\xe9"), "café");
    }
}
