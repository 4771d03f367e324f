//! A screen that changes once a second, over a path that loses some of it, in virtual time: of
//! little that is lost nothing is concluded, and of all that is, what there is to conclude.
#![allow(clippy::disallowed_methods, reason = "one instant to count from")]
#![cfg(feature = "rtp")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_transport::rtp::{Chain, RtpConfig, Stream};
use paceline_transport::types::{Bitrate, ConnectionEvent, PacketKind, Ssrc};

const SCREEN: Stream = Stream::new(Ssrc::new(0x0A00_0000), 90_000);
const DELAY: Duration = Duration::from_millis(20);

/// Who sends, who receives, and 20 ms between them.
struct Path {
    start: Instant,
    now: Instant,
    ends: [Chain; 2],
    /// How far the clock of either end is ahead.
    ahead: [Duration; 2],
    /// What leaves the one and the other is lost.
    cut: [bool; 2],
    flying: BTreeMap<(Instant, u64), (usize, Bytes)>,
    order: u64,
    seq: u16,
    target: Bitrate,
    least: Bitrate,
}

impl Path {
    fn new(config: RtpConfig) -> Self {
        let start = Instant::now();
        let ends = [Chain::new(&config, &[SCREEN], &[]), Chain::new(&config, &[], &[SCREEN])];
        Self {
            start,
            now: start,
            ends,
            ahead: [Duration::ZERO; 2],
            cut: [false; 2],
            flying: BTreeMap::new(),
            order: 0,
            seq: 0,
            target: Bitrate::from_bps(0),
            least: Bitrate::from_kbps(1_000_000),
        }
    }

    /// So many packets of 1,000 bytes, 1 ms apart.
    fn picture(&mut self, packets: u16) {
        for _ in 0..packets {
            self.seq = self.seq.wrapping_add(1);
            let mut packet = vec![0x80, 96];
            packet.extend(self.seq.to_be_bytes());
            packet.extend([0; 4]);
            packet.extend(SCREEN.ssrc.get().to_be_bytes());
            packet.resize(1_000, 7);
            let now = self.now + self.ahead[0];
            self.ends[0].handle_outgoing(now, PacketKind::Rtp, packet.into()).expect("room");
            self.run_for(Duration::from_millis(1));
        }
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            for from in 0..2 {
                while let Some(datagram) = self.ends[from].poll_transmit() {
                    self.order += 1;
                    if !self.cut[from] {
                        self.flying.insert((self.now + DELAY, self.order), (1 - from, datagram));
                    }
                }
            }
            while let Some(event) = self.ends[0].poll_event() {
                if let ConnectionEvent::Target(target) = event {
                    self.target = target;
                    self.least = self.least.min(target);
                }
            }
            while self.ends[1].poll_event().is_some() {}
            let timers = [0, 1].into_iter().filter_map(|end: usize| {
                // A clock that skipped is late for what was due meanwhile.
                self.ends[end].poll_timeout().map(|at| at.max(self.start) - self.ahead[end])
            });
            let due = self.flying.keys().next().map(|(at, _)| *at);
            let Some(next) = timers.chain(due).min().filter(|at| *at <= until) else { break };
            self.now = self.now.max(next);
            while let Some(entry) =
                self.flying.first_entry().filter(|entry| entry.key().0 <= self.now)
            {
                let (to, datagram) = entry.remove();
                self.ends[to].handle_incoming(self.now + self.ahead[to], datagram);
            }
            for (end, ahead) in self.ends.iter_mut().zip(self.ahead) {
                end.handle_timeout(self.now + ahead);
            }
        }
        self.now = until;
    }

    /// A stream of 1 Mbit/s, for so many tenths of a second.
    fn stream(&mut self, tenths: u32) {
        for _ in 0..tenths * 12 {
            self.picture(1);
            self.run_for(Duration::from_micros(7_333));
        }
    }
}

#[test]
fn one_picture_lost_or_one_report_of_it_is_no_dead_path() {
    for way in 0..2 {
        let mut path = Path::new(RtpConfig::default());
        path.stream(20);
        path.run_for(Duration::from_secs(1));
        let before = path.target;
        path.least = before;
        for picture in 0..120 {
            path.cut[way] = picture % 3 == 0;
            path.picture(8);
            path.run_for(Duration::from_millis(992));
        }
        assert_eq!(path.least, before, "way {way}");
    }
}

#[test]
fn two_lost_in_a_row_halve_it_and_it_comes_back_though_it_is_not_used() {
    let mut path = Path::new(RtpConfig::default());
    path.stream(20);
    path.run_for(Duration::from_secs(1));
    let before = path.target;
    for picture in 0..120 {
        if picture % 30 == 0 {
            path.least = path.target;
        }
        path.cut[0] = picture % 30 < 2;
        path.picture(8);
        path.run_for(Duration::from_millis(992));
        if picture % 30 == 29 {
            let (half, most) = (before.bps() * 6 / 10, before.bps() * 9 / 10);
            assert!(path.least.bps() < half, "nothing was concluded: {:?}", path.least);
            assert!(path.target.bps() >= most, "{:?} of {before:?}", path.target);
        }
    }
}

#[test]
fn a_path_that_is_dead_is_known_as_such_of_one_picture_a_second() {
    let mut path = Path::new(RtpConfig::default());
    path.stream(20);
    let before = path.target;
    path.cut[0] = true;
    for _ in 0..12 {
        path.picture(8);
        path.run_for(Duration::from_millis(992));
    }
    assert!(path.target.bps() <= before.bps() / 8 + 1, "{:?} of {before:?}", path.target);
}

#[test]
fn feedback_each_second_and_each_two_is_no_silence() {
    for interval in [500, 1_000, 2_000] {
        let interval = Duration::from_millis(interval);
        let mut path = Path::new(RtpConfig::default().feedback_interval(interval));
        path.stream(600);
        println!(
            "feedback each {interval:?}: at least {:?}, at last {:?}",
            path.least, path.target
        );
        assert!(path.least >= Bitrate::from_kbps(1_000), "{interval:?}: {:?}", path.least);
        assert!(path.target >= Bitrate::from_kbps(1_200), "{interval:?}: {:?}", path.target);
    }
}

/// What is lost one way only: one end has heard of the other all along, and puts its clock
/// forward by less.
#[test]
fn clocks_that_an_end_each_puts_forward_at_a_restart_do_not_lower_the_target() {
    for skips in [[0, 2_000], [600, 0], [2_000, 200], [0, 300], [400, 1_950]] {
        let mut path = Path::new(RtpConfig::default());
        path.stream(50);
        let before = path.target;
        path.cut[0] = true;
        path.stream(5);
        path.cut[0] = false;
        // The sender first, and the receiver a round trip later.
        let [ours, theirs] = skips.map(Duration::from_millis);
        path.ends[0].begin_path();
        path.ahead[0] += ours;
        path.least = path.target;
        path.stream(1);
        path.ahead[1] += theirs;
        path.stream(200);
        println!("{skips:?}: at least {:?} of {before:?}", path.least);
        assert!(path.least.bps() >= before.bps() * 9 / 10, "{skips:?}: {:?}", path.least);
    }
}
