//! How a payload is written, where the message says it or the first bytes tell.

use crate::profile::Plan;
use crate::{Book, Codec, Decoded, Sender, Undecodable, cbor, senml};
use model::Catalogue;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// How a payload is written.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Cbor,
    /// SenML (RFC 8428) in JSON or CBOR, which its first byte tells.
    Senml,
}

/// Labels of CBOR that a record of SenML begins with (RFC 8428 table 4): the array of a pack of maps
/// whose first key is an integer from -6 to 8.
const PACK: std::ops::RangeInclusive<u8> = 0x81..=0x9f;
const RECORD: std::ops::RangeInclusive<u8> = 0xa1..=0xbf;

impl Format {
    /// Tells the format of a payload that nobody named, by its first bytes.
    pub fn guess(payload: &[u8]) -> Self {
        let first = payload.iter().find(|byte| !byte.is_ascii_whitespace());
        match (first, payload) {
            (Some(b'['), _) if is_pack(payload) => Self::Senml,
            (_, [first, record, label, ..])
                if PACK.contains(first)
                    && RECORD.contains(record)
                    && matches!(label, 0x00..=0x08 | 0x20..=0x25) =>
            {
                Self::Senml
            }
            (Some(0x80..=0xbf), _) => Self::Cbor,
            _ => Self::Json,
        }
    }
}

impl Book {
    /// Decodes a payload whose format the message itself names; the profile says what the names in it
    /// mean. A device without a profile of SenML writes the names of metrics.
    ///
    /// On an error `out` is as before, but for one rejected value that stands for the message.
    pub fn decode_as(
        &self,
        catalogue: &Catalogue,
        (sender, format): (Sender<'_>, Format),
        payload: &[u8],
        out: &mut Decoded,
    ) -> Result<(), Undecodable> {
        let plan = self.plan(sender.profile);
        let senml = plan.filter(|plan| plan.codec == Codec::Senml);
        match format {
            Format::Senml => {
                let bare = Plan::bare();
                let plan = senml.unwrap_or(&bare);
                senml::decode(catalogue, plan, payload, sender.arrival, out)
                    .inspect_err(|why| out.reject_message(why))
            }
            Format::Cbor if senml.is_none() => match cbor::to_json(payload) {
                Ok(json) => self.decode_into(catalogue, sender, &json, out),
                Err(why) => {
                    out.reject_message(&why);
                    Err(why)
                }
            },
            Format::Json | Format::Cbor => self.decode_into(catalogue, sender, payload, out),
        }
    }
}

/// A pack of SenML in JSON: its first record has a name, and telemetry of the hub's own has none.
fn is_pack(payload: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Pack(Vec<BTreeMap<String, IgnoredAny>>);
    let Ok(Pack(records)) = serde_json::from_slice(payload) else {
        return false;
    };
    let first = records.first();
    first.is_some_and(|first| first.contains_key("bn") || first.contains_key("n"))
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn a_payload_that_nobody_named_is_told_by_its_first_bytes() {
        for (payload, format) in [
            (&br#"{"pressure_kpa":1}"#[..], Format::Json),
            (br#" [{"ts":1,"values":{}}]"#, Format::Json),
            (br#"[{"bn":"urn:dev:mac:1:","n":"t","v":1}]"#, Format::Senml),
            (br#"[{"n":"pressure_kpa","v":1}]"#, Format::Senml),
            // RFC 8428, section 6: the pack in CBOR begins with 87 a7 21 (the label -2, `bn`).
            (b"\x87\xa7\x21\x78\x1b", Format::Senml),
            (b"\xa1\x61a\x01", Format::Cbor),
            (b"\x81\xa1\x61a\x01", Format::Cbor),
            (b"", Format::Json),
            (b"[", Format::Json),
            (b"21.5", Format::Json),
        ] {
            assert_eq!(Format::guess(payload), format, "{payload:?}");
        }
    }
}
