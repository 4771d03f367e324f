//! All processes of a call, started and heard by this one.
//!
//! A child's standard input is the thread it hangs on: closing it asks the child to leave,
//! and a parent that is killed takes all children along.

use std::process::Stdio;

use paceline::types::Epoch;
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::{mpsc, watch};

use crate::args::Args;
use crate::call::Failure;
use crate::child;
use crate::member::{Ask, Heard, Member};
use crate::orders::{Front, note_front};

/// All children.
#[derive(Debug)]
pub(crate) struct Crew {
    pub(crate) args: Args,
    /// One of them draws.
    pub(crate) interactive: bool,
    pub(crate) members: Vec<Member>,
    pub(crate) heard: mpsc::UnboundedReceiver<(usize, Heard)>,
    tell: mpsc::UnboundedSender<(usize, Heard)>,
    /// Which of the members is at the front.
    front: watch::Sender<Front>,
    dismissed: bool,
    /// What children came to.
    pub(crate) problems: Vec<String>,
    /// What there is no place for while a child draws.
    pub(crate) unsaid: Vec<String>,
}

impl Crew {
    pub(crate) fn new(args: Args, interactive: bool) -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        Self {
            args,
            interactive,
            members: Vec::new(),
            heard,
            tell,
            front: watch::Sender::new(None),
            dismissed: false,
            problems: Vec::new(),
            unsaid: Vec::new(),
        }
    }

    /// Starts one more, as participant `seat`; its place among the members.
    pub(crate) fn start(&mut self, name: String, seat: usize, url: &str) -> Result<usize, Failure> {
        let draws = self.interactive && seat == self.args.viewer();
        let args = Args { name: Some(name.clone()), ..self.args.clone() };
        let process = Command::new(std::env::current_exe()?)
            .args(args.child(seat, url))
            .stdin(Stdio::piped())
            .stdout(if draws { Stdio::inherit() } else { Stdio::null() })
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("no process can be started: {error}"))?;
        let place = self.members.len();
        let mut member = Member::new(name, seat);
        member.attend(place, process, self.tell.clone());
        self.say(format!("{} is process {}", member.shown(), member.pid));
        self.members.push(member);
        Ok(place)
    }

    /// Who is at the front, by his place among the members.
    pub(crate) fn front(&self) -> watch::Receiver<Front> {
        self.front.subscribe()
    }

    /// Waits for the next thing that is heard of anybody, and takes it in. Cancel-safe.
    pub(crate) async fn listen(&mut self) {
        // This process can tell itself something as long as it lives.
        if let Some((place, heard)) = self.heard.recv().await {
            self.hear(place, heard);
        }
    }

    fn hear(&mut self, place: usize, heard: Heard) {
        let member = &mut self.members[place];
        match heard {
            Heard::Line(line) => match child::told(&line) {
                Some((name, value)) => match name.as_str() {
                    "hosting" => {
                        let epoch = value.as_u64().map(Epoch::from_bits);
                        member.hosted |= epoch.is_some();
                        if !member.killed {
                            note_front(&self.front, place, epoch);
                        }
                    }
                    "joined" => member.joined = true,
                    "report" => member.report = Some(value),
                    "status" => {
                        member.status = Some(value);
                        member.statuses += 1;
                    }
                    _ => {}
                },
                None => member.note_words(&line),
            },
            Heard::Ended(ended) => {
                note_front(&self.front, place, None);
                self.bury(place, ended);
            }
        }
    }

    fn bury(&mut self, place: usize, ended: std::io::Result<std::process::ExitStatus>) {
        let member = &mut self.members[place];
        let status = match ended {
            Ok(status) => status,
            Err(error) => {
                member.ended = Some(std::process::ExitStatus::default());
                let text = format!("{} cannot be watched over: {error}", member.shown());
                self.problems.push(text);
                return;
            }
        };
        member.ended = Some(status);
        if status.success() && member.report.is_some() {
            if !self.dismissed && !self.interactive {
                let text = format!("{} has left", member.shown());
                self.say(text);
            }
        } else if member.joined {
            let (text, killed) = (member.obituary(status), member.killed);
            self.say(text.clone());
            if !killed {
                self.problems.push(text);
            }
        }
    }

    /// Kills a member. Whoever comes to the front after him is another.
    pub(crate) fn kill(&mut self, place: usize) {
        self.members[place].ask(Ask::Kill);
        note_front(&self.front, place, None);
    }

    /// Who ends before he is in the room could not join.
    pub(crate) fn check_joining(&self) -> Result<(), Failure> {
        let failed = self.members.iter().find(|member| member.ended.is_some() && !member.joined);
        match failed {
            Some(member) => {
                Err(format!("{} could not join: {}", member.shown(), member.why()).into())
            }
            None => Ok(()),
        }
    }

    /// Asks all to leave, and waits until the last has ended: whoever is at the front at the
    /// end, when there is nobody left to hand over to.
    pub(crate) async fn dismiss(&mut self) {
        self.dismissed = true;
        let front = self.front.borrow().map(|(_, place)| place);
        for last in [false, true] {
            let leave = |place: usize| last || Some(place) != front;
            for (place, member) in self.members.iter_mut().enumerate() {
                if leave(place) {
                    member.ask(Ask::Leave);
                }
            }
            while (0..self.members.len()).any(|place| leave(place) && self.members[place].runs()) {
                self.listen().await;
            }
        }
    }

    /// What there is to tell of a member since it told it last.
    pub(crate) fn status(&self, place: usize) -> &Value {
        self.members[place].status.as_ref().unwrap_or(&Value::Null)
    }

    /// For people: at once, or when nobody draws any more.
    pub(crate) fn say(&mut self, text: String) {
        if self.interactive { self.unsaid.push(text) } else { eprintln!("{text}") }
    }
}
