//! What a path takes, if one were to believe its other end.

use std::time::{Duration, Instant};

use bytes::Buf;
use interceptor::{BandwidthEstimator, PacketReport};
use paceline_transport::rtp::{Estimator, RtpConfig};
use paceline_transport::types::Bitrate;

use crate::packets::epoch;

/// Reports of packets: each step is an operation, how many packets there were, their spacing,
/// their delay, and which of them are lost.
pub fn estimator(mut script: &[u8]) {
    let Ok(first) = script.try_get_u8() else { return };
    let [min, max] = [50, 50 << (first % 8)].map(Bitrate::from_kbps);
    let config = RtpConfig::default().min_bitrate(min).max_bitrate(max);
    let mut estimator = Estimator::new(&config);
    let mut now = epoch() + AGE;
    // The other end's clock, in microseconds, and the number of the next packet.
    let (mut clock, mut id) = (1_u64 << 32, 0);
    while let Some((&[op, count, spacing, delay, lost], rest)) = script.split_first_chunk() {
        script = rest;
        let step = Duration::from_micros(u64::from(spacing) * 50);
        match op % 8 {
            // A pause, in which silence may be heard.
            0 => {
                now += Duration::from_millis(u64::from(count) << (spacing % 8));
                while let Some(at) = estimator.poll_timeout().filter(|at| *at <= now) {
                    estimator.handle_timeout(at);
                    let next = estimator.poll_timeout();
                    assert!(next.is_none_or(|next| next > at), "it would be called for ever");
                }
            }
            // Another clock.
            1 => clock = u64::from(delay) << (count % 40),
            _ => {
                let mut reports = Vec::new();
                for index in 0..count {
                    let departure = now;
                    now += step;
                    clock += match op % 8 {
                        // Faster, slower, or not at all.
                        2 => 0,
                        3 => u64::from(delay) * 500,
                        _ => step.as_micros() as u64,
                    };
                    let arrived = lost >> (index % 8) & 1 == 0;
                    // Those that were overtaken are said to have come before.
                    let early = if op & 8 == 0 { 0 } else { u64::from(index % 3) * 40_000 };
                    let at = (clock + u64::from(delay) * 1_000).saturating_sub(early);
                    let size =
                        if op & 16 == 0 { 1_200 } else { usize::from(delay) << (index % 16) };
                    let arrival = (arrived && op & 32 == 0).then(|| Duration::from_micros(at));
                    reports.push(report(id, departure, arrived, arrival, size));
                    id += 1;
                }
                // A report may be of what left long ago, or just now.
                let told =
                    if op & 64 == 0 { now + Duration::from_millis(50) } else { now - AGE / 2 };
                estimator.on_reports(told, &reports);
                now = now.max(told);
            }
        }
        let target = estimator.target_bitrate();
        let (least, most) = (min.bps() as f64, max.bps() as f64);
        assert!((least..=most).contains(&target), "{target} is not between {least} and {most}");
        let stats = estimator.stats();
        assert!(stats.packet_loss.is_none_or(|share| (0.0..=1.0).contains(&share)), "{stats:?}");
        // Another clock is seen as one: nobody waits for longer than the jump that it takes.
        assert!(estimator.queue() < Duration::from_secs(10 * 2_048), "{:?}", estimator.queue());
    }
    let held = format!("{estimator:?}").len();
    assert!(held < MAX_HELD, "{held} bytes of state");
}

fn report(
    id: u64,
    departure: Instant,
    arrived: bool,
    arrival: Option<Duration>,
    size: usize,
) -> PacketReport {
    PacketReport {
        ssrc: 7,
        id,
        rtp_sequence_number: id as u16,
        is_twcc: true,
        twcc_sequence_number: id as u16,
        size,
        arrived,
        departure,
        arrival,
        ecn: Default::default(),
    }
}

/// Of the call, so that there are instants before now.
const AGE: Duration = Duration::from_secs(3_600);

/// Two times 2,048 packets as `Debug` has them, 160 bytes at most each.
const MAX_HELD: usize = 2 * 2_048 * 160 + 4_096;
