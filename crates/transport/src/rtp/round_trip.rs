//! The round trip, by what comes back of our sender reports (RFC 3550 §6.4.1).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rtcp::Packet;
use rtcp::receiver_report::ReceiverReport;
use rtcp::reception_report::ReceptionReport;
use rtcp::sender_report::SenderReport;

/// The sender reports that went out of late.
#[derive(Debug, Default)]
pub(crate) struct RoundTrip {
    /// Source, the middle of its NTP time, and when it left.
    sent: VecDeque<(u32, u32, Instant)>,
}

impl RoundTrip {
    /// Takes note of what we send.
    pub(crate) fn handle_sent(&mut self, now: Instant, packets: &[Box<dyn Packet>]) {
        for report in packets.iter().filter_map(|packet| downcast::<SenderReport>(&**packet)) {
            if self.sent.len() >= MAX_SENT {
                self.sent.pop_front();
            }
            self.sent.push_back((report.ssrc, middle(report.ntp_time), now));
        }
    }

    /// What left so far is of another path, or was stamped by another clock: a report on it says
    /// nothing of this one.
    pub(crate) fn begin_path(&mut self) {
        self.sent.clear();
    }

    /// When the report came, less when the sender report left that it is on, less how long the
    /// other end had it. A report on what we did not send is nothing.
    pub(crate) fn of(&self, now: Instant, report: &ReceptionReport) -> Option<Duration> {
        let key = (report.ssrc, report.last_sender_report);
        let mut newest_first = self.sent.iter().rev().filter(|_| report.last_sender_report != 0);
        let (.., left) = newest_first.find(|(ssrc, ntp, _)| (*ssrc, *ntp) == key)?;
        let held = Duration::from_micros((u64::from(report.delay) * 1_000_000) >> 16);
        // The other end may have rounded up.
        let took = now.saturating_duration_since(*left).saturating_add(UNIT);
        Some(took.checked_sub(held)?.saturating_sub(UNIT))
    }
}

/// What a compound says of how each stream is received.
pub(crate) fn reception_reports(
    packets: &[Box<dyn Packet>],
) -> impl Iterator<Item = &ReceptionReport> {
    packets.iter().flat_map(|packet| {
        let receiver = downcast::<ReceiverReport>(&**packet).map(|report| &report.reports);
        let sender = || downcast::<SenderReport>(&**packet).map(|report| &report.reports);
        receiver.or_else(sender).into_iter().flatten()
    })
}

/// RFC 3550 §4: the middle 32 bits of an NTP time.
const fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

fn downcast<T: 'static>(packet: &dyn Packet) -> Option<&T> {
    packet.as_any().downcast_ref()
}

/// Sender reports that are remembered: eight seconds of four streams, at one a second. A
/// receiver reports at least every five (RFC 3550 §6.2).
const MAX_SENT: usize = 32;

/// 2⁻¹⁶ s, in which the other end says how long it had a report.
const UNIT: Duration = Duration::from_micros(16);

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one instant to count from")]
mod tests {
    use super::*;

    fn sent(round_trip: &mut RoundTrip, now: Instant, ssrc: u32, ntp_time: u64) {
        let report = SenderReport { ssrc, ntp_time, ..SenderReport::default() };
        round_trip.handle_sent(now, &[Box::new(report)]);
    }

    fn on(ssrc: u32, last_sender_report: u32, delay: u32) -> ReceptionReport {
        ReceptionReport { ssrc, last_sender_report, delay, ..ReceptionReport::default() }
    }

    #[test]
    fn it_is_what_the_other_end_did_not_hold() {
        let (mut round_trip, now) = (RoundTrip::default(), Instant::now());
        sent(&mut round_trip, now, 7, 0x1111_2222_3333_4444);
        // Half a second in units of 2⁻¹⁶ s.
        let report = on(7, 0x2222_3333, 1 << 15);
        for millis in [0, 40] {
            let took = Duration::from_millis(millis);
            let later = now + Duration::from_millis(500) + took;
            assert_eq!(round_trip.of(later, &report), Some(took));
        }
        // Rounded up by the other end, and more than that.
        let later = now + Duration::from_millis(500) - Duration::from_micros(15);
        assert_eq!(round_trip.of(later, &report), Some(Duration::ZERO));
        assert_eq!(round_trip.of(later - Duration::from_micros(2), &report), None);
    }

    #[test]
    fn a_report_on_what_was_never_sent_says_nothing_and_little_is_remembered() {
        let (mut round_trip, now) = (RoundTrip::default(), Instant::now());
        sent(&mut round_trip, now, 7, 0x1111_2222_3333_4444);
        // Zero is what says that none came.
        sent(&mut round_trip, now, 7, 0);
        for (ssrc, ntp, delay) in
            [(8, 0x2222_3333, 0), (7, 0x2222_3334, 0), (7, 0, 0), (7, 0x2222_3333, u32::MAX)]
        {
            assert_eq!(round_trip.of(now, &on(ssrc, ntp, delay)), None);
        }
        for ntp in 0..10_000 {
            sent(&mut round_trip, now, 7, ntp << 16);
        }
        assert_eq!(round_trip.sent.len(), MAX_SENT);
    }

    #[test]
    fn reports_are_found_in_those_of_receivers_and_of_senders() {
        let reports = |ssrc| vec![on(ssrc, 0, 0), on(ssrc + 1, 0, 0)];
        let compound: Vec<Box<dyn Packet>> = vec![
            Box::new(SenderReport { reports: reports(1), ..SenderReport::default() }),
            Box::new(rtcp::goodbye::Goodbye::default()),
            Box::new(ReceiverReport { reports: reports(3), ..ReceiverReport::default() }),
        ];
        let found: Vec<_> = reception_reports(&compound).map(|report| report.ssrc).collect();
        assert_eq!(found, [1, 2, 3, 4]);
    }
}
