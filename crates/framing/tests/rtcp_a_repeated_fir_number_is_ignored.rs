//! Requests and reports: what is asked for once is asked for once, and every figure is
//! what the RFC says.
#![cfg(feature = "rtp")]

use std::time::Duration;

use paceline_framing::rtcp::{
    FirReceiver, FirSender, FirVerdict, MAX_REQUESTERS, ReceptionReport, TransportLayerNack,
    cumulative_lost, delay_since_last_sr, delay_to_duration, last_sr, lost_sequences, nack_pairs,
    round_trip, total_lost,
};
use paceline_framing::types::NtpTime;
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn a_repeated_fir_number_is_ignored() {
    let mut receiver = FirReceiver::new();
    assert_eq!(receiver.handle_command(1, 2, 200), FirVerdict::New);
    for _ in 0..3 {
        assert_eq!(receiver.handle_command(1, 2, 200), FirVerdict::Repeated);
    }
    assert_eq!(receiver.handle_command(1, 2, 201), FirVerdict::New);
}

#[test]
fn the_first_number_may_be_any() {
    assert_eq!(FirReceiver::new().handle_command(1, 2, 0), FirVerdict::New);
    assert_eq!(FirReceiver::new().handle_command(1, 2, 255), FirVerdict::New);
}

#[test]
fn another_requester_or_another_stream_has_its_own_numbers() {
    let mut receiver = FirReceiver::new();
    assert_eq!(receiver.handle_command(1, 2, 7), FirVerdict::New);
    assert_eq!(receiver.handle_command(3, 2, 7), FirVerdict::New);
    assert_eq!(receiver.handle_command(1, 4, 7), FirVerdict::New);
    assert_eq!(receiver.handle_command(1, 2, 7), FirVerdict::Repeated);
}

#[test]
fn the_requester_that_was_silent_longest_is_forgotten() {
    let mut receiver = FirReceiver::new();
    let most = MAX_REQUESTERS as u32;
    for requester in 0..most {
        assert_eq!(receiver.handle_command(requester, 2, 7), FirVerdict::New);
    }
    assert_eq!(receiver.handle_command(0, 2, 7), FirVerdict::Repeated);
    assert_eq!(receiver.handle_command(most, 2, 7), FirVerdict::New);
    assert_eq!(receiver.handle_command(0, 2, 7), FirVerdict::Repeated);
    assert_eq!(receiver.handle_command(2, 2, 7), FirVerdict::Repeated);
    assert_eq!(receiver.handle_command(1, 2, 7), FirVerdict::New, "it was forgotten");
}

#[test]
fn streams_that_are_not_ours_take_no_place() {
    let mut sender = FirSender::new(1);
    let mut receiver = FirReceiver::new();
    assert_eq!(receiver.handle_command(9, 2, 7), FirVerdict::New);
    for media in 100..100 + 2 * MAX_REQUESTERS as u32 {
        assert!(receiver.handle_request(&sender.request([media]), |ours| ours == 2).is_empty());
    }
    assert_eq!(receiver.handle_command(9, 2, 7), FirVerdict::Repeated);
}

#[test]
fn a_new_request_counts_and_a_repeated_one_does_not() {
    let mut sender = FirSender::new(1);
    let mut receiver = FirReceiver::new();
    assert!(sender.repeat([2]).fir.is_empty());
    for number in (0..=255).chain(0..3) {
        let request = sender.request([2]);
        assert_eq!(request.fir[0].sequence_number, number);
        assert_eq!(sender.repeat([2]), request);
        assert_eq!(receiver.handle_request(&request, |_| true), [2]);
        assert!(receiver.handle_request(&request, |_| true).is_empty());
    }
}

#[test]
fn the_round_trip_of_the_rfcs_figure_is_its_6125_milliseconds() {
    // RFC 3550 §6.4.1, figure 2.
    let sent = NtpTime::from_bits(0xb44d_b705_2000_0000);
    let delay = delay_since_last_sr(Duration::from_millis(5_250));
    let report = ReceptionReport { last_sender_report: last_sr(sent), delay, ..Default::default() };
    let received = NtpTime::from_bits(0xb44d_b710_8000_0000);
    assert_eq!(round_trip(received, &report), Some(Duration::from_millis(6_125)));
}

#[test]
fn there_is_no_round_trip_without_a_report_and_none_below_zero() {
    let now = NtpTime::from_bits(0xb44d_b710_8000_0000);
    assert_eq!(round_trip(now, &ReceptionReport::default()), None);
    let report = |last_sender_report, delay| ReceptionReport {
        last_sender_report,
        delay,
        ..Default::default()
    };
    assert_eq!(round_trip(now, &report(0xb710_8000, 1)), Some(Duration::ZERO));
    assert_eq!(round_trip(now, &report(0xb710_8001, 0)), Some(Duration::ZERO));
    assert_eq!(round_trip(now, &report(1, u32::MAX)), Some(Duration::ZERO));
    // The middle bits wrap every 18 hours.
    let wrapped = NtpTime::from_bits(0xb44e_0000_8000_0000);
    let expected = Duration::from_secs(1);
    assert_eq!(round_trip(wrapped, &report(0xffff_8000, 0)), Some(expected));
}

#[test]
fn a_delay_too_long_to_say_is_the_longest() {
    assert_eq!(delay_since_last_sr(Duration::from_secs(65_536)), u32::MAX);
    assert_eq!(delay_since_last_sr(Duration::MAX), u32::MAX);
}

#[test]
fn a_loss_stays_at_the_last_number_of_24_bits() {
    let report = |lost| ReceptionReport { total_lost: total_lost(lost), ..Default::default() };
    assert_eq!(cumulative_lost(&report(i64::MAX)), 8_388_607);
    assert_eq!(cumulative_lost(&report(i64::MIN)), -8_388_608);
}

proptest! {
    #[test]
    fn a_delay_survives_the_wire(units: u32) {
        prop_assert_eq!(delay_since_last_sr(delay_to_duration(units)), units);
    }

    #[test]
    fn a_loss_survives_the_wire(lost in -8_388_608..=8_388_607_i32) {
        let total_lost = total_lost(lost.into());
        let report = ReceptionReport { total_lost, ..Default::default() };
        prop_assert_eq!(cumulative_lost(&report), lost);
    }

    #[test]
    fn what_is_lost_is_asked_for_once_across_the_wrap(
        first: u16,
        gaps in vec(1..40_u16, 0..200),
    ) {
        let mut lost = vec![first];
        lost.extend(gaps.iter().scan(first, |at, gap| {
            *at = at.wrapping_add(*gap);
            Some(*at)
        }));
        let nack = TransportLayerNack { nacks: nack_pairs(lost.clone()), ..Default::default() };
        prop_assert!(lost_sequences(&nack).eq(lost.iter().copied()));

        // As few as can be: the next pair begins beyond what the one before could name.
        for pairs in nack.nacks.windows(2) {
            prop_assert!(pairs[1].packet_id.wrapping_sub(pairs[0].packet_id) > 16);
        }
    }

    #[test]
    fn in_any_order_all_that_is_lost_is_asked_for(lost in vec(any::<u16>(), 0..100)) {
        let nack = TransportLayerNack { nacks: nack_pairs(lost.clone()), ..Default::default() };
        let mut asked: Vec<_> = lost_sequences(&nack).collect();
        let mut lost = lost;
        asked.sort_unstable();
        asked.dedup();
        lost.sort_unstable();
        lost.dedup();
        prop_assert_eq!(asked, lost);
    }
}
