//! Which of a router's codecs is ours, and what is used of it.

#![allow(clippy::unwrap_used, reason = "what does not fit fails the test")]

mod support;

use paceline_publish::rtp_parameters::{
    Codec, Level, NegotiationError, OpusOptions, Profile, ProfileLevelId, Retransmission,
    RtpCapabilities, Stream, extension, negotiate,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn router(codecs: Value, extensions: Value) -> RtpCapabilities {
    serde_json::from_value(json!({ "codecs": codecs, "headerExtensions": extensions })).unwrap()
}

fn h264(parameters: Value) -> RtpCapabilities {
    let codec = json!({
        "kind": "video", "mimeType": "video/h264", "clockRate": 90000, "parameters": parameters,
        "futureField": [1, 2],
    });
    router(json!([codec]), json!([]))
}

fn stream() -> Stream {
    Stream::new(96, 1, "ada").retransmission(Retransmission { payload_type: 97, ssrc: 2 })
}

/// What is sent to a router with this H.264, of ours in 1080p30.
fn agreed(parameters: Value) -> Option<String> {
    let ours = Codec::h264(1920, 1080, 30).unwrap();
    let negotiated = negotiate(&ours, &stream(), &h264(parameters)).ok()?;
    let parameters = &negotiated.parameters().codecs[0].parameters;
    Some(parameters["profile-level-id"].as_str().unwrap().to_owned())
}

#[test]
fn h264_needs_the_same_packetization_and_profile() {
    let with = |mode: Value, id: Value, asymmetry: Value| json!({ "packetization-mode": mode, "profile-level-id": id, "level-asymmetry-allowed": asymmetry });
    // Both take any level: ours is sent.
    assert_eq!(agreed(with(json!(1), json!("42e01f"), json!(1))), Some("42e028".into()));
    assert_eq!(agreed(with(json!("1"), json!("42E01F"), json!("1"))), Some("42e028".into()));
    // One does not: the lower of the two.
    assert_eq!(agreed(with(json!(1), json!("42e01f"), json!(0))), Some("42e01f".into()));
    assert_eq!(agreed(with(json!(1), json!("42e034"), json!(0))), Some("42e028".into()));
    assert_eq!(agreed(with(json!(1), json!("42f00b"), Value::Null)), Some("42f00b".into()), "1b");
    // Without a name it is constrained baseline 3.1, also by other bits.
    assert_eq!(agreed(json!({ "packetization-mode": 1 })), Some("42e01f".into()));
    assert_eq!(agreed(with(json!(1), json!("4d8032"), json!(1))), Some("42e028".into()));
    for (mode, id) in [
        (json!(0), json!("42e01f")),
        (Value::Null, json!("42e01f")),
        (json!(2), json!("42e01f")),
        (json!(1), json!("42001f")),
        (json!(1), json!("4d0032")),
        (json!(1), json!("640c1f")),
        (json!(1), json!("42e0")),
        (json!(1), json!("+42e01")),
        (json!(1), json!(7)),
    ] {
        assert_eq!(agreed(with(mode.clone(), id.clone(), json!(1))), None, "{mode} {id}");
    }
}

#[test]
fn vp9_needs_profile_zero_and_opus_its_two_channels() {
    let takes = |codec: Codec, theirs: Value| {
        negotiate(&codec, &stream(), &router(json!([theirs]), json!([]))).is_ok()
    };
    let vp9 = |parameters| json!({ "mimeType": "video/VP9", "clockRate": 90000, "parameters": parameters });
    assert!(takes(Codec::Vp9, vp9(json!({}))));
    assert!(takes(Codec::Vp9, vp9(json!({ "profile-id": 0 }))));
    assert!(!takes(Codec::Vp9, vp9(json!({ "profile-id": 2 }))));
    let opus = |rate, channels| json!({ "mimeType": "AUDIO/OPUS", "clockRate": rate, "channels": channels });
    assert!(takes(Codec::opus(), opus(48_000, json!(2))));
    assert!(!takes(Codec::opus(), opus(48_000, json!(1))));
    assert!(!takes(Codec::opus(), opus(48_000, Value::Null)));
    assert!(!takes(Codec::opus(), opus(16_000, json!(2))));
    assert!(!takes(Codec::Vp8, opus(48_000, json!(2))));
}

#[test]
fn retransmissions_are_used_if_the_router_has_those_of_this_codec() {
    let with_apt = |apt: u8| {
        router(
            json!([
                { "mimeType": "video/VP8", "clockRate": 90000, "preferredPayloadType": 101 },
                { "mimeType": "video/RTX", "clockRate": 90000, "parameters": { "apt": apt } },
            ]),
            json!([]),
        )
    };
    let both = negotiate(&Codec::Vp8, &stream(), &with_apt(101)).unwrap();
    assert_eq!(both.parameters().codecs.len(), 2);
    assert_eq!(both.parameters().codecs[1].parameters["apt"], 96);
    assert_eq!(both.parameters().encodings[0].rtx.map(|rtx| rtx.ssrc), Some(2));
    let other = negotiate(&Codec::Vp8, &stream(), &with_apt(102)).unwrap();
    assert_eq!(other.parameters().codecs.len(), 1);
    assert_eq!(other.parameters().encodings[0].rtx, None);
    let without = Stream::new(96, 1, "ada");
    let none = negotiate(&Codec::Vp8, &without, &with_apt(101)).unwrap();
    assert_eq!(none.parameters().codecs.len(), 1);
}

#[test]
fn extensions_are_those_of_both_of_this_kind_towards_the_router() {
    let extension = |kind: &str, uri: &str, direction: &str| json!({ "kind": kind, "uri": uri, "preferredId": 9, "direction": direction });
    let router = router(
        json!([{ "mimeType": "video/VP8", "clockRate": 90000 }]),
        json!([
            extension("video", extension::TRANSPORT_CC, "recvonly"),
            extension("audio", extension::ABS_SEND_TIME, "sendrecv"),
            extension("video", extension::ABS_SEND_TIME, "sendonly"),
            { "uri": extension::MID, "preferredId": 1 },
            extension("video", extension::MID, "sendrecv"),
        ]),
    );
    let stream = Stream::new(96, 1, "ada")
        .extension(extension::MID, 3)
        .extension(extension::ABS_SEND_TIME, 4)
        .extension(extension::TRANSPORT_CC, 5);
    let negotiated = negotiate(&Codec::Vp8, &stream, &router).unwrap();
    let ids: Vec<_> =
        negotiated.parameters().header_extensions.iter().map(|extension| extension.id).collect();
    assert_eq!(ids, [5, 3]);
    assert_eq!(negotiated.extension(extension::MID), Some(3));
    assert_eq!(negotiated.extension(extension::ABS_SEND_TIME), None);
}

#[test]
fn feedback_is_what_both_know() {
    let router = router(
        json!([{ "mimeType": "video/VP8", "clockRate": 90000, "rtcpFeedback":
            [{ "type": "nack", "parameter": "pli" }, { "type": "x" }, { "type": "goog-remb" }] }]),
        json!([]),
    );
    let negotiated = negotiate(&Codec::Vp8, &stream(), &router).unwrap();
    let feedback: Vec<_> = negotiated.parameters().codecs[0]
        .rtcp_feedback
        .iter()
        .map(|feedback| format!("{} {}", feedback.kind, feedback.parameter))
        .collect();
    assert_eq!(feedback, ["goog-remb ", "nack pli"]);
}

#[test]
fn opus_says_what_was_chosen() {
    let options = OpusOptions::default().dtx(true).fec(false).stereo(true).nack(false);
    assert_eq!(Codec::Opus(options).fmtp(), "minptime=10;sprop-stereo=1;usedtx=1;useinbandfec=0");
    assert!(Codec::Opus(options).rtcp_feedback().iter().all(|feedback| feedback.kind != "nack"));
    assert_eq!(Codec::opus().fmtp(), "minptime=10;useinbandfec=1");
}

/// The examples of H.264 table A-6, which lists the greatest rates of common sizes.
#[test]
fn levels_are_those_of_table_a_1() {
    for (width, height, rate, level) in [
        (128, 96, 30, "1"),
        (176, 144, 15, "1"),
        (176, 144, 30, "1.1"),
        (320, 240, 20, "1.2"),
        (352, 288, 30, "1.3"),
        (640, 480, 12, "2.2"),
        (640, 480, 30, "3"),
        (1280, 720, 30, "3.1"),
        (1280, 720, 31, "3.2"),
        (1920, 1080, 30, "4"),
        (1920, 1080, 60, "4.2"),
        (3840, 2160, 30, "5.1"),
        (3840, 2160, 60, "5.2"),
        (8192, 4320, 30, "6"),
        // Few macroblocks, but a side that is too long for less.
        (4096, 16, 1, "4"),
    ] {
        let found = Level::of(width, height, rate).map(|level| level.to_string());
        assert_eq!(found.as_deref(), Some(level), "{width}x{height} at {rate}");
    }
    assert_eq!(Level::of(u16::MAX, u16::MAX, u16::MAX), None);
    assert_eq!(Codec::h264(u16::MAX, 16, 1), None);
    assert_eq!(Codec::h264(64, 64, 1), Some(Codec::H264(ProfileLevelId::DEFAULT)));
}

#[test]
fn nine_is_no_level() {
    for text in ["42e009", "4d0009", "640009", "f40009"] {
        assert_eq!(ProfileLevelId::parse(text), None, "{text}");
    }
    assert!(ProfileLevelId::parse("42f00b").is_some());
}

proptest! {
    /// A name that is known is the same after it was written.
    #[test]
    fn a_profile_level_id_is_written_as_it_was_read(bytes in any::<[u8; 3]>()) {
        let text = format!("{:02X}{:02x}{:02x}", bytes[0], bytes[1], bytes[2]);
        if let Some(id) = ProfileLevelId::parse(&text) {
            prop_assert_eq!(ProfileLevelId::parse(&id.to_string()), Some(id));
        }
    }

    /// What is agreed on is never more than either side, unless both said they do not mind.
    #[test]
    fn an_answer_is_never_above_both(ours in 10_u16..2_000, theirs in 10_u16..2_000) {
        let id = |size: u16| {
            ProfileLevelId::new(Profile::ConstrainedBaseline, Level::of(size, size, 30).unwrap())
        };
        let (ours, theirs) = (id(ours), id(theirs));
        let answer = ours.answer(theirs, false).unwrap();
        prop_assert_eq!(answer.level(), ours.level().min(theirs.level()));
        prop_assert_eq!(ours.answer(theirs, true), Some(ours));
    }
}

#[test]
fn a_router_with_many_codecs_is_listed_in_part() {
    let codec = json!({ "mimeType": "audio/x", "clockRate": 1 });
    let router = router(json!(vec![codec; 100]), json!([]));
    let Err(NegotiationError::Unsupported { router, .. }) =
        negotiate(&Codec::Vp8, &stream(), &router)
    else {
        panic!("unsupported")
    };
    assert_eq!(router.len(), 32);
}
