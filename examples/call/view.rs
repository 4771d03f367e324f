//! What a person sees while the call runs.

use std::io;
use std::time::Duration;

use paceline::Stats;
use paceline::playout::terminal::{RenderConfig, RenderMode, Renderer, sanitize};

use crate::participant::Screen;
use crate::terminal::Terminal;

/// Peers, host, speaker, rate, bitrate, round trip, loss and delay, in 80 columns
/// for names of usual length.
pub(crate) fn status_line(screen: &Screen) -> String {
    let name = |name: &Option<String>, nobody: &str| {
        name.as_deref().map_or_else(|| nobody.to_owned(), |name| sanitize(name, 16))
    };
    let millis = |span: Duration| format!("{:.1} ms", span.as_secs_f64() * 1e3);
    let Stats { peers, streams, .. } = &screen.stats;
    let rtt = peers.iter().filter_map(|(_, peer)| peer.rtt).max();
    let delay = streams.iter().map(|(_, stream)| stream.jitter.delay).max();
    let lost: u64 = streams.iter().map(|(_, stream)| stream.jitter.lost).sum();
    format!(
        "{} peers|host {}|{} speaks|{:.0} fps|{}|rtt {}|lost {lost}|buffer {}",
        screen.names.len(),
        name(&screen.host, "?"),
        name(&screen.speaker, "nobody"),
        screen.fps,
        screen.bitrate,
        rtt.map_or_else(|| "?".to_owned(), millis),
        delay.map_or_else(|| "?".to_owned(), |delay| format!("{} ms", delay.as_millis())),
    )
}

/// Draws a screen on a terminal.
#[derive(Debug)]
pub(crate) struct View {
    terminal: Terminal,
    renderer: Renderer,
    frame: Vec<u8>,
}

impl View {
    pub(crate) fn new(terminal: Terminal, ascii: bool) -> Self {
        let mode = if ascii { RenderMode::Ascii } else { RenderMode::HalfBlock };
        let renderer = Renderer::new(RenderConfig::default().mode(mode));
        Self { terminal, renderer, frame: Vec::new() }
    }

    /// The picture, and below it the status line.
    pub(crate) fn draw(&mut self, screen: &Screen, clear: bool) -> io::Result<()> {
        let (columns, rows) = self.terminal.size();
        self.frame.clear();
        if clear {
            self.frame.extend_from_slice(b"\x1b[2J");
        }
        match &screen.picture {
            Some(picture) => {
                let rendered =
                    self.renderer.render(&picture.frame, columns, rows.saturating_sub(1));
                self.frame.extend_from_slice(rendered);
            }
            None => self.frame.extend_from_slice("\x1b[1;1H connecting …".as_bytes()),
        }
        let mut line = status_line(screen);
        if let Some(notice) = &screen.notice {
            line = format!("{notice}|{line}");
        }
        let line = sanitize(&line, usize::from(columns.saturating_sub(1)));
        self.frame.extend_from_slice(format!("\x1b[{rows};1H\x1b[0m\x1b[K{line}").as_bytes());
        self.terminal.draw(&self.frame)
    }
}
