//! Signing in and out, and the lock of a console that nobody sits at.

use crate::credential::{Credential, demand_same_origin, set_cookie};
use crate::problem::Problem;
use crate::proof::{Claim, Peer, note, prove};
use crate::query::{RawParams, json_body};
use crate::right::Right;
use crate::state::{Shared, work};
use access::{AccessError, SignedIn};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sdk::Actor;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    user: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unlock {
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Password {
    old: String,
    new: String,
}

/// `POST /api/v1/session`
pub(crate) async fn open(
    State(shared): State<Shared>,
    peer: Peer,
    headers: HeaderMap,
    raw: RawParams,
    body: Bytes,
) -> Result<Response, Problem> {
    raw.only(&[])?;
    demand_same_origin(&headers)?;
    let SignIn { user, password } = json_body(&body)?;
    let claim = Claim {
        name: user,
        password,
        peer,
        session: None,
        purpose: "sign_in",
    };
    let Some(person) = prove(&shared, claim).await? else {
        let detail = "the name or the password is wrong";
        let status = StatusCode::UNAUTHORIZED;
        return Err(Problem::new(status, "sign_in_failed", detail));
    };
    let actor = person.actor.clone();
    // Who was let in a moment ago stands in the trail before they come.
    shared.accounts.told().await;
    let detail = json!({ "peer": peer.name() });
    note(&shared, &actor, ("sign_in", &actor.name), detail).await?;
    let cookie = work(&shared, "sign in", move |hub| {
        let cookie = hub
            .accounts
            .sign_in(&person, &peer.name(), hub.clock.now())?;
        Ok(cookie)
    })
    .await?;
    let session = shared.accounts.signed_in(&cookie, shared.clock.now());
    let session = session.ok_or_else(|| Problem::busy("the user was changed; try again"))?;
    let body = describe(&shared, &actor, &Credential::Session(session));
    let over_tls = (&headers, shared.tls.is_here);
    Ok(with_cookie(Json(body), Some(&cookie), over_tls))
}

fn with_cookie(
    body: impl IntoResponse,
    value: Option<&str>,
    (headers, is_tls_here): (&HeaderMap, bool),
) -> Response {
    let mut response = body.into_response();
    if let Ok(cookie) = HeaderValue::from_str(&set_cookie(value, headers, is_tls_here)) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// `GET /api/v1/session`
pub(crate) async fn show(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(credential): Extension<Credential>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    Ok(Json(describe(&shared, &actor, &credential)))
}

fn describe(shared: &Shared, actor: &Actor, credential: &Credential) -> Value {
    let session = match credential {
        Credential::Session(session) => Some(session),
        Credential::Token(_) => None,
    };
    let shown = session.map_or(&actor.name, |session| &session.person.display_name);
    json!({
        "name": actor.name,
        "display_name": shown,
        "role": actor.role,
        "rights": Right::names_of(actor.role),
        "via": if session.is_some() { "session" } else { "token" },
        "must_change_password": session.is_some_and(|s| s.person.must_change_password),
        "locked": session.is_some_and(|session| session.is_locked),
        "lock_after_s": shared.accounts.settings().lock_after_s,
        "password_length_min": shared.accounts.settings().password_length_min,
        "since": session.map(|session| session.since),
        "ends_at": session.map(|session| session.ends_at),
        "server_time": shared.clock.now(),
        "time_zone": shared.city.time_zone,
    })
}

/// A session as it is now.
fn again(shared: &Shared, session: &SignedIn) -> Result<Json<Value>, Problem> {
    let now = shared.accounts.session(session.id, shared.clock.now());
    let now = now.ok_or_else(|| Problem::conflict("this session is over"))?;
    let actor = now.person.actor.clone();
    Ok(Json(describe(shared, &actor, &Credential::Session(now))))
}

/// What a token cannot do: it has no session.
fn session_of(credential: Credential) -> Result<SignedIn, Problem> {
    match credential {
        Credential::Session(session) => Ok(session),
        Credential::Token(_) => Err(Problem::conflict("a token has no session")),
    }
}

/// `DELETE /api/v1/session`
pub(crate) async fn close(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    headers: HeaderMap,
    raw: RawParams,
) -> Result<Response, Problem> {
    raw.only(&[])?;
    let session = session_of(credential)?;
    let (id, actor) = (session.id, session.person.actor);
    work(&shared, "sign out", move |hub| {
        hub.accounts.sign_out(id, hub.clock.now())?;
        Ok(())
    })
    .await?;
    note(&shared, &actor, ("sign_out", &actor.name), json!({})).await?;
    let over_tls = (&headers, shared.tls.is_here);
    Ok(with_cookie(StatusCode::NO_CONTENT, None, over_tls))
}

/// `POST /api/v1/session/lock`
pub(crate) async fn lock(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let session = session_of(credential)?;
    if !session.is_locked {
        set_locked(&shared, &session, true).await?;
    }
    again(&shared, &session)
}

async fn set_locked(shared: &Shared, session: &SignedIn, locked: bool) -> Result<(), Problem> {
    let (id, actor) = (session.id, &session.person.actor);
    let action = if locked {
        "lock_session"
    } else {
        "unlock_session"
    };
    note(shared, actor, (action, &actor.name), json!({})).await?;
    work(shared, "lock or unlock a session", move |hub| {
        hub.accounts.set_locked(id, locked, hub.clock.now())?;
        Ok(())
    })
    .await
}

/// `POST /api/v1/session/unlock`
pub(crate) async fn unlock(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    peer: Peer,
    raw: RawParams,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let session = session_of(credential)?;
    let Unlock { password } = json_body(&body)?;
    demand_password(&shared, &session, (password, peer, "unlock")).await?;
    set_locked(&shared, &session, false).await?;
    again(&shared, &session)
}

/// Demands the password of whoever is signed in, once more.
async fn demand_password(
    shared: &Shared,
    session: &SignedIn,
    (password, peer, purpose): (String, Peer, &'static str),
) -> Result<(), Problem> {
    let claim = Claim {
        name: session.person.actor.name.clone(),
        password,
        peer,
        session: Some(session.id),
        purpose,
    };
    if prove(shared, claim).await?.is_some() {
        return Ok(());
    }
    let detail = "the password is wrong";
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "wrong_password",
        detail,
    ))
}

/// `POST /api/v1/session/alive`
pub(crate) async fn alive(
    Extension(credential): Extension<Credential>,
    raw: RawParams,
) -> Result<StatusCode, Problem> {
    raw.only(&[])?;
    // The guard has noted it, as it does with every change.
    session_of(credential)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/session/password`
pub(crate) async fn password(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
    peer: Peer,
    raw: RawParams,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let session = session_of(credential)?;
    let Password { old, new } = json_body(&body)?;
    if old == new {
        let detail = "the new password is the old one";
        return Err(Problem::invalid(detail).with("field", "password"));
    }
    demand_password(&shared, &session, (old, peer, "password")).await?;
    let Some(turn) = shared.accounts.turn().await else {
        return Err(Problem::busy("too many sign in at once; try again"));
    };
    let (id, actor) = (session.id, session.person.actor.clone());
    work(&shared, "change a password", move |hub| {
        let accounts = &hub.accounts;
        let file = accounts.file();
        file.set_password(Some(&actor), &actor.name, &new, false)?;
        drop(turn);
        accounts.keep_with_new_password(id, hub.clock.now())?;
        Ok(())
    })
    .await?;
    shared.accounts.told().await;
    again(&shared, &session)
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Invalid { field, reason } => Self::invalid(reason).with("field", field),
            AccessError::NotFound(reason) => Self::not_found(reason),
            AccessError::Conflict(reason) => Self::conflict(reason),
            AccessError::File { .. } => Self::internal("read or write who may sign in", &error),
        }
    }
}
