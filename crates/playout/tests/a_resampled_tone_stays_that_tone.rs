//! What the resampler adds to a tone, and that it counts within half a frame a day.

use paceline_playout::{Resampled, Resampler};
use proptest::prelude::*;

/// `len` frames of a tone of `hz` and half of full scale.
fn tone(hz: f64, len: usize) -> Vec<f32> {
    let turn = hz / 48_000.0 * std::f64::consts::TAU;
    (0..len).map(|i| ((i as f64 * turn).sin() * 0.5) as f32).collect()
}

/// The tone resampled at `ppm`, without the beginning.
fn resampled(hz: f64, ppm: f64, len: usize) -> Vec<f32> {
    let mut resampler = Resampler::new();
    resampler.set_ppm(ppm);
    let settled = 12_000;
    let mut output = vec![0.0; settled + len];
    let done = resampler.resample(&tone(hz, (settled + len) * 102 / 100), &mut output);
    assert_eq!(done.written, output.len());
    output.split_off(settled)
}

/// The power of the tone of `hz` in `sound` over all else, in dB.
fn tone_to_rest(sound: &[f32], hz: f64) -> f64 {
    let turn = hz / 48_000.0 * std::f64::consts::TAU;
    let (mut ss, mut sc, mut cc, mut xs, mut xc) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (i, &x) in sound.iter().enumerate() {
        let (s, c) = (i as f64 * turn).sin_cos();
        (ss, sc, cc) = (ss + s * s, sc + s * c, cc + c * c);
        (xs, xc) = (xs + f64::from(x) * s, xc + f64::from(x) * c);
    }
    let det = ss * cc - sc * sc;
    let (a, b) = ((xs * cc - xc * sc) / det, (xc * ss - xs * sc) / det);
    let (mut tone, mut rest) = (0.0, 0.0);
    for (i, &x) in sound.iter().enumerate() {
        let (s, c) = (i as f64 * turn).sin_cos();
        let fitted = a * s + b * c;
        tone += fitted * fitted;
        rest += (f64::from(x) - fitted).powi(2);
    }
    10.0 * (tone / rest).log10()
}

#[test]
fn a_tone_stays_120_db_over_all_that_is_added() {
    for ppm in [100.0, -100.0, 500.0, -500.0, 10_000.0, -10_000.0] {
        for (hz, least) in [(997.0, 120.0), (6_000.0, 110.0), (15_000.0, 96.0), (18_000.0, 96.0)] {
            let sound = resampled(hz, ppm, 20_000);
            let ratio = tone_to_rest(&sound, hz * (1.0 + ppm * 1e-6));
            println!("{hz} Hz at {ppm} ppm: {ratio:.1} dB");
            assert!(ratio >= least, "{hz} Hz at {ppm} ppm: {ratio:.1} dB");
        }
    }
}

#[test]
fn at_a_ratio_of_one_it_is_a_delay_to_the_bit() {
    let input = tone(7_000.0, 5_000);
    let mut output = vec![1.0; 5_000];
    let done = Resampler::new().resample(&input, &mut output);
    assert_eq!(done, Resampled { read: 5_000, written: 5_000 });
    let late = Resampler::LATENCY;
    assert_eq!(late, 16);
    assert_eq!(output[..late], [0.0; 16]);
    assert_eq!(output[late..], input[..5_000 - late]);
}

#[test]
fn a_day_of_frames_is_counted_without_an_error_of_one() {
    // What is read follows from the step by integers. So here is that it does, over
    // blocks of odd sizes, and what the integers come to in a day.
    for ppm in [100.0, -100.0, 499.999_9, 0.001, -10_000.0, 9_999.9] {
        let mut resampler = Resampler::new();
        resampler.set_ppm(ppm);
        let (silence, mut block) = (vec![0.0; 2_000], vec![0.0; 1_000]);
        let mut settle = |len: usize| {
            let wanted = resampler.input_for(len);
            let done = resampler.resample(&silence, &mut block[..len]);
            assert_eq!(done, Resampled { read: wanted, written: len });
            done.read as f64
        };
        for _ in 0..12 {
            settle(1_000);
        }
        let (mut read, mut written) = (0.0, 0);
        for len in [1, 7, 960, 333, 999, 2].into_iter().cycle().take(3_000) {
            read += settle(len);
            written += len;
        }
        let exact = written as f64 * (1.0 + ppm * 1e-6);
        assert!((read - exact).abs() < 1.5, "{ppm}: {read} of {exact}");

        let speed = resampler.ppm();
        let day = 24.0 * 3_600.0 * 48_000.0;
        assert!((speed - ppm).abs() * 1e-6 * day < 1.0, "{ppm} is {speed}");
    }
}

#[test]
fn a_step_of_the_ratio_is_no_click() {
    // Of a tone of 1 kHz the second difference is small and smooth; a click of a
    // thousandth of it stands out.
    let input = tone(1_000.0, 60_000);
    let mut resampler = Resampler::new();
    let mut sound = Vec::new();
    let mut read = 0;
    for ppm in [0.0, 10_000.0, -10_000.0, 500.0, 0.0, -3_000.0, 10_000.0, 10_000.0] {
        resampler.set_ppm(ppm);
        let mut block = [0.0; 5_000];
        read += resampler.resample(&input[read..], &mut block).read;
        sound.extend(block);
    }
    let turn = 1_000.0 / 48_000.0 * std::f32::consts::TAU * 1.01;
    let most = 0.5 * turn * turn;
    for (at, three) in sound[100..].windows(3).enumerate() {
        let bend = (three[2] - 2.0 * three[1] + three[0]).abs();
        assert!(bend < most * 1.001 + 1e-6, "{bend} over {most} at {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is asked and given, it answers with numbers, as many as it says,
    /// and the same as if it had been given in one piece.
    #[test]
    fn no_input_makes_it_fail(
        pieces in prop::collection::vec((0_usize..1_500, any::<u32>(), any::<f64>()), 1..12),
    ) {
        let mut resampler = Resampler::new();
        for (len, bits, ppm) in pieces {
            resampler.set_ppm(ppm);
            let value = f32::from_bits(bits);
            let input: Vec<f32> = (0..len).map(|i| if i % 3 == 0 { value } else { 0.5 }).collect();
            let mut output = vec![f32::NAN; 1_500 - len];
            let wanted = resampler.input_for(output.len());
            let done = resampler.resample(&input, &mut output);
            prop_assert!(done.read <= wanted && done.read <= len);
            prop_assert_eq!(done.written == output.len(), wanted <= len);
            prop_assert!(done.written == output.len() || done.read == len);
            prop_assert!(output[..done.written].iter().all(|sample| sample.is_finite()));
            prop_assert!(resampler.ppm().abs() <= 10_000.001);
        }
    }

    #[test]
    fn the_sizes_of_the_pieces_do_not_matter(
        sizes in prop::collection::vec(0_usize..700, 1..20),
        ppm in -12_000.0..12_000.0_f64,
    ) {
        let input = tone(440.0, 20_000);
        let total: usize = sizes.iter().sum();
        let mut one = Resampler::new();
        one.set_ppm(ppm);
        let mut whole = vec![0.0; total];
        let at_once = one.resample(&input, &mut whole);

        let mut other = Resampler::new();
        other.set_ppm(ppm);
        let (mut read, mut pieces) = (0, Vec::new());
        for size in sizes {
            let mut piece = vec![0.0; size];
            read += other.resample(&input[read..], &mut piece).read;
            pieces.extend(piece);
        }
        prop_assert_eq!(at_once.read, read);
        prop_assert_eq!(whole, pieces);
    }
}
