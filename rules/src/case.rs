//! The disposal of cases (处置过程): which step is possible when, and what each one does.
//!
//! No I/O and no clock: the caller says what was reported, and when it learnt of it. Every refused
//! step leaves the case as it was and says what would be possible.

mod alarms;
mod book;
mod calendar;
mod doubt;
mod evidence;
mod place;
mod steps;

pub use alarms::{AlarmEnd, AlarmNews};
pub use book::{CaseBook, CaseCounts, CaseEvent, Repeat, StepFacts};
pub use calendar::{Calendar, TimeLimit, TimeUnit, WorkingTimes};
pub use doubt::Judgement;
pub use steps::{Report, StepError, possible};
