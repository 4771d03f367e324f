//! The rules of a handover, as a transcript that can be read without the code.

mod room;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use paceline_framing::{MemberQuality, NetworkQuality};
use paceline_migration::{Decision, Judge, JudgeConfig};
use room::{candidate, epoch, id};

/// Four members whose uplinks are as given; all else is the same for all.
struct Call {
    start: Instant,
    judge: Judge,
    uplinks: [u32; 4],
    text: String,
}

impl Call {
    fn new(uplinks: [u32; 4]) -> Self {
        let (start, mut judge) = (epoch(), Judge::new(JudgeConfig::default().smoothing(1)));
        for member in 0..4 {
            assert!(judge.handle_member(start, candidate(member)));
        }
        judge.set_host(start, Some(id(0)));
        Self { start, judge, uplinks, text: String::new() }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn measure(&mut self, seconds: u64) {
        let now = self.at(seconds);
        for from in 0..4 {
            let of = |(member, capacity): (usize, &u32)| MemberQuality {
                member: id(member),
                capacity: *capacity,
                loss: 0,
                min_rtt: 20_000,
                mean_rtt: 20_000,
                max_rtt: 20_000,
                jitter: 0,
                received: 900,
                expected: 900,
            };
            let members = self.uplinks.iter().enumerate().map(of).collect();
            let quality = NetworkQuality { window: 30_000_000, members };
            self.judge.handle_quality(now, id(from), &quality);
        }
        let uplinks = self.uplinks;
        writeln!(self.text, "{seconds:>3} s  measured, in kbit/s: {uplinks:?}").expect("a string");
    }

    fn decide(&mut self, seconds: u64) -> Option<Decision> {
        let decision = self.judge.decide(self.at(seconds));
        let line = match decision {
            None => "nothing is known".to_owned(),
            Some(it) => {
                let named = |who: Option<(_, u16)>| {
                    who.map_or("nobody".to_owned(), |(who, points)| format!("{who} has {points}"))
                };
                let (host, best) = (it.host, named(it.best));
                let (simply, simply_best) = (it.baseline_host, named(it.baseline_best));
                let to = it.migrate.map_or("stay".to_owned(), |to| format!("hand over to {to}"));
                format!("host {host}, {best} (baseline: {simply}, {simply_best}): {to}")
            }
        };
        writeln!(self.text, "{seconds:>3} s  {line}").expect("a string");
        if let Some(next) = decision.and_then(|decision| decision.migrate) {
            self.judge.set_host(self.at(seconds), Some(next));
        }
        let due = self.judge.poll_timeout().map(|due| due.duration_since(self.start).as_secs());
        let due = due.map_or("nothing".to_owned(), |due| format!("{due} s"));
        writeln!(self.text, "       waits for {due}").expect("a string");
        decision
    }
}

/// 3 mixes of 1,250 kbit/s take 3,750, which is four fifths of 4,688.
#[test]
fn the_better_one_gets_it_after_ten_seconds_and_nobody_else_for_thirty() {
    let mut call = Call::new([1_000, 4_700, 3_000, 2_000]);
    call.decide(0);
    call.measure(30);
    call.decide(30);
    call.decide(39);
    call.decide(40);
    call.uplinks = [9_000, 1_000, 3_000, 2_000];
    call.measure(45);
    call.decide(45);
    call.decide(69);
    call.decide(70);
    insta::assert_snapshot!(call.text, @"
     0 s  nothing is known
          waits for nothing
    30 s  measured, in kbit/s: [1000, 4700, 3000, 2000]
    30 s  host 6366, 2 has 29844 (baseline: 28000, 2 has 28000): stay
          waits for 40 s
    39 s  host 6366, 2 has 29844 (baseline: 28000, 2 has 28000): stay
          waits for 40 s
    40 s  host 6366, 2 has 29844 (baseline: 28000, 2 has 28000): hand over to 2
          waits for 40 s
    45 s  measured, in kbit/s: [9000, 1000, 3000, 2000]
    45 s  host 6366, 1 has 29844 (baseline: 28000, 1 has 28000): stay
          waits for 70 s
    69 s  host 6366, 1 has 29844 (baseline: 28000, 1 has 28000): stay
          waits for 70 s
    70 s  host 6366, 1 has 29844 (baseline: 28000, 1 has 28000): hand over to 1
          waits for 70 s
    ");
}

#[test]
fn a_fifth_is_what_it_takes() {
    let mut call = Call::new([4_000, 4_700, 1_000, 1_000]);
    call.measure(30);
    call.decide(30);
    call.decide(89);
    call.uplinks = [3_900, 4_700, 1_000, 1_000];
    call.measure(89);
    call.decide(89);
    call.decide(99);
    insta::assert_snapshot!(call.text, @"
    30 s  measured, in kbit/s: [4000, 4700, 1000, 1000]
    30 s  host 25466, 2 has 29844 (baseline: 28000, 2 has 28000): stay
          waits for 90 s
    89 s  host 25466, 2 has 29844 (baseline: 28000, 2 has 28000): stay
          waits for 90 s
    89 s  measured, in kbit/s: [3900, 4700, 1000, 1000]
    89 s  host 24830, 2 has 29844 (baseline: 28000, 2 has 28000): stay
          waits for 99 s
    99 s  host 24830, 2 has 29844 (baseline: 28000, 2 has 28000): hand over to 2
          waits for 99 s
    ");
}

#[test]
fn who_falls_behind_within_ten_seconds_begins_anew() {
    let mut call = Call::new([1_000, 4_700, 1_000, 1_000]);
    call.measure(30);
    call.decide(30);
    call.uplinks[1] = 1_000;
    call.measure(35);
    call.decide(35);
    call.uplinks[1] = 4_700;
    call.measure(38);
    call.decide(40);
    call.decide(48);
    insta::assert_snapshot!(call.text, @"
    30 s  measured, in kbit/s: [1000, 4700, 1000, 1000]
    30 s  host 6366, 2 has 29844 (baseline: 28000, 2 has 28000): stay
          waits for 40 s
    35 s  measured, in kbit/s: [1000, 1000, 1000, 1000]
    35 s  host 6366, 2 has 6366 (baseline: 28000, 2 has 28000): stay
          waits for 95 s
    38 s  measured, in kbit/s: [1000, 4700, 1000, 1000]
    40 s  host 6366, 2 has 29844 (baseline: 28000, 2 has 28000): stay
          waits for 48 s
    48 s  host 6366, 2 has 29844 (baseline: 28000, 2 has 28000): hand over to 2
          waits for 48 s
    ");
}

#[test]
fn what_was_measured_two_windows_ago_is_forgotten() {
    let mut call = Call::new([4_700, 4_700, 4_700, 1_000]);
    call.measure(30);
    call.decide(30);
    call.decide(89);
    call.decide(90);
    insta::assert_snapshot!(call.text, @"
    30 s  measured, in kbit/s: [4700, 4700, 4700, 1000]
    30 s  host 29844, 2 has 29844 (baseline: 28000, 2 has 28000): stay
          waits for 90 s
    89 s  host 29844, 2 has 29844 (baseline: 28000, 2 has 28000): stay
          waits for 90 s
    90 s  nothing is known
          waits for nothing
    ");
}

/// If nobody takes over, it is said again when another interval is over, and not before.
#[test]
fn advice_is_given_once() {
    let mut call = Call::new([1_000, 4_700, 1_000, 1_000]);
    let mut advised = Vec::new();
    for second in 30..110 {
        if second % 30 == 0 {
            call.measure(second);
        }
        let decision = call.judge.decide(call.at(second));
        if decision.and_then(|decision| decision.migrate).is_some() {
            advised.push(second);
        }
    }
    assert_eq!(advised, [40, 70, 100]);
}

/// Whoever is compared with somebody is not heard on the two of them.
#[test]
fn two_in_a_room_decide_nothing() {
    let mut call = Call::new([1_000, 4_700, 1_000, 1_000]);
    for gone in 2..4 {
        call.judge.handle_left(call.start, id(gone));
    }
    call.measure(30);
    let decision = call.decide(30).expect("the host was measured");
    assert_eq!((decision.best, decision.migrate), (None, None));
    assert_eq!(call.judge.ranking(call.at(30)), [id(1)]);
}

/// Nobody waits for a time that has passed: each deadline is later than the last.
#[test]
fn deadlines_come_to_an_end() {
    let mut call = Call::new([1_000, 4_700, 1_000, 1_000]);
    call.measure(30);
    let mut now = call.at(30);
    let _ = call.judge.decide(now);
    let mut steps = 0;
    while let Some(due) = call.judge.poll_timeout() {
        assert!(due > now);
        now = due;
        let _ = call.judge.decide(now);
        steps += 1;
    }
    assert_eq!(steps, 3); // Due at 40 s, due again at 70 s, forgotten at 90 s.
}
