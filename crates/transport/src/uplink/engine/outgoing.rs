//! What goes to the network.

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_types::PacketKind;
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use sansio::Protocol;
use shared::error::Error;
use shared::marshal::{MarshalSize, Unmarshal};
use tracing::debug;

use super::Engine;
use crate::uplink::Mailbox;

impl Engine {
    /// Sends a packet that [`Mailbox::check`] has let through.
    pub(in crate::uplink) fn send(
        &mut self,
        now: Instant,
        kind: PacketKind,
        mut bytes: Bytes,
        mailbox: &Mailbox,
    ) {
        let message = match kind {
            PacketKind::Rtp => match self.stamp(now, &mut bytes) {
                Ok(packet) => {
                    mailbox.count(|stats| {
                        stats.packets += 1;
                        stats.bytes += packet.marshal_size() as u64;
                    });
                    RTCMessage::RtpPacket(String::new(), packet)
                }
                Err(error) => return debug!(%error, "a packet of ours cannot be read"),
            },
            PacketKind::Rtcp => match rtcp::packet::unmarshal(&mut bytes) {
                Ok(packets) => RTCMessage::RtcpPacket(String::new(), packets),
                Err(error) => return debug!(%error, "a report of ours cannot be read"),
            },
            PacketKind::Message => return,
        };
        let message = TaggedRTCMessage { now: now + self.ahead, message };
        if let Err(error) = self.connection.handle_write(message) {
            debug!(%error, "a packet of ours was not taken");
        }
    }

    /// Writes what is of this moment or of the section into a packet.
    fn stamp(&self, now: Instant, bytes: &mut Bytes) -> Result<rtp::packet::Packet, Error> {
        let mut packet = rtp::packet::Packet::unmarshal(bytes)?;
        let track = self.tracks.iter().find(|track| track.ssrc == packet.header.ssrc);
        if let Some(track) = track {
            if let Some((id, mid)) = &track.mid {
                packet.header.set_extension(*id, mid.clone())?;
            }
            if let Some(id) = track.abs_send_time {
                let time = abs_send_time(now.saturating_duration_since(self.born));
                packet.header.set_extension(id, Bytes::copy_from_slice(&time))?;
            }
        }
        Ok(packet)
    }
}

/// 24 bits, 18 of them below the second.
fn abs_send_time(since: Duration) -> [u8; 3] {
    let [.., a, b, c] = ((since.as_micros() << 18) / 1_000_000).to_be_bytes();
    [a, b, c]
}
