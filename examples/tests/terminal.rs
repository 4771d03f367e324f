//! The program in a real terminal: that of tmux.

#![allow(clippy::disallowed_methods, reason = "a program in another process is waited for")]

use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take to be seen, on a machine that is busy.
const DEADLINE: Duration = Duration::from_secs(30);

/// A server of tmux that is nobody else's, with one session of 80 × 24; it ends with
/// this.
struct Tmux(String);

impl Tmux {
    /// Starts `call` with these arguments and variables; `None`, and a line that says
    /// so, where there is no tmux.
    fn start(name: &str, variables: &[&str], args: &[&str]) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            let required = std::env::var("PACELINE_INTEROP").is_ok_and(|v| v == "required");
            assert!(!required, "there is no tmux here: apt-get install tmux");
            eprintln!("skipped: there is no tmux here");
            return None;
        }
        let this = Self(format!("paceline-{name}-{}", std::process::id()));
        let program = [env!("CARGO_BIN_EXE_call")];
        let clean = ["env", "-u", "NO_COLOR", "-u", "COLORTERM"];
        let words = clean.iter().chain(variables).chain(&program).chain(args);
        // tmux gives it to a shell.
        let words: Vec<_> = words.map(|word| format!("'{word}'")).collect();
        let size = ["-x", "80", "-y", "24"];
        let session = ["-f", "/dev/null", "-u", "new-session", "-d"];
        let line = words.join(" ");
        let all: Vec<_> = session.into_iter().chain(size).chain([line.as_str()]).collect();
        let output = this.run(&all);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(this)
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new("tmux").args(["-L", &self.0]).args(args).output().expect("tmux runs")
    }

    fn press(&self, key: &str) {
        assert!(self.run(&["send-keys", key]).status.success());
    }

    /// What is seen, with its colours as escape codes if `codes`.
    fn seen(&self, codes: bool) -> String {
        let args: &[&str] =
            if codes { &["capture-pane", "-p", "-e"] } else { &["capture-pane", "-p"] };
        String::from_utf8(self.run(args).stdout).expect("UTF-8")
    }

    /// Waits until what is seen is as told; the last that was seen.
    fn wait(&self, what: &str, seen: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let now = self.seen(false);
            if seen(&now) {
                return now;
            }
            assert!(Instant::now() < end, "{what} was not seen; this was:\n{now}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn wait_for_end(&self) {
        let end = Instant::now() + DEADLINE;
        while self.run(&["has-session"]).status.success() {
            assert!(Instant::now() < end, "it goes on:\n{}", self.seen(false));
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.0, "kill-server"]).output();
    }
}

fn last_line(seen: &str) -> &str {
    seen.trim_end().lines().last().unwrap_or_default()
}

#[test]
fn every_key_does_what_the_help_line_says() {
    let variables = ["LC_ALL=C.UTF-8", "TERM=screen"];
    let Some(tmux) = Tmux::start("keys", &variables, &["--host", "1"]) else { return };
    let first = tmux.wait("the call", |seen| {
        seen.contains("3 people|host Ada|") && seen.contains(" Cem ") && seen.contains('▀')
    });
    assert_eq!(
        last_line(&first),
        "q leave  m sound on  v camera on  g layout grid  s statistics  ? help"
    );
    assert_eq!(first.lines().count(), 24, "{first}");
    // 16 colours, for nothing says that there are more.
    let codes = tmux.seen(true);
    assert!(!codes.contains("38;2;") && !codes.contains("38;5;"), "{codes}");

    tmux.wait("who speaks", |seen| seen.contains(" speaks|") && seen.contains('*'));
    tmux.press("m");
    tmux.wait("Ben's mute", |seen| {
        last_line(seen).contains("m sound OFF") && seen.contains("Ben (muted)")
    });
    tmux.press("m");
    tmux.wait("Ben's sound", |seen| {
        last_line(seen).contains("m sound on") && !seen.contains("(muted)")
    });
    tmux.press("v");
    tmux.wait("Ben without a camera", |seen| {
        last_line(seen).contains("v camera OFF")
            && seen
                .lines()
                .next()
                .is_some_and(|row| row.starts_with(" Ben ") || row.starts_with("*Ben "))
    });
    tmux.press("v");
    tmux.wait("Ben's camera", |seen| last_line(seen).contains("v camera on"));

    tmux.press("g");
    // Only one is seen: one name, in the last row of the picture.
    tmux.wait("the speaker", |seen| {
        let names = ["Ada ", "Ben ", "Cem "];
        let picture: Vec<_> = seen.lines().take(22).collect();
        last_line(seen).contains("g layout speaker")
            && names.iter().filter(|name| picture.iter().any(|row| row.contains(**name))).count()
                == 1
    });
    tmux.press("g");
    tmux.wait("one person", |seen| last_line(seen).contains("g single  tab next"));
    // Ben and Cem join at once, so either may be the second.
    let alone = |seen: &str| {
        let row = seen.lines().nth(21).unwrap_or_default();
        ["Ada", "Ben", "Cem"].into_iter().find(|name| row.contains(name))
    };
    let first = alone(&tmux.seen(false)).expect("a name");
    tmux.press("Tab");
    let is_second = |seen: &str| alone(seen).is_some_and(|name| name != first);
    let second = alone(&tmux.wait("the second", is_second)).expect("a name");
    tmux.press("Tab");
    tmux.wait("the third", |seen| alone(seen).is_some_and(|name| name != first && name != second));
    tmux.press("Left");
    tmux.wait("the second again", |seen| alone(seen) == Some(second));
    tmux.press("Left");
    tmux.wait("the first again", |seen| alone(seen) == Some(first));
    tmux.press("g");
    tmux.wait("the grid", |seen| last_line(seen).contains("g layout grid"));

    tmux.press("s");
    tmux.wait("the statistics", |seen| {
        seen.contains("processor  ") && seen.contains("% of a core") && seen.contains("jitter")
    });
    assert!(tmux.run(&["resize-window", "-x", "200", "-y", "60"]).status.success());
    tmux.wait("a larger picture", |seen| {
        let rows: Vec<_> = seen.lines().collect();
        rows.len() == 60 && rows[50].starts_with("▀▀▀▀") && rows[59].starts_with("q leave")
    });
    tmux.press("s");
    tmux.wait("no statistics", |seen| !seen.contains("% of a core"));
    tmux.press("?");
    tmux.wait("the help", |seen| seen.contains("leave the call"));
    tmux.press("q");
    tmux.wait_for_end();
}

#[test]
fn in_a_mesh_the_picture_and_the_keys_are_those_of_any_call() {
    let variables = ["LC_ALL=C.UTF-8", "TERM=screen"];
    let args = ["--topology", "mesh", "--participants", "4"];
    let Some(tmux) = Tmux::start("mesh", &variables, &args) else { return };
    tmux.wait("the call", |seen| {
        seen.contains("4 people|mesh|")
            && seen.contains('▀')
            // On his tile, with a star before it if he speaks; not in the line of state.
            && ["Ben ", "Cem ", "guest 4 "].iter().all(|name| {
                seen.lines().any(|line| !line.contains('|') && line.contains(name))
            })
    });
    tmux.wait("who speaks", |seen| seen.contains(" speaks|") && seen.contains('*'));
    tmux.press("m");
    tmux.wait("Ada's mute", |seen| {
        last_line(seen).contains("m sound OFF") && seen.contains("Ada (muted)")
    });
    tmux.press("v");
    tmux.wait("Ada without a camera", |seen| {
        last_line(seen).contains("v camera OFF")
            && seen.lines().next().is_some_and(|row| row.starts_with(" Ada "))
    });
    tmux.press("v");
    tmux.wait("Ada's camera", |seen| {
        last_line(seen).contains("v camera on")
            && seen.lines().next().is_some_and(|row| row.contains("▀▀▀▀") && !row.contains("Ada"))
    });
    tmux.press("s");
    tmux.wait("a line for each connection", |seen| {
        let rows: Vec<_> = seen.lines().filter(|row| row.contains(" ms  ")).collect();
        rows.len() >= 3 && seen.contains("% of a core")
    });
    tmux.press("q");
    tmux.wait_for_end();
}

#[test]
fn no_color_and_no_utf_8_are_heeded() {
    let colourless = ["LC_ALL=C.UTF-8", "NO_COLOR=1", "COLORTERM=truecolor"];
    let Some(tmux) = Tmux::start("none", &colourless, &[]) else { return };
    tmux.wait("shades", |seen| seen.contains("3 people|") && seen.contains('▒'));
    assert!(!tmux.seen(true).contains('\x1b'), "a code for a colour");
    drop(tmux);

    let Some(tmux) = Tmux::start("ascii", &["LC_ALL=C"], &[]) else { return };
    let seen = tmux.wait("a picture", |seen| seen.contains("3 people|") && seen.contains("=="));
    assert!(seen.is_ascii(), "{seen}");
    drop(tmux);

    let args = ["--colour", "24bit"];
    let Some(tmux) = Tmux::start("24bit", &["LC_ALL=C.UTF-8"], &args) else { return };
    tmux.wait("blocks", |seen| seen.contains("3 people|") && seen.contains("▀▀▀"));
    assert!(tmux.seen(true).contains("38;2;"));
    tmux.press("C-c");
    tmux.wait_for_end();
}

#[test]
fn a_number_of_colours_that_no_terminal_has_is_exit_2() {
    for option in ["--colour", "--color"] {
        let call = Command::new(env!("CARGO_BIN_EXE_call")).args([option, "mauve"]).output();
        let output = call.expect("it starts");
        assert_eq!(output.status.code(), Some(2));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.starts_with("call: --colour mauve: it is auto, 24bit"), "{told}");
    }
}

#[test]
fn who_hosts_can_always_tell_how_others_join() {
    let Some(tmux) = Tmux::start("invite", &["LC_ALL=C.UTF-8"], &["host", "--qr"]) else { return };
    // At first, since nobody else is there; what was printed before has no status line.
    let invitation = "others join with: call join ws://127.0.0.1:";
    tmux.wait("the invitation", |seen| {
        seen.contains(invitation) && seen.contains("▄█") && seen.contains("1 person|host Ada|")
    });
    tmux.press("i");
    tmux.wait("the picture alone", |seen| !seen.contains(invitation));
    tmux.press("i");
    tmux.wait("the invitation again", |seen| seen.contains(invitation));
    tmux.press("q");
    tmux.wait_for_end();
}
