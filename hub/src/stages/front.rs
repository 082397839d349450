//! The port of people and platforms, with TLS or without.

use crate::config::Loaded;
use anyhow::{Context as _, Result};
use door::Entrance;
use std::net::SocketAddr;
use tls::Certificates;
use tokio::net::TcpListener;
use web::Health;

/// What the listener is called in the line `ready`, in health and in figures.
const NAME: &str = "http";

/// Binds the port and reads its certificate, if it has one.
pub(super) async fn open(
    loaded: &Loaded,
    certificates: &Certificates,
    health: &Health,
) -> Result<(Entrance, SocketAddr)> {
    let http = &loaded.config.http;
    let acceptor = match &http.tls {
        None => None,
        Some(tls) => {
            let opened = certificates.open(NAME, tls, door::PROTOCOLS);
            Some(opened.map_err(|error| loaded.error("http.tls", error.to_string()))?)
        }
    };
    let listen = http.listen;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| loaded.error("http.listen", format!("{listen}: {error}")))?;
    let address = listener.local_addr().context("console address")?;
    let health = health.clone();
    let refused = move |_, reason| health.count_refused(NAME, reason, 1);
    Ok((Entrance::new(listener, acceptor, refused), address))
}
