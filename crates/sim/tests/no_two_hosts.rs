//! However hosts die, there are never two; and another is seen soon.

use std::time::Duration;

use paceline_sim::kills::{Profile, Room, Tally};

/// Kills in one room: each comes upon what the one before left behind.
const PER_ROOM: usize = 3;

/// In a thousand kills, those after which nobody followed though enough were left, where
/// lines are cut, clocks differ or every tenth packet is lost: most of them when host and
/// standby die at once while a roster is under way. Measured: 0 to 4.
const MAX_STUCK: usize = 5;

fn kill(name: &str, kills: usize) -> Tally {
    let profile = Profile::named(name).expect("a profile of this name");
    let mut tally = Tally::new(&profile);
    for seed in 1.. {
        if tally.kills >= kills {
            break;
        }
        assert!(seed as usize <= kills, "hardly anybody could be killed: {tally:?}");
        tally.add(seed, &Room::new(&profile, seed).run(PER_ROOM));
    }
    assert_eq!(tally.split_brains(), 0, "{:#?}", tally.findings);
    assert!(
        tally.stuck * 1_000 <= MAX_STUCK * tally.kills,
        "{}: {:#?}",
        tally.stuck,
        tally.findings
    );
    tally
}

fn millis(of: Option<Duration>) -> u128 {
    of.expect("some were followed").as_millis()
}

/// The goals for five members or more and a loss of 5 % at most, of virtual time: they
/// are as good as the machines, and no slower on a busy computer.
fn assert_goals(tally: &Tally, most: u128) {
    let [p50, p99] = [0.5, 0.99].map(|share| millis(tally.failover(share)));
    assert!(p50 <= 600, "{}: half took {p50} ms", tally.name);
    assert!(p99 <= most, "{}: one in a hundred took {p99} ms", tally.name);
    assert_eq!(tally.stuck, 0, "{}: {:#?}", tally.name, tally.findings);
    assert!(tally.unpromised * 5 < tally.kills, "{}: {}", tally.name, tally.unpromised);
}

#[test]
fn five_in_a_building() {
    assert_goals(&kill("lan5", 600), 1_000);
}

#[test]
fn five_on_a_continent() {
    assert_goals(&kill("wan5", 800), 1_000);
}

#[test]
fn eight_of_whom_some_are_on_busy_radio() {
    // The goal is 1,000 ms. It is missed where the standby dies with the host while a roster
    // is under way: those who are left have to be connected first.
    assert_goals(&kill("wan8", 600), 1_500);
}

#[test]
fn eight_who_lose_every_tenth_packet() {
    kill("wan8bad", 600);
}

#[test]
fn five_whose_lines_are_cut_and_healed() {
    kill("partition", 800);
}

#[test]
fn five_whose_clocks_are_a_thousandth_apart_and_who_stand_still_at_times() {
    kill("skew", 600);
}

#[test]
fn five_who_come_back_without_a_memory() {
    kill("amnesia", 600);
}

#[test]
fn two_and_the_witness() {
    let tally = kill("two", 400);
    let promised = tally.kills - tally.unpromised;
    // Who dies while the news of who votes is on its way to the other takes the room along.
    assert!(tally.stuck <= 1, "{tally:#?}");
    assert_eq!(tally.failover.len() + tally.stuck, promised, "{tally:#?}");
}

/// Without the witness one of two takes over from nobody: it could be that only their
/// connection is gone.
#[test]
fn two_in_the_dark() {
    let tally = kill("two_dark", 200);
    assert_eq!((tally.unpromised, tally.failover.len()), (tally.kills, 0));
}
