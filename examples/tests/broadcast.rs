//! The broadcast, as a person runs it: real processes, real sockets on loopback.

mod programs;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use nix::pty::{Winsize, openpty};
use nix::sys::termios::tcgetattr;
use programs::{Program, WATCHDOG, json, signal, start};
use serde_json::Value;

const BROADCAST: &str = env!("CARGO_BIN_EXE_broadcast");

fn broadcast(line: &str) -> Program {
    let words: Vec<_> = [BROADCAST].into_iter().chain(line.split_whitespace()).collect();
    start(&words)
}

fn figures(line: &str) -> Value {
    json(&broadcast(line).finish())
}

/// That every healthy viewer got all, once and in order, and nothing is left open.
#[track_caller]
fn is_whole(report: &Value) {
    assert!(report["delivered"].as_u64().is_some_and(|delivered| delivered > 0), "{report}");
    assert_eq!(report["delivered"], report["expected"], "{report}");
    for nothing in ["failed", "lost", "reordered", "tasks_after_close", "fds_after_close"] {
        assert_eq!(report[nothing], 0, "{nothing}: {report}");
    }
    assert!(report["latency_ms"]["p99"].as_f64() >= report["latency_ms"]["p50"].as_f64());
}

#[test]
fn a_hundred_viewers_all_come_and_get_everything_in_order() {
    let report = figures("--json --viewers 100 --rate 5 --bytes 1024 --duration 3");
    is_whole(&report);
    assert_eq!(report["viewers"], 100);
    for opened in ["p50", "p99", "all"] {
        assert!(report["open_ms"][opened].as_f64().is_some_and(|ms| ms > 0.0), "{report}");
    }
    assert!(report["cpu_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{report}");
    assert!(report["peak_rss_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{report}");
    assert!(report["healthy_p99_shift_ms"].is_null(), "{report}");
}

#[test]
fn the_line_of_figures_has_these_fields_in_this_order() {
    let output = broadcast("--json --viewers 1 --rate 20 --duration 1").finish();
    let line = String::from_utf8(output.stdout).expect("UTF-8");
    let mut rest = line.as_str();
    for part in [
        "{\"viewers\":1,\"open_ms\":{\"p50\":",
        ",\"p99\":",
        ",\"all\":",
        "},\"failed\":0,\"delivered\":",
        ",\"expected\":",
        ",\"lost\":0,\"reordered\":0,\"latency_ms\":{\"p50\":",
        ",\"p99\":",
        "},\"healthy_p99_shift_ms\":null,\"stalled\":{\"count\":0,\"held_bytes_max\":0,\"evicted\":0}",
        ",\"cpu_seconds\":",
        ",\"peak_rss_bytes\":",
        ",\"tasks_after_close\":0,\"fds_after_close\":0}\n",
    ] {
        let (_, after) = rest.split_once(part).unwrap_or_else(|| panic!("{part} in {line}"));
        rest = after;
    }
    assert!(rest.is_empty(), "{rest}");
}

#[test]
fn viewers_that_stall_cost_the_others_nothing() {
    let report = figures("--json --viewers 3 --stall 1 --rate 60 --bytes 4096 --duration 4");
    is_whole(&report);
    assert_eq!(report["stalled"]["count"], 1);
    assert!(report["stalled"]["held_bytes_max"].as_u64().is_some_and(|held| held > 0), "{report}");
    assert!(report["healthy_p99_shift_ms"].is_f64(), "{report}");
}

#[test]
fn viewers_that_come_and_go_cost_the_others_nothing() {
    is_whole(&figures("--json --viewers 4 --churn 8 --rate 40 --duration 3"));
}

#[test]
fn pictures_of_a_file_come_in_order_too() {
    let report = figures("--json --viewers 3 --media ada --duration 3");
    is_whole(&report);
    // Each of them some 25 times a second, however busy the machine is.
    assert!(report["delivered"].as_u64().is_some_and(|delivered| delivered >= 30), "{report}");
}

#[test]
fn both_ends_run_apart() {
    let mut host = broadcast("--json --host --rate 30 --duration 10");
    let line = host.wait_for("viewers: broadcast --view ");
    let url = line.split_whitespace().last().expect("a URL");
    let view = broadcast(&format!("--json --view {url} --viewers 3 --duration 40"));
    let viewers = json(&view.finish());
    is_whole(&viewers);
    assert!(viewers["stalled"]["held_bytes_max"].is_null(), "{viewers}");
    let host = json(&host.finish());
    assert!(host["delivered"].is_null() && host["viewers"] == 3, "{host}");
    assert_eq!((&host["tasks_after_close"], &host["fds_after_close"]), (&0.into(), &0.into()));
}

#[test]
fn ctrl_c_ends_it_in_good_order() {
    let mut program = broadcast("--json --viewers 3 --duration 600");
    program.wait_for("sending");
    signal("INT", program.id());
    let report = json(&program.finish());
    assert_eq!((&report["lost"], &report["tasks_after_close"]), (&0.into(), &0.into()), "{report}");
}

#[test]
fn ctrl_c_while_viewers_join_ends_it_too() {
    // The room is there, and nobody publishes in it: joining would take a minute.
    let mut program = broadcast("--json --viewers 1 --host --duration 600");
    let line = program.wait_for("viewers: broadcast --view ");
    let url = line.split_whitespace().last().expect("a URL").replace("/stage", "/empty");
    let mut view = broadcast(&format!("--json --view {url} --viewers 2 --duration 600"));
    view.wait_for("2 joining");
    signal("INT", view.id());
    let report = json(&view.finish());
    assert_eq!((&report["failed"], &report["delivered"]), (&0.into(), &0.into()), "{report}");
    assert_eq!(report["tasks_after_close"], 0, "{report}");
    signal("INT", program.id());
    json(&program.finish());
}

#[test]
fn what_cannot_be_is_one_line_that_says_what_to_do() {
    for (line, code, says) in [
        ("--viewers 0", 2, "broadcast: --viewers 0: it takes a number from 1 to 120"),
        ("--rate", 2, "broadcast: missing argument for option '--rate'"),
        ("--stall 9 --viewers 3", 2, "broadcast: --stall 9: there are 3 viewers"),
        ("--bytes 131041", 2, "broadcast: --bytes 131041: it takes a number from 16 to 131040"),
        ("--stall 1 --duration 2", 2, "broadcast: --stall needs --duration 3 or more"),
        ("--media nobody.wav", 2, "broadcast: --media nobody.wav: it is FILE.h264"),
        ("nonsense", 2, "broadcast: unexpected argument \"nonsense\""),
        ("--media nobody.h264", 1, "broadcast: nobody.h264"),
        ("--listen 192.0.2.1:0", 1, "broadcast: 192.0.2.1 is not in a private network"),
    ] {
        let output = broadcast(line).finish();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{line}: {said}");
        assert!(said.starts_with(says), "{line}: {said}");
        let hint = usize::from(code == 2);
        assert_eq!(said.lines().count(), 1 + hint, "{line}: {said}");
    }
    let output = broadcast("--json --viewers 2 --view ws://127.0.0.1:1/stage").finish();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.lines().last().is_some_and(|l| l.contains("no signalling server answers")),
        "{said}"
    );
    let help = broadcast("--help").finish();
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("--churn N"));
}

/// A pseudo-terminal, and a program whose input and output it is.
#[test]
fn in_a_terminal_there_is_a_table_and_ctrl_c_gives_the_terminal_back() {
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(&size, None).expect("a pseudo-terminal");
    let before = tcgetattr(&pty.slave).expect("it is a terminal");
    let end = |fd: &OwnedFd| fd.try_clone().expect("a descriptor");
    let mut child = Command::new(BROADCAST)
        .args(["--viewers", "30", "--rate", "20", "--duration", "600"])
        .stdin(Stdio::from(end(&pty.slave)))
        .stdout(Stdio::from(end(&pty.slave)))
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let (said, heard) = mpsc::channel();
    let mut master = File::from(pty.master);
    let mut reader = master.try_clone().expect("a descriptor");
    thread::spawn(move || {
        let mut bytes = [0; 4_096];
        while let Ok(len @ 1..) = reader.read(&mut bytes) {
            if said.send(bytes[..len].to_vec()).is_err() {
                return;
            }
        }
    });
    let mut screen = {
        let size = |cells| std::num::NonZero::new(cells).expect("not zero");
        vt100::Parser::new(size(24), size(80), 0)
    };
    let mut raw = Vec::new();
    let mut until = |wanted: &dyn Fn(&str, &[u8]) -> bool| {
        while !wanted(&screen.screen().contents(), &raw) {
            let bytes = heard.recv_timeout(WATCHDOG);
            let bytes = bytes.unwrap_or_else(|_| panic!("only\n{}", screen.screen().contents()));
            screen.process(&bytes);
            raw.extend_from_slice(&bytes);
        }
        screen.screen().contents()
    };
    // A table that is half drawn still has rows of the one before.
    let rows = |seen: &str| seen.lines().filter(|line| line.contains("  watching  ")).count();
    let table = until(&|seen, _| {
        seen.contains("30 watching")
            && seen.contains("sending")
            && seen.contains("more, worst")
            && rows(seen) == 20
    });
    assert!(table.lines().count() <= 24 && table.contains("q leave"), "{table}");

    master.write_all(b"\x03").expect("it is typed");
    // The first screen and the cursor are back, and the figures are on it.
    until(&|seen, raw| {
        let shown = |code: &[u8]| raw.windows(code.len()).any(|window| window == code);
        shown(b"\x1b[?1049l") && shown(b"\x1b[?25h") && seen.contains("left when closed: 0 tasks")
    });
    assert!(child.wait().expect("it was started").success());
    let after = tcgetattr(&pty.slave).expect("it is a terminal");
    assert_eq!(after.local_flags, before.local_flags);
}
