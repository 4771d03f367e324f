//! One encoder, many receivers: whose path decides.
//!
//! | receivers | the bitrate is that of | because |
//! |---|---|---|
//! | 1 | that one | a member of a star has his host, and no other |
//! | 2 | the slower | half of all would not keep up; in a call of three that is the other one |
//! | 3 to 7 | the second slowest | one bad link is not everybody's |
//! | n | the one with a quarter of all below | more than that is how it is here, not bad luck |
//!
//! Who cannot be reached is none of them: he gets nothing, whatever is made.
//!
//! Who is slower than that is sent what his queue takes: it sheds to the next keyframe, so
//! that he sees a part of the pictures and hears everything. Of a mean a single path of
//! 100 Mbit/s would make too much for all others, and of the least a single bad one would
//! make a poor picture for a hundred.

use std::time::Duration;

use paceline_types::Bitrate;

/// How many of so many receivers may be slower than what is sent.
///
/// Two: the slower decides, so none.
const fn left_behind(receivers: usize) -> usize {
    match receivers {
        0..=2 => 0,
        3..=7 => 1,
        more => more / 4,
    }
}

/// What an encoder is to make for all of them; `None` if there is nobody.
pub(crate) fn target_among(mut targets: Vec<Bitrate>) -> Option<Bitrate> {
    targets.sort_unstable();
    targets.get(left_behind(targets.len())).copied()
}

/// How long what the encoder makes takes to go: of those who are to keep up, the longest.
pub(crate) fn delay_among(mut delays: Vec<Duration>) -> Duration {
    delays.sort_unstable_by(|a, b| b.cmp(a));
    delays.get(left_behind(delays.len())).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kbps: &[u64]) -> Option<u64> {
        let targets = kbps.iter().map(|&kbps| Bitrate::from_kbps(kbps)).collect();
        target_among(targets).map(|target| target.bps() / 1_000)
    }

    #[test]
    fn one_bad_link_of_three_or_more_is_not_everybodys() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[300]), Some(300));
        assert_eq!(of(&[900, 300]), Some(300));
        assert_eq!(of(&[900, 100, 800]), Some(800));
        assert_eq!(of(&[900, 100, 800, 850, 1_000]), Some(800));
        // Two of seven are more than a quarter.
        assert_eq!(of(&[900, 100, 200, 850, 1_000, 1_000, 1_000]), Some(200));
        assert_eq!(of(&[100, 200, 300, 900, 900, 900, 900, 900]), Some(300));
    }

    #[test]
    fn the_delay_is_of_who_decides() {
        let ms = Duration::from_millis;
        assert_eq!(delay_among(vec![]), Duration::ZERO);
        assert_eq!(delay_among(vec![ms(20), ms(300)]), ms(300));
        assert_eq!(delay_among(vec![ms(20), ms(300), ms(40)]), ms(40));
    }
}
