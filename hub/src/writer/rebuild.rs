//! The engine made anew from all that is kept, where its checkpoint is of another version.

use super::health::Ward;
use super::moved::Moved;
use crate::judge::Replayer;
use anyhow::{Context, Result};
use model::{AlarmRow, Catalogue, DeviceKey, Timestamp};
use rules::{Change, Engine, Numbered, Settings};
use std::collections::HashMap;
use std::sync::Arc;
use store::{Reader, Recovered};
use tokio::time::Instant;

/// A rule and a device.
type Whose = (String, DeviceKey);

/// The numbers under which alarms are known on disk.
struct Known<'a> {
    by_beginning: HashMap<(Whose, Timestamp), Vec<u64>>,
    open: HashMap<Whose, u64>,
    ward: &'a Ward,
    last: u64,
}

/// Replays all changes and kept readings, as `cityhub verify` does, and gives the engine as of the
/// last commit, with the alarms whose figures moved since they were told.
///
/// Where readings are not kept any more, an alarm may begin later than was recorded, or not at all;
/// each keeps its number, so that it is still the same.
pub(super) fn rebuild(
    (settings, catalogue): (Settings, &Arc<Catalogue>),
    (reader, recovered): (&Reader, &Recovered),
    ward: &Ward,
    found: u8,
) -> Result<(Engine, Moved)> {
    let begun = Instant::now();
    let changes = reader
        .changes()
        .context("read the changes of devices and rules")?;
    let engine = Engine::new(settings, Arc::clone(catalogue));
    let mut moved = Moved::default();
    let mut readings = 0;
    let mut replay = Replayer::new(engine, &changes, |change: Change| moved.note(&change));
    for chunk in reader.replay(Timestamp::MIN, Timestamp::MAX)? {
        let chunk = chunk?;
        readings += chunk.len();
        for reading in &chunk {
            replay.take(reading)?;
        }
    }
    let mut engine = replay.finish(recovered.last_stamp)?;
    let rows = reader
        .alarms_between(Timestamp::MIN, Timestamp::MAX)
        .context("read the alarms")?;
    let mut known = Known::of(&engine, &rows, ward);
    let (mut kept, mut unknown) = (0, 0);
    let last = known.last;
    let renamed = engine.renumber(last, &mut |alarm| {
        let number = known.number(alarm);
        kept += usize::from(number.is_some());
        unknown += usize::from(number.is_none() && alarm.active);
        number
    });
    tracing::warn!(
        format = found,
        took_s = begun.elapsed().as_secs_f64(),
        changes = changes.len(),
        readings,
        kept,
        unknown,
        left = known.open.len(),
        "the engine's checkpoint is of another version: the engine was made anew from history"
    );
    Ok((engine, moved.renamed(&renamed)))
}

impl<'a> Known<'a> {
    fn of(engine: &Engine, rows: &[AlarmRow], ward: &'a Ward) -> Self {
        let mut known = Self {
            by_beginning: HashMap::new(),
            open: HashMap::new(),
            ward,
            last: ward.last_number(),
        };
        for row in rows {
            let Some(number) = rules::alarm_number(&row.id) else {
                continue;
            };
            known.last = known.last.max(number);
            // The alarms of a device that is gone are over.
            let Some(device) = engine.device_named(&row.device) else {
                continue;
            };
            let whose = (row.rule.clone(), device);
            if row.active {
                known.open.insert(whose.clone(), number);
            }
            let alike = known.by_beginning.entry((whose, row.raised_at));
            alike.or_default().push(number);
        }
        known
    }

    /// Finds the number of an alarm: by its beginning, or as the one that is open.
    fn number(&mut self, alarm: &Numbered<'_>) -> Option<u64> {
        if let Some(number) = self.ward.number_of(alarm.device, alarm.rule) {
            return alarm.active.then_some(number);
        }
        let whose = (alarm.rule.to_owned(), alarm.device);
        let open = match alarm.active {
            true => self.open.remove(&whose),
            false => None,
        };
        let alike = self.by_beginning.get(&(whose, alarm.raised_at));
        open.or_else(|| alike?.last().copied())
    }
}
