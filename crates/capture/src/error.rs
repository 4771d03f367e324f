//! Why a source gives nothing.

use std::io;
use std::path::PathBuf;

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
    /// The system does not let us read it.
    #[error("{} cannot be read ({source}): check the path and who may read it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}
