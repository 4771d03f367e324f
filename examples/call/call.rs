//! The call itself: who takes part, when it ends, what is told of it.

use std::error::Error;
use std::future::pending;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::sync::Arc;
use std::time::Duration;

use paceline::playout::terminal::Colours;
use paceline_signaling::Server;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::args::{Args, Mode};
use crate::child;
use crate::keys::Key;
use crate::lan;
use crate::participant::{Outcome, Participant, Screen};
use crate::qr;
use crate::report::Report;
pub(crate) use crate::signals::interrupted;
use crate::system;
use crate::terminal::Terminal;
use crate::view::{View, status_line, terminal_kind};

pub(crate) type Failure = Box<dyn Error>;

/// Runs a call from the first connection to the summary.
pub(crate) async fn run(mut args: Args) -> Result<(), Failure> {
    let interactive = !args.json
        && match args.child {
            Some(index) => index == args.viewer() && std::io::stdout().is_terminal(),
            None => Terminal::available(),
        };
    // Who started us says when it is over.
    let alone = args.child.is_none();
    let duration = args.duration.or_else(|| (!interactive && alone).then_some(DEFAULT_DURATION));
    let server = match &args.mode {
        Mode::All | Mode::Host => Some(lan::listen(args.listen, args.topology).await?),
        Mode::Join(_) | Mode::MeasureJoins(_) => None,
    };
    let url = match (&args.mode, &server) {
        (Mode::Join(url), _) => url.clone(),
        // The host too goes by what it tells the others.
        (_, Some(server)) => lan::urls(server, ROOM).swap_remove(0),
        (_, None) => unreachable!("only who joins has no server"),
    };
    args.bind = match args.mode {
        Mode::Join(_) => lan::towards(&url)?,
        _ => args.listen.ip(),
    };
    let urls = match &server {
        Some(server) => lan::urls(server, ROOM),
        None => vec![url.clone()],
    };
    args.invitation = Arc::new(invitation(&args, &urls));
    if let Some(server) = server.as_ref().filter(|_| matches!(args.mode, Mode::Host)) {
        invite(&args, server);
    }

    let began = system::now();
    let (stop, stopped) = watch::channel(false);
    let mut call = Call { tasks: JoinSet::new(), stopped, failures: Vec::new() };
    if args.child.is_some() {
        child::tell("joining_us", system::unix_micros());
    }
    let screen = call.start(&args, &url).await?;
    if args.child.is_some() {
        child::tell("joined", true);
    }
    let ended = watch_call(&args, screen, interactive, duration, &mut call.tasks).await;
    stop.send_replace(true);

    let mut outcomes = ended.early;
    while let Some(outcome) = call.tasks.join_next().await {
        match outcome {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => call.failures.push(error.to_string()),
        }
    }
    call.failures.extend(ended.panics);
    if let Some(server) = server {
        server.shutdown().await;
    }
    let mut report = Report::new(&args, &outcomes, call.failures, system::now() - began);
    if args.child.is_some() {
        child::tell("timeline", outcomes.first().map(|one| child::timeline(&one.stats.timeline)));
        child::tell("report", report.raw());
    } else if args.json {
        say(&report.json());
    } else {
        say(&report.text());
    }
    match ended.failure {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// Says the result. Whoever closed our output does not want it.
pub(crate) fn say(result: &impl std::fmt::Display) {
    let _ = writeln!(stdout(), "{result}");
}

/// How others join: a line for each address, and if asked a code to be photographed.
fn invitation(args: &Args, urls: &[String]) -> Vec<String> {
    let kind = terminal_kind(args);
    let mut lines = Vec::new();
    for url in urls {
        lines.push(format!("others join with: {}", args.join_line(url)));
        if args.qr {
            match qr::draw(url, qr::Style { ascii: !kind.utf8, colours: false }) {
                Some(code) => lines.extend(code.lines().map(str::to_owned)),
                None => lines.push(format!("{url} is too long for a QR code")),
            }
        }
    }
    lines
}

/// Says how others join before the screen is drawn on.
pub(crate) fn invite(args: &Args, server: &Server) {
    let kind = terminal_kind(args);
    let colours =
        stderr().is_terminal() && matches!(kind.colours, Colours::Bits24 | Colours::Indexed256);
    for url in lan::urls(server, ROOM) {
        eprintln!("others join with: {}", args.join_line(&url));
        if args.qr {
            match qr::draw(&url, qr::Style { ascii: !kind.utf8, colours }) {
                Some(code) => eprint!("{code}"),
                None => eprintln!("{url} is too long for a QR code"),
            }
        }
    }
    if let Some(warning) = lan::warning(server.local_addr()) {
        eprintln!("{warning}");
    }
}

/// Who takes part, in tasks of their own.
struct Call {
    tasks: JoinSet<Outcome>,
    stopped: watch::Receiver<bool>,
    failures: Vec<String>,
}

impl Call {
    /// Lets everybody of this process join: the host first, then the others at once,
    /// as people do; in a mesh all at once. Returns what the viewer sees.
    async fn start(&mut self, args: &Args, url: &str) -> Result<watch::Receiver<Screen>, Failure> {
        let (first, others, viewer): (Vec<_>, Vec<_>, _) = match args.mode {
            Mode::All => {
                let (hosts, others) = (0..args.participants).partition(|&index| args.hosts(index));
                (hosts, others, args.viewer())
            }
            Mode::Host => (vec![0], Vec::new(), 0),
            Mode::Join(_) if args.child.is_some() => {
                let index = args.child.unwrap_or_default();
                (vec![index], Vec::new(), index)
            }
            // Guests of several processes should not all look like the host.
            Mode::Join(_) | Mode::MeasureJoins(_) => {
                let guest = 1 + std::process::id() as usize % 2;
                (vec![guest], Vec::new(), guest)
            }
        };
        let hosts = match args.mode {
            Mode::Join(_) => args.child.is_some_and(|index| args.hosts(index)),
            _ => !args.is_mesh(),
        };
        let mut viewed = None;
        for first in first {
            let participant = Participant::join(args, first, hosts, url).await?;
            self.admit(participant, first == viewer, &mut viewed);
        }
        let mut joining = JoinSet::new();
        for index in others {
            let (args, url) = (args.clone(), url.to_owned());
            joining
                .spawn(async move { (index, Participant::join(&args, index, false, &url).await) });
        }
        while let Some(joined) = joining.join_next().await {
            let (index, participant) = joined?;
            self.admit(participant?, index == viewer, &mut viewed);
        }
        Ok(viewed.expect("the viewer is one of them"))
    }

    fn admit(
        &mut self,
        participant: Participant,
        is_viewer: bool,
        viewed: &mut Option<watch::Receiver<Screen>>,
    ) {
        let (screen, seen) = watch::channel(Screen::default());
        if is_viewer {
            *viewed = Some(seen);
        }
        self.tasks.spawn(participant.run(self.stopped.clone(), screen));
    }
}

/// How a call ended.
#[derive(Default)]
struct Ended {
    early: Vec<Outcome>,
    failure: Option<String>,
    /// Participants of this process that ended in a way that is a bug.
    panics: Vec<String>,
}

/// Shows the call until it is over: by its time, by a key, by a signal, or because
/// nobody is left in it.
async fn watch_call(
    args: &Args,
    mut screen: watch::Receiver<Screen>,
    interactive: bool,
    duration: Option<Duration>,
    tasks: &mut JoinSet<Outcome>,
) -> Ended {
    let mut ended = Ended::default();
    let mut view = None;
    let mut keys = None;
    if interactive {
        match Terminal::open() {
            Ok(terminal) => {
                view = Some(View::new(terminal, args));
                keys = Some(Terminal::keys());
            }
            Err(error) => eprintln!("call: the terminal cannot be drawn on ({error})"),
        }
    }
    let over = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => pending().await,
        }
    };
    tokio::pin!(over);
    let signal = interrupted();
    tokio::pin!(signal);
    let orphaned = child::orphaned(args.child.is_some());
    tokio::pin!(orphaned);
    let mut shown = false;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut seconds = 0;
    loop {
        tokio::select! {
            () = &mut over => break,
            () = &mut signal => break,
            key = pressed(&mut keys) => {
                let stays = |view: &mut View| view.handle_key(key, &screen.borrow());
                if !view.as_mut().is_some_and(stays) {
                    break;
                }
            }
            () = &mut orphaned => break,
            Some(outcome) = tasks.join_next() => {
                // A participant that ends before it is told to has lost its room.
                match outcome {
                    Ok(outcome) => ended.early.push(outcome),
                    Err(error) => ended.panics.push(error.to_string()),
                }
                if tasks.is_empty() {
                    break;
                }
            }
            _ = second.tick() => {
                if args.child.is_some() {
                    child::tell("status", child::status(&screen.borrow()));
                } else if view.is_none() && seconds > 0 {
                    eprintln!("{seconds:>4} s  {}", status_line(&screen.borrow()));
                }
                seconds += 1;
            }
            Ok(()) = screen.changed(), if view.is_some() || (args.child.is_some() && !shown) => {
                if args.child.is_some() && !shown && screen.borrow().picture.is_some() {
                    shown = true;
                    child::tell("first_us", system::unix_micros());
                }
            }
        }
        if let Some(view) = &mut view {
            let now = screen.borrow_and_update().clone();
            if let Err(error) = view.draw(&now) {
                ended.failure = Some(format!("the terminal is gone: {error}"));
                break;
            }
        }
    }
    ended
}

pub(crate) async fn pressed(keys: &mut Option<mpsc::UnboundedReceiver<Key>>) -> Key {
    if let Some(keys) = keys
        && let Some(key) = keys.recv().await
    {
        return key;
    }
    pending().await
}

/// How long a call lasts when nobody can press q.
pub(crate) const DEFAULT_DURATION: Duration = Duration::from_secs(20);

/// The room of the embedded server.
pub(crate) const ROOM: &str = "call";
