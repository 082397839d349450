//! Positions that come in two records: a longitude and a latitude of the same thing and instant.

use crate::profile::Rule;
use crate::{Decoded, mapped};
use model::{Catalogue, MetricKey, Position, Timestamp, Value};

/// Milliseconds that may lie between the two: each may bear the instant at which it was written down.
const APART_MS_MAX: i64 = 250;

/// Which coordinate it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    Lon,
    Lat,
}

/// A coordinate that waits for the other one.
#[derive(Debug)]
struct Half<'a> {
    metric: MetricKey,
    name: &'a str,
    thing: &'a str,
    at: Option<Timestamp>,
    axis: Axis,
    degrees: f64,
}

/// The coordinates of one message that wait for their other half.
#[derive(Debug, Default)]
pub(crate) struct Halves<'a> {
    waiting: Vec<Half<'a>>,
}

impl<'a> Halves<'a> {
    /// Takes a coordinate of `thing`, and counts the position if it is the second. Tells whether it
    /// was.
    pub(crate) fn take(
        &mut self,
        (catalogue, rule): (&Catalogue, &'a Rule),
        (thing, at): (&'a str, Option<Timestamp>),
        (axis, degrees): (Axis, f64),
        out: &mut Decoded,
    ) -> bool {
        let is_other = |half: &Half<'_>| {
            half.axis != axis && (half.metric, half.thing) == (rule.metric, thing)
        };
        let is_near = |half: &Half<'_>| match (half.at, at) {
            (Some(one), Some(other)) => one.since_ms(other).abs() <= APART_MS_MAX,
            (one, other) => one == other,
        };
        let found = |is_meant: &dyn Fn(&Half<'_>) -> bool| {
            let mut waiting = self.waiting.iter();
            waiting.position(|half| is_other(half) && is_meant(half))
        };
        let other = found(&|half| half.at == at).or_else(|| found(&is_near));
        let Some(other) = other.map(|other| self.waiting.swap_remove(other)) else {
            self.waiting.push(Half {
                metric: rule.metric,
                name: &rule.name,
                thing,
                at,
                axis,
                degrees,
            });
            return false;
        };
        let (lon, lat) = match axis {
            Axis::Lon => (degrees, other.degrees),
            Axis::Lat => (other.degrees, degrees),
        };
        let position = Value::Position(Position {
            lon,
            lat,
            accuracy_m: None,
            locked: None,
        });
        mapped::put(catalogue, rule, position, at.max(other.at), out);
        true
    }

    /// Counts those that stayed alone.
    pub(crate) fn finish(self, out: &mut Decoded) {
        for half in self.waiting {
            let detail = || "a longitude and a latitude make a position".to_owned();
            out.reject(Some(half.name), "half_position", detail);
        }
    }
}
