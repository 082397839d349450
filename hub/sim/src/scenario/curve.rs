//! What a metric is at a moment, by the words of the script.

use super::script::{Change, Curve};
use super::span::Span;
use crate::random::Random;

const HOUR_MS: f64 = 3_600_000.0;

/// A moment of the script.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Moment {
    /// After the start.
    pub(crate) at: Span,
    /// The hour of the local day.
    pub(crate) hour: f64,
}

/// One metric of one device, with what it has to remember.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    /// Its own share of `spread`.
    own: f64,
    last: Option<f64>,
}

impl Value {
    pub(crate) fn new(curve: &Curve, random: &mut Random) -> Self {
        Self {
            own: curve.spread * random.between(-1.0, 1.0),
            last: None,
        }
    }

    /// Gives the value, rounded as it is sent.
    pub(crate) fn at(
        &mut self,
        curve: &Curve,
        number: usize,
        moment: Moment,
        random: &mut Random,
    ) -> f64 {
        // Drawn at every report, so that a change moves no other number of the script.
        let noise = curve.noise * random.normal();
        let hours = moment.at.0 as f64 / HOUR_MS;
        let mut value = curve.base + self.own + curve.drift_per_h * hours + noise;
        if let Some(daily) = curve.daily {
            let turn = (moment.hour - daily.peak_h) / 24.0;
            value += daily.amplitude * (turn * std::f64::consts::TAU).cos();
        }
        let mut fixed = None;
        for change in curve.changes.iter().filter(|change| change.strikes(number)) {
            match change.effect(number, moment.at) {
                Effect::None => {}
                Effect::Add(more) => value += more,
                Effect::Set(to) => fixed = Some(to),
                Effect::Keep => fixed = self.last.or(fixed),
            }
        }
        let value = fixed.unwrap_or(value);
        let value = curve.min.map_or(value, |min| value.max(min));
        let value = curve.max.map_or(value, |max| value.min(max));
        let scale = 10f64.powi(i32::try_from(curve.decimals).unwrap_or(6));
        let sent = (value * scale).round() / scale;
        self.last = Some(sent);
        sent
    }
}

#[derive(Copy, Clone, Debug, PartialEq)]
enum Effect {
    None,
    Add(f64),
    Set(f64),
    Keep,
}

/// Shifts a time by what the devices of lower numbers are earlier.
pub(crate) fn staggered(at: Span, stagger: Span, number: usize) -> Span {
    let before = i64::try_from(number.saturating_sub(1)).unwrap_or(i64::MAX);
    Span(at.0.saturating_add(stagger.0.saturating_mul(before)))
}

impl Change {
    fn strikes(&self, number: usize) -> bool {
        self.only.as_ref().is_none_or(|only| only.has(number))
    }

    fn effect(&self, number: usize, at: Span) -> Effect {
        let from = staggered(self.from, self.stagger, number);
        let to = self.to.map(|to| staggered(to, self.stagger, number));
        if at < from {
            return Effect::None;
        }
        let over = to.is_some_and(|to| at >= to);
        if let Some(ramp) = self.ramp {
            let length = to.map_or(0, |to| to.0 - from.0);
            let share = if over || length <= 0 {
                1.0
            } else {
                (at.0 - from.0) as f64 / length as f64
            };
            return Effect::Add(ramp * share);
        }
        if over {
            return Effect::None;
        }
        if let Some(more) = self.step.or(self.burst) {
            return Effect::Add(more);
        }
        if let (Some(swing), Some(period)) = (self.swing, self.period) {
            let second_half = (at.0 - from.0) % period.0.max(1) * 2 >= period.0;
            return if second_half {
                Effect::Add(swing)
            } else {
                Effect::None
            };
        }
        match self.set {
            Some(to) => Effect::Set(to),
            None => Effect::Keep,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Moment, Value};
    use crate::random::Random;
    use crate::scenario::script::Curve;
    use crate::scenario::span::Span;

    /// Plays a curve each ten seconds for a minute.
    fn played(curve: &str, number: usize) -> Vec<f64> {
        let curve: Curve = toml::from_str(curve).unwrap();
        let mut random = Random::new(1, 1);
        let mut value = Value::new(&curve, &mut random);
        let mut at = |second: i64| {
            let moment = Moment {
                at: Span(second * 1000),
                hour: 6.0,
            };
            value.at(&curve, number, moment, &mut random)
        };
        (0..6).map(|step| at(step * 10)).collect()
    }

    #[test]
    fn steps_stay_bursts_end_and_ramps_grow() {
        let of = |change: &str| played(&format!("base = 100.0\nchanges = [{{ {change} }}]"), 2);
        assert_eq!(
            of("from = '20s', step = 5.0"),
            [100.0, 100.0, 105.0, 105.0, 105.0, 105.0]
        );
        assert_eq!(
            of("from = '20s', to = '40s', burst = 5.0"),
            [100.0, 100.0, 105.0, 105.0, 100.0, 100.0]
        );
        assert_eq!(
            of("from = '10s', to = '50s', ramp = -40.0"),
            [100.0, 100.0, 90.0, 80.0, 70.0, 60.0]
        );
        assert_eq!(
            of("from = '0s', to = '40s', swing = 5.0, period = '20s'"),
            [100.0, 105.0, 100.0, 105.0, 100.0, 100.0]
        );
        assert_eq!(
            of("from = '20s', to = '30s', set = 1.0"),
            [100.0, 100.0, 1.0, 100.0, 100.0, 100.0]
        );
        // The second device has it ten seconds later, the first one not at all.
        assert_eq!(
            of("from = '20s', step = 5.0, stagger = '10s', only = '2'"),
            [100.0, 100.0, 100.0, 105.0, 105.0, 105.0]
        );
        assert_eq!(of("from = '20s', step = 5.0, only = '1'"), [100.0; 6]);
    }

    #[test]
    fn a_frozen_value_is_the_last_one_that_was_sent() {
        let values = played(
            "base = 100.0\nnoise = 2.0\nchanges = [{ from = '20s', to = '50s', frozen = true }]",
            1,
        );
        assert_eq!(values[2..5], [values[1]; 3]);
        assert_ne!(values[0..1], values[1..2]);
        assert_ne!(values[5..6], values[1..2]);
    }

    #[test]
    fn a_day_has_its_crest_at_the_named_hour() {
        // At six, a quarter of a day after the crest, the wave is at its middle.
        let at = |peak| {
            let daily = format!("daily = {{ amplitude = 10.0, peak_h = {peak} }}");
            played(&format!("base = 100.0\n{daily}"), 1)[0]
        };
        assert_eq!((at("6.0"), at("0.0"), at("18.0")), (110.0, 100.0, 90.0));
    }
}
