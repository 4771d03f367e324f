//! One sender after the other.

use std::io::{Read, Write};
use std::process::{Child, ChildStderr, ChildStdin};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use paceline_benches::display::Display;
use paceline_benches::scene::{HEIGHT, Kind, Scene, WIDTH};
use serde::Serialize;

use crate::Failure;
use crate::contender::Contender;
use crate::judge::{self, Verdict};
use crate::options::Options;
use crate::ours::Account;
use crate::painting::{Painting, since_unix};
use crate::receiver::Receiver;
use crate::report::Report;
use crate::stop::Stop;
use crate::usage::processor_time;

/// What one sender made of one stretch.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    /// Of a core, in %: the sender, and what the X server needed for it beside what painting
    /// takes anyway.
    pub(crate) sender: f64,
    pub(crate) server: f64,
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
    /// What ours says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<Account>,
}

/// Everybody in turns: each scene and bitrate in rounds, each round beginning with another one.
pub(crate) fn play(
    options: &Options,
    among: &[Contender],
    stop: &Stop,
    report: &mut Report,
) -> Result<(), Failure> {
    let display = Display::start(WIDTH, HEIGHT)
        .map_err(|error| format!("Xvfb cannot be started ({error}): is it installed?"))?;
    for &(name, kind) in &options.scenes {
        let scene = Arc::new(Scene::new(kind));
        let bitrates = if kind == Kind::Idle { &options.bitrates[..1] } else { &options.bitrates };
        for &kbps in bitrates {
            let mut outcomes: Vec<Vec<Outcome>> = vec![Vec::new(); among.len()];
            for round in 0..options.rounds {
                let stretch = Stretch { display: &display, scene: &scene, kbps, options, stop };
                let alone = stretch.alone()?;
                for turn in 0..among.len() {
                    let at = (turn + round) % among.len();
                    let who = among[at];
                    eprintln!(
                        "{name}, {kbps} kbit/s, round {} of {}: {}",
                        round + 1,
                        options.rounds,
                        who.name()
                    );
                    match stretch.send(who, alone) {
                        Ok(outcome) => outcomes[at].push(outcome),
                        // Not to be gone on with.
                        Err(error) if stop.is_set() => return Err(error),
                        Err(error) => eprintln!("{} failed: {error}", who.name()),
                    }
                }
            }
            let named = among.iter().copied().zip(outcomes);
            report.stretch(name, kbps, named.collect());
        }
    }
    Ok(())
}

struct Stretch<'a> {
    display: &'a Display,
    scene: &'a Arc<Scene>,
    kbps: u64,
    options: &'a Options,
    stop: &'a Stop,
}

impl Stretch<'_> {
    /// What painting alone takes of the server, in % of a core.
    fn alone(&self) -> Result<f64, Failure> {
        let painting = Painting::start(self.display.name(), Arc::clone(self.scene))?;
        self.stop.wait(WARM_UP / 4)?;
        let before = processor_time(self.display.pid())?;
        self.stop.wait(self.seconds())?;
        let used = processor_time(self.display.pid())? - before;
        painting.end()?;
        Ok(100.0 * used / self.options.seconds)
    }

    fn send(&self, who: Contender, alone: f64) -> Result<Outcome, Failure> {
        let painting = Painting::start(self.display.name(), Arc::clone(self.scene))?;
        let receiver = Receiver::start(self.stop.teller())?;
        let mut command = who.command(self.display.name(), receiver.port(), self.kbps)?;
        let mut sender = Sender::of(command.spawn()?)?;
        let came = self.stop.wait_for_datagram(receiver.port(), PATIENCE)?;
        if !came {
            return Err(format!("nothing came: {}", sender.kill()?).into());
        }
        self.stop.wait(WARM_UP)?;
        let pids = [sender.child.id(), self.display.pid()];
        let used = || -> Result<Vec<f64>, Failure> {
            pids.iter().map(|&pid| processor_time(pid)).collect()
        };
        let (from, before) = (since_unix()?, used()?);
        self.stop.wait(self.seconds())?;
        let (to, after) = (since_unix()?, used()?);
        // What was painted last is still under way.
        self.stop.wait(LINGER)?;
        let account = if who.is_ours() { Some(sender.end()?) } else { None };
        if !who.is_ours() {
            sender.kill()?;
        }
        let painted = painting.end()?;
        let datagrams = receiver.end()?;
        let percent =
            |index: usize| 100.0 * (after[index] - before[index]) / (to - from).as_secs_f64();
        let verdict = judge::judge(self.scene, &painted, &datagrams, (from, to))?;
        let (sender, server) = (percent(0), percent(1) - alone);
        Ok(Outcome { sender, server, verdict, account })
    }

    fn seconds(&self) -> Duration {
        Duration::from_secs_f64(self.options.seconds)
    }
}

/// A process, and what it says. It ends with this.
struct Sender {
    child: Child,
    input: Option<ChildStdin>,
    complaints: Option<JoinHandle<String>>,
}

impl Sender {
    fn of(mut child: Child) -> Result<Self, Failure> {
        let input = child.stdin.take();
        let errors = child.stderr.take();
        let mut sender = Self { child, input, complaints: None };
        let read = move |errors: Option<ChildStderr>| {
            let mut text = Vec::new();
            // More than this is said by nobody who works.
            let read = errors.map(|errors| errors.take(1 << 16).read_to_end(&mut text));
            if let Some(Err(error)) = read {
                let _ = write!(text, "{error}");
            }
            String::from_utf8_lossy(&text).into_owned()
        };
        let thread = thread::Builder::new().name("complaints".into());
        sender.complaints = Some(thread.spawn(move || read(errors))?);
        Ok(sender)
    }

    /// Ends it; what it complained about.
    fn kill(&mut self) -> Result<String, Failure> {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait()?;
        let said = self.complaints.take().map(JoinHandle::join);
        Ok(said.and_then(Result::ok).unwrap_or_default())
    }

    /// Lets one of ours end; its account.
    fn end(&mut self) -> Result<Account, Failure> {
        // The end of its input is the sign.
        drop(self.input.take());
        let mut text = String::new();
        if let Some(mut output) = self.child.stdout.take() {
            output.read_to_string(&mut text)?;
        }
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("{status}: {}", self.kill()?).into());
        }
        Ok(serde_json::from_str(&text)?)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// From the first packet on: rate controls and caches settle.
const WARM_UP: Duration = Duration::from_secs(2);

/// After it nobody's picture is under way.
const LINGER: Duration = Duration::from_millis(300);

/// GStreamer looks for its plugins first.
const PATIENCE: Duration = Duration::from_secs(15);
