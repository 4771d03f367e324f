//! What is heard where a frame does not come, or comes late.

#![allow(clippy::disallowed_methods, reason = "an epoch for the tests")]

mod speech;

use speech::{ANN, BOB, Sender, bends, new_stage, run, speech, stats};

const FRAME: usize = 960;

/// What Bob hears of Ann, whose frames `lost` do not come, and her statistics.
fn heard(talk: &[f32], lost: Vec<usize>) -> (Vec<f32>, paceline_playout::SourceStats) {
    let (mut stage, start) = new_stage(&[ANN, BOB]);
    let mut sender = Sender::new(ANN, talk.to_vec(), 0.0, 0.0, 5.0);
    sender.lost = lost;
    let mut sound = Vec::new();
    run(&mut stage, start, &mut [sender], 300, |_, listener, heard, _| {
        if listener == BOB {
            sound.extend_from_slice(heard);
        }
    });
    (sound, stats(&stage, ANN))
}

fn power(sound: &[f32]) -> f32 {
    sound.iter().map(|sample| sample * sample).sum::<f32>() / sound.len() as f32
}

fn most(values: &[f32]) -> f32 {
    values.iter().copied().fold(0.0, f32::max)
}

#[test]
fn one_lost_frame_in_speech_leaves_no_step_and_no_hole() {
    let talk = speech();
    let (whole, _) = heard(&talk, vec![]);
    let (mut filled, mut voiced) = (0, 0);
    for lost in (20..270).step_by(5) {
        let (sound, stats) = heard(&talk, vec![lost]);
        assert_eq!((stats.underruns, stats.samples_dropped), (1, 0), "{lost}");
        // A frame, and what the fade into the next one takes.
        assert_eq!(stats.samples_concealed, 960, "{lost}");

        // Frames are heard a tick after they come, and 16 samples.
        let gap = (lost + 1) * FRAME + 16;
        assert_eq!(sound[..gap - 16], whole[..gap - 16], "{lost}");
        // No step: not more of a bend than in the speech around.
        let around = gap - 4 * FRAME..gap + 5 * FRAME;
        let (own, made) = (bends(&whole[around.clone()]), bends(&sound[around]));
        assert!(most(&made) <= 1.25 * most(&own) + 1e-3, "{lost}: {} {}", most(&made), most(&own));
        // No hole: where the voice is even, it goes on.
        let sides = [power(&whole[gap - FRAME..gap]), power(&whole[gap + FRAME..gap + 2 * FRAME])];
        let middle = power(&whole[gap..gap + FRAME]);
        let quietest = sides[0].min(sides[1]).min(middle);
        if quietest > 1e-3 {
            voiced += 1;
            filled += usize::from(power(&sound[gap..gap + FRAME]) > 0.25 * quietest);
        }
    }
    assert!(voiced >= 10 && filled == voiced, "{filled} of {voiced}");
}

#[test]
fn a_silence_of_some_frames_fades_within_60_ms_and_comes_back_without_a_step() {
    let talk = speech();
    let (whole, _) = heard(&talk, vec![]);
    for lost in (20..250).step_by(23) {
        let (sound, stats) = heard(&talk, (lost..lost + 6).collect());
        assert_eq!((stats.underruns, stats.samples_concealed), (1, 2_880), "{lost}");
        let gap = (lost + 1) * FRAME + 16;
        let quiet = &sound[gap + 3 * FRAME + 32..gap + 6 * FRAME - 32];
        assert!(quiet.iter().all(|&sample| sample == 0.0), "{lost}");
        let around = gap - 4 * FRAME..gap + 10 * FRAME;
        let (own, made) = (bends(&whole[around.clone()]), bends(&sound[around]));
        assert!(most(&made) <= 1.25 * most(&own) + 1e-3, "{lost}");
    }
}

#[test]
fn every_tenth_frame_may_be_lost_and_the_delay_stays() {
    let talk = speech();
    let (_, stats) = heard(&talk, (10..290).step_by(10).collect());
    assert_eq!((stats.underruns, stats.samples_dropped), (28, 0));
    assert!(stats.queue_level < 32 * 48, "{stats:?}");
}
