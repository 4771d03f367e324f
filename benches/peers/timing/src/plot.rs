//! Plots as SVG: lines and dots in a frame with axes, units and a legend.

use std::fmt::Write as _;

use crate::compare::{CONSTANT, FREE, NETEQ, OURS, SLEWED, TraceResult};

/// One set of points.
struct Series {
    name: String,
    colour: &'static str,
    points: Vec<(f64, f64)>,
    /// Dots, or a line.
    dots: bool,
}

/// Delay over time: arrivals, ours, NetEQ and the slewed oracle.
pub(crate) fn delays(result: &TraceResult) -> String {
    let trace = &result.trace;
    let origin = trace.truth.sent.first().map_or(0.0, |sent| sent.media_ms);
    let sent = trace.truth.sent.iter();
    let arrivals: Vec<_> =
        sent.filter_map(|sent| Some(((sent.media_ms - origin) / 1e3, sent.relative_ms?))).collect();
    let mut series = vec![Series {
        name: "arrivals".to_owned(),
        colour: GREY,
        points: thinned(&arrivals),
        dots: true,
    }];
    for (system, colour) in [(SLEWED, GREEN), (NETEQ, RED), (OURS, BLUE)] {
        let Some(default) = result.default(system) else { continue };
        let points: Vec<_> = default
            .run
            .markers
            .iter()
            .map(|marker| {
                let delay = marker.play_ms - marker.media_ms - trace.truth.base_ms;
                ((marker.media_ms - origin) / 1e3, delay)
            })
            .collect();
        let late = default.summary.late;
        let name = format!("{system}, {late:.2} % late");
        series.push(Series { name, colour, points: thinned(&points), dots: false });
    }
    let title = format!("{}: delay over the trace's minimum", trace.name);
    draw(&title, "media time (s)", "delay (ms)", &series)
}

/// Mean delay over late loss, of every system that is swept.
pub(crate) fn curves(result: &TraceResult) -> String {
    let systems = [(OURS, BLUE), (NETEQ, RED), (CONSTANT, BLACK), (SLEWED, GREEN), (FREE, ORANGE)];
    let drawn = |&(late, _): &(f64, f64)| late <= MOST_LATE;
    let mut lines = Vec::new();
    let mut dots = Vec::new();
    for (system, colour) in systems {
        let Some(curve) = result.curve(system) else { continue };
        let points: Vec<_> = curve.envelope().into_iter().filter(drawn).collect();
        lines.push(Series { name: system.to_owned(), colour, points, dots: false });
        let points = curve.points.iter().map(|point| (point.summary.late, point.summary.mean));
        let points: Vec<_> = points.filter(drawn).collect();
        dots.push(Series { name: String::new(), colour, points, dots: true });
    }
    // What is far above every envelope would press them together.
    let highest = lines.iter().flat_map(|line| &line.points).map(|point| point.1);
    let highest = highest.fold(0.0, f64::max) * 1.2;
    dots.iter_mut().for_each(|dots| dots.points.retain(|point| point.1 <= highest));
    let series: Vec<Series> = lines.into_iter().chain(dots).collect();
    let title = format!("{}: what a loss costs in delay", result.trace.name);
    draw(&title, "late loss (%)", "mean delay (ms)", &series)
}

/// Every n-th point of many.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    points.iter().step_by(points.len() / MOST_POINTS + 1).copied().collect()
}

fn draw(title: &str, x_label: &str, y_label: &str, series: &[Series]) -> String {
    let all = || series.iter().flat_map(|series| &series.points);
    let x_most = nice(all().map(|point| point.0).fold(0.0, f64::max));
    let y_most = nice(all().map(|point| point.1).fold(0.0, f64::max));
    let x_at = |x: f64| LEFT + (x / x_most).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT);
    let y_at = |y: f64| HEIGHT - BOTTOM - (y / y_most).clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM);

    let mut svg = String::new();
    let mut put = |text: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(svg, "{text}");
    };
    put(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    ));
    put(text(WIDTH / 2.0, 20.0, "middle", title));
    for n in 0..=TICKS {
        let share = f64::from(n) / f64::from(TICKS);
        let (x, y) = (x_at(share * x_most), y_at(share * y_most));
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        put(format!(
            "<path d=\"M{LEFT:.1} {y:.1}H{right:.1}M{x:.1} {TOP:.1}V{bottom:.1}\" \
             stroke=\"#ddd\" fill=\"none\"/>"
        ));
        put(text(LEFT - 6.0, y + 4.0, "end", &label(share * y_most)));
        put(text(x, bottom + 18.0, "middle", &label(share * x_most)));
    }
    for series in series {
        // A line of one point would not be seen.
        if series.dots || series.points.len() == 1 {
            let radius = if series.dots { 1.6 } else { 4.0 };
            for &(x, y) in &series.points {
                let (x, y) = (x_at(x), y_at(y));
                put(format!(
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{}\"/>",
                    series.colour
                ));
            }
        } else if !series.points.is_empty() {
            let points: Vec<String> = series
                .points
                .iter()
                .map(|&(x, y)| format!("{:.1},{:.1}", x_at(x), y_at(y)))
                .collect();
            put(format!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\"/>",
                points.join(" "),
                series.colour
            ));
        }
    }
    let mut y = TOP + 16.0;
    for series in series.iter().filter(|series| !series.name.is_empty()) {
        let x = WIDTH - RIGHT - 230.0;
        put(format!(
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"16\" height=\"4\" fill=\"{}\"/>",
            y - 6.0,
            series.colour
        ));
        put(text(x + 22.0, y, "start", &series.name));
        y += 18.0;
    }
    put(text(WIDTH / 2.0, HEIGHT - 10.0, "middle", x_label));
    let middle = HEIGHT / 2.0;
    put(format!(
        "<text transform=\"translate(16 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        escaped(y_label)
    ));
    put("</svg>".to_owned());
    svg
}

fn text(x: f64, y: f64, anchor: &str, text: &str) -> String {
    let text = escaped(text);
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The next of 1, 2, 2.5, 5, 10 times a power of ten: a fifth of it is a round number.
fn nice(most: f64) -> f64 {
    if most <= 0.0 || !most.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    let step = steps.into_iter().find(|step| step * power >= most - 1e-9);
    step.unwrap_or(10.0) * power
}

fn label(value: f64) -> String {
    format!("{}", (value * 1e3).round() / 1e3)
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 32.0;
const BOTTOM: f64 = 52.0;
const TICKS: i32 = 5;

/// As many as the width has pixels to tell apart, and some.
const MOST_POINTS: usize = 2_500;

/// A call with more late loss than that nobody keeps up: curves end here, in %.
const MOST_LATE: f64 = 3.0;

const BLACK: &str = "#333";
const BLUE: &str = "#1f5fbf";
const GREEN: &str = "#2a8f3c";
const GREY: &str = "#bbb";
const ORANGE: &str = "#d98500";
const RED: &str = "#c22f2f";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        let ends = [0.0, 3.0, 24.0, 170.0, 250.0, 1_000.0].map(nice);
        assert_eq!(ends, [1.0, 5.0, 25.0, 200.0, 250.0, 1_000.0]);
    }

    #[test]
    fn names_cannot_break_the_picture() {
        let series =
            Series { name: "a<b>&c".to_owned(), colour: RED, points: vec![(1.0, 2.0)], dots: true };
        let svg = draw("<title>", "x", "y", &[series]);
        assert!(svg.contains("a&lt;b&gt;&amp;c") && !svg.contains("<title>"), "{svg}");
        assert!(svg.contains("cx=\"940.0\" cy=\"32.0\""), "{svg}");
    }
}
