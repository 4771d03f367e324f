//! One of twenty viewers stops to read. For the others nothing is different, to the bit.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_mesh::Topology;
use paceline_sim::types::PeerId;
use paceline_sim::{Fabric, FabricConfig, LinkConfig, NetworkConfig};

type Latencies = BTreeMap<(PeerId, Duration), u64>;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

struct Run {
    fabric: Fabric,
    host: PeerId,
    viewers: Vec<PeerId>,
    /// The most that waited at the host for the one who is stalled.
    held: usize,
    /// When the host gave him up.
    evicted: Option<Duration>,
}

/// A host sends 1,000 bytes each 10 ms to each of twenty: over jitter and loss, so that
/// what the dice say is felt.
fn run(seed: u64, stall: bool) -> Run {
    // What waits unread is soon as much as the engine takes, and then nothing is
    // acknowledged any more.
    let network = NetworkConfig::from(LinkConfig::wan()).receive_window(64 << 10);
    let config = FabricConfig::new(Topology::Broadcast)
        .seed(seed)
        .network(network)
        // The first to call back would have the road to himself.
        .recall_after(ms(60_000))
        .data(ms(10), 1_000);
    let mut fabric = Fabric::new(config);
    let host = fabric.join();
    fabric.run_for(ms(100));
    let viewers: Vec<_> = (0..20).map(|_| fabric.join()).collect();
    fabric.run_for(ms(3_000));
    assert_eq!(fabric.holding().connected, 40, "seed {seed}");
    let (mut held, mut evicted) = (0, None);
    if stall {
        fabric.stall(viewers[7]);
    }
    let began = fabric.elapsed();
    for _ in 0..200 {
        fabric.run_for(ms(50));
        let stats = fabric.stats(host, viewers[7]);
        held = held.max(stats.map_or(0, |stats| stats.queued_bytes));
        // Whoever was connected, and has lost that.
        let gone = fabric.tally().interrupted + fabric.tally().gone > 0;
        if gone && evicted.is_none() {
            evicted = Some(fabric.elapsed() - began);
        }
    }
    Run { fabric, host, viewers, held, evicted }
}

#[test]
fn for_the_others_every_latency_is_the_same() {
    for seed in 1..=5 {
        let [calm, stalled] = [false, true].map(|stall| run(seed, stall));
        let who = calm.viewers[7];
        assert_eq!(calm.evicted, None, "seed {seed}");
        for &viewer in calm.viewers.iter().filter(|&&viewer| viewer != who) {
            let latencies = calm.fabric.latencies(viewer);
            assert_eq!(latencies, stalled.fabric.latencies(viewer), "seed {seed}");
            assert!(latencies.values().sum::<u64>() > 1_000, "seed {seed}");
        }
        // And for the host, of what the others send.
        let others = |run: &Run| {
            let all = run.fabric.latencies(run.host).clone();
            all.into_iter().filter(|((from, _), _)| *from != who).collect::<Latencies>()
        };
        assert_eq!(others(&calm), others(&stalled), "seed {seed}");
    }
}

#[test]
fn what_is_held_for_him_is_bounded_and_he_is_given_up() {
    for seed in 1..=5 {
        let run = run(seed, true);
        let tally = run.fabric.tally();
        // And a message of 16 KiB.
        assert!(run.held > 0 && run.held <= (256 << 10) + (16 << 10), "seed {seed}: {}", run.held);
        let evicted = run.evicted.expect("he is given up");
        // What waits may wait for 4 s or be 256 KiB, and some is in flight before that.
        assert!((1_900..=5_500).contains(&evicted.as_millis()), "seed {seed}: {evicted:?}");
        let reasons: u64 = tally.reasons.values().sum();
        assert!(reasons > 0 && !tally.reasons.contains_key(""), "seed {seed}: {tally:?}");
        // He himself has not noticed.
        assert_eq!(run.fabric.holding().connected, 39, "seed {seed}");
    }
}

#[test]
fn he_comes_back_when_he_reads_again() {
    for seed in 1..=5 {
        let mut run = run(seed, true);
        let (who, host) = (run.viewers[7], run.host);
        run.fabric.resume(who);
        let back = |fabric: &Fabric| fabric.is_connected(who, host) && fabric.agree();
        assert!(run.fabric.run_until(ms(80_000), back).is_some(), "seed {seed}");
        run.fabric.run_for(ms(1_000));
        run.fabric.set_sending(false);
        run.fabric.run_for(ms(3_000));
        let tally = run.fabric.tally();
        assert_eq!((tally.wrong, run.fabric.missing()), (0, 0), "seed {seed}: {tally:?}");
    }
}
