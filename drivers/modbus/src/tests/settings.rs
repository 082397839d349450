//! The configuration: defaults, and mistakes that are named.

use super::config;
use crate::{Modbus, Shared};
use sdk::testkit::Kit;
use sdk::testkit::conformance::check_config;
use sdk::{Driver, Registration};
use std::time::Duration;

#[test]
fn a_line_is_polled_each_second_and_one_behind_a_dtu_each_ten() {
    let timing = |text: &str| config(text).unwrap().timing().unwrap();
    let wired = timing("connect = 'tcp://127.0.0.1:1502'");
    assert_eq!(
        (wired.period.as_secs(), wired.timeout.as_millis()),
        (1, 1000)
    );
    assert_eq!(wired.gap, Duration::from_millis(50));
    let mobile = timing("connect = 'rtu+tcp-listen://0.0.0.0:9600'");
    assert_eq!(
        (mobile.period.as_secs(), mobile.timeout.as_millis()),
        (10, 4000)
    );
    let own = timing("connect = 'rtu:///dev/ttyS0'\nperiod_s = 30\ntimeout_ms = 250\nretries = 0");
    assert_eq!((own.period.as_secs(), own.timeout.as_millis()), (30, 250));
    assert_eq!(own.retries, 0);
}

#[test]
fn a_mistake_names_what_is_wrong() {
    let kit = Kit::new(&[]);
    for (text, words) in [
        ("", "connect"),
        ("connect = 'tcp://x'\npoll_s = 1", "poll_s"),
        ("connect = 'udp://x'", "unknown scheme `udp`"),
        (
            "connect = 'tcp://x'\nmap = 'nothing'",
            "no map `nothing`; known: pressure-f32",
        ),
        ("connect = 'tcp://x'\nperiod_s = 0", "above 0"),
        (
            "connect = 'tcp://x'\nheartbeats = ['hex:1']",
            "`hex:1` is no text",
        ),
        (
            "connect = 'tcp://x'\nmaps_dir = '/there/is/none'",
            "/there/is/none",
        ),
    ] {
        let error = config(text)
            .and_then(|config| {
                let shared = Shared::new(&config, kit.cx.clone());
                shared.map(drop).map_err(|error| error.to_string())
            })
            .unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn the_example_is_taken_and_every_field_is_documented() {
    let registration = Registration::of::<Modbus>();
    check_config(
        &registration,
        "kind = 'modbus'\nconnect = 'rtu+tcp-listen://0.0.0.0:9600'\nmap = 'rs485-noise'\n\
         maps_dir = 'maps'\nperiod_s = 30\ntimeout_ms = 4000\ngap_ms = 50\nretries = 2\n\
         backoff_max_s = 300\nheartbeats = ['www.usr.cn', 'hex:00']\n\
         registration_timeout_s = 30\nconnections_max = 4096\n\
         connections_per_address_max = 4096",
    );
    assert_eq!(Modbus::NAME, "modbus");
}
