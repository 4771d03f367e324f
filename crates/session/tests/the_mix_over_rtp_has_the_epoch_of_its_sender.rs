//! Media over RTP, where no packet says under which host it was made.

mod common;

use std::time::Duration;

use bytes::Bytes;
use paceline_framing::{Role, rtp};
use paceline_session::types::{
    Bitrate, CELL_BYTES, Carrier, Coding, ConnectionEvent, EncodedFrame, Epoch, NtpTime,
    PacketKind, Ssrc, StreamId,
};
use paceline_session::{Event, Input, MeshConfig, Output, SessionConfig};

use common::{Call, MS, mix, number, own, peer, picture};

fn config() -> SessionConfig {
    SessionConfig::default().mesh(MeshConfig::default().carrier(Carrier::Rtp))
}

/// Five in a call that is under way, and who is next.
fn call() -> (Call, u8) {
    let mut call = Call::with(5, config());
    call.media = true;
    call.run_for(3_000 * MS);
    let next = number(call.node(1).standby().expect("there are enough"));
    (call, next)
}

fn watchers(next: u8) -> impl Iterator<Item = u8> {
    (2..=5).filter(move |&n| n != next)
}

/// A packet of a mix of sound, as `from` would send it.
fn sound_of_mix(from: u8, number: u32) -> ConnectionEvent {
    let ssrc = Ssrc::of(peer(from), StreamId::MIX_AUDIO).expect("a stream").get();
    let mut header = rtp::Header {
        version: 2,
        payload_type: 111,
        sequence_number: number as u16,
        timestamp: 960 * number,
        ssrc,
        ..rtp::Header::default()
    };
    let number = Bytes::copy_from_slice(&number.to_be_bytes());
    header.set_extension(8, number).expect("it fits");
    let payload = Bytes::from_static(&[0xf8, 1, 2]);
    ConnectionEvent::Rtp(rtp::emit(&rtp::Packet { header, payload }))
}

fn inject(call: &mut Call, from: u8, to: u8, event: ConnectionEvent) {
    call.input(to, Input::Connection { peer: peer(from), event });
}

/// The number of the sound that is made now.
fn now_made(call: &Call) -> u32 {
    (call.elapsed().as_millis() / 20) as u32
}

#[test]
fn all_media_go_over_rtp_and_are_told_when_they_were_captured() {
    let (call, _) = call();
    let frames = call.sent.iter().filter(|sent| sent.frame().is_some()).count();
    assert_eq!(frames, 0, "over the channel");
    for n in 2..=5 {
        for stream in [StreamId::MIX_AUDIO, StreamId::MIX_VIDEO] {
            let of_it = call.decoded.iter().filter(|it| it.by == n && it.stream == mix(stream));
            let interval = if stream == StreamId::MIX_AUDIO { 20_000_000 } else { 33_333_333 };
            let mut count = 0;
            for it in of_it {
                let captured = NtpTime::from_unix(Duration::from_nanos(interval * it.seq));
                let off = it.capture.micros_since(captured).abs();
                assert!(off <= 2, "{off} µs off");
                assert_eq!(it.epoch, Some(call_epoch()));
                count += 1;
            }
            assert!(count > 80, "{count} of {stream:?} at {n}");
        }
        let stats = call.node(n).stats();
        assert_eq!((stats.stale_epoch, stats.wrong_role), (0, 0));
        let (_, of_host) =
            call.node(n).peer_stats().into_iter().find(|it| it.0 == peer(1)).unwrap();
        assert_eq!(of_host.carrier, Carrier::Rtp);
        assert_eq!((of_host.rtp.bad_packets, of_host.rtp.missing_packets), (0, 0));
        assert!(of_host.rtp.received_frames > 160);
    }
}

fn call_epoch() -> Epoch {
    Epoch::new(1, 0)
}

#[test]
fn no_frame_is_lost_in_a_handover_and_both_hosts_are_heard_around_the_switch() {
    let (mut call, next) = call();
    call.input(1, Input::HandOver);
    call.run_for(4_000 * MS);
    assert_eq!(call.host(), Some(next));
    for n in watchers(next) {
        for stream in [StreamId::MIX_AUDIO, StreamId::MIX_VIDEO] {
            let seqs = call.seqs(n, mix(stream));
            assert!(seqs.windows(2).all(|two| two[1] == two[0] + 1), "{stream:?} at {n}: {seqs:?}");
            let interval = if stream == StreamId::MIX_AUDIO { 20_000 } else { 33_333 };
            let made = call.elapsed().as_micros() as u64 / interval;
            assert!(seqs.last().is_some_and(|&last| last + 15 > made), "{stream:?} at {n}");
        }
        let faded = |(by, _, output): &&(u8, _, Output)| {
            *by == n && matches!(output, Output::Crossfade { .. })
        };
        assert_eq!(call.heard.iter().filter(faded).count(), 2, "40 ms at {n}");
        let stats = call.node(n).stats();
        assert_eq!((stats.wrong_role, stats.early_dropped), (0, 0), "{n}");
    }
}

#[test]
fn what_the_next_host_sends_before_we_know_him_waits_for_the_word() {
    let (mut call, _) = call();
    // The word takes longer than the media.
    call.slow_channels = 50 * MS;
    call.run_for(1_000 * MS);
    call.kill(1);
    call.run_for(4_000 * MS);
    let next = call.host().expect("somebody is elected");
    for n in watchers(next) {
        let seqs = call.seqs(n, mix(StreamId::MIX_AUDIO));
        let gaps: Vec<_> = seqs.windows(2).filter(|two| two[1] != two[0] + 1).collect();
        assert_eq!(gaps.len(), 1, "nobody hosted for a while, at {n}: {gaps:?}");
        let stats = call.node(n).stats();
        assert_eq!((stats.wrong_role, stats.stale_epoch), (0, 0), "{n}: {stats:?}");
        assert!(stats.early > 0 && stats.early_dropped == 0, "{n}: {stats:?}");
    }
}

#[test]
fn nothing_of_a_host_who_was_replaced_is_heard_and_all_of_it_is_counted() {
    let (mut call, _) = call();
    call.kill(1);
    // Until another is elected; the connections to the dead one are there still.
    let mut waited = 0;
    while call.host().is_none() {
        call.run_for(50 * MS);
        waited += 50;
        assert!(waited < 4_500, "nobody hosts");
    }
    call.run_for(200 * MS);
    let elected = call.host().expect("just seen");
    let mut tried = 0;
    for n in watchers(elected).filter(|&n| n != 1) {
        if !call.links(n).contains(&1) {
            continue;
        }
        tried += 1;
        let before = call.node(n).stats();
        let begin = now_made(&call);
        for ahead in 0..5 {
            inject(&mut call, 1, n, sound_of_mix(1, begin + 20 + ahead));
        }
        let after = call.node(n).stats();
        assert_eq!(after.stale_epoch, before.stale_epoch + 5, "{after:?}");
        assert_eq!(after.wrong_role, before.wrong_role);
    }
    assert!(tried > 0, "whoever was connected to him noticed already");
    let since = call.elapsed();
    call.run_for(1_500 * MS);
    let of_old = |it: &&common::Decoded| it.at > since && it.epoch == Some(call_epoch());
    assert_eq!(call.decoded.iter().filter(of_old).count(), 0);
    for n in watchers(elected) {
        let faded = |(by, at, output): &&(u8, Duration, Output)| {
            *by == n && *at > since && matches!(output, Output::Crossfade { .. })
        };
        assert_eq!(call.heard.iter().filter(faded).count(), 0, "{n}");
    }
}

#[test]
fn a_mix_of_a_member_who_never_hosted_is_dropped_and_counted() {
    let (mut call, next) = call();
    let mut dropped = 0;
    for n in watchers(next) {
        for m in watchers(next).filter(|&m| m != n) {
            if !call.links(n).contains(&m) && n != 1 {
                continue;
            }
            let begin = now_made(&call);
            inject(&mut call, m, n, sound_of_mix(m, begin + 20));
            dropped += 1;
        }
        let begin = now_made(&call);
        inject(&mut call, n, 1, sound_of_mix(n, begin + 20));
        dropped += 1;
    }
    call.run_for(1_000 * MS);
    let all = (1..=5).map(|n| call.node(n).stats());
    let counts: Vec<_> = all.map(|it| (it.wrong_role, it.early_dropped)).collect();
    let sum: u64 = counts.iter().map(|(wrong, early)| wrong + early).sum();
    assert_eq!(sum, dropped, "{counts:?}");
    assert!(counts.iter().any(|&(wrong, _)| wrong > 0), "{counts:?}");
    let at_host = |it: &&common::Decoded| it.by == 1 && it.stream == mix(StreamId::MIX_AUDIO);
    assert_eq!(call.decoded.iter().filter(at_host).count(), 0);
    assert_eq!(call.node(1).roster().iter().filter(|it| it.role == Role::Host).count(), 1);
}

#[test]
fn a_picture_that_is_incomplete_for_good_is_asked_for_once_and_soon() {
    let (mut call, next) = call();
    let n = watchers(next).next().expect("somebody watches");
    let keys = |call: &Call| {
        let steer = |(by, _, output): &&(u8, Duration, Output)| {
            let target = match output {
                Output::Steer { stream: StreamId::MIX_VIDEO, target } => *target,
                _ => return false,
            };
            *by == 1 && target.keyframe
        };
        let at = |(_, at, _): &(u8, Duration, Output)| *at;
        call.heard.iter().filter(steer).map(at).collect::<Vec<_>>()
    };
    let before = keys(&call).len();
    call.lose_next = Some((1, n, 96));
    let lost_at = call.elapsed();
    call.run_for(2_000 * MS);
    assert_eq!(call.lose_next, None);
    let asked = keys(&call);
    assert_eq!(asked.len(), before + 1);
    // The wait for the packet, the picture behind it, and the way of what asks.
    let after = asked[before] - lost_at;
    assert!(after < 400 * MS, "{after:?}");
    let seqs = call.seqs(n, mix(StreamId::MIX_VIDEO));
    let gaps: Vec<_> = seqs.windows(2).filter(|two| two[1] != two[0] + 1).collect();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0][1], gaps[0][0] + 2);
    let asked = call.carried.iter().filter(|(from, to, kind, bytes)| {
        (*from, *to, *kind, bytes[1]) == (n, 1, PacketKind::Rtcp, 206)
    });
    assert_eq!(asked.count(), 1);
}

#[test]
fn the_target_of_a_path_less_the_sound_and_the_headers_is_what_its_encoder_makes() {
    let (mut call, next) = call();
    let target = |call: &mut Call, from: u8, kbps| {
        let event = ConnectionEvent::Target(Bitrate::from_kbps(kbps));
        call.input(1, Input::Connection { peer: peer(from), event });
    };
    let made = |call: &Call| call.node(1).video_bitrate(StreamId::MIX_VIDEO).bps() / 1_000;
    for n in 2..=5 {
        target(&mut call, n, 5_000);
    }
    call.run_for(500 * MS);
    assert_eq!(made(&call), 1_200, "all there may be");
    for n in 2..=5 {
        target(&mut call, n, 600);
    }
    call.run_for(500 * MS);
    // Of 600, a fiftieth for what is sent again, three bytes of sound in 20 ms, and 36 of
    // headers on every packet: 14 of sound and 22 of pictures.
    assert!((545..560).contains(&made(&call)), "{}", made(&call));
    // One bad path of four is not everybody's.
    target(&mut call, next, 150);
    call.run_for(500 * MS);
    assert!((545..560).contains(&made(&call)), "{}", made(&call));
    for n in 2..=5 {
        target(&mut call, n, 1);
    }
    call.run_for(500 * MS);
    let least = made(&call);
    assert!(least > 0 && least < 200, "the least there may be: {least}");
    let (_, stats) = call.node(1).peer_stats().into_iter().find(|it| it.0 == peer(next)).unwrap();
    assert_eq!(stats.target, Some(Bitrate::from_kbps(1)));
}

#[test]
fn a_room_may_have_both() {
    let mut call = Call::new(config());
    for _ in 0..3 {
        call.join();
        call.run_for(300 * MS);
    }
    call.set_config(SessionConfig::default());
    call.join();
    call.run_for(2_300 * MS);
    call.media = true;
    call.run_for(2_000 * MS);
    assert_eq!(call.host(), Some(1));
    for n in 2..=4 {
        for stream in [StreamId::MIX_AUDIO, StreamId::MIX_VIDEO] {
            let seqs = call.seqs(n, mix(stream));
            assert!(seqs.len() > 45 && seqs.windows(2).all(|two| two[1] == two[0] + 1), "{n}");
        }
        let heard =
            call.decoded.iter().filter(|it| it.by == 1 && it.stream == own(n, StreamId::AUDIO));
        assert!(heard.count() > 80);
    }
    assert!(call.carried.iter().all(|&(from, to, ..)| from != 4 && to != 4));
    let lost = |(_, _, output): &&(u8, Duration, Output)| {
        matches!(output, Output::Lost { .. } | Output::Event(Event::Disconnected { .. }))
    };
    assert_eq!(call.heard.iter().filter(lost).count(), 0);
}

/// What has no payload format goes over the channel of the same connection, of which the
/// estimate says nothing.
#[test]
fn an_estimate_is_of_what_goes_over_rtp_and_of_nothing_else() {
    let (mut call, next) = call();
    call.media = false;
    let n = watchers(next).next().expect("there are enough");
    for to in [1, next] {
        let event = ConnectionEvent::Target(Bitrate::from_kbps(200));
        call.input(n, Input::Connection { peer: peer(to), event });
    }
    let made = |call: &Call| call.node(n).video_bitrate(StreamId::VIDEO).bps() / 1_000;
    let begin = call.elapsed().as_millis() as u64 * 3 / 100 + 1;
    let pictures = |call: &mut Call, seqs: std::ops::Range<u64>, is_cells: bool| {
        for seq in seqs {
            let mut frame = picture(StreamId::VIDEO, seq, true);
            if is_cells {
                let (coding, data) =
                    (Coding::Cells { columns: 40, rows: 20 }, [0; 800 * CELL_BYTES]);
                frame = EncodedFrame { coding, data: Bytes::copy_from_slice(&data), ..frame };
            }
            call.encode(n, frame);
            call.run_for(33 * MS);
        }
    };
    pictures(&mut call, begin..begin + 60, true);
    assert_eq!(made(&call), 1_200, "all there may be");
    pictures(&mut call, begin + 60..begin + 70, false);
    assert!((180..=190).contains(&made(&call)), "{}", made(&call));
    pictures(&mut call, begin + 70..begin + 80, true);
    assert_eq!(made(&call), 1_200, "as before");
}

/// A keyframe of more packets than RTP takes goes over the channel of the same path, which
/// takes no more for that.
#[test]
fn what_is_too_much_for_rtp_is_made_as_congestion_control_has_found() {
    let (mut call, next) = call();
    call.media = false;
    let n = watchers(next).next().expect("there are enough");
    for to in [1, next] {
        let event = ConnectionEvent::Target(Bitrate::from_kbps(200));
        call.input(n, Input::Connection { peer: peer(to), event });
    }
    let made = |call: &Call| call.node(n).video_bitrate(StreamId::VIDEO).bps() / 1_000;
    let begin = call.elapsed().as_millis() as u64 * 3 / 100 + 1;
    let big = [&picture(StreamId::VIDEO, 0, true).data[..], &vec![0xab; 1_200_000][..]].concat();
    for seq in begin..begin + 12 {
        let mut frame = picture(StreamId::VIDEO, seq, seq % 10 == begin % 10);
        if seq == begin + 10 {
            frame.data = big.clone().into();
        }
        call.encode(n, frame);
        assert!((160..=190).contains(&made(&call)), "{} at {}", made(&call), seq - begin);
        call.run_for(33 * MS);
    }
    // What builds on it goes after it.
    let by_channel = call.sent.iter().filter(|sent| sent.from == n);
    let seqs: Vec<_> = by_channel.filter_map(|sent| Some(sent.frame()?.seq.get())).collect();
    assert!(!seqs.is_empty() && seqs.iter().all(|&seq| seq == begin + 11), "{seqs:?}");
}
