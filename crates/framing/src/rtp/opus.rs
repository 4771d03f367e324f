//! Opus in RTP (RFC 7587): the payload is the Opus packet, as it is.

use bytes::Bytes;

use super::format::Assembled;
use super::{PacketizeError, PayloadError};

/// The payload of an Opus packet, which shares its bytes.
///
/// # Errors
///
/// [`PacketizeError::Empty`] if there are none, [`PacketizeError::TooLarge`] if there are
/// more than `max`: RFC 7587 §4.2 splits none.
pub(super) fn payload(data: &Bytes, max: usize) -> Result<Bytes, PacketizeError> {
    match data.len() {
        0 => Err(PacketizeError::Empty),
        len if len > max => Err(PacketizeError::TooLarge { len, max }),
        _ => Ok(data.clone()),
    }
}

/// Every payload is a frame.
pub(super) fn inspect(payload: &Bytes) -> Result<bool, PayloadError> {
    match payload.first() {
        Some(_) => Ok(true),
        None => Err(PayloadError::Truncated { field: "TOC" }),
    }
}

/// The only payload of a frame. A decoder can start at any, and can hear when one is
/// missing.
pub(super) fn assemble(payloads: &[Bytes]) -> Result<Assembled, PayloadError> {
    let [data] = payloads else {
        let value = payloads.len() as u64;
        return Err(PayloadError::BadValue { field: "packets of an Opus frame", value });
    };
    inspect(data)?;
    Ok(Assembled { data: data.clone(), key: true, discardable: false })
}

/// How long an Opus packet sounds, in ticks of 48 kHz, as its first byte says (RFC 6716
/// §3.1), or its first two if that leaves the count of frames to the second (§3.2.5).
///
/// `None` if it cannot be told, if there are no frames, or more than 120 ms of them
/// (§3.4, R5).
pub(super) fn duration_ticks(data: &[u8]) -> Option<u32> {
    let (&toc, rest) = data.split_first()?;
    let config = toc >> 3;
    let frame = match config {
        // SILK: 10, 20, 40 and 60 ms.
        0..=11 => [480, 960, 1_920, 2_880][usize::from(config % 4)],
        // Hybrid: 10 and 20 ms.
        12..=15 => [480, 960][usize::from(config % 2)],
        // CELT: 2.5, 5, 10 and 20 ms.
        _ => 120 << (config % 4),
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(rest.first()? & FRAME_COUNT),
    };
    let ticks = frames * frame;
    (1..=MAX_TICKS).contains(&ticks).then_some(ticks)
}

/// RFC 6716 §3.2.5: the low six bits of the second byte.
const FRAME_COUNT: u8 = 0x3f;

/// RFC 6716 §3.2.5: a packet has at most 120 ms of sound.
pub(super) const MAX_TICKS: u32 = 5_760;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_how_long_it_sounds() {
        let ms =
            |config: u8, code: u8| duration_ticks(&[config << 3 | code]).unwrap() as f32 / 48.0;
        for (configs, durations) in [
            (0..12, &[10.0, 20.0, 40.0, 60.0][..]),
            (12..16, &[10.0, 20.0]),
            (16..32, &[2.5, 5.0, 10.0, 20.0]),
        ] {
            for (config, duration) in configs.zip(durations.iter().cycle()) {
                assert_eq!(ms(config, 0), *duration);
                assert_eq!(ms(config, 1), 2.0 * duration);
                assert_eq!(ms(config, 2), 2.0 * duration);
            }
        }
        // Three frames of 20 ms; the upper bits are those of padding and VBR.
        assert_eq!(duration_ticks(&[0x0b, 0xc3]), Some(2_880));
    }

    #[test]
    fn more_than_120_ms_and_no_frames_are_no_duration() {
        assert_eq!(duration_ticks(&[0x0b, 6]), Some(MAX_TICKS));
        assert_eq!(duration_ticks(&[0x0b, 7]), None);
        assert_eq!(duration_ticks(&[0xff, 0x3f]), None);
        assert_eq!(duration_ticks(&[0x0b, 0xc0]), None);
        assert_eq!(duration_ticks(&[0x0b]), None);
        assert_eq!(duration_ticks(&[]), None);
    }

    #[test]
    fn a_frame_is_one_payload_and_never_an_empty_one() {
        let data = Bytes::from_static(b"la");
        assert_eq!(payload(&data, 2), Ok(data.clone()));
        assert_eq!(payload(&data, 1), Err(PacketizeError::TooLarge { len: 2, max: 1 }));
        assert_eq!(payload(&Bytes::new(), 1), Err(PacketizeError::Empty));
        assert_eq!(inspect(&data), Ok(true));
        assert_eq!(inspect(&Bytes::new()), Err(PayloadError::Truncated { field: "TOC" }));
        let frame = assemble(std::slice::from_ref(&data)).unwrap();
        assert_eq!(frame, Assembled { data: data.clone(), key: true, discardable: false });
        let error = PayloadError::BadValue { field: "packets of an Opus frame", value: 2 };
        assert_eq!(assemble(&[data.clone(), data]), Err(error));
        assert!(assemble(&[Bytes::new()]).is_err());
        assert!(assemble(&[]).is_err());
    }
}
