//! Two ends of a path of RTP in virtual time.
#![allow(clippy::disallowed_methods, reason = "one instant to count from")]
#![cfg(feature = "rtp")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_transport::SendError;
use paceline_transport::rtp::{Chain, RtpConfig, Stream};
use paceline_transport::types::{Bitrate, ConnectionEvent, PacketKind, Ssrc};

const VIDEO: Stream = Stream::new(Ssrc::new(0x0A00_0000), 90_000);
const AUDIO: Stream = Stream::new(Ssrc::new(0x0A00_0001), 48_000);
const BACK: Stream = Stream::new(Ssrc::new(0x0B00_0000), 90_000);

fn packet(stream: Stream, seq: u16, len: usize) -> Bytes {
    let mut packet = vec![0x80, 96];
    packet.extend(seq.to_be_bytes());
    packet.extend((u32::from(seq) * 900).to_be_bytes());
    packet.extend(stream.ssrc.get().to_be_bytes());
    packet.resize(12 + len, 7);
    packet.into()
}

/// Both ends and a path that delays by so much one way.
struct Path {
    start: Instant,
    now: Instant,
    ends: [Chain; 2],
    delay: Duration,
    /// Every so many datagrams one is lost, either way; never if 0.
    lose: u32,
    sent: u32,
    lost: u32,
    /// Due time, order, and to which end.
    flying: BTreeMap<(Instant, u32), (usize, Bytes)>,
    /// All that was ever transmitted.
    wire: Vec<Bytes>,
    came: Vec<Bytes>,
    /// What the first end was told last.
    target: Bitrate,
}

impl Path {
    fn new(delay: Duration, lose: u32) -> Self {
        // A second of patience, for a long way.
        let (config, start) = (RtpConfig::default().max_nacks(33), Instant::now());
        let ends = [
            Chain::new(&config, &[VIDEO, AUDIO], &[BACK]),
            Chain::new(&config, &[BACK], &[VIDEO, AUDIO]),
        ];
        Self {
            start,
            now: start,
            ends,
            delay,
            lose,
            sent: 0,
            lost: 0,
            flying: BTreeMap::new(),
            wire: Vec::new(),
            came: Vec::new(),
            target: Bitrate::from_bps(0),
        }
    }

    fn collect(&mut self) {
        for from in 0..2 {
            while let Some(datagram) = self.ends[from].poll_transmit() {
                self.wire.push(datagram.clone());
                self.sent += 1;
                if self.lose > 0 && self.sent.is_multiple_of(self.lose) {
                    self.lost += 1;
                    continue;
                }
                self.flying.insert((self.now + self.delay, self.sent), (1 - from, datagram));
            }
        }
        while let Some(event) = self.ends[1].poll_event() {
            if let ConnectionEvent::Rtp(packet) = event {
                self.came.push(packet);
            }
        }
        while let Some(event) = self.ends[0].poll_event() {
            if let ConnectionEvent::Target(target) = event {
                self.target = target;
            }
        }
    }

    /// Lets time pass until then, event by event.
    fn run_until(&mut self, until: Instant) {
        loop {
            self.collect();
            let due = self.flying.keys().next().map(|(at, _)| *at);
            let timers = self.ends.iter().filter_map(Chain::poll_timeout);
            let Some(next) = timers.chain(due).min().filter(|at| *at <= until) else { break };
            self.now = self.now.max(next);
            while let Some(entry) =
                self.flying.first_entry().filter(|entry| entry.key().0 <= self.now)
            {
                let (to, datagram) = entry.remove();
                self.ends[to].handle_incoming(self.now, datagram);
            }
            for end in &mut self.ends {
                end.handle_timeout(self.now);
            }
        }
        self.now = until;
    }

    fn stream(&mut self, count: u16) {
        for seq in 1..=count {
            if seq % 50 == 1 {
                // RFC 3550 §6.4.1, with a time that no other has.
                let mut report = vec![0x80, 200, 0, 6];
                report.extend(VIDEO.ssrc.get().to_be_bytes());
                report.extend([0, 0, 1, seq as u8, (seq >> 8) as u8, 0]);
                report.resize(28, 0);
                self.ends[0]
                    .handle_outgoing(self.now, PacketKind::Rtcp, report.into())
                    .expect("room");
            }
            for (stream, len) in [(VIDEO, 900), (AUDIO, 160)] {
                let packet = packet(stream, seq, len);
                self.ends[0].handle_outgoing(self.now, PacketKind::Rtp, packet).expect("room");
            }
            self.run_until(self.now + Duration::from_millis(10));
        }
    }

    fn distinct(&self) -> usize {
        let key = |packet: &Bytes| (packet[2..4].to_vec(), packet[8..12].to_vec());
        let mut keys: Vec<_> = self.came.iter().map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.len()
    }
}

#[test]
fn what_is_lost_comes_all_the_same_and_seldom_twice() {
    for delay in [5, 50, 120].map(Duration::from_millis) {
        let mut path = Path::new(delay, 20);
        path.stream(1_000);
        path.lose = 0;
        // Two more tell that the last ones are missing, if they are.
        for stream in [VIDEO, AUDIO] {
            let packet = packet(stream, 1_001, 50);
            path.ends[0].handle_outgoing(path.now, PacketKind::Rtp, packet).expect("room");
        }
        path.run_until(path.now + Duration::from_secs(2));
        let twice = path.came.len() - path.distinct();
        println!(
            "{delay:?} one way: {} lost, {twice} came twice, {:?}",
            path.lost,
            path.ends[0].stats()
        );
        assert_eq!(path.distinct(), 2_002, "{delay:?}");
        assert!(twice as u32 <= path.lost, "{delay:?}: {twice} of {} lost", path.lost);
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let run = || {
        let mut path = Path::new(Duration::from_millis(20), 7);
        path.stream(300);
        assert!(path.wire.iter().any(|datagram| datagram[1] == 201), "no report");
        assert!(path.wire.iter().any(|datagram| datagram[..2] == [0x81, 205]), "no request");
        path.wire
    };
    let first = run();
    for _ in 0..5 {
        assert!(run() == first, "two runs differ");
    }
}

#[test]
fn nothing_is_due_when_nothing_flows() {
    let mut path = Path::new(Duration::from_millis(20), 0);
    assert_eq!(path.ends[0].poll_timeout(), None);
    path.stream(100);
    path.run_until(path.now + Duration::from_secs(5));
    let (wire, since) = (path.wire.len(), path.now);
    path.run_until(path.now + Duration::from_secs(60));
    assert_eq!(path.wire.len(), wire, "something is sent in idleness");
    for end in &path.ends {
        assert!(end.poll_timeout().is_none_or(|at| at <= since), "{:?}", end.poll_timeout());
    }
    // And it wakes up again.
    path.stream(20);
    path.run_until(path.now + Duration::from_secs(2));
    assert_eq!(path.came.len(), 240);
    assert!(path.wire.len() > wire + 40, "no feedback");
}

#[test]
fn a_request_for_everything_a_thousand_times_brings_no_more_than_the_target() {
    let mut path = Path::new(Duration::from_millis(1), 0);
    path.stream(900);
    let before = path.ends[0].stats().retransmitted;
    assert_eq!(before, 0);
    // RFC 4585 §6.2.1: 53 times 17 numbers of the video.
    let mut nack = vec![0x81, 205, 0, 2 + 53, 0, 0, 0, 1];
    nack.extend(VIDEO.ssrc.get().to_be_bytes());
    for at in 0..53_u16 {
        nack.extend((1 + at * 17).to_be_bytes());
        nack.extend([0xFF, 0xFF]);
    }
    let nack = Bytes::from(nack);
    for _ in 0..1_000 {
        path.ends[0].handle_incoming(path.now, nack.clone());
        path.now += Duration::from_millis(1);
        path.collect();
    }
    let stats = path.ends[0].stats();
    let bits = stats.retransmitted * 8 * 912;
    // At once: half a second's of the target. Then most is not even looked into: of what was sent
    // so long ago too much has been asked for.
    assert!(stats.retransmitted > 0 && stats.withheld > 1_000, "{stats:?}");
    assert!(stats.feedback_refused > 900, "{stats:?}");
    let burst = path.target.bps() / 2;
    assert!((burst * 9 / 10..=burst * 11 / 10).contains(&bits), "{bits} bits, of {burst}");
}

#[test]
fn a_pause_leaves_the_target_and_a_path_that_is_dead_does_not() {
    let mut path = Path::new(Duration::from_millis(20), 0);
    path.stream(300);
    path.run_until(path.now + Duration::from_secs(1));
    let before = path.target;
    path.run_until(path.now + Duration::from_secs(60));
    assert_eq!(path.target, before);
    // Nothing comes through from here on.
    path.lose = 1;
    path.stream(300);
    assert!(path.target.bps() <= before.bps() / 4, "{:?} of {before:?}", path.target);
}

#[test]
fn all_that_an_end_says_is_from_its_own_source() {
    let mut path = Path::new(Duration::from_millis(20), 7);
    path.stream(300);
    let reports: Vec<_> =
        path.wire.iter().filter(|one| matches!(one[1], 201 | 205..=206)).collect();
    assert!(reports.len() > 100, "{} reports", reports.len());
    for report in reports {
        assert_eq!(report[4..8], BACK.ssrc.get().to_be_bytes(), "{report:?}");
    }
    let loss = Bytes::from_static(&[0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 1]);
    path.ends[0].handle_outgoing(path.now, PacketKind::Rtcp, loss).expect("room");
    let loss = path.ends[0].poll_transmit().expect("it leaves at once");
    assert_eq!(loss[4..8], VIDEO.ssrc.get().to_be_bytes());
}

#[test]
fn a_target_is_within_its_bounds_from_the_first_on() {
    let kbps = Bitrate::from_kbps;
    for (start, min, max, expected) in
        [(9_000, 100, 2_000, 2_000), (50, 100, 2_000, 100), (900, 500, 200, 500)]
    {
        let config = RtpConfig::default().start_bitrate(kbps(start)).min_bitrate(kbps(min));
        let mut end = Chain::new(&config.max_bitrate(kbps(max)), &[VIDEO], &[]);
        assert_eq!(end.poll_event(), Some(ConnectionEvent::Target(kbps(expected))));
    }
}

#[test]
fn intervals_beyond_reason_neither_overflow_nor_keep_it_awake() {
    for interval in [Duration::ZERO, Duration::MAX] {
        let config = RtpConfig::default().nack_interval(interval).feedback_interval(interval);
        let mut end = Chain::new(&config.report_interval(interval), &[BACK], &[VIDEO]);
        let mut now = Instant::now();
        for seq in [1, 2, 5] {
            end.handle_incoming(now, packet(VIDEO, seq, 100));
        }
        for _ in 0..100 {
            let Some(at) = end.poll_timeout() else { break };
            end.handle_timeout(at.max(now));
            now = at.max(now);
            let next = end.poll_timeout();
            assert!(next.is_none_or(|next| next >= now + Duration::from_millis(1)), "{next:?}");
        }
    }
}

#[test]
fn what_is_larger_than_any_path_takes_is_not_held() {
    let mut end = Chain::new(&RtpConfig::default(), &[BACK], &[VIDEO]);
    let now = Instant::now();
    // Sender reports, of 28 bytes each.
    let reports = |count: usize| {
        let mut report = vec![0x80, 200, 0, 6];
        report.extend(VIDEO.ssrc.get().to_be_bytes());
        report.resize(28, 0);
        Bytes::from(report.repeat(count))
    };
    for (seq, len, count) in [(1, 2_048, 73), (2, 2_049, 74), (3, 60_000, 2_000), (4, 100, 3)] {
        end.handle_incoming(now, packet(VIDEO, seq, len - 12));
        end.handle_incoming(now, reports(count));
    }
    let held = std::iter::from_fn(|| end.poll_event()).map(|event| match event {
        ConnectionEvent::Rtp(bytes) | ConnectionEvent::Rtcp(bytes) => bytes.len(),
        _ => 0,
    });
    assert_eq!(held.collect::<Vec<_>>(), [0, 2_048, 73 * 28, 100, 3 * 28]);
    let stats = end.stats();
    assert_eq!((stats.received, stats.refused, stats.rtcp_dropped), (2, 2, 2));
}

#[test]
fn what_left_before_a_restart_says_nothing_of_the_round_trip() {
    let report = |kind: u8, words: &[u32]| {
        let mut report = vec![if kind == 201 { 0x81 } else { 0x80 }, kind];
        report.extend((words.len() as u16).to_be_bytes());
        report.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        Bytes::from(report)
    };
    let (ours, theirs) = (VIDEO.ssrc.get(), BACK.ssrc.get());
    let mut end = Chain::new(&RtpConfig::default(), &[VIDEO], &[BACK]);
    let (mut now, ms) = (Instant::now(), Duration::from_millis);
    for (at, is_restarted, took, round_trip) in [
        (1, false, ms(50), Some(ms(50))),
        // The clock was put forward in between.
        (2, true, ms(1_900), Some(ms(50))),
        (3, false, ms(60), Some(ms(60))),
    ] {
        // RFC 3550 §6.4.1: the middle of the time, and what comes back of it.
        let sent = report(200, &[ours, at, 0, 0, 0, 0]);
        end.handle_outgoing(now, PacketKind::Rtcp, sent).expect("room");
        if is_restarted {
            end.begin_path();
        }
        now += took;
        end.handle_incoming(now, report(201, &[theirs, ours, 0, 0, 0, at << 16, 0]));
        assert_eq!(end.stats().round_trip, round_trip);
    }
}

#[test]
fn reports_for_which_there_is_no_room_are_counted() {
    let mut end = Chain::new(&RtpConfig::default().queue(1), &[BACK], &[VIDEO]);
    let report = |of: u8| {
        let mut report = vec![0x80, 200, 0, 6];
        report.extend(VIDEO.ssrc.get().to_be_bytes());
        report.resize(28, of);
        Bytes::from(report)
    };
    for of in 0..100 {
        end.handle_incoming(Instant::now(), report(of));
    }
    let told = std::iter::from_fn(|| end.poll_event())
        .filter(|event| matches!(event, ConnectionEvent::Rtcp(_)))
        .count();
    assert_eq!((told as u64 + end.stats().rtcp_dropped, end.stats().dropped), (100, 0));
    assert!((1..100).contains(&told), "{told}");
}

#[test]
fn what_is_no_rtp_is_counted_and_no_more() {
    let mut path = Path::new(Duration::from_millis(1), 0);
    let refused = Err(SendError::Malformed);
    let (now, rtp, rtcp) = (path.now, PacketKind::Rtp, PacketKind::Rtcp);
    assert_eq!(path.ends[0].handle_outgoing(now, rtp, packet(BACK, 1, 9)), refused);
    assert_eq!(path.ends[0].handle_outgoing(now, rtcp, Bytes::from_static(&[1, 2])), refused);
    assert_eq!(path.ends[0].handle_outgoing(now, PacketKind::Message, Bytes::new()), refused);
    let mut seed = 1_u32;
    for len in 0..20_000_usize {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let mut datagram: Vec<u8> = (0..len % 90).map(|at| (seed >> (at % 25)) as u8).collect();
        if let Some(first) = datagram.first_mut() {
            *first = 0x80 | *first & 0x3F;
        }
        if let Some(second) = datagram.get_mut(1).filter(|_| len % 3 > 0) {
            *second = [200, 201, 202, 203, 204, 205, 206, 207, 96][len % 9];
        }
        path.ends[1].handle_incoming(path.now, datagram.into());
        path.now += Duration::from_millis(1);
        path.ends[1].handle_timeout(path.now);
        while path.ends[1].poll_transmit().is_some() {}
        while path.ends[1].poll_event().is_some() {}
    }
    assert!(path.ends[1].malformed() > 1_000);
    // And it works on.
    path.stream(10);
    path.run_until(path.now + Duration::from_secs(1));
    assert_eq!(path.distinct(), 20);
    assert!(path.start < path.now);
}
