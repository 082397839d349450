//! The ThingsBoard device and gateway API: what devices made for it already send.

use crate::{Book, Decoded, Sender, Undecodable, canonical, json};
use model::{Catalogue, DeviceKey, Timestamp};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Decodes `v1/devices/me/telemetry`: the same shapes as the hub's own JSON.
pub fn decode_device_into(
    catalogue: &Catalogue,
    payload: &[u8],
    out: &mut Decoded,
) -> Result<(), Undecodable> {
    canonical::decode_into(catalogue, payload, out)
}

/// The device of a name in a gateway's message, and the profile that it names.
pub type Resolved = (DeviceKey, Option<String>);

/// Decodes `v1/gateway/telemetry`: `{"device name":[{"ts":…,"values":{…}}],…}`, what is said of each
/// child by the profile of that child.
///
/// `resolve` gives the device of a name, or `None` if the gateway may not write for it; it is
/// asked once for each name and does the counting of those it refuses.
pub fn decode_gateway(
    book: &Book,
    (catalogue, arrival): (&Catalogue, Timestamp),
    payload: &[u8],
    resolve: &mut dyn FnMut(&str) -> Option<Resolved>,
) -> Result<Vec<Decoded>, Undecodable> {
    // A payload that breaks half-way is refused as a whole, so names are resolved only at the end.
    let children = json::parse(payload, |payload| {
        let mut deserializer = serde_json::Deserializer::from_slice(payload);
        let children = deserializer.deserialize_map(Children)?;
        deserializer.end()?;
        Ok(children)
    })?;
    let decoded = children.into_iter().filter_map(|(name, said)| {
        let (device, profile) = resolve(&name)?;
        let sender = Sender {
            profile: profile.as_deref(),
            arrival,
        };
        let mut out = Decoded::new(device);
        // What cannot be decoded is counted for that child alone.
        drop(book.decode_into(catalogue, sender, said.get().as_bytes(), &mut out));
        Some(out)
    });
    Ok(decoded.collect())
}

/// The names of a gateway's message in their order, each with what is said of it.
struct Children;

impl<'de> Visitor<'de> for Children {
    type Value = Vec<(String, Box<RawValue>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of device names with their telemetry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut children = Vec::new();
        while let Some(child) = map.next_entry()? {
            children.push(child);
        }
        Ok(children)
    }
}

#[cfg(test)]
mod tests;
