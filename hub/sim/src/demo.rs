//! The demo city: its devices, what happens to them by the clock, and a platform that disposes of
//! the cases.

mod city;
mod platform;
mod programme;

pub(crate) use city::{Cast, cast, fleet};
pub(crate) use platform::Platform;
pub(crate) use programme::Part;
