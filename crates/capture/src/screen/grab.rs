//! Pixels, from the server to us.

use paceline_types::Rect;
use tracing::warn;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::cookie::Cookie;
use x11rb::errors::ReplyError;
use x11rb::protocol::shm::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{ConnectionExt as _, Drawable, ImageFormat};
use x11rb::rust_connection::RustConnection;

use super::canvas::whole;
use super::region::{MAX_RECTS, Region, area};
use super::shm::SharedPages;

/// Where pixels are put: 4 bytes each, rectangle behind rectangle, each without padding.
pub(super) struct Grabber {
    way: Way,
    stats: GrabStats,
}

enum Way {
    Shared {
        pages: SharedPages,
        segment: shm::Seg,
    },
    Socket(Vec<u8>),
    /// Nothing was grabbed yet.
    ToShare,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GrabStats {
    pub(super) grabs: u64,
    pub(super) segments: u64,
    pub(super) over_socket: u64,
}

/// Why there are no pixels.
#[derive(Debug)]
pub(super) enum GrabError {
    /// The server has less than it was asked for, or none.
    Short,
    /// The server refuses, or is gone.
    Server(ReplyError),
}

impl<E: Into<ReplyError>> From<E> for GrabError {
    fn from(error: E) -> Self {
        Self::Server(error.into())
    }
}

impl Grabber {
    /// One that shares memory with the server if `shared`.
    pub(super) fn new(shared: bool) -> Self {
        let way = if shared { Way::ToShare } else { Way::Socket(Vec::new()) };
        Self { way, stats: GrabStats::default() }
    }

    pub(super) fn stats(&self) -> GrabStats {
        self.stats
    }

    /// All rectangles of `region`, which is a part of a picture of `size` whose corner is at
    /// `origin` of the drawable. Waits for the server once.
    ///
    /// # Errors
    ///
    /// If one of them is not there: then none is.
    pub(super) fn grab(
        &mut self,
        server: &RustConnection,
        drawable: Drawable,
        origin: (i16, i16),
        size: (u16, u16),
        region: &Region,
    ) -> Result<&mut [u8], GrabError> {
        let len = region.area() as usize * 4;
        self.make_room(server, len.max(area(whole(size)) as usize * 4))?;
        self.stats.grabs += region.rects().len() as u64;
        match &mut self.way {
            Way::Shared { pages, segment } => {
                let mut asked: [Option<(Cookie<'_, _, shm::GetImageReply>, u64)>; MAX_RECTS] =
                    Default::default();
                let mut offset = 0;
                for (&rect, asked) in region.rects().iter().zip(&mut asked) {
                    let (x, y) = at(origin, rect);
                    let cookie = server.shm_get_image(
                        drawable,
                        x,
                        y,
                        rect.width,
                        rect.height,
                        ALL_PLANES,
                        ImageFormat::Z_PIXMAP.into(),
                        *segment,
                        offset,
                    )?;
                    *asked = Some((cookie, area(rect) * 4));
                    offset += (area(rect) * 4) as u32;
                }
                for (cookie, len) in asked.into_iter().flatten() {
                    // One of no pixels succeeds and writes none.
                    if u64::from(cookie.reply()?.size) != len {
                        return Err(GrabError::Short);
                    }
                }
                Ok(&mut pages.bytes()[..len])
            }
            Way::Socket(pixels) => {
                pixels.clear();
                // Asked for at once: it is waited for once, and no answer is larger than a strip.
                let mut asked = Vec::new();
                for (rect, x, y) in
                    region.rects().iter().flat_map(|&rect| strips(rect)).map(|strip| {
                        let (x, y) = at(origin, strip);
                        (strip, x, y)
                    })
                {
                    let (width, height) = (rect.width, rect.height);
                    let image = ImageFormat::Z_PIXMAP;
                    let cookie =
                        server.get_image(image, drawable, x, y, width, height, ALL_PLANES)?;
                    asked.push((cookie, area(rect) * 4));
                }
                for (cookie, len) in asked {
                    let strip = cookie.reply()?.data;
                    if strip.len() as u64 != len {
                        return Err(GrabError::Short);
                    }
                    pixels.extend_from_slice(&strip);
                }
                self.stats.over_socket += 1;
                Ok(pixels)
            }
            Way::ToShare => unreachable!("room was made"),
        }
    }

    /// Sees to it that a whole picture of `len` bytes can be grabbed, however little is now:
    /// pages that no grab writes to take no memory, but each segment costs a turn to the server.
    fn make_room(&mut self, server: &RustConnection, len: usize) -> Result<(), ReplyError> {
        if let Way::Shared { pages, segment } = &self.way {
            // What is far too large for the picture was made for one of another size.
            if (len..=len.max(PAGES) * 8).contains(&pages.len()) {
                return Ok(());
            }
            server.shm_detach(*segment)?;
            self.way = Way::ToShare;
        }
        if matches!(self.way, Way::ToShare) {
            self.way = match share(server, len.next_multiple_of(PAGES)) {
                Ok((pages, segment)) => {
                    self.stats.segments += 1;
                    Way::Shared { pages, segment }
                }
                Err(reason) => {
                    warn!(reason, "screen pictures come over the socket, at much more CPU time");
                    Way::Socket(Vec::new())
                }
            };
        }
        Ok(())
    }
}

/// Whether the server can take memory of ours: it is on this machine, and has MIT-SHM 1.2.
pub(super) fn can_share(server: &RustConnection) -> bool {
    let local = rustix::net::getsockname(server.stream())
        .is_ok_and(|address| address.address_family() == rustix::net::AddressFamily::UNIX);
    // ssh forwards what the server says, but not the descriptors.
    local
        && matches!(server.extension_information(shm::X11_EXTENSION_NAME), Ok(Some(_)))
        && server.shm_query_version().is_ok_and(|cookie| {
            cookie.reply().is_ok_and(|v| (v.major_version, v.minor_version) >= (1, 2))
        })
}

fn share(server: &RustConnection, len: usize) -> Result<(SharedPages, shm::Seg), String> {
    let (pages, file) = SharedPages::new(len).map_err(|error| error.to_string())?;
    let segment = server.generate_id().map_err(|error| error.to_string())?;
    server
        .shm_attach_fd(segment, file, false)
        .map_err(|error| error.to_string())?
        .check()
        .map_err(|error| error.to_string())?;
    Ok((pages, segment))
}

/// Where a rectangle is in the drawable. What is beyond its coordinates is refused by the
/// server, which has no such pixels.
fn at(origin: (i16, i16), rect: Rect) -> (i16, i16) {
    let place =
        |origin: i16, at: u16| i16::try_from(i32::from(origin) + i32::from(at)).unwrap_or(i16::MAX);
    (place(origin.0, rect.x), place(origin.1, rect.y))
}

/// A rectangle in strips of at most [`STRIP`] bytes.
fn strips(rect: Rect) -> impl Iterator<Item = Rect> {
    let rows =
        (STRIP / (4 * usize::from(rect.width.max(1)))).clamp(1, usize::from(u16::MAX)) as u16;
    (0..rect.height).step_by(usize::from(rows)).map(move |y| Rect {
        y: rect.y + y,
        height: rows.min(rect.height - y),
        ..rect
    })
}

/// Shared memory comes by the megabyte, so that a window that grows slowly asks seldom.
const PAGES: usize = 1 << 20;
/// What one answer over the socket holds at most, in bytes: so much is allocated for it besides
/// the picture.
const STRIP: usize = 1 << 20;
/// All bits of a pixel.
const ALL_PLANES: u32 = !0;
