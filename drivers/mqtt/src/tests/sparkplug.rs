//! Nodes of Sparkplug B: births, aliases, gaps, deaths, and what is said to them.

use super::{Bench, Client, Hello, refusal};
use sdk::Submission;
use sdk::testkit::Kit;

const EDGE: &str = r#"{"id":"plant-1","kind":"gateway","identities":{"sparkplug":"CityA/edge1"}}"#;
const DUST: &str = r#"{"id":"dust-01","kind":"dust","parent":"plant-1"}"#;
const OTHER: &str = r#"{"id":"edge2","kind":"gateway"}"#;

/// The vector `ndeath`: `bdSeq` 0.
const NDEATH: &str = "08eaf2f5a8a02b120b0a05626453657120085800";
/// The vector `nbirth`: `bdSeq` 0, `seq` 0.
const NBIRTH: &str = "08eaf2f5a8a02b12120a05626453657118eaf2f5a8a02b2008580012210a144e6f646520436f6e74726f6c2f5265626972746818eaf2f5a8a02b200b700012310a1850726f706572746965732f4861726477617265204d616b6518eaf2f5a8a02b200c7a0c5261737062657272792050691800";
/// The vector `ddata_alias_only`: aliases 1 (Double 64.75) and 4 (Int32 −7), `seq` 2.
const DDATA: &str = "08d2faf5a8a02b1214100118eef9f5a8a02b200a6900000000003050401211100418eef9f5a8a02b200350f9ffffff0f1802";
/// `pressure_kpa` is alias 1, `temperature_c` alias 4 of datatype Int32; `seq` 1. By hand: field 2 holds
/// a metric, of which 1 is the name, 2 the alias, 4 the datatype.
const DBIRTH: &str = "12100a0c70726573737572655f6b706110011213\
    0a0d74656d70657261747572655f631004200318\
    01";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks_exact(2).map(byte).collect()
}

/// The same message with another last byte.
fn ends(hex: &str, byte: &str) -> String {
    let (head, _) = hex.split_at(hex.len() - 2);
    format!("{head}{byte}")
}

fn bench() -> Bench {
    let kit = Kit::new(&[EDGE, DUST, OTHER]);
    Bench::around(kit, |config| {
        config.sparkplug_host_id = Some("cityhub".to_owned());
    })
}

/// Metrics and numbers of a submission, by device key.
fn values(bench: &Bench, submission: &Submission) -> Vec<(u32, String, f64)> {
    let catalogue = &bench.kit.cx.catalogue;
    let parts = submission.parts.iter().flat_map(|part| {
        part.observations.iter().map(|of| {
            let name = catalogue.def(of.metric).unwrap().name.clone();
            (part.device.0, name, of.value.as_number().unwrap())
        })
    });
    parts.collect()
}

fn row(device: u32, metric: &str, number: f64) -> (u32, String, f64) {
    (device, metric.to_owned(), number)
}

async fn say(client: &mut Client, topic: &str, hex: &str) {
    let topic = format!("spBv1.0/CityA/{topic}");
    client.publish(0, 0, &topic, &bytes(hex)).await;
}

/// A node that listens for commands, was born, and has a device.
async fn alive(bench: &mut Bench) -> Client {
    let mut client = bench.device(4, "plant-1").await;
    client
        .subscribe(1, &[("spBv1.0/CityA/NCMD/edge1", 1)])
        .await;
    client.expect(&[0x90, 3, 0, 1, 0]).await;
    say(&mut client, "NBIRTH/edge1", NBIRTH).await;
    let stored = bench.store().await;
    assert_eq!(values(bench, &stored), [row(1, "link_fault", 0.0)]);
    say(&mut client, "DBIRTH/edge1/dust-01", DBIRTH).await;
    let stored = bench.store().await;
    assert_eq!(values(bench, &stored), [row(2, "link_fault", 0.0)]);
    client
}

/// Expects the command that asks `edge1` for its births.
async fn expect_rebirth(client: &mut Client) {
    let packet = client.packet().await;
    let topic = b"spBv1.0/CityA/NCMD/edge1";
    assert_eq!((packet[0], &packet[4..4 + topic.len()]), (0x30, &topic[..]));
    let command = codecs::sparkplug::Payload::read(&packet[4 + topic.len()..]).unwrap();
    assert!(command.asks_for_rebirth());
}

#[tokio::test]
async fn values_by_alias_are_what_the_birth_named() {
    let mut bench = bench();
    let mut client = alive(&mut bench).await;
    say(&mut client, "DDATA/edge1/dust-01", DDATA).await;
    let stored = bench.store().await;
    assert_eq!(
        values(&bench, &stored),
        [row(2, "pressure_kpa", 64.75), row(2, "temperature_c", -7.0)]
    );
    let at = stored.parts[0].observations[0].observed_at.unwrap();
    assert_eq!(at.millis(), 1_486_144_503_022);
    client.expect_silence().await;
}

#[tokio::test]
async fn data_before_a_birth_is_kept_aside_and_the_node_is_asked_for_its_births_once() {
    let mut bench = bench();
    let mut client = bench.device(4, "plant-1").await;
    client.subscribe(1, &[("spBv1.0/CityA/NCMD/#", 0)]).await;
    client.expect(&[0x90, 3, 0, 1, 0]).await;
    for _ in 0..2 {
        say(&mut client, "DDATA/edge1/dust-01", DDATA).await;
        let stored = bench.store().await;
        assert_eq!(values(&bench, &stored), []);
        let rejected = &stored.parts[0].rejected;
        assert_eq!(rejected.len(), 2);
        assert_eq!(rejected[0].reason, "unknown_alias_request_rebirth");
    }
    expect_rebirth(&mut client).await;
    client.expect_silence().await;
}

#[tokio::test]
async fn a_gap_in_the_count_asks_for_births_and_costs_no_value() {
    let mut bench = bench();
    let mut client = alive(&mut bench).await;
    // 2 was expected after 1; the last byte is the count.
    let later = ends(DDATA, "07");
    say(&mut client, "DDATA/edge1/dust-01", &later).await;
    let stored = bench.store().await;
    assert_eq!(values(&bench, &stored).len(), 2);
    expect_rebirth(&mut client).await;
    let next = ends(DDATA, "08");
    say(&mut client, "DDATA/edge1/dust-01", &next).await;
    bench.store().await;
    client.expect_silence().await;
}

#[tokio::test]
async fn a_death_ends_the_node_and_its_devices_and_an_older_one_is_none() {
    let mut bench = bench();
    let mut client = alive(&mut bench).await;
    // The same death with `bdSeq` 9, as the last byte.
    let older = ends(NDEATH, "09");
    say(&mut client, "NDEATH/edge1", &older).await;
    let stored = bench.store().await;
    assert_eq!(values(&bench, &stored), []);
    assert_eq!(stored.parts[0].rejected[0].reason, "stale_death");
    say(&mut client, "NDEATH/edge1", NDEATH).await;
    let stored = bench.store().await;
    let ended = [row(1, "link_fault", 1.0), row(2, "link_fault", 1.0)];
    assert_eq!(values(&bench, &stored), ended);
    // What comes after it needs a birth again.
    say(&mut client, "DDATA/edge1/dust-01", DDATA).await;
    let stored = bench.store().await;
    assert_eq!(values(&bench, &stored), []);
    expect_rebirth(&mut client).await;
}

#[tokio::test]
async fn a_device_that_dies_needs_a_birth_of_its_own() {
    let mut bench = bench();
    let mut client = alive(&mut bench).await;
    say(&mut client, "DDEATH/edge1/dust-01", "1802").await;
    let stored = bench.store().await;
    assert_eq!(values(&bench, &stored), [row(2, "link_fault", 1.0)]);
    let next = ends(DDATA, "03");
    say(&mut client, "DDATA/edge1/dust-01", &next).await;
    let stored = bench.store().await;
    assert_eq!(values(&bench, &stored), []);
    expect_rebirth(&mut client).await;
}

#[tokio::test]
async fn a_node_that_is_lost_ends_by_its_will_and_one_that_says_nothing_too() {
    let will = Some(("spBv1.0/CityA/NDEATH/edge1".to_owned(), bytes(NDEATH)));
    for will in [will, None] {
        let mut bench = bench();
        let mut client = bench.dial(4);
        let hello = Hello {
            will,
            ..Hello::device(4, "plant-1")
        };
        client.send(&hello.bytes()).await;
        assert_eq!(client.connack().await, (false, 0));
        say(&mut client, "NBIRTH/edge1", NBIRTH).await;
        bench.store().await;
        drop(client);
        let stored = bench.store().await;
        assert_eq!(values(&bench, &stored), [row(1, "link_fault", 1.0)]);
    }
}

#[tokio::test]
async fn the_will_of_an_older_connection_does_not_end_the_newer_life() {
    let mut bench = bench();
    let mut older = bench.dial(4);
    let hello = Hello {
        will: Some(("spBv1.0/CityA/NDEATH/edge1".to_owned(), bytes(NDEATH))),
        ..Hello::device(4, "plant-1")
    };
    older.send(&hello.bytes()).await;
    assert_eq!(older.connack().await, (false, 0));
    say(&mut older, "NBIRTH/edge1", NBIRTH).await;
    bench.store().await;
    let mut newer = bench.dial(4);
    let hello = Hello {
        client_id: "another".to_owned(),
        ..Hello::device(4, "plant-1")
    };
    newer.send(&hello.bytes()).await;
    assert_eq!(newer.connack().await, (false, 0));
    // `bdSeq` 1: the byte after its tag 58.
    let next_life = NBIRTH.replacen("2008580012", "2008580112", 1);
    say(&mut newer, "NBIRTH/edge1", &next_life).await;
    bench.store().await;
    drop(older);
    let stored = bench.store().await;
    assert_eq!(values(&bench, &stored), []);
    assert_eq!(stored.parts[0].rejected[0].reason, "stale_death");
}

#[tokio::test]
async fn the_state_of_the_host_is_told_to_who_asks_and_when_the_hub_goes() {
    let bench = bench();
    let mut client = bench.device(4, "edge2").await;
    client
        .subscribe(1, &[("spBv1.0/STATE/cityhub", 1), ("STATE/+", 0)])
        .await;
    client.expect(&[0x90, 4, 0, 1, 0, 0]).await;
    let since = bench.gate.since.millis();
    let online = format!(r#"{{"online":true,"timestamp":{since}}}"#);
    let topic = "spBv1.0/STATE/cityhub".to_owned();
    assert_eq!(client.message().await, (0, topic.clone(), online));
    let older = ("STATE/cityhub".to_owned(), "ONLINE".to_owned());
    assert_eq!(client.message().await, (0, older.0.clone(), older.1));
    bench.kit.cx.stop.cancel();
    let offline = format!(r#"{{"online":false,"timestamp":{since}}}"#);
    assert_eq!(client.message().await, (0, topic, offline));
    assert_eq!(client.message().await, (0, older.0, "OFFLINE".to_owned()));
}

#[tokio::test]
async fn what_is_not_the_nodes_own_is_refused_and_its_connection_goes_on() {
    let mut bench = bench();
    let mut client = alive(&mut bench).await;
    let second = ends(DBIRTH, "02");
    say(&mut client, "DBIRTH/edge1/dust-02", &second).await;
    say(&mut client, "NBIRTH/edge2", NBIRTH).await;
    client.expect_silence().await;
    assert_eq!(
        bench.refused(),
        [
            refusal("unknown_device", Some("CityA/edge1/dust-02"), true),
            refusal("forbidden_topic", Some("CityA/edge2"), true),
        ]
    );
}
