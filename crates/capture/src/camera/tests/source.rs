//! A camera with its thread.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use paceline_types::{Frequency, MediaTime, NtpTime};
use rustix::io::Errno;

use super::model::{Model, small};
use crate::camera::driver::Fourcc;
use crate::camera::list::unavailable;
use crate::camera::{Camera, CameraConfig};
use crate::{CaptureError, VideoSource};

fn open_as(model: &Model, config: CameraConfig) -> Result<Camera, CaptureError> {
    let model = model.clone();
    Camera::open_with("model", config, move || {
        let driver = model.open().map_err(|errno| unavailable("model", errno.to_string()))?;
        Ok(("model".to_owned(), driver))
    })
}

fn open(model: &Model) -> Camera {
    open_as(model, CameraConfig::default()).expect("it opens")
}

fn read(camera: &mut Camera) -> Result<Option<u8>, CaptureError> {
    let picture = camera.read(0, MediaTime::new(0, Frequency::VIDEO), NtpTime::default())?;
    Ok(picture.map(|picture| picture.y()[0]))
}

/// Waits until the camera's own account is so.
fn until(camera: &Camera, mut done: impl FnMut(&Camera) -> bool) {
    let begin = now();
    while !done(camera) {
        assert!(begin.elapsed() < WATCHDOG, "{:?}", camera.stats());
        thread::yield_now();
    }
}

#[expect(clippy::disallowed_methods, reason = "a watchdog")]
fn now() -> Instant {
    Instant::now()
}

const WATCHDOG: Duration = Duration::from_secs(20);
const PICTURE: usize = 64 * 72;

#[test]
fn the_newest_picture_is_read_once_and_those_before_it_are_counted() {
    let model = small(Fourcc::YU12);
    let mut camera = open(&model);
    assert_eq!((camera.size(), camera.frame_rate(), camera.id()), ((64, 48), 30.0, "model"));
    assert!(matches!(read(&mut camera), Ok(None)));
    for luma in 1..=3 {
        model.fill(&[luma; PICTURE]);
        until(&camera, |camera| {
            camera.stats().superseded == u64::from(luma) - 1 && camera.wait(WATCHDOG)
        });
    }
    assert!(matches!(read(&mut camera), Ok(Some(3))));
    assert!(matches!(read(&mut camera), Ok(None)));
    let stats = camera.stats();
    assert_eq!((stats.pictures, stats.superseded, stats.damaged, stats.restarts), (1, 2, 0, 0));
    assert!(!camera.wait(Duration::ZERO));
}

#[test]
fn a_picture_has_the_media_time_given_and_the_capture_time_of_when_it_was_captured() {
    let model = small(Fourcc::YU12);
    let mut camera = open(&model);
    model.fill_as(&[9; PICTURE], |filled| filled.age = Duration::from_millis(700));
    assert!(camera.wait(WATCHDOG));
    let time = MediaTime::new(12_345, Frequency::VIDEO);
    let capture = NtpTime::from_unix(Duration::from_secs(1_000));
    let picture = camera.read(5, time, capture).unwrap().unwrap();
    assert_eq!(picture.time(), time);
    let age = capture.saturating_since(picture.capture());
    assert!(age >= Duration::from_millis(700), "{age:?}");
    let off = age.abs_diff(camera.stats().latency);
    assert!(off < Duration::from_micros(1), "{off:?}");
}

#[test]
fn pulled_out_it_is_gone_and_opens_anew_when_it_is_back() {
    for error in [false, true] {
        let model = small(Fourcc::YU12);
        let mut camera = open(&model);
        model.fill(&[1; PICTURE]);
        assert!(camera.wait(WATCHDOG));
        model.state().error = error;
        model.unplug();
        until(&camera, |_| model.state().open == 0);
        let error = read(&mut camera).expect_err("it is gone");
        assert!(error.is_gone() && error.to_string().contains("model"), "{error}");
        let refused = open_as(&model, CameraConfig::default()).expect_err("it is out");
        assert!(matches!(refused, CaptureError::Unavailable { .. }));

        model.state().gone = false;
        model.state().error = false;
        let mut camera = open(&model);
        model.fill(&[2; PICTURE]);
        assert!(camera.wait(WATCHDOG));
        assert!(matches!(read(&mut camera), Ok(Some(2))));
    }
}

#[test]
fn an_error_in_between_is_got_over_and_a_silence_that_lasts_is_not() {
    let model = small(Fourcc::YU12);
    let config = CameraConfig::default().silence(Duration::from_millis(20));
    let mut camera = open_as(&model, config).unwrap();
    model.fail("dqbuf", Errno::IO);
    until(&camera, |camera| camera.stats().restarts > 0);
    assert!(camera.wait(WATCHDOG));
    let error = read(&mut camera).expect_err("it is silent");
    assert!(error.is_gone() && error.to_string().contains("gives nothing"), "{error}");
    assert_eq!(camera.stats().restarts, 3);
}

#[test]
fn dropped_it_is_closed() {
    let model = small(Fourcc::YU12);
    let camera = open(&model);
    assert_eq!(model.state().open, 1);
    drop(camera);
    assert_eq!(model.state().open, 0);
    assert_eq!(model.state().violations, Vec::<String>::new());
}

#[test]
fn a_driver_that_hangs_holds_up_nobody() {
    let (release, hold) = mpsc::channel::<()>();
    let config = CameraConfig::default()
        .open_timeout(Duration::from_millis(30))
        .close_timeout(Duration::from_millis(30));
    let model = small(Fourcc::YU12);
    let hanging = model.clone();
    let begin = now();
    let error = Camera::open_with("model", config, move || {
        // As long as the driver likes.
        let _ = hold.recv();
        let driver = hanging.open().map_err(|errno| unavailable("model", errno.to_string()))?;
        Ok(("model".to_owned(), driver))
    })
    .expect_err("it hangs");
    assert!(begin.elapsed() < WATCHDOG);
    assert!(error.to_string().contains("did not open in 30ms"), "{error}");
    // What opens after all is closed: nobody has it.
    drop(release);
    let begin = now();
    while model.state().starts == 0 || model.state().open > 0 {
        assert!(begin.elapsed() < WATCHDOG);
        thread::yield_now();
    }
}

#[test]
fn a_thread_that_breaks_off_is_told_to_whoever_reads() {
    let model = small(Fourcc::YU12);
    let mut camera = open(&model);
    model.state().breaks = true;
    model.signal();
    assert!(camera.wait(WATCHDOG));
    let error = read(&mut camera).expect_err("it broke off");
    assert!(error.is_gone(), "{error}");
}

#[test]
fn a_driver_that_says_there_is_a_picture_for_ever_ends_as_an_error() {
    let model = small(Fourcc::YU12);
    let mut camera = open(&model);
    model.state().cries_wolf = true;
    model.signal();
    assert!(camera.wait(WATCHDOG));
    assert!(read(&mut camera).is_err_and(|error| error.is_gone()));
}

#[test]
fn its_stats_and_its_loss_can_be_printed() {
    let model = small(Fourcc::YU12);
    let camera = open(&model);
    assert!(format!("{camera:?}").contains("model"));
}
