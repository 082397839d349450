//! Takes what was done to users and tokens into the audit trail, each change once.
//!
//! The command cannot write the journal, which a running hub owns: it writes the change into the same
//! file as the user or token, in one step, and the hub takes it over within a second or at its next
//! start. What the console changes goes the same way, but is taken over at once.

use crate::accounts::Found;
use crate::file::{Change, FILE, Stored, digest};
use crate::{AccessError, Accounts};
use sdk::{Action, Actor, Clock, Command, CommandError, Feed, FeedError, Operator, Role};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How often file and sessions are looked at: one `stat`.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The number of the last change that was taken over.
const TAKEN: &str = "access:taken";
/// The digest of users and tokens as the audit trail knows them.
const KNOWN: &str = "access:known";
/// The digest of the tokens of the configuration.
const CONFIGURED: &str = "access:configured";

/// Asks the trail to look at once, and is answered when it has.
#[derive(Debug)]
pub(crate) struct Ask(pub(crate) oneshot::Sender<()>);

/// What the trail is asked.
#[derive(Debug)]
pub struct Asks(pub(crate) mpsc::Receiver<Ask>);

/// Why a change is not in the trail yet.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    #[error(transparent)]
    File(#[from] AccessError),
    #[error("read how far the audit trail knows the tokens: {0}")]
    Read(#[from] FeedError),
    #[error("write the audit trail: {0}")]
    Write(#[from] CommandError),
    #[error("{0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Brings changes of users, tokens and sessions into the audit trail.
pub struct Trail {
    accounts: Accounts,
    asks: Asks,
    operator: Operator,
    feed: Arc<dyn Feed>,
    clock: Clock,
}

impl std::fmt::Debug for Trail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trail").finish_non_exhaustive()
    }
}

/// What the audit trail is about to say.
#[derive(Clone, Debug, PartialEq)]
struct Note {
    actor: Actor,
    action: String,
    subject: String,
    detail: Value,
    marks: Vec<(String, u64)>,
}

impl Trail {
    pub fn new(
        (accounts, asks): (Accounts, Asks),
        operator: Operator,
        feed: Arc<dyn Feed>,
        clock: Clock,
    ) -> Self {
        Self {
            accounts,
            asks,
            operator,
            feed,
            clock,
        }
    }

    /// Says which tokens the configuration has, if they are others than at the last start.
    pub async fn note_configured(&self) -> Result<(), TrailError> {
        let configured = &self.accounts.file().configured;
        let hashes: Vec<(&str, String, Role)> = configured
            .iter()
            .map(|(name, (hash, role))| (name.as_str(), hash.to_hex(), *role))
            .collect();
        let now = digest(
            hashes
                .iter()
                .map(|(name, hash, role)| (*name, hash.as_str(), *role)),
        );
        let before = self.mark(CONFIGURED).await?;
        if before == Some(now) || (before.is_none() && hashes.is_empty()) {
            return Ok(());
        }
        let roles: BTreeMap<&str, Role> = hashes
            .iter()
            .map(|(name, _, role)| (*name, *role))
            .collect();
        self.commit(Note {
            actor: admin("configuration"),
            action: "configure_tokens".to_owned(),
            subject: "auth.tokens".to_owned(),
            detail: json!({ "tokens": roles }),
            marks: vec![(CONFIGURED.to_owned(), now)],
        })
        .await
    }

    /// Takes over what is new, whenever the file changed or somebody asks, until told to stop.
    pub async fn follow(mut self, stop: CancellationToken) {
        let mut seen = None;
        loop {
            self.accounts.refresh();
            let now = self.accounts.file().stamp();
            if seen != Some(now) {
                match self.take_over().await {
                    Ok(()) => seen = Some(now),
                    Err(error) => {
                        tracing::error!(%error, "changes of access are not in the audit trail yet");
                    }
                }
            }
            self.sweep().await;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(ask) = self.asks.0.recv() => {
                    if let Err(error) = self.take_over().await {
                        tracing::error!(%error, "changes of access are not in the audit trail yet");
                        seen = None;
                    }
                    // Whoever asked may have gone.
                    ask.0.send(()).unwrap_or(());
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Says which sessions were locked or ended by time.
    async fn sweep(&self) {
        let (accounts, now) = (self.accounts.clone(), self.clock.now());
        let swept = tokio::task::spawn_blocking(move || accounts.sweep(now)).await;
        for Found { action, user, why } in swept.unwrap_or_default() {
            let note = Note {
                actor: admin("cityhub"),
                action: action.to_owned(),
                subject: user,
                detail: json!({ "why": why }),
                marks: Vec::new(),
            };
            if let Err(error) = self.commit(note).await {
                tracing::error!(%error, "the end of a session is not in the audit trail");
            }
        }
    }

    /// Takes over what the trail does not know yet.
    pub async fn take_over(&self) -> Result<(), TrailError> {
        let file = self.accounts.file().clone();
        let stored = tokio::task::spawn_blocking(move || file.read()).await??;
        let marks = (self.mark(TAKEN).await?, self.mark(KNOWN).await?);
        for note in news(&stored, marks) {
            self.commit(note).await?;
        }
        Ok(())
    }

    async fn mark(&self, name: &'static str) -> Result<Option<u64>, TrailError> {
        let feed = Arc::clone(&self.feed);
        let read = tokio::task::spawn_blocking(move || feed.cursor(name)).await?;
        Ok(read?)
    }

    async fn commit(&self, note: Note) -> Result<(), TrailError> {
        let action = Action::Note {
            action: note.action,
            subject: note.subject,
            detail: note.detail,
            marks: note.marks,
        };
        let actor = note.actor;
        let done = self.operator.commit(Command { actor, action }).await?;
        tracing::debug!(seq = done.seq, "a change of access is in the audit trail");
        Ok(())
    }
}

fn admin(name: &str) -> Actor {
    Actor {
        name: name.to_owned(),
        role: Role::Admin,
    }
}

/// Tells what the trail does not know yet: the changes after the last one taken, and whether users
/// and tokens are others than those changes make them.
fn news(stored: &Stored, (taken, known): (Option<u64>, Option<u64>)) -> Vec<Note> {
    let taken = taken.unwrap_or(0);
    let last = stored.changes.last();
    let new = stored.changes.iter().filter(|change| change.number > taken);
    let mut notes: Vec<Note> = new.map(of_change).collect();
    let expected = match last.filter(|_| !notes.is_empty()) {
        Some(change) => Some(change.digest),
        None => known,
    };
    let is_untouched = expected.is_none() && stored.tokens.is_empty() && stored.users.is_empty();
    if expected == Some(stored.digest()) || is_untouched {
        return notes;
    }
    let tokens = stored.tokens.iter();
    let tokens: BTreeMap<&str, Role> = tokens
        .map(|(name, token)| (name.as_str(), token.role))
        .collect();
    let users = stored.users.iter();
    let users: BTreeMap<&str, Role> = users
        .map(|(name, user)| (name.as_str(), user.role))
        .collect();
    notes.push(Note {
        // The file was written by something else than the hub and its command.
        actor: admin("unknown"),
        action: "find_tokens".to_owned(),
        subject: FILE.to_owned(),
        detail: json!({ "tokens": tokens, "users": users }),
        marks: marks(last.map_or(0, |change| change.number), stored.digest()),
    });
    notes
}

fn of_change(change: &Change) -> Note {
    let mut detail = Map::from_iter([
        ("role".to_owned(), json!(change.role)),
        ("done_at".to_owned(), json!(change.at)),
    ]);
    detail.extend(change.detail.clone());
    Note {
        actor: Actor {
            name: change.by.clone(),
            role: change.by_role.unwrap_or(Role::Admin),
        },
        action: change.action.clone(),
        subject: change.name.clone(),
        detail: Value::Object(detail),
        marks: marks(change.number, change.digest),
    }
}

fn marks(taken: u64, known: u64) -> Vec<(String, u64)> {
    vec![(TAKEN.to_owned(), taken), (KNOWN.to_owned(), known)]
}

#[cfg(test)]
mod tests {
    use super::news;
    use crate::file::{FILE, StoredToken, write_json};
    use crate::{AccessFile, NewUser, Settings};
    use sdk::Role;
    use std::collections::BTreeMap;

    #[test]
    fn every_change_is_told_once_and_a_change_by_hand_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = AccessFile::new(folder.path(), BTreeMap::new(), &Settings::default());
        let told = |marks| -> Vec<(String, String)> {
            let notes = news(&file.read().unwrap(), marks);
            let pairs = notes.into_iter().map(|note| (note.action, note.subject));
            pairs.collect()
        };
        assert_eq!(told((None, None)), []);
        file.add_token(None, "night", (Role::Officer, None))
            .unwrap();
        let user = NewUser {
            name: "zhangsan".to_owned(),
            display_name: "张三".to_owned(),
            role: Role::Officer,
            password: "a long enough one".to_owned(),
            must_change_password: false,
            enabled: true,
        };
        file.add_user(None, &user).unwrap();
        file.remove_token(None, "night").unwrap();
        let pair = |action: &str, subject: &str| (action.to_owned(), subject.to_owned());
        assert_eq!(
            told((None, None)),
            [
                pair("add_token", "night"),
                pair("add_user", "zhangsan"),
                pair("remove_token", "night")
            ]
        );
        let known = Some(file.read().unwrap().digest());
        assert_eq!(told((Some(2), known)), [pair("remove_token", "night")]);
        assert_eq!(told((Some(3), known)), []);

        let mut stored = file.read().unwrap();
        let sha256 = "0".repeat(64);
        let role = Role::Admin;
        stored.tokens.insert(
            "back door".to_owned(),
            StoredToken {
                sha256,
                role,
                expires_at: None,
            },
        );
        write_json(&file.path(), &stored).unwrap();
        assert_eq!(told((Some(3), known)), [pair("find_tokens", FILE)]);
        assert_eq!(told((Some(3), Some(stored.digest()))), []);
        // A file that is gone takes all with it, and nobody said so.
        std::fs::remove_file(file.path()).unwrap();
        assert_eq!(
            told((Some(3), Some(stored.digest()))),
            [pair("find_tokens", FILE)]
        );
    }
}
