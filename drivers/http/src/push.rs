//! Pushes of NB-IoT platforms: what is taken, and what is answered.
//!
//! A platform is not a device. It answers for all devices of a product with one connection, and stops
//! pushing for all of them when too many pushes fail. So whatever it sends again in vain is answered
//! 200 and says in its body what was not stored; 503 means that it is worth sending again.

mod gate;
mod repeats;
mod sorting;

pub use gate::{Push, PushConfig};

use crate::serve::{Shared, busy, problem, read_body};
use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use codecs::Undecodable;
use gate::Gates;
use nbiot::Refused;
use repeats::Repeats;
use sdk::{Committed, IngestError, RawFrame, Refusal};
use serde_json::{Value, json};
use sorting::{Sorted, kept};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// In which a push is answered once it is there: OneNET waits 5 s (its manual), CTWing says "at once".
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// Everything that pushes need.
#[derive(Debug)]
pub(crate) struct Pushes {
    gates: Gates,
    repeats: Repeats,
    strangers: sorting::Strangers,
}

impl Pushes {
    pub(crate) fn new(pushes: &BTreeMap<String, Push>) -> Self {
        Self {
            gates: Gates::new(pushes),
            repeats: Repeats::default(),
            strangers: sorting::Strangers::default(),
        }
    }
}

/// Serves what has no route of its own: pushes, and nothing for everybody else.
pub(crate) async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let Some((name, push)) = shared.pushes.gates.find(head.uri.path()) else {
        return nothing_here();
    };
    if let Err(reason) = push.admit(peer.ip(), &head.headers) {
        refuse(&shared, peer, reason, Some(name.to_owned()));
        return nothing_here();
    }
    let served = async {
        match head.method {
            Method::POST => take(&shared, push, peer, (name, body)).await,
            Method::GET => Ok(validate(&shared, push, peer, (name, &head))),
            _ => Ok(nothing_here()),
        }
    };
    match tokio::time::timeout(shared.timeout, served).await {
        Ok(Ok(response)) => response,
        Ok(Err(refused)) => *refused,
        Err(_) => problem(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            "the request took too long",
        ),
    }
}

pub(crate) fn nothing_here() -> Response {
    let detail = "there is no such resource";
    problem(StatusCode::NOT_FOUND, "not_found", detail)
}

/// Answers the question by which a platform tests the address.
fn validate(
    shared: &Shared,
    push: &Push,
    peer: SocketAddr,
    (name, head): (&str, &Parts),
) -> Response {
    if !push.is_signed() {
        return nothing_here();
    }
    let query = head.uri.query().unwrap_or_default();
    match push.platform.validate(query) {
        Some(msg) => msg.into_response(),
        None => forged(shared, peer, name),
    }
}

async fn take(
    shared: &Shared,
    push: &Push,
    peer: SocketAddr,
    (name, body): (&str, Body),
) -> Result<Response, Box<Response>> {
    // A slow body takes no place from those who are done with theirs.
    let body = read_body(shared, peer, name, body).await?;
    let answered = async {
        // The semaphore is never closed, so a slot always comes.
        let _slot = shared.slots.acquire().await.ok();
        store(shared, push, peer, (name, &body)).await
    };
    let answered = tokio::time::timeout(ANSWER_WITHIN, answered).await;
    answered.unwrap_or_else(|_| Err(Box::new(busy(IngestError::Busy))))
}

async fn store(
    shared: &Shared,
    push: &Push,
    peer: SocketAddr,
    (name, body): (&str, &[u8]),
) -> Result<Response, Box<Response>> {
    let mut sorted = Sorted::default();
    let unreadable = match push.platform.read(body) {
        Ok(reports) => {
            for report in &reports {
                sorted.sort(shared, peer, report, body);
            }
            None
        }
        Err(Refused::Forged) => return Ok(forged(shared, peer, name)),
        Err(Refused::Unreadable(why)) => {
            refuse(shared, peer, why.reason.clone(), Some(name.to_owned()));
            if shared.pushes.strangers.may_keep(shared.cx.clock.now()) {
                sorted.submission.quarantined.push(RawFrame {
                    device: None,
                    reason: why.reason.clone(),
                    detail: why.detail.clone(),
                    bytes: kept(body),
                });
            }
            Some(why)
        }
    };
    // Even where nothing is left to store: what the answer says must be on disk.
    match shared.cx.ingest.commit(sorted.submission).await {
        Ok(proof) => Ok(answer(&proof, unreadable, sorted.rejected, &sorted.refused)),
        Err(error) => Err(Box::new(busy(error))),
    }
}

/// Tells the platform what became of its push.
fn answer(
    proof: &Committed,
    unreadable: Option<Undecodable>,
    mut rejected: Vec<model::Rejected>,
    refused: &[Value],
) -> Response {
    if let Some(why) = unreadable {
        return problem(StatusCode::BAD_REQUEST, &why.reason, &why.detail);
    }
    let receipt = proof.receipt();
    rejected.extend_from_slice(&receipt.rejected);
    Json(json!({
        "stored": receipt.stored,
        "duplicate": receipt.duplicate,
        "rejected": rejected,
        "refused": refused,
    }))
    .into_response()
}

fn forged(shared: &Shared, peer: SocketAddr, name: &str) -> Response {
    refuse(shared, peer, "signature", Some(name.to_owned()));
    let detail = "the signature is not that of the token";
    problem(StatusCode::FORBIDDEN, "signature", detail)
}

fn refuse(
    shared: &Shared,
    peer: SocketAddr,
    reason: impl Into<Cow<'static, str>>,
    claimed: Option<String>,
) {
    shared.cx.ingest.refuse(Refusal {
        reason: reason.into(),
        claimed,
        peer: peer.to_string(),
        message: true,
    });
}

#[cfg(test)]
mod tests;
