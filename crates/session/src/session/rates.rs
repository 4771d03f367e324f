//! What our encoders of pictures are to make, by the paths of those who get it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_mesh::Mesh;
use paceline_types::{Bitrate, Coding, EncodedFrame, PeerId, StreamId};

use super::{Room, Session};
use crate::bitrate::{RateControl, delay_among, target_among};
use crate::config::SteeringConfig;

/// The paths of those who are sent anything, and who got the latest picture of each stream.
#[derive(Debug)]
pub(super) struct Rates {
    bounds: (Bitrate, Bitrate),
    /// By what is acknowledged, for what goes over the channel.
    acked: BTreeMap<PeerId, RateControl>,
    /// By the estimate of the connection's congestion control, for what goes over RTP.
    estimated: BTreeMap<PeerId, RateControl>,
    /// Of our two streams of pictures.
    receivers: BTreeMap<StreamId, Vec<PeerId>>,
}

impl Rates {
    pub(super) fn new(config: &SteeringConfig) -> Self {
        let bounds = (config.min_video_bitrate, config.max_video_bitrate);
        let (acked, estimated) = (BTreeMap::new(), BTreeMap::new());
        Self { bounds, acked, estimated, receivers: BTreeMap::new() }
    }

    /// The connection is over, or another begins.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.acked.remove(&peer);
        self.estimated.remove(&peer);
        for receivers in self.receivers.values_mut() {
            receivers.retain(|&receiver| receiver != peer);
        }
    }

    /// A peer confirmed something, or there is news of his path.
    pub(super) fn handle_acked(&mut self, now: Instant, mesh: &mut Mesh, peer: PeerId) {
        let Some(load) = mesh.load(now, peer) else { return };
        if let Some(path) = self.acked.get_mut(&peer) {
            path.handle_load(now, &load);
            if let Some(limit) = path.poll_limit() {
                mesh.set_limit(peer, limit);
            }
        }
        if let Some(path) = self.estimated.get_mut(&peer) {
            path.set_estimate(mesh.target(peer));
            path.handle_load(now, &load);
        }
    }

    /// What a peer takes of a stream of ours, by what carried its latest picture to him.
    fn target(&self, peer: PeerId, stream: StreamId) -> Option<Bitrate> {
        let paths = [&self.acked, &self.estimated].into_iter().filter_map(|of| of.get(&peer));
        paths.max_by_key(|path| path.last_picture(stream)).map(RateControl::target)
    }

    /// A frame of ours was queued for some. For a picture: what its encoder is to make now;
    /// `None`, which leaves it as it is, if none of them can be reached.
    fn handle_frame(
        &mut self,
        now: Instant,
        mesh: &mut Mesh,
        to: Vec<PeerId>,
        frame: Noted,
    ) -> Option<Bitrate> {
        let (Noted { stream, bytes, is_coded }, (min, max)) = (frame, self.bounds);
        let is_picture = is_picture(stream);
        let mut targets = Vec::with_capacity(to.len());
        for &peer in &to {
            // Of whom there is nothing to know there is nothing to remember.
            let Some(load) = mesh.load(now, peer) else { continue };
            let (estimate, carried) = (mesh.target(peer), mesh.target_of(peer, stream));
            let new = || RateControl::new(min, max);
            if is_picture {
                // One that is too much for RTP: the encoder goes on, and so does the path.
                let before = self.acked.get(&peer).and_then(|path| path.last_picture(stream));
                let by_rtp = self.estimated.get(&peer).filter(|_| carried.is_none() && is_coded);
                let by_rtp = by_rtp.filter(|path| path.last_picture(stream) > before);
                let found = by_rtp.map(RateControl::target);
                let paths = if carried.is_some() { &mut self.estimated } else { &mut self.acked };
                let path = paths.entry(peer).or_insert_with(new);
                if let Some(target) = found {
                    path.begin_with(target);
                }
                path.set_estimate(carried);
                path.handle_picture(now, stream, bytes);
                path.handle_load(now, &load);
                // Who cannot be reached gets nothing, whatever is made.
                targets.extend(load.path_up.then(|| path.target()));
                if let Some(limit) = path.poll_limit() {
                    mesh.set_limit(peer, limit);
                }
                continue;
            }
            // An estimate is of everything, what is acknowledged of the channel alone.
            if estimate.is_some() {
                let path = self.estimated.entry(peer).or_insert_with(new);
                if carried.is_some() {
                    path.handle_carried_sound(now, bytes);
                } else {
                    path.handle_sound(now, bytes);
                }
            }
            if carried.is_none() {
                self.acked.entry(peer).or_insert_with(new).handle_sound(now, bytes);
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
        frame: Noted,
    ) {
        if let Some(target) = self.rates.handle_frame(now, &mut room.mesh, to, frame) {
            self.steering.set_bitrate(frame.stream, target);
        }
    }

    /// How long a picture of a stream of ours that is made now takes to go, beyond the way
    /// itself: what waits for its receivers and, over the channel, what is in queues on their
    /// paths. Of those who can be reached and are to keep up with it, the longest; zero if
    /// there are none.
    ///
    /// Over RTP it is what waits here alone: of the queue on a path only the transport's
    /// congestion control knows, and says what that path takes
    /// ([`PeerStats::target`](paceline_mesh::PeerStats::target)). Whoever makes more than that
    /// has it wait here, for it is paced at two and a half times as much.
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
        let takes = self.rates.target(peer, stream).map_or(u64::MAX, Bitrate::bps);
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

/// What is noted of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted {
    stream: StreamId,
    bytes: usize,
    /// It is of a codec of pictures. What is not has no payload format of RTP, and is nothing
    /// that a target is obeyed with.
    is_coded: bool,
}

impl Noted {
    pub(super) const fn of(frame: &EncodedFrame) -> Self {
        let is_coded = matches!(frame.coding, Coding::Video { .. });
        Self { stream: frame.stream, bytes: frame.data.len(), is_coded }
    }
}

const fn is_picture(stream: StreamId) -> bool {
    matches!(stream, StreamId::MIX_VIDEO | StreamId::VIDEO)
}
