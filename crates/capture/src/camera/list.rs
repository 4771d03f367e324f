//! Which cameras there are.

use std::fs;
use std::path::{Path, PathBuf};

use paceline_types::{Device, DeviceKind};
use rustix::io::Errno;

use super::CameraConfig;
use super::device::Node;
use super::driver::Driver;
use super::modes::{Modes, even};
use super::stream::refused;
use crate::CaptureError;

/// The cameras that are there, in the order of their nodes: the first that gives a format which
/// is read is the default. The size is the one that it is opened with by default.
///
/// An id is the camera's name below `/dev/v4l/by-id`, which it has wherever it is connected,
/// and its node if it has none, as `/dev/video0`. Of two that are alike and have no serial number
/// one has the name, and the other its node.
///
/// Asks each driver, which wakes up a camera that sleeps and takes some tenths of a second then.
///
/// # Errors
///
/// [`CaptureError::Unavailable`] if there are some, and this user may open none. That there is
/// none is no error.
pub fn cameras() -> Result<Vec<Device>, CaptureError> {
    let listed = list(&Places::default(), Node::open)?;
    Ok(listed.into_iter().map(|camera| camera.device).collect())
}

/// Where the system has its cameras.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) nodes: PathBuf,
    pub(super) names: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self { nodes: "/dev".into(), names: "/dev/v4l/by-id".into() }
    }
}

/// A camera, and its node.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) device: Device,
    pub(super) node: PathBuf,
}

/// All of them, the driver of each opened by `open`.
pub(super) fn list<D: Driver>(
    places: &Places,
    open: impl Fn(&Path) -> Result<D, Errno>,
) -> Result<Vec<Listed>, CaptureError> {
    let names = names(&places.names);
    let mut listed: Vec<Listed> = Vec::new();
    let mut forbidden = None;
    for (number, node) in nodes(&places.nodes) {
        let asked = open(&node).and_then(|mut driver| {
            let capability = driver.query_cap()?;
            if !capability.streams_video {
                return Ok(None);
            }
            let config = CameraConfig::default();
            let mode = Modes::ask(&mut driver, &config)?.choose(&config);
            Ok(Some((capability.card, mode.and_then(|mode| even(mode.size)))))
        });
        let (name, size) = match asked {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(errno) => {
                tracing::debug!(node = %node.display(), %errno, "a camera cannot be asked");
                if matches!(errno, Errno::ACCESS | Errno::PERM) {
                    forbidden.get_or_insert((node, errno));
                }
                continue;
            }
        };
        let named = names.iter().find(|(_, of)| *of == number);
        let id = named.map_or_else(|| node.display().to_string(), |(name, _)| name.clone());
        let is_default = size.is_some() && listed.iter().all(|other| !other.device.is_default);
        let device = Device { kind: DeviceKind::Camera, id, name, is_default, size };
        listed.push(Listed { device, node });
    }
    match forbidden {
        Some((node, errno)) if listed.is_empty() => {
            Err(unavailable(&node.display().to_string(), refused("may not be opened")(errno)))
        }
        _ => Ok(listed),
    }
}

/// The one with this id or this node, or the default; its own id, and its driver.
pub(super) fn find<D: Driver>(
    id: Option<&str>,
    places: &Places,
    open: impl Fn(&Path) -> Result<D, Errno>,
) -> Result<(String, D), CaptureError> {
    let listed = list(places, &open)?;
    let asked = |camera: &&Listed| match id {
        Some(id) => camera.device.id == id || camera.node == Path::new(id),
        None => camera.device.is_default,
    };
    match listed.iter().find(asked) {
        Some(Listed { device, node }) => {
            let driver = open(node)
                .map_err(|errno| unavailable(&device.id, refused("cannot be opened")(errno)))?;
            Ok((device.id.clone(), driver))
        }
        None => Err(CaptureError::UnknownDevice {
            kind: DeviceKind::Camera,
            id: id.unwrap_or(DEFAULT).to_owned(),
            present: listed.into_iter().map(|camera| camera.device).collect(),
        }),
    }
}

pub(super) fn unavailable(id: &str, reason: String) -> CaptureError {
    CaptureError::Unavailable { kind: DeviceKind::Camera, id: id.to_owned(), reason }
}

/// Nodes of video, by their number.
fn nodes(directory: &Path) -> Vec<(u32, PathBuf)> {
    let mut nodes: Vec<_> =
        entries(directory).filter_map(|path| Some((number(&path)?, path))).collect();
    nodes.sort();
    nodes.truncate(MAX_NODES);
    nodes
}

/// Names that last, and the number of the node that each is of.
fn names(directory: &Path) -> Vec<(String, u32)> {
    let mut names: Vec<_> = entries(directory)
        .filter_map(|link| {
            let name = link.file_name()?.to_str()?.to_owned();
            Some((name, number(&fs::read_link(&link).ok()?)?))
        })
        .collect();
    names.sort();
    names
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    // One that is not there has none: so it is on a system with no camera.
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).take(MAX_ENTRIES)
}

/// 3 of `video3`.
fn number(path: &Path) -> Option<u32> {
    let digits = path.file_name()?.to_str()?.strip_prefix("video")?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// What is said when none was asked for.
pub(super) const DEFAULT: &str = "default";
/// Nodes that are asked: a camera has two to four.
const MAX_NODES: usize = 64;
/// Entries of a directory that are looked at.
const MAX_ENTRIES: usize = 65_536;
