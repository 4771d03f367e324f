//! Child processes, in turns.

use std::env;
use std::error::Error;
use std::process::{Command, Stdio};

use crate::contender::Contender;
use crate::options::Options;
use crate::work::{Job, Outcome, Work};

/// What each contender made of one job, round by round; a round that failed is `None`.
pub(crate) type Rounds = Vec<(Contender, Vec<Option<Outcome>>)>;

/// Lets all contenders do the same job so many times: one after the other in each round,
/// beginning with another one each time.
pub(crate) fn play(
    options: &Options,
    name: &str,
    rounds: usize,
    what: impl Fn(Contender) -> Option<Work>,
) -> Rounds {
    let mut results: Rounds = options.among.iter().map(|who| (*who, Vec::new())).collect();
    for round in 0..rounds {
        for turn in 0..results.len() {
            let at = (turn + round) % results.len();
            let (who, outcomes) = &mut results[at];
            let Some(what) = what(*who) else { continue };
            eprintln!("{name}, round {} of {rounds}: {}", round + 1, who.name());
            let viewers = if matches!(what, Work::Bulk { .. }) { 1 } else { options.viewers };
            outcomes.push(run(Job { who: *who, viewers, what }, None));
        }
    }
    results
}

/// Does a job in a process of its own, under the command in front if there is one. A failure
/// is said on stderr.
pub(crate) fn run(job: Job, under: Option<&mut Command>) -> Option<Outcome> {
    match try_run(job, under) {
        Ok(outcome) => Some(outcome),
        Err(error) => {
            eprintln!("{} failed: {error}", job.who.name());
            None
        }
    }
}

fn try_run(job: Job, under: Option<&mut Command>) -> Result<Outcome, Box<dyn Error>> {
    let program = env::current_exe()?;
    let mut alone = Command::new(&program);
    let command = match under {
        Some(under) => under.arg("--").arg(&program),
        None => &mut alone,
    };
    let command = command.arg("--child").arg(serde_json::to_string(&job)?);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(output.status.to_string().into());
    }
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().find(|line| line.starts_with('{')).ok_or("it said nothing")?;
    Ok(serde_json::from_str(line)?)
}
