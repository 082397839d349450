//! Turns readings and time into alarms, and nothing else: no I/O, no clock.
//!
//! [`Engine`] is told what was received and when, and answers with [`Change`]s; [`AlarmBook`]
//! turns those, and what officers do, into alarm rows. Live, restart, test and backtest are the
//! same calls.

mod alarm;
mod backtest;
mod case;
mod change;
mod device;
mod engine;
mod history;
mod kind;
mod pack;
mod rehearse;
mod schedule;
mod spec;

pub use alarm::{
    ActError, Action, AlarmBook, AlarmEvent, Around, BookEvent, Composite, Cover, Facts,
    FloodEvent, Load, SHELVE_MINUTES_MAX, Scope, Verb, alarm_number, count_floods,
};
pub use backtest::{Plan, backtest};
pub use case::{
    AlarmEnd, AlarmNews, Calendar, CaseBook, CaseCounts, CaseEvent, Judgement, Repeat, Report,
    StepError, StepFacts, TimeLimit, TimeUnit, WorkingTimes, possible,
};
pub use change::{Change, ClearReason, Figures, Outcome, What, alarm_id, change_crc, overtaken};
pub use device::DeviceView;
pub use engine::{Engine, Numbered, RestoreError, Rule, Settings};
pub use history::{AlarmSpan, History};
pub use kind::{
    Condition, Look, clock, composite, frozen, geofence, latch, occupancy, rate, silence,
    threshold, window,
};
pub use pack::{pack_names, read_pack};
pub use rehearse::{Played, Rehearsal, Step};
pub use schedule::{Schedule, Zone};
pub use spec::{
    Beside, RuleError, RuleSpec, Select, Targets, Uncertain, parse_json, parse_toml,
    parse_toml_beside,
};
