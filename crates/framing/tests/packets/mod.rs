//! Packets of every type, for property tests.

use std::num::NonZeroU32;

use paceline_framing::types::{
    AudioCodec, CELL_BYTES, Coding, EncodedFrame, Epoch, Frequency, GLYPHS, MediaTime, MixInfo,
    MixSource, NtpTime, PeerId, PixelFormat, Rect, SenderId, SeqNo, Signal, StreamId, StreamKey,
    VideoCodec,
};
use paceline_framing::{
    AbortReason, Body, ByeReason, Control, Hello, Lease, Mapping, MemberQuality, Migrate, NatState,
    NatType, NetworkQuality, Numbering, Packet, Prepare, Ready, ReceptionReport, Role, Roster,
    RosterId, RosterMember, Vote, VoteRequest,
};
use proptest::prelude::*;
use proptest::sample::select;

fn data() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..5_000)
}

fn coded() -> impl Strategy<Value = (Coding, Vec<u8>)> {
    let audio = (select(vec![AudioCodec::Opus, AudioCodec::PcmF32]), 1..=2_u8, data())
        .prop_map(|(codec, channels, data)| (Coding::Audio { codec, channels }, data));
    let glyph = 0..GLYPHS.len() as u8;
    let cells = (1..40_u16, 1..20_u16, glyph).prop_map(|(columns, rows, glyph)| {
        let cells = usize::from(columns) * usize::from(rows);
        (Coding::Cells { columns, rows }, [glyph; CELL_BYTES].repeat(cells))
    });
    let formats = vec![PixelFormat::I420, PixelFormat::Rgb24, PixelFormat::Rgba];
    let image = (select(formats), 1..40_u16, 1..40_u16).prop_map(|(format, width, height)| {
        (Coding::Image { format, width, height }, vec![7; format.bytes(width, height)])
    });
    let codecs = vec![VideoCodec::H264, VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::Av1];
    let video = (select(codecs), any::<(bool, bool, u16, u16)>(), data()).prop_map(
        |(codec, (key, discardable, width, height), data)| {
            (Coding::Video { codec, key, discardable, width, height }, data)
        },
    );
    prop_oneof![audio, cells, image, video]
}

fn frame() -> impl Strategy<Value = EncodedFrame> {
    (any::<(u16, u32, u64, u64)>(), coded()).prop_map(
        |((stream, seq, ticks, capture), (coding, data))| EncodedFrame {
            stream: StreamId::new(stream),
            seq: SeqNo::new(seq.into()),
            time: MediaTime::new(
                ticks,
                if coding.is_audio() { Frequency::AUDIO } else { Frequency::VIDEO },
            ),
            capture: NtpTime::from_bits(capture),
            coding,
            data: data.into(),
        },
    )
}

fn hello() -> impl Strategy<Value = Control> {
    let role = role();
    (any::<([u8; 16], [u8; 16], [u8; 16])>(), any::<(u32, u8, u8, u32, u32, u32)>(), role).prop_map(
        |((session, peer, resume), (sender, min, max, capabilities, message, packet), role)| {
            Control::Hello(Hello {
                session,
                peer: PeerId::from_bytes(peer),
                sender: SenderId::new(sender),
                min_version: min,
                max_version: max,
                role,
                capabilities,
                max_message: message,
                max_packet: packet,
                resume,
            })
        },
    )
}

fn report() -> impl Strategy<Value = ReceptionReport> {
    any::<(u32, u16, u32, u32, u32, u64, u32)>().prop_map(
        |(sender, stream, highest_seq, lost, jitter, capture, queue_delay)| ReceptionReport {
            stream: StreamKey { sender: SenderId::new(sender), stream: StreamId::new(stream) },
            highest_seq,
            lost,
            jitter,
            last_capture: NtpTime::from_bits(capture),
            queue_delay,
        },
    )
}

fn source() -> impl Strategy<Value = MixSource> {
    (any::<(u32, u16, u16, u16, u16, u64, bool)>(), 0..=127_u8).prop_map(
        |((sender, x, y, width, height, capture, muted), level)| MixSource {
            sender: SenderId::new(sender),
            tile: Rect { x, y, width, height },
            level,
            capture: NtpTime::from_bits(capture),
            muted,
        },
    )
}

fn control() -> impl Strategy<Value = Control> {
    let mix = (any::<(u16, u64)>(), prop::collection::vec(source(), 0..33)).prop_map(
        |((stream, ticks), sources)| {
            Control::MixInfo(MixInfo {
                stream: StreamId::new(stream),
                time: MediaTime::new(ticks, Frequency::VIDEO),
                sources,
            })
        },
    );
    let said = prop_oneof![
        select(vec![ByeReason::Failed, ByeReason::Leaving, ByeReason::TooSlow])
            .prop_map(|reason| Control::Bye { reason }),
        hello(),
        any::<u16>().prop_map(|id| Control::KeyframeRequest { stream: StreamId::new(id) }),
        mix,
        any::<u64>().prop_map(|t1| Control::Ping { t1 }),
        any::<(u64, u64, u64)>().prop_map(|(t1, t2, t3)| Control::Pong { t1, t2, t3 }),
        prop::collection::vec(report(), 0..40).prop_map(Control::ReceiverReport),
        any::<(u16, bool)>().prop_map(|(id, enabled)| {
            Control::TrackState { stream: StreamId::new(id), enabled }
        }),
        any::<(u64, u32)>().prop_map(|(consumed, allowed)| Control::Window { consumed, allowed }),
        (any::<u16>(), data())
            .prop_map(|(channel, data)| Control::ApplicationData { channel, data: data.into() }),
        signal().prop_map(Control::Signal),
    ];
    prop_oneof![said, election(), handover()]
}

fn role() -> impl Strategy<Value = Role> {
    select(vec![Role::Host, Role::Member, Role::Standby])
}

fn epoch() -> impl Strategy<Value = Epoch> {
    any::<u64>().prop_map(Epoch::from_bits)
}

fn sender() -> impl Strategy<Value = SenderId> {
    any::<u32>().prop_map(SenderId::new)
}

fn senders() -> impl Strategy<Value = Vec<SenderId>> {
    prop::collection::vec(sender(), 0..33)
}

fn peer() -> impl Strategy<Value = PeerId> {
    any::<[u8; 16]>().prop_map(PeerId::from_bytes)
}

fn switch_time() -> impl Strategy<Value = MediaTime> {
    any::<u64>().prop_map(|ticks| MediaTime::new(ticks, Frequency::VIDEO))
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        any::<String>().prop_map(|sdp| Signal::Offer { sdp }),
        any::<String>().prop_map(|sdp| Signal::Answer { sdp }),
        (any::<String>(), "[a-zé]{0,100}", any::<u16>(), "[a-z+/]{0,100}").prop_map(
            |(candidate, mid, mline_index, ufrag)| {
                Signal::Candidate { candidate, mid, mline_index, ufrag }
            }
        ),
    ]
}

fn election() -> impl Strategy<Value = Control> {
    let nat = (
        select(vec![
            NatType::Open,
            NatType::FullCone,
            NatType::Restricted,
            NatType::PortRestricted,
            NatType::Symmetric,
            NatType::Unknown,
        ]),
        select(vec![
            Mapping::EndpointIndependent,
            Mapping::AddressDependent,
            Mapping::AddressAndPortDependent,
            Mapping::Unknown,
        ]),
        any::<(u32, u32, bool)>(),
        peer(),
    )
        .prop_map(|(nat, mapping, (upload, rtt, needs_relay), tie_break)| {
            Control::NatState(NatState { nat, mapping, upload, rtt, needs_relay, tie_break })
        });
    let quality = any::<(u32, u32, u16, [u32; 6])>().prop_map(
        |(member, capacity, loss, [min_rtt, mean_rtt, max_rtt, jitter, received, expected])| {
            MemberQuality {
                member: SenderId::new(member),
                capacity,
                loss,
                min_rtt,
                mean_rtt,
                max_rtt,
                jitter,
                received,
                expected,
            }
        },
    );
    let member = (sender(), peer(), role(), any::<bool>())
        .prop_map(|(sender, peer, role, votes)| RosterMember { sender, peer, role, votes });
    prop_oneof![
        (epoch(), any::<(u32, u32)>(), roster_id()).prop_map(
            |(epoch, (length, sequence), roster)| {
                Control::Lease(Lease { epoch, length, sequence, roster })
            }
        ),
        (epoch(), sender(), any::<(bool, u32)>(), roster_id()).prop_map(
            |(epoch, candidate, (prevote, length), roster)| {
                Control::VoteRequest(VoteRequest { epoch, candidate, prevote, length, roster })
            }
        ),
        (epoch(), sender(), any::<(bool, bool)>()).prop_map(
            |(epoch, candidate, (prevote, granted))| {
                Control::Vote(Vote { epoch, candidate, prevote, granted })
            }
        ),
        nat,
        (any::<u32>(), prop::collection::vec(quality, 0..33)).prop_map(|(window, members)| {
            Control::NetworkQuality(NetworkQuality { window, members })
        }),
        (roster_id(), any::<bool>(), prop::collection::vec(member, 0..33))
            .prop_map(|(id, witness, members)| Control::Roster(Roster { id, witness, members })),
    ]
}

fn roster_id() -> impl Strategy<Value = RosterId> {
    (epoch(), any::<u32>()).prop_map(|(epoch, number)| RosterId { epoch, number })
}

fn handover() -> impl Strategy<Value = Control> {
    let numbering = any::<(u16, u64, NonZeroU32, u64)>().prop_map(|(stream, seq, hz, ticks)| {
        let time = MediaTime::new(ticks, Frequency::new(hz));
        Numbering { stream: StreamId::new(stream), seq: SeqNo::new(seq), time }
    });
    let reasons = vec![AbortReason::Refused, AbortReason::Superseded, AbortReason::TimedOut];
    prop_oneof![
        (any::<([u8; 16], u16, u16)>(), sender(), sender(), epoch(), switch_time()).prop_map(
            |((session, score, new_score), host, new_host, epoch, switch_time)| {
                Control::Migrate(Migrate {
                    session,
                    host,
                    new_host,
                    epoch,
                    score,
                    new_score,
                    switch_time,
                })
            }
        ),
        (epoch(), switch_time(), prop::collection::vec(numbering, 0..5), senders()).prop_map(
            |(epoch, switch_time, numbering, tiles)| {
                Control::Prepare(Prepare { epoch, switch_time, numbering, tiles })
            }
        ),
        (epoch(), senders()).prop_map(|(epoch, missing)| Control::Ready(Ready { epoch, missing })),
        (epoch(), select(reasons)).prop_map(|(epoch, reason)| Control::Abort { epoch, reason }),
        epoch().prop_map(|epoch| Control::Retire { epoch }),
    ]
}

pub(crate) fn packet() -> impl Strategy<Value = Packet> {
    let body = prop_oneof![frame().prop_map(Body::Media), control().prop_map(Body::Control)];
    (any::<u32>(), any::<Option<u64>>(), body).prop_map(|(sender, epoch, body)| Packet {
        sender: SenderId::new(sender),
        epoch: epoch.map(Epoch::from_bits),
        body,
    })
}
