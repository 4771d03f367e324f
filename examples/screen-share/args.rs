//! The command line.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use lexopt::prelude::*;
use paceline::types::{Bitrate, Content, PictureFormat};
use paceline::{Auth, Config, ShareTarget};

#[cfg(feature = "mirror")]
use crate::mirror::{HERE, Mirror};
use crate::sources::{Sound, Source};
use crate::targets;

/// Everything the command line says, checked.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    /// The first is where the picture is to go, the others what to fall back on.
    pub(crate) targets: Vec<ShareTarget>,
    pub(crate) source: Source,
    pub(crate) sound: Sound,
    pub(crate) config: Config,
    pub(crate) codec: PictureFormat,
    pub(crate) content: Option<Content>,
    pub(crate) name: String,
    /// Whose `Debug` does not show it.
    pub(crate) token: Option<Auth>,
    #[cfg(feature = "mirror")]
    pub(crate) mirror: Option<Mirror>,
    pub(crate) duration: Option<Duration>,
    pub(crate) json: bool,
    pub(crate) debug: bool,
}

/// What came of the command line.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// What there is to share.
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
    /// Reads the command line; `secret` is what the environment has as our token.
    pub(crate) fn parse(
        args: impl IntoIterator<Item = OsString>,
        secret: Option<OsString>,
    ) -> Result<Parsed, UsageError> {
        let mut this = Self {
            targets: Vec::new(),
            source: Source::Screen(None),
            sound: Sound::None,
            config: Config::default(),
            codec: PictureFormat::H264,
            content: None,
            name: "screen".to_owned(),
            token: None,
            #[cfg(feature = "mirror")]
            mirror: None,
            duration: None,
            json: false,
            debug: false,
        };
        let (mut to, mut fps, mut kbps) = (None, 30, 2_500);
        let mut list_devices = false;
        let mut parser = lexopt::Parser::from_iter(args);
        while let Some(arg) = parser.next()? {
            match arg {
                Long("help") | Short('h') => return Ok(Parsed::Say(HELP.to_owned())),
                Long("version") | Short('V') => {
                    let version = concat!("screen-share ", env!("CARGO_PKG_VERSION"));
                    return Ok(Parsed::Say(version.to_owned()));
                }
                Long("to") => {
                    let target = targets::parse("--to", &text(parser.value()?)?)?;
                    if to.replace(target).is_some() {
                        let text = "--to is given once: what is next goes behind --fallback";
                        return Err(UsageError(text.to_owned()));
                    }
                }
                Long("fallback") => {
                    this.targets.push(targets::parse("--fallback", &text(parser.value()?)?)?);
                }
                Long("source") => this.source = Source::parse(parser.value()?)?,
                Long("audio") => this.sound = Sound::parse(parser.value()?)?,
                Long("fps") => fps = number("--fps", &parser.value()?, 1, 60)?,
                Long("bitrate") => kbps = number("--bitrate", &parser.value()?, 64, 20_000)?,
                Long("codec") => this.codec = codec(&text(parser.value()?)?)?,
                Long("content") => this.content = Some(content(&text(parser.value()?)?)?),
                Long("name") => this.name = text(parser.value()?)?,
                Long("token") => this.token = Some(token("--token", parser.value()?)?),
                Long("bind") => this.config = this.config.bind(address(parser.value()?)?),
                #[cfg(feature = "mirror")]
                Long("mirror") => {
                    let sdp = this.mirror.take().and_then(|mirror| mirror.sdp);
                    let to = mirror(optional(&mut parser)?)?;
                    this.mirror = Some(Mirror { to, sdp });
                }
                #[cfg(feature = "mirror")]
                Long("sdp") => {
                    let to = this.mirror.map_or(HERE, |mirror| mirror.to);
                    this.mirror = Some(Mirror { to, sdp: Some(parser.value()?.into()) });
                }
                #[cfg(not(feature = "mirror"))]
                Long(option @ ("mirror" | "sdp")) => {
                    let text = "is not in this build: build it with `--features mirror`";
                    return Err(UsageError(format!("--{option} {text}")));
                }
                Long("duration") => {
                    let seconds = number("--duration", &parser.value()?, 1, 86_400)?;
                    this.duration = Some(Duration::from_secs(seconds.into()));
                }
                Long("json") => this.json = true,
                Long("debug") => this.debug = true,
                Long("list-devices") => list_devices = true,
                // It may be a target, and what is secret in it with it.
                Value(word) => {
                    let word = targets::shown(&word.to_string_lossy());
                    return Err(UsageError(format!("{word}: a target goes behind --to")));
                }
                other => return Err(other.unexpected().into()),
            }
        }
        if this.token.is_none()
            && let Some(value) = secret.filter(|value| !value.is_empty())
        {
            this.token = Some(token("PACELINE_TOKEN", value)?);
        }
        if list_devices {
            return Ok(Parsed::Devices { json: this.json });
        }
        let Some(to) = to else {
            let text = "--to is missing: say where to, as --to room:ws://HOST:PORT/ROOM";
            return Err(UsageError(text.to_owned()));
        };
        this.targets.insert(0, to);
        this.config = this
            .config
            .picture(this.codec)
            .video_bitrate(Bitrate::from_kbps(kbps.into()))
            // What is larger than H.264 has room for is scaled down in any case.
            .max_own_picture(3_840, 2_160, fps);
        Ok(Parsed::Run(Box::new(this)))
    }
}

fn text(value: OsString) -> Result<String, UsageError> {
    value.into_string().map_err(|value| UsageError(format!("{value:?} is not UTF-8")))
}

/// What nobody is to read, and so no text of ours has.
fn token(option: &str, value: OsString) -> Result<Auth, UsageError> {
    let wrong = |_| UsageError(format!("{option}: it is not UTF-8"));
    value.into_string().map(Auth::Token).map_err(wrong)
}

fn number(option: &str, value: &OsString, min: u32, max: u32) -> Result<u32, UsageError> {
    let parsed = value.to_str().and_then(|value| value.parse().ok());
    parsed.filter(|value| (min..=max).contains(value)).ok_or_else(|| {
        UsageError(format!("{option} {}: it takes a number from {min} to {max}", value.display()))
    })
}

/// The value of an option that may go without one: nothing here stands alone.
#[cfg(feature = "mirror")]
fn optional(parser: &mut lexopt::Parser) -> Result<Option<OsString>, UsageError> {
    if let Some(value) = parser.optional_value() {
        return Ok(Some(value));
    }
    let is_value = parser.try_raw_args().is_some_and(|args| {
        args.peek().is_some_and(|next| !next.as_encoded_bytes().starts_with(b"-"))
    });
    Ok(if is_value { Some(parser.value()?) } else { None })
}

#[cfg(feature = "mirror")]
fn mirror(value: Option<OsString>) -> Result<std::net::SocketAddr, UsageError> {
    let Some(value) = value else { return Ok(HERE) };
    let value = text(value)?;
    let wrong = || UsageError(format!("--mirror {value}: it takes ADDRESS:PORT, as {HERE}"));
    value.parse().map_err(|_| wrong())
}

fn codec(value: &str) -> Result<PictureFormat, UsageError> {
    match value {
        "h264" => Ok(PictureFormat::H264),
        "vp8" => Ok(PictureFormat::Vp8),
        "vp9" => Ok(PictureFormat::Vp9),
        _ => Err(UsageError(format!("--codec {value}: it is h264, vp8 or vp9"))),
    }
}

fn content(value: &str) -> Result<Content, UsageError> {
    match value {
        "camera" => Ok(Content::Camera),
        "screen" => Ok(Content::Screen),
        _ => Err(UsageError(format!("--content {value}: it is screen or camera"))),
    }
}

fn address(value: OsString) -> Result<IpAddr, UsageError> {
    let value = text(value)?;
    let wrong = || UsageError(format!("--bind {value}: it takes an address, as 192.168.1.7"));
    value.parse().map_err(|_| wrong())
}

const HELP: &str = "\
Shares a screen: with an SFU, or with a room of paceline's own, and with the next of
several when one does not work.

usage: screen-share --to TARGET [options]

  --to TARGET        where to:
                       mediasoup:wss://HOST/?roomId=ROOM&peerId=PEER
                                            a mediasoup server that speaks protoo
                       broadcaster:https://HOST/rooms/ROOM
                                            the same by its HTTP interface
                       room:ws://HOST:PORT/ROOM
                                            a room, as `call host` prints it
  --fallback TARGET  where to if that does not work; again for a third, and so on.
                     `external`: end in good order, say so, and let whoever started this
                     share in another way
  --source SOURCE    screen, screen:ID, window:ID, camera, camera:ID, FILE.y4m, FILE.h264
                     or test (screen)
  --audio SOURCE     mic, mic:ID, FILE.wav, test or none (none)
  --fps N            pictures a second at most, 1 to 60 (30)
  --bitrate KBPS     of the picture at most, 64 to 20000 (2500)
  --codec CODEC      h264, vp8 or vp9 (h264)
  --content CONTENT  screen: text stays sharp; camera: movement is cheap, half the processor
                     time (what the source is)
  --name NAME        what the others call you (screen)
  --token T          lets you in, where the first SFU wants one; it is sent to no other
                     server. PACELINE_TOKEN in the environment does the same, and is not
                     seen by others
  --bind ADDRESS     where media leave this machine; 0.0.0.0 is all addresses (the one that
                     reaches the target)
  --mirror [ADDRESS:PORT]
                     a plain copy of what an SFU is sent, for a player (127.0.0.1:5004);
                     in a build with the feature `mirror`
  --sdp FILE         the same, and FILE is what the player opens
  --duration SECONDS end after this long (when you press Ctrl-C)
  --json             one line of figures at the end
  --debug            more about the transport
  --list-devices     what there is to share, with the IDs, and nothing else
  -h, --help         this
  -V, --version      the version

Exit status: 0, 1 if nothing could be shared or no target is left, 2 if the command line
cannot be read.";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Parsed, UsageError> {
        let words = ["screen-share"].into_iter().chain(line.split_whitespace());
        Args::parse(words.map(OsString::from), None)
    }

    #[test]
    fn the_first_target_is_where_to_and_the_others_follow_in_order() {
        let line = "--fallback room:ws://b:1/r --to room:ws://a:1/r --fallback external --fps 5";
        let Ok(Parsed::Run(args)) = parse(line) else { panic!("it is right") };
        let targets: Vec<_> = args.targets.iter().map(ToString::to_string).collect();
        assert_eq!(targets, ["room:ws://a:1/r", "room:ws://b:1/r", "external"]);
        assert!(args.config.validate().is_ok());
    }

    #[cfg(feature = "mirror")]
    #[test]
    fn a_mirror_is_on_this_machine_unless_an_address_says_otherwise() {
        let mirror = |line: &str| {
            let line = format!("--to mediasoup:ws://127.0.0.1:9 {line}");
            let Ok(Parsed::Run(args)) = parse(&line) else { panic!("{line} is right") };
            args.mirror.map(|mirror| (mirror.to.to_string(), mirror.sdp))
        };
        let here = || "127.0.0.1:5004".to_owned();
        assert_eq!(mirror(""), None);
        assert_eq!(mirror("--mirror"), Some((here(), None)));
        assert_eq!(mirror("--mirror --debug"), Some((here(), None)));
        assert_eq!(mirror("--sdp a.sdp"), Some((here(), Some("a.sdp".into()))));
        for line in ["--mirror 10.0.0.7:6000 --sdp a", "--sdp a --mirror=10.0.0.7:6000"] {
            assert_eq!(mirror(line), Some(("10.0.0.7:6000".into(), Some("a".into()))), "{line}");
        }
        for address in ["10.0.0.7", "x", "10.0.0.7:66000"] {
            let error = parse(&format!("--mirror {address}")).expect_err("it is wrong");
            assert!(error.to_string().contains("it takes ADDRESS:PORT"), "{error}");
        }
    }

    #[cfg(not(feature = "mirror"))]
    #[test]
    fn a_build_without_a_mirror_says_how_to_have_one() {
        let error = parse("--mirror").expect_err("there is none").to_string();
        assert_eq!(error, "--mirror is not in this build: build it with `--features mirror`");
    }

    #[test]
    fn nothing_that_is_refused_shows_a_token() {
        let word = "mediasoup:wss://ada:hunter2@a.example/?token=hunter2";
        let error = parse(word).expect_err("no --to").to_string();
        assert_eq!(error, "mediasoup:wss://a.example/?…: a target goes behind --to");
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStringExt as _;

            let odd = || OsString::from_vec(b"hunter2\xff".to_vec());
            let words = || ["screen-share", "--to", "room:ws://a:1/r"].map(OsString::from);
            let error = Args::parse(words(), Some(odd())).expect_err("it is none").to_string();
            assert_eq!(error, "PACELINE_TOKEN: it is not UTF-8");
            let line = words().into_iter().chain(["--token".into(), odd()]);
            let error = Args::parse(line, None).expect_err("it is none").to_string();
            assert_eq!(error, "--token: it is not UTF-8");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_one_line_that_says_why() {
        for (line, says) in [
            ("", "--to is missing: say where to"),
            ("--to room:ws://a:1/r --to external", "--to is given once"),
            ("--to sfu:wss://a", "--to sfu:wss://a: it is mediasoup:"),
            ("--to room:a", "--to room:a: a room is ws://HOST:PORT/ROOM"),
            ("--to mediasoup:https://a", "--to mediasoup:https://a: it takes wss://"),
            ("--fallback nobody", "--fallback nobody: it is mediasoup:"),
            ("--fps 0", "--fps 0: it takes a number from 1 to 60"),
            ("--bitrate 63", "--bitrate 63: it takes a number from 64 to 20000"),
            ("--codec av1", "--codec av1: it is h264, vp8 or vp9"),
            ("--content text", "--content text: it is screen or camera"),
            ("--source a.mp4", "--source a.mp4: it is screen"),
            ("--audio a.mp3", "--audio a.mp3: it is mic"),
            ("--bind here", "--bind here: it takes an address"),
            ("--nonsense", "invalid option '--nonsense'"),
        ] {
            let error = parse(line).expect_err("it is wrong").to_string();
            assert!(error.starts_with(says) && error.lines().count() == 1, "{line}: {error}");
        }
    }
}
