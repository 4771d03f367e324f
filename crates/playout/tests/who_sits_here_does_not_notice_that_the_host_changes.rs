//! What is shown and heard while the host changes to us, from us, or dies.

#![allow(clippy::disallowed_methods, reason = "an epoch for the tests")]

use std::f32::consts::TAU;
use std::ops::Range;
use std::time::{Duration, Instant};

use paceline_playout::{Seam, SeamConfig, SeamOutput, SeamStats};
use paceline_types::{AudioFrame, Epoch, Frequency, MediaTime, NtpTime, PixelFormat, VideoFrame};

const OLD: Epoch = Epoch::new(3, 0);
const NEW: Epoch = Epoch::new(3, 1);
const ELECTED: Epoch = Epoch::new(4, 0);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn sound_time(tick: u64) -> MediaTime {
    MediaTime::new(tick * 960, Frequency::AUDIO)
}

/// Pictures of 25 a second: two ticks each.
fn picture_time(number: u64) -> MediaTime {
    MediaTime::new(number * 3_600, Frequency::VIDEO)
}

/// A tone of 200 Hz that goes on from tick to tick, at this level.
fn sound(tick: u64, level: f32) -> AudioFrame {
    let sample = |index: u64| level * (index as f32 / 240.0 * TAU).sin();
    let samples = (0..960).map(|index| sample((tick % 240) * 960 + index)).collect();
    AudioFrame { channels: 1, time: sound_time(tick), capture: NtpTime::default(), samples }
}

fn picture(number: u64) -> VideoFrame {
    let planes = vec![0; PixelFormat::I420.bytes(2, 2)].into();
    VideoFrame::new(2, 2, picture_time(number), NtpTime::default(), planes).expect("its size")
}

/// What happens here, each millisecond in its order.
struct Here {
    start: Instant,
    seam: Seam,
    events: Vec<(u64, Happens)>,
    sounds: Vec<(u64, u64, Epoch, bool)>,
    pictures: Vec<(u64, u64, Epoch, bool)>,
    heard: Vec<f32>,
}

#[derive(Clone)]
enum Happens {
    RemoteSound(Epoch, AudioFrame),
    Overlap(Epoch, AudioFrame, AudioFrame),
    RemotePicture(Epoch, VideoFrame),
    OwnSound(AudioFrame),
    OwnPicture(VideoFrame),
    Host(Epoch, Option<MediaTime>),
    Stop,
    Follow,
}

impl Here {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            seam: Seam::new(SeamConfig::default()),
            events: Vec::new(),
            sounds: Vec::new(),
            pictures: Vec::new(),
            heard: Vec::new(),
        }
    }

    fn at(&mut self, ms: u64, what: Happens) {
        self.events.push((ms, what));
    }

    /// A host's mix is due here: tick n at 20·n + `lag` ms, and of it the pictures.
    fn remote(&mut self, epoch: Epoch, sounds: Range<u64>, pictures: Range<u64>, lag: u64) {
        for tick in sounds {
            self.at(20 * tick + lag, Happens::RemoteSound(epoch, sound(tick, 0.5)));
        }
        for number in pictures {
            self.at(40 * number + lag, Happens::RemotePicture(epoch, picture(number)));
        }
    }

    /// Our own stage makes tick n at 20·n + `lag` ms.
    fn own(&mut self, sounds: Range<u64>, level: f32, lag: u64) {
        for tick in sounds {
            self.at(20 * tick + lag, Happens::OwnSound(sound(tick, level)));
            if tick % 2 == 0 {
                self.at(20 * tick + lag, Happens::OwnPicture(picture(tick / 2)));
            }
        }
    }

    fn run(&mut self) -> SeamStats {
        self.events.sort_by_key(|&(at, _)| at);
        let end = self.events.last().map_or(0, |&(at, _)| at) + 1_000;
        let mut events = std::mem::take(&mut self.events).into_iter().peekable();
        for at in 0..end {
            let now = self.start + ms(at);
            while let Some((_, what)) = events.next_if(|&(due, _)| due == at) {
                let seam = &mut self.seam;
                match what {
                    Happens::RemoteSound(epoch, frame) => {
                        seam.handle_remote_sound(now, epoch, now, frame);
                    }
                    Happens::Overlap(epoch, old, new) => {
                        seam.handle_overlap(now, epoch, now, &old, new);
                    }
                    Happens::RemotePicture(epoch, frame) => {
                        seam.handle_remote_picture(now, epoch, now, frame);
                    }
                    Happens::OwnSound(frame) => seam.handle_own_sound(now, frame),
                    Happens::OwnPicture(frame) => seam.handle_own_picture(now, frame),
                    Happens::Host(epoch, from) => seam.host(now, epoch, from),
                    Happens::Stop => seam.stop(now),
                    Happens::Follow => seam.follow(now),
                }
            }
            if let Some(due) = self.seam.poll_timeout() {
                assert!(
                    due > now || {
                        self.seam.handle_timeout(now);
                        true
                    }
                );
                assert!(self.seam.poll_timeout().is_none_or(|due| due > now));
            }
            while let Some(output) = self.seam.poll_output() {
                match output {
                    SeamOutput::Sound { at: when, epoch, frame, own } => {
                        assert!(when <= now);
                        self.heard.extend(frame.samples.iter());
                        self.sounds.push((at, frame.time.ticks() / 960, epoch, own));
                    }
                    SeamOutput::Picture { at: when, epoch, frame, own } => {
                        assert!(when <= now);
                        self.pictures.push((at, frame.time().ticks() / 3_600, epoch, own));
                    }
                    _ => {}
                }
            }
        }
        self.seam.stats()
    }

    fn ticks(&self) -> Vec<u64> {
        self.sounds.iter().map(|&(_, tick, ..)| tick).collect()
    }

    fn numbers(&self) -> Vec<u64> {
        self.pictures.iter().map(|&(_, number, ..)| number).collect()
    }

    /// No epoch goes back.
    fn assert_fenced(&self) {
        for track in [&self.sounds, &self.pictures] {
            assert!(track.windows(2).all(|pair| pair[0].2 <= pair[1].2), "{track:?}");
        }
    }

    /// The largest step from sample to sample.
    fn step(&self) -> f32 {
        self.heard.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
    }
}

#[test]
fn who_becomes_host_misses_nothing_and_hears_nothing_twice() {
    for lag in [30, 75, 140, 391] {
        let mut here = Here::new();
        here.own(0..200, 0.5, 3);
        // Ticks 100 and 101 come of both.
        here.remote(OLD, 0..102, 0..50, lag);
        here.at(1_800, Happens::Host(NEW, Some(picture_time(50))));
        let stats = here.run();
        assert_eq!(here.ticks(), Vec::from_iter(0..200));
        assert_eq!(here.numbers(), Vec::from_iter(0..100));
        here.assert_fenced();
        assert_eq!((stats.crossfades, stats.stale_dropped), (1, 0), "{lag}");
        assert_eq!(stats.delay, ms(lag - 3));
        for (index, &(at, tick, epoch, own)) in here.sounds.iter().enumerate() {
            assert_eq!(at, 20 * tick + lag, "{index}");
            assert_eq!((epoch, own), if tick < 100 { (OLD, false) } else { (NEW, true) });
        }
        // The same sound, twice: it rises by 3 dB, and without a step.
        assert!(here.step() < 0.5 * TAU / 240.0 * 1.5, "{}", here.step());
    }
}

#[test]
fn the_end_of_the_host_before_is_waited_for_a_moment() {
    let mut here = Here::new();
    here.own(0..200, 0.5, 3);
    here.remote(OLD, 0..100, 0..50, 75);
    // His last two are later than all before.
    for tick in 100..102 {
        here.at(20 * tick + 79, Happens::RemoteSound(OLD, sound(tick, 0.5)));
    }
    here.at(1_800, Happens::Host(NEW, Some(picture_time(50))));
    let stats = here.run();
    assert_eq!(here.ticks(), Vec::from_iter(0..200));
    assert_eq!((stats.crossfades, stats.stale_dropped), (1, 0));
    assert_eq!(here.sounds[100].0, 2_079);
    assert_eq!(here.sounds[102].0, 20 * 102 + 79);
}

#[test]
fn what_the_network_held_up_just_before_the_change_is_heard_and_seen() {
    let mut here = Here::new();
    here.own(0..200, 0.5, 3);
    here.remote(OLD, 0..96, 0..47, 75);
    // Lost, and sent again.
    for tick in 96..102 {
        here.at((20 * tick + 75).max(2_180), Happens::RemoteSound(OLD, sound(tick, 0.5)));
    }
    for number in 47..50 {
        here.at(2_180, Happens::RemotePicture(OLD, picture(number)));
    }
    here.at(1_800, Happens::Host(NEW, Some(picture_time(50))));
    let stats = here.run();
    assert_eq!(here.ticks(), Vec::from_iter(0..200));
    assert_eq!(here.numbers(), Vec::from_iter(0..100));
    assert_eq!(stats.stale_dropped, 0);
    here.assert_fenced();
}

#[test]
fn what_is_lost_just_before_the_change_is_waited_for_so_long() {
    let mut here = Here::new();
    here.own(0..200, 0.5, 3);
    here.remote(OLD, 0..96, 0..47, 75);
    here.at(1_800, Happens::Host(NEW, Some(picture_time(50))));
    here.run();
    assert_eq!(here.ticks(), Vec::from_iter((0..96).chain(100..200)));
    assert_eq!(here.sounds[96].0, 2_075 + 200);
    // No later for that than it would have been.
    assert_eq!(here.sounds.last().map(|last| last.0), Some(20 * 199 + 75));
}

#[test]
fn an_order_to_host_that_comes_late_misses_nothing_either() {
    let mut here = Here::new();
    here.own(0..200, 0.5, 3);
    here.remote(OLD, 0..100, 0..50, 200);
    here.at(2_150, Happens::Host(NEW, Some(picture_time(50))));
    here.run();
    assert_eq!(here.ticks(), Vec::from_iter(0..200));
    assert_eq!(here.numbers(), Vec::from_iter(0..100));
    here.assert_fenced();
}

#[test]
fn what_is_later_than_the_bound_is_skipped() {
    let mut here = Here::new();
    here.own(0..200, 0.5, 0);
    here.remote(OLD, 0..102, 0..50, 600);
    here.at(1_800, Happens::Host(NEW, Some(picture_time(50))));
    let stats = here.run();
    assert_eq!(stats.delay, ms(400));
    here.assert_fenced();
    // His that come after ours are not heard.
    assert!(stats.stale_dropped > 0);
    let ticks = here.ticks();
    assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]), "{ticks:?}");
    assert_eq!(ticks.last(), Some(&199));
}

#[test]
fn who_was_host_has_no_hole_and_no_picture_goes_back() {
    for lag in [25, 60, 110, 233] {
        let mut here = Here::new();
        here.at(0, Happens::Host(OLD, None));
        here.own(0..150, 0.5, 0);
        here.at(1_900, Happens::Stop);
        here.remote(NEW, 100..250, 50..125, lag);
        let stats = here.run();
        here.assert_fenced();
        let ours = 101 + lag / 20;
        let expected = Vec::from_iter((0..ours).chain(100..250));
        assert_eq!(here.ticks(), expected, "{lag}");
        // No time without sound: a frame at the latest when the one before ends.
        let late = |pair: &[(u64, u64, Epoch, bool)]| pair[1].0 - pair[0].0;
        assert!(here.sounds.windows(2).all(|pair| late(pair) <= 20));
        assert_eq!(stats.crossfades, 1);
        let numbers = here.numbers();
        assert_eq!(numbers, Vec::from_iter(0..125), "{lag}");
        let still = here.pictures.windows(2).map(|pair| pair[1].0 - pair[0].0).max();
        assert!(still.is_some_and(|still| still <= 40 + lag), "{still:?}");
    }
}

#[test]
fn who_takes_over_after_a_silence_waits_for_nothing() {
    let mut here = Here::new();
    here.remote(OLD, 0..50, 0..25, 90);
    here.own(0..150, 0.5, 40);
    here.at(1_699, Happens::Host(ELECTED, None));
    let stats = here.run();
    assert_eq!(stats.delay, Duration::ZERO);
    assert_eq!(here.ticks(), Vec::from_iter((0..50).chain(83..150)));
    assert_eq!(here.sounds[50], (1_700, 83, ELECTED, true));
    here.assert_fenced();
}

#[test]
fn after_a_later_host_nothing_of_one_before_is_shown_or_heard() {
    let mut here = Here::new();
    here.remote(OLD, 0..50, 0..25, 40);
    here.remote(ELECTED, 80..120, 40..60, 60);
    // What was held up in the network.
    for tick in 90..100 {
        here.at(20 * tick + 65, Happens::RemoteSound(OLD, sound(tick, 0.5)));
        here.at(20 * tick + 65, Happens::RemotePicture(OLD, picture(tick / 2)));
        let (old, new) = (sound(tick, 0.5), sound(tick, 0.5));
        here.at(20 * tick + 66, Happens::Overlap(NEW, old, new));
    }
    let stats = here.run();
    here.assert_fenced();
    assert_eq!(stats.stale_dropped, 40);
    assert_eq!(here.ticks(), Vec::from_iter((0..50).chain(80..120)));
    assert_eq!(here.numbers(), Vec::from_iter((0..25).chain(40..60)));
}

#[test]
fn who_is_fenced_shows_nothing_more_of_his_own() {
    let mut here = Here::new();
    here.at(0, Happens::Host(OLD, None));
    here.own(0..100, 0.5, 0);
    here.at(990, Happens::Follow);
    here.run();
    assert_eq!(here.ticks(), Vec::from_iter(0..50));
    assert_eq!(here.numbers(), Vec::from_iter(0..25));
}

#[test]
fn who_is_followed_by_nobody_falls_silent() {
    let mut here = Here::new();
    here.at(0, Happens::Host(OLD, None));
    here.own(0..300, 0.5, 0);
    here.at(1_000, Happens::Stop);
    here.run();
    assert_eq!(here.ticks().last(), Some(&149));
}

#[test]
fn silence_is_used_to_come_nearer_to_what_is_made() {
    let mut here = Here::new();
    here.own(0..130, 0.5, 0);
    here.own(130..140, 0.0, 0);
    here.own(140..200, 0.5, 0);
    here.remote(OLD, 0..100, 0..50, 90);
    here.at(1_800, Happens::Host(NEW, Some(picture_time(50))));
    let stats = here.run();
    assert_eq!((stats.silence_cut, stats.delay), (4, ms(10)));
    assert_eq!(here.ticks(), Vec::from_iter((0..130).chain(134..200)));
    assert_eq!(here.sounds.last().map(|last| last.0), Some(20 * 199 + 10));
    assert_eq!(here.numbers(), Vec::from_iter(0..100));
}

#[test]
fn a_viewer_of_a_handover_hears_one_fade() {
    let mut here = Here::new();
    here.remote(OLD, 0..50, 0..25, 40);
    for tick in 50..52 {
        let both = (sound(tick, 0.5), sound(tick, 0.5));
        here.at(20 * tick + 40, Happens::Overlap(NEW, both.0, both.1));
    }
    here.remote(NEW, 52..100, 25..50, 40);
    let stats = here.run();
    assert_eq!(here.ticks(), Vec::from_iter(0..100));
    assert_eq!(here.numbers(), Vec::from_iter(0..50));
    assert_eq!((stats.crossfades, stats.repeated, stats.stale_dropped), (1, 0, 0));
    let loudest = here.heard.iter().copied().fold(0.0, f32::max);
    assert!((0.68..0.72).contains(&loudest), "3 dB more in the middle: {loudest}");
}

#[test]
fn a_piece_that_only_the_host_before_sent_is_heard_within_the_window() {
    let mut here = Here::new();
    here.remote(OLD, 0..50, 0..25, 40);
    here.at(1_040, Happens::Overlap(NEW, sound(50, 0.5), sound(50, 0.5)));
    // Of the next one there is only his, and of the one after it too: that is too late.
    here.at(1_060, Happens::RemoteSound(OLD, sound(51, 0.5)));
    here.at(1_080, Happens::RemoteSound(OLD, sound(52, 0.5)));
    here.remote(NEW, 53..100, 25..50, 40);
    let stats = here.run();
    assert_eq!(here.ticks(), Vec::from_iter((0..52).chain(53..100)));
    assert_eq!((stats.crossfades, stats.stale_dropped), (3, 1));
    let epochs: Vec<_> = here.sounds[49..53].iter().map(|sound| sound.2).collect();
    assert_eq!(epochs, [OLD, NEW, OLD, NEW]);
}

#[test]
fn a_fade_out_of_what_was_heard_has_no_step() {
    let mut here = Here::new();
    here.remote(OLD, 0..50, 0..25, 40);
    // No sound of both: he resigned.
    here.remote(ELECTED, 50..100, 25..50, 40);
    let stats = here.run();
    assert_eq!(stats.crossfades, 1);
    assert!(here.step() < 0.5 * TAU / 240.0 * 1.5, "{}", here.step());
}

#[test]
fn who_comes_back_before_another_was_heard_shows_nothing_of_before_as_his_new_mix() {
    let mut seam = Seam::new(SeamConfig::default());
    let start = Instant::now();
    // Somebody's mix came 100 ms later than ours is made, and so ours waits for so long.
    seam.handle_remote_sound(start + ms(100), Epoch::new(1, 0), start + ms(100), sound(0, 0.5));
    seam.host(start + ms(101), Epoch::new(1, 1), Some(sound_time(1)));
    for tick in 6..10 {
        seam.handle_own_sound(start + ms(20 * tick), sound(tick, 0.5));
    }
    seam.stop(start + ms(185));
    seam.host(start + ms(190), Epoch::new(1, 3), Some(sound_time(9)));
    seam.handle_own_sound(start + ms(200), sound(10, 0.5));
    seam.handle_timeout(start + ms(1_000));
    let mut heard = Vec::new();
    while let Some(output) = seam.poll_output() {
        if let SeamOutput::Sound { epoch, frame, own: true, .. } = output {
            heard.push((frame.time.ticks() / 960, epoch));
        }
    }
    heard.retain(|&(_, epoch)| epoch == Epoch::new(1, 3));
    assert_eq!(heard.iter().map(|it| it.0).collect::<Vec<_>>(), [9, 10]);
}
