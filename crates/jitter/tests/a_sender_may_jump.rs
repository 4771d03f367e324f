//! Numbers and times that jump, sources that change: the stream goes on at once, and
//! what is hostile does not end it.

#[allow(dead_code, reason = "each file takes what it needs")]
mod support;

use paceline_jitter::types::{Frequency, MediaTime, SeqNo};
use paceline_jitter::{JitterConfig, Unit, Verdict};
use support::scenarios::{clean, number_jump, outage_burst, outage_lost, time_jump, two_sources};
use support::{Heard, Player, SEQ, Sent, TICKS, ms};

/// Packets that were sent and not played.
fn not_played(player: &Player, sent: &[Sent]) -> usize {
    let ids = player.ids();
    (0..sent.len() as u64).filter(|id| !ids.contains(id)).count()
}

// test_push_big_gap, test_rtcp_sdes..: a big gap in sequence.
#[test]
fn a_jump_of_the_numbers_loses_nothing() {
    for by in [20_000, -20_000, 1 << 33, -(1 << 33), 3_100, -3_300] {
        let sent = number_jump(by);
        let player = Player::run(JitterConfig::default(), &sent);
        assert_eq!(player.ids(), (0..500).collect::<Vec<_>>(), "by {by}");
        assert_eq!((player.lost(), player.stats().resyncs), (0, 1), "by {by}");
        assert!(player.longest_silence() <= 41, "by {by}: {}", player.longest_silence());
    }
}

// A sender that starts anew a little back (webrtc-rs: 172 s of silence).
#[test]
fn numbers_that_go_back_while_time_goes_on_are_a_new_start() {
    for by in [-2, -5, -50, -100, -255, -256, -2_999] {
        let sent = number_jump(by);
        let player = Player::run(JitterConfig::default(), &sent);
        assert!(not_played(&player, &sent) <= 3, "by {by}: {}", not_played(&player, &sent));
        assert_eq!(player.stats().resyncs, 1, "by {by}");
    }
}

#[test]
fn a_jump_of_the_timestamps_alone_loses_nothing() {
    for by in [480_000, -480_000, 1 << 31, -(1 << 31), 1 << 40, 120_000, -120_000] {
        let player = Player::run(JitterConfig::default(), &time_jump(by));
        assert_eq!(player.ids(), (0..500).collect::<Vec<_>>(), "by {by}");
        assert_eq!(player.losses(), [], "by {by}");
        player.assert_in_order();
    }
}

// A jump below what is waited for: the clock of the sender was set a little.
#[test]
fn a_small_jump_of_the_timestamps_is_ridden_out() {
    for by in [48_000, 72_000, -48_000, -72_000, 9_600, -9_600] {
        let sent = time_jump(by);
        let player = Player::run(JitterConfig::default(), &sent);
        assert!(player.longest_silence() <= 1_000, "by {by}: {}", player.longest_silence());
        assert!(not_played(&player, &sent) <= 50, "by {by}: {}", not_played(&player, &sent));
        player.assert_in_order();
    }
}

// test_gap_larger_than_latency, test_reset_timers_does_not_stall, test_timers_reset:
// a big gap in arrival, with and without packets after it.
#[test]
fn an_outage_is_one_loss_and_the_delay_is_what_it_was() {
    let player = Player::run(JitterConfig::default(), &outage_lost());
    assert_eq!(player.losses(), [(150, 50)]);
    assert!(player.delays().iter().all(|&(_, delay)| delay == 20_000));
}

#[test]
fn of_an_outage_that_ends_in_a_burst_only_what_is_late_is_lost() {
    let sent = outage_burst();
    let player = Player::run(JitterConfig::default(), &sent);
    // Up to 200 ms late is played.
    assert!((38..=42).contains(&player.lost()), "{} lost", player.lost());
    assert_eq!(player.losses().len(), 1);
    assert!(player.longest_silence() <= 1_200);
    let last = player.delays().last().copied();
    assert!(last.is_some_and(|(_, delay)| delay <= 200_000), "{last:?}");
    player.assert_in_order();
}

// A stream that stands still for 10 s and goes on, with the time in between or without.
#[test]
fn a_pause_of_the_sender_ends_at_once() {
    for (pause, with_time) in [(10_000, true), (10_000, false), (60_000, true), (60_000, false)] {
        let mut sent = clean(400, 0);
        for sent in &mut sent[200..] {
            sent.at += pause * 1_000;
            sent.ticks += if with_time { pause * 48 } else { 0 };
        }
        let player = Player::run(JitterConfig::default(), &sent);
        assert_eq!(player.ids(), (0..400).collect::<Vec<_>>());
        assert_eq!(player.losses(), []);
        let expected = pause + if with_time { 20 } else { 41 };
        assert!(player.longest_silence() <= expected, "{} ms", player.longest_silence());
    }
}

#[test]
fn two_sources_in_one_stream_do_not_mute_it() {
    for run in [1, 2, 3, 5, 25] {
        let player = Player::run(JitterConfig::default(), &two_sources(1_000, run));
        assert!(player.ids().len() >= 450, "{} of 1,000 in runs of {run}", player.ids().len());
        assert!(player.longest_silence() <= 200, "{} ms", player.longest_silence());
    }
}

/// Plays a clean stream with one packet of it replaced, and says how many of the
/// genuine ones were not played.
fn genuine_losses(config: JitterConfig, sent: &[Sent]) -> usize {
    let mut player = Player::new(config);
    for (id, sent) in sent.iter().enumerate() {
        let _ = player.send(id as u64, *sent);
    }
    player.pass(5_000_000);
    not_played(&player, sent)
}

#[test]
fn one_hostile_number_or_time_costs_little() {
    let hostile = [
        ("far ahead in number", 2_900, 0),
        ("far behind in number", -2_900, 0),
        ("ahead by number and time", 90, 1_900),
        ("beyond all by number", 1 << 50, 0),
        ("a little ahead in time", 0, 1_900),
        ("a little behind in time", 0, -1_900),
        ("far ahead in time", 0, 1 << 40),
        ("far behind in time", 0, -(1 << 30)),
    ];
    let mut worst = Vec::new();
    for (name, seq, time) in hostile {
        let mut sent = support::scenarios::jittery(1_500, 15_000, 6);
        let forged = &mut sent[300];
        (forged.seq, forged.ticks) = (forged.seq + seq, forged.ticks + time * 48);
        let lost = genuine_losses(JitterConfig::default(), &sent);
        worst.push((lost, name));
    }
    // What is within 2 s of the stream passes for it, and may cost as much.
    assert!(worst.iter().all(|&(lost, _)| lost <= 100), "lost of 1,500: {worst:?}");
}

#[test]
fn two_odd_numbers_that_do_not_belong_together_move_nothing() {
    for (first, second) in [(20_000, 20_500), (20_000, 20_002), (20_000, 19_999), (-9_000, 9_000)] {
        let mut sent = clean(500, 0);
        sent[200].seq += first;
        sent[201].seq += second;
        let player = Player::run(JitterConfig::default(), &sent);
        assert_eq!((player.stats().resyncs, player.stats().outliers), (0, 2));
        assert_eq!(player.losses(), [(200, 2)]);
    }
}

// Also when the route becomes slower meanwhile, and the fastest is another one.
#[test]
fn what_comes_from_the_future_is_not_held_longer_than_the_most_delay() {
    let mut sent = clean(500, 0);
    for sent in &mut sent[200..] {
        sent.at += 40_000;
    }
    let forged = Sent { at: 4_000_000, ..Sent::new(263, 0) };
    sent.insert(200, forged);
    let player = Player::run(JitterConfig::default().max_delay(ms(1_000)), &sent);
    let played = player.plays().into_iter().find(|&(seq, ..)| seq == 263);
    assert!(played.is_some_and(|(_, at, _)| at <= 5_000_000_000), "{played:?}");
    player.assert_in_order();
}

// test_clear_pt_map_stall, test_deadlock: nothing is left waiting for what cannot come.
#[test]
fn a_stream_that_jumps_while_everything_comes_too_late_goes_on() {
    let config = JitterConfig::default().max_late(ms(0));
    let mut sent = clean(400, 0);
    // The last one before the jump and the two that confirm it are refused.
    for sent in &mut sent[100..103] {
        sent.at += 150_000;
    }
    for sent in &mut sent[101..103] {
        sent.seq += 100_000;
    }
    for sent in &mut sent[103..] {
        (sent.seq, sent.ticks) = (sent.seq + 300_000, sent.ticks + 1_000_000_000);
        sent.at += 200_000;
    }
    let player = Player::run(config, &sent);
    assert_eq!(player.stats().resyncs, 2);
    assert!(player.ids().len() >= 370, "{} of 400", player.ids().len());
    assert_eq!(player.losses()[..2], [(100, 1), (100_101, 2)]);
}

// Losses on both sides of a jump are two reports: the numbers between them are none.
#[test]
fn a_loss_is_not_told_across_a_jump() {
    let mut sent = clean(400, 0);
    // The last one before the jump and the first one after it are refused.
    for sent in &mut sent[100..] {
        sent.at += 150_000;
    }
    for sent in &mut sent[101..] {
        sent.seq += 100_000;
    }
    for sent in &mut sent[102..] {
        sent.ticks += 200 * 48;
    }
    let player = Player::run(JitterConfig::default().max_late(ms(0)), &sent);
    assert_eq!(player.losses(), [(100, 1), (100_101, 1)]);
    assert_eq!((player.stats().resyncs, player.ids().len()), (1, 398));
}

#[test]
fn a_month_is_not_too_long() {
    let mut player = Player::new(JitterConfig::default());
    let hour = 3_600 * 1_000_000;
    for seq in 0..24 * 60 {
        let (at, ticks) = (seq * hour, seq * 3_600 * 48_000);
        let verdict = player.send(seq as u64, Sent { at, ticks, ..Sent::new(seq, 0) });
        assert_eq!(verdict, Verdict::Queued, "hour {seq}");
    }
    player.pass(1_000_000);
    assert_eq!(player.ids().len(), 24 * 60);
    for (hours, heard) in player.heard.iter().enumerate() {
        let Heard::Play { at, .. } = *heard else { panic!("{heard:?}") };
        assert_eq!(at, (hours as i64 * hour + 20_000) * 1_000);
    }
}

#[test]
fn an_instant_before_the_last_one_counts_as_the_last_one() {
    let mut player = Player::run(JitterConfig::default(), &clean(100, 0));
    // By a clock that was wrong once.
    let unit = Player::unit(100, Sent::new(100, 0));
    player.pass(60_000_000);
    let _ = player.insert(player.now_micros(), unit);
    for seq in 101..1_100 {
        let _ = player.send(seq as u64, Sent::new(seq, 0));
    }
    player.pass(5_000_000);
    assert!(player.ids().len() >= 600, "{}", player.ids().len());
}

#[test]
fn another_clock_is_no_part_of_the_stream() {
    let mut player = Player::run(JitterConfig::default(), &clean(10, 0));
    let time = MediaTime::new(TICKS, Frequency::VIDEO);
    let at = player.now_micros();
    assert_eq!(player.insert(at, Unit::new(SeqNo::new(SEQ + 10), time, 1)), Verdict::Probation);
    let mut sent = clean(20, at).split_off(10);
    sent.iter_mut().for_each(|sent| sent.ticks += at * 48 / 1_000);
    for (id, sent) in sent.into_iter().enumerate() {
        assert_eq!(player.send(20 + id as u64, sent), Verdict::Queued);
    }
    assert_eq!(player.stats().outliers, 1);
}

// A sender that goes over to another codec, and a first packet that was not its.
#[test]
fn two_packets_of_another_clock_are_a_jump() {
    for before in [1, 100] {
        let mut player = Player::new(JitterConfig::default());
        for sent in clean(before, 0) {
            let _ = player.send(sent.seq as u64, sent);
        }
        player.buffer.set_drift(0.0);
        for seq in before..400 {
            let ticks = TICKS.wrapping_add_signed(seq * 1_800);
            let time = MediaTime::new(ticks, Frequency::VIDEO);
            let unit = Unit::new(SeqNo::new(SEQ + seq as u64), time, seq as u64);
            let _ = player.insert(seq * 20_000, unit);
        }
        player.pass(1_000_000);
        assert_eq!(player.ids(), (0..400).collect::<Vec<_>>());
        assert_eq!((player.stats().resyncs, player.losses()), (1, vec![]));
        assert!(player.delays().iter().all(|&(_, delay)| delay <= 40_001));
    }
}
