//! What an allocator that counts says of a buffer.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

#[allow(dead_code, reason = "each file takes what it needs")]
mod support;

use std::time::Instant;

use allocation_counter::measure;
use paceline_jitter::{JitterBuffer, JitterConfig, Output};
use support::{Player, ms, scenarios};

// J5.
#[test]
fn a_buffer_is_at_most_8_kib_without_payloads() {
    let mut kept = None;
    let allocated = measure(|| kept = Some(JitterBuffer::<()>::new(JitterConfig::default())));
    assert!(kept.is_some() && allocated.count_total > 0);
    let bytes = size_of::<JitterBuffer<()>>() as u64 + allocated.bytes_current.unsigned_abs();
    println!("{bytes} bytes, {} of them in the struct", size_of::<JitterBuffer<()>>());
    assert!(bytes <= 8_192, "{bytes} bytes");
}

// J5.
#[test]
fn nothing_is_allocated_after_new() {
    for (name, sent) in scenarios::all() {
        let start = Instant::now();
        let mut buffer = JitterBuffer::new(JitterConfig::default().capacity(32));
        let mut played = 0;
        let allocated = measure(|| {
            buffer.set_round_trip(Some(ms(30)));
            for (id, sent) in sent.iter().enumerate() {
                let now = start + std::time::Duration::from_micros(sent.at.unsigned_abs());
                let _ = buffer.insert(now, Player::unit(id as u64, *sent));
                buffer.set_drift(id as f64 / 10.0);
                loop {
                    match buffer.poll(now) {
                        Output::Play { .. } => played += 1,
                        Output::Lost { .. } => {}
                        _ => break,
                    }
                }
                let _ = (buffer.stats(), buffer.state(), buffer.poll_timeout());
            }
        });
        assert_eq!(allocated.count_total, 0, "{name}");
        assert!(played >= 100, "{name}: {played}");
    }
}
