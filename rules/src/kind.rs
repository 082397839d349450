//! The kinds of rules: a closed set, one file each with its spec, its state and pure functions.
//!
//! `step` takes an input, `deadline` says when something happens without one, `fire` lets it
//! happen. Inputs come in the order of their own time; a deadline fires before an input of the
//! same instant. While the rule's schedule is closed, `hold` takes the inputs; `open` lets what
//! holds then count from that instant, and `close` ends an active alarm.

pub mod clock;
pub mod composite;
pub mod frozen;
pub mod geofence;
mod input;
pub mod latch;
pub mod occupancy;
pub mod rate;
pub mod silence;
pub mod threshold;
pub mod window;

pub(crate) use input::{Fix, Input, Sample};

use crate::{ClearReason, Figures};
use model::{DeviceKey, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a rule watches for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    Threshold(threshold::Spec),
    Silence(silence::Spec),
    Window(window::Spec),
    Rate(rate::Spec),
    Frozen(frozen::Spec),
    Occupancy(occupancy::Spec),
    Clock(clock::Spec),
    Geofence(geofence::Spec),
    Composite(composite::Spec),
}

/// What one lane remembers for its rule's kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum State {
    Threshold(threshold::State),
    Silence(silence::State),
    Window(Box<window::State>),
    Rate(Box<rate::State>),
    Frozen(Box<frozen::State>),
    Occupancy(occupancy::State),
    Clock(Box<clock::State>),
    Geofence(geofence::State),
    Composite(composite::State),
}

/// What a rule is fed with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Feed {
    /// The readings of one metric.
    Series,
    /// Every reading of the device, and of the children of a gateway, as a sign of life.
    Life,
    /// Every message of the device: when it came, and how far its clock was off.
    Skew,
    /// The alarms of other rules.
    Alarms,
}

/// What a lane takes from its device.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Params {
    pub(crate) cadence_ms: Option<i64>,
    /// How many bikes a fence holds: the tag `capacity`.
    pub(crate) capacity: Option<f64>,
}

/// What one input or deadline did to the alarm.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Quiet,
    Updated(Figures),
    Raised(Figures),
    Escalated(Figures),
    Deescalated(Figures),
    Cleared(Figures),
    /// The schedule ended the alarm; said by the gate, by no kind.
    Closed(Figures),
}

/// How a rule stands on one device at the moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Look {
    pub active: bool,
    pub severity: Option<Severity>,
    pub value: Option<f64>,
    pub limit: Option<f64>,
    pub peak: Option<f64>,
    pub count: u64,
    /// Since when the condition holds.
    pub since: Option<Timestamp>,
    /// When something happens without a reading.
    pub due_at: Option<Timestamp>,
    /// What else the kind has to say.
    pub facts: BTreeMap<&'static str, serde_json::Value>,
}

impl Step {
    pub(crate) fn figures(&self) -> Option<Figures> {
        match self {
            Self::Quiet => None,
            Self::Updated(figures)
            | Self::Raised(figures)
            | Self::Escalated(figures)
            | Self::Deescalated(figures)
            | Self::Cleared(figures)
            | Self::Closed(figures) => Some(*figures),
        }
    }

    /// Tells why the alarm ended, if it did.
    pub(crate) fn reason(&self) -> ClearReason {
        match self {
            Self::Closed(_) => ClearReason::ScheduleClosed,
            _ => ClearReason::Normal,
        }
    }

    /// Tells whether an alarm ended.
    pub(crate) fn ends(&self) -> bool {
        matches!(self, Self::Cleared(_) | Self::Closed(_))
    }
}

// A lane's state is made by its own condition, so that the wildcards below never match.
impl Condition {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Threshold(_) => "threshold",
            Self::Silence(_) => "silence",
            Self::Window(_) => "window",
            Self::Rate(_) => "rate",
            Self::Frozen(_) => "frozen",
            Self::Occupancy(_) => "occupancy",
            Self::Clock(_) => "clock",
            Self::Geofence(_) => "geofence",
            Self::Composite(spec) => match spec.mode {
                composite::Mode::Any => "any",
                composite::Mode::All => "all",
            },
        }
    }

    /// Tells whether one value alone is beyond the limits; none where it takes more than that.
    pub fn is_beyond(&self, value: f64) -> Option<bool> {
        match self {
            Self::Threshold(spec) => Some(spec.limits.gauge().is_beyond(value)),
            _ => None,
        }
    }

    /// Gives the limit that a single value meets first.
    pub fn first_limit(&self) -> Option<f64> {
        match self {
            Self::Threshold(spec) => spec.limits.gauge().first_limit(),
            _ => None,
        }
    }

    /// Gives the worst severity that the condition can raise.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Threshold(spec) => spec.limits.severity(),
            Self::Silence(spec) => spec.severity,
            Self::Window(spec) => spec.limits.severity(),
            Self::Rate(spec) => spec.limits.severity(),
            Self::Frozen(spec) => spec.severity,
            Self::Occupancy(spec) => spec.limits.severity(),
            Self::Clock(spec) => spec.severity,
            Self::Geofence(spec) => spec.severity,
            Self::Composite(spec) => spec.severity,
        }
    }

    /// Gives the name of the metric, for a rule that watches one.
    pub fn metric(&self) -> Option<&str> {
        match self {
            Self::Threshold(spec) => Some(&spec.metric),
            Self::Window(spec) => Some(&spec.metric),
            Self::Rate(spec) => Some(&spec.metric),
            Self::Frozen(spec) => Some(&spec.metric),
            Self::Occupancy(spec) => Some(&spec.metric),
            Self::Geofence(spec) => Some(&spec.metric),
            Self::Silence(_) | Self::Clock(_) | Self::Composite(_) => None,
        }
    }

    pub(crate) fn feed(&self) -> Feed {
        match self {
            Self::Threshold(_)
            | Self::Window(_)
            | Self::Rate(_)
            | Self::Frozen(_)
            | Self::Occupancy(_)
            | Self::Geofence(_) => Feed::Series,
            Self::Silence(_) => Feed::Life,
            Self::Clock(_) => Feed::Skew,
            Self::Composite(_) => Feed::Alarms,
        }
    }

    /// Tells whether a device with these parameters can be watched at all.
    pub(crate) fn can_watch(&self, params: &Params) -> bool {
        match self {
            Self::Composite(_) => false,
            Self::Silence(spec) => spec.patience_ms(params).is_some(),
            Self::Occupancy(spec) => spec.capacity(params).is_some(),
            Self::Threshold(_)
            | Self::Window(_)
            | Self::Rate(_)
            | Self::Frozen(_)
            | Self::Clock(_)
            | Self::Geofence(_) => true,
        }
    }

    /// Tells whether a device's new parameters make its lane begin afresh.
    pub(crate) fn params_matter(&self, old: &Params, new: &Params) -> bool {
        match self {
            Self::Composite(_) => false,
            Self::Silence(spec) => spec.patience_ms(old) != spec.patience_ms(new),
            Self::Window(_) | Self::Rate(_) | Self::Clock(_) => old.cadence_ms != new.cadence_ms,
            Self::Occupancy(spec) => spec.capacity(old) != spec.capacity(new),
            Self::Threshold(_) | Self::Frozen(_) | Self::Geofence(_) => false,
        }
    }

    /// Gives the state of a lane that begins.
    pub(crate) fn start(&self, params: &Params) -> State {
        match self {
            Self::Threshold(spec) => State::Threshold(threshold::start(spec, params)),
            Self::Silence(spec) => State::Silence(silence::start(spec, params)),
            Self::Window(spec) => State::Window(Box::new(window::start(spec, params))),
            Self::Rate(spec) => State::Rate(Box::new(rate::start(spec, params))),
            Self::Frozen(spec) => State::Frozen(Box::new(frozen::start(spec, params))),
            Self::Occupancy(spec) => State::Occupancy(occupancy::start(spec, params)),
            Self::Clock(spec) => State::Clock(Box::new(clock::start(spec, params))),
            Self::Geofence(spec) => State::Geofence(geofence::start(spec, params)),
            Self::Composite(spec) => State::Composite(composite::start(spec, params)),
        }
    }

    /// Tells whether this input could mean anything to a lane that is plainly normal.
    #[inline]
    pub(crate) fn could_begin_with(&self, params: &Params, sample: &Sample) -> bool {
        match (self, sample) {
            (Self::Threshold(spec), Sample::Number(value)) => {
                threshold::could_begin_with(spec, params, *value)
            }
            (Self::Occupancy(spec), Sample::Number(value)) => {
                occupancy::could_begin_with(spec, params, *value)
            }
            (Self::Geofence(spec), Sample::Place(fix)) => {
                geofence::could_begin_with(spec, params, fix)
            }
            // What is in a window, or stands still, began with a normal value.
            (Self::Window(_) | Self::Rate(_) | Self::Frozen(_), Sample::Number(_)) => true,
            _ => false,
        }
    }

    #[inline]
    pub(crate) fn step(&self, state: &mut State, at_ms: i64, sample: &Sample) -> Step {
        match (self, state, sample) {
            (Self::Threshold(spec), State::Threshold(state), Sample::Number(value)) => {
                threshold::step(spec, state, at_ms, *value)
            }
            (Self::Silence(spec), State::Silence(state), _) => silence::step(spec, state, at_ms),
            (Self::Window(spec), State::Window(state), Sample::Number(value)) => {
                window::step(spec, state, at_ms, *value)
            }
            (Self::Rate(spec), State::Rate(state), Sample::Number(value)) => {
                rate::step(spec, state, at_ms, *value)
            }
            (Self::Frozen(spec), State::Frozen(state), Sample::Number(value)) => {
                frozen::step(spec, state, at_ms, *value)
            }
            (Self::Occupancy(spec), State::Occupancy(state), Sample::Number(value)) => {
                occupancy::step(spec, state, at_ms, *value)
            }
            (Self::Clock(spec), State::Clock(state), Sample::Number(value)) => {
                clock::step(spec, state, at_ms, *value)
            }
            (Self::Geofence(spec), State::Geofence(state), Sample::Place(fix)) => {
                geofence::step(spec, state, at_ms, fix)
            }
            (Self::Composite(spec), State::Composite(state), Sample::News(news)) => {
                composite::step(spec, state, at_ms, news)
            }
            _ => Step::Quiet,
        }
    }

    #[inline]
    pub(crate) fn deadline(&self, state: &State) -> Option<i64> {
        match (self, state) {
            (Self::Threshold(spec), State::Threshold(state)) => threshold::deadline(spec, state),
            (Self::Silence(spec), State::Silence(state)) => silence::deadline(spec, state),
            (Self::Window(spec), State::Window(state)) => window::deadline(spec, state),
            (Self::Rate(spec), State::Rate(state)) => rate::deadline(spec, state),
            (Self::Occupancy(spec), State::Occupancy(state)) => occupancy::deadline(spec, state),
            (Self::Clock(spec), State::Clock(state)) => clock::deadline(spec, state),
            (Self::Geofence(spec), State::Geofence(state)) => geofence::deadline(spec, state),
            (Self::Composite(spec), State::Composite(state)) => composite::deadline(spec, state),
            _ => None,
        }
    }

    pub(crate) fn fire(&self, state: &mut State, at_ms: i64) -> Step {
        match (self, state) {
            (Self::Threshold(spec), State::Threshold(state)) => threshold::fire(spec, state, at_ms),
            (Self::Silence(spec), State::Silence(state)) => silence::fire(spec, state, at_ms),
            (Self::Window(spec), State::Window(state)) => window::fire(spec, state, at_ms),
            (Self::Rate(spec), State::Rate(state)) => rate::fire(spec, state, at_ms),
            (Self::Occupancy(spec), State::Occupancy(state)) => occupancy::fire(spec, state, at_ms),
            (Self::Clock(spec), State::Clock(state)) => clock::fire(spec, state, at_ms),
            (Self::Geofence(spec), State::Geofence(state)) => geofence::fire(spec, state, at_ms),
            (Self::Composite(spec), State::Composite(state)) => composite::fire(spec, state, at_ms),
            _ => Step::Quiet,
        }
    }

    /// Takes an input while the schedule is closed.
    pub(crate) fn hold(&self, state: &mut State, at_ms: i64, sample: &Sample) {
        match (self, state, sample) {
            (Self::Threshold(spec), State::Threshold(state), Sample::Number(value)) => {
                threshold::hold(spec, state, at_ms, *value);
            }
            (Self::Silence(spec), State::Silence(state), _) => silence::hold(spec, state, at_ms),
            (Self::Window(spec), State::Window(state), Sample::Number(value)) => {
                window::hold(spec, state, at_ms, *value);
            }
            (Self::Rate(spec), State::Rate(state), Sample::Number(value)) => {
                rate::hold(spec, state, at_ms, *value);
            }
            (Self::Frozen(spec), State::Frozen(state), Sample::Number(value)) => {
                frozen::hold(spec, state, at_ms, *value);
            }
            (Self::Occupancy(spec), State::Occupancy(state), Sample::Number(value)) => {
                occupancy::hold(spec, state, at_ms, *value);
            }
            (Self::Clock(spec), State::Clock(state), Sample::Number(value)) => {
                clock::hold(spec, state, at_ms, *value);
            }
            (Self::Geofence(spec), State::Geofence(state), Sample::Place(fix)) => {
                geofence::hold(spec, state, at_ms, fix);
            }
            (Self::Composite(spec), State::Composite(state), Sample::News(news)) => {
                composite::hold(spec, state, at_ms, news);
            }
            _ => {}
        }
    }

    /// Lets what holds count from now on.
    pub(crate) fn open(&self, state: &mut State, at_ms: i64) -> Step {
        match (self, state) {
            (Self::Threshold(spec), State::Threshold(state)) => threshold::open(spec, state, at_ms),
            (Self::Silence(spec), State::Silence(state)) => silence::open(spec, state, at_ms),
            (Self::Window(spec), State::Window(state)) => window::open(spec, state, at_ms),
            (Self::Rate(spec), State::Rate(state)) => rate::open(spec, state, at_ms),
            (Self::Frozen(spec), State::Frozen(state)) => frozen::open(spec, state, at_ms),
            (Self::Occupancy(spec), State::Occupancy(state)) => occupancy::open(spec, state, at_ms),
            (Self::Clock(spec), State::Clock(state)) => clock::open(spec, state, at_ms),
            (Self::Geofence(spec), State::Geofence(state)) => geofence::open(spec, state, at_ms),
            (Self::Composite(spec), State::Composite(state)) => composite::open(spec, state, at_ms),
            _ => Step::Quiet,
        }
    }

    /// Ends an active alarm.
    pub(crate) fn close(&self, state: &mut State, at_ms: i64) -> Step {
        match (self, state) {
            (Self::Threshold(spec), State::Threshold(state)) => {
                threshold::close(spec, state, at_ms)
            }
            (Self::Silence(spec), State::Silence(state)) => silence::close(spec, state, at_ms),
            (Self::Window(spec), State::Window(state)) => window::close(spec, state, at_ms),
            (Self::Rate(spec), State::Rate(state)) => rate::close(spec, state, at_ms),
            (Self::Frozen(spec), State::Frozen(state)) => frozen::close(spec, state, at_ms),
            (Self::Occupancy(spec), State::Occupancy(state)) => {
                occupancy::close(spec, state, at_ms)
            }
            (Self::Clock(spec), State::Clock(state)) => clock::close(spec, state, at_ms),
            (Self::Geofence(spec), State::Geofence(state)) => geofence::close(spec, state, at_ms),
            (Self::Composite(spec), State::Composite(state)) => {
                composite::close(spec, state, at_ms)
            }
            _ => Step::Quiet,
        }
    }

    /// Leaves out a stretch of time in which nothing could be received, where that counts.
    pub(crate) fn resume(&self, state: &mut State, gap: (i64, i64), begins_anew: bool) {
        if let (Self::Silence(_), State::Silence(state)) = (self, state) {
            silence::resume(state, gap, begins_anew);
        }
    }

    /// Gives the figures of the alarm that is active in this state.
    pub(crate) fn figures(&self, state: &State) -> Option<Figures> {
        match (self, state) {
            (Self::Threshold(spec), State::Threshold(state)) => threshold::figures(spec, state),
            (Self::Silence(spec), State::Silence(state)) => silence::figures(spec, state),
            (Self::Window(spec), State::Window(state)) => window::figures(spec, state),
            (Self::Rate(spec), State::Rate(state)) => rate::figures(spec, state),
            (Self::Frozen(spec), State::Frozen(state)) => frozen::figures(spec, state),
            (Self::Occupancy(spec), State::Occupancy(state)) => occupancy::figures(spec, state),
            (Self::Clock(spec), State::Clock(state)) => clock::figures(spec, state),
            (Self::Geofence(spec), State::Geofence(state)) => geofence::figures(spec, state),
            (Self::Composite(spec), State::Composite(state)) => composite::figures(spec, state),
            _ => None,
        }
    }

    pub(crate) fn look(&self, state: &State) -> Look {
        match (self, state) {
            (Self::Threshold(spec), State::Threshold(state)) => threshold::look(spec, state),
            (Self::Silence(spec), State::Silence(state)) => silence::look(spec, state),
            (Self::Window(spec), State::Window(state)) => window::look(spec, state),
            (Self::Rate(spec), State::Rate(state)) => rate::look(spec, state),
            (Self::Frozen(spec), State::Frozen(state)) => frozen::look(spec, state),
            (Self::Occupancy(spec), State::Occupancy(state)) => occupancy::look(spec, state),
            (Self::Clock(spec), State::Clock(state)) => clock::look(spec, state),
            (Self::Geofence(spec), State::Geofence(state)) => geofence::look(spec, state),
            (Self::Composite(spec), State::Composite(state)) => composite::look(spec, state),
            _ => Look::default(),
        }
    }
}

impl State {
    /// Tells whether there is nothing to remember.
    pub(crate) fn is_plain(&self) -> bool {
        match self {
            Self::Threshold(state) => state.is_plain(),
            Self::Silence(_) => false,
            Self::Window(state) => state.is_plain(),
            Self::Rate(state) => state.is_plain(),
            Self::Frozen(state) => state.is_plain(),
            Self::Occupancy(state) => state.is_plain(),
            Self::Geofence(state) => state.is_plain(),
            Self::Clock(state) => state.is_plain(),
            Self::Composite(state) => state.is_plain(),
        }
    }

    /// Gives the device on which an alarm of several devices is told.
    pub(crate) fn device(&self) -> Option<DeviceKey> {
        match self {
            Self::Composite(state) => state.device(),
            _ => None,
        }
    }

    /// Tells whether an input between two neighbours (by their times) could change anything.
    #[inline]
    pub(crate) fn could_matter_between(&self, before_ms: i64, after_ms: i64) -> bool {
        match self {
            Self::Silence(state) => silence::could_matter_between(state, before_ms, after_ms),
            _ => true,
        }
    }
}
