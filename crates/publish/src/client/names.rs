//! Names among the server's candidates, and the addresses they stand for: the engine takes
//! addresses alone.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::net::lookup_host;
use tokio::time::timeout;
use tracing::debug;

use super::address::{self, Candidate};
use super::error::PublishError;
use crate::sdp::{CandidateAddress, MAX_CANDIDATES};

/// The addresses of each name; none of one that has none.
type Known = BTreeMap<String, Vec<IpAddr>>;

/// Looks up what a server calls itself, once an attempt: an answer to an ICE restart has the same
/// names, and where the path is gone whoever knows them may be too.
pub(super) struct Names {
    /// Where media leave from: what is reached from there comes first.
    bind: IpAddr,
    known: Known,
    lookup: Option<Lookup>,
}

/// An answer that waits for the addresses of its names.
struct Lookup {
    answer: String,
    /// The first of its names.
    host: String,
    found: Pin<Box<dyn Future<Output = Known> + Send>>,
}

impl Names {
    pub(super) fn new(bind: IpAddr) -> Self {
        Self { bind, known: Known::new(), lookup: None }
    }

    /// Takes in an answer, and gives it back with addresses in place of names; `None` if they
    /// are looked up first. Of two, the newer counts.
    pub(super) fn handle_answer(&mut self, answer: String) -> Option<Result<String, PublishError>> {
        let candidates = answer.lines().filter_map(Candidate::read);
        let named = candidates.filter(|candidate| candidate.is_udp && candidate.ip().is_none());
        let mut names: Vec<_> = named.map(|candidate| candidate.address.to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| !self.known.contains_key(name));
        names.truncate(MAX_NAMES.saturating_sub(self.known.len()));
        self.lookup = None;
        let Some(host) = names.first().cloned() else {
            return Some(with_addresses(&answer, &self.known));
        };
        let found = Box::pin(look_up(names, self.bind));
        self.lookup = Some(Lookup { answer, host, found });
        None
    }

    /// What is looked up now.
    pub(super) fn pending(&self) -> Option<&str> {
        self.lookup.as_ref().map(|lookup| lookup.host.as_str())
    }

    /// Waits for the answer with addresses; for ever if none waits for them. Cancel-safe.
    pub(super) async fn resolved(&mut self) -> Result<String, PublishError> {
        let Some(lookup) = &mut self.lookup else { return std::future::pending().await };
        let mut found = lookup.found.as_mut().await;
        self.known.append(&mut found);
        let answer = self.lookup.take().map(|lookup| lookup.answer).unwrap_or_default();
        with_addresses(&answer, &self.known)
    }

    /// A newer offer has made the answer that waits one to nothing.
    pub(super) fn forget(&mut self) {
        self.lookup = None;
    }
}

/// Once one has an address, the others are not waited for much longer: nobody may know them here.
async fn look_up(names: Vec<String>, bind: IpAddr) -> Known {
    let mut known: Known = names.iter().map(|name| (name.clone(), Vec::new())).collect();
    let each = names.into_iter().map(|name| async move {
        let addresses = addresses_of(&name, bind).await;
        (name, addresses)
    });
    let mut each: FuturesUnordered<_> = each.collect();
    let mut is_enough = false;
    loop {
        let next = if is_enough {
            timeout(OTHERS_TIMEOUT, each.next()).await
        } else {
            Ok(each.next().await)
        };
        let Ok(Some((name, addresses))) = next else { return known };
        is_enough |= !addresses.is_empty();
        known.insert(name, addresses);
    }
}

async fn addresses_of(name: &str, bind: IpAddr) -> Vec<IpAddr> {
    match timeout(LOOKUP_TIMEOUT, lookup_host((name, 0))).await {
        Ok(Ok(found)) => best(found.map(|address| address.ip()), bind),
        Ok(Err(error)) => {
            debug!(name, %error, "a name of the server's has no address");
            Vec::new()
        }
        Err(_) => {
            debug!(name, "nobody says which address a name of the server's has");
            Vec::new()
        }
    }
}

/// Of the addresses of a name those that are of use, in the system's order (RFC 6724).
fn best(found: impl Iterator<Item = IpAddr>, bind: IpAddr) -> Vec<IpAddr> {
    let mut addresses: Vec<_> = found.map(|ip| ip.to_canonical()).collect();
    addresses.retain(|ip| CandidateAddress::Ip(*ip).is_one());
    // One that is not reached stays: it is what the error names.
    addresses.sort_by_key(|ip| !address::reaches(bind, *ip));
    addresses.dedup();
    addresses.truncate(MAX_ADDRESSES);
    addresses
}

/// The answer with a candidate for each address of a name, and none for a name.
fn with_addresses(answer: &str, known: &Known) -> Result<String, PublishError> {
    let all = || answer.lines().filter_map(Candidate::read);
    let mut room = MAX_CANDIDATES.saturating_sub(all().filter(|one| one.ip().is_some()).count());
    let mut is_reached = all().any(|one| one.is_udp && one.ip().is_some());
    let mut nowhere = None;
    let mut text = String::with_capacity(answer.len());
    let mut push = |line: &str| {
        text.push_str(line);
        text.push_str("\r\n");
    };
    for line in answer.lines() {
        let Some(candidate) = Candidate::read(line).filter(|one| one.ip().is_none()) else {
            push(line);
            continue;
        };
        // We speak UDP alone.
        if !candidate.is_udp {
            continue;
        }
        let addresses = known.get(candidate.address).map(Vec::as_slice).unwrap_or_default();
        if addresses.is_empty() {
            nowhere.get_or_insert(candidate.address);
        }
        for ip in addresses.iter().take(room) {
            push(&candidate.at(*ip));
            (room, is_reached) = (room - 1, true);
        }
    }
    match nowhere {
        Some(host) if !is_reached => Err(PublishError::Name { host: host.to_owned() }),
        _ => Ok(text),
    }
}

/// Ours: mediasoup has one name for each address that it listens on, mostly one.
const MAX_NAMES: usize = 8;

/// Addresses of one name that are sent checks: both families, twice each.
const MAX_ADDRESSES: usize = 4;

/// resolv.conf(5): the first name server has 5 s by default. Half of `connect_timeout` is left
/// then.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Between one name that has an address and the next: a resolver that knows both tells in tenths of
/// a second.
const OTHERS_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn answer(candidates: &[&str]) -> String {
        let line = |candidate: &&str| format!("a=candidate:{candidate} typ host\r\n");
        let candidates: String = candidates.iter().map(line).collect();
        format!("v=0\r\n{candidates}a=end-of-candidates\r\n")
    }

    fn known(names: &[(&str, &[&str])]) -> Known {
        let ip = |text: &&str| text.parse::<IpAddr>().expect("an address");
        let of = |(name, ips): &(&str, &[&str])| {
            ((*name).to_owned(), ips.iter().map(ip).collect::<Vec<_>>())
        };
        names.iter().map(of).collect()
    }

    #[test]
    fn addresses_take_the_place_of_names_and_what_has_none_is_left_out() {
        let given = answer(&[
            "a 1 udp 9 sfu.example 40000",
            "b 1 udp 8 192.0.2.9 40001",
            "c 1 tcp 7 sfu.example 40002",
            "d 1 udp 6 nowhere.example 40003",
        ]);
        let known =
            known(&[("sfu.example", &["192.0.2.1", "2001:db8::1"]), ("nowhere.example", &[])]);
        let expected = answer(&[
            "a 1 udp 9 192.0.2.1 40000",
            "a 1 udp 9 2001:db8::1 40000",
            "b 1 udp 8 192.0.2.9 40001",
        ]);
        assert_eq!(with_addresses(&given, &known).expect("some are left"), expected);
    }

    #[test]
    fn where_no_name_has_an_address_the_error_says_which() {
        let given = answer(&["a 1 udp 9 nowhere.example 40000", "b 1 tcp 8 192.0.2.9 40001"]);
        let error = with_addresses(&given, &known(&[("nowhere.example", &[])]));
        assert_eq!(
            error.expect_err("there is no other").to_string(),
            "the server takes media at nowhere.example, and nobody says which address that is: \
             check the name server, or have the server announce an address"
        );
        // That there is no candidate at all is for the engine to say.
        assert!(with_addresses(&answer(&[]), &Known::new()).is_ok());
    }

    #[test]
    fn no_server_makes_more_candidates_of_names_than_it_may_have() {
        let names: Vec<_> =
            (0..31).map(|at| format!("{at} 1 udp 9 sfu.example {}", at + 1)).collect();
        let mut lines: Vec<_> = names.iter().map(String::as_str).collect();
        lines.push("x 1 udp 9 192.0.2.9 9");
        let known = known(&[("sfu.example", &["192.0.2.1", "192.0.2.2", "192.0.2.3"])]);
        let text = with_addresses(&answer(&lines), &known).expect("some are left");
        assert_eq!(text.lines().filter_map(Candidate::read).count(), MAX_CANDIDATES);
        assert!(text.contains("192.0.2.9"), "what has an address stays:\n{text}");
    }

    #[test]
    fn addresses_that_are_reached_come_first_and_those_of_no_host_not_at_all() {
        let found = ["::1", "0.0.0.0", "192.0.2.1", "127.0.0.1", "224.0.0.1", "::2", "::3", "::4"];
        let found = found.iter().map(|text| text.parse().expect("an address"));
        let best: Vec<_> = best(found, HERE).iter().map(ToString::to_string).collect();
        assert_eq!(best, ["127.0.0.1", "::1", "192.0.2.1", "::2"]);
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_and_a_newer_offer_ends_the_wait() {
        let mut names = Names::new(HERE);
        let given = answer(&["a 1 udp 9 localhost 40000"]);
        assert!(names.handle_answer(given.clone()).is_none());
        assert_eq!(names.pending(), Some("localhost"));
        names.forget();
        assert_eq!(names.pending(), None);
        assert!(names.handle_answer(given.clone()).is_none());
        let text = timeout(LOOKUP_TIMEOUT * 4, names.resolved()).await.expect("it is known here");
        let text = text.expect("it has an address");
        assert!(text.contains("a=candidate:a 1 udp 9 127.0.0.1 40000 typ host"), "{text}");
        let again = names.handle_answer(given).expect("it is known").expect("it has an address");
        assert_eq!((again, names.pending()), (text, None));
        let literal = answer(&["a 1 udp 9 192.0.2.1 40000"]);
        assert_eq!(names.handle_answer(literal.clone()).expect("no name").ok(), Some(literal));
    }
}
