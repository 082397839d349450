//! Runs rules over recorded readings with the live engine.

use crate::{AlarmSpan, DeviceView, Rule, Settings};
use model::{Catalogue, Reading, Timestamp};
use std::sync::Arc;

/// What a backtest runs with.
#[derive(Clone, Debug)]
pub struct Plan {
    pub settings: Settings,
    pub catalogue: Arc<Catalogue>,
    pub devices: Vec<DeviceView>,
    pub rules: Vec<Rule>,
    /// When the rules and devices are put in.
    pub from: Timestamp,
    /// Up to where deadlines fire after the last reading.
    pub until: Timestamp,
}

/// Gives the alarms of `chunks`, whose readings must come in the order in which they were received.
pub fn backtest<E>(
    _plan: Plan,
    _chunks: impl IntoIterator<Item = Result<Vec<Reading>, E>>,
) -> Result<Vec<AlarmSpan>, E> {
    todo!()
}
