//! What has not changed costs nothing, and is not given.
#![cfg(all(feature = "screen", target_os = "linux"))]

mod desktop;

use desktop::Desktop;
use paceline_capture::types::{Frequency, MediaTime, NtpTime, VideoFrame};
use paceline_capture::{Screen, ScreenConfig, VideoSource};

fn config(desktop: &Desktop) -> ScreenConfig {
    ScreenConfig::default().display(desktop.display())
}

fn read(screen: &mut Screen) -> Option<VideoFrame> {
    let time = MediaTime::new(0, Frequency::VIDEO);
    screen.read(0, time, NtpTime::default()).expect("it is there")
}

fn luma(frame: &VideoFrame, x: usize, y: usize) -> u8 {
    frame.y()[y * usize::from(frame.width()) + x]
}

#[test]
fn an_idle_desktop_gives_one_picture_and_then_none() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let board = desktop.board(0, 0, 320, 180);
    board.show_number(1);
    let mut screen = Screen::open(None, config(&desktop)).unwrap();
    let mut window = Screen::window(&board.id(), config(&desktop)).unwrap();
    assert!(read(&mut screen).is_some() && read(&mut window).is_some());
    let first = screen.stats();
    for _ in 0..50 {
        assert!(read(&mut screen).is_none() && read(&mut window).is_none());
    }
    assert_eq!(screen.stats().unchanged, 50);
    assert_eq!((screen.stats().grabs, screen.stats().pictures), (first.grabs, 1));
    board.fill(10, 10, 5, 5, 0xff_ffff);
    assert!(read(&mut screen).is_some() && read(&mut window).is_some());
}

#[test]
fn only_what_was_damaged_is_grabbed() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let board = desktop.board(0, 0, 640, 480);
    let mut screen = Screen::open(None, config(&desktop).cursor(false)).unwrap();
    read(&mut screen).unwrap();
    let before = screen.stats();
    assert_eq!(before.grabbed_pixels, 640 * 480);

    // At odd places: the rectangles are made even, outwards.
    board.fill(11, 21, 30, 40, 0xff_ffff);
    board.fill(501, 401, 10, 10, 0xff_ffff);
    let frame = read(&mut screen).unwrap();
    let after = screen.stats();
    assert_eq!(after.grabs - before.grabs, 2);
    assert_eq!(after.grabbed_pixels - before.grabbed_pixels, 32 * 42 + 12 * 12);
    for (x, y, white) in [(11, 21, true), (10, 20, false), (40, 60, true), (41, 61, false)] {
        assert_eq!(luma(&frame, x, y) == 235, white, "at {x}, {y}");
    }

    // Drawn over again and again, it is still told once for each picture.
    for _ in 0..3 {
        let before = screen.stats();
        for _ in 0..50 {
            board.fill(11, 21, 30, 40, 0);
            board.fill(11, 21, 30, 40, 0xff);
        }
        assert!(read(&mut screen).is_some());
        assert_eq!(screen.stats().grabs - before.grabs, 1);
        assert!(read(&mut screen).is_none());
    }
}

#[test]
fn a_picture_costs_what_changed_also_if_the_last_is_still_read() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let board = desktop.board(0, 0, 640, 480);
    let mut screen = Screen::open(None, config(&desktop).cursor(false)).unwrap();
    let mut last = read(&mut screen);
    for round in 0..20_i16 {
        board.fill(20 * round, 100, 20, 20, 0xff_ffff);
        // The one before is let go of only when this one is there, as an encoder does.
        last = read(&mut screen);
        let frame = last.as_ref().unwrap();
        let white = (0..640).filter(|&x| luma(frame, x, 110) == 235).count();
        assert_eq!(white, 20 * (usize::try_from(round).unwrap() + 1));
    }
    drop(last);
    // The second buffer got the whole picture once, and from then on what it had missed.
    let stats = screen.stats();
    assert_eq!(stats.copied_pixels, 640 * 480 + 19 * 400, "{stats:?}");

    // What is painted over need not be copied.
    let mut last = None;
    for colour in 0..20 {
        board.fill(0, 0, 640, 480, colour);
        last = read(&mut screen).or(last);
    }
    drop(last);
    assert!(screen.stats().copied_pixels <= stats.copied_pixels + 400);
}

#[test]
fn memory_is_shared_once_for_a_size_however_much_of_the_picture_changes() {
    let Some(desktop) = Desktop::start(2_560, 1_440) else { return };
    let mut board = desktop.board(0, 0, 2_560, 1_440);
    let mut screen = Screen::open(None, config(&desktop).cursor(false)).unwrap();
    let mut window = Screen::window(&board.id(), config(&desktop).cursor(false)).unwrap();
    for round in 0..10 {
        board.fill(100, 100, 20, 20, 0xff_0000 + round);
        assert!(read(&mut screen).is_some() && read(&mut window).is_some());
        board.fill(0, 0, 2_560, 1_440, 0xff + (round << 8));
        assert!(read(&mut screen).is_some() && read(&mut window).is_some());
    }
    for stats in [screen.stats(), window.stats()] {
        assert_eq!((stats.segments, stats.over_socket), (1, 0), "{stats:?}");
        assert!(stats.grabbed_pixels >= 10 * 2_560 * 1_440, "{stats:?}");
    }

    // Of a window that became much smaller it is given back, once; and one that grows again
    // gets more.
    for (size, segments) in [((160, 90), 2), ((320, 180), 2), ((2_560, 1_440), 3)] {
        board.resize(size.0, size.1);
        for round in 0..5 {
            board.fill(0, 0, 20 * round, 20, 0xff_ffff);
            read(&mut window);
        }
        assert_eq!(window.stats().segments, segments, "{size:?}");
    }
}

#[test]
fn without_damage_each_picture_is_whole() {
    let Some(desktop) = Desktop::start(320, 240) else { return };
    let mut screen = Screen::open(None, config(&desktop).damage(false)).unwrap();
    for _ in 0..5 {
        assert!(read(&mut screen).is_some());
    }
    assert_eq!(screen.stats().grabbed_pixels, 5 * 320 * 240);
}

#[test]
fn the_pointer_is_drawn_where_it_is_and_what_was_below_comes_back() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let board = desktop.board(0, 0, 640, 480);
    board.fill(0, 0, 640, 480, 0x80_8080);
    desktop.client().point(100, 100);
    let mut screen = Screen::open(None, config(&desktop)).unwrap();
    let mut bare = Screen::open(None, config(&desktop).cursor(false)).unwrap();
    let plain = read(&mut bare).unwrap();
    let differs = |frame: &VideoFrame, x: usize, y: usize| {
        let at = |x, y| luma(frame, x, y) != luma(&plain, x, y);
        (y.saturating_sub(20)..y + 20).any(|y| (x.saturating_sub(20)..x + 20).any(|x| at(x, y)))
    };
    let frame = read(&mut screen).unwrap();
    assert!(differs(&frame, 100, 100), "it is drawn");
    assert!(read(&mut screen).is_none(), "it did not move");

    let before = screen.stats();
    desktop.client().point(500, 400);
    let frame = read(&mut screen).unwrap();
    assert!(differs(&frame, 500, 400) && !differs(&frame, 100, 100));
    let after = screen.stats();
    assert_eq!(after.cursor_moves - before.cursor_moves, 1);
    assert!(after.grabbed_pixels - before.grabbed_pixels < 2 * 64 * 64, "{after:?}");

    // What is drawn below it does not wipe it off.
    board.fill(490, 390, 20, 20, 0x80_8080);
    assert!(differs(&read(&mut screen).unwrap(), 500, 400));
    // In a corner it is cut off.
    desktop.client().point(639, 479);
    let frame = read(&mut screen).unwrap();
    assert!(!differs(&frame, 500, 400) && frame.planes().len() == 640 * 480 * 3 / 2);
    assert!(read(&mut bare).is_none_or(|frame| frame.planes() == plain.planes()));
}

#[test]
fn the_pointer_is_in_a_window_where_it_points() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let board = desktop.board(100, 100, 320, 180);
    board.fill(0, 0, 320, 180, 0);
    desktop.client().point(10, 10);
    let mut window = Screen::window(&board.id(), config(&desktop)).unwrap();
    let frame = read(&mut window).unwrap();
    assert!(frame.y().iter().all(|&luma| luma == 16), "it is outside");
    desktop.client().point(300, 200);
    let frame = read(&mut window).unwrap();
    let bright = |(at, &luma): (usize, &u8)| (luma != 16).then_some((at % 320, at / 320));
    let (x, y) = frame.y().iter().enumerate().find_map(bright).expect("it is drawn");
    assert!(x.abs_diff(200) < 20 && y.abs_diff(100) < 20, "at {x}, {y}");
    desktop.client().point(10, 10);
    assert!(read(&mut window).unwrap().y().iter().all(|&luma| luma == 16), "it has left");
    assert!(read(&mut window).is_none());
}
