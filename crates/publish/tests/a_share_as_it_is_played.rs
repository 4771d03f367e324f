//! Each story of a share, as a script that needs no Rust to be read: what is told to the
//! supervisor (`>`), what it wants done, and what it tells.
#![allow(clippy::disallowed_methods, reason = "where the virtual clock starts")]

use std::time::{Duration, Instant};

use paceline_publish::{Attempt, Failure, FailureKind, Output, Supervisor, SupervisorConfig};

struct Share {
    supervisor: Supervisor,
    start: Instant,
    now: Instant,
    attempt: Option<Attempt>,
    script: String,
}

impl Share {
    fn new(senders: usize, external: bool) -> Self {
        let config = SupervisorConfig::default().external(external);
        let start = Instant::now();
        let supervisor = Supervisor::new(senders, config);
        Self { supervisor, start, now: start, attempt: None, script: String::new() }
    }

    fn tell(&mut self, word: &str, tell: impl FnOnce(&mut Supervisor, Instant, Attempt)) {
        self.line(&format!("> {word}"));
        let attempt = self.attempt.expect("something is open");
        tell(&mut self.supervisor, self.now, attempt);
        self.drain();
    }

    fn start(&mut self) {
        self.line("> start");
        self.supervisor.start(self.now);
        self.drain();
    }

    fn stop(&mut self) {
        self.line("> stop");
        self.supervisor.stop(self.now);
        self.drain();
    }

    fn up(&mut self) {
        self.tell("media flows", Supervisor::handle_up);
    }

    fn closed(&mut self) {
        self.tell("closed", Supervisor::handle_closed);
    }

    fn fail(&mut self, kind: FailureKind, text: &str) {
        let failure = Failure::new(kind, text);
        let word = failure.to_string();
        self.tell(&word, |supervisor, now, attempt| {
            supervisor.handle_failure(now, attempt, failure);
        });
    }

    /// Lets time pass, and each deadline be met on its millisecond.
    fn pass(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(deadline) = self.supervisor.poll_timeout().filter(|&at| at <= end) {
            self.now = deadline;
            self.supervisor.handle_timeout(deadline);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(output) = self.supervisor.poll_output() {
            match output {
                Output::Close { attempt } => self.line(&format!("close {attempt}")),
                Output::Event(event) => self.line(&format!("! {event}")),
                Output::Open { attempt, target } => {
                    self.attempt = Some(attempt);
                    self.line(&format!("open {attempt} at target {target}"));
                }
            }
        }
    }

    fn line(&mut self, line: &str) {
        let millis = (self.now - self.start).as_millis();
        self.script += &format!("{millis:>5} ms  {line}\n");
    }

    fn health(&self) -> String {
        self.supervisor.health(self.now, 2).to_string()
    }
}

/// A script, without the margin it has in the source.
fn script(text: &str) -> String {
    let lines = text.trim_matches('\n').lines();
    lines.map(|line| format!("{}\n", line.strip_prefix("        ").unwrap_or(line))).collect()
}

#[test]
fn a_share_is_started_and_stopped() {
    let mut share = Share::new(1, false);
    share.start();
    share.pass(240);
    share.up();
    share.start();
    share.pass(5_000);
    share.stop();
    share.stop();
    share.pass(30);
    share.closed();
    let expected = "
            0 ms  > start
            0 ms  open #1 at target 0
          240 ms  > media flows
          240 ms  ! sender_started #1 at target 0 after 240 ms
          240 ms  > start
         5240 ms  > stop
         5240 ms  close #1
         5240 ms  > stop
         5270 ms  > closed
         5270 ms  ! sender_stopped #1 at target 0, as asked";
    assert_eq!(share.script, script(expected));
}

#[test]
fn a_server_that_dies_is_left_for_the_next() {
    let mut share = Share::new(2, false);
    share.start();
    share.pass(200);
    share.up();
    share.pass(1_000);
    share.fail(FailureKind::TransportClosed, "DTLS closed");
    share.pass(50);
    share.closed();
    share.pass(300);
    share.up();
    let expected = "
            0 ms  > start
            0 ms  open #1 at target 0
          200 ms  > media flows
          200 ms  ! sender_started #1 at target 0 after 200 ms
         1200 ms  > transport closed: DTLS closed
         1200 ms  ! transport_error #1 at target 0, fatal: transport closed: DTLS closed
         1200 ms  ! fallback_triggered target 0 given up, target 1 is next: transport closed: DTLS closed
         1200 ms  close #1
         1250 ms  > closed
         1250 ms  ! sender_stopped #1 at target 0: transport closed: DTLS closed
         1250 ms  open #2 at target 1
         1550 ms  > media flows
         1550 ms  ! sender_started #2 at target 1 after 300 ms
         1550 ms  ! fallback_completed by target 1 after 350 ms";
    assert_eq!(share.script, script(expected));
    assert_eq!(
        share.health(),
        "live at target 1 for 0 ms, transport connected, degradation 2, 0 encode and 0 send \
         errors, 0 of 0 frames dropped; target 0 given up, target 1 is next: transport closed: \
         DTLS closed",
    );
}

#[test]
fn each_fallback_is_measured_from_when_it_was_triggered() {
    let mut share = Share::new(3, false);
    share.start();
    share.up();
    share.fail(FailureKind::ServerClosed, "");
    share.pass(10);
    share.closed();
    share.pass(90);
    share.up();
    share.pass(5_000);
    share.script.clear();
    share.fail(FailureKind::ServerClosed, "");
    share.pass(20);
    share.closed();
    share.pass(180);
    share.up();
    let expected = "
         5100 ms  > closed by the server
         5100 ms  ! transport_error #2 at target 1, fatal: closed by the server
         5100 ms  ! fallback_triggered target 1 given up, target 2 is next: closed by the server
         5100 ms  close #2
         5120 ms  > closed
         5120 ms  ! sender_stopped #2 at target 1: closed by the server
         5120 ms  open #3 at target 2
         5300 ms  > media flows
         5300 ms  ! sender_started #3 at target 2 after 180 ms
         5300 ms  ! fallback_completed by target 2 after 200 ms";
    assert_eq!(share.script, script(expected));
}

#[test]
fn a_server_that_is_not_there_is_tried_three_times_and_then_the_application_takes_over() {
    let mut share = Share::new(1, true);
    share.start();
    for _ in 0..3 {
        share.pass(10);
        share.fail(FailureKind::Unreachable, "");
        share.closed();
        share.pass(4_000);
    }
    let expected = "
            0 ms  > start
            0 ms  open #1 at target 0
           10 ms  > unreachable
           10 ms  ! transport_error #1 at target 0, transient: unreachable
           10 ms  close #1
           10 ms  > closed
         2010 ms  open #2 at target 0
         4020 ms  > unreachable
         4020 ms  ! transport_error #2 at target 0, transient: unreachable
         4020 ms  close #2
         4020 ms  > closed
         8020 ms  open #3 at target 0
         8030 ms  > unreachable
         8030 ms  ! transport_error #3 at target 0, transient: unreachable
         8030 ms  ! fallback_triggered target 0 given up, the application is next: unreachable
         8030 ms  close #3
         8030 ms  > closed
         8030 ms  ! fallback_completed by the application after 0 ms";
    assert_eq!(share.script, script(expected));
}

#[test]
fn a_server_that_answers_nothing_takes_ten_seconds_a_try_and_one_to_close() {
    let mut share = Share::new(1, false);
    share.start();
    share.pass(60_000);
    let expected = "
            0 ms  > start
            0 ms  open #1 at target 0
        10000 ms  ! transport_error #1 at target 0, transient: timed out: no media in time
        10000 ms  close #1
        13000 ms  open #2 at target 0
        23000 ms  ! transport_error #2 at target 0, transient: timed out: no media in time
        23000 ms  close #2
        28000 ms  open #3 at target 0
        38000 ms  ! transport_error #3 at target 0, transient: timed out: no media in time
        38000 ms  ! fallback_triggered target 0 given up, there is no other: timed out: no media in time
        38000 ms  close #3";
    assert_eq!(share.script, script(expected));
    assert!(share.health().starts_with("stopped for 21000 ms, transport closed"));
    assert_eq!(share.supervisor.stats().abandoned, 3);
}

#[test]
fn an_encoder_that_fails_six_times_in_ten_seconds_is_left() {
    let mut share = Share::new(2, false);
    share.start();
    share.up();
    for _ in 0..6 {
        share.pass(1_999);
        share.tell("an encode error", |supervisor, now, attempt| {
            supervisor.handle_encode(now, attempt, Err("no bitstream"));
        });
    }
    share.closed();
    let expected = "
            0 ms  > start
            0 ms  open #1 at target 0
            0 ms  > media flows
            0 ms  ! sender_started #1 at target 0 after 0 ms
         1999 ms  > an encode error
         1999 ms  ! encode_error #1 at target 0, transient: encoding failed: no bitstream
         3998 ms  > an encode error
         5997 ms  > an encode error
         7996 ms  > an encode error
         9995 ms  > an encode error
        11994 ms  > an encode error
        11994 ms  ! encode_error #1 at target 0, fatal: encoding failed: no bitstream
        11994 ms  ! fallback_triggered target 0 given up, target 1 is next: encoding failed: no bitstream
        11994 ms  close #1
        11994 ms  > closed
        11994 ms  ! sender_stopped #1 at target 0: encoding failed: no bitstream
        11994 ms  open #2 at target 1";
    assert_eq!(share.script, script(expected));
}

#[test]
fn who_starts_again_while_a_sender_closes_gets_the_first_target_when_it_has_closed() {
    let mut share = Share::new(2, false);
    share.start();
    share.stop();
    share.start();
    share.stop();
    share.start();
    share.pass(400);
    share.closed();
    let expected = "
            0 ms  > start
            0 ms  open #1 at target 0
            0 ms  > stop
            0 ms  close #1
            0 ms  > start
            0 ms  > stop
            0 ms  > start
          400 ms  > closed
          400 ms  open #2 at target 0";
    assert_eq!(share.script, script(expected));
}

#[test]
fn health_and_events_are_flat_json_under_their_names() {
    let mut share = Share::new(1, true);
    share.start();
    share.supervisor.handle_queue(share.now, share.attempt.unwrap(), 10, 1);
    share.supervisor.handle_failure(
        share.now,
        share.attempt.unwrap(),
        Failure::new(FailureKind::AuthRefused, "403"),
    );
    let event = std::iter::from_fn(|| share.supervisor.poll_output())
        .filter_map(|output| match output {
            Output::Event(event) if event.name() == "fallback_triggered" => Some(event),
            _ => None,
        })
        .last()
        .unwrap();
    let counts = serde_json::json!({
        "encode_errors": 0, "send_errors": 0, "offered": 10, "dropped": 1,
    });
    let reason = serde_json::json!({
        "from": {"sender": 0}, "to": "external", "kind": "auth_refused", "text": "403",
        "tries": 1, "counts": counts,
    });
    let mut expected = reason.clone();
    expected["event"] = "fallback_triggered".into();
    assert_eq!(serde_json::to_value(&event).unwrap(), expected);

    share.pass(250);
    let health = serde_json::to_value(share.supervisor.health(share.now, 3)).unwrap();
    assert_eq!(
        health,
        serde_json::json!({
            "state": "closing", "target": {"sender": 0}, "fallback_reason": reason,
            "degradation_level": 3, "transport_state": "closing", "since_ms": 250,
            "counts": counts,
            "last_errors": {
                "encode": null,
                "transport": {"kind": "auth_refused", "text": "403"},
            },
        }),
    );
}
