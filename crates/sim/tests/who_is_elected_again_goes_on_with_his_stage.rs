//! A host whom nobody hears for a moment stops by himself, and is elected again: nobody
//! else may host. His mix is the one that everybody knew.

use std::time::Duration;

use paceline_session::Event;
use paceline_sim::{LinkConfig, NodeId, World, WorldConfig};

/// A lease is run out 440 ms after the last renewal that was echoed, and the path is not
/// given up before 2 s.
const SILENCE: Duration = Duration::from_millis(700);

fn fenced(world: &World, node: NodeId) -> usize {
    let events = world.events(node).iter();
    events.filter(|(_, event)| matches!(event, Event::Fenced { .. })).count()
}

#[test]
fn who_is_elected_again_goes_on_with_his_stage() {
    for seed in 1..=3 {
        // Jitter, so that there is something that a stage counts.
        let link = LinkConfig::wan().loss(0.0);
        let config = WorldConfig::default().seed(seed).link(link);
        let mut world = World::new(config);
        let ann = world.join_to_host("ann");
        let ben = world.join("ben");
        let cal = world.join("cal");
        world.run_for(Duration::from_secs(10));
        let before = world.report();
        let stage = world.source_stats(ann, ben).expect("he is on the stage");
        let [(_, epoch)] = world.hosts()[..] else { panic!("seed {seed}: {:?}", world.hosts()) };

        world.isolate(ann);
        world.run_for(SILENCE);
        assert_eq!((fenced(&world, ann), world.hosts()), (1, Vec::new()), "seed {seed}");
        // What nobody else hears is not heard here either.
        let dark = world.report();
        world.run_for(Duration::from_millis(200));
        assert_eq!(world.report().node(ann).sounds, dark.node(ann).sounds, "seed {seed}");
        assert!(world.source_stats(ann, ben).is_some(), "seed {seed}: it goes on in the dark");

        world.heal();
        world.run_for(Duration::from_secs(5));
        let [(host, next)] = world.hosts()[..] else { panic!("seed {seed}: {:?}", world.hosts()) };
        assert_eq!(host, ann, "seed {seed}");
        assert!(next > epoch, "seed {seed}: {next}");
        assert_eq!(fenced(&world, ann), 1, "seed {seed}");
        // It was not made anew: what it counts since ten seconds is there.
        let same = world.source_stats(ann, ben).expect("he is on the stage still");
        assert!(stage.samples_stretched > 0, "seed {seed}: {stage:?}");
        assert!(same.samples_stretched >= stage.samples_stretched, "seed {seed}: {same:?}");
        let after = world.report();
        for us in [ann, ben, cal] {
            let (node, then) = (after.node(us), before.node(us));
            let who = &node.name;
            // No number of the mix comes twice, and no older one after a newer one.
            assert_eq!(node.stale_epoch_rendered, 0, "seed {seed}: {who}");
            assert_eq!((node.mix_sounds_again, node.mix_pictures_again), (0, 0), "{seed} {who}");
            // The clock of the mix went on in the dark: what is missing of it is the time for
            // which there was no host: 900 ms, what it takes a channel to find that it works
            // again, and an election. She heard her own mix up to the end of her lease.
            let sounds = node.mix_sounds_missing - then.mix_sounds_missing;
            let (least, most) = if us == ann { (15, 100) } else { (35, 120) };
            assert!((least..=most).contains(&sounds), "seed {seed} {who}: {sounds}");
        }
    }
}
