//! The demo city: its devices, what happens to them by the clock, a platform that disposes of the
//! cases, and an officer who acknowledges what is left.

mod addresses;
mod city;
mod officer;
mod platform;
mod programme;

pub(crate) use addresses::complete;
pub(crate) use city::{Cast, cast, fleet};
pub(crate) use officer::Officer;
pub(crate) use platform::Platform;
pub(crate) use programme::Part;
