//! Pictures that their sender leaves out, and whether that costs a keyframe more.

mod common;

use paceline_framing::{Control, rtcp};
use paceline_session::types::{Carrier, PacketKind, StreamId};
use paceline_session::{Input, MeshConfig, SessionConfig};

use common::{Call, MS, mix, picture};

/// Who hosts two, and shows pictures of a mix of which some are missing: which are keyframes,
/// and how often one is asked for.
struct Show {
    call: Call,
    next: u64,
    /// Whether the other cannot decode what he plays, and says so.
    is_stuck: bool,
}

impl Show {
    fn new(carrier: Carrier) -> Self {
        let config = SessionConfig::default().mesh(MeshConfig::default().carrier(carrier));
        let call = Call::with(2, config);
        assert_eq!(call.host(), Some(1));
        // Media time goes on with the call's.
        let next = call.elapsed().as_millis() as u64 / 33;
        let mut show = Self { call, next, is_stuck: false };
        show.send(true);
        (0..30).for_each(|_| show.send(false));
        show
    }

    fn send(&mut self, key: bool) {
        self.call.encode(1, picture(StreamId::MIX_VIDEO, self.next, key));
        self.skip(1);
    }

    /// The sender leaves so many out.
    fn skip(&mut self, count: u64) {
        for _ in 0..count {
            self.next += 1;
            let played = self.call.decoded.len();
            self.call.run_for(33 * MS);
            if self.is_stuck && self.call.decoded.len() > played {
                self.call.input(2, Input::NeedsKeyframe(mix(StreamId::MIX_VIDEO)));
            }
        }
    }

    /// How often the host was asked for a keyframe.
    fn asked(&self) -> usize {
        let over_channel = |it: &&common::Sent| {
            it.from == 2 && matches!(it.control(), Some(Control::KeyframeRequest { .. }))
        };
        let is_pli =
            |packet: &rtcp::Packet| matches!(packet, rtcp::Packet::PictureLossIndication(_));
        let carried = self
            .call
            .carried
            .iter()
            .filter(|&&(from, _, kind, _)| from == 2 && kind == PacketKind::Rtcp);
        let over_rtp = carried.filter(|(.., bytes)| {
            rtcp::parse(bytes.clone()).expect("it is RTCP").iter().any(is_pli)
        });
        self.call.sent.iter().filter(over_channel).count() + over_rtp.count()
    }

    fn lost(&self) -> u64 {
        let mut stats = self.call.node(2).receive_stats().into_iter();
        stats.find(|it| it.0 == mix(StreamId::MIX_VIDEO)).expect("it came").1.jitter.lost
    }
}

#[test]
fn what_is_left_out_up_to_a_keyframe_costs_that_keyframe_alone() {
    for carrier in [Carrier::Channel, Carrier::Rtp] {
        let mut show = Show::new(carrier);
        let asked = show.asked();
        show.skip(3);
        show.send(true);
        (0..30).for_each(|_| show.send(false));
        assert_eq!((show.lost(), show.asked()), (3, asked), "{carrier:?}");
    }
}

#[test]
fn what_is_missing_before_a_picture_that_builds_on_it_is_asked_for() {
    for carrier in [Carrier::Channel, Carrier::Rtp] {
        let mut show = Show::new(carrier);
        let asked = show.asked();
        show.skip(3);
        (0..6).for_each(|_| show.send(false));
        assert_eq!((show.lost(), show.asked()), (3, asked + 1), "{carrier:?}");
    }
}

#[test]
fn a_keyframe_that_could_not_be_decoded_either_is_asked_for_again() {
    for carrier in [Carrier::Channel, Carrier::Rtp] {
        let mut show = Show::new(carrier);
        let asked = show.asked();
        show.skip(3);
        show.send(true);
        show.is_stuck = true;
        (0..6).for_each(|_| show.send(false));
        assert!(show.asked() > asked, "{carrier:?}");
    }
}
