//! Shorter or longer, at the same pitch.

#![allow(clippy::disallowed_methods, reason = "an epoch for the tests")]

mod speech;

use paceline_playout::Stretcher;
use proptest::prelude::*;
use speech::{bends, speech};

/// All of `sound`, stretched, as it comes in blocks of 20 ms; 40 ms are queued.
fn stretched(sound: &[f32], stretch: f64) -> (Vec<f32>, Stretcher) {
    let mut stretcher = Stretcher::new(4_800);
    stretcher.set_stretch(stretch);
    let (mut out, mut rest, mut block) = (Vec::new(), sound, [0.0; 960]);
    loop {
        while stretcher.len() < 2_880 && !rest.is_empty() {
            let pushed = stretcher.push(&rest[..rest.len().min(960)]);
            rest = &rest[pushed..];
        }
        let taken = stretcher.pull(&mut block);
        out.extend_from_slice(&block[..taken]);
        if taken < block.len() {
            return (out, stretcher);
        }
    }
}

/// The pitch of 40 ms, in samples, if they have one; by autocorrelation.
fn pitch(piece: &[f32]) -> Option<f64> {
    let power: f32 = piece[..1_200].iter().map(|x| x * x).sum();
    let likeness = |lag: usize| {
        let pairs = piece[..1_200].iter().zip(&piece[lag..]);
        let (both, other) = pairs.fold((0.0, 1e-9), |(ab, bb), (a, b)| (ab + a * b, bb + b * b));
        both / (power * other).sqrt()
    };
    let best = (120..=700).max_by(|&a, &b| likeness(a).total_cmp(&likeness(b)))?;
    (power > 1.0 && likeness(best) > 0.9).then_some(best as f64)
}

#[test]
fn speech_has_the_length_asked_for_and_the_pitch_it_had() {
    let talk = speech();
    for stretch in [0.05, 0.02, -0.02, -0.05] {
        let (out, stretcher) = stretched(&talk, stretch);
        let expected = talk.len() as f64 / (1.0 + stretch);
        let off = out.len() as f64 - expected;
        // The last period may be owed, or paid in advance; the end is not compared.
        assert!(off.abs() < 1_500.0, "{stretch}: {} for {expected}", out.len());
        let counted = out.len() as i64 + stretcher.removed() as i64 - stretcher.inserted() as i64;
        assert_eq!(counted, talk.len() as i64);

        // Where there is a pitch here and in what it was made of.
        let moved = out.chunks_exact(1_920).enumerate().filter_map(|(i, piece)| {
            let from = (i as f64 * 1_920.0 * (1.0 + stretch)) as usize;
            Some(pitch(piece)? / pitch(talk.get(from..from + 1_920)?)? - 1.0)
        });
        let mut moved: Vec<f64> = moved.collect();
        moved.sort_by(f64::total_cmp);
        assert!(moved.len() > 30, "{}", moved.len());
        // Resampling would have moved all by the stretch.
        let median = moved[moved.len() / 2];
        assert!(median.abs() < 0.005, "{stretch}: {median}");

        let (own, new) = (bends(&talk), bends(&out));
        let most = |all: &[f32]| all.iter().copied().fold(0.0, f32::max);
        assert!(most(&new) <= 1.1 * most(&own), "{stretch}: {} {}", most(&new), most(&own));
    }
}

#[test]
fn a_tone_is_stretched_without_a_seam() {
    let tone: Vec<f32> =
        (0..96_000).map(|i| 0.5 * (i as f32 / 240.0 * std::f32::consts::TAU).sin()).collect();
    for stretch in [0.05, -0.05] {
        let (out, _) = stretched(&tone, stretch);
        // Period by period it is the same tone: the seams fit to the sample.
        let most = out.windows(241).map(|w| (w[0] - w[240]).abs()).fold(0.0, f32::max);
        assert!(most < 1e-3, "{stretch}: {most}");
    }
}

#[test]
fn silence_is_cut_as_is_asked() {
    let (out, stretcher) = stretched(&[0.0; 96_000], 0.05);
    let off = out.len() as f64 - 96_000.0 / 1.05;
    assert!(off.abs() < 500.0, "{off}");
    assert!(out.iter().all(|&sample| sample == 0.0));
    assert_eq!(stretcher.inserted(), 0);
}

#[test]
fn at_no_stretch_it_is_a_queue() {
    let talk = speech();
    let (out, stretcher) = stretched(&talk, 0.0);
    assert_eq!(out, talk);
    assert_eq!((stretcher.removed(), stretcher.inserted()), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is pushed, asked and pulled: only numbers come out, none louder than
    /// what went in, and each sample is counted.
    #[test]
    fn no_input_makes_it_fail(
        steps in prop::collection::vec((0_usize..3_000, any::<u32>(), any::<f64>(), 0_usize..2_000), 1..40),
        capacity in 0_usize..6_000,
    ) {
        let mut stretcher = Stretcher::new(capacity);
        let (mut pushed, mut pulled) = (0, 0);
        for (len, bits, stretch, want) in steps {
            // Half of the stretches are ones that are in bounds.
            let stretch = if len % 2 == 0 { stretch } else { stretch.signum() * 0.05 };
            stretcher.set_stretch(stretch);
            let value = f32::from_bits(bits);
            let sound: Vec<f32> =
                (0..len).map(|i| if i % 5 == 0 { value } else { (i as f32 * 0.05).sin() }).collect();
            pushed += stretcher.push(&sound);
            let mut block = vec![f32::NAN; want];
            let before = stretcher.len();
            let taken = stretcher.pull(&mut block);
            prop_assert!(taken == want || stretcher.is_empty());
            prop_assert!(taken >= want.min(before));
            prop_assert!(block[..taken].iter().all(|sample| sample.abs() <= 1.1e6));
            pulled += taken;
            let counted = pulled + stretcher.len() + stretcher.removed() as usize;
            prop_assert_eq!(counted, pushed + stretcher.inserted() as usize);
        }
    }
}

/// What could not be cut for want of sound is not all cut when there is some.
#[test]
fn what_was_asked_of_an_empty_queue_is_not_paid_back_at_once() {
    let (talk, mut block) = (speech(), [0.0; 960]);
    for stretch in [0.05, Stretcher::MAX_STRETCH] {
        let mut stretcher = Stretcher::new(19_200);
        stretcher.set_stretch(stretch);
        let mut frames = talk.chunks_exact(960).cycle();
        let mut tick = |stretcher: &mut Stretcher| {
            let frame = frames.next().expect("round and round");
            assert_eq!(stretcher.push(frame), 960);
            stretcher.pull(&mut block)
        };
        for _ in 0..500 {
            assert_eq!(tick(&mut stretcher), 960);
        }
        assert_eq!(stretcher.removed(), 0, "there was nothing to cut from");

        // 200 ms more.
        for frame in talk.chunks_exact(960).take(10) {
            assert_eq!(stretcher.push(frame), 960);
        }
        for ticks in 1..=100 {
            assert_eq!(tick(&mut stretcher), 960);
            // 26 ms of before, and then no more than is asked for.
            let most = 1_248.0 + stretch * 960.0 * f64::from(ticks);
            let removed = stretcher.removed();
            assert!(removed as f64 <= most, "{stretch}: {removed} in {ticks} ticks");
        }
        assert!(stretcher.removed() > 3_000, "{stretch}: {}", stretcher.removed());
    }
}
