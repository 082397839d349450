//! The ThingsBoard device and gateway API: what devices made for it already send.

use crate::json::{self, Message, Sink};
use crate::{Decoded, Undecodable, canonical};
use model::{Catalogue, DeviceKey};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use std::fmt;

/// Decodes `v1/devices/me/telemetry`: the same shapes as the hub's own JSON.
pub fn decode_device_into(
    catalogue: &Catalogue,
    payload: &[u8],
    out: &mut Decoded,
) -> Result<(), Undecodable> {
    canonical::decode_into(catalogue, payload, out)
}

/// Decodes `v1/gateway/telemetry`: `{"device name":[{"ts":…,"values":{…}}],…}`.
///
/// `resolve` gives the device of a name, or `None` if the gateway may not write for it; it is
/// asked once for each name and does the counting of those it refuses.
pub fn decode_gateway(
    catalogue: &Catalogue,
    payload: &[u8],
    resolve: &mut dyn FnMut(&str) -> Option<DeviceKey>,
) -> Result<Vec<Decoded>, Undecodable> {
    // A payload that breaks half-way is refused as a whole, so names are resolved only at the end.
    let parsed = json::parse(payload, |payload| {
        let mut deserializer = serde_json::Deserializer::from_slice(payload);
        let parts = deserializer.deserialize_map(Gateway { catalogue })?;
        deserializer.end()?;
        Ok(parts)
    })?;
    let resolved = parsed.into_iter().filter_map(|(name, mut decoded)| {
        decoded.device = resolve(&name)?;
        Some(decoded)
    });
    Ok(resolved.collect())
}

struct Gateway<'a> {
    catalogue: &'a Catalogue,
}

impl<'de> Visitor<'de> for Gateway<'_> {
    type Value = Vec<(String, Decoded)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of device names with their telemetry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut parts = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let mut out = Decoded::new(DeviceKey(0));
            map.next_value_seed(Child(&mut Sink {
                catalogue: self.catalogue,
                out: &mut out,
            }))?;
            parts.push((name, out));
        }
        Ok(parts)
    }
}

/// One child's telemetry; anything but an array or object is rejected for that child alone.
struct Child<'a, 'b>(&'b mut Sink<'a>);

impl<'de> DeserializeSeed<'de> for Child<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Child<'_, '_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of telemetry")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Message(self.0).visit_map(map)
    }
    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Message(self.0).visit_seq(seq)
    }
    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.wrong();
        Ok(())
    }
    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.wrong();
        Ok(())
    }
    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.wrong();
        Ok(())
    }
    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.wrong();
        Ok(())
    }
    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.wrong();
        Ok(())
    }
    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.wrong();
        Ok(())
    }
}

impl Child<'_, '_> {
    fn wrong(self) {
        let detail = || "expected an array of telemetry".to_owned();
        self.0.out.reject(None, "wrong_shape", detail);
    }
}

#[cfg(test)]
mod tests {
    use super::decode_gateway;
    use model::{Catalogue, DeviceKey};

    fn resolve(name: &str) -> Option<DeviceKey> {
        match name {
            "Device A" => Some(DeviceKey(1)),
            "Device B" => Some(DeviceKey(2)),
            _ => None,
        }
    }

    #[test]
    fn a_gateway_message_is_split_by_device() {
        let payload = br#"{"Device A":[{"ts":10000,"values":{"pressure_kpa":1}},
            {"ts":20000,"values":{"pressure_kpa":2}}],"Stranger":[{"fault":1}],
            "Device B":[{"ts":10000,"values":{"pressure_kpa":3,"x":1}}]}"#;
        let mut asked = Vec::new();
        let parts = decode_gateway(&Catalogue::built_in(), payload, &mut |name| {
            asked.push(name.to_owned());
            resolve(name)
        })
        .unwrap();
        let shape: Vec<_> = parts
            .iter()
            .map(|part| (part.device.0, part.received, part.observations.len()))
            .collect();
        assert_eq!(shape, [(1, 2, 2), (2, 2, 1)]);
        assert_eq!(asked, ["Device A", "Stranger", "Device B"]);
    }

    #[test]
    fn what_is_no_gateway_message_is_refused_with_its_shape() {
        let catalogue = Catalogue::built_in();
        for (payload, reason) in [
            (&b"[1,2]"[..], "wrong_shape"),
            (b"{\"Device A\":[", "invalid_json"),
        ] {
            let error = decode_gateway(&catalogue, payload, &mut |name| resolve(name)).unwrap_err();
            assert_eq!(error.reason, reason);
        }
        let parts =
            decode_gateway(&catalogue, br#"{"Device A":7}"#, &mut |name| resolve(name)).unwrap();
        assert_eq!(parts[0].rejected[0].reason, "wrong_shape");
    }
}
