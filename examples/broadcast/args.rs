//! The command line.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lexopt::prelude::*;
use paceline::MAX_DATA;

/// What to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// A server, the publisher and the viewers, in this process.
    All,
    /// A server and the publisher.
    Host,
    /// Viewers of a publisher elsewhere.
    View(String),
}

/// Everything the command line says, checked.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) mode: Mode,
    pub(crate) viewers: usize,
    /// Messages a second.
    pub(crate) rate: u32,
    /// Of each message.
    pub(crate) bytes: usize,
    pub(crate) media: Option<PathBuf>,
    /// Viewers that stop taking what comes.
    pub(crate) stall: usize,
    /// Joins and leaves a second.
    pub(crate) churn: u32,
    pub(crate) duration: Duration,
    pub(crate) listen: SocketAddr,
    pub(crate) json: bool,
}

/// What came of the command line.
#[derive(Debug)]
pub(crate) enum Parsed {
    Run(Args),
    Say(String),
}

/// A command line that cannot be followed.
#[derive(Debug)]
pub(crate) struct UsageError(String);

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
            viewers: 100,
            rate: 60,
            bytes: 4_096,
            media: None,
            stall: 0,
            churn: 0,
            duration: Duration::from_secs(10),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            json: false,
        };
        let mut parser = lexopt::Parser::from_iter(args);
        let mut messages = None;
        while let Some(arg) = parser.next()? {
            match arg {
                Long("help") | Short('h') => return Ok(Parsed::Say(HELP.to_owned())),
                Long("version") | Short('V') => {
                    let version = concat!("broadcast ", env!("CARGO_PKG_VERSION"));
                    return Ok(Parsed::Say(version.to_owned()));
                }
                Long("viewers") => this.viewers = number("--viewers", &parser.value()?, 1, 120)?,
                Long("rate") => {
                    messages = Some("--rate");
                    this.rate = number("--rate", &parser.value()?, 1, 1_000)? as u32;
                }
                Long("bytes") => {
                    messages = Some("--bytes");
                    this.bytes = number("--bytes", &parser.value()?, 16, MAX_DATA)?;
                }
                Long("media") => this.media = Some(media(parser.value()?)?),
                Long("stall") => this.stall = number("--stall", &parser.value()?, 0, 120)?,
                Long("churn") => this.churn = number("--churn", &parser.value()?, 0, 20)? as u32,
                Long("duration") => {
                    let seconds = number("--duration", &parser.value()?, 1, 86_400)?;
                    this.duration = Duration::from_secs(seconds as u64);
                }
                Long("listen") => {
                    let value = parser.value()?;
                    let address = value.to_str().and_then(|value| value.parse().ok());
                    this.listen = address.ok_or_else(|| {
                        let value = value.display();
                        UsageError(format!(
                            "--listen {value}: it takes ADDRESS:PORT, as 127.0.0.1:4455"
                        ))
                    })?;
                }
                Long("host") => this.set_mode(Mode::Host)?,
                Long("view") => {
                    let value = parser.value()?;
                    let url = value.to_str().filter(|url| url.starts_with("ws://"));
                    let url = url.ok_or_else(|| {
                        let value = value.display();
                        UsageError(format!("--view {value}: it takes ws://HOST:PORT/ROOM"))
                    })?;
                    this.set_mode(Mode::View(url.to_owned()))?;
                }
                Long("json") => this.json = true,
                other => return Err(other.unexpected().into()),
            }
        }
        if let (Some(option), true) = (messages, this.media.is_some()) {
            return Err(UsageError(format!("{option} is of messages, and --media sends none")));
        }
        if this.stall > this.viewers {
            let Self { stall, viewers, .. } = this;
            return Err(UsageError(format!("--stall {stall}: there are {viewers} viewers")));
        }
        if this.stall > 0 && this.duration < STALLED {
            let text = "--stall needs --duration 3 or more: viewers stall after a second";
            return Err(UsageError(text.to_owned()));
        }
        if this.churn > 0 && this.stall == this.viewers {
            return Err(UsageError("--churn needs a viewer that is not stalled".to_owned()));
        }
        let (stalls, churns) = (this.stall > 0, this.churn > 0);
        if this.mode == Mode::Host && (stalls || churns) {
            return Err(UsageError("--stall and --churn are of viewers: say so to --view".into()));
        }
        if matches!(this.mode, Mode::View(_)) && (messages.is_some() || this.media.is_some()) {
            let text = "--rate, --bytes and --media are of the publisher: say so to --host";
            return Err(UsageError(text.to_owned()));
        }
        Ok(Parsed::Run(this))
    }

    fn set_mode(&mut self, mode: Mode) -> Result<(), UsageError> {
        if self.mode != Mode::All {
            let text = "--host and --view are each one end: start a process for each";
            return Err(UsageError(text.to_owned()));
        }
        self.mode = mode;
        Ok(())
    }
}

fn number(option: &str, value: &OsString, min: usize, max: usize) -> Result<usize, UsageError> {
    let parsed = value.to_str().and_then(|value| value.parse().ok());
    parsed.filter(|value| (min..=max).contains(value)).ok_or_else(|| {
        UsageError(format!("{option} {}: it takes a number from {min} to {max}", value.display()))
    })
}

/// A file, or the name of a bundled clip.
fn media(value: OsString) -> Result<PathBuf, UsageError> {
    if let Some(name @ ("ada" | "ben" | "cem")) = value.to_str() {
        let clips = Path::new(env!("CARGO_MANIFEST_DIR")).join("media");
        return Ok(clips.join(name).with_extension("h264"));
    }
    let path = PathBuf::from(value);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("h264" | "264") => Ok(path),
        _ => Err(UsageError(format!(
            "--media {}: it is FILE.h264, or ada, ben or cem for a bundled clip",
            path.display()
        ))),
    }
}

/// With less there is next to nothing to hold against the second before viewers stalled.
const STALLED: Duration = Duration::from_secs(3);

const HELP: &str = "\
One sends, a hundred receive: over WebRTC data channels, without a media server.

usage: broadcast [options]             a signalling server, a publisher and the viewers,
                                       in this process
       broadcast --host [options]      a signalling server and the publisher; prints what
                                       the others start
       broadcast --view URL [options]  the viewers, on this machine or another

  --viewers N        how many, 1 to 120 (100)
  --rate N           messages a second, 1 to 1000 (60)
  --bytes N          of each message, 16 to 131040 (4096)
  --media FILE       pictures instead of messages: FILE.h264 (Annex B, sent as it is at
                     25 a second), or ada, ben or cem for a bundled clip
  --stall N          so many viewers stop taking what comes, a second after the start (0);
                     it takes a --duration of 3 or more
  --churn N          so many joins and leaves a second, in turn, 0 to 20 (0)
  --duration SECONDS how long to send, 1 to 86400 (10)
  --listen ADDR:PORT where the server listens, and what media are bound to
                     (127.0.0.1, any free port; 0.0.0.0 is all addresses)
  --json             one line of figures at the end
  -h, --help         this
  -V, --version      the version

In a terminal a table of the viewers is shown; q or Ctrl-C ends it all in good order, and
once more does not wait for what is on its way.
Exit status: 0, 1 if the broadcast failed, 2 if the command line is wrong.";

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> String {
        let words = ["broadcast"].into_iter().chain(line.split_whitespace());
        Args::parse(words.map(OsString::from)).expect_err("it is wrong").to_string()
    }

    #[test]
    fn the_help_tells_how_large_a_message_may_be() {
        assert!(HELP.contains(&format!("of each message, 16 to {MAX_DATA} (4096)")));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_one_line_that_says_why() {
        for (line, says) in [
            ("--viewers 121", "--viewers 121: it takes a number from 1 to 120"),
            ("--bytes 8", "--bytes 8: it takes a number from 16 to 131040"),
            ("--bytes 131041", "--bytes 131041: it takes a number from 16 to 131040"),
            ("--stall 1 --duration 2", "--stall needs --duration 3 or more"),
            ("--stall 3 --viewers 2", "--stall 3: there are 2 viewers"),
            ("--stall 2 --viewers 2 --churn 1", "--churn needs a viewer that is not stalled"),
            ("--media ada --rate 5", "--rate is of messages, and --media sends none"),
            ("--media ada.wav", "--media ada.wav: it is FILE.h264, or ada, ben or cem"),
            ("--host --view ws://a/b", "--host and --view are each one end"),
            ("--view http://a/b", "--view http://a/b: it takes ws://HOST:PORT/ROOM"),
            ("--view ws://a/b --rate 5", "--rate, --bytes and --media are of the publisher"),
            ("--host --stall 1", "--stall and --churn are of viewers"),
            ("--listen 80", "--listen 80: it takes ADDRESS:PORT"),
            ("--nonsense", "invalid option '--nonsense'"),
        ] {
            let error = error(line);
            assert!(error.starts_with(says) && error.lines().count() == 1, "{line}: {error}");
        }
    }
}
