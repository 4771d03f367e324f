//! SRTP as another implementation reads it: ffmpeg writes down the sound it gets.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "srtp")]

use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_transport::types::PacketKind;
use paceline_transport::{
    CryptoSuite, PlainUplink, PlainUplinkConfig, SrtpKey, TrackKind, UplinkTrack,
};
use shared::marshal::Marshal;

const SUITE: CryptoSuite = CryptoSuite::AesCm128HmacSha1_80;
/// Thirty bytes of the value 1, in base64.
const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";

/// Removed when dropped, also by a panic.
struct Sdp(std::path::PathBuf);

impl Drop for Sdp {
    fn drop(&mut self) {
        // Who has not been written is not there.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn ffmpeg_reads_what_a_plain_uplink_sends() {
    // Another may take the port, or the one after it, before ffmpeg does: then it ends at once.
    for last in [false, false, true] {
        if attempt(last).await {
            return;
        }
    }
}

/// Whether ffmpeg heard us, or is not there; it must, if this is the last attempt.
async fn attempt(last: bool) -> bool {
    // A port that is free now. ffmpeg binds it, and the one after it.
    let free = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let sdp = format!(
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {} RTP/SAVP 0\r\na=rtpmap:0 PCMU/8000\r\na=rtcp-mux\r\n\
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n",
        address.port(),
    );
    let name = format!("paceline-plain-{}-{}.sdp", std::process::id(), address.port());
    let file = Sdp(std::env::temp_dir().join(name));
    std::fs::write(&file.0, sdp).expect("a file");
    let child = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-protocol_whitelist", "file,udp,rtp,srtp"])
        .args(["-analyzeduration", "0", "-i"])
        .arg(&file.0)
        .args(["-t", "0.5", "-f", "u8", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            println!("skipped: ffmpeg cannot be run: {error}");
            return true;
        }
    };
    let key = |fill| SrtpKey::new(SUITE, &[fill; 30]).expect("30 bytes");
    let track = UplinkTrack::new(TrackKind::Audio, "audio/PCMU", 8_000, 0, 7);
    let config = PlainUplinkConfig::new(address, key(1), key(2)).track(track);
    let mut uplink = PlainUplink::new(config);
    uplink.ready().await;
    // It listens when it listens: it is sent to until it has had enough.
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let (begun, mut seq) = (Instant::now(), 0_u16);
    let ended = loop {
        tick.tick().await;
        if let Some(status) = child.try_wait().expect("its own child") {
            break Some(status);
        }
        if begun.elapsed() > Duration::from_secs(15) {
            child.kill().expect("its own child");
            child.wait().expect("it ends");
            break None;
        }
        let mut packet = rtp::packet::Packet::default();
        packet.header.version = 2;
        packet.header.ssrc = 7;
        packet.header.sequence_number = seq;
        packet.header.timestamp = 160 * u32::from(seq);
        // µ-law: full scale, so silence cannot be taken for it.
        packet.payload = Bytes::from_static(&[0x80; 160]);
        let bytes = packet.marshal().expect("a packet").freeze();
        uplink.try_send(Instant::now(), PacketKind::Rtp, bytes).expect("taken");
        seq += 1;
    };
    let status = ended.expect("ffmpeg had enough in time");
    if !last && !status.success() {
        uplink.shutdown().await;
        return false;
    }
    assert!(status.success(), "{status}");
    let mut sound = Vec::new();
    let mut pipe = child.stdout.take().expect("piped");
    std::io::Read::read_to_end(&mut pipe, &mut sound).expect("read");
    assert!(sound.len() >= 4_000, "{} bytes", sound.len());
    let loud = sound.iter().filter(|sample| **sample > 240 || **sample < 15).count();
    assert!(loud * 10 >= sound.len() * 9, "{loud} of {} samples", sound.len());
    uplink.shutdown().await;
    true
}
