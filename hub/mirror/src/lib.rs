//! Carries readings to a time-series server of the city's choice, and reads long ranges back from it.
//!
//! Never in the path of an acknowledgement: the journal is told nothing but how far a server has confirmed.

#[cfg(feature = "influx")]
mod dead;
pub mod history;
#[cfg(feature = "influx")]
mod influx;
pub mod line;
#[cfg(feature = "influx")]
mod parcel;
#[cfg(feature = "influx")]
mod patience;
mod position;
#[cfg(feature = "influx")]
mod sentinel;
mod settings;
pub mod shape;
#[cfg(feature = "influx")]
mod source;
mod status;
#[cfg(feature = "influx")]
mod tail;

pub use position::{Pass, Position};
pub use settings::{MirrorConfig, MirrorKind, Secret};
pub use status::{MirrorState, MirrorStatus};
#[cfg(feature = "influx")]
pub use tail::Mirror;
