//! A sender of ours on a thread of its own, so that a test can wait for a server, for a
//! browser and for it alike.
#![expect(clippy::disallowed_methods, reason = "media of real time")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use paceline_framing::rtp::Codec;
use paceline_framing::types::NtpTime;
use paceline_publish::{PublishError, SfuConfig, SfuEvent, SfuSender, SfuTarget};
use paceline_tests::{Clip, Live, TempDir};
use tokio::runtime;
use tokio::sync::mpsc as commands;
use tokio::time::{MissedTickBehavior, interval};

/// Two seconds of picture and of sound, that both go on.
#[derive(Debug)]
pub(crate) struct Media {
    pub(crate) video: Live,
    pub(crate) audio: Live,
}

impl Media {
    pub(crate) fn new(codec: Codec) -> Self {
        let dir = TempDir::new();
        let live = |codec| Live::of(&Clip::encode(codec, &dir));
        Self { video: live(codec), audio: live(Codec::Opus) }
    }
}

/// What it told.
#[derive(Debug)]
pub(crate) enum Told {
    /// This happened.
    Event(SfuEvent),
    /// It was stopped, and had sent so many.
    Stopped(u64),
}

#[derive(Debug)]
enum Command {
    RestartIce,
    /// Sends nothing from now on, and says how many pictures there were.
    Stop,
}

#[derive(Debug)]
pub(crate) struct Publisher {
    commands: Option<commands::UnboundedSender<Command>>,
    told: Receiver<Told>,
    thread: Option<JoinHandle<()>>,
    /// How many pictures there were.
    sent: Arc<AtomicU64>,
    deadline: Instant,
}

impl Publisher {
    /// Connects, and sends until it is dropped.
    pub(crate) fn start(
        target: SfuTarget,
        config: SfuConfig,
        media: Media,
    ) -> Result<Self, PublishError> {
        // As patient as the rest: beside us a browser may start.
        let config = config.connect_timeout(LIFETIME);
        let (commands, received) = commands::unbounded_channel();
        let (telling, told) = mpsc::channel();
        let (connected, is_connected) = mpsc::channel();
        let sent = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&sent);
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("the system has threads").block_on(async {
                match SfuSender::connect(target, config).await {
                    Ok(sender) => {
                        let _ = connected.send(Ok(()));
                        send(sender, media, received, telling, &counted).await;
                    }
                    Err(error) => {
                        let _ = connected.send(Err(error));
                    }
                }
            });
        });
        let deadline = Instant::now() + LIFETIME;
        is_connected.recv_timeout(LIFETIME).expect("it succeeds or fails")?;
        Ok(Self { commands: Some(commands), told, thread: Some(thread), sent, deadline })
    }

    pub(crate) fn restart_ice(&self) {
        self.command(Command::RestartIce);
    }

    /// How many pictures there were up to now.
    #[allow(dead_code, reason = "one test counts while they are sent")]
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Stops sending, and returns how many pictures there were.
    pub(crate) fn stop(&self) -> u64 {
        self.command(Command::Stop);
        self.wait_for("how many there were", |told| match told {
            Told::Stopped(sent) => Some(sent),
            Told::Event(..) => None,
        })
    }

    fn command(&self, command: Command) {
        self.commands.as_ref().expect("until the end").send(command).expect("it runs");
    }

    /// Waits for what it tells next.
    pub(crate) fn wait_for<T>(&self, what: &str, mut pick: impl FnMut(Told) -> Option<T>) -> T {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            match self.told.recv_timeout(left) {
                Ok(told) => {
                    if let Some(found) = pick(told) {
                        return found;
                    }
                }
                Err(error) => panic!("no {what}: {error}"),
            }
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        drop(self.commands.take());
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            assert!(result.is_ok() || thread::panicking(), "the sender panicked");
        }
    }
}

async fn send(
    mut sender: SfuSender,
    mut media: Media,
    mut commands: commands::UnboundedReceiver<Command>,
    telling: mpsc::Sender<Told>,
    sent: &AtomicU64,
) {
    let mut pictures = interval(PICTURE);
    let mut sounds = interval(SOUND);
    for interval in [&mut pictures, &mut sounds] {
        interval.set_missed_tick_behavior(MissedTickBehavior::Burst);
    }
    let mut is_stopped = false;
    loop {
        tokio::select! {
            _ = pictures.tick(), if !is_stopped => {
                // Refused when it is over, which it then says itself.
                let _ = sender.send(media.video.frame(wallclock()));
                sent.store(media.video.made(), Ordering::Relaxed);
            }
            _ = sounds.tick(), if !is_stopped => {
                // Refused when it is over, which it then says itself.
                let _ = sender.send(media.audio.frame(wallclock()));
            }
            event = sender.next() => {
                let Some(event) = event else { return };
                if matches!(event, SfuEvent::KeyframeNeeded) {
                    media.video.restart();
                }
                let is_over = matches!(event, SfuEvent::Closed { .. });
                let _ = telling.send(Told::Event(event));
                if is_over {
                    return;
                }
            }
            command = commands.recv() => match command {
                Some(Command::RestartIce) => sender.restart_ice(),
                Some(Command::Stop) => {
                    is_stopped = true;
                    let _ = telling.send(Told::Stopped(media.video.made()));
                }
                None => break,
            },
        }
    }
    sender.close().await;
}

fn wallclock() -> NtpTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    NtpTime::from_unix(since.expect("it is after 1970"))
}

/// Of the clips.
const PICTURE: Duration = Duration::from_millis(40);
const SOUND: Duration = Duration::from_millis(20);

/// Ours: as long as a server lives.
const LIFETIME: Duration = Duration::from_secs(120);
