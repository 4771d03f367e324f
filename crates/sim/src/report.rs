//! What a call was like, by what everybody saw and heard.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::senses::{Fnv, Track};
use crate::{NodeId, epoch};

/// A call so far.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The world's seed.
    pub seed: u64,
    /// How much virtual time has passed.
    pub elapsed: Duration,
    /// Everybody who ever joined, in that order.
    pub nodes: Vec<NodeReport>,
}

/// What a call was like for one participant.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NodeReport {
    /// His name.
    pub name: String,
    /// From the join to the first connection; `None` if there never was one.
    pub connect: Option<Duration>,
    /// Pictures of the mix that he was shown.
    pub pictures: u64,
    /// Frames of sound that he was played, 20 ms each, made-up ones included.
    pub sounds: u64,
    /// Frames of sound that were made up, for they did not come in time. Not what
    /// a host made up before it mixed.
    pub concealed: u64,
    /// Frames that his jitter buffers gave up, pictures included.
    pub lost: u64,
    /// The longest that a jitter buffer of his holds frames now.
    pub jitter_delay: Duration,
    /// Pictures of somebody, in a mix, of which the mark could not be read.
    pub unreadable: u64,
    /// What did not decode, was no packet, was refused, or came from somebody
    /// who may not say it. Not packets of an earlier host, which are on their way
    /// at each change.
    pub errors: u64,
    /// What he was shown or heard of one host after something of a later one. Each is two
    /// hosts at a time.
    pub stale_epoch_rendered: u64,
    /// What came as far as his eyes and ears of a host of before, and was kept from them.
    pub stale_dropped: u64,
    /// Waits for a picture with somebody else's news in it, of more than 200 ms.
    pub still: Vec<Gap>,
    /// Times in which nobody else was heard, of more than 60 ms.
    pub silent: Vec<Gap>,
    /// Pictures of the mix that were not shown, by its media clock: also while nobody
    /// hosted.
    pub mix_pictures_missing: u64,
    /// Pictures of the mix shown although they, or later ones, had been.
    pub mix_pictures_again: u64,
    /// The same of its sound, in frames of 20 ms.
    pub mix_sounds_missing: u64,
    /// And those heard again. One who was host hears again what the next one, whose mix
    /// is later by the way from him, has of the time in between.
    pub mix_sounds_again: u64,
    /// A hash of every picture and sound he got, with its time.
    pub digest: u64,
    /// Whose picture was in the last picture of the mix that he was shown.
    pub showing: Vec<NodeId>,
    /// How he saw and heard everybody, himself included if he did.
    pub perceived: BTreeMap<NodeId, Perceived>,
}

/// A time in which something was missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Gap {
    /// When the last before it was seen or heard, since the world began.
    pub after: Duration,
    /// From that to the next.
    pub span: Duration,
}

impl Gap {
    /// The one between two instants, if it is longer than this.
    pub(crate) fn between(before: Instant, after: Instant, least: Duration) -> Option<Self> {
        let span = after.saturating_duration_since(before);
        let began = before.saturating_duration_since(epoch());
        (span > least).then_some(Self { after: began, span })
    }
}

impl NodeReport {
    /// The longest wait for a picture with news of somebody else that ended after `since`;
    /// zero if none was longer than 200 ms.
    #[must_use]
    pub fn longest_still(&self, since: Duration) -> Duration {
        longest(&self.still, since)
    }

    /// The longest silence of everybody else that ended after `since`; zero if none was
    /// longer than 60 ms.
    #[must_use]
    pub fn longest_silence(&self, since: Duration) -> Duration {
        longest(&self.silent, since)
    }
}

fn longest(gaps: &[Gap], since: Duration) -> Duration {
    let later = gaps.iter().filter(|gap| gap.after + gap.span > since);
    later.map(|gap| gap.span).max().unwrap_or_default()
}

/// How one participant came across at another.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Perceived {
    /// His pictures.
    pub pictures: TrackReport,
    /// His sound.
    pub sounds: TrackReport,
    /// How far his picture and his sound were apart, at each picture.
    pub skew: Spread,
}

/// One stream, from its source to an eye or ear.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TrackReport {
    /// Frames that were noticed. A picture that is shown twice is one.
    pub frames: u64,
    /// Frames between the first and the last noticed that were not.
    pub missing: u64,
    /// Frames that came after a later one. Not sound that was made up of what was heard
    /// just before.
    pub out_of_order: u64,
    /// From the capture to the eye or ear.
    pub latency: Spread,
}

/// How long it mostly is, and how long at times. All zero if there is nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Spread {
    /// Half of them are shorter.
    pub p50: Duration,
    /// One in twenty is longer.
    pub p95: Duration,
    /// The longest.
    pub max: Duration,
}

impl Report {
    /// Everything that anybody saw and heard, and when, as one number: two calls
    /// with the same are the same.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut all = Fnv::new();
        for node in &self.nodes {
            all.bytes(&node.digest.to_le_bytes());
        }
        all.get()
    }

    /// What the call was like for `node`.
    ///
    /// # Panics
    ///
    /// If it is of another world.
    #[must_use]
    pub fn node(&self, node: NodeId) -> &NodeReport {
        &self.nodes[node.index()]
    }
}

impl Perceived {
    /// Whether the two are the same, as far as that can be told: pictures to the bit,
    /// sound to 5 ms and a frame in a hundred. (When a sound was captured is heard from
    /// it, and who else is heard blurs that.)
    #[must_use]
    pub fn resembles(&self, other: &Self) -> bool {
        let is_near = |a: Duration, b: Duration| a.abs_diff(b) <= Duration::from_millis(5);
        let resemble = |a: &Spread, b: &Spread| is_near(a.p50, b.p50) && is_near(a.p95, b.p95);
        let (ours, theirs) = (&self.sounds, &other.sounds);
        let few = 1 + theirs.frames / 100;
        self.pictures == other.pictures
            && ours.frames.abs_diff(theirs.frames) <= few
            && ours.missing.abs_diff(theirs.missing) <= few
            && ours.out_of_order == theirs.out_of_order
            && resemble(&ours.latency, &theirs.latency)
            && resemble(&self.skew, &other.skew)
    }
}

impl TrackReport {
    pub(crate) fn of(track: &Track) -> Self {
        Self {
            frames: track.frames,
            missing: track.missing,
            out_of_order: track.out_of_order,
            latency: Spread::of(&track.latencies),
        }
    }
}

impl Spread {
    pub(crate) fn of(micros: &[u32]) -> Self {
        let mut sorted = micros.to_vec();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
            Duration::from_micros(sorted.get(index).copied().unwrap_or(0).into())
        };
        Self { p50: at(50), p95: at(95), max: at(100) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in &self.nodes {
            let connect =
                node.connect.map_or("never".to_owned(), |span| format!("{} ms", ms(span)));
            writeln!(
                f,
                "{}: connected {connect}, {} pictures, {} sounds ({} concealed), {} lost, \
                 jitter delay {} ms, {} errors",
                node.name,
                node.pictures,
                node.sounds,
                node.concealed,
                node.lost,
                ms(node.jitter_delay),
                node.errors,
            )?;
            writeln!(
                f,
                "  {:<16}{:>8}{:>9}{:>10}{:>10}{:>10}{:>10}",
                "of", "frames", "missing", "disorder", "p50 ms", "p95 ms", "max ms"
            )?;
            for (other, perceived) in &node.perceived {
                let name = self.nodes.get(other.index()).map_or("?", |other| &other.name);
                perceived.pictures.row(f, name, "picture")?;
                perceived.sounds.row(f, name, "sound")?;
                let Spread { p50, p95, max } = perceived.skew;
                let skew = format!("{name}'s skew");
                let (p50, p95, max) = (ms(p50), ms(p95), ms(max));
                writeln!(f, "  {skew:<16}{:>27}{p50:>10}{p95:>10}{max:>10}", "")?;
            }
        }
        Ok(())
    }
}

impl TrackReport {
    fn row(&self, f: &mut fmt::Formatter<'_>, name: &str, what: &str) -> fmt::Result {
        let Self { frames, missing, out_of_order, latency } = self;
        let of = format!("{name}'s {what}");
        let (p50, p95, max) = (ms(latency.p50), ms(latency.p95), ms(latency.max));
        writeln!(
            f,
            "  {of:<16}{frames:>8}{missing:>9}{out_of_order:>10}{p50:>10}{p95:>10}{max:>10}"
        )
    }
}

const fn ms(span: Duration) -> u128 {
    span.as_millis()
}
