//! What a router is told of a stream is to the letter what `mediasoup-client` tells it.

#![allow(clippy::unwrap_used, reason = "what does not fit fails the test")]

mod support;

use paceline_publish::rtp_parameters::{
    Codec, Retransmission, RtpCapabilities, RtpParameters, Stream, negotiate,
};
use serde_json::{Value, json};

use crate::support::{Talk, exchange, golden};

fn video(name: &str) -> Codec {
    match name {
        "h264" => Codec::h264(640, 480, 30).unwrap(),
        "vp8" => Codec::Vp8,
        _ => Codec::Vp9,
    }
}

/// A stream with the numbers of a recorded one.
fn stream(parameters: &Value) -> Stream {
    let number = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
    let payload_type = |value: &Value| u8::try_from(value.as_u64().unwrap()).unwrap();
    let encoding = &parameters["encodings"][0];
    let cname = parameters["rtcp"]["cname"].as_str().unwrap();
    let media = payload_type(&parameters["codecs"][0]["payloadType"]);
    let mut stream = Stream::new(media, number(&encoding["ssrc"]), cname)
        .mid(parameters["mid"].as_str().unwrap())
        .msid(parameters["msid"].as_str().unwrap());
    if let Some(rtx) = encoding.get("rtx") {
        let payload_type = payload_type(&parameters["codecs"][1]["payloadType"]);
        stream = stream.retransmission(Retransmission { payload_type, ssrc: number(&rtx["ssrc"]) });
    }
    // In another order than the router's, as an offer has them, and one it does not know.
    stream = stream.extension("urn:example:unknown", 14);
    for extension in parameters["headerExtensions"].as_array().unwrap().iter().rev() {
        let id = u16::try_from(extension["id"].as_u64().unwrap()).unwrap();
        stream = stream.extension(extension["uri"].as_str().unwrap(), id);
    }
    stream
}

#[test]
fn the_same_stream_has_the_same_parameters() {
    for name in ["h264", "vp8", "vp9"] {
        let golden = golden(name);
        let router = exchange(&golden, "getRouterRtpCapabilities").1;
        let router: RtpCapabilities = serde_json::from_value(router).unwrap();
        let produced: Vec<_> =
            golden.iter().filter(|exchange| exchange["method"] == "produce").collect();
        assert_eq!(produced.len(), 2);
        for exchange in produced {
            let theirs = &exchange["data"]["rtpParameters"];
            let codec = match exchange["data"]["kind"].as_str() {
                Some("video") => video(name),
                _ => Codec::opus(),
            };
            let ours = negotiate(&codec, &stream(theirs), &router).unwrap();
            assert_eq!(serde_json::to_value(ours.parameters()).unwrap(), *theirs, "{name}");
            let parsed: RtpParameters = serde_json::from_value(theirs.clone()).unwrap();
            assert_eq!(parsed, *ours.parameters());
        }
    }
}

/// Of the engine's offer, only what differs in a browser's differs: extensions that we do not
/// write, and numbers.
#[test]
fn an_engine_s_stream_differs_in_extensions_only() {
    let (mut talk, video) = Talk::until("produce");
    let audio = talk.request();
    let golden = golden("h264");
    for (ours, kind) in [(video, "video"), (audio, "audio")] {
        let mut theirs = golden
            .iter()
            .find(|exchange| exchange["data"]["kind"] == kind)
            .map(|exchange| exchange["data"]["rtpParameters"].clone())
            .unwrap();
        let ours = &ours["data"]["rtpParameters"];
        let ids = ours["headerExtensions"].as_array().unwrap();
        let ours_of = |uri: &Value| ids.iter().find(|extension| extension["uri"] == *uri);
        let extensions = theirs["headerExtensions"].as_array_mut().unwrap();
        extensions.retain_mut(|extension| {
            let ours = ours_of(&extension["uri"]);
            ours.is_some_and(|ours| {
                extension["id"] = ours["id"].clone();
                true
            })
        });
        assert_eq!(extensions.len(), 3, "mid, abs-send-time and transport-wide-cc");
        for field in ["mid", "msid", "encodings"] {
            theirs[field] = ours[field].clone();
        }
        theirs["rtcp"]["cname"] = json!("ada");
        for (theirs, ours) in theirs["codecs"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .zip(ours["codecs"].as_array().unwrap())
        {
            theirs["payloadType"] = ours["payloadType"].clone();
            if theirs["parameters"].get("apt").is_some() {
                theirs["parameters"]["apt"] = json!(96);
            }
        }
        assert_eq!(*ours, theirs);
    }
}

#[test]
fn the_other_requests_are_those_of_a_browser() {
    let (mut talk, connect) = Talk::until("connectWebRtcTransport");
    let recorded = exchange(&golden("h264"), "connectWebRtcTransport").0;
    let (mut ours, theirs) = (connect["data"].clone(), recorded);
    assert_ne!(ours["dtlsParameters"]["fingerprints"], theirs["dtlsParameters"]["fingerprints"]);
    let value = &mut ours["dtlsParameters"]["fingerprints"][0]["value"];
    assert_eq!(value.as_str().unwrap().len(), 95);
    *value = theirs["dtlsParameters"]["fingerprints"][0]["value"].clone();
    assert_eq!(ours, theirs);
    talk.flow.handle_closed();

    let (_, create) = Talk::until("createWebRtcTransport");
    assert_eq!(create["data"], exchange(&golden("h264"), "createWebRtcTransport").0);
}
