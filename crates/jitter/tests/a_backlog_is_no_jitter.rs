//! A stream may begin with what was kept for its receiver: all at once, and older than
//! what follows. That says nothing of the network.

use std::time::{Duration, Instant};

use paceline_jitter::types::{Frequency, MediaTime, SeqNo};
use paceline_jitter::{JitterBuffer, JitterConfig, Output, Unit};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Of a stream that begins with `backlog` pictures, `parts` of them every 40 ms, and goes
/// on live: how much later than it was made the last of 200 is played.
fn age_after_a_backlog(backlog: u64, parts: u64) -> Duration {
    #[expect(clippy::disallowed_methods, reason = "a test needs an epoch")]
    let start = Instant::now();
    let frame = |seq: u64| start + Duration::from_micros(33_333 * seq);
    let mut buffer = JitterBuffer::new(JitterConfig::video());
    let mut age = Duration::ZERO;
    let take = |buffer: &mut JitterBuffer<u64>, now: Instant, age: &mut Duration| {
        while let Some(at) = buffer.poll_timeout().filter(|&at| at <= now) {
            match buffer.poll(at) {
                Output::Play { payload, .. } => *age = at.max(frame(payload)) - frame(payload),
                Output::Lost { .. } => panic!("nothing was lost"),
                _ => break,
            }
        }
    };
    for seq in 0..200 {
        let parted = frame(backlog) + ms(40) * (seq / parts) as u32;
        let arrives = if seq < backlog { parted } else { frame(seq).max(parted) };
        take(&mut buffer, arrives, &mut age);
        let time = MediaTime::new(seq * 3_000, Frequency::VIDEO);
        let _ = buffer.insert(arrives, Unit::new(SeqNo::new(seq), time, seq));
    }
    take(&mut buffer, frame(300), &mut age);
    age
}

#[test]
fn who_begins_with_a_backlog_is_soon_where_the_others_are() {
    for (backlog, parts) in [(0, 200), (10, 200), (45, 200), (60, 14), (60, 9)] {
        let age = age_after_a_backlog(backlog, parts);
        assert!(age <= ms(25), "after {backlog} in parts of {parts} it is {age:?}");
    }
}
