//! What our own addresses say of our place in the network.

use std::collections::BTreeSet;

use paceline_framing::{Mapping, NatState, NatType};
use paceline_types::{PeerId, Signal};

/// The candidates of ours that went to others, over all connections.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    lines: BTreeSet<String>,
    told: Option<(NatType, Mapping, bool)>,
}

impl Gathered {
    /// Looks at what goes to another; `Some` if our place is another than it seemed.
    ///
    /// Neither our uplink nor our way to the witness is known by that: zero says so.
    pub(super) fn handle_signal(&mut self, us: PeerId, signal: &Signal) -> Option<NatState> {
        let mut is_news = false;
        let mut note = |line: &str| {
            let line = line.trim();
            if !line.is_empty() && self.lines.len() < MAX_LINES && !self.lines.contains(line) {
                is_news |= self.lines.insert(line.to_owned());
            }
        };
        match signal {
            Signal::Answer { sdp } | Signal::Offer { sdp } => {
                sdp.lines().filter(|line| line.starts_with("a=candidate:")).for_each(note);
            }
            Signal::Candidate { candidate, .. } => note(candidate),
        }
        if !is_news {
            return None;
        }
        let lines: Vec<_> = self.lines.iter().map(String::as_str).collect();
        let place = paceline_migration::classify(&lines);
        if self.told.replace(place) == Some(place) {
            return None;
        }
        let (nat, mapping, needs_relay) = place;
        Some(NatState { nat, mapping, upload: 0, rtt: 0, needs_relay, tie_break: us })
    }
}

/// As many as are looked at: a machine has few addresses, and each connection a port of its
/// own on each of them.
const MAX_LINES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(line: &str) -> Signal {
        let (candidate, mid, ufrag) = (line.to_owned(), "0".to_owned(), String::new());
        Signal::Candidate { candidate, mid, mline_index: 0, ufrag }
    }

    #[test]
    fn our_place_is_told_once_until_it_is_another() {
        let us = PeerId::from_random([1; 16]);
        let mut gathered = Gathered::default();
        let mut place = |signal| gathered.handle_signal(us, &signal).map(|state| state.nat);
        let host = "candidate:1 1 udp 2130706431 192.168.1.7 50000 typ host";
        assert_eq!(place(candidate(host)), Some(NatType::Unknown));
        assert_eq!(place(candidate(host)), None);
        assert_eq!(place(candidate("")), None);
        let other = "candidate:1 1 udp 2130706431 192.168.1.7 50001 typ host";
        assert_eq!(place(candidate(other)), None);
        let seen = "candidate:2 1 udp 1694498815 203.0.113.5 61000 typ srflx raddr 192.168.1.7 \
                    rport 50000";
        let sdp = format!("v=0\r\na=mid:0\r\na={seen}\r\n");
        assert_eq!(place(Signal::Offer { sdp }), Some(NatType::PortRestricted));
    }

    #[test]
    fn no_more_is_kept_than_is_looked_at() {
        let us = PeerId::from_random([1; 16]);
        let mut gathered = Gathered::default();
        for port in 1_000..3_000 {
            let line = format!("candidate:1 1 udp 2130706431 192.168.1.7 {port} typ host");
            let _ = gathered.handle_signal(us, &candidate(&line));
        }
        assert_eq!(gathered.lines.len(), MAX_LINES);
    }
}
