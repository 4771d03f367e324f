//! A screen or a window, as a source.

use std::fmt;

use bytes::Bytes;
use paceline_types::{Content, DeviceKind, MediaTime, NtpTime, VideoFrame};
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::damage::{self, ConnectionExt as _, ReportLevel};
use x11rb::protocol::xfixes::{ConnectionExt as _, CursorNotifyMask};
use x11rb::protocol::xproto::{ConnectionExt as _, QueryPointerReply, Window};

use super::canvas::{Canvas, whole};
use super::config::{ScreenConfig, ScreenStats, fits, misfit};
use super::convert::convert;
use super::cursor::Cursor;
use super::grab::{GrabError, Grabber, can_share};
use super::list;
use super::region::{Region, area, clip};
use super::server::{Server, Trouble};
use super::target::{Place, Target};
use crate::{CaptureError, VideoSource};

/// A screen, or one window of it.
///
/// Reading waits for the X server to answer: once if nothing has changed, twice if something
/// has, and a few times more if the source was resized or the pointer has another shape. A
/// server that stands still holds the reader. There is no thread behind it.
///
/// | what happens | what a read gives |
/// |---|---|
/// | nothing was drawn, and the pointer did not move | `Ok(None)` |
/// | a window is unmapped, wholly off the screen and not redirected, or smaller than 16 × 16 or larger than 3840 × 2160 | `Ok(None)`, and pictures again when that is over |
/// | a window or the screen changes its size | pictures of the new size; without its last column or row if that is odd |
/// | a window is closed, a monitor taken off, the server ends | [`CaptureError::Gone`] |
///
/// ```no_run
/// use paceline_capture::types::{Frequency, MediaTime, NtpTime};
/// use paceline_capture::{Screen, ScreenConfig, VideoSource, windows};
///
/// for window in windows(None)? {
///     println!("{} {}", window.id, window.name);
/// }
/// let mut screen = Screen::open(None, ScreenConfig::default())?;
/// let time = MediaTime::new(0, Frequency::VIDEO);
/// let picture = screen.read(0, time, NtpTime::default())?.expect("the first is always new");
/// assert_eq!((picture.width(), picture.height()), screen.size());
/// # Ok::<(), paceline_capture::CaptureError>(())
/// ```
pub struct Screen {
    server: Server,
    target: Target,
    config: ScreenConfig,
    place: Option<Place>,
    /// It has to be asked where the target is.
    moved: bool,
    damage: Option<damage::Damage>,
    /// Where the picture is older than the target.
    damaged: Region,
    /// The server was not yet told that what it reported is known.
    reported: bool,
    cursor: Option<Cursor>,
    /// It has another shape than we know.
    cursor_changed: bool,
    grabber: Grabber,
    canvas: Canvas,
    stats: ScreenStats,
}

impl Screen {
    /// A monitor, by its [id](super::screens). `None` is the primary one.
    ///
    /// # Errors
    ///
    /// [`CaptureError::UnknownDevice`] with those that are there, if none is called that;
    /// [`CaptureError::Unavailable`] if there is no X server, it does not let us in, its pixels
    /// are not of 24 or 32 bits with blue in the lowest byte, or the monitor is smaller than
    /// 16 × 16 or larger than 3840 × 2160.
    pub fn open(id: Option<&str>, config: ScreenConfig) -> Result<Self, CaptureError> {
        let kind = DeviceKind::Screen;
        let server = Server::connect(config.display.as_deref(), kind)?;
        let monitors = match list::monitors(&server) {
            Ok(monitors) => monitors,
            Err(error) => return Err(refusal(error.into(), kind, id.unwrap_or("default"))),
        };
        let present = list::devices(&monitors);
        let found = match id {
            None => monitors.into_iter().next(),
            Some(id) => monitors.into_iter().find(|monitor| monitor.name == id),
        };
        let Some(monitor) = found else {
            let id = id.unwrap_or("default").to_owned();
            return Err(CaptureError::UnknownDevice { kind, id, present });
        };
        let root = server.screen();
        let (depth, visual) = (root.root_depth, root.root_visual);
        if let Some(reason) = server.refuses(depth, visual) {
            return Err(CaptureError::Unavailable { kind, id: monitor.name, reason });
        }
        let name = monitor.name.clone();
        let target = Target::monitor(&server, monitor.name);
        let opened = target.and_then(|target| Self::of(server, target, config));
        opened.map_err(|trouble| refusal(trouble, kind, &name))?.checked()
    }

    /// A window, by its [id](super::windows): hexadecimal after `0x`, or decimal. Also one that
    /// is in no list.
    ///
    /// # Errors
    ///
    /// [`CaptureError::UnknownDevice`] with those that are there, if there is none of this id;
    /// [`CaptureError::Unavailable`] if there is no X server, it does not let us in, the window
    /// is not shown, its pixels are not of 24 or 32 bits with blue in the lowest byte, or it is
    /// smaller than 16 × 16 or larger than 3840 × 2160.
    pub fn window(id: &str, config: ScreenConfig) -> Result<Self, CaptureError> {
        let kind = DeviceKind::Window;
        let server = Server::connect(config.display.as_deref(), kind)?;
        let refused = |error: x11rb::errors::ReplyError| refusal(error.into(), kind, id);
        let found = match parse(id) {
            Some(window) => known(&server, window).map_err(refused)?,
            None => None,
        };
        let Some((window, depth, visual)) = found else {
            let present = list::windows_of(&server).map_err(refused)?;
            return Err(CaptureError::UnknownDevice { kind, id: id.to_owned(), present });
        };
        if let Some(reason) = server.refuses(depth, visual) {
            return Err(CaptureError::Unavailable { kind, id: id.to_owned(), reason });
        }
        let target = Target::window(&server, window, config.redirect);
        let opened = target.and_then(|target| Self::of(server, target, config));
        opened.map_err(|trouble| refusal(trouble, kind, id))?.checked()
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> ScreenStats {
        let grabs = self.grabber.stats();
        ScreenStats {
            grabs: grabs.grabs,
            segments: grabs.segments,
            over_socket: grabs.over_socket,
            ..self.stats
        }
    }

    fn gone(&self, reason: String) -> CaptureError {
        CaptureError::Gone { kind: self.target.kind, id: self.target.id.clone(), reason }
    }

    fn of(server: Server, target: Target, config: ScreenConfig) -> Result<Self, Trouble> {
        let connection = &server.connection;
        let mut damage = None;
        if config.damage && server.damage {
            let Ok(id) = connection.generate_id() else {
                return Err(Trouble::Gone("the X server has no ids left".to_owned()));
            };
            // Each part once, until we say that we know of it: however much is drawn, no more
            // is told than the picture has.
            connection.damage_create(id, target.window, ReportLevel::DELTA_RECTANGLES)?;
            damage = Some(id);
        }
        let mut cursor = None;
        if config.cursor && server.xfixes {
            let root = server.screen().root;
            connection.xfixes_select_cursor_input(root, CursorNotifyMask::DISPLAY_CURSOR)?;
            cursor = Some(Cursor::default());
        }
        let grabber = Grabber::new(config.shared_memory && can_share(&server.connection));
        let mut screen = Self {
            server,
            target,
            config,
            place: None,
            moved: false,
            damage,
            damaged: Region::default(),
            reported: false,
            cursor_changed: cursor.is_some(),
            cursor,
            grabber,
            canvas: Canvas::new((0, 0)),
            stats: ScreenStats::default(),
        };
        screen.locate()?;
        Ok(screen)
    }

    /// Itself, if there is something to be seen.
    fn checked(self) -> Result<Self, CaptureError> {
        let (kind, id) = (self.target.kind, &self.target.id);
        match self.place {
            None => {
                let reason = "it is not shown: open it again when it is".to_owned();
                Err(CaptureError::Unavailable { kind, id: id.clone(), reason })
            }
            Some(Place { size: (width, height), .. }) if !fits(width, height) => {
                Err(misfit(kind, id, width, height))
            }
            Some(_) => Ok(self),
        }
    }

    /// Asks where the target is, and begins anew there.
    fn locate(&mut self) -> Result<(), Trouble> {
        self.place = None;
        let place = self.target.locate(&self.server)?;
        self.moved = false;
        if let Some(Place { size, visible, .. }) = place
            && fits(size.0, size.1)
        {
            // What is off the screen is black, and not what was there before.
            if size != self.canvas.size() || visible != whole(size) {
                self.canvas = Canvas::new(size);
            }
            self.damaged = Region::of(whole(size));
        }
        self.place = place;
        Ok(())
    }

    /// The picture, if there is another than before.
    fn look(&mut self) -> Result<Option<Bytes>, Trouble> {
        // All that the server told before it answers is in our queue then.
        let pointer = self.server.connection.query_pointer(self.target.window)?.reply()?;
        while let Some(event) = self.server.connection.poll_for_event()? {
            self.handle_event(&event)?;
        }
        if self.moved {
            self.stats.geometry_changes += 1;
            self.locate()?;
        }
        if let Some(place) = self.place
            && place.visible != whole(place.size)
            && self.target.kind == DeviceKind::Window
            && self.target.locate(&self.server)? != Some(place)
        {
            // No event says that the frame around it was moved, which may bring it back.
            self.stats.geometry_changes += 1;
            self.locate()?;
        }
        let Some(place) = self.place else { return Err(Trouble::Hidden) };
        let visible = area(place.visible) > 0;
        if !fits(place.size.0, place.size.1) || !visible {
            self.stats.held += 1;
            return Ok(None);
        }
        if self.damage.is_none() {
            self.damaged = Region::of(whole(place.size));
        }
        self.follow_cursor(&pointer, place)?;
        let region = self.damaged.within(place.visible);
        if region.is_empty() {
            self.damaged = region;
            self.stats.unchanged += 1;
            return Ok(None);
        }
        if let Some(damage) = self.damage
            && self.reported
        {
            // Before we look: what is drawn after this is told again.
            self.server.connection.damage_subtract(damage, x11rb::NONE, x11rb::NONE)?;
            self.reported = false;
        }
        self.paint(&region, place).map(Some)
    }

    fn paint(&mut self, region: &Region, place: Place) -> Result<Bytes, Trouble> {
        let connection = &self.server.connection;
        let Place { drawable, origin, size, .. } = place;
        let grabbed = self.grabber.grab(connection, drawable, origin, size, region);
        let mut pixels = match grabbed {
            Ok(pixels) => pixels,
            Err(GrabError::Short) => return Err(Trouble::Hidden),
            Err(GrabError::Server(error)) => return Err(error.into()),
        };
        let cursor = self.cursor.as_ref();
        let mut converted = Ok(());
        let copied = self.canvas.copied();
        let planes = self.canvas.paint(region, |planes| {
            for &rect in region.rects() {
                let part;
                (part, pixels) = std::mem::take(&mut pixels).split_at_mut(area(rect) as usize * 4);
                if let Some(cursor) = cursor {
                    cursor.draw(part, rect);
                }
                converted = std::mem::replace(&mut converted, Ok(()))
                    .and_then(|()| convert(part, planes, rect));
            }
        });
        if let Err(error) = converted {
            return Err(Trouble::Gone(format!("its pixels cannot be converted: {error}")));
        }
        self.damaged = Region::default();
        self.stats.copied_pixels += self.canvas.copied() - copied;
        self.stats.grabbed_pixels += region.area();
        self.stats.pictures += 1;
        Ok(planes)
    }

    fn follow_cursor(&mut self, pointer: &QueryPointerReply, place: Place) -> Result<(), Trouble> {
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        if self.cursor_changed {
            cursor.set_image(self.server.connection.xfixes_get_cursor_image()?.reply()?);
            self.cursor_changed = false;
        }
        let tip = |at: i16, corner: i16| i32::from(at) - i32::from(corner);
        cursor.set_place(
            pointer
                .same_screen
                .then(|| (tip(pointer.win_x, place.corner.0), tip(pointer.win_y, place.corner.1))),
        );
        if cursor.damage(place.size, &mut self.damaged) {
            self.stats.cursor_moves += 1;
        }
        Ok(())
    }

    fn handle_event(&mut self, event: &Event) -> Result<(), Trouble> {
        let ours = |window: Window| window == self.target.window;
        match event {
            Event::DamageNotify(event) if Some(event.damage) == self.damage => {
                self.reported = true;
                let Some(Place { corner, size, .. }) = self.place else { return Ok(()) };
                let part = event.area;
                let x = i32::from(part.x) - i32::from(corner.0);
                let y = i32::from(part.y) - i32::from(corner.1);
                self.damaged.add(clip(x, y, part.width, part.height, size));
            }
            Event::XfixesCursorNotify(_) => self.cursor_changed = true,
            Event::ConfigureNotify(event) if ours(event.window) => {
                self.moved |= self.target.is_moved_by(event);
            }
            Event::DestroyNotify(event) if ours(event.window) => {
                return Err(Trouble::Gone("it was closed".to_owned()));
            }
            Event::MapNotify(event) if ours(event.window) => self.moved = true,
            Event::UnmapNotify(event) if ours(event.window) => self.moved = true,
            Event::VisibilityNotify(event) if ours(event.window) => self.moved = true,
            Event::RandrNotify(_) | Event::RandrScreenChangeNotify(_) => self.moved = true,
            // Errors too: of requests that need no answer, to what is gone by now. What matters
            // of them comes back as the answer to the next question.
            _ => {}
        }
        Ok(())
    }
}

impl VideoSource for Screen {
    fn size(&self) -> (u16, u16) {
        self.canvas.size()
    }

    fn frame_rate(&self) -> f64 {
        self.config.frame_rate
    }

    fn content(&self) -> Content {
        Content::Screen
    }

    fn read(
        &mut self,
        _index: u64,
        time: MediaTime,
        capture: NtpTime,
    ) -> Result<Option<VideoFrame>, CaptureError> {
        match self.look() {
            Ok(None) => Ok(None),
            Ok(Some(planes)) => {
                let (width, height) = self.canvas.size();
                match VideoFrame::new(width, height, time, capture, planes) {
                    Ok(frame) => Ok(Some(frame)),
                    Err(error) => Err(self.gone(error.to_string())),
                }
            }
            Err(Trouble::Gone(reason)) => Err(self.gone(reason)),
            Err(Trouble::Hidden) => {
                // It is asked for again when an event says so, or the next time if it had a
                // place, which then is not the right one.
                self.moved |= self.place.is_some();
                self.stats.held += 1;
                Ok(None)
            }
        }
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen")
            .field("target", &self.target)
            .field("config", &self.config)
            .field("place", &self.place)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

fn refusal(trouble: Trouble, kind: DeviceKind, id: &str) -> CaptureError {
    let reason = match trouble {
        Trouble::Gone(reason) => reason,
        Trouble::Hidden => "the X server does not let it be captured".to_owned(),
    };
    CaptureError::Unavailable { kind, id: id.to_owned(), reason }
}

fn parse(id: &str) -> Option<Window> {
    match id.strip_prefix("0x") {
        Some(digits) => Window::from_str_radix(digits, 16).ok(),
        None => id.parse().ok(),
    }
}

/// Its depth and visual, if it is there.
fn known(
    server: &Server,
    window: Window,
) -> Result<Option<(Window, u8, u32)>, x11rb::errors::ReplyError> {
    use x11rb::errors::ReplyError;
    let attributes = server.connection.get_window_attributes(window)?;
    let geometry = server.connection.get_geometry(window)?;
    match (attributes.reply(), geometry.reply()) {
        (Ok(attributes), Ok(geometry)) => Ok(Some((window, geometry.depth, attributes.visual))),
        (Err(ReplyError::ConnectionError(error)), _)
        | (_, Err(ReplyError::ConnectionError(error))) => Err(error.into()),
        _ => Ok(None),
    }
}
