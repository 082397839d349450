//! Asks for proof of who somebody is: a password, tried no more often than is allowed.

use crate::gate::Client;
use crate::problem::Problem;
use crate::state::Shared;
use access::{AttemptKey, Barred, Outcome, Person, SessionId};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;
use model::Timestamp;
use sdk::{Action, Actor, Command, CommandError, Role};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

/// Where a request came from; `None` where there is no socket.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Peer(pub(crate) Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        if let Some(Client(client)) = parts.extensions.get() {
            return Ok(Self(Some(*client)));
        }
        let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(info.map(|ConnectInfo(peer)| peer.ip())))
    }
}

impl Peer {
    pub(crate) fn name(self) -> String {
        self.0
            .map_or_else(|| "unknown".to_owned(), |peer| peer.to_string())
    }
}

/// What somebody claims.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) peer: Peer,
    /// The session that it is about; then failures count for that session alone.
    pub(crate) session: Option<SessionId>,
    /// What it is for, as the audit trail names it: `sign_in`.
    pub(crate) purpose: &'static str,
}

/// Tells who this is. `None` means that name or password is wrong; the audit trail has it then.
pub(crate) async fn prove(shared: &Shared, claim: Claim) -> Result<Option<Person>, Problem> {
    let now = shared.clock.now();
    let keys = match claim.session {
        Some(session) => vec![AttemptKey::Session(session)],
        None => {
            let peer = claim.peer.0.map(AttemptKey::of_peer);
            let name = AttemptKey::Name(claim.name.clone());
            std::iter::once(name).chain(peer).collect()
        }
    };
    let attempt = shared.accounts.attempt(keys, now);
    let attempt = attempt.map_err(|barred| refusal(barred, now))?;
    let Some(turn) = shared.accounts.turn().await else {
        return Err(Problem::busy("too many sign in at once; try again"));
    };
    let (accounts, clock) = (shared.accounts.clone(), shared.clock.clone());
    let (name, password) = (claim.name.clone(), claim.password);
    let judged = tokio::task::spawn_blocking(move || {
        let person = accounts.prove(&name, &password);
        drop(turn);
        let outcome = if person.is_some() {
            Outcome::Right
        } else {
            Outcome::Wrong
        };
        (person, attempt.end(outcome, clock.now()))
    });
    let judged = judged.await;
    let (person, locked) = judged.map_err(|error| Problem::internal("check a password", &error))?;
    if person.is_none() {
        tell_failure(shared, (&claim.name, claim.peer, claim.purpose), &locked).await;
    }
    Ok(person)
}

/// Somebody who is not known to be who they say. A name that nobody has may be a password that was
/// typed into the wrong field: it is not written where it can never be deleted.
async fn tell_failure(
    shared: &Shared,
    (name, peer, purpose): (&str, Peer, &'static str),
    locked: &[(AttemptKey, Timestamp)],
) {
    let user = shared.accounts.display_name(name).map(|_| name);
    let subject = user.unwrap_or("unknown");
    let stranger = Actor {
        name: "stranger".to_owned(),
        role: Role::Viewer,
    };
    let detail = json!({ "for": purpose, "peer": peer.name() });
    let mut told = note(shared, &stranger, ("password_failed", subject), detail).await;
    for (key, until) in locked {
        let subject = match key {
            AttemptKey::Name(_) | AttemptKey::Session(_) => subject.to_owned(),
            AttemptKey::Peer(peer) => peer.to_string(),
        };
        let detail = json!({ "for": purpose, "until": until, "peer": peer.name() });
        let told_too = note(shared, &stranger, ("lock_out", &subject), detail).await;
        told = told.and(told_too);
    }
    if let Err(error) = told {
        tracing::error!(%error, "a wrong password is not in the audit trail");
    }
}

fn refusal(barred: Barred, now: Timestamp) -> Problem {
    match barred {
        Barred::Busy => Problem::busy("too many attempts are under way; try again"),
        Barred::Until(until) => {
            let wait_ms = until.millis().saturating_sub(now.millis()).max(0);
            let wait_s = u32::try_from(wait_ms.saturating_add(999) / 1_000).unwrap_or(u32::MAX);
            let detail = "too many wrong passwords; try again later, or ask an administrator";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "locked_out", detail)
                .with("until", json!(until))
                .retry_after(wait_s)
        }
    }
}

/// Says something in the audit trail, and waits until it is there.
pub(crate) async fn note(
    shared: &Shared,
    actor: &Actor,
    (action, subject): (&str, &str),
    detail: Value,
) -> Result<(), CommandError> {
    let action = Action::Note {
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail,
        marks: Vec::new(),
    };
    let actor = actor.clone();
    let done = shared.operator.commit(Command { actor, action }).await?;
    tracing::debug!(seq = done.seq, "the audit trail has it");
    Ok(())
}
