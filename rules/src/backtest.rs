//! Runs rules over recorded readings with the live engine.

use crate::{AlarmSpan, Change, DeviceView, Engine, History, Rule, Settings};
use model::{Catalogue, Reading, Timestamp};
use std::sync::Arc;

/// What a backtest runs with.
#[derive(Clone, Debug)]
pub struct Plan {
    pub settings: Settings,
    pub catalogue: Arc<Catalogue>,
    pub devices: Vec<DeviceView>,
    pub rules: Vec<Rule>,
    /// When the devices and rules are put in.
    pub from: Timestamp,
    /// Up to where deadlines fire after the last reading.
    pub until: Timestamp,
}

/// Gives the alarms over `chunks`, whose readings come in the order in which they were received.
pub fn backtest<E>(
    plan: Plan,
    chunks: impl IntoIterator<Item = Result<Vec<Reading>, E>>,
) -> Result<Vec<AlarmSpan>, E> {
    let mut engine = Engine::new(plan.settings, plan.catalogue);
    let mut history = History::default();
    let mut changes = Vec::new();
    for device in plan.devices {
        engine.put_device(plan.from, device, &mut changes);
    }
    for rule in plan.rules {
        engine.put_rule(plan.from, rule, &mut changes);
    }
    for chunk in chunks {
        for reading in &chunk? {
            engine.apply(reading.received_at, reading, &mut changes);
            note(&mut history, &mut changes);
        }
    }
    engine.advance(plan.until, &mut changes);
    note(&mut history, &mut changes);
    Ok(history.into_spans())
}

#[inline]
fn note(history: &mut History, changes: &mut Vec<Change>) {
    for change in changes.drain(..) {
        history.apply(&change);
    }
}
