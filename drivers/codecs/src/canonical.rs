//! The hub's own JSON: `{"ts":…,"values":{…}}`, an array of those, or a flat object of metrics.

use crate::json::{self, Message, Sink};
use crate::{Decoded, Undecodable};
use model::{Catalogue, DeviceKey};
use serde::de::DeserializeSeed;

/// Decodes one payload and appends what it holds to `out`. On an error `out` is as before, but for
/// one rejected value that stands for the message.
pub fn decode_into(
    catalogue: &Catalogue,
    payload: &[u8],
    out: &mut Decoded,
) -> Result<(), Undecodable> {
    let before = (out.received, out.observations.len(), out.rejected.len());
    let parsed = json::parse(payload, |payload| {
        (out.received, _, _) = before;
        out.observations.truncate(before.1);
        out.rejected.truncate(before.2);
        let mut deserializer = serde_json::Deserializer::from_slice(payload);
        Message(&mut Sink { catalogue, out }).deserialize(&mut deserializer)?;
        deserializer.end()
    });
    if let Err(why) = &parsed {
        (out.received, _, _) = before;
        out.observations.truncate(before.1);
        out.rejected.truncate(before.2);
        out.reject_message(why);
    }
    parsed
}

/// Decodes one payload of one device.
pub fn decode(
    catalogue: &Catalogue,
    device: DeviceKey,
    payload: &[u8],
) -> (Decoded, Result<(), Undecodable>) {
    let mut out = Decoded::new(device);
    let parsed = decode_into(catalogue, payload, &mut out);
    (out, parsed)
}

#[cfg(test)]
mod tests;
