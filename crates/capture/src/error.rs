//! Why a source gives nothing.

use std::io;
use std::path::PathBuf;

use paceline_types::{Device, DeviceKind};

use crate::source::MAX_SIDES;

/// What is wrong with a source. Each text names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// There is nothing in the file.
    #[error("{} holds no {what}: is it the right file?", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// The file is not what its name says, or of a kind that is not read.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A side of the picture is odd, zero or too large.
    #[error(
        "{}: a picture of {width} × {height} cannot be sent: both sides must be even, and at most {} × {}",
        path.display(), MAX_SIDES.0, MAX_SIDES.1
    )]
    Size {
        /// The file, or what stands for it.
        path: PathBuf,
        /// Pixels in a row.
        width: u64,
        /// Rows.
        height: u64,
    },
    /// It is gone: a window was closed, a device was pulled out, its server ended. What comes
    /// back by the same id can be opened anew.
    #[error("{kind} {id} is gone ({reason}): open it again when it is back, or another")]
    Gone {
        /// What it was.
        kind: DeviceKind,
        /// Its id.
        id: String,
        /// What the system says.
        reason: String,
    },
    /// This build cannot open such a device.
    #[error("no {kind} can be opened here: {reason}")]
    NotBuiltIn {
        /// What was asked for.
        kind: DeviceKind,
        /// The feature that brings it, or that this system has none.
        reason: &'static str,
    },
    /// The file is larger than is read into memory.
    #[error("{} has {len} bytes, and at most {max} are read: cut it shorter", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How long it is.
        len: u64,
        /// How long it may be.
        max: u64,
    },
    /// It is there, or what leads to it should be, and cannot be used.
    #[error("{kind} {id} cannot be opened: {reason}")]
    Unavailable {
        /// What was asked for.
        kind: DeviceKind,
        /// Its id, or `default`.
        id: String,
        /// What the system says, and what to do.
        reason: String,
    },
    /// There is no such device.
    #[error("there is no {kind} {id}: {}", listed(present))]
    UnknownDevice {
        /// What was asked for.
        kind: DeviceKind,
        /// By which id.
        id: String,
        /// Those that are there.
        present: Vec<Device>,
    },
    /// The system does not let us read it.
    #[error("{} cannot be read ({source}): check the path and who may read it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl CaptureError {
    /// Whether a device was there and is no more: opening it anew may succeed later.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. })
    }
}

/// What there is instead, in words; names are others' choice and are quoted.
fn listed(present: &[Device]) -> String {
    if present.is_empty() {
        return "none is there".to_owned();
    }
    let each = present.iter().map(|device| format!("{} ({:?})", device.id, device.name));
    format!("there are {}", each.collect::<Vec<_>>().join(", "))
}
