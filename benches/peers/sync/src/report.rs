//! What is printed: tables for people, one JSON object for programs.

use crate::room::Figures;

/// One system in one case.
pub struct Row {
    pub case: &'static str,
    pub system: &'static str,
    pub figures: Figures,
}

/// What was measured of ours, beside what was asked.
pub struct Goal {
    /// Its name and the most it allows; none of what is only told.
    pub goal: Option<Asked>,
    pub case: &'static str,
    /// Of half of the seeds, and not of the worst.
    pub median: bool,
    pub measured: f64,
}

impl Goal {
    fn met(&self) -> Option<bool> {
        self.goal.map(|(_, most)| self.measured <= most)
    }
}

/// The name of a goal, and the most it allows.
pub type Asked = (&'static str, f64);

type Cost = (&'static str, (f64, u64));

pub fn print_head() {
    println!(
        "{:34} {:10} {:>6} {:>6} {:>7} {:>6} {:>9} {:>6} {:>6} {:>6} {:>7} {:>6}",
        "case",
        "system",
        "p95@1s",
        "p95",
        "p95@10",
        "in45",
        "in+40/-60",
        "median",
        "over",
        "hold",
        "stretch",
        "moved"
    );
}

pub fn print_row(row: &Row) {
    let Row { case, system, figures } = row;
    let Figures { p95, p95_second, p95_tenth, into_45, into_ebu, median_ebu, .. } = *figures;
    let Figures { overshoot, hold, stretch, moved, .. } = *figures;
    let cell = |ms: f64, decimals: usize| {
        if ms.is_finite() { format!("{ms:.decimals$}") } else { "-".into() }
    };
    let or_never = |ms: Option<f64>| cell(ms.unwrap_or(f64::INFINITY), 0);
    println!(
        "{case:34} {system:10} {:>6} {:>6} {:>7} {:>6} {:>9} {:>6} {overshoot:6.1} {hold:6.1} {stretch:7.1} {moved:6.1}",
        cell(p95_second, 1),
        cell(p95, 1),
        cell(p95_tenth, 1),
        or_never(into_45),
        or_never(into_ebu),
        cell(median_ebu, 0),
    );
}

pub fn print_goals(goals: &[Goal]) {
    println!("\n{:8} {:59} {:>10} {:>8}  met", "goal", "", "measured", "at most");
    for goal in goals {
        let case = format!("{}{}", goal.case, if goal.median { " (median)" } else { "" });
        let measured = if goal.measured.is_finite() {
            format!("{:.1}", goal.measured)
        } else {
            "never".into()
        };
        let (id, most) = match goal.goal {
            Some((id, most)) => (id, format!("{most:.1}")),
            None => ("no goal", "-".into()),
        };
        let met = goal.met().map_or("-", |met| if met { "yes" } else { "NO" });
        println!("{id:8} {case:59} {measured:>10} {most:>8}  {met}");
    }
}

pub fn print_costs(costs: &[Cost]) {
    println!("\n{:62} {:>10} {:>12}", "cost", "ns a frame", "allocations");
    for (name, (nanos, allocations)) in costs {
        println!("{name:62} {nanos:10.1} {allocations:12}");
    }
}

/// Everything. The names are of this program, and have nothing to escape.
pub fn json(seeds: u64, rows: &[Row], goals: &[Goal], costs: &[Cost]) -> String {
    let rows: Vec<String> = rows.iter().map(row_json).collect();
    let goals: Vec<String> = goals.iter().map(goal_json).collect();
    let costs: Vec<String> = costs
        .iter()
        .map(|(name, (nanos, allocations))| {
            let nanos = number(*nanos);
            format!(
                "{{\"cost\":\"{name}\",\"ns_per_frame\":{nanos},\"allocations\":{allocations}}}"
            )
        })
        .collect();
    format!(
        "{{\"seeds\":{seeds},\"rows\":[{}],\"goals\":[{}],\"costs\":[{}]}}",
        rows.join(","),
        goals.join(","),
        costs.join(",")
    )
}

fn row_json(row: &Row) -> String {
    let Row { case, system, figures } = row;
    let members = [
        ("p95_second_ms", Some(figures.p95_second)),
        ("p95_ms", Some(figures.p95)),
        ("p95_after_ten_ms", Some(figures.p95_tenth)),
        ("into_45_ms", figures.into_45),
        ("into_ebu_ms", figures.into_ebu),
        ("median_ebu_ms", Some(figures.median_ebu)),
        ("overshoot_ms", Some(figures.overshoot)),
        ("hold_ms", Some(figures.hold)),
        ("stretch_percent", Some(figures.stretch)),
        ("moved_ms", Some(figures.moved)),
    ];
    let members =
        members.map(|(name, value)| format!(",\"{name}\":{}", value.map_or("null".into(), number)));
    format!("{{\"case\":\"{case}\",\"system\":\"{system}\"{}}}", members.concat())
}

fn goal_json(goal: &Goal) -> String {
    let id = goal.goal.map_or("null".into(), |(id, _)| format!("\"{id}\""));
    let most = goal.goal.map_or("null".into(), |(_, most)| number(most));
    let met = goal.met().map_or("null".into(), |met| met.to_string());
    let Goal { case, median, .. } = goal;
    let measured = number(goal.measured);
    format!(
        "{{\"goal\":{id},\"case\":\"{case}\",\"median\":{median},\"measured\":{measured},\"at_most\":{most},\"met\":{met}}}"
    )
}

/// JSON has no other name than `null` for what is no number.
fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:.3}") } else { "null".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_null_and_what_is_never_reached_is_not_met() {
        let goal = |goal, measured| Goal { goal, case: "c", median: goal.is_none(), measured };
        let goals = [
            goal(Some(("S2", 2_000.0)), f64::INFINITY),
            goal(Some(("S1", 5.0)), f64::NAN),
            goal(None, 3.0),
        ];
        assert_eq!(
            json(1, &[], &goals, &[("x", (f64::NAN, 0))]),
            "{\"seeds\":1,\"rows\":[],\"goals\":[\
             {\"goal\":\"S2\",\"case\":\"c\",\"median\":false,\"measured\":null,\"at_most\":2000.000,\"met\":false},\
             {\"goal\":\"S1\",\"case\":\"c\",\"median\":false,\"measured\":null,\"at_most\":5.000,\"met\":false},\
             {\"goal\":null,\"case\":\"c\",\"median\":true,\"measured\":3.000,\"at_most\":null,\"met\":null}],\
             \"costs\":[{\"cost\":\"x\",\"ns_per_frame\":null,\"allocations\":0}]}"
        );
    }
}
