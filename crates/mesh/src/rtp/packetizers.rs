//! Frames of ours, made into packets once for all who get them.

use std::collections::BTreeMap;

use paceline_framing::rtp::{Codec, Packetized, Packetizer, PacketizerConfig, Sender};
use paceline_types::{EncodedFrame, PeerId, Ssrc, StreamId};

use super::{codec_of, payload_type_of};

/// What a frame of ours is by RTP.
#[derive(Debug)]
pub(crate) enum Framed {
    /// There is no payload format for it, or RTP is not carried here.
    None,
    Packets(Packetized),
    /// There is one, but it goes over the channel all the same: it is no bitstream of its
    /// codec, or a keyframe of more packets than a receiver holds, or builds on such a one.
    Unfit,
}

/// A packetizer for each of our four streams.
#[derive(Debug, Default)]
pub(crate) struct Packetizers(BTreeMap<StreamId, Stream>);

#[derive(Debug)]
struct Stream {
    codec: Codec,
    packetizer: Packetizer,
    /// The latest keyframe did not go by RTP. What builds on it goes after it, in its queue:
    /// beside it, it would come first, and be given up.
    is_unfit: bool,
}

impl Packetizers {
    /// The packets of a frame, if it goes as such.
    pub(crate) fn packetize(&mut self, us: PeerId, frame: &EncodedFrame) -> Framed {
        let (Some(codec), Some(ssrc)) = (codec_of(&frame.coding), Ssrc::of(us, frame.stream))
        else {
            return Framed::None;
        };
        if frame.time.frequency() != codec.clock()
            || super::codec_at(payload_type_of(codec), frame.stream) != Some(codec)
        {
            return Framed::None;
        }
        let made = self.0.remove(&frame.stream).filter(|stream| stream.codec == codec);
        let mut stream = made.unwrap_or_else(|| {
            let config = PacketizerConfig::new(codec, payload_type_of(codec), ssrc.get());
            let packetizer = Packetizer::new(config.max_payload(MAX_PAYLOAD));
            Stream { codec, packetizer, is_unfit: false }
        });
        let packets = Packetized::new(&mut stream.packetizer, frame);
        let is_key = frame.coding.is_key();
        if is_key {
            stream.is_unfit = packets.as_ref().map_or(true, |it| it.count() > Sender::MAX_PACKETS);
        }
        let framed = match packets {
            Ok(packets) if !stream.is_unfit => Framed::Packets(packets),
            Ok(packets) => {
                if is_key {
                    tracing::debug!(packets = packets.count(), "a keyframe is too much for RTP");
                }
                Framed::Unfit
            }
            Err(error) => {
                tracing::debug!(%error, "a frame that is no bitstream of its codec");
                Framed::Unfit
            }
        };
        self.0.insert(frame.stream, stream);
        framed
    }
}

/// Packets of 1,200 bytes (as `PacketizerConfig` has it) less a header of 12 and up to 28 of
/// header extensions: the frame's number, a number for the whole transport, a media section.
const MAX_PAYLOAD: usize = 1_200 - 12 - 28;
