//! What a broadcast came to: for a person, or as one JSON line.

use serde::Serialize;

/// The figures, in the order of the line. The README says what each of them is.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) viewers: usize,
    pub(crate) open_ms: Open,
    pub(crate) failed: usize,
    pub(crate) delivered: Option<u64>,
    pub(crate) expected: Option<u64>,
    pub(crate) lost: Option<u64>,
    pub(crate) reordered: Option<u64>,
    pub(crate) latency_ms: Latency,
    pub(crate) healthy_p99_shift_ms: Option<f64>,
    pub(crate) stalled: Stalled,
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) peak_rss_bytes: Option<u64>,
    pub(crate) tasks_after_close: i64,
    pub(crate) fds_after_close: Option<i64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Open {
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) all: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Stalled {
    pub(crate) count: usize,
    pub(crate) held_bytes_max: Option<usize>,
    pub(crate) evicted: Option<usize>,
}

impl Report {
    pub(crate) fn json(&self) -> String {
        // Nothing in it can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        let Self { viewers, failed, .. } = self;
        let mut lines = vec![format!(
            "{viewers} viewers, {failed} failed; open after {} (median), {} (p99), all after {}",
            ms(self.open_ms.p50),
            ms(self.open_ms.p99),
            ms(self.open_ms.all)
        )];
        if let (Some(delivered), Some(expected)) = (self.delivered, self.expected) {
            lines.push(format!(
                "{delivered} of {expected} delivered, {} lost, {} out of order; latency {} \
                 (median), {} (p99)",
                count(self.lost),
                count(self.reordered),
                ms(self.latency_ms.p50),
                ms(self.latency_ms.p99)
            ));
        }
        if self.stalled.count > 0 {
            let Stalled { count: stalled, held_bytes_max, evicted } = self.stalled;
            lines.push(format!(
                "{stalled} stalled: at most {} bytes held for one, {} given up; p99 of the others \
                 moved by {}",
                count(held_bytes_max.map(|bytes| bytes as u64)),
                count(evicted.map(|evicted| evicted as u64)),
                ms(self.healthy_p99_shift_ms)
            ));
        }
        let cpu = self.cpu_seconds.map_or_else(|| "?".to_owned(), |s| format!("{s:.2}"));
        let rss = self.peak_rss_bytes.map_or_else(|| "?".to_owned(), |b| (b >> 20).to_string());
        let fds = self.fds_after_close.map_or_else(|| "?".to_owned(), |fds| fds.to_string());
        lines.push(format!(
            "{cpu} s of processor, {rss} MiB at most; left when closed: {} tasks, {fds} descriptors",
            self.tasks_after_close
        ));
        lines.join("\n")
    }
}

fn ms(ms: Option<f64>) -> String {
    ms.map_or_else(|| "?".to_owned(), |ms| format!("{ms:.1} ms"))
}

fn count(count: Option<u64>) -> String {
    count.map_or_else(|| "?".to_owned(), |count| count.to_string())
}

/// To a thousandth, for the eye.
pub(crate) fn round(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}
