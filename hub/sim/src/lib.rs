//! Acts as a fleet of sensors against a running hub, over the real protocols, and loads servers
//! for benches; every encoder in here is its own.

mod clock;
mod histogram;
pub mod load;
mod mqtt;
mod random;

pub use mqtt::Version;
