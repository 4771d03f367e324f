//! The bodies of media packets: a few fields, then the frame.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use paceline_types::{
    AudioCodec, CELL_BYTES, Coding, EncodedFrame, Frequency, GLYPHS, MediaTime, NtpTime,
    PixelFormat, SeqNo, VideoCodec,
};

use crate::ParseError;
use crate::kind::Kind;
use crate::reader::Reader;

pub(crate) fn kind(coding: &Coding) -> Kind {
    match coding {
        Coding::Audio { .. } => Kind::Audio,
        Coding::Cells { .. } => Kind::Cells,
        Coding::Image { .. } => Kind::Image,
        Coding::Video { .. } => Kind::Video,
        other => panic!("the wire has no type for {other:?}"),
    }
}

/// All of the body before the frame's own bytes.
pub(crate) fn emit(frame: &EncodedFrame, out: &mut BytesMut) {
    if let Err(error) = check(&frame.coding, &frame.data) {
        panic!("no receiver takes this frame: {error}");
    }
    assert_eq!(frame.time.frequency(), clock(&frame.coding), "the media clock of its kind");

    out.put_u16(frame.stream.get());
    out.put_u32(frame.seq.wrapped());
    match frame.coding {
        Coding::Audio { codec, channels } => {
            out.put_u8(code(&AUDIO_CODECS, codec));
            out.put_u8(channels);
        }
        Coding::Cells { columns, rows } => {
            out.put_u16(columns);
            out.put_u16(rows);
        }
        Coding::Image { format, width, height } => {
            out.put_u8(code(&PIXEL_FORMATS, format));
            out.put_u8(0);
            out.put_u16(width);
            out.put_u16(height);
        }
        Coding::Video { codec, key, discardable, width, height } => {
            out.put_u8(code(&VIDEO_CODECS, codec));
            let key = if key { FLAG_KEY } else { 0 };
            let discardable = if discardable { FLAG_DISCARDABLE } else { 0 };
            out.put_u8(key | discardable);
            out.put_u16(width);
            out.put_u16(height);
        }
        other => panic!("the wire has no type for {other:?}"),
    }
    out.put_u64(frame.time.ticks());
    out.put_u64(frame.capture.to_bits());
}

/// The frame that is the body of a packet of `kind`, after `at` bytes. No kind of
/// control is one.
#[inline]
pub(crate) fn parse(kind: Kind, mut packet: Bytes, at: usize) -> Result<EncodedFrame, ParseError> {
    let mut fields = Reader::new(&packet[at..]);
    let stream = fields.stream()?;
    let seq = SeqNo::new(fields.u32("sequence number")?.into());
    let coding = match kind {
        Kind::Audio => audio(&mut fields)?,
        Kind::Cells => cells(&mut fields)?,
        Kind::Image => image(&mut fields)?,
        _ => video(&mut fields)?,
    };
    let time = MediaTime::new(fields.u64("media time")?, clock(&coding));
    let capture = NtpTime::from_bits(fields.u64("capture time")?);
    let data = fields.take_rest();
    check(&coding, data)?;
    let read = packet.len() - data.len();
    packet.advance(read);
    Ok(EncodedFrame { stream, seq, time, capture, coding, data: packet })
}

#[inline]
fn audio(fields: &mut Reader) -> Result<Coding, ParseError> {
    let codec = fields.code("codec", &AUDIO_CODECS)?;
    Ok(Coding::Audio { codec, channels: fields.u8("channels")? })
}

#[inline]
fn cells(fields: &mut Reader) -> Result<Coding, ParseError> {
    Ok(Coding::Cells { columns: fields.u16("columns")?, rows: fields.u16("rows")? })
}

#[inline]
fn image(fields: &mut Reader) -> Result<Coding, ParseError> {
    let format = fields.code("format", &PIXEL_FORMATS)?;
    fields.reserved()?;
    Ok(Coding::Image { format, width: fields.u16("width")?, height: fields.u16("height")? })
}

#[inline]
fn video(fields: &mut Reader) -> Result<Coding, ParseError> {
    let codec = fields.code("codec", &VIDEO_CODECS)?;
    let flags = fields.u8("frame flags")?;
    if flags & !(FLAG_KEY | FLAG_DISCARDABLE) != 0 {
        return Err(ParseError::BadValue { field: "frame flags", value: flags.into() });
    }
    Ok(Coding::Video {
        codec,
        key: flags & FLAG_KEY != 0,
        discardable: flags & FLAG_DISCARDABLE != 0,
        width: fields.u16("width")?,
        height: fields.u16("height")?,
    })
}

/// What holds of every frame that is sent or taken: nothing behind this has to
/// doubt a picture's length, or print what is no glyph.
fn check(coding: &Coding, data: &[u8]) -> Result<(), ParseError> {
    match *coding {
        Coding::Audio { channels, .. } if !(1..=2).contains(&channels) => {
            Err(ParseError::BadValue { field: "channels", value: channels.into() })
        }
        Coding::Cells { columns, rows } => {
            check_sides(columns, rows, data.len(), |area| area.checked_mul(CELL_BYTES))?;
            match data.iter().step_by(CELL_BYTES).find(|&&glyph| usize::from(glyph) >= GLYPHS.len())
            {
                Some(&glyph) => Err(ParseError::BadValue { field: "glyph", value: glyph.into() }),
                None => Ok(()),
            }
        }
        Coding::Image { format, width, height } => check_sides(width, height, data.len(), |area| {
            // No format has more than four bytes a pixel.
            area.checked_mul(4).map(|_| format.bytes(width, height))
        }),
        _ => Ok(()),
    }
}

/// That a picture of these sides has `len` bytes, if `expected` of its area is.
fn check_sides(
    width: u16,
    height: u16,
    len: usize,
    expected: impl FnOnce(usize) -> Option<usize>,
) -> Result<(), ParseError> {
    let area = usize::from(width).checked_mul(height.into());
    match area.filter(|&area| area > 0).and_then(expected) {
        Some(expected) if expected == len => Ok(()),
        _ => Err(ParseError::WrongSize { width, height, len }),
    }
}

const fn clock(coding: &Coding) -> Frequency {
    if coding.is_audio() { Frequency::AUDIO } else { Frequency::VIDEO }
}

/// The code of `value`: one more than its place in the table.
fn code<T: Copy + PartialEq + std::fmt::Debug>(table: &[T], value: T) -> u8 {
    let place = table.iter().position(|&other| other == value);
    place.unwrap_or_else(|| panic!("the wire has no code for {value:?}")) as u8 + 1
}

/// Codes 1 and up.
const AUDIO_CODECS: [AudioCodec; 2] = [AudioCodec::Opus, AudioCodec::PcmF32];

/// Codes 1 and up.
const PIXEL_FORMATS: [PixelFormat; 3] = [PixelFormat::Rgb24, PixelFormat::I420, PixelFormat::Rgba];

/// Codes 1 and up.
const VIDEO_CODECS: [VideoCodec; 4] =
    [VideoCodec::H264, VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::Av1];

const FLAG_DISCARDABLE: u8 = 1 << 1;
const FLAG_KEY: u8 = 1 << 0;
