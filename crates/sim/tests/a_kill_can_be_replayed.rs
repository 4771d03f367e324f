//! A seed decides everything that happens in a room whose hosts are killed.

use paceline_sim::kills::{Profile, Room, Tally, json, plot, table};

#[test]
fn the_same_seed_is_the_same_room_to_the_letter() {
    for name in ["wan5", "partition", "amnesia"] {
        let profile = Profile::named(name).expect("a profile of this name");
        let run = || Room::new(&profile, 7).with_transcript().run(2).transcript;
        let (once, again) = (run(), run());
        assert!(once.as_ref().is_some_and(|text| text.lines().count() > 1_000), "{name}");
        assert_eq!(once, again, "{name}");
    }
}

#[test]
fn another_seed_is_another_room() {
    let profile = Profile::named("wan5").expect("a profile of this name");
    let run = |seed| Room::new(&profile, seed).with_transcript().run(1).transcript;
    assert_ne!(run(7), run(8));
}

#[test]
fn writing_everything_down_changes_nothing() {
    let profile = Profile::named("partition").expect("a profile of this name");
    let silent = Room::new(&profile, 9).run(3);
    let written = Room::new(&profile, 9).with_transcript().run(3);
    assert_eq!((silent.elapsed, silent.flaps), (written.elapsed, written.flaps));
    let at = |kills: &[paceline_sim::kills::Kill]| {
        Vec::from_iter(kills.iter().map(|kill| (kill.at, kill.failover(), kill.last())))
    };
    assert_eq!(at(&silent.kills), at(&written.kills));
}

/// What is written for machines is JSON, and tells what is in the tally.
#[test]
fn a_tally_is_told_in_three_ways() {
    let profile = Profile::named("lan5").expect("a profile of this name");
    let mut tally = Tally::new(&profile);
    for seed in 1..=3 {
        tally.add(seed, &Room::new(&profile, seed).run(2));
    }
    let tallies = [tally.clone()];
    let line = json(&tallies);
    assert!(line.contains(&format!("\"kills\":{}", tally.kills)), "{line}");
    assert!(line.contains("\"split_brains\":0") && line.contains("\"p99\":"), "{line}");
    assert_eq!(line.matches('{').count(), line.matches('}').count(), "{line}");
    assert!(table(&tallies).contains("lan5"));
    let picture = plot(&tallies);
    assert!(picture.trim_end().ends_with("</svg>") && picture.contains("<polyline"));
}
