//! The driver: owns the session, reads the clock, and moves what comes out of the
//! session to where it belongs.

mod commands;
mod departure;
mod figures;
mod gathered;
mod loss;
mod outputs;
mod signaling;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_session::{Input, Roster, Session, Topology};
use paceline_signaling::{Client, ConnectError, Connection};
use paceline_transport::{Transport, WebRtc};
use paceline_types::{ConnectionEvent, PeerId, SenderId};
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::departure::Departure;
use self::departure::Then;
pub(crate) use self::gathered::Gathered;
pub(crate) use self::loss::SoundLoss;
pub(crate) use self::signaling::{MAX_REASON, member_of};
use crate::broadcast::Patience;
use crate::counters::{Counters, JoinTimeline, Stats};
use crate::event::{Event, EventQueue, Events};
use crate::speaker::Speaker;
use crate::wire::{ForAll, Frames, Read, StageSender, Switches, ToDriver, ToStage};

/// Everything that lives as long as the call. `F` takes frames when they are due, and `E`
/// tells the program: the stage thread and a queue, or in a broadcast the program itself.
#[derive(Debug)]
pub(crate) struct Driver<F = StageSender, E = EventQueue> {
    pub(crate) session: Session,
    pub(crate) transport: WebRtc,
    pub(crate) client: Client,
    pub(crate) connection: Option<Connection>,
    pub(crate) inputs: mpsc::Receiver<ToDriver>,
    pub(crate) stage: F,
    pub(crate) events: E,
    pub(crate) counters: Arc<Counters>,
    pub(crate) switches: Switches,
    pub(crate) us: (PeerId, SenderId),
    /// When `join` was called.
    pub(crate) began: Instant,
    pub(crate) speaker: Speaker,
    pub(crate) names: Vec<(PeerId, SenderId, String)>,
    pub(crate) timeline: JoinTimeline,
    pub(crate) patience: Patience,
    /// What waits until those who are behind have caught up, or were waited for enough.
    pub(crate) held: VecDeque<ForAll>,
    pub(crate) gathered: Gathered,
    pub(crate) sound_loss: SoundLoss,
    /// How often another came to host.
    pub(crate) host_changes: u64,
    pub(crate) topology: Topology,
    /// How long a host who goes waits for the next.
    pub(crate) handover_timeout: Duration,
    pub(crate) departure: Option<Departure>,
    /// When all that we sent as a host, who is none any more, is where it belongs.
    pub(crate) drained_at: Option<Instant>,
    /// Batches of the transport's events since all had been heard.
    pub(crate) full_batches: u32,
}

/// What woke the driver.
enum Wake {
    Deadline,
    Input(Option<ToDriver>),
    Read(Read),
    /// The program has taken something: there is room again.
    Room,
    Signaling(Option<Result<String, ConnectError>>),
    Transport,
}

impl<F: Frames, E: Events> Driver<F, E> {
    /// Runs until the room is left, by us or by the room.
    pub(crate) async fn run(mut self, roster: Roster) {
        // Whatever ends this task, the program and the stage thread hear of it.
        let _farewell = Farewell { events: self.events.clone(), stage: self.stage.clone() };
        self.handle(Input::Joined(roster));
        let mut leaving = None;
        while !self.is_over() {
            match self.wait().await {
                // What came before is heard first, or a peer would seem silent because we
                // were late.
                Wake::Deadline => {
                    if self.hear() {
                        self.handle(Input::Timeout);
                    }
                }
                Wake::Input(None) => break,
                Wake::Input(Some(ToDriver::Leave(done))) => self.go(Then::Leave(done)),
                Wake::Input(Some(input)) => self.handle_command(input),
                Wake::Signaling(Some(Ok(text))) => self.handle_signaling(&text),
                Wake::Signaling(Some(Err(error))) => self.lose_signaling(&error.to_string()),
                Wake::Signaling(None) => self.lose_signaling("the server closed the connection"),
                Wake::Read(Read { from: Some(peer), packets, bytes }) => {
                    self.handle(Input::Consumed { peer, packets, bytes });
                }
                Wake::Read(_) => {}
                Wake::Room | Wake::Transport => {
                    if self.hear() && self.is_due() {
                        self.handle(Input::Timeout);
                    }
                }
            }
            self.send_held();
            leaving = self.depart();
            if leaving.is_some() {
                break;
            }
        }
        self.leave(leaving).await;
    }

    /// Nobody is left, and nobody can come any more.
    fn is_over(&self) -> bool {
        self.events.is_over() || self.connection.is_none() && self.session.is_alone()
    }

    /// Whether the session waits for time to pass, and it has.
    fn is_due(&self) -> bool {
        self.session.poll_timeout().is_some_and(|(at, _)| at <= clock())
    }

    /// Takes what the transport has to tell, but not for ever: peers that flood must not
    /// keep us from the rest. Says whether time may pass: not before all is heard, unless
    /// that never comes.
    fn hear(&mut self) -> bool {
        for _ in 0..EVENT_BATCH {
            let event = self.stage.has_room().then(|| self.transport.poll_event()).flatten();
            let Some((peer, event)) = event else {
                self.full_batches = 0;
                return true;
            };
            self.handle(Input::Connection { peer, event });
        }
        self.full_batches = (self.full_batches + 1) % MAX_FULL_BATCHES;
        self.full_batches == 0
    }

    async fn wait(&mut self) -> Wake {
        let patient = (!self.held.is_empty()).then(|| self.patience.until(clock())).flatten();
        let due = self.session.poll_timeout().map(|(at, _)| at);
        let going = self.departure.as_ref().map(|departure| departure.until);
        let deadline = [patient, due, going].into_iter().flatten().min();
        // A program that takes nothing is brought nothing: what comes waits in the
        // transport, whose window then holds the other end back.
        let has_room = self.stage.has_room();
        tokio::select! {
            () = sleep_until(deadline), if has_room => Wake::Deadline,
            () = self.transport.ready(), if has_room => Wake::Transport,
            () = self.stage.room(), if !has_room => Wake::Room,
            read = self.stage.read() => Wake::Read(read),
            input = self.inputs.recv() => Wake::Input(input),
            message = receive(&mut self.connection) => Wake::Signaling(message),
        }
    }

    fn handle(&mut self, input: Input) {
        let now = clock();
        self.note_step(now, &input);
        // A picture may come in either.
        let brings_media = matches!(
            &input,
            Input::Connection { event: ConnectionEvent::Message(_) | ConnectionEvent::Rtp(_), .. }
        );
        self.session.handle_input(now, input);
        if brings_media {
            self.note_first_frame(now);
            self.note_sound_loss(now);
        }
        while let Some(output) = self.session.poll_output() {
            self.apply(now, output);
        }
        self.flush_signaling();
    }

    async fn leave(mut self, done: Option<oneshot::Sender<Stats>>) {
        let stats = self.stats();
        self.switches.set_in_room(false);
        self.handle(Input::Leave);
        self.client.leave();
        self.flush_signaling();
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
        self.transport.shutdown().await;
        if let Some(done) = done {
            // Whoever asked may have stopped waiting.
            let _ = done.send(stats);
        }
    }
}

/// Says at the end that this is the end.
struct Farewell<F: Frames, E: Events> {
    events: E,
    stage: F,
}

impl<F: Frames, E: Events> Drop for Farewell<F, E> {
    fn drop(&mut self) {
        // A stage thread that is gone already needs no telling.
        let _ = self.stage.send(ToStage::Quit);
        let reason = if std::thread::panicking() { "of a bug in paceline" } else { "we left" };
        self.events.push(Event::Closed { reason: reason.to_owned() });
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

async fn receive(connection: &mut Option<Connection>) -> Option<Result<String, ConnectError>> {
    match connection {
        Some(connection) => connection.recv().await,
        None => std::future::pending().await,
    }
}

/// Events of the transport that are taken before anything else has its turn.
const EVENT_BATCH: usize = 256;

/// Full batches after which time passes though there is more: 2,048 events, what ten peers
/// of a call send in about a second, in which their leases have long run out.
const MAX_FULL_BATCHES: u32 = 8;

#[expect(clippy::disallowed_methods, reason = "the driver is one of the loops that read the clock")]
pub(crate) fn clock() -> Instant {
    Instant::now()
}
