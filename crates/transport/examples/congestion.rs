//! What congestion control makes of a path that is narrow for half a minute, the engine's and
//! ours, as a picture.
//!
//! ```text
//! cargo run -p paceline-transport --features rtp --example congestion -- FILE
//! ```

#[cfg(feature = "rtp")]
#[path = "../tests/path_model/mod.rs"]
mod path_model;

#[cfg(feature = "rtp")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("usage: congestion FILE")?;
    Ok(std::fs::write(file, plot::svg())?)
}

#[cfg(not(feature = "rtp"))]
fn main() {
    eprintln!("this is about the feature `rtp`");
}

#[cfg(feature = "rtp")]
mod plot {
    use std::fmt::Write;

    use interceptor::Gcc;
    use paceline_transport::rtp::{Estimator, RtpConfig};
    use paceline_transport::types::Bitrate;

    use super::path_model::{Config, Sender, run};

    pub(super) fn svg() -> String {
        let kbps = Bitrate::from_kbps;
        let ours = RtpConfig::default().start_bitrate(kbps(4_000)).max_bitrate(kbps(10_000));
        let traces = [
            ("the engine's Gcc", Sender::new(Gcc::new(4e6, 1e5, 1e7))),
            ("ours", Sender::new(Estimator::new(&ours))),
        ];
        let height = 2.0 * PANEL;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"sans-serif\" font-size=\"11\">\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n"
        );
        for (index, (name, sender)) in traces.into_iter().enumerate() {
            panel(&mut out, name, sender, index as f64 * PANEL);
        }
        out.push_str("</svg>\n");
        out
    }

    fn panel(out: &mut String, name: &str, sender: Sender, top: f64) {
        let rates = vec![(0.0, 4e6), (20.0, 1e6), (50.0, 4e6)];
        let mut senders = [sender];
        run(&Config { rates: rates.clone(), ..Config::default() }, &mut senders, &mut [], END);
        let x = |at: f64| LEFT + (WIDTH - LEFT - 10.0) * (at - BEGIN) / (END - BEGIN);
        let y = |rate: f64| top + 150.0 - rate / 5e6 * 120.0;
        let z = |age: f64| top + 250.0 - age.min(0.6) / 0.6 * 80.0;
        let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"{}\">{name}</text>", top + 18.0);
        for (label, at) in [("4 Mbit/s", y(4e6)), ("1", y(1e6)), ("300 ms", z(0.3)), ("0", z(0.0))]
        {
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{:.0}\" text-anchor=\"end\">{label}</text>\
                 <path d=\"M{LEFT} {at:.0}H{}\" stroke=\"#ddd\"/>",
                LEFT - 6.0,
                at + 4.0,
                WIDTH - 10.0,
            );
        }
        let path: String = rates.iter().zip([20.0, 50.0, END]).fold(
            String::new(),
            |mut path, (&(from, rate), to)| {
                let from: f64 = f64::max(from, BEGIN);
                let _ = write!(path, "{} {:.0}L{:.0} {:.0}L", x(from), y(rate), x(to), y(rate));
                path
            },
        );
        line(out, path.trim_end_matches('L'), "#999");
        let [sender] = senders;
        let from = (BEGIN * 10.0) as usize;
        let targets = sender.targets.iter().enumerate().skip(from);
        let targets = targets.map(|(tenth, &rate)| (x(tenth as f64 / 10.0), y(rate)));
        line(out, &points(targets), "#06c");
        let shown = sender.pictures.iter().filter(|one| (BEGIN..END - 1.0).contains(&one.captured));
        let ages = shown.map(|one| (x(one.captured), z(one.age.unwrap_or(0.6))));
        line(out, &points(ages), "#c30");
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">grey: the path; blue: the target; \
             red: how old each picture is when it has come (600 ms: never)</text>",
            WIDTH - 10.0,
            top + 18.0,
        );
    }

    fn points(points: impl Iterator<Item = (f64, f64)>) -> String {
        Vec::from_iter(points.map(|(x, y)| format!("{x:.1} {y:.1}"))).join("L")
    }

    fn line(out: &mut String, points: &str, colour: &str) {
        let _ = writeln!(out, "<path d=\"M{points}\" fill=\"none\" stroke=\"{colour}\"/>");
    }

    const WIDTH: f64 = 860.0;
    const PANEL: f64 = 270.0;
    const LEFT: f64 = 60.0;
    const BEGIN: f64 = 10.0;
    const END: f64 = 65.0;
}
