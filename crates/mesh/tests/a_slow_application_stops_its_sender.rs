//! Credit for application data: nothing is lost, held beyond the window or stuck.

use std::collections::VecDeque;

use paceline_mesh::{Credit, Meter, Window, credit_cost};
use proptest::prelude::*;

#[test]
fn a_peer_that_lies_cannot_take_back_or_overflow_what_it_gave() {
    let mut credit = Credit::new(1_000);
    assert!(credit.take(600));
    for (consumed, allowed, available) in [
        // Less than before.
        (0, 0, 400),
        (100, 10, 400),
        // More than was sent.
        (u64::MAX, 1_000, 1_000),
        (u64::MAX, 0, 1_000),
        (600, 500, 1_000),
        (u64::MAX, u32::MAX, u32::MAX.into()),
    ] {
        credit.handle_window(consumed, allowed);
        assert_eq!(credit.available(), available, "{consumed} {allowed}");
    }
    assert!(!credit.take(u64::MAX));
    assert!(credit.take(u32::MAX.into()) && !credit.take(1) && credit.take(0));
}

#[test]
fn a_sender_that_goes_beyond_is_found_out() {
    let mut meter = Meter::new(1_000);
    assert_eq!(meter.handle_received(1_000), Ok(()));
    assert_eq!(meter.handle_received(1).map_err(|overrun| overrun.excess), Err(1));
    // Consumed is not told: nothing is allowed by it.
    meter.handle_consumed(499);
    assert_eq!(meter.poll_window(), None);
    assert!(meter.handle_received(1).is_err());
    meter.handle_consumed(1);
    assert_eq!(meter.poll_window(), Some(Window { consumed: 500, allowed: 1_000 }));
    assert_eq!(meter.poll_window(), None);
    assert_eq!(meter.handle_received(500), Ok(()));
    assert_eq!((meter.held(), meter.handle_received(u64::MAX).is_err()), (1_000, true));
    meter.handle_consumed(u64::MAX);
    assert_eq!(meter.held(), 0);
}

#[test]
fn a_window_of_nothing_stays_closed_and_one_byte_moves() {
    let mut closed = Meter::new(0);
    assert!(closed.handle_received(1).is_err());
    assert_eq!((closed.poll_window(), Credit::new(0).take(1)), (None, false));
    let (mut meter, mut credit) = (Meter::new(1), Credit::new(1));
    for consumed in 1..10 {
        assert!(credit.take(1) && !credit.take(1));
        meter.handle_received(1).unwrap();
        meter.handle_consumed(1);
        let window = meter.poll_window().unwrap();
        assert_eq!(window.consumed, consumed);
        credit.handle_window(window.consumed, window.allowed);
    }
}

proptest! {
    /// Packets of any size up to the largest, a channel that keeps them for a while, an
    /// application that takes them when it likes, and windows that take a while too. In
    /// the end all is delivered, and no more than the window was ever held or on its way.
    #[test]
    fn whatever_the_application_does_everything_is_delivered_within_the_window(
        window in 64..400_000_u32,
        sizes in prop::collection::vec(0.0..=1.0_f64, 1..200),
        script in prop::collection::vec(0..4_u8, 1..400),
    ) {
        let (mut credit, mut meter) = (Credit::new(window), Meter::new(window));
        let largest = credit.max_packet();
        prop_assert_eq!(largest, u64::from(window / 2));
        let room = largest.saturating_sub(credit_cost(0)) as f64;
        let mut waiting: VecDeque<u64> =
            sizes.iter().map(|size| credit_cost((size * room) as usize).min(largest)).collect();
        let all: u64 = waiting.iter().sum();
        let (mut on_its_way, mut held) = (VecDeque::new(), VecDeque::new());
        let mut windows: VecDeque<Window> = VecDeque::new();
        let (mut consumed, mut told) = (0, 0);
        // The script, then everybody in turn: whoever is stuck then is stuck for ever.
        let turns = script.into_iter().chain((0..4).cycle().take(4 * 4 * sizes.len() + 16));
        for turn in turns {
            match turn {
                0 => {
                    while waiting.front().is_some_and(|&bytes| credit.take(bytes)) {
                        on_its_way.extend(waiting.pop_front());
                    }
                }
                1 => if let Some(bytes) = on_its_way.pop_front() {
                    prop_assert_eq!(meter.handle_received(bytes), Ok(()));
                    held.push_back(bytes);
                },
                2 => if let Some(bytes) = held.pop_front() {
                    meter.handle_consumed(bytes);
                    consumed += bytes;
                    if let Some(window) = meter.poll_window() {
                        told += 1;
                        windows.push_back(window);
                    }
                },
                _ => if let Some(window) = windows.pop_front() {
                    credit.handle_window(window.consumed, window.allowed);
                },
            }
            let sum = |packets: &VecDeque<u64>| packets.iter().sum::<u64>();
            prop_assert_eq!(meter.held(), sum(&held));
            prop_assert!(sum(&held) + sum(&on_its_way) <= window.into());
            prop_assert!(credit.available() <= window.into());
        }
        prop_assert_eq!((consumed, waiting.len()), (all, 0));
        // It is told of half a window, not of each packet.
        prop_assert!(told <= all / u64::from(window / 2) + 1);
    }

    /// What a hostile receiver says never makes the credit less.
    #[test]
    fn credit_only_grows_by_what_is_told(
        script in prop::collection::vec((any::<u64>(), any::<u32>(), 0..100_000_u64), 1..100),
    ) {
        let mut credit = Credit::new(Meter::INITIAL);
        for (consumed, allowed, bytes) in script {
            let before = credit.available();
            credit.handle_window(consumed, allowed);
            prop_assert!(credit.available() >= before);
            let before = credit.available();
            let taken = credit.take(bytes);
            prop_assert_eq!(taken, bytes <= before);
            prop_assert_eq!(credit.available(), before - if taken { bytes } else { 0 });
        }
    }
}
