//! The wire form of the later types, byte for byte. The checksums were computed by
//! another program.

use bytes::Bytes;
use paceline_framing::types::{
    Epoch, Frequency, MediaTime, PeerId, SenderId, SeqNo, Signal, StreamId,
};
use paceline_framing::{
    AbortReason, Body, Control, Lease, Mapping, MemberQuality, Migrate, NatState, NatType,
    NetworkQuality, Numbering, Packet, ParseError, Prepare, Ready, Role, Roster, RosterId,
    RosterMember, Vote, VoteRequest,
};

const CANDIDATE: SenderId = SenderId::new(9);
const EPOCH: Epoch = Epoch::new(4, 0);
const ROSTER: RosterId = RosterId { epoch: Epoch::new(3, 1), number: 2 };
const SWITCH: MediaTime = MediaTime::new(0x12345, Frequency::VIDEO);

/// That `control` has this checksum and body, after a header that is the same in all.
#[track_caller]
fn assert_bytes(control: Control, kind: u8, checksum: &str, body: &str) {
    let digits: Vec<_> =
        body.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    let length = 8 + digits.len() / 2;
    let text = format!(
        "deadbeef 01 02 00{kind:02x} {length:08x} {checksum} 01020304 0000000000030001 {body}"
    );
    let digits: Vec<_> =
        text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    let bytes: Bytes = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    let sender = SenderId::new(0x0102_0304);
    let packet = Packet { sender, epoch: Some(Epoch::new(3, 1)), body: Body::Control(control) };
    assert_eq!(packet.emit(), bytes);
    assert_eq!(Packet::parse(bytes), Ok(packet));
}

#[test]
fn a_window_is_type_134() {
    let window = Control::Window { consumed: 1 << 20, allowed: 32 << 10 };
    assert_bytes(window, 134, "5fa25555", "0000000000100000 00008000");
}

#[test]
fn a_signal_is_type_136() {
    let sdp = || "v=0\r\n".to_owned();
    let offer = Control::Signal(Signal::Offer { sdp: sdp() });
    assert_bytes(offer, 136, "989596f5", "01 763d300d0a");
    let answer = Control::Signal(Signal::Answer { sdp: sdp() });
    assert_bytes(answer, 136, "ac295d2f", "02 763d300d0a");
    let (candidate, mid) = ("cand".to_owned(), "0".to_owned());
    let candidate = Control::Signal(Signal::Candidate {
        candidate,
        mid,
        mline_index: 0,
        ufrag: "uf".to_owned(),
    });
    assert_bytes(candidate, 136, "8cdd6ee6", "03 0000 0001 30 0002 7566 63616e64");
}

#[test]
fn a_lease_is_type_137() {
    let lease = Lease { epoch: EPOCH, length: 450_000, sequence: 17, roster: ROSTER };
    let bytes = "0000000000040000 0006ddd0 00000011 0000000000030001 00000002";
    assert_bytes(Control::Lease(lease), 137, "c43cd844", bytes);
}

#[test]
fn a_vote_request_is_type_138_and_a_vote_139() {
    let request = VoteRequest {
        epoch: EPOCH,
        candidate: CANDIDATE,
        prevote: true,
        length: 450_000,
        roster: ROSTER,
    };
    let bytes = "0000000000040000 00000009 01 0006ddd0 0000000000030001 00000002";
    assert_bytes(Control::VoteRequest(request), 138, "c6978acd", bytes);
    let vote = Vote { epoch: EPOCH, candidate: CANDIDATE, prevote: false, granted: true };
    assert_bytes(Control::Vote(vote), 139, "c21a57a6", "0000000000040000 00000009 00 01");
}

#[test]
fn nat_state_is_type_140() {
    let state = NatState {
        nat: NatType::Symmetric,
        mapping: Mapping::AddressAndPortDependent,
        upload: 2_000,
        rtt: 12_000,
        needs_relay: true,
        tie_break: PeerId::from_bytes([0x11; 16]),
    };
    assert_bytes(
        Control::NatState(state),
        140,
        "bcc14bf6",
        "05 03 000007d0 00002ee0 01 11111111111111111111111111111111",
    );
}

/// Byte 28 is the NAT type, byte 29 the mapping.
#[test]
fn each_kind_of_nat_has_its_code() {
    let code = |nat, mapping| {
        let tie_break = PeerId::default();
        let state = NatState { nat, mapping, upload: 0, rtt: 0, needs_relay: false, tie_break };
        let body = Body::Control(Control::NatState(state));
        let packet = Packet { sender: CANDIDATE, epoch: Some(EPOCH), body };
        let bytes = packet.emit();
        assert_eq!(Packet::parse(bytes.clone()), Ok(packet));
        [bytes[28], bytes[29]]
    };
    let types = [
        NatType::Open,
        NatType::FullCone,
        NatType::Restricted,
        NatType::PortRestricted,
        NatType::Symmetric,
        NatType::Unknown,
    ];
    let codes = types.map(|nat| code(nat, Mapping::Unknown));
    assert_eq!(codes, [[1, 4], [2, 4], [3, 4], [4, 4], [5, 4], [6, 4]]);
    let mappings =
        [Mapping::EndpointIndependent, Mapping::AddressDependent, Mapping::AddressAndPortDependent];
    let codes = mappings.map(|mapping| code(NatType::Unknown, mapping));
    assert_eq!(codes, [[6, 1], [6, 2], [6, 3]]);
}

#[test]
fn network_quality_is_type_141() {
    let member = MemberQuality {
        member: CANDIDATE,
        capacity: 4_000,
        loss: 655,
        min_rtt: 9_000,
        mean_rtt: 11_000,
        max_rtt: 30_000,
        jitter: 1_500,
        received: 891,
        expected: 900,
    };
    assert_bytes(
        Control::NetworkQuality(NetworkQuality { window: 30_000_000, members: vec![member] }),
        141,
        "e961c15c",
        "01c9c380
         00000009 00000fa0 028f 00002328 00002af8 00007530 000005dc 0000037b 00000384",
    );
}

#[test]
fn migrate_is_type_142() {
    let migrate = Migrate {
        session: std::array::from_fn(|index| index as u8),
        host: SenderId::new(1),
        new_host: CANDIDATE,
        epoch: EPOCH,
        score: 12_000,
        new_score: 21_000,
        switch_time: SWITCH,
    };
    assert_bytes(
        Control::Migrate(migrate),
        142,
        "b825321f",
        "000102030405060708090a0b0c0d0e0f 00000001 00000009 0000000000040000
         2ee0 5208 0000000000012345",
    );
}

#[test]
fn prepare_is_type_143() {
    let next = Numbering {
        stream: StreamId::MIX_VIDEO,
        seq: SeqNo::new(9_000),
        time: MediaTime::new(0x12300, Frequency::VIDEO),
    };
    let prepare = Prepare {
        epoch: EPOCH,
        switch_time: SWITCH,
        numbering: vec![next],
        tiles: vec![SenderId::new(1), CANDIDATE],
    };
    assert_bytes(
        Control::Prepare(prepare),
        143,
        "0c703049",
        "0000000000040000 0000000000012345
         0001 0003 0000000000002328 00015f90 0000000000012300 00000001 00000009",
    );
}

#[test]
fn ready_is_type_144_abort_145_and_retire_146() {
    let ready = Ready { epoch: EPOCH, missing: vec![CANDIDATE] };
    assert_bytes(Control::Ready(ready), 144, "8dddd8c1", "0000000000040000 00000009");
    let abort = Control::Abort { epoch: EPOCH, reason: AbortReason::TimedOut };
    assert_bytes(abort, 145, "7d5574d9", "0000000000040000 01");
    assert_bytes(Control::Retire { epoch: EPOCH }, 146, "90fb417d", "0000000000040000");
}

/// The last byte of the packet.
#[test]
fn each_reason_to_abort_has_its_code() {
    let code = |reason| {
        let body = Body::Control(Control::Abort { epoch: EPOCH, reason });
        let packet = Packet { sender: CANDIDATE, epoch: None, body };
        let bytes = packet.emit();
        assert_eq!(Packet::parse(bytes.clone()), Ok(packet));
        bytes[28]
    };
    let reasons = [AbortReason::TimedOut, AbortReason::Refused, AbortReason::Superseded];
    assert_eq!(reasons.map(code), [1, 2, 3]);
}

#[test]
fn a_roster_is_type_147() {
    let host = RosterMember {
        sender: SenderId::new(1),
        peer: PeerId::from_bytes([0x11; 16]),
        role: Role::Host,
        votes: false,
    };
    let standby = RosterMember {
        sender: CANDIDATE,
        peer: PeerId::from_bytes([0x22; 16]),
        role: Role::Standby,
        votes: true,
    };
    assert_bytes(
        Control::Roster(Roster { id: ROSTER, witness: true, members: vec![host, standby] }),
        147,
        "05d5fe8d",
        "0000000000030001 00000002 01
         00000001 11111111111111111111111111111111 02 00
         00000009 22222222222222222222222222222222 03 01",
    );
}

#[test]
fn application_data_is_type_148() {
    let data = Control::ApplicationData { channel: 7, data: Bytes::from_static(b"la") };
    assert_bytes(data, 148, "12abf486", "0007 6c61");
}

/// Whoever adds one comes by here, and adds its bytes.
#[test]
fn there_are_no_other_types() {
    let ping = Body::Control(Control::Ping { t1: 0 });
    let message = Packet { sender: CANDIDATE, epoch: None, body: ping }.emit();
    let known = (0..=u16::MAX).filter(|kind| {
        let mut bytes = message.to_vec();
        bytes[6..8].copy_from_slice(&kind.to_be_bytes());
        bytes[12..16].fill(0);
        let checksum = crc32c::crc32c(&bytes);
        bytes[12..16].copy_from_slice(&checksum.to_be_bytes());
        Packet::parse(bytes.into()) != Err(ParseError::UnknownType(*kind))
    });
    assert!(known.eq((1..=4).chain(128..=149)));
}
