//! Takes what `cityhub admin` did to the tokens into the audit trail, each change once.
//!
//! The command cannot write the journal, which a running hub owns: it writes the change into the same
//! file as the token, in one step, and the hub takes it over within a second or at its next start.

use super::{AccessChange, FILE, Stored, changed_at, digest, read};
use crate::config::Auth;
use crate::standing;
use anyhow::{Context, Result};
use sdk::{Action, Actor, Command, Operator, Role, TokenHash};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use store::Reader;
use tokio_util::sync::CancellationToken;

/// How often the file is looked at: one `stat`.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The number of the last change that was taken over.
const TAKEN: &str = "access:taken";
/// The digest of the tokens as the audit trail knows them.
const KNOWN: &str = "access:known";
/// The digest of the tokens of the configuration.
const CONFIGURED: &str = "access:configured";

/// Brings changes of the tokens into the audit trail.
#[derive(Debug)]
pub(crate) struct Trail {
    path: PathBuf,
    operator: Operator,
    reader: Reader,
}

/// What the audit trail is about to say.
#[derive(Clone, Debug, PartialEq)]
struct Note {
    actor: String,
    action: String,
    subject: String,
    detail: Value,
    marks: Vec<(String, u64)>,
}

impl Trail {
    pub(crate) fn new(data_dir: &Path, operator: Operator, reader: Reader) -> Self {
        Self {
            path: data_dir.join(FILE),
            operator,
            reader,
        }
    }

    /// Says which tokens the configuration has, if they are others than at the last start.
    pub(crate) async fn note_configured(&self, auth: &Auth) -> Result<()> {
        let hashes: BTreeMap<&str, (String, Role)> = auth
            .tokens
            .iter()
            .map(|(name, token)| {
                let hash = TokenHash::of(token.token.reveal()).to_hex();
                (name.as_str(), (hash, token.role))
            })
            .collect();
        let now = digest(
            hashes
                .iter()
                .map(|(name, (hash, role))| (*name, hash.as_str(), *role)),
        );
        let before = self.mark(CONFIGURED).await?;
        if before == Some(now) || (before.is_none() && hashes.is_empty()) {
            return Ok(());
        }
        let roles: BTreeMap<&str, Role> = hashes
            .iter()
            .map(|(name, (_, role))| (*name, *role))
            .collect();
        self.commit(Note {
            actor: standing::actor().name,
            action: "configure_tokens".to_owned(),
            subject: "auth.tokens".to_owned(),
            detail: json!({ "tokens": roles }),
            marks: vec![(CONFIGURED.to_owned(), now)],
        })
        .await
    }

    /// Takes over what is new in the file, once now and then whenever it changed, until told to stop.
    pub(crate) async fn follow(self, stop: CancellationToken) {
        let mut seen = None;
        loop {
            let now = changed_at(&self.path);
            if seen != Some(now) {
                match self.take_over().await {
                    Ok(()) => seen = Some(now),
                    Err(error) => {
                        let error = format!("{error:#}");
                        tracing::error!(error, "changes of tokens are not in the audit trail yet");
                    }
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    pub(crate) async fn take_over(&self) -> Result<()> {
        let path = self.path.clone();
        let stored = tokio::task::spawn_blocking(move || read(&path)).await??;
        let marks = (self.mark(TAKEN).await?, self.mark(KNOWN).await?);
        for note in news(&stored, marks) {
            self.commit(note).await?;
        }
        Ok(())
    }

    async fn mark(&self, name: &'static str) -> Result<Option<u64>> {
        let reader = self.reader.clone();
        let read = tokio::task::spawn_blocking(move || reader.cursor(name)).await?;
        read.context("read how far the audit trail knows the tokens")
    }

    async fn commit(&self, note: Note) -> Result<()> {
        let actor = Actor {
            name: note.actor,
            role: Role::Admin,
        };
        let action = Action::Note {
            action: note.action,
            subject: note.subject,
            detail: note.detail,
            marks: note.marks,
        };
        let done = self.operator.commit(Command { actor, action }).await?;
        tracing::debug!(seq = done.seq, "a change of tokens is in the audit trail");
        Ok(())
    }
}

/// Tells what the trail does not know yet: the changes after the last one taken, and whether the
/// tokens are others than those changes make them.
fn news(stored: &Stored, (taken, known): (Option<u64>, Option<u64>)) -> Vec<Note> {
    let taken = taken.unwrap_or(0);
    let last = stored.changes.last();
    let new = stored.changes.iter().filter(|change| change.number > taken);
    let mut notes: Vec<Note> = new.map(of_change).collect();
    let expected = match last.filter(|_| !notes.is_empty()) {
        Some(change) => Some(change.digest),
        None => known,
    };
    let is_untouched = expected.is_none() && stored.tokens.is_empty();
    if expected == Some(stored.digest()) || is_untouched {
        return notes;
    }
    let roles: BTreeMap<&str, Role> = stored
        .tokens
        .iter()
        .map(|(name, token)| (name.as_str(), token.role))
        .collect();
    notes.push(Note {
        // The file was written by something else than the command.
        actor: "unknown".to_owned(),
        action: "find_tokens".to_owned(),
        subject: FILE.to_owned(),
        detail: json!({ "tokens": roles }),
        marks: marks(last.map_or(0, |change| change.number), stored.digest()),
    });
    notes
}

fn of_change(change: &AccessChange) -> Note {
    Note {
        actor: change.by.clone(),
        action: change.action.clone(),
        subject: change.name.clone(),
        detail: json!({ "role": change.role, "done_at": change.at }),
        marks: marks(change.number, change.digest),
    }
}

fn marks(taken: u64, known: u64) -> Vec<(String, u64)> {
    vec![(TAKEN.to_owned(), taken), (KNOWN.to_owned(), known)]
}

#[cfg(test)]
mod tests {
    use super::super::{StoredToken, add_token, read, remove_token};
    use super::{FILE, news};
    use crate::config::Auth;
    use sdk::Role;

    #[test]
    fn every_change_of_the_tokens_is_told_once_and_a_change_by_hand_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let told = |marks| -> Vec<(String, String)> {
            let notes = news(&read(&path).unwrap(), marks);
            let pairs = notes.into_iter().map(|note| (note.action, note.subject));
            pairs.collect()
        };
        assert_eq!(told((None, None)), []);
        add_token(folder.path(), &Auth::default(), "night", Role::Officer).unwrap();
        add_token(folder.path(), &Auth::default(), "day", Role::Viewer).unwrap();
        remove_token(folder.path(), "day").unwrap();
        let pair = |action: &str, subject: &str| (action.to_owned(), subject.to_owned());
        assert_eq!(
            told((None, None)),
            [
                pair("add_token", "night"),
                pair("add_token", "day"),
                pair("remove_token", "day")
            ]
        );
        let known = Some(read(&path).unwrap().digest());
        assert_eq!(told((Some(2), known)), [pair("remove_token", "day")]);
        assert_eq!(told((Some(3), known)), []);

        let mut stored = read(&path).unwrap();
        let sha256 = "0".repeat(64);
        let role = Role::Admin;
        stored
            .tokens
            .insert("back door".to_owned(), StoredToken { sha256, role });
        super::super::write(&path, &stored).unwrap();
        assert_eq!(told((Some(3), known)), [pair("find_tokens", FILE)]);
        assert_eq!(told((Some(3), Some(stored.digest()))), []);
        // A file that is gone takes its tokens with it, and nobody said so.
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            told((Some(3), Some(stored.digest()))),
            [pair("find_tokens", FILE)]
        );
    }
}
