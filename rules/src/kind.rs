//! The kinds of rules: a closed set, one file each with its spec, its state and three functions.
//!
//! `step` takes an input, `deadline` says when something happens without one, `fire` lets it
//! happen. Inputs come in the order of their own time; a deadline fires before an input of the
//! same instant.

pub mod silence;
pub mod threshold;

use crate::Figures;
use model::Severity;
use serde::{Deserialize, Serialize};

/// What a rule watches for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    Threshold(threshold::Spec),
    Silence(silence::Spec),
}

/// What one lane remembers for its rule's kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum State {
    Threshold(threshold::State),
    Silence(silence::State),
}

/// One reading as a lane takes it.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Input {
    /// The effective time: that of the reading, unless the device's clock cannot be believed.
    pub(crate) at_ms: i64,
    /// Decides between two inputs of one effective time.
    pub(crate) observed_ms: i64,
    pub(crate) value: f64,
    /// How many inputs of its series came before it.
    pub(crate) number: u32,
}

impl Input {
    /// Tells what orders inputs, whatever the order of their arrival.
    pub(crate) fn key(&self) -> (i64, i64) {
        (self.at_ms, self.observed_ms)
    }
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
}

impl Default for State {
    /// Only values are evaluated after the fact, so that a run over late readings begins so.
    fn default() -> Self {
        Self::Threshold(threshold::State::default())
    }
}

impl Step {
    pub(crate) fn figures(&self) -> Option<Figures> {
        match self {
            Self::Quiet => None,
            Self::Updated(figures)
            | Self::Raised(figures)
            | Self::Escalated(figures)
            | Self::Deescalated(figures)
            | Self::Cleared(figures) => Some(*figures),
        }
    }
}

impl Condition {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Threshold(_) => "threshold",
            Self::Silence(_) => "silence",
        }
    }

    /// Gives the worst severity that the condition can raise.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Threshold(spec) => spec.severity(),
            Self::Silence(spec) => spec.severity,
        }
    }

    /// Gives the state of a lane that begins with a reading.
    pub(crate) fn start(&self) -> State {
        match self {
            Self::Threshold(_) => State::Threshold(threshold::State::default()),
            // A silence lane begins when the device is first watched, before any reading.
            Self::Silence(spec) => {
                let patience_ms = spec.patience_ms(None).unwrap_or(i64::MAX);
                State::Silence(silence::State::new(patience_ms, 0))
            }
        }
    }

    /// Tells whether this value could mean anything to a lane that is plainly normal.
    #[inline]
    pub(crate) fn could_begin_with(&self, value: f64) -> bool {
        match self {
            Self::Threshold(spec) => spec.is_beyond(value),
            Self::Silence(_) => true,
        }
    }

    #[inline]
    pub(crate) fn step(&self, state: &mut State, input: &Input) -> Step {
        match (self, state) {
            (Self::Threshold(spec), State::Threshold(state)) => {
                threshold::step(spec, state, input.at_ms, input.value)
            }
            (Self::Silence(spec), State::Silence(state)) => silence::step(spec, state, input.at_ms),
            // A lane's state is made by its own condition, so that these two never meet.
            (Self::Threshold(_), State::Silence(_)) | (Self::Silence(_), State::Threshold(_)) => {
                Step::Quiet
            }
        }
    }

    #[inline]
    pub(crate) fn deadline(&self, state: &State) -> Option<i64> {
        match (self, state) {
            (Self::Threshold(spec), State::Threshold(state)) => threshold::deadline(spec, state),
            (Self::Silence(_), State::Silence(state)) => silence::deadline(state),
            (Self::Threshold(_), State::Silence(_)) | (Self::Silence(_), State::Threshold(_)) => {
                None
            }
        }
    }

    pub(crate) fn fire(&self, state: &mut State, at_ms: i64) -> Step {
        match (self, state) {
            (Self::Threshold(spec), State::Threshold(state)) => threshold::fire(spec, state, at_ms),
            (Self::Silence(spec), State::Silence(state)) => silence::fire(spec, state),
            (Self::Threshold(_), State::Silence(_)) | (Self::Silence(_), State::Threshold(_)) => {
                Step::Quiet
            }
        }
    }

    /// Gives the figures of the alarm that is active in this state.
    pub(crate) fn figures(&self, state: &State) -> Option<Figures> {
        match (self, state) {
            (Self::Threshold(spec), State::Threshold(state)) => threshold::figures(spec, state),
            (Self::Silence(spec), State::Silence(state)) => silence::figures(spec, state),
            (Self::Threshold(_), State::Silence(_)) | (Self::Silence(_), State::Threshold(_)) => {
                None
            }
        }
    }
}

impl State {
    /// Tells whether there is nothing to remember.
    pub(crate) fn is_plain(&self) -> bool {
        match self {
            Self::Threshold(state) => state.is_plain(),
            Self::Silence(_) => false,
        }
    }

    /// Tells whether an input between two neighbours (by their times) could change anything.
    #[inline]
    pub(crate) fn could_matter_between(&self, before_ms: i64, after_ms: i64) -> bool {
        match self {
            Self::Threshold(_) => true,
            Self::Silence(state) => silence::could_matter_between(state, before_ms, after_ms),
        }
    }
}
