//! The hub's own test sensor: registers it, and tells what its rule finds.

use super::carry_out::record;
use super::{Recorded, Staged, Writer};
use model::{Device, DeviceId, Timestamp};
use rules::{Change, DeviceView, RuleSpec, What};
use sdk::DeviceEntry;
use serde_json::json;
use store::{Group, NewEvent, StoredDevice};

/// The id of the test sensor and of the rule that watches it.
pub(crate) const CANARY: &str = "~canary";

/// What the test sensor measures.
pub(crate) const METRIC: &str = "canary";

/// What the rule said last, and when the reading was taken that made it say so.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The number of its event; 0 before the first one.
    pub number: u64,
    pub raised_at: Option<Timestamp>,
    pub cleared_at: Option<Timestamp>,
}

/// Gives the rule: 1 raises and 0 clears.
pub(super) fn rule() -> Result<(&'static str, RuleSpec), rules::RuleError> {
    let spec = json!({
        "title": "自检", "kind": "threshold", "devices": [CANARY], "metric": METRIC,
        "above": 0.5, "severity": "warning",
    });
    Ok((CANARY, rules::parse_json(CANARY, &spec)?))
}

/// Gives the sensor as it is registered.
fn device() -> Device {
    let id = DeviceId::new(CANARY).expect("a name without forbidden characters");
    let device = json!({ "id": id, "kind": METRIC });
    serde_json::from_value(device).expect("an id and a kind are a device")
}

impl Writer {
    /// Registers the test sensor once; its secret is made anew at each start and kept nowhere.
    pub(super) fn put_canary(&mut self, group: &mut Group, staged: &mut Staged, now: Timestamp) {
        if !self.lacks_canary {
            return;
        }
        self.lacks_canary = false;
        let entry = DeviceEntry {
            key: self.journal.next_device_key(),
            device: device(),
            secret: None,
            grid: None,
        };
        group.put_device(&StoredDevice {
            key: entry.key,
            device: entry.device.clone(),
            secret_hash: None,
            grid: None,
        });
        let recorded = Recorded::PutDevice {
            key: entry.key,
            device: Box::new(entry.device.clone()),
            grid: None,
        };
        record(group, &recorded);
        let view = DeviceView::new(entry.key, &entry.device, None);
        self.engine.put_device(now, view, &mut self.changes);
        self.reader.set_apart(entry.key);
        staged.devices.insert(entry.key, Some(entry));
    }

    /// Takes note of what the rule of the test sensor found: an event that stands in the feed
    /// without a number, and what the hub compares it with. True if it is nobody else's.
    pub(super) fn note_canary(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        change: &Change,
    ) -> bool {
        if change.rule.as_ref() != CANARY {
            return false;
        }
        let mut verdict = staged.canary.unwrap_or(*self.canary.borrow());
        let kind = match change.what {
            What::Raised(_) => {
                verdict.raised_at = Some(change.at);
                verdict.cleared_at = None;
                "cityhub.canary.raised"
            }
            What::Cleared { .. } => {
                verdict.cleared_at = Some(change.at);
                "cityhub.canary.cleared"
            }
            _ => return true,
        };
        let data = json!({ "raised_at": verdict.raised_at, "cleared_at": verdict.cleared_at });
        verdict.number += 1;
        group.canary(
            verdict.number,
            &NewEvent {
                kind,
                subject: CANARY,
                severity: None,
                grid: None,
                time: change.at,
                data: &data.to_string(),
            },
        );
        staged.canary = Some(verdict);
        true
    }
}
