//! From the lines of an SDP to a class of NAT.

use paceline_framing::{Mapping, NatType};
use paceline_migration::classify;
use proptest::prelude::*;

const EASY: Mapping = Mapping::EndpointIndependent;
const HOME: &str = "candidate:1 1 udp 2130706431 192.168.1.7 50000 typ host generation 0";
const RELAY: &str =
    "candidate:5 1 udp 41885439 198.51.100.9 3478 typ relay raddr 203.0.113.5 rport 61000";
const UNKNOWN: (NatType, Mapping, bool) = (NatType::Unknown, Mapping::Unknown, false);

fn mapped(address: &str, port: u16, base: &str, base_port: u16) -> String {
    format!("a=candidate:2 1 UDP 1 {address} {port} typ srflx raddr {base} rport {base_port}")
}

fn of(lines: &[&str]) -> (NatType, Mapping, bool) {
    classify(lines)
}

#[test]
fn candidates_show_the_nat() {
    let one = mapped("203.0.113.5", 61_000, "192.168.1.7", 50_000);
    let two = mapped("203.0.113.5", 61_001, "192.168.1.7", 50_000);
    let wired = mapped("203.0.113.5", 61_001, "192.168.1.8", 50_000);
    let none = mapped("203.0.113.5", 50_000, "203.0.113.5", 50_000);
    let public = "candidate:1 1 udp 1 203.0.113.5 50000 typ host";

    assert_eq!(of(&[public]), (NatType::Open, EASY, false));
    assert_eq!(of(&[HOME, &none]), (NatType::Open, EASY, false));
    assert_eq!(of(&[HOME, &one]), (NatType::PortRestricted, EASY, false));
    assert_eq!(of(&[HOME, &one, &one, RELAY]), (NatType::PortRestricted, EASY, false));
    assert_eq!(of(&[HOME, &one, &wired]), (NatType::PortRestricted, EASY, false));
    let hard = (NatType::Symmetric, Mapping::AddressAndPortDependent, false);
    assert_eq!(of(&[HOME, &one, &two]), hard);
    assert_eq!(of(&[&two, RELAY, &one, HOME]), hard);
    assert_eq!(of(&[HOME]), UNKNOWN);
    assert_eq!(of(&[]), UNKNOWN);
    assert_eq!(of(&[RELAY]), (NatType::Unknown, Mapping::Unknown, true));
    assert_eq!(of(&[HOME, RELAY]), (NatType::Unknown, Mapping::Unknown, true));
}

#[test]
fn what_a_browser_hides_tells_nothing() {
    let name = "candidate:1 1 udp 1 6f3e0f3e-0c7c-4c0f-9f0e-1d2c3b4a5968.local 50000 typ host";
    let one = mapped("203.0.113.5", 61_000, "0.0.0.0", 0);
    let two = mapped("203.0.113.5", 61_001, "0.0.0.0", 9);
    assert_eq!(of(&[name]), UNKNOWN);
    assert_eq!(of(&[name, &one]), (NatType::PortRestricted, EASY, false));
    assert_eq!(of(&[name, &one, &two]), UNKNOWN);
}

#[test]
fn addresses_that_are_not_routed_everywhere_are_not_public() {
    let host = |address: &str| format!("candidate:1 1 udp 1 {address} 50000 typ host");
    let private = ["10.1.2.3", "172.16.0.1", "127.0.0.1", "169.254.3.4", "100.64.0.1", "0.0.0.0"];
    let six = ["fe80::1", "fd00::1", "::1", "::ffff:10.0.0.1", "ff02::1"];
    for address in private.into_iter().chain(six) {
        assert_eq!(of(&[&host(address)]), UNKNOWN, "{address}");
    }
    for address in ["9.9.9.9", "100.128.0.1", "172.32.0.1", "::ffff:9.9.9.9", "2620:fe::9"] {
        assert_eq!(of(&[&host(address)]).0, NatType::Open, "{address}");
    }
    // Not everybody has IPv6: behind a NAT of IPv4 it is the NAT that counts.
    let one = mapped("203.0.113.5", 61_000, "192.168.1.7", 50_000);
    assert_eq!(of(&[HOME, &one, &host("2620:fe::9")]).0, NatType::PortRestricted);
}

#[test]
fn tcp_and_what_comes_too_late_is_passed_over() {
    let tcp = "candidate:1 1 tcp 1 203.0.113.5 9 typ host tcptype active";
    assert_eq!(of(&[tcp]), UNKNOWN);
    let mut lines = vec![HOME; 64];
    lines.push(RELAY);
    assert_eq!(of(&lines), UNKNOWN);
}

proptest! {
    #[test]
    fn no_line_makes_it_fail(lines in prop::collection::vec("(a=)?candidate:[ -~é]{0,80}|\\PC{0,60}", 0..8)) {
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let _ = classify(&lines);
    }

    /// Nor one that is almost right; and the order decides nothing.
    #[test]
    fn no_line_with_words_in_place_makes_it_fail(
        lines in prop::collection::vec(
            "candidate:1 1 udp 1 (10\\.0\\.0\\.1|203\\.0\\.113\\.[12]|::|x) (0|9|5000[01]|70000) typ (host|srflx|relay|prflx|x)( raddr (10\\.0\\.0\\.[12]|0\\.0\\.0\\.0|é) rport (0|50000|x))?( raddr)?",
            0..8,
        ),
        turn in 0_usize..8,
    ) {
        let mut lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let before = classify(&lines);
        let turn = turn.min(lines.len());
        lines.rotate_left(turn);
        prop_assert_eq!(before, classify(&lines));
    }
}
