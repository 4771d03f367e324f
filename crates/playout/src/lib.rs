//! Media out: the stage that mixes a call, and a terminal renderer.
//!
//! [`Stage`] is what a host runs. Pictures and sound of all participants go in;
//! out come one picture of everybody in a grid, one sound for each participant
//! that has all the others in it, and [`types::MixInfo`] that says who is where
//! and how loud. [`terminal`] draws a picture with characters.
//!
//! Nothing of these reads a clock, opens a device or writes to a terminal: time is
//! an argument, and what is to be shown, heard or written is returned.
//!
//! | feature | adds | takes |
//! |---|---|---|
//! | `loudspeaker` | `Loudspeaker`, which opens a device and has a clock: the device's | on Linux the headers of ALSA |
//! | `voice` | `Voice`: echo cancellation, noise suppression, gain | |
//!
//! # Example
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use paceline_playout::types::{
//!     AudioFrame, Frequency, MediaTime, NtpTime, SenderId, WallClock,
//! };
//! use paceline_playout::{Stage, StageConfig, StageOutput, Verdict};
//!
//! let now = Instant::now();
//! let wall = WallClock::new(now, NtpTime::from_unix(Duration::from_secs(1_700_000_000)));
//! let mut stage = Stage::new(now, wall, StageConfig::default());
//!
//! let (ann, bob) = (SenderId::new(1), SenderId::new(2));
//! assert_eq!(stage.add_source(now, ann), Verdict::Accepted);
//! assert_eq!(stage.add_source(now, bob), Verdict::Accepted);
//!
//! // Ann speaks for 20 ms.
//! let spoken = AudioFrame {
//!     channels: 1,
//!     time: MediaTime::new(0, Frequency::AUDIO),
//!     capture: wall.at(now),
//!     samples: vec![0.25; 960].into(),
//! };
//! assert_eq!(stage.handle_audio(now, ann, spoken), Verdict::Accepted);
//!
//! stage.handle_timeout(now);
//! while let Some(output) = stage.poll_output() {
//!     if let StageOutput::Audio { for_peer, frame, .. } = output {
//!         let loudest = frame.samples.iter().copied().fold(0.0, f32::max);
//!         // Bob hears her, 16 samples later; she does not hear herself.
//!         assert_eq!(loudest, if for_peer == bob { 0.25 } else { 0.0 });
//!     }
//! }
//! assert_eq!(stage.poll_timeout(), Some(now + Duration::from_millis(20)));
//! ```
//!
//! # Where to start reading
//!
//! [`Stage`] has the machine and its order of events; `sound.rs` what a source's
//! queue does when it runs dry or over; `rate/` how it is kept from that, with
//! [`Resampler`] and [`Stretcher`] that also stand by themselves; `limiter.rs` why nothing is louder than
//! full scale; `grid.rs` where a tile lies; `scale.rs` how a picture gets its
//! size. Where the host changes, [`MixClock`] has a stage in the dark keep to the media
//! clock of his, [`Seam`] puts what he made and what we make one after the other, and
//! [`Crossfade`] is how sound does that. [`terminal`] stands by itself, and so do `loudspeaker/`,
//! in which `feed.rs` and `drain.rs` are the machine and `device.rs` is what drives it, and
//! `voice/`.

mod cadence;
mod clock;
mod compose;
mod config;
mod crossfade;
mod grid;
mod limiter;
#[cfg(feature = "loudspeaker")]
mod loudspeaker;
mod output;
mod rate;
mod scale;
mod seam;
mod sound;
mod stage;
pub mod terminal;
#[cfg(feature = "voice")]
mod voice;

pub use clock::MixClock;
pub use config::{ConfigError, StageConfig};
pub use crossfade::Crossfade;
#[cfg(feature = "loudspeaker")]
pub use loudspeaker::{
    Loudspeaker, LoudspeakerConfig, LoudspeakerError, LoudspeakerStats, loudspeakers,
};
pub use output::{Kind, SourceStats, StageOutput, StageStats, Verdict};
pub use paceline_types as types;
pub use paceline_types::PlayoutRate;
pub use rate::{Resampled, Resampler, Stretcher};
pub use seam::{Seam, SeamConfig, SeamOutput, SeamStats};
pub use stage::Stage;
#[cfg(feature = "voice")]
pub use voice::{FarEnd, NoiseSuppression, Voice, VoiceConfig, VoiceStats};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
