//! Every packet of a room in text: how a bad seed is understood.

use std::fmt::Write;
use std::time::Duration;

use paceline_framing::Control;
use paceline_types::SenderId;

use super::event::Packet;

/// Lines of text, if they are wanted.
#[derive(Debug, Default)]
pub(super) struct Transcript(Option<String>);

impl Transcript {
    pub(super) fn start(&mut self) {
        self.0 = Some(String::new());
    }

    pub(super) fn note(&mut self, now: Duration, what: impl FnOnce() -> String) {
        if let Some(text) = &mut self.0 {
            line(text, now, &what());
        }
    }

    /// A packet, as it is handed over.
    pub(super) fn packet(&mut self, now: Duration, from: SenderId, to: SenderId, packet: &Packet) {
        let Some(text) = &mut self.0 else { return };
        let what = match packet {
            Packet::Control { epoch, control } => {
                format!("{from} → {to} ({epoch}) {}", brief(control))
            }
            Packet::Mix { epoch, audio, slot, made } => {
                let kind = if *audio { "sound" } else { "picture" };
                let made = made.as_secs_f64();
                format!("{from} → {to} ({epoch}) {kind} of slot {slot}, made {made:.4}")
            }
        };
        line(text, now, &what);
    }

    pub(super) fn into_text(self) -> Option<String> {
        self.0
    }
}

fn line(text: &mut String, now: Duration, what: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{:9.4} {what}", now.as_secs_f64());
}

fn brief(control: &Control) -> String {
    match control {
        Control::Lease(lease) => format!(
            "Lease {} #{} of {} ms, roster {}/{}",
            lease.epoch,
            lease.sequence,
            lease.length / 1_000,
            lease.roster.epoch,
            lease.roster.number
        ),
        Control::Roster(roster) => {
            let members = roster
                .members
                .iter()
                .map(|member| format!("{}{}", member.sender, if member.votes { "*" } else { "" }));
            let witness = if roster.witness { " W*" } else { "" };
            let members: Vec<_> = members.collect();
            let id = roster.id;
            format!("Roster {}/{}: {}{witness}", id.epoch, id.number, members.join(" "))
        }
        other => format!("{other:?}"),
    }
}
