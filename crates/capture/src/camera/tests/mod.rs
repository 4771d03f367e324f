//! Cameras as far as they can be known without one: a model of the driver, and the kernel's
//! header.

mod kernel;
mod list;
mod model;
mod modes;
mod pictures;
mod source;
mod stream;
