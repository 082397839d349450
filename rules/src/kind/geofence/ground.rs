//! Where fence devices are, and where they were a moment ago.
//!
//! A place is judged by the fences of its own time, so that the order of arrival decides nothing
//! when a fence is moved.

use super::Fences;
use crate::DeviceView;
use model::DeviceKey;
use model::geo::{Form, RADIUS_M_MAX, Shape, Shapes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The fences of fence devices, through time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ground {
    /// Oldest first.
    surveys: Vec<Survey>,
}

/// The fences from one instant to the next survey.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Survey {
    from_ms: i64,
    fences: BTreeMap<DeviceKey, Shape>,
    /// Made when it is first asked for, since devices are often put by the thousand.
    #[serde(skip)]
    index: OnceLock<Shapes>,
}

impl PartialEq for Ground {
    /// Where the fences are is not what the rule says: a rule is the same wherever they stand.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Survey {
    fn new(from_ms: i64, fences: BTreeMap<DeviceKey, Shape>) -> Self {
        Self {
            from_ms,
            fences,
            index: OnceLock::new(),
        }
    }
}

impl Ground {
    /// Gives the fences of an instant; before the first survey there were those of the first.
    pub(super) fn at(&self, at_ms: i64) -> Option<&Shapes> {
        let past = self.surveys.iter().rev().find(|s| s.from_ms <= at_ms);
        let survey = past.or(self.surveys.first())?;
        Some(
            survey
                .index
                .get_or_init(|| Shapes::new(survey.fences.values().cloned().collect())),
        )
    }

    /// Tells whether the fences were others a moment ago.
    pub(super) fn has_moved(&self) -> bool {
        self.surveys.len() > 1
    }

    /// Notes what a device is from `at_ms` on; none if it is gone. Surveys that ended before
    /// `settled_ms` are forgotten, because no place is of their time any more.
    pub(super) fn note(
        &mut self,
        fences: &Fences,
        (at_ms, settled_ms): (i64, i64),
        key: DeviceKey,
        device: Option<&DeviceView>,
    ) {
        let Fences::Devices { which, drawn } = fences else {
            return;
        };
        let shape = device
            .filter(|device| device.enabled && which.include(device))
            .and_then(|device| fence_of(device, drawn));
        let known = self.surveys.last();
        if known.and_then(|survey| survey.fences.get(&key)) == shape.as_ref() {
            return;
        }
        if known.is_none_or(|survey| survey.from_ms != at_ms) {
            let fences = known.map_or_else(BTreeMap::new, |survey| survey.fences.clone());
            self.surveys.push(Survey::new(at_ms, fences));
        }
        let Some(survey) = self.surveys.last_mut() else {
            return;
        };
        survey.index = OnceLock::new();
        match shape {
            Some(shape) => survey.fences.insert(key, shape),
            None => survey.fences.remove(&key),
        };
        // A survey ends where the next begins.
        let ended = self
            .surveys
            .iter()
            .skip(1)
            .take_while(|next| next.from_ms <= settled_ms)
            .count();
        self.surveys.drain(..ended);
    }
}

/// Gives the fence that a device stands for.
fn fence_of(device: &DeviceView, drawn: &Shapes) -> Option<Shape> {
    let name = device.id.as_str().to_owned();
    if let Some(fence) = device.tags.get("fence") {
        let shape = drawn.iter().find(|shape| shape.name == *fence)?;
        let form = shape.form.clone();
        return Some(Shape { name, form });
    }
    let radius_m: f64 = device.tags.get("radius_m")?.parse().ok()?;
    if !(radius_m > 0.0 && radius_m <= RADIUS_M_MAX) {
        return None;
    }
    Some(Shape {
        name,
        form: Form::Circle {
            center: device.place?,
            radius_m,
        },
    })
}
