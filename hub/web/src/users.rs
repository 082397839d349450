//! Users and tokens, for administrators.

use crate::problem::Problem;
use crate::query::{RawParams, json_body};
use crate::right::Right;
use crate::state::{Inner, Shared, work};
use access::{AccessError, AccessFile, NewUser, UserChange};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use model::Timestamp;
use sdk::{Actor, Role};
use serde::Deserialize;
use serde_json::{Value, json};

/// What may change of a user; a password that an administrator gives is to be changed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    display_name: Option<String>,
    role: Option<Role>,
    enabled: Option<bool>,
    must_change_password: Option<bool>,
    password: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    name: String,
    role: Role,
    /// It lets nobody in from then on.
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

/// Changes the file and waits until the audit trail has it.
async fn change<T: Send + 'static>(
    shared: &Shared,
    change: impl FnOnce(&AccessFile) -> Result<T, AccessError> + Send + 'static,
) -> Result<T, Problem> {
    let changed = work(shared, "change who may sign in", move |hub| {
        Ok(change(hub.accounts.file())?)
    })
    .await?;
    shared.accounts.told().await;
    Ok(changed)
}

/// The same with a password, which is hashed at its turn.
async fn change_password(
    shared: &Shared,
    changing: impl FnOnce(&AccessFile) -> Result<(), AccessError> + Send + 'static,
) -> Result<(), Problem> {
    let Some(turn) = shared.accounts.turn().await else {
        return Err(Problem::busy("too many sign in at once; try again"));
    };
    change(shared, move |file| {
        let changed = changing(file);
        drop(turn);
        changed
    })
    .await
}

fn row(hub: &Inner, name: &str) -> Result<Json<Value>, Problem> {
    let row = hub.accounts.row(name, hub.clock.now());
    let row = row.ok_or_else(|| Problem::not_found(format!("there is no user named `{name}`")))?;
    Ok(Json(json!(row)))
}

/// `GET /api/v1/users`
pub(crate) async fn list(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let rows = shared.accounts.rows(shared.clock.now());
    Ok(Json(json!({ "items": rows })))
}

/// `GET /api/v1/people`: whom an alarm can be given to.
pub(crate) async fn people(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let rows = shared.accounts.rows(shared.clock.now()).into_iter();
    let items: Vec<Value> = rows
        .filter(|user| user.enabled && Right::Act.is_held_by(user.role))
        .map(
            |user| json!({"name": user.name, "display_name": user.display_name, "role": user.role}),
        )
        .collect();
    Ok(Json(json!({ "items": items })))
}

/// `GET /api/v1/users/{name}`
pub(crate) async fn one(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    row(&shared, &name)
}

/// `POST /api/v1/users`
pub(crate) async fn add(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    raw: RawParams,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    raw.only(&[])?;
    let user: NewUser = json_body(&body)?;
    let name = user.name.clone();
    change_password(&shared, move |file| file.add_user(Some(&actor), &user)).await?;
    Ok((StatusCode::CREATED, row(&shared, &name)?))
}

/// `PATCH /api/v1/users/{name}`
pub(crate) async fn patch(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    raw: RawParams,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let patch: Patch = json_body(&body)?;
    let wanted = UserChange {
        display_name: patch.display_name,
        role: patch.role,
        enabled: patch.enabled,
        must_change_password: patch.must_change_password,
    };
    if let Some(password) = patch.password {
        let must_change = wanted.must_change_password.unwrap_or(true);
        let (actor, name) = (actor.clone(), name.clone());
        change_password(&shared, move |file| {
            file.set_password(Some(&actor), &name, &password, must_change)
        })
        .await?;
    }
    let of = name.clone();
    change(&shared, move |file| {
        file.change_user(Some(&actor), &of, &wanted)
    })
    .await?;
    row(&shared, &name)
}

/// `DELETE /api/v1/users/{name}`
pub(crate) async fn remove(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    raw: RawParams,
) -> Result<StatusCode, Problem> {
    raw.only(&[])?;
    change(&shared, move |file| file.remove_user(Some(&actor), &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/users/{name}/unlock`
pub(crate) async fn unlock(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let of = name.clone();
    change(&shared, move |file| file.unlock_user(Some(&actor), &of)).await?;
    row(&shared, &name)
}

/// `GET /api/v1/tokens`
pub(crate) async fn tokens(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Json<Value>, Problem> {
    raw.only(&[])?;
    let rows = work(&shared, "list the tokens", |hub| {
        Ok(hub.accounts.file().tokens()?)
    })
    .await?;
    Ok(Json(json!({ "items": rows })))
}

/// `POST /api/v1/tokens`
pub(crate) async fn add_token(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    raw: RawParams,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    raw.only(&[])?;
    let NewToken {
        name,
        role,
        expires_at,
    } = json_body(&body)?;
    let (of, terms) = (name.clone(), (role, expires_at));
    let token = change(&shared, move |file| {
        file.add_token(Some(&actor), &of, terms)
    })
    .await?;
    let mut body = json!({ "name": name, "role": role, "configured": false, "token": token });
    if let (Some(at), Some(fields)) = (expires_at, body.as_object_mut()) {
        fields.insert("expires_at".to_owned(), json!(at));
    }
    Ok((StatusCode::CREATED, Json(body)))
}

/// `DELETE /api/v1/tokens/{name}`
pub(crate) async fn remove_token(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    raw: RawParams,
) -> Result<StatusCode, Problem> {
    raw.only(&[])?;
    change(&shared, move |file| file.remove_token(Some(&actor), &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
