//! What lies over the picture: figures, and what the keys do.

use std::time::Duration;

use paceline::playout::terminal::{Canvas, Style};

use crate::screen::{PeerStats, Screen};

/// Draws the figures at the upper right of `rows` rows.
pub(crate) fn statistics(canvas: &mut Canvas, screen: &Screen, rows: u16) {
    let media = &screen.stats.media;
    let size = screen.picture.as_ref().map_or_else(
        || "none yet".to_owned(),
        |picture| format!("{}x{}", picture.width(), picture.height()),
    );
    let cpu = screen.cpu.map_or_else(|| "?".to_owned(), |cpu| format!("{:.0} %", cpu * 100.0));
    let since = |span: Option<Duration>| span.map_or_else(|| "?".to_owned(), millis);
    let mut lines = vec![
        format!("picture    {size}, {:.1} fps", screen.fps),
        format!("network    {} both ways", screen.bitrate),
        format!("processor  {cpu} of a core"),
        format!("connected  after {}", since(screen.stats.connect)),
        format!("video      {} in, {} decoded", media.video_received, media.video_decoded),
        format!("sound      {} in, {} ms made up", media.audio_received, media.concealed_ms),
        format!("errors     {}", media.decode_errors + media.encode_errors),
        format!("{:NAME$}{}", "peer", figures("rtt", "lost", "jitter", "buffer")),
    ];
    lines.extend(screen.peers.iter().map(|(_, peer)| format!("{:NAME$}{}", "", peer_line(peer))));
    let x = canvas.area().columns.saturating_sub(WIDTH);
    let first_peer = lines.len() - screen.peers.len();
    pane(canvas, x, rows, &lines);
    for (y, (name, _)) in (first_peer..usize::from(rows)).zip(&screen.peers) {
        canvas.text(x + 1, y as u16, NAME as u16 - 1, name, Style::Label);
    }
}

/// Draws how others join at the upper left of `rows` rows.
pub(crate) fn invitation(canvas: &mut Canvas, screen: &Screen, rows: u16) {
    let columns = canvas.area().columns;
    for (y, line) in (0..rows).zip(screen.invitation.iter()) {
        canvas.text(0, y, columns, &format!(" {line} "), Style::Label);
    }
}

/// Draws what the keys do at the upper left of `rows` rows.
pub(crate) fn help(canvas: &mut Canvas, rows: u16) {
    pane(canvas, 0, rows, HELP);
}

fn peer_line(peer: &PeerStats) -> String {
    let rtt = peer.rtt.map_or_else(|| "?".to_owned(), millis);
    match peer.streams {
        Some(streams) => figures(
            &rtt,
            &streams.lost.to_string(),
            &millis(streams.jitter),
            &format!("{} ms", streams.delay.as_millis()),
        ),
        None => figures(&rtt, "-", "-", "-"),
    }
}

fn figures(rtt: &str, lost: &str, jitter: &str, buffer: &str) -> String {
    format!("{rtt:>9}{lost:>6}{jitter:>9}{buffer:>8}")
}

fn millis(span: Duration) -> String {
    format!("{:.1} ms", span.as_secs_f64() * 1e3)
}

fn pane(canvas: &mut Canvas, x: u16, rows: u16, lines: &[impl AsRef<str>]) {
    let width = usize::from(WIDTH) - 2;
    for (y, line) in (0..rows).zip(lines) {
        let line = format!(" {:width$} ", line.as_ref());
        canvas.text(x, y, WIDTH, &line, Style::Label);
    }
}

/// Columns of a pane: half of a usual terminal, and two figures of six digits.
const WIDTH: u16 = 46;

/// Columns of a name in the statistics.
const NAME: usize = 12;

const HELP: &[&str] = &[
    "q, Ctrl-C  leave the call",
    "m          your sound off, or on again",
    "v          your camera off, or on again",
    "g          layout: grid, speaker, single",
    "tab, right the next person (single)",
    "left       the one before (single)",
    "s          statistics",
    "i          how others join",
    "?, h       this",
    "* name     speaks",
    "(host)     or a star: is at the front, and mixes",
];
