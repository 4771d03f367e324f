//! Frames over RTP: they come back as they went, with the numbers they had, and what is
//! missing is asked for once.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

#[allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Net, ms, peer, sender};
use paceline_mesh::framing::rtcp::{self, FirEntry, FullIntraRequest, PictureLossIndication};
use paceline_mesh::framing::rtp;
use paceline_mesh::framing::{Body, Control, Packet};
use paceline_mesh::types::{
    AudioCodec, Bitrate, CELL_BYTES, Carrier, Coding, ConnectionEvent, EncodedFrame, Frequency,
    MediaTime, NtpTime, PacketKind, SeqNo, Ssrc, StreamId, VideoCodec,
};
use paceline_mesh::{
    CacheConfig, CaptureTime, Event, MeshConfig, PacerConfig, Recipients, RtpConfig, RtpStats,
};
use proptest::prelude::*;

fn config(carrier: Carrier) -> MeshConfig {
    MeshConfig::default().pacer(PacerConfig::default().probe_bytes(0)).carrier(carrier)
}

/// Two who carry RTP, and a path that takes 4 Mbit/s.
fn pair() -> Net {
    let mut net = Net::with(&[1, 2], config(Carrier::Rtp));
    net.connect(2, 1);
    let target = ConnectionEvent::Target(Bitrate::from_kbps(4_000));
    net.tell(peer(1), peer(2), target);
    net
}

const START: u64 = (3 << 32) - 5_000;

/// Annex B: parameter sets and a slice, or a slice.
fn picture(seq: u64, key: bool, len: usize) -> EncodedFrame {
    let mut data = Vec::new();
    if key {
        data.extend([0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0xab, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80]);
    }
    data.extend([0, 0, 0, 1, if key { 0x65 } else { 0x41 }, 0x88]);
    data.resize(data.len() + len, 0xab);
    EncodedFrame {
        stream: StreamId::VIDEO,
        seq: SeqNo::new(seq),
        // The timestamp wraps within the test, for the third time.
        time: MediaTime::new(START + 3_000 * seq, Frequency::VIDEO),
        capture: NtpTime::from_unix(Duration::from_secs(1_000) + ms(33 * seq)),
        coding: Coding::Video {
            codec: VideoCodec::H264,
            key,
            discardable: false,
            width: 640,
            height: 360,
        },
        data: data.into(),
    }
}

/// The same of VP8: a frame tag, and of a keyframe its start code and size.
fn vp8(seq: u64, key: bool, len: usize) -> EncodedFrame {
    let mut data = vec![0xab; len];
    data[0] = if key { 0x10 } else { 0x11 };
    if key {
        data[3..10].copy_from_slice(&[0x9d, 0x01, 0x2a, 64, 0, 48, 0]);
    }
    let coding =
        Coding::Video { codec: VideoCodec::Vp8, key, discardable: false, width: 64, height: 48 };
    EncodedFrame { coding, data: data.into(), ..picture(seq, key, 0) }
}

fn sound(seq: u64) -> EncodedFrame {
    EncodedFrame {
        stream: StreamId::AUDIO,
        time: MediaTime::new((7 << 32) + 960 * seq, Frequency::AUDIO),
        capture: NtpTime::from_unix(Duration::from_secs(1_000) + ms(20 * seq)),
        coding: Coding::Audio { codec: AudioCodec::Opus, channels: 2 },
        // Two channels of 20 ms.
        data: vec![0xfc, seq as u8, 3, 4].into(),
        ..picture(seq, true, 0)
    }
}

fn cells(seq: u64) -> EncodedFrame {
    EncodedFrame {
        coding: Coding::Cells { columns: 2, rows: 1 },
        data: vec![0; 2 * CELL_BYTES].into(),
        ..picture(seq, true, 0)
    }
}

fn send(net: &mut Net, n: u8, frame: EncodedFrame) {
    let packet = Packet { sender: sender(n), epoch: None, body: Body::Media(frame) };
    let now = net.now;
    net.mesh(n).send(now, Recipients::All, &packet);
    net.settle();
}

/// The frames that came to somebody.
fn frames(net: &Net, n: u8) -> Vec<EncodedFrame> {
    let frame =
        |(at, event): &(_, Event)| match event {
            Event::Packet {
                packet: Packet { body: Body::Media(frame), epoch: None, .. }, ..
            } if *at == peer(n) => Some(frame.clone()),
            _ => None,
        };
    net.events.iter().filter_map(frame).collect()
}

fn seqs(net: &Net, n: u8, stream: StreamId) -> Vec<u64> {
    let frames = frames(net, n);
    frames.iter().filter(|it| it.stream == stream).map(|it| it.seq.get()).collect()
}

/// The keyframes that somebody was asked for.
fn requests(net: &Net, n: u8) -> Vec<StreamId> {
    let mut streams = Vec::new();
    for (at, event) in &net.events {
        if let Event::Packet { packet, .. } = event
            && let Body::Control(Control::KeyframeRequest { stream }) = &packet.body
            && *at == peer(n)
        {
            streams.push(*stream);
        }
    }
    streams
}

fn stats(net: &mut Net, n: u8, of: u8) -> RtpStats {
    net.mesh(n).stats(peer(of)).expect("he is known").rtp
}

/// As it comes over RTP: its size is in the bitstream.
fn without_size(frame: EncodedFrame) -> EncodedFrame {
    match frame.coding {
        Coding::Video { codec, key, discardable, .. } => EncodedFrame {
            coding: Coding::Video { codec, key, discardable, width: 0, height: 0 },
            ..frame
        },
        _ => frame,
    }
}

/// A call of so many pictures, at 30 a second, with sound at 50.
fn run(net: &mut Net, pictures: std::ops::Range<u64>) {
    for at in pictures.start * 100 / 3..pictures.end * 100 / 3 {
        if at % 20 == 0 {
            send(net, 1, sound(at / 20));
        }
        if at * 3 / 100 != (at.saturating_sub(1)) * 3 / 100 || at == 0 {
            send(net, 1, picture(at * 3 / 100, at == 0, 3_000));
        }
        net.run_for(ms(1));
    }
}

#[test]
fn frames_come_back_as_they_went() {
    let mut net = pair();
    run(&mut net, 0..60);
    net.run_for(ms(50));
    let came = frames(&net, 2);
    let pictures: Vec<_> = came.iter().filter(|it| it.stream == StreamId::VIDEO).collect();
    assert_eq!(pictures.len(), 60);
    for (seq, &came) in pictures.iter().enumerate() {
        let went = without_size(picture(seq as u64, seq == 0, 3_000));
        // The clock of pictures has 30 of them in a second, not one in 33 ms.
        let off = came.capture.micros_since(went.capture).abs();
        assert!(off < 500 * 60, "{off}");
        assert_eq!(*came, EncodedFrame { capture: came.capture, ..went });
    }
    let heard: Vec<_> = came.into_iter().filter(|it| it.stream == StreamId::AUDIO).collect();
    assert_eq!(heard.len(), 100);
    for (seq, came) in heard.into_iter().enumerate() {
        let went = sound(seq as u64);
        assert!(came.capture.micros_since(went.capture).abs() <= 1);
        assert_eq!(came, EncodedFrame { capture: came.capture, ..went });
    }
    assert_eq!(net.mesh(2).carrier(peer(1)), Some(Carrier::Rtp));
    let stats = stats(&mut net, 2, 1);
    assert_eq!((stats.bad_packets, stats.missing_packets, stats.asked), (0, 0, 0));
    let sent = stats_of_sender(&mut net);
    assert_eq!((sent.sent_frames, sent.shed_frames), (160, 0));
    let video = net.carried.iter().find(|it| it.kind == PacketKind::Rtp).expect("it went");
    let header = rtp::parse(video.bytes.clone()).expect("RTP").header;
    assert!(header.sequence_number > 0 && header.sequence_number < 1 << 15);
}

#[test]
fn each_report_stamps_all_frames_up_to_the_next_and_says_so_of_the_first() {
    let mut net = pair();
    run(&mut net, 0..75);
    send(&mut net, 1, cells(75));
    net.run_for(ms(50));
    let of = |stream, is_it: fn(CaptureTime) -> bool| {
        let came = net.events.iter().filter_map(move |(at, event)| match event {
            Event::Packet { packet: Packet { body: Body::Media(frame), .. }, capture, .. } => {
                (*at == peer(2) && frame.stream == stream && is_it(*capture))
                    .then(|| frame.seq.get())
            }
            _ => None,
        });
        came.collect::<Vec<_>>()
    };
    for stream in [StreamId::VIDEO, StreamId::AUDIO] {
        let reported = of(stream, |it| it == CaptureTime::Reported);
        // With the first two frames, and each second.
        assert_eq!((reported.len(), &reported[..2]), (4, &[0, 1][..]), "{reported:?}");
    }
    let reports = reports(&net);
    assert_eq!(reports, 8);
    assert_eq!(of(StreamId::VIDEO, |it| it == CaptureTime::Own), [75], "over the channel");
}

/// The sender reports that went.
fn reports(net: &Net) -> usize {
    let carried = net.carried.iter().filter(|it| it.kind == PacketKind::Rtcp);
    let packets = carried.flat_map(|it| rtcp::parse(it.bytes.clone()).expect("it is RTCP"));
    packets.filter(|packet| matches!(packet, rtcp::Packet::SenderReport(_))).count()
}

fn stats_of_sender(net: &mut Net) -> RtpStats {
    stats(net, 1, 2)
}

#[test]
fn one_packet_that_is_lost_is_one_frame_that_is_lost_and_sound_waits_for_nothing() {
    let mut net = pair();
    run(&mut net, 0..10);
    // A middle packet of the next picture: the report is due by the clock, not with it.
    let packets = |net: &Net| net.carried.len();
    let before = packets(&net);
    send(&mut net, 1, picture(10, false, 3_000));
    net.run_for(ms(20));
    let is_video = |it: &common::Carried| {
        let ssrc = Ssrc::of(peer(1), StreamId::VIDEO).expect("a stream").get();
        it.kind == PacketKind::Rtp && rtp::parse(it.bytes.clone()).unwrap().header.ssrc == ssrc
    };
    let of_ten: Vec<_> = (before..packets(&net)).filter(|&at| is_video(&net.carried[at])).collect();
    assert_eq!(of_ten.len(), 3);

    // The same once more, and one of the packets of the eleventh does not come.
    let next = packets(&net) + 1;
    net.lost.insert(next);
    send(&mut net, 1, picture(11, false, 3_000));
    net.run_for(ms(30));
    assert!(is_video(&net.carried[next]));
    let lost_at = net.elapsed();
    let mut heard_late = 0;
    for seq in 12..30 {
        send(&mut net, 1, picture(seq, false, 300));
        send(&mut net, 1, sound(1_000 + seq));
        heard_late +=
            u64::from(frames(&net, 2).last().is_none_or(|it| it.stream != StreamId::AUDIO));
        net.run_for(ms(33));
    }
    assert_eq!(heard_late, 0, "sound waited");
    assert!(net.elapsed() - lost_at > ms(300));
    let seen = seqs(&net, 2, StreamId::VIDEO);
    assert_eq!(seen, Vec::from_iter((0..11).chain(12..30)));
    let stats = stats(&mut net, 2, 1);
    assert_eq!((stats.missing_packets, stats.broken_frames), (1, 1 + 1));
    assert!(requests(&net, 1).is_empty(), "that is for who knows what is played");
}

#[test]
fn a_packet_that_comes_a_round_trip_late_completes_its_frame() {
    let mut net = pair();
    run(&mut net, 0..5);
    let next = net.carried.len() + 1;
    net.lost.insert(next);
    send(&mut net, 1, picture(5, false, 3_000));
    net.run_for(ms(33));
    send(&mut net, 1, picture(6, false, 300));
    // Seen after 33 ms, asked for 100 ms later, and here after a round trip of 100.
    net.run_for(ms(200));
    assert_eq!(seqs(&net, 2, StreamId::VIDEO).last(), Some(&4));
    let again = ConnectionEvent::Rtp(net.carried[next].bytes.clone());
    net.tell(peer(2), peer(1), again);
    net.settle();
    assert_eq!(seqs(&net, 2, StreamId::VIDEO), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_keyframe_is_asked_for_once_and_again_only_if_none_comes() {
    let mut net = pair();
    run(&mut net, 0..5);
    let ask = |net: &mut Net| {
        let now = net.now;
        net.mesh(2).request_keyframe(now, peer(1), StreamId::VIDEO);
        net.settle();
    };
    for _ in 0..10 {
        ask(&mut net);
    }
    assert_eq!(requests(&net, 1), [StreamId::VIDEO]);
    // It may have been lost.
    for seq in 5..20 {
        send(&mut net, 1, picture(seq, false, 300));
        net.run_for(ms(33));
    }
    assert_eq!(requests(&net, 1).len(), 1);
    net.run_for(ms(10));
    assert_eq!(requests(&net, 1).len(), 2);
    // Nothing comes any more: whom to ask?
    net.run_for(ms(3_000));
    assert_eq!(requests(&net, 1).len(), 2);
    ask(&mut net);
    assert_eq!(requests(&net, 1).len(), 3);
    send(&mut net, 1, picture(20, true, 300));
    net.run_for(ms(3_000));
    assert_eq!(requests(&net, 1).len(), 3, "there is one");
    ask(&mut net);
    assert_eq!(requests(&net, 1).len(), 4);
    assert_eq!(stats(&mut net, 2, 1).asked, 4);
    assert_eq!(stats(&mut net, 1, 2).asked_of_us, 4);
}

#[test]
fn a_keyframe_that_is_coming_in_is_not_asked_for_again() {
    let mut net = pair();
    run(&mut net, 0..5);
    // Paced at 250 kbit/s, it takes 800 ms.
    net.tell(peer(1), peer(2), ConnectionEvent::Target(Bitrate::from_kbps(100)));
    let now = net.now;
    net.mesh(2).request_keyframe(now, peer(1), StreamId::VIDEO);
    net.settle();
    let asked = net.elapsed();
    send(&mut net, 1, picture(5, true, 25_000));
    while seqs(&net, 2, StreamId::VIDEO).last() != Some(&5) {
        assert!(net.elapsed() - asked < ms(2_000), "it does not come");
        net.run_for(ms(10));
    }
    assert!(net.elapsed() - asked > ms(700), "after {:?}", net.elapsed() - asked);
    net.run_for(ms(2_000));
    assert_eq!(requests(&net, 1), [StreamId::VIDEO]);
}

#[test]
fn a_frame_that_is_never_whole_does_not_keep_a_keyframe_from_being_asked_for() {
    let mut net = pair();
    run(&mut net, 0..5);
    let now = net.now;
    net.mesh(2).request_keyframe(now, peer(1), StreamId::VIDEO);
    net.settle();
    // The last packet of it does not come, nor anything after it.
    let last = net.carried.len() + 2;
    net.lost.insert(last);
    send(&mut net, 1, picture(5, false, 3_000));
    net.run_for(ms(2_400));
    assert!(rtp::parse(net.carried[last].bytes.clone()).unwrap().header.marker);
    assert_eq!(requests(&net, 1).len(), 1);
    net.run_for(ms(200));
    assert_eq!(requests(&net, 1).len(), 2);
}

#[test]
fn a_fir_that_is_repeated_is_ignored_and_one_for_sound_is_refused() {
    let mut net = pair();
    let of = |stream| Ssrc::of(peer(1), stream).expect("a stream").get();
    let fir = |entries: &[(StreamId, u8)]| {
        let entry = |&(stream, sequence_number)| FirEntry { ssrc: of(stream), sequence_number };
        let fir = entries.iter().map(entry).collect();
        let fir = FullIntraRequest { sender_ssrc: 7, media_ssrc: 0, fir };
        ConnectionEvent::Rtcp(rtcp::emit(&[rtcp::Packet::FullIntraRequest(fir)]))
    };
    for number in [4, 4, 4, 5, 5] {
        net.tell(peer(1), peer(2), fir(&[(StreamId::MIX_VIDEO, number)]));
    }
    net.settle();
    assert_eq!(requests(&net, 1), [StreamId::MIX_VIDEO; 2]);
    net.tell(peer(1), peer(2), fir(&[(StreamId::AUDIO, 1)]));
    let pli = PictureLossIndication { sender_ssrc: 7, media_ssrc: 0x1234 };
    let pli = rtcp::emit(&[rtcp::Packet::PictureLossIndication(pli)]);
    net.tell(peer(1), peer(2), ConnectionEvent::Rtcp(pli));
    net.settle();
    assert_eq!(requests(&net, 1).len(), 2);
    assert_eq!(stats(&mut net, 1, 2).bad_packets, 2);
}

#[test]
fn what_has_no_payload_format_goes_over_the_channel_and_so_do_requests_for_it() {
    let mut net = pair();
    send(&mut net, 1, cells(0));
    assert!(net.carried.is_empty());
    assert_eq!(frames(&net, 2), [cells(0)]);
    let now = net.now;
    net.mesh(2).request_keyframe(now, peer(1), StreamId::VIDEO);
    net.settle();
    assert_eq!(requests(&net, 1), [StreamId::VIDEO]);
    assert!(net.carried.is_empty());
    // Bytes that are no H.264 may be to whoever gets them.
    let broken = EncodedFrame { data: Bytes::from_static(b"?"), ..picture(1, true, 0) };
    send(&mut net, 1, broken.clone());
    assert_eq!(frames(&net, 2).last(), Some(&broken));
    assert_eq!(stats(&mut net, 1, 2).unpacketized, 1);
}

#[test]
fn a_keyframe_of_more_packets_than_a_receiver_holds_goes_over_the_channel_and_so_does_what_builds_on_it()
 {
    let mut net = Net::with(&[1, 2, 3], config(Carrier::Rtp));
    net.connect(2, 1);
    net.tell(peer(1), peer(2), ConnectionEvent::Target(Bitrate::from_kbps(4_000)));
    for seq in 0..10 {
        send(&mut net, 1, picture(seq, seq == 0, 3_000));
        net.run_for(ms(33));
    }
    let (carried, needs) = (net.carried.len(), net.events.len());
    let large = 1_400_000;
    for seq in 10..20 {
        send(&mut net, 1, picture(seq, seq == 10, if seq == 10 { large } else { 3_000 }));
        net.run_for(ms(33));
        assert_eq!(net.mesh(1).target_of(peer(2), StreamId::VIDEO), None);
    }
    assert_eq!(net.carried.len(), carried, "nothing of it goes beside it");
    // It is too much to be kept for who comes meanwhile, and whoever asks does so by its way.
    net.connect(3, 1);
    let now = net.now;
    net.mesh(2).request_keyframe(now, peer(1), StreamId::VIDEO);
    net.settle();
    assert_eq!(requests(&net, 1), [StreamId::VIDEO]);
    assert_eq!(net.carried.len(), carried);
    assert_eq!(stats(&mut net, 1, 2).unpacketized, 10);
    // The next one is smaller.
    for seq in 20..30 {
        send(&mut net, 1, picture(seq, seq == 20, 3_000));
        net.run_for(ms(33));
        assert!(net.mesh(1).target_of(peer(2), StreamId::VIDEO).is_some());
    }
    assert_eq!(seqs(&net, 2, StreamId::VIDEO), Vec::from_iter(0..30));
    assert_eq!(seqs(&net, 3, StreamId::VIDEO), Vec::from_iter(20..30));
    let came = frames(&net, 2);
    assert_eq!(came[10], picture(10, true, large));
    let asks =
        |(at, event): &&(_, Event)| *at == peer(1) && matches!(event, Event::NeedsKeyframe { .. });
    assert_eq!(net.events[needs..].iter().filter(asks).count(), 1, "for who came");
    assert_eq!(stats(&mut net, 1, 2).shed_frames, 0);
}

#[test]
fn who_does_not_carry_rtp_gets_the_same_over_the_channel() {
    let mut net = Net::of(&[
        (1, config(Carrier::Rtp)),
        (2, config(Carrier::Rtp)),
        (3, config(Carrier::Channel)),
    ]);
    net.connect(2, 1);
    net.connect(3, 1);
    net.tell(peer(1), peer(2), ConnectionEvent::Target(Bitrate::from_kbps(4_000)));
    run(&mut net, 0..20);
    for n in [2, 3] {
        assert_eq!(seqs(&net, n, StreamId::VIDEO), Vec::from_iter(0..20), "{n}");
    }
    assert!(net.carried.iter().all(|it| (it.from, it.to) == (peer(1), peer(2))));
    assert_eq!(net.mesh(1).carrier(peer(3)), Some(Carrier::Channel));
    assert_eq!(net.mesh(1).target(peer(3)), None);
    assert_eq!(net.mesh(1).target(peer(2)), Some(Bitrate::from_kbps(4_000)));
    let to_three = frames(&net, 3);
    let last = to_three.iter().rfind(|it| it.stream == StreamId::VIDEO).expect("it came");
    assert_eq!(*last, picture(19, false, 3_000), "with its size");
    // And a packet from who said he would not is none.
    let stray = ConnectionEvent::Rtp(net.carried[0].bytes.clone());
    net.tell(peer(3), peer(1), stray);
    assert_eq!(stats(&mut net, 3, 1).bad_packets, 1);
}

#[test]
fn a_newcomer_is_shown_what_the_others_see_by_what_carries_it_and_no_keyframe_is_made() {
    let mut net = Net::of(&[
        (1, config(Carrier::Rtp)),
        (2, config(Carrier::Rtp)),
        (3, config(Carrier::Rtp)),
        (4, config(Carrier::Channel)),
    ]);
    net.connect(2, 1);
    net.events.clear();
    for seq in 0..30 {
        send(&mut net, 1, picture(seq, seq == 0, 3_000));
        net.run_for(ms(33));
    }
    net.connect(3, 1);
    net.connect(4, 1);
    for seq in 30..60 {
        send(&mut net, 1, picture(seq, false, 3_000));
        net.run_for(ms(33));
    }
    for n in [2, 3, 4] {
        assert_eq!(seqs(&net, n, StreamId::VIDEO), Vec::from_iter(0..60), "{n}");
    }
    let needs =
        |(at, event): &&(_, Event)| *at == peer(1) && matches!(event, Event::NeedsKeyframe { .. });
    assert_eq!(net.events.iter().filter(needs).count(), 0);
    assert_eq!(net.mesh(1).mesh_stats().replayed, 60);
    // It is much at once, and paced all the same: 2.5 Mbit/s and a burst.
    let to_three: Vec<_> = net.carried.iter().filter(|it| it.to == peer(3)).collect();
    let begin = to_three[0].at;
    let early = to_three.iter().filter(|it| it.at - begin < ms(100));
    let bits: usize = early.map(|it| it.bytes.len() * 8).sum();
    assert!(bits < 2_500 * 105 + 2 * 9_600, "{bits} bits in 100 ms");
}

#[test]
fn a_newcomer_is_shown_as_much_over_rtp_as_over_the_channel() {
    for carrier in [Carrier::Rtp, Carrier::Channel] {
        let cache = CacheConfig::default().max_bytes(140_000);
        let (host, others) = (config(carrier).cache(cache), config(carrier));
        let mut net = Net::of(&[(1, host), (2, others.clone()), (3, others.clone()), (4, others)]);
        net.connect(2, 1);
        let needs = |net: &Net| {
            let is_it = |(at, event): &&(_, Event)| {
                *at == peer(1) && matches!(event, Event::NeedsKeyframe { .. })
            };
            net.events.iter().filter(is_it).count()
        };
        // 120 kB of 140, and what it takes to hold them.
        for seq in 0..20 {
            send(&mut net, 1, picture(seq, seq == 0, 6_000));
            net.run_for(ms(33));
        }
        let before = needs(&net);
        net.connect(3, 1);
        assert_eq!(needs(&net), before, "{carrier:?}");
        for seq in 20..24 {
            send(&mut net, 1, picture(seq, false, 6_000));
        }
        net.connect(4, 1);
        assert_eq!(needs(&net), before + 1, "{carrier:?}");
    }
}

#[test]
fn who_takes_less_than_he_is_sent_sees_less_and_a_keyframe_is_asked_for() {
    let mut net = pair();
    net.tell(peer(1), peer(2), ConnectionEvent::Target(Bitrate::from_kbps(100)));
    run(&mut net, 0..60);
    let needs =
        |(at, event): &&(_, Event)| *at == peer(1) && matches!(event, Event::NeedsKeyframe { .. });
    // One when he came and nothing was kept for him.
    assert_eq!(net.events.iter().filter(needs).count(), 2);
    let sent = stats(&mut net, 1, 2);
    assert!(sent.shed_frames > 40, "{sent:?}");
    assert_eq!(seqs(&net, 2, StreamId::AUDIO).len(), 100, "all of the sound");
    assert!(net.mesh(1).stats(peer(2)).expect("known").shed >= sent.shed_frames);
}

#[test]
fn a_target_that_comes_before_the_hello_counts_and_ends_with_the_connection() {
    let mut net = Net::with(&[1, 2], config(Carrier::Rtp));
    let now = net.now;
    net.mesh(2).call(now, peer(1), sender(1)).expect("he calls");
    let target = Bitrate::from_kbps(4_000);
    net.tell(peer(2), peer(1), ConnectionEvent::Target(target));
    net.mesh(1).expect(now, peer(2), sender(2)).expect("he is expected");
    net.settle();
    assert_eq!(net.mesh(2).target(peer(1)), Some(target));
    assert_eq!(net.mesh(1).target(peer(2)), Some(Bitrate::from_kbps(1_000)), "as it begins");
    net.break_off(1, 2);
    net.run_for(ms(3_000));
    assert!(net.connected(1, 2));
    assert_eq!(net.mesh(2).target(peer(1)), Some(Bitrate::from_kbps(1_000)), "of another path");
}

#[test]
fn the_capacity_of_a_path_is_what_congestion_control_has_measured() {
    let mut net = Net::with(&[1, 2], config(Carrier::Rtp));
    net.connect(2, 1);
    run(&mut net, 0..5);
    let capacity = |net: &mut Net| net.mesh(1).stats(peer(2)).expect("known").capacity;
    assert_eq!(capacity(&mut net), None, "nothing was said yet");
    let (start, target) = (Bitrate::from_kbps(1_450), Bitrate::from_kbps(4_000));
    for _ in 0..2 {
        net.tell(peer(1), peer(2), ConnectionEvent::Target(start));
        assert_eq!(capacity(&mut net), None, "it begins with that, and has measured nothing");
    }
    assert_eq!(net.mesh(1).target(peer(2)), Some(start));
    net.tell(peer(1), peer(2), ConnectionEvent::Target(target));
    assert_eq!(capacity(&mut net), Some(target));
    net.tell(peer(1), peer(2), ConnectionEvent::Target(start));
    assert_eq!(capacity(&mut net), Some(start), "this time it is measured");
    net.tell(peer(1), peer(2), ConnectionEvent::Target(target));
    net.run_for(ms(3_000));
    let now = net.now;
    let quality = net.mesh(1).quality(now, peer(2)).expect("connected");
    assert_eq!(quality.capacity, Some(target));
}

#[test]
fn a_path_on_which_nothing_goes_is_probed_until_congestion_control_has_measured_it() {
    let mut net = Net::with(&[1, 2], MeshConfig::default().carrier(Carrier::Rtp));
    net.connect(2, 1);
    net.tell(peer(1), peer(2), ConnectionEvent::Target(Bitrate::from_kbps(1_450)));
    let sent = |net: &mut Net| net.mesh(1).stats(peer(2)).expect("known").sent_bytes;
    let (before, span) = (sent(&mut net), ms(120_000));
    net.run_for(span);
    let probed = sent(&mut net) - before;
    assert!(probed > 2 * (32 << 10), "{probed} bytes");
    net.tell(peer(1), peer(2), ConnectionEvent::Target(Bitrate::from_kbps(4_000)));
    let before = sent(&mut net);
    net.run_for(span);
    let quiet = sent(&mut net) - before;
    assert!(quiet < 32 << 10, "{quiet} bytes");
}

#[test]
fn what_is_left_out_is_not_told_as_sent() {
    let mut net = pair();
    run(&mut net, 0..5);
    let sent = |net: &mut Net| {
        let now = net.now;
        net.mesh(1).quality(now, peer(2)).expect("connected").sent_bytes
    };
    let before = sent(&mut net);
    assert!(before > 0);
    net.cut = vec![(peer(1), peer(2)), (peer(2), peer(1))];
    net.tell(peer(1), peer(2), ConnectionEvent::Path { up: false });
    for seq in 5..10 {
        send(&mut net, 1, picture(seq, false, 3_000));
        send(&mut net, 1, sound(100 + seq));
    }
    assert_eq!(sent(&mut net), before);
}

#[test]
fn without_a_path_nothing_waits_and_afterwards_a_keyframe_is_needed() {
    let mut net = pair();
    run(&mut net, 0..5);
    net.events.clear();
    let sent = net.carried.len();
    net.cut = vec![(peer(1), peer(2)), (peer(2), peer(1))];
    net.tell(peer(1), peer(2), ConnectionEvent::Path { up: false });
    net.settle();
    for seq in 5..10 {
        send(&mut net, 1, picture(seq, seq == 7, 3_000));
        send(&mut net, 1, sound(100 + seq));
    }
    assert_eq!(net.carried.len(), sent);
    let now = net.now;
    assert_eq!(net.mesh(1).load(now, peer(2)).expect("known").backlog, 0);
    net.cut.clear();
    net.tell(peer(1), peer(2), ConnectionEvent::Path { up: true });
    net.settle();
    let needs = |(_, event): &&(_, Event)| matches!(event, Event::NeedsKeyframe { .. });
    assert_eq!(net.events.iter().filter(needs).count(), 1);
    send(&mut net, 1, picture(10, true, 300));
    assert_eq!(seqs(&net, 2, StreamId::VIDEO).last(), Some(&10));
}

#[test]
fn what_overtakes_the_hello_is_not_lost() {
    let mut net = pair();
    run(&mut net, 0..3);
    let early: Vec<_> = net.carried.clone();
    // The same packets to somebody who has not had the hello yet.
    let mut late = Net::with(&[1, 2], config(Carrier::Rtp));
    let now = late.now;
    late.mesh(2).call(now, peer(1), sender(1)).expect("he calls");
    let event = |it: &common::Carried| match it.kind {
        PacketKind::Rtcp => ConnectionEvent::Rtcp(it.bytes.clone()),
        _ => ConnectionEvent::Rtp(it.bytes.clone()),
    };
    for it in early.iter().filter(|it| it.from == peer(1)) {
        late.tell(peer(2), peer(1), event(it));
    }
    assert!(frames(&late, 2).is_empty());
    late.mesh(1).expect(now, peer(2), sender(2)).expect("he is expected");
    late.settle();
    assert_eq!(seqs(&late, 2, StreamId::VIDEO), [0, 1, 2]);
    // Its bytes count once, beside those of the channel.
    let bytes: usize = early.iter().filter(|it| it.from == peer(1)).map(|it| it.bytes.len()).sum();
    let mut other = Net::with(&[1, 2], config(Carrier::Rtp));
    other.connect(2, 1);
    let received = |net: &mut Net| net.mesh(2).stats(peer(1)).expect("known").received_bytes;
    assert_eq!(received(&mut late), received(&mut other) + bytes as u64);
    // But not without end.
    let small = config(Carrier::Rtp).rtp(RtpConfig::default().max_early(2_000));
    let mut small = Net::with(&[1, 2], small);
    small.mesh(2).call(now, peer(1), sender(1)).expect("he calls");
    for it in early.iter().filter(|it| it.from == peer(1)) {
        small.tell(peer(2), peer(1), event(it));
    }
    assert!(stats(&mut small, 2, 1).bad_packets >= 7, "of nine large ones");
}

#[test]
fn a_late_packet_of_the_codec_before_leaves_the_pictures_of_the_codec_after() {
    let mut net = pair();
    run(&mut net, 0..5);
    let lost = net.carried.len() + 1;
    net.lost.insert(lost);
    send(&mut net, 1, picture(5, false, 3_000));
    net.run_for(ms(33));
    // Paced at 250 kbit/s, it takes 400 ms.
    net.tell(peer(1), peer(2), ConnectionEvent::Target(Bitrate::from_kbps(100)));
    send(&mut net, 1, vp8(6, true, 12_000));
    net.run_for(ms(200));
    assert_eq!(seqs(&net, 2, StreamId::VIDEO).last(), Some(&4), "it is half here");
    let late = ConnectionEvent::Rtp(net.carried[lost].bytes.clone());
    for _ in 0..2 {
        net.tell(peer(2), peer(1), late.clone());
    }
    net.run_for(ms(400));
    assert_eq!(seqs(&net, 2, StreamId::VIDEO).last(), Some(&6));
    assert_eq!(frames(&net, 2).last().map(|it| it.data.len()), Some(12_000));
    assert_eq!(stats(&mut net, 2, 1).bad_packets, 2);
    // And back again.
    send(&mut net, 1, picture(7, true, 300));
    net.run_for(ms(200));
    assert_eq!(seqs(&net, 2, StreamId::VIDEO).last(), Some(&7));
}

#[test]
fn packets_that_are_of_nothing_he_may_send_are_refused() {
    let mut net = pair();
    run(&mut net, 0..2);
    let mut went = net.carried.iter().filter(|it| it.kind == PacketKind::Rtp);
    let mut went = went.by_ref().map(|it| rtp::parse(it.bytes.clone()).expect("RTP"));
    let good = went.find(|it| it.header.payload_type == 96).expect("a picture went");
    let mut strays = Vec::new();
    let mut stray = |change: &dyn Fn(&mut rtp::Packet)| {
        let mut packet = good.clone();
        change(&mut packet);
        strays.push(rtp::emit(&packet));
    };
    let of = |n, stream| Ssrc::of(peer(n), stream).expect("a stream").get();
    // H.264 as sound, sound as pictures, our own source, a stranger's, a codec of nobody.
    stray(&|it| it.header.ssrc = of(1, StreamId::MIX_AUDIO));
    stray(&|it| it.header.payload_type = 111);
    stray(&|it| it.header.ssrc = of(2, StreamId::VIDEO));
    stray(&|it| it.header.ssrc = 1);
    stray(&|it| it.header.payload_type = 35);
    // Without a number.
    stray(&|it| it.header.extension = false);
    stray(&|it| {
        it.header.extensions.clear();
        it.header.set_extension(8, Bytes::from_static(&[1, 2, 3])).expect("it fits");
    });
    let (bad, came) = (strays.len() as u64, frames(&net, 2).len());
    for stray in strays {
        net.tell(peer(2), peer(1), ConnectionEvent::Rtp(stray));
    }
    net.settle();
    assert_eq!(stats(&mut net, 2, 1).bad_packets, bad);
    assert_eq!(frames(&net, 2).len(), came);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever a peer's packets are: no panic, no more held than the bounds, and the call
    /// goes on.
    #[test]
    fn any_packets_leave_the_connection_as_it_was(
        strays in prop::collection::vec(
            (any::<bool>(), any::<[u8; 12]>(), 0..5_u8, prop::collection::vec(any::<u8>(), 0..200)),
            1..200,
        ),
    ) {
        let mut net = pair();
        for (is_rtcp, head, form, body) in strays {
            let mut bytes = head.to_vec();
            bytes[0] = 0x80 | bytes[0] & 0x3f;
            let streams = [StreamId::VIDEO, StreamId::AUDIO, StreamId::MIX_VIDEO];
            let id = streams.get(usize::from(form)).and_then(|&it| Ssrc::of(peer(2), it));
            if let (Some(id), false) = (id, is_rtcp) {
                bytes[0] = 0x90;
                bytes[1] = bytes[1] & 0x80 | [96, 111, 97][usize::from(form)];
                bytes[8..12].copy_from_slice(&id.get().to_be_bytes());
                bytes.extend([0xbe, 0xde, 0, 2, 0x83, head[8], head[9], head[10], head[11], 0, 0, 0]);
            } else if let (Some(id), true) = (id, is_rtcp) {
                bytes[0] = 0x80;
                bytes[1] = 200;
                bytes[2..4].copy_from_slice(&[0, 7]);
                bytes[4..8].copy_from_slice(&id.get().to_be_bytes());
                bytes.extend([head[8]; 20]);
            }
            bytes.extend(body);
            let bytes = Bytes::from(bytes);
            let event = if is_rtcp { ConnectionEvent::Rtcp(bytes) } else { ConnectionEvent::Rtp(bytes) };
            net.tell(peer(1), peer(2), event);
            net.settle();
            net.run_for(ms(u64::from(head[3]) % 50));
        }
        net.run_for(ms(1_000));
        prop_assert!(net.connected(1, 2));
        run(&mut net, 0..3);
        net.run_for(ms(50));
        prop_assert_eq!(seqs(&net, 2, StreamId::VIDEO), [0, 1, 2]);
    }
}

#[test]
fn a_connection_that_is_made_anew_begins_anew() {
    let mut net = pair();
    run(&mut net, 0..5);
    let sent = stats(&mut net, 1, 2).sent_packets;
    assert!(sent > 0);
    let first = net.carried.len();
    net.break_off(1, 2);
    net.run_for(ms(3_000));
    assert!(net.connected(1, 2));
    let replayed = net.carried[first..].iter().filter(|it| it.kind == PacketKind::Rtp).count();
    let counts = stats(&mut net, 1, 2).sent_packets;
    assert_eq!(counts, sent + replayed as u64, "counts go on");
    send(&mut net, 1, picture(50, true, 300));
    net.run_for(ms(50));
    let of_new = |index: usize| rtp::parse(net.carried[index].bytes.clone()).unwrap().header;
    let of_video = |index: usize| {
        net.carried[index].kind == PacketKind::Rtp && of_new(index).payload_type == 96
    };
    let begin = (0..first).find(|&at| of_video(at)).expect("it went");
    let packet = (first..net.carried.len()).find(|&at| of_video(at)).expect("it goes");
    assert_eq!(of_new(packet).sequence_number, of_new(begin).sequence_number);
    assert_eq!(seqs(&net, 2, StreamId::VIDEO).last(), Some(&50));
}
