//! Devices that send faster than they may: what was refused of them goes into the ledger, and each
//! time is one event at its beginning and one at its end, whatever came in between.

use super::Writer;
use model::{Reason, Timestamp};
use sdk::Tempo;
use serde_json::json;
use std::borrow::Cow;
use store::{Group, NewEvent};

const RATE_LIMITED: Reason = Cow::Borrowed("rate_limited");

impl Writer {
    /// Counts what was refused for its rate, and tells who began or ceased to be too fast.
    pub(super) fn note_tempo(&mut self, group: &mut Group, now: Timestamp) {
        if !self.published.quotas.has_news() {
            return;
        }
        let (refused, news) = self.published.quotas.drain();
        for ((driver, device), values) in refused {
            let values = u32::try_from(values).unwrap_or(u32::MAX);
            if self.published.devices.get(device).is_some() {
                group.part(driver.0, device, values);
                group.reject(&RATE_LIMITED, values);
            } else {
                group.refuse(driver.0, &RATE_LIMITED, u64::from(values));
            }
        }
        for tempo in news {
            self.tell_tempo(group, now, &tempo);
        }
    }

    fn tell_tempo(&mut self, group: &mut Group, now: Timestamp, tempo: &Tempo) {
        let Some(entry) = self.published.devices.get(tempo.device) else {
            return;
        };
        let id = entry.device.id.as_str();
        let limit = tempo.quota.values_per_s;
        let (kind, ended) = match tempo.ended {
            None => {
                tracing::warn!(device = id, limit, "a device sends faster than it may");
                ("cityhub.rate.exceeded", json!({}))
            }
            Some((rejected, lasted)) => {
                let lasted_s = lasted.as_secs();
                tracing::info!(device = id, rejected, lasted_s, "a device is calm again");
                let ended = json!({ "rejected": rejected, "lasted_s": lasted_s });
                ("cityhub.rate.recovered", ended)
            }
        };
        self.refused
            .show_fast(id, tempo.ended.is_none().then_some(now));
        let mut data = json!({
            "device": id, "kind": entry.device.kind, "name": entry.device.name,
            "site": entry.device.site, "limit_per_s": limit, "burst": tempo.quota.burst,
        });
        if let (Some(data), Some(ended)) = (data.as_object_mut(), ended.as_object()) {
            data.extend(ended.clone());
        }
        self.last_event = group.event(&NewEvent {
            kind,
            subject: id,
            severity: None,
            grid: entry.grid.as_deref(),
            time: now,
            data: &data.to_string(),
        });
    }
}
