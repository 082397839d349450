//! An edge node of Sparkplug B: births before data, aliases in data, a death as the will.

use crate::fleet::{Device, Fleet};
use crate::link::frame::identity;
use crate::observation::Observation;
use crate::payload::shown;
use crate::payload::sparkplug::{Datum, Metric, write};
use crate::payload::uplink::Published;
use std::collections::HashMap;

const NAMESPACE: &str = "spBv1.0";
/// A device has no more metrics than this; aliases are counted in such steps.
const METRICS_MAX: u64 = 64;

/// One edge node.
#[derive(Debug)]
pub(super) struct Node {
    group: String,
    node: String,
    /// Counts connections, so that an old death is known as such.
    bd_seq: u64,
    seq: u8,
    /// By device, the names that its last birth has put into an order.
    born: HashMap<usize, Vec<String>>,
}

impl Node {
    pub(super) fn new(device: &Device) -> Self {
        let (group, node) = identity(device, "sparkplug")
            .split_once('/')
            .unwrap_or(("City", &device.id));
        Self {
            group: group.to_owned(),
            node: node.to_owned(),
            bd_seq: u64::MAX,
            seq: 0,
            born: HashMap::new(),
        }
    }

    fn topic(&self, message: &str, device: Option<&str>) -> String {
        let (group, node) = (&self.group, &self.node);
        match device {
            Some(device) => format!("{NAMESPACE}/{group}/{message}/{node}/{device}"),
            None => format!("{NAMESPACE}/{group}/{message}/{node}"),
        }
    }

    /// Where the hub asks for a new birth.
    pub(super) fn commands(&self) -> String {
        self.topic("NCMD", None)
    }

    fn bd_seq(&self) -> Metric<'static> {
        Metric {
            name: Some("bdSeq"),
            alias: None,
            at_ms: None,
            datum: Datum::Long(self.bd_seq),
        }
    }

    /// Begins a new connection; what the broker shall say when it ends.
    pub(super) fn will(&mut self, now_ms: i64) -> Published {
        // 0 to 255, as the specification counts.
        self.bd_seq = self.bd_seq.wrapping_add(1) & 0xff;
        self.death(now_ms)
    }

    /// What a node says that leaves in order.
    pub(super) fn death(&self, now_ms: i64) -> Published {
        Published {
            topic: self.topic("NDEATH", None),
            payload: write(now_ms, &[self.bd_seq()], None),
        }
    }

    /// Is born, and its devices must be anew.
    pub(super) fn birth(&mut self, now_ms: i64) -> Published {
        self.born.clear();
        self.seq = 0;
        let rebirth = Metric {
            name: Some("Node Control/Rebirth"),
            alias: None,
            at_ms: Some(now_ms),
            datum: Datum::Boolean(false),
        };
        let mut bd_seq = self.bd_seq();
        bd_seq.at_ms = Some(now_ms);
        Published {
            topic: self.topic("NBIRTH", None),
            payload: write(now_ms, &[bd_seq, rebirth], Some(0)),
        }
    }

    fn next_seq(&mut self) -> u8 {
        self.seq = self.seq.wrapping_add(1);
        self.seq
    }

    /// Says what a device measured: in its birth, or in data once that was said.
    pub(super) fn say(
        &mut self,
        fleet: &Fleet,
        device: usize,
        (ts_ms, said): (i64, &[Observation]),
    ) -> Option<Published> {
        let row = fleet.devices.get(device)?;
        let own = identity(row, "sparkplug").split('/').nth(2);
        let name = own.unwrap_or(&row.id).to_owned();
        let alias = |index: usize| device as u64 * METRICS_MAX + index as u64 + 1;
        let seq = self.next_seq();
        let names: Vec<String> = said.iter().map(|o| o.metric.to_string()).collect();
        let again = self.born.get(&device) == Some(&names);
        let metrics: Vec<Metric<'_>> = said
            .iter()
            .enumerate()
            .map(|(index, observation)| Metric {
                name: (!again).then_some(observation.metric.as_ref()),
                alias: Some(alias(index)),
                at_ms: Some(ts_ms),
                datum: Datum::Double(shown(observation)),
            })
            .collect();
        let payload = write(ts_ms, &metrics, Some(seq));
        let message = if again { "DDATA" } else { "DBIRTH" };
        self.born.insert(device, names);
        Some(Published {
            topic: self.topic(message, Some(&name)),
            payload,
        })
    }
}

#[cfg(test)]
mod tests;
