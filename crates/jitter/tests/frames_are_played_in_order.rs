//! Order, and what is told of what did not come: the list of behaviours that
//! GStreamer's tests of rtpjitterbuffer are, as far as a buffer with an adaptive delay
//! has them. The comments name theirs.

#[allow(dead_code, reason = "each file takes what it needs")]
mod support;

use paceline_jitter::{JitterBuffer, JitterConfig, Output, State, Verdict};
use support::scenarios::{clean, jittery};
use support::{Heard, Player, Sent, ms};

/// Sends numbers of a stream of 20 ms in this order, one each millisecond.
fn send_at_once(player: &mut Player, numbers: &[i64]) -> Vec<Verdict<u64>> {
    let send = |(at, &seq): (usize, &i64)| {
        player.send(seq as u64, Sent { at: at as i64 * 1_000, ..Sent::new(seq, 0) })
    };
    numbers.iter().enumerate().map(send).collect()
}

// test_push_forward_seq.
#[test]
fn numbers_that_come_in_order_are_played_in_order() {
    let player = Player::run(JitterConfig::default(), &clean(50, 0));
    assert_eq!(player.ids(), (0..50).collect::<Vec<_>>());
    assert_eq!(player.losses(), []);
}

// test_push_backward_seq.
#[test]
fn numbers_that_come_backwards_are_played_forwards() {
    let config = JitterConfig::default().min_delay(ms(200)).start_delay(ms(200));
    let mut player = Player::new(config);
    let verdicts = send_at_once(&mut player, &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(verdicts, vec![Verdict::Queued; 10]);
    player.pass(1_000_000);
    assert_eq!(player.ids(), (0..10).collect::<Vec<_>>());
    assert_eq!(player.losses(), []);
}

// test_push_unordered.
#[test]
fn numbers_that_come_in_any_order_are_played_in_order() {
    let mut player = Player::new(JitterConfig::default());
    send_at_once(&mut player, &[1, 4, 0, 2, 5, 3, 9, 7, 6, 8]);
    player.pass(1_000_000);
    assert_eq!(player.ids(), (0..10).collect::<Vec<_>>());
    assert_eq!(player.losses(), []);
}

// test_basic, and the state of theirs before the first buffer.
#[test]
fn the_state_follows_what_is_held() {
    let mut player = Player::new(JitterConfig::default());
    assert_eq!(player.buffer.state(), State::Empty);
    assert_eq!((player.buffer.poll_timeout(), player.buffer.pace()), (None, 0.0));
    let _ = player.send(0, Sent::new(0, 0));
    assert_eq!(player.buffer.state(), State::Buffering);
    player.pass(20_000);
    assert_eq!(player.buffer.state(), State::Underrun);
    let _ = player.send(1, Sent::new(1, 0));
    assert_eq!(player.buffer.state(), State::Stable);
}

// test_lost_event: what is missing is told when what follows it is due, not before.
#[test]
fn a_loss_is_told_at_the_instant_at_which_the_next_is_played() {
    let mut sent = clean(20, 0);
    sent.remove(7);
    let player = Player::run(JitterConfig::default(), &sent);
    assert_eq!(player.losses(), [(7, 1)]);
    let at = player.heard.iter().position(|heard| heard.id().is_none()).unwrap();
    let [Heard::Lost { at: told, .. }, Heard::Play { at: played, due, .. }] =
        player.heard[at..at + 2]
    else {
        panic!("{:?}", player.heard)
    };
    assert_eq!((told, played, due), (180_000_000, 180_000_000, 180_000_000));
    player.assert_in_order();
}

// test_only_one_lost_event_on_large_gaps, test_two_lost_one_arrives_in_time: a gap is
// one report, also right after an outage of many spacings.
#[test]
fn a_large_gap_is_one_report() {
    let mut sent = clean(300, 0);
    sent.drain(20..140);
    let player = Player::run(JitterConfig::default(), &sent);
    assert_eq!(player.losses(), [(20, 120)]);
    assert_eq!(player.stats().lost, 120);
    let mut sent = clean(30, 0);
    sent.remove(9);
    sent.remove(7);
    assert_eq!(Player::run(JitterConfig::default(), &sent).losses(), [(7, 1), (9, 1)]);
}

// test_loss_equidistant_spacing_with_parameter_packets, test_lost_event_uses_pts:
// packets that share a time (a picture, a parameter set) with some of them missing.
#[test]
fn losses_without_a_time_of_their_own_are_told_before_what_shares_it() {
    let mut player = Player::new(JitterConfig::video());
    for seq in (0..30).filter(|seq| ![4, 10, 11].contains(seq)) {
        let picture = seq / 3;
        let at = picture * 33_000;
        let _ = player.send(seq as u64, Sent { at, ticks: picture * 1_584, ..Sent::new(seq, 0) });
    }
    player.pass(1_000_000);
    assert_eq!(player.losses(), [(4, 1), (10, 2)]);
    let at = |wanted: u64| {
        let heard = player.heard.iter().find(|heard| heard.id() == Some(wanted));
        let Some(Heard::Play { at, .. }) = heard else { panic!("{wanted} was not played") };
        *at
    };
    assert_eq!(at(3), at(5), "one picture is due at once");
    player.assert_in_order();
}

// test_late_packets_still_makes_lost_events, test_two_lost_one_arrives_in_time.
#[test]
fn one_of_two_that_are_missing_comes_in_time() {
    let sent = [0, 1, 2, 5, 4, 6].map(|seq| Sent { at: seq * 20_000, ..Sent::new(seq, 0) });
    let mut player = Player::new(JitterConfig::default().min_delay(ms(60)).start_delay(ms(60)));
    for (id, sent) in sent.into_iter().enumerate() {
        let at = if sent.seq == 4 { 105_000 } else { sent.at };
        let _ = player.send(id as u64, Sent { at, ..sent });
    }
    player.pass(1_000_000);
    assert_eq!(player.losses(), [(3, 1)]);
    assert_eq!(player.ids(), [0, 1, 2, 4, 3, 5]);
}

// test_num_late_when_considered_lost_arrives.
#[test]
fn what_comes_after_it_was_told_lost_is_handed_back_and_counted_once() {
    let mut player = Player::new(JitterConfig::default());
    for seq in [0, 1, 3, 4] {
        let _ = player.send(seq as u64, Sent::new(seq, 0));
    }
    player.pass(30_000);
    assert_eq!(player.losses(), [(2, 1)]);
    assert_eq!(player.send(2, Sent::new(2, 90_000)), Verdict::Late(2));
    assert_eq!(player.send(22, Sent::new(2, 95_000)), Verdict::Duplicate(22));
    let stats = player.stats();
    assert_eq!((stats.lost, stats.late, stats.duplicate), (1, 1, 1));
    let _ = player.send(5, Sent::new(5, 50_000));
    player.pass(1_000_000);
    assert_eq!(player.ids(), [0, 1, 3, 4, 5]);
    player.assert_in_order();
}

// Of the last 256 it is known which came.
#[test]
fn a_duplicate_is_told_from_what_comes_too_late() {
    let mut sent = clean(400, 0);
    sent.retain(|sent| sent.seq % 7 != 3);
    let mut player = Player::run(JitterConfig::default(), &sent);
    let at = player.now_micros();
    for seq in 150..400_i64 {
        let verdict = player.send(1_000, Sent { at, ..Sent::new(seq, 0) });
        let expected = if seq % 7 == 3 { Verdict::Late(1_000) } else { Verdict::Duplicate(1_000) };
        assert_eq!(verdict, expected, "{seq}");
    }
}

// test_drop_messages_too_late, _already_lost, _drop_on_latency, _interval: what is
// refused comes back with its reason, and each reason has its count.
#[test]
fn whatever_is_refused_is_handed_back_and_counted() {
    let config = JitterConfig::default().capacity(4).min_delay(ms(100)).start_delay(ms(100));
    let mut player = Player::new(config);
    let at_start = |seq| Sent { at: 0, ..Sent::new(seq, 0) };
    assert_eq!(player.send(10, at_start(0)), Verdict::Queued);
    assert_eq!(player.send(11, at_start(0)), Verdict::Duplicate(11));
    // It has no room, so the first is played early; then it has.
    assert_eq!(player.send(12, at_start(4)), Verdict::Queued);
    assert_eq!(player.ids(), [10]);
    assert_eq!(player.send(13, at_start(0)), Verdict::Duplicate(13));
    assert_eq!(player.send(14, at_start(-1)), Verdict::Late(14));
    let far = Sent { seq: 1_000_000, ..at_start(0) };
    assert_eq!(player.send(15, far), Verdict::Probation);
    assert_eq!(player.send(16, at_start(1)), Verdict::Queued);
    let stats = player.stats();
    assert_eq!((stats.queued, stats.duplicate, stats.late), (3, 2, 1));
    assert_eq!((stats.outliers, stats.early, stats.full), (1, 1, 0));
    player.pass(1_000_000);
    assert_eq!(player.losses(), [(2, 2)]);
    assert_eq!(player.ids(), [10, 16, 12]);
}

// test_considered_lost_packet_in_large_gap_arrives, test_fill_queue.
#[test]
fn a_full_buffer_refuses_until_something_is_taken() {
    let config = JitterConfig::default().min_delay(ms(200)).start_delay(ms(200));
    let mut buffer = JitterBuffer::new(config.capacity(4));
    #[expect(clippy::disallowed_methods, reason = "a test needs an epoch")]
    let start = std::time::Instant::now();
    for seq in 0..5 {
        let unit = Player::unit(seq, Sent::new(seq as i64, 0));
        assert_eq!(buffer.insert(start, unit), Verdict::Queued);
    }
    let sixth = Player::unit(5, Sent::new(5, 0));
    assert_eq!(buffer.insert(start, sixth), Verdict::Full(5));
    let Output::Play { payload: 0, .. } = buffer.poll(start) else { panic!("not played early") };
    assert_eq!(buffer.insert(start, sixth), Verdict::Queued);
    assert_eq!((buffer.stats().full, buffer.stats().early), (1, 1));
    let played = std::iter::from_fn(|| match buffer.poll(start + ms(500)) {
        Output::Play { payload, .. } => Some(payload),
        _ => None,
    });
    assert_eq!(played.collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

// test_all_packets_are_timestamped_zero.
#[test]
fn packets_with_one_timestamp_are_played_in_order() {
    let mut player = Player::new(JitterConfig::default());
    for seq in [0, 3, 1, 2, 5] {
        let sent = Sent { at: 0, ticks: 0, ..Sent::new(seq, 0) };
        assert_eq!(player.send(seq as u64, sent), Verdict::Queued);
    }
    player.pass(1_000_000);
    assert_eq!(player.ids(), [0, 1, 2, 3, 5]);
    assert_eq!(player.losses(), [(4, 1)]);
    let plays = player.heard.iter().filter(|heard| heard.id().is_some());
    assert!(plays.into_iter().all(|heard| matches!(heard, Heard::Play { at: 20_000_000, .. })));
}

// The same with a sender whose clock stands still: it is heard again and again, though
// never on time.
#[test]
fn a_clock_that_stands_still_does_not_mute_a_stream_for_good() {
    let sent: Vec<_> = clean(500, 0).into_iter().map(|sent| Sent { ticks: 0, ..sent }).collect();
    let player = Player::run(JitterConfig::default(), &sent);
    assert!(player.longest_silence() <= 1_000, "{} ms", player.longest_silence());
    assert!(player.plays().last().is_some_and(|&(_, at, _)| at > 9_000_000_000));
    player.assert_in_order();
}

// test_reorder_of_non_equidistant_packets.
#[test]
fn packets_of_uneven_spacing_are_put_in_order() {
    let spans = [0_i64, 20, 30, 90, 95, 155, 160, 161, 220, 260];
    let mut order: Vec<_> = spans.into_iter().enumerate().collect();
    order.swap(3, 4);
    order.swap(6, 7);
    let mut player = Player::new(JitterConfig::default());
    for (seq, span) in order {
        let at = (span * 1_000).max(player.now_micros());
        let _ = player.send(seq as u64, Sent { at, ticks: span * 48, ..Sent::new(seq as i64, 0) });
    }
    player.pass(1_000_000);
    assert_eq!(player.ids(), (0..10).collect::<Vec<_>>());
    assert_eq!(player.losses(), []);
    for (heard, span) in player.heard.iter().zip(spans) {
        let Heard::Play { due, .. } = *heard else { unreachable!("none is lost") };
        assert_eq!(due, (span + 20) * 1_000_000);
    }
}

// test_minor_reorder_does_not_skew.
#[test]
fn reorder_within_the_delay_does_not_move_it() {
    let mut sent = clean(500, 0);
    for pair in sent.chunks_mut(10) {
        // The sixth comes right after the seventh.
        pair[5].at = pair[6].at + 100;
        pair.swap(5, 6);
    }
    let config = JitterConfig::default().min_delay(ms(40)).start_delay(ms(40));
    let player = Player::run(config, &sent);
    assert_eq!(player.delays().iter().find(|&&(_, delay)| delay != 40_000), None);
    assert_eq!((player.lost(), player.stats().waited), (0, ms(0)));
}

#[test]
fn jitter_is_ridden_out_in_order() {
    let player = Player::run(JitterConfig::default(), &jittery(2_000, 60_000, 11));
    player.assert_in_order();
    let stats = player.stats();
    assert_eq!(stats.played + stats.lost, 2_000);
    assert!(player.lost() <= 40, "{} of 2,000 lost", player.lost());
}
