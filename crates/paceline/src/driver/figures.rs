//! What can be told of a room.

use std::collections::BTreeMap;
use std::time::Instant;

use paceline_session::{Input, Member, ReceiveStats};
use paceline_transport::Transport;
use paceline_types::{ConnectionEvent, Signal, StreamId, StreamKey};

use super::Driver;
use crate::broadcast::{PublisherStats, ViewerStats};
use crate::counters::{JoinTimeline, Stats};
use crate::event::Events;
use crate::wire::Frames;

impl<F: Frames, E: Events> Driver<F, E> {
    /// Notes what only an input tells of how far joining has come, and who is there: the
    /// session may refuse somebody before it says who it is.
    pub(super) fn note_step(&mut self, now: Instant, input: &Input) {
        let step = match input {
            Input::Joined(roster) => {
                let members = roster.members.iter();
                return self.names.extend(members.map(|m| (m.peer, m.sender, m.name.clone())));
            }
            Input::MemberJoined(Member { peer, sender, name, .. }) => {
                return self.names.push((*peer, *sender, name.clone()));
            }
            Input::Signal { signal: Signal::Answer { .. } | Signal::Offer { .. }, .. } => {
                &mut self.timeline.described
            }
            Input::Connection { event: ConnectionEvent::Open, .. } => &mut self.timeline.channel,
            _ => return,
        };
        step.get_or_insert(now - self.began);
    }

    /// Notes when the first picture of the mix, in a mesh of anybody, is there, and looks
    /// no more then.
    pub(super) fn note_first_frame(&mut self, now: Instant) {
        let waits = self.timeline.connected.is_some() && self.timeline.first_frame.is_none();
        if !waits || self.session.is_host() {
            return;
        }
        let streams = self.session.receive_stats();
        let is_there = |(key, stats): &(StreamKey, ReceiveStats)| {
            matches!(key.stream, StreamId::MIX_VIDEO | StreamId::VIDEO) && stats.frames > 0
        };
        if streams.iter().any(is_there) {
            self.timeline.first_frame = Some(now - self.began);
        }
    }

    /// Has sound be coded as its receivers need it.
    pub(super) fn note_sound_loss(&mut self, now: Instant) {
        if self.sound_loss.is_due(now) {
            let reports = self.session.path_reports();
            self.switches.set_loses_sound(self.sound_loss.handle_reports(now, &reports));
        }
    }

    pub(super) fn note_first_picture(&mut self, now: Instant) {
        self.timeline.due.get_or_insert(now - self.began);
    }

    /// Without what only the program's end knows.
    pub(super) fn viewers(&self) -> PublisherStats {
        let names: BTreeMap<_, _> =
            self.names.iter().map(|(peer, _, name)| (*peer, name)).collect();
        let qualities: BTreeMap<_, _> = self.session.qualities().into_iter().collect();
        let viewer = |(peer, connection)| ViewerStats {
            peer,
            name: names.get(&peer).map(|&name| name.clone()).unwrap_or_default(),
            outstanding: self.transport.outstanding(peer),
            quality: qualities.get(&peer).copied(),
            connection,
        };
        PublisherStats {
            viewers: self.session.peer_stats().into_iter().map(viewer).collect(),
            mesh: self.session.mesh_stats(),
            transport_refused: self.counters.transport_refused.get(),
            ..PublisherStats::default()
        }
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            media: self.counters.media(),
            host_changes: self.host_changes,
            stale_epoch_rendered: self.counters.stale_epoch_rendered.get(),
            migration: self.session.migration_stats(),
            connect: self.timeline.connected,
            first_picture: self.timeline.due,
            timeline: JoinTimeline {
                shown: self.counters.shown.get().map(|&at| at - self.began),
                ..self.timeline
            },
            peers: self.session.peer_stats(),
            qualities: self.session.qualities(),
            mesh: self.session.mesh_stats(),
            transport_refused: self.counters.transport_refused.get(),
            rtp_refused: self.counters.rtp_refused.get(),
            streams: self.session.receive_stats(),
            session: self.session.stats(),
            ladder: self.counters.ladder(),
            // The room knows it.
            #[cfg(feature = "sound")]
            loudspeaker: None,
            reported_lost: self.session.path_reports().iter().map(|(_, _, path)| path.lost).sum(),
        }
    }
}
