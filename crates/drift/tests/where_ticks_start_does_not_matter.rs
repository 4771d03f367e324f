//! Only differences count: any first tick gives the same bits.

mod common;

use common::{Sender, estimator, exponential};

#[test]
fn sixty_four_offsets_give_the_same_bits() {
    let run = |first_tick: u64| {
        let mut estimator = estimator();
        let mut sender = Sender { first_tick, ..Sender::new(77.0, 4) };
        let mut bits = Vec::new();
        for _ in 0..8 {
            sender.run(&mut estimator, 2, exponential);
            let estimate = estimator.estimate();
            let (low, high) = estimate.interval95();
            let all = [estimate.ppm, estimate.sigma, estimate.error, low, high, estimator.ratio()];
            bits.push(all.map(f64::to_bits));
        }
        bits
    };
    let plain = run(0);
    assert_ne!(plain[3], plain[7], "it does something");
    // Around the wraps of 32 bits, of 53 bits and, as far as the stream fits, of 64.
    let wraps = [1_u64 << 32, 1 << 53, 1 << 63, u64::MAX - 900_000];
    for offset in wraps.into_iter().flat_map(|wrap| (0..16).map(move |n| wrap - n * 50_021)) {
        assert_eq!(run(offset), plain, "first tick {offset}");
    }
}
