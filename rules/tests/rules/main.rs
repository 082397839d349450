//! The engine as its users see it: golden cases, the laws, and backtests.
#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong stops, and so do its helpers"
)]

mod golden;
mod laws;
mod support;
