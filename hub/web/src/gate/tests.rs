//! Whom a request is of, and which are too many.

use super::{Client, Gate};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue};
use sdk::{Actor, AddressLimits, Addresses, Network, Pace, Role};
use std::net::IpAddr;

fn gate(hosts: &[&str]) -> Gate {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let proxies = Network::list("10.0.0.0/8, 127.0.0.1").unwrap();
    let general = AddressLimits {
        requests: Pace::new(1, 3),
        ..AddressLimits::default()
    };
    let own = vec![("127.0.0.0/8".parse().unwrap(), AddressLimits::default())];
    Gate::new(Addresses::new(general, own), proxies, &hosts)
}

fn client(peer: &str, forwarded: &[&str]) -> String {
    let mut headers = HeaderMap::new();
    for line in forwarded {
        headers.append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
    }
    gate(&[])
        .client(&headers, peer.parse().unwrap())
        .to_string()
}

#[test]
fn a_proxy_of_ours_is_believed_and_nobody_else() {
    assert_eq!(client("192.0.2.9", &["198.51.100.1"]), "192.0.2.9");
    assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    assert_eq!(client("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
    assert_eq!(
        client("::ffff:10.0.0.1", &["198.51.100.1:4711"]),
        "198.51.100.1"
    );
    assert_eq!(client("10.0.0.1", &["[2001:db8::7]"]), "2001:db8::7");
}

#[test]
fn what_a_client_puts_before_the_words_of_the_proxy_is_not_believed() {
    let lied = "127.0.0.1, 203.0.113.66, 198.51.100.1";
    assert_eq!(client("10.0.0.1", &[lied]), "198.51.100.1");
    // Two proxies of ours in a row, and a header of two lines.
    assert_eq!(
        client("10.0.0.1", &["198.51.100.1, 10.0.0.2"]),
        "198.51.100.1"
    );
    assert_eq!(
        client("10.0.0.1", &["203.0.113.66", "198.51.100.1"]),
        "198.51.100.1"
    );
    assert_eq!(client("10.0.0.1", &["198.51.100.1, unknown"]), "10.0.0.1");
}

#[test]
fn a_hub_with_names_answers_to_these_and_to_whoever_is_on_the_machine() {
    let gate = gate(&["hub.city.example", "[2001:db8::1]"]);
    let is_let_in = |host: &str| {
        let request = Request::get("/").header("host", host);
        gate.demand_host(&request.body(Body::empty()).unwrap())
            .is_ok()
    };
    for host in [
        "hub.city.example",
        "HUB.city.example:8443",
        "localhost:8080",
        "127.0.0.1",
        "[::1]:80",
    ] {
        assert!(is_let_in(host), "{host}");
    }
    for host in [
        "",
        "evil.example",
        "hub.city.example.evil",
        "192.0.2.1:8080",
    ] {
        assert!(!is_let_in(host), "{host}");
    }
    assert!(is_let_in("[2001:db8::1]:8443"));
}

#[tokio::test(start_paused = true)]
async fn who_asks_too_often_is_stopped_by_address_and_by_name() {
    let gate = gate(&[]);
    let away: IpAddr = "198.51.100.1".parse().unwrap();
    for _ in 0..3 {
        assert!(gate.demand_patience(away).is_ok());
    }
    assert!(gate.demand_patience(away).is_err());
    assert!(gate.demand_patience("127.0.0.1".parse().unwrap()).is_ok());
    let script = Actor {
        name: "script".to_owned(),
        role: Role::Viewer,
    };
    for last in 1..=3_u8 {
        let from = Some(Client(IpAddr::from([203, 0, 113, last])));
        assert!(gate.hear(&script, from).is_ok());
    }
    let from = Some(Client(IpAddr::from([203, 0, 113, 9])));
    assert!(gate.hear(&script, from).is_err());
}
