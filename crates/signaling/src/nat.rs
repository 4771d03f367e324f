//! What a member tells of its place in the network.

use paceline_framing::{Mapping, NatState, NatType};
use paceline_types::PeerId;
use serde::{Deserialize, Serialize};

/// What a member knows of its own place in the network. Nobody checks that it is true.
///
/// ```
/// use paceline_signaling::Nat;
/// use paceline_signaling::framing::{Mapping, NatType};
/// use paceline_signaling::types::PeerId;
///
/// let nat = Nat {
///     kind: NatType::Open,
///     mapping: Mapping::EndpointIndependent,
///     upload_kbps: 0,
///     rtt_us: 12_000,
///     needs_relay: false,
/// };
/// let state = nat.state(PeerId::from_random([7; 16]));
/// assert_eq!(Nat::from(state), nat);
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "callers make it")]
pub struct Nat {
    /// What is between it and the others; `type` in JSON.
    #[serde(rename = "type", with = "kind")]
    pub kind: NatType,
    /// How that maps its ports.
    #[serde(with = "mapping")]
    pub mapping: Mapping,
    /// Its measured uplink in kbit/s; 0 until it is measured.
    pub upload_kbps: u32,
    /// Its round trip to the server in µs; 0 until it is measured.
    pub rtt_us: u32,
    /// Whether others reach it by a relay only.
    pub needs_relay: bool,
}

impl Nat {
    /// The same as peers tell each other, of the member `tie_break`.
    #[must_use]
    pub const fn state(self, tie_break: PeerId) -> NatState {
        let Self { kind, mapping, upload_kbps, rtt_us, needs_relay } = self;
        NatState { nat: kind, mapping, upload: upload_kbps, rtt: rtt_us, needs_relay, tie_break }
    }
}

impl From<NatState> for Nat {
    fn from(state: NatState) -> Self {
        let NatState { nat, mapping, upload, rtt, needs_relay, .. } = state;
        Self { kind: nat, mapping, upload_kbps: upload, rtt_us: rtt, needs_relay }
    }
}

/// Reads and writes a value by its name in a table.
macro_rules! by_name {
    ($module:ident, $type:ty, $what:literal, $names:expr) => {
        mod $module {
            use serde::{Deserialize, Deserializer, Serializer, de, ser};

            pub(super) fn serialize<S: Serializer>(
                value: &$type,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                let name = $names.iter().find(|(known, _)| known == value);
                let (_, name) = name.ok_or_else(|| ser::Error::custom($what))?;
                serializer.serialize_str(name)
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<$type, D::Error> {
                let name = String::deserialize(deserializer)?;
                let value = $names.iter().find(|(_, known)| *known == name);
                value.map(|(value, _)| *value).ok_or_else(|| de::Error::custom($what))
            }
        }
    };
}

by_name!(kind, super::NatType, "this type of NAT has no name", super::KINDS);
by_name!(mapping, super::Mapping, "this mapping has no name", super::MAPPINGS);

/// RFC 3489 §5.
const KINDS: [(NatType, &str); 6] = [
    (NatType::Open, "open"),
    (NatType::FullCone, "full_cone"),
    (NatType::Restricted, "restricted"),
    (NatType::PortRestricted, "port_restricted"),
    (NatType::Symmetric, "symmetric"),
    (NatType::Unknown, "unknown"),
];
/// RFC 4787 §4.1.
const MAPPINGS: [(Mapping, &str); 4] = [
    (Mapping::EndpointIndependent, "endpoint_independent"),
    (Mapping::AddressDependent, "address_dependent"),
    (Mapping::AddressAndPortDependent, "address_and_port_dependent"),
    (Mapping::Unknown, "unknown"),
];
