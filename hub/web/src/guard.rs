//! Who gets in, how long a request may take, and how an error leaves: the layers around every
//! route.

use crate::problem::Problem;
use crate::state::Shared;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sdk::{Actor, Role};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// A token with a role that may do this.
    Right(Right),
}

/// What a role may do (contract, section 10).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// Ask who one is, and how the API looks.
    BeKnown,
    /// Devices, readings, rules, health.
    Read,
    /// Events and, with them, alarms.
    ReadEvents,
    Act,
    /// Report steps of the disposal of cases.
    ReportSteps,
    /// Look what rules would have done: engineers who write them, supervisors who approve them.
    Backtest,
    Edit,
    ReadAudit,
}

impl Right {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 8] = [
        Self::BeKnown,
        Self::Read,
        Self::ReadEvents,
        Self::Act,
        Self::ReportSteps,
        Self::Backtest,
        Self::Edit,
        Self::ReadAudit,
    ];

    pub(crate) fn is_held_by(self, role: Role) -> bool {
        match self {
            Self::BeKnown => true,
            Self::Read => role.reads(),
            Self::ReadEvents => role.reads_events(),
            Self::Act => role.acts_on_alarms(),
            Self::ReportSteps => role.reports_steps(),
            Self::Backtest => role.edits_devices_and_rules() || role == Role::Supervisor,
            Self::Edit => role.edits_devices_and_rules(),
            Self::ReadAudit => role.reads_audit(),
        }
    }

    pub(crate) fn holders(self) -> Vec<&'static str> {
        Role::ALL
            .into_iter()
            .filter(|role| self.is_held_by(*role))
            .map(Role::name)
            .collect()
    }
}

/// What the guard of one route knows.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) shared: Shared,
    pub(crate) need: Need,
    pub(crate) deadline: Duration,
}

/// Lets a request in or turns it away, and gives it a deadline.
pub(crate) async fn stand(State(post): State<Post>, mut request: Request, next: Next) -> Response {
    match admit(&post.shared, post.need, &request) {
        Ok(Some(actor)) => {
            request.extensions_mut().insert(actor);
        }
        Ok(None) => {}
        Err(problem) => return problem.into_response(),
    }
    match tokio::time::timeout(post.deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("the request took longer than {} s", post.deadline.as_secs());
            Problem::busy(detail).into_response()
        }
    }
}

/// Tells who asks, if the route wants to know.
pub(crate) fn admit(
    shared: &Shared,
    need: Need,
    request: &Request,
) -> Result<Option<Actor>, Problem> {
    if need == Need::Nothing {
        return Ok(None);
    }
    if shared.access.is_empty() {
        return Err(unauthorized(
            "nobody can sign in yet; add a token with `cityhub admin token add NAME --role ROLE` \
             or in the configuration under [auth.tokens.NAME]",
        ));
    }
    let Need::Right(right) = need else {
        return Ok(None);
    };
    let Some(token) = bearer(request.headers()) else {
        return Err(unauthorized(
            "send the header `Authorization: Bearer <token>`",
        ));
    };
    let Some(actor) = shared.access.check(token) else {
        return Err(unauthorized("this token is not known"));
    };
    if !right.is_held_by(actor.role) {
        let holders = right.holders();
        let detail = format!(
            "role `{}` may not do this; roles that may: {}",
            actor.role.name(),
            holders.join(", ")
        );
        let problem = Problem::new(StatusCode::FORBIDDEN, "forbidden", detail);
        return Err(problem.with("roles", holders));
    }
    Ok(Some(actor))
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
}

/// Gives the token of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
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
