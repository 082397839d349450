//! cityhub: an IoT sensing hub for a city's infrastructure.
//!
//! The program of `main.rs` is a thin list of commands over these modules.

mod canary;
mod certificates;
pub mod codes;
pub mod config;
mod delivery;
mod desk;
pub mod doctor;
pub mod drivers;
pub mod feed;
pub mod gauge;
pub mod grid;
pub mod inventory;
pub mod judge;
pub mod log;
mod long_term;
mod mirrors;
mod notify;
pub mod probe;
mod reload;
pub mod rulebook;
pub mod schema;
pub mod shifts;
pub mod stages;
mod standing;
mod telemetry;
pub mod trial;
pub mod writer;
