//! One process for each participant, started and watched over by this one.
//!
//! This process has the signalling server, so that the room outlives any participant.

use std::io::{IsTerminal, Write, stdin, stdout};
use std::time::Duration;

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use paceline::playout::terminal::sanitize;
use serde_json::Value;
use tokio::time::sleep;

use crate::args::Args;
use crate::call::{DEFAULT_DURATION, Failure, ROOM, interrupted, invite, say};
use crate::crew::Crew;
use crate::lan;
use crate::member::{Ask, MAX_NAME, Member};
use crate::orders::{Order, Orders};
use crate::report::Report;
use crate::system;
use crate::terminal::Terminal;

/// Runs a call of so many processes, from the first to the summary.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let interactive = !args.json && Terminal::available();
    let duration = args.duration.or_else(|| (!interactive).then_some(DEFAULT_DURATION));
    let server = lan::listen(args.listen, args.topology).await?;
    let url = lan::urls(&server, ROOM).swap_remove(0);
    invite(&args, &server);
    let began = system::now();
    let before = if interactive { tcgetattr(stdin()).ok() } else { None };
    let mut crew = Crew::new(args, interactive);
    let ended = call(&mut crew, &url, duration, before.as_ref()).await;
    crew.dismiss().await;
    if let Some(before) = before {
        give_back(&before);
    }
    server.shutdown().await;
    for text in std::mem::take(&mut crew.unsaid) {
        eprintln!("{text}");
    }
    ended?;

    let mut report = Report::of_this_process(&crew.args);
    crew.members.sort_by_key(|member| member.seat);
    for member in &crew.members {
        match &member.report {
            Some(raw) => report.absorb(raw),
            // One who was killed has told what he could.
            None => {
                report.changes.merge_closed(&member.changes());
                report.stale += member.stale();
            }
        }
    }
    let children = crew.members.iter().map(Member::json).collect();
    report.errors.splice(0..0, crew.problems);
    report.children = Some(children);
    report.wall = system::now() - began;
    if crew.args.json {
        say(&report.json());
    } else {
        say(&report.text());
    }
    Ok(())
}

/// Starts everybody, who is wished to host first and the others at once, and watches over
/// them until the call is over. Without a wish all start at once.
async fn call(
    crew: &mut Crew,
    url: &str,
    duration: Option<Duration>,
    before: Option<&Termios>,
) -> Result<(), Failure> {
    let signal = interrupted();
    tokio::pin!(signal);
    let everybody = 0..crew.args.participants;
    let (late, first): (Vec<_>, Vec<_>) = everybody.partition(|&index| crew.args.comes_late(index));
    for starting in [first, late] {
        for &index in &starting {
            crew.start(crew.args.name(index), index, url)?;
        }
        while !crew.members.iter().all(|member| member.joined) {
            tokio::select! {
                // The terminal interrupts the children too: that is no failure.
                biased;
                () = &mut signal => return Ok(()),
                () = crew.listen() => {}
            }
            crew.check_joining()?;
        }
    }

    let over = async {
        match duration {
            Some(duration) => sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    let mut orders = Orders::new(&crew.args, system::now().into(), crew.front());
    let mut front = crew.front();
    // Who was elected meanwhile is to be told too.
    front.mark_changed();
    let mut told = None;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut seconds = 0;
    loop {
        tokio::select! {
            () = &mut over => return Ok(()),
            () = &mut signal => return Ok(()),
            () = crew.listen() => {}
            (order, place) = orders.next() => obey(crew, order, place, before),
            Ok(()) = front.changed() => {
                let now = *front.borrow_and_update();
                // Who was elected when the call began is no news.
                if let Some((_, place)) = now
                    && told.replace(place).is_some_and(|before| before != place)
                {
                    let text = format!("{} is at the front now", crew.members[place].shown());
                    crew.say(text);
                }
            }
            _ = second.tick() => {
                if seconds > 0 && !crew.interactive {
                    eprintln!("{seconds:>4} s  {}", status_line(crew));
                }
                seconds += 1;
            }
        }
        let viewer = crew.members.iter().find(|member| member.seat == crew.args.viewer());
        match viewer.and_then(|viewer| viewer.ended).filter(|_| crew.interactive) {
            Some(status) if status.success() => return Ok(()),
            Some(_) => return Err("the process that draws has ended".into()),
            None => {}
        }
        if crew.members.iter().all(|member| member.ended.is_some()) {
            return Err("nobody is left in the call: all processes have ended".into());
        }
    }
}

fn obey(crew: &mut Crew, order: Order, place: usize, before: Option<&Termios>) {
    match order {
        Order::HandOver => crew.members[place].ask(Ask::HandOver),
        Order::Kill => {
            crew.kill(place);
            // If it is the one that draws, the rest of the call is told line by line.
            if crew.interactive && crew.members[place].seat == crew.args.viewer() {
                crew.interactive = false;
                before.into_iter().for_each(give_back);
                std::mem::take(&mut crew.unsaid).iter().for_each(|text| eprintln!("{text}"));
            }
        }
    }
}

fn status_line(crew: &Crew) -> String {
    let running: Vec<_> = crew.members.iter().filter(|member| member.ended.is_none()).collect();
    let told = |member: &&Member| member.status.as_ref()?["host"].as_str().map(str::to_owned);
    let front = crew.front().borrow().map(|(_, place)| crew.members[place].name.clone());
    // Somebody else's process may host.
    let host = front.or_else(|| running.iter().find_map(told));
    let people = running.iter().find_map(|member| member.status.as_ref()?["people"].as_array());
    let names = people.into_iter().flatten().filter_map(Value::as_str);
    let names = Vec::from_iter(names.map(|name| sanitize(name, MAX_NAME))).join(", ");
    let mut line = format!(
        "{} of {} processes|in the room {names}|{}",
        running.len(),
        crew.members.len(),
        match (crew.args.is_mesh(), host) {
            (true, _) => "mesh".to_owned(),
            (false, Some(host)) => format!("host {}", sanitize(&host, MAX_NAME)),
            (false, None) => "looking for a host".to_owned(),
        },
    );
    for member in running {
        let status = member.status.as_ref().unwrap_or(&Value::Null);
        let met = status["people"].as_array().map_or(0, Vec::len);
        let fps = status["fps"].as_f64().unwrap_or(0.0);
        line += &format!("|{} sees {met} at {fps:.0} fps", member.shown());
    }
    line
}

/// Undoes what a child that was killed has left of the terminal.
fn give_back(before: &Termios) {
    let _ = tcsetattr(stdin(), SetArg::TCSANOW, before);
    if stdout().is_terminal() {
        let _ = crossterm::execute!(
            stdout(),
            crossterm::cursor::Show,
            crossterm::terminal::LeaveAlternateScreen
        );
        let _ = stdout().flush();
    }
}
