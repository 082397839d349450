//! Identities of the register, as lines see them.

use super::{Roster, parse};
use sdk::testkit::Kit;

#[test]
fn an_address_is_line_unit_and_perhaps_an_offset_and_a_name() {
    assert_eq!(parse("plc/7"), Ok(("plc", 7, 0)));
    assert_eq!(parse("plc/7@32"), Ok(("plc", 7, 32)));
    assert_eq!(parse("plc/7/inlet"), Ok(("plc", 7, 0)));
    assert_eq!(parse("plc/255@1/inlet/2"), Ok(("plc", 255, 1)));
    for wrong in [
        "",
        "plc",
        "/7",
        "plc/",
        "plc/x",
        "plc/248",
        "plc/1@",
        "plc/1@65536",
        "plc/-1",
    ] {
        let error = parse(wrong).unwrap_err();
        assert!(error.contains("LINE/UNIT"), "{wrong}: {error}");
    }
}

#[test]
fn a_line_has_its_enabled_devices_and_the_rest_is_nobodys() {
    let kit = Kit::new(&[
        r#"{"id":"a","kind":"noise","cadence_s":60,"identities":{"modbus":"plc/1"}}"#,
        r#"{"id":"b","kind":"noise","identities":{"modbus":"plc/2@8"}}"#,
        r#"{"id":"c","kind":"noise","identities":{"modbus":"other/1"}}"#,
        r#"{"id":"d","kind":"noise","enabled":false,"identities":{"modbus":"plc/3"}}"#,
        r#"{"id":"e","kind":"noise","identities":{"modbus":"plc"}}"#,
        r#"{"id":"f","kind":"noise"}"#,
    ]);
    let roster = Roster::new(kit.cx.devices.clone());
    let snapshot = roster.look();
    let members = snapshot.members("plc");
    let seen: Vec<_> = members
        .iter()
        .map(|m| (m.id.as_str(), m.unit, m.offset))
        .collect();
    assert_eq!(seen, [("a", 1, 0), ("b", 2, 8)]);
    assert_eq!(members[0].cadence_s, Some(60));
    assert_eq!(snapshot.wrong.keys().collect::<Vec<_>>(), ["e"]);
    // The register did not change: the same snapshot.
    assert!(std::sync::Arc::ptr_eq(&snapshot, &roster.look()));
    kit.cx.devices.remove(model::DeviceKey(1));
    assert_eq!(roster.look().members("plc").len(), 1);
}

#[test]
fn a_dtu_is_found_by_the_longest_registration_in_what_it_sent() {
    let kit = Kit::new(&[
        r#"{"id":"short","kind":"gateway","identities":{"dtu":"ZC100"}}"#,
        r#"{"id":"long","kind":"gateway","identities":{"dtu":"ZC1000"}}"#,
        r#"{"id":"binary","kind":"gateway","identities":{"dtu":"hex:fe0102"}}"#,
    ]);
    let snapshot = Roster::new(kit.cx.devices.clone()).look();
    let found = |bytes: &[u8]| {
        snapshot
            .dtu(bytes)
            .map(|(key, text)| (key.0, text.to_vec()))
    };
    assert_eq!(found(b"ZC1000"), Some((2, b"ZC1000".to_vec())));
    assert_eq!(found(b"ZC1001"), Some((1, b"ZC100".to_vec())));
    assert_eq!(
        found(b"\x00IMEI:ZC1000\r\nwww.usr.cn"),
        Some((2, b"ZC1000".to_vec()))
    );
    assert_eq!(found(&[0, 0xfe, 1, 2, 9]), Some((3, vec![0xfe, 1, 2])));
    assert_eq!(found(b"ZC10"), None);
    assert!(snapshot.has_dtu(model::DeviceKey(2), b"ZC1000"));
    assert!(!snapshot.has_dtu(model::DeviceKey(1), b"ZC1000"));
}
