//! The steps by which the work passes from one host to the next.

use bytes::{BufMut, BytesMut};
use paceline_types::{Epoch, Frequency, MediaTime, SenderId, SeqNo, StreamId};

use crate::ParseError;
use crate::reader::Reader;

/// The host asks the standby to be ready to take over. It goes to everybody: the others begin to
/// send the standby their pictures.
///
/// ```
/// use paceline_framing::types::{Epoch, Frequency, MediaTime, SenderId, SeqNo, StreamId};
/// use paceline_framing::{Control, Numbering, Prepare};
///
/// let next = Numbering {
///     stream: StreamId::MIX_VIDEO,
///     seq: SeqNo::new(9_000),
///     time: MediaTime::new(27_000_000, Frequency::VIDEO),
/// };
/// let prepare = Prepare {
///     epoch: Epoch::new(4, 0),
///     switch_time: MediaTime::new(27_045_000, Frequency::VIDEO),
///     numbering: vec![next],
///     tiles: vec![SenderId::new(1), SenderId::new(7)],
/// };
/// let control = Control::Prepare(prepare);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Prepare {
    /// Under which the standby is to be host.
    pub epoch: Epoch,
    /// Where the picture clock of the host's mix stands, 90 kHz. From when on the mix is the new
    /// host's is said by [`Migrate`](crate::Migrate).
    pub switch_time: MediaTime,
    /// Where the streams of the mix stand. At most 65,535.
    pub numbering: Vec<Numbering>,
    /// Who is in the mix, in the order of the tiles.
    pub tiles: Vec<SenderId>,
}

/// Where one stream of the mix stands.
///
/// ```
/// use paceline_framing::Numbering;
/// use paceline_framing::types::{Frequency, MediaTime, SeqNo, StreamId};
///
/// let (seq, time) = (SeqNo::new(9_000), MediaTime::new(14_400_000, Frequency::AUDIO));
/// let next = Numbering { stream: StreamId::MIX_AUDIO, seq, time };
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Numbering {
    /// Which.
    pub stream: StreamId,
    /// The number of a frame of it.
    pub seq: SeqNo,
    /// When that frame was sampled, with the rate of the stream's clock.
    pub time: MediaTime,
}

/// The standby mixes, and could take over.
///
/// ```
/// use paceline_framing::types::Epoch;
/// use paceline_framing::{Control, Ready};
///
/// let control = Control::Ready(Ready { epoch: Epoch::new(4, 0), missing: vec![] });
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ready {
    /// The one prepared for.
    pub epoch: Epoch,
    /// Members whose media it does not get.
    pub missing: Vec<SenderId>,
}

/// The host tells everybody who is host next, and from when on.
///
/// ```
/// use paceline_framing::types::{Epoch, Frequency, MediaTime, SenderId};
/// use paceline_framing::{Control, Migrate};
///
/// let migrate = Migrate {
///     session: [1; 16],
///     host: SenderId::new(1),
///     new_host: SenderId::new(7),
///     epoch: Epoch::new(4, 0),
///     score: 12_000,
///     new_score: 21_000,
///     switch_time: MediaTime::new(27_045_000, Frequency::VIDEO),
/// };
/// let control = Control::Migrate(migrate);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Migrate {
    /// The room's session, a UUID.
    pub session: [u8; 16],
    /// Who is host now.
    pub host: SenderId,
    /// Who is next.
    pub new_host: SenderId,
    /// Under which the next one is host.
    pub epoch: Epoch,
    /// What the host's place is worth, in hundredths of a point.
    pub score: u16,
    /// What the next one's is worth.
    pub new_score: u16,
    /// The first media time of the mix that is the new host's, on the 90 kHz clock.
    pub switch_time: MediaTime,
}

/// Why a handover that was prepared does not take place.
///
/// ```
/// use paceline_framing::types::Epoch;
/// use paceline_framing::{AbortReason, Control};
///
/// let control = Control::Abort { epoch: Epoch::new(4, 0), reason: AbortReason::TimedOut };
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AbortReason {
    /// The one who was to take over cannot.
    Refused,
    /// Another epoch has begun meanwhile.
    Superseded,
    /// It took too long.
    TimedOut,
}

impl Prepare {
    pub(super) fn parse(fields: &mut Reader) -> Result<Self, ParseError> {
        let epoch = fields.epoch()?;
        let switch_time = fields.media_time("switch time", Frequency::VIDEO)?;
        let mut numbering = Vec::new();
        for _ in 0..fields.u16("count of streams")? {
            let stream = StreamId::new(fields.u16("stream")?);
            let seq = SeqNo::new(fields.u64("sequence number")?);
            let clock = fields.frequency("clock rate")?;
            numbering.push(Numbering {
                stream,
                seq,
                time: fields.media_time("media time", clock)?,
            });
        }
        let tiles = senders(fields, "tile")?;
        Ok(Self { epoch, switch_time, numbering, tiles })
    }

    pub(super) fn emit(&self, out: &mut BytesMut) {
        let count = u16::try_from(self.numbering.len()).expect("at most 65,535 streams");
        out.put_u64(self.epoch.to_bits());
        emit_switch_time(self.switch_time, out);
        out.put_u16(count);
        for Numbering { stream, seq, time } in &self.numbering {
            out.put_u16(stream.get());
            out.put_u64(seq.get());
            out.put_u32(time.frequency().hz());
            out.put_u64(time.ticks());
        }
        emit_senders(&self.tiles, out);
    }
}

impl Ready {
    pub(super) fn parse(fields: &mut Reader) -> Result<Self, ParseError> {
        Ok(Self { epoch: fields.epoch()?, missing: senders(fields, "missing member")? })
    }

    pub(super) fn emit(&self, out: &mut BytesMut) {
        out.put_u64(self.epoch.to_bits());
        emit_senders(&self.missing, out);
    }
}

impl Migrate {
    pub(super) fn parse(fields: &mut Reader) -> Result<Self, ParseError> {
        Ok(Self {
            session: fields.uuid("session")?,
            host: SenderId::new(fields.u32("host")?),
            new_host: SenderId::new(fields.u32("new host")?),
            epoch: fields.epoch()?,
            score: fields.u16("score")?,
            new_score: fields.u16("new score")?,
            switch_time: fields.media_time("switch time", Frequency::VIDEO)?,
        })
    }

    pub(super) fn emit(&self, out: &mut BytesMut) {
        out.put_slice(&self.session);
        out.put_u32(self.host.get());
        out.put_u32(self.new_host.get());
        out.put_u64(self.epoch.to_bits());
        out.put_u16(self.score);
        out.put_u16(self.new_score);
        emit_switch_time(self.switch_time, out);
    }
}

impl AbortReason {
    pub(super) fn parse(fields: &mut Reader) -> Result<Self, ParseError> {
        match fields.u8("reason")? {
            1 => Ok(Self::TimedOut),
            2 => Ok(Self::Refused),
            3 => Ok(Self::Superseded),
            value => Err(ParseError::BadValue { field: "reason", value: value.into() }),
        }
    }

    pub(super) const fn code(self) -> u8 {
        match self {
            Self::TimedOut => 1,
            Self::Refused => 2,
            Self::Superseded => 3,
        }
    }
}

fn senders(fields: &mut Reader, field: &'static str) -> Result<Vec<SenderId>, ParseError> {
    fields.list(|fields| Ok(SenderId::new(fields.u32(field)?)))
}

fn emit_senders(senders: &[SenderId], out: &mut BytesMut) {
    for sender in senders {
        out.put_u32(sender.get());
    }
}

fn emit_switch_time(time: MediaTime, out: &mut BytesMut) {
    assert_eq!(time.frequency(), Frequency::VIDEO, "the media clock of pictures");
    out.put_u64(time.ticks());
}
