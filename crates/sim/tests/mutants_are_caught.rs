//! What sees no two hosts sees them where a machine lacks one of its rules.

#![cfg(feature = "__mutants")]

use paceline_migration::{MigrationConfig, Mutant};
use paceline_sim::kills::{Profile, Room, Split, Tally, schedule};

/// Rooms until one shows it.
const ROOMS: u64 = 300;

/// Opens rooms until one shows a split of this kind.
fn assert_caught(mutant: Mutant, profile: &str, kind: Split) {
    let profile = Profile::named(profile).expect("a profile of this name");
    let profile = profile.migration(MigrationConfig::default().mutant(mutant));
    let mut tally = Tally::new(&profile);
    for seed in 1..=ROOMS {
        tally.add(seed, &Room::new(&profile, seed).run(3));
        if tally.splits.contains_key(&kind) {
            println!("{mutant:?} after {seed} rooms: {:?}", tally.splits);
            return;
        }
    }
    panic!("{mutant:?} was not caught in {ROOMS} rooms: {:?}", tally.splits);
}

#[test]
fn without_a_quorum_there_are_two() {
    assert_caught(Mutant::NoQuorum, "partition", Split::OneEpoch);
    assert_caught(Mutant::NoQuorum, "two_dark", Split::WithoutQuorum);
}

#[test]
fn without_the_fence_the_old_host_is_rendered() {
    assert_caught(Mutant::NoFence, "partition", Split::StaleRendered);
}

#[test]
fn who_does_not_fence_himself_sends_on() {
    assert_caught(Mutant::NoSelfFencing, "partition", Split::AtOnce);
}

#[test]
fn who_forgets_his_votes_votes_for_two() {
    assert_caught(Mutant::VoteAmnesia, "partition", Split::AtOnce);
}

/// The same rooms with machines that lack nothing show nothing: it is the rule that is
/// missing, and not the observer who is wrong.
#[test]
fn with_all_rules_nothing_is_caught() {
    for name in ["partition", "two_dark"] {
        let profile = Profile::named(name).expect("a profile of this name");
        let mut tally = Tally::new(&profile);
        for seed in 1..=100 {
            tally.add(seed, &Room::new(&profile, seed).run(3));
        }
        assert_eq!(tally.split_brains(), 0, "{:#?}", tally.findings);
    }
}

/// The schedules of the machines alone see those that media are not needed for.
#[test]
fn schedules_catch_them_too() {
    for mutant in [Mutant::NoQuorum, Mutant::NoSelfFencing, Mutant::VoteAmnesia] {
        let config = MigrationConfig::default().mutant(mutant);
        let is_caught = |seed| !schedule(&config, seed, 150).violations.is_empty();
        let seed = (0..20_000).find(|&seed| is_caught(seed));
        println!("{mutant:?}: schedule {seed:?}");
        assert!(seed.is_some(), "{mutant:?} was not caught");
    }
}
