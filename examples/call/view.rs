//! What a person sees while the call runs, and what his keys do.

use std::io;

use paceline::playout::terminal::{Canvas, RenderMode, TerminalKind};

use crate::args::{Args, Mode};
use crate::keys::Key;
use crate::layout::Look;
use crate::page;
use crate::screen::{Control, Screen};
use crate::system;
use crate::terminal::Terminal;

pub(crate) use crate::page::status_line;

/// What the terminal can show, as the environment and the command line say.
pub(crate) fn terminal_kind(args: &Args) -> TerminalKind {
    // A value that is not UTF-8 says nothing that is looked for.
    let mut kind = TerminalKind::from_env(|name| std::env::var(name).ok());
    kind.colours = args.colours.unwrap_or(kind.colours);
    kind.utf8 &= !args.ascii;
    kind
}

/// Draws a screen on a terminal.
#[derive(Debug)]
pub(crate) struct View {
    terminal: Terminal,
    mode: RenderMode,
    canvas: Canvas,
    look: Look,
}

impl View {
    pub(crate) fn new(terminal: Terminal, args: &Args) -> Self {
        let mode = terminal_kind(args).mode();
        // Who hosts alone waits for others.
        let mut look = Look::default();
        look.invitation = matches!(args.mode, Mode::Host);
        Self { terminal, mode, canvas: Canvas::new(mode), look }
    }

    /// Does what a key asks for; `false` if it is to leave.
    pub(crate) fn handle_key(&mut self, key: Key, screen: &Screen) -> bool {
        let control = match key {
            Key::Quit => return false,
            Key::Camera => Some(Control::Camera),
            Key::Mute => Some(Control::Mute),
            Key::Resize => {
                self.canvas.forget();
                None
            }
            Key::Help | Key::Invite | Key::Layout | Key::Next | Key::Previous | Key::Statistics => {
                self.look.handle_key(key, screen.info.as_deref());
                None
            }
        };
        if let Some((control, controls)) = control.zip(screen.control.as_ref()) {
            // A participant who has left hears nothing any more.
            let _ = controls.send(control);
        }
        true
    }

    /// Draws what has changed.
    pub(crate) fn draw(&mut self, screen: &Screen) -> io::Result<()> {
        self.look.handle_speaking(system::now(), screen.speaking);
        page::compose(&mut self.canvas, self.mode, self.terminal.size(), &self.look, screen);
        self.terminal.draw(self.canvas.finish())
    }
}
