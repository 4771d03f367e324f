//! How the target comes back.

/// Growth that is cubic in time (RFC 9438 §4.2): at first quickly back to near where it was
/// too much, slowly past that, then ever faster. In seconds and not in round trips, so that
/// who is far away gets his share; with one constant for all rates, so that of two who meet
/// in one link the smaller one gains on the larger.
#[derive(Clone, Copy, Debug)]
pub(super) enum Growth {
    /// Nothing has been too much yet.
    Free,
    /// For `age` seconds it has grown; after `plateau` seconds it is at `peak`, and goes
    /// beyond.
    Cubic { from: f64, peak: f64, plateau: f64, age: f64 },
}

impl Growth {
    /// Back from `from` to `peak` and beyond, both in bits a second.
    pub(super) fn back(from: f64, peak: f64) -> Self {
        // RFC 9438 §4.2: K.
        Self::Cubic { from, peak, plateau: ((peak - from).max(0.0) / CUBIC).cbrt(), age: 0.0 }
    }

    /// What a target becomes `passed` seconds later.
    pub(super) fn grow(&mut self, target: f64, passed: f64) -> f64 {
        match self {
            Self::Free => target * (1.0 + FREE * passed),
            Self::Cubic { from, peak, plateau, age } => {
                *age += passed;
                let beyond = *age - *plateau;
                let grown = CUBIC * beyond * beyond * beyond + *peak;
                // RFC 9438 §4.3: never less than linear growth, within what is steepest.
                let grown = grown.max(*from + LINEAR * *age);
                grown.clamp(target, target * (1.0 + STEEPEST * passed))
            }
        }
    }
}

/// Bits in a second, in a second cubed: after 0.85 of 1 Mbit/s it is back there in 2.3 s, at
/// 4 Mbit/s in 3.6 s, and from 1 Mbit/s at 4 in 6.3 s.
const CUBIC: f64 = 12_800.0;

/// Bits in a second, in a second.
const LINEAR: f64 = 100_000.0;

/// A part more in a second at most: until a queue is seen and something is done, which takes
/// a fifth of one with a round trip of 100 ms, it is a fifteenth too much.
const STEEPEST: f64 = 0.35;

/// A part more in a second before anything was too much; that a path takes 8 Mbit/s is found
/// in 5 s from 300 kbit/s. Slow start, which doubles each round trip, would fill a queue with
/// a round trip's worth before it knew.
const FREE: f64 = 1.0;
