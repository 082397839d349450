//! Uplinks have their members where the network servers' own documents have them.

use super::*;

const AT_MS: i64 = 1_772_323_200_124;

fn measured() -> [Observation; 1] {
    [Observation::number("pressure_kpa", 2.35, 2)]
}

fn parsed(published: &Published) -> Value {
    serde_json::from_slice(&published.payload).unwrap()
}

#[test]
fn chirpstack_names_the_device_in_topic_and_message() {
    let up = chirpstack("f0f0000000000007", AT_MS, &measured());
    assert_eq!(
        up.topic,
        "application/52f14cd4-0000-4000-8000-00000000d390/device/f0f0000000000007/event/up"
    );
    let body = parsed(&up);
    assert_eq!(body["deviceInfo"]["devEui"], "f0f0000000000007");
    assert_eq!(body["time"], "2026-03-01T00:00:00.124+00:00");
    assert_eq!(body["object"], json!({"pressure_kpa": 2.35}));
    let id = body["deduplicationId"].as_str().unwrap();
    let dashes: Vec<usize> = id.match_indices('-').map(|(at, _)| at).collect();
    assert_eq!((id.len(), dashes), (36, vec![8, 13, 18, 23]));
    assert_eq!(chirpstack("f0f0000000000007", AT_MS, &measured()), up);
}

#[test]
fn the_things_stack_names_application_and_device() {
    let up = tts("gas/gas-7", AT_MS, &measured());
    assert_eq!(up.topic, "v3/gas@city/devices/gas-7/up");
    let body = parsed(&up);
    assert_eq!(body["end_device_ids"]["device_id"], "gas-7");
    assert_eq!(
        body["uplink_message"]["decoded_payload"],
        json!({"pressure_kpa": 2.35})
    );
    assert_eq!(
        body["uplink_message"]["received_at"],
        "2026-03-01T00:00:00.124Z"
    );
}

#[test]
fn a_thingsboard_gateway_lists_its_child() {
    let up = thingsboard("gas-7", AT_MS, &measured());
    assert_eq!(up.topic, "v1/gateway/telemetry");
    assert_eq!(
        parsed(&up),
        json!({"gas-7": [{"ts": AT_MS, "values": {"pressure_kpa": 2.35}}]})
    );
}
