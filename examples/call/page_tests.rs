//! Whole frames, as a terminal shows them.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Arc;

use paceline::types::{Frequency, MediaTime, MixInfo, NtpTime, SenderId, StreamId};
use vt100::{Color, Parser};

use super::*;
use crate::keys::Key;
use crate::layout::Layout;
use crate::screen::{PeerStats, StreamStats};

const ANN: SenderId = SenderId::new(1);
const BEN: SenderId = SenderId::new(2);
const CEM: SenderId = SenderId::new(3);
const DORA: SenderId = SenderId::new(4);

const TILE: (u16, u16) = (64, 36);

/// Four people in a square: Ann, who speaks, in white; Ben, muted, in grey; Cem in
/// black; Dora, whose name is long and hostile, in white.
fn screen() -> Screen {
    let (width, height) = (TILE.0 * 2, TILE.1 * 2);
    let luma = (0..height).flat_map(|y| {
        (0..width).map(move |x| match (x < TILE.0, y < TILE.1) {
            (true, true) | (false, false) => 235,
            (false, true) => 125,
            (true, false) => 16,
        })
    });
    let chroma = usize::from(width / 2) * usize::from(height / 2) * 2;
    let planes: Vec<u8> = luma.chain(std::iter::repeat_n(128, chroma)).collect();
    let time = MediaTime::new(0, Frequency::VIDEO);
    let picture = VideoFrame::new(width, height, time, NtpTime::default(), planes.into());
    let source = |sender, x, y| MixSource {
        sender,
        tile: Rect { x, y, width: TILE.0, height: TILE.1 },
        level: 127,
        capture: NtpTime::default(),
        muted: sender == BEN,
    };
    let sources =
        vec![source(ANN, 0, 0), source(BEN, 64, 0), source(CEM, 0, 36), source(DORA, 64, 36)];
    let names = [(ANN, "Ann"), (BEN, "Ben"), (CEM, "Cem"), (DORA, "D\x1b[2Jora\u{202e}")];
    Screen {
        picture: Some(picture.expect("right size")),
        info: Some(Arc::new(MixInfo { stream: StreamId::MIX_VIDEO, time, sources })),
        names: BTreeMap::from(names.map(|(sender, name)| (sender, name.to_owned()))),
        host: Some("Cem".into()),
        hosting: Some(CEM),
        speaker: Some("Ann".into()),
        speaking: Some(ANN),
        fps: 30.0,
        ..Screen::default()
    }
}

fn draw(mode: RenderMode, (columns, rows): (u16, u16), look: &Look, screen: &Screen) -> Parser {
    let mut canvas = Canvas::new(mode);
    compose(&mut canvas, mode, (columns, rows), look, screen);
    let side = |side| NonZero::new(side).expect("a terminal with cells");
    let mut parser = Parser::new(side(rows), side(columns), 0);
    parser.process(canvas.finish());
    parser
}

fn rows(parser: &Parser) -> Vec<String> {
    let (_, columns) = parser.screen().size();
    parser.screen().rows(0, columns.get()).map(|row| row.trim_end().to_owned()).collect()
}

fn background(parser: &Parser, y: u16, x: u16) -> Color {
    parser.screen().cell(y, x).expect("on the screen").bgcolor()
}

#[test]
fn a_small_ascii_terminal_shows_everybody_in_text_alone() {
    let expected = "  @@@@@@@@@@@@@@@@@@==================
  @@@@@@@@@@@@@@@@@@==================
  @@@@@@@@@@@@@@@@@@==================
  @@@@@@@@@@@@@@@@@@==================
  *Ann ------------- Ben (muted) =====
                    @@@@@@@@@@@@@@@@@@
                    @@@@@@@@@@@@@@@@@@
                    @@@@@@@@@@@@@@@@@@
                    @@@@@@@@@@@@@@@@@@
   Cem (host)        D[2Jora @@@@@@@@@
4 people|host Cem|Ann speaks|30 fps|0 kb
q m:on v:on g:grid s ?";
    let parser = draw(RenderMode::Ascii, (40, 12), &Look::default(), &screen());
    assert_eq!(rows(&parser).join("\n"), expected);
}

#[test]
fn names_marks_and_lines_are_there_in_every_mode_and_size() {
    let keys = "q leave  m sound on  v camera on  g layout grid  s statistics  ? help";
    for size in [(80, 24), (40, 12), (200, 60)] {
        for (mode, marked) in [
            (RenderMode::Ascii, Color::Default),
            (RenderMode::HalfBlock, Color::Rgb(0, 255, 0)),
            (RenderMode::HalfBlock16, Color::Idx(10)),
            (RenderMode::HalfBlock256, Color::Idx(46)),
            (RenderMode::Shade, Color::Default),
        ] {
            let parser = draw(mode, size, &Look::default(), &screen());
            let rows = rows(&parser);
            let (y, row) =
                rows.iter().enumerate().find(|(_, row)| row.contains("*Ann")).expect("Ann speaks");
            let bar = if mode == RenderMode::Ascii { "---" } else { "━━━" };
            assert!(row.contains(&format!("*Ann {bar}")), "{mode:?} {size:?}: {row}");
            assert!(row.contains(" Ben (muted) "), "{mode:?} {size:?}: {row}");
            let x = row.chars().position(|glyph| glyph == '*').expect("a star") as u16;
            assert_eq!(background(&parser, y as u16, x), marked, "{mode:?}");
            let last = rows.len() - 1;
            let below = rows[..last - 1].iter().rev().find(|row| !row.is_empty()).expect("names");
            let (cem, dora) = (below.find(" Cem ").expect("Cem"), below.find(" D[2Jora "));
            assert!(dora.is_some_and(|dora| cem < dora), "{mode:?} {size:?}: {below}");
            assert!(mode == RenderMode::Ascii || !below.contains('*'), "only Ann speaks");
            assert!(rows[last - 1].starts_with("4 people|host Cem|Ann speaks|30 fps"));
            let wide = size.0 >= 80;
            assert_eq!(rows[last], if wide { keys } else { "q m:on v:on g:grid s ?" });
            assert_eq!(background(&parser, last as u16, 0), Color::Default, "{mode:?}");
        }
    }
}

#[test]
fn who_is_looked_at_alone_has_all_the_room() {
    let mut look = Look::default();
    let screen = screen();
    let info = screen.info.as_deref();
    for (key, name, glyph) in [
        (Key::Layout, "*Ann ---", '@'),
        (Key::Layout, "*Ann ---", '@'),
        (Key::Next, " Ben (muted) ", '='),
        (Key::Next, " Cem", ' '),
        (Key::Next, " D[2Jora ", '@'),
    ] {
        look.handle_key(key, info);
        let rows = rows(&draw(RenderMode::Ascii, (80, 24), &look, &screen));
        let seen = [&rows[0], &rows[20]].iter().all(|row| row.trim().chars().all(|it| it == glyph));
        assert!(seen, "{key:?}: {rows:#?}");
        assert!(rows[21].trim_start().starts_with(name.trim_start()), "{key:?}: {}", rows[21]);
        assert!(rows[23].contains(look.layout.name()));
    }
    assert_eq!(look.layout, Layout::Single);
}

#[test]
fn who_shows_no_picture_is_still_told_of() {
    let mut screen = screen();
    let mut info = (**screen.info.as_ref().expect("there is one")).clone();
    info.sources[1].tile = Rect::default();
    info.sources[2].tile = Rect { x: u16::MAX, y: u16::MAX, width: 9, height: 9 };
    screen.info = Some(Arc::new(info));
    let rows_now = rows(&draw(RenderMode::Ascii, (80, 24), &Look::default(), &screen));
    assert!(rows_now[0].starts_with(" Ben (muted) @") && rows_now[1].starts_with(" Cem (host) @"));

    let mut look = Look::default();
    for key in [Key::Layout, Key::Layout, Key::Next] {
        look.handle_key(key, screen.info.as_deref());
    }
    let alone = rows(&draw(RenderMode::Ascii, (80, 24), &look, &screen));
    assert_eq!(alone[11].trim(), "Ben (muted)");
    assert!(alone[..11].iter().all(String::is_empty));
}

#[test]
fn the_statistics_fit_beside_the_picture() {
    let mut screen = screen();
    let streams = StreamStats {
        lost: 12,
        jitter: Duration::from_micros(1_234),
        delay: Duration::from_millis(60),
    };
    let rtt = Some(Duration::from_micros(400));
    screen.cpu = Some(0.417);
    screen.peers = vec![
        ("Annabelle the First".into(), PeerStats { rtt, streams: Some(streams) }),
        ("Ben".into(), PeerStats { rtt: None, streams: None }),
    ];
    let mut look = Look::default();
    look.handle_key(Key::Statistics, None);
    let rows_now = rows(&draw(RenderMode::Ascii, (80, 24), &look, &screen));
    let pane: Vec<_> = rows_now.iter().map(|row| row.get(34..).unwrap_or("").trim()).collect();
    assert_eq!(pane[0], "picture    128x72, 30.0 fps");
    assert_eq!(pane[2], "processor  42 % of a core");
    assert_eq!(pane[7], "peer              rtt  lost   jitter  buffer");
    assert_eq!(pane[8], "Annabelle t    0.4 ms    12   1.2 ms   60 ms");
    assert_eq!(pane[9], "Ben                 ?     -        -       -");
    // The left half is still the picture, and the lines below are not covered.
    assert!(rows_now[0].contains("@@@@@@@@@@"));
    assert!(rows_now[22].starts_with("4 people") && rows_now[23].starts_with("q leave"));
}

#[test]
fn the_help_tells_every_key() {
    let mut look = Look::default();
    look.handle_key(Key::Help, None);
    let all = rows(&draw(RenderMode::Shade, (80, 24), &look, &screen())).join("\n");
    for word in ["leave the call", "your sound", "your camera", "layout:", "statistics", "speaks"] {
        assert!(all.contains(word), "{word}: {all}");
    }
}

#[test]
fn no_terminal_is_too_small() {
    let mut look = Look::default();
    look.handle_key(Key::Help, None);
    look.handle_key(Key::Statistics, None);
    let screen = screen();
    for size in (0..12).flat_map(|columns| (0..6).map(move |rows| (columns, rows))) {
        for mode in [RenderMode::Ascii, RenderMode::HalfBlock] {
            for empty in [false, true] {
                let mut canvas = Canvas::new(mode);
                let nothing = Screen::default();
                let screen = if empty { &nothing } else { &screen };
                compose(&mut canvas, mode, size, &look, screen);
                assert_eq!(canvas.finish().is_empty(), size.0 == 0 || size.1 == 0, "{size:?}");
            }
        }
    }
}

#[test]
fn who_is_at_the_front_has_a_star_and_who_has_left_it_has_none() {
    let mut screen = screen();
    let row = |screen: &Screen, mode| {
        let rows = rows(&draw(mode, (80, 24), &Look::default(), screen));
        rows.into_iter().rev().find(|row| row.contains(" Cem ")).expect("his name shows")
    };
    assert!(row(&screen, RenderMode::HalfBlock).contains(" Cem ★"));
    assert!(row(&screen, RenderMode::Ascii).contains(" Cem (host)"));
    (screen.host, screen.hosting) = (None, None);
    for mode in [RenderMode::Ascii, RenderMode::HalfBlock] {
        let row = row(&screen, mode);
        assert!(!row.contains('★') && !row.contains("(host)"), "{row}");
    }
    assert!(status_line(&screen).contains("|no host|"));
}
