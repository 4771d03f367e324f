//! Why nothing is heard.

use paceline_types::Device;

/// What is wrong with a loudspeaker, and what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoudspeakerError {
    /// It is gone: it was pulled out, or its server ended. What comes back by the same id can
    /// be opened anew.
    #[error("loudspeaker {id} is gone ({reason}): open it again when it is back, or another")]
    Gone {
        /// Its id.
        id: String,
        /// What the system says.
        reason: String,
    },
    /// This build plays on no device: for who is built without the feature `loudspeaker`, and
    /// has to say so.
    #[error("no loudspeaker can be opened here: {reason}")]
    NotBuiltIn {
        /// What would bring it.
        reason: &'static str,
    },
    /// It is there, or what leads to it should be, and cannot be used.
    #[error("loudspeaker {id} cannot be opened: {reason}")]
    Unavailable {
        /// Its id, or `default`.
        id: String,
        /// What the system says, and what to do.
        reason: String,
    },
    /// There is no such loudspeaker.
    #[error("there is no loudspeaker {id}: {}", listed(present))]
    UnknownDevice {
        /// By which id.
        id: String,
        /// Those that are there.
        present: Vec<Device>,
    },
}

impl LoudspeakerError {
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
