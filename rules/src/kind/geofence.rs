//! `geofence`: a locked bike stays outside every fence, or something stays inside a forbidden one.
//!
//! A place counts as beyond the fence only if it is so by the buffer and by the receiver's own
//! accuracy, and as back only on the other side of the fence; between the two nothing changes, so
//! that the drift of a receiver beside a fence raises nothing. What is beyond must be confirmed by
//! successive places and last for the dwell time; the alarm is raised at the later of the two, by
//! deadline if the bike says nothing more.

mod ground;

pub(crate) use ground::Ground;

use super::{Condition, Fix, Look, Params, Step};
use crate::{DeviceView, Figures, Targets};
use model::geo::{Point, Shapes};
use model::{DeviceKey, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// This many impossible places in a row that agree with each other are believed.
const STRAYS_BELIEVED: u32 = 3;

/// On which side of the fences it is wrong to be.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    Outside,
    Inside,
}

/// Where the fences are known from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fences {
    /// They stand in the rule.
    Drawn(Arc<Shapes>),
    /// They are devices: a circle around the device of the radius in its tag `radius_m`, or the
    /// drawn shape that its tag `fence` names.
    Devices { which: Targets, drawn: Arc<Shapes> },
}

/// What a `geofence` rule watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub metric: String,
    pub severity: Severity,
    pub mode: Mode,
    pub fences: Fences,
    /// How far outside is outside.
    pub buffer_m: f64,
    /// How far inside is inside.
    pub enter_buffer_m: f64,
    pub dwell_s: u32,
    /// How many successive places it takes to raise, and to clear.
    pub confirm: u32,
    /// A faster move than this is a wrong place.
    pub max_speed_ms: Option<f64>,
    /// A place that is less accurate says nothing.
    pub accuracy_max_m: Option<f64>,
    /// Only what is not known to be unlocked counts.
    pub locked: bool,
    /// Where the fence devices are and have been.
    pub(crate) ground: Ground,
}

/// A lane without a place on its mind needs no memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State(Option<Box<Course>>);

/// A place and when it was reported.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Report {
    at_ms: i64,
    fix: Fix,
}

/// What the last places mean.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Course {
    is_active: bool,
    /// The last place that was believed, if speed matters.
    last: Option<Report>,
    /// The last of the places that were not believed and agree with each other, and their number.
    stray: Option<Report>,
    strays: u32,
    /// Since when every place is beyond, and how many have said so.
    beyond_since_ms: Option<i64>,
    beyond: u32,
    /// How many places in a row are back, while the alarm is active.
    back: u32,
    value_m: f64,
    peak_m: f64,
    count: u64,
}

/// What one place says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Side {
    Beyond,
    Back,
    Between,
}

impl Report {
    /// Tells whether something could have come from the other place in time.
    fn is_within_reach_of(&self, other: &Self, max_speed_ms: f64) -> bool {
        let distance_m = point(&self.fix).distance_m(point(&other.fix));
        let way_m = distance_m - accuracy_m(&self.fix) - accuracy_m(&other.fix);
        let passed_s = self.at_ms.abs_diff(other.at_ms) as f64 / 1000.0;
        way_m <= max_speed_ms * passed_s
    }
}

fn point(fix: &Fix) -> Point {
    Point {
        lon_e7: fix.lon_e7,
        lat_e7: fix.lat_e7,
    }
}

fn accuracy_m(fix: &Fix) -> f64 {
    f64::from(fix.accuracy_dm) / 10.0
}

/// Rounds to what a receiver can know.
fn decimetres(metres: f64) -> f64 {
    (metres * 10.0).round() / 10.0
}

impl Condition {
    /// Takes note of what a device is from one instant on (none if it is gone), for a rule to which
    /// the places of other devices matter. No input from before `settled_ms` can come any more.
    pub(crate) fn note_device(
        &mut self,
        (at_ms, settled_ms): (i64, i64),
        key: DeviceKey,
        device: Option<&DeviceView>,
    ) {
        if let Self::Geofence(Spec { fences, ground, .. }) = self {
            ground.note(fences, (at_ms, settled_ms), key, device);
        }
    }

    /// Keeps what the rule knew of other devices, when an edit leaves it as it was.
    pub(crate) fn take_notes_of(&mut self, old: &mut Self) {
        if let (Self::Geofence(spec), Self::Geofence(old)) = (self, old) {
            std::mem::swap(&mut spec.ground, &mut old.ground);
        }
    }
}

impl Spec {
    fn dwell_ms(&self) -> i64 {
        i64::from(self.dwell_s) * 1000
    }

    fn limit_m(&self) -> f64 {
        match self.mode {
            Mode::Outside => self.buffer_m,
            Mode::Inside => self.enter_buffer_m,
        }
    }

    /// Gives the fences as they were at an instant.
    fn fences_at(&self, at_ms: i64) -> Option<&Shapes> {
        let fences = match &self.fences {
            Fences::Drawn(shapes) => shapes.as_ref(),
            Fences::Devices { .. } => self.ground.at(at_ms)?,
        };
        (!fences.is_empty()).then_some(fences)
    }

    /// Tells on which side a place is, and how many metres beyond. Without any fence there is
    /// nothing to be outside of.
    fn judge(&self, at_ms: i64, fix: &Fix) -> Option<(Side, f64)> {
        let (distance_m, _) = self.fences_at(at_ms)?.nearest(point(fix))?;
        let accuracy_m = accuracy_m(fix);
        let (is_beyond, is_back, beyond_m) = match self.mode {
            Mode::Outside => (
                distance_m > self.buffer_m + accuracy_m,
                distance_m <= -self.enter_buffer_m,
                distance_m,
            ),
            Mode::Inside => (
                distance_m <= -self.enter_buffer_m - accuracy_m,
                distance_m > self.buffer_m + accuracy_m,
                -distance_m,
            ),
        };
        let side = match (is_beyond, is_back) {
            (true, _) => Side::Beyond,
            (_, true) => Side::Back,
            _ => Side::Between,
        };
        Some((side, beyond_m.max(0.0)))
    }

    fn says_nothing(&self, fix: &Fix) -> bool {
        self.accuracy_max_m
            .is_some_and(|max_m| accuracy_m(fix) > max_m)
    }

    fn is_riding(&self, fix: &Fix) -> bool {
        self.locked && fix.locked == Some(false)
    }
}

impl Course {
    /// Tells whether a place can be believed, and remembers it.
    fn believes(&mut self, spec: &Spec, report: Report) -> bool {
        let Some(max_speed_ms) = spec.max_speed_ms else {
            return true;
        };
        let near = |other: &Report| report.is_within_reach_of(other, max_speed_ms);
        if self.last.as_ref().is_some_and(|last| !near(last)) {
            let agrees = self.stray.as_ref().is_some_and(near);
            self.strays = if agrees { self.strays + 1 } else { 1 };
            if self.strays < STRAYS_BELIEVED {
                self.stray = Some(report);
                return false;
            }
        }
        self.last = Some(report);
        self.stray = None;
        self.strays = 0;
        true
    }

    fn observe(&mut self, at_ms: i64, side: Side, beyond_m: f64) {
        self.value_m = beyond_m;
        match side {
            Side::Between => {}
            Side::Beyond => {
                self.back = 0;
                self.beyond_since_ms.get_or_insert(at_ms);
                self.beyond = self.beyond.saturating_add(1);
                self.peak_m = self.peak_m.max(beyond_m);
                self.count += 1;
            }
            Side::Back if self.is_active => self.back += 1,
            Side::Back => self.forget_beyond(),
        }
    }

    fn forget_beyond(&mut self) {
        *self = Self {
            last: self.last,
            stray: self.stray,
            strays: self.strays,
            ..Self::default()
        };
    }

    fn is_idle(&self) -> bool {
        !self.is_active && self.beyond == 0 && self.last.is_none()
    }

    fn figures(&self, spec: &Spec) -> Figures {
        Figures {
            severity: spec.severity,
            value: Some(decimetres(self.value_m)),
            limit: Some(spec.limit_m()),
            peak: Some(decimetres(self.peak_m)),
            count: self.count,
        }
    }

    fn due_ms(&self, spec: &Spec) -> Option<i64> {
        let since_ms = self.beyond_since_ms?;
        (!self.is_active && self.beyond >= spec.confirm)
            .then(|| since_ms.saturating_add(spec.dwell_ms()))
    }
}

impl State {
    pub(super) fn is_plain(&self) -> bool {
        self.0.is_none()
    }

    /// Takes a place into account; none if it says nothing.
    fn take(&mut self, spec: &Spec, at_ms: i64, fix: &Fix) -> Option<()> {
        if spec.says_nothing(fix) {
            return None;
        }
        let (side, beyond_m) = spec.judge(at_ms, fix)?;
        let course = self.0.get_or_insert_default();
        if !course.believes(spec, Report { at_ms, fix: *fix }) {
            return None;
        }
        course.observe(at_ms, side, beyond_m);
        Some(())
    }

    fn tidy(&mut self) {
        if self.0.as_ref().is_some_and(|course| course.is_idle()) {
            self.0 = None;
        }
    }

    /// Ends everything, since what was parked is under way.
    fn ride(&mut self, spec: &Spec) -> Step {
        match self.0.take() {
            Some(course) if course.is_active => Step::Cleared(course.figures(spec)),
            _ => Step::Quiet,
        }
    }

    /// Raises and clears what is due.
    fn conclude(&mut self, spec: &Spec, at_ms: i64) -> Step {
        let Some(course) = &mut self.0 else {
            return Step::Quiet;
        };
        let step = if course.due_ms(spec).is_some_and(|due_ms| due_ms <= at_ms) {
            course.is_active = true;
            Step::Raised(course.figures(spec))
        } else if !course.is_active {
            Step::Quiet
        } else if course.back >= spec.confirm {
            let figures = course.figures(spec);
            course.forget_beyond();
            Step::Cleared(figures)
        } else {
            Step::Updated(course.figures(spec))
        };
        self.tidy();
        step
    }
}

pub(crate) fn start(_: &Spec, _: &Params) -> State {
    State::default()
}

/// Tells whether a place could mean anything to a lane that remembers nothing.
pub(crate) fn could_begin_with(spec: &Spec, _: &Params, fix: &Fix) -> bool {
    if spec.is_riding(fix) || spec.says_nothing(fix) {
        return false;
    }
    // By which fences the place is to be judged, its time will tell.
    if spec.max_speed_ms.is_some() || spec.ground.has_moved() {
        return true;
    }
    let judged = spec.judge(i64::MAX, fix);
    judged.is_some_and(|(side, _)| side == Side::Beyond)
}

pub(crate) fn step(spec: &Spec, state: &mut State, at_ms: i64, fix: &Fix) -> Step {
    if spec.is_riding(fix) {
        return state.ride(spec);
    }
    match state.take(spec, at_ms, fix) {
        Some(()) => state.conclude(spec, at_ms),
        None => Step::Quiet,
    }
}

pub(crate) fn deadline(spec: &Spec, state: &State) -> Option<i64> {
    state.0.as_ref()?.due_ms(spec)
}

pub(crate) fn fire(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    match deadline(spec, state) {
        Some(due_ms) if due_ms <= at_ms => state.conclude(spec, at_ms),
        _ => Step::Quiet,
    }
}

pub(crate) fn figures(spec: &Spec, state: &State) -> Option<Figures> {
    let course = state.0.as_ref()?;
    course.is_active.then(|| course.figures(spec))
}

/// Follows what moves while the schedule is closed.
pub(crate) fn hold(spec: &Spec, state: &mut State, at_ms: i64, fix: &Fix) {
    if spec.is_riding(fix) {
        state.0 = None;
        return;
    }
    if state.take(spec, at_ms, fix).is_some() {
        state.tidy();
    }
}

/// What is beyond has been so from now on.
pub(crate) fn open(spec: &Spec, state: &mut State, at_ms: i64) -> Step {
    let Some(course) = &mut state.0 else {
        return Step::Quiet;
    };
    if course.beyond > 0 {
        course.beyond_since_ms = Some(at_ms);
        course.peak_m = course.value_m;
        course.count = 1;
    }
    state.conclude(spec, at_ms)
}

pub(crate) fn close(spec: &Spec, state: &mut State, _: i64) -> Step {
    let Some(course) = &mut state.0 else {
        return Step::Quiet;
    };
    if !course.is_active {
        return Step::Quiet;
    }
    let figures = course.figures(spec);
    course.is_active = false;
    course.back = 0;
    Step::Cleared(figures)
}

pub(crate) fn look(spec: &Spec, state: &State) -> Look {
    let Some(course) = &state.0 else {
        return Look::default();
    };
    let figures = course.figures(spec);
    let is_beyond = course.beyond > 0;
    let mut look = Look {
        active: course.is_active,
        severity: course.is_active.then_some(spec.severity),
        value: figures.value,
        limit: figures.limit,
        peak: figures.peak.filter(|_| is_beyond),
        count: figures.count,
        since: course.beyond_since_ms.map(Timestamp::from_millis),
        due_at: course.due_ms(spec).map(Timestamp::from_millis),
        ..Look::default()
    };
    look.facts.insert("confirmed", json!(course.beyond));
    look.facts.insert("confirm", json!(spec.confirm));
    if course.strays > 0 {
        look.facts.insert("impossible_moves", json!(course.strays));
    }
    look
}

#[cfg(test)]
mod tests;
