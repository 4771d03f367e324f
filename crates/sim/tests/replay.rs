//! A seed decides everything.

use std::time::Duration;

use paceline_sim::{LinkConfig, Report, World, WorldConfig};

fn call(seed: u64) -> Report {
    let mut world = World::new(WorldConfig::default().seed(seed).link(LinkConfig::bad()));
    let ann = world.join_to_host("ann");
    world.join("ben");
    world.run_for(Duration::from_secs(10));
    let cal = world.join("cal");
    world.run_for(Duration::from_secs(10));
    world.cut(ann, cal);
    world.run_for(Duration::from_secs(7));
    world.heal();
    world.run_for(Duration::from_secs(3));
    world.report()
}

#[test]
fn the_same_seed_is_the_same_call_to_the_bit() {
    let (once, again) = (call(7), call(7));
    assert_eq!(once.digest(), again.digest());
    assert_eq!(once, again);
}

#[test]
fn another_seed_is_another_call() {
    assert_ne!(call(7).digest(), call(8).digest());
}

/// Nor does it matter in which steps time is asked to pass.
#[test]
fn a_call_in_many_steps_is_the_call_in_one() {
    let digest = |steps: u32| {
        let mut world = World::new(WorldConfig::default().link(LinkConfig::wan()));
        world.join_to_host("ann");
        world.join("ben");
        for _ in 0..steps {
            world.run_for(Duration::from_secs(6) / steps);
        }
        world.report().digest()
    };
    assert_eq!(digest(1), digest(1_000));
}
