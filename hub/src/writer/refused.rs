//! What was turned away: counted in the ledger, audited within a budget, and shown as unclaimed
//! when it came from a device that nobody registered.

use model::Timestamp;
use sdk::{DriverKey, Refusal, Refusals};
use serde_json::json;
use store::Group;
use web::{Health, Knock, Knocks};

/// Audit rows a minute that refusals may cause: a guesser must not fill the disk.
const AUDIT_ROWS_PER_MINUTE: u32 = 60;

/// How often refusals are written when nothing else is committed.
const WRITE_EVERY_MS: i64 = 1_000;

/// The writer's side of [`Refusals`].
#[derive(Debug)]
pub(super) struct Book {
    refusals: Refusals,
    knocks: Knocks,
    health: Health,
    /// Names of the driver instances, in the order of their keys.
    drivers: Vec<String>,
    minute: i64,
    rows_left: u32,
    unlisted: u64,
    written_at: Timestamp,
}

impl Book {
    pub(super) fn new(
        refusals: Refusals,
        knocks: Knocks,
        health: Health,
        drivers: Vec<String>,
    ) -> Self {
        Self {
            refusals,
            knocks,
            health,
            drivers,
            minute: 0,
            rows_left: 0,
            unlisted: 0,
            written_at: Timestamp::MIN,
        }
    }

    /// Tells whether refusals alone are worth a commit now.
    pub(super) fn has_news(&self, now: Timestamp) -> bool {
        now.since_ms(self.written_at) >= WRITE_EVERY_MS && !self.refusals.is_empty()
    }

    pub(super) fn write(&mut self, group: &mut Group, now: Timestamp) {
        if self.refusals.is_empty() {
            return;
        }
        self.written_at = now;
        let drained = self.refusals.drain();
        for ((driver, reason), count) in &drained.messages {
            group.refuse(driver.0, reason, *count);
        }
        let minute = now.millis().div_euclid(60_000);
        if minute != self.minute {
            self.minute = minute;
            self.rows_left = AUDIT_ROWS_PER_MINUTE;
            if self.unlisted > 0 {
                let detail = json!({ "count": self.unlisted }).to_string();
                group.audit("hub", "hub", "refusals_not_listed", "", &detail);
                self.unlisted = 0;
            }
        }
        self.unlisted += drained.overflow;
        for (driver, refusal, count) in &drained.samples {
            self.health
                .count_refused(self.driver(*driver), &refusal.reason, *count);
            self.write_one(group, now, (*driver, refusal, *count));
        }
    }

    /// Shows a device as too fast since then, or no more.
    pub(super) fn show_fast(&self, device: &str, since: Option<Timestamp>) {
        self.health.put_fast(device, since);
    }

    fn write_one(
        &mut self,
        group: &mut Group,
        now: Timestamp,
        (driver, refusal, count): (DriverKey, &Refusal, u64),
    ) {
        let claimed = refusal.claimed.as_deref().unwrap_or("");
        if refusal.reason == "unknown_device" && !claimed.is_empty() {
            self.knocks.note(Knock {
                id: claimed.to_owned(),
                driver: self.driver(driver).to_owned(),
                peer: refusal.peer.clone(),
                reason: refusal.reason.to_string(),
                count,
                first_seen: now,
                last_seen: now,
            });
        }
        if self.rows_left == 0 {
            self.unlisted += count;
            return;
        }
        self.rows_left -= 1;
        let detail = json!({
            "reason": refusal.reason,
            "peer": refusal.peer,
            "driver": self.driver(driver),
            "count": count,
        });
        group.audit(claimed, "device", "refused", claimed, &detail.to_string());
    }

    fn driver(&self, key: DriverKey) -> &str {
        self.drivers
            .get(usize::from(key.0))
            .map_or("?", String::as_str)
    }
}
