//! Descriptions, capabilities and transports.

use bytes::Buf;
use paceline_publish::rtp_parameters::RtpCapabilities;
use paceline_publish::sdp::{Answer, MAX_CANDIDATES, Offer, RemoteTransport};
use serde::Deserialize;

use super::server::{assert_clean, codecs, offer, router, spoil, text, transport};

/// An engine's offer, a router and a transport, each as it should be but for some steps: each is
/// an operation, a place and what happens there, and some take text.
pub fn sdp(mut script: &[u8]) {
    let Ok(first) = script.try_get_u8() else { return };
    let mut lines: Vec<String> = offer("user").lines().map(str::to_owned).collect();
    let (mut router, mut transport) = (router(), transport());
    while let Some((&[op, place, how], rest)) = script.split_first_chunk() {
        script = rest;
        let at = usize::from(place) % lines.len().max(1);
        match op % 8 {
            0 => spoil(&mut router, place, how),
            1 | 2 => spoil(&mut transport, place, how),
            3 if !lines.is_empty() => drop(lines.remove(at)),
            4 => lines.insert(at, text(&mut script, how)),
            5 if lines.len() > 1 => {
                let to = usize::from(how) % lines.len();
                lines.swap(at, to);
            }
            6 if lines.len() < 200 => {
                let line = lines.get(at).cloned().unwrap_or_default();
                lines.insert(usize::from(how) % (lines.len() + 1), line);
            }
            7 => {
                let said = text(&mut script, how % 8);
                let Some(line) = lines.get_mut(at) else { continue };
                if let Some(after) = line.find(':').or_else(|| line.find('=')) {
                    line.truncate(after + 1);
                    line.push_str(&said);
                }
            }
            _ => {}
        }
    }
    let end = if first & 1 == 0 { "\r\n" } else { "\n" };
    let remote = RemoteTransport::parse(&transport);
    if let Ok(remote) = &remote {
        assert!(remote.candidates().len() <= MAX_CANDIDATES);
        for candidate in remote.candidates() {
            assert!(candidate.port() != 0);
            let text = candidate.to_string();
            assert!(text.bytes().all(|c| c == b' ' || c.is_ascii_graphic()), "{text:?}");
        }
    }
    let Ok(offer) = Offer::parse(&lines.join(end)) else { return };
    let Ok(router) = RtpCapabilities::deserialize(&router) else { return };
    let Ok(agreed) = offer.negotiate(&codecs(first & 2 != 0), &router) else { return };
    let mids: Vec<_> = agreed.iter().map(|agreed| agreed.parameters().mid.as_deref()).collect();
    assert!(mids.iter().all(Option::is_some) && mids[0] != mids[1]);
    for agreed in &agreed {
        let parameters = agreed.parameters();
        assert!((1..=2).contains(&parameters.codecs.len()) && parameters.encodings.len() == 1);
        let uris: Vec<_> = parameters.header_extensions.iter().map(|it| &it.uri).collect();
        assert!((1..uris.len()).all(|end| !uris[..end].contains(&uris[end])), "{uris:?}");
        assert!(!agreed.to_string().contains(char::is_control), "{agreed}");
    }
    let Ok(remote) = remote else { return };
    let Ok(answer) = Answer::new(&offer, &remote, &agreed, 7) else { return };
    assert_clean(answer.sdp());
    // It says of every section what the offer says of it, in its order, and all of the server.
    let read = Offer::parse(answer.sdp()).expect("what is emitted can be read");
    assert_eq!(read.sections().len(), offer.sections().len());
    for (ours, theirs) in read.sections().iter().zip(offer.sections()) {
        assert_eq!((ours.kind(), ours.mid()), (theirs.kind(), theirs.mid()));
    }
    let of = |attribute: &str| answer.sdp().matches(attribute).count();
    assert_eq!(of("\r\na=recvonly\r\n"), agreed.len());
    assert_eq!(of("\r\na=candidate:"), remote.candidates().len());
    let fingerprint = format!("\r\na=fingerprint:sha-256 {}\r\n", read.fingerprint());
    assert_eq!(of(&fingerprint), agreed.len());
}
