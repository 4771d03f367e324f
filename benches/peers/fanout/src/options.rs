//! The command line.

use std::env;
use std::ffi::OsString;

use lexopt::prelude::*;

use crate::contender::Contender;

pub(crate) const HELP: &str = "\
Compares what a fan-out over data channels costs: bare engines and paceline, in one run.

usage: paceline-bench-fanout [OPTIONS]

  --viewers N      viewers of the one host [100]
  --rate N         messages a second to each, with --bytes; without both there are two
  --bytes N          loads: 60 a second of 4096, and 100 a second of 1024
  --duration S     seconds of each stretch that is measured [2; stall 0.6, bulk 2.5]
  --rounds N       rounds in which all take turns [3; join 5, stall 10]
  --only A,B       parts: join, fanout, stall, bulk, cost [all]
  --among A,B      contenders, of those below [bare,tuned,str0m,paceline]
  --json           one JSON object instead of tables (also JSON=1)
  --help

  bare       webrtc 0.21.1 as it comes
  tuned      the same, tuned as paceline-transport tunes it, and nothing around it
  batched    the same, sending runs of up to four datagrams at once
  str0m      str0m 0.25.0: one socket and one loop for the host
  transport  paceline-transport without a mesh
  paceline   mesh and transport at both ends, without the facade

Each measurement is a process of its own that holds the host and all viewers. Intervals are
95 % by bootstrap over the rounds. `cost` needs Linux's `perf`, and is left out without it.
";

/// The parts of the comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    Bulk,
    Cost,
    Fanout,
    Join,
    Stall,
}

const PARTS: [(&str, Part); 5] = [
    ("join", Part::Join),
    ("fanout", Part::Fanout),
    ("stall", Part::Stall),
    ("bulk", Part::Bulk),
    ("cost", Part::Cost),
];

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) viewers: usize,
    /// Messages a second, and bytes of each.
    pub(crate) loads: Vec<(f64, usize)>,
    pub(crate) duration: Option<f64>,
    pub(crate) rounds: Option<usize>,
    pub(crate) parts: Vec<Part>,
    pub(crate) among: Vec<Contender>,
    pub(crate) json: bool,
}

/// What is to be done.
pub(crate) enum Asked {
    /// A child's job, as JSON.
    Child(String),
    Compare(Options),
    Help,
}

pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Asked, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut rate, mut bytes) = (None, None);
    let mut options = Options {
        viewers: 100,
        loads: vec![(60.0, 4_096), (100.0, 1_024)],
        duration: None,
        rounds: None,
        parts: PARTS.map(|(_, part)| part).to_vec(),
        among: Contender::USUAL.to_vec(),
        json: env::var_os("JSON").is_some_and(|json| !json.is_empty() && json != "0"),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("child") => return Ok(Asked::Child(parser.value()?.string()?)),
            Long("viewers") => {
                options.viewers = parser.value()?.parse_with(|text| within(text, 1..=2_000))?;
            }
            Long("rate") => {
                rate = Some(parser.value()?.parse_with(|text| within(text, 0.1..=10_000.0))?);
            }
            Long("bytes") => {
                bytes = Some(parser.value()?.parse_with(|text| within(text, 32..=60_000))?);
            }
            Long("duration") => {
                let seconds = parser.value()?.parse_with(|text| within(text, 0.1..=600.0))?;
                options.duration = Some(seconds);
            }
            Long("rounds") => {
                let rounds = parser.value()?.parse_with(|text| within(text, 1..=1_000))?;
                options.rounds = Some(rounds);
            }
            Long("only") => options.parts = names(&parser.value()?.string()?, &PARTS)?,
            Long("among") => {
                let known = Contender::ALL.map(|one| (one.name(), one));
                options.among = names(&parser.value()?.string()?, &known)?;
            }
            Long("json") => options.json = true,
            Long("help") | Short('h') => return Ok(Asked::Help),
            _ => return Err(argument.unexpected()),
        }
    }
    if rate.is_some() || bytes.is_some() {
        options.loads = vec![(rate.unwrap_or(60.0), bytes.unwrap_or(4_096))];
    }
    Ok(Asked::Compare(options))
}

fn within<T: std::str::FromStr + PartialOrd + std::fmt::Debug>(
    text: &str,
    range: std::ops::RangeInclusive<T>,
) -> Result<T, String> {
    let value = text.parse().ok().filter(|value| range.contains(value));
    value.ok_or_else(|| format!("it has to be a number in {range:?}"))
}

fn names<T: Copy>(list: &str, known: &[(&str, T)]) -> Result<Vec<T>, String> {
    let find = |name: &str| {
        let found = known.iter().find(|(other, _)| *other == name.trim());
        found.map(|(_, one)| *one).ok_or_else(|| {
            let known: Vec<_> = known.iter().map(|(name, _)| *name).collect();
            format!("{name}: not one of {}", known.join(", "))
        })
    };
    list.split(',').map(find).collect()
}
