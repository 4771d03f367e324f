//! The devices of the system, by cpal.

#[cfg(target_os = "linux")]
use std::panic::resume_unwind;
use std::str::FromStr;
use std::sync::mpsc;
#[cfg(target_os = "linux")]
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait};
use cpal::{Host, SampleFormat, StreamConfig, SupportedStreamConfigRange};
use paceline_types::{Device, DeviceKind};

use super::rate::RATES;
use crate::CaptureError;

/// The microphones that are there, the one that is opened when no id is given first, and
/// what records the sound of a loudspeaker (a *monitor*, by its id) last.
pub(super) fn list() -> Result<Vec<Device>, CaptureError> {
    let host = host(DEFAULT)?;
    listed(&host)
}

/// The device of an id, or the one that is marked as the default: never a monitor, with which
/// a call would be sent back to itself.
pub(super) fn find(id: Option<&str>) -> Result<(cpal::Device, String), CaptureError> {
    let unknown = |id: &str, present| CaptureError::UnknownDevice {
        kind: DeviceKind::Microphone,
        id: id.to_owned(),
        present,
    };
    let Some(id) = id else {
        let host = host(DEFAULT)?;
        let present = listed(&host)?;
        let Some(id) = present.iter().find(|device| device.is_default).map(|d| d.id.clone()) else {
            return Err(unknown(DEFAULT, present));
        };
        let called = |device: &cpal::Device| device.id().is_ok_and(|is| is.to_string() == id);
        let mut devices = host.devices().map_err(|error| unavailable(&id, &error))?;
        // Some systems know their default one by more than its id.
        let usual = host.default_input_device().filter(called);
        return match usual.or_else(|| devices.find(|device| called(device) && hears(device))) {
            Some(device) => Ok((device, id)),
            None => Err(unknown(DEFAULT, listed(&host)?)),
        };
    };
    let Ok(wanted) = cpal::DeviceId::from_str(id) else {
        return Err(unknown(id, list()?));
    };
    let host = host_of(wanted.host()).map_err(|error| unavailable(id, &error))?;
    let devices = host.devices().map_err(|error| unavailable(id, &error))?;
    // A name may be that of a loudspeaker too.
    let mut matching = devices.filter(|device| device.id().is_ok_and(|id| id == wanted));
    match matching.find(hears) {
        Some(device) => Ok((device, id.to_owned())),
        None => Err(unknown(id, listed(&host)?)),
    }
}

/// The form of a device's samples that is nearest to ours: one channel at 48 kHz.
pub(super) fn choose(
    ranges: impl Iterator<Item = SupportedStreamConfigRange>,
) -> Option<(StreamConfig, SampleFormat)> {
    let of = |range: SupportedStreamConfigRange| {
        let rank = RATES.iter().position(|&rate| range.contains_rate(rate))?;
        let format = FORMATS.iter().position(|&format| format == range.sample_format())?;
        let channels = range.channels();
        let few = (1..=MAX_CHANNELS).contains(&channels);
        few.then(|| ((rank, channels, format), range.with_sample_rate(RATES[rank])))
    };
    let (_, chosen) = ranges.filter_map(of).min_by_key(|(rank, _)| *rank)?;
    Some((chosen.config(), chosen.sample_format()))
}

/// What cannot be opened, and why.
pub(super) fn unavailable(id: &str, reason: impl ToString) -> CaptureError {
    CaptureError::Unavailable {
        kind: DeviceKind::Microphone,
        id: id.to_owned(),
        reason: reason.to_string(),
    }
}

/// Asks a sound server something on a thread of its own, as it may never answer.
pub(super) fn within<T: Send + 'static>(
    limit: Duration,
    id: &str,
    ask: impl FnOnce() -> Result<T, CaptureError> + Send + 'static,
) -> Result<T, CaptureError> {
    let (answer, wait) = mpsc::sync_channel(1);
    let asking = thread::Builder::new().name("microphones".to_owned());
    let asked = asking.spawn(move || {
        let _ = answer.send(ask());
    });
    let asked = asked.map_err(|error| unavailable(id, &error))?;
    match wait.recv_timeout(limit) {
        Ok(answer) => {
            let _ = asked.join();
            answer
        }
        Err(mpsc::RecvTimeoutError::Timeout) => Err(hangs(id, limit)),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(unavailable(id, BROKE)),
    }
}

/// It was asked and has not answered.
pub(super) fn hangs(id: &str, limit: Duration) -> CaptureError {
    unavailable(id, format!("no answer in {limit:?}: restart the sound server"))
}

/// PulseAudio if its server answers, which PipeWire's does too, else ALSA if there is a card.
#[cfg(target_os = "linux")]
fn host(id: &str) -> Result<Arc<Host>, CaptureError> {
    let pulse = match host_of(cpal::HostId::PulseAudio) {
        Ok(host) => return Ok(host),
        Err(error) => error,
    };
    let alsa = cpal::host_from_id(cpal::HostId::Alsa).map_err(|error| unavailable(id, &error))?;
    let card = |device: &Device| device.id.contains(CARD);
    let cards = listed(&alsa).is_ok_and(|present| present.iter().any(card));
    cards.then_some(Arc::new(alsa)).ok_or_else(|| {
        unavailable(
            id,
            format!(
                "there is no sound server ({pulse}) and no sound card that records: start \
                 PulseAudio (package pulseaudio) or PipeWire with its PulseAudio server (package \
                 pipewire-pulse), or set PULSE_SERVER to unix:<its socket>"
            ),
        )
    })
}

/// One connection to PulseAudio for all: each that is closed leaves a thread and a socket behind,
/// for nobody tells the thread (`pulseaudio` 0.3.2, `client/reactor.rs`). One whose server has
/// ended is made anew.
#[cfg(target_os = "linux")]
fn host_of(id: cpal::HostId) -> Result<Arc<Host>, cpal::Error> {
    static PULSE: Mutex<Option<Arc<Host>>> = Mutex::new(None);
    if id != cpal::HostId::PulseAudio {
        return cpal::host_from_id(id).map(Arc::new);
    }
    let mut kept = PULSE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(host) = kept.as_ref().filter(|host| host.devices().is_ok()) {
        return Ok(Arc::clone(host));
    }
    *kept = None;
    // Its thread is named after this one: it is nobody's microphone.
    let host = thread::scope(|scope| {
        let connect = || cpal::host_from_id(id);
        let named = thread::Builder::new().name("sound server".to_owned());
        match named.spawn_scoped(scope, connect) {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => connect(),
        }
    })?;
    let host = Arc::new(host);
    *kept = Some(Arc::clone(&host));
    Ok(host)
}

#[cfg(not(target_os = "linux"))]
fn host_of(id: cpal::HostId) -> Result<Host, cpal::Error> {
    cpal::host_from_id(id)
}

#[cfg(not(target_os = "linux"))]
fn host(_: &str) -> Result<Host, CaptureError> {
    Ok(cpal::default_host())
}

fn listed(host: &Host) -> Result<Vec<Device>, CaptureError> {
    let devices = host.devices().map_err(|error| unavailable(DEFAULT, &error))?;
    let usual = host.default_input_device().and_then(|device| device.id().ok());
    let mut present: Vec<Device> = Vec::new();
    for device in devices.filter(hears) {
        // One that went away in between is none.
        let (Ok(id), Ok(description)) = (device.id(), device.description()) else { continue };
        let is_default = usual.as_ref() == Some(&id);
        let id = id.to_string();
        let mut name = description.name().to_owned();
        if is_monitor(&id) && !name.to_lowercase().contains("monitor") {
            name = format!("Monitor of {name}");
        }
        let kind = DeviceKind::Microphone;
        present.push(Device { kind, id, name, is_default, size: None });
    }
    Ok(arranged(present))
}

/// The one that is opened when no id is given first, and alone marked as the default: the
/// system's, or any that is no monitor if it has a monitor as that. Monitors last.
fn arranged(mut present: Vec<Device>) -> Vec<Device> {
    present.sort_by_key(|device| (is_monitor(&device.id), !device.is_default));
    present.dedup_by(|a, b| a.id == b.id);
    for (place, device) in present.iter_mut().enumerate() {
        device.is_default = place == 0 && !is_monitor(&device.id);
    }
    present
}

fn is_monitor(id: &str) -> bool {
    id.ends_with(MONITOR)
}

/// Whether it records.
#[cfg(not(target_os = "linux"))]
fn hears(device: &cpal::Device) -> bool {
    device.supports_input()
}

/// Whether it records. Of what ALSA names, only the default and the cards: the others are
/// plug-ins, one of which gives silence as fast as it is read.
#[cfg(target_os = "linux")]
fn hears(device: &cpal::Device) -> bool {
    match device.id() {
        Ok(id) if id.host() == cpal::HostId::Alsa => {
            // To ask more would open it, which others may be using.
            let of_a_card = id.id().contains(CARD) && !id.id().starts_with("hw:");
            let named = of_a_card || id.id() == DEFAULT;
            named && device.description().is_ok_and(|device| device.supports_input())
        }
        Ok(_) => device.supports_input(),
        Err(_) => false,
    }
}

/// What a device is called that was not asked for by an id, and ALSA's own.
pub(super) const DEFAULT: &str = "default";

/// How PulseAudio and PipeWire end the name of a source that has what a sink plays.
const MONITOR: &str = ".monitor";

/// What ALSA has in the name of what belongs to a card.
#[cfg(target_os = "linux")]
const CARD: &str = "CARD=";

/// More than a room's array of microphones has.
const MAX_CHANNELS: u16 = 8;

/// The best first: what needs no conversion, then what loses nothing, then the others.
const FORMATS: [SampleFormat; 9] = [
    SampleFormat::F32,
    SampleFormat::I32,
    SampleFormat::I24,
    SampleFormat::F64,
    SampleFormat::U32,
    SampleFormat::I16,
    SampleFormat::U16,
    SampleFormat::I8,
    SampleFormat::U8,
];

const BROKE: &str = "the sound system's library broke off: report it";

#[cfg(test)]
mod tests {
    use cpal::SupportedBufferSize;

    use super::*;

    fn chosen(ranges: &[(u16, u32, u32, SampleFormat)]) -> Option<(u16, u32, SampleFormat)> {
        let ranges = ranges.iter().map(|&(channels, least, most, format)| {
            let size = SupportedBufferSize::Unknown;
            SupportedStreamConfigRange::new(channels, least, most, size, format)
        });
        choose(ranges).map(|(config, format)| (config.channels, config.sample_rate, format))
    }

    #[test]
    fn the_default_is_never_a_monitor_and_is_alone_and_first() {
        let of = |id: &str, is_default| Device {
            kind: DeviceKind::Microphone,
            id: id.to_owned(),
            name: String::new(),
            is_default,
            size: None,
        };
        let order = |present: &[(&str, bool)]| {
            let present = present.iter().map(|&(id, is_default)| of(id, is_default)).collect();
            let arranged = arranged(present).into_iter();
            arranged.map(|device| (device.id, device.is_default)).collect::<Vec<_>>()
        };
        let of_all = [("a.monitor", false), ("b", false), ("c", true)];
        let first = |ids: [&str; 3]| {
            let places = ids.into_iter().enumerate();
            places.map(|(place, id)| (id.to_owned(), place == 0)).collect::<Vec<_>>()
        };
        assert_eq!(order(&of_all), first(["c", "b", "a.monitor"]));
        let pulled_out = [("a.monitor", true), ("b", false), ("c", false)];
        assert_eq!(order(&pulled_out), first(["b", "c", "a.monitor"]));
        let none = [("a.monitor", true), ("b.monitor", false)];
        assert!(order(&none).iter().all(|(_, is_default)| !is_default));
        assert_eq!(order(&[]), []);
    }

    #[test]
    fn the_form_nearest_to_ours_is_chosen() {
        use SampleFormat::{F32, I16, U8};
        let all = [(2, 8_000, 192_000, F32), (1, 1, 384_000, I16), (1, 1, 384_000, F32)];
        assert_eq!(chosen(&all), Some((1, 48_000, F32)));
        assert_eq!(chosen(&[(1, 44_100, 44_100, F32), (2, 48_000, 48_000, U8)]), {
            Some((2, 48_000, U8))
        });
        let card = [(2, 44_100, 44_100, I16), (2, 96_000, 96_000, I16)];
        assert_eq!(chosen(&card), Some((2, 96_000, I16)));
        assert_eq!(chosen(&[(8, 11_025, 15_999, U8)]), Some((8, 11_025, U8)));
    }

    #[test]
    fn what_has_no_form_that_is_read_is_not_opened() {
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[(1, 7_000, 7_999, SampleFormat::F32)]), None);
        assert_eq!(chosen(&[(1, 37_000, 37_001, SampleFormat::F32)]), None);
        assert_eq!(chosen(&[(0, 48_000, 48_000, SampleFormat::F32)]), None);
        assert_eq!(chosen(&[(9, 48_000, 48_000, SampleFormat::F32)]), None);
        assert_eq!(chosen(&[(1, 48_000, 48_000, SampleFormat::DsdU8)]), None);
    }
}
