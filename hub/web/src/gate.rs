//! What a request must be before it is anybody's: for one of our names, and not one of too many.

use crate::problem::Problem;
use crate::state::Shared;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sdk::{Actor, Addresses, Network, Pacer};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whom a request is really of, where it came through a proxy.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client(pub(crate) IpAddr);

/// The gate of the port of people and platforms.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    addresses: Addresses,
    callers: Arc<Pacer<String>>,
    /// Proxies that are believed when they say whom they speak for.
    proxies: Vec<Network>,
    /// The names of this hub, in lower case; any name where there is none.
    hosts: Vec<String>,
}

impl Gate {
    pub fn new(addresses: Addresses, proxies: Vec<Network>, hosts: &[String]) -> Self {
        Self {
            addresses,
            callers: Arc::default(),
            proxies,
            hosts: hosts.iter().map(|host| host.to_lowercase()).collect(),
        }
    }

    /// Tells whom a request is of: the peer, or whom a proxy names that is believed. Each proxy adds
    /// its own peer at the end, so the last one that is no proxy of ours is as far as can be known.
    fn client(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        let is_ours = |address: IpAddr| self.proxies.iter().any(|proxy| proxy.holds(address));
        let mut client = peer;
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let named = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.rsplit(','));
        for named in named {
            if !is_ours(client) {
                break;
            }
            let Some(address) = address_of(named) else {
                break;
            };
            client = address;
        }
        client.to_canonical()
    }

    /// Refuses a request for another host: a page whose name was made to lead here would otherwise be
    /// of the same origin (DNS rebinding).
    fn demand_host(&self, request: &Request) -> Result<(), Problem> {
        if self.hosts.is_empty() {
            return Ok(());
        }
        let named = request.headers().get(header::HOST);
        let named = named
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let bare = without_port(named).to_lowercase();
        let is_ours = |host: &String| *host == bare || *host == named.to_lowercase();
        // Whoever asks for an address in figures was not led here by a name.
        if self.hosts.iter().any(is_ours) || is_loopback(&bare) {
            return Ok(());
        }
        let detail = "this hub has another name; `[http] hosts` lists those that it answers to";
        let status = StatusCode::MISDIRECTED_REQUEST;
        Err(Problem::new(status, "misdirected", detail))
    }

    fn demand_patience(&self, client: IpAddr) -> Result<(), Problem> {
        self.addresses.ask(client).map_err(|wait_s| {
            let detail = "too many requests from this address; `[limits]` says how many";
            too_many(detail, wait_s)
        })
    }

    /// Refuses whoever asks too often, wherever from.
    pub(crate) fn hear(&self, actor: &Actor, client: Option<Client>) -> Result<(), Problem> {
        let pace = client.and_then(|Client(address)| self.addresses.requests(address));
        let Some(pace) = pace else {
            return Ok(());
        };
        self.callers
            .ask(actor.name.clone(), pace)
            .map_err(|wait_s| {
                let detail = "too many requests of this user or token; `[limits]` says how many";
                too_many(detail, wait_s)
            })
    }
}

fn too_many(detail: &str, wait_s: u32) -> Problem {
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail);
    problem.retry_after(wait_s)
}

/// Reads one entry: an address, with a port or without.
fn address_of(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse().ok();
    address.or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || address_of(host).is_some_and(|address| address.is_loopback())
}

/// Lets a request in that is for us and not one too many, and notes whom it is of.
pub(crate) async fn stand(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let gate = &shared.gate;
    if let Err(problem) = gate.demand_host(&request) {
        return problem.into_response();
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if let Some(ConnectInfo(peer)) = peer {
        let client = gate.client(request.headers(), peer.ip());
        if let Err(problem) = gate.demand_patience(client) {
            return problem.into_response();
        }
        request.extensions_mut().insert(Client(client));
    }
    next.run(request).await
}

#[cfg(test)]
mod tests;
