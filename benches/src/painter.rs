//! Scenes on an X server.

use std::error::Error;

use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    ConnectionExt, CreateGCAux, CreateWindowAux, Gcontext, ImageFormat, Pixmap, Rectangle, Window,
    WindowClass,
};
use x11rb::rust_connection::RustConnection;

use crate::scene::{Change, HEIGHT, Picture, Scene, WIDTH};

/// Shows a scene in a window without a frame, over all of the screen.
#[derive(Debug)]
pub struct Painter {
    connection: RustConnection,
    window: Window,
    context: Gcontext,
    stock: Vec<Pixmap>,
}

impl Painter {
    /// Gives the server what the scene is made of, and shows its first picture.
    ///
    /// # Errors
    ///
    /// If the server is none, or takes nothing of depth 24.
    pub fn open(display: &str, scene: &Scene) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let (connection, number) = RustConnection::connect(Some(display))?;
        let root = &connection.setup().roots[number];
        if root.root_depth != DEPTH {
            return Err(format!("{display} has depth {}, not {DEPTH}", root.root_depth).into());
        }
        let (root, visual) = (root.root, root.root_visual);
        let window = connection.generate_id()?;
        // Nobody manages it, so that it lies where it is put.
        let how = CreateWindowAux::new().override_redirect(1).background_pixel(0);
        let class = WindowClass::INPUT_OUTPUT;
        connection
            .create_window(DEPTH, window, root, 0, 0, WIDTH, HEIGHT, 0, class, visual, &how)?;
        connection.map_window(window)?;
        let context = connection.generate_id()?;
        connection.create_gc(context, window, &CreateGCAux::new().graphics_exposures(0))?;
        let mut painter = Self { connection, window, context, stock: Vec::new() };
        for picture in scene.stock() {
            let pixmap = painter.connection.generate_id()?;
            let (width, height) = (picture.width as u16, picture.height as u16);
            painter.connection.create_pixmap(DEPTH, pixmap, window, width, height)?;
            painter.put(pixmap, (0, 0), picture)?;
            painter.stock.push(pixmap);
        }
        painter.put(window, (0, 0), &scene.picture(0))?;
        painter.wait()?;
        Ok(painter)
    }

    /// Makes the picture of `number` of the one before, and comes back when it is there.
    /// Nobody else sees, or copies, what is half done.
    ///
    /// # Errors
    ///
    /// If the server is gone.
    pub fn paint(&self, scene: &Scene, number: u32) -> Result<(), Box<dyn Error + Send + Sync>> {
        let changes = scene.changes(number);
        if changes.is_empty() {
            return Ok(());
        }
        self.connection.grab_server()?;
        for change in changes {
            match change {
                Change::Copy { stock, from, area } => {
                    let (from, to) = (at(from), at((area.x, area.y)));
                    let (width, height) = (area.width, area.height);
                    let source = self.stock[stock];
                    self.connection.copy_area(
                        source,
                        self.window,
                        self.context,
                        from.0,
                        from.1,
                        to.0,
                        to.1,
                        width,
                        height,
                    )?;
                }
                Change::Put { at, picture } => self.put(self.window, at, &picture)?,
            }
        }
        self.connection.ungrab_server()?;
        self.wait()
    }

    /// Paints a grey rectangle: damage of a known size.
    ///
    /// # Errors
    ///
    /// If the server is gone.
    pub fn dab(
        &self,
        x: i16,
        y: i16,
        width: u16,
        height: u16,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let area = Rectangle { x, y, width, height };
        self.connection.poly_fill_rectangle(self.window, self.context, &[area])?;
        self.wait()
    }

    fn put(
        &self,
        into: u32,
        to: (u16, u16),
        picture: &Picture,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        // A request holds 16 MiB with BIG-REQUESTS, and 256 KiB without: in bands.
        let rows = (BAND / (4 * picture.width)).max(1);
        for (index, band) in picture.pixels.chunks(rows * picture.width).enumerate() {
            let bytes: Vec<u8> = band.iter().flat_map(|pixel| pixel.to_le_bytes()).collect();
            let (width, height) = (picture.width as u16, (band.len() / picture.width) as u16);
            let (x, y) = at((to.0, to.1 + (index * rows) as u16));
            let format = ImageFormat::Z_PIXMAP;
            self.connection.put_image(
                format,
                into,
                self.context,
                width,
                height,
                x,
                y,
                0,
                DEPTH,
                &bytes,
            )?;
        }
        Ok(())
    }

    /// Until the server has done all of it: requests are served in their order.
    fn wait(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.connection.get_input_focus()?.reply()?;
        Ok(())
    }
}

const fn at((x, y): (u16, u16)) -> (i16, i16) {
    (x as i16, y as i16)
}

const DEPTH: u8 = 24;
const BAND: usize = 200 << 10;
