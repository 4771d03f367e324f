//! The command line.

use std::env;
use std::ffi::OsString;

use lexopt::prelude::*;
use paceline_benches::scene::Kind;

use crate::contender::Contender;

pub(crate) const HELP: &str = "\
Compares what sharing a screen of 1920 x 1080 at 30 pictures a second costs, how long it
takes and how it looks: paceline, FFmpeg and GStreamer, in one run, on one Xvfb.

usage: paceline-bench-share [OPTIONS]

  --seconds S      seconds of each stretch that is measured, after 2 of warming up [5]
  --rounds N       rounds in which all take turns [3]
  --scenes A,B     idle, typing, scroll, video, drag [all]
  --bitrates A,B   kbit/s [1000,2000,4000]; the idle scene takes the first only
  --among A,B      contenders, of those below [all]
  --json           one JSON object instead of tables (also JSON=1)
  --help

  camera       paceline: screen, OpenH264 as for a camera, RTP
  screen       paceline: screen, OpenH264 as for a screen, RTP
  ultrafast    ffmpeg x11grab, libx264 ultrafast zerolatency, RTP
  superfast    ffmpeg x11grab, libx264 superfast zerolatency, RTP
  gst-camera   GStreamer ximagesrc with damage, openh264enc as for a camera, RTP
  gst-screen   GStreamer ximagesrc with damage, openh264enc as for a screen, RTP

Each sender is a process of its own, and the only one at its time. What it sends is received
on 127.0.0.1, stamped by the kernel, and looked at afterwards by one decoder for all.
What is not installed is left out, which is said.
";

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seconds: f64,
    pub(crate) rounds: usize,
    pub(crate) scenes: Vec<(&'static str, Kind)>,
    /// In kbit/s.
    pub(crate) bitrates: Vec<u64>,
    pub(crate) among: Vec<Contender>,
    pub(crate) json: bool,
}

/// What is to be done.
pub(crate) enum Asked {
    /// A sender's job, as JSON.
    Child(String),
    Compare(Options),
    Help,
}

pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Asked, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut options = Options {
        seconds: 5.0,
        rounds: 3,
        scenes: SCENES.to_vec(),
        bitrates: vec![1_000, 2_000, 4_000],
        among: Contender::ALL.to_vec(),
        json: env::var_os("JSON").is_some_and(|json| !json.is_empty() && json != "0"),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("child") => return Ok(Asked::Child(parser.value()?.string()?)),
            Long("seconds") => {
                options.seconds = parser.value()?.parse_with(|text| within(text, 0.5..=600.0))?;
            }
            Long("rounds") => {
                options.rounds = parser.value()?.parse_with(|text| within(text, 1..=1_000))?;
            }
            Long("bitrates") => {
                let list = parser.value()?.string()?;
                let each = list.split(',').map(|text| within(text.trim(), 30..=240_000));
                options.bitrates = each.collect::<Result<_, _>>()?;
            }
            Long("scenes") => {
                let known = SCENES.map(|scene| (scene.0, scene));
                options.scenes = names(&parser.value()?.string()?, &known)?;
            }
            Long("among") => {
                let known = Contender::ALL.map(|one| (one.name(), one));
                options.among = names(&parser.value()?.string()?, &known)?;
            }
            Long("json") => options.json = true,
            Long("help") | Short('h') => return Ok(Asked::Help),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Asked::Compare(options))
}

fn within<T: std::str::FromStr + PartialOrd + std::fmt::Debug>(
    text: &str,
    range: std::ops::RangeInclusive<T>,
) -> Result<T, String> {
    let value = text.parse().ok().filter(|value| range.contains(value));
    value.ok_or_else(|| format!("{text}: it has to be a number in {range:?}"))
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

const SCENES: [(&str, Kind); 5] = [
    ("idle", Kind::Idle),
    ("typing", Kind::Typing),
    ("scroll", Kind::Scroll),
    ("video", Kind::Video),
    ("drag", Kind::Drag),
];
