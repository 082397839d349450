//! How the devices are: turns the changes of the built-in rules into statuses and their events.
//!
//! The rules whose ids begin with [`OWN`] run in the engine like all others, so that they are as
//! exact, as durable and as easy to replay; what comes out of them is no alarm but a status.

use super::carry_out::record;
use super::{Recorded, Staged, Writer};
use model::{DeviceHealth, DeviceKey, DeviceStatus, SilenceCause, Timestamp};
use rules::{Change, ClearReason, Rule, RuleSpec, What};
use rustc_hash::{FxHashMap, FxHashSet};
use sdk::DeviceEntry;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Group, NewEvent, StoreError, StoredStatus};

/// What the ids of the hub's own rules begin with; nobody else's may.
pub(crate) const OWN: char = model::OWN;

const OFFLINE: &str = "~offline";
const CLOCK: &str = "~clock";

/// The kind of device that is heard through its children.
const GATEWAY: &str = "gateway";

/// A device that promises no cadence is expected once a minute.
pub(super) const CADENCE_ASSUMED_S: u32 = 60;

/// What is wrong with a device, and since when.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Trouble {
    what: DeviceStatus,
    /// The number that the engine gave it; none if it ends with the next sign of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    since: Timestamp,
}

/// What the writer remembers of the devices that are not plainly online.
#[derive(Debug, Default)]
pub(super) struct Ward {
    troubles: FxHashMap<DeviceKey, Vec<Trouble>>,
    /// Devices that come online with the next thing heard of them, whatever the rules say: those
    /// never heard, and those that were offline when the rule began anew.
    awaited: FxHashSet<DeviceKey>,
}

/// What is kept of the [`Ward`] beside a device's status.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    troubles: Vec<Trouble>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    awaited: bool,
}

/// Tells whether a rule is the hub's own.
pub(crate) fn is_own(rule: &str) -> bool {
    rule.starts_with(OWN)
}

/// Gives the hub's own rules: `missed_max` reports may be missed before a device is offline, and a
/// clock is wrong from where readings count as late or are from the future.
pub(super) fn own_rules(
    missed_max: u32,
    lateness_s: u32,
) -> Result<Vec<(&'static str, RuleSpec)>, rules::RuleError> {
    let offline = json!({
        "title": "设备离线", "kind": "silence", "select": {}, "severity": "warning",
        "factor": missed_max, "cadence_s": CADENCE_ASSUMED_S,
    });
    let clock = json!({
        "title": "设备时钟错误", "kind": "clock", "select": {}, "severity": "warning",
        "skew_s": lateness_s.max(1),
    });
    [(OFFLINE, offline), (CLOCK, clock)]
        .into_iter()
        .map(|(id, spec)| Ok((id, rules::parse_json(id, &spec)?)))
        .collect()
}

impl Ward {
    /// Goes on from what is on disk. A device of which nothing was kept is taken as it was seen.
    pub(super) fn restore(
        stored: Vec<StoredStatus>,
        registered: impl Iterator<Item = DeviceKey>,
        reader: &store::Reader,
    ) -> (Self, Vec<(DeviceKey, Option<DeviceHealth>)>) {
        let mut ward = Self::default();
        let mut known: FxHashMap<DeviceKey, DeviceHealth> = FxHashMap::default();
        for status in stored {
            let memory: Memory = serde_json::from_str(&status.memory).unwrap_or_default();
            known.insert(status.key, status.health);
            if !memory.troubles.is_empty() {
                ward.troubles.insert(status.key, memory.troubles);
            }
            if memory.awaited {
                ward.awaited.insert(status.key);
            }
        }
        for key in registered {
            known.entry(key).or_insert_with(|| match reader.seen(key) {
                Some(seen) => DeviceHealth {
                    status: DeviceStatus::Online,
                    since: seen.last_received,
                    cause: None,
                },
                None => {
                    ward.awaited.insert(key);
                    DeviceHealth::default()
                }
            });
        }
        let known = known.into_iter().map(|(key, health)| (key, Some(health)));
        (ward, known.collect())
    }

    fn of(&mut self, device: DeviceKey) -> &mut Vec<Trouble> {
        self.troubles.entry(device).or_default()
    }

    fn remove(&mut self, device: DeviceKey, is_over: impl Fn(&Trouble) -> bool) {
        if let Some(troubles) = self.troubles.get_mut(&device) {
            troubles.retain(|trouble| !is_over(trouble));
            if troubles.is_empty() {
                self.troubles.remove(&device);
            }
        }
    }

    fn has(&self, device: DeviceKey, number: u64) -> bool {
        let troubles = self.troubles.get(&device);
        troubles.is_some_and(|all| all.iter().any(|t| t.number == Some(number)))
    }

    /// Tells whether the clock of a device is known to be wrong, whatever else is.
    pub(super) fn has_wrong_clock(&self, device: DeviceKey) -> bool {
        let mut troubles = self.troubles.get(&device).into_iter().flatten();
        troubles.any(|trouble| trouble.what == DeviceStatus::ClockWrong)
    }

    /// Gives the number under which one of the hub's own rules has found something.
    pub(super) fn number_of(&self, device: DeviceKey, rule: &str) -> Option<u64> {
        let what = match rule {
            OFFLINE => DeviceStatus::Offline,
            CLOCK => DeviceStatus::ClockWrong,
            _ => return None,
        };
        let mut troubles = self.troubles.get(&device)?.iter();
        troubles.find(|trouble| trouble.what == what)?.number
    }

    pub(super) fn last_number(&self) -> u64 {
        let troubles = self.troubles.values().flatten();
        troubles.filter_map(|t| t.number).max().unwrap_or_default()
    }

    fn worst(&self, device: DeviceKey) -> Option<Trouble> {
        let troubles = self.troubles.get(&device)?;
        troubles.iter().max_by_key(|trouble| trouble.what).copied()
    }

    fn memory(&self, device: DeviceKey) -> String {
        let memory = Memory {
            troubles: self.troubles.get(&device).cloned().unwrap_or_default(),
            awaited: self.awaited.contains(&device),
        };
        serde_json::to_string(&memory).expect("plain data with text keys is JSON")
    }
}

impl Writer {
    /// Takes note of a change that may say something about a device. True if it is nobody else's.
    pub(super) fn note_health(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        change: &Change,
    ) -> bool {
        let what = match change.rule.as_ref() {
            OFFLINE => DeviceStatus::Offline,
            CLOCK => DeviceStatus::ClockWrong,
            rule => {
                let rule = self.engine.rule(rule);
                let is_frozen = rule.is_some_and(|r| r.spec.condition.kind() == "frozen");
                // The end of a rule ends what it found, and the rule is not there to be asked.
                if !change.shadow && (is_frozen || self.ward.has(change.device, change.alarm)) {
                    self.note_trouble(group, staged, DeviceStatus::Frozen, change);
                }
                return false;
            }
        };
        self.note_trouble(group, staged, what, change);
        true
    }

    fn note_trouble(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        what: DeviceStatus,
        change: &Change,
    ) {
        let (device, number) = (change.device, Some(change.alarm));
        let is_this = |trouble: &Trouble| trouble.number == number;
        let at = match &change.what {
            What::Updated(_) | What::Escalated(_) | What::Deescalated(_) | What::Recorded(_) => {
                return;
            }
            What::Raised(_) if self.health_of(staged, device).status == DeviceStatus::NeverSeen => {
                // It cannot be missed before it came.
                return;
            }
            What::Raised(_) => {
                let since = change.at;
                self.ward.of(device).push(Trouble {
                    what,
                    number,
                    since,
                });
                since
            }
            What::Amended(outcome) => match outcome.cleared_at {
                Some(cleared_at) => {
                    self.ward.remove(device, is_this);
                    cleared_at
                }
                None => {
                    let since = outcome.raised_at;
                    self.ward.remove(device, is_this);
                    self.ward.of(device).push(Trouble {
                        what,
                        number,
                        since,
                    });
                    since
                }
            },
            What::Cleared {
                reason: ClearReason::DeviceRemoved,
                ..
            } => return,
            What::Cleared { reason, .. }
                if what == DeviceStatus::Offline && *reason != ClearReason::Normal =>
            {
                // The countdown began anew, but nothing was heard yet.
                let Some(troubles) = self.ward.troubles.get_mut(&device) else {
                    return;
                };
                for trouble in troubles.iter_mut().filter(|trouble| is_this(trouble)) {
                    trouble.number = None;
                }
                self.ward.awaited.insert(device);
                return self.keep_status(group, staged, device, self.health_of(staged, device));
            }
            What::Cleared { .. } | What::Withdrawn => {
                self.ward.remove(device, is_this);
                change.at
            }
        };
        self.settle_status(group, staged, device, at);
    }

    /// Puts the hub's own rules in force, recorded like all others, for whoever replays history.
    pub(super) fn put_own_rules(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        rules: Vec<Rule>,
    ) -> Result<(), StoreError> {
        let from = self.changes.len();
        for rule in rules {
            let (id, revision, spec) = (rule.id.clone(), rule.revision, rule.spec.to_json());
            group.put_rule(&id, revision, &spec);
            record(group, &Recorded::PutRule { id, revision, spec });
            self.engine.put_rule(now, rule, &mut self.changes);
        }
        self.announce(group, staged, from)
    }

    /// Begins with a device that was registered or edited.
    pub(super) fn register_health(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (entry, is_new): (&DeviceEntry, bool),
    ) {
        let device = entry.key;
        if is_new {
            self.ward.awaited.insert(device);
            let health = DeviceHealth {
                status: DeviceStatus::NeverSeen,
                since: now,
                cause: None,
            };
            return self.keep_status(group, staged, device, health);
        }
        let is_down = self
            .ward
            .worst(device)
            .is_some_and(|t| t.what == DeviceStatus::Offline);
        if !entry.device.enabled && !is_down {
            // Nothing is expected of it any more, and nothing is heard until it is let in again.
            self.ward.of(device).push(Trouble {
                what: DeviceStatus::Offline,
                number: None,
                since: now,
            });
            self.ward.awaited.insert(device);
            self.settle_status(group, staged, device, now);
        }
    }

    pub(super) fn forget_health(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        device: DeviceKey,
    ) {
        self.ward.troubles.remove(&device);
        self.ward.awaited.remove(&device);
        group.delete_status(device);
        staged.health.insert(device, None);
    }

    /// Takes note that something was heard of a device at that time, and so of its gateway.
    #[inline]
    pub(super) fn hear(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        entry: &DeviceEntry,
        at: Timestamp,
    ) {
        if self.ward.awaited.is_empty() {
            return;
        }
        self.welcome(group, staged, entry.key, at);
        let parent = entry.device.parent.as_ref();
        let parent = parent.and_then(|id| self.published.devices.find(id.as_str()));
        if let Some(parent) = parent.filter(|parent| parent.device.kind == GATEWAY) {
            self.welcome(group, staged, parent.key, at);
        }
    }

    /// Brings a device online that was awaited.
    fn welcome(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        device: DeviceKey,
        at: Timestamp,
    ) {
        if !self.ward.awaited.remove(&device) {
            return;
        }
        self.ward
            .remove(device, |trouble| trouble.what == DeviceStatus::Offline);
        let health = self.health_of(staged, device);
        if health.status == DeviceStatus::NeverSeen {
            let worst = self.ward.worst(device);
            let status = worst.map_or(DeviceStatus::Online, |trouble| trouble.what);
            return self.enter(group, staged, device, (status, at));
        }
        self.settle_status(group, staged, device, at);
    }

    fn health_of(&self, staged: &Staged, device: DeviceKey) -> DeviceHealth {
        match staged.health.get(&device) {
            Some(health) => health.unwrap_or_default(),
            None => self.published.statuses.of(device),
        }
    }

    /// Brings a device's status up to what is known of its troubles.
    fn settle_status(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        device: DeviceKey,
        at: Timestamp,
    ) {
        let known = self.health_of(staged, device);
        if known.status == DeviceStatus::NeverSeen {
            return self.keep_status(group, staged, device, known);
        }
        let worst = self.ward.worst(device);
        let status = worst.map_or(DeviceStatus::Online, |trouble| trouble.what);
        if status != known.status {
            return self.enter(group, staged, device, (status, at));
        }
        let moved = worst.filter(|trouble| trouble.what == DeviceStatus::Offline);
        let since = moved.map_or(known.since, |trouble| trouble.since);
        self.keep_status(group, staged, device, DeviceHealth { since, ..known });
    }

    fn enter(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        device: DeviceKey,
        (status, since): (DeviceStatus, Timestamp),
    ) {
        let Some(entry) = self.device(staged, device) else {
            return;
        };
        let cause = (status == DeviceStatus::Offline && entry.device.enabled)
            .then(|| self.silence_cause(staged, &entry));
        let before = self.health_of(staged, device).status;
        let health = DeviceHealth {
            status,
            since,
            cause,
        };
        self.keep_status(group, staged, device, health);
        let seen = self.reader.seen(device).map(|seen| seen.last_received);
        let seen = if status == DeviceStatus::Offline {
            seen
        } else {
            seen.max(Some(since))
        };
        let latest = staged.latest.after(self.reader.latest(device), device);
        let mut data = web::device_row(&self.catalogue, &entry, health, seen, &latest);
        if let Some(fields) = data.as_object_mut() {
            fields.insert("previous".to_owned(), json!(before));
        }
        self.last_event = group.event(&NewEvent {
            kind: &format!("cityhub.device.{}", status.name()),
            subject: entry.device.id.as_str(),
            severity: None,
            grid: entry.grid.as_deref(),
            time: since,
            data: &data.to_string(),
        });
    }

    fn keep_status(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        key: DeviceKey,
        health: DeviceHealth,
    ) {
        group.put_status(StoredStatus {
            key,
            health,
            memory: self.ward.memory(key),
        });
        staged.health.insert(key, Some(health));
    }

    /// Tells whose silence it is: with its gateway heard since the first report that is missing,
    /// it is the device's own.
    fn silence_cause(&self, staged: &Staged, entry: &DeviceEntry) -> SilenceCause {
        let parent = entry.device.parent.as_ref();
        let Some(parent) = parent.and_then(|id| self.published.devices.find(id.as_str())) else {
            return SilenceCause::Link;
        };
        if self.health_of(staged, parent.key).status == DeviceStatus::Offline {
            return SilenceCause::Gateway;
        }
        let cadence_s = entry.device.cadence_s.unwrap_or(CADENCE_ASSUMED_S);
        let heard = |key| self.engine.heard(key);
        let missing_since = heard(entry.key).map(|at| at.plus_s(i64::from(cadence_s)));
        if heard(parent.key) >= missing_since {
            SilenceCause::Sensor
        } else {
            SilenceCause::Gateway
        }
    }
}
