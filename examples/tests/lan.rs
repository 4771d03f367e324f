//! A call between machines of one network: two network namespaces with a cable between
//! them stand for two machines.
#![cfg(target_os = "linux")]

use std::process::Output;

mod programs;

use programs::machines::machines_or_skip;
use programs::{CALL, json, signal, start};

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn two_machines_meet_whatever_address_the_host_listens_on() {
    let Some(machines) = machines_or_skip() else { return };
    for listen in ["0.0.0.0:0", "10.77.0.1:0"] {
        let mut host = machines.run(0, &["host", "--listen", listen, "--duration", "50", "--json"]);
        let invitation = host.wait_for("others join with: call join ");
        let url = invitation.rsplit(' ').next().expect("a last word").to_owned();
        assert!(url.starts_with("ws://10.77.0.1:"), "{invitation}");
        assert!(host.wait_for("whoever reaches").contains("use a network you trust"));
        let join =
            |name| ["join", &url, "--name", name, "--duration", "4", "--json"].map(String::from);
        let run = |machine, name| {
            let line = join(name);
            machines.run(machine, &Vec::from_iter(line.iter().map(String::as_str)))
        };
        // One on the other machine, and one on the host's own.
        let guests = [run(1, "Ben"), run(0, "Cem")];
        for guest in guests {
            let report = json(&guest.finish());
            assert_eq!((&report["participants"], &report["host"]), (&3.into(), &"Ada".into()));
            assert!(report["video"]["decoded"].as_u64() > Some(40), "{listen}: {report}");
            assert_eq!(report["errors"], serde_json::json!([]), "{listen}");
        }
        signal("TERM", host.id());
        let report = json(&host.finish());
        assert_eq!(report["participants"], 3);
        assert!(report["video"]["decoded"].as_u64() > Some(80), "{listen}: {report}");
    }
}

#[test]
fn an_address_that_cannot_be_listened_on_is_one_line_that_says_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("it has one").to_string();
    for (listen, word) in [
        (taken.as_str(), "is in use: end what listens there"),
        ("203.0.113.9:0", "is not in a private network"),
        // The last of its network: hardly anybody has it.
        ("10.255.255.254:0", "is no address of this machine: use "),
    ] {
        let output = start(&[CALL, "host", "--listen", listen]).finish();
        assert_eq!(output.status.code(), Some(1), "{listen}: {}", text(&output));
        assert_eq!(text(&output).lines().count(), 1, "{listen}: {}", text(&output));
        assert!(text(&output).contains(word), "{listen}: {}", text(&output));
    }
}

#[test]
fn a_call_on_loopback_is_not_warned_of_and_shows_a_code_when_asked() {
    let mut host = start(&[CALL, "host", "--qr", "--ascii", "--duration", "1", "--json"]);
    host.wait_for("others join with: call join ws://127.0.0.1:");
    let output = host.finish();
    assert!(!text(&output).contains("trust"), "{}", text(&output));
    // The finder pattern in a corner begins with seven dark modules in a row.
    assert!(text(&output).contains("##############"), "{}", text(&output));
    json(&output);
}
