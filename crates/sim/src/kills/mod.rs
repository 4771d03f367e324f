//! Hosts that are killed, and what the others see of it.
//!
//! A [`Room`] has the machines of migration alone, one for each member and a voter for the
//! witness, each with a clock of its own. A [`Profile`] says what lies between them and
//! what happens beside the kills; a seed decides the rest. What a machine believes is not
//! looked at: an observer writes down who *sent* as host under which epoch and when, and
//! what the others *rendered*, and [`Outcome`] and [`Tally`] have what it saw.
//!
//! # What is counted
//!
//! | | |
//! |---|---|
//! | [`Split::OneEpoch`] | two sent as host under one epoch |
//! | [`Split::AtOnce`] | a frame sent under an older epoch after one under a newer; but for those of the window that the old host announced |
//! | [`Split::StaleRendered`] | the same, for what one member rendered |
//! | [`Split::WithoutQuorum`] | in the dark, somebody took over at all |
//! | flap | another host without anything that had been done to anybody |
//! | stuck | nobody took over within five seconds though enough were left |
//!
//! # The model
//!
//! Connections are reliable and in order, as a data channel is: what is lost comes a round
//! trip and 20 ms later and holds up what is behind it. Who vanishes sends nothing again,
//! so what waited behind a loss of his never comes. Who is dead is found out by silence:
//! nobody is told of it for a second by the witness, and for five by the connection.

mod clock;
mod event;
mod kill;
mod lines;
mod node;
mod oracle;
mod outcome;
mod pipe;
mod plot;
mod profile;
mod report;
mod room;
mod schedule;
mod script;
mod transcript;
mod witness;

pub use self::kill::Kill;
pub use self::oracle::{Split, Violation};
pub use self::outcome::{Outcome, Tally};
pub use self::plot::plot;
pub use self::profile::Profile;
pub use self::report::{json, table};
pub use self::room::Room;
pub use self::schedule::{Scheduled, schedule};
