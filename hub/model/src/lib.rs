//! The nouns of the hub and their public JSON.
//!
//! An *alarm* has state, an *event* is a numbered fact, a *case* is what the city sees.
//! Nothing in this crate waits, reads a file or asks a clock.

mod alarm;
mod case;
mod device;
mod event;
pub mod geo;
mod health;
mod ledger;
mod metric;
mod reading;
mod region;
mod time;
mod words;

pub use alarm::{AlarmRow, AlarmState, Severity, Suppression};
pub use case::{
    CaseCategory, CaseDoubt, CaseEvidence, CasePlace, CaseReading, CaseRow, CaseState, CaseStep,
    CaseStepRow, CaseTimeLimit,
};
pub use device::{Device, DeviceId, DeviceKey, InvalidDeviceId, Location, OWN};
pub use event::{Event, MinSeverity};
pub use health::{DeviceHealth, DeviceStatus, SilenceCause};
pub use ledger::{Counts, Reason, Rejected};
pub use metric::{Catalogue, CatalogueError, MetricDef, MetricKey, MetricShape, Pace};
pub use reading::{Cause, Observation, Position, Quality, Reading, Series, Value};
pub use region::{Region, RegionError};
pub use time::{InvalidTimestamp, Timestamp};
pub use words::{
    Names, QuickPhrase, SeverityNames, quick_phrases, read_quick_phrases, severity_names,
};
