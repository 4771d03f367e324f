//! How long a call stands still when its host is killed, over many kills: each time one more
//! process joins in place of the dead.

use std::time::Duration;

use paceline::types::Epoch;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::args::{Args, Mode};
use crate::call::{Failure, ROOM, interrupted, say};
use crate::changes::Change;
use crate::crew::Crew;
use crate::lan;
use crate::measure::percentile;
use crate::member::Member;
use crate::report::HostChanges;

/// Kills `--count` hosts, one after another, and prints what those who stayed saw and heard.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let server = lan::listen(args.listen, args.topology).await?;
    let url = lan::urls(&server, ROOM).swap_remove(0);
    // Marks are what is measured by.
    let children = Args { mode: Mode::All, json: true, ..args.clone() };
    let mut crew = Crew::new(children, false);
    let mut seen = Vec::new();
    let ended = tokio::select! {
        ended = kills(&mut crew, &url, &mut seen) => ended,
        () = interrupted() => Ok(()),
    };
    crew.dismiss().await;
    server.shutdown().await;
    let stale = crew.members.iter().map(Member::stale).sum();
    if seen.is_empty() {
        ended?;
        return Err("nobody was killed: it was over before that".into());
    }
    let errors = ended.as_ref().err().map(ToString::to_string).into_iter();
    let errors = Vec::from_iter(errors.chain(std::mem::take(&mut crew.problems)));
    let rows = rows(&seen);
    if args.json {
        say(&json(&rows, seen.len(), stale, &errors));
    } else {
        say(&table(&rows, seen.len(), stale));
    }
    ended
}

/// Kills one after another, and adds what each was like.
async fn kills(crew: &mut Crew, url: &str, seen: &mut Vec<Change>) -> Result<(), Failure> {
    for seat in 0..crew.args.participants {
        crew.start(crew.args.name(seat), seat, url)?;
    }
    for kill in 1..=crew.args.count {
        let late = |what: &str| format!("kill {kill}: {what} within {TOO_LONG:?}");
        let settled = timeout(TOO_LONG, settle(crew)).await;
        settled.map_err(|_| late("those who are there did not all see each other"))??;
        sleep(crew.args.pause.unwrap_or(PAUSE)).await;
        let dead = timeout(TOO_LONG, front(crew)).await;
        let (epoch, place) = dead.map_err(|_| late("nobody came to the front"))?;
        crew.kill(place);
        let change = timeout(TOO_LONG, change_after(crew, epoch)).await;
        seen.push(change.map_err(|_| late("not all have gone on with another host"))??);
        let (name, number) = (&crew.members[place].name, crew.members.len() + 1);
        eprintln!("{kill:>4}  {}", line(name, &seen[seen.len() - 1]));
        let seat = crew.members[place].seat;
        crew.start(format!("guest {number}"), seat, url)?;
    }
    Ok(())
}

/// Who is at the front, as soon as somebody is.
async fn front(crew: &mut Crew) -> (Epoch, usize) {
    loop {
        if let Some(front) = *crew.front().borrow() {
            return front;
        }
        crew.listen().await;
    }
}

/// Waits until each who is there has told, since the last of them joined, that he sees all of
/// them, and that pictures come.
async fn settle(crew: &mut Crew) -> Result<(), Failure> {
    let there = Vec::from_iter((0..crew.members.len()).filter(|&at| crew.members[at].runs()));
    while !there.iter().all(|&place| crew.members[place].joined) {
        crew.listen().await;
        crew.check_joining()?;
    }
    // What is told next may be of the second before.
    let enough = Vec::from_iter(there.iter().map(|&place| crew.members[place].statuses + 2));
    loop {
        let sees = |(&place, &enough): (&usize, &u64)| {
            let status = crew.status(place);
            let people = status["people"].as_array().map_or(0, Vec::len);
            crew.members[place].statuses >= enough
                && people == there.len()
                && status["fps"].as_f64() > Some(0.0)
                && status["host"].is_string()
        };
        if there.iter().zip(&enough).all(sees) {
            return Ok(());
        }
        crew.listen().await;
        check_alive(crew, &there)?;
    }
}

/// Waits until all who stay have measured a change to an epoch after this, to its end; the
/// worst of what they had. If there was more than one change, as when the first who was
/// elected was lost too, all of them together.
async fn change_after(crew: &mut Crew, epoch: Epoch) -> Result<Change, Failure> {
    let there = Vec::from_iter(
        (0..crew.members.len()).filter(|&at| crew.members[at].runs() && !crew.members[at].killed),
    );
    loop {
        let later = |place: &usize| {
            let mut changes = crew.members[*place].changes();
            changes.retain(|change| change.epoch > epoch);
            changes
        };
        let all = Vec::from_iter(there.iter().map(later));
        let closed = |changes: &Vec<Change>| changes.last().is_some_and(|change| change.closed);
        if all.iter().all(closed) {
            let mut together = HostChanges::default();
            for change in all.iter().flatten() {
                together.merge(&[Change { epoch, ..change.clone() }]);
            }
            return together.of(epoch).cloned().ok_or_else(|| "nobody is left".into());
        }
        crew.listen().await;
        check_alive(crew, &there)?;
    }
}

/// Who ends without having been killed is a failure.
fn check_alive(crew: &Crew, there: &[usize]) -> Result<(), Failure> {
    let dead = there.iter().map(|&place| &crew.members[place]).find(|member| !member.runs());
    match dead.and_then(|member| Some((member, member.ended?))) {
        Some((member, status)) => Err(member.obituary(status).into()),
        None => Ok(()),
    }
}

/// What is told of each kill as it happens.
fn line(name: &str, change: &Change) -> String {
    let show = |ms: Option<f64>| ms.map_or_else(|| "?".to_owned(), |ms| format!("{ms:.0}"));
    let [video, audio, detect, promote, _] = change.spans().map(show);
    format!(
        "{name} is gone: picture away for {video} ms, sound for {audio}; noticed after {detect}, \
         {} elected after {promote} more",
        change.to.as_deref().unwrap_or("somebody"),
    )
}

/// One figure of all kills.
struct Row {
    name: &'static str,
    text: &'static str,
    /// Of how many kills it is known.
    known: usize,
    /// The value below which so many parts of them lie.
    parts: [Option<f64>; PARTS.len()],
}

fn rows(seen: &[Change]) -> Vec<Row> {
    let rows = FIGURES.iter().enumerate().map(|(at, &(name, text))| {
        let mut figures = Vec::from_iter(seen.iter().filter_map(|change| change.spans()[at]));
        let parts = PARTS.map(|(_, part)| percentile(&mut figures, part));
        Row { name, text, known: figures.len(), parts }
    });
    rows.collect()
}

fn table(rows: &[Row], kills: usize, stale: u64) -> String {
    let names = PARTS.map(|(name, _)| format!("{name:>8}")).concat();
    let mut lines = vec![
        format!("{kills} hosts killed, in milliseconds; of two who stayed, the worse"),
        format!("{:<40}{names}   known", ""),
    ];
    for Row { text, known, parts, .. } in rows {
        let show = |ms: Option<f64>| ms.map_or_else(|| "?".to_owned(), |ms| format!("{ms:.0}"));
        let parts = parts.map(|ms| format!("{:>8}", show(ms))).concat();
        lines.push(format!("{text:<40}{parts}{known:>8}"));
    }
    lines.push(format!("pictures and sounds of a dead host after one of the next: {stale}"));
    lines.join("\n")
}

fn json(rows: &[Row], kills: usize, stale: u64, errors: &[String]) -> Value {
    let mut line = json!({ "kills": kills, "stale_epoch_rendered": stale, "errors": errors });
    for Row { name, known, parts, .. } in rows {
        let mut figures = json!({ "known": known });
        for ((part, _), ms) in PARTS.iter().zip(parts) {
            figures[part] = ms.map(|ms| (ms * 10.0).round() / 10.0).into();
        }
        line[name] = figures;
    }
    line
}

/// What is told of all kills, in the order of [`Change::spans`].
const FIGURES: [(&str, &str); 5] = [
    ("video_gap_ms", "worst wait for a new mark, beyond usual"),
    ("audio_gap_ms", "sound made up, missing or standing"),
    ("detect_ms", "last word of the host to doubt"),
    ("promote_ms", "doubt to election"),
    ("audio_beyond_detect_ms", "sound away beyond the doubt"),
];

/// By nearest rank; of fifty, the 99th is the worst.
const PARTS: [(&str, f64); 4] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)];

/// Between when all see each other and the kill, if nothing else is asked for: a standby is
/// chosen and connected to within a second.
const PAUSE: Duration = Duration::from_secs(1);

/// How long each part of a kill may take: a dead member stands in the room's list until the
/// server has noticed.
const TOO_LONG: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_is_of_the_kills_of_which_it_is_known() {
        let change = |video: f64, audio| Change {
            video_gap: Some(video),
            audio_gap: audio,
            detect: Some(300.0),
            ..Change::default()
        };
        let seen = [change(400.0, None), change(600.04, Some(310.0)), change(500.0, None)];
        let told = json(&rows(&seen), seen.len(), 0, &[]);
        assert_eq!(
            told["video_gap_ms"],
            json!({ "known": 3, "p50": 500.0, "p95": 600.0, "p99": 600.0, "max": 600.0 })
        );
        assert_eq!(told["audio_gap_ms"]["known"], 1);
        assert_eq!(
            told["promote_ms"],
            json!({
                "known": 0, "p50": null, "p95": null, "p99": null, "max": null,
            })
        );
        assert_eq!((&told["kills"], &told["stale_epoch_rendered"]), (&3.into(), &0.into()));
        let text = table(&rows(&seen), seen.len(), 0);
        assert!(text.contains("     500     600     600     600       3"), "{text}");
    }
}
