//! What our encoders of pictures are to make, by the paths of those who get it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_mesh::Mesh;
use paceline_types::{Bitrate, EncodedFrame, PeerId, StreamId};

use super::{Room, Session};
use crate::bitrate::{RateControl, delay_among, target_among};
use crate::config::SteeringConfig;

/// The paths of those who are sent anything, and who got the latest picture of each stream.
#[derive(Debug)]
pub(super) struct Rates {
    bounds: (Bitrate, Bitrate),
    paths: BTreeMap<PeerId, RateControl>,
    /// Of our two streams of pictures.
    receivers: BTreeMap<StreamId, Vec<PeerId>>,
}

impl Rates {
    pub(super) fn new(config: &SteeringConfig) -> Self {
        let bounds = (config.min_video_bitrate, config.max_video_bitrate);
        Self { bounds, paths: BTreeMap::new(), receivers: BTreeMap::new() }
    }

    /// The connection is over, or another begins.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.paths.remove(&peer);
        for receivers in self.receivers.values_mut() {
            receivers.retain(|&receiver| receiver != peer);
        }
    }

    /// A peer confirmed something.
    pub(super) fn handle_acked(&mut self, now: Instant, mesh: &mut Mesh, peer: PeerId) {
        if let (Some(path), Some(load)) = (self.paths.get_mut(&peer), mesh.load(now, peer)) {
            path.handle_load(now, &load);
            if let Some(limit) = path.poll_limit() {
                mesh.set_limit(peer, limit);
            }
        }
    }

    /// A frame of ours was queued for some. For a picture: what its encoder is to make now;
    /// `None`, which leaves it as it is, if none of them can be reached.
    fn handle_frame(
        &mut self,
        now: Instant,
        mesh: &mut Mesh,
        to: Vec<PeerId>,
        frame: (StreamId, usize),
    ) -> Option<Bitrate> {
        let ((stream, bytes), (min, max)) = (frame, self.bounds);
        let is_picture = is_picture(stream);
        let mut targets = Vec::with_capacity(to.len());
        for &peer in &to {
            // Of whom there is nothing to know there is nothing to remember.
            let Some(load) = mesh.load(now, peer) else { continue };
            let path = self.paths.entry(peer).or_insert_with(|| RateControl::new(min, max));
            if is_picture {
                path.handle_picture(now, stream, bytes);
                path.handle_load(now, &load);
                // Who cannot be reached gets nothing, whatever is made.
                targets.extend(load.path_up.then(|| path.target()));
                if let Some(limit) = path.poll_limit() {
                    mesh.set_limit(peer, limit);
                }
            } else {
                path.handle_sound(now, bytes);
            }
        }
        if !is_picture {
            return None;
        }
        self.receivers.insert(stream, to);
        target_among(targets)
    }
}

impl Session {
    /// A frame of ours was given to the queues of some.
    pub(super) fn note_sent(
        &mut self,
        now: Instant,
        room: &mut Room,
        to: Vec<PeerId>,
        frame: (StreamId, usize),
    ) {
        if let Some(target) = self.rates.handle_frame(now, &mut room.mesh, to, frame) {
            self.steering.set_bitrate(frame.0, target);
        }
    }

    /// How long a picture of a stream of ours that is made now takes to go, beyond the way
    /// itself: what waits for its receivers and what is in queues on their paths. Of those
    /// who can be reached and are to keep up with it, the longest; zero if there are none.
    ///
    /// For whoever makes pictures by something else than
    /// [`Output::Steer`](crate::Output::Steer), as a publisher does whose encoder has a fixed
    /// bitrate, and leaves pictures out while this is long; and for who measures how well that
    /// steers. Who obeys it need not ask: this is in it.
    #[must_use]
    pub fn send_delay(&self, now: Instant, stream: StreamId) -> Duration {
        let Some(room) = &self.room else { return Duration::ZERO };
        let receivers = self.rates.receivers.get(&stream).into_iter().flatten();
        let loads = receivers.filter_map(|&peer| room.mesh.load(now, peer));
        let loads = loads.filter(|load| load.path_up);
        delay_among(loads.map(|load| load.delay).collect())
    }

    /// Somebody can go on only from a keyframe.
    pub(super) fn handle_keyframe_request(&mut self, now: Instant, peer: PeerId, stream: StreamId) {
        let made = self.steering.bitrate(stream).bps();
        let takes = self.rates.paths.get(&peer).map_or(u64::MAX, |path| path.target().bps());
        // With a quarter more than he is measured at he may yet keep up.
        if takes.saturating_add(takes / 4) < made {
            self.steering.handle_slow_request(now, stream);
        } else {
            self.steering.handle_request(stream);
        }
    }

    /// What the encoder of a stream of ours was last told to make, and the most before it
    /// was told anything. For an encoder that is made anew.
    #[must_use]
    pub fn video_bitrate(&self, stream: StreamId) -> Bitrate {
        self.steering.bitrate(stream)
    }
}

/// Whom and what a frame is noted for.
pub(super) fn size_of(frame: &EncodedFrame) -> (StreamId, usize) {
    (frame.stream, frame.data.len())
}

const fn is_picture(stream: StreamId) -> bool {
    matches!(stream, StreamId::MIX_VIDEO | StreamId::VIDEO)
}
