//! The two machines, without a socket and without a clock.

mod client;
mod hostile;
mod house;
mod json_rpc;
mod limits;
mod rooms;
