//! What people and programs ask of the hub: commands that travel the writer's queue, so that they
//! are durable and ordered like readings.

use crate::{Actor, Request, SecretHash, StepReport};
use model::{Device, DeviceId, Event, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long a person waits for a commit before being told that the hub is busy.
const COMMAND_DEADLINE: Duration = Duration::from_secs(10);

/// Something that an actor wants done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    pub actor: Actor,
    pub action: Action,
}

/// What to do with a device's secret when it is put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretChange {
    Keep,
    Set(SecretHash),
}

/// The commands. Their JSON is kept in the journal: add variants, never change one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    PutDevices(Vec<(Device, SecretChange)>),
    DeleteDevice(DeviceId),
    /// `spec` is the JSON form of one rule of the public contract, section 7. Where the severity of
    /// the rule asks for a second person, this and the next two wait for one.
    PutRule {
        id: String,
        spec: serde_json::Value,
        #[serde(default)]
        reason: Option<String>,
    },
    DeleteRule {
        id: String,
        #[serde(default)]
        reason: Option<String>,
    },
    /// Puts a rule as it was in a former version.
    RollBackRule {
        id: String,
        to: u64,
        spec: serde_json::Value,
        #[serde(default)]
        reason: Option<String>,
    },
    /// The second person brings the version of a rule that waits into force, or turns it away.
    DecideRule {
        id: String,
        /// The version that the actor saw.
        revision: u64,
        approve: bool,
        reason: Option<String>,
    },
    /// Rules of the configuration, in the order in which they are to be carried out; the puts come
    /// first. All of them, or none.
    ChangeRules {
        put: Vec<(String, serde_json::Value)>,
        delete: Vec<String>,
    },
    /// Only says in the audit trail what was done elsewhere, and remembers marks in the same commit,
    /// so that nothing is said twice.
    Note {
        action: String,
        subject: String,
        detail: serde_json::Value,
        marks: Vec<(String, u64)>,
    },
    Alarm {
        id: String,
        verb: AlarmVerb,
        /// The version that the actor saw; a stale one is a conflict.
        version: Option<u64>,
        comment: Option<String>,
        /// What only some verbs need.
        #[serde(default)]
        args: AlarmArgs,
        /// The `Idempotency-Key` of the request.
        key: Option<String>,
    },
    /// A step of the disposal of a case.
    CaseStep {
        id: String,
        report: StepReport,
        /// The `Idempotency-Key` of the request.
        key: Option<String>,
    },
    /// `spec` is the JSON form of one `[sinks.NAME]` table.
    PutSubscription {
        name: String,
        spec: serde_json::Value,
        /// It is of the configuration, and only the configuration changes it.
        configured: bool,
    },
    DeleteSubscription {
        name: String,
        configured: bool,
    },
    /// Something that the shift should know.
    ShiftLog {
        kind: String,
        text: String,
    },
    /// `change` has what is to be other than it was in the draft of the handover.
    PutHandover {
        version: u64,
        change: serde_json::Value,
    },
    /// The actor is who signs. `snapshot` is what both signed, should this be the second signature.
    SignHandover {
        part: HandoverPart,
        version: u64,
        snapshot: serde_json::Value,
    },
    Subscription {
        name: String,
        verb: SubscriptionVerb,
    },
    /// All subscriptions that the configuration has now, by name. The new and changed ones are put,
    /// and those that came from it and are there no more are ended: all of it, or nothing.
    ConfigureSubscriptions(Vec<(String, serde_json::Value)>),
}

/// Who signs a handover.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandoverPart {
    Outgoing,
    Incoming,
}

/// What can be done to a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionVerb {
    Pause,
    Resume,
    /// Sends everything after this event, whether it was sent before or not.
    Replay {
        after: u64,
    },
    /// Sends a parked event again, or all of them.
    Resend {
        seq: Option<u64>,
    },
    /// Gives a parked event up, or all of them.
    Drop {
        seq: Option<u64>,
    },
}

/// How far the delivery to one subscriber came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivered {
    pub name: String,
    /// Which life of the subscription it is of: a word of an earlier one counts for nothing.
    pub epoch: u64,
    /// Everything up to here is delivered, parked, or not for this subscriber.
    pub cursor: Option<u64>,
    /// What the subscriber refused, and why.
    pub refused: Vec<(Event, String)>,
    /// Parked events that the subscriber took after all.
    pub settled: Vec<u64>,
}

/// How far a mirror of the readings came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirrored {
    /// Durable cursors by name.
    pub cursors: Vec<(String, u64)>,
    /// What was received from here on is not with every mirror yet, and is not to be forgotten.
    pub hold_from: Option<Timestamp>,
}

/// What an action on an alarm says beside the comment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmArgs {
    /// For how long to shelve.
    pub minutes: Option<u32>,
    /// Why it is shelved.
    pub reason: Option<String>,
    /// Whom to assign it to.
    pub owner: Option<String>,
}

/// What can be done to an alarm.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmVerb {
    Ack,
    Shelve,
    Unshelve,
    Assign,
    Comment,
    FalseAlarm,
    OutOfService,
    InService,
    Reset,
}

/// The answer to a command that was carried out and is on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// Position of the commit in the journal.
    pub seq: u64,
    /// The row that was changed, as its GET shows it.
    pub body: serde_json::Value,
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Conflict(String),
    /// A conflict, with what the caller needs to decide what to do.
    #[error("{reason}")]
    Refused {
        reason: String,
        facts: serde_json::Value,
    },
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Forbidden(String),
    #[error("the hub is busy; try again later")]
    Busy,
    #[error("the hub is shutting down")]
    ShuttingDown,
}

/// A command that waits for its commit.
#[derive(Debug)]
pub struct PendingCommand {
    pub command: Command,
    reply: oneshot::Sender<Result<Done, CommandError>>,
}

impl PendingCommand {
    /// Answers whoever asked. To be called by the writer, after the fsync.
    pub fn answer(self, answer: Result<Done, CommandError>) {
        drop(self.reply.send(answer));
    }
}

/// The console's handle on the writer.
#[derive(Clone, Debug)]
pub struct Operator {
    requests: mpsc::Sender<Request>,
}

impl Operator {
    pub fn new(requests: mpsc::Sender<Request>) -> Self {
        Self { requests }
    }

    /// Waits until the command is carried out and on disk, or refused.
    pub async fn commit(&self, command: Command) -> Result<Done, CommandError> {
        let (reply, answer) = oneshot::channel();
        let pending = PendingCommand { command, reply };
        let answered = async {
            self.requests
                .send(Request::Command(pending))
                .await
                .map_err(|_| CommandError::ShuttingDown)?;
            answer.await.unwrap_or(Err(CommandError::ShuttingDown))
        };
        tokio::time::timeout(COMMAND_DEADLINE, answered)
            .await
            .unwrap_or(Err(CommandError::Busy))
    }

    /// Says how far a mirror came. Returns once the word is queued.
    pub async fn mirrored(&self, word: Mirrored) -> Result<(), CommandError> {
        self.requests
            .send(Request::Mirrored(word))
            .await
            .map_err(|_| CommandError::ShuttingDown)
    }

    /// Says how far a delivery came. Returns once the word is queued.
    pub async fn delivered(&self, word: Delivered) -> Result<(), CommandError> {
        self.requests
            .send(Request::Delivered(word))
            .await
            .map_err(|_| CommandError::ShuttingDown)
    }
}
