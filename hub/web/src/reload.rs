//! Asks the hub to read the rules and sinks of its configuration again.

use crate::problem::Problem;
use crate::query::RawParams;
use crate::rulebook::rule_problem;
use crate::state::Shared;
use axum::Json;
use axum::extract::{Extension, State};
use rules::RuleError;
use sdk::{Actor, CommandError};
use std::fmt;
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait for the one under way.
const WAITING_MAX: usize = 8;

/// What came of reading the configuration again: of its rules, its sinks, and the
/// certificates.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Reloaded {
    #[serde(flatten)]
    pub rules: Changed,
    pub sinks: Changed,
    pub certificates: ReadAgain,
}

/// What became of the certificates, each of which stands for itself.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ReadAgain {
    /// Listeners whose files came into force.
    pub put: usize,
    pub unchanged: usize,
    /// Listeners whose files are wrong, so that older ones stay in force.
    pub refused: usize,
}

/// What became of the things of one kind.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Changed {
    /// New or changed.
    pub put: usize,
    pub removed: usize,
    pub unchanged: usize,
}

impl Changed {
    /// Reads the answer to a command that changes many things at once.
    pub fn of(body: &serde_json::Value) -> Self {
        let count = |name: &str| {
            let count = body.get(name).and_then(serde_json::Value::as_u64);
            count
                .and_then(|count| usize::try_from(count).ok())
                .unwrap_or(0)
        };
        Self {
            put: count("put"),
            removed: count("removed"),
            unchanged: count("unchanged"),
        }
    }
}

/// Why nothing was reloaded.
#[derive(Debug)]
pub enum ReloadError {
    /// A rule is wrong; the error names file, line, rule and key.
    Rule(RuleError),
    /// The configuration cannot be read any more, or names what is not there.
    Config(String),
    Command(CommandError),
    Internal(String),
}

impl From<RuleError> for ReloadError {
    fn from(error: RuleError) -> Self {
        Self::Rule(error)
    }
}

impl From<CommandError> for ReloadError {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(error) => error.fmt(f),
            Self::Command(error) => error.fmt(f),
            Self::Config(reason) | Self::Internal(reason) => f.write_str(reason),
        }
    }
}

/// Somebody who waits for a reload.
#[derive(Debug)]
pub struct Reload {
    pub actor: Actor,
    reply: oneshot::Sender<Result<Reloaded, ReloadError>>,
}

impl Reload {
    pub fn answer(self, answer: Result<Reloaded, ReloadError>) {
        // Whoever asked may have gone; the rules are in force all the same.
        drop(self.reply.send(answer));
    }
}

/// The web's handle on whoever reloads.
#[derive(Clone, Debug)]
pub struct Reloads {
    requests: mpsc::Sender<Reload>,
}

impl Reloads {
    pub fn open() -> (Self, mpsc::Receiver<Reload>) {
        let (requests, waiting) = mpsc::channel(WAITING_MAX);
        (Self { requests }, waiting)
    }

    async fn ask(&self, actor: Actor) -> Result<Reloaded, ReloadError> {
        let (reply, answer) = oneshot::channel();
        let asked = self.requests.try_send(Reload { actor, reply });
        asked.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandError::Busy,
            mpsc::error::TrySendError::Closed(_) => CommandError::ShuttingDown,
        })?;
        answer
            .await
            .unwrap_or(Err(CommandError::ShuttingDown.into()))
    }
}

/// `POST /api/v1/rules/reload`
pub(crate) async fn run(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    raw: RawParams,
) -> Result<Json<Reloaded>, Problem> {
    raw.only(&[])?;
    let reloaded = shared.reloads.ask(actor).await;
    reloaded.map(Json).map_err(|error| match error {
        ReloadError::Rule(error) => rule_problem(&error),
        ReloadError::Config(reason) => Problem::invalid(reason),
        ReloadError::Command(error) => error.into(),
        ReloadError::Internal(reason) => Problem::internal("reload the rules", &reason),
    })
}
