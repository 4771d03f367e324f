//! Ids, names, and what is said of those that cannot be opened.
#![cfg(all(feature = "screen", target_os = "linux"))]

mod desktop;

use desktop::Desktop;
use paceline_capture::types::{DeviceKind, Frequency, MediaTime, NtpTime};
use paceline_capture::{CaptureError, Screen, ScreenConfig, VideoSource, screens, windows};
use x11rb::protocol::randr::{ConnectionExt as _, MonitorInfo};
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, PropMode};
use x11rb::wrapper::ConnectionExt as _;

fn config(desktop: &Desktop) -> ScreenConfig {
    ScreenConfig::default().display(desktop.display())
}

/// Cuts the screen in a left part, `LEFT`, and a right one that is primary, `RIGHT`.
fn cut(desktop: &Desktop, width: u16, height: u16) {
    let client = desktop.client();
    let connection = &client.connection;
    let resources = connection
        .randr_get_screen_resources(client.root)
        .expect("the server is up")
        .reply()
        .expect("the server is up")
        .outputs;
    for (name, part, primary, outputs) in
        [("LEFT", 0, false, resources), ("RIGHT", 1, true, Vec::new())]
    {
        let name = connection
            .intern_atom(false, name.as_bytes())
            .expect("the server is up")
            .reply()
            .expect("the server is up")
            .atom;
        let info = MonitorInfo {
            name,
            primary,
            automatic: false,
            x: (width / 2 * part) as i16,
            y: 0,
            width: width / 2,
            height,
            width_in_millimeters: 100,
            height_in_millimeters: 100,
            outputs,
        };
        connection
            .randr_set_monitor(client.root, info)
            .expect("the server is up")
            .check()
            .expect("the server is up");
    }
}

#[test]
fn monitors_are_listed_the_primary_first_and_each_shows_its_part() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let display = desktop.display();
    let one = screens(Some(&display)).unwrap();
    assert_eq!((one.len(), one[0].size, one[0].is_default), (1, Some((640, 480)), true));

    cut(&desktop, 640, 480);
    let both = screens(Some(&display)).unwrap();
    let listed: Vec<_> =
        both.iter().map(|device| (device.id.as_str(), device.is_default, device.size)).collect();
    let size = Some((320, 480));
    assert_eq!(listed, [("RIGHT", true, size), ("LEFT", false, size)]);
    assert!(both.iter().all(|device| device.kind == DeviceKind::Screen));

    let board = desktop.board(320, 0, 320, 480);
    board.fill(0, 0, 320, 480, 0xff_ffff);
    let of_part = |id| {
        let mut screen = Screen::open(id, config(&desktop).cursor(false)).unwrap();
        let time = MediaTime::new(0, Frequency::VIDEO);
        let frame = screen.read(0, time, NtpTime::default()).unwrap().unwrap();
        // What changes in the other half is none of this one's.
        board.fill(100, 100, 10, 10, 0xff_ffff);
        let again = screen.read(1, time, NtpTime::default()).unwrap();
        (frame.y()[0], again.is_some())
    };
    assert_eq!(of_part(None), (235, true));
    assert_eq!(of_part(Some("RIGHT")), (235, true));
    assert_eq!(of_part(Some("LEFT")), (16, false));
}

#[test]
fn a_monitor_that_is_taken_off_is_gone() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    cut(&desktop, 640, 480);
    let mut screen = Screen::open(Some("RIGHT"), config(&desktop)).unwrap();
    let time = MediaTime::new(0, Frequency::VIDEO);
    assert!(screen.read(0, time, NtpTime::default()).unwrap().is_some());
    let client = desktop.client();
    let name = client.connection.intern_atom(false, b"RIGHT").unwrap().reply().unwrap().atom;
    client.connection.randr_delete_monitor(client.root, name).unwrap().check().unwrap();
    let error = screen.read(1, time, NtpTime::default()).unwrap_err();
    assert!(error.is_gone(), "{error}");
}

#[test]
fn an_unknown_id_is_an_error_that_lists_those_present() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let board = desktop.board(10, 10, 320, 180);
    board.set_title("Tabelle – Gehälter".as_bytes());
    let error = Screen::open(Some("HDMI-7"), config(&desktop)).unwrap_err();
    let CaptureError::UnknownDevice { kind, id, present } = &error else { panic!("{error}") };
    assert_eq!((*kind, id.as_str(), present.len()), (DeviceKind::Screen, "HDMI-7", 1));
    assert!(error.to_string().contains(&present[0].id), "{error}");

    for id in ["0x7", "0xffffffff", "no number", "", "99999999999999999999", "-1", "0x"] {
        let error = Screen::window(id, config(&desktop)).unwrap_err();
        let CaptureError::UnknownDevice { kind, id: found, present } = &error else {
            panic!("{error}")
        };
        assert_eq!((*kind, found.as_str(), present.len()), (DeviceKind::Window, id, 1));
        assert!(error.to_string().contains(&board.id()), "{error}");
    }
    assert!(Screen::window(&board.id(), config(&desktop)).is_ok());
    assert!(Screen::window(&board.window.to_string(), config(&desktop)).is_ok());
}

#[test]
fn titles_are_listed_without_what_a_terminal_would_obey() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let board = desktop.board(10, 10, 320, 180);
    let title_of = || {
        let listed = windows(Some(&desktop.display())).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].id.clone(), listed[0].size), (board.id(), Some((320, 180))));
        listed[0].name.clone()
    };
    board.set_title(b"caf\xe9 \x1b]0;root# \x07\x9b2J\r\n");
    assert_eq!(title_of(), "café \u{fffd}]0;root# \u{fffd}\u{fffd}2J\u{fffd}\u{fffd}");
    board.set_title(&[b'x'; 100_000]);
    assert_eq!(title_of(), format!("{}…", "x".repeat(79)));
    board.set_title(b"");
    assert_eq!(title_of(), "");

    // The one of the desktops' own standard goes first; it is UTF-8, or says so.
    let connection = &board.client.connection;
    let [name, utf8] = ["_NET_WM_NAME", "UTF8_STRING"]
        .map(|name| connection.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom);
    let set = |value: &[u8]| {
        connection.change_property8(PropMode::REPLACE, board.window, name, utf8, value).unwrap();
        board.client.wait();
    };
    board.set_title(b"old");
    set("Ünïcode\u{202e} 漢字".as_bytes());
    assert_eq!(title_of(), "Ünïcode\u{fffd} 漢字");
    set(b"\xff\xfe broken");
    assert_eq!(title_of(), "\u{fffd}\u{fffd} broken");
}

#[test]
fn what_a_window_manager_lists_is_listed_also_if_it_lies() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let boards = [desktop.board(0, 0, 100, 100), desktop.board(200, 0, 100, 100)];
    let ids = |display: &str| -> Vec<String> {
        windows(Some(display)).unwrap().into_iter().map(|device| device.id).collect()
    };
    let display = desktop.display();
    assert_eq!(ids(&display), [boards[1].id(), boards[0].id()]);
    boards[1].unmap();
    assert_eq!(ids(&display), [boards[0].id()]);

    let client = desktop.client();
    let list =
        client.connection.intern_atom(false, b"_NET_CLIENT_LIST").unwrap().reply().unwrap().atom;
    let mut windows = vec![boards[1].window, 0x77_7777, boards[0].window];
    let set = |windows: &[u32]| {
        let kind = AtomEnum::WINDOW;
        client
            .connection
            .change_property32(PropMode::REPLACE, client.root, list, kind, windows)
            .unwrap();
        client.wait();
    };
    set(&windows);
    // One that is not there is left out, and one that is not shown is not.
    assert_eq!(ids(&display), [boards[1].id(), boards[0].id()]);
    windows.extend([boards[0].window; 5_000]);
    set(&windows);
    assert!(ids(&display).len() <= 256);
}

#[test]
fn pixels_that_are_not_taken_are_an_error_that_says_which_are() {
    let Some(desktop) = Desktop::start_at_depth(640, 480, 16) else { return };
    let board = desktop.board(10, 10, 320, 180);
    for error in [
        Screen::open(None, config(&desktop)).unwrap_err(),
        Screen::window(&board.id(), config(&desktop)).unwrap_err(),
    ] {
        assert!(matches!(error, CaptureError::Unavailable { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("depth 16") && text.contains("24"), "{text}");
    }
}

#[test]
fn a_screen_too_large_or_too_small_cannot_be_opened() {
    for (width, height) in [(4_000, 1_000), (12, 300)] {
        let Some(desktop) = Desktop::start(width, height) else { return };
        let error = Screen::open(None, config(&desktop)).unwrap_err();
        assert!(error.to_string().contains(&format!("{width} × {height}")), "{error}");
    }
}

#[test]
fn no_server_is_an_error_that_names_the_display() {
    // Above any that a server takes by itself, above the last port, and no number.
    for display in [":59535", ":59999", ":65535", ":65536", "nonsense", ""] {
        let config = ScreenConfig::default().display(display);
        for error in [
            Screen::open(None, config.clone()).unwrap_err(),
            Screen::window("0x1", config.clone()).unwrap_err(),
            screens(Some(display)).unwrap_err(),
            windows(Some(display)).unwrap_err(),
        ] {
            assert!(matches!(error, CaptureError::Unavailable { .. }), "{error}");
            assert!(error.to_string().contains(&format!("{display:?}")), "{error}");
        }
    }
}

#[test]
fn a_screen_that_the_server_does_not_have_is_an_error() {
    let Some(desktop) = Desktop::start(320, 240) else { return };
    let config = ScreenConfig::default().display(format!("{}.7", desktop.display()));
    let error = Screen::open(None, config).unwrap_err();
    assert!(matches!(error, CaptureError::Unavailable { .. }), "{error}");
}

#[test]
fn a_rate_that_is_none_is_held_to_one_that_is() {
    let Some(desktop) = Desktop::start(320, 240) else { return };
    for (asked, given) in [(15.0, 15.0), (0.0, 1.0), (1e9, 120.0), (f64::NAN, 30.0)] {
        let screen = Screen::open(None, config(&desktop).frame_rate(asked)).unwrap();
        assert_eq!(screen.frame_rate(), given);
    }
}
