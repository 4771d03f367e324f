//! RTCP to and from GStreamer's `rtpbin`.
#![expect(clippy::disallowed_methods, reason = "a peer answers in real time")]

use std::net::UdpSocket;
use std::time::Instant;

use bytes::Bytes;
use paceline_framing::rtcp::{
    self, FirSender, Packet, PictureLossIndication, ReceiverReport, ReceptionReport, SdesChunk,
    SdesItem, SourceDescription, TransportLayerNack, cumulative_lost, last_sr, nack_pairs,
};
use paceline_framing::rtp::{self, Codec, Depacketizer, DepacketizerConfig, Frame, Output};
use paceline_framing::types::NtpTime;
use paceline_tests::{
    Clip, Peer, Receiver, Stream, TempDir, has_ffmpeg, has_gstreamer, port, send, socket,
};

/// An encoder that makes one key frame, and others when it is told to.
#[test]
fn gstreamer_makes_key_frames_for_our_pli_and_fir_and_repeats_for_our_nack() {
    let elements = ["rtpbin", "videotestsrc", "x264enc", "rtph264pay", "rtprtxsend"];
    if !has_gstreamer(&elements) {
        return;
    }
    let (media, control) = (socket(), socket());
    let (rtp, rtcp) = (port(&media), port(&control));
    let receiver = Receiver::start(false, |port| {
        Peer::gstreamer(&format!(
            "rtpbin name=bin videotestsrc is-live=true ! \
             video/x-raw,width=320,height=180,framerate=25/1 ! \
             x264enc tune=zerolatency speed-preset=ultrafast key-int-max=100000 ! \
             rtph264pay pt=96 mtu=1200 config-interval=-1 ! \
             rtprtxsend payload-type-map=application/x-rtp-pt-map,96=(uint)97 ! \
             bin.send_rtp_sink_0 \
             bin.send_rtp_src_0 ! udpsink host=127.0.0.1 port={rtp} sync=false async=false \
             bin.send_rtcp_src_0 ! udpsink host=127.0.0.1 port={rtcp} sync=false async=false \
             udpsrc address=127.0.0.1 port={port} ! bin.recv_rtcp_sink_0"
        ))
    });
    let mut sender = Sender { media, receiver, stream: None };

    assert!(sender.frame().key, "the first");
    let ssrc = sender.stream.as_ref().expect("a packet came").0;
    assert!((0..10).all(|_| !sender.frame().key), "nobody asked");

    let pli = PictureLossIndication { sender_ssrc: SSRC, media_ssrc: ssrc };
    sender.ask(Packet::PictureLossIndication(pli));
    let after_pli = sender.frames_to_key();
    assert!((0..10).all(|_| !sender.frame().key), "one is enough");

    sender.ask(Packet::FullIntraRequest(FirSender::new(SSRC).request([ssrc])));
    let after_fir = sender.frames_to_key();

    let last = sender.frame();
    let lost = last.first_seq.wrapped() as u16;
    let nacks = nack_pairs([lost]);
    sender.ask(Packet::Nack(TransportLayerNack { sender_ssrc: SSRC, media_ssrc: ssrc, nacks }));
    // RFC 4588 §4: the number that it had, then its payload.
    let repeated = sender.repeated();
    assert_eq!(repeated[..2], lost.to_be_bytes());
    eprintln!("GStreamer: key frames {after_pli} after PLI, {after_fir} after FIR; {lost} again");

    // Its own reports are understood, and emitted as they came.
    loop {
        let packets = compound(&sender.receiver.next(&control));
        let Packet::SenderReport(report) = &packets[0] else { panic!("an SR: {packets:?}") };
        // There are two sources: what is sent again has one of its own.
        if report.ssrc == ssrc {
            assert_ne!(report.packet_count, 0);
            return;
        }
    }
}

/// A receiver that tells in its reports what it got, and when our report was.
#[test]
fn gstreamer_reports_our_sender_report_and_what_we_left_out() {
    if !has_ffmpeg(&["libopus"]) || !has_gstreamer(&["rtpbin", "rtpopusdepay"]) {
        return;
    }
    let dir = TempDir::new();
    let stream = Stream::of(&Clip::encode(Codec::Opus, &dir));
    let control = socket();
    let rtcp = port(&control);
    let mut receiver = Receiver::start(true, |port| {
        let (caps, above) = (stream.caps(), port + 1);
        Peer::gstreamer(&format!(
            "rtpbin name=bin \
             udpsrc address=127.0.0.1 port={port} caps={caps} ! bin.recv_rtp_sink_0 \
             udpsrc address=127.0.0.1 port={above} ! bin.recv_rtcp_sink_0 \
             bin.send_rtcp_src_0 ! udpsink host=127.0.0.1 port={rtcp} sync=false async=false \
             bin. ! rtpopusdepay ! fakesink async=false sync=false"
        ))
    });
    let left_out = [10, 11, 40];
    stream.send_without(&mut receiver, &left_out);
    receiver.wait_for_queue(0);
    let ours = stream.report();
    send(&control, &rtcp::emit(&ours), receiver.port + 1);

    let Packet::SenderReport(sent) = &ours[0] else { panic!("a sender report: {ours:?}") };
    loop {
        let packets = compound(&receiver.next(&control));
        let Packet::ReceiverReport(ReceiverReport { reports, .. }) = &packets[0] else {
            panic!("a receiver report: {packets:?}")
        };
        // What is sent before our packets come has none.
        let Some(report) = reports.first() else { continue };
        assert_eq!(report.ssrc, sent.ssrc);
        // Nor does it tell all while packets, or our report, are on their way.
        let last = report.last_sequence_number & 0xffff == u32::from(stream.last_seq());
        if !last || report.last_sender_report == 0 {
            continue;
        }
        // GStreamer 1.22 counts the first packet as received, but the second as the first
        // to be expected: with nothing left out it reports -1.
        let lost = cumulative_lost(report);
        assert!((2..=3).contains(&lost), "{lost} lost, {left_out:?} left out");
        assert_eq!(report.last_sender_report, last_sr(NtpTime::from_bits(sent.ntp_time)));
        eprintln!("GStreamer: {} packets, {lost} lost, last SR known", stream.packets());
        return;
    }
}

/// GStreamer as a sender.
struct Sender {
    media: UdpSocket,
    /// Its port is for RTCP.
    receiver: Receiver,
    /// Its source, and what makes frames of that.
    stream: Option<(u32, Depacketizer)>,
}

impl Sender {
    /// A packet, of whatever source and payload type.
    fn packet(&mut self) -> rtp::Packet {
        rtp::parse(self.receiver.next(&self.media)).expect("GStreamer's RTP")
    }

    /// The next frame.
    fn frame(&mut self) -> Frame {
        loop {
            let packet = self.packet();
            let (_, depacketizer) = self.stream.get_or_insert_with(|| {
                let (ssrc, config) = (packet.header.ssrc, DepacketizerConfig::default());
                (ssrc, Depacketizer::new(ssrc, Codec::H264, config))
            });
            let _ = depacketizer.handle_packet(Instant::now(), packet);
            if let Some(output) = depacketizer.poll_output() {
                let Output::Frame(frame) = output else { panic!("nothing is lost: {output:?}") };
                return frame;
            }
        }
    }

    /// How many frames come before a key frame.
    fn frames_to_key(&mut self) -> usize {
        (0..MAX_FRAMES).find(|_| self.frame().key).expect("a key frame")
    }

    /// The payload of the next packet of the other payload type.
    fn repeated(&mut self) -> Bytes {
        let mut packets = (0..MAX_FRAMES).map(|_| self.packet());
        packets.find(|packet| packet.header.payload_type == 97).expect("a repeated packet").payload
    }

    /// Sends feedback, in a full compound (RFC 4585 §3.1).
    fn ask(&self, feedback: Packet) {
        let (ssrc, _) = self.stream.as_ref().expect("it sends");
        let reports = vec![ReceptionReport { ssrc: *ssrc, ..ReceptionReport::default() }];
        let report = ReceiverReport { ssrc: SSRC, reports, ..ReceiverReport::default() };
        let chunks = vec![SdesChunk::new(SSRC, [SdesItem::cname("asks@paceline")])];
        let sdes = Packet::SourceDescription(SourceDescription { chunks });
        let compound = rtcp::emit(&[Packet::ReceiverReport(report), sdes, feedback]);
        send(&self.media, &compound, self.receiver.port);
    }
}

/// A full compound of GStreamer's: understood, and emitted as it came.
fn compound(datagram: &Bytes) -> Vec<Packet> {
    let packets = rtcp::parse(datagram.clone()).expect("GStreamer's RTCP");
    assert_eq!(rtcp::emit(&packets), datagram, "not emitted as it was parsed");
    assert_eq!(rtcp::validate_compound(&packets), Ok(()));
    packets
}

/// Who asks.
const SSRC: u32 = 0x0a5c_0a5c;

/// Ours: four seconds of pictures, on a machine that is busy.
const MAX_FRAMES: usize = 100;
