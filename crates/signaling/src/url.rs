//! `ws://HOST:PORT/ROOM`.

use crate::limits::is_room;

/// Why a text is not the URL of a room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum UrlProblem {
    /// It is none.
    Malformed,
    /// It is one for `wss`.
    Secure,
}

/// Checks that `url` is `ws://HOST:PORT/ROOM`, without a query or credentials.
pub(crate) fn check(url: &str) -> Result<(), UrlProblem> {
    if url.starts_with("wss://") {
        return Err(UrlProblem::Secure);
    }
    let rest = url.strip_prefix("ws://").ok_or(UrlProblem::Malformed)?;
    let (authority, room) = rest.split_once('/').ok_or(UrlProblem::Malformed)?;
    let (host, port) = authority.rsplit_once(':').ok_or(UrlProblem::Malformed)?;
    let host = match host.strip_prefix('[') {
        Some(ip) => ip.strip_suffix(']').filter(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => Some(host).filter(|host| {
            host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }),
    };
    let named = host.is_some_and(|host| !host.is_empty());
    let open = port.parse::<u16>().is_ok_and(|port| port != 0);
    if named && open && is_room(room) { Ok(()) } else { Err(UrlProblem::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_port_and_room() {
        for good in ["ws://127.0.0.1:9/room", "ws://[::1]:65535/r", "ws://a-b.example:80/R_-1"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "room",
            "http://a:1/r",
            "ws://a/r",
            "ws://a:1",
            "ws://a:1/",
            "ws://:1/r",
            "ws://a:0/r",
            "ws://a:65536/r",
            "ws://a:1/r/s",
            "ws://a:1/r?x",
            "ws://u@a:1/r",
            "ws://[::1:1/r",
            "ws://::1:1/r",
            "ws://a\n:1/r",
        ] {
            assert_eq!(check(bad), Err(UrlProblem::Malformed), "{bad}");
        }
        assert_eq!(check("wss://a:1/r"), Err(UrlProblem::Secure));
    }
}
