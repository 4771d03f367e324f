//! From what each says of himself, before anybody is measured.

#![allow(clippy::disallowed_methods, reason = "an epoch")]

use paceline_framing::{Mapping, NatState, NatType};
use paceline_migration::types::{PeerId, SenderId};
use paceline_migration::{Candidate, Judge, JudgeConfig, first_host};
use proptest::prelude::*;

fn state(nat: NatType, upload: u32, rtt: u32, needs_relay: bool) -> NatState {
    let mapping = Mapping::EndpointIndependent;
    NatState { nat, mapping, upload, rtt, needs_relay, tie_break: PeerId::default() }
}

fn candidate(id: u32, nat: Option<NatState>) -> Candidate {
    let peer = PeerId::from_random([0xff - id as u8; 16]);
    Candidate { sender: SenderId::new(id), peer, may_host: true, nat }
}

/// Each is better than the next by one thing alone, and worse in all that counts less.
#[test]
fn fewer_relays_then_easier_nat_then_uplink_then_round_trip_then_the_peer() {
    let room = [
        candidate(1, Some(state(NatType::Open, 1, 9, false))),
        candidate(2, Some(state(NatType::PortRestricted, 900, 9_000, false))),
        candidate(3, Some(state(NatType::PortRestricted, 800, 50, false))),
        candidate(4, Some(state(NatType::PortRestricted, 800, 60, false))),
        candidate(6, Some(state(NatType::PortRestricted, 800, 0, false))),
        candidate(5, Some(state(NatType::PortRestricted, 800, 0, false))),
        candidate(7, Some(state(NatType::Symmetric, 0, 0, false))),
        candidate(8, Some(state(NatType::Unknown, 0, 0, false))),
        candidate(9, Some(state(NatType::Open, 9_999, 1, true))),
        candidate(10, Some(state(NatType::Unknown, 0, 0, true))),
        candidate(12, None),
        candidate(11, None),
    ];
    let expected: Vec<_> = room.iter().map(|of| of.sender).collect();
    assert_eq!(first_host(&room), expected);
    let mut turned = room;
    turned.reverse();
    assert_eq!(first_host(&turned), expected);
    turned[3].may_host = false;
    assert!(!first_host(&turned).contains(&turned[3].sender));
}

fn any_state() -> impl Strategy<Value = Option<NatState>> {
    let nat = prop::sample::select(vec![NatType::Open, NatType::Symmetric, NatType::Unknown]);
    prop::option::of(
        (nat, 0_u32..3, 0_u32..3, any::<bool>())
            .prop_map(|(nat, upload, rtt, relay)| state(nat, upload, rtt, relay)),
    )
}

proptest! {
    /// In whatever order members became known, and so does the ranking of a judge who was
    /// told of no measurement.
    #[test]
    fn everybody_computes_the_same_first_host(
        states in prop::collection::vec((any_state(), any::<bool>()), 1..12),
        turn in 0_usize..12,
    ) {
        let mut room: Vec<_> = (0..).zip(states).map(|(id, (nat, may_host))| {
            Candidate { may_host, ..candidate(id, nat) }
        }).collect();
        let order = first_host(&room);
        let turn = turn % room.len();
        room.rotate_left(turn);
        prop_assert_eq!(&first_host(&room), &order);

        let now = std::time::Instant::now();
        let mut judge = Judge::new(JudgeConfig::default());
        for member in room {
            prop_assert!(judge.handle_member(now, member));
        }
        prop_assert_eq!(&judge.ranking(now), &order);
        if let Some((host, others)) = order.split_first() {
            judge.set_host(now, Some(*host));
            prop_assert_eq!(&judge.ranking(now)[..], others);
        }
        prop_assert_eq!(judge.decide(now), None);
    }
}
