//! Pictures that are encoded already, sent in real time.

use std::path::Path;
use std::time::Duration;

use paceline_capture::H264File;
use paceline_types::{Frequency, WallClock};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::driver::clock;
use crate::error::PublishError;
use crate::publish::{MAX_PICTURE, Numbering, Pace, access_unit};
use crate::wire::ToDriver;

/// A task that sends a file. Dropping it ends the task.
#[derive(Debug)]
pub(super) struct Playing(JoinHandle<()>);

impl Playing {
    pub(super) fn is_running(&self) -> bool {
        !self.0.is_finished()
    }

    /// Ends the task, and waits until it has: what it counted until then is the end.
    pub(super) async fn stop(mut self) {
        self.0.abort();
        // It was ended, or had ended.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Opens a file whose pictures all fit a packet, and that begins with a keyframe.
pub(super) fn open(path: &Path, frame_rate: f64) -> Result<H264File, PublishError> {
    let file = H264File::open(path, frame_rate)?;
    let no_picture = |reason| PublishError::NoPicture { path: path.to_owned(), reason };
    if !file.is_key(0) {
        return Err(no_picture("it does not begin with a keyframe".to_owned()));
    }
    let longest = (0..file.len() as u64).map(|index| file.unit(index).len()).max();
    match longest {
        Some(len) if len > MAX_PICTURE => {
            Err(no_picture(format!("one takes {len} bytes and a packet holds {MAX_PICTURE}")))
        }
        _ => Ok(file),
    }
}

/// Sends the pictures, each when it is due, again and again.
pub(super) fn play(
    file: H264File,
    numbering: Numbering,
    wall: WallClock,
    driver: mpsc::WeakSender<ToDriver>,
) -> Playing {
    Playing(tokio::spawn(async move {
        let mut pace = Pace::new(clock(), file.frame_rate().recip());
        for index in 0.. {
            let mut at = pace.next_due();
            tokio::time::sleep_until(at.into()).await;
            let now = clock();
            // None can be left out, for the next ones build on it: who was held up goes
            // on from there.
            if now.saturating_duration_since(at) > LATE {
                at = now;
                pace = Pace::new(now, file.frame_rate().recip());
            }
            pace.advance(now, Duration::MAX);
            let time = numbering.time(at, Frequency::VIDEO);
            let mut frame = access_unit(&file, index, time, wall.at(at));
            let Some(driver) = driver.upgrade() else { return };
            // A place first: what has a number is sent, also if this is ended meanwhile.
            let Ok(place) = driver.reserve().await else { return };
            frame.seq = numbering.next();
            place.send(ToDriver::Encoded { to: None, frame });
        }
    }))
}

/// A jitter buffer holds so much at most: later than that, going on from here costs
/// viewers less than catching up.
const LATE: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::wall_clock;

    #[tokio::test]
    async fn when_it_is_stopped_just_as_many_were_sent_as_have_numbers() {
        let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/media/ada.h264");
        // One finds a place. In the first round the next waits for its own when it is ended,
        // in the others it is wherever it is.
        for taken in 0..8 {
            let file = open(&clip, 120.0).expect("it is a clip");
            let numbering = Numbering::new(clock());
            let (driver, mut inputs) = mpsc::channel(1);
            let playing = play(file, numbering.clone(), wall_clock(), driver.downgrade());
            let mut sent = 0;
            for _ in 0..taken {
                sent += u64::from(inputs.recv().await.is_some());
            }
            if taken == 0 {
                // Some more are due meanwhile.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            playing.stop().await;
            drop(driver);
            while let Some(ToDriver::Encoded { frame, .. }) = inputs.recv().await {
                assert_eq!(frame.seq.get(), sent);
                sent += 1;
            }
            assert_eq!(numbering.count(), sent, "after {taken}");
        }
    }
}
