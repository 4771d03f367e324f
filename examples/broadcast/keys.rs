//! The keys.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// Something a person did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Key {
    Quit,
    Resize,
}

impl Key {
    /// What a press of this key means, if anything.
    pub(crate) fn of(key: KeyEvent) -> Option<Self> {
        let quits = match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => true,
            KeyCode::Char('q' | 'Q') => !key.modifiers.contains(KeyModifiers::CONTROL),
            _ => false,
        };
        (quits && key.kind != KeyEventKind::Release).then_some(Self::Quit)
    }
}
