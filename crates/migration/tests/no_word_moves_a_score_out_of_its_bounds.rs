//! Whatever is said, in whatever order.

mod room;

use std::time::Duration;

use paceline_framing::{Mapping, MemberQuality, NatState, NatType, NetworkQuality};
use paceline_migration::types::{Bitrate, PeerId, SenderId};
use paceline_migration::{Candidate, Judge, JudgeConfig, Score};
use proptest::prelude::*;
use room::{Room, candidate, epoch, id};

fn line() -> impl Strategy<Value = MemberQuality> {
    let rtts = any::<[u32; 4]>();
    (0_u32..8, any::<u32>(), any::<u16>(), rtts, 0_u32..3).prop_map(
        |(member, capacity, loss, [min_rtt, mean_rtt, max_rtt, jitter], expected)| MemberQuality {
            member: SenderId::new(member),
            capacity,
            loss,
            min_rtt,
            mean_rtt,
            max_rtt,
            jitter,
            received: u32::MAX,
            expected,
        },
    )
}

fn judge_of(members: usize) -> Judge {
    let mut judge = Judge::new(JudgeConfig::default());
    for member in 0..members {
        assert!(judge.handle_member(epoch(), candidate(member)));
    }
    judge
}

/// What a member is worth if everybody measures this of him.
fn worth(capacity: u32, loss: u16, rtt: u32) -> (Judge, Score) {
    let (mut judge, now) = (judge_of(3), epoch());
    for from in 1..3 {
        let of = MemberQuality {
            member: id(0),
            capacity,
            loss,
            min_rtt: rtt,
            mean_rtt: rtt,
            max_rtt: rtt,
            jitter: 0,
            received: 1,
            expected: 1,
        };
        let quality = NetworkQuality { window: 30_000_000, members: vec![of] };
        judge.handle_quality(now, id(from), &quality);
    }
    let score = judge.scores(now)[0];
    (judge, score)
}

/// Two mixes of 1,250 kbit/s: 3,125 carry them with what is kept free.
#[test]
fn each_term_has_its_bounds() {
    let points = |capacity, loss, rtt| worth(capacity, loss, rtt).1.points;
    assert_eq!(points(3_125, 0, 1), 30_000);
    assert_eq!(points(u32::MAX, 0, 1), 30_000);
    assert_eq!(points(1_563, 0, 1), 15_004);
    assert_eq!(points(1, 0, 1), 9);
    assert_eq!(points(3_125, 0, u32::MAX), 18_000);
    assert_eq!(points(3_125, u16::MAX, 1), 21_000);
    assert_eq!(points(3_125, u16::MAX, u32::MAX), 9_000);

    let (mut judge, now) = (worth(3_125, u16::MAX, u32::MAX).0, epoch());
    judge.set_relayed(now, id(0), true);
    assert_eq!(judge.scores(now)[0].points, 6_000);
    judge.set_headroom(now, id(0), Some(0));
    assert_eq!(judge.scores(now)[0].points, 900);
    judge.set_headroom(now, id(0), Some(255));
    assert_eq!(judge.scores(now)[0].points, 6_000);
}

/// The costs by hand: Idd(100 + 100 ms) = 4.8 + 0.11 · 22.7 = 7.297, less 2.4, of 90.8; and
/// Ie-eff(2 %) = 95 · 2 ÷ 22 = 8.64 of 90.8.
#[test]
fn delay_and_loss_cost_what_the_e_model_says() {
    assert_eq!(worth(9_000, 0, 100_000).1.points, 3 * (10_000 - 539));
    assert_eq!(worth(9_000, 1_311, 1).1.points, 3 * (10_000 - 951));
}

/// `kbit/s ÷ 10 + (100 − loss %) + (100 − min(ms, 100))`, in hundredths.
#[test]
fn the_baseline_is_the_simple_form() {
    assert_eq!(worth(400, 16_384, 30_000).1.baseline, 4_000 + 7_500 + 7_000);
    assert_eq!(worth(u32::MAX, 0, 9).1.baseline, 30_000);
    assert_eq!(worth(10, u16::MAX, u32::MAX).1.baseline, 101);
}

/// Who is not in the room is neither heard nor heard of, and the room has its bound.
#[test]
fn strangers_and_those_beyond_the_bound_are_passed_over() {
    let (now, room) = (epoch(), Room::of(&mut room::Random(7), 40));
    let mut judge = Judge::new(JudgeConfig::default());
    let let_in = (0..40).filter(|member| judge.handle_member(now, candidate(*member))).count();
    assert_eq!(let_in, 32);
    for from in 0..40 {
        let report = room.report(&mut room::Random(from as u64), from, 1.0, |_| true);
        judge.handle_quality(now, id(from), &report);
    }
    let scores = judge.scores(now);
    assert_eq!(scores.len(), 32);
    assert!(scores.iter().all(|score| score.receivers == 31));
    judge.handle_left(now, id(0));
    assert!(judge.scores(now).iter().all(|score| score.receivers == 30));
    assert!(judge.handle_member(now, candidate(0)));
    assert_eq!(judge.scores(now).len(), 31, "who is new was not measured");
}

/// No claim about himself makes any difference to somebody who was measured.
#[test]
fn nobody_is_heard_on_himself() {
    let now = epoch();
    let (honest, mut boaster) = (worth(2_000, 600, 50_000).0, worth(2_000, 600, 50_000).0);
    let nat = NatState {
        nat: NatType::Open,
        mapping: Mapping::EndpointIndependent,
        upload: u32::MAX,
        rtt: 1,
        needs_relay: false,
        tie_break: PeerId::default(),
    };
    assert!(boaster.handle_member(now, Candidate { nat: Some(nat), ..candidate(0) }));
    let of = MemberQuality { capacity: u32::MAX, ..room_line(0) };
    boaster.handle_quality(now, id(0), &NetworkQuality { window: 1, members: vec![of] });
    assert_eq!(boaster.scores(now), honest.scores(now));
}

fn room_line(member: usize) -> MemberQuality {
    let room = Room::of(&mut room::Random(1), 3);
    MemberQuality { member: id(member), ..room.measure(&mut room::Random(2), 1, 0, 0.0) }
}

proptest! {
    /// No report makes it panic or leave 0 to 300, and those of one instant count alike in
    /// whatever order they come.
    #[test]
    fn any_reports_in_any_order_come_to_the_same(
        reports in prop::collection::vec((0_u32..8, prop::collection::vec(line(), 0..12)), 1..12),
        rounds in 1_usize..4,
        turn in 0_usize..12,
        mix in any::<u64>(),
        usable in any::<u32>(),
        smoothing in any::<u32>(),
    ) {
        let config = JudgeConfig::default().mix_bitrate(Bitrate::from_bps(mix)).usable(usable);
        let config = config.smoothing(smoothing);
        let start = epoch();
        let mut judges = [0, 1].map(|_| Judge::new(config.clone()));
        for judge in &mut judges {
            for member in 0..6 {
                let _ = judge.handle_member(start, candidate(member));
            }
            judge.set_host(start, Some(id(2)));
        }
        // One report of each is what an instant has.
        let mut reports = reports;
        reports.sort_by_key(|(from, _)| *from);
        reports.dedup_by_key(|(from, _)| *from);
        let mut turned = reports.clone();
        turned.rotate_left(turn % reports.len());
        for round in 0..rounds {
            let now = start + Duration::from_secs(30 * round as u64);
            for (judge, reports) in judges.iter_mut().zip([&reports, &turned]) {
                for (from, members) in reports {
                    let quality = NetworkQuality { window: 0, members: members.clone() };
                    judge.handle_quality(now, SenderId::new(*from), &quality);
                }
            }
            for later in [0, 10, 20] {
                let now = now + Duration::from_secs(later);
                let [one, other] = &mut judges;
                let decision = one.decide(now);
                prop_assert_eq!(decision, other.decide(now));
                prop_assert_eq!(one.poll_timeout(), other.poll_timeout());
                prop_assert_eq!(one.ranking(now), other.ranking(now));
                let scores = one.scores(now);
                prop_assert_eq!(&scores, &other.scores(now));
                prop_assert!(scores.iter().all(|of| of.points.max(of.baseline) <= 30_000));
                let migrate = decision.and_then(|decision| decision.migrate);
                prop_assert!(migrate.is_none() || migrate != Some(id(2)));
            }
        }
    }
}
