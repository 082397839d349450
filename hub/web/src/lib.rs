//! Answers officers and platforms: REST, server-sent events, and the console's files.
//!
//! The hub fills a [`State`] and serves [`router`] through the `door`. Everything is read from what is
//! committed; everything that changes something travels the writer's queue as a command.

mod actions;
mod alarms;
mod backtest;
mod build;
mod canary;
mod cap;
mod cases;
mod census;
mod certificates;
mod commands;
mod credential;
mod desk;
mod devices;
mod events;
mod evidence;
mod explain;
mod gate;
mod guard;
mod handover;
mod health;
mod knocks;
mod kpi;
mod ledger;
mod long_term;
mod map;
mod messages;
mod metrics;
mod mirrors;
mod pace;
mod past;
mod problem;
mod proof;
mod proposal;
mod pulse;
mod quality;
mod query;
mod readings;
mod recent;
mod records;
mod reload;
mod report;
mod rerun;
mod right;
mod roll;
mod roster;
mod routes;
mod rule_list;
mod rulebook;
mod schemas;
mod session;
mod state;
mod status;
mod storage;
mod stream;
mod subscriber;
mod subscriptions;
mod users;
mod versions;
mod written;

#[cfg(test)]
mod tests;

pub use alarms::alarm_row;
pub use backtest::{
    Coverage, Diff, Progress, Rate, Review, ReviewError, Reviewed, Tally, TestedAlarm,
};
pub use canary::CanaryHealth;
pub use certificates::{CertificateState, Tls};
pub use desk::DeskSetup;
pub use gate::Gate;
pub use handover::{
    HandoverChange, HandoverDraft, Handovers, Opinions, Signature, handover_hash, handover_json,
};
pub use health::{DriverHealth, Health, PartState, SinkHealth, SinkState};
pub use knocks::{Knock, Knocks};
pub use long_term::{LongAnswer, LongError, LongFuture, LongRange, LongTerm, MissingRange};
pub use map::{Layer, MapSetup, Tiles};
pub use metrics::{
    Counted, FigureKind, FigureRow, Figures, Histogram, Language, Measured, Number, Page, Sample,
    list_of_figures,
};
pub use mirrors::{MirrorHealth, MirrorState};
pub use pace::Pace;
pub use proposal::{End, EndState, Proposal};
pub use reload::{Changed, ReadAgain, Reload, ReloadError, Reloaded, Reloads};
pub use rerun::reach_s;
pub use roll::Roll;
pub use roster::{ROSTER_ROWS_MAX, Roster, RosterRow, RowNote};
pub use routes::router;
pub use rule_list::{RuleEntry, RuleList};
pub use schemas::knows_event_type;
pub use state::{City, MovedCases, STREAM_CLIENTS_MAX, Setting, State};
pub use status::{Statuses, device_row};
pub use storage::{DiskView, StorageHealth, StorageState};
pub use subscriber::{Subscriber, Subscribers};

/// The metric of the hub's own test sensor, which is no city's.
const CANARY_METRIC: &str = "canary";

/// The description of the API, as `GET /api/v1/openapi.json` gives it.
pub const OPENAPI: &str = include_str!("../openapi.json");
