//! The program `screen-share`, as a person runs it.

mod programs;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::num::NonZero;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use nix::pty::{Winsize, openpty};
use serde_json::Value;

#[cfg(target_os = "linux")]
use self::programs::machines::machines_or_skip;
use self::programs::{CALL, Program, WATCHDOG, json, signal, start};

const SHARE: &str = env!("CARGO_BIN_EXE_screen-share");

/// Somebody who hosts and shows nothing, and the URL of his room.
fn room(seconds: &str) -> (Program, String) {
    let line = [CALL, "host", "--duration", seconds, "--json", "--video", "test"];
    let mut host = start(&[&line[..], &["--audio", "silence"]].concat());
    let invitation = host.wait_for("ws://127.0.0.1:");
    let url = invitation.trim().rsplit(' ').next().expect("a last word").to_owned();
    (host, format!("room:{url}"))
}

/// A target where nobody is: the port was free a moment ago.
fn nobody(kind: &str) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    format!("{kind}:ws://{}/nobody", listener.local_addr().expect("it is bound"))
}

#[test]
fn the_help_names_every_option() {
    let output = start(&[SHARE, "--help"]).finish();
    assert!(output.status.success());
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let options = "--to --fallback --source --audio --fps --bitrate --codec --content --name --token --bind \
                   --mirror --sdp --duration --json --debug --list-devices --help --version";
    for option in options.split_whitespace() {
        assert!(help.contains(option), "{option}\n{help}");
    }
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
}

#[test]
fn what_is_shared_with_a_room_is_seen_there_and_ctrl_c_ends_it_in_good_order() {
    let (mut host, room) = room("60");
    let mut share = start(&[SHARE, "--to", &room, "--source", "test", "--audio", "test", "--json"]);
    share.wait_for("shared with room:ws://127.0.0.1:");
    host.wait_for("screen");
    // By the second there were 5 s of it at least.
    for _ in 0..2 {
        share.wait_for("kbit/s");
    }
    signal("INT", share.id());
    let report = json(&share.finish());
    assert_eq!((&report["ended"], &report["fallbacks"]), (&"asked".into(), &Value::Array(vec![])));
    assert!(report["encode"]["pictures"].as_u64() > Some(30), "{report}");
    assert!(report["capture_to_rtp_ms"]["reason"].is_string(), "{report}");
    assert!(report["ladder"][0]["target_kbps"].is_u64(), "{report}");
    signal("INT", host.id());
    let hosted = json(&host.finish());
    assert!(hosted["video"]["decoded"].as_u64() > Some(30), "{hosted}");
}

#[test]
fn where_an_sfu_is_not_there_the_room_is_shared_with_and_the_reason_is_told_once() {
    let (host, room) = room("60");
    let sfu = nobody("mediasoup");
    let line = [SHARE, "--to", &sfu, "--fallback", &room, "--fallback", "external"];
    let mut share = start(&[&line[..], &["--source", "test", "--json", "--debug"]].concat());
    share.wait_for("does not work (unreachable");
    share.wait_for("shared with room:");
    share.wait_for("kbit/s");
    signal("INT", share.id());
    let report = json(&share.finish());
    let fallbacks = report["fallbacks"].as_array().expect("a list");
    assert_eq!(fallbacks.len(), 1, "{report}");
    assert_eq!(fallbacks[0]["kind"], "unreachable", "{report}");
    assert_eq!(report["targets"][2], "external");
    assert!(report["encode"]["pictures"].as_u64() > Some(0), "{report}");
    signal("INT", host.id());
    json(&host.finish());
}

#[test]
fn an_external_target_is_told_and_is_no_failure() {
    // What is no room is not tried again.
    let line = [SHARE, "--to", "room:ws://127.0.0.1:9/a/b", "--fallback", "external"];
    let mut share = start(&[&line[..], &["--source", "test", "--json"]].concat());
    share.wait_for("external: share it in another way now");
    let report = json(&share.finish());
    assert_eq!(report["ended"], "external");
    assert_eq!(report["fallbacks"][0]["to"], "external", "{report}");
    assert_eq!((&report["problem"], &report["encode"]["pictures"]), (&Value::Null, &0.into()));
    let allocations = &report["allocations_per_frame"];
    assert!(allocations["process"].is_null() && allocations["reason"].is_string(), "{report}");
}

#[test]
fn what_is_allocated_is_told_for_each_picture_and_by_what_the_threads_do() {
    let (host, room) = room("60");
    let line = [SHARE, "--to", &room, "--source", "test", "--duration", "15", "--json"];
    let report = json(&start(&line).finish());
    let each = |name: &str| report["allocations_per_frame"][name].as_f64().expect("a figure");
    let parts = each("picture_thread") + each("sound_thread") + each("rest");
    // Each is rounded to a tenth.
    assert!((each("process") - parts).abs() < 0.3, "{report}");
    // A room is sent to by tasks of which each picture takes some memory; and nobody speaks.
    assert!(each("rest") > 1.0 && each("sound_thread") == 0.0, "{report}");
    assert!(each("bytes") > each("process"), "{report}");
    let pictures = report["encode"]["pictures"].as_f64().expect("a count");
    assert!(each("pictures") > 0.0 && each("pictures") <= pictures - 60.0, "{report}");
    signal("INT", host.id());
    json(&host.finish());
}

/// A display that does not answer holds nobody who wants to go.
#[test]
fn ctrl_c_ends_it_also_while_a_display_does_not_answer() {
    // X's displays are ports from 6000 on; the system's own choice is well beyond.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = silent.local_addr().expect("it is bound").port();
    let display = format!("DISPLAY=127.0.0.1:{}", port.checked_sub(6_000).expect("beyond"));
    let line = ["env", &display, SHARE, "--to", "room:ws://127.0.0.1:9/a", "--json"];
    let share = start(&line);
    let (accepted, is_held) = channel();
    thread::spawn(move || accepted.send(silent.accept()));
    let _held = is_held.recv_timeout(WATCHDOG).expect("it looks at the display");
    signal("INT", share.id());
    let report = json(&share.finish());
    assert_eq!((&report["ended"], &report["encode"]["pictures"]), (&"asked".into(), &0.into()));
}

/// Whoever has closed standard error has not closed standard output.
#[test]
fn the_figures_and_the_status_are_the_same_where_nobody_reads_the_errors() {
    let line = ["--to", "room:ws://127.0.0.1:9/a/b", "--source", "test", "--json"];
    let mut child = Command::new(SHARE)
        .args(line)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stderr.take());
    let output = child.wait_with_output().expect("it was started");
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one line");
    assert_eq!(report["ended"], "no_target");
}

/// What a terminal of so many columns shows until `enough`, and then Ctrl-C is pressed.
fn on_a_terminal(
    columns: u16,
    args: &[&str],
    mut enough: impl FnMut(&str) -> bool,
) -> vt100::Parser {
    let size = Winsize { ws_row: 12, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(&size, None).expect("the system has terminals");
    let (mut master, slave) = (File::from(pty.master), File::from(pty.slave));
    // It is the terminal that Ctrl-C is pressed on.
    let mut child = Command::new("setsid")
        .args(["--ctty", SHARE])
        .args(args)
        .stdin(slave.try_clone().expect("a number for it"))
        .stdout(Stdio::null())
        .stderr(slave)
        .spawn()
        .expect("it starts");
    let (done, ended) = channel::<()>();
    let id = child.id();
    let watchdog = thread::spawn(move || {
        if ended.recv_timeout(WATCHDOG) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            signal("KILL", id);
        }
    });
    let sides = [12, columns].map(|side| NonZero::new(side).expect("it has some"));
    let mut terminal = vt100::Parser::new(sides[0], sides[1], 100);
    let (mut is_over, mut bytes) = (false, [0; 1_024]);
    // The end of a terminal is an error on Linux, and nothing elsewhere.
    while let Ok(len @ 1..) = master.read(&mut bytes) {
        terminal.process(&bytes[..len]);
        if !is_over && enough(&terminal.screen().contents()) {
            is_over = true;
            master.write_all(b"\x03").expect("it is there");
        }
    }
    let status = child.wait().expect("it was started");
    drop(done);
    watchdog.join().expect("it ends");
    assert!(is_over && status.success(), "{status}:\n{}", terminal.screen().contents());
    terminal
}

#[test]
fn on_a_narrow_terminal_the_status_is_one_row_and_ctrl_c_ends_it() {
    let (host, room) = room("60");
    for columns in [30, 60] {
        let args = ["--to", &room, "--source", "test"];
        let mut rates = Vec::new();
        let terminal = on_a_terminal(columns, &args, |screen| {
            let row = screen.lines().find(|row| row.contains("kbit/s"));
            if let Some(row) = row.filter(|row| rates.last().is_none_or(|last| last != *row)) {
                rates.push(row.to_owned());
            }
            rates.len() > 2
        });
        let screen = terminal.screen().contents();
        assert_eq!(screen.lines().filter(|row| row.contains("kbit/s")).count(), 1, "{screen}");
    }
    signal("INT", host.id());
    json(&host.finish());
}

#[cfg(target_os = "linux")]
#[test]
fn a_room_on_another_machine_is_reached_without_naming_an_address() {
    let Some(machines) = machines_or_skip() else { return };
    let line = ["host", "--listen", "10.77.0.1:0", "--duration", "60", "--json"];
    let mut host = machines.run(0, &[&line[..], &["--audio", "silence"]].concat());
    let invitation = host.wait_for("others join with: call join ");
    let room = format!("room:{}", invitation.rsplit(' ').next().expect("a last word"));
    let mut share = thread::scope(|scope| {
        let there = scope.spawn(|| {
            machines.enter(1);
            start(&[SHARE, "--to", &room, "--source", "test", "--json"])
        });
        there.join().expect("it starts")
    });
    share.wait_for("shared with room:ws://10.77.0.1:");
    // By the second there were 5 s of it at least.
    for _ in 0..2 {
        share.wait_for("kbit/s");
    }
    signal("INT", share.id());
    let report = json(&share.finish());
    assert!(report["send"]["bytes"].as_u64() > Some(10_000), "{report}");
    signal("INT", host.id());
    let hosted = json(&host.finish());
    assert!(hosted["video"]["decoded"].as_u64() > Some(30), "{hosted}");
}

#[cfg(feature = "mirror")]
#[test]
fn a_mirror_of_nothing_is_refused_and_one_that_leaves_this_machine_is_warned_of() {
    let line = [SHARE, "--to", "room:ws://127.0.0.1:9/a", "--source", "test", "--mirror"];
    let output = start(&line).finish();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("a mirror shows what goes to an SFU, and no target is one"), "{said}");
    // RFC 5737: nobody has this address, and the way to it is that to anybody else.
    let sfu = nobody("mediasoup");
    let line = [SHARE, "--to", &sfu, "--source", "test", "--mirror", "192.0.2.1:5004"];
    let said = start(&[&line[..], &["--duration", "1"]].concat()).finish().stderr;
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.contains("the mirror goes to 192.0.2.1, unencrypted"), "{said}");
    assert!(said.contains("  m=video 5004 RTP/AVP 96\n"), "{said}");
}
