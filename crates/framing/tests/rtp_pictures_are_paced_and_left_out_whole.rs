//! What a sender of RTP does: sound at once, pictures in time or not at all, numbers without
//! a gap.
#![cfg(feature = "rtp")]
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::rtcp;
use paceline_framing::rtp::{
    self, Codec, Packetized, Packetizer, PacketizerConfig, Sender, SenderConfig, SenderStream,
    SenderVerdict,
};
use paceline_framing::types::{
    AudioCodec, Bitrate, Coding, EncodedFrame, Frequency, MediaTime, NtpTime, PacketKind, SeqNo,
    Ssrc, StreamId, VideoCodec,
};
use proptest::prelude::*;

const VIDEO: u32 = 0x10;
const AUDIO: u32 = 0x11;
const EXTENSION: u8 = 8;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A sender of one stream of pictures and one of sound.
struct Bench {
    start: Instant,
    sender: Sender,
    video: (usize, Packetizer),
    audio: (usize, Packetizer),
    /// When what went: the number of its frame, and its own.
    sent: Vec<(Duration, u32, u32, u16)>,
    reports: Vec<(Duration, rtcp::SenderReport)>,
    needs: u32,
}

impl Bench {
    fn new(kbps: u64) -> Self {
        Self::with(kbps, SenderConfig::default())
    }

    fn with(kbps: u64, config: SenderConfig) -> Self {
        let mut sender = Sender::new(config);
        sender.set_target(Bitrate::from_kbps(kbps));
        let mut add = |ssrc: u32| {
            let stream = SenderStream::new(Ssrc::new(ssrc)).first_seq(65_530);
            sender.add_stream(stream.frame_extension(EXTENSION).cname(&b"ann"[..]))
        };
        let (video, audio) = (add(VIDEO), add(AUDIO));
        let packetizer =
            |codec, kind, ssrc| Packetizer::new(PacketizerConfig::new(codec, kind, ssrc));
        Self {
            start: Instant::now(),
            sender,
            video: (video, packetizer(Codec::Vp8, 97, VIDEO)),
            audio: (audio, packetizer(Codec::Opus, 111, AUDIO)),
            sent: Vec::new(),
            reports: Vec::new(),
            needs: 0,
        }
    }

    fn picture(&mut self, at: u64, seq: u64, key: bool, len: usize) -> SenderVerdict {
        self.any_picture(at, seq, key, false, len)
    }

    fn any_picture(
        &mut self,
        at: u64,
        seq: u64,
        key: bool,
        discardable: bool,
        len: usize,
    ) -> SenderVerdict {
        let mut data = vec![0xab; len];
        data[0] = if key { 0x10 } else { 0x11 };
        if key {
            data[3..10].copy_from_slice(&[0x9d, 0x01, 0x2a, 64, 0, 48, 0]);
        }
        let frame = EncodedFrame {
            stream: StreamId::VIDEO,
            seq: SeqNo::new(seq),
            time: MediaTime::new(3_000 * seq, Frequency::VIDEO),
            capture: NtpTime::from_unix(ms(1_000 + at)),
            coding: Coding::Video {
                codec: VideoCodec::Vp8,
                key,
                discardable,
                width: 64,
                height: 48,
            },
            data: data.into(),
        };
        let (index, packetizer) = &mut self.video;
        let packets = Packetized::new(packetizer, &frame).expect("a bitstream");
        let verdict = self.sender.handle_frame(self.start + ms(at), *index, &packets);
        self.drain(at);
        verdict
    }

    fn sound(&mut self, at: u64, seq: u64) {
        let frame = EncodedFrame {
            stream: StreamId::AUDIO,
            seq: SeqNo::new(seq),
            time: MediaTime::new(960 * seq, Frequency::AUDIO),
            capture: NtpTime::from_unix(ms(1_000 + at)),
            coding: Coding::Audio { codec: AudioCodec::Opus, channels: 1 },
            data: Bytes::from_static(&[0x78, 1, 2, 3]),
        };
        let (index, packetizer) = &mut self.audio;
        let packets = Packetized::new(packetizer, &frame).expect("a bitstream");
        self.sender.handle_frame(self.start + ms(at), *index, &packets);
        self.drain(at);
    }

    fn drain(&mut self, at: u64) {
        self.drain_at(self.start + ms(at));
    }

    fn drain_at(&mut self, now: Instant) {
        let at = now - self.start;
        while let Some((kind, bytes)) = self.sender.poll_transmit(now) {
            if kind == PacketKind::Rtcp {
                let packets = rtcp::parse(bytes).expect("RTCP");
                assert_eq!(rtcp::validate_compound(&packets), Ok(()));
                let Some(rtcp::Packet::SenderReport(report)) = packets.first() else {
                    panic!("a report");
                };
                self.reports.push((at, report.clone()));
                continue;
            }
            let header = rtp::parse(bytes).expect("RTP").header;
            let number = header.get_extension(EXTENSION).expect("its number");
            let number = u32::from_be_bytes(number[..].try_into().expect("four bytes"));
            self.sent.push((at, header.ssrc, number, header.sequence_number));
        }
        while self.sender.poll_needs_keyframe().is_some() {
            self.needs += 1;
        }
    }

    /// Lets time pass, deadline by deadline.
    fn run_until(&mut self, at: u64) {
        let end = self.start + ms(at);
        while let Some(next) = self.sender.poll_timeout().filter(|&next| next <= end) {
            let done = |it: &Self| (it.sent.len(), it.sender.stats().left_out);
            let before = done(self);
            self.drain_at(next);
            assert_ne!(done(self), before, "woken for nothing");
        }
    }

    /// The numbers of the pictures of which something went, in that order.
    fn pictures(&self) -> Vec<u32> {
        let mut seqs: Vec<_> = self.of(VIDEO).map(|&(_, _, number, _)| number).collect();
        seqs.dedup();
        seqs
    }

    fn of(&self, ssrc: u32) -> impl Iterator<Item = &(Duration, u32, u32, u16)> {
        self.sent.iter().filter(move |sent| sent.1 == ssrc)
    }
}

#[test]
fn sound_goes_at_once_whatever_waits() {
    let mut bench = Bench::new(300);
    bench.picture(0, 0, true, 60_000);
    for seq in 0..20 {
        bench.run_until(20 * seq);
        bench.sound(20 * seq, seq);
    }
    let late: Vec<_> =
        bench.of(AUDIO).filter(|&&(at, _, number, _)| at != ms(20 * u64::from(number))).collect();
    assert!(late.is_empty(), "{late:?}");
    assert_eq!(bench.of(AUDIO).count(), 20);
    assert!(bench.sender.queued_bytes() > 0, "the keyframe is not through");
}

#[test]
fn pictures_go_at_two_and_a_half_times_the_target() {
    let mut bench = Bench::new(400);
    bench.picture(0, 0, true, 50_000);
    bench.run_until(5_000);
    let last = bench.sent.last().expect("it went").0;
    // 400,000 bits, and headers, at 1 Mbit/s.
    assert!((ms(390)..ms(420)).contains(&last), "{last:?}");
}

#[test]
fn numbers_have_no_gap_where_pictures_were_left_out() {
    let mut bench = Bench::new(100);
    bench.picture(0, 0, true, 2_000);
    for seq in 1..40 {
        bench.run_until(33 * seq);
        bench.picture(33 * seq, seq, false, 4_000);
    }
    bench.run_until(5_000);
    assert!(bench.sender.stats().left_out > 0);
    let numbers: Vec<_> = bench.of(VIDEO).map(|&(.., seq)| seq).collect();
    assert_eq!(numbers.first(), Some(&65_530));
    assert!(numbers.windows(2).all(|two| two[1] == two[0].wrapping_add(1)));
}

#[test]
fn a_picture_that_waited_too_long_is_left_out_with_those_that_build_on_it() {
    let mut bench = Bench::new(100);
    bench.picture(0, 0, true, 1_000);
    let mut verdicts = Vec::new();
    for seq in 1..15 {
        bench.run_until(33 * seq);
        verdicts.push(bench.picture(33 * seq, seq, false, 6_000));
    }
    assert_eq!(bench.needs, 1, "asked once");
    assert_eq!(verdicts.last(), Some(&SenderVerdict::NeedsKeyframe));
    bench.run_until(2_000);
    let seen = bench.pictures();
    assert_eq!(seen, Vec::from_iter(0..seen.len() as u32), "none that builds on a missing one");
    assert!(seen.len() < 10);
    assert_eq!(bench.sender.stats().frames, seen.len() as u64, "what was begun was ended");
    // From a keyframe on it goes on.
    assert_eq!(bench.picture(2_000, 20, true, 1_000), SenderVerdict::Queued);
    assert_eq!(bench.picture(2_033, 21, false, 1_000), SenderVerdict::Queued);
    bench.run_until(3_000);
    assert_eq!(bench.pictures()[seen.len()..], [20, 21]);
}

#[test]
fn a_picture_that_nothing_builds_on_is_left_out_alone() {
    let mut bench = Bench::new(100);
    bench.picture(0, 0, true, 1_000);
    // Two that take 200 ms each, and one behind them that others could do without.
    bench.run_until(33);
    bench.picture(33, 1, false, 6_000);
    bench.picture(40, 2, false, 6_000);
    bench.any_picture(41, 3, false, true, 500);
    bench.run_until(249);
    bench.picture(249, 4, false, 500);
    bench.run_until(3_000);
    assert_eq!(bench.pictures(), [0, 1, 2, 4]);
    assert_eq!(bench.needs, 0);
}

#[test]
fn what_waits_behind_a_keyframe_is_not_left_out_for_that() {
    let mut bench = Bench::new(200);
    // 800 ms.
    bench.picture(0, 0, true, 50_000);
    for seq in 1..60 {
        bench.run_until(33 * seq);
        bench.picture(33 * seq, seq, false, 700);
    }
    bench.run_until(5_000);
    assert_eq!(bench.pictures(), Vec::from_iter(0..60));
    assert_eq!((bench.needs, bench.sender.stats().left_out), (0, 0));
}

#[test]
fn what_waits_is_within_its_bytes() {
    let mut bench = Bench::new(10);
    for seq in 0..400 {
        bench.picture(seq, seq, seq % 10 == 0, 20_000);
        assert!(bench.sender.queued_bytes() < (1 << 20) + 30_000);
    }
    // A newer keyframe waits, so nobody has to make one.
    assert!(bench.sender.stats().left_out > 300);
}

#[test]
fn a_frame_of_more_packets_than_a_receiver_holds_is_not_begun() {
    let mut bench = Bench::new(100_000);
    assert_eq!(bench.picture(0, 0, true, 1_300_000), SenderVerdict::TooLarge);
    assert_eq!(bench.needs, 0, "another would be as large");
    assert_eq!(bench.picture(33, 1, false, 500), SenderVerdict::NeedsKeyframe);
    assert_eq!(bench.needs, 0);
    assert!(bench.sent.is_empty());
}

#[test]
fn a_keyframe_that_is_too_large_ends_a_stream_for_two_seconds_and_not_for_good() {
    let mut bench = Bench::new(100_000);
    let _ = bench.picture(0, 0, true, 1_300_000);
    for seq in 1..90 {
        let _ = bench.picture(33 * seq, seq, false, 500);
        assert_eq!(bench.needs, u32::from(33 * seq >= 2_000), "after {} ms", 33 * seq);
    }
    // And as large a one is put off again.
    let _ = bench.picture(3_000, 90, true, 1_300_000);
    for seq in 91..200 {
        let at = 3_000 + 33 * (seq - 90);
        let _ = bench.picture(at, seq, false, 500);
        assert_eq!(bench.needs, 1 + u32::from(at >= 5_000), "after {at} ms");
    }
    assert_eq!(bench.picture(7_000, 200, true, 50_000), SenderVerdict::Queued);
    bench.drain(7_400);
    assert_eq!(bench.picture(7_500, 201, false, 500), SenderVerdict::Queued);
}

#[test]
fn of_what_builds_on_a_picture_that_is_too_large_a_keyframe_is_asked_for_at_once() {
    let mut bench = Bench::new(100_000);
    let _ = bench.picture(0, 0, true, 5_000);
    assert_eq!(bench.picture(33, 1, false, 1_300_000), SenderVerdict::TooLarge);
    bench.drain(40);
    assert_eq!(bench.needs, 1);
    assert_eq!(bench.picture(66, 2, false, 500), SenderVerdict::NeedsKeyframe);
    assert_eq!(bench.needs, 1);
}

#[test]
fn without_a_path_nothing_waits_and_with_one_again_a_keyframe_is_asked_for_once() {
    let mut bench = Bench::new(1_000);
    bench.picture(0, 0, true, 50_000);
    bench.sender.handle_path(false);
    assert_eq!((bench.sender.queued_bytes(), bench.sender.poll_timeout()), (0, None));
    let sent = bench.sent.len();
    for seq in 1..10 {
        assert_eq!(bench.picture(33 * seq, seq, seq == 5, 500), SenderVerdict::Unreachable);
        bench.sound(33 * seq, seq);
    }
    assert_eq!((bench.sent.len(), bench.needs), (sent, 0));
    bench.sender.handle_path(true);
    bench.sender.handle_path(true);
    bench.drain(400);
    assert_eq!(bench.needs, 1);
    bench.picture(400, 10, false, 500);
    assert_eq!((bench.sent.len(), bench.needs), (sent, 1));
    bench.picture(433, 11, true, 500);
    bench.run_until(500);
    assert!(bench.sent.len() > sent);
}

#[test]
fn a_keyframe_that_there_was_no_path_for_is_asked_for_again() {
    let mut bench = Bench::new(1_000);
    bench.picture(0, 0, true, 500);
    for flap in 1..=3 {
        let at = 100 * flap;
        bench.sender.handle_path(false);
        // What was asked for the last time comes too late again.
        bench.picture(at, 10 * flap, true, 500);
        bench.picture(at, 10 * flap + 1, false, 500);
        bench.sender.handle_path(true);
        bench.drain(at);
        assert_eq!(u64::from(bench.needs), flap);
    }
    // Not one that would be as large as the one before.
    bench.picture(400, 40, true, 1_300_000);
    bench.sender.handle_path(false);
    bench.picture(433, 41, true, 1_300_000);
    bench.sender.handle_path(true);
    bench.drain(433);
    assert_eq!(bench.needs, 3);
    assert_eq!(bench.picture(466, 42, true, 500), SenderVerdict::Queued);
}

#[test]
fn what_may_wait_for_ever_waits_for_an_hour() {
    let config = SenderConfig::default().max_age(Duration::MAX).max_extra(Duration::MAX);
    let mut bench = Bench::with(1, config);
    // Half a minute at 2.5 kbit/s.
    bench.picture(0, 0, true, 10_000);
    for seq in 1..4 {
        assert_eq!(bench.picture(33 * seq, seq, false, 500), SenderVerdict::Queued);
    }
    bench.run_until(60_000);
    assert_eq!(bench.pictures(), [0, 1, 2, 3]);
}

#[test]
fn the_first_report_goes_twice_and_then_one_each_second() {
    let mut bench = Bench::new(1_000);
    for seq in 0..100 {
        bench.run_until(33 * seq);
        bench.picture(33 * seq, seq, seq == 0, 700);
    }
    let at: Vec<_> = bench.reports.iter().map(|(at, _)| at.as_millis() as u64).collect();
    assert_eq!(at.len(), 5, "{at:?}");
    assert_eq!(at[..2], [0, 33], "before the first packet, and with the next frame");
    assert!(at[1..].windows(2).all(|two| (1_000..1_040).contains(&(two[1] - two[0]))), "{at:?}");
    for (at, report) in &bench.reports {
        let at = at.as_millis() as u64;
        assert_eq!(report.ssrc, VIDEO);
        // Each of these goes as soon as it is made.
        assert_eq!(report.ntp_time, NtpTime::from_unix(ms(1_000 + at)).to_bits());
        assert_eq!(u64::from(report.rtp_time), 3_000 * (at / 33));
        let before = bench.of(VIDEO).filter(|sent| sent.0 < ms(at)).count();
        assert_eq!(report.packet_count as usize, before);
    }
    let octets = bench.reports[4].1.octet_count;
    assert_eq!(u64::from(octets) / u64::from(bench.reports[4].1.packet_count), 704);
}

proptest! {
    /// Whatever comes in whatever order, frames go whole, in order, and none whose
    /// predecessor was left out.
    #[test]
    fn no_picture_goes_whose_predecessor_was_left_out(
        frames in prop::collection::vec((1..60_u64, any::<u8>(), 10..9_000_usize), 1..80),
        kbps in 20..2_000_u64,
    ) {
        let mut bench = Bench::new(kbps);
        let (mut at, mut keys) = (0, Vec::new());
        for (seq, &(step, dice, len)) in frames.iter().enumerate() {
            at += step;
            bench.run_until(at);
            let key = seq == 0 || dice < 30;
            keys.push(key);
            bench.picture(at, seq as u64, key, len);
            if dice > 240 {
                bench.sender.set_target(Bitrate::from_kbps(u64::from(dice) * 3));
            }
        }
        bench.run_until(at + 60_000);
        prop_assert_eq!(bench.sender.queued_bytes(), 0);
        let seen = bench.pictures();
        prop_assert!(seen.is_sorted());
        for two in seen.windows(2) {
            prop_assert!(two[1] == two[0] + 1 || keys[two[1] as usize], "{:?}", seen);
        }
        let stats = bench.sender.stats();
        prop_assert_eq!(stats.frames, seen.len() as u64);
        prop_assert_eq!(stats.left_out + stats.frames, frames.len() as u64);
    }
}
