//! RTP to and from ffmpeg.

use std::collections::BTreeSet;
use std::fs;

use paceline_framing::rtcp::{self, Packet};
use paceline_framing::rtp::Codec;
use paceline_tests::{
    Clip, Peer, Receiver, Recording, Stream, TempDir, check, has_ffmpeg, hashes_in,
};

#[test]
fn h264_of_ffmpeg_comes_out_as_it_was_encoded() {
    if let Some((clip, recording, _dir)) = sent(Codec::H264, "libx264") {
        // RFC 6184 §5.2: all that packetization-mode 1 has.
        let kinds: BTreeSet<_> = recording.packets.iter().map(|(_, p)| p[12] & 0x1f).collect();
        assert!(kinds.iter().any(|kind| (1..24).contains(kind)), "single NAL unit: {kinds:?}");
        assert!(kinds.is_superset(&[24, 28].into()), "STAP-A, FU-A: {kinds:?}");
        check("ffmpeg", &clip, &recording);
        reports(&recording);
    }
}

#[test]
fn vp8_of_ffmpeg_comes_out_as_it_was_encoded() {
    if let Some((clip, recording, _dir)) = sent(Codec::Vp8, "libvpx") {
        check("ffmpeg", &clip, &recording);
        reports(&recording);
    }
}

#[test]
fn vp9_of_ffmpeg_comes_out_as_it_was_encoded() {
    if let Some((clip, recording, _dir)) = sent(Codec::Vp9, "libvpx-vp9") {
        check("ffmpeg", &clip, &recording);
        reports(&recording);
    }
}

#[test]
fn opus_of_ffmpeg_comes_out_as_it_was_encoded() {
    if let Some((clip, recording, _dir)) = sent(Codec::Opus, "libopus") {
        check("ffmpeg", &clip, &recording);
        reports(&recording);
    }
}

#[test]
fn ffmpeg_plays_our_h264_until_our_bye() {
    plays(Codec::H264, "libx264");
}

#[test]
fn ffmpeg_plays_our_vp8_until_our_bye() {
    plays(Codec::Vp8, "libvpx");
}

#[test]
fn ffmpeg_plays_our_vp9_until_our_bye() {
    plays(Codec::Vp9, "libvpx-vp9");
}

#[test]
fn ffmpeg_plays_our_opus_until_our_bye() {
    plays(Codec::Opus, "libopus");
}

/// A clip, and what ffmpeg sends of it.
fn sent(codec: Codec, encoder: &str) -> Option<(Clip, Recording, TempDir)> {
    if !has_ffmpeg(&[encoder]) {
        return None;
    }
    let dir = TempDir::new();
    let clip = Clip::encode(codec, &dir);
    let recording = Recording::of(|rtp, rtcp| {
        Peer::ffmpeg(&format!(
            "-readrate 2 -i {} -c copy -strict experimental -f rtp -rtpflags send_bye \
             -cname clip@ffmpeg rtp://127.0.0.1:{rtp}?rtcpport={rtcp}&pkt_size=1200",
            clip.file.display()
        ))
    });
    Some((clip, recording, dir))
}

/// Its RTCP is understood, and emitted as it came. It tells the stream's source, how many
/// packets that sent, and its end.
fn reports(recording: &Recording) {
    let mut packets = Vec::new();
    for report in &recording.reports {
        let parsed = rtcp::parse(report.clone()).expect("ffmpeg's RTCP");
        assert_eq!(rtcp::emit(&parsed), report, "not emitted as it was parsed");
        packets.extend(parsed);
    }
    let reports = packets.iter().filter_map(|packet| match packet {
        Packet::SenderReport(report) => Some(report),
        _ => None,
    });
    let last = reports.last().expect("a sender report");
    assert_eq!(last.packet_count as usize, recording.packets.len());
    assert!(packets.iter().any(|packet| match packet {
        Packet::SourceDescription(sdes) =>
            sdes.chunks[0].cname().as_deref() == Some(b"clip@ffmpeg"),
        _ => false,
    }));
    let Some(Packet::Goodbye(bye)) = packets.last() else { panic!("the last is a BYE") };
    assert_eq!(bye.sources, [last.ssrc]);
}

/// What ffmpeg receives of our packets is what it decodes of the file, and it ends by
/// itself when it gets our BYE.
fn plays(codec: Codec, encoder: &str) {
    if !has_ffmpeg(&[encoder]) {
        return;
    }
    let dir = TempDir::new();
    let clip = Clip::encode(codec, &dir);
    // Of sound the packets: what of the first is to be heard only Ogg says.
    let copy = if codec == Codec::Opus { "-c copy" } else { "-fps_mode passthrough" };
    let stream = Stream::of(&clip);
    let mut receiver = Receiver::start(true, |port| {
        let sdp = dir.file(format!("{port}.sdp"));
        fs::write(&sdp, stream.sdp(port)).expect("a temporary file can be written");
        let input = format!("-protocol_whitelist file,udp,rtp -i {}", sdp.display());
        // To end because nothing comes any more is an error.
        Peer::ffmpeg(&format!("-xerror {input} {copy} -f framemd5 -"))
    });
    stream.send(&mut receiver);
    stream.end(&mut receiver);
    let received = hashes_in(&receiver.peer.finish());
    let source = Peer::ffmpeg(&format!("-i {} {copy} -f framemd5 -", clip.file.display()));
    assert_eq!(received, hashes_in(&source.finish()));
    assert_eq!(received.len(), clip.frames.len());
    eprintln!("{codec:?} to ffmpeg: {} packets, {} frames", stream.packets(), received.len());
}
