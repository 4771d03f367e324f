//! The witness and the machine that it is for.

use std::time::{Duration, Instant};

use paceline_framing::Role;
use paceline_migration::{
    Event, Identity, Migration, MigrationConfig, Output, Welcome, WitnessReply,
};
use paceline_signaling::{Capabilities, Client, ClientConfig, ClientEvent, ClientOutput, Joined};

use crate::house::{House, id};

/// One member: machine and client.
struct Member {
    conn: u64,
    machine: Migration,
    client: Client,
    fenced: usize,
}

impl Member {
    fn join(house: &mut House, conn: u64) -> Self {
        let capabilities = Capabilities { host: true, ..Capabilities::default() };
        let mut client = Client::new(ClientConfig::new(id(conn), "a").capabilities(capabilities));
        house.open(conn, "call");
        client.handle_open();
        let Some(ClientOutput::Send(text)) = client.poll_output() else { panic!("announces") };
        house.say(conn, &text);
        for text in house.heard_texts(conn) {
            client.handle_text(&text).expect("our server speaks the protocol");
        }
        let Some(ClientOutput::Event(ClientEvent::Joined(joined))) = client.poll_output() else {
            panic!("joins")
        };
        let Joined { session, sender, epoch, host, genesis, members } = joined;
        let number = |peer| match peer == id(conn) {
            true => Some(sender),
            false => members.iter().find(|m| m.peer == peer).map(|member| member.sender),
        };
        let identity = Identity { session, sender, peer: id(conn), may_host: true };
        let welcome = Welcome { epoch, host: host.and_then(number), genesis };
        let config = MigrationConfig::default();
        let machine = Migration::new(house.now, identity, welcome, config, conn);
        Self { conn, machine, client, fenced: 0 }
    }

    /// Carries what is said between machine and server, unless the way is cut.
    fn settle(&mut self, house: &mut House, cut: bool) {
        loop {
            let Some(output) = self.machine.poll_output() else { break };
            match output {
                Output::Witness(request) if !cut => self.client.witness(request),
                Output::Event(Event::Fenced { .. }) => self.fenced += 1,
                _ => {}
            }
            while let Some(output) = self.client.poll_output() {
                if let ClientOutput::Send(text) = output {
                    house.say(self.conn, &text);
                }
            }
            for text in house.heard_texts(self.conn) {
                self.client.handle_text(&text).expect("our server speaks the protocol");
            }
            while let Some(output) = self.client.poll_output() {
                if let ClientOutput::Event(ClientEvent::Witness(reply)) = output {
                    assert!(matches!(reply, WitnessReply::Lease { .. } | WitnessReply::Vote(_)));
                    self.machine.handle_witness(house.now, reply);
                }
            }
        }
    }

    fn run_until(&mut self, house: &mut House, end: Instant, cut: bool) {
        self.settle(house, cut);
        while let Some((at, _)) = self.machine.poll_timeout().filter(|(at, _)| *at <= end) {
            house.wait(at.saturating_duration_since(house.now));
            self.machine.handle_timeout(house.now);
            self.settle(house, cut);
        }
        house.wait(end.saturating_duration_since(house.now));
    }
}

/// By default, as both are configured: he renews in time, and never asks too often.
#[test]
fn who_is_alone_hosts_for_as_long_as_the_witness_hears_of_him() {
    let mut house = House::new();
    let mut ann = Member::join(&mut house, 1);
    let end = house.now + Duration::from_secs(20);
    ann.run_until(&mut house, end, false);
    assert_eq!((ann.machine.role(), ann.fenced), (Role::Host, 0));
    let stats = house.rooms.stats();
    assert!(stats.leases >= 200, "{stats:?}");
    assert_eq!(stats.refused, 0);

    let end = house.now + Duration::from_millis(450);
    ann.run_until(&mut house, end, true);
    assert_ne!(ann.machine.role(), Role::Host, "he fences himself before others may host");
    assert_eq!(ann.fenced, 1);
}

/// The host is gone before anybody else voted: who comes next is host at once, or, if the
/// lease has to run out first, elects himself.
#[test]
fn who_comes_next_hosts_when_the_one_before_is_lost() {
    for pause in [0, 500] {
        let mut house = House::new();
        let mut ann = Member::join(&mut house, 1);
        let end = house.now + Duration::from_secs(1);
        ann.run_until(&mut house, end, false);
        // Somebody keeps the room.
        house.join(2, "call");
        house.close(1);
        house.wait(Duration::from_millis(pause));
        let mut ben = Member::join(&mut house, 3);
        let is_host_at_once = ben.machine.role() == Role::Host;
        assert_eq!(is_host_at_once, pause > 450);
        let end = house.now + Duration::from_secs(2);
        ben.run_until(&mut house, end, false);
        assert_eq!((ben.machine.role(), ben.fenced), (Role::Host, 0), "after {pause} ms");
        assert!(ben.machine.epoch() > ann.machine.epoch());
    }
}
