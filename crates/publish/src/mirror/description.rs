//! What a player has to know (RFC 8866).

use std::fmt;
use std::net::IpAddr;

use paceline_framing::rtp::Codec;

/// What a mirror sends, and where to. [`Display`](fmt::Display) is the SDP: written to a file
/// it is what ffplay and VLC open.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Description {
    /// Where packets go.
    pub address: IpAddr,
    /// The streams.
    pub media: Vec<Media>,
}

/// A stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Media {
    /// What it is encoded as.
    pub codec: Codec,
    /// The port its packets go to.
    pub port: u16,
    /// What its packets say the codec is.
    pub payload_type: u8,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address.to_canonical();
        let family = if address.is_ipv4() { "IP4" } else { "IP6" };
        // RFC 8866 §5: version, origin, name, connection, time, in this order.
        write!(f, "v=0\r\no=- 0 0 IN {family} {address}\r\ns=paceline mirror\r\n")?;
        write!(f, "c=IN {family} {address}\r\nt=0 0\r\n")?;
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { codec, port, payload_type } = *self;
        // RFC 7587 §7: always two channels. RFC 6184 §8.1: FU-A is mode 1.
        let (kind, name, channels, mode) = match codec {
            Codec::Opus => ("audio", "opus", "/2", ""),
            Codec::H264 => ("video", "H264", "", "packetization-mode=1"),
            Codec::Vp8 => ("video", "VP8", "", ""),
            _ => ("video", "VP9", "", ""),
        };
        let hz = codec.clock().hz();
        write!(f, "m={kind} {port} RTP/AVP {payload_type}\r\n")?;
        write!(f, "a=rtpmap:{payload_type} {name}/{hz}{channels}\r\n")?;
        if !mode.is_empty() {
            write!(f, "a=fmtp:{payload_type} {mode}\r\n")?;
        }
        // Seen from the player (RFC 8866 §6.7.1).
        f.write_str("a=recvonly\r\n")
    }
}
