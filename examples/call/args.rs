//! The command line.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lexopt::prelude::*;
use paceline::Topology;
use paceline::playout::terminal::Colours;
use paceline::types::{Bitrate, Carrier, PictureFormat};

use crate::sources::{Audio, Speaker, Video};
use crate::{orders, shape};

/// What to do.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    /// A server and everybody, in this process.
    All,
    /// A server and the host.
    Host,
    /// One more.
    Join(String),
    /// Hosts that are killed, one after another, each measured by those who stay.
    MeasureFailover,
    /// Guests that come and go, each measured; to this room or one of our own.
    MeasureJoins(Option<String>),
}

/// Everything the command line says, checked.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) mode: Mode,
    pub(crate) participants: usize,
    pub(crate) topology: Topology,
    pub(crate) carrier: Carrier,
    /// Of one picture at most; `None`: what suits the shape.
    pub(crate) bitrate: Option<Bitrate>,
    /// Where each picture's latency is written.
    pub(crate) trace: Option<PathBuf>,
    /// Who joins before the others, so that he is elected; from 1. `None`: all join at once,
    /// and the room elects whom it likes.
    pub(crate) host: Option<usize>,
    /// When whoever is at the front hands over, and when he is killed.
    pub(crate) hand_over_at: Vec<Duration>,
    pub(crate) kill_host_at: Vec<Duration>,
    /// From 1; `None`: the first of whom it is not wished that he hosts.
    pub(crate) view: Option<usize>,
    pub(crate) duration: Option<Duration>,
    pub(crate) json: bool,
    pub(crate) picture: PictureFormat,
    pub(crate) video: Video,
    pub(crate) audio: Audio,
    pub(crate) speaker: Speaker,
    pub(crate) listen: SocketAddr,
    pub(crate) name: Option<String>,
    pub(crate) ascii: bool,
    /// `None`: what the environment says.
    pub(crate) colours: Option<Colours>,
    /// One process for each participant.
    pub(crate) processes: bool,
    pub(crate) qr: bool,
    /// How many joins or kills are measured.
    pub(crate) count: usize,
    /// Between two of them; `None`: what suits what is measured.
    pub(crate) pause: Option<Duration>,
    /// Which participant this process is, from 0, if another one started it; it ends
    /// with its standard input.
    pub(crate) child: Option<usize>,
    /// Where media sockets are bound.
    pub(crate) bind: IpAddr,
    /// How others join, line by line; known once the server listens.
    pub(crate) invitation: Arc<Vec<String>>,
}

/// What came of the command line.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// What there is to capture and to play on.
    Devices {
        json: bool,
    },
    Run(Box<Args>),
    Say(String),
}

/// A command line that cannot be followed.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

impl Args {
    pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, UsageError> {
        let mut this = Self {
            mode: Mode::All,
            participants: 3,
            topology: Topology::Star,
            carrier: Carrier::default(),
            bitrate: None,
            trace: None,
            host: None,
            hand_over_at: Vec::new(),
            kill_host_at: Vec::new(),
            view: None,
            duration: None,
            json: false,
            picture: PictureFormat::H264,
            video: Video::Clip,
            audio: Audio::Clip,
            speaker: Speaker::Auto,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            name: None,
            ascii: false,
            colours: None,
            processes: false,
            qr: false,
            count: 50,
            pause: None,
            child: None,
            bind: Ipv4Addr::LOCALHOST.into(),
            invitation: Arc::default(),
        };
        let mut parser = lexopt::Parser::from_iter(args);
        let mut words = Vec::new();
        let (mut participants, mut host) = (None, None);
        let mut list_devices = false;
        while let Some(arg) = parser.next()? {
            match arg {
                Long("help") | Short('h') => return Ok(Parsed::Say(HELP.to_owned())),
                Long("version") | Short('V') => {
                    return Ok(Parsed::Say(concat!("call ", env!("CARGO_PKG_VERSION")).to_owned()));
                }
                Long("participants") => {
                    // How many may be depends on the shape, which may come later.
                    participants = Some(parser.value()?);
                }
                Long("topology") => this.topology = shape::topology(&text(parser.value()?)?)?,
                Long("carrier") => this.carrier = shape::carrier(&text(parser.value()?)?)?,
                Long("bitrate") => {
                    let kbps = number("--bitrate", &parser.value()?, 64, 20_000)?;
                    this.bitrate = Some(Bitrate::from_kbps(kbps as u64));
                }
                Long("trace") => this.trace = Some(parser.value()?.into()),
                Long("host") => host = Some(number("--host", &parser.value()?, 1, 10)?),
                Long("handover-at") => {
                    let times = text(parser.value()?)?;
                    this.hand_over_at.extend(orders::seconds("--handover-at", &times)?);
                }
                Long("kill-host-at") => {
                    let times = text(parser.value()?)?;
                    this.kill_host_at.extend(orders::seconds("--kill-host-at", &times)?);
                }
                Long("view") => this.view = Some(number("--view", &parser.value()?, 1, 10)?),
                Long("duration") => {
                    let seconds = number("--duration", &parser.value()?, 1, 86_400)?;
                    this.duration = Some(Duration::from_secs(seconds as u64));
                }
                Long("json") => this.json = true,
                Long("ascii") => this.ascii = true,
                Long("colour" | "color") => this.colours = colours(&text(parser.value()?)?)?,
                Long("processes") => this.processes = true,
                Long("qr") => this.qr = true,
                Long("count") => this.count = number("--count", &parser.value()?, 1, 1_000)?,
                Long("pause") => {
                    let ms = number("--pause", &parser.value()?, 0, 60_000)?;
                    this.pause = Some(Duration::from_millis(ms as u64));
                }
                // Of `--processes` to its children; not in `--help`.
                Long("child") => {
                    this.child = Some(number("--child", &parser.value()?, 1, 10)? - 1);
                }
                Long("picture") => this.picture = picture(&text(parser.value()?)?)?,
                Long("video") => this.video = Video::parse(parser.value()?)?,
                Long("audio") => this.audio = Audio::parse(parser.value()?)?,
                Long("speaker") => this.speaker = Speaker::parse(parser.value()?)?,
                Long("list-devices") => list_devices = true,
                Long("listen") => {
                    let value = text(parser.value()?)?;
                    this.listen = value.parse().map_err(|_| {
                        UsageError(format!(
                            "--listen {value}: it takes ADDRESS:PORT, as 127.0.0.1:4455"
                        ))
                    })?;
                }
                Long("name") => this.name = Some(text(parser.value()?)?),
                Value(word) => words.push(text(word)?),
                other => return Err(other.unexpected().into()),
            }
        }
        if list_devices {
            return Ok(Parsed::Devices { json: this.json });
        }
        this.mode = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => Mode::All,
            ["host"] => Mode::Host,
            ["join", url] if url.starts_with("ws://") || url.starts_with("wss://") => {
                Mode::Join(url.to_owned())
            }
            ["measure-failover"] => Mode::MeasureFailover,
            ["measure-joins"] => Mode::MeasureJoins(None),
            ["measure-joins", url] if url.starts_with("ws://") => {
                Mode::MeasureJoins(Some(url.to_owned()))
            }
            ["join" | "measure-joins", _] => {
                return Err(UsageError(format!(
                    "{}: it takes ws://HOST:PORT/ROOM",
                    words.join(" ")
                )));
            }
            ["join"] => {
                return Err(UsageError("join needs the URL that `call host` printed".into()));
            }
            _ => {
                return Err(UsageError(format!(
                    "`{}` is no command: it is host, join URL, measure-joins, measure-failover, \
                     or nothing",
                    words.join(" ")
                )));
            }
        };
        if this.processes && !matches!(this.mode, Mode::All) {
            return Err(UsageError(format!(
                "--processes starts everybody: leave {} out",
                words[0]
            )));
        }
        if this.trace.is_some() && !this.json {
            return Err(UsageError(
                "--trace reads marks that only --json puts in: add --json".into(),
            ));
        }
        if this.trace.is_some()
            && matches!(this.mode, Mode::MeasureJoins(_) | Mode::MeasureFailover)
        {
            return Err(UsageError(format!(
                "--trace is of one call, and {} keeps several: leave it out",
                words[0]
            )));
        }
        if this.processes && this.trace.is_some() {
            return Err(UsageError(
                "--trace writes what this process sees: leave --processes out".into(),
            ));
        }
        shape::settle(&mut this, participants.as_ref(), host)?;
        orders::settle(&this)?;
        for (name, value) in [("--host", this.host), ("--view", this.view)] {
            if let Some(value) = value.filter(|&value| value > this.participants) {
                let people = this.participants;
                return Err(UsageError(format!("{name} {value}: there are {people} participants")));
            }
        }
        Ok(Parsed::Run(Box::new(this)))
    }

    /// The command line that makes a process participant `index` of the call at `url`.
    pub(crate) fn child(&self, index: usize, url: &str) -> Vec<OsString> {
        let mut line: Vec<OsString> = vec!["join".into(), url.into()];
        let mut add = |option: &str, value: &dyn AsRef<std::ffi::OsStr>| {
            line.push(option.into());
            line.push(value.as_ref().into());
        };
        add("--child", &(index + 1).to_string());
        add("--participants", &self.participants.to_string());
        add("--topology", &shape::topology_word(self.topology));
        add("--carrier", &shape::carrier_word(self.carrier));
        if let Some(bitrate) = self.bitrate {
            add("--bitrate", &(bitrate.bps() / 1_000).to_string());
        }
        if let Some(host) = self.host {
            add("--host", &host.to_string());
        }
        add("--view", &(self.viewer() + 1).to_string());
        add("--name", &self.name(index));
        add("--picture", &picture_word(self.picture));
        for (option, word) in self.source_options(index) {
            add(option, &word);
        }
        if let Some(colours) = self.colours {
            add("--colour", &colours_word(colours));
        }
        for (option, on) in [("--json", self.json), ("--ascii", self.ascii)] {
            if on {
                line.push(option.into());
            }
        }
        line
    }

    /// Who is shown in the terminal, from 0: somebody who is not likely to host.
    pub(crate) fn viewer(&self) -> usize {
        self.view.map_or_else(
            || usize::from(!self.is_mesh() && !self.comes_late(0) && self.participants > 1),
            |view| view - 1,
        )
    }

    /// What participant `index` is called.
    pub(crate) fn name(&self, index: usize) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None if index < NAMES.len() => NAMES[index].to_owned(),
            None => format!("guest {}", index + 1),
        }
    }
}

pub(crate) fn text(value: OsString) -> Result<String, UsageError> {
    value.into_string().map_err(|value| UsageError(format!("{value:?} is not UTF-8")))
}

pub(crate) fn number(
    option: &str,
    value: &OsString,
    min: usize,
    max: usize,
) -> Result<usize, UsageError> {
    let parsed = value.to_str().and_then(|value| value.parse().ok());
    parsed.filter(|value| (min..=max).contains(value)).ok_or_else(|| {
        UsageError(format!("{option} {}: it takes a number from {min} to {max}", value.display()))
    })
}

fn picture(value: &str) -> Result<PictureFormat, UsageError> {
    match value {
        "cells" => Ok(PictureFormat::Cells),
        "h264" => Ok(PictureFormat::H264),
        "rgb" => Ok(PictureFormat::Rgb),
        _ => Err(UsageError(format!("--picture {value}: it is h264, rgb or cells"))),
    }
}

fn colours(value: &str) -> Result<Option<Colours>, UsageError> {
    match value {
        "16" => Ok(Some(Colours::Indexed16)),
        "24bit" => Ok(Some(Colours::Bits24)),
        "256" => Ok(Some(Colours::Indexed256)),
        "auto" => Ok(None),
        "none" => Ok(Some(Colours::None)),
        _ => Err(UsageError(format!("--colour {value}: it is auto, 24bit, 256, 16 or none"))),
    }
}

/// What `--colour` takes for it.
fn colours_word(colours: Colours) -> &'static str {
    match colours {
        Colours::Bits24 => "24bit",
        Colours::Indexed16 => "16",
        Colours::Indexed256 => "256",
        _ => "none",
    }
}

/// What `--picture` takes for it.
pub(crate) fn picture_word(format: PictureFormat) -> &'static str {
    match format {
        PictureFormat::Cells => "cells",
        PictureFormat::Rgb => "rgb",
        _ => "h264",
    }
}

/// Who is in a call; the fourth is guest 4.
pub(crate) const NAMES: [&str; 3] = ["Ada", "Ben", "Cem"];

const HELP: &str = "\
A call without a media server, in a terminal.

usage: call [options]            a signalling server and everybody, in this process
       call host [options]       a signalling server and the first to host; prints the URL
                                 to join
       call join URL [options]   one more participant, on this machine or another
       call measure-joins [URL]  how long joining takes, step by step, over --count
                                 processes that join one after another
       call measure-failover     how long a call of three processes stands still when
                                 its host is killed, over --count kills

  --participants N   how many, 1 to 9 (3); 2 to 10 in a mesh
  --topology SHAPE   star: one hosts and mixes; mesh: everybody is connected to
                     everybody, and each mixes for himself (star). From five
                     people on, and with host and join, the pictures of a mesh
                     are at most 320 x 180 at 15 a second: with them ten take
                     1.5 cores
  --carrier CARRIER  channel: media go over the data channel, where nothing is lost and
                     some is late; rtp: as SRTP tracks, where what is late is not waited
                     for, and where sound is lost it is coded as speech that survives
                     that (channel). All in a call have to choose the same
  --bitrate KBPS     of one picture at most, 64 to 20000 (1200; 225 where many send to
                     many); what a path does not take is not sent
  --processes        a process for each participant, started and watched over
  --host N           who joins first, and so is at the front: hosts and mixes (all
                     join at once and elect one); not in a mesh
  --handover-at S    whoever is at the front hands over S seconds after everybody is
                     in the room; 5,10 is twice
  --kill-host-at S   whoever is at the front is gone S seconds after that, without a
                     word; with --processes by SIGKILL. The others go on
  --view N           whose picture to show (1, or 2 if 1 is likely to host)
  --picture FORMAT   h264, rgb or cells (h264)
  --video SOURCE     screen, window:ID, camera, FILE.y4m, FILE.h264 or test (a bundled
                     clip per person); screen:ID and camera:ID for one of several
  --audio SOURCE     mic, mic:ID, FILE.wav, tone or silence (bundled speech per person;
                     in a mesh the fourth and those after him are silent)
  --speaker ID       where what is heard is played: a loudspeaker, default or none
                     (default with --audio mic, else none). Of several people in one
                     process, screen, camera, microphone and loudspeaker are of the
                     one who is viewed
  --list-devices     what there is of these, with their IDs, and nothing else
  --name NAME        what the others call you (host, join)
  --listen ADDR:PORT where the server listens, and what media are bound to
                     (127.0.0.1, any free port; 0.0.0.0 is all addresses)
  --qr               show the URL to join as a QR code too (host)
  --count N          how many joins or kills to measure (50)
  --pause MS         wait so long between two of them (joins 0, kills 1000)
  --duration SECONDS leave after this long (20 with --json or without a
                     terminal, else when you press q)
  --json             one line of figures at the end, read from marks in the media
  --trace FILE       with --json: how late each picture was, as CSV
  --ascii            characters instead of colours
  --colour COLOURS   auto, 24bit, 256, 16 or none (auto: as TERM, COLORTERM and
                     NO_COLOR say)
  -h, --help         this
  -V, --version      the version

In the call: q or Ctrl-C leaves, ? tells the other keys.
Exit status: 0, 1 if the call failed, 2 if the command line is wrong.";
