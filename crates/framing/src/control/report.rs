//! What is told about streams, and about the mix.

use bytes::{BufMut, BytesMut};
use paceline_types::{
    Frequency, MediaTime, MixInfo, MixSource, NtpTime, Rect, SenderId, StreamId, StreamKey,
};

use crate::ParseError;
use crate::reader::Reader;

/// How one stream arrives (compare RFC 3550 §6.4.1).
///
/// ```
/// use paceline_framing::types::{NtpTime, SenderId, StreamId, StreamKey};
/// use paceline_framing::{Control, ReceptionReport};
///
/// let report = ReceptionReport {
///     stream: StreamKey { sender: SenderId::new(7), stream: StreamId::VIDEO },
///     highest_seq: 100,
///     lost: 2,
///     jitter: 800,
///     last_capture: NtpTime::default(),
///     queue_delay: 50_000,
/// };
/// let control = Control::ReceiverReport(vec![report]);
/// ```
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

impl ReceptionReport {
    pub(super) fn parse(fields: &mut Reader) -> Result<Self, ParseError> {
        let sender = SenderId::new(fields.u32("reported sender")?);
        let stream = StreamId::new(fields.u16("stream")?);
        Ok(Self {
            stream: StreamKey { sender, stream },
            highest_seq: fields.u32("highest sequence number")?,
            lost: fields.u32("lost")?,
            jitter: fields.u32("jitter")?,
            last_capture: NtpTime::from_bits(fields.u64("last capture time")?),
            queue_delay: fields.u32("queue delay")?,
        })
    }

    pub(super) fn emit(&self, out: &mut BytesMut) {
        out.put_u32(self.stream.sender.get());
        out.put_u16(self.stream.stream.get());
        out.put_u32(self.highest_seq);
        out.put_u32(self.lost);
        out.put_u32(self.jitter);
        out.put_u64(self.last_capture.to_bits());
        out.put_u32(self.queue_delay);
    }
}

pub(super) fn parse_mix_info(fields: &mut Reader) -> Result<MixInfo, ParseError> {
    let stream = StreamId::new(fields.u16("stream")?);
    let time = MediaTime::new(fields.u64("media time")?, Frequency::VIDEO);
    let sources = fields.list(|fields| {
        Ok(MixSource {
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
        })
    })?;
    Ok(MixInfo { stream, time, sources })
}

pub(super) fn emit_mix_info(info: &MixInfo, out: &mut BytesMut) {
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
