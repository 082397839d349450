//! Pushes as public ones look; the signature is that of a published example.

use super::*;
use crate::fleet::read;

fn device(identity: &str, value: &str) -> Device {
    let columns = format!("id,kind,name,site,lon,lat,cadence_s,identities.{identity}");
    let line = format!("smoke-1,smoke,n,s,118.1,24.5,60,{value}");
    read(&format!("{columns}\n{line}\n"))
        .unwrap()
        .devices
        .remove(0)
}

fn smoke() -> [Observation; 2] {
    [
        Observation::number("smoke_alarm", 1.0, 0),
        Observation::number("battery_pct", 86.0, 0),
    ]
}

fn parsed(push: &Push) -> Value {
    serde_json::from_slice(&push.body).unwrap()
}

#[test]
fn the_signature_is_that_of_a_recorded_push() {
    // Token city-hub-token, nonce abcdefgh, and a message whose signature was computed elsewhere.
    let message = "[{\"type\":1,\"dev_id\":2016617,\"ds_id\":\"datastream_id\",\"at\":1466133706841,\
                   \"value\":42},{\"type\":1,\"dev_id\":2016617,\"ds_id\":\"datastream_id\",\
                   \"at\":1466133706842,\"value\":43}]";
    assert_eq!(
        signature("city-hub-token", "abcdefgh", message),
        "D3pNWDdw8SNxojfopw1jcA=="
    );
}

#[test]
fn each_platform_names_device_time_and_values_in_its_place() {
    let at = 1_772_323_200_124;
    let ctwing = Platform::Ctwing.write(&device("ctwing", "c0ffee"), (at, &smoke()), "");
    let body = parsed(&ctwing);
    assert_eq!(
        (&body["deviceId"], &body["timestamp"]),
        (&json!("c0ffee"), &json!(at))
    );
    assert_eq!(
        body["payload"]["serviceData"],
        json!({"smoke_alarm": 1.0, "battery_pct": 86.0})
    );
    let onenet = Platform::OneNet.write(&device("onenet", "p1/smoke-0001"), (at, &smoke()), "t");
    let body = parsed(&onenet);
    let message: Value = serde_json::from_str(body["msg"].as_str().unwrap()).unwrap();
    assert_eq!(message["productId"], "p1");
    assert_eq!(message["deviceName"], "smoke-0001");
    assert_eq!(
        message["data"]["params"]["smoke_alarm"],
        json!({"time": at, "value": 1.0})
    );
    let ocean = Platform::OceanConnect.write(&device("oceanconnect", "o1"), (at, &smoke()), "");
    let body = parsed(&ocean);
    // 2026-03-01T00:00:00Z: seconds alone, and even ones.
    assert_eq!(body["service"]["eventTime"], "20260301T000000Z");
    assert_eq!(body["service"]["data"]["battery_pct"], 86.0);
    assert_eq!(ocean.ts_ms, 1_772_323_200_000);
}
