//! Calls in which whoever is at the front goes, as one program starts them.

mod programs;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use programs::{CALL, json, start};

/// The cheapest call there is: three who go on for a while after it happened.
const CHEAP: [&str; 8] =
    ["--video", "test", "--picture", "cells", "--audio", "silence", "--duration", "12"];

fn call(line: &[&str]) -> Value {
    json(&start(&[&[CALL, "--json"], &CHEAP[..], line].concat()).finish())
}

/// What is so of any change: it has an epoch and two ends, and was not without end.
fn check(change: &Value, kind: &str) {
    assert_eq!(change["kind"], kind, "{change}");
    assert!(change["epoch"].as_str().is_some_and(|epoch| epoch.contains('.')), "{change}");
    assert!(change["from"].is_string() && change["to"].is_string(), "{change}");
    assert_ne!(change["from"], change["to"]);
    assert_eq!(change["closed"], true, "{change}");
    for gap in ["video", "audio"] {
        let ms = change["gap_ms"][gap].as_f64();
        // Of what is looked at around a change there are four seconds.
        assert!(ms.is_some_and(|ms| (0.0..10_000.0).contains(&ms)), "{gap}: {change}");
    }
    for count in ["video_frames_lost", "audio_samples_lost", "decoder_resets"] {
        assert!(change[count].is_u64(), "{count}: {change}");
    }
}

/// The changes by which another came to the front. A machine that does much else may leave a
/// host without processor time for so long that he gives up and is elected again: that is
/// no change of who.
fn moves(report: &Value) -> Vec<&Value> {
    let changes = report["host_changes"].as_array().expect("a list");
    changes.iter().filter(|change| change["from"] != change["to"]).collect()
}

/// Names of those who told of themselves at the end.
fn told(report: &Value) -> BTreeSet<&str> {
    let people = report["people"].as_array().into_iter().flatten();
    people.filter_map(|person| person["name"].as_str()).collect()
}

#[test]
fn a_process_that_hosts_is_killed_and_the_others_go_on() {
    let report = call(&["--processes", "--host", "1", "--kill-host-at", "5"]);
    assert_eq!((&report["errors"], &report["stale_epoch_rendered"]), (&json!([]), &0.into()));
    let changes = moves(&report);
    assert_eq!(changes.len(), 1, "{report}");
    check(changes[0], "crash");
    assert_eq!((&changes[0]["from"], &report["host"]), (&"Ada".into(), &changes[0]["to"]));
    assert!(changes[0]["detect_ms"].is_f64() && changes[0]["promote_ms"].is_f64(), "{report}");
    // Only the dead did not leave by himself.
    let children = report["children"].as_array().expect("a list");
    let ends = Vec::from_iter(children.iter().map(|child| (&child["signal"], &child["hosts"])));
    assert_eq!(ends[0], (&9.into(), &true.into()));
    for (child, (signal, hosts)) in children.iter().zip(&ends).skip(1) {
        assert_eq!((*signal, &child["exit_status"]), (&Value::Null, &0.into()), "{report}");
        assert_eq!(**hosts, child["name"] == report["host"], "{report}");
    }
}

#[test]
fn who_is_taken_away_within_the_process_is_replaced_too() {
    let report = call(&["--host", "2", "--kill-host-at", "5"]);
    assert_eq!((&report["errors"], &report["stale_epoch_rendered"]), (&json!([]), &0.into()));
    let changes = moves(&report);
    assert_eq!(changes.len(), 1, "{report}");
    check(changes[0], "crash");
    assert_eq!((&changes[0]["from"], &report["host"]), (&"Ben".into(), &changes[0]["to"]));
    // Both who stay were there to the end, and the dead told nothing.
    assert_eq!(told(&report), BTreeSet::from(["Ada", "Cem"]));
}

#[test]
fn who_is_at_the_front_hands_over_and_stays() {
    let report = call(&["--host", "1", "--handover-at", "5"]);
    assert_eq!((&report["errors"], &report["stale_epoch_rendered"]), (&json!([]), &0.into()));
    let changes = moves(&report);
    assert_eq!(changes.len(), 1, "{report}");
    check(changes[0], "planned");
    assert_eq!((&changes[0]["from"], &report["host"]), (&"Ada".into(), &changes[0]["to"]));
    // Nobody made a decoder anew; the host of before is a guest now.
    assert_eq!(changes[0]["decoder_resets"], 0, "{report}");
    assert!(told(&report).contains("Ada"), "{report}");
}

#[test]
fn the_room_elects_somebody_whom_nobody_wished_for() {
    let report = call(&[]);
    let host = report["host"].as_str().expect("somebody");
    assert!(["Ada", "Ben", "Cem"].contains(&host), "{report}");
    // Who was elected at first came after nobody.
    assert!(moves(&report).is_empty(), "{report}");
    assert!(report["video"]["decoded"].as_u64() > Some(50), "{report}");
}
