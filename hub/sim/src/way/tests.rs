//! Names and addresses mean what the manual says.

use super::*;

#[test]
fn the_last_address_counts_and_ingest_is_http() {
    let texts = [
        "hj212=127.0.0.1:1",
        "ingest=127.0.0.1:2",
        "hj212=127.0.0.1:3",
    ];
    let addresses = Addresses::read(texts).unwrap();
    assert_eq!(addresses.of(Way::Hj212), Some("127.0.0.1:3"));
    assert_eq!(addresses.of(Way::Http), Some("127.0.0.1:2"));
    assert_eq!(addresses.of(Way::Jt808), None);
}

#[test]
fn a_platform_has_a_token_and_a_path() {
    let text = "onenet=token@127.0.0.1:8081/push/onenet";
    let addresses = Addresses::read([text]).unwrap();
    let expected = Some("token@127.0.0.1:8081/push/onenet");
    assert_eq!(addresses.of(Way::Push(Platform::OneNet)), expected);
}

#[test]
fn nonsense_is_refused_by_name() {
    for (text, said) in [
        ("hj212", "is no NAME=HOST:PORT"),
        ("zigbee=127.0.0.1:1", "no protocol has the address `zigbee`"),
        ("hj212=127.0.0.1", "`127.0.0.1` is no host:port"),
        ("hj212=:1", "is no host:port"),
        ("hj212=a:99999", "is no host:port"),
    ] {
        let error = Addresses::read([text]).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn each_name_leads_to_its_way_and_back() {
    for (way, name, address) in WAYS {
        assert_eq!((Way::named(name), way.address()), (Some(way), address));
    }
}
