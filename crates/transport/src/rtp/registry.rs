//! The chain, as the engine takes it.

use std::time::Duration;

use interceptor::{
    NackGeneratorBuilder, NackResponderBuilder, ReceiverReportBuilder, Registry, Slot,
    TwccReceiverBuilder, TwccSenderBuilder,
};

use super::RtpConfig;
use super::again::Again;
use super::ledger::{LEDGER, Ledger, Refused};
use super::rest::Rest;
use super::tap::Tap;
use super::told::Told;
use super::unanswered::Unanswered;

/// The interceptors of a path of RTP, from the network to the application, and the tap at
/// their end:
///
/// | interceptor | does |
/// |---|---|
/// | ledger | refuses feedback of far more than was sent, and RTP whose numbers jump; has what nobody told of forgotten |
/// | congestion control | makes a target out of the feedback |
/// | transport-wide numbers | numbers what is sent |
/// | once a round trip | does not send a packet again that is on its way again; reports are from a source of ours |
/// | retransmission | sends again what is asked for |
/// | request | asks for what is missing, up to [`RtpConfig::max_nacks`] times |
/// | feedback | tells when each packet came |
/// | receiver report | RFC 3550 §6.4.2 |
/// | tap | the application's end |
///
/// Sender reports are the application's: it knows when its pictures were taken. So is pacing.
/// All of it sleeps when no RTP comes or goes.
#[must_use]
pub fn registry(config: &RtpConfig) -> (Registry, Tap) {
    let (tap, end) = Tap::new(config);
    let (interval, size) = (tick(config.nack_interval), buffer(config.nack_buffer));
    let [feedback_interval, report_interval] =
        [config.feedback_interval, config.report_interval].map(tick);
    let unanswered = Unanswered::default();
    tap.heed(unanswered.clone());
    let told = tap.clone();
    let control = Told::control(config, unanswered.clone(), move |target| told.set_target(target));
    let requests = NackGeneratorBuilder::new()
        .with_size(size.min(MAX_MISSING))
        .with_interval(interval)
        .with_max_nacks_per_packet(config.max_nacks.max(1));
    let feedback = TwccReceiverBuilder::new().with_interval(feedback_interval);
    let reports = ReceiverReportBuilder::new().with_interval(report_interval);
    // Until it is given up for good.
    let repair = interval.saturating_mul(u32::from(config.max_nacks.max(1)) + 1);
    let refused = tap.clone();
    let ledger = Ledger::new(move |of: Refused| {
        refused.count(|stats| {
            stats.feedback_refused += of.feedback;
            stats.withheld += of.asked;
            stats.refused += of.rtp;
        });
    });
    let registry = Registry::new()
        .with(Slot::from(LEDGER), ledger)
        .with(Slot::CongestionControl, control)
        .with(Slot::TwccSender, TwccSenderBuilder::new().build())
        .with(Slot::from(AGAIN), Again::new(tap.clone(), unanswered))
        .with(Slot::NackResponder, NackResponderBuilder::new().with_size(size).build())
        .with(Slot::NackGenerator, Rest::new(requests.build(), repair))
        .with(Slot::TwccReceiver, Rest::new(feedback.build(), feedback_interval))
        .with(Slot::ReceiverReport, Rest::new(reports.build(), report_interval))
        .with(Slot::from(TAP), end);
    (registry, tap)
}

/// How often an interceptor ticks.
fn tick(interval: Duration) -> Duration {
    interval.clamp(LEAST_TICK, MOST_TICK)
}

/// What both the sender and the receiver of retransmissions take as a size.
fn buffer(packets: u16) -> u16 {
    packets.clamp(1 << 6, MAX_KEPT).next_power_of_two()
}

/// The most packets of a stream of which a receiver knows whether they came. What a request holds
/// (RFC 4585 §6.2.1, 253 pairs as the engine writes it) names 4,301 in a row, and of more nothing is
/// asked for. And at each tick after a gap what is missing is compared with what was asked for, each
/// with each: 16 million times, some milliseconds.
const MAX_MISSING: u16 = 1 << 12;

/// The most packets of a stream that are kept to be sent again: a quarter of all numbers. SRTP knows
/// which round of them one is of by the one that it was given last, whether that was new or is
/// sent again (RFC 3711 §3.3.1): after one from half of them ago it takes what is new for the round
/// before, under a key stream that was used. So much may be left out besides.
pub(crate) const MAX_KEPT: u16 = 1 << 14;

/// No deadline of ours is finer, and none that is further away is waited for.
const LEAST_TICK: Duration = Duration::from_millis(1);
const MOST_TICK: Duration = Duration::from_secs(3_600);

/// Between what sends again and what numbers: of a packet that is stopped there no number is
/// missing in the feedback.
const AGAIN: usize = 3_500;

/// The application's end, beyond every slot that the engine names.
const TAP: usize = 14_000;
