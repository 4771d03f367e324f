//! What is sent, from frames to packets.

use std::time::Instant;

use bytes::Bytes;
use paceline_framing::rtp::{
    Packetized, Packetizer, PacketizerConfig, Sender, SenderConfig, SenderStats, SenderStream,
    SenderVerdict,
};
use paceline_transport::{TrackKind, UplinkTrack};
use paceline_types::{AudioCodec, Bitrate, Coding, EncodedFrame, PacketKind, Ssrc, VideoCodec};

use super::config::SfuConfig;
use super::error::PublishError;
use crate::rtp_parameters::{
    Codec, Level, MediaKind, Negotiated, OpusOptions, Retransmission, Stream,
};

/// The picture and the sound of one attempt.
#[derive(Debug)]
pub(super) struct Tracks {
    tracks: Vec<Track>,
    sender: Sender,
    /// Pictures left out before there was a packet of them.
    left_out: u64,
    /// Of those that the sender has left out, what it did because there was no path.
    without_path: u64,
    needs_keyframe: bool,
}

#[derive(Debug)]
struct Track {
    codec: Codec,
    numbers: Numbers,
    packetizer: Packetizer,
    /// What the sender calls it.
    index: usize,
    /// A picture of it was lost, so the next ones build on what nobody has.
    awaits_key: bool,
}

/// What a track is known by, chosen anew for each attempt.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    pub(super) payload_type: u8,
    pub(super) ssrc: u32,
    /// Of retransmissions: payload type and source.
    pub(super) rtx: Option<(u8, u32)>,
    pub(super) cname: String,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Taken {
    /// It goes, or waits for its turn.
    Queued,
    /// It was left out: it builds on what did not go, or there is no path.
    LeftOut,
    /// It cannot be sent at all.
    Refused,
}

impl Tracks {
    pub(super) fn new(config: &SfuConfig) -> Result<Self, PublishError> {
        let bad = |what: &str| PublishError::BadRequest { what: what.to_owned() };
        if config.video.is_none() && config.audio.is_none() {
            return Err(bad("neither picture nor sound"));
        }
        if config.audio.is_some_and(|audio| !matches!(audio.channels, 1 | 2)) {
            return Err(bad("a sound of other than 1 or 2 channels"));
        }
        let video = config.video.map(codec_of).transpose()?;
        let audio = config.audio.map(|audio| opus(audio.channels));
        let mut sender = Sender::new(SenderConfig::default().start_bitrate(config.bitrates[0]));
        let cname =
            format!("{:016x}", random::<8>()?.iter().fold(0, |all, &b| all << 8 | u64::from(b)));
        let mut tracks = Vec::new();
        for codec in [video, audio].into_iter().flatten() {
            let is_video = codec.kind() == MediaKind::Video;
            let [ssrc, rtx] = [random_u32()?, random_u32()?];
            let numbers = Numbers {
                payload_type: if is_video { VIDEO } else { AUDIO },
                ssrc,
                rtx: is_video.then_some((RTX, rtx)),
                cname: cname.clone(),
            };
            let stream = SenderStream::new(Ssrc::new(ssrc))
                .first_seq((random_u32()? >> 17) as u16)
                .cname(Bytes::from(cname.clone()));
            let config = PacketizerConfig::new(codec.payload(), numbers.payload_type, ssrc);
            tracks.push(Track {
                codec,
                numbers,
                packetizer: Packetizer::new(config),
                index: sender.add_stream(stream),
                awaits_key: false,
            });
        }
        Ok(Self { tracks, sender, left_out: 0, without_path: 0, needs_keyframe: false })
    }

    /// What is to be agreed on with the server.
    pub(super) fn codecs(&self) -> impl Iterator<Item = Codec> + '_ {
        self.tracks.iter().map(|track| track.codec)
    }

    /// The same with its numbers, for a server that sees no description.
    pub(super) fn streams(&self) -> impl Iterator<Item = (Codec, Stream)> + '_ {
        self.tracks.iter().map(|Track { codec, numbers, .. }| {
            let stream = Stream::new(numbers.payload_type, numbers.ssrc, numbers.cname.as_str());
            let stream = match numbers.rtx {
                Some((payload_type, ssrc)) => {
                    stream.retransmission(Retransmission { payload_type, ssrc })
                }
                None => stream,
            };
            (*codec, stream)
        })
    }

    /// The same for the engine.
    pub(super) fn of_uplink(&self) -> impl Iterator<Item = UplinkTrack> + '_ {
        self.tracks.iter().map(|Track { codec, numbers, .. }| {
            let kind = match codec.kind() {
                MediaKind::Audio => TrackKind::Audio,
                MediaKind::Video => TrackKind::Video,
            };
            let (mime, clock) = (codec.mime_type(), codec.clock_rate());
            let track = UplinkTrack::new(kind, mime, clock, numbers.payload_type, numbers.ssrc)
                .channels(codec.channels().unwrap_or(0).into())
                .fmtp(codec.fmtp())
                .cname(numbers.cname.clone());
            match numbers.rtx {
                Some((payload_type, ssrc)) => track.rtx(payload_type, ssrc),
                None => track,
            }
        })
    }

    /// Keeps to what was agreed on. If the router takes less of H.264 than wanted: both levels.
    pub(super) fn handle_negotiated(&mut self, agreed: &[Negotiated]) -> Option<(Level, Level)> {
        let mut lowered = None;
        for agreed in agreed {
            let of_kind = |track: &&mut Track| track.codec.kind() == agreed.kind();
            let Some(track) = self.tracks.iter_mut().find(of_kind) else { continue };
            let encoding = agreed.parameters().encodings.first();
            if encoding.is_none_or(|encoding| encoding.rtx.is_none()) {
                track.numbers.rtx = None;
            }
            if let (Codec::H264(wanted), Codec::H264(agreed)) = (track.codec, agreed.codec())
                && agreed.level() < wanted.level()
            {
                lowered = Some((wanted.level(), agreed.level()));
            }
        }
        lowered
    }

    /// Whether a source is one of ours that shows pictures.
    pub(super) fn is_video(&self, ssrc: u32) -> bool {
        let is_it = |track: &&Track| track.numbers.ssrc == ssrc;
        self.tracks.iter().find(is_it).is_some_and(|track| track.codec.kind() == MediaKind::Video)
    }

    /// Whether an RTP packet of ours is one of pictures (RFC 3550 §5.1: octets 8 to 11).
    pub(super) fn is_picture(&self, packet: &[u8]) -> bool {
        let ssrc = packet.get(8..12).and_then(|ssrc| ssrc.try_into().ok());
        ssrc.is_some_and(|ssrc| self.is_video(u32::from_be_bytes(ssrc)))
    }

    pub(super) fn handle_frame(&mut self, now: Instant, frame: &EncodedFrame) -> Taken {
        let Self { tracks, sender, left_out, without_path, needs_keyframe } = self;
        let Some(track) = tracks.iter_mut().find(|track| fits(track.codec, &frame.coding)) else {
            return Taken::Refused;
        };
        let is_picture = !frame.coding.is_audio();
        if track.awaits_key && !frame.coding.is_key() {
            (*left_out, *needs_keyframe) = (*left_out + 1, true);
            return Taken::LeftOut;
        }
        match Packetized::new(&mut track.packetizer, frame) {
            Ok(packets) => {
                track.awaits_key = false;
                match sender.handle_frame(now, track.index, &packets) {
                    SenderVerdict::Queued => Taken::Queued,
                    SenderVerdict::Unreachable => {
                        *without_path += 1;
                        Taken::LeftOut
                    }
                    _ => Taken::LeftOut,
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a frame cannot be sent");
                // Packets are numbered without it: nobody else would notice.
                track.awaits_key |= is_picture;
                *needs_keyframe |= is_picture;
                Taken::Refused
            }
        }
    }

    pub(super) fn handle_path(&mut self, up: bool) {
        let before = self.sender.stats().left_out;
        self.sender.handle_path(up);
        self.without_path += self.sender.stats().left_out - before;
    }

    pub(super) fn set_target(&mut self, target: Bitrate) {
        self.sender.set_target(target);
    }

    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<(PacketKind, Bytes)> {
        self.sender.poll_transmit(now)
    }

    /// Whether a picture can go on only from a keyframe; once.
    pub(super) fn poll_needs_keyframe(&mut self) -> bool {
        let asked = std::iter::from_fn(|| self.sender.poll_needs_keyframe()).count() > 0;
        std::mem::take(&mut self.needs_keyframe) || asked
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.sender.poll_timeout()
    }

    /// Bytes that wait, and for how long the oldest has.
    pub(super) fn queue(&self, now: Instant) -> (usize, std::time::Duration) {
        (self.sender.queued_bytes(), self.sender.oldest_age(now))
    }

    /// What was sent and left out, frames without a path not counted.
    pub(super) fn stats(&self) -> SenderStats {
        let mut stats = self.sender.stats();
        stats.left_out = stats.left_out - self.without_path + self.left_out;
        stats
    }

    /// Frames that came or waited while there was no path.
    pub(super) const fn without_path(&self) -> u64 {
        self.without_path
    }
}

fn opus(channels: u8) -> Codec {
    match channels {
        2 => Codec::Opus(OpusOptions::default().stereo(true)),
        _ => Codec::opus(),
    }
}

fn codec_of(track: super::VideoTrack) -> Result<Codec, PublishError> {
    let super::VideoTrack { codec, width, height, frame_rate } = track;
    let negotiation = |reason: String| PublishError::Negotiation { reason };
    match codec {
        VideoCodec::H264 => {
            let rate = u16::try_from(frame_rate).unwrap_or(u16::MAX);
            Codec::h264(width, height, rate).ok_or_else(|| {
                negotiation(format!("{width}×{height} at {frame_rate} is beyond H.264's levels"))
            })
        }
        VideoCodec::Vp8 => Ok(Codec::Vp8),
        VideoCodec::Vp9 => Ok(Codec::Vp9),
        other => Err(negotiation(format!("{other:?} is not sent by this crate"))),
    }
}

fn fits(codec: Codec, coding: &Coding) -> bool {
    matches!(
        (codec, coding),
        (Codec::H264(_), Coding::Video { codec: VideoCodec::H264, .. })
            | (Codec::Vp8, Coding::Video { codec: VideoCodec::Vp8, .. })
            | (Codec::Vp9, Coding::Video { codec: VideoCodec::Vp9, .. })
            | (Codec::Opus(_), Coding::Audio { codec: AudioCodec::Opus, .. })
    )
}

/// Random bytes of the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], PublishError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| PublishError::Engine {
        reason: format!("the system has no random numbers: {error}"),
    })?;
    Ok(bytes)
}

pub(super) fn random_u32() -> Result<u32, PublishError> {
    random().map(u32::from_be_bytes)
}

/// Dynamic payload types (RFC 3551 §6), of one bundle: all different.
const VIDEO: u8 = 96;
const RTX: u8 = 97;
const AUDIO: u8 = 111;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one instant to count from")]
mod tests {
    use paceline_types::{Frequency, MediaTime, NtpTime, SeqNo, StreamId};
    use serde_json::json;

    use super::*;
    use crate::client::{AudioTrack, VideoTrack};
    use crate::rtp_parameters::{RtpCapabilities, negotiate};

    fn frame(seq: u64, key: bool, data: &[u8]) -> EncodedFrame {
        EncodedFrame {
            stream: StreamId::MIX_VIDEO,
            seq: SeqNo::new(seq),
            time: MediaTime::new(3_600 * seq, Frequency::VIDEO),
            capture: NtpTime::from_bits(5 << 32),
            coding: Coding::Video {
                codec: VideoCodec::H264,
                key,
                discardable: false,
                width: 320,
                height: 180,
            },
            data: Bytes::copy_from_slice(data),
        }
    }

    #[test]
    fn after_a_picture_that_made_no_packet_none_goes_until_a_keyframe_does() {
        let now = Instant::now();
        let mut tracks = Tracks::new(&SfuConfig::default()).expect("a picture");
        let picture = &[0, 0, 0, 1, 0x41, 0b1000_1000, 0b1000_0000];
        let sets = [0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0b1000_0000, 0, 0, 0, 1, 0x48, 0b1100_0000];
        let key: &[u8] = &[&sets[..], &[0, 0, 0, 1, 0x65, 0b1000_1000, 0b1000_0000]].concat();
        assert_eq!(tracks.handle_frame(now, &frame(0, true, key)), Taken::Queued);
        assert!(!tracks.poll_needs_keyframe());
        assert_eq!(tracks.handle_frame(now, &frame(1, false, &[1, 2, 3])), Taken::Refused);
        assert!(tracks.poll_needs_keyframe());
        for seq in 2..5 {
            assert_eq!(tracks.handle_frame(now, &frame(seq, false, picture)), Taken::LeftOut);
            assert!(tracks.poll_needs_keyframe(), "who asked once may have asked in vain");
        }
        assert_eq!(tracks.stats().left_out, 3);
        assert_eq!(tracks.handle_frame(now, &frame(5, true, key)), Taken::Queued);
        assert_eq!(tracks.handle_frame(now, &frame(6, false, picture)), Taken::Queued);
        assert!(!tracks.poll_needs_keyframe());
    }

    #[test]
    fn what_has_no_path_is_not_left_out_for_want_of_time() {
        let now = Instant::now();
        let config = SfuConfig::default().audio(Some(AudioTrack { channels: 1 }));
        let mut tracks = Tracks::new(&config).expect("a picture and a sound");
        let mut picture = frame(0, true, &[0, 0, 0, 1, 0x65, 0b1000_1000, 0b1000_0000]);
        let sound = EncodedFrame {
            coding: Coding::Audio { codec: AudioCodec::Opus, channels: 1 },
            time: MediaTime::new(0, Frequency::AUDIO),
            ..picture.clone()
        };
        for waiting in [&picture, &sound] {
            assert_eq!(tracks.handle_frame(now, waiting), Taken::Queued);
        }
        tracks.handle_path(false);
        for _ in 0..30 {
            for lost in [&picture, &sound] {
                assert_eq!(tracks.handle_frame(now, lost), Taken::LeftOut);
            }
        }
        assert_eq!((tracks.stats().left_out, tracks.without_path()), (0, 62));
        tracks.handle_path(true);
        assert!(tracks.poll_needs_keyframe());
        // What builds on what was lost is left out as ever.
        picture.coding = frame(0, false, &[]).coding;
        assert_eq!(tracks.handle_frame(now, &picture), Taken::LeftOut);
        assert_eq!((tracks.stats().left_out, tracks.without_path()), (1, 62));
    }

    #[test]
    fn nothing_is_asked_for_that_cannot_be_sent() {
        let refused = |config: SfuConfig| match Tracks::new(&config).map(|_| ()) {
            Err(PublishError::BadRequest { what }) => what,
            other => panic!("{other:?}"),
        };
        let config = SfuConfig::default;
        assert_eq!(refused(config().video(None)), "neither picture nor sound");
        for channels in [0, 3, 255] {
            let audio = Some(AudioTrack { channels });
            assert_eq!(refused(config().audio(audio)), "a sound of other than 1 or 2 channels");
        }
    }

    #[test]
    fn a_router_without_rtx_or_of_a_lower_level_gets_no_more_than_it_takes() {
        let video = VideoTrack { width: 1_920, height: 1_080, ..VideoTrack::default() };
        let mut tracks = Tracks::new(&SfuConfig::default().video(Some(video))).expect("one");
        let (codec, stream) = tracks.streams().next().expect("a picture");
        let router = |asymmetry: u8, rtx: bool| -> RtpCapabilities {
            let mut codecs = vec![json!({
                "kind": "video", "mimeType": "video/H264", "clockRate": 90_000,
                "preferredPayloadType": 101,
                "parameters": {
                    "packetization-mode": 1, "profile-level-id": "42e01f",
                    "level-asymmetry-allowed": asymmetry,
                },
            })];
            codecs.extend(rtx.then(|| {
                json!({
                    "kind": "video", "mimeType": "video/rtx", "clockRate": 90_000,
                    "preferredPayloadType": 102, "parameters": { "apt": 101 },
                })
            }));
            serde_json::from_value(json!({ "codecs": codecs })).expect("capabilities")
        };
        let agreed = |router| [negotiate(&codec, &stream, &router).expect("in common")];
        assert_eq!(tracks.handle_negotiated(&agreed(router(1, true))), None);
        assert!(tracks.streams().next().expect("a picture").1 == stream);
        let lowered = tracks.handle_negotiated(&agreed(router(0, false)));
        let lowered = lowered.map(|(wanted, agreed)| (wanted.to_string(), agreed.to_string()));
        assert_eq!(lowered, Some(("4".to_owned(), "3.1".to_owned())));
        assert_eq!(tracks.tracks[0].numbers.rtx, None);
    }
}
