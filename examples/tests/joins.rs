//! The measurement of joining, as a person runs it.

mod programs;

use programs::{CALL, json, start};

#[test]
fn three_joins_are_measured_step_by_step() {
    let program = start(&[CALL, "measure-joins", "--count", "3", "--json"]);
    let report = json(&program.finish());
    assert_eq!((&report["joins"], &report["failed"]), (&3.into(), &0.into()));
    let total = report["total_ms"]["median"].as_f64().expect("it was measured");
    let steps = report["steps"].as_array().expect("a list");
    let mut before = 0.0;
    for step in steps {
        let done = step["done_ms"]["median"].as_f64().expect("every step happens");
        assert!(before <= done && done <= total, "{report}");
        before = done;
    }
    assert_eq!((steps.len(), before), (12, total));
}

#[test]
fn where_nobody_answers_the_first_join_says_so() {
    let output = start(&[CALL, "measure-joins", "ws://127.0.0.1:1/call"]).finish();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no signalling server answers"), "{text}");
}
