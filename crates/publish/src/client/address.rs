//! Which addresses of ours reach which of the server's, and whence we say to come.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;

use super::error::PublishError;

/// Whether a URL names this machine: what is sent there crosses no wire.
pub(super) fn is_loopback(url: &Url) -> bool {
    match literal(url) {
        Some(ip) => ip.is_loopback(),
        // RFC 6761 §6.3.
        None => {
            url.host_str().is_some_and(|name| name == "localhost" || name.ends_with(".localhost"))
        }
    }
}

/// The origin (RFC 6454) of a page of the server's own: there are servers that let nobody in who
/// does not come from one.
pub(super) fn origin_of(url: &Url) -> String {
    let scheme = match url.scheme() {
        "ws" | "http" => "http",
        _ => "https",
    };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{}{port}", url.host_str().unwrap_or_default())
}

/// Where media leave this machine, and where they may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// The owner's choice.
    asked: Option<IpAddr>,
    /// The server is on this machine.
    is_here: bool,
    /// The server's address, if its URL has one.
    host: Option<IpAddr>,
}

impl Way {
    pub(super) fn new(asked: Option<IpAddr>, url: &Url) -> Self {
        Self { asked, is_here: is_loopback(url), host: literal(url) }
    }

    /// The address to bind while it is not known where media go.
    pub(super) fn bind(&self) -> IpAddr {
        let is_ipv6 = self.host.is_some_and(|ip| ip.is_ipv6());
        self.asked.unwrap_or_else(|| of_family(is_ipv6, self.is_here))
    }

    /// The address to bind for a server that takes media at this one and is not asked whether
    /// it wants them: no ICE is on this way. What reaches only this machine or this cable is
    /// refused to a server that is elsewhere, or anything here could be sent to in its name.
    pub(super) fn towards(&self, server: IpAddr) -> Result<IpAddr, PublishError> {
        let is_known = self.host == Some(server)
            || self.is_here
            || self.asked.is_some_and(|bind| bind.is_loopback());
        if is_broadcast(server) || (is_near(server) && !is_known) {
            let reason = format!("the server wants media sent to {server}, which is not its own");
            return Err(PublishError::Negotiation { reason });
        }
        let bind = self.asked.unwrap_or_else(|| of_family(server.is_ipv6(), self.is_here));
        if reaches(bind, server) { Ok(bind) } else { Err(PublishError::Bind { bind, server }) }
    }
}

/// Loopback, or all addresses: those of one family.
fn of_family(is_ipv6: bool, is_here: bool) -> IpAddr {
    match (is_here, is_ipv6) {
        (true, false) => Ipv4Addr::LOCALHOST.into(),
        (true, true) => Ipv6Addr::LOCALHOST.into(),
        (false, false) => Ipv4Addr::UNSPECIFIED.into(),
        (false, true) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Whether it means another machine to us than to who names it (RFC 6890 §2.2.2).
fn is_near(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

fn is_broadcast(ip: IpAddr) -> bool {
    ip.to_canonical() == Ipv4Addr::BROADCAST
}

/// Whether a socket bound to `bind` reaches `server`.
pub(super) fn reaches(bind: IpAddr, server: IpAddr) -> bool {
    bind.is_ipv4() == server.is_ipv4() && (!bind.is_loopback() || server.is_loopback())
}

/// A line of the server's answer that is a candidate (RFC 8839 §5.1).
pub(super) struct Candidate<'a> {
    /// Foundation, component, transport and priority.
    before: [&'a str; 4],
    pub(super) is_udp: bool,
    /// An address, or a name for one.
    pub(super) address: &'a str,
    /// From the port on.
    after: &'a str,
}

impl<'a> Candidate<'a> {
    /// `None` of any other line.
    pub(super) fn read(line: &'a str) -> Option<Self> {
        let mut words = line.strip_prefix("a=candidate:")?.splitn(6, ' ');
        let before = [words.next()?, words.next()?, words.next()?, words.next()?];
        let is_udp = before[2].eq_ignore_ascii_case("udp");
        Some(Self { before, is_udp, address: words.next()?, after: words.next()? })
    }

    /// `None` if it has a name.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        self.address.parse().ok()
    }

    /// The same line at this address.
    pub(super) fn at(&self, ip: IpAddr) -> String {
        format!("a=candidate:{} {ip} {}", self.before.join(" "), self.after)
    }

    fn socket(&self) -> Option<SocketAddr> {
        let port = self.after.split(' ').next()?.parse().ok()?;
        Some(SocketAddr::new(self.ip()?, port))
    }
}

/// Where the server's answer says that media are taken, as far as it is reached by UDP from
/// `bind`: none if it names nothing. What it names are addresses.
pub(super) fn check(bind: IpAddr, answer: &str) -> Result<Vec<SocketAddr>, PublishError> {
    let candidates = answer.lines().filter_map(Candidate::read).filter(|one| one.is_udp);
    let all: Vec<_> = candidates.filter_map(|candidate| candidate.socket()).collect();
    let reached: Vec<_> = all.iter().copied().filter(|at| reaches(bind, at.ip())).collect();
    match all.first() {
        Some(server) if reached.is_empty() => Err(PublishError::Bind { bind, server: server.ip() }),
        // Without any the engine says so.
        _ => Ok(reached),
    }
}

fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bound_by_default_reaches_the_host_of_the_url() {
        for (url, loopback, bind) in [
            ("ws://127.0.0.2:1/", true, "127.0.0.1"),
            ("ws://localhost/", true, "127.0.0.1"),
            ("ws://[::1]:5/", true, "::1"),
            ("wss://sfu.example/", false, "0.0.0.0"),
            ("wss://192.0.2.1/", false, "0.0.0.0"),
            ("wss://[2001:db8::1]/", false, "::"),
            ("wss://localhost.example/", false, "0.0.0.0"),
        ] {
            let url = Url::parse(url).expect("a URL");
            assert_eq!(is_loopback(&url), loopback, "{url}");
            assert_eq!(Way::new(None, &url).bind().to_string(), bind, "{url}");
            let asked = Ipv4Addr::new(127, 0, 0, 5).into();
            assert_eq!(Way::new(Some(asked), &url).bind(), asked, "{url}");
        }
    }

    #[test]
    fn the_origin_is_the_server_s_own_without_what_may_be_secret() {
        for (url, origin) in [
            ("wss://sfu.example/?token=x", "https://sfu.example"),
            ("wss://me:secret@sfu.example:4443/a", "https://sfu.example:4443"),
            ("ws://[::1]:5/", "http://[::1]:5"),
            ("http://127.0.0.1:80/rooms/r", "http://127.0.0.1"),
            ("https://sfu.example:443/rooms/r", "https://sfu.example"),
        ] {
            assert_eq!(origin_of(&Url::parse(url).expect("a URL")), origin);
        }
    }

    #[test]
    fn without_ice_media_go_only_where_the_server_can_be() {
        let way = |bind: &str, url: &str, server: &str| {
            let way = Way::new(bind.parse().ok(), &Url::parse(url).expect("a URL"));
            let bound = way.towards(server.parse().expect("an address"));
            bound.map(|ip| ip.to_string()).map_err(|error| error.to_string())
        };
        for (bind, url, server, bound) in [
            ("", "http://127.0.0.1/", "127.0.0.1", "127.0.0.1"),
            ("", "http://localhost/", "::1", "::1"),
            ("", "https://sfu.example/", "192.0.2.1", "0.0.0.0"),
            ("", "https://sfu.example/", "2001:db8::1", "::"),
            ("", "https://192.0.2.1/", "192.0.2.9", "0.0.0.0"),
            ("192.0.2.7", "https://192.0.2.1/", "192.0.2.9", "192.0.2.7"),
            // A name of this machine, which only its owner can know; a cable between two.
            ("127.0.0.1", "https://sfu.example/", "127.0.0.1", "127.0.0.1"),
            ("", "https://169.254.0.1/", "169.254.0.1", "0.0.0.0"),
        ] {
            assert_eq!(way(bind, url, server).as_deref(), Ok(bound), "{bind} {url} {server}");
        }
        for (bind, url, server) in [
            ("", "http://127.0.0.1/", "192.0.2.1"),
            ("127.0.0.5", "https://192.0.2.1/", "192.0.2.1"),
            ("192.0.2.7", "https://sfu.example/", "2001:db8::1"),
        ] {
            let error = way(bind, url, server).expect_err(server);
            assert!(error.contains("is not reached from"), "{error}");
        }
        for server in [
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "255.255.255.255",
            "::1",
            "::ffff:127.0.0.1",
            "fe80::1",
        ] {
            for (bind, url) in [("", "https://sfu.example/"), ("192.0.2.7", "https://192.0.2.1/")] {
                let error = way(bind, url, server).expect_err(server);
                assert!(error.ends_with(&format!("sent to {server}, which is not its own")));
            }
        }
    }

    #[test]
    fn an_address_that_reaches_no_candidate_is_refused_with_both_named() {
        let answer = "v=0\r\na=candidate:a 1 tcp 9 127.0.0.1 5 typ host\r\n\
                      a=candidate:b 1 udp 9 192.0.2.1 5 typ host\r\n";
        let local: IpAddr = Ipv4Addr::LOCALHOST.into();
        let error = check(local, answer).expect_err("loopback reaches this machine only");
        assert_eq!(
            error.to_string(),
            "the server takes media at 192.0.2.1, which is not reached from 127.0.0.1: bind \
             another address"
        );
        assert!(check(Ipv6Addr::UNSPECIFIED.into(), answer).is_err());
        assert!(check(Ipv4Addr::UNSPECIFIED.into(), answer).is_ok());
        let reached = check(local, &answer.replace("192.0.2.1", "127.0.0.9"));
        assert_eq!(reached.ok(), Some(vec![([127, 0, 0, 9], 5).into()]), "by UDP");
        assert_eq!(check(local, "v=0").ok(), Some(vec![]));
    }
}
