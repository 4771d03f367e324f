//! Packets, as a datagram's octets.

use bytes::{BufMut, Bytes, BytesMut};

use super::kind::{BYE, FMT_AFB, FMT_FIR, FMT_NACK, FMT_PLI, FMT_TWCC, PSFB, RR, RTPFB, SDES, SR};
use super::parse::VERSION;
use super::{MAX_COMPOUND, MAX_PACKETS, Packet, ReceptionReport};

/// The packets as one datagram, in their order and without padding.
///
/// Nothing is added. What RFC 3550 §6.1 wants in a full compound is the caller's to
/// include, and [`validate_compound`](super::validate_compound) tells whether it is.
///
/// # Panics
///
/// If [`parse`](super::parse) would refuse it:
///
/// * no packets, more than [`MAX_PACKETS`], or more octets than [`MAX_COMPOUND`];
/// * more than 31 report blocks, SDES chunks or BYE sources; a `total_lost` of more than
///   24 bits (see [`total_lost`](super::total_lost)); profile extensions that are not
///   whole words;
/// * a BYE reason of more than 255 octets, or a REMB for more than 255 streams;
/// * a NACK without pairs, or a FIR without entries;
/// * a TWCC reference time of more than 24 bits;
/// * a padded [`Unknown`](super::Unknown) that is not the last.
///
/// What `parse` returned is none of these.
///
/// ```
/// use paceline_framing::rtcp::{self, FirSender, Packet};
///
/// let request = FirSender::new(1).request([2]);
/// let bytes = rtcp::emit(&[Packet::FullIntraRequest(request)]);
/// assert_eq!(bytes.len(), 20);
/// ```
#[must_use]
pub fn emit(packets: &[Packet]) -> Bytes {
    assert!(!packets.is_empty(), "a datagram has a packet");
    assert!(packets.len() <= MAX_PACKETS, "a datagram has {MAX_PACKETS} packets at most");
    let mut out = BytesMut::new();
    for (at, packet) in packets.iter().enumerate() {
        if let Packet::Unknown(unknown) = packet {
            let last = at + 1 == packets.len();
            assert!(last || !unknown.is_padded(), "only the last packet is padded");
            out.put_slice(unknown.raw());
        } else {
            emit_known(packet, &mut out);
        }
        assert!(out.len() <= MAX_COMPOUND, "a datagram has {MAX_COMPOUND} octets at most");
    }
    out.freeze()
}

/// Writes the header when the body, and so its length, is there.
fn emit_known(packet: &Packet, out: &mut BytesMut) {
    let start = out.len();
    out.put_u32(0);
    let (kind, count) = body(packet, out);
    let count = u8::try_from(count).ok().filter(|&count| count <= COUNT_MAX);
    let count = count.expect("a packet has 31 report blocks, chunks or sources at most");
    let words = u16::try_from((out.len() - start) / 4 - 1);
    let [high, low] = words.expect("a packet has 65,535 words at most").to_be_bytes();
    out[start..start + 4].copy_from_slice(&[VERSION << 6 | count, kind, high, low]);
}

/// Writes all but the header, and says what is in that: the type, and the count or
/// format.
fn body(packet: &Packet, out: &mut BytesMut) -> (u8, usize) {
    match packet {
        Packet::SenderReport(sr) => {
            out.put_u32(sr.ssrc);
            out.put_u64(sr.ntp_time);
            out.put_u32(sr.rtp_time);
            out.put_u32(sr.packet_count);
            out.put_u32(sr.octet_count);
            reports(&sr.reports, &sr.profile_extensions, out);
            (SR, sr.reports.len())
        }
        Packet::ReceiverReport(rr) => {
            out.put_u32(rr.ssrc);
            reports(&rr.reports, &rr.profile_extensions, out);
            (RR, rr.reports.len())
        }
        Packet::SourceDescription(sdes) => (SDES, sdes.emit(out)),
        Packet::Goodbye(bye) => (BYE, bye.emit(out)),
        Packet::Nack(nack) => {
            assert!(!nack.nacks.is_empty(), "a NACK has a pair");
            out.put_u32(nack.sender_ssrc);
            out.put_u32(nack.media_ssrc);
            for pair in &nack.nacks {
                out.put_u16(pair.packet_id);
                out.put_u16(pair.lost_packets);
            }
            (RTPFB, FMT_NACK.into())
        }
        Packet::TransportFeedback(feedback) => {
            feedback.emit(out);
            (RTPFB, FMT_TWCC.into())
        }
        Packet::PictureLossIndication(pli) => {
            out.put_u32(pli.sender_ssrc);
            out.put_u32(pli.media_ssrc);
            (PSFB, FMT_PLI.into())
        }
        Packet::FullIntraRequest(request) => {
            assert!(!request.fir.is_empty(), "a FIR has an entry");
            out.put_u32(request.sender_ssrc);
            out.put_u32(request.media_ssrc);
            for entry in &request.fir {
                out.put_u32(entry.ssrc);
                out.put_u32(u32::from(entry.sequence_number) << 24);
            }
            (PSFB, FMT_FIR.into())
        }
        Packet::Remb(remb) => {
            remb.emit(out);
            (PSFB, FMT_AFB.into())
        }
        Packet::Unknown(_) => unreachable!("has its own header"),
    }
}

/// Not by the crate, which drops the bits of a loss that has more than 24.
fn reports(reports: &[ReceptionReport], extensions: &Bytes, out: &mut BytesMut) {
    for report in reports {
        assert!(report.total_lost < 1 << 24, "the loss has 24 bits");
        out.put_u32(report.ssrc);
        out.put_u32(u32::from(report.fraction_lost) << 24 | report.total_lost);
        out.put_u32(report.last_sequence_number);
        out.put_u32(report.jitter);
        out.put_u32(report.last_sender_report);
        out.put_u32(report.delay);
    }
    assert!(extensions.len().is_multiple_of(4), "profile extensions are whole words");
    out.put_slice(extensions);
}

/// RFC 3550 §6.4.1: five bits.
const COUNT_MAX: u8 = 31;
