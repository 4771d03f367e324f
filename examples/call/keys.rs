//! The keys, and the line that tells them.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::layout::{Layout, Look};
use crate::screen::Screen;

/// Something a person did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Key {
    Camera,
    Help,
    Invite,
    Layout,
    Mute,
    Next,
    Previous,
    Quit,
    Resize,
    Statistics,
}

impl Key {
    /// What a press of this key means, if anything.
    pub(crate) fn of(key: KeyEvent) -> Option<Self> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return (key.code == KeyCode::Char('c')).then_some(Self::Quit);
        }
        match key.code {
            KeyCode::Left | KeyCode::BackTab => Some(Self::Previous),
            KeyCode::Right | KeyCode::Tab => Some(Self::Next),
            KeyCode::Char(letter) => match letter.to_ascii_lowercase() {
                '?' | 'h' => Some(Self::Help),
                'g' => Some(Self::Layout),
                'i' => Some(Self::Invite),
                'm' => Some(Self::Mute),
                'q' => Some(Self::Quit),
                's' => Some(Self::Statistics),
                'v' => Some(Self::Camera),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The keys and how things stand with them, as fully as `columns` allow.
pub(crate) fn help_line(screen: &Screen, look: &Look, columns: usize) -> String {
    let switch = |off| if off { "OFF" } else { "on" };
    let (sound, camera) = (switch(screen.muted), switch(screen.camera_off));
    let layout = look.layout.name();
    let [next, short_next] = match look.layout {
        Layout::Single => ["  tab next", " tab"],
        Layout::Grid | Layout::Speaker => ["", ""],
    };
    let lines = [
        format!(
            "q leave  m sound {sound}  v camera {camera}  g layout {layout}{next}  \
             s statistics  ? help"
        ),
        format!("q leave  m sound {sound}  v camera {camera}  g {layout}{next}  ? help"),
        format!("q m:{sound} v:{camera} g:{layout}{short_next} s ?"),
    ];
    let fits = |line: &&String| line.len() <= columns;
    lines.iter().find(fits).unwrap_or(&lines[2]).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: KeyCode, modifiers: KeyModifiers) -> Option<Key> {
        Key::of(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn letters_mean_the_same_in_both_cases() {
        for (letter, key) in [
            ('q', Key::Quit),
            ('m', Key::Mute),
            ('v', Key::Camera),
            ('g', Key::Layout),
            ('i', Key::Invite),
            ('s', Key::Statistics),
            ('h', Key::Help),
        ] {
            assert_eq!(of(KeyCode::Char(letter), KeyModifiers::NONE), Some(key));
            let upper = KeyCode::Char(letter.to_ascii_uppercase());
            assert_eq!(of(upper, KeyModifiers::SHIFT), Some(key));
        }
    }

    #[test]
    fn control_leaves_with_c_and_does_nothing_else() {
        assert_eq!(of(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Quit));
        assert_eq!(of(KeyCode::Char('m'), KeyModifiers::CONTROL), None);
        assert_eq!(of(KeyCode::Char('c'), KeyModifiers::NONE), None);
    }

    #[test]
    fn the_line_fits_and_tells_how_things_stand() {
        let mut screen = Screen { muted: true, ..Screen::default() };
        let mut look = Look::default();
        for camera_off in [false, true] {
            screen.camera_off = camera_off;
            for layout in [Layout::Grid, Layout::Speaker, Layout::Single] {
                look.layout = layout;
                for columns in [40, 60, 80, 200] {
                    let line = help_line(&screen, &look, columns);
                    assert!(line.len() <= columns, "{columns}: {line}");
                    assert!(line.contains("OFF") && line.contains(layout.name()), "{line}");
                }
            }
        }
        assert_eq!(
            help_line(&Screen::default(), &Look::default(), 80),
            "q leave  m sound on  v camera on  g layout grid  s statistics  ? help"
        );
    }
}
