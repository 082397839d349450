//! ThingsBoard's device and gateway API besides telemetry: what its topics say, and how it is answered.

use serde_json::{Value, json};

/// What a message means.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word<'a> {
    /// `v1/devices/me/attributes`.
    Attributes,
    /// `v1/gateway/attributes`: of devices that are named in the payload.
    ChildAttributes,
    /// `v1/gateway/connect` and `v1/gateway/disconnect`.
    ChildLink { is_down: bool },
    /// `v1/devices/me/rpc/request/{id}`: the device asks something of the platform.
    Call { id: &'a str },
    /// `v1/devices/me/attributes/request/{id}`.
    AttributesWanted { id: &'a str },
    /// `v1/gateway/attributes/request`.
    ChildAttributesWanted,
    /// `v1/devices/me/rpc/response/{id}`: the answer to an order.
    Reply { id: &'a str },
    /// `v1/gateway/rpc`: a child's answer to an order.
    ChildReply,
    /// `v1/devices/me/claim` and `v1/gateway/claim`, of which nothing is kept.
    Claim,
}

impl<'a> Word<'a> {
    pub(crate) fn read(topic: &'a str) -> Option<Self> {
        Some(match topic {
            "v1/devices/me/attributes" | "v2/a" => Self::Attributes,
            "v1/gateway/attributes" => Self::ChildAttributes,
            "v1/gateway/connect" => Self::ChildLink { is_down: false },
            "v1/gateway/disconnect" => Self::ChildLink { is_down: true },
            "v1/gateway/attributes/request" => Self::ChildAttributesWanted,
            "v1/gateway/rpc" => Self::ChildReply,
            "v1/devices/me/claim" | "v1/gateway/claim" => Self::Claim,
            _ => return Self::of_request(topic),
        })
    }

    fn of_request(topic: &'a str) -> Option<Self> {
        let rest = topic.strip_prefix("v1/devices/me/")?;
        let (kind, id) = rest.rsplit_once('/')?;
        match kind {
            _ if id.is_empty() => None,
            "rpc/request" => Some(Self::Call { id }),
            "rpc/response" => Some(Self::Reply { id }),
            "attributes/request" => Some(Self::AttributesWanted { id }),
            _ => None,
        }
    }

    /// Tells whether only a gateway may say it.
    pub(crate) fn is_of_gateway(self) -> bool {
        matches!(
            self,
            Self::ChildAttributes
                | Self::ChildLink { .. }
                | Self::ChildAttributesWanted
                | Self::ChildReply
        )
    }
}

/// What a device of this API subscribes to as soon as it is connected, all of it about itself.
const FILTERS: [&str; 7] = [
    "v1/devices/me/attributes",
    "v1/devices/me/attributes/response/+",
    "v1/devices/me/rpc/request/+",
    "v1/devices/me/rpc/response/+",
    "v1/gateway/attributes",
    "v1/gateway/attributes/response",
    "v1/gateway/rpc",
];

/// Tells whether a filter is one of the API's.
pub(crate) fn is_filter(filter: &str) -> bool {
    FILTERS.contains(&filter) || filter == "v2/fw/response/+"
}

/// Whether orders are wanted: for the device itself, and for the children of a gateway.
pub(crate) fn wants_orders(filter: &str) -> bool {
    matches!(filter, "v1/devices/me/rpc/request/+" | "v1/gateway/rpc")
}

/// Says what came of something that a device asked of the platform: topic and payload.
///
/// `getSessionLimits` is asked by ThingsBoard's own client before it sends anything. No rates: a hub
/// that is busy stops reading.
pub(crate) fn answer_call(
    id: &str,
    payload: &[u8],
    (packet_bytes_max, receive_maximum): (usize, u16),
) -> (String, Value) {
    let asked: Value = serde_json::from_slice(payload).unwrap_or_default();
    let method = asked.get("method").and_then(Value::as_str);
    let answer = match method {
        Some("getSessionLimits") => json!({
            "maxPayloadSize": packet_bytes_max,
            "maxInflightMessages": receive_maximum,
            "rateLimits": {}, "gatewayRateLimits": {},
        }),
        _ => json!({"error": "this hub has no such method"}),
    };
    (format!("v1/devices/me/rpc/response/{id}"), answer)
}

/// Says which attributes the platform has of a device: none.
pub(crate) fn answer_attributes(id: &str) -> (String, Value) {
    let topic = format!("v1/devices/me/attributes/response/{id}");
    (topic, json!({"client": {}, "shared": {}}))
}

/// The same of a child.
pub(crate) fn answer_child_attributes(payload: &[u8]) -> Option<(String, Value)> {
    let asked: Value = serde_json::from_slice(payload).ok()?;
    let answer = json!({"id": asked.get("id")?, "device": asked.get("device")?, "values": {}});
    Some(("v1/gateway/attributes/response".to_owned(), answer))
}

/// Writes an order: to the device itself, or to a child of it. Arguments are an object; a method that
/// wants something else gets what stands alone at `params`.
pub(crate) fn order(id: u32, child: Option<&str>, name: &str, args: &Value) -> (String, Value) {
    let args = match args.get("params") {
        Some(alone) if args.as_object().is_some_and(|args| args.len() == 1) => alone,
        _ => args,
    };
    match child {
        None => {
            let topic = format!("v1/devices/me/rpc/request/{id}");
            (topic, json!({"method": name, "params": args}))
        }
        Some(child) => {
            let data = json!({"id": id, "method": name, "params": args});
            (
                "v1/gateway/rpc".to_owned(),
                json!({"device": child, "data": data}),
            )
        }
    }
}

/// Reads a child's answer to an order: the order's number, and what it says.
pub(crate) fn read_child_reply(payload: &[u8]) -> Option<(u32, Value)> {
    let mut reply: Value = serde_json::from_slice(payload).ok()?;
    let id = reply.get("id").and_then(Value::as_u64)?;
    let data = reply.get_mut("data").map(Value::take).unwrap_or_default();
    Some((u32::try_from(id).ok()?, data))
}

/// Reads the device of `connect` and `disconnect`.
pub(crate) fn read_link(payload: &[u8]) -> Option<String> {
    let said: Value = serde_json::from_slice(payload).ok()?;
    said.get("device")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{Word, answer_call, read_child_reply};
    use serde_json::json;

    #[test]
    fn a_topic_tells_what_is_meant() {
        let request = Word::read("v1/devices/me/rpc/request/7");
        assert_eq!(request, Some(Word::Call { id: "7" }));
        let link = Some(Word::ChildLink { is_down: true });
        assert_eq!(Word::read("v1/gateway/disconnect"), link);
        for topic in [
            "v1/devices/me/rpc/request/",
            "v1/devices/me/x/7",
            "v1/gateway/x",
            "v1/devices/other/attributes",
        ] {
            assert_eq!(Word::read(topic), None, "{topic}");
        }
    }

    #[test]
    fn limits_are_told_and_other_methods_are_not_there() {
        let asked = br#"{"method":"getSessionLimits","params":{"timeout":5000}}"#;
        let (topic, answer) = answer_call("1", asked, (65_536, 1_024));
        assert_eq!(topic, "v1/devices/me/rpc/response/1");
        let expected = json!({"maxPayloadSize": 65536, "maxInflightMessages": 1024,
            "rateLimits": {}, "gatewayRateLimits": {}});
        assert_eq!(answer, expected);
        assert!(answer_call("1", b"{", (1, 1)).1.get("error").is_some());
    }

    #[test]
    fn a_childs_reply_names_its_order() {
        let reply = read_child_reply(br#"{"device":"A","id":3,"data":{"ok":true}}"#);
        assert_eq!(reply, Some((3, json!({"ok": true}))));
        for spoilt in [&b"{"[..], br#"{"id":-1}"#, br#"{"id":4294967296}"#, b"7"] {
            assert_eq!(read_child_reply(spoilt), None);
        }
    }
}
