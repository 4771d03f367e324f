//! Very many rooms whose hosts are killed, on every core.

use std::error::Error;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use paceline_sim::kills::{Outcome, Profile, Room, Tally, json, plot, table};

use crate::clock;
use crate::options::Options;

pub(crate) fn run(options: &Options, kills: usize) -> Result<(), Box<dyn Error>> {
    if options.trace {
        return trace(options, kills);
    }
    let began = clock();
    let tallies: Vec<_> =
        options.profiles.iter().map(|profile| tally(profile, options.seed, kills)).collect();
    if let Some(file) = &options.plot {
        fs::write(file, plot(&tallies))?;
    }
    if options.json {
        println!("{}", json(&tallies));
    } else {
        print!("{}", table(&tallies));
        let of_rooms: f64 = tallies.iter().map(|tally| tally.elapsed.as_secs_f64()).sum();
        println!("{:.0} s of rooms took {:.1} s", of_rooms, began.elapsed().as_secs_f64());
    }
    let broken: usize = tallies.iter().map(|tally| tally.split_brains() + tally.stuck).sum();
    if broken > 0 { Err(format!("{broken} times what must not be").into()) } else { Ok(()) }
}

/// One room, every packet.
fn trace(options: &Options, kills: usize) -> Result<(), Box<dyn Error>> {
    let [profile] = &options.profiles[..] else {
        return Err("--trace needs a --profile".into());
    };
    let outcome = Room::new(profile, options.seed).with_transcript().run(kills.min(PER_ROOM));
    print!("{}", outcome.transcript.as_deref().unwrap_or_default());
    let mut tally = Tally::new(profile);
    tally.add(options.seed, &outcome);
    print!("{}", table(&[tally]));
    Ok(())
}

/// Kills so many hosts of a profile, in rooms of the seeds from `seed` on. How many cores
/// there are changes nothing: rooms count in the order of their seeds.
fn tally(profile: &Profile, seed: u64, kills: usize) -> Tally {
    let mut tally = Tally::new(profile);
    let mut next = seed;
    while tally.kills < kills {
        // Rooms beyond what was asked for are not opened, but for those without a kill.
        let rooms = (kills - tally.kills).div_ceil(PER_ROOM).min(BATCH);
        for (seed, outcome) in batch(profile, next, rooms, kills - tally.kills) {
            tally.add(seed, &outcome);
        }
        if tally.kills == 0 {
            return tally; // There was nobody to kill, ever.
        }
        next += rooms as u64;
    }
    tally
}

fn batch(profile: &Profile, seed: u64, rooms: usize, kills: usize) -> Vec<(u64, Outcome)> {
    let end = seed + rooms as u64;
    let taken = AtomicU64::new(seed);
    let work = || {
        let mut done = Vec::new();
        loop {
            let seed = taken.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return done;
            }
            done.push((seed, Room::new(profile, seed).run(PER_ROOM.min(kills))));
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut done: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a room panicked")).collect()
    });
    done.sort_unstable_by_key(|(seed, _)| *seed);
    done
}

/// Kills in one room: each comes upon what the one before left behind.
const PER_ROOM: usize = 3;

/// Rooms between two looks at how many kills there were.
const BATCH: usize = 1_000;
