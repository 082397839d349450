//! The devices and rules as they were: read from the changes that are kept for ever.

use crate::problem::Problem;
use crate::state::{Inner, store_problem};
use model::{Device, DeviceKey, Timestamp};
use rules::{DeviceView, Rule, RuleError};
use sdk::DeviceEntry;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use store::{ChangeRow, Reader, StoreError};

/// What is recorded of a change; one of these is there.
#[derive(Deserialize)]
struct Recorded {
    put_device: Option<PutDevice>,
    delete_device: Option<DeleteDevice>,
    put_rule: Option<PutRule>,
    delete_rule: Option<DeleteRule>,
    resumed: Option<Resumed>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PutDevice {
    pub(crate) key: DeviceKey,
    pub(crate) device: Device,
    #[serde(default)]
    pub(crate) grid: Option<String>,
}

#[derive(Deserialize)]
struct DeleteDevice {
    key: DeviceKey,
}

/// A rule as it was put.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PutRule {
    pub(crate) id: String,
    pub(crate) revision: u64,
    pub(crate) spec: serde_json::Value,
}

#[derive(Deserialize)]
struct DeleteRule {
    id: String,
}

#[derive(Deserialize)]
struct Resumed {
    since: Timestamp,
}

/// One change of the register or the rules, or of what could be heard at all.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    PutDevice(Box<PutDevice>),
    DeleteDevice(DeviceKey),
    PutRule(Box<PutRule>),
    DeleteRule(String),
    /// The hub did not run from then on.
    Resumed(Timestamp),
}

/// One change of the rules.
pub(crate) enum RuleStep {
    Put(Box<PutRule>),
    Delete(String),
}

/// Reads the changes of the rules alone.
pub(crate) fn rule_steps(reader: &Reader) -> Result<Vec<(Timestamp, RuleStep)>, StoreError> {
    let past = Past::read(&reader.rule_changes()?).map_err(StoreError::Damaged)?;
    let steps = past.steps.into_iter().filter_map(|(at, step)| match step {
        Step::PutRule(put) => Some((at, RuleStep::Put(put))),
        Step::DeleteRule(id) => Some((at, RuleStep::Delete(id))),
        Step::PutDevice(_) | Step::DeleteDevice(_) | Step::Resumed(_) => None,
    });
    Ok(steps.collect())
}

/// Every change, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    steps: Vec<(Timestamp, Step)>,
}

impl PutDevice {
    pub(crate) fn view(&self) -> DeviceView {
        DeviceView::new(self.key, &self.device, self.grid.as_deref())
    }

    fn of(entry: &DeviceEntry) -> Self {
        Self {
            key: entry.key,
            device: entry.device.clone(),
            grid: entry.grid.clone(),
        }
    }
}

impl PutRule {
    pub(crate) fn rule(&self) -> Result<Rule, RuleError> {
        let spec = rules::parse_json(&self.id, &self.spec)?;
        Ok(Rule {
            id: self.id.clone(),
            revision: self.revision,
            spec,
        })
    }
}

impl Past {
    /// Reads the changes; the error names the commit of one that cannot be read.
    fn read(rows: &[ChangeRow]) -> Result<Self, String> {
        let mut steps = Vec::with_capacity(rows.len());
        for row in rows {
            let recorded: Recorded = serde_json::from_str(&row.json)
                .map_err(|error| format!("the change of commit {}: {error}", row.commit))?;
            let put = recorded.put_device.map(|p| Step::PutDevice(Box::new(p)));
            let gone = recorded.delete_device.map(|d| Step::DeleteDevice(d.key));
            let rule = recorded.put_rule.map(|p| Step::PutRule(Box::new(p)));
            let no_rule = recorded.delete_rule.map(|d| Step::DeleteRule(d.id));
            let resumed = recorded.resumed.map(|r| Step::Resumed(r.since));
            let found = [put, gone, rule, no_rule, resumed].into_iter().flatten();
            steps.extend(found.map(|step| (row.stamp, step)));
        }
        Ok(Self { steps })
    }

    /// Reads all that is recorded.
    pub(crate) fn of_store(reader: &Reader) -> Result<Self, StoreError> {
        Self::read(&reader.changes()?).map_err(StoreError::Damaged)
    }

    pub(crate) fn of(hub: &Inner, what: &'static str) -> Result<Self, Problem> {
        Self::of_store(&hub.reader).map_err(|error| store_problem(what, &error))
    }

    /// Gives the devices as they were registered at `at`. A device of which no change is recorded
    /// was always as it is now.
    pub(crate) fn devices_at(
        &self,
        at: Timestamp,
        present: &[Arc<DeviceEntry>],
    ) -> BTreeMap<DeviceKey, PutDevice> {
        let recorded: HashSet<DeviceKey> = self
            .steps
            .iter()
            .filter_map(|(_, step)| step.device())
            .collect();
        let mut devices: BTreeMap<DeviceKey, PutDevice> = present
            .iter()
            .filter(|entry| !recorded.contains(&entry.key))
            .map(|entry| (entry.key, PutDevice::of(entry)))
            .collect();
        for (_, step) in self.steps.iter().take_while(|(stamp, _)| *stamp <= at) {
            match step {
                Step::PutDevice(put) => devices.insert(put.key, PutDevice::clone(put)),
                Step::DeleteDevice(key) => devices.remove(key),
                Step::PutRule(_) | Step::DeleteRule(_) | Step::Resumed(_) => None,
            };
        }
        devices
    }

    /// Gives the rules that were in force at `at`, each with the time of its last edit.
    pub(crate) fn rules_at(&self, at: Timestamp) -> BTreeMap<&str, (Timestamp, &PutRule)> {
        let mut rules = BTreeMap::new();
        for (stamp, step) in self.steps.iter().take_while(|(stamp, _)| *stamp <= at) {
            match step {
                Step::PutRule(put) => {
                    rules.insert(put.id.as_str(), (*stamp, &**put));
                }
                Step::DeleteRule(id) => {
                    rules.remove(id.as_str());
                }
                Step::PutDevice(_) | Step::DeleteDevice(_) | Step::Resumed(_) => {}
            }
        }
        rules
    }

    /// Gives every edit of a rule, oldest first.
    pub(crate) fn edits<'a>(
        &'a self,
        id: &'a str,
    ) -> impl Iterator<Item = (Timestamp, &'a PutRule)> + 'a {
        self.steps
            .iter()
            .filter_map(move |(stamp, step)| match step {
                Step::PutRule(put) if put.id == id => Some((*stamp, &**put)),
                _ => None,
            })
    }

    /// Names every rule that ever was.
    pub(crate) fn rules_ever(&self) -> BTreeSet<&str> {
        let ids = self.steps.iter().filter_map(|(_, step)| match step {
            Step::PutRule(put) => Some(put.id.as_str()),
            _ => None,
        });
        ids.collect()
    }

    /// Gives the changes after `from`, up to and including `until`.
    pub(crate) fn between(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = &(Timestamp, Step)> {
        let begun = self.steps.partition_point(|(stamp, _)| *stamp <= from);
        let rest = self.steps.iter().skip(begun);
        rest.take_while(move |(stamp, _)| *stamp <= until)
    }

    /// Gives each device as it was last recorded, also those that are gone.
    pub(crate) fn last_known(&self) -> BTreeMap<DeviceKey, PutDevice> {
        let puts = self.steps.iter().filter_map(|(_, step)| match step {
            Step::PutDevice(put) => Some((put.key, PutDevice::clone(put))),
            _ => None,
        });
        puts.collect()
    }
}

impl Step {
    pub(crate) fn device(&self) -> Option<DeviceKey> {
        match self {
            Self::PutDevice(put) => Some(put.key),
            Self::DeleteDevice(key) => Some(*key),
            Self::PutRule(_) | Self::DeleteRule(_) | Self::Resumed(_) => None,
        }
    }
}
