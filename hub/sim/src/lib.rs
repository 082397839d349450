//! Acts as a fleet of sensors against a running hub, over the real protocols, and loads servers
//! for benches; every encoder in here is its own.

mod api;
mod args;
mod calendar;
mod clock;
mod demo;
mod error;
mod fault;
mod fleet;
mod histogram;
mod http;
mod kind;
mod link;
pub mod load;
mod mqtt;
mod observation;
mod payload;
mod plan;
mod print;
mod random;
mod register;
mod run;
mod scenario;
mod signal;
mod tally;
mod way;
#[cfg(test)]
mod wire_tap;

pub use args::{Args, PrintFormat};
pub use error::SimError;
pub use fault::{Fault, FaultShare};
pub use mqtt::Version;
pub use run::run;
