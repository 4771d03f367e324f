use paceline_types::Bitrate;

use super::silence::SILENCE;
use super::*;

fn estimator() -> Estimator {
    let config = RtpConfig::default().max_bitrate(Bitrate::from_kbps(2_000));
    Estimator::new(&config)
}

#[expect(clippy::disallowed_methods, reason = "a test needs an epoch")]
fn epoch() -> Instant {
    Instant::now()
}

/// One packet of 1,250 bytes each 10 ms: 1 Mbit/s.
fn packet(epoch: Instant, id: u64, arrival: Option<Duration>) -> PacketReport {
    PacketReport {
        ssrc: 1,
        id,
        rtp_sequence_number: id as u16,
        is_twcc: true,
        twcc_sequence_number: id as u16,
        size: 1_250,
        arrived: arrival.is_some(),
        departure: epoch + Duration::from_millis(10) * id as u32,
        arrival,
        ecn: Default::default(),
    }
}

/// Feeds ten seconds of packets, five in a report; returns what comes after.
fn feed(
    estimator: &mut Estimator,
    epoch: Instant,
    ids: std::ops::Range<u64>,
    transit: impl Fn(u64) -> Option<Duration>,
) {
    for first in ids.step_by(5) {
        let reports = Vec::from_iter((first..first + 5).map(|id| {
            packet(epoch, id, transit(id).map(|transit| Duration::from_millis(10 * id) + transit))
        }));
        estimator.on_reports(reports[4].departure + Duration::from_millis(40), &reports);
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn it_is_bounded_whatever_the_reports_say() {
    let epoch = epoch();
    let mut dice = 7_u64;
    let mut roll = |sides: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (dice >> 33) % sides
    };
    let mut estimator = estimator();
    let mut now = epoch;
    for id in 0..50_000 {
        now += ms(roll(200));
        let arrival = match roll(5) {
            0 => Some(Duration::ZERO),
            1 => Some(ms(roll(1 << 30))),
            // A reference time of 24 bits, in 64 ms (draft-holmer-rmcat-twcc-01 §3.1).
            2 => Some(ms(64 << 24)),
            3 => Some(now - epoch + ms(roll(300))),
            _ => None,
        };
        let size = [0, 1_200, usize::MAX / 4_000][roll(3) as usize];
        let departure = now - ms(roll(3_000)).min(now - epoch);
        let report = PacketReport { size, departure, ..packet(epoch, id, arrival) };
        estimator.on_reports(now, &[report.clone(), report]);
        if roll(9) == 0 {
            estimator.handle_timeout(now);
            assert!(estimator.poll_timeout().is_none_or(|at| at > now));
        }
        let target = estimator.target_bitrate();
        assert!((100e3..=2e6).contains(&target), "{target}");
        assert!(estimator.path.held() <= 2 * 2_048);
        let _ = (estimator.queue(), estimator.stats());
    }
}

#[test]
fn a_queue_that_grows_is_answered_with_less_than_came_through() {
    let (epoch, mut estimator) = (epoch(), estimator());
    feed(&mut estimator, epoch, 0..1_000, |_| Some(ms(20)));
    let before = estimator.target_bitrate();
    // Of what is sent, a half comes through: each packet waits 10 ms longer.
    feed(&mut estimator, epoch, 1_000..1_015, |id| Some(ms(20 + 10 * (id - 999))));
    assert!(before > 1e6, "{before}");
    let target = estimator.target_bitrate();
    assert!(target < 0.5 * 1e6 * SHARE, "a half comes through, and the queue has to go: {target}");
    feed(&mut estimator, epoch, 1_015..1_020, |_| Some(ms(20)));
    let target = estimator.target_bitrate();
    assert!((0.35e6..0.5e6).contains(&target), "the queue is gone: {target}");
}

#[test]
fn arrivals_of_another_clock_are_no_queue() {
    let (epoch, mut estimator) = (epoch(), estimator());
    feed(&mut estimator, epoch, 0..500, |_| Some(ms(20)));
    let before = estimator.target_bitrate();
    feed(&mut estimator, epoch, 500..1_000, |_| Some(ms(1_000_000)));
    assert!(estimator.target_bitrate() >= before);
}

/// What was overtaken is reported with its own, earlier departure.
#[test]
fn reordering_is_no_queue() {
    let (epoch, mut estimator) = (epoch(), estimator());
    feed(&mut estimator, epoch, 0..1_000, |id| Some(ms(if id % 7 == 0 { 55 } else { 20 })));
    assert!(estimator.target_bitrate() > 1.2e6, "{}", estimator.target_bitrate());
}

#[test]
fn without_a_packet_there_is_no_deadline_and_with_one_it_moves_on() {
    let (epoch, mut estimator) = (epoch(), estimator());
    assert_eq!(estimator.poll_timeout(), None);
    estimator.on_reports(epoch, &[]);
    assert_eq!(estimator.poll_timeout(), None);
    feed(&mut estimator, epoch, 0..5, |_| Some(ms(20)));
    let mut halves = Vec::new();
    while let Some(at) = estimator.poll_timeout() {
        estimator.handle_timeout(at);
        halves.push(estimator.target_bitrate());
    }
    assert_eq!(halves, [500e3, 250e3, 125e3]);
}

#[test]
fn the_least_is_kept_to_even_if_the_most_is_below_it() {
    let kbps = Bitrate::from_kbps;
    let config = RtpConfig::default().min_bitrate(kbps(500)).max_bitrate(kbps(200));
    assert_eq!(Estimator::new(&config).target_bitrate(), 500e3);
}

#[test]
fn of_a_fast_path_all_is_used_however_many_packets_it_is() {
    // In packets of 600 bytes 48 Mbit/s is 10,000 of them a second, and all that is remembered is
    // a fifth of one.
    let most = Bitrate::from_kbps(50_000);
    let config = RtpConfig::default().start_bitrate(Bitrate::from_kbps(20_000)).max_bitrate(most);
    let (epoch, mut estimator, micros) = (epoch(), Estimator::new(&config), Duration::from_micros);
    for first in (0..600_000).step_by(500) {
        let told = Vec::from_iter((first..first + 500).map(|id| {
            let departure = epoch + micros(100 * id);
            let arrival = Some(micros(100 * id) + ms(20));
            PacketReport { size: 600, departure, ..packet(epoch, 0, arrival) }
        }));
        estimator.on_reports(told[499].departure + ms(40), &told);
    }
    let target = estimator.target_bitrate();
    assert!(target > 49e6, "{target}");
    assert!((47e6..49e6).contains(&estimator.path.sent_rate(1.0)));
}

#[test]
fn a_burst_of_all_that_is_remembered_is_no_rate() {
    let (epoch, mut estimator) = (epoch(), estimator());
    feed(&mut estimator, epoch, 0..500, |_| Some(ms(20)));
    let at = packet(epoch, 500, Some(ms(5_020)));
    estimator.on_reports(at.departure + ms(40), &vec![at; 3_000]);
    // 2,048 packets, in the time of a picture.
    let rate = estimator.path.sent_rate(1.0);
    assert!((600e6..700e6).contains(&rate), "{rate}");
    assert!(estimator.target_bitrate() <= 2e6);
}

#[test]
fn a_pause_is_no_silence_nor_is_one_burst_and_what_is_sent_twice_after_it_begins_one() {
    let (epoch, unanswered) = (epoch(), Unanswered::default());
    let mut estimator = estimator().heeding(unanswered.clone());
    feed(&mut estimator, epoch, 0..500, |_| Some(ms(20)));
    let before = estimator.target_bitrate();
    // All of it was answered: whenever it is asked.
    assert_eq!(estimator.poll_timeout(), None);
    let mut now = epoch + Duration::from_secs(60);
    estimator.handle_timeout(now);
    assert_eq!(estimator.target_bitrate(), before);
    // Of what was sent last it was heard 40 ms later.
    let mut wait = SILENCE + 2 * ms(40);
    for halves in 1..=3 {
        unanswered.note_sent(now);
        unanswered.note_sent(now + wait / 2 - ms(1));
        assert_eq!(estimator.poll_timeout(), None, "a burst");
        unanswered.note_sent(now + wait / 2);
        // As long as if the last report had just come, and not at once.
        assert_eq!(estimator.poll_timeout(), Some(now + wait));
        now += wait;
        estimator.handle_timeout(now);
        assert_eq!(estimator.poll_timeout(), None, "what was sent said that already");
        assert_eq!(estimator.target_bitrate(), before / f64::powi(2.0, halves));
        wait *= 2;
    }
    unanswered.note_sent(now);
    unanswered.note_sent(now + 10 * wait);
    assert_eq!(estimator.poll_timeout(), None, "an eighth goes on");
}

#[test]
fn what_is_tried_again_has_as_long_to_be_answered_however_late_it_is() {
    let (epoch, unanswered) = (epoch(), Unanswered::default());
    let mut estimator = estimator().heeding(unanswered.clone());
    feed(&mut estimator, epoch, 0..500, |_| Some(ms(20)));
    let (now, wait) = (epoch + Duration::from_secs(60), SILENCE + 2 * ms(40));
    unanswered.note_sent(now);
    unanswered.note_sent(now + 10 * wait);
    assert_eq!(estimator.poll_timeout(), Some(now + 10 * wait + wait / 2));
}

#[test]
fn a_long_round_trip_and_seldom_reports_are_no_silence() {
    let epoch = epoch();
    for (round_trip, reports) in [(ms(1_400), ms(50)), (ms(40), ms(1_000)), (ms(1_900), ms(2_000))]
    {
        let unanswered = Unanswered::default();
        let mut estimator = estimator().heeding(unanswered.clone());
        let each = (reports.as_millis() / 10) as u64;
        for first in (0..each * 20).step_by(each as usize) {
            let told = Vec::from_iter(
                (first..first + each)
                    .map(|id| packet(epoch, id, Some(ms(10) * id as u32 + round_trip / 2))),
            );
            estimator.on_reports(told[told.len() - 1].departure + round_trip, &told);
        }
        // After a pause, and once the report of it is due, and another.
        let now = epoch + Duration::from_secs(100);
        for tenth in 0..100 {
            unanswered.note_sent(now + ms(100) * tenth);
        }
        let at = estimator.poll_timeout().expect("it is sent all along");
        assert!(at > now + round_trip + 2 * reports, "{:?}: {round_trip:?}, {reports:?}", at - now);
        assert!(at < now + 2 * round_trip + 4 * reports + SILENCE, "{:?}", at - now);
    }
}

/// Either end's clock is put forward when it has found the new path, by as much as it likes;
/// what comes too early for the other is dropped.
#[test]
fn clocks_that_skip_at_a_restart_are_no_queue_and_a_queue_after_it_is_one() {
    let (before, long) = (Some(ms(5_020)), Some(ms(7_020)));
    for steps in [
        [before, long, long],
        [None, long, long],
        [Some(ms(3_020)), before, before],
        [long, Some(ms(5_320)), Some(ms(5_220))],
        [before, Some(ms(5_220)), Some(ms(5_420))],
    ] {
        let (epoch, mut estimator) = (epoch(), estimator());
        feed(&mut estimator, epoch, 0..1_000, |_| before);
        let full = estimator.target_bitrate();
        estimator.begin_path(epoch + Duration::from_secs(10));
        for (step, from) in steps.into_iter().zip([1_000, 1_055, 1_355]) {
            for first in (from..from + 50).step_by(5) {
                feed(&mut estimator, epoch, first..first + 5, |_| step);
                let target = estimator.target_bitrate();
                assert!(target >= full, "{target} of {full}: {step:?} of {steps:?}");
            }
        }
        let last = steps[2].expect("it comes");
        feed(&mut estimator, epoch, 1_405..1_900, |_| steps[2]);
        assert!(estimator.target_bitrate() >= full, "{steps:?}");
        // Of what is sent, a half comes through.
        let waits = |id: u64| Some(last + ms(10) * (id - 1_899) as u32);
        feed(&mut estimator, epoch, 1_900..1_915, waits);
        assert!(estimator.target_bitrate() < full / 2.0, "{steps:?}");
    }
}

#[test]
fn of_a_new_path_neither_the_old_delay_counts_nor_what_came_too_early() {
    let (epoch, mut estimator) = (epoch(), estimator());
    feed(&mut estimator, epoch, 0..1_000, |_| Some(ms(20)));
    let full = estimator.target_bitrate();
    estimator.begin_path(epoch + Duration::from_secs(10));
    // What left before it, what the other end dropped, and what came.
    let told = Vec::from_iter((990..1_060).map(|id| {
        let transit = match id {
            ..1_000 => Some(ms(20)),
            1_000..1_050 => None,
            _ => Some(ms(120)),
        };
        packet(epoch, id, transit.map(|transit| ms(10 * id) + transit))
    }));
    estimator.on_reports(epoch + ms(10_730), &told);
    feed(&mut estimator, epoch, 1_060..1_400, |_| Some(ms(120)));
    assert!(estimator.target_bitrate() >= full, "{}", estimator.target_bitrate());
}

#[test]
fn a_queue_is_seen_at_once_on_a_new_path_too() {
    let (epoch, mut estimator) = (epoch(), estimator());
    feed(&mut estimator, epoch, 0..1_000, |_| Some(ms(20)));
    let full = estimator.target_bitrate();
    estimator.begin_path(epoch + Duration::from_secs(10));
    feed(&mut estimator, epoch, 1_000..1_010, |_| Some(ms(40)));
    // Of what is sent, a twelfth comes through: 120 ms for each packet.
    feed(&mut estimator, epoch, 1_010..1_020, |id| Some(ms(40) + ms(110) * (id - 1_009) as u32));
    assert!(estimator.target_bitrate() < full / 5.0, "{}", estimator.target_bitrate());
}

#[test]
fn a_restart_puts_silence_off_and_does_not_end_it() {
    let (epoch, mut estimator) = (epoch(), estimator());
    feed(&mut estimator, epoch, 0..1_000, |_| Some(ms(20)));
    let (full, at) = (estimator.target_bitrate(), estimator.poll_timeout().expect("a deadline"));
    let skipped = at + Duration::from_secs(2);
    estimator.begin_path(skipped);
    estimator.handle_timeout(skipped);
    assert_eq!(estimator.target_bitrate(), full);
    let at = estimator.poll_timeout().expect("a deadline");
    assert!(at >= skipped + SILENCE);
    estimator.handle_timeout(at);
    assert_eq!(estimator.target_bitrate(), full / 2.0);
}

#[test]
fn clocks_that_drifted_apart_in_a_pause_are_no_queue() {
    let (epoch, mut estimator) = (epoch(), estimator());
    feed(&mut estimator, epoch, 0..500, |_| Some(ms(20)));
    let before = estimator.target_bitrate();
    // After a pause of ten minutes.
    feed(&mut estimator, epoch, 60_000..60_100, |_| Some(ms(320)));
    assert!(estimator.target_bitrate() >= before, "{}", estimator.target_bitrate());
}

#[test]
fn after_silence_it_aims_at_what_was_left_by_the_last_cut() {
    let (epoch, mut estimator) = (epoch(), estimator());
    feed(&mut estimator, epoch, 0..1_000, |_| Some(ms(20)));
    let full = estimator.target_bitrate();
    let waits = |id| Some(ms(20 + 10 * (id - 999)));
    feed(&mut estimator, epoch, 1_000..1_015, waits);
    let cut = estimator.target_bitrate();
    assert!(cut < full / 2.0 && matches!(estimator.phase, Phase::Draining(_)));
    let at = estimator.poll_timeout().expect("a deadline");
    estimator.handle_timeout(at);
    assert_eq!(estimator.silence.before(), Some(cut));
    // The queue is not gone because nobody told of it.
    feed(&mut estimator, epoch, 1_015..1_020, waits);
    assert!(matches!(estimator.phase, Phase::Draining(_)), "{:?}", estimator.phase);
}
