//! The media of a connection that carries RTP: what the engine is told of it, and the way
//! of what came to whoever owns the connection.
//!
//! Packets do not go through the engine's tracks, which pass each one through a queue of 256
//! and drop the rest: they enter and leave the chain of interceptors at its end, in the
//! engine's own task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use paceline_types::{ConnectionEvent, PeerId, Ssrc, StreamId};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_H264, MIME_TYPE_OPUS, MIME_TYPE_VP8, MIME_TYPE_VP9, MediaEngine,
};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters,
    RTCRtpEncodingParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use tokio::sync::mpsc;
use webrtc::error::Error;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::PeerConnection;

use super::Tagged;
use super::connection::Reporter;
use super::shared::Shared;

/// The codecs and header extensions of a call, under the numbers that they have in each.
pub(super) fn engine() -> Result<MediaEngine, Error> {
    let mut engine = MediaEngine::default();
    for codec in video_codecs() {
        engine.register_codec(codec, RtpCodecKind::Video)?;
    }
    let sound = RTCRtpCodecParameters { rtp_codec: opus(), payload_type: 111 };
    engine.register_codec(sound, RtpCodecKind::Audio)?;
    for (id, uri) in (1..).zip(EXTENSIONS) {
        // The engine numbers extensions in the order in which it is told of them. One that is
        // of neither sound nor pictures takes a number and is not offered.
        let gap = format!("urn:paceline:unused:{id}");
        let capability = |uri: &str| RTCRtpHeaderExtensionCapability { uri: uri.to_owned() };
        match uri {
            Some(uri) => {
                for kind in [RtpCodecKind::Video, RtpCodecKind::Audio] {
                    engine.register_header_extension(capability(uri), kind, None)?;
                }
            }
            None => {
                let kind = RtpCodecKind::Application;
                engine.register_header_extension(capability(&gap), kind, None)?;
            }
        }
    }
    Ok(engine)
}

/// Has the connection send four streams: in sections of its own, or in those that the other
/// end `offered`, in their order.
pub(super) async fn add_tracks(
    connection: &dyn PeerConnection,
    local: PeerId,
    offered: bool,
) -> Result<(), Error> {
    for (stream, name, kind, codec) in [
        (StreamId::VIDEO, "video", RtpCodecKind::Video, h264()),
        (StreamId::AUDIO, "audio", RtpCodecKind::Audio, opus()),
        (StreamId::MIX_VIDEO, "mix-video", RtpCodecKind::Video, h264()),
        (StreamId::MIX_AUDIO, "mix-audio", RtpCodecKind::Audio, opus()),
    ] {
        let coding = RTCRtpCodingParameters {
            ssrc: Ssrc::of(local, stream).map(Ssrc::get),
            ..RTCRtpCodingParameters::default()
        };
        let encoding = RTCRtpEncodingParameters {
            rtp_coding_parameters: coding,
            active: true,
            codec,
            ..RTCRtpEncodingParameters::default()
        };
        let track = MediaStreamTrack::new(
            "paceline".to_owned(),
            name.to_owned(),
            name.to_owned(),
            kind,
            vec![encoding],
        );
        let track = Arc::new(TrackLocalStaticRTP::new(track));
        if offered {
            connection.add_track(track).await?;
            continue;
        }
        let section = connection.add_transceiver_from_track(track, None).await?;
        if kind == RtpCodecKind::Video {
            // The engine would offer the track's codec only.
            section.set_codec_preferences(video_codecs()).await?;
        }
    }
    Ok(())
}

/// The four sources of this peer.
pub(super) fn sources(peer: PeerId) -> impl Iterator<Item = Ssrc> {
    [StreamId::VIDEO, StreamId::AUDIO, StreamId::MIX_VIDEO, StreamId::MIX_AUDIO]
        .into_iter()
        .filter_map(move |stream| Ssrc::of(peer, stream))
}

/// Whether a description has, not refused, the four sections of media that ours have.
pub(super) fn carries_rtp(sdp: &str) -> bool {
    let (mut sections, mut is_accepted) = (0, false);
    for line in sdp.lines().map(str::trim_end) {
        if let Some(section) = line.strip_prefix("m=") {
            // RFC 9429 §5.3.1: a section that is refused has port 0.
            is_accepted = section.split(' ').nth(1).is_some_and(|port| port != "0");
        } else if is_accepted && line.starts_with("a=extmap:") && line.ends_with(FRAME) {
            sections += 1;
            is_accepted = false;
        }
    }
    sections == 4
}

/// Brings what came at the tap to the owner of the connection.
pub(super) struct Delivery {
    pub(super) shared: Arc<Shared>,
    pub(super) reporter: Reporter,
}

impl Delivery {
    /// Everything there is, unless there is no room: half of the queue is for messages, and of
    /// the other half no connection has more than twice what it leaves to the others.
    pub(super) fn run(&self) {
        let Some(tap) = self.shared.tap().filter(|_| self.shared.told_open()) else { return };
        let queue: &mpsc::Sender<Tagged> = &self.reporter.queue;
        while let Some(event) = tap.poll_event() {
            if matches!(event, ConnectionEvent::Target(_)) {
                if !self.reporter.try_report(event) {
                    // The next packet or report brings it up again.
                    tap.tell_target_again();
                    return;
                }
                continue;
            }
            let is_rtp = matches!(event, ConnectionEvent::Rtp(_));
            let left = queue.capacity().saturating_sub(queue.max_capacity() / 2);
            let most = left.saturating_mul(OF_WHAT_IS_LEFT) + if is_rtp { 0 } else { RTCP_ROOM };
            // Noted before: the owner may take it at once.
            let fits = self.shared.note_media() < most && self.reporter.try_report(event);
            if !fits {
                self.shared.note_media_taken();
                tap.count(|stats| match is_rtp {
                    true => stats.drop_received(),
                    false => stats.rtcp_dropped += 1,
                });
            }
        }
    }
}

/// The engine's sleep, which is over when RTP is handed over: it looks for what to write
/// when it wakes.
pub(super) struct Nap {
    pub(super) sleep: Pin<Box<dyn Future<Output = ()> + Send>>,
    pub(super) shared: Arc<Shared>,
}

impl Future for Nap {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Before the channel is open nothing is taken, and the chain may not be in use yet.
        let tap = self.shared.tap().filter(|_| self.shared.is_open());
        if tap.is_some_and(|tap| tap.poll_outgoing(cx).is_ready()) {
            return Poll::Ready(());
        }
        self.sleep.as_mut().poll(cx)
    }
}

/// So many times what is left of the room for RTP one connection may have of it: alone two
/// thirds, and one that takes what it can leaves a third to those that take less. (Choudhury
/// and Hahne, "Dynamic queue length thresholds for shared-memory packet switches", IEEE/ACM
/// Transactions on Networking 6, 1998.)
const OF_WHAT_IS_LEFT: usize = 2;

/// Compounds of RTCP that each connection may have there when RTP has none: one of them may be
/// what asks for less.
const RTCP_ROOM: usize = 64;

fn video_codecs() -> Vec<RTCRtpCodecParameters> {
    [(96, h264()), (97, vp8()), (98, vp9())]
        .map(|(payload_type, rtp_codec)| RTCRtpCodecParameters { rtp_codec, payload_type })
        .into()
}

fn h264() -> RTCRtpCodec {
    video(MIME_TYPE_H264, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
}

fn vp8() -> RTCRtpCodec {
    video(MIME_TYPE_VP8, "")
}

fn vp9() -> RTCRtpCodec {
    video(MIME_TYPE_VP9, "profile-id=0")
}

fn video(mime: &str, parameters: &str) -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: mime.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: parameters.to_owned(),
        rtcp_feedback: feedback(&[
            ("nack", ""),
            ("nack", "pli"),
            ("ccm", "fir"),
            ("transport-cc", ""),
        ]),
    }
}

fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: feedback(&[("nack", ""), ("transport-cc", "")]),
    }
}

fn feedback(kinds: &[(&str, &str)]) -> Vec<RTCPFeedback> {
    let feedback = |(typ, parameter): &(&str, &str)| RTCPFeedback {
        typ: (*typ).to_owned(),
        parameter: (*parameter).to_owned(),
    };
    kinds.iter().map(feedback).collect()
}

/// Header extensions by their numbers in a call, from 1 on.
const EXTENSIONS: [Option<&str>; 8] = [
    Some("urn:ietf:params:rtp-hdrext:sdes:mid"),
    None,
    None,
    None,
    Some("http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"),
    None,
    None,
    Some(FRAME),
];

/// The frame's number on each of its packets.
const FRAME: &str = "urn:paceline:frame";

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one instant to count from")]
mod tests {
    use std::time::Instant;

    use interceptor::{Interceptor, Packet, TaggedPacket};
    use sansio::Protocol;

    use super::*;
    use crate::rtp::{RtpConfig, TapStats, registry};

    /// A connection whose media come, and whose owner takes none of it.
    struct Connection {
        chain: Box<dyn Interceptor>,
        delivery: Delivery,
    }

    impl Connection {
        fn new(number: u8, queue: &mpsc::Sender<Tagged>) -> Self {
            let (chain, tap) = registry(&RtpConfig::default().queue(10_000));
            let shared = Shared::new(Instant::now(), Some(tap));
            shared.set_carries_rtp(true);
            shared.set_told_open();
            let peer = PeerId::from_bytes([number; 16]);
            let reporter = Reporter { peer, generation: 1, queue: queue.clone() };
            let delivery = Delivery { shared: Arc::new(shared), reporter };
            Self { chain: Box::new(chain.build()), delivery }
        }

        fn come(&mut self, packet: &Packet, count: usize) {
            for _ in 0..count {
                let (now, transport) = (Instant::now(), shared::TransportContext::default());
                let packet = TaggedPacket { now, transport, message: packet.clone().into() };
                self.chain.handle_read(packet).expect("it is taken");
                while self.chain.poll_read().is_some() {}
                self.delivery.run();
            }
        }

        fn stats(&self) -> TapStats {
            self.delivery.shared.tap().expect("it has one").stats()
        }
    }

    fn rtp() -> Packet {
        Packet::Rtp(rtp::Packet { payload: vec![7; 100].into(), ..rtp::Packet::default() })
    }

    fn picture_loss() -> Packet {
        let loss =
            rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication::default();
        Packet::Rtcp(vec![Box::new(loss)])
    }

    #[test]
    fn who_floods_leaves_a_third_of_the_room_for_media_to_who_does_not() {
        let (queue, mut events) = mpsc::channel(1_024);
        let [mut flood, mut other] = [1, 2].map(|number| Connection::new(number, &queue));
        flood.come(&rtp(), 2_000);
        assert_eq!((flood.stats().received, flood.stats().dropped), (341, 1_659));
        flood.come(&picture_loss(), 2_000);
        assert!(flood.stats().rtcp_dropped > 1_900, "{:?}", flood.stats());
        other.come(&rtp(), 50);
        other.come(&picture_loss(), 10);
        assert_eq!((other.stats().received, other.stats().dropped), (50, 0));
        assert_eq!(other.stats().rtcp_dropped, 0);
        // Half of it is for messages, whoever floods.
        other.come(&rtp(), 2_000);
        assert!(queue.capacity() > 512 - 2 * RTCP_ROOM, "{}", queue.capacity());
        // What the owner takes makes room.
        let before = flood.stats().received;
        while let Ok(tagged) = events.try_recv() {
            if matches!(tagged.event, ConnectionEvent::Rtp(_) | ConnectionEvent::Rtcp(_)) {
                let of = if tagged.peer == flood.delivery.reporter.peer { &flood } else { &other };
                of.delivery.shared.note_media_taken();
            }
        }
        flood.come(&rtp(), 300);
        assert_eq!(flood.stats().received, before + 300);
    }
}
