//! A narrow path and who sends over it, in virtual time: encoders that make what they are
//! told to, a copied file as TCP Reno sends it, one queue for all.
//!
//! The queue is a FIFO of so many bits in a second that drops what would wait too long.
//! What is measured is what a viewer has: when the last packet of a picture arrived.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use interceptor::{BandwidthEstimator, PacketReport};

/// What the path is like. All times are seconds, all rates bits in a second.
#[derive(Clone, Debug)]
pub struct Config {
    /// From when on it takes how much.
    pub rates: Vec<(f64, f64)>,
    /// One way, without a queue.
    pub delay: f64,
    /// Up to so much more, at random; nothing overtakes.
    pub jitter: f64,
    /// The share that is lost by chance.
    pub loss: f64,
    /// How long a packet may wait.
    pub max_queue: f64,
    /// Feedback goes so often, takes up to so much longer, and the receiver's clock runs so
    /// many millionths fast.
    pub feedback: f64,
    pub feedback_jitter: f64,
    pub drift: f64,
    /// The share of it that is lost.
    pub feedback_loss: f64,
    /// Of which feedback comes through from when until when: none between these.
    pub silence: Option<(f64, f64)>,
    /// From when on the way is longer, by how much.
    pub detour: Option<(f64, f64)>,
    pub seed: u64,
}

impl Default for Config {
    /// 20 ms each way with 2 ms of jitter, and a queue of 500 ms.
    fn default() -> Self {
        Self {
            rates: vec![(0.0, 1e6)],
            delay: 0.02,
            jitter: 0.002,
            loss: 0.0,
            max_queue: 0.5,
            feedback: 0.05,
            feedback_jitter: 0.0,
            drift: 0.0,
            feedback_loss: 0.0,
            silence: None,
            detour: None,
            seed: 1,
        }
    }
}

/// A picture as it was seen.
#[derive(Clone, Copy, Debug)]
pub struct Picture {
    pub captured: f64,
    /// How old it was when it was whole; `None`: it never was.
    pub age: Option<f64>,
}

/// One who sends pictures and sound, as much as he is told.
pub struct Sender {
    pub estimator: Box<dyn BandwidthEstimator>,
    pub starts: f64,
    pub ends: f64,
    /// His encoder makes no more.
    pub most: f64,
    pub fps: f64,
    /// Every so many pictures a keyframe of four times the size.
    pub keyframes: Option<u32>,
    pub pictures: Vec<Picture>,
    /// Each tenth of a second: the target, and what arrived.
    pub targets: Vec<f64>,
    pub arrived: Vec<f64>,
    /// How long the packets of each tenth waited at most in the path.
    pub waits: Vec<f64>,
    index: usize,
    made: u32,
    pacer: VecDeque<(usize, usize)>,
    budget: f64,
    next_picture: f64,
    next_sound: f64,
    flight: VecDeque<Flight>,
    reported: u64,
    next_id: u64,
    reports: VecDeque<(f64, Vec<PacketReport>)>,
    next_feedback: f64,
    arrivals: Vec<(f64, usize)>,
    left: Vec<usize>,
}

#[derive(Clone, Copy)]
struct Flight {
    id: u64,
    departure: f64,
    arrival: Option<f64>,
    bytes: usize,
    picture: Option<usize>,
    /// What was told of it was lost.
    untold: bool,
}

impl Sender {
    pub fn new(estimator: impl BandwidthEstimator + 'static) -> Self {
        Self {
            estimator: Box::new(estimator),
            starts: 0.0,
            ends: f64::MAX,
            most: f64::MAX,
            fps: 30.0,
            keyframes: None,
            pictures: Vec::new(),
            targets: Vec::new(),
            arrived: Vec::new(),
            waits: Vec::new(),
            index: 0,
            made: 0,
            pacer: VecDeque::new(),
            budget: 0.0,
            next_picture: 0.0,
            next_sound: 0.0,
            flight: VecDeque::new(),
            reported: 0,
            next_id: 0,
            reports: VecDeque::new(),
            next_feedback: 0.0,
            arrivals: Vec::new(),
            left: Vec::new(),
        }
    }

    /// Bits in a second that arrived from one second to another.
    pub fn rate(&self, from: f64, to: f64) -> f64 {
        let within = self.arrivals.iter().filter(|(at, _)| (from..to).contains(at));
        within.map(|&(_, bytes)| bytes as f64 * 8.0).sum::<f64>() / (to - from)
    }

    /// How old pictures were that were captured in this time, sorted; the lost left out.
    pub fn ages(&self, from: f64, to: f64) -> Vec<f64> {
        let within = self.pictures.iter().filter(|one| (from..to).contains(&one.captured));
        let mut ages = Vec::from_iter(within.filter_map(|picture| picture.age));
        ages.sort_unstable_by(f64::total_cmp);
        ages
    }

    /// The least target from one second to another.
    pub fn least(&self, from: f64, to: f64) -> f64 {
        let [from, to] = [from, to].map(|at| (at * 10.0) as usize);
        self.targets[from..to].iter().copied().fold(f64::MAX, f64::min)
    }
}

/// A file that is copied: TCP Reno (RFC 5681), in segments, always with more to send.
pub struct Copy {
    pub starts: f64,
    pub ends: f64,
    window: f64,
    threshold: f64,
    index: usize,
    next: u64,
    /// When each was sent, and when it is known that it came, or did not.
    flight: VecDeque<Segment>,
    recover: f64,
    arrivals: Vec<f64>,
}

struct Segment {
    number: u64,
    sent: f64,
    acked: Option<f64>,
}

impl Copy {
    pub fn new(starts: f64, ends: f64) -> Self {
        Self {
            starts,
            ends,
            window: 10.0,
            threshold: f64::MAX,
            index: 0,
            next: 0,
            flight: VecDeque::new(),
            recover: 0.0,
            arrivals: Vec::new(),
        }
    }

    pub fn rate(&self, from: f64, to: f64) -> f64 {
        let within = self.arrivals.iter().filter(|at| (from..to).contains(*at));
        within.count() as f64 * SEGMENT as f64 * 8.0 / (to - from)
    }
}

/// Runs all of them over one path for so many seconds.
pub fn run(config: &Config, senders: &mut [Sender], copies: &mut [Copy], seconds: f64) {
    let epoch = epoch();
    let mut link = Link::new(config);
    for (index, sender) in senders.iter_mut().enumerate() {
        sender.index = index;
    }
    for (index, copy) in copies.iter_mut().enumerate() {
        copy.index = senders.len() + index;
    }
    for tick in 0..(seconds / TICK) as u64 {
        let now = tick as f64 * TICK;
        for (packet, arrival) in link.poll(now) {
            match senders.get_mut(packet.whose) {
                Some(sender) => sender.handle_arrival(packet.number, arrival),
                None => copies[packet.whose - senders.len()].handle_arrival(packet.number, arrival),
            }
        }
        for sender in &mut *senders {
            if (sender.starts..sender.ends).contains(&now) {
                sender.turn(epoch, now, &mut link);
            }
            if tick % (0.1 / TICK) as u64 == 0 {
                sender.targets.push(sender.estimator.target_bitrate());
                sender.waits.push(0.0);
                sender.arrived.push(sender.rate_of_last(now - 0.1, now));
            }
        }
        for copy in &mut *copies {
            if (copy.starts..copy.ends).contains(&now) {
                copy.turn(now, &mut link);
            }
        }
    }
}

impl Sender {
    fn rate_of_last(&self, from: f64, to: f64) -> f64 {
        let recent =
            self.arrivals.iter().rev().take(4_000).filter(|(at, _)| (from..to).contains(at));
        recent.map(|&(_, bytes)| bytes as f64 * 80.0).sum()
    }

    fn turn(&mut self, epoch: Instant, now: f64, link: &mut Link) {
        let at = epoch + Duration::from_secs_f64(now);
        while let Some((_, reports)) = self.reports.pop_front_if(|(due, _)| *due <= now) {
            self.estimator.on_reports(at, &reports);
        }
        if self.estimator.poll_timeout().is_some_and(|due| due <= at) {
            self.estimator.handle_timeout(at);
            assert!(self.estimator.poll_timeout().is_none_or(|due| due > at), "it is no deadline");
        }
        let target = self.estimator.target_bitrate();
        if self.next_picture <= now {
            self.next_picture = self.next_picture.max(self.starts) + 1.0 / self.fps;
            let key = self.keyframes.is_some_and(|every| self.made.is_multiple_of(every));
            self.made += 1;
            let rate = (target - SOUND_RATE).clamp(0.0, self.most);
            let noise = 0.8 + 0.4 * link.dice();
            let share = self.keyframes.map_or(1.0, |every| f64::from(every) / f64::from(every + 3));
            let size = rate / self.fps / 8.0 * noise * share * if key { 4.0 } else { 1.0 };
            let number = self.pictures.len();
            self.pictures.push(Picture { captured: now, age: None });
            let count = (size / PAYLOAD).ceil().max(1.0);
            self.left.push(count as usize);
            for _ in 0..count as usize {
                self.pacer.push_back((number, (size / count) as usize + HEADERS));
            }
        }
        if self.next_sound <= now {
            self.next_sound = self.next_sound.max(self.starts) + 0.02;
            self.put(now, None, 80 + HEADERS, link);
        }
        // What is older than this is left out, as the owner of a queue does.
        while let Some(&(number, _)) = self.pacer.front()
            && now - self.pictures[number].captured > 0.25
        {
            self.pacer.pop_front();
        }
        self.budget = (self.budget + target * 2.5 / 8.0 * TICK).min(target * 2.5 / 8.0 * 0.005);
        while self.budget >= 0.0
            && let Some((number, bytes)) = self.pacer.pop_front()
        {
            self.budget -= bytes as f64;
            self.put(now, Some(number), bytes, link);
        }
        self.report(epoch, now, link);
    }

    fn put(&mut self, now: f64, picture: Option<usize>, bytes: usize, link: &mut Link) {
        self.flight.push_back(Flight {
            id: self.next_id,
            departure: now,
            arrival: None,
            bytes,
            picture,
            untold: false,
        });
        link.put(now, Packet { whose: self.index, number: self.next_id, bytes });
        self.next_id += 1;
    }

    fn handle_arrival(&mut self, number: u64, arrival: f64) {
        let Some(front) = self.flight.front() else { return };
        let index = number.checked_sub(front.id).map(|index| index as usize);
        // What was reported as lost and comes after all is told of to nobody.
        let Some(flight) = index.and_then(|index| self.flight.get_mut(index)) else { return };
        flight.arrival = Some(arrival);
        self.arrivals.push((arrival, flight.bytes));
        if let Some(waits) = self.waits.last_mut() {
            *waits = waits.max(arrival - flight.departure);
        }
        if let Some(number) = flight.picture {
            self.left[number] -= 1;
            if self.left[number] == 0 {
                self.pictures[number].age = Some(arrival - self.pictures[number].captured);
            }
        }
    }

    /// Of all up to the latest that arrived it is told whether they did.
    fn report(&mut self, epoch: Instant, now: f64, link: &mut Link) {
        if self.next_feedback > now {
            return;
        }
        self.next_feedback = now + link.config.feedback;
        let has = |one: &Flight| one.arrival.is_some_and(|arrival| arrival <= now);
        let Some(latest) = self.flight.iter().rposition(has) else { return };
        if link.config.silence.is_some_and(|(from, until)| (from..until).contains(&now)) {
            return;
        }
        if link.dice() < link.config.feedback_loss {
            self.flight.iter_mut().take(latest + 1).for_each(|one| one.untold = true);
            return;
        }
        let has = |one: &Flight| has(one) && !one.untold;
        let reports = self.flight.drain(..=latest).map(|one| PacketReport {
            ssrc: 1,
            id: one.id,
            rtp_sequence_number: one.id as u16,
            is_twcc: true,
            twcc_sequence_number: one.id as u16,
            size: one.bytes,
            arrived: has(&one),
            departure: epoch + Duration::from_secs_f64(one.departure),
            // In units of 250 µs, of a clock of its own.
            arrival: one.arrival.filter(|_| has(&one)).map(|arrival| {
                let clock = 77.0 + arrival * (1.0 + link.config.drift / 1e6);
                Duration::from_micros((clock * 4e3) as u64 * 250)
            }),
            ecn: Default::default(),
        });
        let reports = Vec::from_iter(reports);
        let due = now + link.config.delay + link.dice() * link.config.feedback_jitter;
        let due = self.reports.back().map_or(due, |(before, _)| due.max(*before));
        self.reports.push_back((due, reports));
    }
}

impl Copy {
    fn handle_arrival(&mut self, number: u64, arrival: f64) {
        self.arrivals.push(arrival);
        let segment = self.flight.iter_mut().find(|segment| segment.number == number);
        if let Some(segment) = segment {
            segment.acked = Some(arrival);
        }
    }

    fn turn(&mut self, now: f64, link: &mut Link) {
        let mut lost = false;
        // What comes after something missing tells that it is.
        let back = link.config.delay;
        let knows = |segment: &Segment| segment.acked.is_some_and(|at| at + back <= now);
        while let Some(latest) = self.flight.iter().position(knows) {
            for segment in self.flight.drain(..=latest) {
                if segment.acked.is_some() {
                    let slow = self.window < self.threshold;
                    self.window += if slow { 1.0 } else { 1.0 / self.window };
                } else if segment.sent >= self.recover {
                    lost = true;
                }
            }
        }
        // RFC 6298 §2.4: a second without anything.
        if self.flight.back().is_some_and(|segment| segment.sent + 2.0 < now) {
            self.flight.clear();
            lost = true;
        }
        if lost {
            self.window = (self.window / 2.0).max(2.0);
            self.threshold = self.window;
            self.recover = now;
        }
        while (self.flight.len() as f64) < self.window.floor() {
            link.put(now, Packet { whose: self.index, number: self.next, bytes: SEGMENT });
            self.flight.push_back(Segment { number: self.next, sent: now, acked: None });
            self.next += 1;
        }
    }
}

#[derive(Clone, Copy)]
struct Packet {
    whose: usize,
    number: u64,
    bytes: usize,
}

/// A queue, and a way behind it.
struct Link {
    config: Config,
    rate: f64,
    queue: VecDeque<Packet>,
    queued: usize,
    /// When the first of the queue begins to be sent.
    free: f64,
    /// Behind the queue, by arrival.
    way: VecDeque<(f64, Packet)>,
    dice: u64,
    changes: VecDeque<(f64, f64)>,
}

impl Link {
    fn new(config: &Config) -> Self {
        Self {
            rate: config.rates[0].1,
            config: config.clone(),
            queue: VecDeque::new(),
            queued: 0,
            free: 0.0,
            way: VecDeque::new(),
            dice: config.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            changes: config.rates.iter().copied().collect(),
        }
    }

    /// What has arrived by now.
    fn poll(&mut self, now: f64) -> Vec<(Packet, f64)> {
        while let Some((_, rate)) = self.changes.pop_front_if(|(at, _)| *at <= now) {
            self.rate = rate;
        }
        while let Some(&packet) = self.queue.front() {
            let through = self.free + packet.bytes as f64 * 8.0 / self.rate;
            if through > now {
                break;
            }
            self.queue.pop_front();
            self.queued -= packet.bytes;
            self.free = through;
            if self.dice() < self.config.loss {
                continue;
            }
            let detour = self.config.detour.filter(|(from, _)| *from <= now);
            let detour = detour.map_or(0.0, |(_, by)| by);
            let arrival = through + self.config.delay + detour + self.dice() * self.config.jitter;
            let before = self.way.back().map_or(0.0, |&(at, _)| at);
            self.way.push_back((arrival.max(before), packet));
        }
        let arrived = std::iter::from_fn(|| self.way.pop_front_if(|(at, _)| *at <= now));
        arrived.map(|(at, packet)| (packet, at)).collect()
    }

    fn put(&mut self, now: f64, packet: Packet) {
        if self.queue.is_empty() {
            self.free = self.free.max(now);
        }
        if self.queued as f64 * 8.0 / self.rate <= self.config.max_queue {
            self.queued += packet.bytes;
            self.queue.push_back(packet);
        }
    }

    fn dice(&mut self) -> f64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[expect(clippy::disallowed_methods, reason = "a test needs an epoch")]
fn epoch() -> Instant {
    Instant::now()
}

const TICK: f64 = 0.000_5;
const PAYLOAD: f64 = 1_150.0;
/// Of IPv4, UDP, RTP with its extensions, and SRTP.
const HEADERS: usize = 60;
const SOUND_RATE: f64 = 50.0 * (80 + HEADERS) as f64 * 8.0;
const SEGMENT: usize = 1_240;
