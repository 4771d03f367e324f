//! What is captured: where it is, and how large.

use paceline_types::{DeviceKind, Rect};
use x11rb::connection::Connection;
use x11rb::protocol::composite::{ConnectionExt as _, Redirect};
use x11rb::protocol::randr::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{
    ChangeWindowAttributesAux, ConfigureNotifyEvent, ConnectionExt as _, Drawable, EventMask,
    MapState, Pixmap, Window,
};

use super::list::{self, Monitor};
use super::region::intersection;
use super::server::{Server, Trouble};

/// A monitor or a window.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) kind: DeviceKind,
    /// What it is opened by.
    pub(super) id: String,
    /// Whose changes and pointer are asked for: the window, or the root of the screen.
    pub(super) window: Window,
    /// Its content apart from the screen: `Some` of a window that is drawn so.
    redirected: Option<Pixmap>,
    /// Width, height and border when it was last asked for; only of one that is redirected.
    extent: (u16, u16, u16),
}

/// Where the pixels of a target are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) drawable: Drawable,
    /// The picture's corner in the drawable.
    pub(super) origin: (i16, i16),
    /// The picture's corner in [`Target::window`].
    pub(super) corner: (i16, i16),
    /// Width and height of the picture; even.
    pub(super) size: (u16, u16),
    /// What of the picture can be grabbed; even.
    pub(super) visible: Rect,
}

impl Target {
    /// A monitor.
    pub(super) fn monitor(server: &Server, name: String) -> Result<Self, Trouble> {
        let connection = &server.connection;
        let root = server.screen().root;
        let mask = EventMask::STRUCTURE_NOTIFY;
        connection
            .change_window_attributes(root, &ChangeWindowAttributesAux::new().event_mask(mask))?;
        if server.monitors {
            let changes = randr::NotifyMask::SCREEN_CHANGE
                | randr::NotifyMask::CRTC_CHANGE
                | randr::NotifyMask::OUTPUT_CHANGE;
            connection.randr_select_input(root, changes)?;
        }
        Ok(Self {
            kind: DeviceKind::Screen,
            id: name,
            window: root,
            redirected: None,
            extent: (0, 0, 0),
        })
    }

    /// A window, drawn apart from the screen if `redirect`.
    pub(super) fn window(server: &Server, window: Window, redirect: bool) -> Result<Self, Trouble> {
        let connection = &server.connection;
        // Its visibility too: a window whose frame was unmapped and comes back has another
        // pixmap, and no other event says so.
        let mask = EventMask::STRUCTURE_NOTIFY | EventMask::VISIBILITY_CHANGE;
        connection
            .change_window_attributes(window, &ChangeWindowAttributesAux::new().event_mask(mask))?;
        let mut redirected = None;
        if redirect && server.composite {
            connection.composite_redirect_window(window, Redirect::AUTOMATIC)?;
            redirected = Some(x11rb::NONE);
        }
        let id = format!("{window:#x}");
        Ok(Self { kind: DeviceKind::Window, id, window, redirected, extent: (0, 0, 0) })
    }

    /// Whether its pixels are at another place than before. One that is drawn apart looks the
    /// same wherever it is.
    pub(super) fn is_moved_by(&self, event: &ConfigureNotifyEvent) -> bool {
        let now = (event.width, event.height, event.border_width);
        self.redirected.is_none() || self.extent != now
    }

    /// Asks where it is now. `None` if there is nothing to be grabbed.
    pub(super) fn locate(&mut self, server: &Server) -> Result<Option<Place>, Trouble> {
        if self.kind == DeviceKind::Screen {
            self.locate_monitor(server)
        } else if self.redirected.is_some() {
            self.locate_redirected(server)
        } else {
            self.locate_window(server)
        }
    }

    fn locate_monitor(&self, server: &Server) -> Result<Option<Place>, Trouble> {
        let monitors = list::monitors(server)?;
        let Some(Monitor { corner, size, .. }) =
            monitors.into_iter().find(|monitor| monitor.name == self.id)
        else {
            return Err(Trouble::Gone("it was taken off".to_owned()));
        };
        let root = server.connection.get_geometry(self.window)?.reply()?;
        let visible = visible(corner, size, (root.width, root.height));
        Ok(Some(Place { drawable: self.window, origin: corner, corner, size: even(size), visible }))
    }

    /// Without Composite: it has what is on the screen of it.
    fn locate_window(&self, server: &Server) -> Result<Option<Place>, Trouble> {
        let connection = &server.connection;
        let root = server.screen().root;
        let attributes = connection.get_window_attributes(self.window)?;
        let geometry = connection.get_geometry(self.window)?;
        let corner = connection.translate_coordinates(self.window, root, 0, 0)?;
        let screen = connection.get_geometry(root)?;
        let (attributes, geometry) = (attributes.reply()?, geometry.reply()?);
        let (corner, screen) = (corner.reply()?, screen.reply()?);
        if attributes.map_state != MapState::VIEWABLE {
            return Ok(None);
        }
        let size = (geometry.width, geometry.height);
        let corner = (corner.dst_x, corner.dst_y);
        let visible = visible(corner, size, (screen.width, screen.height));
        let (drawable, origin) = (self.window, (0, 0));
        Ok(Some(Place { drawable, origin, corner: (0, 0), size: even(size), visible }))
    }

    /// With Composite: it has a pixmap of its own, another one whenever it is shown or changes
    /// its size, and that goes on to be there when it is not.
    fn locate_redirected(&mut self, server: &Server) -> Result<Option<Place>, Trouble> {
        let connection = &server.connection;
        if let Some(pixmap) = self.redirected.take()
            && pixmap != x11rb::NONE
        {
            connection.free_pixmap(pixmap)?;
        }
        self.redirected = Some(x11rb::NONE);
        let Ok(pixmap) = connection.generate_id() else {
            return Err(Trouble::Gone("the X server has no ids left".to_owned()));
        };
        let attributes = connection.get_window_attributes(self.window)?;
        connection.composite_name_window_pixmap(self.window, pixmap)?;
        let window = connection.get_geometry(self.window)?;
        let content = connection.get_geometry(pixmap)?;
        let (attributes, window) = (attributes.reply()?, window.reply()?);
        self.extent = (window.width, window.height, window.border_width);
        // If it could not be named, there is none of this id: not a window that was closed.
        let Ok(content) = content.reply() else { return Ok(None) };
        self.redirected = Some(pixmap);
        if attributes.map_state != MapState::VIEWABLE {
            return Ok(None);
        }
        // Its border is in the pixmap, and not in what it shows. Between two of the questions
        // it may have grown: what there is to grab is in the pixmap.
        let border = window.border_width;
        let inner = |len: u16| len.saturating_sub(border.saturating_mul(2));
        let size = even((inner(content.width), inner(content.height)));
        let border = i16::try_from(border).unwrap_or(i16::MAX);
        Ok(Some(Place {
            drawable: pixmap,
            origin: (border, border),
            corner: (0, 0),
            size,
            visible: Rect { x: 0, y: 0, width: size.0, height: size.1 },
        }))
    }
}

/// The last column and the last row are left out if they have no neighbour: chroma is shared by
/// two.
fn even(size: (u16, u16)) -> (u16, u16) {
    (size.0 & !1, size.1 & !1)
}

/// What of a picture at `corner` of a screen is on it, in the picture's own coordinates; made
/// even inwards, for what is beyond the edge cannot be asked for.
fn visible(corner: (i16, i16), size: (u16, u16), screen: (u16, u16)) -> Rect {
    let side = |corner: i16, len: u16, end: u16| {
        let corner = i32::from(corner);
        let from = (-corner).clamp(0, i32::from(len));
        let to = (i32::from(end) - corner).clamp(from, i32::from(len));
        let (from, to) = ((from + 1) & !1, to & !1);
        // Both are within 0…65,535, or `from` one above.
        (from.min(i32::from(u16::MAX)) as u16, (to - from).max(0) as u16)
    };
    let ((x, width), (y, height)) =
        (side(corner.0, size.0, screen.0), side(corner.1, size.1, screen.1));
    let size = even(size);
    intersection(Rect { x, y, width, height }, Rect { x: 0, y: 0, width: size.0, height: size.1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_off_the_screen_is_not_asked_for() {
        let screen = (640, 480);
        let rect = |x, y, width, height| Rect { x, y, width, height };
        assert_eq!(visible((10, 10), (100, 50), screen), rect(0, 0, 100, 50));
        assert_eq!(visible((-11, -10), (100, 50), screen), rect(12, 10, 88, 40));
        assert_eq!(visible((595, 455), (101, 51), screen), rect(0, 0, 44, 24));
        assert_eq!(visible((700, 10), (100, 50), screen), Rect::default());
        assert_eq!(visible((-100, 10), (100, 50), screen), Rect::default());
        assert_eq!(visible((i16::MIN, i16::MIN), (u16::MAX, u16::MAX), screen).height, 480);
    }
}
