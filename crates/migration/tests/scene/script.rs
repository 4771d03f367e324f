//! What was said and done, for somebody to read. Renewals and their echoes are told of once
//! for each epoch, what is asked again not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Instant;

use paceline_framing::{Control, Role, Roster};
use paceline_migration::types::{Epoch, SenderId};
use paceline_migration::{Event, Output, StageOrder, WitnessReply, WitnessRequest};

pub struct Script {
    start: Instant,
    /// Nobody will read it.
    pub quiet: bool,
    lines: Vec<Line>,
    said: BTreeSet<(String, String, String)>,
    /// Who was the first to renew under an epoch: with others it is an echo.
    hosts: BTreeMap<Epoch, u32>,
}

struct Line {
    at: u128,
    from: String,
    to: Vec<String>,
    text: String,
}

impl Script {
    pub fn new(start: Instant) -> Self {
        Self { start, quiet: false, lines: vec![], said: BTreeSet::new(), hosts: BTreeMap::new() }
    }

    /// What was so far is not told.
    pub fn forget(&mut self) {
        self.lines.clear();
    }

    pub fn note(&mut self, now: Instant, text: &str) {
        self.push(now, "—", None, text.into());
    }

    pub fn output(&mut self, now: Instant, id: u32, output: &Output) {
        if self.quiet {
            return;
        }
        let us = name(id);
        match output {
            Output::Event(event) => {
                let Some(text) = self.event(now, event) else { return };
                self.push(now, &us, None, text);
            }
            Output::Role { role, epoch, host } => {
                let role = role_name(*role);
                let host = match host {
                    Some(host) if host.get() == id => String::new(),
                    Some(host) => format!(" of {}", name(host.get())),
                    None => " of nobody".into(),
                };
                self.push(now, &us, None, format!("is {role}{host}, {epoch}"));
            }
            Output::Send { to, control, .. } => self.send(now, id, &name(to.get()), control),
            Output::Stage(order) => {
                let text = match order {
                    StageOrder::Follow => "mixes in the dark".into(),
                    StageOrder::Host { epoch, from } => {
                        let from = from.map(|it| format!(" from media time {} ms", millis(it)));
                        format!("mixes as host {epoch}{}", from.unwrap_or_default())
                    }
                    StageOrder::Idle => "mixes nothing".into(),
                    StageOrder::Prepare { epoch, .. } => {
                        format!("gets its pictures ready for {epoch}")
                    }
                    StageOrder::Stop { at } => {
                        format!("mixes for others until media time {} ms", millis(*at))
                    }
                    other => format!("{other:?}"),
                };
                self.push(now, &us, None, text);
            }
            Output::Successors(_) => {}
            Output::VideoAlsoTo(to) => {
                let text = match to {
                    Some(to) => format!("sends video to {} too", name(to.get())),
                    None => "sends video to the host only".into(),
                };
                self.push(now, &us, None, text);
            }
            Output::Witness(WitnessRequest::Lease { lease, .. }) => {
                self.send(now, id, "W", &Control::Lease(*lease));
            }
            Output::Witness(WitnessRequest::Vote(request)) => {
                self.send(now, id, "W", &Control::VoteRequest(*request));
            }
            other => self.push(now, &us, None, format!("{other:?}")),
        }
    }

    pub fn answer(&mut self, now: Instant, to: u32, reply: &WitnessReply) {
        if self.quiet {
            return;
        }
        let (text, once) = match reply {
            WitnessReply::Lease { lease, granted: true } => {
                (format!("echoes {}", lease.epoch), true)
            }
            WitnessReply::Lease { lease, .. } => (format!("refuses lease {}", lease.epoch), true),
            WitnessReply::Vote(vote) => (say(vote), false),
        };
        self.say(now, "W", &name(to), text, once);
    }

    fn event(&self, now: Instant, event: &Event) -> Option<String> {
        Some(match event {
            Event::Aborted { epoch, reason } => format!("handover {epoch} is off: {reason:?}"),
            Event::Elected { epoch, host, planned, last_heard, .. } => {
                let how = if *planned { "by handover" } else { "elected" };
                let ago = last_heard.map(|at| (now - at).as_millis());
                let ago =
                    ago.map_or(String::new(), |ago| format!(", {ago} ms after the last lease"));
                format!("knows of host {} {epoch}, {how}{ago}", name(host.get()))
            }
            Event::Fenced { epoch } => format!("fences itself: too few hear of {epoch}"),
            Event::Retired { epoch } => format!("is done, {epoch} goes on"),
            Event::Scored { .. } => return None,
            Event::Suspected { host } => format!("doubts {}", name(host.get())),
            other => format!("{other:?}"),
        })
    }

    fn send(&mut self, now: Instant, id: u32, to: &str, control: &Control) {
        let (text, once) = match control {
            Control::Abort { epoch, reason } => (format!("abort {epoch}: {reason:?}"), false),
            Control::Lease(lease) => {
                let host = *self.hosts.entry(lease.epoch).or_insert(id);
                let text = match (host == id, lease.length) {
                    (true, 0) => format!("gives lease {} up", lease.epoch),
                    (true, _) => format!("lease {}", lease.epoch),
                    (false, _) => format!("echoes {}", lease.epoch),
                };
                (text, lease.length > 0)
            }
            Control::Migrate(it) => {
                let (to, at) = (name(it.new_host.get()), millis(it.switch_time));
                (format!("migrate to {to}, {} from media time {at} ms", it.epoch), false)
            }
            Control::Prepare(prepare) => (format!("prepare {}", prepare.epoch), false),
            Control::Ready(ready) => {
                let missing = list(ready.missing.iter().copied());
                let but =
                    if missing.is_empty() { String::new() } else { format!(" but for {missing}") };
                (format!("ready for {}{but}", ready.epoch), false)
            }
            Control::Retire { epoch } => (format!("retire, {epoch} goes on"), false),
            Control::Roster(roster) => (tell(roster), false),
            Control::Vote(vote) => (say(vote), false),
            Control::VoteRequest(it) => {
                let what = if it.prevote { "would you vote for me," } else { "vote for me," };
                (format!("{what} {}?", it.epoch), true)
            }
            other => (format!("{other:?}"), false),
        };
        self.say(now, &name(id), to, text, once);
    }

    fn say(&mut self, now: Instant, from: &str, to: &str, text: String, once: bool) {
        if once && !self.said.insert((from.into(), to.into(), text.clone())) {
            return;
        }
        self.push(now, from, Some(to), text);
    }

    fn push(&mut self, now: Instant, from: &str, to: Option<&str>, text: String) {
        let at = (now - self.start).as_millis();
        let together = self.lines.iter_mut().rev().take_while(|line| line.at == at);
        let same = |line: &&mut Line| {
            (line.from.as_str(), &line.text, line.to.is_empty()) == (from, &text, to.is_none())
        };
        match (together.into_iter().find(same), to) {
            (Some(line), Some(to)) if line.to.iter().any(|it| it == to) => {}
            (Some(line), Some(to)) => line.to.push(to.into()),
            _ => {
                let to = to.into_iter().map(String::from).collect();
                self.lines.push(Line { at, from: from.into(), to, text });
            }
        }
    }

    /// All of it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Line { at, from, to, text: what } in &self.lines {
            let arrow =
                if to.is_empty() { String::new() } else { format!(" → {}:", to.join(" ")) };
            writeln!(text, "{at:>5} ms  {from}{arrow} {what}").expect("a string takes all");
        }
        text
    }
}

/// a, b, c … for the first, second, third who came.
pub fn name(id: u32) -> String {
    match u8::try_from(id) {
        Ok(id @ 1..=22) => char::from(b'a' + id - 1).to_string(),
        _ => format!("#{id}"),
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Host => "host",
        Role::Standby => "standby",
        _ => "member",
    }
}

fn list(of: impl Iterator<Item = SenderId>) -> String {
    of.map(|it| name(it.get())).collect::<Vec<_>>().join(" ")
}

fn tell(roster: &Roster) -> String {
    let of = |role| roster.members.iter().filter(move |it| it.role == role).map(|it| it.sender);
    let mut text = format!("roster {}/{}:", roster.id.epoch, roster.id.number);
    let votes = roster.members.iter().filter(|it| it.votes).map(|it| it.sender);
    let witness = if roster.witness { "W" } else { "" };
    for (what, who) in [("host", list(of(Role::Host))), ("then", list(of(Role::Standby)))] {
        if !who.is_empty() {
            text += &format!(" {what} {who},");
        }
    }
    text + &format!(" votes of {}", format!("{} {witness}", list(votes)).trim())
}

fn say(vote: &paceline_framing::Vote) -> String {
    let answer = if vote.granted { "yes" } else { "no" };
    let would = if vote.prevote { "would vote for" } else { "vote for" };
    format!("{answer}, {would} {} {}", name(vote.candidate.get()), vote.epoch)
}

fn millis(time: paceline_migration::types::MediaTime) -> u64 {
    time.ticks() * 1_000 / u64::from(time.frequency().hz())
}
