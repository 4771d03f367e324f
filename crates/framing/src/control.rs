//! What peers tell each other beside media.

use bytes::{BufMut, BytesMut};
use paceline_types::{
    Frequency, MediaTime, MixInfo, MixSource, NtpTime, PeerId, Rect, SenderId, StreamId, StreamKey,
};

use crate::ParseError;
use crate::kind::Kind;
use crate::reader::Reader;

/// The body of a control packet.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Control {
    /// The last packet of a connection.
    Bye {
        /// Why it ends.
        reason: ByeReason,
    },
    /// The first packet of a connection.
    Hello(Hello),
    /// The receiver cannot go on without a keyframe (RFC 4585 §6.3.1 calls it a
    /// picture loss indication).
    KeyframeRequest {
        /// Of which of the addressee's streams.
        stream: StreamId,
    },
    /// Who is in a mix, where, and how loud.
    MixInfo(MixInfo),
    /// Asks for a pong.
    Ping {
        /// When it was sent: µs on its sender's own clock.
        t1: u64,
    },
    /// Answers a ping. Four timestamps give the round trip and the offset of the
    /// clocks (RFC 5905 §8).
    Pong {
        /// The ping's `t1`.
        t1: u64,
        /// When the ping arrived: µs on the answerer's own clock.
        t2: u64,
        /// When this was sent: µs on the answerer's own clock.
        t3: u64,
    },
    /// How streams arrive at its sender.
    ReceiverReport(Vec<ReceptionReport>),
    /// A stream of its sender begins or pauses.
    TrackState {
        /// Which.
        stream: StreamId,
        /// Whether frames of it are to be expected.
        enabled: bool,
    },
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ByeReason {
    /// Something went wrong at the end that says it.
    Failed,
    /// Its sender leaves the room.
    Leaving,
}

/// What a participant does in its room.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// It mixes what the others send.
    Host,
    /// It sends its own, and gets the mix.
    Member,
}

/// Who a peer says it is, and what it takes. Nothing in it is proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hello {
    /// The room's session, a UUID.
    pub session: [u8; 16],
    /// The sender of this.
    pub peer: PeerId,
    /// Its number in the room.
    pub sender: SenderId,
    /// The oldest version of the format that it speaks.
    pub min_version: u8,
    /// The newest version of the format that it speaks.
    pub max_version: u8,
    /// What it does in the room.
    pub role: Role,
    /// A set of bits: [`DECODES_H264`](Self::DECODES_H264),
    /// [`DECODES_OPUS`](Self::DECODES_OPUS). Others are to be ignored.
    pub capabilities: u32,
    /// Bytes of the longest message that it takes.
    pub max_message: u32,
    /// Bytes of the largest packet that it takes.
    pub max_packet: u32,
    /// What takes up an earlier connection again; all zero for none.
    pub resume: [u8; 16],
}

impl Hello {
    /// It can decode H.264.
    pub const DECODES_H264: u32 = 1 << 0;
    /// It can decode Opus. What is not encoded (pixels, cells, PCM) all can.
    pub const DECODES_OPUS: u32 = 1 << 1;
}

/// How one stream arrives (compare RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReceptionReport {
    /// Which stream.
    pub stream: StreamKey,
    /// The highest sequence number seen, modulo 2³².
    pub highest_seq: u32,
    /// Frames that never came, since the stream began.
    pub lost: u32,
    /// Interarrival jitter in µs.
    pub jitter: u32,
    /// The capture time of the latest frame.
    pub last_capture: NtpTime,
    /// How long frames wait for their playout, in µs.
    pub queue_delay: u32,
}

impl Control {
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Bye { .. } => Kind::Bye,
            Self::Hello(_) => Kind::Hello,
            Self::KeyframeRequest { .. } => Kind::KeyframeRequest,
            Self::MixInfo(_) => Kind::MixInfo,
            Self::Ping { .. } => Kind::Ping,
            Self::Pong { .. } => Kind::Pong,
            Self::ReceiverReport(_) => Kind::ReceiverReport,
            Self::TrackState { .. } => Kind::TrackState,
        }
    }

    pub(crate) fn emit(&self, out: &mut BytesMut) {
        match self {
            Self::Bye { reason } => out.put_u8(match reason {
                ByeReason::Leaving => 1,
                ByeReason::Failed => 2,
            }),
            Self::Hello(hello) => hello.emit(out),
            Self::KeyframeRequest { stream } => out.put_u16(stream.get()),
            Self::MixInfo(info) => emit_mix_info(info, out),
            Self::Ping { t1 } => out.put_u64(*t1),
            Self::Pong { t1, t2, t3 } => {
                out.put_u64(*t1);
                out.put_u64(*t2);
                out.put_u64(*t3);
            }
            Self::ReceiverReport(reports) => {
                for report in reports {
                    report.emit(out);
                }
            }
            Self::TrackState { stream, enabled } => {
                out.put_u16(stream.get());
                out.put_u8((*enabled).into());
            }
        }
    }
}

pub(crate) fn bye(fields: &mut Reader) -> Result<Control, ParseError> {
    let reason = match fields.u8("reason")? {
        1 => ByeReason::Leaving,
        2 => ByeReason::Failed,
        value => return Err(ParseError::BadValue { field: "reason", value: value.into() }),
    };
    Ok(Control::Bye { reason })
}

pub(crate) fn hello(fields: &mut Reader) -> Result<Control, ParseError> {
    Ok(Control::Hello(Hello {
        session: fields.uuid("session")?,
        peer: PeerId::from_bytes(fields.uuid("peer")?),
        sender: SenderId::new(fields.u32("hello's sender")?),
        min_version: fields.u8("least version")?,
        max_version: fields.u8("most version")?,
        role: match fields.u8("role")? {
            1 => Role::Member,
            2 => Role::Host,
            value => return Err(ParseError::BadValue { field: "role", value: value.into() }),
        },
        capabilities: {
            fields.reserved()?;
            fields.u32("capabilities")?
        },
        max_message: fields.u32("message limit")?,
        max_packet: fields.u32("packet limit")?,
        resume: fields.uuid("resume token")?,
    }))
}

pub(crate) fn keyframe_request(fields: &mut Reader) -> Result<Control, ParseError> {
    Ok(Control::KeyframeRequest { stream: StreamId::new(fields.u16("stream")?) })
}

pub(crate) fn mix_info(fields: &mut Reader) -> Result<Control, ParseError> {
    let stream = StreamId::new(fields.u16("stream")?);
    let time = MediaTime::new(fields.u64("media time")?, Frequency::VIDEO);
    let mut sources = Vec::new();
    while !fields.is_empty() {
        sources.push(MixSource {
            sender: SenderId::new(fields.u32("source")?),
            tile: Rect {
                x: fields.u16("tile")?,
                y: fields.u16("tile")?,
                width: fields.u16("tile")?,
                height: fields.u16("tile")?,
            },
            level: match fields.u8("level")? {
                level @ ..=MIN_LEVEL => level,
                value => return Err(ParseError::BadValue { field: "level", value: value.into() }),
            },
            capture: NtpTime::from_bits(fields.u64("capture time")?),
            muted: fields.flag("muted")?,
        });
    }
    Ok(Control::MixInfo(MixInfo { stream, time, sources }))
}

pub(crate) fn ping(fields: &mut Reader) -> Result<Control, ParseError> {
    Ok(Control::Ping { t1: fields.u64("t1")? })
}

pub(crate) fn pong(fields: &mut Reader) -> Result<Control, ParseError> {
    Ok(Control::Pong { t1: fields.u64("t1")?, t2: fields.u64("t2")?, t3: fields.u64("t3")? })
}

pub(crate) fn receiver_report(fields: &mut Reader) -> Result<Control, ParseError> {
    let mut reports = Vec::new();
    while !fields.is_empty() {
        reports.push(ReceptionReport {
            stream: StreamKey {
                sender: SenderId::new(fields.u32("reported sender")?),
                stream: StreamId::new(fields.u16("stream")?),
            },
            highest_seq: fields.u32("highest sequence number")?,
            lost: fields.u32("lost")?,
            jitter: fields.u32("jitter")?,
            last_capture: NtpTime::from_bits(fields.u64("last capture time")?),
            queue_delay: fields.u32("queue delay")?,
        });
    }
    Ok(Control::ReceiverReport(reports))
}

pub(crate) fn track_state(fields: &mut Reader) -> Result<Control, ParseError> {
    Ok(Control::TrackState {
        stream: StreamId::new(fields.u16("stream")?),
        enabled: fields.flag("enabled")?,
    })
}

impl Hello {
    fn emit(&self, out: &mut BytesMut) {
        out.put_slice(&self.session);
        out.put_slice(&self.peer.to_bytes());
        out.put_u32(self.sender.get());
        out.put_u8(self.min_version);
        out.put_u8(self.max_version);
        out.put_u8(match self.role {
            Role::Member => 1,
            Role::Host => 2,
        });
        out.put_u8(0);
        out.put_u32(self.capabilities);
        out.put_u32(self.max_message);
        out.put_u32(self.max_packet);
        out.put_slice(&self.resume);
    }
}

impl ReceptionReport {
    fn emit(&self, out: &mut BytesMut) {
        out.put_u32(self.stream.sender.get());
        out.put_u16(self.stream.stream.get());
        out.put_u32(self.highest_seq);
        out.put_u32(self.lost);
        out.put_u32(self.jitter);
        out.put_u64(self.last_capture.to_bits());
        out.put_u32(self.queue_delay);
    }
}

fn emit_mix_info(info: &MixInfo, out: &mut BytesMut) {
    assert_eq!(info.time.frequency(), Frequency::VIDEO, "the media clock of pictures");
    out.put_u16(info.stream.get());
    out.put_u64(info.time.ticks());
    for source in &info.sources {
        assert!(source.level <= MIN_LEVEL, "no receiver takes the level {}", source.level);
        out.put_u32(source.sender.get());
        for side in [source.tile.x, source.tile.y, source.tile.width, source.tile.height] {
            out.put_u16(side);
        }
        out.put_u8(source.level);
        out.put_u64(source.capture.to_bits());
        out.put_u8(source.muted.into());
    }
}

/// RFC 6465 §3: silence, in −dBov.
const MIN_LEVEL: u8 = 127;
