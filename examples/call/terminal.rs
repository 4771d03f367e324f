//! The terminal: taken over while the call runs, and always given back.

use std::io::{self, IsTerminal, Write};
use std::thread;

use crossterm::event::Event;
use crossterm::{cursor, event, execute, terminal};
use tokio::sync::mpsc;

use crate::keys::Key;

/// A terminal in raw mode, on its second screen. Dropping it restores the first,
/// also when the program panics.
#[derive(Debug)]
pub(crate) struct Terminal(());

impl Terminal {
    /// Whether there is one to draw on and one to type at.
    pub(crate) fn available() -> bool {
        io::stdout().is_terminal() && io::stdin().is_terminal()
    }

    pub(crate) fn open() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let this = Self(());
        execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)?;
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            hook(panic);
        }));
        Ok(this)
    }

    /// Columns and rows; a size that the system does not tell is 80 × 24.
    pub(crate) fn size(&self) -> (u16, u16) {
        terminal::size().unwrap_or((80, 24))
    }

    /// Writes one frame at once.
    pub(crate) fn draw(&self, frame: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(frame)?;
        out.flush()
    }

    /// What is typed, from a thread that waits for it and ends with the process.
    pub(crate) fn keys() -> mpsc::UnboundedReceiver<Key> {
        let (pressed, keys) = mpsc::unbounded_channel();
        thread::spawn(move || {
            while let Ok(event) = event::read() {
                let key = match event {
                    Event::Resize(..) => Some(Key::Resize),
                    Event::Key(key) => Key::of(key),
                    _ => None,
                };
                let Some(key) = key else { continue };
                if pressed.send(key).is_err() {
                    return;
                }
            }
        });
        keys
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// What fails here fails because the terminal is gone: there is nothing to tell
/// and nobody to tell it to.
fn restore() {
    let _ = execute!(io::stdout(), cursor::Show, terminal::LeaveAlternateScreen);
    let _ = terminal::disable_raw_mode();
}
