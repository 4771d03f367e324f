//! One frame of what a person sees: pictures, names, panes and two lines below.

use std::time::Duration;

use paceline::Stats;
use paceline::playout::terminal::{Area, Canvas, RenderMode, Style, sanitize};
use paceline::types::{MixSource, Rect, VideoFrame};

use crate::keys::help_line;
use crate::layout::Look;
use crate::panes;
use crate::screen::Screen;

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
        "{}|{}|{} speaks|{:.0} fps|{}|rtt {}|lost {lost}|buffer {}",
        match screen.names.len() {
            1 => "1 person".to_owned(),
            count => format!("{count} people"),
        },
        match screen.mesh {
            true => "mesh".to_owned(),
            false if screen.host.is_none() => "no host".to_owned(),
            false => format!("host {}", name(&screen.host, "?")),
        },
        name(&screen.speaker, "nobody"),
        screen.fps,
        screen.bitrate,
        rtt.map_or_else(|| "?".to_owned(), millis),
        delay.map_or_else(|| "?".to_owned(), |delay| format!("{} ms", delay.as_millis())),
    )
}

/// Makes one frame for a terminal of `columns` × `rows`. Of a low one the keys' line
/// goes first, then the picture.
pub(crate) fn compose(
    canvas: &mut Canvas,
    mode: RenderMode,
    (columns, rows): (u16, u16),
    look: &Look,
    screen: &Screen,
) {
    canvas.start(columns, rows);
    let Area { columns, rows, .. } = canvas.area();
    let help_rows = u16::from(rows >= 4);
    let status = rows.saturating_sub(1 + help_rows);
    let area = Area { x: 0, y: 0, columns, rows: status };
    match &screen.picture {
        Some(picture) => people(canvas, mode, picture, area, look, screen),
        None if status > 0 => {
            canvas.text(1, 0, columns, "connecting ...", Style::Plain);
        }
        None => {}
    }
    if look.statistics {
        panes::statistics(canvas, screen, status);
    }
    if look.invitation {
        panes::invitation(canvas, screen, status);
    }
    if look.help {
        panes::help(canvas, status);
    }
    let mut line = status_line(screen);
    if let Some(notice) = &screen.notice {
        line = format!("{notice}|{line}");
    }
    canvas.text(0, status, columns, &line, Style::Plain);
    if help_rows > 0 {
        let help = help_line(screen, look, columns.into());
        canvas.text(0, rows - 1, columns, &help, Style::Plain);
    }
}

fn people(
    canvas: &mut Canvas,
    mode: RenderMode,
    frame: &VideoFrame,
    area: Area,
    look: &Look,
    screen: &Screen,
) {
    let whole = Rect { x: 0, y: 0, width: frame.width(), height: frame.height() };
    let Some(info) = &screen.info else {
        canvas.picture(frame, whole, area);
        return;
    };
    if let Some(alone) = look.alone(info) {
        let taken = canvas.picture(frame, alone.tile, area);
        // Who shows nothing is a name in the middle.
        let empty = taken.columns == 0 || taken.rows == 0;
        let taken = if empty { middle(area) } else { taken };
        label(canvas, mode, taken, alone, screen);
        return;
    }
    let taken = canvas.picture(frame, whole, area);
    let mut unseen = 0;
    for source in &info.sources {
        let tile = cells_of(source.tile, whole, taken);
        if tile.columns > 0 && tile.rows > 0 {
            label(canvas, mode, tile, source, screen);
        } else if unseen < area.rows {
            // Who shows nothing is a name at the upper left, below the one before.
            let columns = area.columns.min(NAME_COLUMNS);
            let place = Area { x: area.x, y: area.y + unseen, columns, rows: 1 };
            label(canvas, mode, place, source, screen);
            unseen += 1;
        }
    }
}

/// The name in the last row of somebody's picture. Who speaks has an asterisk before it, and
/// a bar as wide as the picture; who is at the front has a star behind it.
fn label(canvas: &mut Canvas, mode: RenderMode, tile: Area, source: &MixSource, screen: &Screen) {
    if tile.columns < 3 || tile.rows == 0 {
        return;
    }
    let speaks = screen.speaking == Some(source.sender);
    let name = screen.names.get(&source.sender).map_or("?", String::as_str);
    let style = if speaks { Style::Marked } else { Style::Label };
    let y = tile.y + tile.rows - 1;
    let end = tile.x + tile.columns;
    let before = if speaks { "*" } else { " " };
    let star = match (screen.hosting == Some(source.sender), mode) {
        (false, _) => "",
        (true, RenderMode::Ascii) => " (host)",
        (true, _) => " ★",
    };
    let muted = if source.muted && !speaks { " (muted)" } else { "" };
    let after = format!("{star}{muted} ");
    // A name that is cut off leaves room for what comes after it.
    let after_columns = after.chars().count() + usize::from(after.contains('★'));
    let room = tile.columns.saturating_sub((before.len() + after_columns) as u16).max(1);
    let mut x = tile.x + canvas.text(tile.x, y, tile.columns, before, style);
    x += canvas.text(x, y, room.min(end - x), name, style);
    x += canvas.text(x, y, end - x, &after, style);
    if speaks {
        let bar = if mode == RenderMode::Ascii { "-" } else { "━" };
        canvas.text(x, y, end - x, &bar.repeat((end - x).into()), style);
    }
}

/// The cells that show `tile` of a picture that is `taken` as a whole.
fn cells_of(tile: Rect, whole: Rect, taken: Area) -> Area {
    let cells = |from: u16, length: u16, pixels: u16, cells: u16| {
        let place = |pixel: u32| {
            (pixel.min(pixels.into()) * u32::from(cells) / u32::from(pixels.max(1))) as u16
        };
        let (start, end) = (place(from.into()), place(u32::from(from) + u32::from(length)));
        (start, end - start)
    };
    let (x, columns) = cells(tile.x, tile.width, whole.width, taken.columns);
    let (y, rows) = cells(tile.y, tile.height, whole.height, taken.rows);
    Area { x: taken.x + x, y: taken.y + y, columns, rows }
}

fn middle(area: Area) -> Area {
    let columns = area.columns.min(NAME_COLUMNS);
    let x = area.x + (area.columns - columns) / 2;
    Area { x, y: area.y + area.rows / 2, columns, rows: area.rows.min(1) }
}

/// Columns of a name without a picture: 16, as in the status line, and its marks.
const NAME_COLUMNS: u16 = 24;

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
