//! The engine as its users see it: golden cases, the laws, and backtests.

mod laws;
mod support;
