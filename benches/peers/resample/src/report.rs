//! What was measured, as a table or as JSON.

use crate::contestant::Contestant;
use crate::measure::{self, Tone};

const TONES: [f64; 5] = [997.0, 6_000.0, 15_000.0, 18_000.0, 19_000.0];
const SPEEDS: [f64; 6] = [100.0, -100.0, 500.0, -500.0, 10_000.0, -10_000.0];

/// All of one contestant.
pub struct Row {
    name: &'static str,
    tones: Vec<Tone>,
    step: f64,
    latency: usize,
    nanos: f64,
    allocations: u64,
}

impl Row {
    pub fn measure(who: &Contestant) -> Self {
        let worst = |hz: f64| {
            let all = SPEEDS.iter().map(|&ppm| measure::tone(who, hz, ppm));
            all.reduce(Tone::worse).expect("there are speeds")
        };
        Self {
            name: who.name(),
            tones: TONES.into_iter().map(worst).collect(),
            step: measure::step(who),
            latency: measure::latency(who),
            nanos: measure::nanos(who),
            allocations: measure::allocations(who),
        }
    }
}

pub fn print_table(rows: &[Row]) {
    let tones = TONES.map(|hz| format!("{:>18}", format!("{} Hz", hz)));
    println!("{:<22}{}{:>8}{:>9}{:>7}{:>8}", "", tones.concat(), "step", "latency", "ns", "allocs");
    println!("{:<22}{}", "", "   SNR  spur  gain".repeat(TONES.len()));
    for row in rows {
        let tones: String = row
            .tones
            .iter()
            .map(|tone| format!("{:>6.0}{:>6.0}{:>6.1}", tone.snr, tone.spur, tone.gain))
            .collect();
        let Row { name, step, latency, nanos, allocations, .. } = row;
        println!("{name:<22}{tones}{step:>8.1}{latency:>9}{nanos:>7.1}{allocations:>8}");
    }
}

pub fn print_json(rows: &[Row]) {
    let rows = rows.iter().map(|row| {
        let tones = row.tones.iter().zip(TONES).map(|(tone, hz)| {
            let Tone { snr, spur, gain } = tone;
            format!(
                r#"{{"hz":{hz},"snr_db":{snr:.2},"spur_db":{spur:.2},"gain_db":{gain:.4}}}"#
            )
        });
        let tones: Vec<String> = tones.collect();
        let Row { name, step, latency, nanos, allocations, .. } = row;
        format!(
            r#"{{"name":"{name}","tones":[{}],"step_db":{step:.2},"latency_frames":{latency},"ns_per_frame":{nanos:.2},"allocations":{allocations}}}"#,
            tones.join(",")
        )
    });
    println!(r#"{{"resamplers":[{}]}}"#, rows.collect::<Vec<_>>().join(","));
}
