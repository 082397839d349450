//! ThingsBoard's API besides telemetry: what its own clients ask as soon as they are connected.

use super::{Bench, refusal};
use model::DeviceKey;
use sdk::Submission;
use sdk::testkit::Kit;
use serde_json::json;

const GATEWAY: &str = r#"{"id":"gw","kind":"gateway"}"#;
const CHILD: &str =
    r#"{"id":"c","kind":"smoke","parent":"gw","identities":{"thingsboard":"Demo Device"}}"#;
const OF_ANOTHER: &str = r#"{"id":"o","kind":"smoke","parent":"gw2"}"#;

/// All that thingsboard-gateway 3.8 subscribes to.
const FILTERS: [&str; 7] = [
    "v1/devices/me/attributes",
    "v1/devices/me/attributes/response/+",
    "v1/devices/me/rpc/request/+",
    "v1/devices/me/rpc/response/+",
    "v1/gateway/attributes",
    "v1/gateway/attributes/response",
    "v1/gateway/rpc",
];

fn bench() -> Bench {
    Bench::around(Kit::new(&[GATEWAY, CHILD, OF_ANOTHER]), |_| {})
}

/// Device keys, metrics and numbers.
fn values(bench: &Bench, submission: &Submission) -> Vec<(u32, String, f64)> {
    let catalogue = &bench.kit.cx.catalogue;
    let parts = submission.parts.iter().flat_map(|part| {
        assert_eq!(part.rejected, []);
        part.observations.iter().map(|of| {
            let name = catalogue.def(of.metric).unwrap().name.clone();
            (part.device.0, name, of.value.as_number().unwrap())
        })
    });
    parts.collect()
}

#[tokio::test]
async fn a_gateway_is_told_its_limits_and_that_there_are_no_attributes_for_it() {
    let mut bench = bench();
    let mut client = bench.device(4, "gw").await;
    for (id, filter) in (1..).zip(FILTERS) {
        client.subscribe(id, &[(filter, 1)]).await;
        let [high, low] = id.to_be_bytes();
        client.expect(&[0x90, 3, high, low, 0]).await;
    }
    let asked = br#"{"method":"getSessionLimits","params":{"timeout":5000}}"#;
    client
        .publish(1, 9, "v1/devices/me/rpc/request/1", asked)
        .await;
    let (_, topic, answer) = client.message().await;
    assert_eq!(topic, "v1/devices/me/rpc/response/1");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["maxPayloadSize"], 65_536);
    bench.store().await;
    client.expect(&[0x40, 2, 0, 9]).await;
    let asked = br#"{"sharedKeys":"fw_title"}"#;
    let topic = "v1/devices/me/attributes/request/2";
    client.publish(0, 0, topic, asked).await;
    let (_, topic, answer) = client.message().await;
    assert_eq!(topic, "v1/devices/me/attributes/response/2");
    assert_eq!(answer, r#"{"client":{},"shared":{}}"#);
    let asked = br#"{"id":7,"device":"Demo Device","client":false,"keys":["a"]}"#;
    client
        .publish(0, 0, "v1/gateway/attributes/request", asked)
        .await;
    let (_, topic, answer) = client.message().await;
    assert_eq!(topic, "v1/gateway/attributes/response");
    let expected = json!({"id": 7, "device": "Demo Device", "values": {}});
    assert_eq!(answer, expected.to_string());
}

#[tokio::test]
async fn attributes_that_are_metrics_are_readings_and_the_others_are_labels() {
    let mut bench = bench();
    let mut client = bench.device(4, "gw").await;
    let own = br#"{"battery_pct":91,"Version":"3.8.5","eventsSent":7}"#;
    client.publish(1, 1, "v1/devices/me/attributes", own).await;
    let stored = bench.store().await;
    let battery = |device, number| (device, "battery_pct".to_owned(), number);
    assert_eq!(values(&bench, &stored), [battery(1, 91.0)]);
    client.expect(&[0x40, 2, 0, 1]).await;
    let childs = br#"{"Demo Device":{"battery_pct":17,"model":"x"},"Stranger":{"fault":1}}"#;
    client.publish(1, 2, "v1/gateway/attributes", childs).await;
    let stored = bench.store().await;
    assert_eq!(values(&bench, &stored), [battery(2, 17.0)]);
    client.expect(&[0x40, 2, 0, 2]).await;
    let refused = refusal("unknown_device", Some("Stranger"), true);
    assert_eq!(bench.refused(), [refused]);
}

#[tokio::test]
async fn a_child_is_known_by_the_name_its_gateway_has_for_it_and_comes_and_goes() {
    let mut bench = bench();
    let mut client = bench.device(4, "gw").await;
    let said = br#"{"device":"Demo Device","type":"default"}"#;
    for (topic, number) in [("connect", 0.0), ("disconnect", 1.0)] {
        let topic = format!("v1/gateway/{topic}");
        client.publish(1, 1, &topic, said).await;
        let stored = bench.store().await;
        let expected = (2, "link_fault".to_owned(), number);
        assert_eq!(values(&bench, &stored), [expected]);
        client.expect(&[0x40, 2, 0, 1]).await;
    }
    let telemetry = br#"{"Demo Device":[{"ts":1763700000000,"values":{"smoke_alarm":1}}]}"#;
    client
        .publish(1, 2, "v1/gateway/telemetry", telemetry)
        .await;
    let stored = bench.store().await;
    let expected = (2, "smoke_alarm".to_owned(), 1.0);
    assert_eq!(values(&bench, &stored), [expected]);
    client.expect(&[0x40, 2, 0, 2]).await;
    // Another gateway's child: no answer, and the connection goes on.
    let other = br#"{"device":"o"}"#;
    client.publish(1, 3, "v1/gateway/connect", other).await;
    client.expect_silence().await;
    let refused = refusal("forbidden_topic", Some("o"), true);
    assert_eq!(bench.refused(), [refused]);
}

#[tokio::test]
async fn an_order_reaches_a_child_through_its_gateway_and_its_answer_comes_back() {
    let mut bench = bench();
    let mut client = bench.device(4, "gw").await;
    client.subscribe(1, &[("v1/gateway/rpc", 1)]).await;
    client.expect(&[0x90, 3, 0, 1, 0]).await;
    let said = br#"{"device":"Demo Device"}"#;
    client.publish(0, 0, "v1/gateway/connect", said).await;
    bench.store().await;
    let downlink = bench.kit.cx.downlink.clone();
    let ordered = bench.tasks.spawn(async move {
        let args = json!({"seconds": 3});
        downlink.order(DeviceKey(2), "sound".to_owned(), args).await
    });
    let (_, topic, order) = client.message().await;
    assert_eq!(topic, "v1/gateway/rpc");
    let expected = json!({"device": "Demo Device",
        "data": {"id": 1, "method": "sound", "params": {"seconds": 3}}});
    assert_eq!(order, expected.to_string());
    let reply = br#"{"device":"Demo Device","id":1,"data":{"success":true}}"#;
    client.publish(0, 0, "v1/gateway/rpc", reply).await;
    assert_eq!(ordered.await.unwrap(), Ok(json!({"success": true})));
}

#[tokio::test]
async fn an_order_to_the_device_itself_goes_by_its_own_topic() {
    let mut bench = bench();
    let mut client = bench.device(4, "c").await;
    client
        .subscribe(1, &[("v1/devices/me/rpc/request/+", 1)])
        .await;
    client.expect(&[0x90, 3, 0, 1, 0]).await;
    let downlink = bench.kit.cx.downlink.clone();
    let ordered = bench.tasks.spawn(async move {
        let order = downlink.order(DeviceKey(2), "test".to_owned(), json!({}));
        order.await
    });
    let (_, topic, order) = client.message().await;
    assert_eq!(topic, "v1/devices/me/rpc/request/1");
    assert_eq!(order, r#"{"method":"test","params":{}}"#);
    let reply = br#"{"loud":true}"#;
    client
        .publish(1, 2, "v1/devices/me/rpc/response/1", reply)
        .await;
    assert_eq!(ordered.await.unwrap(), Ok(json!({"loud": true})));
    bench.store().await;
    client.expect(&[0x40, 2, 0, 2]).await;
}

#[tokio::test]
async fn a_device_that_is_no_gateway_speaks_for_nobody() {
    let mut bench = bench();
    let mut client = bench.device(5, "c").await;
    for topic in [
        "v1/gateway/attributes",
        "v1/gateway/connect",
        "v1/gateway/rpc",
    ] {
        client.publish(1, 1, topic, b"{}").await;
        client.expect(&[0x40, 4, 0, 1, 0x87, 0]).await;
    }
    drop(bench.refused());
    client.publish(1, 2, "v2/t", br#"{"smoke_alarm":0}"#).await;
    let stored = bench.store().await;
    assert_eq!(values(&bench, &stored).len(), 1);
}
