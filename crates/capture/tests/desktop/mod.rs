//! A desktop of a test's own: an X server without a monitor, and a board on it that shows
//! pictures with clapper marks.
//!
//! Included by path, also from other packages: it wants `x11rb`, `paceline-capture` and
//! nothing else. Whatever a call asks of the server is done when the call returns.
#![allow(dead_code, unreachable_pub, reason = "each test that includes it uses a part")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use paceline_capture::clapper::{self, Mark};
use paceline_capture::types::{Frequency, MediaTime, NtpTime, VideoFrame};
use x11rb::connection::Connection;
use x11rb::errors::ConnectError;
use x11rb::protocol::xproto::{
    AtomEnum, ConfigureWindowAux, ConnectionExt as _, CreateGCAux, CreateWindowAux, Gcontext,
    ImageFormat, PropMode, Rectangle, StackMode, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// An X server of the test's own, and a connection to it.
#[derive(Debug)]
pub struct Desktop {
    server: Child,
    number: u32,
    /// Keeps the server up: it ends with the last client, so that a test that is killed
    /// leaves none behind.
    keeper: Client,
}

/// A client of the server.
#[derive(Debug)]
pub struct Client {
    pub connection: RustConnection,
    pub root: Window,
    depth: u8,
}

/// A window that shows what it is told to.
#[derive(Debug)]
pub struct Board {
    pub client: Client,
    pub window: Window,
    gc: Gcontext,
    size: (u16, u16),
}

impl Desktop {
    /// A desktop of `width` × `height` pixels. `None` if no Xvfb is installed, which is said.
    ///
    /// # Panics
    ///
    /// If none is installed and `PACELINE_INTEROP` is `required`, or it does not come up.
    pub fn start(width: u16, height: u16) -> Option<Self> {
        Self::start_at_depth(width, height, 24)
    }

    /// The same with pixels of `depth` bits.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn start_at_depth(width: u16, height: u16, depth: u8) -> Option<Self> {
        // Two servers that start at once may try for the same number; one of them ends then.
        for _ in 0..5 {
            let server = Command::new("Xvfb")
                .args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0"])
                .args([&format!("{width}x{height}x{depth}"), "-terminate"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn();
            let mut server = match server {
                Ok(server) => server,
                Err(error) => {
                    let required =
                        std::env::var("PACELINE_INTEROP").is_ok_and(|value| value == "required");
                    assert!(!required, "Xvfb cannot be started: {error}");
                    eprintln!("skipped: Xvfb cannot be started: {error}");
                    return None;
                }
            };
            let mut line = String::new();
            let stdout = server.stdout.take().expect("it is piped");
            // A number and a line feed; it is closed when the server ends.
            let _ = BufReader::new(stdout.take(16)).read_line(&mut line);
            if let Ok(number) = line.trim().parse()
                && let Ok(keeper) = Client::connect(&format!(":{number}"))
            {
                return Some(Self { server, number, keeper });
            }
            let _ = server.kill();
            let _ = server.wait();
        }
        panic!("Xvfb does not come up");
    }

    /// What `$DISPLAY` would be.
    pub fn display(&self) -> String {
        format!(":{}", self.number)
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.server.id()
    }

    /// The client that keeps the server up.
    pub fn client(&self) -> &Client {
        &self.keeper
    }

    /// A board of `width` × `height` pixels with its corner at (`x`, `y`), shown.
    pub fn board(&self, x: i16, y: i16, width: u16, height: u16) -> Board {
        Board::of(&self.display(), x, y, width, height, 0)
    }

    /// The same with a border of `border` pixels.
    pub fn framed_board(&self, x: i16, y: i16, width: u16, height: u16, border: u16) -> Board {
        Board::of(&self.display(), x, y, width, height, border)
    }

    /// Ends the server, as a crash would. Its lock and its socket stay; the next server of
    /// this number takes them.
    pub fn kill(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        if matches!(self.server.try_wait(), Ok(None)) {
            // Asked to end, it takes its lock and its socket with it.
            let asked = Command::new("kill").arg(self.server.id().to_string()).status();
            if !asked.is_ok_and(|status| status.success()) {
                let _ = self.server.kill();
            }
            let _ = self.server.wait();
        }
    }
}

impl Client {
    fn connect(display: &str) -> Result<Self, ConnectError> {
        let (connection, screen) = x11rb::connect(Some(display))?;
        let screen = &connection.setup().roots[screen];
        let (root, depth) = (screen.root, screen.root_depth);
        Ok(Self { connection, root, depth })
    }

    /// Moves the pointer there.
    pub fn point(&self, x: i16, y: i16) {
        self.connection.warp_pointer(x11rb::NONE, self.root, 0, 0, 0, 0, x, y).expect("sent");
        self.wait();
    }

    /// Waits until all that was asked of the server is done.
    pub fn wait(&self) {
        self.connection.sync().expect("the server is up");
    }
}

impl Board {
    fn of(display: &str, x: i16, y: i16, width: u16, height: u16, border: u16) -> Self {
        let client = Client::connect(display).expect("the server is up");
        let connection = &client.connection;
        let (window, gc) = (
            connection.generate_id().expect("ids are left"),
            connection.generate_id().expect("ids are left"),
        );
        let look = CreateWindowAux::new().background_pixel(0).border_pixel(0x00ff_0000);
        connection
            .create_window(
                client.depth,
                window,
                client.root,
                x,
                y,
                width,
                height,
                border,
                WindowClass::INPUT_OUTPUT,
                x11rb::COPY_FROM_PARENT,
                &look,
            )
            .expect("sent");
        connection.create_gc(gc, window, &CreateGCAux::new()).expect("sent");
        connection.map_window(window).expect("sent");
        let board = Self { size: (width, height), client, window, gc };
        board.set_title(b"board");
        board
    }

    /// What a capture opens it by.
    pub fn id(&self) -> String {
        format!("{:#x}", self.window)
    }

    /// Its width and height.
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Shows grey with the mark of `mark` along its top.
    pub fn show_mark(&self, mark: Mark) {
        let (width, height) = (self.size.0 & !1, self.size.1 & !1);
        let luma = usize::from(width) * usize::from(height);
        let grey = vec![128; luma * 3 / 2];
        let time = MediaTime::new(0, Frequency::VIDEO);
        let picture = VideoFrame::new(width, height, time, mark.capture, grey.into());
        self.show(&clapper::burn(picture.expect("the planes are of this size"), mark));
    }

    /// Shows the mark with number `frame` and no time of capture.
    pub fn show_number(&self, frame: u16) {
        self.show_mark(Mark { frame, capture: NtpTime::default() });
    }

    /// Shows a picture in the corner of the window.
    pub fn show(&self, picture: &VideoFrame) {
        self.show_bgrx(&bgrx(picture), picture.width());
    }

    /// Shows rows of `width` pixels of 4 bytes: blue, green, red and one that means nothing.
    pub fn show_bgrx(&self, pixels: &[u8], width: u16) {
        // Below the 256 KiB that every server takes in one request.
        let rows = (STRIP / (4 * usize::from(width))).max(1);
        let mut y = 0;
        for strip in pixels.chunks(rows * 4 * usize::from(width)) {
            let height = (strip.len() / 4 / usize::from(width)) as u16;
            self.client
                .connection
                .put_image(
                    ImageFormat::Z_PIXMAP,
                    self.window,
                    self.gc,
                    width,
                    height,
                    0,
                    y as i16,
                    0,
                    self.client.depth,
                    strip,
                )
                .expect("sent");
            y += height;
        }
        self.client.wait();
    }

    /// Fills a part of it with `0x00rrggbb`.
    pub fn fill(&self, x: i16, y: i16, width: u16, height: u16, colour: u32) {
        use x11rb::protocol::xproto::ChangeGCAux;
        let connection = &self.client.connection;
        connection.change_gc(self.gc, &ChangeGCAux::new().foreground(colour)).expect("sent");
        let part = Rectangle { x, y, width, height };
        connection.poly_fill_rectangle(self.window, self.gc, &[part]).expect("sent");
        self.client.wait();
    }

    /// Names it, by any bytes.
    pub fn set_title(&self, title: &[u8]) {
        self.client
            .connection
            .change_property8(
                PropMode::REPLACE,
                self.window,
                AtomEnum::WM_NAME,
                AtomEnum::STRING,
                title,
            )
            .expect("sent");
        self.client.wait();
    }

    /// Moves its corner to (`x`, `y`).
    pub fn move_to(&self, x: i16, y: i16) {
        self.configure(&ConfigureWindowAux::new().x(i32::from(x)).y(i32::from(y)));
    }

    /// Makes it another size. What it showed is lost.
    pub fn resize(&mut self, width: u16, height: u16) {
        self.size = (width, height);
        let size = ConfigureWindowAux::new().width(u32::from(width)).height(u32::from(height));
        self.configure(&size);
    }

    /// Puts it above all others.
    pub fn raise(&self) {
        self.configure(&ConfigureWindowAux::new().stack_mode(StackMode::ABOVE));
    }

    /// Shows it again. What it showed before is lost.
    pub fn map(&self) {
        self.client.connection.map_window(self.window).expect("sent");
        self.client.wait();
    }

    /// Takes it from the desktop, as an icon would be.
    pub fn unmap(&self) {
        self.client.connection.unmap_window(self.window).expect("sent");
        self.client.wait();
    }

    /// Closes it.
    pub fn destroy(&self) {
        self.client.connection.destroy_window(self.window).expect("sent");
        self.client.wait();
    }

    fn configure(&self, change: &ConfigureWindowAux) {
        self.client.connection.configure_window(self.window, change).expect("sent");
        self.client.wait();
    }
}

/// A picture as a server of depth 24 shows it: ITU-R BT.601, limited range.
pub fn bgrx(picture: &VideoFrame) -> Vec<u8> {
    let width = usize::from(picture.width());
    let mut pixels = Vec::with_capacity(width * usize::from(picture.height()) * 4);
    for (y, row) in picture.y().chunks(width).enumerate() {
        for (x, &luma) in row.iter().enumerate() {
            let at = y / 2 * picture.chroma_width() + x / 2;
            let luma = 1.164_4 * (f32::from(luma) - 16.0);
            let (u, v) = (f32::from(picture.u()[at]) - 128.0, f32::from(picture.v()[at]) - 128.0);
            let blue = luma + 2.017_2 * u;
            let green = luma - 0.391_8 * u - 0.813 * v;
            let red = luma + 1.596 * v;
            // Such a cast saturates.
            pixels.extend([blue.round() as u8, green.round() as u8, red.round() as u8, 0]);
        }
    }
    pixels
}

const STRIP: usize = 200 << 10;
