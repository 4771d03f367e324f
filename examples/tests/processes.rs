//! A call of several processes, as one program starts and watches over them.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

mod programs;

use programs::{CALL, Program, WATCHDOG, signal, start};

fn processes(args: &[&str]) -> Program {
    start(&[&[CALL, "--processes", "--host", "1"], args].concat())
}

/// The id of a child, from the line that names it.
fn pid(program: &mut Program, name: &str) -> u32 {
    let line = program.wait_for(&format!("{name} is process "));
    line.rsplit(' ').next().and_then(|pid| pid.parse().ok()).expect("a number at the end")
}

/// Waits until everybody has told that everybody is there.
fn wait_for_all(program: &mut Program) {
    while program.wait_for("|host Ada").matches("sees 3").count() != 3 {}
}

/// Whether it runs: one that has ended and that nobody has waited for yet does not.
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, state)| !state.trim_start().starts_with('Z'))
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for in real time")]
fn wait_until_gone(pid: u32) {
    let began = Instant::now();
    while runs(pid) {
        assert!(began.elapsed() < WATCHDOG, "{pid} still runs");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn each_participant_is_a_process_and_all_their_figures_are_one_line() {
    let output = processes(&["--duration", "4", "--json"]).finish();
    let report = programs::json(&output);
    assert_eq!((&report["participants"], &report["processes"]), (&3.into(), &3.into()));
    assert_eq!((&report["host"], &report["errors"]), (&"Ada".into(), &json!([])));
    assert!(report["video"]["received"].as_u64() > Some(80), "{report}");
    for figure in ["latency_ms", "av_skew_ms"] {
        assert!(report[figure]["p95"].is_f64(), "{figure} was not measured: {report}");
    }
    let children = report["children"].as_array().expect("a list");
    let (mut cpu, mut memory, mut hosts) = (0.0, 0, Vec::new());
    for (child, name) in children.iter().zip(["Ada", "Ben", "Cem"]) {
        assert_eq!((&child["name"], &child["exit_status"]), (&name.into(), &0.into()));
        assert!(!runs(child["pid"].as_u64().expect("a number") as u32), "{child}");
        cpu += child["cpu_seconds"].as_f64().expect("it was measured");
        memory += child["peak_rss_bytes"].as_u64().expect("it was measured");
        hosts.push(child["hosts"] == true);
    }
    assert_eq!(hosts, [true, false, false]);
    assert!(report["cpu_seconds"].as_f64() >= Some(cpu - 0.05), "{report}");
    assert!(report["peak_rss_bytes"].as_u64() > Some(memory), "{report}");
}

#[test]
fn a_child_that_is_killed_is_named_and_the_others_go_on() {
    let mut call = processes(&["--duration", "50", "--json"]);
    let cem = pid(&mut call, "Cem");
    wait_for_all(&mut call);
    signal("KILL", cem);
    let line = call.wait_for("Cem (process");
    assert_eq!(
        line.split(';').next(),
        Some(&*format!("Cem (process {cem}) was killed by signal 9"))
    );
    // The others have seen him go, and still get pictures.
    while call.wait_for("2 of 3 processes").matches("sees 2").count() != 2 {}
    signal("TERM", call.id());
    let report = programs::json(&call.finish());
    assert_eq!(report["children"][2]["signal"], 9);
    assert_eq!(report["children"][2]["pid"], cem);
    assert_eq!(report["errors"], json!([line]));
    // What he cost, nobody told.
    assert!(report["children"][2]["cpu_seconds"].is_null(), "{report}");
}

#[test]
fn a_parent_that_is_killed_takes_its_children_along() {
    let mut call = processes(&["--duration", "50"]);
    let children = ["Ada", "Ben", "Cem"].map(|name| pid(&mut call, name));
    wait_for_all(&mut call);
    assert!(children.into_iter().all(runs));
    signal("KILL", call.id());
    children.into_iter().for_each(wait_until_gone);
}

#[test]
fn a_child_that_does_not_leave_is_killed() {
    let mut call = processes(&["--duration", "50", "--json"]);
    let ben = pid(&mut call, "Ben");
    wait_for_all(&mut call);
    signal("STOP", ben);
    signal("TERM", call.id());
    let report = programs::json(&call.finish());
    assert_eq!(report["children"][1]["signal"], 9, "{report}");
    wait_until_gone(ben);
}

#[test]
fn one_that_cannot_join_ends_the_call_with_its_reason() {
    let output = processes(&["--video", "no-such-file.h264"]).finish();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("call: Ada could not join: no-such-file.h264"), "{text}");
}

#[test]
fn who_comes_late_and_leaves_early_disturbs_nobody() {
    let mut call = processes(&["--duration", "50", "--json"]);
    let invitation = call.wait_for("others join with");
    let url = invitation.rsplit(' ').next().expect("a last word").to_owned();
    wait_for_all(&mut call);
    // What is told is of the second before.
    while call.wait_for("|host Ada").contains(" at 0 fps") {}
    let line = [CALL, "join", &url, "--name", "Dora", "--duration", "2", "--json"];
    let dora = programs::json(&start(&line).finish());
    assert_eq!((&dora["participants"], &dora["errors"]), (&4.into(), &json!([])));
    assert!(dora["video"]["decoded"].as_u64() > Some(0), "{dora}");
    while !call.wait_for("|host Ada").contains("Dora") {}
    while call.wait_for("|host Ada").contains("Dora") {}
    programs::signal("TERM", call.id());

    let output = call.finish();
    let report = programs::json(&output);
    assert_eq!((&report["participants"], &report["errors"]), (&4.into(), &json!([])));
    let text = String::from_utf8_lossy(&output.stderr);
    let seconds: Vec<_> = text.lines().filter(|line| line.contains("|host Ada")).collect();
    let came = seconds.iter().position(|line| line.contains("Dora")).expect("her name shows");
    // From before she came until after she went, pictures come. How many is a matter of
    // the machine.
    for line in &seconds[came - 1..] {
        assert!(line.matches(" at 0 fps").count() < 3, "{text}");
    }
}
