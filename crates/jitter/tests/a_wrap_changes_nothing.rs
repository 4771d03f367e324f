//! The numbers of RTP are of 16 bits, its timestamps of 32: what is heard is the same
//! wherever they start.
#![cfg(feature = "rtp")]

#[allow(dead_code, reason = "each file takes what it needs")]
mod support;

use ::rtp::{Header, Packet};
use paceline_jitter::rtp::Units;
use paceline_jitter::types::Frequency;
use paceline_jitter::{JitterConfig, Unit};
use support::{Heard, Player, Sent, scenarios};

fn packet(sent: Sent, seq: u16, ticks: u32) -> Packet {
    let header = Header {
        sequence_number: (sent.seq as u16).wrapping_add(seq),
        timestamp: (sent.ticks as u32).wrapping_add(ticks),
        marker: sent.marker,
        ssrc: sent.ssrc,
        ..Header::default()
    };
    Packet { header, ..Packet::default() }
}

/// What is heard when the first packet has number `seq` and timestamp `ticks`; all
/// numbers counted from it.
fn run(sent: &[Sent], seq: u16, ticks: u32, with: &dyn Fn(usize, &mut Player)) -> Player {
    let mut units = Units::new(Frequency::AUDIO);
    let mut player = Player::new(JitterConfig::default());
    for (id, &sent) in sent.iter().enumerate() {
        with(id, &mut player);
        let Unit { seq, time, marker, .. } = units.unit(packet(sent, seq, ticks));
        let (retransmitted, payload) = (sent.retransmitted, id as u64);
        let unit = Unit { seq, time, marker, retransmitted, payload };
        let _ = player.insert(sent.at, unit);
    }
    player.pass(5_000_000);
    for heard in &mut player.heard {
        let (Heard::Lost { first: number, .. } | Heard::Play { seq: number, .. }) = heard;
        *number = u64::from((*number as u16).wrapping_sub(seq));
    }
    player
}

/// 64 places around the wraps of both: the numbers wrap after each eighth packet, the
/// timestamps elsewhere.
fn places() -> impl Iterator<Item = (u16, u32)> {
    (0..64_u32).map(|place| {
        let seq = (place as u16).wrapping_mul(8).wrapping_neg();
        (seq, (place * 37 % 64 * 9_001).wrapping_neg())
    })
}

fn assert_the_same_everywhere(name: &str, sent: &[Sent], with: &dyn Fn(usize, &mut Player)) {
    let expected = run(sent, 30_000, 2_000_000_000, with);
    assert!(expected.heard.len() > 100, "{name}: {} heard", expected.heard.len());
    for (seq, ticks) in places() {
        let player = run(sent, seq, ticks, with);
        let differs = player.heard.iter().zip(&expected.heard).find(|(one, other)| one != other);
        assert_eq!(differs, None, "{name} from {seq} and {ticks} on");
        assert_eq!(player.heard.len(), expected.heard.len(), "{name}");
        assert_eq!(player.stats(), expected.stats(), "{name} from {seq} and {ticks} on");
    }
}

#[test]
fn what_is_heard_is_the_same_at_every_wrap() {
    for (name, sent) in scenarios::all() {
        assert_the_same_everywhere(name, &sent, &|_, _| {});
    }
}

#[test]
fn what_is_heard_of_a_steered_stream_is_the_same_at_every_wrap() {
    let with = |id: usize, player: &mut Player| match id % 100 {
        20 => player.buffer.set_drift(id as f64 - 300.0),
        40 => player.buffer.set_min_playout_delay(support::ms(id as u64 / 4)),
        60 => player.buffer.set_round_trip((id % 200 == 60).then_some(support::ms(30))),
        _ => {}
    };
    for (name, sent) in scenarios::all().into_iter().skip(5).step_by(3) {
        assert_the_same_everywhere(name, &sent, &with);
    }
}

// The numbers that a buffer is given without RTP start anywhere too.
#[test]
fn what_is_heard_is_the_same_at_the_ends_of_64_bits() {
    for (name, sent) in scenarios::all() {
        let heard = |base: i64| {
            let moved = |sent: &Sent| Sent {
                seq: sent.seq.wrapping_add(base),
                ticks: sent.ticks.wrapping_add(base),
                ..*sent
            };
            let sent: Vec<_> = sent.iter().map(moved).collect();
            let mut player = Player::run(JitterConfig::default(), &sent);
            for heard in &mut player.heard {
                let (Heard::Lost { first: number, .. } | Heard::Play { seq: number, .. }) = heard;
                *number = number.wrapping_sub(base as u64);
            }
            player.heard
        };
        let expected = heard(0);
        let (seq, ticks) = (support::SEQ as i64, support::TICKS as i64);
        for base in [-seq - 250, -seq - 1, -seq, -ticks - 250_000, -ticks, i64::MAX - 300] {
            assert!(heard(base) == expected, "{name} moved by {base}");
        }
    }
}

/// Packets that were sent and not played.
fn not_played(sent: &[Sent]) -> Vec<u64> {
    let ids = run(sent, 65_400, u32::MAX - 100_000, &|_, _| {}).ids();
    (0..sent.len() as u64).filter(|id| !ids.contains(id)).collect()
}

#[test]
fn another_source_is_followed_within_three_packets() {
    let sent = scenarios::source_change();
    assert_eq!(not_played(&sent), []);
    // The last ones of the old source come between the first ones of the new one.
    for late in 1..4 {
        let mut sent = scenarios::source_change();
        for old in &mut sent[200 - late..200] {
            old.at += 20_000 * late as i64 + 10_000;
        }
        let sent = scenarios::by_arrival(sent);
        let lost = not_played(&sent);
        assert!(lost.len() <= 3 + late, "{late}: {lost:?}");
        let new: Vec<_> = lost.iter().filter(|&&id| sent[id as usize].ssrc == 2).collect();
        assert!(new.len() <= 3, "{late}: {new:?}");
    }
    // And again, every tenth packet.
    let mut sent = scenarios::clean(500, 0);
    for sent in &mut sent {
        let source = sent.seq / 10;
        (sent.ssrc, sent.seq) = (source as u32, sent.seq + source * 12_345);
        sent.ticks += source * 987_654_321;
    }
    let lost = not_played(&sent);
    assert!(lost.len() <= 50 * 3, "{} of 500", lost.len());
}

#[test]
fn a_source_that_sends_in_between_takes_nothing_over() {
    let mut sent = scenarios::clean(500, 0);
    for (id, sent) in sent.iter_mut().enumerate().filter(|(id, _)| id % 2 == 1) {
        (sent.ssrc, sent.seq, sent.ticks) = (7 + id as u32 % 6, id as i64 * 77, -(id as i64));
    }
    let lost = not_played(&sent);
    assert!(lost.iter().all(|&id| sent[id as usize].ssrc != 1 || id % 2 == 1), "{lost:?}");
    assert!(lost.len() <= 250, "{} of 500", lost.len());
}

#[test]
fn one_packet_with_an_odd_number_or_timestamp_moves_nothing() {
    let odd = [(3_000, 0), (-3_000, 0), (30_000, 0), (-30_000, 0), (0, 1 << 31), (0, 1 << 30)];
    for (seq, ticks) in odd {
        let mut sent = scenarios::clean(500, 0);
        (sent[200].seq, sent[200].ticks) = (sent[200].seq + seq, sent[200].ticks + ticks);
        let lost = not_played(&sent);
        assert!(lost.len() <= 2, "{seq} and {ticks}: {lost:?}");
    }
    // Two, of which the second is further from the stream than half of all numbers.
    let mut sent = scenarios::clean(500, 0);
    sent[200].seq += 20_000;
    sent[201].seq += 40_000;
    assert_eq!(not_played(&sent), [200, 201]);
    assert_eq!(run(&sent, 65_400, 0, &|_, _| {}).stats().resyncs, 0);
}
