//! A link of so many bits in a second, and an encoder that makes what it is told.

#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use super::*;

/// Something on its way: when it went, when it is acknowledged, and how long it is.
type Packet = (Instant, Instant, usize);

struct Bench {
    now: Instant,
    control: RateControl,
    link: f64,
    rtt: Duration,
    free: Instant,
    delivered: u64,
    flight: std::collections::VecDeque<Packet>,
    /// What the encoder makes of what it may.
    uses: f64,
    lost: f64,
    /// Bytes that the next picture has beyond that.
    key: usize,
    frame: u32,
    /// Pictures are left out while so much waits for the link.
    patience: Duration,
    shed: u64,
    up: bool,
}

impl Bench {
    fn new(link: f64, max: u64) -> Self {
        let now = Instant::now();
        let control = RateControl::new(Bitrate::from_kbps(100), Bitrate::from_bps(max));
        Self {
            now,
            control,
            link,
            rtt: Duration::from_millis(40),
            free: now,
            delivered: 0,
            flight: std::collections::VecDeque::new(),
            uses: 1.0,
            lost: 0.0,
            key: 0,
            frame: 0,
            patience: Duration::MAX,
            shed: 0,
            up: true,
        }
    }

    fn load(&self) -> Load {
        let oldest = self.flight.front().map_or(Duration::ZERO, |&(at, ..)| self.now - at);
        let mut load = Load::default();
        load.delivered = self.delivered;
        load.backlog = self.flight.iter().map(|&(.., bytes)| bytes).sum();
        load.delay = oldest.saturating_sub(Duration::from_millis(40));
        load.least_rtt = Some(Duration::from_millis(40));
        load.shed = self.shed;
        load.path_up = self.up;
        load
    }

    /// Thirty pictures a second, in packets of 1,200 bytes.
    fn run(&mut self, seconds: f64) -> f64 {
        let mut sum = 0.0;
        let frames = (seconds * 30.0) as u32;
        for _ in 0..frames {
            self.frame += 1;
            let mut left = (self.control.target * self.uses / 240.0) as usize;
            left += std::mem::take(&mut self.key);
            self.control.handle_picture(self.now, StreamId::VIDEO, left);
            if self.queue() > self.patience {
                (left, self.shed) = (0, self.shed + 1);
            }
            while left > 0 {
                let bytes = left.min(1_200);
                left -= bytes;
                let takes = Duration::from_secs_f64(bytes as f64 * 8.0 / self.link);
                self.free = self.free.max(self.now) + takes;
                // What is lost is sent again, and what is behind it waits.
                let again = self.lost > 0.0
                    && f64::from(self.frame * 7 % 100) < self.lost * 100.0
                    && left == 0;
                let behind = self.flight.back().map_or(self.now, |&(_, acked, _)| acked);
                let acked = self.free + self.rtt * if again { 2 } else { 1 };
                self.flight.push_back((self.now, acked.max(behind), bytes));
            }
            self.control.handle_load(self.now, &self.load());
            let next = self.now + Duration::from_micros(33_333);
            while let Some(&(_, at, bytes)) = self.flight.front().filter(|&&(_, at, _)| at <= next)
            {
                self.flight.pop_front();
                self.now = self.now.max(at);
                self.delivered += bytes as u64;
                self.control.handle_load(self.now, &self.load());
            }
            self.now = next;
            sum += self.control.target;
        }
        sum / f64::from(frames)
    }

    /// The same picture by picture: the most it may make.
    fn most(&mut self, seconds: f64) -> f64 {
        (0..(seconds * 30.0) as u32).map(|_| self.run(0.04)).fold(0.0, f64::max)
    }

    /// Until it is found to be too much.
    fn run_until_it_drains(&mut self) -> Drain {
        for _ in 0..60 {
            self.run(0.04);
            if let Phase::Draining(drain) = self.control.phase {
                return drain;
            }
        }
        panic!("it was not found to be too much");
    }

    /// Nothing gets through for so long: what is on its way then comes later by that.
    fn stall(&mut self, seconds: f64) {
        let stalled = Duration::from_secs_f64(seconds);
        self.free = self.free.max(self.now) + stalled;
        for (_, acked, _) in &mut self.flight {
            *acked += stalled;
        }
    }

    fn queue(&self) -> Duration {
        self.free.saturating_duration_since(self.now)
    }
}

#[test]
fn a_path_that_takes_all_is_left_alone() {
    let mut bench = Bench::new(10e6, 1_200_000);
    assert_eq!(bench.run(60.0), 1.2e6);
}

#[test]
fn a_path_that_gets_narrow_is_followed_within_a_second_and_its_queue_goes() {
    let mut bench = Bench::new(10e6, 4_000_000);
    bench.run(5.0);
    bench.link = 1e6;
    bench.run(1.0);
    let target = bench.control.target;
    assert!((390e3..900e3).contains(&target), "{target}");
    bench.run(2.0);
    assert!(bench.queue() < Duration::from_millis(60), "{:?}", bench.queue());
    let mean = bench.run(60.0);
    assert!((800e3..1.02e6).contains(&mean), "{mean}");
}

#[test]
fn a_path_that_gets_wide_again_is_used_again_within_ten_seconds() {
    let mut bench = Bench::new(1e6, 4_000_000);
    bench.run(20.0);
    bench.link = 10e6;
    bench.run(10.0);
    assert_eq!(bench.control.target, 4e6);
}

#[test]
fn an_encoder_that_makes_little_is_given_no_more() {
    let mut bench = Bench::new(1e6, 4_000_000);
    bench.run(20.0);
    bench.uses = 0.3;
    bench.link = 10e6;
    // The memory of what it made.
    bench.run(2.0);
    let after = bench.control.target;
    bench.run(60.0);
    assert_eq!(bench.control.target, after);
    assert!(after < 1.2e6, "{after}");
}

#[test]
fn a_keyframe_is_not_taken_for_too_much() {
    let mut bench = Bench::new(1e6, 600_000);
    bench.run(5.0);
    // 0.8 s of the link, and two seconds until nothing waits for it.
    bench.key = 100_000;
    for _ in 0..90 {
        assert_eq!(bench.run(0.04), 600e3);
    }
}

#[test]
fn loss_that_costs_a_round_trip_is_no_congestion() {
    let mut bench = Bench::new(10e6, 1_200_000);
    bench.lost = 0.2;
    assert_eq!(bench.run(60.0), 1.2e6);
}

#[test]
fn a_longer_way_is_not_taken_for_a_narrow_one() {
    let mut bench = Bench::new(10e6, 1_200_000);
    bench.run(5.0);
    // What is the least is known only after ten seconds.
    bench.rtt = Duration::from_millis(240);
    bench.run(9.0);
    assert!(bench.control.target > 1.1e6, "{}", bench.control.target);
}

#[test]
fn silence_halves_it_and_never_below_the_least() {
    let mut bench = Bench::new(10e6, 1_200_000);
    bench.run(2.0);
    bench.link = 1e3;
    bench.run(2.5);
    assert!(bench.control.target <= 600e3, "{}", bench.control.target);
    bench.run(20.0);
    assert_eq!(bench.control.target, 100e3);
}

#[test]
fn who_cannot_be_reached_is_not_slow() {
    let mut bench = Bench::new(10e6, 1_200_000);
    bench.run(2.0);
    let mut load = bench.load();
    (load.path_up, load.delay, load.backlog) = (false, Duration::from_secs(9), 1 << 20);
    for second in 0..9 {
        bench.control.handle_picture(bench.now, StreamId::VIDEO, 5_000);
        bench.control.handle_load(bench.now + Duration::from_secs(second), &load);
    }
    assert_eq!(bench.control.target, 1.2e6);
}

/// A bench with 4 Mbit/s on a link that has just become one of 1 Mbit/s, found out.
fn draining() -> (Bench, Drain) {
    let mut bench = Bench::new(10e6, 4_000_000);
    bench.run(5.0);
    bench.link = 1e6;
    let drain = bench.run_until_it_drains();
    assert_eq!(drain.before, 4e6);
    let _ = bench.control.poll_limit();
    (bench, drain)
}

#[test]
fn an_outage_ends_a_drain_at_what_the_path_took() {
    let (mut bench, drain) = draining();
    bench.up = false;
    bench.control.handle_load(bench.now, &bench.load());
    assert_eq!(bench.control.poll_limit(), Some(None));
    assert_eq!(bench.control.target, drain.after);
    // What an encoder makes meanwhile is left out.
    bench.stall(4.0);
    bench.patience = Duration::ZERO;
    assert_eq!(bench.most(4.0), drain.after);
    (bench.up, bench.patience) = (true, Duration::MAX);
    let most = bench.most(10.0);
    assert!(most < 1.4e6, "{most}");
    assert!(bench.control.foreign.is_none(), "{:?}", bench.control.foreign);
    let mean = bench.run(60.0);
    assert!((800e3..1.02e6).contains(&mean), "{mean}");
}

#[test]
fn an_outage_is_not_part_of_what_the_path_is_measured_by() {
    let mut bench = Bench::new(1e6, 800_000);
    bench.run(10.0);
    bench.up = false;
    bench.stall(5.3);
    bench.patience = Duration::ZERO;
    bench.run(5.0);
    // What is made until something is confirmed again is left out.
    bench.up = true;
    let shed = bench.shed;
    bench.run(0.25);
    assert!(bench.shed > shed + 5 && bench.flight.len() > 1);
    bench.patience = Duration::MAX;
    for _ in 0..60 {
        bench.run(0.04);
        assert!(bench.control.target > 400e3, "{}", bench.control.target);
    }
}

#[test]
fn a_link_that_gets_narrower_while_a_queue_is_shed_is_not_taken_for_a_longer_way() {
    let (mut bench, _) = draining();
    bench.link = 300e3;
    // What waits is never more than before, as the rest is left out.
    bench.patience = Duration::from_millis(300);
    let most = bench.most(10.0);
    assert!(bench.shed > 0);
    assert!(most < 1e6, "{most}");
}

#[test]
fn a_link_that_is_stuck_in_a_drain_is_not_taken_for_a_longer_way() {
    for seconds in [0.6, 0.9, 1.5, 3.0] {
        let (mut bench, _) = draining();
        bench.stall(seconds);
        let most = bench.most(8.0);
        assert!(most < 1.4e6, "{most} after {seconds} s");
        assert!(bench.control.foreign.is_none(), "{seconds} s");
    }
}

/// With a round trip of 1.5 s nothing needs to come back within the second of a drain.
#[test]
fn a_drain_in_which_nothing_came_through_is_not_taken_for_a_longer_way() {
    let (mut bench, drain) = draining();
    let mut load = bench.load();
    load.least_rtt = Some(Duration::from_millis(1_500));
    load.delay = Duration::from_secs(3);
    (load.delivered, load.backlog, load.shed) = (drain.delivered, drain.backlog, drain.shed);
    bench.control.acks.forget();
    bench.control.handle_load(drain.since + DRAIN, &load);
    assert!(bench.control.foreign.is_none(), "{:?}", bench.control.foreign);
    assert_eq!(bench.control.target, 100e3);
}

#[test]
fn two_streams_to_one_peer_share_what_his_path_takes() {
    let start = Instant::now();
    let mut control = RateControl::new(Bitrate::from_kbps(100), Bitrate::from_kbps(1_200));
    control.handle_picture(start, StreamId::VIDEO, 5_000);
    assert_eq!(control.each(start, 1e6), 1e6);
    control.handle_picture(start, StreamId::MIX_VIDEO, 5_000);
    assert_eq!(control.each(start, 1e6), 500e3);
    assert_eq!(control.each(start, 10e6), 1.2e6, "each may have the most");
    let later = start + OF_LATE;
    control.handle_picture(later, StreamId::MIX_VIDEO, 5_000);
    assert_eq!(control.each(later, 1e6), 1e6, "the other one has ended");
}

/// Thirty pictures and fifty sounds a second, as packets of RTP.
#[test]
fn what_is_sent_with_its_headers_is_what_congestion_control_gives_out_and_no_more() {
    for kbps in [160, 200, 300, 400, 600, 1_000, 2_500, 10_000] {
        let (estimate, mut now) = (Bitrate::from_kbps(kbps), Instant::now());
        let mut control = RateControl::new(Bitrate::from_kbps(64), Bitrate::from_kbps(20_000));
        let (mut sent, mut waits) = (0, 0.0);
        for tick in 0..1_500 {
            now += Duration::from_millis(10);
            if tick % 2 == 0 {
                control.handle_carried_sound(now, 100);
                sent += 100 + 34;
            }
            // Three pictures in ten ticks, and a byte is sent when it is whole.
            if [0, 3, 6].contains(&(tick % 10)) {
                waits += control.target().bps() as f64 / 30.0 / 8.0;
                let bytes = waits as usize;
                waits -= bytes as f64;
                control.set_estimate(Some(estimate));
                control.handle_picture(now, StreamId::VIDEO, bytes);
                control.handle_load(now, &Load::default());
                sent += bytes + bytes.div_ceil(1_160) * 34;
            }
            if tick == 499 {
                sent = 0;
            }
        }
        let used = sent as f64 * 8.0 / 10.0 / estimate.bps() as f64;
        assert!(used < 0.99, "{used:.3} of {kbps} kbit/s");
        assert!(used > 0.93, "{used:.3} of {kbps} kbit/s");
    }
}

/// Figures that no connection has, in any order.
#[test]
fn whatever_the_figures_are_it_stays_within_its_bounds() {
    let start = Instant::now();
    let mut dice = 7_u64;
    let mut roll = |sides: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (dice >> 33) % sides
    };
    let mut now = start;
    let mut control = RateControl::new(Bitrate::from_kbps(100), Bitrate::from_kbps(1_200));
    for _ in 0..100_000 {
        now += Duration::from_millis(roll(300));
        let mut load = Load::default();
        load.delivered = [0, roll(1 << 20), u64::MAX - roll(9)][roll(3) as usize];
        load.backlog = [0, roll(1 << 20) as usize, usize::MAX / 2][roll(3) as usize];
        load.delay = Duration::from_millis([0, roll(1_000), roll(1 << 31)][roll(3) as usize]);
        load.least_rtt = (roll(9) > 0).then(|| Duration::from_millis(roll(2_000)));
        load.shed = roll(3);
        load.path_up = roll(20) > 0;
        if roll(3) > 0 {
            let stream = [StreamId::VIDEO, StreamId::MIX_VIDEO][roll(2) as usize];
            control.handle_picture(now, stream, roll(1 << 17) as usize);
            control.handle_sound(now, roll(1 << 10) as usize);
            control.handle_carried_sound(now, roll(1 << 10) as usize);
        }
        if roll(3) == 0 {
            let estimate = Bitrate::from_bps([0, roll(1 << 21), u64::MAX][roll(3) as usize]);
            control.set_estimate((roll(2) > 0).then_some(estimate));
        }
        control.handle_load(now, &load);
        let kbps = control.target().bps() / 1_000;
        assert!((100..=1_200).contains(&kbps), "{kbps}");
        let _ = control.poll_limit();
    }
}
