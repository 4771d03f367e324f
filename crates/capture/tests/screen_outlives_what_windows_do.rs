//! Windows move, hide, change and close; a capture holds the last picture, goes on, or ends
//! with the right error.
#![cfg(all(feature = "screen", target_os = "linux"))]

mod desktop;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use desktop::Desktop;
use paceline_capture::clapper;
use paceline_capture::types::{DeviceKind, Frequency, MediaTime, NtpTime, Rect, VideoFrame};
use paceline_capture::{CaptureError, Screen, ScreenConfig, VideoSource};
use x11rb::protocol::xproto::ConnectionExt as _;

fn config(desktop: &Desktop) -> ScreenConfig {
    ScreenConfig::default().display(desktop.display()).cursor(false)
}

fn try_read(screen: &mut Screen) -> Result<Option<VideoFrame>, CaptureError> {
    screen.read(0, MediaTime::new(0, Frequency::VIDEO), NtpTime::default())
}

fn read(screen: &mut Screen) -> Option<VideoFrame> {
    try_read(screen).expect("it is there")
}

fn number(frame: &VideoFrame) -> Option<u16> {
    let whole = Rect { x: 0, y: 0, width: frame.width(), height: frame.height() };
    clapper::read(frame, whole).map(|mark| mark.frame)
}

#[test]
fn a_resized_window_gives_pictures_of_its_new_size() {
    let Some(desktop) = Desktop::start(800, 600) else { return };
    for redirect in [true, false] {
        let mut board = desktop.board(10, 10, 320, 180);
        let config = config(&desktop).redirect(redirect);
        let mut window = Screen::window(&board.id(), config).unwrap();
        board.show_number(1);
        assert_eq!(number(&read(&mut window).unwrap()), Some(1));
        for (round, (width, height)) in
            (2..).zip([(640, 360), (320, 180), (641, 361), (40, 36), (700, 500)])
        {
            board.resize(width, height);
            board.show_number(round);
            let frame = read(&mut window).unwrap();
            assert_eq!((frame.width(), frame.height()), (width & !1, height & !1));
            assert_eq!(window.size(), (width & !1, height & !1));
            assert_eq!(number(&frame), Some(round), "{width} × {height}");
        }
        assert!(window.stats().geometry_changes >= 5);
        assert_eq!(window.stats().held, 0);
    }
}

#[test]
fn an_unmapped_window_is_held_and_goes_on_when_it_is_back() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    for redirect in [true, false] {
        let board = desktop.board(10, 10, 320, 180);
        let config = config(&desktop).redirect(redirect);
        let mut window = Screen::window(&board.id(), config).unwrap();
        board.show_number(1);
        assert!(read(&mut window).is_some());
        for round in 2..5 {
            let held = window.stats().held;
            board.unmap();
            for _ in 0..3 {
                assert!(read(&mut window).is_none());
            }
            assert_eq!(window.stats().held, held + 3);
            assert_eq!(window.size(), (320, 180));
            board.map();
            board.show_number(round);
            assert_eq!(number(&read(&mut window).unwrap()), Some(round));
        }
    }
}

/// A window manager hides a window by unmapping the frame around it.
#[test]
fn a_window_whose_frame_is_unmapped_goes_on_when_that_is_back() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    for redirect in [true, false] {
        let frame = desktop.board(50, 50, 340, 220);
        let board = desktop.board(0, 0, 320, 180);
        board.client.connection.reparent_window(board.window, frame.window, 10, 30).unwrap();
        board.client.wait();
        let config = config(&desktop).redirect(redirect);
        let mut window = Screen::window(&board.id(), config).unwrap();
        board.show_number(1);
        assert_eq!(number(&read(&mut window).unwrap()), Some(1));
        frame.unmap();
        for _ in 0..3 {
            let _ = read(&mut window);
        }
        frame.map();
        board.show_number(2);
        assert_eq!(number(&read(&mut window).unwrap()), Some(2), "redirect {redirect}");
    }
}

#[test]
fn a_window_that_hangs_off_the_screen_is_whole_if_redirected_and_black_there_if_not() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let board = desktop.board(10, 10, 320, 180);
    let mut apart = Screen::window(&board.id(), config(&desktop)).unwrap();
    board.move_to(-101, 400);
    board.show_number(3);
    assert_eq!(number(&read(&mut apart).unwrap()), Some(3));
    board.move_to(-1_000, -1_000);
    board.show_number(4);
    assert_eq!(number(&read(&mut apart).unwrap()), Some(4));
    drop(apart);

    board.move_to(10, 10);
    let mut plain = Screen::window(&board.id(), config(&desktop).redirect(false)).unwrap();
    board.move_to(-101, 400);
    board.fill(0, 0, 320, 180, 0xff_ffff);
    let frame = read(&mut plain).unwrap();
    let luma = |x: usize, y: usize| frame.y()[y * 320 + x];
    assert_eq!((luma(102, 0), luma(319, 79)), (235, 235));
    assert_eq!((luma(100, 0), luma(0, 0), luma(319, 80)), (16, 16, 16));
    board.move_to(-1_000, 10);
    for _ in 0..3 {
        assert!(read(&mut plain).is_none());
    }
    assert_eq!(plain.stats().held, 3);
    board.move_to(10, 10);
    board.show_number(5);
    assert_eq!(number(&read(&mut plain).unwrap()), Some(5));
}

/// While a window hangs off the screen, no event tells it that the frame around it was moved.
#[test]
fn a_window_whose_frame_leaves_the_screen_is_black_there_and_comes_back() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let frame = desktop.board(50, 50, 340, 220);
    let board = desktop.board(0, 0, 320, 180);
    board.client.connection.reparent_window(board.window, frame.window, 10, 30).unwrap();
    board.client.wait();
    let mut window = Screen::window(&board.id(), config(&desktop).redirect(false)).unwrap();
    assert!(read(&mut window).is_some());
    // Its own corner is 10 right of the frame's.
    for (x, off) in [(-110, 100), (-150, 140), (-60, 50)] {
        frame.move_to(x, 50);
        board.fill(0, 0, 320, 180, 0xff_ffff);
        let picture = read(&mut window).unwrap();
        assert_eq!((picture.y()[off - 2], picture.y()[off]), (16, 235), "at {x}");
        assert!(read(&mut window).is_none());
    }
    frame.move_to(50, 50);
    board.show_number(9);
    assert_eq!(number(&read(&mut window).unwrap()), Some(9));
    assert_eq!(window.stats().held, 0);
}

#[test]
fn a_closed_window_is_gone_and_another_can_be_opened() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    for (redirect, cursor) in [(true, true), (true, false), (false, true), (false, false)] {
        let board = desktop.board(10, 10, 320, 180);
        let config = config(&desktop).redirect(redirect).cursor(cursor);
        let mut window = Screen::window(&board.id(), config.clone()).unwrap();
        assert!(read(&mut window).is_some());
        board.destroy();
        let error = try_read(&mut window).unwrap_err();
        assert!(error.is_gone(), "{error}");
        assert!(error.to_string().contains(&board.id()), "{error}");
        assert!(Screen::window(&board.id(), config.clone()).is_err());
        let next = desktop.board(10, 10, 320, 180);
        assert!(read(&mut Screen::window(&next.id(), config).unwrap()).is_some());
    }
}

#[test]
fn a_window_too_small_or_too_large_is_held_and_cannot_be_opened() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    for redirect in [true, false] {
        let mut board = desktop.board(10, 10, 320, 180);
        let config = config(&desktop).redirect(redirect);
        let mut window = Screen::window(&board.id(), config.clone()).unwrap();
        assert!(read(&mut window).is_some());
        for (width, height) in [(1, 1), (15, 400), (3_842, 100), (2_162, 2_162)] {
            board.resize(width, height);
            let held = window.stats().held;
            assert!(read(&mut window).is_none(), "{width} × {height}");
            assert_eq!(window.stats().held, held + 1);
            let error = Screen::window(&board.id(), config.clone()).unwrap_err();
            assert!(
                error.to_string().contains(&format!("{width} × {height}"))
                    || error.to_string().contains(&format!("{} × {}", width & !1, height & !1)),
                "{error}"
            );
        }
        board.resize(16, 16);
        assert_eq!(read(&mut window).map(|frame| frame.width()), Some(16));
        board.unmap();
        let error = Screen::window(&board.id(), config).unwrap_err();
        assert!(matches!(error, CaptureError::Unavailable { .. }), "{error}");
        assert!(error.to_string().contains("not shown"), "{error}");
    }
}

#[test]
fn a_server_that_ends_is_gone() {
    let Some(mut desktop) = Desktop::start(640, 480) else { return };
    let board = desktop.board(10, 10, 320, 180);
    let mut sources = [
        Screen::open(None, config(&desktop)).unwrap(),
        Screen::window(&board.id(), config(&desktop).cursor(true)).unwrap(),
        Screen::open(None, config(&desktop).shared_memory(false).damage(false)).unwrap(),
    ];
    for source in &mut sources {
        assert!(read(source).is_some());
    }
    desktop.kill();
    for (source, kind) in
        sources.iter_mut().zip([DeviceKind::Screen, DeviceKind::Window, DeviceKind::Screen])
    {
        for _ in 0..2 {
            match try_read(source) {
                Err(CaptureError::Gone { kind: found, .. }) => assert_eq!(found, kind),
                other => panic!("{other:?}"),
            }
        }
    }
    let error = Screen::open(None, config(&desktop)).unwrap_err();
    assert!(matches!(error, CaptureError::Unavailable { .. }), "{error}");
}

/// A window that changes all the time while it is read, as one that is dragged by its corner.
#[test]
fn no_change_in_between_is_more_than_a_held_picture() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    for redirect in [true, false] {
        let mut board = desktop.board(10, 10, 320, 180);
        let config = config(&desktop).redirect(redirect);
        let mut window = Screen::window(&board.id(), config).unwrap();
        let pictures = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&pictures);
        let reader = std::thread::spawn(move || {
            loop {
                match try_read(&mut window) {
                    Ok(Some(frame)) => {
                        assert!(frame.width() % 2 == 0 && frame.height() >= 16);
                        seen.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(None) => {}
                    Err(error) => break (error, window.stats()),
                }
            }
        });
        let mut round = 0_u16;
        while pictures.load(Ordering::Relaxed) < 40 && !reader.is_finished() {
            round = round.wrapping_add(1);
            board.resize(20 + round % 37 * 9, 20 + round % 29 * 7);
            match round % 8 {
                1 => board.move_to(-300 + (round % 200) as i16 * 4, 10),
                3 => board.unmap(),
                5 => board.map(),
                7 => board.fill(0, 0, 50, 50, u32::from(round)),
                _ => {}
            }
        }
        assert!(!reader.is_finished(), "{:?}", reader.join());
        board.destroy();
        let (error, stats) = reader.join().unwrap();
        assert!(error.is_gone(), "{error}");
        assert_eq!(stats.pictures, pictures.load(Ordering::Relaxed));
        assert!(stats.geometry_changes > 0, "{stats:?}");
    }
}
