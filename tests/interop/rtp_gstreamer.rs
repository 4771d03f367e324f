//! RTP to and from GStreamer. Clips are ffmpeg's here too.

use std::collections::BTreeSet;
use std::fs;

use paceline_framing::rtp::Codec;
use paceline_tests::{
    Clip, Peer, Receiver, Recording, Stream, TempDir, check, has_ffmpeg, has_gstreamer,
};

#[test]
fn h264_of_gstreamer_comes_out_as_it_was_encoded() {
    let elements = ["matroskademux", "h264parse", "rtph264pay"];
    let pay = "matroskademux ! h264parse ! rtph264pay mtu=1200 aggregate-mode=zero-latency";
    if let Some((clip, recording, _dir)) = sent(Codec::H264, "libx264", &elements, pay) {
        // RFC 6184 §5.2: all that packetization-mode 1 has.
        let kinds: BTreeSet<_> = recording.packets.iter().map(|(_, p)| p[12] & 0x1f).collect();
        assert!(kinds.iter().any(|kind| (1..24).contains(kind)), "single NAL unit: {kinds:?}");
        assert!(kinds.is_superset(&[24, 28].into()), "STAP-A, FU-A: {kinds:?}");
        check("GStreamer", &clip, &recording);
    }
}

#[test]
fn vp8_of_gstreamer_comes_out_as_it_was_encoded() {
    let elements = ["ivfparse", "rtpvp8pay"];
    let pay = "ivfparse ! rtpvp8pay mtu=1200 picture-id-mode=15-bit";
    if let Some((clip, recording, _dir)) = sent(Codec::Vp8, "libvpx", &elements, pay) {
        check("GStreamer", &clip, &recording);
    }
}

#[test]
fn vp9_of_gstreamer_comes_out_as_it_was_encoded() {
    let elements = ["ivfparse", "vp9parse", "rtpvp9pay"];
    let pay = "ivfparse ! vp9parse ! rtpvp9pay mtu=1200 picture-id-mode=15-bit";
    if let Some((clip, recording, _dir)) = sent(Codec::Vp9, "libvpx-vp9", &elements, pay) {
        check("GStreamer", &clip, &recording);
    }
}

#[test]
fn opus_of_gstreamer_comes_out_as_it_was_encoded() {
    let elements = ["oggdemux", "opusparse", "rtpopuspay"];
    let pay = "oggdemux ! opusparse ! rtpopuspay";
    if let Some((clip, recording, _dir)) = sent(Codec::Opus, "libopus", &elements, pay) {
        check("GStreamer", &clip, &recording);
    }
}

#[test]
fn gstreamer_plays_our_h264() {
    let elements = ["rtph264depay", "h264parse", "avdec_h264"];
    plays(Codec::H264, "libx264", &elements);
}

#[test]
fn gstreamer_plays_our_vp8() {
    plays(Codec::Vp8, "libvpx", &["rtpvp8depay", "vp8dec"]);
}

#[test]
fn gstreamer_plays_our_vp9() {
    plays(Codec::Vp9, "libvpx-vp9", &["rtpvp9depay", "vp9dec"]);
}

#[test]
fn gstreamer_takes_our_opus_packet_by_packet() {
    plays(Codec::Opus, "libopus", &["rtpopusdepay"]);
}

/// A clip, and what GStreamer sends of it.
fn sent(
    codec: Codec,
    encoder: &str,
    elements: &[&str],
    pay: &str,
) -> Option<(Clip, Recording, TempDir)> {
    if !has_ffmpeg(&[encoder]) || !has_gstreamer(elements) {
        return None;
    }
    let dir = TempDir::new();
    let clip = Clip::encode(codec, &dir);
    let mut file = clip.file.clone();
    if codec == Codec::H264 {
        // A byte stream has no times.
        file.set_extension("mkv");
        let _ = Peer::ffmpeg(&format!("-i {} -c copy {}", clip.file.display(), file.display()))
            .finish();
    }
    let recording = Recording::of(|rtp, _| {
        let source = format!("filesrc location={}", file.display());
        Peer::gstreamer(&format!("{source} ! {pay} ! udpsink host=127.0.0.1 port={rtp}"))
    });
    Some((clip, recording, dir))
}

/// What GStreamer receives of our packets, by way of its jitter buffer, and decodes, is
/// what ffmpeg decodes of the file. It takes as many packets as there are, and ends.
fn plays(codec: Codec, encoder: &str, elements: &[&str]) {
    if !has_ffmpeg(&[encoder]) || !has_gstreamer(&["rtpjitterbuffer"]) || !has_gstreamer(elements) {
        return;
    }
    let dir = TempDir::new();
    let clip = Clip::encode(codec, &dir);
    let stream = Stream::of(&clip);
    let output = dir.file("output");
    let mut receiver = Receiver::start(false, |port| {
        let (packets, caps) = (stream.packets(), stream.caps());
        let picture = if codec == Codec::Opus { "" } else { "! video/x-raw,format=I420" };
        Peer::gstreamer(&format!(
            "udpsrc address=127.0.0.1 port={port} num-buffers={packets} caps={caps} ! \
             rtpjitterbuffer ! {} {picture} ! filesink sync=false location={}",
            elements.join(" ! "),
            output.display()
        ))
    });
    stream.send(&mut receiver);
    let _ = receiver.peer.finish();
    let received = fs::read(&output).expect("GStreamer wrote it");
    let source = match codec {
        Codec::Opus => clip.frames.iter().flat_map(|frame| frame.data.clone()).collect(),
        _ => Peer::ffmpeg(&format!("-i {} -f rawvideo -", clip.file.display())).finish(),
    };
    assert!(received == source, "{} bytes of {}", received.len(), source.len());
    let frames = clip.frames.len();
    eprintln!("{codec:?} to GStreamer: {} packets, {frames} frames", stream.packets());
}
