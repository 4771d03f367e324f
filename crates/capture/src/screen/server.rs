//! The connection to an X server, and what it can do.

use paceline_types::DeviceKind;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::errors::ReplyError;
use x11rb::protocol::composite::ConnectionExt as _;
use x11rb::protocol::damage::ConnectionExt as _;
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::xfixes::ConnectionExt as _;
use x11rb::protocol::xproto::{ImageOrder, Screen, VisualClass, Visualid};
use x11rb::protocol::{ErrorKind, composite, damage, randr, xfixes};
use x11rb::reexports::x11rb_protocol::parse_display::parse_display;
use x11rb::rust_connection::RustConnection;

use crate::CaptureError;

/// A connection to an X server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) connection: RustConnection,
    screen: usize,
    pub(super) composite: bool,
    pub(super) damage: bool,
    pub(super) monitors: bool,
    pub(super) xfixes: bool,
}

impl Server {
    /// Connects to `display`, or to what `$DISPLAY` says, for a `kind`.
    ///
    /// # Errors
    ///
    /// [`CaptureError::Unavailable`] if there is none, or it does not let us in.
    pub(super) fn connect(display: Option<&str>, kind: DeviceKind) -> Result<Self, CaptureError> {
        let unavailable = |reason: String| {
            let named = display.map(str::to_owned).or_else(|| std::env::var("DISPLAY").ok());
            let named = named.map_or("no $DISPLAY".to_owned(), |name| format!("display {name:?}"));
            let reason = format!(
                "{named}: {reason}; check that an X server runs there and lets this user in"
            );
            CaptureError::Unavailable { kind, id: "default".to_owned(), reason }
        };
        // The ports of displays begin at 6000, and x11rb adds without a look.
        let number =
            parse_display(display).map_err(|error| unavailable(error.to_string()))?.display;
        if number > u16::MAX - 6_000 {
            return Err(unavailable(format!("no display has the number {number}")));
        }
        let (connection, screen) =
            x11rb::connect(display).map_err(|error| unavailable(error.to_string()))?;
        if connection.setup().roots.get(screen).is_none() {
            return Err(unavailable(format!("it has no screen {screen}")));
        }
        let mut server = Self {
            connection,
            screen,
            composite: false,
            damage: false,
            monitors: false,
            xfixes: false,
        };
        server.ask_extensions().map_err(|error| unavailable(error.to_string()))?;
        Ok(server)
    }

    /// What a server must be told which version of before it takes anything else.
    fn ask_extensions(&mut self) -> Result<(), ReplyError> {
        let connection = &self.connection;
        let has = |name| connection.extension_information(name).map(|found| found.is_some());
        // XDamage wants XFixes 2 to be told first, and 5 has all that is used.
        if has(xfixes::X11_EXTENSION_NAME)? {
            self.xfixes = connection.xfixes_query_version(5, 0)?.reply()?.major_version >= 2;
        }
        if self.xfixes && has(damage::X11_EXTENSION_NAME)? {
            self.damage = connection.damage_query_version(1, 1)?.reply()?.major_version >= 1;
        }
        if has(composite::X11_EXTENSION_NAME)? {
            let version = connection.composite_query_version(0, 4)?.reply()?;
            self.composite = (version.major_version, version.minor_version) >= (0, 2);
        }
        if has(randr::X11_EXTENSION_NAME)? {
            let version = connection.randr_query_version(1, 5)?.reply()?;
            self.monitors = (version.major_version, version.minor_version) >= (1, 5);
        }
        Ok(())
    }

    pub(super) fn screen(&self) -> &Screen {
        // It was there when we connected, and the setup does not change.
        &self.connection.setup().roots[self.screen]
    }

    /// Says why pixels of `depth` and `visual` are none that we take: 4 bytes each, blue first.
    pub(super) fn refuses(&self, depth: u8, visual: Visualid) -> Option<String> {
        let setup = self.connection.setup();
        let format = setup.pixmap_formats.iter().find(|format| format.depth == depth);
        let four = format.is_some_and(|format| format.bits_per_pixel == 32);
        let little = setup.image_byte_order == ImageOrder::LSB_FIRST;
        let visual = setup
            .roots
            .iter()
            .flat_map(|screen| &screen.allowed_depths)
            .flat_map(|depth| &depth.visuals)
            .find(|known| known.visual_id == visual);
        let bgrx = visual.is_some_and(|visual| {
            matches!(visual.class, VisualClass::TRUE_COLOR | VisualClass::DIRECT_COLOR)
                && (visual.red_mask, visual.green_mask, visual.blue_mask)
                    == (0xff_0000, 0xff00, 0xff)
        });
        let taken = matches!(depth, 24 | 32) && four && little && bgrx;
        (!taken).then(|| {
            let order = if little { "lowest" } else { "highest" };
            format!(
                "its pixels are of depth {depth}, with the {order} byte first: only depth 24 and \
                 32 with blue in the lowest byte can be captured; run the server at depth 24"
            )
        })
    }
}

/// What an error of the server's means for a capture.
#[derive(Debug)]
pub(super) enum Trouble {
    /// What was asked for is no more, or the server is not.
    Gone(String),
    /// It is not there now: unmapped, or of another size.
    Hidden,
}

impl From<ReplyError> for Trouble {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::ConnectionError(error) => {
                Self::Gone(format!("the X server has ended: {error}"))
            }
            ReplyError::X11Error(error) => match error.error_kind {
                ErrorKind::Drawable | ErrorKind::Window => Self::Gone("it was closed".to_owned()),
                // Match: unmapped, off the screen, shrunk. Any other is none that a request of
                // ours should get, and passes or comes again.
                _ => Self::Hidden,
            },
        }
    }
}

impl From<x11rb::errors::ConnectionError> for Trouble {
    fn from(error: x11rb::errors::ConnectionError) -> Self {
        ReplyError::from(error).into()
    }
}
