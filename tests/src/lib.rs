//! Treats the hub as its users do: starts the program, speaks its protocols, kills it, looks again.
//!
//! Encoders and parsers here are written from the standards and shared with no driver.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test bench reports what is wrong by panicking"
)]

pub mod audit;
pub mod fleet;
pub mod http;
pub mod hub;
pub mod influx;
pub mod mqtt;
pub mod scenarios;
pub mod schema;
pub mod time;
