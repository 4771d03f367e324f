//! The device that is open, on a thread of its own.
//!
//! A stream of cpal may have to be dropped where it was made; starting one waits for its
//! first samples, and ending one for its server. None of these may hold up whoever reads.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{
    BufferSize, ErrorKind, FromSample, I24, InputCallbackInfo, SampleFormat, SizedSample,
    StreamConfig, SupportedBufferSize,
};

use super::MicrophoneConfig;
use super::device::{DEFAULT, choose, find, hangs, unavailable};
use super::ring::{Inlet, Outlet, Shared, rings};
use crate::CaptureError;

/// A device that gives samples until this is dropped, or it fails: then it is closed at once.
#[derive(Debug)]
pub(super) struct Stream {
    /// Tells the thread to end.
    end: Sender<()>,
    ended: Receiver<()>,
    close_timeout: Duration,
}

/// What was opened, and where its samples come out.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) id: String,
    pub(super) rate: u32,
    pub(super) channels: u16,
    pub(super) shared: Arc<Shared>,
    pub(super) outlet: Outlet,
}

impl Stream {
    pub(super) fn open(
        id: Option<&str>,
        config: &MicrophoneConfig,
    ) -> Result<(Self, Opened), CaptureError> {
        let (tell, told) = mpsc::sync_channel(1);
        let (end, until) = mpsc::channel();
        let (close, ended) = mpsc::channel();
        let on_failure = end.clone();
        let (asked, wanted, limits) = (id.unwrap_or(DEFAULT), id.map(str::to_owned), *config);
        let thread = thread::Builder::new().name("microphone".to_owned()).spawn(move || {
            // Dropped last: it says that the device is closed.
            let _close: Sender<()> = close;
            match start(wanted.as_deref(), &limits, &on_failure) {
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
                Ok((held, opened)) => {
                    let shared = Arc::clone(&opened.shared);
                    // Whoever asked may have given up.
                    if tell.send(Ok(opened)).is_ok() {
                        hold(&held, &shared, &until);
                    }
                }
            }
        });
        // It is detached: `ended` tells when it is over.
        thread.map_err(|error| unavailable(asked, &error))?;
        let opened = match told.recv_timeout(config.open_timeout) {
            Ok(opened) => opened?,
            Err(RecvTimeoutError::Timeout) => {
                // One that opens too late is not kept.
                let _ = end.send(());
                return Err(hangs(asked, config.open_timeout));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(unavailable(asked, "its thread broke off: report it"));
            }
        };
        Ok((Self { end, ended, close_timeout: config.close_timeout }, opened))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Its thread has ended already if the device failed.
        let _ = self.end.send(());
        if self.ended.recv_timeout(self.close_timeout) == Err(RecvTimeoutError::Timeout) {
            tracing::debug!("the microphone's device is slow to close");
        }
    }
}

/// The streams of cpal.
struct Held {
    stream: cpal::Stream,
    _pace: Option<cpal::Stream>,
}

/// Runs a stream until nobody wants it, or it fails: some say so again and again as long as
/// they are held, and keep their device from others.
fn hold(held: &Held, shared: &Shared, until: &Receiver<()>) {
    if let Err(error) = held.stream.play() {
        shared.fail(error.to_string());
        return;
    }
    let _ = until.recv();
}

fn start(
    id: Option<&str>,
    limits: &MicrophoneConfig,
    end: &Sender<()>,
) -> Result<(Held, Opened), CaptureError> {
    let (device, id) = find(id)?;
    let refused = |error: cpal::Error| unavailable(&id, refusal(&error));
    let ranges = device.supported_input_configs().map_err(refused)?;
    let Some((mut config, format)) = choose(ranges) else {
        return Err(unavailable(&id, "it has no sample rate and format that are read here"));
    };
    let (rate, channels) = (config.sample_rate, config.channels);
    let samples = |span: Duration| (span.as_secs_f64() * f64::from(rate)) as usize;
    let block = samples(limits.block).clamp(1, MAX_BLOCK * rate as usize);
    config.buffer_size = buffer_size(&device, block as u32);
    let pace = pace(&device, config);
    if pace.is_some() {
        config.buffer_size = buffer_size(&device, (SLACK * block) as u32);
    }
    let shared = Shared::new();
    let buffer = samples(limits.buffer.min(Duration::from_secs(MAX_BLOCK as u64)));
    let max_block = samples(limits.max_block.min(Duration::from_secs(MAX_BLOCK as u64)));
    let every = samples(MARK_EVERY);
    let (inlet, outlet) = rings(&shared, rate, usize::from(channels), buffer, max_block, every);
    let on_error = on_error(Arc::clone(&shared), end.clone());
    let limit = limits.open_timeout;
    let stream = build(&device, config, format, inlet, on_error, limit).map_err(refused)?;
    Ok((Held { stream, _pace: pace }, Opened { id, rate, channels, shared, outlet }))
}

/// A second stream of the same source that never runs, where the sound server needs it.
///
/// PulseAudio serves a source as often as the stream asks that wants the smallest blocks. Of
/// such a stream it keeps one block, as cpal asks, and drops all that comes while that has
/// not been sent. So this one asks for small blocks, and the other, which runs, for the
/// room of some. The server keeps to this one's wish although it is paused; measured, it
/// costs no blocks, and the other one's are as small as this one's.
#[cfg(target_os = "linux")]
fn pace(device: &cpal::Device, config: StreamConfig) -> Option<cpal::Stream> {
    if device.id().is_ok_and(|id| id.host() == cpal::HostId::PulseAudio) {
        // Its errors are those of the other one.
        return device.build_input_stream(config, |_: &[f32], _| (), |_| (), PACE_TIMEOUT).ok();
    }
    None
}

#[cfg(not(target_os = "linux"))]
fn pace(_: &cpal::Device, _: StreamConfig) -> Option<cpal::Stream> {
    None
}

/// The size of a block that is asked for, if the device lets it be chosen.
fn buffer_size(device: &cpal::Device, block: u32) -> BufferSize {
    match device.default_input_config().map(|config| *config.buffer_size()) {
        Ok(SupportedBufferSize::Range { min, max }) if min <= max => {
            BufferSize::Fixed(block.clamp(min, max))
        }
        _ => BufferSize::Default,
    }
}

fn build(
    device: &cpal::Device,
    config: StreamConfig,
    format: SampleFormat,
    inlet: Inlet,
    on_error: impl FnMut(cpal::Error) + Send + 'static,
    timeout: Duration,
) -> Result<cpal::Stream, cpal::Error> {
    let build = match format {
        SampleFormat::F32 => of::<f32, _>,
        SampleFormat::F64 => of::<f64, _>,
        SampleFormat::I8 => of::<i8, _>,
        SampleFormat::I16 => of::<i16, _>,
        SampleFormat::I24 => of::<I24, _>,
        SampleFormat::I32 => of::<i32, _>,
        SampleFormat::U8 => of::<u8, _>,
        SampleFormat::U16 => of::<u16, _>,
        SampleFormat::U32 => of::<u32, _>,
        _ => return Err(ErrorKind::UnsupportedConfig.into()),
    };
    build(device, config, inlet, on_error, timeout)
}

/// What is told of a stream's errors, and when the stream is to end for one.
fn on_error(shared: Arc<Shared>, end: Sender<()>) -> impl FnMut(cpal::Error) + Send + 'static {
    move |error| match error.kind() {
        // It goes on, by itself, with another device or after a hole.
        ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied | ErrorKind::Xrun => {
            shared.complain();
        }
        _ => {
            if shared.fail(error.to_string()) {
                let _ = end.send(());
            }
        }
    }
}

fn of<T, E>(
    device: &cpal::Device,
    config: StreamConfig,
    mut inlet: Inlet,
    on_error: E,
    timeout: Duration,
) -> Result<cpal::Stream, cpal::Error>
where
    T: SizedSample,
    f32: FromSample<T>,
    E: FnMut(cpal::Error) + Send + 'static,
{
    device.build_input_stream(
        config,
        move |data: &[T], info: &InputCallbackInfo| {
            let times = info.timestamp();
            let age = times.callback.saturating_duration_since(times.capture);
            let now = now();
            inlet.handle_block(data, now.checked_sub(age).unwrap_or(now));
        },
        on_error,
        Some(timeout),
    )
}

/// What the system said, and what to do where it is known.
fn refusal(error: &cpal::Error) -> String {
    let remedy = match error.kind() {
        ErrorKind::DeviceBusy => "close what else uses it, or start a sound server",
        ErrorKind::PermissionDenied => "allow it in the system's settings",
        ErrorKind::DeviceNotAvailable => "it was there: open it again when it is back",
        _ => "try another, or restart the sound server",
    };
    format!("{error}: {remedy}")
}

/// The time, where a device stamps what it gives.
#[expect(clippy::disallowed_methods, reason = "a device stamps by this machine's clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Seconds that one block may have at most: so much PulseAudio gives at a time if it is let.
const MAX_BLOCK: usize = 2;

/// Blocks that PulseAudio keeps for us: so much sound is not lost when one of us is late.
const SLACK: usize = 4;

/// A server that opened nothing in this time opens the next no sooner.
#[cfg(target_os = "linux")]
const PACE_TIMEOUT: Option<Duration> = Some(Duration::from_secs(1));

/// How often a block's time is noted: often enough for a loop of some seconds, and seldom
/// enough that blocks of one sample need no more room than others.
const MARK_EVERY: Duration = Duration::from_micros(2_500);
