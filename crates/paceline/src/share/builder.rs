//! What a share is to be, checked before anything is opened.

use std::time::Duration;

#[cfg(feature = "mirror")]
use paceline_publish::mirror::{MirrorConfig, MirrorConfigError};
use paceline_publish::{Auth, SfuTarget, SupervisorConfig};
use paceline_types::{Bitrate, Content, PictureFormat};

#[cfg(feature = "mirror")]
use super::reflection::Looks;
use super::supply::Supply;
use super::{Share, ShareTarget};
use crate::config::{Config, ConfigError};
use crate::error::PublishError;
use crate::publish::{AudioInput, VideoInput};

/// Why a share cannot be. Each text is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// A bound is out of its bounds.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// [`ShareTarget::External`] is the end of a share, and so cannot be its beginning.
    #[error("a share cannot begin as an external one: name another target before it")]
    ExternalFirst,
    /// Nothing can follow [`ShareTarget::External`].
    #[error("nothing comes after an external target: name it last")]
    ExternalNotLast,
    /// The mirror cannot be as it was asked for.
    #[cfg(feature = "mirror")]
    #[error("the mirror cannot be: {0}")]
    Mirror(#[from] MirrorConfigError),
    /// The system has no socket for the mirror, or no way to where it goes.
    #[cfg(feature = "mirror")]
    #[error("the mirror cannot send ({0}): give it another address")]
    MirrorSocket(#[source] std::io::Error),
    /// No target was named.
    #[error("a share needs a target: name a room or an SFU")]
    NoTarget,
    /// What would be mirrored goes to an SFU, and no target is one.
    #[cfg(feature = "mirror")]
    #[error("a mirror shows what goes to an SFU, and no target is one: leave it out")]
    NothingToMirror,
    /// No SFU forwards pictures in this format.
    #[error("an SFU takes no {format:?} pictures: take H.264, VP8 or VP9")]
    NotForwarded {
        /// The format.
        format: PictureFormat,
    },
    /// The source of the picture or of the sound cannot be used.
    #[error("{0}")]
    Publish(#[from] PublishError),
    /// More targets than anybody can mean.
    #[error("{targets} targets are too many: name at most {max}")]
    TooManyTargets {
        /// How many were named.
        targets: usize,
        /// The most there may be.
        max: usize,
    },
}

/// How to share. Made by [`Share::builder`].
///
/// ```
/// use paceline::{AudioInput, Config, Share, ShareTarget, SfuTarget, VideoInput};
///
/// let sfu: SfuTarget = "mediasoup:wss://sfu.example/?roomId=r&peerId=p".parse()?;
/// let share = Share::builder(VideoInput::Test)
///     .audio(AudioInput::Tone)
///     .target(ShareTarget::Sfu(sfu))
///     .target(ShareTarget::External)
///     .build()?;
/// # let _ = share;
///
/// let error = Share::builder(VideoInput::Test).build().unwrap_err();
/// assert_eq!(error.to_string(), "a share needs a target: name a room or an SFU");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ShareBuilder {
    video: VideoInput,
    audio: Option<AudioInput>,
    content: Option<Content>,
    #[cfg(feature = "mirror")]
    mirror: Option<MirrorConfig>,
    plan: Plan,
}

/// What does not change while a share is started, stopped and started again.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) targets: Vec<ShareTarget>,
    pub(super) config: Config,
    pub(super) name: String,
    /// The first SFU's.
    auth: Option<Auth>,
    /// Those of the servers of these targets, the newest last.
    own_auths: Vec<(SfuTarget, Auth)>,
    pub(super) patience: SupervisorConfig,
    #[cfg(feature = "mirror")]
    pub(super) mirror: Option<Looks>,
}

impl Plan {
    /// What each server is told, the first that fits.
    pub(super) fn auths(&self) -> Vec<(SfuTarget, Auth)> {
        let first = self.targets.iter().find_map(|target| match target {
            ShareTarget::Sfu(target) => Some(target.clone()),
            _ => None,
        });
        self.own_auths.iter().rev().cloned().chain(first.zip(self.auth.clone())).collect()
    }

    /// How long a supervisor waits for what does not come back by itself: an SFU that was not
    /// ready in time does, with what it was that took so long.
    pub(super) fn supervision(&self) -> SupervisorConfig {
        let within = self.patience.connects_within();
        self.patience.clone().connect_timeout(within.saturating_add(GRACE))
    }
}

impl ShareBuilder {
    pub(super) fn new(video: VideoInput) -> Self {
        let config = Config::default().video_bitrate(BITRATE);
        let plan = Plan {
            targets: Vec::new(),
            config,
            name: "screen".to_owned(),
            auth: None,
            own_auths: Vec::new(),
            patience: SupervisorConfig::default(),
            #[cfg(feature = "mirror")]
            mirror: None,
        };
        Self {
            video,
            audio: None,
            content: None,
            #[cfg(feature = "mirror")]
            mirror: None,
            plan,
        }
    }

    /// A sound beside the picture. Defaults to none.
    #[must_use]
    pub fn audio(mut self, input: AudioInput) -> Self {
        self.audio = Some(input);
        self
    }

    /// What the picture shows, as [`Publish::content`](crate::Publish::content) has it. Defaults
    /// to what the source says: of a screen or a window that text has to stay sharp.
    #[must_use]
    pub const fn content(mut self, content: Content) -> Self {
        self.content = Some(content);
        self
    }

    /// Where to, or if some are named already where to when they do not work. There has to be
    /// one; at most 16, the last of which may be [`ShareTarget::External`].
    #[must_use]
    pub fn target(mut self, target: ShareTarget) -> Self {
        self.plan.targets.push(target);
        self
    }

    /// What the others call us. Defaults to `screen`; in a room at most 64 characters.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.plan.name = name.into();
        self
    }

    /// How the first SFU among the targets knows that we may. Defaults to nothing. Told to no
    /// other server: not to an SFU at another host or port, nor to the same in the clear, and to
    /// no room. [`auth_for`](Self::auth_for) is for others.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.plan.auth = Some(auth);
        self
    }

    /// How the server of this target, and no other, knows that we may: for an SFU that is fallen
    /// back on. It wins over [`auth`](Self::auth).
    ///
    /// ```
    /// use paceline::{Auth, Share, ShareTarget, SfuTarget, VideoInput};
    ///
    /// let ours: SfuTarget = "mediasoup:wss://sfu.example/?roomId=r&peerId=p".parse()?;
    /// let theirs: SfuTarget = "mediasoup:wss://sfu.example.net/?roomId=r&peerId=p".parse()?;
    /// let share = Share::builder(VideoInput::Test)
    ///     .target(ShareTarget::Sfu(ours))
    ///     .auth(Auth::Token("what ours knows".into()))
    ///     .auth_for(&theirs, Auth::Token("what theirs knows".into()))
    ///     .target(ShareTarget::Sfu(theirs))
    ///     .build()?;
    /// # let _ = share;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn auth_for(mut self, target: &SfuTarget, auth: Auth) -> Self {
        self.plan.own_auths.push((target.clone(), auth));
        self
    }

    /// Every bound: format and most of bitrate, size and frame rate of the picture, what of it is
    /// given up first, addresses. Defaults to those of [`Config`] with 2.5 Mbit/s of video,
    /// which is enough for a desktop of 1080p. Measured: at 2 Mbit/s one that moves has 41 dB.
    ///
    /// A [`Config::bind`] that was set is kept to, loopback too; if none was, it is whichever
    /// address reaches the target.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.plan.config = config;
        self
    }

    /// A copy of all that is handed over to be sent to an SFU, as plain RTP: for looking at what
    /// is sent, with a player on this machine ([`Share::mirror`] says how). Defaults to none.
    ///
    /// Its streams are those of the share, the picture's port first. Whoever begins to listen on
    /// this machine has a keyframe made, at most one a second, which goes to the SFU too;
    /// anywhere else he waits for the next. What a room is sent is not mirrored: it encodes for
    /// itself. Nothing in it is encrypted, and a mirror that
    /// [leaves this machine](MirrorConfig::beyond_this_machine) shows all to whoever is on the way.
    #[cfg(feature = "mirror")]
    #[must_use]
    pub fn mirror(mut self, config: MirrorConfig) -> Self {
        self.mirror = Some(config);
        self
    }

    /// How long and how often a target is tried, and how many errors are too many. Defaults to
    /// those of [`SupervisorConfig`]. An SFU has all of its
    /// [`connect_timeout`](SupervisorConfig::connect_timeout), and then says itself what took so
    /// long; a room [`Config::join_timeout`], 5 s by default. Either is given up 2 s after that
    /// `connect_timeout` if it has said nothing. Whether an
    /// [external](SupervisorConfig::external) path comes last is what the targets say.
    #[must_use]
    pub fn patience(mut self, config: SupervisorConfig) -> Self {
        self.plan.patience = config;
        self
    }

    /// Checks all of it. Opens nothing: [`Share::start`] does.
    ///
    /// # Errors
    ///
    /// [`ShareError`]: the first thing that cannot be.
    pub fn build(self) -> Result<Share, ShareError> {
        let Self { video, audio, content, mut plan, .. } = self;
        let targets = &plan.targets;
        if targets.iter().any(|target| matches!(target, ShareTarget::Room { .. })) {
            plan.config.validate()?;
        } else {
            plan.config.validate_media()?;
        }
        let is_external = |target: &ShareTarget| matches!(target, ShareTarget::External);
        match targets.iter().position(is_external) {
            _ if targets.is_empty() => return Err(ShareError::NoTarget),
            _ if targets.len() > MAX_TARGETS => {
                let targets = targets.len();
                return Err(ShareError::TooManyTargets { targets, max: MAX_TARGETS });
            }
            Some(0) => return Err(ShareError::ExternalFirst),
            Some(at) if at + 1 < targets.len() => return Err(ShareError::ExternalNotLast),
            _ => {}
        }
        let format = plan.config.picture;
        let is_forwarded =
            matches!(format, PictureFormat::H264 | PictureFormat::Vp8 | PictureFormat::Vp9);
        let has_sfu = targets.iter().any(|target| matches!(target, ShareTarget::Sfu(_)));
        if !is_forwarded && has_sfu {
            return Err(ShareError::NotForwarded { format });
        }
        #[cfg(feature = "mirror")]
        if let Some(config) = self.mirror {
            if !has_sfu {
                return Err(ShareError::NothingToMirror);
            }
            plan.mirror = Some(Looks::new(config, format, audio.is_some())?);
        }
        let has_external = targets.iter().any(is_external);
        plan.patience = plan.patience.external(has_external);
        Ok(Share::new(plan, Supply::new(video, audio).content(content)))
    }
}

/// What browsers give a picture of 720p and more unless told otherwise: libwebrtc,
/// `GetMaxDefaultVideoBitrateKbps`.
const BITRATE: Bitrate = Bitrate::from_kbps(2_500);

/// For the goodbye of an SFU that was not ready in time, which may take 1 s
/// ([`SfuConfig::close_timeout`](crate::sfu::SfuConfig::close_timeout)), and as much for a machine
/// that is busy.
const GRACE: Duration = Duration::from_secs(2);

/// Each is tried for seconds: who names more waits for minutes.
const MAX_TARGETS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(targets: impl IntoIterator<Item = ShareTarget>, format: PictureFormat) -> String {
        let config = Config::default().picture(format);
        let builder = Share::builder(VideoInput::Test).config(config);
        let error = targets.into_iter().fold(builder, ShareBuilder::target).build();
        error.expect_err("it cannot be").to_string()
    }

    #[test]
    fn what_cannot_be_shared_is_refused_before_anything_is_opened() {
        use ShareTarget::External;
        let room = || ShareTarget::Room { url: "ws://127.0.0.1:9/room".to_owned() };
        let h264 = PictureFormat::H264;
        assert!(refused([], h264).starts_with("a share needs a target"));
        assert!(refused([External], h264).contains("cannot begin as an external one"));
        assert!(refused([room(), External, room()], h264).contains("name it last"));
        assert!(refused((0..17).map(|_| room()), h264).starts_with("17 targets are too many"));
        let sfu = ShareTarget::Sfu("mediasoup:ws://127.0.0.1:9".parse().expect("one"));
        assert!(refused([room(), sfu], PictureFormat::Rgb).contains("takes no Rgb pictures"));
        let config = Config::default().video_bitrate(Bitrate::from_bps(1));
        let share = Share::builder(VideoInput::Test).config(config).target(room()).build();
        assert!(matches!(share, Err(ShareError::Config(_))));
        let share = Share::builder(VideoInput::Test).target(room()).target(External).build();
        assert!(share.is_ok());
    }

    #[test]
    fn stun_is_needed_on_a_public_address_for_a_room_alone() {
        let room = ShareTarget::Room { url: "ws://127.0.0.1:9/room".to_owned() };
        let sfu = || ShareTarget::Sfu("mediasoup:wss://sfu.example".parse().expect("one"));
        let public = Config::default().bind([203, 0, 113, 5].into());
        let build = |target| {
            let builder = Share::builder(VideoInput::Test).config(public.clone());
            builder.target(sfu()).target(target).build().map(drop)
        };
        assert!(build(sfu()).is_ok());
        assert!(matches!(build(room), Err(ShareError::Config(ConfigError::NoStun { .. }))));
        let odd = public.event_queue(1);
        let odd = Share::builder(VideoInput::Test).config(odd).target(sfu()).build();
        assert!(matches!(odd, Err(ShareError::Config(ConfigError::OutOfBounds { .. }))));
    }

    #[cfg(feature = "mirror")]
    #[test]
    fn a_mirror_shows_what_goes_to_an_sfu_and_stays_on_this_machine_unless_asked() {
        let sfu = || ShareTarget::Sfu("mediasoup:ws://127.0.0.1:9".parse().expect("one"));
        let room = ShareTarget::Room { url: "ws://127.0.0.1:9/room".to_owned() };
        let build = |target, config| {
            let builder = Share::builder(VideoInput::Test).audio(AudioInput::Tone);
            builder.target(target).mirror(config).build()
        };
        let config = MirrorConfig::default().first_port(6_000);
        let refused = build(room, config.clone());
        assert!(matches!(refused, Err(ShareError::NothingToMirror)));
        let elsewhere = config.clone().address([192, 0, 2, 1].into());
        let refused = build(sfu(), elsewhere.clone()).expect_err("nobody asked for it");
        assert!(refused.to_string().contains("192.0.2.1 is not this machine"), "{refused}");
        assert!(build(sfu(), elsewhere.beyond_this_machine()).is_ok());
        let share = build(sfu(), config).expect("it can be");
        let media = &share.mirror().expect("it was asked for").media;
        let ports: Vec<_> = media.iter().map(|media| (media.port, media.payload_type)).collect();
        assert_eq!(ports, [(6_000, 96), (6_002, 111)]);
    }
}
