//! A screen and a microphone, from the device to the others' programs.
#![allow(clippy::disallowed_methods, reason = "a test is at the edge, where clocks are")]

#[path = "../../crates/capture/tests/desktop/mod.rs"]
mod desktop;
mod programs;
#[path = "../../crates/capture/tests/pulse/mod.rs"]
mod pulse;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use paceline::capture::clapper::{self, Mark};
use paceline::capture::{Screen, ScreenConfig};
use paceline::types::{DeviceKind, MixInfo, NtpTime, Rect, SenderId, StreamId};
use paceline::{AudioInput, Config, Event, LocalStream, Publish, Room, VideoInput};
use paceline_signaling::{Server, ServerConfig};

use self::desktop::Desktop;
use self::programs::{CALL, json, start};
use self::pulse::{level, sine, with_pulse};

/// How long anything may take before it has hung.
const WATCHDOG: Duration = Duration::from_secs(60);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(WATCHDOG, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen"),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads")
}

/// A room with a host who publishes that, and a member who publishes nothing.
async fn room(publish: Publish) -> (Server, Room, Room) {
    let server = Server::bind(([127, 0, 0, 1], 0).into(), ServerConfig::default()).await;
    let server = server.expect("a free port");
    let url = server.url("share");
    // A tone that does not change is a noise to whoever waits for a voice.
    let join = |name| Room::builder(&url).name(name).config(Config::default().voice(None));
    let host = join("Ada").publish(publish).join().await.expect("she joins");
    let member = join("Ben").join().await.expect("he joins");
    (server, host, member)
}

/// The next event that is looked for.
async fn until<T>(what: &str, room: &mut Room, mut found: impl FnMut(Event) -> Option<T>) -> T {
    within(what, async {
        loop {
            let event = room.next().await.expect("the room goes on");
            if let Some(found) = found(event) {
                return found;
            }
        }
    })
    .await
}

/// Takes events for nothing, so that they do not pile up, until told to stop.
async fn drain(room: &mut Room, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        let _ = tokio::time::timeout(Duration::from_millis(20), room.next()).await;
    }
}

fn tile_of(info: &MixInfo, sender: SenderId) -> Option<Rect> {
    info.sources.iter().find(|source| source.sender == sender).map(|source| source.tile)
}

/// The number of the newest picture is in the window itself: who sees it has been sent what
/// was drawn, wherever the window was moved.
#[test]
fn a_window_that_moves_is_seen_by_the_others_as_it_was_drawn() {
    let Some(desktop) = Desktop::start(1_280, 720) else { return };
    let board = desktop.board(40, 30, 640, 360);
    board.show_number(1);
    let config = ScreenConfig::default().display(desktop.display());
    let source = Screen::window(&board.id(), config).expect("it is there");
    runtime().block_on(async {
        let publish = Publish::default().video(VideoInput::Source(Box::new(source)));
        let (_server, mut host, mut member) = room(publish).await;
        let sender = host.sender();
        let stop = AtomicBool::new(false);
        let watch = async {
            let (mut tile, mut seen) = (None, BTreeSet::new());
            for number in 2..=12_u16 {
                board.move_to(40 + 30 * number as i16, 30 + 10 * number as i16);
                board.show_number(number);
                until("the number that is drawn", &mut member, |event| match event {
                    Event::MixInfo(info) => {
                        tile = tile_of(&info, sender);
                        None
                    }
                    Event::Picture(picture) => {
                        let mark = clapper::read(&picture.frame, tile?)?;
                        seen.insert(mark.frame);
                        (mark.frame == number).then_some(())
                    }
                    _ => None,
                })
                .await;
            }
            stop.store(true, Ordering::Release);
            seen
        };
        let (seen, ()) = tokio::join!(watch, drain(&mut host, &stop));
        assert!(seen.iter().all(|number| (1..=12).contains(number)), "{seen:?}");

        // One that is closed does not come back, and the call goes on.
        board.destroy();
        let said = until("that it is closed", &mut host, |event| match event {
            Event::Warning(text) => Some(text),
            _ => None,
        });
        let said = said.await;
        assert!(said.contains("window") && said.contains("gone"), "{said}");
        assert_eq!(host.local_stream(StreamId::VIDEO), LocalStream::Null);
        host.start_video(VideoInput::Test).await.expect("another can be started");
        assert_eq!(host.local_stream(StreamId::VIDEO), LocalStream::Active);
        within("leaving", async { tokio::join!(member.leave(), host.leave()) }).await;
    });
}

/// A screen that does not change is sent seldom, and who comes late sees it all the same.
#[test]
fn a_still_screen_is_sent_seldom_and_who_comes_late_sees_it() {
    let Some(desktop) = Desktop::start(640, 360) else { return };
    let board = desktop.board(0, 0, 640, 360);
    board.show_mark(Mark { frame: 77, capture: NtpTime::default() });
    let config = ScreenConfig::default().display(desktop.display()).cursor(false);
    let source = Screen::open(None, config).expect("it is there");
    runtime().block_on(async {
        let (server, mut host, mut member) = room(Publish::default()).await;
        let began = Instant::now();
        let input = VideoInput::Source(Box::new(source));
        member.start_video(input).await.expect("it is open");
        let stop = AtomicBool::new(false);
        let sender = member.sender();
        let watch = async {
            let url = server.url("share");
            for name in ["Cem", "Dora", "Eli"] {
                let mut late = Room::builder(&url).name(name).join().await.expect("joins");
                let mut tile = None;
                until("the still picture", &mut late, |event| match event {
                    Event::MixInfo(info) => {
                        tile = tile_of(&info, sender);
                        None
                    }
                    Event::Picture(picture) => clapper::read(&picture.frame, tile?)
                        .filter(|mark| mark.frame == 77)
                        .map(drop),
                    _ => None,
                })
                .await;
                late.leave().await;
            }
            // Long enough that copies of it would be many.
            tokio::time::sleep(Duration::from_secs(3)).await;
            stop.store(true, Ordering::Release);
        };
        tokio::join!(watch, drain(&mut host, &stop), drain(&mut member, &stop));
        let encoded = member.stats().await.media.video_encoded;
        let moving = began.elapsed().as_secs_f64() * 30.0;
        assert!(encoded > 0 && (encoded as f64) < moving / 4.0, "{encoded} of {moving}");

        // He comes to the front, and his screen, still as it is, is in his own mix.
        host.hand_over().await;
        stop.store(false, Ordering::Release);
        let watch = async {
            let (mut tile, mut front) = (None, None);
            until("his screen in his own mix", &mut host, |event| match event {
                Event::HostChanged { us: false, epoch, .. } => {
                    front = Some(epoch);
                    None
                }
                Event::MixInfo(info) => {
                    tile = tile_of(&info, sender);
                    None
                }
                Event::Picture(picture) if Some(picture.epoch) == front => {
                    clapper::read(&picture.frame, tile?).filter(|mark| mark.frame == 77).map(drop)
                }
                _ => None,
            })
            .await;
            stop.store(true, Ordering::Release);
        };
        tokio::join!(watch, drain(&mut member, &stop));
        within("leaving", async { tokio::join!(member.leave(), host.leave()) }).await;
    });
}

/// How loud a tone is in 200 ms of what a member hears; `None` when nothing comes.
async fn loudness(room: &mut Room, hz: f64) -> f64 {
    let mut samples = Vec::new();
    until("sound", room, |event| {
        if let Event::Sound(sound) = event {
            samples.extend_from_slice(&sound.frame.samples);
        }
        (samples.len() >= 9_600).then_some(())
    })
    .await;
    level(&samples, hz, 48_000)
}

#[test]
fn a_microphone_is_heard_by_the_others_and_comes_back_after_it_was_pulled_out() {
    with_pulse(
        "a_microphone_is_heard_by_the_others_and_comes_back_after_it_was_pulled_out",
        |pulse| {
            let module = pulse.null_sink("room", 48_000, 1);
            let ear_module = pulse.null_sink("ear", 48_000, 2);
            let tone = sine(440.0, 0.3, 48_000, 120.0);
            let playing = pulse.play("room", 48_000, 1, &tone);
            let microphones = paceline::devices(DeviceKind::Microphone).expect("they are listed");
            let id = microphones.iter().find(|device| device.id.contains("room"));
            let id = id.expect("the monitor is among them").id.clone();
            let loudspeakers = paceline::devices(DeviceKind::Loudspeaker).expect("they are listed");
            let ear = loudspeakers.iter().find(|device| device.id.contains("ear"));
            let ear = ear.expect("the sink is among them").id.clone();
            runtime().block_on(async {
                let publish = Publish::default().audio(AudioInput::Microphone(Some(id)));
                let (_server, mut host, mut member) = room(publish).await;
                member.start_loudspeaker(Some(ear)).await.expect("it opens");
                let stop = AtomicBool::new(false);
                let listen = async {
                    while loudness(&mut member, 440.0).await < 0.02 {}
                    // It is played too.
                    let heard = tokio::task::block_in_place(|| {
                        let mut recording = pulse.record("ear.monitor", 48_000, 1);
                        (0..50)
                            .map(|_| level(&recording.take(9_600), 440.0, 48_000))
                            .any(|l| l > 0.02)
                    });
                    assert!(heard, "the loudspeaker is silent");
                    stop.store(true, Ordering::Release);
                };
                tokio::join!(listen, drain(&mut host, &stop));

                host.set_muted(StreamId::AUDIO, true).await;
                assert_eq!(host.local_stream(StreamId::AUDIO), LocalStream::Inactive);
                until("that it is off", &mut member, |event| match event {
                    Event::TrackState { stream: StreamId::AUDIO, enabled: false, .. } => Some(()),
                    _ => None,
                })
                .await;
                host.set_muted(StreamId::AUDIO, false).await;
                until("that it is on", &mut member, |event| match event {
                    Event::TrackState { stream: StreamId::AUDIO, enabled: true, .. } => Some(()),
                    _ => None,
                })
                .await;

                // As long as there is another source, the server takes that one instead.
                drop(playing);
                member.stop_loudspeaker();
                tokio::task::block_in_place(|| {
                    pulse.unload(ear_module);
                    pulse.unload(module);
                });
                until("that it is gone", &mut host, |event| match event {
                    Event::DeviceGone { kind: DeviceKind::Microphone, .. } => Some(()),
                    _ => None,
                })
                .await;
                let _playing = tokio::task::block_in_place(|| {
                    pulse.null_sink("room", 48_000, 1);
                    pulse.play("room", 48_000, 1, &tone)
                });
                until("that it is back", &mut host, |event| match event {
                    Event::DeviceBack { kind: DeviceKind::Microphone } => Some(()),
                    _ => None,
                })
                .await;
                stop.store(false, Ordering::Release);
                let listen = async {
                    while loudness(&mut member, 440.0).await < 0.02 {}
                    stop.store(true, Ordering::Release);
                };
                tokio::join!(listen, drain(&mut host, &stop));
                let stats = host.stats().await;
                assert_eq!(stats.media.devices_gone, 1);
                within("leaving", async { tokio::join!(member.leave(), host.leave()) }).await;
            });
        },
    );
}

#[test]
fn a_loudspeaker_that_was_pulled_out_plays_again_when_it_is_back() {
    with_pulse("a_loudspeaker_that_was_pulled_out_plays_again_when_it_is_back", |pulse| {
        let module = pulse.null_sink("ear", 48_000, 2);
        let is_played = || {
            let mut recording = pulse.record("ear.monitor", 48_000, 1);
            (0..100).map(|_| level(&recording.take(9_600), 440.0, 48_000)).any(|l| l > 0.02)
        };
        runtime().block_on(async {
            let publish = Publish::default().audio(AudioInput::Tone);
            let (_server, mut host, mut member) = room(publish).await;
            member.start_loudspeaker(None).await.expect("it opens");
            // The rooms' own threads play while nobody takes events.
            assert!(tokio::task::block_in_place(is_played), "it is silent");
            tokio::task::block_in_place(|| pulse.unload(module));
            until("that it is gone", &mut member, |event| match event {
                Event::DeviceGone { kind: DeviceKind::Loudspeaker, .. } => Some(()),
                _ => None,
            })
            .await;
            tokio::task::block_in_place(|| pulse.null_sink("ear", 48_000, 2));
            until("that it is back", &mut member, |event| match event {
                Event::DeviceBack { kind: DeviceKind::Loudspeaker } => Some(()),
                _ => None,
            })
            .await;
            assert!(tokio::task::block_in_place(is_played), "it stays silent");
            // Another source, without a gap in the numbers, and no loudspeaker any more.
            host.switch_audio(AudioInput::Silence).await.expect("it is there");
            while loudness(&mut member, 440.0).await > 0.02 {}
            member.stop_loudspeaker();
            assert_eq!(member.stats().await.loudspeaker, None);
            within("leaving", async { tokio::join!(member.leave(), host.leave()) }).await;
        });
    });
}

/// The program as a person runs it: of three people one shows the screen and speaks into the
/// microphone, and the others see and hear him by the marks in both.
#[test]
fn a_screen_and_a_microphone_are_in_the_call_of_the_program() {
    with_pulse("a_screen_and_a_microphone_are_in_the_call_of_the_program", |pulse| {
        let Some(desktop) = Desktop::start(1_280, 720) else { return };
        let board = desktop.board(100, 100, 320, 180);
        board.show_number(1);
        let display = format!("DISPLAY={}", desktop.display());
        pulse.null_sink("room", 48_000, 1);
        pulse.null_sink("ear", 48_000, 2);
        pulse.pactl(&["set-default-sink", "ear"]);
        // A monitor is no microphone, unless somebody says so.
        pulse.load("module-remap-source master=room.monitor source_name=mic");
        pulse.pactl(&["set-default-source", "mic"]);
        let _playing = pulse.play("room", 48_000, 1, &sine(300.0, 0.1, 48_000, 60.0));
        let line = ["env", &display, CALL, "--video", "screen", "--audio", "mic", "--host", "1"];
        let options = ["--duration", "12", "--json"];
        let report = json(&start(&[&line[..], &options].concat()).finish());
        assert_eq!(report["errors"], serde_json::json!([]), "{report}");
        // Ben is viewed, so he is the person at this machine.
        let people = report["people"].as_array().expect("each tells what he saw");
        let cem = people.iter().find(|person| person["name"] == "Cem").expect("he was a guest");
        let ben = cem["of"].as_array().expect("by person").iter().find(|of| of["name"] == "Ben");
        let ben = ben.unwrap_or_else(|| panic!("he saw nothing of Ben: {report}"));
        assert!(ben["pictures"].as_u64() > Some(0), "{report}");
        assert!(ben["sounds"].as_u64() > Some(0), "{report}");
        let sources = report["sources"].as_array().expect("each tells what he sent");
        let ben = sources.iter().find(|source| source["name"] == "Ben").expect("he did");
        // On a machine with other work it may be smaller, and has the same shape.
        let side = |index: usize| ben["video"]["size"][index].as_f64().expect("two sides");
        assert!((side(0) / side(1) - 16.0 / 9.0).abs() < 0.05, "{report}");
        assert_eq!(ben["devices_gone"], 0, "{report}");
        assert!(ben["loudspeaker"].is_object(), "{report}");
    });
}

#[test]
fn devices_are_listed_for_a_person_and_for_a_program() {
    let Some(desktop) = Desktop::start(640, 480) else { return };
    let board = desktop.board(0, 0, 320, 180);
    board.set_title(b"two \x1b[31mwords");
    let display = format!("DISPLAY={}", desktop.display());
    let listed = start(&["env", &display, CALL, "--list-devices"]).finish();
    let listed = String::from_utf8(listed.stdout).expect("it is text");
    assert!(listed.contains("screens (--video screen:ID)"), "{listed}");
    assert!(listed.contains(&board.id()), "{listed}");
    assert!(!listed.contains('\u{1b}'), "{listed:?}");
    // One that is not there is an error which says what is.
    let line = ["env", &display, CALL, "--video", "window:0x1", "--duration", "1"];
    let unknown = start(&line).finish();
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert_eq!(unknown.status.code(), Some(1), "{said}");
    assert!(said.contains("there is no window 0x1: there are"), "{said}");
    assert!(said.contains(&board.id()), "{said}");
    let listed = json(&start(&["env", &display, CALL, "--list-devices", "--json"]).finish());
    let devices = listed["devices"].as_array().expect("a list");
    let window = devices.iter().find(|device| device["id"] == board.id().as_str());
    assert_eq!(window.expect("it is there")["size"], serde_json::json!([320, 180]));
}
