//! What the viewers got, and when.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};

/// The marks at the head of each message: phase, number, and when it was sent.
const HEADER: usize = 2 + 8 + 8;

/// Takes what the viewers of one process receive. Host and viewers share its clock.
#[derive(Debug)]
pub(crate) struct Recorder {
    origin: Instant,
    viewers: Vec<Mutex<Received>>,
    counted: AtomicU64,
}

/// What one viewer received.
#[derive(Debug, Default)]
struct Received {
    /// Phase and microseconds since the send call.
    latencies: Vec<(u16, u32)>,
    newest: u64,
    reordered: u64,
    bytes: u64,
}

impl Recorder {
    pub(crate) fn new(viewers: usize) -> Self {
        let viewers = (0..viewers).map(|_| Mutex::default()).collect();
        Self { origin: Instant::now(), viewers, counted: AtomicU64::new(0) }
    }

    /// A message of `bytes` bytes that says it is number `number` of `phase` and is sent
    /// now. What is of phase 0 is received, and not counted.
    pub(crate) fn message(&self, phase: u16, number: u64, bytes: usize) -> Bytes {
        let mut message = BytesMut::with_capacity(bytes.max(HEADER));
        message.put_u16(phase);
        message.put_u64(number);
        message.put_u64(self.origin.elapsed().as_nanos() as u64);
        message.resize(bytes.max(HEADER), 0x5A);
        message.freeze()
    }

    /// The viewer's application has this message in its hands.
    pub(crate) fn take(&self, viewer: usize, message: &[u8]) {
        let now = self.origin.elapsed().as_nanos() as u64;
        let field = |at: usize| {
            let bytes = message.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u64::from_be_bytes)
        };
        let (Some(&[high, low]), Some(number), Some(sent)) =
            (message.first_chunk::<2>(), field(2), field(10))
        else {
            return;
        };
        let phase = u16::from_be_bytes([high, low]);
        let Some(Ok(mut received)) = self.viewers.get(viewer).map(Mutex::lock) else { return };
        received.reordered += u64::from(number < received.newest);
        received.newest = received.newest.max(number);
        received.bytes += message.len() as u64;
        if phase > 0 {
            let latency = u32::try_from(now.saturating_sub(sent) / 1_000).unwrap_or(u32::MAX);
            received.latencies.push((phase, latency));
            self.counted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Messages of any phase but 0, of all viewers.
    pub(crate) fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }

    /// Bytes that a viewer has received.
    pub(crate) fn bytes(&self, viewer: usize) -> u64 {
        self.viewers.get(viewer).and_then(|one| one.lock().ok()).map_or(0, |one| one.bytes)
    }

    /// Messages that came after one with a higher number.
    pub(crate) fn reordered(&self) -> u64 {
        self.viewers.iter().filter_map(|one| one.lock().ok()).map(|one| one.reordered).sum()
    }

    /// Microseconds from the send call to the viewer, sorted, of the viewers from `first`
    /// on.
    pub(crate) fn latencies(&self, phase: u16, first: usize) -> Vec<u32> {
        let mut all: Vec<u32> = Vec::new();
        for one in self.viewers.iter().skip(first).filter_map(|one| one.lock().ok()) {
            all.extend(one.latencies.iter().filter(|(of, _)| *of == phase).map(|(_, us)| us));
        }
        all.sort_unstable();
        all
    }
}

/// The value that a share of a sorted list does not pass; 0 for an empty one.
pub(crate) fn quantile<T: Copy + Default>(sorted: &[T], share: f64) -> T {
    let at = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(at.saturating_sub(1)).or(sorted.last()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_of_a_phase_are_counted_and_all_are_put_in_order() {
        let recorder = Recorder::new(2);
        recorder.take(0, &recorder.message(0, 0, 100));
        recorder.take(0, &recorder.message(1, 2, 100));
        recorder.take(0, &recorder.message(1, 1, 100));
        recorder.take(1, &recorder.message(1, 1, 100));
        recorder.take(1, b"not ours");
        assert_eq!(recorder.counted(), 3);
        assert_eq!(recorder.bytes(0), 300);
        assert_eq!(recorder.reordered(), 1);
        assert_eq!(recorder.latencies(1, 0).len(), 3);
        assert_eq!(recorder.latencies(1, 1).len(), 1);
        assert_eq!(recorder.latencies(2, 0).len(), 0);
    }

    #[test]
    fn a_quantile_is_the_value_that_so_many_do_not_pass() {
        let sorted: Vec<u32> = (1..=100).collect();
        assert_eq!([0.5, 0.99, 1.0].map(|share| quantile(&sorted, share)), [50, 99, 100]);
        assert_eq!(quantile::<u32>(&[], 0.5), 0);
    }
}
