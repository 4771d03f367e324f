//! Making sound shorter or longer without changing its pitch.

use super::pitch::{self, LONGEST, Side};

/// A queue of mono sound at 48 kHz that can be shortened or lengthened by up to
/// 10 %, with its pitch kept. Up to 5 % is hardly noticed in speech.
///
/// It takes out or puts in whole pitch periods where the sound is most like itself
/// (WSOLA: Verhelst and Roelands, ICASSP 1993), and crossfades the seam for 5 ms.
/// What is silent it cuts as is needed. It looks for a period no more than once in
/// 10 ms, among 2.5 to 15 ms, and waits for a good place until it is 25 ms behind;
/// to lengthen, until it is 5 ms, and it does so in advance.
///
/// Nothing is held back for it: sound that is queued can be taken at once, and
/// where there is too little of it to compare, nothing is stretched. Of what was
/// asked for meanwhile, 26 ms are made up for later, at once if need be; the rest is
/// forgotten. After [`new`](Self::new) it does not allocate.
///
/// ```
/// use paceline_playout::Stretcher;
///
/// let mut stretcher = Stretcher::new(9_600);
/// stretcher.set_stretch(0.05);
///
/// let (mut read, mut written, mut block) = (0, 0, [0.0; 960]);
/// for _ in 0..50 {
///     while stretcher.len() < 2_880 {
///         let voice: Vec<f32> = (read..read + 960).map(|i| (i as f32 * 0.02).sin()).collect();
///         read += stretcher.push(&voice);
///     }
///     written += stretcher.pull(&mut block);
/// }
/// // 50 blocks were made of some 5 % more.
/// let gone = read - stretcher.len() - written;
/// assert!((1_600..=2_900).contains(&gone), "{gone}");
/// assert_eq!(stretcher.removed(), gone as u64);
/// ```
#[derive(Clone, Debug)]
pub struct Stretcher {
    /// What was taken some time ago, and from `read` on what was not.
    line: Vec<f32>,
    read: usize,
    capacity: usize,
    stretch: f64,
    /// Samples that should have been removed by now; negative: inserted.
    debt: f64,
    /// Samples until it looks for a place again.
    rest: usize,
    removed: u64,
    inserted: u64,
}

impl Stretcher {
    /// The largest stretch, either way.
    pub const MAX_STRETCH: f64 = 0.1;

    /// An empty queue for up to `capacity` samples.
    ///
    /// # Panics
    ///
    /// If there is no memory for twice as many.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            line: Vec::with_capacity(capacity.saturating_mul(2).saturating_add(3 * HISTORY)),
            read: 0,
            capacity,
            stretch: 0.0,
            debt: 0.0,
            rest: 0,
            removed: 0,
            inserted: 0,
        }
    }

    /// Asks for a stretch: how much more sound is taken from the queue than comes
    /// out, as a part of what comes out. Positive is shorter; the sound plays
    /// faster.
    ///
    /// It is clamped to ±[`MAX_STRETCH`](Self::MAX_STRETCH); not a number is zero.
    /// At zero nothing is stretched any more, whatever was still asked for.
    pub fn set_stretch(&mut self, stretch: f64) {
        let stretch = if stretch.is_nan() { 0.0 } else { stretch };
        let stretch = stretch.clamp(-Self::MAX_STRETCH, Self::MAX_STRETCH);
        if stretch * self.stretch <= 0.0 {
            self.debt = 0.0;
        }
        self.stretch = stretch;
    }

    /// Samples that can be taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.line.len() - self.read
    }

    /// Whether none can be taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Samples that were taken out to shorten the sound.
    #[must_use]
    pub const fn removed(&self) -> u64 {
        self.removed
    }

    /// Samples that were put in to lengthen it.
    #[must_use]
    pub const fn inserted(&self) -> u64 {
        self.inserted
    }

    /// Queues sound up to the capacity; how many samples were queued.
    ///
    /// A sample that is not a number, infinite or beyond ±10⁶ becomes zero.
    pub fn push(&mut self, samples: &[f32]) -> usize {
        let take = samples.len().min(self.capacity.saturating_sub(self.len()));
        if self.line.len() + take > self.line.capacity() {
            let from = self.read.saturating_sub(HISTORY);
            self.line.copy_within(from.., 0);
            self.line.truncate(self.line.len() - from);
            self.read -= from;
        }
        let sane = |&sample: &f32| if sample.abs() <= LOUDEST { sample } else { 0.0 };
        self.line.extend(samples[..take].iter().map(sane));
        take
    }

    /// Takes sound until `block` is full or the queue is empty; how many samples
    /// were taken.
    ///
    /// It never shortens so much that the block does not get full.
    pub fn pull(&mut self, block: &mut [f32]) -> usize {
        let mut taken = 0;
        while taken < block.len() && !self.is_empty() {
            if self.rest == 0 {
                self.stretch_here(block.len() - taken);
                self.rest = REST;
            }
            let next = (block.len() - taken).min(self.len()).min(self.rest);
            block[taken..taken + next].copy_from_slice(&self.line[self.read..self.read + next]);
            self.read += next;
            self.rest -= next;
            // Else it would grow while nothing can be taken out, and be paid at once
            // when something can.
            self.debt = (self.debt + self.stretch * next as f64).clamp(-MAX_DEBT, MAX_DEBT);
            taken += next;
        }
        taken
    }

    /// Forgets the queue and what came before it.
    pub fn clear(&mut self) {
        self.line.clear();
        self.read = 0;
        self.debt = 0.0;
        self.rest = 0;
    }

    /// Drops the oldest `count` samples and crossfades the seam over `fade`.
    pub(crate) fn drop_front(&mut self, count: usize, fade: usize) {
        let count = count.min(self.len());
        let fade = fade.min(self.len() - count);
        self.crossfade(self.read, self.read + count, self.read + count, fade);
        self.read += count;
    }

    /// Takes out or puts in a period at the front of the queue, if one is owed and
    /// this is a good place; `wanted` samples are to be left.
    fn stretch_here(&mut self, wanted: usize) {
        let owed = self.debt.abs() as usize;
        let side = if self.stretch > 0.0 { Side::Ahead } else { Side::Behind };
        // To be shorter waits until a whole period is owed, to be longer is so in
        // advance: there is never less sound than at a steady rate.
        let (least, most, longest) = match side {
            Side::Ahead => {
                let room = self.len().saturating_sub(wanted.max(WINDOW));
                (LEAST_OWED, MOST_OWED, room.min(owed))
            }
            Side::Behind => (1, LEAST_OWED, self.read.min(owed + MOST_AHEAD)),
        };
        if self.stretch * self.debt <= 0.0 || owed < least {
            return;
        }
        let longest = longest.min(LONGEST);
        let Some(period) = pitch::period(&self.line, self.read, WINDOW, longest, side) else {
            return;
        };
        let patience = (owed - least) as f32 / (most - least) as f32;
        let len = if period.power < SILENCE {
            owed.max(LEAST_OWED).min(longest)
        } else if period.likeness >= ALIKE * (1.0 - patience) || owed >= most {
            period.len
        } else {
            return;
        };
        // A seam no longer than what is repeated, or it would read what it wrote.
        let fade = FADE.min(len);
        match side {
            Side::Ahead => {
                let onto = self.read + len;
                self.crossfade(self.read, onto, onto, fade);
                self.read = onto;
                self.removed += len as u64;
                self.debt -= len as f64;
            }
            Side::Behind => {
                let onto = self.read - len;
                self.crossfade(self.read, onto, onto, fade);
                self.read = onto;
                self.inserted += len as u64;
                self.debt += len as f64;
            }
        }
    }

    /// Writes from `out` on what fades from that at `old` into that at `new`.
    fn crossfade(&mut self, old: usize, new: usize, out: usize, fade: usize) {
        // Where the new lies before the old, forwards; else backwards: what is
        // written must have been read.
        let mut blend = |i: usize| {
            let rising = (i + 1) as f32 / (fade + 1) as f32;
            let (falling, kept) = (self.line[old + i], self.line[new + i]);
            self.line[out + i] = kept * rising + falling * (1.0 - rising);
        };
        if new < old {
            (0..fade).for_each(&mut blend)
        } else {
            (0..fade).rev().for_each(&mut blend)
        }
    }
}

/// What is kept to repeat a period of, and some more.
const HISTORY: usize = LONGEST + FADE;

/// 10 ms: what is compared.
const WINDOW: usize = 480;

/// 10 ms between two looks.
const REST: usize = 480;

/// 5 ms: too short to be heard as a fade, too long to be heard as a click.
const FADE: usize = 240;

/// 5 ms: below that, to shorten is not worth a seam.
const LEAST_OWED: usize = 240;

/// 10 ms: the most that is put in without being owed.
const MOST_AHEAD: usize = 480;

/// 25 ms: over that any place is good enough. A vowel or a pause comes sooner.
const MOST_OWED: usize = 1_200;

/// 26 ms: what is owed when any place is good enough, and what is added until the
/// next look at the largest stretch. So where there is sound to cut it is not
/// reached.
const MAX_DEBT: f64 = MOST_OWED as f64 + REST as f64 * Stretcher::MAX_STRETCH;

/// The likeness that a place must have at first. 0.9 is what NetEQ asks for
/// (libwebrtc, `accelerate.h`).
const ALIKE: f32 = 0.9;

/// −60 dBov.
const SILENCE: f32 = 1e-6;

/// Louder than any sound, and no overflow in what is summed of it.
const LOUDEST: f32 = 1e6;
