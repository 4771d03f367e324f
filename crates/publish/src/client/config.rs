//! Where to, what, and within which bounds.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use paceline_types::{Bitrate, VideoCodec};
use reqwest::Url;

use super::address::is_loopback;
use super::error::TargetError;

/// An SFU and how it is talked with.
///
/// ```
/// use paceline_publish::SfuTarget;
///
/// let target: SfuTarget = "mediasoup:wss://sfu.example/?roomId=a&peerId=b".parse()?;
/// assert!(matches!(target, SfuTarget::Mediasoup { .. }));
/// assert!("mediasoup:https://sfu.example/".parse::<SfuTarget>().is_err());
/// assert!("rtp:192.0.2.1:5004".parse::<SfuTarget>().is_err());
/// # Ok::<(), paceline_publish::TargetError>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum SfuTarget {
    /// The REST calls that mediasoup's demo has for broadcasters, and SRTP over a plain
    /// transport.
    Broadcaster {
        /// `http` or `https`, up to the room: `https://HOST:PORT/rooms/ROOM`.
        url: Url,
    },
    /// protoo over a WebSocket, and a WebRTC transport.
    Mediasoup {
        /// `ws` or `wss`, with the room and the peer as the server wants them, in mediasoup's
        /// demo `?roomId=…&peerId=…`.
        url: Url,
    },
}

impl FromStr for SfuTarget {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let error = || TargetError::of(text);
        let (kind, url) = text.split_once(':').ok_or_else(error)?;
        let url = Url::parse(url).map_err(|_| error())?;
        match (kind, url.scheme()) {
            ("mediasoup", "ws" | "wss") => Ok(Self::Mediasoup { url }),
            ("broadcaster", "http" | "https") if Self::room_of(&url).is_ok() => {
                Ok(Self::Broadcaster { url })
            }
            _ => Err(error()),
        }
    }
}

impl SfuTarget {
    /// Whether it is at the same server as another: the same host and port, and either both
    /// encrypted or neither. What is secret between us and the one is so to the other.
    ///
    /// ```
    /// use paceline_publish::SfuTarget;
    ///
    /// let at = |text: &str| text.parse::<SfuTarget>();
    /// let sfu = at("mediasoup:wss://sfu.example/?roomId=a")?;
    /// assert!(sfu.is_at_server_of(&at("broadcaster:https://sfu.example:443/rooms/b")?));
    /// assert!(!sfu.is_at_server_of(&at("mediasoup:ws://sfu.example:443/?roomId=a")?));
    /// assert!(!sfu.is_at_server_of(&at("mediasoup:wss://sfu.example:4443/?roomId=a")?));
    /// # Ok::<(), paceline_publish::TargetError>(())
    /// ```
    #[must_use]
    pub fn is_at_server_of(&self, other: &Self) -> bool {
        let server = |target: &Self| {
            let (Self::Broadcaster { url } | Self::Mediasoup { url }) = target;
            let is_secret = matches!(url.scheme(), "https" | "wss");
            (is_secret, url.host_str().map(str::to_owned), url.port_or_known_default())
        };
        server(self) == server(other)
    }

    /// Whether what is said to the server, a token too, can be read on the way: `ws` to another
    /// machine. It is sent all the same; `http` to another machine is refused.
    ///
    /// ```
    /// use paceline_publish::SfuTarget;
    ///
    /// let at = |text: &str| text.parse::<SfuTarget>();
    /// assert!(at("mediasoup:ws://sfu.example/?roomId=a")?.is_in_the_clear());
    /// assert!(!at("mediasoup:wss://sfu.example/?roomId=a")?.is_in_the_clear());
    /// assert!(!at("mediasoup:ws://localhost:4443/?roomId=a")?.is_in_the_clear());
    /// # Ok::<(), paceline_publish::TargetError>(())
    /// ```
    #[must_use]
    pub fn is_in_the_clear(&self) -> bool {
        matches!(self, Self::Mediasoup { url } if url.scheme() == "ws" && !is_loopback(url))
    }

    /// Where a broadcaster's calls begin, and which room its URL names.
    pub(super) fn room_of(url: &Url) -> Result<(Url, String), TargetError> {
        let error = || TargetError::of(&format!("broadcaster:{url}"));
        let mut segments = url.path_segments().ok_or_else(error)?;
        let room = match (segments.next(), segments.next(), segments.next()) {
            (Some("rooms"), Some(room), None | Some("")) if !room.is_empty() => room,
            _ => return Err(error()),
        };
        let mut base = url.clone();
        base.set_path("/");
        // A segment of a URL is percent-encoded, a name is not.
        let (mut name, mut rest) = (Vec::new(), room.as_bytes());
        while let Some((&byte, after)) = rest.split_first() {
            let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            let digits = digits.filter(|digits| byte == b'%' && !digits.starts_with('+'));
            let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            name.push(decoded.unwrap_or(byte));
            rest = if decoded.is_some() { &after[2..] } else { after };
        }
        Ok((base, String::from_utf8(name).map_err(|_| error())?))
    }
}

impl fmt::Debug for SfuTarget {
    /// As its `Display`, for the same reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SfuTarget({self})")
    }
}

impl fmt::Display for SfuTarget {
    /// Without what may be secret: a query has tokens in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, url) = match self {
            Self::Broadcaster { url } => ("broadcaster", url),
            Self::Mediasoup { url } => ("mediasoup", url),
        };
        write!(f, "{kind}:{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(url.path())
    }
}

/// How we show the server who we are.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum Auth {
    /// In a header of the first request. One named `Origin` takes the place of that of the
    /// server's own, which is sent otherwise.
    Header {
        /// Its name, as `Authorization`.
        name: String,
        /// Its value, as `Bearer …`.
        value: String,
    },
    /// In the query, as `token`.
    Token(String),
}

impl fmt::Debug for Auth {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { name, .. } => write!(f, "Header({name:?})"),
            Self::Token(_) => f.write_str("Token"),
        }
    }
}

/// What is sent, as whom, and within which bounds.
///
/// ```
/// use paceline_publish::{SfuConfig, VideoTrack};
///
/// let config = SfuConfig::default()
///     .video(Some(VideoTrack { width: 1_280, height: 720, ..VideoTrack::default() }))
///     .display_name("the projector");
/// ```
#[derive(Clone, Debug)]
pub struct SfuConfig {
    pub(crate) video: Option<VideoTrack>,
    pub(crate) audio: Option<AudioTrack>,
    pub(crate) bind: Option<IpAddr>,
    pub(crate) bitrates: [Bitrate; 3],
    pub(crate) display_name: String,
    pub(crate) auth: Option<Auth>,
    pub(crate) connect_timeout: Duration,
    pub(crate) path_timeout: Duration,
    pub(crate) close_timeout: Duration,
}

/// A picture that is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers make it")]
pub struct VideoTrack {
    /// How it is encoded. AV1 is refused: nothing here makes it.
    pub codec: VideoCodec,
    /// Pixels in a row at most, which H.264's level is told by.
    pub width: u16,
    /// Rows at most.
    pub height: u16,
    /// Pictures in a second at most.
    pub frame_rate: u32,
}

impl Default for VideoTrack {
    fn default() -> Self {
        Self { codec: VideoCodec::H264, width: 1_920, height: 1_080, frame_rate: 30 }
    }
}

/// A sound that is sent, as Opus.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers make it")]
pub struct AudioTrack {
    /// 1 or 2.
    pub channels: u8,
}

impl SfuConfig {
    /// The picture. Defaults to H.264 of up to 1,920 × 1,080 at 30 a second.
    #[must_use]
    pub const fn video(mut self, video: Option<VideoTrack>) -> Self {
        self.video = video;
        self
    }

    /// The sound. Defaults to none.
    #[must_use]
    pub const fn audio(mut self, audio: Option<AudioTrack>) -> Self {
        self.audio = audio;
        self
    }

    /// The local address of the media socket. Defaults to none: loopback if the server's URL
    /// names this machine, otherwise the unspecified address of its family (`0.0.0.0` if the
    /// URL has a name), from which the system chooses for each packet.
    ///
    /// If the server takes media at no address that is reached from here, the attempt fails
    /// with [`PublishError::Bind`](crate::PublishError::Bind). Over a plain transport, where no
    /// ICE asks whether anybody wants them, media are not sent to a loopback or link-local address
    /// that a server elsewhere names, unless this is an address of loopback too:
    /// [`PublishError::Negotiation`](crate::PublishError::Negotiation).
    #[must_use]
    pub const fn bind(mut self, bind: IpAddr) -> Self {
        self.bind = Some(bind);
        self
    }

    /// What congestion control begins at, and the least and the most it says, sound and
    /// picture together. Defaults to 1 Mbit/s, 100 kbit/s and 10 Mbit/s.
    ///
    /// A start above what the path takes costs loss in the first second, one below it a
    /// coarse picture until it has risen.
    #[must_use]
    pub const fn bitrates(mut self, start: Bitrate, min: Bitrate, max: Bitrate) -> Self {
        self.bitrates = [start, min, max];
        self
    }

    /// What others in the room call us. Defaults to `paceline`.
    #[must_use]
    pub fn display_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.display_name);
        self
    }

    /// How we show who we are. Defaults to nothing.
    #[must_use]
    pub fn auth(mut self, auth: Option<Auth>) -> Self {
        self.auth = auth;
        self
    }

    /// How long everything may take up to the first packet. Defaults to 10 s, after which
    /// the attempt has failed. At most a day.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long there may be no path, from its loss on, until the attempt has failed. Defaults
    /// to 10 s: an ICE restart takes a few round trips, and who looks on sees nothing meanwhile.
    /// At most a day.
    #[must_use]
    pub const fn path_timeout(mut self, timeout: Duration) -> Self {
        self.path_timeout = timeout;
        self
    }

    /// How long saying goodbye may take, to the server and over the media connection at once.
    /// Defaults to 1 s: a server that is gone answers nothing. At most a day.
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// The same with times that can be added to an instant.
    pub(super) fn bounded(mut self) -> Self {
        for time in [&mut self.connect_timeout, &mut self.path_timeout, &mut self.close_timeout] {
            *time = (*time).min(LONGEST);
        }
        self
    }
}

impl Default for SfuConfig {
    fn default() -> Self {
        Self {
            video: Some(VideoTrack::default()),
            audio: None,
            bind: None,
            bitrates: [1_000, 100, 10_000].map(Bitrate::from_kbps),
            display_name: "paceline".to_owned(),
            auth: None,
            connect_timeout: Duration::from_secs(10),
            path_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(1),
        }
    }
}

/// A day: whoever waits for longer waits for ever.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_target_shows_what_may_be_secret() {
        let text = "mediasoup:wss://ada:hunter2@sfu.example:4443/a?roomId=r&token=hunter2#hunter2";
        let target: SfuTarget = text.parse().expect("a target");
        assert_eq!(target.to_string(), "mediasoup:wss://sfu.example:4443/a");
        assert_eq!(format!("{target:?}"), "SfuTarget(mediasoup:wss://sfu.example:4443/a)");
        for bad in [text.replacen("wss", "https", 1), text.replacen("wss://", "", 1)] {
            let error = bad.parse::<SfuTarget>().expect_err("no target");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
            assert!(error.text.contains("sfu.example:4443/a?…"), "{error:?}");
        }
    }
}
