//! Whatever a network and a sender do: what comes out is in order, nothing twice, and
//! each number is played or told lost.

#[allow(dead_code, reason = "each file takes what it needs")]
mod support;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use paceline_jitter::types::{Frequency, MediaTime, SeqNo};
use paceline_jitter::{JitterBuffer, JitterConfig, Output, Unit, Verdict};
use proptest::prelude::*;
use support::{Heard, Player, SEQ, Sent, ms};

fn config() -> impl Strategy<Value = JitterConfig> {
    let durations = (0_u64..250, 0_u64..250, 0_u64..250, 1_u64..100);
    let rest = (1_usize..200, 0.0..1.0, any::<bool>());
    (durations, rest).prop_map(|((least, more, late, price), (capacity, pace, talkspurts))| {
        JitterConfig::default()
            .min_delay(ms(least))
            .max_delay(ms(least + more))
            .start_delay(ms(more))
            .max_late(ms(late))
            .loss_price(ms(price))
            .capacity(capacity)
            .max_pace(pace)
            .talkspurts(talkspurts)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A stream of which each packet is lost, doubled, late and asked for again.
    #[test]
    fn what_comes_out_is_in_order_and_whole(
        config in config(),
        round_trip in prop::option::of(0_u64..300),
        fates in prop::collection::vec((0_i64..300, 0_i64..400_000, any::<bool>()), 1..400),
    ) {
        let mut sent: Vec<_> = fates
            .iter()
            .map(|&(seq, delay, retransmitted)| Sent { retransmitted, ..Sent::new(seq, delay) })
            .collect();
        sent.sort_by_key(|sent| sent.at);
        let mut player = Player::new(config);
        player.buffer.set_round_trip(round_trip.map(ms));
        let mut taken = BTreeSet::new();
        let mut refused = 0;
        for (id, sent) in sent.iter().enumerate() {
            match player.send(id as u64, *sent) {
                Verdict::Queued => prop_assert!(taken.insert(id as u64)),
                verdict @ (Verdict::Duplicate(back) | Verdict::Full(back) | Verdict::Late(back)) => {
                    prop_assert_eq!(back, id as u64, "{:?}", verdict);
                    refused += 1;
                }
                verdict => prop_assert!(false, "{verdict:?}: nothing is far away"),
            }
        }
        player.pass(5_000_000);
        player.assert_in_order();
        // What was taken is played, each once.
        let ids = player.ids();
        prop_assert_eq!(ids.iter().copied().collect::<BTreeSet<_>>(), taken);
        for heard in &player.heard {
            if let Heard::Play { at, due, seq, id } = *heard {
                prop_assert_eq!(seq, SEQ + sent[id as usize].seq as u64);
                prop_assert!(at >= sent[id as usize].at * 1_000);
                prop_assert!(due <= at || player.stats().early > 0);
            }
        }
        let stats = player.stats();
        prop_assert_eq!(stats.played, ids.len() as u64);
        prop_assert_eq!(stats.queued, stats.played);
        prop_assert_eq!(stats.lost, player.lost());
        prop_assert_eq!(stats.late + stats.duplicate + stats.full, refused);
        prop_assert_eq!((stats.outliers, stats.resyncs), (0, 0));
    }

    /// A stream is heard after whatever came before it.
    #[test]
    fn after_anything_a_clean_stream_is_heard_within_three_seconds(
        config in config(),
        wild in prop::collection::vec((any::<i64>(), any::<i64>(), 0_i64..200_000), 0..50),
        near in prop::collection::vec((-4_000_i64..4_000, -100_000_i64..100_000), 0..50),
        order in any::<u64>(),
    ) {
        let mut player = Player::new(config);
        let mut hostile: Vec<_> = wild;
        hostile.extend(near.into_iter().map(|(seq, ticks)| (seq, ticks, 10_000)));
        let mut dice = support::Dice(order);
        for last in (1..hostile.len()).rev() {
            hostile.swap(last, dice.below(last as u64 + 1) as usize);
        }
        for (seq, ticks, span) in hostile {
            let at = player.now_micros() + span;
            let _ = player.send(0, Sent { at, seq, ticks, ..Sent::new(0, 0) });
        }
        let start = player.now_micros();
        for seq in 0..400 {
            let sent = Sent { at: start + seq * 20_000, seq: seq + (1 << 50), ..Sent::new(seq, 0) };
            let _ = player.send(1_000 + seq as u64, sent);
        }
        player.pass(5_000_000);
        let heard = player.ids().into_iter().filter(|&id| id >= 1_000).collect::<Vec<_>>();
        // What is in time passes for the stream: at most 2 s of it hold up the rest.
        prop_assert!(heard.iter().any(|&id| id < 1_150), "{:?}", heard.first());
        prop_assert!(heard.len() >= 200, "{} of 400", heard.len());
    }

    /// Any numbers, times, instants, bounds and calls.
    #[test]
    fn nothing_panics_or_hangs(
        bounds in (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()),
        rest in (0_usize..70, any::<u32>(), any::<u64>(), any::<f64>(), 1_u32..3),
        calls in prop::collection::vec(
            (0_u8..9, any::<u64>(), any::<u64>(), any::<u32>(), 0_u32..64), 1..100),
    ) {
        let nanos = Duration::from_nanos;
        let (capacity, max_gap, max_jump, pace, hz) = rest;
        let mut buffer = JitterBuffer::new(
            JitterConfig::default()
                .min_delay(nanos(bounds.0))
                .max_delay(Duration::from_secs(bounds.1 >> 8))
                .max_late(Duration::from_secs(bounds.2))
                .loss_price(Duration::from_secs(bounds.3))
                .start_delay(nanos(bounds.1))
                .max_jump(Duration::from_secs(max_jump))
                .max_gap(max_gap)
                .max_pace(pace)
                .capacity(capacity),
        );
        #[expect(clippy::disallowed_methods, reason = "a test needs an epoch")]
        let start = Instant::now();
        let mut held = 0_i64;
        for (call, seq, ticks, span, shift) in calls {
            let now = start + Duration::from_nanos(u64::from(span) << (shift % 32));
            let hz = NonZeroU32::new(if call == 0 { hz } else { 48_000 }).unwrap();
            let time = MediaTime::new(ticks >> shift, Frequency::new(hz));
            match call {
                0..5 => {
                    let (seq, retransmitted) = (SeqNo::new(seq >> shift), call == 1);
                    let unit = Unit { seq, time, marker: call == 2, retransmitted, payload: () };
                    // A jump takes two.
                    let before = buffer.stats().queued;
                    let _ = buffer.insert(now, unit);
                    held += (buffer.stats().queued - before) as i64;
                }
                5 => buffer.set_drift(f64::from_bits(seq)),
                6 => buffer.set_min_playout_delay(nanos(ticks >> shift)),
                7 => buffer.set_round_trip(Some(nanos(ticks >> shift))),
                _ => {
                    for _ in 0..2 * held + 4 {
                        match buffer.poll(now) {
                            Output::Play { .. } => held -= 1,
                            Output::Lost { count, .. } => prop_assert!(count > 0),
                            Output::Wait(due) => prop_assert_eq!(Some(due), buffer.poll_timeout()),
                            _ => prop_assert_eq!(held, 0),
                        }
                    }
                }
            }
            prop_assert!(buffer.pace().is_finite());
            prop_assert!((0..=held.max(0)).contains(&held));
            let _ = (buffer.playout_time(time), buffer.own_delay(), buffer.state());
        }
        // All that is held comes out in the end.
        for _ in 0..=2 * held + 4 {
            let Some(due) = buffer.poll_timeout() else { break };
            if let Output::Play { .. } = buffer.poll(due) {
                held -= 1;
            }
        }
        prop_assert_eq!((held, buffer.poll_timeout()), (0, None));
    }
}
