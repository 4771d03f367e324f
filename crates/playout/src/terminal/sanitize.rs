//! Text from strangers, made safe to print.

/// `text` without anything that a terminal would act on or hide: control
/// characters (C0, escape, delete, C1), bidirectional controls, line and
/// paragraph separators, invisible format characters and tags. Cut off before it
/// takes more than `max_columns`.
///
/// What is left of an escape sequence is its letters, which are harmless. A
/// character from U+1100 on counts as two columns, for a terminal may show it as
/// wide as that (not lines and blocks, U+2500 to U+259F); a combining mark counts as one, so a pile of them is cut off too.
///
/// ```
/// use paceline_playout::terminal::sanitize;
///
/// assert_eq!(sanitize("Ann\u{202e}exe\x1b]52;c;AA==\x07", 9), "Annexe]52");
/// assert_eq!(sanitize("日本語", 5), "日本");
/// ```
#[must_use]
pub fn sanitize(text: &str, max_columns: usize) -> String {
    let mut columns = 0;
    text.chars()
        .filter(|&character| !is_unsafe(character))
        .take_while(|&character| {
            columns += columns_of(character);
            columns <= max_columns
        })
        .collect()
}

/// For how many columns a character counts. Blocks and lines, of which frames are
/// made, take one everywhere but in an East Asian legacy locale.
pub(crate) fn columns_of(character: char) -> usize {
    match character {
        '\0'..'\u{1100}' | '\u{2500}'..'\u{25a0}' => 1,
        _ => 2,
    }
}

/// Unicode 16: categories Cc, Zl, Zp, and of Cf those that change how other
/// characters are shown or are not shown themselves; fillers that look empty.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}
