//! The numbers of what comes: they may jump, and not often.
//!
//! Who receives clears a place for each number between two packets: where it sees what to ask for,
//! what to report, and when each came. A packet that is 32,767 ahead has 130,000 places cleared, and
//! is as small as any. So it is not believed at once (RFC 3550 A.1), nor often.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use interceptor::StreamInfo;

/// The numbers of each source of the other end, and those of all together.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    sources: BTreeMap<u32, (Run, Option<u8>)>,
    /// The header extension with the transport-wide number, where the source has none of its own:
    /// sound and pictures may have different ones.
    extension: Option<u8>,
    wide: Run,
}

impl Numbers {
    /// What has its numbers looked at from now on. Told again, it goes on.
    pub(super) fn bind(&mut self, info: &StreamInfo) {
        let mut extensions = info.rtp_header_extensions.iter();
        let found = extensions.find(|extension| extension.uri == TRANSPORT_CC);
        let id = found.and_then(|extension| u8::try_from(extension.id).ok());
        // Who reports on it keeps to the first, too.
        self.sources.entry(info.ssrc).or_insert_with(|| (Run::default(), id));
        self.extension = id.or(self.extension);
    }

    pub(super) fn unbind(&mut self, info: &StreamInfo) {
        self.sources.remove(&info.ssrc);
    }

    /// Whether a packet may come, by its numbers. The first of those that jump may not.
    pub(super) fn admits(&mut self, now: Instant, packet: &rtp::Packet) -> bool {
        let source = self.sources.get_mut(&packet.header.ssrc);
        let extension = source.as_ref().and_then(|(_, id)| *id).or(self.extension);
        let wide = extension.and_then(|id| packet.header.get_extension(id));
        let wide = wide.and_then(|bytes| Some(u16::from_be_bytes(*bytes.first_chunk()?)));
        let wide = wide.map(|number| (&mut self.wide, number, MAX_STEP));
        // What is behind has nothing cleared.
        let source = source.map(|(run, _)| (run, packet.header.sequence_number, HALF));
        let mut runs = [source, wide];
        let mut all = runs.iter().flatten();
        let admits = all.all(|(run, number, back)| run.goes_on(now, *number, *back));
        for (run, number, back) in runs.iter_mut().flatten() {
            if admits {
                run.take(now, *number, *back);
            } else {
                run.next = Some(number.wrapping_add(1));
            }
        }
        admits
    }
}

/// Numbers of one kind.
#[derive(Debug, Default)]
struct Run {
    newest: Option<u16>,
    /// With this number it would be two in a row.
    next: Option<u16>,
    jumped: Option<Instant>,
}

impl Run {
    fn goes_on(&self, now: Instant, number: u16, back: u16) -> bool {
        let is_rested =
            || self.jumped.is_none_or(|at| now.saturating_duration_since(at) >= JUMP_INTERVAL);
        self.is_near(number, back) || (self.next == Some(number) && is_rested())
    }

    /// Whether it is a step on from the newest, or so little behind.
    fn is_near(&self, number: u16, back: u16) -> bool {
        self.newest.is_none_or(|newest| {
            number.wrapping_sub(newest) <= MAX_STEP || newest.wrapping_sub(number) <= back
        })
    }

    fn take(&mut self, now: Instant, number: u16, back: u16) {
        let has_jumped = !self.is_near(number, back);
        if has_jumped {
            self.jumped = Some(now);
        }
        let is_ahead = |newest: u16| number.wrapping_sub(newest) <= MAX_STEP;
        if has_jumped || self.newest.is_none_or(is_ahead) {
            self.newest = Some(number);
        }
    }
}

/// Half of all numbers: what is not ahead is behind.
const HALF: u16 = 1 << 15;

/// What a packet may be ahead: as many are asked for at most. To clear the places takes 10 µs
/// (measured), ten times what a packet takes here otherwise, and about what its way through socket
/// and engine does.
const MAX_STEP: u16 = 4_096;

/// After a jump the next is not believed for so long: at four in a second those of four streams
/// take a thousandth of a processor.
const JUMP_INTERVAL: Duration = Duration::from_millis(250);

/// draft-holmer-rmcat-transport-wide-cc-extensions-01 §2.
pub(super) const TRANSPORT_CC: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one instant to count from")]
mod tests {
    use interceptor::RTPHeaderExtension;

    use super::*;

    const SOURCES: [u32; 2] = [7, 8];

    fn numbers() -> Numbers {
        let mut numbers = Numbers::default();
        for ssrc in SOURCES {
            bind(&mut numbers, ssrc, 5);
        }
        numbers
    }

    fn bind(numbers: &mut Numbers, ssrc: u32, id: u16) {
        let rtp_header_extensions = vec![RTPHeaderExtension { uri: TRANSPORT_CC.to_owned(), id }];
        numbers.bind(&StreamInfo { ssrc, rtp_header_extensions, ..StreamInfo::default() });
    }

    fn packet(ssrc: u32, number: u16, wide: Option<u16>) -> rtp::Packet {
        let mut packet = rtp::Packet::default();
        (packet.header.version, packet.header.ssrc) = (2, ssrc);
        packet.header.sequence_number = number;
        if let Some(wide) = wide {
            let bytes = wide.to_be_bytes().to_vec().into();
            packet.header.set_extension(5, bytes).expect("two bytes");
        }
        packet
    }

    #[test]
    fn who_jumps_all_the_time_is_followed_four_times_a_second() {
        let now = Instant::now();
        // All of them, each second, and each fourth; forth and back.
        for (jump, of) in [(32_767, 1), (32_766, 2), (8_000, 4), (40_000, 2), (65_530 - 4_096, 1)] {
            for is_wide in [false, true] {
                let (mut numbers, mut number, mut ahead) = (numbers(), 0_u16, 0);
                // As who receives them has it: one that is late and one that is ahead are near.
                let mut newest = None;
                for at in 0..20_000_u32 {
                    number = number.wrapping_add(if at % of == 0 { jump } else { 1 });
                    let packet = match is_wide {
                        true => packet(7, at as u16, Some(number)),
                        false => packet(7, number, Some(at as u16)),
                    };
                    let now = now + Duration::from_micros(100) * at;
                    let step = number.wrapping_sub(*newest.get_or_insert(number));
                    if numbers.admits(now, &packet) && (is_wide || step < HALF) {
                        ahead += usize::from(step.min(step.wrapping_neg()) > 2 * MAX_STEP);
                        newest = Some(number);
                    }
                }
                assert!(ahead <= 8, "{ahead} jumps of {jump}, one of {of}, in 2 s; {is_wide}");
            }
        }
    }

    #[test]
    fn of_what_goes_on_elsewhere_one_packet_is_refused() {
        let now = Instant::now();
        for first in [4_097, 20_000, 32_600] {
            let mut numbers = numbers();
            let from = |number: u16, wide: u16| {
                (0..100_u16).flat_map(move |at| {
                    SOURCES.map(|ssrc| {
                        let wide = wide.wrapping_add(2 * at + (ssrc - SOURCES[0]) as u16);
                        packet(ssrc, number.wrapping_add(at), Some(wide))
                    })
                })
            };
            for packet in from(65_500, 65_400) {
                assert!(numbers.admits(now, &packet), "{packet:?}");
            }
            let came = from(65_500_u16.wrapping_add(100 + first), 65_400_u16.wrapping_add(first))
                .map(|packet| numbers.admits(now, &packet));
            // Its second is the first of the other source, which jumps too.
            let came: Vec<_> = came.collect();
            assert_eq!(came[..4], [false, false, true, true], "{first}");
            assert!(came[4..].iter().all(|came| *came));
        }
    }

    #[test]
    fn each_source_has_its_transport_wide_number_where_its_section_says() {
        let (now, mut numbers) = (Instant::now(), Numbers::default());
        for (ssrc, id) in [(7, 9), (8, 5)] {
            bind(&mut numbers, ssrc, id);
        }
        let jumping = |at: u16| {
            let mut packet = packet(7, at, None);
            let wide = at.wrapping_mul(20_011).to_be_bytes().to_vec();
            packet.header.set_extension(9, wide.into()).expect("two bytes");
            packet
        };
        let admitted = (0..1_000).filter(|&at| numbers.admits(now, &jumping(at))).count();
        // One in eight is near the newest, which it does not move.
        assert!(admitted < 200, "{admitted}");
    }

    #[test]
    fn what_is_late_comes_and_nobody_else_is_kept_waiting() {
        let (now, mut numbers) = (Instant::now(), numbers());
        for number in [100, 4_196, 101, 4_197, 65_535, 40_000, 8_293] {
            assert!(numbers.admits(now, &packet(7, number, None)), "{number}");
        }
        // Of a source of which nothing was said the number is nobody's.
        for number in [0, 30_000, 60_000] {
            assert!(numbers.admits(now, &packet(9, number, None)));
        }
        // One that strays changes nothing.
        assert!(!numbers.admits(now, &packet(7, 30_000, None)));
        for number in 8_294..9_000 {
            assert!(numbers.admits(now, &packet(7, number, None)));
        }
        // It is not followed an hour later, but by who is next to it.
        let later = now + Duration::from_secs(3_600);
        assert!(!numbers.admits(later, &packet(7, 30_002, None)));
        assert!(numbers.admits(later, &packet(7, 30_003, None)));
    }
}
