//! The thread that reads a sound, marks it, and encodes it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paceline_capture::{AudioSource, CaptureError, clapper};
use paceline_codec::EncodeError;
use paceline_types::{AudioFrame, DeviceKind, EncodedFrame, Frequency, MediaTime, StreamId};

use super::SoundEncoder;
use super::device::Ear;
use super::pace::Pace;
use super::reader::Reader;
use super::task::{Numbering, wait};
use crate::driver::clock;
use crate::wire::ToStage;

#[derive(Debug)]
pub(super) struct SoundThread {
    reader: Reader,
    device: Option<Ear>,
    numbering: Numbering,
    tone: Option<clapper::ToneWriter>,
    /// Ticks by which its media time is later than the source's; known with its first frame.
    lead: Option<u64>,
}

/// Why nothing more is read.
enum End {
    Encoder(EncodeError),
    Source(CaptureError),
    Stopped,
}

impl SoundThread {
    pub(super) fn new(reader: Reader, device: Option<Ear>, numbering: Numbering) -> Self {
        let tone = reader.config.clapper.then(|| clapper::ToneWriter::new(reader.slot.get()));
        Self { reader, device, numbering, tone, lead: None }
    }

    pub(super) fn run(mut self, mut source: Box<dyn AudioSource>, stop: &AtomicBool) {
        let Reader { config, switches, .. } = &self.reader;
        let mut encoder = match SoundEncoder::new(config.carrier, switches.clone()) {
            Ok(encoder) => encoder,
            Err(error) => return self.reader.give_up(stop, StreamId::AUDIO, &error.to_string()),
        };
        loop {
            let end = if source.is_live() {
                self.listen(source.as_mut(), &mut encoder, stop)
            } else {
                self.play(source.as_mut(), &mut encoder, stop)
            };
            let reason = match (end, &self.device) {
                (End::Stopped, _) => return,
                (End::Source(error), Some(ear)) if error.is_gone() => {
                    // One that is held cannot always be opened again.
                    drop(source);
                    let kind = DeviceKind::Microphone;
                    let back = self.reader.reopen(stop, kind, &error, || ear.open());
                    let Some(back) = back else { return };
                    source = back;
                    self.lead = None;
                    continue;
                }
                (End::Source(error), _) => error.to_string(),
                (End::Encoder(error), _) => error.to_string(),
            };
            return self.reader.give_up(stop, StreamId::AUDIO, &reason);
        }
    }

    /// A source without a clock of its own: 50 frames a second by ours.
    fn play(
        &mut self,
        source: &mut dyn AudioSource,
        encoder: &mut SoundEncoder,
        stop: &AtomicBool,
    ) -> End {
        let start = clock();
        let mut pace = Pace::new(start, 0.02);
        let first = self.numbering.time(start, Frequency::AUDIO).ticks();
        while wait(pace.next_due(), stop) {
            let (index, skipped) = pace.advance(clock(), AUDIO_LATE);
            self.reader.counters.audio_overrun.add(skipped);
            // Samples are taken evenly, however late the thread is.
            let time = MediaTime::new(first + index * 960, Frequency::AUDIO);
            let capture = self.reader.wall.at(pace.due(index));
            // What was skipped is not said later: lips would be off for good.
            for _ in 0..skipped {
                if let Err(error) = source.read(time, capture) {
                    return End::Source(error);
                }
            }
            match source.read(time, capture) {
                Ok(Some(frame)) => {
                    if let Err(error) = self.publish(encoder, frame) {
                        return End::Encoder(error);
                    }
                }
                Ok(None) => {}
                Err(error) => return End::Source(error),
            }
        }
        End::Stopped
    }

    /// A microphone: its sound is taken when it comes.
    fn listen(
        &mut self,
        source: &mut dyn AudioSource,
        encoder: &mut SoundEncoder,
        stop: &AtomicBool,
    ) -> End {
        source.wake(std::thread::current());
        #[cfg(feature = "voice")]
        let mut voice = match self.device {
            Some(_) => self.reader.outlet.voice(&self.reader.config),
            // What a program brings is left as it is.
            None => None,
        };
        while !stop.load(Ordering::Acquire) {
            let now = clock();
            let time = self.numbering.time(now, Frequency::AUDIO);
            let frame = match source.read(time, self.reader.wall.at(now)) {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    std::thread::park_timeout(LISTEN);
                    continue;
                }
                Err(error) => return End::Source(error),
            };
            #[cfg(feature = "voice")]
            let frame = match &mut voice {
                Some(voice) => {
                    let mut samples = frame.samples.to_vec();
                    voice.process(&mut samples);
                    AudioFrame { samples: samples.into(), ..frame }
                }
                None => frame,
            };
            if let Err(error) = self.publish(encoder, frame) {
                return End::Encoder(error);
            }
        }
        End::Stopped
    }

    fn publish(
        &mut self,
        encoder: &mut SoundEncoder,
        mut frame: AudioFrame,
    ) -> Result<(), EncodeError> {
        let lead = *self.lead.get_or_insert_with(|| self.numbering.lead(frame.time));
        frame.time = MediaTime::new(frame.time.ticks() + lead, Frequency::AUDIO);
        self.numbering.note_end(MediaTime::new(frame.time.ticks() + 960, Frequency::AUDIO));
        let Reader { switches, counters, stage, .. } = &self.reader;
        if switches.is_muted(StreamId::AUDIO) {
            return Ok(());
        }
        if let Some(tone) = &mut self.tone {
            tone.burn(&mut frame);
        }
        if switches.mixes_sound() && !stage.send(ToStage::LocalAudio(frame.clone())) {
            counters.audio_overrun.add(1);
        }
        // A host says it too: to whoever is ready to follow him.
        if !switches.in_room() {
            return Ok(());
        }
        let encoded = encoder.encode(&frame)?;
        counters.audio_encoded.add(1);
        let frame = EncodedFrame {
            stream: StreamId::AUDIO,
            seq: self.numbering.next(),
            time: frame.time,
            capture: frame.capture,
            coding: encoded.coding,
            data: encoded.data,
        };
        if !self.reader.send(frame) {
            counters.audio_overrun.add(1);
        }
        Ok(())
    }
}

/// Queue ① of sound holds 60 ms; what is older is dropped.
const AUDIO_LATE: Duration = Duration::from_millis(60);

/// A live source unparks the thread that reads it. One that does not is read as often as
/// there should be a frame.
const LISTEN: Duration = Duration::from_millis(20);
