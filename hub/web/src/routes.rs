//! Every path of the API: one table, from which the router is made and which the OpenAPI document
//! is compared with.

use crate::guard::{self, BACKTEST_DEADLINE, Need, Post, REQUEST_DEADLINE, RequestIds};
use crate::problem::Problem;
use crate::right::Right;
use crate::state::{Inner, Shared, State};
use crate::{
    actions, alarms, backtest, cap, cases, commands, desk, devices, events, evidence, explain,
    handover, kpi, ledger, map, messages, metrics, readings, records, reload, report, rulebook,
    schemas, session, stream, subscriptions, users, versions,
};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State as AxumState};
use axum::handler::Handler;
use axum::http::{HeaderValue, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use std::time::Duration;

/// Ten thousand devices fit.
const DEVICES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A backtest's thousand rules fit.
const RULES_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Ten thousand alarm ids fit.
const BULK_BYTES_MAX: usize = 1024 * 1024;

const BODY_BYTES_MAX: usize = 64 * 1024;

/// A device may take 30 s for what it is told.
const COMMAND_DEADLINE: Duration = Duration::from_secs(45);

const PARKED: &str = "/api/v1/subscriptions/{name}/parked";

/// One method of one path.
pub(crate) struct Route {
    #[cfg_attr(not(test), expect(dead_code, reason = "the OpenAPI test reads it"))]
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) need: Need,
    handler: MethodRouter<Shared>,
    body_bytes_max: usize,
    deadline: Duration,
    even_locked: bool,
}

impl Route {
    fn get<H, T>(path: &'static str, need: Need, handler: H) -> Self
    where
        H: Handler<T, Shared>,
        T: 'static,
    {
        Self::of("get", path, need, get(handler))
    }

    fn of(
        method: &'static str,
        path: &'static str,
        need: Need,
        handler: MethodRouter<Shared>,
    ) -> Self {
        Self {
            method,
            path,
            need,
            handler,
            body_bytes_max: BODY_BYTES_MAX,
            deadline: REQUEST_DEADLINE,
            even_locked: false,
        }
    }

    fn body(mut self, bytes_max: usize) -> Self {
        self.body_bytes_max = bytes_max;
        self
    }

    fn even_locked(mut self) -> Self {
        self.even_locked = true;
        self
    }

    fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

/// The table.
pub(crate) fn table() -> Vec<Route> {
    const READ: Need = Need::Right(Right::Read);
    const EVENTS: Need = Need::Right(Right::ReadEvents);
    const ACT: Need = Need::Right(Right::Act);
    const STEPS: Need = Need::Right(Right::ReportSteps);
    const EDIT: Need = Need::Right(Right::Edit);
    const AUDIT: Need = Need::Right(Right::ReadAudit);
    const KNOWN: Need = Need::Right(Right::BeKnown);
    let mut routes = of_subscriptions();
    routes.extend(of_rules());
    routes.extend(of_desk());
    routes.extend(of_people());
    routes.extend([
        Route::get("/healthz", Need::Nothing, report::alive),
        Route::get("/readyz", Need::Installed, report::ready),
        Route::get("/metrics", READ, metrics::show),
        Route::get("/api/v1/openapi.json", KNOWN, openapi),
        Route::get("/api/v1/health", READ, report::health),
        Route::get("/api/v1/ledger", READ, ledger::show),
        Route::get("/api/v1/catalogue", READ, records::catalogue),
        Route::get("/api/v1/devices", READ, devices::list),
        Route::of("put", "/api/v1/devices", EDIT, put(devices::put)).body(DEVICES_BYTES_MAX),
        Route::get("/api/v1/devices/unclaimed", READ, devices::unclaimed),
        Route::get("/api/v1/devices/{id}", READ, devices::one),
        Route::of(
            "delete",
            "/api/v1/devices/{id}",
            EDIT,
            delete(devices::delete),
        ),
        Route::of(
            "post",
            "/api/v1/devices/{id}/commands",
            EDIT,
            post(commands::order),
        )
        .deadline(COMMAND_DEADLINE),
        Route::get("/api/v1/devices/{id}/readings", READ, readings::history),
        Route::get("/api/v1/devices/{id}/raw", READ, messages::last),
        Route::get("/api/v1/latest", READ, readings::latest),
        Route::get("/api/v1/alarms", EVENTS, alarms::list),
        Route::of("post", "/api/v1/alarms/bulk", ACT, post(actions::bulk)).body(BULK_BYTES_MAX),
        Route::get("/api/v1/alarms/{id}", EVENTS, alarms::one),
        Route::get("/api/v1/alarms/{id}/evidence", EVENTS, evidence::show),
        Route::get("/api/v1/explain", READ, explain::show),
        Route::of(
            "post",
            "/api/v1/alarms/{id}/{action}",
            ACT,
            post(actions::act),
        ),
        Route::get("/api/v1/cases", EVENTS, cases::list),
        Route::get("/api/v1/cases/{id}", EVENTS, cases::one),
        Route::of("post", "/api/v1/cases/{id}/steps", STEPS, post(cases::step)),
        Route::get("/api/v1/events", EVENTS, events::list),
        Route::get("/api/v1/stream", EVENTS, stream::open),
        Route::get("/api/v1/kpi", READ, kpi::show).deadline(BACKTEST_DEADLINE),
        Route::get("/api/v1/reports/monthly", READ, kpi::monthly).deadline(BACKTEST_DEADLINE),
        Route::get("/api/v1/audit", AUDIT, records::audit),
        Route::get("/api/v1/audit/check", AUDIT, records::check).deadline(BACKTEST_DEADLINE),
        Route::of("post", "/api/v1/canary", EDIT, post(records::canary)),
        Route::get("/api/v1/quarantine", EDIT, records::quarantine),
    ]);
    routes
}

/// The rules, their versions, and trying them on history.
fn of_rules() -> Vec<Route> {
    const READ: Need = Need::Right(Right::Read);
    const EDIT: Need = Need::Right(Right::Edit);
    const TEST: Need = Need::Right(Right::Backtest);
    const APPROVE: Need = Need::Right(Right::Approve);
    vec![
        Route::get("/api/v1/rules", READ, rulebook::list),
        Route::of("post", "/api/v1/rules/backtest", TEST, post(backtest::run))
            .body(RULES_BYTES_MAX)
            .deadline(BACKTEST_DEADLINE),
        Route::of("post", "/api/v1/rules/reload", EDIT, post(reload::run)),
        Route::get("/api/v1/rules/{id}", READ, rulebook::one),
        Route::of("put", "/api/v1/rules/{id}", EDIT, put(rulebook::put)),
        Route::of(
            "delete",
            "/api/v1/rules/{id}",
            EDIT,
            delete(rulebook::delete),
        ),
        Route::get("/api/v1/rules/{id}/versions", READ, versions::list),
        Route::of(
            "post",
            "/api/v1/rules/{id}/rollback",
            EDIT,
            post(versions::roll_back),
        ),
        Route::of(
            "post",
            "/api/v1/rules/{id}/approve",
            APPROVE,
            post(versions::approve),
        ),
        Route::of(
            "post",
            "/api/v1/rules/{id}/reject",
            APPROVE,
            post(versions::reject),
        ),
    ]
}

/// What the duty console needs beside the lists.
fn of_desk() -> Vec<Route> {
    const ACT: Need = Need::Right(Right::Act);
    const EVENTS: Need = Need::Right(Right::ReadEvents);
    const READ: Need = Need::Right(Right::Read);
    const KNOWN: Need = Need::Right(Right::BeKnown);
    vec![
        Route::get("/api/v1/config/public", KNOWN, desk::public),
        Route::get("/api/v1/alarms/{id}/history", EVENTS, alarms::history),
        Route::get("/api/v1/map/points", READ, map::points),
        Route::get("/api/v1/map/layers/{name}", READ, map::layer),
        Route::get("/api/v1/shift-log", READ, handover::log),
        Route::of("post", "/api/v1/shift-log", ACT, post(handover::add)),
        Route::get("/api/v1/handover", READ, handover::draft),
        Route::of("put", "/api/v1/handover", ACT, put(handover::put)),
        Route::of("post", "/api/v1/handover/sign", ACT, post(handover::sign)),
        Route::get("/api/v1/handovers", READ, handover::list),
        Route::get("/api/v1/handovers/{id}", READ, handover::one),
    ]
}

/// How events look, who is sent them, and what they refused.
fn of_subscriptions() -> Vec<Route> {
    const EDIT: Need = Need::Right(Right::Edit);
    const EVENTS: Need = Need::Right(Right::ReadEvents);
    const KNOWN: Need = Need::Right(Right::BeKnown);
    vec![
        Route::get("/api/v1/asyncapi.json", KNOWN, schemas::asyncapi),
        Route::get("/api/v1/schemas", KNOWN, schemas::list),
        Route::get("/api/v1/schemas/{type}", KNOWN, schemas::show),
        Route::get("/api/v1/cases/{id}/cap", EVENTS, cap::show),
        Route::get("/api/v1/subscriptions", EDIT, subscriptions::list),
        Route::get("/api/v1/subscriptions/{name}", EDIT, subscriptions::one),
        Route::of(
            "put",
            "/api/v1/subscriptions/{name}",
            EDIT,
            put(subscriptions::put),
        ),
        Route::of(
            "delete",
            "/api/v1/subscriptions/{name}",
            EDIT,
            delete(subscriptions::delete),
        ),
        Route::of(
            "post",
            "/api/v1/subscriptions/{name}/{action}",
            EDIT,
            post(subscriptions::act),
        ),
        Route::get(PARKED, EDIT, subscriptions::parked),
        Route::of("delete", PARKED, EDIT, delete(subscriptions::drop_all)),
        Route::of(
            "post",
            "/api/v1/subscriptions/{name}/parked/resend",
            EDIT,
            post(subscriptions::resend_all),
        ),
        Route::of(
            "delete",
            "/api/v1/subscriptions/{name}/parked/{seq}",
            EDIT,
            delete(subscriptions::drop_one),
        ),
        Route::of(
            "post",
            "/api/v1/subscriptions/{name}/parked/{seq}/resend",
            EDIT,
            post(subscriptions::resend_one),
        ),
    ]
}

/// Who is signed in, and who may sign in.
fn of_people() -> Vec<Route> {
    const KNOWN: Need = Need::Right(Right::BeKnown);
    const MANAGE: Need = Need::Right(Right::Manage);
    const SESSION: &str = "/api/v1/session";
    const USER: &str = "/api/v1/users/{name}";
    vec![
        Route::get(SESSION, KNOWN, session::show),
        Route::of("post", SESSION, Need::Installed, post(session::open)),
        Route::of("delete", SESSION, KNOWN, delete(session::close)).even_locked(),
        Route::of("post", "/api/v1/session/lock", KNOWN, post(session::lock)).even_locked(),
        Route::of(
            "post",
            "/api/v1/session/unlock",
            KNOWN,
            post(session::unlock),
        )
        .even_locked(),
        Route::of("post", "/api/v1/session/alive", KNOWN, post(session::alive)),
        Route::of(
            "post",
            "/api/v1/session/password",
            KNOWN,
            post(session::password),
        ),
        Route::get("/api/v1/people", Need::Right(Right::Act), users::people),
        Route::get("/api/v1/users", MANAGE, users::list),
        Route::of("post", "/api/v1/users", MANAGE, post(users::add)),
        Route::get(USER, MANAGE, users::one),
        Route::of("patch", USER, MANAGE, patch(users::patch)),
        Route::of("delete", USER, MANAGE, delete(users::remove)),
        Route::of(
            "post",
            "/api/v1/users/{name}/unlock",
            MANAGE,
            post(users::unlock),
        ),
        Route::get("/api/v1/tokens", MANAGE, users::tokens),
        Route::of("post", "/api/v1/tokens", MANAGE, post(users::add_token)),
        Route::of(
            "delete",
            "/api/v1/tokens/{name}",
            MANAGE,
            delete(users::remove_token),
        ),
    ]
}

/// Makes the service of the console's port.
pub fn router(state: State) -> Router {
    let ids = RequestIds::starting_at(state.health.started_at);
    let shared = Inner::new(state);
    shared.health.figures().serve(Shared::downgrade(&shared));
    let tiles = shared.desk.map.tiles.as_ref();
    let hosts = tiles.map_or(&[][..], |tiles| &tiles.hosts);
    let policy = dashboards::policy(hosts);
    let mut router = Router::new();
    for route in table() {
        let post = Post {
            shared: Shared::clone(&shared),
            need: route.need,
            deadline: route.deadline,
            even_locked: route.even_locked,
        };
        let handler = route
            .handler
            .layer(DefaultBodyLimit::max(route.body_bytes_max))
            .layer(from_fn_with_state(post, guard::stand));
        router = router.route(route.path, handler);
    }
    let lost = Shared::clone(&shared);
    let gate = Shared::clone(&shared);
    let policy = (policy, shared.tls.is_here);
    router
        .fallback(move |request: Request| async move { elsewhere(&lost, &request) })
        .with_state(shared)
        .layer(from_fn_with_state(gate, crate::gate::stand))
        .layer(from_fn_with_state(ids, guard::finish))
        // Around everything: an error is an answer too.
        .layer(from_fn_with_state(policy, protect))
}

/// What is no route: a page of the console, or nothing.
fn elsewhere(shared: &Shared, request: &Request) -> Response {
    let path = request.uri().path();
    let of_the_api = path == "/api" || path.starts_with("/api/");
    let need = if of_the_api {
        Need::Right(Right::BeKnown)
    } else {
        Need::Installed
    };
    let post = Post {
        shared: Shared::clone(shared),
        need,
        deadline: REQUEST_DEADLINE,
        even_locked: true,
    };
    if let Err(problem) = guard::admit(&post, request) {
        return problem.into_response();
    }
    let page = if of_the_api {
        None
    } else {
        dashboards::page(request.method(), request.uri(), request.headers())
    };
    page.unwrap_or_else(|| Problem::not_found(format!("there is no `{path}` here")).into_response())
}

async fn protect(
    AxumState((policy, is_tls_here)): AxumState<(HeaderValue, bool)>,
    request: Request,
    next: axum::middleware::Next,
) -> Response {
    let mut response = next.run(request).await;
    dashboards::protect(response.headers_mut(), &policy);
    if is_tls_here {
        // A year (RFC 6797): a browser that was here once comes by TLS alone.
        let only_tls = HeaderValue::from_static("max-age=31536000");
        let fields = response.headers_mut();
        fields.insert(header::STRICT_TRANSPORT_SECURITY, only_tls);
    }
    response
}

async fn openapi() -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], crate::OPENAPI).into_response()
}
