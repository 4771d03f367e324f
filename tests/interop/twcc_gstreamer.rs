//! Transport-wide congestion control feedback from and to GStreamer's `rtpbin`.

use std::time::Duration;

use paceline_framing::rtcp::{self, Packet, Status, Statuses, TransportFeedback};
use paceline_framing::rtp::{self, Codec};
use paceline_tests::{
    Clip, EXTENSION, Peer, Receiver, Stream, TWCC, TempDir, has_ffmpeg, has_gstreamer, port, send,
    socket,
};

/// A receiver that says of every packet whether it came, and when.
#[test]
fn gstreamer_tells_which_of_our_transport_wide_numbers_came() {
    if !has_ffmpeg(&["libvpx"]) || !has_gstreamer(&["rtpbin"]) {
        return;
    }
    let dir = TempDir::new();
    // They wrap after some.
    let first = u16::MAX - 30;
    let stream = Stream::of(&Clip::encode(Codec::Vp8, &dir)).numbered(first);
    let control = socket();
    let rtcp = port(&control);
    let mut receiver = Receiver::start(false, |port| {
        Peer::gstreamer(&format!(
            "rtpbin name=bin rtp-profile=avpf \
             udpsrc address=127.0.0.1 port={port} caps={} ! bin.recv_rtp_sink_0 \
             bin.send_rtcp_src_0 ! udpsink host=127.0.0.1 port={rtcp} sync=false async=false \
             bin. ! fakesink async=false sync=false",
            stream.caps()
        ))
    });
    let left_out = [10, 11, 40];
    stream.send_without(&mut receiver, &left_out);
    let number = |index: usize| first.wrapping_add(index as u16);
    let indices = (0..stream.packets()).filter(|index| !left_out.contains(index));
    let sent: Vec<_> = indices.map(number).collect();

    // It tells at the end of each picture.
    let (mut arrivals, mut datagrams) = (Vec::new(), 0);
    while arrivals.last().is_none_or(|(number, _)| Some(number) != sent.last()) {
        let datagram = receiver.next(&control);
        let packets = rtcp::parse(datagram.clone()).expect("GStreamer's RTCP");
        assert_eq!(rtcp::emit(&packets), datagram, "not emitted as it was parsed");
        for packet in packets {
            if let Packet::TransportFeedback(feedback) = packet {
                arrivals.extend(feedback.arrivals());
                datagrams += 1;
            }
        }
    }
    assert!(arrivals.iter().map(|(number, _)| *number).eq(sent));
    assert!(arrivals.is_sorted_by_key(|(_, time)| *time));
    eprintln!("GStreamer: {datagrams} feedbacks of {} packets", arrivals.len());
}

/// A sender that counts what our feedback tells.
#[test]
fn gstreamer_counts_what_our_transport_wide_feedback_says() {
    let elements = ["rtpbin", "videotestsrc", "x264enc", "rtph264pay"];
    if !has_gstreamer(&elements) {
        return;
    }
    let media = socket();
    let rtp = port(&media);
    let mut receiver = Receiver::start(false, |port| {
        Peer::gstreamer(&format!(
            "-v rtpbin name=bin videotestsrc is-live=true ! \
             video/x-raw,width=320,height=180,framerate=25/1 ! \
             x264enc tune=zerolatency speed-preset=ultrafast ! rtph264pay mtu=1200 ! \
             application/x-rtp,extmap-{EXTENSION}={TWCC} ! bin.send_rtp_sink_0 \
             bin.send_rtp_src_0 ! udpsink host=127.0.0.1 port={rtp} sync=false async=false \
             udpsrc address=127.0.0.1 port={port} ! bin.recv_rtcp_sink_0"
        ))
    });
    let mut numbers = Vec::new();
    let mut media_ssrc = 0;
    for _ in 0..20 {
        let packet = rtp::parse(receiver.next(&media)).expect("GStreamer's RTP");
        let number = packet.header.get_extension(EXTENSION).expect("it was asked to number them");
        numbers.push(u16::from_be_bytes([number[0], number[1]]));
        media_ssrc = packet.header.ssrc;
    }
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    let statuses = (0..numbers.len()).map(|index| match index {
        3 | 4 | 9 => Status::Lost,
        // A tenth of a second: two bytes.
        6 => Status::Received { delta: 400 },
        _ => Status::Received { delta: 40 },
    });
    let feedback = TransportFeedback {
        sender_ssrc: SSRC,
        media_ssrc,
        base_sequence: numbers[0],
        reference_time: 1,
        feedback_count: 0,
        statuses: Statuses::new(statuses),
    };
    send(&media, &rtcp::emit(&[Packet::TransportFeedback(feedback)]), receiver.port);
    // It says so itself, when a property changes.
    let said = loop {
        let said = receiver.peer.written();
        if let Some(stats) = said.lines().find(|line| line.contains("twcc-stats")) {
            break stats.to_owned();
        }
        let over = receiver.peer.is_over_within(Duration::from_millis(20));
        assert!(!over, "{}", receiver.peer.complaint());
    };
    assert!(said.contains("packets-sent=(uint)20"), "{said}");
    assert!(said.contains("packets-recv=(uint)17"), "{said}");
    eprintln!("GStreamer: 17 of 20 packets came, it learned by our feedback");
}

/// Who received.
const SSRC: u32 = 0x0a5c_0a5c;
