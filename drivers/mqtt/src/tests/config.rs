//! What the configuration takes, and what it tells about a wrong one.

use super::{Change, config};
use crate::{Config, Mqtt};
use sdk::testkit::Kit;
use sdk::{Driver, DriverError};

fn parse(text: &str) -> Result<Config, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn the_example_of_the_contract_is_complete_and_has_the_documented_limits() {
    let config = parse(r#"{"kind":"mqtt","listen":"127.0.0.1:1883"}"#).unwrap();
    assert_eq!(config.packet_bytes_max, 65_536);
    assert_eq!(config.connections_max, 12_000);
    assert_eq!(config.connect_timeout_s, 5);
    assert_eq!(config.tls_handshake_timeout_s.get(), 5);
    assert_eq!(config.inflight_batches_max, 8);
}

#[test]
fn an_unknown_key_is_named() {
    let error = parse(r#"{"kind":"mqtt","listen":"127.0.0.1:1883","port":1}"#).unwrap_err();
    assert!(error.contains("`port`"), "{error}");
}

#[test]
fn every_field_is_described_for_those_who_fill_it_in() {
    let schema = schemars::schema_for!(Config);
    let fields = schema
        .get("properties")
        .and_then(|p| p.as_object())
        .unwrap();
    assert_eq!(fields.len(), 19);
    for (name, field) in fields {
        assert!(field.get("description").is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_configuration_that_contradicts_itself_is_refused_with_the_keys() {
    let changes: [Change; 5] = [
        (|config| config.listen = None, "tls_listen"),
        (|config| config.tls_listen = config.listen, "tls_cert"),
        (|config| config.client_ca = Some("x".into()), "client_ca"),
        (|config| config.packet_bytes_max = 10, "packet_bytes_max"),
        (|config| config.receive_maximum = 0, "receive_maximum"),
    ];
    for (change, word) in changes {
        let mut config = config();
        change(&mut config);
        let error = Mqtt::open(config, Kit::new(&[]).cx).await.unwrap_err();
        assert!(matches!(error, DriverError::Config(_)));
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test]
async fn an_address_in_use_and_a_missing_file_are_told_at_start() {
    let first = Mqtt::open(config(), Kit::new(&[]).cx).await.unwrap();
    let (name, address) = first.addresses()[0];
    assert_eq!(name, "listen");
    let mut same = config();
    same.listen = Some(address);
    let error = Mqtt::open(same, Kit::new(&[]).cx).await.unwrap_err();
    assert!(matches!(error, DriverError::Io { .. }));
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    let mut config = config();
    config.tls_listen = config.listen;
    config.tls_cert = Some("no-such-file.pem".into());
    config.tls_key = Some("no-such-file.pem".into());
    let error = Mqtt::open(config, Kit::new(&[]).cx).await.unwrap_err();
    assert!(error.to_string().contains("no-such-file.pem"), "{error}");
}
