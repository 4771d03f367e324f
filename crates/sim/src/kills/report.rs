//! Tallies for a person and for a machine.

use std::fmt::Write;
use std::time::Duration;

use super::outcome::Tally;

/// Tallies as one line of JSON.
///
/// ```
/// use paceline_sim::kills::{Profile, Tally, json};
///
/// let tally = Tally::new(&Profile::named("two").expect("there is one"));
/// assert!(json(&[tally]).starts_with(r#"{"profiles":[{"name":"two","kills":0,"#));
/// ```
#[must_use]
pub fn json(tallies: &[Tally]) -> String {
    let profiles: Vec<_> = tallies.iter().map(profile).collect();
    format!("{{\"profiles\":[{}]}}", profiles.join(","))
}

fn profile(tally: &Tally) -> String {
    let mut out = format!("{{\"name\":\"{}\",\"kills\":{}", tally.name, tally.kills);
    let mut field = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = write!(out, ",\"{name}\":{value}");
    };
    field("split_brains", tally.split_brains().to_string());
    let kinds: Vec<_> =
        tally.splits.iter().map(|(split, count)| format!("\"{split:?}\":{count}")).collect();
    field("split_kinds", format!("{{{}}}", kinds.join(",")));
    let spread = |of: &dyn Fn(f64) -> Option<Duration>| {
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| number(of(share)));
        format!("{{\"p50\":{p50},\"p95\":{p95},\"p99\":{p99}}}")
    };
    field("failover_ms", spread(&|share| tally.failover(share)));
    field("failover_alone_ms", spread(&|share| tally.failover_alone(share)));
    field("failover_with_heir_ms", spread(&|share| tally.failover_with_heir(share)));
    field("last_survivor_ms", spread(&|share| tally.last(share)));
    field("flaps", tally.flaps.to_string());
    field("stuck", tally.stuck.to_string());
    field("left_out", tally.left_out.to_string());
    field("unpromised", tally.unpromised.to_string());
    field("lost_rooms", tally.lost.to_string());
    field("choice_vs_oracle", choice(tally).map_or("null".into(), |of| format!("{of:.4}")));
    field("handovers", tally.handovers.to_string());
    field("virtual_s", format!("{:.0}", tally.elapsed.as_secs_f64()));
    field("worst_ms", number(tally.worst.map(|(longest, _)| longest)));
    let seed = tally.worst.map_or("null".into(), |(_, seed)| seed.to_string());
    field("worst_seed", seed);
    out.push('}');
    out
}

/// Tallies as a table, and below it the seeds of what was wrong.
#[must_use]
pub fn table(tallies: &[Tally]) -> String {
    let mut out = String::from(
        "profile      kills  split  p50 ms  p95 ms  p99 ms  last p99  flaps  stuck  left out  \
         no promise  heir %  worst ms (seed)\n",
    );
    for tally in tallies {
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| cell(tally.failover(share)));
        let last = cell(tally.last(0.99));
        let heir = choice(tally).map_or("–".into(), |of| format!("{:.1}", of * 100.0));
        let worst = tally
            .worst
            .map_or("–".into(), |(longest, seed)| format!("{} ({seed})", cell(Some(longest))));
        let _ = writeln!(
            out,
            "{:10} {:>7} {:>6} {p50:>7} {p95:>7} {p99:>7} {last:>9} {:>6} {:>6} {:>9} {:>11} \
             {heir:>7}  {worst}",
            tally.name,
            tally.kills,
            tally.split_brains(),
            tally.flaps,
            tally.stuck,
            tally.left_out,
            tally.unpromised,
        );
    }
    for tally in tallies {
        let alone = [0.5, 0.99].map(|share| cell(tally.failover_alone(share)));
        let both = [0.5, 0.99].map(|share| cell(tally.failover_with_heir(share)));
        let _ = writeln!(
            out,
            "{}: p50 / p99 {} / {} ms where the host died alone, {} / {} ms with his standby",
            tally.name, alone[0], alone[1], both[0], both[1],
        );
        for (split, count) in &tally.splits {
            let _ = writeln!(out, "{}: {split:?} {count} times", tally.name);
        }
        for (seed, what) in &tally.findings {
            let _ = writeln!(out, "{} seed {seed}: {what}", tally.name);
        }
    }
    out
}

/// The share of the promised kills after which the first in line took over.
fn choice(tally: &Tally) -> Option<f64> {
    let promised = tally.kills - tally.unpromised;
    (promised > 0).then(|| tally.heirs as f64 / promised as f64)
}

fn number(of: Option<Duration>) -> String {
    of.map_or("null".into(), |of| format!("{:.1}", of.as_secs_f64() * 1_000.0))
}

fn cell(of: Option<Duration>) -> String {
    of.map_or("–".into(), |of| of.as_millis().to_string())
}
