//! A server's answers as they should be, and how they are spoilt.

use bytes::{Buf, Bytes};
use paceline_publish::mediasoup::{SrtpParameters, SrtpSuite};
use paceline_publish::rtp_parameters::{Codec, Stream};
use serde_json::{Map, Value, json};

/// In whose words a server speaks: in those of mediasoup's demo to 2024, or since then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Words {
    Bare,
    Named,
}

impl Words {
    pub(super) const fn of(flag: bool) -> Self {
        if flag { Self::Named } else { Self::Bare }
    }

    /// What a server that is as it should be answers to a request.
    pub(super) fn answer(self, method: &str, count: u64) -> Value {
        let named = |name: &str, value: Value| match self {
            Self::Bare => value,
            Self::Named => json!({ name: value }),
        };
        let id = |bare: &str, name: &str, mut value: Value| {
            let field = if self == Self::Bare { "id" } else { name };
            value[field] = json!(format!("{bare}-{count}"));
            value
        };
        match method {
            "getRouterRtpCapabilities" => named("routerRtpCapabilities", router()),
            "createPlainTransport" => id("transport", "transportId", plain_transport()),
            "createWebRtcTransport" => id("transport", "transportId", transport()),
            "join" => json!({ "peers": [] }),
            "produce" => id("producer", "producerId", json!({})),
            "restartIce" => named("iceParameters", ice(count)),
            _ => json!({}),
        }
    }
}

pub(super) fn router() -> Value {
    let codec = |kind: &str, mime: &str, clock: u32, payload: u8, parameters: Value| {
        json!({
            "kind": kind, "mimeType": mime, "clockRate": clock, "preferredPayloadType": payload,
            "parameters": parameters,
            "rtcpFeedback": [{ "type": "nack", "parameter": "" }, { "type": "transport-cc" }],
        })
    };
    let mut opus = codec("audio", "audio/opus", 48_000, 100, json!({}));
    opus["channels"] = json!(2);
    let h264 = json!({ "packetization-mode": 1, "level-asymmetry-allowed": 1, "profile-level-id": "42e01f" });
    json!({
        "codecs": [
            opus,
            codec("video", "video/VP8", 90_000, 101, json!({})),
            codec("video", "video/rtx", 90_000, 102, json!({ "apt": 101 })),
            codec("video", "video/H264", 90_000, 103, h264),
        ],
        "headerExtensions": [
            { "kind": "video", "uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "preferredId": 1 },
            { "kind": "audio", "uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "preferredId": 1 },
            {
                "kind": "video", "preferredId": 5, "direction": "sendrecv",
                "uri": "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            },
        ],
    })
}

pub(super) fn transport() -> Value {
    let candidate = |protocol: &str, kind: Value| {
        json!({
            "foundation": "udpcandidate", "priority": 1_076_302_079_u32, "address": "127.0.0.1",
            "ip": "127.0.0.1", "protocol": protocol, "port": 44_444, "type": "host", "tcpType": kind,
        })
    };
    json!({
        "iceParameters": ice(0),
        "iceCandidates": [candidate("udp", Value::Null), candidate("tcp", json!("passive"))],
        "dtlsParameters": {
            "role": "auto",
            "fingerprints": [
                { "algorithm": "sha-1", "value": "AB" },
                { "algorithm": "sha-256", "value": fingerprint() },
            ],
        },
    })
}

pub(super) fn plain_transport() -> Value {
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
    json!({
        "ip": "127.0.0.1", "port": 44_444, "rtcpPort": 44_445,
        "srtpParameters": { "cryptoSuite": "AES_CM_128_HMAC_SHA1_80", "keyBase64": key },
    })
}

fn ice(count: u64) -> Value {
    json!({
        "usernameFragment": format!("server{count}"), "password": "p".repeat(24), "iceLite": true,
    })
}

pub(super) fn fingerprint() -> String {
    vec!["AB"; 32].join(":")
}

/// Codecs that are published, the first of them preferred.
pub(super) fn codecs(h264: bool) -> Vec<Codec> {
    let video = Codec::h264(320, 180, 30).filter(|_| h264).unwrap_or(Codec::Vp8);
    vec![video, Codec::opus()]
}

/// The same as streams of a plain transport.
pub(super) fn streams(h264: bool) -> Vec<(Codec, Stream)> {
    let numbers = [(96, 7), (111, 8)];
    let stream = |(payload_type, ssrc)| Stream::new(payload_type, ssrc, "ada");
    codecs(h264).into_iter().zip(numbers.map(stream)).collect()
}

pub(super) fn key() -> SrtpParameters {
    SrtpParameters::new(SrtpSuite::AesCm128HmacSha1_80, &[7; 30]).expect("as long as it has to be")
}

/// An engine's offer of pictures in two codecs and of sound.
pub(super) fn offer(ufrag: &str) -> String {
    OFFER.replace("UFRAG", ufrag).replace("FINGERPRINT", &fingerprint()).replace('\n', "\r\n")
}

const OFFER: &str = "v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 FINGERPRINT
a=extmap-allow-mixed
a=group:BUNDLE 0 1
m=video 9 UDP/TLS/RTP/SAVPF 96 97 98
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:0
a=ice-ufrag:UFRAG
a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaa
a=rtpmap:96 H264/90000
a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=98
a=rtpmap:98 VP8/90000
a=extmap:5 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=msid:ada track-0
a=ssrc-group:FID 4369 4370
a=ssrc:4369 cname:ada
a=ssrc:4370 cname:ada
a=sendonly
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=mid:1
a=rtpmap:111 opus/48000/2
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=ssrc:8738 cname:ada
a=sendrecv
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
a=mid:2
";

/// Makes one value odd: that at a place, in the order they are read in.
pub(super) fn spoil(value: &mut Value, place: u8, how: u8) {
    let mut left = usize::from(place);
    spoil_at(value, &mut left, how);
}

fn spoil_at(value: &mut Value, left: &mut usize, how: u8) -> bool {
    if *left == 0 {
        *value = odd(value.take(), how);
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| spoil_at(item, left, how)),
        Value::Object(fields) => fields.values_mut().any(|item| spoil_at(item, left, how)),
        _ => false,
    }
}

fn odd(value: Value, how: u8) -> Value {
    match how % 24 {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(255),
        5 => json!(65_536),
        6 => json!(u64::MAX),
        7 => json!(1e300),
        8 => json!(""),
        9 => json!("a\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host"),
        10 => json!("\u{202e}\u{1b}[2J\u{7f}"),
        11 => json!("a".repeat(300)),
        12 => json!([]),
        13 => Value::Object(Map::new()),
        14 => json!("0.0.0.0"),
        15 => json!("::1"),
        16 => json!(".."),
        17 => json!("server"),
        18 => json!("video/H264"),
        19 => json!(value.to_string()),
        20 => json!([value]),
        21 => json!(vec![value; 40]),
        22 => match value {
            Value::String(text) => json!(text.to_uppercase()),
            other => other,
        },
        _ => match value {
            Value::Array(mut items) => {
                items.reverse();
                Value::Array(items)
            }
            other => other,
        },
    }
}

/// So many bytes of a script, or what is left of it, as text.
pub(super) fn text(script: &mut &[u8], len: u8) -> String {
    let taken: Bytes = script.copy_to_bytes(usize::from(len).min(script.len()));
    String::from_utf8_lossy(&taken).into_owned()
}

/// A text of somebody else's as an error or a log has it.
pub(super) fn assert_printable(text: &str) {
    assert!(text.len() <= 256, "{} bytes", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// A description for an engine: lines of it, each a letter and what it is, and nothing that
/// somebody else could have put there.
pub(super) fn assert_clean(sdp: &str) {
    assert!(sdp.len() <= paceline_publish::sdp::MAX_SDP);
    assert!(sdp.ends_with("\r\n"));
    for line in sdp.split_terminator("\r\n") {
        assert!(line.as_bytes()[1] == b'=' && line.is_ascii(), "{line:?}");
        assert!(!line.contains(|c: char| c.is_ascii_control()), "{line:?}");
    }
}
