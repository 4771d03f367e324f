//! Calls without a media server.
//!
//! A program joins a [`Room`], publishes a picture and a sound, and gets back the picture
//! of everybody and the sound of everybody else. One participant hosts: his machine
//! decodes what the others send, mixes it with his own, and sends each the mix, over one
//! WebRTC data channel per member. Another is always ready to follow him, without a gap if he
//! leaves, and within a second if he dies. Or nobody hosts: in a [`Topology::Mesh`] up to ten send to
//! each other, and each room mixes for its own program.
//!
//! ```no_run
//! use paceline::playout::terminal::sanitize;
//! use paceline::{Event, Publish, Room};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let url = "ws://127.0.0.1:4455/call";
//! let mut room = Room::builder(url).name("Dora").publish(Publish::test()).join().await?;
//! while let Some(event) = room.next().await {
//!     match event {
//!         Event::MemberJoined { name, .. } => println!("{} is here", sanitize(&name, 40)),
//!         Event::Picture(picture) => println!("{} pixels wide", picture.frame.width()),
//!         Event::Warning(text) => eprintln!("{text}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # How data flows
//!
//! One picture of Ben's, on its way through Ada, who hosts, to Cem. Sound goes the same way.
//!
//! ```text
//!  Ben         thread paceline-video             driver, a task                engine
//!            ┌──────────────────────────┐  ┌──────────────────────────┐  ┌──────────────┐
//!  capture ─▶│ VideoSource ▶ encoder    │─▶│ Session: packet ▶ cut    │─▶│ data channel │─┐
//!            └──────────────────────────┘  │ ▶ a queue for each peer  │  └──────────────┘ │
//!                                          └──────────────────────────┘                   │
//!  ┌──────────────────────────────────────────────────────────────────────────────────────┘
//!  │ Ada       engine            driver, a task               thread paceline-stage
//!  │         ┌──────────────┐  ┌──────────────────────────┐  ┌──────────────────────────┐
//!  └────────▶│ data channel │─▶│ Session: reassembly      │─▶│ decoder ▶ Stage, with    │
//!            └──────────────┘  │ ▶ jitter buffer, lip sync│  │ Ada's own ▶ the mix      │▶ program
//!            ┌──────────────┐  ├──────────────────────────┤  │                          │
//!  ┌─────────│ data channel │◀─│ packet ▶ cut ▶ queues    │◀─│ encoder                  │
//!  │         └──────────────┘  └──────────────────────────┘  └──────────────────────────┘
//!  │ Cem       engine            driver, a task               thread paceline-stage
//!  │         ┌──────────────┐  ┌──────────────────────────┐  ┌──────────────────────────┐
//!  └────────▶│ data channel │─▶│ reassembly ▶ jitter      │─▶│ decoder                  │▶ program
//!            └──────────────┘  └──────────────────────────┘  └──────────────────────────┘
//! ```
//!
//! In a mesh Ada's way ends at her program: her encoder and what is below it are not there, and
//! Cem has Ben's picture from Ben.
//!
//! Every arrow is a bounded queue. Media that find no room in one are dropped and counted,
//! and no thread waits for another; only the engine waits until the driver takes what came.
//! What leads to the program is taken by [`Room::next`]. Of pictures only the newest waits
//! there.
//!
//! # Who hosts
//!
//! The first in a room who may ([`RoomBuilder::host`], which is the default) hosts. He renews a
//! lease that the others and the signalling server hold of him, and a majority of them has to
//! hear it, or he stops by himself: there are never two.
//!
//! Whoever is placed best of the others stands by. Everybody sends him his sound as well as to
//! the host, and his stage thread decodes, mixes and encodes that in the dark, on the host's
//! media clock.
//!
//! ```text
//!                 hand over, or leave                      dead, or cut off
//!  host     mix ─────────────────┤ to here          mix ──╳
//!  standby  sound, in the dark ──┼─▶ mix            sound, in the dark ──── votes ─┼─▶ mix
//!  others   ─────────── one stream, no gap ──▶      ────── frozen, silent ─────────┴─▶
//! ```
//!
//! A handover is prepared first: everybody sends the standby his picture too, and he says when
//! he has composed one. Then both know the media time at which the one ends and the other
//! begins. Numbers and media time go on, so that no jitter buffer or decoder begins anew;
//! [`Picture::epoch`] and [`Sound::epoch`] tell who made it. [`Room::hand_over`] and
//! [`Room::leave`] do that, and so does a host who finds that another is placed better
//! ([`MigrationConfig::automatic`]).
//!
//! After a crash nobody sends for as long as it takes to doubt ([`MigrationConfig::suspicion`])
//! and to vote, which waits until the dead host's lease has run out. Where no majority is left,
//! nobody hosts: a picture that stands still is better than two.
//!
//! # Devices
//!
//! [`devices`] lists what there is, [`VideoInput`] and [`AudioInput`] open it, and
//! [`Room::switch_video`] and [`Room::switch_audio`] change it in mid-call, without a gap and
//! under the same numbers. [`Room::set_muted`] keeps it open and sends nothing. One that is pulled
//! out is [`Event::DeviceGone`], and [`Event::DeviceBack`] when it is used again. A screen is read
//! where it has changed, and sent again once a second while it has not.
//!
//! What is sent of a picture follows what the paths take, up to [`Config::video_bitrate`], and
//! what the processor manages: [`codec::Ladder`] gives up size, rate or detail, one at a time,
//! and [`Event::Adapted`] tells.
//!
//! # What to look at
//!
//! | type | what it is |
//! |---|---|
//! | [`Room`], [`RoomBuilder`] | a place in a call: join, publish, host, hand over, leave |
//! | [`Publisher`], [`Viewer`], [`BroadcastConfig`] | one sends to many: messages, or pictures that are encoded once |
//! | [`Publish`], [`VideoInput`], [`AudioInput`], [`devices`] | what is shown and said: screens, cameras, microphones, files, test sources, your own |
//! | [`Config`] | every bound with its unit and default: sizes, bitrate, delays, addresses |
//! | [`Topology`] | who is connected to whom: a host who mixes, or a mesh of ten |
//! | [`Event`] | what is heard of a room: who came, who hosts, who speaks; [`Picture`] and [`Sound`] |
//! | [`LocalStream`] | whether a stream of ours is on, muted, or not there |
//! | [`Stats`], [`MediaStats`] | the figures of the moment: times, counts, round trips, losses |
//! | [`JoinError`], [`PublishError`], [`ConfigError`] | what went wrong; each text is one line that says what to do |
//!
//! # A whole call
//!
//! This one runs: a server, a host and a member, until the member sees both. The server
//! is in `paceline-signaling`, with its feature `server`.
//!
//! ```
//! use paceline::{Event, Publish, Room, VideoInput};
//! use paceline_signaling::{Server, ServerConfig};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     // A call that shows nothing must not last for ever.
//! #     tokio::time::timeout(std::time::Duration::from_secs(60), call()).await?
//! # }
//! # async fn call() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::bind(([127, 0, 0, 1], 0).into(), ServerConfig::default()).await?;
//! let url = server.url("kitchen");
//! let join = |name| {
//!     let publish = Publish::default().video(VideoInput::Test);
//!     Room::builder(&url).name(name).publish(publish)
//! };
//! let ada = join("Ada").host(true).join().await?;
//! let mut ben = join("Ben").join().await?;
//!
//! let mut seen = 0;
//! while let Some(event) = ben.next().await {
//!     match event {
//!         Event::MixInfo(info) => seen = info.sources.len(),
//!         Event::Picture(picture) if seen == 2 => {
//!             assert_eq!((picture.frame.width(), picture.frame.height()), (640, 360));
//!             break;
//!         }
//!         _ => {}
//!     }
//! }
//! assert_eq!(seen, 2);
//! assert!(ben.leave().await.media.video_decoded > 0);
//! ada.leave().await;
//! # Ok(())
//! # }
//! ```
//!
//! # The other crates
//!
//! This crate has the threads, the sockets and the clock. What decides something is in
//! crates of their own, each usable alone, that have none of these: [`session`] (one node
//! of a call, over `paceline-framing`, `paceline-jitter` and `paceline-mesh`),
//! [`playout`] (the mix and the terminal), [`codec`], [`capture`], and the nouns of all
//! in [`types`]. [`transport`] and [`signaling`] are the two that touch the network.
//!
//! # Features
//!
//! H.264, Opus and the WebRTC engine are always built in; whoever wants less takes the crates
//! below. None is on by default: what has no feature runs everywhere without a system library.
//!
//! | feature | brings | needs to build |
//! |---|---|---|
//! | `screen` | [`VideoInput::Screen`], [`VideoInput::Window`]: X11, on Linux | nothing |
//! | `camera` | [`VideoInput::Camera`]: V4L2, on Linux | nothing |
//! | `sound` | [`AudioInput::Microphone`], [`Room::start_loudspeaker`] | on Linux the headers of ALSA |
//! | `voice` | echo cancellation, noise suppression and gain for microphones | nothing |
//! | `publish` | `Share`: a picture to an SFU, a room, or the next that works | nothing |
//! | `mirror` | `ShareBuilder::mirror`: a plain copy of what goes to an SFU, for looking at it | nothing |
//! | `vpx` | VP8 and VP9 | libvpx with its headers, `pkg-config` |
//!
//! # What it is not
//!
//! * Private from the host: he decodes what he mixes. DTLS ends at him. A mesh has none.
//! * Able to go on without a majority: of two who lose each other and the server, nobody
//!   hosts.
//! * For the open internet: there is no TURN, no `wss` and no room token yet. Sockets are
//!   bound to 127.0.0.1 until [`Config::bind`] says otherwise.
//!
//! The patent fees for H.264 are the matter of whoever distributes a build with it.
//!
//! # Where to start reading
//!
//! [`Room`] is what a program holds, or in a broadcast [`Publisher`] and [`Viewer`], over the
//! same driver without a stage; `driver` is the loop that owns the session, `stage`
//! the one that decodes and mixes, `stage/duty.rs` what of a mix goes where, `publish` has the threads that read and encode. They
//! read the clock; no machine below them does. `docs/TOUR.md` follows a picture through
//! all of it.

mod broadcast;
mod config;
mod counters;
mod driver;
mod error;
mod event;
mod outlet;
mod publish;
mod room;
#[cfg(feature = "publish")]
mod share;
mod speaker;
mod stage;
mod wire;

pub use broadcast::{
    BroadcastConfig, Publisher, PublisherBuilder, PublisherEvent, PublisherStats, SendError,
    Viewer, ViewerBuilder, ViewerEvent, ViewerStats,
};
pub use config::{Config, ConfigError};
pub use counters::{JoinTimeline, MediaStats, Stats};
pub use error::{JoinError, PublishError};
pub use event::{Event, Picture, Sound};
pub use paceline_capture as capture;
pub use paceline_codec as codec;
pub use paceline_playout as playout;
#[cfg(feature = "publish")]
pub use paceline_publish as sfu;
pub use paceline_session as session;
pub use paceline_session::{MAX_DATA, MigrationConfig, MigrationStats, Topology};
pub use paceline_signaling as signaling;
pub use paceline_transport as transport;
pub use paceline_types as types;
pub use publish::{AudioInput, Publish, VideoInput, devices};
pub use room::{LocalStream, Room, RoomBuilder};
#[cfg(feature = "mirror")]
pub use share::ShareMirrorStats;
#[cfg(feature = "publish")]
pub use share::{
    Auth, CaptureToSend, SenderFigures, SfuTarget, Share, ShareBuilder, ShareEnd, ShareError,
    ShareEvent, ShareStats, ShareTarget,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
