//! A server that follows a script, and an offer as the engine makes it.

#![allow(dead_code, reason = "each test uses some of it")]
#![allow(clippy::unwrap_used, reason = "a script that does not fit fails its test")]
#![allow(clippy::disallowed_methods, reason = "a beginning for virtual time")]

use std::time::Instant;

use paceline_publish::mediasoup::{Flow, FlowConfig, Output};
use paceline_publish::rtp_parameters::Codec;
use serde_json::{Value, json};

/// A recording of `mediasoup-client`: see `goldens/ORIGIN.md`.
pub(crate) fn golden(name: &str) -> Vec<Value> {
    let text = match name {
        "h264" => include_str!("../goldens/h264.json"),
        "vp8" => include_str!("../goldens/vp8.json"),
        _ => include_str!("../goldens/vp9.json"),
    };
    serde_json::from_str(text).unwrap()
}

/// The data and the answer of a recorded exchange.
pub(crate) fn exchange(golden: &[Value], method: &str) -> (Value, Value) {
    let found = golden.iter().find(|exchange| exchange["method"] == method).unwrap();
    (found["data"].clone(), found["response"].clone())
}

pub(crate) fn router() -> Value {
    exchange(&golden("h264"), "getRouterRtpCapabilities").1
}

/// mediasoup's answer to `createWebRtcTransport`.
pub(crate) fn transport() -> Value {
    exchange(&golden("h264"), "createWebRtcTransport").1
}

/// The engine's offer of an uplink with H.264 (RTX 97) and Opus.
pub(crate) fn offer() -> String {
    OFFER.replace('\n', "\r\n")
}

/// The same after the engine has restarted ICE.
pub(crate) fn restarted_offer() -> String {
    offer().replace("NGCvaEtqOBrznicy", "aNewUserFragment")
}

pub(crate) fn codecs() -> Vec<Codec> {
    vec![Codec::h264(1280, 720, 30).unwrap(), Codec::opus()]
}

/// A flow and the server it talks to.
pub(crate) struct Talk {
    pub(crate) flow: Flow,
    pub(crate) now: Instant,
    /// What came before the last request.
    pub(crate) told: Vec<Output>,
}

impl Talk {
    pub(crate) fn new(config: FlowConfig) -> Self {
        let now = Instant::now();
        Self { flow: Flow::new(now, config, 40), now, told: Vec::new() }
    }

    /// A flow that has come to the server's answer to this method, not included.
    pub(crate) fn until(method: &str) -> (Self, Value) {
        let mut talk = Self::new(FlowConfig::web_rtc(codecs()));
        talk.flow.handle_offer(talk.now, &offer());
        loop {
            let request = talk.request();
            if request["method"] == method {
                return (talk, request);
            }
            talk.accept(&request, answer_to(&request));
        }
    }

    /// A flow that is publishing.
    pub(crate) fn ready() -> Self {
        let (mut talk, video) = Self::until("produce");
        let audio = talk.request();
        talk.accept(&video, json!({ "id": "video-producer" }));
        talk.accept(&audio, json!({ "id": "audio-producer" }));
        talk.flow.handle_up(talk.now);
        assert!(matches!(talk.next(), Output::Ready { .. }));
        talk
    }

    pub(crate) fn next(&mut self) -> Output {
        self.flow.poll_output().expect("there is more")
    }

    pub(crate) fn silent(&mut self) {
        assert_eq!(self.flow.poll_output(), None);
    }

    /// The next request; what comes before it is kept.
    pub(crate) fn request(&mut self) -> Value {
        loop {
            match self.next() {
                Output::Transmit(text) => return serde_json::from_str(&text).unwrap(),
                other => self.told.push(other),
            }
        }
    }

    pub(crate) fn say(&mut self, message: &Value) {
        self.flow.handle_text(self.now, &message.to_string()).unwrap();
    }

    pub(crate) fn accept(&mut self, request: &Value, data: Value) {
        self.say(&json!({ "response": true, "id": request["id"], "ok": true, "data": data }));
    }

    pub(crate) fn reject(&mut self, request: &Value, code: u16, reason: &str) {
        self.say(&json!({
            "response": true, "id": request["id"], "ok": false,
            "errorCode": code, "errorReason": reason,
        }));
    }
}

pub(crate) fn answer_to(request: &Value) -> Value {
    match request["method"].as_str().unwrap() {
        "getRouterRtpCapabilities" => router(),
        "createWebRtcTransport" => transport(),
        "join" => json!({ "peers": [] }),
        "connectWebRtcTransport" => json!({}),
        other => panic!("no answer to {other}"),
    }
}

const OFFER: &str = "v=0
o=- 6710116227602695113 368554028 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 7D:2E:DD:2D:C8:59:91:37:B8:A7:D8:CF:00:65:0E:AA:01:5D:6A:B1:33:E2:62:B7:DB:57:C5:C7:8A:6E:BA:52
a=extmap-allow-mixed
a=group:BUNDLE 0 1
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:0
a=ice-ufrag:NGCvaEtqOBrznicy
a=ice-pwd:OfsaRrOZhaWnZhvvxFEnkrWaoRrjHmDU
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 H264/90000
a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 transport-cc
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=extmap:5 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=msid:ada track-0
a=ssrc-group:FID 4369 4370
a=ssrc:4369 cname:ada
a=ssrc:4369 msid:ada track-0
a=ssrc:4369 mslabel:ada
a=ssrc:4369 label:track-0
a=ssrc:4370 cname:ada
a=ssrc:4370 msid:ada track-0
a=ssrc:4370 mslabel:ada
a=ssrc:4370 label:track-0
a=sendonly
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:1
a=ice-ufrag:NGCvaEtqOBrznicy
a=ice-pwd:OfsaRrOZhaWnZhvvxFEnkrWaoRrjHmDU
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=rtcp-fb:111 transport-cc
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:5 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=msid:ada track-1
a=ssrc:8738 cname:ada
a=ssrc:8738 msid:ada track-1
a=ssrc:8738 mslabel:ada
a=ssrc:8738 label:track-1
a=sendonly
";
