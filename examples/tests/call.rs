//! The program, as a person runs it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// How long any one process may take.
const WATCHDOG: Duration = Duration::from_secs(60);

fn call(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_call"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits for a process, and ends it if it takes too long.
fn finish(mut child: Child) -> Output {
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let id = child.id();
    let (done, waiting) = mpsc::channel();
    let watchdog = thread::spawn(move || {
        if waiting.recv_timeout(WATCHDOG).is_err() {
            // Only the process that this test started.
            let _ = Command::new("kill").arg(id.to_string()).status();
        }
    });
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        err.as_mut().map(|err| err.read_to_end(&mut text));
        text
    });
    let mut stdout = Vec::new();
    out.as_mut().map(|out| out.read_to_end(&mut stdout));
    let status = child.wait().expect("it was started");
    let _ = done.send(());
    watchdog.join().expect("the watchdog ends");
    Output { status, stdout, stderr: reader.join().expect("the reader ends") }
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).expect("one line of JSON")
}

#[test]
fn three_people_meet_and_the_figures_come_from_their_media() {
    let output =
        finish(call(&["--host", "1", "--duration", "5", "--json"]).spawn().expect("it starts"));
    let report = json(&output);
    assert_eq!(report["participants"], 3);
    assert_eq!(report["host"], "Ada");
    assert_eq!(report["carrier"], "data-channel");
    assert_eq!(report["errors"], serde_json::json!([]));
    assert_eq!(report["rtp_refused"], 0);
    let video = &report["video"];
    assert!(video["received"].as_u64() > Some(100), "{report}");
    assert_eq!(video["decoded"], video["received"]);
    for figure in ["latency_ms", "av_skew_ms"] {
        assert!(report[figure]["p95"].is_f64(), "{figure} was not measured: {report}");
    }
}

#[test]
fn marks_are_read_whatever_pictures_are_encoded_as() {
    for format in ["rgb", "cells"] {
        let args = ["--picture", format, "--duration", "4", "--json"];
        let report = json(&finish(call(&args).spawn().expect("it starts")));
        for figure in ["latency_ms", "av_skew_ms"] {
            assert!(report[figure]["p95"].is_f64(), "{format}: {figure}: {report}");
        }
    }
}

#[test]
fn three_processes_make_one_call() {
    let mut host = call(&["host", "--duration", "9", "--json"]).spawn().expect("it starts");
    let mut lines = BufReader::new(host.stderr.take().expect("piped"));
    let mut invitation = String::new();
    lines.read_line(&mut invitation).expect("it says how to join");
    let url = invitation.trim().rsplit(' ').next().expect("a last word").to_owned();
    assert!(url.starts_with("ws://127.0.0.1:"), "{invitation}");
    // Somebody has to go on reading what it says.
    let drain = thread::spawn(move || lines.read_to_string(&mut String::new()));
    let guests: Vec<_> = ["Ben", "Cem"]
        .map(|name| {
            call(&["join", &url, "--name", name, "--duration", "5", "--json"])
                .spawn()
                .expect("it starts")
        })
        .into_iter()
        .collect();
    for guest in guests {
        let report = json(&finish(guest));
        assert_eq!((&report["participants"], &report["host"]), (&3.into(), &"Ada".into()));
        assert!(report["video"]["decoded"].as_u64() > Some(50), "{report}");
        assert!(report["latency_ms"]["p50"].is_f64(), "{report}");
    }
    let report = json(&finish(host));
    assert!(report["video"]["decoded"].as_u64() > Some(100), "{report}");
    let _ = drain.join();
}

#[test]
fn a_wrong_command_line_is_exit_2_and_one_line_that_says_so() {
    for (args, word) in [
        (&["--participants", "0"][..], "1 to 9"),
        (&["--host", "4"], "3 participants"),
        (&["--participants", "10"], "with --topology mesh from 2 to 10"),
        (&["--participants", "11", "--topology", "mesh"], "2 to 10"),
        (&["--topology", "ring"], "star or mesh"),
        (&["--topology", "mesh", "--host", "2"], "nobody hosts in a mesh"),
        (&["--kill-host-at", "now"], "as 5 or 5,10"),
        (&["--handover-at", "5", "--topology", "mesh"], "nobody hosts in a mesh"),
        (&["--picture", "gif"], "h264, rgb or cells"),
        (&["--video", "film.mp4"], "FILE.y4m"),
        (&["--audio", "song.mp3"], "FILE.wav"),
        (&["--listen", "here"], "ADDRESS:PORT"),
        (&["join"], "URL"),
        (&["join", "nowhere"], "ws://HOST:PORT/ROOM"),
        (&["dance"], "dance"),
        (&["--loud"], "--loud"),
        (&["--trace", "late.csv"], "add --json"),
        (&["measure-joins", "--json", "--trace", "late.csv"], "leave it out"),
        (&["measure-failover", "--json", "--trace", "late.csv"], "leave it out"),
    ] {
        let output = finish(call(args).spawn().expect("it starts"));
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.lines().next().is_some_and(|line| line.contains(word)), "{args:?}: {text}");
    }
}

#[test]
fn a_call_that_fails_is_exit_1_and_one_line_that_says_what_to_do() {
    for (args, word) in [
        (&["join", "ws://127.0.0.1:1/call"][..], "no signalling server answers"),
        (&["join", "ws://127.0.0.1/"], "ws://HOST:PORT/ROOM"),
        (&["--video", "no-such-file.h264"], "no-such-file.h264"),
        (&["--audio", "no-such-file.wav"], "no-such-file.wav"),
        // Before the call, not after it.
        (&["--json", "--trace", "no-such-directory/late.csv"], "no-such-directory/late.csv"),
    ] {
        let output = finish(call(args).spawn().expect("it starts"));
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
        assert!(text.contains(word), "{args:?}: {text}");
    }
}

#[test]
fn help_and_version_are_said() {
    for (option, word) in [("--help", "usage: call"), ("--version", "call 0")] {
        let output = finish(call(&[option]).spawn().expect("it starts"));
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains(word));
    }
}

#[test]
fn a_polite_kill_ends_the_call_with_its_summary() {
    let mut child = call(&["--duration", "600"]).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("a progress line");
    assert!(line.contains("|host "), "{line}");
    let drain = thread::spawn(move || lines.read_to_string(&mut String::new()));
    let status = Command::new("kill").arg(child.id().to_string()).status();
    assert!(status.is_ok_and(|status| status.success()));
    let output = finish(child);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("in the call for"));
    let _ = drain.join();
}
