//! A call in which everybody is connected to everybody, as a person starts it.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

mod programs;

use programs::{CALL, Program, signal, start};

/// Calls that are measured go one after another: what they are to show is not how they
/// do beside each other.
static ALONE: Mutex<()> = Mutex::new(());

/// The figures of a call of so many people, after which `missing` finds nothing any more
/// that was not there in an earlier one. How long a call has to last for that is a matter of
/// the machine: a burst of tones is heard if nothing is made up for 180 ms. What counts is
/// that it comes to it.
fn until_whole(line: &[&str], people: usize, missing: fn(&Value) -> Vec<String>) -> Value {
    // One that failed has left nothing behind.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut report, mut never) = (Value::Null, None::<Vec<String>>);
    for seconds in ["3", "9", "27"] {
        let line = [&[CALL, "--topology", "mesh", "--json", "--duration", seconds], line].concat();
        report = programs::json(&start(&line).finish());
        // Each connection has two ends, and each has to know of it.
        let ends = report["people"].as_array().into_iter().flatten();
        let all = ends.filter(|person| person["connections"] == people - 1).count() == people;
        let mut still = missing(&report);
        if let Some(before) = &never {
            still.retain(|one| before.contains(one));
        }
        if all && still.is_empty() {
            check_shape(&report, people);
            return report;
        }
        never = Some(still);
    }
    panic!("{never:?} in {report}");
}

/// What is so in any call in which all were connected.
fn check_shape(report: &Value, people: usize) {
    assert_eq!((&report["topology"], &report["host"]), (&"mesh".into(), &Value::Null));
    assert_eq!(report["participants"], people);
    assert_eq!(report["connections"], people * (people - 1) / 2);
    assert_eq!(report["errors"], json!([]));
    let connect = &report["connect_ms"];
    let all = report["all_connected_ms"].as_f64().expect("they were connected");
    assert!(connect["max"].as_f64().is_some_and(|slowest| slowest <= all), "{report}");
    let each = report["people"].as_array().expect("a list");
    assert_eq!(each.len(), people);
    for person in each {
        assert_eq!(person["connections"], people - 1, "{report}");
        let others = person["of"].as_array().expect("a list");
        assert_eq!(others.len(), people - 1);
        assert!(others.iter().all(|other| other["name"] != person["name"]), "{report}");
    }
}

/// Who has not seen or not heard whom, by the marks in what arrived.
fn unperceived(report: &Value) -> Vec<String> {
    let mut missing = Vec::new();
    for person in report["people"].as_array().into_iter().flatten() {
        for other in person["of"].as_array().into_iter().flatten() {
            for what in ["pictures", "sounds"] {
                if other[what].as_u64() < Some(1) {
                    missing.push(format!("{}: no {what} of {}", person["name"], other["name"]));
                }
            }
        }
    }
    missing
}

#[test]
fn four_people_see_and_hear_each_other_without_a_host() {
    // Tones alone: speech of three over a burst may hide it. And the cheapest pictures, so
    // that a busy machine gets to the sound in time.
    let tones = ["--participants", "4", "--audio", "silence"];
    let report = until_whole(
        &[&tones[..], &["--video", "test", "--picture", "cells"]].concat(),
        4,
        unperceived,
    );
    for figure in ["latency_ms", "av_skew_ms"] {
        assert!(report[figure]["p95"].is_f64(), "{figure} was not measured: {report}");
    }
    let video = &report["video"];
    // Each picture is encoded once, and sent to several.
    assert!(video["sent"].as_u64() > video["encoded"].as_u64(), "{report}");
}

#[test]
fn each_may_be_a_process_of_its_own() {
    let report =
        until_whole(&["--processes", "--audio", "silence", "--video", "test"], 3, unperceived);
    let children = report["children"].as_array().expect("a list");
    for (child, name) in children.iter().zip(["Ada", "Ben", "Cem"]) {
        let told = (&child["name"], &child["exit_status"], &child["hosts"]);
        assert_eq!(told, (&name.into(), &0.into(), &false.into()));
    }
}

#[test]
fn six_people_are_connected_by_15_connections() {
    // Cells cost the least: what counts here are the connections.
    let line =
        ["--participants", "6", "--audio", "silence", "--video", "test", "--picture", "cells"];
    until_whole(&line, 6, |_| Vec::new());
}

/// Waits until a process's line of the second tells of so many people in the mesh.
fn wait_for_people(program: &mut Program, people: &str) {
    program.wait_for(&format!("{people}|mesh|"));
}

#[test]
fn who_is_invited_comes_and_goes_and_the_first_may_leave() {
    let line = ["host", "--topology", "mesh", "--name", "Ada", "--duration", "50"];
    let mut ada = start(&[&[CALL], &line[..]].concat());
    let invitation = ada.wait_for("others join with: ");
    assert!(invitation.contains("call join --topology mesh ws://127.0.0.1:"), "{invitation}");
    let url = invitation.rsplit(' ').next().expect("a last word").to_owned();
    let join = |name| {
        let line = [CALL, "join", "--topology", "mesh", &url, "--name", name, "--duration", "50"];
        start(&line)
    };
    let (mut ben, mut cem) = (join("Ben"), join("Cem"));
    for program in [&mut ada, &mut ben, &mut cem] {
        wait_for_people(program, "3 people");
    }
    signal("TERM", cem.id());
    let text = cem.finish().stdout;
    assert!(String::from_utf8_lossy(&text).contains("s, a mesh"), "{text:?}");
    for program in [&mut ada, &mut ben] {
        wait_for_people(program, "2 people");
    }
    for program in [ben, ada] {
        signal("TERM", program.id());
        assert!(program.finish().status.success());
    }
}
