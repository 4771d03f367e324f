//! What becomes of buffers.

use std::time::Duration;

use proptest::prelude::*;
use rustix::io::Errno;

use super::model::{Model, Opened, per, small};
use super::pictures::{expected, packed};
use crate::camera::CameraConfig;
use crate::camera::driver::{Filled, Fourcc, Interval, Intervals, Layout, Ready, Sizes};
use crate::camera::stream::{Lost, Picture, Stream, Tally};

pub(super) fn open(model: &Model) -> Stream<Opened> {
    let driver = model.open().expect("it is there");
    Stream::open(driver, &CameraConfig::default()).expect("it starts")
}

/// The picture that comes of one buffer.
pub(super) fn picture(model: &Model, stream: &mut Stream<Opened>, data: &[u8]) -> Option<Vec<u8>> {
    model.fill(data);
    stream.handle(Ready::Filled).expect("it runs").map(|picture| picture.planes.to_vec())
}

#[test]
fn what_is_short_or_flagged_is_counted_and_what_says_too_much_is_read() {
    for format in [Fourcc::YU12, Fourcc::NV12, Fourcc::YUYV] {
        let model = small(format);
        let mut stream = open(&model);
        let whole = packed(format, 64, 48, 0);
        assert!(picture(&model, &mut stream, &whole[..whole.len() - 1]).is_none());
        assert!(picture(&model, &mut stream, &[]).is_none());
        let changes: [fn(&mut Filled); 3] = [
            |filled| filled.damaged = true,
            |filled| filled.bytes_used = 0,
            |filled| filled.bytes_used -= 64,
        ];
        for change in changes {
            model.fill_as(&whole, change);
            assert!(stream.handle(Ready::Filled).unwrap().is_none());
        }
        assert_eq!(stream.tally(), Tally { damaged: 5, ..Tally::default() });
        model.fill_as(&whole, |filled| filled.bytes_used = u32::MAX);
        let seen = stream.handle(Ready::Filled).unwrap().unwrap();
        assert!(seen.planes == expected(64, 48));
        assert_eq!(model.state().queued.len(), 4, "each went back");
    }
}

#[test]
fn what_the_driver_gives_instead_is_what_is_read() {
    let model = small(Fourcc::MJPG);
    model.state().layout =
        Some(Layout { format: Fourcc::NV12, size: (32, 24), bytes_per_row: 32, full_range: false });
    model.state().parm = Some(Ok(Interval { numerator: 2, denominator: 15 }));
    let mut stream = open(&model);
    assert_eq!(model.state().asked, Some((Fourcc::MJPG, (64, 48), per(30))));
    assert_eq!((stream.size(), stream.frame_rate()), ((32, 24), 7.5));
    let seen = picture(&model, &mut stream, &packed(Fourcc::NV12, 32, 24, 0));
    assert!(seen == Some(expected(32, 24)));
}

#[test]
fn a_camera_with_one_rate_is_opened_with_it() {
    for refusal in [Errno::NOTTY, Errno::INVAL] {
        let sizes = vec![Sizes::Discrete((64, 48))];
        let model = Model::new(vec![(Fourcc::YUYV, sizes, vec![Intervals::Discrete(per(25))])]);
        model.state().parm = Some(Err(refusal));
        assert_eq!(open(&model).frame_rate(), 25.0);
    }
}

#[test]
fn what_cannot_be_opened_says_why_and_what_to_do() {
    let refusal = |model: &Model| {
        let driver = model.open().unwrap();
        Stream::open(driver, &CameraConfig::default()).err().expect("it is refused")
    };
    for (call, errno, words) in [
        ("s_fmt", Errno::BUSY, "close what else uses it"),
        ("streamon", Errno::NOSPC, "smaller size"),
        ("reqbufs", Errno::NOMEM, "has no buffers"),
        ("enum_fmt", Errno::NODEV, "pulled out"),
        ("s_parm", Errno::IO, "takes no frame rate"),
    ] {
        let model = small(Fourcc::YUYV);
        model.fail(call, errno);
        let said = refusal(&model);
        assert!(said.contains(words), "{said}");
        assert_eq!(model.state().open, 0, "it is closed");
    }
    let model = Model::new(vec![(Fourcc(*b"H264"), Vec::new(), Vec::new())]);
    assert!(refusal(&model).contains("H264"));
    let model = small(Fourcc::YUYV);
    model.state().buffers = 0;
    assert!(refusal(&model).contains("0 buffers"));
    for (format, size) in [(Fourcc::YUYV, (64, 8)), (Fourcc(*b"BGR3"), (64, 48))] {
        let model = small(Fourcc::YUYV);
        model.state().layout = Some(Layout { format, size, bytes_per_row: 0, full_range: false });
        assert!(refusal(&model).contains("which is not read"));
    }
}

#[test]
fn of_all_that_is_filled_the_newest_is_read_and_all_go_back() {
    let model = small(Fourcc::YU12);
    let mut stream = open(&model);
    for luma in [10, 20, 30] {
        model.fill(&[luma; 64 * 72]);
    }
    model.fill_as(&[40; 64 * 72], |filled| filled.damaged = true);
    let seen = stream.handle(Ready::Filled).unwrap().unwrap();
    assert_eq!(seen.planes[0], 30);
    assert_eq!(stream.tally(), Tally { superseded: 2, damaged: 1, restarts: 0 });
    assert_eq!(model.state().queued.len(), 4);
    assert_eq!(stream.handle(Ready::Filled).unwrap().map(|picture| picture.age), None);
}

#[test]
fn an_error_begins_anew_and_with_no_picture_in_between_not_a_fourth_time() {
    let model = small(Fourcc::YU12);
    let mut stream = open(&model);
    let whole = [50; 64 * 72];
    // As often as it likes, if there are pictures in between.
    for round in 1..=10 {
        model.fail("dqbuf", Errno::IO);
        assert!(stream.handle(Ready::Filled).unwrap().is_none());
        assert_eq!((stream.tally().restarts, model.state().starts), (round, round as u32 + 1));
        assert!(picture(&model, &mut stream, &whole).is_some());
    }
    let anew: [fn(&Model) -> Ready; 3] = [
        |_| Ready::Silent,
        |_| Ready::Error,
        |model| {
            model.fail("dqbuf", Errno::IO);
            Ready::Error
        },
    ];
    for ready in anew {
        let ready = ready(&model);
        assert!(stream.handle(ready).unwrap().is_none());
    }
    assert_eq!(stream.tally().restarts, 13, "one for each");
    let Lost(reason) = stream.handle(Ready::Silent).expect_err("it is lost");
    assert!(reason.contains("gives nothing"), "{reason}");
}

#[test]
fn a_driver_that_cries_wolf_is_begun_anew() {
    let model = small(Fourcc::YU12);
    let mut stream = open(&model);
    let times = (0..1_000).take_while(|_| stream.handle(Ready::Filled).is_ok()).count();
    assert!((100..1_000).contains(&times), "{times}");
    assert_eq!(stream.tally().restarts, 3);
}

#[test]
fn pulled_out_it_is_lost_at_whichever_call_it_is_heard() {
    for call in ["dqbuf", "qbuf"] {
        let model = small(Fourcc::YU12);
        let mut stream = open(&model);
        model.fill(&[50; 64 * 72]);
        model.fail(call, Errno::NODEV);
        let lost = stream.handle(Ready::Filled).err();
        assert_eq!(lost, Some(Lost("it was pulled out".to_owned())), "{call}");
    }
    for call in ["streamoff", "qbuf", "streamon"] {
        let model = small(Fourcc::YU12);
        let mut stream = open(&model);
        model.fail(call, Errno::NODEV);
        let lost = stream.handle(Ready::Silent).err();
        assert_eq!(lost, Some(Lost("it was pulled out".to_owned())), "{call}");
    }
    let model = small(Fourcc::YU12);
    assert!(open(&model).handle(Ready::Hangup).is_err());
}

#[test]
fn an_index_that_no_buffer_has_loses_the_camera() {
    let model = small(Fourcc::YU12);
    let mut stream = open(&model);
    model.fill_as(&[50; 64 * 72], |filled| filled.index = 4);
    assert!(stream.handle(Ready::Filled).is_err());
}

#[test]
fn an_age_that_cannot_be_is_none() {
    let model = small(Fourcc::YU12);
    let mut stream = open(&model);
    for (said, believed) in [(40, 40), (1_000, 1_000), (1_001, 0), (u64::MAX, 0)] {
        model.fill_as(&[50; 64 * 72], |filled| filled.age = Duration::from_millis(said));
        let Picture { age, .. } = stream.handle(Ready::Filled).unwrap().unwrap();
        assert_eq!(age, Duration::from_millis(believed));
    }
}

#[test]
fn pictures_are_written_where_others_were_that_nobody_has() {
    let model = small(Fourcc::YU12);
    let mut stream = open(&model);
    let mut at = Vec::new();
    for _ in 0..20 {
        model.fill(&[50; 64 * 72]);
        at.push(stream.handle(Ready::Filled).unwrap().unwrap().planes.as_ptr());
    }
    assert!(at.iter().all(|place| *place == at[0]));
}

#[derive(Clone, Debug)]
enum Deed {
    Fail(&'static str, Errno),
    Fill { data: usize, damaged: bool },
    Handle(Ready),
}

fn any_deed() -> impl Strategy<Value = Deed> {
    let calls = prop::sample::select(vec!["dqbuf", "qbuf", "streamoff", "streamon"]);
    let errors = prop::sample::select(vec![Errno::IO, Errno::INVAL, Errno::AGAIN, Errno::PIPE]);
    let readies =
        prop::sample::select(vec![Ready::Filled, Ready::Filled, Ready::Error, Ready::Silent]);
    prop_oneof![
        1 => (calls, errors).prop_map(|(call, errno)| Deed::Fail(call, errno)),
        4 => (0..5_000_usize, any::<bool>()).prop_map(|(data, damaged)| Deed::Fill { data, damaged }),
        4 => readies.prop_map(Deed::Handle),
    ]
}

proptest! {
    /// Whatever a driver does, until the camera is lost.
    #[test]
    fn no_buffer_is_lost_given_twice_or_read_while_the_driver_has_it(
        deeds in prop::collection::vec(any_deed(), 0..60),
        jpeg in any::<bool>(),
    ) {
        let model = small(if jpeg { Fourcc::MJPG } else { Fourcc::YU12 });
        let mut stream = open(&model);
        for deed in deeds {
            match deed {
                Deed::Fail(call, errno) => model.fail(call, errno),
                Deed::Fill { data, damaged } => {
                    model.fill_as(&vec![7; data], |filled| filled.damaged = damaged);
                }
                Deed::Handle(ready) => {
                    let lost = stream.handle(ready).is_err();
                    let state = model.state();
                    prop_assert_eq!(&state.violations, &Vec::<String>::new());
                    if lost {
                        break;
                    }
                    let silent = state.failures.is_empty();
                    drop(state);
                    // With nothing wrong any more the driver has them all.
                    if silent && stream.handle(Ready::Filled).is_ok() {
                        prop_assert_eq!(model.state().queued.len(), 4);
                    }
                }
            }
        }
    }
}
