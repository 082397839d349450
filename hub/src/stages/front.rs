//! The port of people and platforms, with TLS or without.

use super::{PEERS_MAX, Parts};
use crate::config::Loaded;
use anyhow::{Context as _, Result};
use door::{Entrance, Guest};
use sdk::{Limits, Network, Places};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpListener;

/// What the listener is called in the line `ready`, in health and in figures.
const NAME: &str = "http";

/// Binds the port and reads its certificate, if it has one.
pub(super) async fn open(loaded: &Loaded, parts: &Parts) -> Result<(Entrance, SocketAddr)> {
    let http = &loaded.config.http;
    let acceptor = match &http.tls {
        None => None,
        Some(tls) => {
            let opened = parts.certificates.open(NAME, tls, door::PROTOCOLS);
            Some(opened.map_err(|error| loaded.error("http.tls", error.to_string()))?)
        }
    };
    let listen = http.listen;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| loaded.error("http.listen", format!("{listen}: {error}")))?;
    let address = listener.local_addr().context("console address")?;
    let health = parts.health.clone();
    let refused = move |_, reason| health.count_refused(NAME, reason, 1);
    let entrance = Entrance::new(listener, acceptor, refused);
    Ok((entrance.admitting(admit(loaded, parts)?), address))
}

/// Holds each address to its share; a proxy speaks for many, and has none.
fn admit(
    loaded: &Loaded,
    parts: &Parts,
) -> Result<impl Fn(IpAddr) -> Option<Guest> + Send + Sync + 'static> {
    let proxies = Network::list(&loaded.config.http.trusted_proxies).map_err(anyhow::Error::msg)?;
    let limits = Limits {
        connections_max: PEERS_MAX,
        connections_per_address_max: PEERS_MAX / 2,
    };
    let (addresses, health) = (parts.addresses.clone(), parts.health.clone());
    let places = Places::new(limits, addresses.clone());
    Ok(move |peer: IpAddr| {
        if proxies.iter().any(|proxy| proxy.holds(peer)) {
            return Some(Guest::new(Duration::ZERO, ()));
        }
        let admitted = addresses.arrive(peer);
        let admitted = admitted.and_then(|wait| Ok(Guest::new(wait, places.take(peer)?)));
        admitted
            .inspect_err(|reason| health.count_refused(NAME, reason, 1))
            .ok()
    })
}
