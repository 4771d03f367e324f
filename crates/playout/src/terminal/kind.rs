//! What a terminal can show, as its environment tells.

use crate::terminal::RenderMode;

/// How many colours a terminal has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Colours {
    /// Any, in 24 bits (`ESC [ 38 ; 2 ; r ; g ; b m`).
    Bits24,
    /// The sixteen that every colour terminal has.
    Indexed16,
    /// The palette of 256 that xterm made common.
    Indexed256,
    /// None, or none is wanted.
    None,
}

/// What a terminal can show.
///
/// ```
/// use paceline_playout::terminal::{Colours, RenderMode, TerminalKind};
///
/// let kind = TerminalKind::from_env(|name| match name {
///     "TERM" => Some("xterm-256color".to_owned()),
///     "LANG" => Some("de_DE.UTF-8".to_owned()),
///     _ => None,
/// });
/// assert_eq!(kind, TerminalKind { colours: Colours::Indexed256, utf8: true });
/// assert_eq!(kind.mode(), RenderMode::HalfBlock256);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TerminalKind {
    /// How many colours it has.
    pub colours: Colours,
    /// It takes UTF-8, not only ASCII.
    pub utf8: bool,
}

impl TerminalKind {
    /// What the environment says; `variable` gives the value of one of its
    /// variables. An empty value counts as none.
    ///
    /// | | the first that holds |
    /// |---|---|
    /// | colours | `NO_COLOR` is set (<https://no-color.org>): none · `TERM` is `dumb` or not set: none · `COLORTERM` is `truecolor` or `24bit`: 24 bits · `TERM` has `256color` in it: 256 · else 16 |
    /// | UTF-8 | `TERM` is `dumb` or not set: no · the first that is set of `LC_ALL`, `LC_CTYPE` and `LANG` names UTF-8 (POSIX.1-2017 §8.2 has this order): yes · else no |
    #[must_use]
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let Some(term) = set("TERM").filter(|term| term != "dumb") else {
            return Self { colours: Colours::None, utf8: false };
        };
        let colours = if set("NO_COLOR").is_some() {
            Colours::None
        } else if matches!(set("COLORTERM").as_deref(), Some("truecolor" | "24bit")) {
            Colours::Bits24
        } else if term.contains("256color") {
            Colours::Indexed256
        } else {
            Colours::Indexed16
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        Self { colours, utf8: locale.contains("utf-8") || locale.contains("utf8") }
    }

    /// What pictures are drawn with on it. Without UTF-8 there are no blocks, and
    /// pictures are ASCII characters without colour.
    #[must_use]
    pub const fn mode(self) -> RenderMode {
        match (self.utf8, self.colours) {
            (false, _) => RenderMode::Ascii,
            (true, Colours::Bits24) => RenderMode::HalfBlock,
            (true, Colours::Indexed16) => RenderMode::HalfBlock16,
            (true, Colours::Indexed256) => RenderMode::HalfBlock256,
            (true, Colours::None) => RenderMode::Shade,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(variables: &[(&str, &str)]) -> (Colours, bool) {
        let kind = TerminalKind::from_env(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        (kind.colours, kind.utf8)
    }

    #[test]
    fn colours_are_what_the_environment_says() {
        let xterm = ("TERM", "xterm-256color");
        for (variables, colours) in [
            (&[][..], Colours::None),
            (&[("TERM", "")], Colours::None),
            (&[("TERM", "dumb"), ("COLORTERM", "truecolor")], Colours::None),
            (&[("TERM", "screen")], Colours::Indexed16),
            (&[xterm], Colours::Indexed256),
            (&[xterm, ("COLORTERM", "yes")], Colours::Indexed256),
            (&[xterm, ("COLORTERM", "truecolor")], Colours::Bits24),
            (&[("TERM", "xterm"), ("COLORTERM", "24bit")], Colours::Bits24),
            (&[xterm, ("COLORTERM", "24bit"), ("NO_COLOR", "1")], Colours::None),
            // no-color.org: only if it is not an empty string.
            (&[xterm, ("NO_COLOR", "")], Colours::Indexed256),
        ] {
            assert_eq!(kind(variables).0, colours, "{variables:?}");
        }
    }

    #[test]
    fn utf_8_is_what_the_first_locale_variable_says() {
        let term = ("TERM", "xterm");
        for (variables, utf8) in [
            (&[term][..], false),
            (&[term, ("LANG", "C")], false),
            (&[term, ("LANG", "en_GB.UTF-8")], true),
            (&[term, ("LANG", "en_GB.utf8")], true),
            (&[term, ("LC_CTYPE", "POSIX"), ("LANG", "en_GB.UTF-8")], false),
            (&[term, ("LC_ALL", ""), ("LC_CTYPE", "C.UTF-8")], true),
            (&[term, ("LC_ALL", "C"), ("LC_CTYPE", "C.UTF-8")], false),
            (&[("TERM", "dumb"), ("LANG", "en_GB.UTF-8")], false),
        ] {
            assert_eq!(kind(variables).1, utf8, "{variables:?}");
        }
    }

    #[test]
    fn without_utf_8_or_colours_a_picture_is_made_of_glyphs() {
        let mode = |colours, utf8| TerminalKind { colours, utf8 }.mode();
        assert_eq!(mode(Colours::Bits24, false), RenderMode::Ascii);
        assert_eq!(mode(Colours::None, false), RenderMode::Ascii);
        assert_eq!(mode(Colours::None, true), RenderMode::Shade);
        assert_eq!(mode(Colours::Indexed16, true), RenderMode::HalfBlock16);
        assert_eq!(mode(Colours::Bits24, true), RenderMode::HalfBlock);
    }
}
