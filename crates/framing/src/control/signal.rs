//! Negotiation over the channel itself, once there is one.

use bytes::{BufMut, BytesMut};
use paceline_types::Signal;

use crate::ParseError;
use crate::reader::Reader;

pub(super) fn parse(fields: &mut Reader) -> Result<Signal, ParseError> {
    match fields.u8("kind of signal")? {
        OFFER => Ok(Signal::Offer { sdp: fields.text("description")? }),
        ANSWER => Ok(Signal::Answer { sdp: fields.text("description")? }),
        CANDIDATE => {
            let mline_index = fields.u16("media section")?;
            let mid_len = fields.u16("length of the media section's name")?;
            let mid = fields.text_of(mid_len.into(), "media section's name")?;
            let ufrag_len = fields.u16("length of the username fragment")?;
            let ufrag = fields.text_of(ufrag_len.into(), "username fragment")?;
            let candidate = fields.text("candidate")?;
            Ok(Signal::Candidate { candidate, mid, mline_index, ufrag })
        }
        value => Err(ParseError::BadValue { field: "kind of signal", value: value.into() }),
    }
}

pub(super) fn emit(signal: &Signal, out: &mut BytesMut) {
    match signal {
        Signal::Offer { sdp } => {
            out.put_u8(OFFER);
            out.put_slice(sdp.as_bytes());
        }
        Signal::Answer { sdp } => {
            out.put_u8(ANSWER);
            out.put_slice(sdp.as_bytes());
        }
        Signal::Candidate { candidate, mid, mline_index, ufrag } => {
            let mid_len = u16::try_from(mid.len()).expect("a media section's name is short");
            let ufrag_len = u16::try_from(ufrag.len()).expect("a username fragment is short");
            out.put_u8(CANDIDATE);
            out.put_u16(*mline_index);
            out.put_u16(mid_len);
            out.put_slice(mid.as_bytes());
            out.put_u16(ufrag_len);
            out.put_slice(ufrag.as_bytes());
            out.put_slice(candidate.as_bytes());
        }
    }
}

const OFFER: u8 = 1;
const ANSWER: u8 = 2;
const CANDIDATE: u8 = 3;
