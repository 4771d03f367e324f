//! Once it runs, a capture uses the buffers it has.
#![cfg(all(feature = "screen", target_os = "linux"))]

mod desktop;

use allocation_counter::measure;
use desktop::Desktop;
use paceline_capture::types::{Frequency, MediaTime, NtpTime};
use paceline_capture::{Screen, ScreenConfig, VideoSource};

/// What the connection to the server allocates for each answer and each event is its own; it
/// is small, and given back at once. Nothing is kept, and no buffer of the size of a picture,
/// or of a row, is among it.
#[test]
fn a_read_keeps_nothing_and_allocates_only_what_the_connection_does() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let board = desktop.board(0, 0, 640, 480);
    let config = ScreenConfig::default().display(desktop.display());
    let mut screen = Screen::open(None, config).unwrap();
    let time = MediaTime::new(0, Frequency::VIDEO);
    let mut last = None;
    let mut read = |screen: &mut Screen| {
        // The last is let go of when the next is there, as an encoder does.
        last = screen.read(0, time, NtpTime::default()).unwrap().or(last.take());
    };
    for round in 0..20 {
        board.fill(100, 100, 50, 50, round);
        read(&mut screen);
    }
    let pictures = screen.stats().pictures;
    for round in 0..50 {
        board.fill(100, 100, 50, 50, 0xff00 + round);
        let spent = measure(|| read(&mut screen));
        println!("changed: {} allocations, {} bytes", spent.count_total, spent.bytes_total);
        assert!(spent.count_total <= 16, "{spent:?}");
        assert!(spent.bytes_total <= 2_048, "{spent:?}");
        assert!(spent.count_current <= 0 && spent.bytes_current <= 0, "{spent:?}");
    }
    assert_eq!(screen.stats().pictures, pictures + 50);
    for _ in 0..50 {
        let spent = measure(|| read(&mut screen));
        println!("idle: {} allocations, {} bytes", spent.count_total, spent.bytes_total);
        assert!(spent.count_total <= 5, "{spent:?}");
        assert!(spent.count_current <= 0, "{spent:?}");
    }
}
