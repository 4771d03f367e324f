//! Devices, by way of `cpal`.

use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, Data, DeviceId, ErrorKind, HostId, I24, SampleFormat, StreamConfig,
    SupportedBufferSize, SupportedStreamConfigRange, U24,
};
use paceline_types::{Device, DeviceKind};
use tracing::debug;

use super::conversion::Conversion;
use super::drain::Drain;
use super::feed::Feed;
use super::{LoudspeakerConfig, LoudspeakerError, pair};

/// A device that plays what its feed is given. It stops when this is dropped.
pub(super) struct Playing {
    pub(super) feed: Feed,
    pub(super) id: String,
    pub(super) gone: Gone,
    end: Sender<()>,
}

/// Why it is gone, once it is.
pub(super) type Gone = Arc<OnceLock<String>>;

impl Drop for Playing {
    fn drop(&mut self) {
        // Its thread has ended already if the device is gone.
        let _ = self.end.send(());
    }
}

/// Runs `ask` on a thread of its own: a sound server that hangs keeps that, not who calls.
fn within<T: Send + 'static>(
    limit: Duration,
    id: &str,
    ask: impl FnOnce(&dyn Fn(Result<T, LoudspeakerError>) -> bool) + Send + 'static,
) -> Result<T, LoudspeakerError> {
    let (tell, told) = sync_channel(1);
    let unavailable = |reason: String| LoudspeakerError::Unavailable { id: id.to_owned(), reason };
    thread::Builder::new()
        .name("loudspeaker".to_owned())
        .spawn(move || ask(&|answer| tell.send(answer).is_ok()))
        .map_err(|error| unavailable(format!("no thread can be started: {error}")))?;
    told.recv_timeout(limit).unwrap_or_else(|_| {
        Err(unavailable(format!("the system did not answer within {limit:?}: restart its sound")))
    })
}

/// Those that are there.
pub(super) fn list(limit: Duration) -> Result<Vec<Device>, LoudspeakerError> {
    within(limit, DEFAULT, |answer| {
        answer(present(&usual_host()).map_err(|error| unavailable(DEFAULT, &error)));
    })
}

/// Opens one and lets it play.
pub(super) fn open(
    id: Option<&str>,
    config: LoudspeakerConfig,
) -> Result<Playing, LoudspeakerError> {
    let (end, ended) = channel();
    let (limit, wanted) = (config.open_timeout, id.map(str::to_owned));
    let on_gone = end.clone();
    let opened = within(limit, id.unwrap_or(DEFAULT), move |answer| {
        match start(wanted.as_deref(), &config, &on_gone) {
            Ok((stream, feed, id, gone)) => {
                if answer(Ok((feed, id, gone))) {
                    stay(&ended);
                }
                drop(stream);
            }
            Err(error) => {
                answer(Err(error));
            }
        }
    });
    match opened {
        Ok((feed, id, gone)) => Ok(Playing { feed, id, gone, end }),
        Err(error) => {
            // One that opens too late is not kept.
            let _ = end.send(());
            Err(error)
        }
    }
}

/// Until who owns the loudspeaker drops it, or the device is gone: some say so again and again
/// as long as they are held.
fn stay(ended: &Receiver<()>) {
    let _ = ended.recv();
}

type Started = (cpal::Stream, Feed, String, Gone);

fn start(
    id: Option<&str>,
    config: &LoudspeakerConfig,
    end: &Sender<()>,
) -> Result<Started, LoudspeakerError> {
    let (device, id) = find(id)?;
    let failed = |error: cpal::Error| unavailable(&id, &error);
    let shape = shape(&device, config.period).map_err(failed)?;
    let conversion = (shape.config.sample_rate != RATE)
        .then(|| Conversion::to(shape.config.sample_rate).ok_or(shape.config.sample_rate))
        .transpose()
        .map_err(|rate| LoudspeakerError::Unavailable {
            id: id.clone(),
            reason: format!("it plays at {rate} Hz only: choose another"),
        })?;
    let gone = Gone::default();
    let (feed, drain) = pair(now(), shape.config.sample_rate, config, conversion);
    let stream = device
        .build_output_stream_raw(
            shape.config,
            shape.format,
            on_data(drain, shape.config.channels),
            on_error(id.clone(), gone.clone(), end.clone()),
            Some(config.open_timeout),
        )
        .map_err(failed)?;
    stream.play().map_err(failed)?;
    debug!(%id, rate = shape.config.sample_rate, format = %shape.format, "loudspeaker plays");
    Ok((stream, feed, id, gone))
}

fn on_data(
    mut drain: Drain,
    channels: u16,
) -> impl FnMut(&mut Data, &cpal::OutputCallbackInfo) + Send + 'static {
    move |data, info| {
        let times = info.timestamp();
        let later = times.playback.saturating_duration_since(times.callback);
        let channels = usize::from(channels);
        macro_rules! fill {
            ($($format:ident => $sample:ty),*) => {
                match data.sample_format() {
                    $(SampleFormat::$format => {
                        if let Some(samples) = data.as_slice_mut::<$sample>() {
                            drain.fill(now(), later, samples, channels);
                        }
                    })*
                    // No other was asked for; it is silent already.
                    _ => {}
                }
            };
        }
        fill!(
            F32 => f32, F64 => f64, I8 => i8, I16 => i16, I24 => I24, I32 => i32, I64 => i64,
            U8 => u8, U16 => u16, U24 => U24, U32 => u32, U64 => u64
        );
    }
}

fn on_error(id: String, gone: Gone, end: Sender<()>) -> impl FnMut(cpal::Error) + Send + 'static {
    move |error| match error.kind() {
        // It plays on.
        ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied | ErrorKind::Xrun => {
            debug!(%id, %error, "loudspeaker");
        }
        _ => {
            if gone.set(error.to_string()).is_ok() {
                debug!(%id, %error, "loudspeaker is gone");
                let _ = end.send(());
            }
        }
    }
}

/// The device of that id, or the default one.
fn find(id: Option<&str>) -> Result<(cpal::Device, String), LoudspeakerError> {
    let failed = |error: cpal::Error| unavailable(id.unwrap_or(DEFAULT), &error);
    let Some(wanted) = id else {
        let device = usual_host().default_output_device();
        let device = device.ok_or_else(|| LoudspeakerError::Unavailable {
            id: DEFAULT.to_owned(),
            reason: "the system has no loudspeaker: connect one, or start a sound server"
                .to_owned(),
        })?;
        let id = device.id().map_err(failed)?.to_string();
        return Ok((device, id));
    };
    if let Ok(parsed) = wanted.parse::<DeviceId>() {
        let host = host(parsed.host()).map_err(failed)?;
        let found = host.device_by_id(&parsed).filter(DeviceTrait::supports_output);
        if let Some(device) = found {
            return Ok((device, wanted.to_owned()));
        }
    }
    let present = present(&usual_host()).map_err(failed)?;
    Err(LoudspeakerError::UnknownDevice { id: wanted.to_owned(), present })
}

/// By the id of its system.
fn host(id: HostId) -> Result<Arc<cpal::Host>, cpal::Error> {
    let usual = usual_host();
    if usual.id() == id { Ok(usual) } else { cpal::host_from_id(id).map(Arc::new) }
}

/// PulseAudio if its server answers, else what the system has. One connection to a server for
/// all: each that is closed leaves a thread and a socket behind, for nobody tells the thread
/// (`pulseaudio` 0.3.2, `client/reactor.rs`). One whose server has ended is made anew.
fn usual_host() -> Arc<cpal::Host> {
    static KEPT: Mutex<Option<Arc<cpal::Host>>> = Mutex::new(None);
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(host) = kept.as_ref().filter(|host| host.output_devices().is_ok()) {
        return Arc::clone(host);
    }
    let host = Arc::new(cpal::default_host());
    // ALSA has no connection, and a server may come.
    *kept = (host.id().to_string() != "alsa").then(|| Arc::clone(&host));
    host
}

fn present(host: &cpal::Host) -> Result<Vec<Device>, cpal::Error> {
    let usual = host.default_output_device().and_then(|device| device.id().ok());
    let devices = host.output_devices()?.filter_map(|device| {
        let id = device.id().ok()?;
        let name = device.description().ok()?.name().to_owned();
        let is_default = usual.as_ref() == Some(&id);
        // ALSA lists what leads to no device too, as its rate converters. By its id each opens.
        let of_alsa = id.host().to_string() == "alsa" && !id.id().contains(':');
        if of_alsa && !ALSA_DEVICES.contains(&id.id()) && !is_default {
            return None;
        }
        let (id, kind) = (id.to_string(), DeviceKind::Loudspeaker);
        Some(Device { kind, id, name, is_default, size: None })
    });
    Ok(devices.collect())
}

/// How a device is to be opened.
struct Shape {
    config: StreamConfig,
    format: SampleFormat,
}

/// With the channels that it has, at 48 kHz if it can, in the format that loses the least.
fn shape(device: &cpal::Device, period: Duration) -> Result<Shape, cpal::Error> {
    let usual = device.default_output_config()?;
    let fits = |range: &SupportedStreamConfigRange| {
        range.channels() == usual.channels()
            && range.contains_rate(RATE)
            && FORMATS.contains(&range.sample_format())
    };
    let rank = |range: &SupportedStreamConfigRange| {
        FORMATS.iter().position(|&format| format == range.sample_format())
    };
    let best = device.supported_output_configs()?.filter(fits).min_by_key(rank);
    let chosen = best.and_then(|range| range.try_with_sample_rate(RATE)).unwrap_or(usual);
    if !FORMATS.contains(&chosen.sample_format()) {
        let reason = format!("it takes {} only: choose another", chosen.sample_format());
        return Err(cpal::Error::with_message(ErrorKind::UnsupportedConfig, reason));
    }
    let mut config = chosen.config();
    config.buffer_size = match chosen.buffer_size() {
        SupportedBufferSize::Range { min, max } if min <= max => {
            let frames = period.as_secs_f64() * f64::from(config.sample_rate);
            BufferSize::Fixed((frames.round() as u32).clamp(*min, *max))
        }
        _ => BufferSize::Default,
    };
    Ok(Shape { config, format: chosen.sample_format() })
}

fn unavailable(id: &str, error: &cpal::Error) -> LoudspeakerError {
    LoudspeakerError::Unavailable { id: id.to_owned(), reason: error.to_string() }
}

/// When a device takes sound, and when it is given some.
#[expect(clippy::disallowed_methods, reason = "a device has a clock of its own")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// What an error calls the device that was to be opened without an id.
const DEFAULT: &str = "default";

/// Those without a card in their name that do lead to one.
const ALSA_DEVICES: [&str; 3] = ["default", "pipewire", "sysdefault"];

/// The clock of all sound here (RFC 7587 §4.1).
const RATE: u32 = 48_000;

/// The formats that are filled, from the one that loses the least.
const FORMATS: [SampleFormat; 12] = [
    SampleFormat::F32,
    SampleFormat::F64,
    SampleFormat::I32,
    SampleFormat::I24,
    SampleFormat::I16,
    SampleFormat::U32,
    SampleFormat::U24,
    SampleFormat::U16,
    SampleFormat::I64,
    SampleFormat::U64,
    SampleFormat::I8,
    SampleFormat::U8,
];
