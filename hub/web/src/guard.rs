//! Who gets in, how long a request may take, and how an error leaves: the layers around every
//! route.

use crate::credential::{Credential, demand_console, unauthorized};
use crate::gate::Client;
use crate::problem::Problem;
use crate::right::Right;
use crate::state::Shared;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use sdk::Actor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

/// How long an ordinary request may take, its body included.
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// How long a backtest may take.
pub(crate) const BACKTEST_DEADLINE: Duration = Duration::from_secs(600);

/// Longest `x-request-id` that is taken over from a caller.
const REQUEST_ID_BYTES_MAX: usize = 64;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a route asks of its caller.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: the process answers for itself.
    Nothing,
    /// That somebody can sign in at all.
    Installed,
    /// A token or a session with a role that may do this.
    Right(Right),
}

/// What the guard of one route knows.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) shared: Shared,
    pub(crate) need: Need,
    pub(crate) deadline: Duration,
    /// It may be asked by a session that is locked.
    pub(crate) even_locked: bool,
}

/// Lets a request in or turns it away, and gives it a deadline.
pub(crate) async fn stand(State(post): State<Post>, mut request: Request, next: Next) -> Response {
    match admit(&post, &request) {
        Ok(Some((actor, credential))) => {
            request.extensions_mut().insert(actor);
            request.extensions_mut().insert(credential);
        }
        Ok(None) => {}
        Err(problem) => return problem.into_response(),
    }
    let (request, is_waiting) = watch_body(request);
    match tokio::time::timeout(post.deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_) if is_waiting.load(Ordering::Acquire) => {
            let detail = format!("the body did not come within {} s", post.deadline.as_secs());
            let status = StatusCode::REQUEST_TIMEOUT;
            Problem::new(status, "body-timeout", detail).into_response()
        }
        Err(_) => {
            let detail = format!("the request took longer than {} s", post.deadline.as_secs());
            Problem::busy(detail).into_response()
        }
    }
}

/// Watches whether the caller still owes a part of the body.
fn watch_body(request: Request) -> (Request, Arc<AtomicBool>) {
    let is_waiting = Arc::new(AtomicBool::new(!request.body().is_end_stream()));
    let watched = Arc::clone(&is_waiting);
    let request = request.map(|body| {
        let mut data = body.into_data_stream();
        Body::from_stream(stream::poll_fn(move |cx| {
            let next = data.poll_next_unpin(cx);
            if matches!(next, Poll::Ready(None)) {
                watched.store(false, Ordering::Release);
            }
            next
        }))
    });
    (request, is_waiting)
}

/// Tells who asks, if the route wants to know.
pub(crate) fn admit(
    post: &Post,
    request: &Request,
) -> Result<Option<(Actor, Credential)>, Problem> {
    let shared = &post.shared;
    if post.need == Need::Nothing {
        return Ok(None);
    }
    if shared.access.is_empty() && shared.accounts.is_empty() {
        return Err(unauthorized(
            "nobody can sign in yet; make the first user with `cityhub admin user add NAME --role \
             admin`, or a token with `cityhub admin token add NAME --role ROLE` or in the \
             configuration under [auth.tokens.NAME]",
        ));
    }
    let Need::Right(right) = post.need else {
        return Ok(None);
    };
    let (actor, credential) = Credential::of(shared, request.headers())?;
    let client = request.extensions().get::<Client>().copied();
    shared.gate.hear(&actor, client)?;
    let is_change = !request.method().is_safe();
    if let Credential::Session(session) = &credential {
        if is_change {
            demand_console(request.headers())?;
        }
        if session.person.must_change_password && right != Right::BeKnown {
            let detail = "change the password first: POST /api/v1/session/password";
            let status = StatusCode::FORBIDDEN;
            return Err(Problem::new(status, "must_change_password", detail));
        }
    }
    demand_right(right, &actor)?;
    if let Credential::Session(session) = &credential
        && is_change
    {
        if session.is_locked && !post.even_locked {
            let detail = "this console is locked; POST /api/v1/session/unlock with the password";
            return Err(Problem::new(StatusCode::LOCKED, "locked", detail));
        }
        if !post.even_locked {
            shared.accounts.is_alive(session.id, shared.clock.now());
        }
    }
    Ok(Some((actor, credential)))
}

/// Says which right is missing, and who has it.
fn demand_right(right: Right, actor: &Actor) -> Result<(), Problem> {
    if right.is_held_by(actor.role) {
        return Ok(());
    }
    let holders = right.holders();
    let detail = format!(
        "role `{}` may not do this: it needs the right `{}`; roles that may: {}",
        actor.role.name(),
        right.name(),
        holders.join(", ")
    );
    let problem = Problem::new(StatusCode::FORBIDDEN, "forbidden", detail);
    Err(problem.with("right", right.name()).with("roles", holders))
}

/// Numbers requests.
#[derive(Clone, Debug)]
pub(crate) struct RequestIds {
    prefix: Arc<str>,
    next: Arc<AtomicU64>,
}

impl RequestIds {
    /// The prefix tells runs of the program apart.
    pub(crate) fn starting_at(started: model::Timestamp) -> Self {
        Self {
            prefix: format!("{:x}", started.millis()).into(),
            next: Arc::new(AtomicU64::new(1)),
        }
    }

    fn take(&self, request: &Request) -> String {
        let given = request
            .headers()
            .get(REQUEST_ID)
            .and_then(|value| value.to_str().ok())
            .filter(|id| is_request_id(id));
        given.map_or_else(
            || {
                format!(
                    "{}-{}",
                    self.prefix,
                    self.next.fetch_add(1, Ordering::Relaxed)
                )
            },
            str::to_owned,
        )
    }
}

fn is_request_id(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(plain)
}

/// Names the request and gives every error its one shape. The outermost layer.
pub(crate) async fn finish(
    State(ids): State<RequestIds>,
    request: Request,
    next: Next,
) -> Response {
    let id = ids.take(&request);
    let instance = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    let problem = response.extensions_mut().remove::<Problem>();
    let bare = problem.is_none()
        && (response.status().is_client_error() || response.status().is_server_error());
    if let Some(problem) = problem.or_else(|| bare.then(|| Problem::of_status(response.status()))) {
        let allow = response.headers_mut().remove(header::ALLOW);
        response = problem.render(&instance, &id);
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        tracing::debug!(
            request_id = id,
            status = problem.status().as_u16(),
            problem = problem.slug(),
            path = instance,
            "answered with a problem"
        );
    }
    let fields = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        fields.insert(REQUEST_ID, id);
    }
    if !fields.contains_key(header::CACHE_CONTROL) {
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}
