//! `access.json` in the data directory: users, tokens, and who changed them.
//!
//! The command line and a running hub both write it: each takes the lock of the folder, reads, changes,
//! and puts a new file in the place of the old one. What was changed stands in the same file, so that
//! the audit trail can take it over whatever happens in between.

use crate::password::{PasswordHash, PasswordRules};
use crate::{AccessError, Settings};
use model::Timestamp;
use sdk::{Actor, Clock, Role, TokenHash};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub(crate) const FILE: &str = "access.json";

/// What stands in the file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stored {
    pub(crate) tokens: BTreeMap<String, StoredToken>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) users: BTreeMap<String, StoredUser>,
    /// What was changed here, oldest first; the hub takes it into the audit trail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) changes: Vec<Change>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredToken {
    /// SHA-256 of the token, in hex; the token itself is shown once and kept nowhere.
    pub(crate) sha256: String,
    pub(crate) role: Role,
    /// It lets nobody in from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredUser {
    pub(crate) display_name: String,
    pub(crate) role: Role,
    pub(crate) enabled: bool,
    pub(crate) must_change_password: bool,
    pub(crate) password: PasswordHash,
    pub(crate) created_at: Timestamp,
    /// Failures before this do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unlocked_at: Option<Timestamp>,
    /// When the password was chosen; with the user, where this is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password_set_at: Option<Timestamp>,
}

/// A change of the file, written together with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// 1, 2, 3 …
    pub(crate) number: u64,
    pub(crate) at: Timestamp,
    /// Whoever ran the command, as far as the system knows, or the user of the console.
    pub(crate) by: String,
    /// The role of a user of the console; who runs the command is as good as an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by_role: Option<Role>,
    /// `add_token`, `remove_token`, `add_user` …
    pub(crate) action: String,
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<Role>,
    /// What else is to be said.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) detail: Map<String, Value>,
    /// The digest of users and tokens after it.
    pub(crate) digest: u64,
}

/// What is about to be said of a change.
#[derive(Clone, Debug)]
pub(crate) struct Said<'a> {
    pub(crate) action: &'static str,
    pub(crate) name: &'a str,
    pub(crate) role: Role,
    pub(crate) detail: Map<String, Value>,
}

impl Stored {
    /// Numbers a change and writes it down.
    pub(crate) fn note(&mut self, by: Option<&Actor>, said: Said<'_>) {
        let last = self.changes.last().map_or(0, |change| change.number);
        self.changes.push(Change {
            number: last + 1,
            at: Clock::System.now(),
            by: by.map_or_else(whoever_runs_this, |actor| actor.name.clone()),
            by_role: by.map(|actor| actor.role),
            action: said.action.to_owned(),
            name: said.name.to_owned(),
            role: Some(said.role),
            detail: said.detail,
            digest: self.digest(),
        });
    }

    /// Gives a number that is another one when users or tokens are others.
    pub(crate) fn digest(&self) -> u64 {
        let tokens = self.tokens.iter();
        let tokens = tokens.map(|(name, token)| (name.as_str(), token.sha256.as_str(), token.role));
        if self.users.is_empty() {
            return digest(tokens);
        }
        let users = serde_json::to_string(&self.users).expect("plain data with text keys is JSON");
        digest_of(&format!("{}{users}", digest(tokens)))
    }

    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.tokens.contains_key(name) || self.users.contains_key(name)
    }
}

/// Gives 60 bits of the SHA-256 over names, hashes and roles: it fits where cursors are kept.
pub(crate) fn digest<'a>(tokens: impl Iterator<Item = (&'a str, &'a str, Role)>) -> u64 {
    let text = serde_json::to_string(&tokens.collect::<Vec<_>>()).expect("texts are JSON");
    digest_of(&text)
}

fn digest_of(text: &str) -> u64 {
    let digits = TokenHash::of(text).to_hex();
    digits
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .take(15)
        .fold(0, |sum, digit| sum * 16 + u64::from(digit))
}

/// Names the user of the system: the number counts, the name is what the environment says.
#[cfg(unix)]
fn whoever_runs_this() -> String {
    use std::os::unix::fs::MetadataExt;
    let uid = fs::metadata("/proc/self").map_or_else(|_| "?".to_owned(), |me| me.uid().to_string());
    let name = std::env::var("USER").unwrap_or_default();
    let name: String = name
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(32)
        .collect();
    format!("uid {uid} {name}").trim_end().to_owned()
}

#[cfg(not(unix))]
fn whoever_runs_this() -> String {
    "command line".to_owned()
}

/// Tells one state of the file from the next.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    /// A new file has another number, even when both were written in one tick of the clock.
    inode: u64,
}

/// The file, and what it must agree with.
#[derive(Clone, Debug)]
pub struct AccessFile {
    folder: PathBuf,
    /// Tokens of the configuration.
    pub(crate) configured: BTreeMap<String, (TokenHash, Role)>,
    pub(crate) rules: PasswordRules,
}

impl AccessFile {
    pub fn new(
        folder: &Path,
        configured: BTreeMap<String, (TokenHash, Role)>,
        settings: &Settings,
    ) -> Self {
        Self {
            folder: folder.to_owned(),
            configured,
            rules: PasswordRules {
                length_min: settings.password_length_min,
                kinds_min: settings.password_kinds_min,
            },
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    pub(crate) fn stamp(&self) -> Option<Stamp> {
        let metadata = fs::metadata(self.path()).ok()?;
        Some(Stamp {
            modified: metadata.modified().ok(),
            bytes: metadata.len(),
            inode: inode(&metadata),
        })
    }

    pub(crate) fn read(&self) -> Result<Stored, AccessError> {
        Ok(read_json(&self.path())?.unwrap_or_default())
    }

    /// Changes the file as one step, alone.
    pub(crate) fn update<T>(
        &self,
        change: impl FnOnce(&mut Stored) -> Result<T, AccessError>,
    ) -> Result<T, AccessError> {
        let failed = |what, error| AccessError::File {
            what,
            path: self.folder.clone(),
            error,
        };
        fs::create_dir_all(&self.folder).map_err(|error| failed("create", error))?;
        let folder = File::open(&self.folder).map_err(|error| failed("open", error))?;
        folder.lock().map_err(|error| failed("lock", error))?;
        let mut stored = self.read()?;
        let outcome = change(&mut stored)?;
        write_json(&self.path(), &stored)?;
        Ok(outcome)
    }

    /// Notes what was done beside the hub, for the audit trail: it is taken over within a second, or
    /// at the next start.
    pub fn note_done(
        &self,
        action: &'static str,
        subject: &str,
        detail: Map<String, Value>,
    ) -> Result<(), AccessError> {
        self.update(|stored| {
            let said = Said {
                action,
                name: subject,
                role: Role::Admin,
                detail,
            };
            stored.note(None, said);
            Ok(())
        })
    }

    /// Refuses names that nobody could read in the audit trail, or that somebody has.
    pub(crate) fn check_name(&self, stored: &Stored, name: &str) -> Result<(), AccessError> {
        let refuse = |reason: String| Err(AccessError::invalid("name", reason));
        if name.trim().is_empty() {
            return refuse("a name is needed".to_owned());
        }
        if name.chars().any(char::is_control) {
            return refuse(format!("the name {name:?} has control characters in it"));
        }
        if name.chars().count() > NAME_CHARS_MAX {
            return refuse(format!(
                "a name may have {NAME_CHARS_MAX} characters at most"
            ));
        }
        if self.configured.contains_key(name) {
            let reason = format!("the configuration has a token named `{name}` already");
            return Err(AccessError::Conflict(reason));
        }
        if stored.is_named(name) {
            let what = if stored.users.contains_key(name) {
                "user"
            } else {
                "token"
            };
            let reason = format!("there is a {what} named `{name}` already");
            return Err(AccessError::Conflict(reason));
        }
        Ok(())
    }
}

const NAME_CHARS_MAX: usize = 64;

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    metadata.ino()
}

#[cfg(not(unix))]
fn inode(_metadata: &fs::Metadata) -> u64 {
    0
}

/// Reads a JSON file; one that is not there is `None`.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(
    path: &Path,
) -> Result<Option<T>, AccessError> {
    let failed = |error| AccessError::File {
        what: "read",
        path: path.to_owned(),
        error,
    };
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| failed(error.into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Puts a new file in the place of the old one; only its owner may read it.
pub(crate) fn write_json(path: &Path, content: &impl Serialize) -> Result<(), AccessError> {
    let text = serde_json::to_string_pretty(content).expect("plain data with text keys is JSON");
    replace(path, &text).map_err(|error| AccessError::File {
        what: "write",
        path: path.to_owned(),
        error,
    })
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let temporary = path.with_extension("json.tmp");
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&temporary)?;
    restrict(&file)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    give_to_owner(&file, folder)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

/// What root writes must stay readable to the hub, which is better run by somebody else.
#[cfg(unix)]
fn give_to_owner(file: &File, folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let owner = fs::metadata(folder)?;
    if file.metadata()?.uid() != 0 || owner.uid() == 0 {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

#[cfg(not(unix))]
fn give_to_owner(_file: &File, _folder: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn restrict(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn restrict(_file: &File) -> std::io::Result<()> {
    Ok(())
}
