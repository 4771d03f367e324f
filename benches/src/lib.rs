//! What several benches and comparisons share: desktops that are known to the pixel.

pub mod display;
pub mod painter;
pub mod scene;
