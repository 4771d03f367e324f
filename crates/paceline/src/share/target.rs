//! Where a share goes.

use std::fmt;

use paceline_publish::SfuTarget;

/// Where a picture and a sound are shared.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum ShareTarget {
    /// By the program itself, in another way: the share ends in good order, and
    /// [`ShareEvent::Ended`](crate::ShareEvent::Ended) says that it was for this. The last of
    /// several targets, or none.
    External,
    /// In a room of our own kind, as one more who takes part and does not host. Its members
    /// connect to the address of ours that reaches its server, if
    /// [`Config::bind`](crate::Config::bind) does not say another.
    Room {
        /// Of the room: `ws://HOST:PORT/ROOM`.
        url: String,
    },
    /// By a server that forwards it.
    Sfu(SfuTarget),
}

impl fmt::Debug for ShareTarget {
    /// As its `Display`, for the same reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShareTarget({self})")
    }
}

/// As a log may have it, and as the example `screen-share` takes it: who asks, and what a URL asks
/// with, where a token or a name may be, is left out.
impl fmt::Display for ShareTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::External => f.write_str("external"),
            Self::Room { url } => write!(f, "room:{}", without_secrets(url)),
            Self::Sfu(target) => target.fmt(f),
        }
    }
}

/// A URL without user (RFC 3986 §3.2.1), query and fragment.
pub(super) fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let start = url.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = url.split_at(start);
    let end = rest.find('/').unwrap_or(rest.len());
    let host = rest[..end].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}{}", &rest[host..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_room_shows_what_may_be_secret() {
        for (url, shown) in [
            ("ws://h:1/room", "room:ws://h:1/room"),
            ("ws://ada:hunter2@h:1/a@b?token=hunter2#hunter2", "room:ws://h:1/a@b"),
            ("ws://ada@hunter2@h", "room:ws://h"),
            ("ada:hunter2@h", "room:h"),
            ("", "room:"),
        ] {
            let target = ShareTarget::Room { url: url.to_owned() };
            assert_eq!(target.to_string(), shown, "{url}");
            assert_eq!(format!("{target:?}"), format!("ShareTarget({shown})"), "{url}");
        }
    }
}
