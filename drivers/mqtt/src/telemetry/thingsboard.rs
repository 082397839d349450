//! Messages of ThingsBoard's API besides telemetry: attributes, children that come and go, answers.

use super::{Batch, Desk, Forbidden, Verdict, Whose, forbidden_topic, is_gateway};
use crate::exchange::Exchange;
use crate::thingsboard::{self, Word};
use codecs::{Decoded, Sender, Undecodable};
use sdk::{DeviceEntry, Devices};
use serde_json::Value;
use std::sync::Arc;

/// The identity that names a child as its gateway calls it, alone or behind the gateway's id and `/`.
const IDENTITY: &str = "thingsboard";

type Refuse<'a> = &'a mut dyn FnMut(&str, &'static str);

impl Batch {
    pub(super) fn take_thingsboard(
        &mut self,
        desk: Desk<'_>,
        exchange: &mut Exchange,
        (word, payload): (Word<'_>, &[u8]),
        refuse: Refuse<'_>,
    ) -> Result<Verdict, Forbidden> {
        if word.is_of_gateway() && !is_gateway(desk.writer) {
            return Err(forbidden_topic(desk));
        }
        let answer = match word {
            Word::Attributes => return Ok(self.own_attributes(desk, payload)),
            Word::ChildAttributes => {
                return self.child_attributes(desk, exchange, payload, refuse);
            }
            Word::ChildLink { is_down } => {
                return self.child_link(desk, exchange, (is_down, payload), refuse);
            }
            Word::Call { id } => Some(thingsboard::answer_call(id, payload, desk.limits)),
            Word::AttributesWanted { id } => Some(thingsboard::answer_attributes(id)),
            Word::ChildAttributesWanted => thingsboard::answer_child_attributes(payload),
            Word::Reply { id } => {
                let answer: Value = serde_json::from_slice(payload).unwrap_or_default();
                if let Ok(id) = id.parse() {
                    exchange.orders.answered(id, answer);
                }
                None
            }
            Word::ChildReply => {
                if let Some((id, answer)) = thingsboard::read_child_reply(payload) {
                    exchange.orders.answered(id, answer);
                }
                None
            }
            Word::Claim => None,
        };
        exchange.says.extend(answer);
        // There is nothing to store, and the client must not send it again.
        Ok(Verdict::Stored)
    }

    /// Takes what a device says of itself besides telemetry: metrics are readings, all else is a label.
    fn own_attributes(&mut self, desk: Desk<'_>, payload: &[u8]) -> Verdict {
        let sender = Sender {
            profile: desk.writer.device.profile.as_deref(),
            arrival: desk.now,
        };
        let mut said = Decoded::new(desk.writer.key);
        match desk
            .book
            .decode_into(desk.catalogue, sender, payload, &mut said)
        {
            Ok(()) => {
                self.keep_metrics(said);
                Verdict::Stored
            }
            Err(why) => self.unreadable(desk, why, payload),
        }
    }

    fn child_attributes(
        &mut self,
        desk: Desk<'_>,
        exchange: &mut Exchange,
        payload: &[u8],
        refuse: Refuse<'_>,
    ) -> Result<Verdict, Forbidden> {
        let mut refused = false;
        let at = (desk.catalogue, desk.now);
        let decoded = codecs::thingsboard::decode_gateway(desk.book, at, payload, &mut |name| {
            let child = child(desk, exchange, name, refuse);
            refused |= child.is_none();
            child.map(|child| (child.key, child.profile))
        });
        match decoded {
            Ok(parts) if parts.is_empty() && refused => Err(Forbidden::EveryChild),
            Ok(parts) => {
                for part in parts {
                    self.keep_metrics(part);
                }
                Ok(Verdict::Stored)
            }
            Err(why) => Ok(self.unreadable(desk, why, payload)),
        }
    }

    /// A child came or went, as its gateway says.
    fn child_link(
        &mut self,
        desk: Desk<'_>,
        exchange: &mut Exchange,
        (is_down, payload): (bool, &[u8]),
        refuse: Refuse<'_>,
    ) -> Result<Verdict, Forbidden> {
        let Some(name) = thingsboard::read_link(payload) else {
            let why = Undecodable {
                reason: "wrong_shape".into(),
                detail: "expected an object with `device`".to_owned(),
            };
            return Ok(self.unreadable(desk, why, payload));
        };
        let Some(child) = child(desk, exchange, &name, refuse) else {
            return Err(Forbidden::EveryChild);
        };
        self.link(desk, child.key, is_down);
        Ok(Verdict::Stored)
    }

    /// Keeps the values of metrics; names that are none are labels here, and not counted.
    fn keep_metrics(&mut self, said: Decoded) {
        let part = self.part_of(said.device);
        let added = said.observations.len();
        let counted = u32::try_from(added).unwrap_or(u32::MAX);
        part.received = part.received.saturating_add(counted);
        part.observations.extend(said.observations);
        self.readings += added;
    }

    fn unreadable(&mut self, desk: Desk<'_>, why: Undecodable, payload: &[u8]) -> Verdict {
        let own = desk.writer.key;
        self.part_of(own).reject_message(&why);
        self.quarantine(own, why, payload)
    }
}

/// Finds a device that a gateway names: its child, and does the counting if it is none.
pub(super) fn child(
    desk: Desk<'_>,
    exchange: &mut Exchange,
    name: &str,
    refuse: Refuse<'_>,
) -> Option<Whose> {
    let found = find(desk, name);
    match found {
        Some(entry) if Devices::may_write(desk.writer, &entry) => {
            exchange.orders.speaks_for(entry.key, name);
            Some(Whose::of(&entry))
        }
        other => {
            let reason = if other.is_some() {
                "forbidden_topic"
            } else {
                "unknown_device"
            };
            refuse(name, reason);
            None
        }
    }
}

/// By what this gateway calls it, what any gateway does, or its id.
fn find(desk: Desk<'_>, name: &str) -> Option<Arc<DeviceEntry>> {
    let of_gateway = format!("{}/{name}", desk.writer.device.id);
    let devices = desk.devices;
    devices
        .find_identity(IDENTITY, &of_gateway)
        .or_else(|| devices.find_identity(IDENTITY, name))
        .or_else(|| devices.find(name))
}
