//! Limits of addresses, against a clock that the test moves.

use super::{AddressLimits, Addresses, Pace};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::advance;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// 10 connections, 2 new ones and 1 request a second, 4 of each at once; a carrier's network has
/// 5,000 connections and no pace.
fn addresses() -> Addresses {
    let general = AddressLimits {
        connections: None,
        arrivals: Pace::new(2, 4),
        requests: Pace::new(1, 4),
    };
    let carrier = AddressLimits {
        connections: Some(5_000),
        ..AddressLimits::default()
    };
    let one = AddressLimits {
        connections: Some(1),
        ..AddressLimits::default()
    };
    let own = vec![
        ("10.0.0.0/8".parse().unwrap(), carrier),
        ("10.1.2.3".parse().unwrap(), one),
    ];
    Addresses::new(general, own)
}

#[test]
fn the_narrowest_network_counts() {
    let addresses = addresses();
    assert_eq!(addresses.connections_max(ip("192.0.2.1"), 10), 10);
    assert_eq!(addresses.connections_max(ip("10.9.9.9"), 10), 5_000);
    assert_eq!(addresses.connections_max(ip("10.1.2.3"), 10), 1);
    assert_eq!(Addresses::default().connections_max(ip("10.1.2.3"), 10), 10);
}

#[tokio::test(start_paused = true)]
async fn those_who_all_come_at_once_are_let_in_one_after_another() {
    let addresses = addresses();
    let waits = |count: usize| -> Vec<_> {
        (0..count)
            .map(|_| {
                addresses
                    .arrive(ip("192.0.2.1"))
                    .map(|wait| wait.as_millis())
            })
            .collect()
    };
    assert_eq!(waits(6), [0, 0, 0, 0, 500, 1_000].map(Ok));
    // Two a second for ten seconds may wait; the next one is closed.
    assert_eq!(waits(18).last(), Some(&Ok(10_000)));
    assert_eq!(waits(2), [Err("new_connections_per_s"); 2]);
    assert_eq!(addresses.arrive(ip("192.0.2.2")), Ok(Duration::ZERO));
    assert_eq!(addresses.arrive(ip("10.9.9.9")), Ok(Duration::ZERO));
    advance(Duration::from_secs(12)).await;
    assert_eq!(waits(1), [Ok(0)]);
}

#[tokio::test(start_paused = true)]
async fn who_asks_too_often_is_told_when_to_ask_again() {
    let addresses = addresses();
    for _ in 0..4 {
        assert_eq!(addresses.ask(ip("192.0.2.1")), Ok(()));
    }
    for _ in 0..100 {
        assert_eq!(addresses.ask(ip("192.0.2.1")), Err(2));
    }
    // Questions that were turned away cost nothing.
    advance(Duration::from_secs(1)).await;
    assert_eq!(addresses.ask(ip("192.0.2.1")), Ok(()));
    assert_eq!(addresses.ask(ip("192.0.2.1")), Err(2));
}

#[tokio::test(start_paused = true)]
async fn a_network_of_version_6_is_one_caller_and_version_4_is_itself_in_any_writing() {
    let addresses = addresses();
    for host in ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"] {
        assert_eq!(addresses.ask(ip(host)), Ok(()));
    }
    assert!(addresses.ask(ip("2001:db8::5")).is_err());
    assert_eq!(addresses.ask(ip("2001:db8:0:1::5")), Ok(()));
    for host in [
        "192.0.2.1",
        "::ffff:192.0.2.1",
        "192.0.2.1",
        "::ffff:192.0.2.1",
    ] {
        assert_eq!(addresses.ask(ip(host)), Ok(()));
    }
    assert!(addresses.ask(ip("192.0.2.1")).is_err());
}
