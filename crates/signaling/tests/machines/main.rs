//! The two machines, without a socket and without a clock.

mod client;
mod election;
mod golden;
mod hostile;
mod house;
mod json_rpc;
mod limits;
mod machine;
mod rooms;
mod witness;
