//! What networks and senders do to a stream: each is a list in the order of arrival.

use super::{Dice, Sent};

/// `count` packets of 20 ms, all `delay` microseconds under way.
pub(crate) fn clean(count: i64, delay: i64) -> Vec<Sent> {
    (0..count).map(|seq| Sent::new(seq, delay)).collect()
}

/// Sorted by arrival, those that arrive together by number.
pub(crate) fn by_arrival(mut sent: Vec<Sent>) -> Vec<Sent> {
    sent.sort_by_key(|sent| sent.at);
    sent
}

/// Uniform jitter up to `most` microseconds.
pub(crate) fn jittery(count: i64, most: u64, seed: u64) -> Vec<Sent> {
    let mut dice = Dice(seed);
    by_arrival((0..count).map(|seq| Sent::new(seq, dice.below(most))).collect())
}

/// A perfect network, and a sender whose timestamps are off by up to ±8 samples.
pub(crate) fn stamp_jitter(count: i64) -> Vec<Sent> {
    let mut dice = Dice(1);
    let mut sent = clean(count, 0);
    sent.iter_mut().for_each(|sent| sent.ticks += dice.below(17) - 8);
    sent
}

/// The first packet comes 150 ms late; the others overtake it.
pub(crate) fn first_late() -> Vec<Sent> {
    by_arrival((0..1_500).map(|seq| Sent::new(seq, if seq == 0 { 150_000 } else { 0 })).collect())
}

/// All packets from number `from` on take `step` microseconds more. What is faster
/// does not overtake.
pub(crate) fn step(count: i64, from: i64, step: i64) -> Vec<Sent> {
    let mut sent = clean(count, (-step).max(0));
    sent[from as usize..].iter_mut().for_each(|sent| sent.at += step);
    by_arrival(sent)
}

/// Nothing for 1 s: those packets are lost.
pub(crate) fn outage_lost() -> Vec<Sent> {
    let mut sent = clean(500, 0);
    sent.drain(150..200);
    sent
}

/// Nothing for 1 s, and then all of it at once.
pub(crate) fn outage_burst() -> Vec<Sent> {
    let mut sent = clean(500, 0);
    sent[150..200].iter_mut().for_each(|sent| sent.at = 4_000_000);
    sent
}

/// From packet 200 on the numbers are `by` away; time goes on.
pub(crate) fn number_jump(by: i64) -> Vec<Sent> {
    let mut sent = clean(500, 0);
    sent[200..].iter_mut().for_each(|sent| sent.seq += by);
    sent
}

/// From packet 200 on the timestamps are `by` ticks away; the numbers go on.
pub(crate) fn time_jump(by: i64) -> Vec<Sent> {
    let mut sent = clean(500, 0);
    sent[200..].iter_mut().for_each(|sent| sent.ticks += by);
    sent
}

/// From packet 200 on it is another source, with numbers and timestamps of its own.
pub(crate) fn source_change() -> Vec<Sent> {
    let mut sent = clean(500, 0);
    for sent in &mut sent[200..] {
        (sent.ssrc, sent.seq, sent.ticks) = (2, sent.seq + 31_000, sent.ticks - 77_000_000);
    }
    sent
}

/// Talk of 1 s, silence of 1 s in which nothing is sent; a marker after it. The jitter
/// is 60 ms in the first half and none in the second.
pub(crate) fn silences() -> Vec<Sent> {
    let mut dice = Dice(2);
    let spurts = (0..40).flat_map(|spurt| (0..50).map(move |packet| (spurt, packet)));
    let sent = spurts.map(|(spurt, packet)| {
        let place = spurt * 100 + packet;
        let delay = if spurt < 20 { dice.below(60_000) } else { 0 };
        let sent = Sent::new(place, delay);
        Sent { seq: spurt * 50 + packet, marker: packet == 0, ..sent }
    });
    by_arrival(sent.collect())
}

/// Each packet comes six times, over 200 ms.
pub(crate) fn duplicate_storm() -> Vec<Sent> {
    let copies = (0..300).flat_map(|seq| (0..6).map(move |copy| Sent::new(seq, copy * 40_000)));
    by_arrival(copies.collect())
}

/// The sender's clock runs fast by `ppm`.
pub(crate) fn drift(count: i64, ppm: i64) -> Vec<Sent> {
    let mut sent = clean(count, 0);
    sent.iter_mut().for_each(|sent| sent.at -= sent.at * ppm / (1_000_000 + ppm));
    sent
}

/// Delays up to 1 s, far beyond what the buffer may wait.
pub(crate) fn heavy(count: i64, seed: u64) -> Vec<Sent> {
    let mut dice = Dice(seed);
    let sent = (0..count).map(|seq| {
        let most = if dice.below(4) == 0 { 1_000_000 } else { 150_000 };
        Sent::new(seq, dice.below(most))
    });
    by_arrival(sent.collect())
}

/// Two sources that share one stream, `run` packets of each in turn.
pub(crate) fn two_sources(count: i64, run: i64) -> Vec<Sent> {
    let mut sent = clean(count, 0);
    for sent in sent.iter_mut().filter(|sent| sent.seq / run % 2 == 1) {
        (sent.seq, sent.ticks) = (sent.seq + 15_000, sent.ticks + 500_000_000);
    }
    sent
}

/// One packet in ten lost, the others up to 80 ms under way.
pub(crate) fn lossy() -> Vec<Sent> {
    let mut sent = jittery(600, 80_000, 3);
    sent.retain(|sent| sent.seq % 10 != 7);
    sent
}

/// All of them by name.
pub(crate) fn all() -> Vec<(&'static str, Vec<Sent>)> {
    vec![
        ("clean", clean(300, 0)),
        ("jittery", jittery(600, 60_000, 4)),
        ("stamp jitter", stamp_jitter(600)),
        ("first late", first_late()),
        ("step", step(500, 200, 80_000)),
        ("slower route", step(500, 200, 300_000)),
        ("faster route", step(500, 200, -100_000)),
        ("outage, lost", outage_lost()),
        ("outage, burst", outage_burst()),
        ("numbers forward", number_jump(20_000)),
        ("numbers back", number_jump(-20_000)),
        ("numbers a little back", number_jump(-100)),
        ("times forward", time_jump(480_000)),
        ("times back", time_jump(-480_000)),
        ("source change", source_change()),
        ("silences", silences()),
        ("duplicate storm", duplicate_storm()),
        ("fast clock", drift(600, 10_000)),
        ("slow clock", drift(600, -10_000)),
        ("heavy", heavy(600, 5)),
        ("two sources", two_sources(400, 1)),
        ("two sources in pairs", two_sources(400, 2)),
        ("lossy", lossy()),
    ]
}
