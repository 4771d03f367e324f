//! The ways to SFUs that there are.

use std::time::Instant;

use paceline_codec::fit;
use paceline_publish::{
    AudioTrack, Auth, Failure, FailureKind, SendError, SfuConfig, SfuEvent, SfuSender, SfuStats,
    SfuTarget, VideoTrack,
};
use paceline_types::{Bitrate, EncodedFrame, PictureFormat, VideoCodec};

use super::SenderFigures;
use super::builder::Plan;
use super::line::{Dial, Line, LineEvent, Missed};
use crate::publish::{OpenVideo, Opened};

/// Connects to SFUs, each time as planned.
#[derive(Clone, Debug)]
pub(super) struct Sfus {
    config: SfuConfig,
    /// What the servers of these targets are told, and no other.
    auths: Vec<(SfuTarget, Auth)>,
    sound: Bitrate,
}

/// An SFU that is sent to.
#[derive(Debug)]
pub(super) struct Sfu {
    sender: SfuSender,
    /// What of a target is not the picture's.
    sound: Bitrate,
}

impl Sfus {
    pub(super) fn new(plan: &Plan, opened: &Opened) -> Self {
        let most = plan.config.video_bitrate;
        let start = START.min(most);
        let codec = match plan.config.picture {
            PictureFormat::Vp8 => VideoCodec::Vp8,
            PictureFormat::Vp9 => VideoCodec::Vp9,
            // A plan with a format that has no payload is refused before this.
            _ => VideoCodec::H264,
        };
        let mut video = VideoTrack { codec, ..VideoTrack::default() };
        // What is shared may grow later; how large it may get then is nobody's to know.
        if let Some(OpenVideo { source, .. }) = &opened.video {
            let (width, height, frame_rate) =
                plan.config.max_own_picture.unwrap_or((u16::MAX, u16::MAX, u32::MAX));
            (video.width, video.height) = fit(source.size(), (width, height));
            video.frame_rate = frame_rate.min(source.frame_rate().ceil().clamp(1.0, 120.0) as u32);
        }
        let has_audio = opened.audio.is_some();
        let audio = has_audio.then_some(AudioTrack { channels: 1 });
        let sound = if has_audio { SOUND } else { Bitrate::from_bps(0) };
        let with_sound = |picture: Bitrate| Bitrate::from_bps(picture.bps() + sound.bps());
        let config = SfuConfig::default()
            .video(Some(video))
            .audio(audio)
            .bitrates(with_sound(start), with_sound(LEAST.min(start)), with_sound(most))
            .connect_timeout(plan.patience.connects_within())
            .display_name(&plan.name);
        // Which address reaches a server is known when it is.
        let config = match plan.config.bind {
            Some(bind) => config.bind(bind),
            None => config,
        };
        Self { config, auths: plan.auths(), sound }
    }

    /// For this target.
    fn config(&self, target: &SfuTarget) -> SfuConfig {
        let auth = self.auths.iter().find(|(known, _)| known.is_at_server_of(target));
        self.config.clone().auth(auth.map(|(_, auth)| auth.clone()))
    }
}

impl Dial for Sfus {
    type Line = Sfu;

    async fn dial(
        &self,
        target: SfuTarget,
        given_up: impl Future<Output = ()> + Send,
    ) -> Result<Sfu, Failure> {
        let config = self.config(&target);
        match SfuSender::connect_unless(given_up, target, config).await {
            Ok(sender) => Ok(Sfu { sender, sound: self.sound }),
            Err(error) => Err(Failure::from(&error)),
        }
    }
}

impl Line for Sfu {
    fn send(&mut self, _now: Instant, frame: &EncodedFrame) -> Result<(), Missed> {
        self.sender.send(frame.clone()).map_err(|error| match error {
            SendError::Closed => Missed::Gone,
            SendError::Full => Missed::Full,
            error => Missed::Refused(error.to_string()),
        })
    }

    async fn next(&mut self) -> LineEvent {
        loop {
            match self.sender.next().await {
                Some(event) => {
                    if let Some(event) = told(event, self.sound) {
                        return event;
                    }
                }
                None => return LineEvent::Closed(Failure::from(FailureKind::TransportClosed)),
            }
        }
    }

    fn figures(&self) -> SenderFigures {
        figures(&self.sender.stats())
    }

    async fn close(self) {
        self.sender.close().await;
    }
}

fn figures(stats: &SfuStats) -> SenderFigures {
    SenderFigures {
        rtt: stats.rtt,
        bytes: stats.bytes,
        packets: stats.packets,
        retransmissions: stats.retransmissions,
        queued_bytes: stats.queued_bytes as u64,
        shed: stats.left_out,
        without_path: stats.without_path,
        // What cannot be made into packets was taken, and goes no further all the same.
        send_errors: stats.send_errors + stats.refused,
    }
}

/// What a share makes of what an SFU tells; `sound` is not the picture's.
fn told(event: SfuEvent, sound: Bitrate) -> Option<LineEvent> {
    Some(match event {
        SfuEvent::Bitrate(target) => {
            let picture = target.bps().saturating_sub(sound.bps());
            LineEvent::Bitrate(Bitrate::from_bps(picture.max(LEAST.bps() / 2)))
        }
        SfuEvent::Closed { failure } => LineEvent::Closed(failure),
        SfuEvent::KeyframeNeeded => LineEvent::KeyframeNeeded,
        SfuEvent::LevelLowered { wanted, agreed } => LineEvent::LevelLowered { wanted, agreed },
        SfuEvent::Path { up } => LineEvent::Path { up },
        // How well it arrives is for the server's own people.
        _ => return None,
    })
}

/// What congestion control begins at and does not go below: a desktop of 1080p whose first keyframe,
/// some 75 KB, has left after a tenth of a second, and a picture that is better than none.
const START: Bitrate = Bitrate::from_kbps(2_500);
const LEAST: Bitrate = Bitrate::from_kbps(100);

/// A sound's share: Opus at 40 kbit/s, and 50 packets a second with some 60 bytes of headers
/// each.
const SOUND: Bitrate = Bitrate::from_kbps(64);

#[cfg(test)]
mod tests {
    use paceline_publish::rtp_parameters::{Level, MediaKind};

    use super::*;

    #[test]
    fn a_frame_that_makes_no_packets_counts_like_a_packet_that_is_refused() {
        let mut stats = SfuStats::default();
        (stats.send_errors, stats.refused) = (3, 4);
        assert_eq!(figures(&stats).send_errors, 7);
    }

    #[test]
    fn all_that_an_sfu_tells_but_its_scores_is_told_of_the_line() {
        let wanted = Level::of(1_920, 1_080, 30).expect("a common size");
        let told = |event| told(event, SOUND);
        assert!(matches!(
            told(SfuEvent::LevelLowered { wanted, agreed: Level::L3_1 }),
            Some(LineEvent::LevelLowered { wanted: w, agreed: Level::L3_1 }) if w == wanted
        ));
        assert!(matches!(told(SfuEvent::KeyframeNeeded), Some(LineEvent::KeyframeNeeded)));
        let up = told(SfuEvent::Path { up: false });
        assert!(matches!(up, Some(LineEvent::Path { up: false })));
        let kbps = |event| match told(event) {
            Some(LineEvent::Bitrate(bitrate)) => bitrate.bps() / 1_000,
            other => panic!("{other:?}"),
        };
        assert_eq!(kbps(SfuEvent::Bitrate(Bitrate::from_kbps(1_000))), 936);
        // Sound alone is no picture, and none at all is not what the encoder is told.
        assert_eq!(kbps(SfuEvent::Bitrate(Bitrate::from_kbps(10))), 50);
        assert!(told(SfuEvent::Score { kind: MediaKind::Video, score: 10 }).is_none());
    }
}
