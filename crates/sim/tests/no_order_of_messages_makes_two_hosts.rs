//! The machines alone: any message may wait, be lost or come twice, any timer fire late.
//!
//! `SCHEDULES=10000000 cargo test --release -p paceline-sim --test
//! no_order_of_messages_makes_two_hosts` tries more than the hundred thousand that always
//! are.

use paceline_migration::MigrationConfig;
use paceline_sim::kills::schedule;

/// What is tried if nobody says how much.
const SCHEDULES: u64 = 100_000;

/// As many as are running at a time elsewhere.
const PARTS: u64 = 4;

fn try_part(part: u64) {
    let wanted = std::env::var("SCHEDULES").ok().map(|text| text.parse().expect("a number"));
    let wanted: u64 = wanted.unwrap_or(SCHEDULES) / PARTS;
    let config = MigrationConfig::default();
    let (mut elections, mut handovers, mut fenced) = (0, 0, 0);
    for seed in part * wanted..(part + 1) * wanted {
        let scheduled = schedule(&config, seed, STEPS);
        assert!(scheduled.violations.is_empty(), "seed {seed}: {:?}", scheduled.violations);
        elections += u64::from(scheduled.elections);
        handovers += u64::from(scheduled.handovers);
        fenced += u64::from(scheduled.fenced);
    }
    println!("{wanted} schedules: {elections} elections, {handovers} handovers, {fenced} fenced");
    // They are worth something only if hosts change in them.
    assert!(elections > wanted / 100, "{elections} elections in {wanted} schedules");
    assert!(handovers > wanted / 1_000, "{handovers} handovers in {wanted} schedules");
    assert!(fenced > wanted / 100, "{fenced} fenced in {wanted} schedules");
}

/// Steps of a schedule: several leases, and what happens when they run out.
const STEPS: u32 = 150;

#[test]
fn a_first_quarter() {
    try_part(0);
}

#[test]
fn a_second_quarter() {
    try_part(1);
}

#[test]
fn a_third_quarter() {
    try_part(2);
}

#[test]
fn a_last_quarter() {
    try_part(3);
}
