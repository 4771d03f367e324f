//! Where a share goes, as words.

use paceline::ShareTarget;
use paceline::playout::terminal::sanitize;

use crate::args::UsageError;

/// What `--to` and `--fallback` take.
pub(crate) fn parse(option: &str, word: &str) -> Result<ShareTarget, UsageError> {
    let wrong = |text: &str| Err(UsageError(format!("{option} {}: {text}", shown(word))));
    let (kind, rest) = word.split_once(':').unwrap_or((word, ""));
    match kind {
        "external" if word == kind => Ok(ShareTarget::External),
        "mediasoup" | "broadcaster" => match word.parse() {
            Ok(target) => Ok(ShareTarget::Sfu(target)),
            Err(_) if kind == "mediasoup" => wrong(
                "it takes wss://HOST/?roomId=ROOM&peerId=PEER, or ws:// where nobody listens in",
            ),
            Err(_) => wrong("it takes https://HOST/rooms/ROOM, or http:// on this machine"),
        },
        "room" if is_url(rest) => Ok(ShareTarget::Room { url: rest.to_owned() }),
        "room" => wrong("a room is ws://HOST:PORT/ROOM, as `call host` prints it"),
        _ => wrong(
            "it is mediasoup:wss://…, broadcaster:https://…, room:ws://HOST:PORT/ROOM or external",
        ),
    }
}

/// What may be said of a word that cannot be followed: standard error ends up in logs, and a URL
/// may hold a token or a password.
pub(crate) fn shown(word: &str) -> String {
    let (path, is_cut) = match word.split_once(['?', '#']) {
        Some((path, _)) => (path, true),
        None => (word, false),
    };
    let (scheme, rest) = path.split_once("//").unwrap_or(("", path));
    let slashes = if scheme.is_empty() { "" } else { "//" };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let dots = if is_cut { "?…" } else { "" };
    sanitize(&format!("{scheme}{slashes}{rest}{dots}"), MAX_SHOWN)
}

fn is_url(word: &str) -> bool {
    let rest = word.strip_prefix("ws://").or_else(|| word.strip_prefix("wss://"));
    rest.is_some_and(|rest| !rest.is_empty())
}

/// Characters of a word that are shown: a URL as people write it is no longer.
const MAX_SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_target_is_called_is_what_makes_it() {
        for word in [
            "mediasoup:wss://a.example:4443/",
            "broadcaster:https://a.example/rooms/kitchen",
            "room:ws://127.0.0.1:4455/call",
            "external",
        ] {
            let target = parse("--to", word).ok().map(|target| target.to_string());
            assert_eq!(target.as_deref(), Some(word));
        }
        for word in
            ["broadcaster:https://a/rooms/", "broadcaster:https://a/rooms/a/b", "room:ws://"]
        {
            assert!(parse("--to", word).is_err(), "{word}");
        }
    }

    #[test]
    fn what_a_url_asks_with_is_not_shown() {
        let word = "mediasoup:wss://a.example/?roomId=r&peerId=p&token=secret";
        let target = parse("--to", word).expect("it is one").to_string();
        assert_eq!(target, "mediasoup:wss://a.example/");
        for (word, shown) in [
            ("mediasoup:https://ada:secret@a/?token=secret", "mediasoup:https://a/?…"),
            ("broadcaster:https://secret@a/rooms#secret", "broadcaster:https://a/rooms?…"),
            ("room:http://a/secret@b?secret", "room:http://b?…"),
            ("secret@a?secret", "a?…"),
            ("nobody", "nobody"),
        ] {
            let error = parse("--to", word).expect_err("it is none").to_string();
            assert!(error.starts_with(&format!("--to {shown}: ")), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
