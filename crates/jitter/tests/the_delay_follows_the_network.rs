//! How long units wait: the least on a clean network, what is needed on another, and
//! never more than was allowed.

#[allow(dead_code, reason = "each file takes what it needs")]
mod support;

use paceline_jitter::{JitterBuffer, JitterConfig};
use support::scenarios::{
    clean, drift, duplicate_storm, first_late, heavy, jittery, outage_burst, silences,
    stamp_jitter, step,
};
use support::{Heard, Player, Sent, ms};

fn least(min: u64) -> JitterConfig {
    JitterConfig::default().min_delay(ms(min)).start_delay(ms(min))
}

/// The delays of the packets in `seqs`, from least to most, in microseconds.
fn range(player: &Player, seqs: std::ops::Range<i64>) -> (i64, i64) {
    let delays = player.delays();
    let delays = delays.iter().filter(|(seq, _)| seqs.contains(seq)).map(|&(_, delay)| delay);
    let range = delays.fold((i64::MAX, i64::MIN), |(low, high), it| (low.min(it), high.max(it)));
    assert!(range.0 <= range.1, "none of {seqs:?} was played");
    range
}

// J2.
#[test]
fn a_clean_stream_plays_with_exactly_the_least_delay() {
    for min in [0, 1, 7, 20, 40, 60, 100, 150, 200] {
        let player = Player::run(least(min), &clean(1_000, 0));
        let delay = 1_000 * min as i64;
        assert_eq!(range(&player, 0..1_000), (delay, delay));
        assert_eq!((player.ids().len(), player.stats().delay), (1_000, ms(min)));
        assert_eq!((player.stats().max_delay, player.buffer.pace()), (ms(min), 0.0));
    }
}

// J3.
#[test]
fn timestamps_that_are_off_by_eight_samples_conceal_nothing() {
    for min in [0, 20, 60] {
        let player = Player::run(least(min), &stamp_jitter(3_000));
        assert_eq!(player.ids(), (0..3_000).collect::<Vec<_>>());
        assert_eq!(player.losses(), []);
        let (low, high) = range(&player, 0..3_000);
        // ±8 samples from the fastest one, which was itself 8 early.
        let most = 1_000 * min as i64 + 1_000_000 * 16 / 48_000 + 1;
        assert!(low >= 1_000 * min as i64 - 334 && high <= most, "{low} to {high} for {min} ms");
    }
}

#[test]
fn a_first_packet_that_is_late_does_not_delay_the_rest() {
    let player = Player::run(JitterConfig::default(), &first_late());
    assert!(player.lost() + player.stats().late <= 1, "{:?}", player.stats());
    assert!(range(&player, 60..500).1 <= 40_000, "{:?}", range(&player, 60..500));
    assert_eq!(range(&player, 1_000..1_500), (20_000, 20_000));
    // In order, behind the late one: a queue that empties at once.
    let mut sent = clean(3_000, 0);
    sent.iter_mut().take(8).for_each(|sent| sent.at = 150_000);
    let player = Player::run(JitterConfig::default(), &sent);
    assert_eq!(player.losses(), []);
    assert!(range(&player, 0..60).1 <= 180_000, "{:?}", range(&player, 0..60));
    assert_eq!(range(&player, 2_500..3_000), (20_000, 20_000));
}

// J6.
#[test]
fn of_a_step_only_the_step_is_waited_for() {
    let player = Player::run(JitterConfig::default(), &step(1_500, 200, 80_000));
    assert_eq!(player.ids(), (0..1_500).collect::<Vec<_>>());
    assert_eq!(player.losses(), []);
    assert!((ms(55)..ms(65)).contains(&player.stats().waited), "{:?}", player.stats().waited);
    // The best there is: nothing waits, and nothing is late.
    for seqs in [350..700, 700..1_500] {
        let (low, high) = range(&player, seqs.clone());
        assert!(low >= 80_000 && high <= 100_000, "{low} to {high} in {seqs:?}");
    }
    assert_eq!(player.delays().last(), Some(&(1_499, 100_000)));
}

#[test]
fn a_route_that_becomes_slower_for_good_is_followed_within_a_second() {
    for slower in [190_000, 250_000, 300_000, 900_000, 1_900_000, 2_500_000] {
        let sent = step(1_000, 200, slower);
        let player = Player::run(JitterConfig::default(), &sent);
        player.assert_in_order();
        let silent = 1_000 * player.longest_silence();
        assert!(silent <= slower + 1_000_000, "{slower}: silent for {silent} µs");
        assert!(player.ids().len() >= 950, "{slower}: {} of 1,000", player.ids().len());
        let (low, high) = range(&player, 400..1_000);
        assert!(low >= slower && high <= slower + 40_000, "{slower}: {low} to {high}");
    }
}

#[test]
fn a_route_that_becomes_faster_costs_nothing() {
    for faster in [50_000, 100_000, 150_000] {
        let player = Player::run(JitterConfig::default(), &step(3_500, 200, -faster));
        assert_eq!(player.losses(), []);
        assert_eq!(player.stats().played, 3_500);
        assert!(range(&player, 0..3_500).1 <= faster + 40_000, "{:?}", range(&player, 0..3_500));
        // What was slower before is remembered as jitter for a while.
        assert_eq!(range(&player, 3_300..3_500), (20_000, 20_000), "{faster}");
    }
}

#[test]
fn a_spike_is_ridden_out_and_forgotten() {
    let player = Player::run(JitterConfig::default(), &outage_burst());
    let (_, high) = range(&player, 190..260);
    assert!(high <= 200_000, "{high}");
    let mut sent = outage_burst();
    sent.extend(clean(6_000, 0).split_off(500));
    let player = Player::run(JitterConfig::default(), &sent);
    assert_eq!(range(&player, 5_500..6_000), (20_000, 20_000));
}

// J2.
#[test]
fn the_delay_is_never_more_than_the_most_and_20_ms() {
    for (most, seed) in [(200, 1), (200, 2), (100, 3), (60, 4), (400, 5)] {
        let config = JitterConfig::default().max_delay(ms(most)).loss_price(ms(1_000));
        for sent in [heavy(2_000, seed), jittery(2_000, 2_000 * most, seed)] {
            let player = Player::run(config.clone(), &sent);
            let fastest = sent.iter().map(|sent| sent.at - sent.seq * 20_000).min().unwrap();
            let (_, high) = range(&player, 100..2_000);
            let cap = 1_000 * most as i64 + 20_000;
            // The fastest of 10 s, not of all.
            assert!(high - fastest <= cap + 5_000, "{high} µs with at most {most} ms");
            assert!(player.stats().max_delay <= ms(most + 20));
            player.assert_in_order();
        }
    }
}

#[test]
fn what_the_delay_pays_for_is_worth_its_price() {
    let mut last = (0, u64::MAX);
    for price in [1, 5, 20, 100] {
        let sent = jittery(3_000, 100_000, 9);
        let config = JitterConfig::default().loss_price(ms(price));
        let player = Player::run(config, &sent);
        let delays = player.delays();
        let mean = delays.iter().map(|&(_, delay)| delay).sum::<i64>() / delays.len() as i64;
        assert!(mean >= last.0 && player.lost() <= last.1, "{price}: {mean}, {}", player.lost());
        last = (mean, player.lost());
    }
    assert!(last.1 <= 3, "{} lost at the highest price", last.1);
}

#[test]
fn in_silence_the_delay_moves_at_once_and_in_talk_by_five_per_cent() {
    for with_markers in [true, false] {
        let mut player = Player::new(JitterConfig::default());
        let mut sent = silences();
        sent.iter_mut().for_each(|sent| sent.marker &= with_markers);
        for sent in sent {
            // While it talks, and while it is silent.
            match sent.seq {
                1_520 => player.buffer.set_min_playout_delay(ms(200)),
                1_700 => player.buffer.set_min_playout_delay(ms(0)),
                _ => {}
            }
            let _ = player.send(sent.seq as u64, sent);
        }
        player.pass(1_000_000);
        player.assert_in_order();
        let (mut talk, mut silence) = (0, 0);
        for pair in player.plays().windows(2).filter(|pair| pair[0].0 >= 1_000) {
            let ((last, _, before), (seq, _, due)) = (pair[0], pair[1]);
            assert_eq!(seq, last + 1);
            if seq % 50 == 0 {
                silence = silence.max((due - before - 1_020_000_000_i64).abs());
            } else {
                talk = talk.max((due - before - 20_000_000_i64).abs());
            }
        }
        assert!(talk <= 1_000_001, "in talk it moved by {talk} ns at once");
        assert!(silence > 80_000_000, "in silence it moved by {silence} ns");
    }
}

// What was given up is told at the instant at which the next is played, also while the
// delay wants to grow: an outage is no silence.
#[test]
fn a_loss_and_what_follows_it_are_given_out_together() {
    let mut sent = jittery(3_000, 90_000, 12);
    sent.retain(|sent| sent.seq % 40 > 6);
    let mut player = Player::new(JitterConfig::default());
    for sent in sent {
        match sent.seq % 80 {
            39 => player.buffer.set_min_playout_delay(ms(180)),
            79 => player.buffer.set_min_playout_delay(ms(0)),
            _ => {}
        }
        let _ = player.send(sent.seq as u64, sent);
    }
    player.pass(1_000_000);
    for pair in player.heard.windows(2) {
        if let [Heard::Lost { at: told, .. }, Heard::Play { at, .. }] = pair {
            assert_eq!(told, at, "{pair:?}");
        }
    }
    assert!(player.losses().len() >= 74);
}

#[test]
fn a_duplicate_storm_changes_nothing() {
    let player = Player::run(JitterConfig::default(), &duplicate_storm());
    assert_eq!(player.stats().duplicate, 1_500);
    assert_eq!(range(&player, 0..300), (20_000, 20_000));
    assert_eq!((player.lost(), player.stats().late), (0, 0));
    assert!(player.stats().jitter < ms(1));
}

#[test]
fn a_clock_that_runs_fast_or_slow_costs_nothing() {
    for ppm in [20, -20, 100, -100, 500, -500, 10_000, -10_000] {
        for known in [false, true] {
            let mut player = Player::new(JitterConfig::default());
            let sent = drift(3_000, ppm);
            for (id, sent) in sent.iter().enumerate() {
                let _ = player.send(id as u64, *sent);
                if known && id == 0 {
                    player.buffer.set_drift(ppm as f64);
                }
            }
            player.pass(1_000_000);
            assert_eq!(player.ids(), (0..3_000).collect::<Vec<_>>());
            assert_eq!(player.losses(), [], "{ppm} ppm");
            let waits = player.heard.iter().map(|heard| match *heard {
                Heard::Play { at, id, .. } => at / 1_000 - sent[id as usize].at,
                Heard::Lost { .. } => unreachable!("none is lost"),
            });
            let most = waits.max().unwrap();
            // Unknown, a fast clock makes each packet the fastest so far, and all before
            // it look slow.
            let bound = match ppm {
                10_000 if !known => 200_000,
                500 if !known => 40_000,
                100 if !known => 25_000,
                _ => 20_001,
            };
            assert!(most <= bound, "{ppm} ppm: {most} µs, known: {known}");
        }
    }
}

#[test]
fn what_is_no_drift_is_ignored_and_what_is_no_pace_is_clamped() {
    let config = || JitterConfig::default().max_pace(-0.5);
    for pace in [f64::NAN, f64::INFINITY, -1.0, 7.0] {
        let mut player = Player::new(config().max_pace(pace));
        for (id, sent) in jittery(300, 60_000, 13).into_iter().enumerate() {
            let _ = player.send(id as u64, sent);
            for ppm in [f64::NAN, f64::NEG_INFINITY, 1e300, -1e300, 0.0] {
                player.buffer.set_drift(ppm);
            }
            assert!(player.buffer.pace().is_finite());
        }
        player.pass(1_000_000);
        player.assert_in_order();
    }
    let buffer = JitterBuffer::<()>::new(config());
    assert_eq!(buffer.own_delay(), ms(20));
}

// test_deadline_ts_offset: what lip sync adds moves the deadline, and lets go of it.
#[test]
fn what_lip_sync_adds_is_added_at_the_pace_and_taken_back() {
    let mut player = Player::new(JitterConfig::default());
    for sent in clean(2_000, 0) {
        match sent.seq {
            200 => player.buffer.set_min_playout_delay(ms(120)),
            1_000 => player.buffer.set_min_playout_delay(ms(10)),
            _ => {}
        }
        let _ = player.send(sent.seq as u64, sent);
    }
    player.pass(1_000_000);
    assert_eq!(player.losses(), []);
    assert_eq!(range(&player, 0..199), (20_000, 20_000));
    // 100 ms at 5 % are 2 s of media.
    assert_eq!(range(&player, 301..990), (120_000, 120_000));
    assert_eq!(range(&player, 1_101..2_000), (20_000, 20_000));
    assert!(range(&player, 199..250).1 <= 72_000);
    assert_eq!(player.buffer.own_delay(), ms(20), "it is not the network's need");
}

// What is said to be the playout time is what is done.
#[test]
fn the_playout_time_is_when_the_unit_is_played() {
    let mut player = Player::run(JitterConfig::default(), &clean(100, 0));
    let sent = Sent::new(400, 0);
    let said = player.buffer.playout_time(Player::unit(0, sent).time).unwrap();
    let _ = player.send(400, sent);
    assert_eq!(player.buffer.poll_timeout(), Some(said));
}

/// A screen share of one to four pictures a second, on a route that becomes slower.
#[test]
fn units_that_are_far_apart_are_played_again_after_a_step() {
    for spacing in [150_000, 250_000, 1_000_000] {
        let sent: Vec<_> = (0..200)
            .map(|seq| {
                let late = if seq < 50 { 0 } else { 500_000 };
                let ticks = seq * spacing * 48 / 1_000;
                Sent { at: seq * spacing + late, ticks, ..Sent::new(seq, 0) }
            })
            .collect();
        let player = Player::run(JitterConfig::video(), &sent);
        let played = player.ids().len();
        assert!(played >= 190, "{spacing} µs apart: {played} of 200");
    }
}

/// A move that is made in a silence is no change of pace.
#[test]
fn the_pace_is_never_more_than_the_config_allows() {
    let mut sent: Vec<Sent> = Vec::new();
    for seq in 0..3_000_i64 {
        let late = if (1_000..1_020).contains(&seq) { 150_000 } else { seq * 7 % 11 * 1_000 };
        let pause = seq / 50 * 200;
        let ticks = (seq * 20 + pause) * 48;
        sent.push(Sent { at: (seq * 20 + pause) * 1_000 + late, ticks, ..Sent::new(seq, 0) });
    }
    sent.sort_by_key(|sent| sent.at);
    let mut player = Player::new(JitterConfig::default());
    for (id, sent) in sent.into_iter().enumerate() {
        let _ = player.send(id as u64, sent);
        assert!(player.buffer.pace().abs() <= 0.0501, "{}", player.buffer.pace());
    }
}

#[test]
fn a_least_delay_above_the_most_is_the_most() {
    let player = Player::run(least(500), &clean(500, 0));
    assert_eq!((player.stats().delay, player.buffer.own_delay()), (ms(200), ms(200)));
}

#[test]
fn a_drift_that_is_known_beforehand_counts_from_the_first_unit_on() {
    let ends = [false, true].map(|before| {
        let mut player = Player::new(JitterConfig::default());
        if before {
            player.buffer.set_drift(5_000.0);
        }
        let _ = player.send(0, Sent::new(0, 0));
        player.buffer.set_drift(5_000.0);
        let due = player.buffer.playout_time(Player::unit(500, Sent::new(500, 0)).time);
        due.expect("a unit has come") - player.epoch()
    });
    assert_eq!(ends[0], ends[1]);
}
