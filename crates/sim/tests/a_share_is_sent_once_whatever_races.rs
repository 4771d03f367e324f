//! An application that starts and stops a share as it likes, and servers that refuse, hang,
//! die and answer late: a hundred thousand races in virtual time.

use paceline_publish::State;
use paceline_sim::publish::race;

/// Each race is a seed; what fails is printed with it, and fails again. Four threads share
/// them, since what a race does depends on nothing but its seed.
#[test]
fn no_race_of_a_hundred_thousand_breaks_a_rule_of_publishing() {
    const THREADS: u64 = 4;
    const RACES: u64 = 100_000;
    let threads: Vec<_> = (0..THREADS)
        .map(|first| {
            std::thread::spawn(move || {
                let mut endings = [0_u64; 3];
                let (mut abandoned, mut fallbacks, mut stale) = (0, 0, 0);
                for seed in (first..RACES).step_by(THREADS as usize) {
                    let ending = race(seed).unwrap_or_else(|violation| panic!("{violation}"));
                    endings[match ending.state {
                        State::Live => 0,
                        State::External => 1,
                        State::Stopped => 2,
                        other => panic!("race {seed} ends {other:?}"),
                    }] += 1;
                    abandoned += ending.abandoned;
                    fallbacks += ending.given_up;
                    stale += ending.stale;
                }
                (endings, abandoned, fallbacks, stale)
            })
        })
        .collect();
    // Races that all go the same way would prove nothing.
    for thread in threads {
        let (endings, abandoned, fallbacks, stale) = thread.join().unwrap();
        assert!(endings.iter().all(|&count| count > 1_000), "live, external, stopped: {endings:?}");
        assert!(abandoned > 1_000 && fallbacks > 10_000 && stale > 10_000);
    }
}

#[test]
fn a_race_goes_the_same_way_each_time() {
    for seed in 0..1_000 {
        assert_eq!(race(seed), race(seed));
    }
}
