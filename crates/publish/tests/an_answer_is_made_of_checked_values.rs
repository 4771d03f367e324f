//! The answer for an engine, and that nothing odd gets into it.

#![allow(clippy::unwrap_used, reason = "what does not fit fails the test")]

mod support;

use paceline_publish::rtp_parameters::RtpCapabilities;
use paceline_publish::sdp::{
    Answer, DtlsRole, MAX_CANDIDATES, MAX_SDP, Offer, RemoteTransport, SdpError,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{codecs, offer, router, transport};

fn answer(offer: &str, transport: &Value) -> Result<Answer, SdpError> {
    let offer = Offer::parse(offer)?;
    let router: RtpCapabilities = serde_json::from_value(router()).unwrap();
    let negotiated = offer.negotiate(&codecs(), &router).unwrap();
    Answer::new(&offer, &RemoteTransport::parse(transport)?, &negotiated, 3)
}

#[test]
fn the_answer_has_all_an_engine_needs() {
    let answer = answer(&offer(), &transport()).unwrap();
    assert_eq!(answer.local_role(), DtlsRole::Client);
    let lines: Vec<_> = answer.sdp().split_terminator("\r\n").collect();
    let of = |prefix: &str| lines.iter().filter(|line| line.starts_with(prefix)).count();
    assert_eq!(lines[..4], ["v=0", "o=- 1 3 IN IP4 0.0.0.0", "s=-", "t=0 0"]);
    for line in [
        "a=ice-lite",
        "a=group:BUNDLE 0 1",
        "a=extmap-allow-mixed",
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
        "a=rtpmap:96 H264/90000",
        "a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        "a=rtcp-fb:96 transport-cc",
        "a=rtcp-fb:96 ccm fir",
        "a=rtcp-fb:96 nack pli",
        "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=rtpmap:111 opus/48000/2",
        "a=end-of-candidates",
    ] {
        assert_eq!(lines.iter().filter(|known| **known == line).count(), 1, "{line}");
    }
    for attribute in ["a=recvonly", "a=rtcp-mux", "a=rtcp-rsize", "a=setup:passive", "c=IN IP4 "] {
        assert_eq!(of(attribute), 2, "{attribute}");
    }
    assert_eq!(of("a=fingerprint:sha-256 F4:6D:01:"), 2);
    assert_eq!(of("a=rtcp-fb:96 goog-remb"), 0, "with transport-wide feedback there is none");
    let candidates: Vec<_> = lines.iter().filter(|line| line.starts_with("a=candidate:")).collect();
    assert_eq!(
        candidates,
        [
            &"a=candidate:udpcandidate 1 udp 1076302079 127.0.0.1 38093 typ host",
            &"a=candidate:tcpcandidate 1 tcp 1076276479 127.0.0.1 50502 typ host tcptype passive",
        ],
    );
}

#[test]
fn a_candidate_at_no_host_is_left_out_and_a_server_without_another_is_told_why() {
    let mut transport = transport();
    let candidates = transport["iceCandidates"].as_array().unwrap().clone();
    for nowhere in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "::ffff:0.0.0.0"] {
        let at_no_host = |candidate: &Value| {
            let mut candidate = candidate.clone();
            candidate["address"] = json!(nowhere);
            candidate
        };
        let none: Vec<_> = candidates.iter().map(at_no_host).collect();
        transport["iceCandidates"] = json!([none[0], candidates[0]]);
        let remote = RemoteTransport::parse(&transport).unwrap();
        assert_eq!(remote.candidates().len(), 1, "{nowhere}");
        transport["iceCandidates"] = json!(none);
        let error = RemoteTransport::parse(&transport).unwrap_err();
        assert_eq!(error, SdpError::NoAddress, "{nowhere}");
        assert!(error.to_string().contains("`announcedAddress`"), "{error}");
    }
}

#[test]
fn a_section_that_is_not_taken_is_rejected() {
    let with_data = offer().replace("BUNDLE 0 1", "BUNDLE 0 1 2")
        + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\na=sctp-port:5000\r\n";
    let answer = answer(&with_data, &transport()).unwrap();
    assert!(answer.sdp().ends_with(
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=inactive\r\n"
    ));
    assert!(answer.sdp().contains("a=group:BUNDLE 0 1\r\n"));
}

#[test]
fn the_roles_of_dtls_never_contradict_each_other() {
    let with = |setup: &str, role: Value| {
        let mut transport = transport();
        transport["dtlsParameters"]["role"] = role;
        let offer = offer().replace("a=setup:actpass", &format!("a=setup:{setup}"));
        answer(&offer, &transport).map(|answer| {
            let setups: Vec<_> =
                answer.sdp().lines().filter_map(|line| line.strip_prefix("a=setup:")).collect();
            assert_eq!(setups[0], setups[1]);
            (answer.local_role(), setups[0].to_owned())
        })
    };
    let (client, server) =
        (|| (DtlsRole::Client, "passive".to_owned()), || (DtlsRole::Server, "active".to_owned()));
    assert_eq!(with("actpass", json!("auto")), Ok(client()));
    assert_eq!(with("actpass", json!("server")), Ok(client()));
    assert_eq!(with("actpass", json!("client")), Ok(server()));
    assert_eq!(with("active", json!("auto")), Ok(client()));
    assert_eq!(with("passive", json!("auto")), Ok(server()));
    for (setup, role) in [("active", "client"), ("passive", "server"), ("actpass", "holdconn")] {
        let error = with(setup, json!(role)).unwrap_err();
        assert!(matches!(error, SdpError::Field { field: "dtlsParameters.role", .. }), "{error}");
    }
    assert!(with("holdconn", json!("auto")).is_err());
}

#[test]
fn old_and_new_names_of_an_address_are_taken() {
    let mut transport = transport();
    let candidate = transport["iceCandidates"][0].as_object_mut().unwrap();
    candidate.remove("address");
    candidate.insert("ip".into(), json!("::1"));
    transport["iceCandidates"][1]["address"] = json!("sfu.example.org");
    let sdp = answer(&offer(), &transport).unwrap().sdp().to_owned();
    assert!(sdp.contains(" 1 udp 1076302079 ::1 38093 typ host\r\n"), "{sdp}");
    assert!(sdp.contains(" 1 tcp 1076276479 sfu.example.org 50502 typ host"), "{sdp}");
}

#[test]
fn a_certificate_without_sha_256_is_refused() {
    let mut transport = transport();
    transport["dtlsParameters"]["fingerprints"].as_array_mut().unwrap().remove(2);
    assert_eq!(answer(&offer(), &transport), Err(SdpError::NoFingerprint));
}

#[test]
fn there_are_bounds() {
    let mut many = transport();
    let candidate = many["iceCandidates"][0].clone();
    many["iceCandidates"] = json!(vec![candidate.clone(); MAX_CANDIDATES]);
    assert!(answer(&offer(), &many).is_ok());
    many["iceCandidates"] = json!(vec![candidate; MAX_CANDIDATES + 1]);
    let limit = MAX_CANDIDATES;
    assert_eq!(answer(&offer(), &many), Err(SdpError::TooMany { field: "iceCandidates", limit }));

    let padded = |len: usize| {
        let offer = offer();
        let filling = "a".repeat(len - offer.len() - 4);
        format!("{offer}b={filling}\r\n")
    };
    assert!(Offer::parse(&padded(MAX_SDP)).is_ok());
    let too_long = Err(SdpError::TooLarge { len: MAX_SDP + 1, limit: MAX_SDP });
    assert_eq!(Offer::parse(&padded(MAX_SDP + 1)), too_long);
    let sections = offer() + &"m=audio 9 RTP 0\r\n".repeat(31);
    assert_eq!(Offer::parse(&sections), Err(SdpError::TooMany { field: "m", limit: 32 }));
    let sources: String = (0..600).map(|ssrc| format!("a=ssrc:{ssrc} cname:x\r\n")).collect();
    assert_eq!(
        Offer::parse(&(offer() + &sources)),
        Err(SdpError::TooMany { field: "m", limit: 512 })
    );
}

#[test]
fn an_offer_without_what_is_needed_names_it() {
    for (attribute, field) in [
        ("a=ice-ufrag", "ice-ufrag"),
        ("a=ice-pwd", "ice-pwd"),
        ("a=fingerprint", "fingerprint"),
        ("a=setup", "setup"),
        ("a=mid", "mid"),
    ] {
        let offer = offer().replace(attribute, "a=x");
        let error = Offer::parse(&offer).unwrap_err();
        assert!(matches!(error, SdpError::Field { field: named, .. } if named == field), "{error}");
    }
    for (good, bad, field) in [
        ("a=mid:1", "a=mid:0", "mid"),
        ("a=mid:1", "a=mid:0 1", "mid"),
        ("a=rtpmap:96 ", "a=rtpmap:128 ", "rtpmap"),
        ("a=extmap:1 ", "a=extmap:x ", "extmap"),
        ("a=extmap:1 urn", "a=extmap:1 u\rn", "extmap"),
        ("a=ssrc:8738", "a=ssrc:-1", "ssrc"),
        ("FID 4369 4370", "FID 4369", "ssrc-group"),
        ("a=fmtp:97", "a=fmtp:x", "fmtp"),
        ("a=ice-ufrag:NGCv", "a=ice-ufrag:N v", "ice-ufrag"),
        ("sha-256 7D", "sha-256 XD", "fingerprint"),
        ("m=audio", "m=radio", "m"),
    ] {
        let error = Offer::parse(&offer().replace(good, bad)).unwrap_err();
        assert!(
            matches!(error, SdpError::Field { field: named, .. } if named == field),
            "{bad}: {error}"
        );
    }
}

/// Every text of the server's that could reach the answer, by its place.
const TEXTS: [&str; 10] = [
    "/iceParameters/usernameFragment",
    "/iceParameters/password",
    "/iceCandidates/0/foundation",
    "/iceCandidates/0/address",
    "/iceCandidates/0/protocol",
    "/iceCandidates/0/type",
    "/iceCandidates/1/tcpType",
    "/dtlsParameters/role",
    "/dtlsParameters/fingerprints/2/value",
    "/dtlsParameters/fingerprints/2/algorithm",
];

#[test]
fn what_would_be_a_line_of_its_own_is_refused() {
    for pointer in TEXTS {
        for odd in ["\r\na=x", "\n", "\r", " x", "\u{2028}", "\0", "é", ";"] {
            let mut transport = transport();
            let value = transport.pointer_mut(pointer).unwrap();
            *value = json!(format!("{}{odd}", value.as_str().unwrap()));
            let result = answer(&offer(), &transport);
            assert!(result.is_err(), "{pointer} with {odd:?}");
        }
    }
}

proptest! {
    /// Whatever the server says, the answer has the lines it has to have and no other.
    #[test]
    fn no_text_of_the_server_s_adds_a_line(place in 0..TEXTS.len(), text in "\\PC{0,40}|[a-z0-9.:/+ \r\n-]{0,60}") {
        let lines = answer(&offer(), &transport()).unwrap().sdp().lines().count();
        let candidates =
            |transport: &Value| RemoteTransport::parse(transport).unwrap().candidates().len();
        let mut transport = transport();
        let all = candidates(&transport);
        *transport.pointer_mut(TEXTS[place]).unwrap() = json!(text);
        if let Ok(answer) = answer(&offer(), &transport) {
            // One at an address of no host is left out.
            let left_out = all - candidates(&transport);
            prop_assert_eq!(answer.sdp().lines().count() + left_out, lines);
            prop_assert!(answer.sdp().is_ascii());
        }
    }
}
