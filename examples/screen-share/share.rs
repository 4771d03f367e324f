//! One share, from its start to its end.

use std::io;
use std::time::Duration;

use paceline::codec::{Cause, Change, Direction};
use paceline::playout::terminal::sanitize;
use paceline::sfu::{Event, Target};
use paceline::{Share, ShareEnd, ShareError, ShareEvent, ShareStats};
use tokio::time::{Instant, interval_at, sleep_until};

use crate::allocations::Allocations;
use crate::args::Args;
use crate::report::{Moment, Report};
use crate::status::Status;
use crate::{signals, system};

/// Shares until somebody ends it, the time is over, or it is of no use.
///
/// # Errors
///
/// One line for a person.
pub(crate) async fn run(args: Args) -> Result<Report, String> {
    let mut share = build(&args).map_err(|error| error.to_string())?;
    let names: Vec<_> = share.targets().iter().map(ToString::to_string).collect();
    let mut interrupted = Box::pin(signals::interrupted());
    let mut status = Status::new(io::stderr(), names.clone());
    #[cfg(feature = "mirror")]
    if let Some(mirror) = &args.mirror {
        mirror.describe(&share)?.iter().for_each(|line| status.say(line));
    }
    let mut report = Report::new(&args, names);
    // A display or a file may never answer.
    let called = Instant::from_std(system::now());
    tokio::select! {
        started = share.start() => started.map_err(|error| error.to_string())?,
        () = &mut interrupted => {
            report.finish(called.elapsed(), ShareStats::default());
            return Ok(report);
        }
    }
    let began = Instant::from_std(system::now());
    let mut ticks = interval_at(began + TICK, TICK);
    let over = async {
        match args.duration {
            Some(duration) => sleep_until(began + duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    loop {
        tokio::select! {
            event = share.next() => match event {
                Some(event) => handle(event, &mut status, &mut report, args.debug),
                None => break,
            },
            _ = ticks.tick() => {
                let stats = share.stats().await;
                report.note(Moment::of(began.elapsed(), &stats));
                report.weigh(&stats, Allocations::so_far());
                status.show(began.elapsed(), &stats);
                if args.debug {
                    status.say(&detail(&stats));
                }
            }
            () = &mut interrupted => break,
            () = &mut over => break,
        }
    }
    let stats = share.stop().await;
    while let Some(event) = share.next().await {
        handle(event, &mut status, &mut report, args.debug);
    }
    status.end();
    report.finish(began.elapsed(), stats);
    Ok(report)
}

fn build(args: &Args) -> Result<Share, ShareError> {
    let mut builder =
        Share::builder(args.source.input()).name(&args.name).config(args.config.clone());
    if let Some(sound) = args.sound.input() {
        builder = builder.audio(sound);
    }
    if let Some(content) = args.content {
        builder = builder.content(content);
    }
    if let Some(token) = &args.token {
        builder = builder.auth(token.clone());
    }
    #[cfg(feature = "mirror")]
    if let Some(mirror) = &args.mirror {
        builder = builder.mirror(mirror.config());
    }
    args.targets.iter().cloned().fold(builder, |builder, target| builder.target(target)).build()
}

/// Says what happened, and notes what the report has to tell of it.
fn handle(event: ShareEvent, status: &mut Status, report: &mut Report, debug: bool) {
    match event {
        ShareEvent::Adapted(change) => status.say(&adapted(&change)),
        ShareEvent::DeviceBack { kind } => status.say(&format!("the {kind} is back")),
        ShareEvent::DeviceGone { kind, reason } => {
            status.say(&format!("the {kind} is gone: {}", line(&reason)));
        }
        ShareEvent::Ended(end) => {
            if let ShareEnd::External = end {
                status.say("external: share it in another way now");
            }
            report.end(end);
        }
        ShareEvent::LevelLowered { target, wanted, agreed } => {
            let name = status.name(target);
            status.say(&format!(
                "{name} takes H.264 only up to level {agreed}, and these pictures may need \
                 {wanted}: some may see nothing; share less with --fps, or with --source a \
                 smaller window"
            ));
        }
        ShareEvent::Target(event) => match &event {
            Event::SenderStarted { target, after, .. } => {
                let name = status.name(*target);
                status.say(&format!("shared with {name} after {} ms", after.as_millis()));
            }
            Event::FallbackTriggered(reason) => {
                let from = status.name_of(reason.from);
                let why = line(&reason.failure.to_string());
                let next = match reason.to {
                    Some(Target::External) => "no other is left".to_owned(),
                    Some(target) => format!("next is {}", status.name_of(target)),
                    None => "no other is left".to_owned(),
                };
                status.say(&format!("{from} does not work ({why}); {next}"));
                report.fell_back(reason);
            }
            event if debug => status.say(&line(&event.to_string())),
            _ => {}
        },
        ShareEvent::Warning(text) => status.say(&line(&text)),
        _ => {}
    }
}

/// What became of the picture, for a person.
fn adapted(change: &Change) -> String {
    let (width, height) = change.to.size;
    let rate = change.to.frame_rate;
    let why = match (change.cause, change.direction) {
        (Cause::Cpu, Direction::Down) => "this machine is busy",
        (Cause::Cpu, Direction::Up) => "this machine has time again",
        (Cause::Network(_), Direction::Down) => "the network takes less",
        (Cause::Network(_), Direction::Up) => "the network takes more",
        _ => "what is shared has changed",
    };
    format!("now {width} x {height} at {rate:.0} a second: {why}")
}

/// What only who looks for a fault wants to know.
fn detail(stats: &ShareStats) -> String {
    let sender = &stats.sender;
    let health = stats.health.as_ref().map(ToString::to_string).unwrap_or_default();
    format!(
        "{}; {} packets, {} sent again, {} bytes, {} pictures shed",
        line(&health),
        sender.packets,
        sender.retransmissions,
        sender.bytes,
        sender.shed,
    )
}

/// A text that may be of a server: one line, and nothing that a terminal acts on.
fn line(text: &str) -> String {
    sanitize(text, MAX_LINE)
}

/// How often figures are looked at.
const TICK: Duration = Duration::from_secs(1);

/// Characters of a line that says what went wrong: those of a failure have up to 256.
const MAX_LINE: usize = 400;
