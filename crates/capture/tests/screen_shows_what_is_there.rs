//! What is captured is what the server shows.
#![cfg(all(feature = "screen", target_os = "linux"))]

mod desktop;

use std::time::Duration;

use desktop::{Board, Desktop};
use paceline_capture::clapper::{self, Mark};
use paceline_capture::types::{Content, Frequency, MediaTime, NtpTime, Rect, VideoFrame};
use paceline_capture::{Screen, ScreenConfig, VideoSource};

fn config(desktop: &Desktop) -> ScreenConfig {
    ScreenConfig::default().display(desktop.display()).cursor(false)
}

fn read(screen: &mut Screen) -> Option<VideoFrame> {
    let time = MediaTime::new(0, Frequency::VIDEO);
    screen.read(0, time, NtpTime::default()).expect("it is there")
}

fn mark_at(frame: &VideoFrame, x: u16, y: u16, width: u16, height: u16) -> Option<u16> {
    clapper::read(frame, Rect { x, y, width, height }).map(|mark| mark.frame)
}

/// Luma, blue and red difference of a pixel.
fn pixel(frame: &VideoFrame, x: usize, y: usize) -> [u8; 3] {
    let chroma = y / 2 * frame.chroma_width() + x / 2;
    [frame.y()[y * usize::from(frame.width()) + x], frame.u()[chroma], frame.v()[chroma]]
}

fn near(found: [u8; 3], wanted: [u8; 3]) -> bool {
    found.iter().zip(wanted).all(|(&found, wanted)| found.abs_diff(wanted) <= 2)
}

#[test]
fn the_mark_on_a_board_is_read_from_the_screen_and_from_its_window() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let board = desktop.board(100, 60, 320, 180);
    let mut screen = Screen::open(None, config(&desktop)).unwrap();
    let mut window = Screen::window(&board.id(), config(&desktop)).unwrap();
    assert_eq!((screen.size(), window.size()), ((640, 480), (320, 180)));
    assert_eq!((screen.content(), screen.frame_rate()), (Content::Screen, 30.0));
    for number in [1, 700, 65_535] {
        board.show_number(number);
        let frame = read(&mut screen).unwrap();
        assert_eq!(mark_at(&frame, 100, 60, 320, 180), Some(number));
        let frame = read(&mut window).unwrap();
        assert_eq!(mark_at(&frame, 0, 0, 320, 180), Some(number));
    }
    board.move_to(300, 291);
    let frame = read(&mut screen).unwrap();
    assert_eq!(mark_at(&frame, 300, 291, 320, 180), Some(65_535));
    // To the server a window that was moved is drawn anew, though it looks the same.
    if let Some(frame) = read(&mut window) {
        assert_eq!(mark_at(&frame, 0, 0, 320, 180), Some(65_535));
    }
    assert_eq!(window.stats().geometry_changes, 0);
    assert!(read(&mut window).is_none());
}

#[test]
fn frames_have_the_times_that_were_given() {
    let Some(desktop) = Desktop::start(320, 240) else { return };
    let mut screen = Screen::open(None, config(&desktop)).unwrap();
    let time = MediaTime::new(123_456, Frequency::VIDEO);
    let capture = NtpTime::from_unix(Duration::from_millis(987_654));
    let frame = screen.read(9, time, capture).unwrap().unwrap();
    assert_eq!((frame.time(), frame.capture()), (time, capture));
}

/// ITU-R BT.601, limited range: white, black, red, green and blue.
#[test]
fn colours_are_those_of_the_standard() {
    let Some(desktop) = Desktop::start(320, 240) else { return };
    let board = desktop.board(0, 0, 320, 240);
    let mut screen = Screen::open(None, config(&desktop)).unwrap();
    for (colour, planes) in [
        (0xff_ffff, [235, 128, 128]),
        (0x00_0000, [16, 128, 128]),
        (0xff_0000, [81, 90, 240]),
        (0x00_ff00, [145, 54, 34]),
        (0x00_00ff, [41, 240, 110]),
    ] {
        board.fill(0, 0, 320, 240, colour);
        let frame = read(&mut screen).unwrap();
        for (x, y) in [(0, 0), (319, 239), (160, 121)] {
            let found = pixel(&frame, x, y);
            assert!(near(found, planes), "{colour:06x} is {found:?}");
        }
    }
}

/// The picture that was kept up to date by what was damaged, through whichever buffers, is
/// the one that is there when all is grabbed at once.
#[test]
fn a_picture_of_many_changes_is_that_of_one_look() {
    let Some(desktop) = Desktop::start(330, 250) else { return };
    let board = desktop.board(-7, -5, 350, 270);
    let changes = config(&desktop);
    for shared in [true, false] {
        let mut all = Screen::open(None, changes.clone().damage(false)).unwrap();
        let mut changed = Screen::open(None, changes.clone().shared_memory(shared)).unwrap();
        let mut held = Vec::new();
        let mut seed = 7_u32;
        let mut random = |below: u32| {
            // Numerical Recipes' generator.
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        for round in 0..200 {
            for _ in 0..random(7) {
                let (x, y) = (random(350) as i16, random(270) as i16);
                let (width, height) = (1 + random(90) as u16, 1 + random(90) as u16);
                board.fill(x, y, width, height, random(0xffff) * 251);
            }
            let Some(frame) = read(&mut changed) else { continue };
            let whole = read(&mut all).unwrap();
            assert!(frame.planes() == whole.planes(), "round {round}, shared {shared}");
            // Some readers are slow, so that buffers are used in all orders.
            held.push(frame);
            held.truncate(random(8) as usize);
        }
        let stats = changed.stats();
        assert!(stats.pictures > 100 && stats.copied_pixels > 0, "{stats:?}");
        assert!(stats.grabbed_pixels < stats.pictures * 330 * 250 * 9 / 10, "{stats:?}");
        assert_eq!(stats.over_socket, if shared { 0 } else { stats.pictures });
        assert_eq!(all.stats().over_socket, 0, "the server shares memory");
    }
}

#[test]
fn a_picture_that_is_read_is_never_written_to() {
    let Some(desktop) = Desktop::start(320, 240) else { return };
    let board = desktop.board(0, 0, 320, 240);
    let mut screen = Screen::open(None, config(&desktop)).unwrap();
    let mut frames = Vec::new();
    // More than the source has buffers.
    for number in 0..12 {
        board.show_number(number);
        frames.push(read(&mut screen).unwrap());
    }
    for (number, frame) in (0..12).zip(&frames) {
        assert_eq!(mark_at(frame, 0, 0, 320, 240), Some(number));
    }
}

#[test]
fn a_window_that_others_hide_is_captured_whole() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let board = desktop.board(100, 100, 320, 180);
    let mut window = Screen::window(&board.id(), config(&desktop)).unwrap();
    let above = desktop.board(90, 90, 400, 300);
    above.fill(0, 0, 400, 300, 0x00_ff00);
    board.show_number(42);
    let frame = read(&mut window).unwrap();
    assert_eq!(mark_at(&frame, 0, 0, 320, 180), Some(42));
    assert!(!near(pixel(&frame, 160, 100), [145, 54, 34]), "what is above it is not in it");

    // Without Composite it is what the screen shows.
    let mut plain = Screen::window(&board.id(), config(&desktop).redirect(false)).unwrap();
    drop(window);
    above.destroy();
    board.show_number(43);
    let frame = read(&mut plain).unwrap();
    assert_eq!(mark_at(&frame, 0, 0, 320, 180), Some(43));
}

#[test]
fn the_border_of_a_window_is_not_captured() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let board = desktop.framed_board(30, 40, 320, 180, 9);
    for redirect in [true, false] {
        let config = config(&desktop).redirect(redirect);
        let mut window = Screen::window(&board.id(), config).unwrap();
        board.show_number(5);
        let frame = read(&mut window).unwrap();
        assert_eq!(mark_at(&frame, 0, 0, 320, 180), Some(5));
        board.fill(10, 100, 20, 20, 0xff_ffff);
        let frame = read(&mut window).unwrap();
        assert_eq!(pixel(&frame, 10, 100)[0], 235);
        assert_eq!(pixel(&frame, 29, 119)[0], 235);
        assert_ne!(pixel(&frame, 30, 120)[0], 235);
    }
}

#[test]
fn an_odd_window_loses_its_last_column_and_row() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let board = desktop.board(10, 10, 321, 181);
    for redirect in [true, false] {
        let config = config(&desktop).redirect(redirect);
        let mut window = Screen::window(&board.id(), config).unwrap();
        board.fill(0, 0, 321, 181, 0xff_ffff);
        let frame = read(&mut window).unwrap();
        assert_eq!((frame.width(), frame.height()), (320, 180));
        assert!(frame.y().iter().all(|&luma| luma == 235));
        board.fill(320, 180, 1, 1, 0);
        assert!(read(&mut window).is_none(), "what is cut off has changed");
    }
}

#[test]
fn two_servers_are_captured_at_once() {
    let (Some(one), Some(other)) = (Desktop::start(320, 240), Desktop::start(640, 360)) else {
        return;
    };
    let boards: [Board; 2] = [one.board(0, 0, 320, 180), other.board(8, 6, 320, 180)];
    let mut screens = [&one, &other].map(|desktop| Screen::open(None, config(desktop)).unwrap());
    let capture = NtpTime::default();
    for number in 0..5_u16 {
        boards[0].show_mark(Mark { frame: number, capture });
        boards[1].show_mark(Mark { frame: 1_000 + number, capture });
        let frames = screens.each_mut().map(|screen| read(screen).unwrap());
        assert_eq!(mark_at(&frames[0], 0, 0, 320, 180), Some(number));
        assert_eq!(mark_at(&frames[1], 8, 6, 320, 180), Some(1_000 + number));
    }
}
