//! The call itself: who takes part, when it ends, what is told of it.

use std::error::Error;
use std::fmt::Write as _;
use std::fs::File;
use std::future::pending;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use paceline::playout::terminal::Colours;
use paceline_signaling::Server;
use tokio::sync::mpsc;

use crate::args::{Args, Mode};
use crate::child::{self, Command};
use crate::keys::Key;
use crate::lan;
use crate::orders::{Order, Orders};
use crate::participant::Outcome;
use crate::qr;
use crate::report::Report;
use crate::seats::Seats;
pub(crate) use crate::signals::interrupted;
use crate::system;
use crate::terminal::Terminal;
use crate::view::{View, status_line, terminal_kind};

pub(crate) type Failure = Box<dyn Error>;

/// Runs a call from the first connection to the summary.
pub(crate) async fn run(mut args: Args) -> Result<(), Failure> {
    let trace_to = args.trace.as_deref().map(Trace::create).transpose()?;
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
        Mode::Join(_) | Mode::MeasureJoins(_) | Mode::MeasureFailover => None,
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

    let began = system::now();
    let mut seats = Seats::default();
    if args.child.is_some() {
        child::tell("joining_us", system::unix_micros());
    }
    seats.fill(&args, &url).await?;
    // Whoever is invited before we are in the room may be there first, and at the front.
    if let Some(server) = server.as_ref().filter(|_| matches!(args.mode, Mode::Host)) {
        invite(&args, server);
    }
    if args.child.is_some() {
        child::tell("joined", true);
    }
    let failure = watch_call(&args, &mut seats, interactive, duration).await;
    let left = seats.dismiss().await;
    if let Some(server) = server {
        server.shutdown().await;
    }
    let outcomes = left.outcomes;
    let mut report = Report::new(&args, &outcomes, left.problems, system::now() - began);
    for changes in &left.changes {
        report.changes.merge(changes);
    }
    for changes in &left.killed {
        report.changes.merge_closed(changes);
    }
    if args.child.is_some() {
        child::tell("timeline", outcomes.first().map(|one| child::timeline(&one.stats.timeline)));
        child::tell("report", report.raw());
    } else if args.json {
        say(&report.json());
    } else {
        say(&report.text());
    }
    // After what everybody waits for, and before what went wrong is told.
    let traced = trace_to.map_or(Ok(()), |to| to.write(&outcomes));
    if let Err(error) = traced {
        match &failure {
            Some(_) => eprintln!("call: {error}"),
            None => return Err(error),
        }
    }
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// Where it is told how late each picture was that anybody here saw of another.
struct Trace<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> Trace<'a> {
    /// Makes the file before there is a call whose figures could be lost with it.
    fn create(path: &'a Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|error| unwritten(path, &error))?;
        Ok(Self { path, file })
    }

    fn write(mut self, outcomes: &[Outcome]) -> Result<(), Failure> {
        let mut lines = String::from("at_us,who,of,latency_ms\n");
        for outcome in outcomes {
            for (at, of, ms) in outcome.figures.iter().flat_map(|figures| &figures.pictures) {
                let word = |name: &str| name.replace([',', '\n', '\r'], " ");
                let _ = writeln!(lines, "{at},{},{},{ms:.1}", word(&outcome.name), word(of));
            }
        }
        let written = self.file.write_all(lines.as_bytes());
        written.map_err(|error| unwritten(self.path, &error))
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    format!("{} cannot be written: {error}", path.display()).into()
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

/// Shows the call until it is over: by its time, by a key, by a signal, or because
/// nobody is left in it.
async fn watch_call(
    args: &Args,
    seats: &mut Seats,
    interactive: bool,
    duration: Option<Duration>,
) -> Option<String> {
    let mut failure = None;
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
    let mut commands = child::commands(args.child.is_some());
    let mut orders = Orders::new(args, system::now().into(), seats.front());
    let mut front = seats.front();
    // Who was elected meanwhile is to be told too.
    front.mark_changed();
    let mut told = None;
    let mut shown = false;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut seconds = 0;
    let mut screen = seats.viewed();
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
            command = commands.next() => match command {
                Some(Command::HandOver) => seats.hand_over(0),
                None => break,
            },
            (order, who) = orders.next() => {
                match order {
                    Order::HandOver => seats.hand_over(who),
                    Order::Kill => {
                        let name = seats.kill(who);
                        screen = seats.viewed();
                        if view.is_none() {
                            eprintln!("{name} is gone on purpose, without a word");
                        }
                    }
                }
            }
            Ok(()) = front.changed() => {
                let now = *front.borrow_and_update();
                if args.child.is_some() {
                    child::tell("hosting", now.map(|(epoch, _)| epoch.to_bits()));
                } else if let Some((_, who)) = now.filter(|_| view.is_none()) {
                    let name = seats.name(who);
                    // Who was elected when the call began is no news.
                    if told.replace(who).is_some_and(|before| before != who) {
                        eprintln!("{name} is at the front now");
                    }
                }
            }
            () = seats.ended() => if seats.is_empty() { break },
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
                failure = Some(format!("the terminal is gone: {error}"));
                break;
            }
        }
    }
    failure
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
