//! Who sends.

use std::env;
use std::io;
use std::process::{Command, Stdio};

use paceline_benches::display::bound;
use paceline_benches::scene::{HEIGHT, WIDTH};
use paceline_codec::Content;

use crate::ours::Job;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Contender {
    Camera,
    GstCamera,
    GstScreen,
    Screen,
    Superfast,
    Ultrafast,
}

impl Contender {
    /// In the order of the tables.
    pub(crate) const ALL: [Self; 6] = [
        Self::Camera,
        Self::Screen,
        Self::Ultrafast,
        Self::Superfast,
        Self::GstCamera,
        Self::GstScreen,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::GstCamera => "gst-camera",
            Self::GstScreen => "gst-screen",
            Self::Screen => "screen",
            Self::Superfast => "superfast",
            Self::Ultrafast => "ultrafast",
        }
    }

    /// Whether it can be started; says what is missing if not.
    pub(crate) fn is_installed(self) -> bool {
        let missing = match self {
            Self::Camera | Self::Screen => None,
            Self::Superfast | Self::Ultrafast => {
                let has = |list: &str, what: &str| says(&["ffmpeg", "-hide_banner", list], what);
                let found = has("-encoders", "libx264") && has("-devices", "x11grab");
                (!found).then_some("ffmpeg with libx264 and x11grab")
            }
            Self::GstCamera | Self::GstScreen => {
                let has = |name| says(&["gst-inspect-1.0", name], "Factory Details");
                let all = ["ximagesrc", "videoconvert", "openh264enc", "rtph264pay", "udpsink"];
                (!all.into_iter().all(has))
                    .then_some("GStreamer with ximagesrc, openh264enc and rtph264pay")
            }
        };
        if let Some(missing) = missing {
            eprintln!("{} is left out: {missing} is not installed", self.name());
        }
        missing.is_none()
    }

    /// What sends `display` to 127.0.0.1:`port`, at so many kbit/s.
    pub(crate) fn command(self, display: &str, port: u16, kbps: u64) -> io::Result<Command> {
        let mut command = match self {
            Self::Camera => ours(display, port, kbps, Content::Camera)?,
            Self::Screen => ours(display, port, kbps, Content::Screen)?,
            Self::Ultrafast => ffmpeg("ultrafast", display, port, kbps),
            Self::Superfast => ffmpeg("superfast", display, port, kbps),
            Self::GstCamera => gstreamer("camera", display, port, kbps),
            Self::GstScreen => gstreamer("screen", display, port, kbps),
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }

    pub(crate) const fn is_ours(self) -> bool {
        matches!(self, Self::Camera | Self::Screen)
    }
}

fn ours(display: &str, port: u16, kbps: u64, content: Content) -> io::Result<Command> {
    let screen = content == Content::Screen;
    let job = Job { display: display.to_owned(), port, kbps, screen };
    let program = env::current_exe()?;
    let program = program.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut command = bound(program);
    command.arg("--child").arg(serde_json::to_string(&job)?);
    Ok(command)
}

/// One key frame, none after it; half a second of buffer for the rate control.
fn ffmpeg(preset: &str, display: &str, port: u16, kbps: u64) -> Command {
    let mut command = bound("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-nostdin"]);
    command.args(["-f", "x11grab", "-draw_mouse", "0", "-framerate", "30"]);
    command.args(["-video_size", &format!("{WIDTH}x{HEIGHT}"), "-i", display]);
    command.args(["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", preset]);
    command.args(["-tune", "zerolatency", "-x264-params", "keyint=infinite:scenecut=0"]);
    command.args(["-b:v", &format!("{kbps}k"), "-maxrate", &format!("{kbps}k")]);
    command.args(["-bufsize", &format!("{}k", kbps / 2)]);
    command.args(["-f", "rtp", "-payload_type", "96"]);
    command.arg(format!("rtp://127.0.0.1:{port}?pkt_size=1200"));
    command
}

/// The same: the colours are told because those of a picture of this size would be others.
fn gstreamer(usage: &str, display: &str, port: u16, kbps: u64) -> Command {
    let mut command = bound("gst-launch-1.0");
    command.args(["-q", "ximagesrc", &format!("display-name={display}"), "use-damage=1"]);
    command.args(["show-pointer=false", "!", "video/x-raw,framerate=30/1", "!", "videoconvert"]);
    command.args(["!", "video/x-raw,format=I420,colorimetry=bt601", "!", "openh264enc"]);
    command.args([&format!("usage-type={usage}"), "rate-control=bitrate", "complexity=low"]);
    command.args([&format!("bitrate={}", kbps * 1_000), "gop-size=100000"]);
    command.args(["!", "rtph264pay", "mtu=1200", "pt=96", "!", "udpsink", "host=127.0.0.1"]);
    command.args([&format!("port={port}"), "sync=false", "async=false"]);
    command
}

/// Whether a command says `what`.
fn says(command: &[&str], what: &str) -> bool {
    let output = Command::new(command[0]).args(&command[1..]).stdin(Stdio::null()).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(what))
}
