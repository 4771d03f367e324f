//! How long it took until another host was seen, as a picture.

use std::fmt::Write;
use std::time::Duration;

use super::outcome::Tally;

/// The share of kills that were got over within a time, a line for each profile, as SVG.
///
/// ```
/// use paceline_sim::kills::{Profile, Room, Tally, plot};
///
/// let profile = Profile::named("lan5").expect("there is one");
/// let mut tally = Tally::new(&profile);
/// tally.add(1, &Room::new(&profile, 1).run(2));
/// let picture = plot(&[tally]);
/// assert!(picture.starts_with("<svg") && picture.contains("lan5"));
/// ```
#[must_use]
pub fn plot(tallies: &[Tally]) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"18\">share of kills got over within a time (most survivors \
         see the new host)</text>\n"
    );
    axes(&mut out);
    let with_any = tallies.iter().filter(|tally| !tally.failover.is_empty());
    for (number, tally) in with_any.enumerate() {
        let color = COLORS[number % COLORS.len()];
        let mut sorted = tally.failover.clone();
        sorted.sort_unstable();
        let points: Vec<_> = (0..=STEPS)
            .map(|step| {
                let limit = LONGEST * step / STEPS;
                let within = sorted.partition_point(|took| *took <= limit);
                format!("{:.1},{:.1}", x(limit), y(within as f64 / sorted.len() as f64))
            })
            .collect();
        let legend = TOP + 20.0 + 18.0 * number as f64;
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\" points=\"{}\"/>\n\
             <text x=\"{}\" y=\"{legend}\" fill=\"{color}\">{} ({})</text>",
            points.join(" "),
            WIDTH - RIGHT + 10.0,
            tally.name,
            tally.failover.len()
        );
    }
    out.push_str("</svg>\n");
    out
}

fn axes(out: &mut String) {
    for tick in 0..=8 {
        let at = LONGEST * tick / 8;
        let (x, bottom) = (x(at), HEIGHT - BOTTOM);
        let _ = writeln!(
            out,
            "<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"#ddd\"/>\n\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{} ms</text>",
            bottom + 18.0,
            at.as_millis()
        );
    }
    for tick in 0..=4 {
        let share = f64::from(tick) / 4.0;
        let y = y(share);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {y:.1}H{}\" stroke=\"#ddd\"/>\n\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{share:.2}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0
        );
    }
}

fn x(at: Duration) -> f64 {
    LEFT + at.as_secs_f64() / LONGEST.as_secs_f64() * (WIDTH - LEFT - RIGHT)
}

fn y(share: f64) -> f64 {
    HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
}

/// The right end: twice the goal for 99 of 100 kills.
const LONGEST: Duration = Duration::from_secs(2);
const STEPS: u32 = 400;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 40.0;

/// Okabe and Ito's, which the colour-blind tell apart, and two more.
const COLORS: [&str; 9] = [
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#000000", "#8c8c00",
    "#7f3f98",
];
