//! What the engine is told of what is sent: codecs, sources, header extensions.

use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters,
    RTCRtpEncodingParameters, RTCRtpHeaderExtensionCapability, RTCRtpRtxParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use shared::error::Error;

use crate::uplink::UplinkConfig;
use crate::uplink::track::{TrackKind, UplinkTrack};

/// A media section that only sends, the `index`th.
pub(super) fn section(
    index: usize,
    track: &UplinkTrack,
) -> (MediaStreamTrack, RTCRtpTransceiverInit) {
    let name = format!("track-{index}");
    let init = RTCRtpTransceiverInit {
        direction: RTCRtpTransceiverDirection::Sendonly,
        streams: vec![track.cname.clone()],
        send_encodings: vec![encoding(track)],
    };
    let encodings = init.send_encodings.clone();
    let media =
        MediaStreamTrack::new(track.cname.clone(), name.clone(), name, kind(track.kind), encodings);
    (media, init)
}

fn kind(kind: TrackKind) -> RtpCodecKind {
    match kind {
        TrackKind::Audio => RtpCodecKind::Audio,
        TrackKind::Video => RtpCodecKind::Video,
    }
}

fn codec(track: &UplinkTrack) -> RTCRtpCodec {
    let feedback = |typ: &str, parameter: &str| RTCPFeedback {
        typ: typ.to_owned(),
        parameter: parameter.to_owned(),
    };
    let rtcp_feedback = match track.kind {
        TrackKind::Audio => vec![feedback("transport-cc", "")],
        TrackKind::Video => vec![
            feedback("nack", ""),
            feedback("nack", "pli"),
            feedback("ccm", "fir"),
            feedback("transport-cc", ""),
        ],
    };
    RTCRtpCodec {
        mime_type: track.mime.clone().into_owned(),
        clock_rate: track.clock_rate,
        channels: track.channels,
        sdp_fmtp_line: track.fmtp.clone(),
        rtcp_feedback,
    }
}

fn encoding(track: &UplinkTrack) -> RTCRtpEncodingParameters {
    RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            ssrc: Some(track.ssrc),
            rtx: track.rtx.map(|(_, ssrc)| RTCRtpRtxParameters { ssrc }),
            ..RTCRtpCodingParameters::default()
        },
        active: true,
        codec: codec(track),
        ..RTCRtpEncodingParameters::default()
    }
}

/// What can be negotiated: the tracks as they are, and the extensions at their ids.
pub(super) fn media_engine(config: &UplinkConfig) -> Result<MediaEngine, Error> {
    let mut media = MediaEngine::default();
    for track in &config.tracks {
        let rtp_codec = codec(track);
        let parameters = RTCRtpCodecParameters { rtp_codec, payload_type: track.payload_type };
        media.register_codec(parameters, kind(track.kind))?;
        if let Some((payload_type, _)) = track.rtx {
            let rtp_codec = RTCRtpCodec {
                mime_type: "video/rtx".to_owned(),
                clock_rate: track.clock_rate,
                channels: 0,
                sdp_fmtp_line: format!("apt={}", track.payload_type),
                rtcp_feedback: Vec::new(),
            };
            let parameters = RTCRtpCodecParameters { rtp_codec, payload_type };
            media.register_codec(parameters, kind(track.kind))?;
        }
    }
    // The engine numbers extensions in the order it is told of them: what is of no kind takes an
    // id and is not offered.
    let last = config.extensions.iter().map(|(id, _)| *id).max().unwrap_or(0).min(MAX_EXTENSION);
    for id in 1..=last {
        let extension = config.extensions.iter().find(|extension| extension.0 == id);
        let Some((_, extension)) = extension else {
            let uri = format!("urn:paceline:none:{id}");
            let none = RTCRtpHeaderExtensionCapability { uri };
            media.register_header_extension(none, RtpCodecKind::Unspecified, None)?;
            continue;
        };
        for kind in [RtpCodecKind::Audio, RtpCodecKind::Video] {
            let uri = extension.uri().to_owned();
            media.register_header_extension(RTCRtpHeaderExtensionCapability { uri }, kind, None)?;
        }
    }
    Ok(media)
}

/// RFC 8285 §4.2: ids with one-byte headers.
const MAX_EXTENSION: u8 = 14;
