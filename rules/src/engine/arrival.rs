//! A reading, judged by when it came.

use super::lane::Pulse;
use crate::kind::{Fix, Input, Sample};
use model::{Reading, Value};

pub(super) struct Arrival {
    /// For rules on values; none if the value is bad.
    pub(super) sample: Option<Sample>,
    is_uncertain: bool,
    observed_ms: i64,
    received_ms: i64,
    resumed_ms: i64,
    pub(super) is_late: bool,
    is_ahead: bool,
}

impl Arrival {
    #[inline]
    pub(super) fn judge(pulse: &Pulse, reading: &Reading) -> Self {
        let observed_ms = reading.observed_at.millis();
        let received_ms = pulse.now_ms;
        let delay_ms = received_ms.saturating_sub(observed_ms);
        Self {
            sample: sample(reading),
            is_uncertain: !reading.quality.is_good(),
            observed_ms,
            received_ms,
            resumed_ms: pulse.resumed_ms,
            is_late: delay_ms > pulse.lateness_ms,
            is_ahead: delay_ms < -pulse.lateness_ms,
        }
    }

    /// A clock that is too far ahead cannot be believed: the reading counts when it came.
    #[inline]
    pub(super) fn input(&self, sample: Sample) -> Input {
        Input {
            at_ms: if self.is_ahead {
                self.received_ms
            } else {
                self.observed_ms
            },
            observed_ms: self.observed_ms,
            sample,
            number: 0,
            is_uncertain: self.is_uncertain,
        }
    }

    /// Tells when the device was alive, as far as can be believed: never after it was heard, for
    /// a clock that is a minute fast must not count a minute of silence away. Whoever delivers a
    /// reading of before the hub began to run again is alive since then.
    #[inline]
    pub(super) fn alive_ms(&self) -> i64 {
        if self.is_late {
            self.received_ms
        } else {
            self.observed_ms.min(self.received_ms).max(self.resumed_ms)
        }
    }

    /// Tells how many seconds the device's clock seemed to be ahead when the reading came.
    #[inline]
    pub(super) fn skew(&self) -> Input {
        let skew_ms = self.observed_ms.saturating_sub(self.received_ms);
        Input {
            at_ms: self.received_ms,
            observed_ms: self.observed_ms,
            sample: Sample::Number(skew_ms as f64 / 1000.0),
            number: 0,
            is_uncertain: false,
        }
    }

    /// Whoever sends old readings is alive now.
    #[inline]
    pub(super) fn sign_of_life(&self) -> Input {
        Input {
            at_ms: self.alive_ms(),
            observed_ms: self.observed_ms,
            sample: Sample::Number(0.0),
            number: 0,
            is_uncertain: false,
        }
    }
}

#[inline]
fn sample(reading: &Reading) -> Option<Sample> {
    if reading.quality.is_bad() {
        return None;
    }
    match &reading.value {
        Value::Number(number) => Some(Sample::Number(*number)),
        Value::Position(position) => Fix::new(position).map(Sample::Place),
    }
}
