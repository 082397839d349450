//! One request: who is it, what is in it, is it on disk.

mod admit;

use crate::Config;
use crate::push::{self, Pushes};
use axum::body::{self, Body};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use codecs::{Book, Decoded, Sender, Undecodable, Uplink, Uplinks};
use model::Rejected;
use sdk::{
    Committed, Context, DeviceEntry, Devices, IngestError, Part, RawFrame, Refusal, Submission,
};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Bytes of an undecodable message that are kept for an engineer to look at.
pub(crate) const QUARANTINED_BYTES_MAX: usize = 4096;

/// What a device is told to wait before it sends again.
const RETRY_AFTER_S: u32 = 5;

/// The same where the disk is full: people have to make room first.
const NO_ROOM_RETRY_AFTER_S: u32 = 60;

pub(crate) struct Shared {
    pub(crate) cx: Context,
    /// How the devices with a profile write their payloads.
    pub(crate) book: Book,
    pub(crate) pushes: Pushes,
    body_bytes_max: usize,
    pub(crate) timeout: Duration,
    pub(crate) slots: Semaphore,
    /// Of this start of the hub, in the ids of its requests.
    prefix: String,
    requests: AtomicU64,
}

pub(crate) fn router(config: &Config, book: Book, cx: Context) -> Router {
    let shared = Arc::new(Shared {
        prefix: format!("{:x}", cx.clock.now().millis()),
        requests: AtomicU64::new(1),
        cx,
        book,
        pushes: Pushes::new(&config.push),
        body_bytes_max: config.body_bytes_max,
        timeout: Duration::from_secs(config.request_timeout_s),
        slots: Semaphore::new(config.requests_max),
    });
    Router::new()
        .route("/devices/{device}/telemetry", post(telemetry))
        .fallback(push::serve)
        .method_not_allowed_fallback(async || {
            problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "use POST",
            )
        })
        .layer(from_fn_with_state(Arc::clone(&shared), name_request))
        .with_state(shared)
}

async fn telemetry(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(device): Path<String>,
    request: Request,
) -> Response {
    let served = take(&shared, peer, &device, request);
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

async fn take(
    shared: &Shared,
    peer: SocketAddr,
    device: &str,
    request: Request,
) -> Result<Response, Box<Response>> {
    let (head, body) = request.into_parts();
    let target = admit::admit(shared, peer, device, &head)?;
    let payload = read_body(shared, peer, device, body).await?;
    // A slow body takes no place from those who are done with theirs. The semaphore is never closed,
    // so a slot always comes.
    let _slot = shared.slots.acquire().await.ok();
    let (cx, profile) = (&shared.cx, target.device.profile.as_deref());
    let (decoded, parsed) = match shared.book.server(profile) {
        Some(server) if target.device.kind == "gateway" => {
            if is_other_event(head.uri.query()) {
                return Ok(StatusCode::NO_CONTENT.into_response());
            }
            uplink(shared, peer, &target, server, &payload)?
        }
        _ => {
            let mut out = Decoded::new(target.key);
            let sender = Sender {
                profile,
                arrival: cx.clock.now(),
            };
            let parsed = shared
                .book
                .decode_into(&cx.catalogue, sender, &payload, &mut out);
            (out, parsed)
        }
    };
    let rejected = decoded.rejected.clone();
    let mut submission = Submission::default();
    if let Err(why) = parsed {
        let bytes = payload
            .get(..payload.len().min(QUARANTINED_BYTES_MAX))
            .unwrap_or_default();
        submission.quarantined.push(RawFrame {
            device: Some(target.key),
            reason: why.reason,
            detail: why.detail,
            bytes: bytes.to_vec(),
        });
    }
    submission.parts.push(part(decoded));
    let traceparent = head.headers.get("traceparent");
    let traceparent = traceparent.and_then(|text| text.to_str().ok());
    let ingest = &shared.cx.ingest;
    match ingest.commit_traced(submission, traceparent).await {
        Ok(committed) => Ok(answer(&committed, rejected)),
        Err(error) => Err(Box::new(busy(error))),
    }
}

/// ChirpStack's integration says in the address what happened, and only uplinks hold values.
fn is_other_event(query: Option<&str>) -> bool {
    let mut pairs = query.unwrap_or_default().split('&');
    let event = pairs.find_map(|pair| pair.strip_prefix("event="));
    event.is_some_and(|event| event != "up")
}

/// Decodes what a network server says of one of its devices, which is found by `tts_device` or
/// `dev_eui`.
fn uplink(
    shared: &Shared,
    peer: SocketAddr,
    server_device: &DeviceEntry,
    server: Uplinks,
    payload: &[u8],
) -> Result<(Decoded, Result<(), Undecodable>), Box<Response>> {
    let uplink = match Uplink::read(server, payload) {
        Ok(uplink) => uplink,
        Err(why) => {
            let mut out = Decoded::new(server_device.key);
            out.reject_message(&why);
            return Ok((out, Err(why)));
        }
    };
    let devices = &shared.cx.devices;
    let names = uplink.identities();
    let child = names
        .iter()
        .find_map(|(protocol, name)| devices.find_identity(protocol, name));
    let refuse = |status, reason: &'static str, detail: &str| {
        shared.cx.ingest.refuse(Refusal {
            reason: Cow::Borrowed(reason),
            claimed: names
                .first()
                .map(|(_, name)| name.chars().take(128).collect()),
            peer: peer.to_string(),
            message: true,
        });
        Err(Box::new(problem(status, reason, detail)))
    };
    match child {
        Some(child) if Devices::may_write(server_device, &child) => {
            let mut out = Decoded::new(child.key);
            let profile = child.device.profile.as_deref();
            shared
                .book
                .take_uplink(&shared.cx.catalogue, profile, &uplink, &mut out);
            Ok((out, Ok(())))
        }
        Some(_) => {
            let detail = "the device is disabled, or no child of this gateway";
            refuse(StatusCode::FORBIDDEN, "not_a_child", detail)
        }
        None => {
            let detail = "no device has this identity (`dev_eui` or `tts_device`)";
            refuse(StatusCode::NOT_FOUND, "unknown_device", detail)
        }
    }
}

fn part(decoded: Decoded) -> Part {
    Part {
        device: decoded.device,
        received: decoded.received,
        observations: decoded.observations,
        rejected: decoded.rejected,
    }
}

pub(crate) async fn read_body(
    shared: &Shared,
    peer: SocketAddr,
    device: &str,
    body: Body,
) -> Result<body::Bytes, Box<Response>> {
    body::to_bytes(body, shared.body_bytes_max)
        .await
        .map_err(|_| {
            shared.cx.ingest.refuse(Refusal {
                reason: Cow::Borrowed("packet_too_large"),
                claimed: Some(device.to_owned()),
                peer: peer.to_string(),
                message: true,
            });
            let detail = format!("a body may have {} bytes at most", shared.body_bytes_max);
            Box::new(problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                "packet_too_large",
                &detail,
            ))
        })
}

/// Tells the device what became of its message: only a commit can be answered positively.
fn answer(proof: &Committed, mut rejected: Vec<Rejected>) -> Response {
    let receipt = proof.receipt();
    rejected.extend_from_slice(&receipt.rejected);
    let taken = receipt.stored + receipt.duplicate;
    match (taken, rejected.is_empty()) {
        (_, true) => StatusCode::NO_CONTENT.into_response(),
        (1.., false) => Json(json!({
            "stored": receipt.stored,
            "duplicate": receipt.duplicate,
            "rejected": rejected,
        }))
        .into_response(),
        (0, false) => nothing_taken(&rejected),
    }
}

fn nothing_taken(rejected: &[Rejected]) -> Response {
    let first = rejected.first();
    let reason = first.map_or("rejected", |first| first.reason.as_ref());
    let detail = first
        .and_then(|first| first.detail.as_deref())
        .unwrap_or("nothing was stored");
    let unreadable = [
        "invalid_json",
        "invalid_utf8",
        "invalid_cbor",
        "empty_payload",
        "wrong_shape",
        "not_an_array",
        "not_v4",
        "not_an_uplink_ignored",
    ];
    let status = if unreadable.contains(&reason) {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let mut body = problem_body(status, reason, detail);
    if let Some(fields) = body.as_object_mut() {
        fields.insert("stored".to_owned(), json!(0));
        fields.insert("rejected".to_owned(), json!(rejected));
    }
    problem_response(status, body)
}

pub(crate) fn busy(error: IngestError) -> Response {
    let (status, reason, wait_s) = match error {
        IngestError::TooFast { retry_after_s } => {
            (StatusCode::TOO_MANY_REQUESTS, "rate_limited", retry_after_s)
        }
        IngestError::NoRoom => (
            StatusCode::SERVICE_UNAVAILABLE,
            "storage_full",
            NO_ROOM_RETRY_AFTER_S,
        ),
        IngestError::Busy | IngestError::ShuttingDown => {
            (StatusCode::SERVICE_UNAVAILABLE, "busy", RETRY_AFTER_S)
        }
    };
    let mut response = problem(status, reason, &error.to_string());
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, wait_s.into());
    response
}

/// RFC 9457 problem details that wait for the request's id.
#[derive(Clone)]
struct Problem(Value);

fn problem_body(status: StatusCode, reason: &str, detail: &str) -> Value {
    json!({
        "type": format!("urn:cityhub:problem:{reason}"),
        "title": status.canonical_reason().unwrap_or("problem"),
        "status": status.as_u16(),
        "detail": detail,
    })
}

pub(crate) fn problem(status: StatusCode, reason: &str, detail: &str) -> Response {
    problem_response(status, problem_body(status, reason, detail))
}

fn problem_response(status: StatusCode, body: Value) -> Response {
    (status, Extension(Problem(body))).into_response()
}

/// Numbers the request, so that a device's log and the hub's can be laid side by side.
async fn name_request(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let number = shared.requests.fetch_add(1, Ordering::Relaxed);
    let id = format!("{}-{number}", shared.prefix);
    let response = next.run(request).await;
    let (mut head, mut body) = response.into_parts();
    if let Some(Problem(Value::Object(mut fields))) = head.extensions.remove::<Problem>() {
        fields.insert("request_id".to_owned(), json!(id));
        let kind = HeaderValue::from_static("application/problem+json");
        head.headers.insert(header::CONTENT_TYPE, kind);
        head.headers.remove(header::CONTENT_LENGTH);
        body = Body::from(Value::Object(fields).to_string());
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        head.headers.insert("x-request-id", value);
    }
    let fields = &mut head.headers;
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let nosniff = HeaderValue::from_static("nosniff");
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    Response::from_parts(head, body)
}

#[cfg(test)]
mod tests;
