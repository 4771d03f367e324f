//! RTP while a path is looked for anew, and while there is none.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

mod pair;

use std::collections::BTreeSet;
use std::time::Duration;

use paceline_transport::rtp::RtpConfig;
use paceline_transport::types::{Bitrate, ConnectionOp, PeerId};
use pair::packet::{STREAMS, parse, rtp, source};
use pair::{A, B, Pair, Side, WATCHDOG, numbered, rtp_config};

fn numbers(side: &Side, from: PeerId) -> BTreeSet<u16> {
    let ours = source(from, STREAMS[0].0);
    let parsed = side.rtp.iter().map(|packet| parse(packet));
    parsed.filter(|packet| packet.source == ours).map(|packet| packet.seq).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_both_ways_goes_on_over_a_restart_and_is_repaired() {
    // On a busy machine a restart takes longer than it is asked for by default, and more is lost
    // meanwhile than the first target has room for.
    let config = RtpConfig::default().max_nacks(100).start_bitrate(Bitrate::from_kbps(20_000));
    let mut pair = Pair::new(rtp_config().rtp(config), None).opened().await;
    let (stream, payload_type) = STREAMS[0];
    let mut tick = tokio::time::interval(Duration::from_millis(2));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut seq, mut restarts, mut restarted) = (0_u16, 0, None);
    // The sound of either end stops some time after the restart.
    let work = async {
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    for (side, from) in [(&mut pair.a, A), (&mut pair.b, B)] {
                        let packet =
                            rtp(source(from, stream), payload_type, seq, u32::from(seq), &[1; 900]);
                        // While there is no path it goes nowhere.
                        side.send_rtp(packet).expect("room");
                    }
                    seq += 1;
                    // One after the other: offers that cross are dropped, and nobody rolls back.
                    let is_over = pair.a.paths.len() == restarts && pair.b.paths.len() == restarts;
                    if restarts < 2 && is_over && usize::from(seq) >= 100 + 200 * restarts {
                        let side = if restarts == 0 { &mut pair.a } else { &mut pair.b };
                        restarts += 1;
                        side.apply(ConnectionOp::RestartIce);
                        side.send(numbered(u32::from(seq), 1_000)).expect("room");
                    }
                }
                () = pair.turn() => pair.bring(),
            }
            if pair.a.paths.len() == 2 && pair.b.paths.len() == 2 {
                let since = *restarted.get_or_insert(seq);
                // All of it, but what is asked for still.
                let all = usize::from(since) + 100;
                if numbers(&pair.a, B).range(..since + 100).count() == all
                    && numbers(&pair.b, A).range(..since + 100).count() == all
                {
                    break;
                }
            }
        }
    };
    tokio::time::timeout(WATCHDOG, work).await.expect("media stopped");
    pair.until(|a, b| a.messages.len() == 1 && b.messages.len() == 1).await;
    let again = pair.a.transport.rtp_stats(B).expect("it carries RTP").retransmitted;
    println!("two restarts on loopback: {again} of {seq} packets sent again");
    assert_eq!((&pair.a.closed, &pair.b.closed), (&None, &None));
    pair.shutdown().await;
}
