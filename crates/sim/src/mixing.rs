//! A stage that hosts, or stands by to.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use paceline_framing::Numbering;
use paceline_playout::{Kind, MixClock, SourceStats, Stage, StageOutput};
use paceline_session::MixerState;
use paceline_types::{
    AudioFrame, Epoch, MediaTime, MixInfo, PlayoutRate, SenderId, SeqNo, StreamId, StreamKey,
    VideoFrame,
};

use crate::source::FRAME_RATE;

/// What a stage made. What has a number is for others.
#[derive(Debug)]
pub(crate) enum Made {
    Info { info: MixInfo, counts: bool },
    Picture { frame: VideoFrame, number: Option<SeqNo> },
    Ready { epoch: Epoch, missing: Vec<SenderId> },
    Sound { for_peer: SenderId, frame: AudioFrame, number: Option<SeqNo> },
    State(MixerState),
}

#[derive(Debug)]
pub(crate) struct Mixing {
    stage: Stage,
    us: SenderId,
    phase: Phase,
    /// We have hosted: what we make is shown until the next host's mix is there.
    stopped: bool,
    /// The number of our last picture as the host.
    picture: Option<SeqNo>,
    /// Of whom there are pictures since we prepare.
    shown: BTreeSet<SenderId>,
    members: BTreeSet<SenderId>,
    made: VecDeque<Made>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// In the dark, on the host's clock.
    Following,
    Preparing {
        epoch: Epoch,
        since: Instant,
    },
    Hosting {
        from: Option<MediaTime>,
    },
    /// Somebody else hosts from now on; what is not his goes out.
    Stopping,
    /// Nobody needs us, but what we show ourselves until his mix is there.
    Ending {
        until: Instant,
    },
}

impl Mixing {
    pub(crate) fn new(stage: Stage, us: SenderId) -> Self {
        Self {
            stage,
            us,
            phase: Phase::Following,
            stopped: false,
            picture: None,
            shown: BTreeSet::new(),
            members: BTreeSet::new(),
            made: VecDeque::new(),
        }
    }

    pub(crate) fn follow(&mut self) {
        self.phase = Phase::Following;
    }

    pub(crate) fn prepare(&mut self, now: Instant, epoch: Epoch) {
        self.shown.clear();
        self.phase = Phase::Preparing { epoch, since: now };
    }

    pub(crate) fn host(&mut self, from: Option<MediaTime>) {
        self.picture = None;
        self.stopped = false;
        self.phase = Phase::Hosting { from };
    }

    /// Nobody can take it from us.
    pub(crate) fn host_for_ever(&mut self) {
        self.host(None);
    }

    pub(crate) fn stop(&mut self) {
        self.stopped = true;
        self.phase = Phase::Stopping;
    }

    /// Nobody needs us: whether that is so at once.
    pub(crate) fn end(&mut self, now: Instant) -> bool {
        if self.stopped {
            self.phase = Phase::Ending { until: now + LINGER };
        }
        !self.stopped
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Ending { until } if until <= now)
    }

    pub(crate) fn add(&mut self, now: Instant, sender: SenderId) {
        // A full stage counts it.
        let _ = self.stage.add_source(now, sender);
        self.members.insert(sender);
    }

    pub(crate) fn remove(&mut self, now: Instant, sender: SenderId) {
        self.stage.remove_source(now, sender);
        self.members.remove(&sender);
    }

    pub(crate) fn set_enabled(&mut self, now: Instant, stream: StreamKey, enabled: bool) {
        let kind = if stream.stream == StreamId::AUDIO { Kind::Audio } else { Kind::Video };
        self.stage.set_enabled(now, stream.sender, kind, enabled);
    }

    pub(crate) fn set_rate(&mut self, now: Instant, sender: SenderId, rate: PlayoutRate) {
        // A full stage counts who is not on it.
        let _ = self.stage.set_playout_rate(now, sender, rate);
    }

    pub(crate) fn show(&mut self, now: Instant, sender: SenderId, picture: VideoFrame) {
        self.shown.insert(sender);
        // Refusals are counted by the stage.
        let _ = self.stage.handle_video(now, sender, picture);
    }

    pub(crate) fn say(&mut self, now: Instant, sender: SenderId, sound: AudioFrame) {
        let _ = self.stage.handle_audio(now, sender, sound);
    }

    pub(crate) fn source_stats(&self, sender: SenderId) -> Option<SourceStats> {
        self.stage.source_stats(sender)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, clock: &mut MixClock) {
        if let Phase::Following | Phase::Preparing { .. } = self.phase
            && let Some(at) = clock.media_time(now)
        {
            self.stage.steer(now, at);
        }
        let mut infos = Vec::new();
        self.stage.handle_timeout(now);
        while let Some(output) = self.stage.poll_output() {
            match output {
                StageOutput::Audio { for_peer, frame, seq_tick, .. } => {
                    let goes_out = self.goes_out(frame.time);
                    let number = goes_out.then_some(SeqNo::new(seq_tick));
                    if number.is_some() {
                        self.note(now, clock, StreamId::MIX_AUDIO, (seq_tick, frame.time));
                    }
                    self.made.push_back(Made::Sound { for_peer, frame, number });
                }
                StageOutput::Picture(frame) => {
                    let number = self.goes_out(frame.time()).then(|| self.number(clock, &frame));
                    if let Some(number) = number {
                        self.picture = Some(number);
                        let place = (number.get(), frame.time());
                        self.note(now, clock, StreamId::MIX_VIDEO, place);
                        let state = self.state(clock);
                        self.made.push_back(Made::State(state));
                    }
                    self.made.push_back(Made::Picture { frame, number });
                    self.tell_ready(now);
                }
                StageOutput::MixInfo(info) => infos.push(info),
                _ => {}
            }
        }
        // What is where in a picture is told before it is shown.
        for info in infos {
            let counts = self.goes_out(info.time);
            self.made.push_front(Made::Info { info, counts });
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<Made> {
        self.made.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.stage.poll_timeout()
    }

    /// Whether what is of this time is the room's mix, as far as we know.
    fn goes_out(&self, time: MediaTime) -> bool {
        match self.phase {
            Phase::Following | Phase::Preparing { .. } | Phase::Ending { .. } => false,
            Phase::Hosting { from } => from.is_none_or(|from| is_from(from, time)),
            Phase::Stopping => true,
        }
    }

    fn number(&self, clock: &MixClock, frame: &VideoFrame) -> SeqNo {
        if let Some(last) = self.picture {
            return last.next();
        }
        match self.phase {
            Phase::Hosting { from: Some(_) } => {
                clock.number_after_handover(frame.time(), FRAME_RATE)
            }
            _ => clock.number_after_crash(frame.time()),
        }
    }

    /// What we send is what there is to go on from, should another host next.
    fn note(&self, now: Instant, clock: &mut MixClock, stream: StreamId, place: (u64, MediaTime)) {
        clock.handle_frame(now, stream, SeqNo::new(place.0), place.1);
    }

    fn state(&self, clock: &MixClock) -> MixerState {
        let numbering = clock.numbering();
        let numbering = numbering.map(|(stream, seq, time)| Numbering { stream, seq, time });
        let tiles = self.members.iter().copied().chain([self.us]);
        MixerState { numbering: numbering.collect(), tiles: tiles.collect() }
    }

    /// A picture of the mix is there: of everybody, or nobody more is waited for.
    fn tell_ready(&mut self, now: Instant) {
        let Phase::Preparing { epoch, since } = self.phase else { return };
        let missing: Vec<_> = self.members.difference(&self.shown).copied().collect();
        if missing.is_empty() || now - since >= PATIENCE {
            self.phase = Phase::Following;
            self.made.push_back(Made::Ready { epoch, missing });
        }
    }
}

/// Whether a time, of sound or a picture, is not before another.
fn is_from(from: MediaTime, time: MediaTime) -> bool {
    let ticks = |time: MediaTime, other: MediaTime| {
        u128::from(time.ticks()) * u128::from(other.frequency().hz())
    };
    ticks(time, from) >= ticks(from, time)
}

/// Longer than any mix is behind what is made here.
const LINGER: Duration = Duration::from_secs(1);

/// Of the 500 ms that a handover waits for us, some is needed on the way.
const PATIENCE: Duration = Duration::from_millis(300);
