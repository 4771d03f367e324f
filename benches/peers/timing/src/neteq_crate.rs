//! The `neteq` crate, with the clock of this process set to the trace's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use neteq::codec::AudioDecoder;
use neteq::neteq::SpeechType;
use neteq::{AudioPacket, NetEq, NetEqConfig, NetEqError, RtpHeader};

use crate::marker::{Cost, Marker, Run};
use crate::ours::median;
use crate::trace::{TICKS_PER_MS, Trace};
use crate::{allocations, clock};

/// Plays `trace` with the crate's defaults at 48 kHz, but for a maximum delay in ms (0 is
/// none).
pub(crate) fn run(trace: &Trace, speech: &Arc<[f32]>, max_ms: u32) -> Result<Run, NetEqError> {
    let first_us = trace.packets[0].arrival_us;
    // Any start but zero: the crate takes differences only.
    let virtual_ns = |us: i64| Some(3_600_000_000_000 + ((us - first_us) as u64) * 1_000);
    clock::set(virtual_ns(first_us));
    let played = play(trace, speech, max_ms, virtual_ns);
    clock::set(None);
    played
}

fn play(
    trace: &Trace,
    speech: &Arc<[f32]>,
    max_ms: u32,
    virtual_ns: impl Fn(i64) -> Option<u64>,
) -> Result<Run, NetEqError> {
    let held = allocations::held();
    let config = NetEqConfig { sample_rate: RATE, max_delay_ms: max_ms, ..NetEqConfig::default() };
    let mut neteq = NetEq::new(config)?;
    let decoded = Arc::new(Mutex::new(VecDeque::new()));
    let samples = trace.packet_samples() as usize;
    let decoder = Decoder { speech: speech.clone(), decoded: decoded.clone(), samples };
    neteq.register_decoder(PAYLOAD_TYPE, Box::new(decoder));

    let mut run = Run { reported: Some(Vec::new()), ..Run::default() };
    let mut timeline = Timeline { spans: VecDeque::new(), samples };
    let (mut inserting, mut playing) = (Spent::default(), Spent::default());
    let first = trace.packets[0].seq;
    let last_us = trace.packets.last().map_or(0, |packet| packet.arrival_us);
    let mut now_us = trace.packets[0].arrival_us;
    let mut next = 0;
    while now_us < last_us + DRAIN_US {
        while let Some(packet) = trace.packets.get(next).filter(|p| p.arrival_us <= now_us) {
            clock::set(virtual_ns(packet.arrival_us));
            let header =
                RtpHeader::new(packet.wire_seq, packet.wire_ts, packet.ssrc, PAYLOAD_TYPE, false);
            let offset = (packet.seq - first).max(0) as u64 * samples as u64;
            let payload = [packet.media_ms.to_le_bytes(), offset.to_le_bytes()].concat();
            let packet_ms = trace.packet_ms.round() as u32;
            let packet = AudioPacket::new(header, payload, RATE, 1, packet_ms);
            inserting.measure(next >= WARM_UP, || neteq.insert_packet(packet))?;
            next += 1;
        }
        clock::set(virtual_ns(now_us));
        let frame = playing.measure(next >= WARM_UP, || neteq.get_audio())?;
        timeline.spans.extend(decoded.lock().unwrap_or_else(PoisonError::into_inner).drain(..));
        let waiting = neteq.get_statistics().packets_awaiting_decode;
        let packet_samples = trace.packet_ms.round() as usize * RATE as usize / 1_000;
        let leftover = neteq.current_buffer_size_samples().saturating_sub(waiting * packet_samples);
        let end_ms = timeline.end_of_played(leftover);
        if let (SpeechType::Normal, Some(end_ms)) = (frame.speech_type, end_ms) {
            run.markers.push(Marker {
                play_ms: now_us as f64 / 1e3,
                wall_ms: BLOCK_MS,
                media_ms: end_ms - BLOCK_MS,
                squeezed_ms: BLOCK_MS,
                seq: None,
            });
        }
        now_us += (BLOCK_MS * 1e3) as i64;
    }
    run.reported = None;
    let empty_ns = Spent::empty_reading();
    run.cost = Some(Cost {
        insert_ns: (median(&mut inserting.ns) - empty_ns).max(0.0),
        poll_ns: (median(&mut playing.ns) - empty_ns).max(0.0),
        insert_allocations: inserting.allocations as f64 / inserting.warm_calls.max(1) as f64,
        poll_allocations: playing.allocations as f64 / playing.warm_calls.max(1) as f64,
        bytes: {
            let lists = inserting.ns.capacity() + playing.ns.capacity();
            let markers = run.markers.capacity() * size_of::<Marker>();
            (allocations::held() - held) as f64 - (lists * size_of::<f64>() + markers) as f64
        },
    });
    Ok(run)
}

/// Turns a payload (media time, place in the speech) into sound, and notes that it did.
struct Decoder {
    speech: Arc<[f32]>,
    decoded: Arc<Mutex<VecDeque<f64>>>,
    samples: usize,
}

impl AudioDecoder for Decoder {
    fn sample_rate(&self) -> u32 {
        RATE
    }

    fn channels(&self) -> u8 {
        1
    }

    fn decode(&mut self, encoded: &[u8]) -> neteq::Result<Vec<f32>> {
        let (media, offset) = encoded
            .split_first_chunk::<8>()
            .and_then(|(media, rest)| Some((media, rest.first_chunk::<8>()?)))
            .ok_or_else(|| NetEqError::DecoderError("no payload of ours".to_owned()))?;
        let mut decoded = self.decoded.lock().unwrap_or_else(PoisonError::into_inner);
        decoded.push_back(f64::from_le_bytes(*media));
        let start = u64::from_le_bytes(*offset) as usize;
        let speech = &self.speech;
        Ok((start..start + self.samples).map(|n| speech[n % speech.len()]).collect())
    }
}

/// What was decoded, in the order in which it is played.
struct Timeline {
    /// Media time of each packet, newest last.
    spans: VecDeque<f64>,
    samples: usize,
}

impl Timeline {
    /// Media time at which playing stands when the last `leftover` samples decoded wait.
    fn end_of_played(&mut self, leftover: usize) -> Option<f64> {
        while self.spans.len() > (leftover / self.samples + 2).max(64) {
            self.spans.pop_front();
        }
        let back = leftover / self.samples;
        let start = self.spans.len().checked_sub(back + 1).map(|index| self.spans[index])?;
        let rest = leftover % self.samples;
        Some(start + (self.samples - rest) as f64 / TICKS_PER_MS)
    }
}

/// What the calls of one kind took.
#[derive(Default)]
struct Spent {
    ns: Vec<f64>,
    warm_calls: u64,
    allocations: u64,
}

impl Spent {
    fn measure<T>(&mut self, warm: bool, call: impl FnOnce() -> T) -> T {
        let before = allocations::calls();
        let start = clock::real_ns();
        let result = call();
        let end = clock::real_ns();
        if warm {
            self.warm_calls += 1;
            self.allocations += allocations::calls() - before;
        }
        self.ns.push((end - start) as f64);
        result
    }

    /// What measuring nothing takes.
    fn empty_reading() -> f64 {
        let mut spent = Self::default();
        (0..1_000).for_each(|_| spent.measure(false, || ()));
        median(&mut spent.ns)
    }
}

const RATE: u32 = 48_000;
const PAYLOAD_TYPE: u8 = 96;

/// The crate plays in blocks of 10 ms.
const BLOCK_MS: f64 = 10.0;

/// Ten seconds of packets of 20 ms, as for the others.
const WARM_UP: usize = 500;

/// Time after the last arrival in which all has been played.
const DRAIN_US: i64 = 2_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::packets;

    #[test]
    fn its_clock_is_the_traces_so_every_run_is_the_same() {
        let delay =
            |n: i32| Some(30.0 + f64::from(n * 7 % 11) * if n % 90 < 20 { 9.0 } else { 1.0 });
        let delays: Vec<_> = (0..1_000).map(delay).collect();
        let trace = Trace::new("t", packets(&delays, 20.0), Some(20.0));
        let speech: Arc<[f32]> = crate::speech::synthesise(5).into();
        let first = run(&trace, &speech, 0).unwrap();
        let second = run(&trace, &speech, 0).unwrap();
        assert_eq!(first.markers, second.markers);
        // It accelerates after its slow start: with the real clock the whole run is one
        // moment for it, and its target never moves.
        let last = first.markers[first.markers.len() - 1];
        let delay = last.play_ms - last.media_ms - trace.truth.base_ms;
        assert!((0.0..300.0).contains(&delay), "{delay}");
    }

    #[test]
    fn playing_stands_where_the_leftover_begins() {
        let mut timeline = Timeline { spans: VecDeque::from([0.0, 20.0, 60.0]), samples: 960 };
        assert_eq!(timeline.end_of_played(0), Some(80.0));
        assert_eq!(timeline.end_of_played(480), Some(70.0));
        assert_eq!(timeline.end_of_played(960), Some(40.0));
        assert_eq!(timeline.end_of_played(5_000), None);
    }
}
