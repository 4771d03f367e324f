//! What the other end reports of our streams (RFC 3550 §6.4.1).

use std::time::{Duration, Instant};

use rtcp::Packet;
use rtcp::reception_report::ReceptionReport;

use super::track::{TrackKind, UplinkTrack};
use crate::rtp::{RoundTrip, reception_reports};

/// Round trip and loss, from reports on what we send.
///
/// Loss is that of the pictures, or of the sound if there are none. Of retransmissions there
/// are so few that one that is lost is a large share. And of sound with redundancy a server
/// may report what its worst receiver loses, for us to add more (mediasoup does): that is no
/// loss on our path.
#[derive(Debug)]
pub(crate) struct Reports {
    round_trip: RoundTrip,
    rtt: Option<Duration>,
    /// Sources whose loss counts, and the newest number that a report on them had.
    counted: Vec<(u32, Option<u32>)>,
}

/// What a compound of RTCP said.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Heard {
    /// Of 256 packets that were sent, how many were lost. Nothing if none was sent since the
    /// report before.
    pub(crate) fraction_lost: Option<u8>,
    /// Smoothed.
    pub(crate) rtt: Option<Duration>,
}

impl Reports {
    pub(crate) fn new(tracks: &[UplinkTrack]) -> Self {
        let is_picture = |track: &UplinkTrack| track.kind == TrackKind::Video;
        let has_pictures = tracks.iter().any(is_picture);
        let counted = tracks.iter().filter(|track| is_picture(track) || !has_pictures);
        let counted = counted.map(|track| (track.ssrc, None)).collect();
        Self { round_trip: RoundTrip::default(), rtt: None, counted }
    }

    /// What was sent so far says nothing of the round trip any more.
    #[cfg(feature = "webrtc")]
    pub(crate) fn begin_path(&mut self) {
        self.round_trip.begin_path();
    }

    /// Takes note of what we send.
    pub(crate) fn handle_sent(&mut self, now: Instant, packets: &[Box<dyn Packet>]) {
        self.round_trip.handle_sent(now, packets);
    }

    /// Takes note of what the other end sends.
    pub(crate) fn handle_received(&mut self, now: Instant, packets: &[Box<dyn Packet>]) -> Heard {
        let mut heard = Heard::default();
        let (mut lost, mut expected) = (0, 0);
        for report in reception_reports(packets) {
            let of = self.expected(report);
            lost += u64::from(report.fraction_lost) * of;
            expected += of;
            if let Some(rtt) = self.round_trip.of(now, report) {
                // RFC 6298 §2: an eighth of what is new.
                let rtt = self.rtt.map_or(rtt, |old| (old * 7 + rtt) / 8);
                (self.rtt, heard.rtt) = (Some(rtt), Some(rtt));
            }
        }
        heard.fraction_lost = lost.checked_div(expected).and_then(|lost| u8::try_from(lost).ok());
        heard
    }

    /// How many packets a report is about, if its loss counts: RFC 3550 §6.4.1, the difference of
    /// two highest numbers.
    fn expected(&mut self, report: &ReceptionReport) -> u64 {
        let Some((_, newest)) = self.counted.iter_mut().find(|(ssrc, _)| *ssrc == report.ssrc)
        else {
            return 0;
        };
        let number = report.last_sequence_number;
        let ahead = newest.replace(number).map(|before| number.wrapping_sub(before));
        // The first report of all, and the first of who has begun to count anew, are on some.
        u64::from(ahead.filter(|ahead| *ahead <= MAX_EXPECTED).unwrap_or(1))
    }
}

/// Packets of one stream between two reports: an hour of 20 Mbit/s.
const MAX_EXPECTED: u32 = 1 << 23;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one instant to count from")]
mod tests {
    use rtcp::receiver_report::ReceiverReport;
    use rtcp::sender_report::SenderReport;

    use super::*;

    const CAMERA: u32 = 7;
    const SCREEN: u32 = 8;
    const VOICE: u32 = 9;
    const CAMERA_AGAIN: u32 = 10;

    fn track(kind: TrackKind, ssrc: u32) -> UplinkTrack {
        UplinkTrack::new(kind, "", 90_000, 96, ssrc).rtx(97, ssrc + 3)
    }

    /// Source, highest number, share that was lost.
    fn received(reports: &[(u32, u32, u8)]) -> Vec<Box<dyn Packet>> {
        let report = |&(ssrc, last_sequence_number, fraction_lost)| ReceptionReport {
            ssrc,
            last_sequence_number,
            last_sender_report: 0x2222_3333,
            fraction_lost,
            ..ReceptionReport::default()
        };
        let reports = reports.iter().map(report).collect();
        vec![Box::new(ReceiverReport { reports, ..ReceiverReport::default() })]
    }

    #[test]
    fn the_round_trip_is_smoothed() {
        let mut reports = Reports::new(&[track(TrackKind::Video, CAMERA)]);
        let now = Instant::now();
        let report =
            SenderReport { ssrc: 7, ntp_time: 0x1111_2222_3333_4444, ..Default::default() };
        reports.handle_sent(now, &[Box::new(report)]);
        let at = |millis| now + Duration::from_millis(millis);
        let millis = |millis| Some(Duration::from_millis(millis));
        assert_eq!(reports.handle_received(at(80), &received(&[(7, 0, 0)])).rtt, millis(80));
        assert_eq!(reports.handle_received(at(144), &received(&[(7, 0, 0)])).rtt, millis(88));
        assert_eq!(reports.handle_received(at(200), &[]), Heard::default());
    }

    #[test]
    fn the_loss_is_that_of_the_pictures_by_how_many_packets_they_had() {
        let now = Instant::now();
        let tracks = [
            track(TrackKind::Video, CAMERA),
            track(TrackKind::Audio, VOICE),
            track(TrackKind::Video, SCREEN),
        ];
        let mut reports = Reports::new(&tracks);
        let mut lost =
            |said: &[(u32, u32, u8)]| reports.handle_received(now, &received(said)).fraction_lost;
        assert_eq!(lost(&[(VOICE, 10, 77), (CAMERA_AGAIN, 2, 128), (99, 5, 255)]), None);
        assert_eq!(lost(&[(CAMERA, 1_000, 40), (VOICE, 20, 255)]), Some(40));
        // 300 packets of the one, across the wrap 100 of the other.
        assert_eq!(lost(&[(SCREEN, u32::MAX - 49, 0)]), Some(0));
        assert_eq!(lost(&[(SCREEN, 50, 80), (CAMERA, 1_300, 0)]), Some(20));
        // On nothing new there is nothing to say.
        assert_eq!(lost(&[(CAMERA, 1_300, 0)]), None);
        assert_eq!(lost(&[(CAMERA, 1_300, 0), (SCREEN, 60, 9)]), Some(9));
        // Who counts anew is believed at once, and once.
        assert_eq!(lost(&[(CAMERA, 3, 200)]), Some(200));
        assert_eq!(lost(&[(CAMERA, 3, 200)]), None);
    }

    #[test]
    fn without_pictures_the_loss_is_that_of_the_sound() {
        let mut reports = Reports::new(&[track(TrackKind::Audio, VOICE)]);
        let said = received(&[(VOICE, 20, 30), (VOICE + 3, 2, 128)]);
        assert_eq!(reports.handle_received(Instant::now(), &said).fraction_lost, Some(30));
    }
}
