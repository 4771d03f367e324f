//! Retransmissions: a gap is waited for while that costs less than the loss.

#[allow(dead_code, reason = "each file takes what it needs")]
mod support;

use paceline_jitter::{JitterConfig, Verdict};
use support::scenarios::{by_arrival, clean};
use support::{Heard, Player, Sent, ms};

/// A stream of which each number in `missing` comes `after` microseconds after the
/// packet behind it, asked for again.
fn resent(count: i64, missing: &[i64], after: i64) -> Vec<Sent> {
    let mut sent = clean(count, 0);
    for &seq in missing {
        let again = &mut sent[seq as usize];
        (again.at, again.retransmitted) = ((seq + 1) * 20_000 + after, true);
    }
    by_arrival(sent)
}

fn run(round_trip: u64, sent: &[Sent]) -> Player {
    let mut player = Player::new(JitterConfig::default());
    player.buffer.set_round_trip(Some(ms(round_trip)));
    for sent in sent {
        let _ = player.send(sent.seq as u64, *sent);
    }
    player.pass(5_000_000);
    player.assert_in_order();
    player
}

// test_rtx_expected_next, test_rtx_buffer_arrives_just_in_time.
#[test]
fn what_comes_again_in_time_is_played_and_nothing_is_lost() {
    for round_trip in [5, 19, 21, 35] {
        let sent = resent(500, &[100, 200, 201, 300], 1_000 * round_trip - 100);
        let player = run(round_trip as u64, &sent);
        assert_eq!(player.losses(), [], "round trip of {round_trip} ms");
        assert_eq!(player.ids(), (0..500).collect::<Vec<_>>());
        assert!(player.stats().waited <= ms(4 * (round_trip as u64 + 20)));
    }
}

// test_rtx_not_bursting_requests, test_rtx_rtt_larger_than_retry_timeout: a round trip
// that is not worth it is not waited for.
#[test]
fn a_round_trip_that_costs_more_than_the_loss_is_not_waited_for() {
    let player = run(150, &resent(500, &[100, 200, 300], 150_000));
    assert_eq!(player.losses(), [(100, 1), (200, 1), (300, 1)]);
    assert!(player.delays().iter().all(|&(_, delay)| delay == 20_000));
    assert_eq!((player.stats().late, player.stats().lost), (3, 3));
}

// test_rtx_buffer_arrives_too_late, test_rtx_two_missing, test_rtx_packet_delay.
#[test]
fn what_comes_again_too_late_is_lost_after_the_round_trip() {
    let player = run(30, &resent(500, &[100], 60_000));
    assert_eq!(player.losses(), [(100, 1)]);
    assert_eq!(player.stats().late, 1);
    let told = player.heard.iter().find_map(|heard| match *heard {
        Heard::Lost { at, .. } => Some(at),
        Heard::Play { .. } => None,
    });
    // The one behind it came at 2,020 ms and was due at 2,040.
    assert!(told.is_some_and(|at| (2_050_000_000..2_055_000_000).contains(&at)), "{told:?}");
}

// test_rtx_same_delay_and_retry_timeout, the variant in which it never comes: who is
// woken up polls once for each wait, not in a circle.
#[test]
fn what_never_comes_is_told_after_the_round_trip_and_nobody_is_woken_in_vain() {
    let mut sent = clean(500, 0);
    sent.retain(|sent| ![100, 250, 251, 252].contains(&sent.seq));
    let player = run(30, &sent);
    assert_eq!(player.losses(), [(100, 1), (250, 3)]);
    // The delay is back where it was.
    assert_eq!(player.delays().last(), Some(&(499, 20_000)));
}

#[test]
fn a_packet_behind_the_gap_does_not_wait_longer_for_a_second_gap() {
    let mut sent = clean(300, 0);
    sent.retain(|sent| sent.seq < 100 || sent.seq % 2 == 0);
    let player = run(30, &sent);
    assert_eq!(player.losses().len(), 99);
    let most = player.delays().iter().map(|&(_, delay)| delay).max();
    assert!(most.is_some_and(|most| most <= 220_000), "{most:?}");
}

#[test]
fn without_a_round_trip_nothing_is_waited_for() {
    let mut player = Player::new(JitterConfig::default());
    player.buffer.set_round_trip(Some(ms(30)));
    player.buffer.set_round_trip(None);
    for sent in resent(200, &[100], 30_000) {
        let _ = player.send(sent.seq as u64, sent);
    }
    player.pass(1_000_000);
    assert_eq!(player.losses(), [(100, 1)]);
}

// test_rtx_with_backwards_rtp_timestamp, test_rtx_timer_reuse: it says nothing of the
// network.
#[test]
fn what_was_retransmitted_is_not_taken_for_jitter() {
    let again = run(30, &resent(500, &[100, 200, 300], 30_000));
    assert!(again.stats().jitter < ms(1), "{:?}", again.stats().jitter);
    let mut sent = resent(500, &[100, 200, 300], 30_000);
    sent.iter_mut().for_each(|sent| sent.retransmitted = false);
    assert!(run(30, &sent).stats().jitter > again.stats().jitter);
}

// The original and what was asked for again both come: one of them is a duplicate.
#[test]
fn an_original_that_was_only_late_makes_the_retransmission_a_duplicate() {
    let mut sent = resent(200, &[100], 30_000);
    sent.push(Sent { at: 2_035_000, ..Sent::new(100, 0) });
    let player = run(30, &by_arrival(sent));
    assert_eq!((player.losses(), player.stats().duplicate), (vec![], 1));
}

// No room: the gap is given up, for what is refused meanwhile is lost for certain.
#[test]
fn a_full_buffer_waits_for_nothing() {
    let config = JitterConfig::default().capacity(2);
    let mut player = Player::new(config);
    player.buffer.set_round_trip(Some(ms(30)));
    for seq in 0..50 {
        let _ = player.send(seq as u64, Sent::new(seq, 0));
    }
    for seq in 51..55 {
        let at = 51 * 20_000;
        assert_eq!(player.send(seq as u64, Sent { at, ..Sent::new(seq, 0) }), Verdict::Queued);
    }
    player.pass(1_000_000);
    assert_eq!(player.losses(), [(50, 1)]);
    assert_eq!(player.stats().full, 0);
}

// test_rtx_..._retransmitted: one that claims the future.
#[test]
fn a_retransmission_of_the_future_holds_up_nothing_beyond_the_cap() {
    for missing in [199, 1_000] {
        let mut sent = clean(500, 0);
        let forged = &mut sent[200];
        (forged.retransmitted, forged.ticks) = (true, forged.ticks + 1_900 * 48);
        sent.retain(|sent| sent.seq != missing);
        let player = run(30, &sent);
        let most = player.delays().iter().map(|&(_, delay)| delay).max();
        assert!(most.is_some_and(|most| most <= 220_000), "{most:?}");
    }
}

/// The time that was waited is delay from then on, and goes at the pace of the config: what
/// queued up meanwhile does not come at once.
#[test]
fn what_is_waited_for_in_vain_is_no_burst_afterwards() {
    let mut sent = clean(500, 0);
    sent.remove(100);
    let player = run(80, &sent);
    assert_eq!(player.losses(), [(100, 1)]);
    let plays = player.plays();
    for pair in plays.windows(2) {
        let apart = pair[1].1 - pair[0].1;
        assert!(apart >= 18_999_999, "{pair:?}: {apart} ns apart");
    }
    assert!(player.stats().waited >= ms(40), "{:?}", player.stats());
    assert!(player.stats().max_delay >= ms(60), "{:?}", player.stats());
}
