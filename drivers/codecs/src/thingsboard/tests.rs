//! A gateway's message is taken apart by child.

use super::{Resolved, decode_gateway};
use crate::profile::tests::{ARRIVAL, book, seen};
use crate::{Book, Decoded, Undecodable};
use model::{Catalogue, DeviceKey};
use serde_json::json;

fn resolve(name: &str) -> Option<Resolved> {
    match name {
        "Device A" => Some((DeviceKey(1), None)),
        "Device B" => Some((DeviceKey(2), Some("p".to_owned()))),
        _ => None,
    }
}

fn decode(payload: &[u8]) -> Result<Vec<Decoded>, Undecodable> {
    let catalogue = Catalogue::built_in();
    let at = (&catalogue, ARRIVAL);
    decode_gateway(&Book::default(), at, payload, &mut |name| resolve(name))
}

#[test]
fn a_gateway_message_is_split_by_device() {
    let payload = br#"{"Device A":[{"ts":10000,"values":{"pressure_kpa":1}},
        {"ts":20000,"values":{"pressure_kpa":2}}],"Stranger":[{"fault":1}],
        "Device B":[{"ts":10000,"values":{"pressure_kpa":3,"x":1}}]}"#;
    let catalogue = Catalogue::built_in();
    let mut asked = Vec::new();
    let at = (&catalogue, ARRIVAL);
    let parts = decode_gateway(&Book::default(), at, payload, &mut |name| {
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
fn what_is_said_of_a_child_is_read_by_its_own_profile() {
    let book = book(json!({"codec": "json", "time": "/ts", "values": {
        "pm10_ugm3": {"at": "/values/PM10", "scale": 0.1},
    }}));
    let payload = br#"{"Device A":[{"ts":1772323200000,"values":{"PM10":625}}],
        "Device B":[{"ts":1772323200000,"values":{"PM10":625}},{"ts":1772323260000,"values":{"PM10":NaN}}]}"#;
    let catalogue = Catalogue::built_in();
    let at = (&catalogue, ARRIVAL);
    let parts = decode_gateway(&book.unwrap(), at, payload, &mut |name| resolve(name)).unwrap();
    assert_eq!(parts[0].rejected[0].reason, "unknown_metric");
    let expected = ("pm10_ugm3".to_owned(), 62.5, Some(1_772_323_200_000));
    assert_eq!(seen(&parts[1]), [expected]);
    assert_eq!(parts[1].received, 2);
}

#[test]
fn what_is_no_gateway_message_is_refused_with_its_shape() {
    for (payload, reason) in [
        (&b"[1,2]"[..], "wrong_shape"),
        (b"{\"Device A\":[", "invalid_json"),
    ] {
        assert_eq!(decode(payload).unwrap_err().reason, reason);
    }
    for payload in [&br#"{"Device A":7}"#[..], br#"{"Device A":null}"#] {
        let parts = decode(payload).unwrap();
        assert_eq!(parts[0].rejected[0].reason, "wrong_shape");
    }
}
