//! Tokens on disk: `access.json` in the data directory, written by `cityhub admin`.

mod trail;

pub(crate) use trail::Trail;

use crate::config::Auth;
use anyhow::{Context, Result, bail};
use model::Timestamp;
use sdk::{Access, Actor, Clock, Role, TokenHash, TokenTable};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

const FILE: &str = "access.json";

/// Random bytes in a token: 192 bits, beyond guessing.
const TOKEN_BYTES: usize = 24;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    tokens: BTreeMap<String, StoredToken>,
    /// What was changed here, oldest first; the hub takes it into the audit trail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changes: Vec<AccessChange>,
}

/// A change of the file, written together with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessChange {
    /// 1, 2, 3 …
    number: u64,
    at: Timestamp,
    /// Who ran the command, as far as the system knows.
    by: String,
    /// `add_token` or `remove_token`.
    action: String,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    /// The digest of the tokens after it.
    digest: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredToken {
    /// SHA-256 of the token, in hex; the token itself is shown once and kept nowhere.
    sha256: String,
    role: Role,
}

/// Lets in whoever holds a token of the configuration or of the data directory.
pub fn open(data_dir: &Path, auth: &Auth) -> Result<Access> {
    let path = data_dir.join(FILE);
    let fixed: TokenTable = auth
        .tokens
        .iter()
        .map(|(name, token)| {
            let actor = Actor {
                name: name.clone(),
                role: token.role,
            };
            (TokenHash::of(token.token.reveal()), actor)
        })
        .collect();
    let table = merged(&fixed, read(&path)?);
    let seen = Mutex::new(changed_at(&path));
    let reload = move || {
        // Asked at every sign-in: one `stat`, and a read only if the file changed.
        let now = changed_at(&path);
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return None;
        }
        *seen = now;
        read(&path).ok().map(|stored| merged(&fixed, stored))
    };
    Ok(Access::new(table, reload))
}

/// Makes a token, stores its hash and returns it. The name stands in the audit, so it is one that
/// people can read and that nobody else has.
pub fn add_token(data_dir: &Path, auth: &Auth, name: &str, role: Role) -> Result<String> {
    if name.trim().is_empty() {
        bail!("a token needs a name");
    }
    if name.chars().any(char::is_control) {
        bail!("the name {name:?} has control characters in it");
    }
    if auth.tokens.contains_key(name) {
        bail!("the configuration has a token named `{name}` already");
    }
    let path = data_dir.join(FILE);
    fs::create_dir_all(data_dir).with_context(|| format!("create {}", data_dir.display()))?;
    let mut stored = read(&path)?;
    if stored.tokens.contains_key(name) {
        bail!("there is a token named `{name}` already");
    }
    let token: String = random::<TOKEN_BYTES>()?
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let sha256 = TokenHash::of(&token).to_hex();
    stored
        .tokens
        .insert(name.to_owned(), StoredToken { sha256, role });
    stored.note("add_token", name, Some(role));
    write(&path, &stored)?;
    Ok(token)
}

/// Takes a token away; a running hub refuses it from then on.
pub fn remove_token(data_dir: &Path, name: &str) -> Result<()> {
    let path = data_dir.join(FILE);
    let mut stored = read(&path)?;
    let Some(token) = stored.tokens.remove(name) else {
        bail!("there is no token named `{name}`");
    };
    stored.note("remove_token", name, Some(token.role));
    write(&path, &stored)
}

impl Stored {
    fn note(&mut self, action: &str, name: &str, role: Option<Role>) {
        let last = self.changes.last().map_or(0, |change| change.number);
        self.changes.push(AccessChange {
            number: last + 1,
            at: Clock::System.now(),
            by: whoever_runs_this(),
            action: action.to_owned(),
            name: name.to_owned(),
            role,
            digest: self.digest(),
        });
    }

    /// Gives a number that is another one when the tokens are others.
    fn digest(&self) -> u64 {
        let tokens = self.tokens.iter();
        digest(tokens.map(|(name, token)| (name.as_str(), token.sha256.as_str(), token.role)))
    }
}

/// Gives 60 bits of the SHA-256 over names, hashes and roles: it fits where cursors are kept.
fn digest<'a>(tokens: impl Iterator<Item = (&'a str, &'a str, Role)>) -> u64 {
    let text = serde_json::to_string(&tokens.collect::<Vec<_>>()).expect("texts are JSON");
    let digits = TokenHash::of(&text).to_hex();
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

/// Takes random bytes from the system.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("read /dev/urandom")?;
    Ok(bytes)
}

fn merged(fixed: &TokenTable, stored: Stored) -> TokenTable {
    let mut table = fixed.clone();
    for (name, token) in stored.tokens {
        if let Some(hash) = TokenHash::from_hex(&token.sha256) {
            table.insert(
                hash,
                Actor {
                    name,
                    role: token.role,
                },
            );
        }
    }
    table
}

fn changed_at(path: &Path) -> Option<SystemTime> {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
}

fn read(path: &Path) -> Result<Stored> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("read {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Stored::default()),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

fn write(path: &Path, stored: &Stored) -> Result<()> {
    let temporary = temporary(path);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&temporary)
        .with_context(|| format!("write {}", temporary.display()))?;
    restrict(&file)?;
    file.write_all(serde_json::to_string_pretty(stored)?.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path).with_context(|| format!("rename to {}", path.display()))
}

fn temporary(path: &Path) -> PathBuf {
    path.with_extension("json.tmp")
}

#[cfg(unix)]
fn restrict(file: &fs::File) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(file.set_permissions(fs::Permissions::from_mode(0o600))?)
}

#[cfg(not(unix))]
fn restrict(_file: &fs::File) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{add_token, open, remove_token};
    use crate::config::Auth;
    use sdk::Role;

    #[test]
    fn a_token_that_is_added_works_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let access = open(folder.path(), &Auth::default()).unwrap();
        assert!(access.is_empty());
        assert!(access.check("guess").is_none());
        let token = add_token(folder.path(), &Auth::default(), "night", Role::Officer).unwrap();
        let actor = access.check(&token).unwrap();
        assert_eq!((actor.name.as_str(), actor.role), ("night", Role::Officer));
        assert!(add_token(folder.path(), &Auth::default(), "night", Role::Admin).is_err());
    }

    #[test]
    fn a_removed_token_is_refused_and_none_is_stored_in_clear() {
        let folder = tempfile::tempdir().unwrap();
        let token = add_token(folder.path(), &Auth::default(), "a", Role::Viewer).unwrap();
        let text = std::fs::read_to_string(folder.path().join("access.json")).unwrap();
        assert!(!text.contains(&token));
        remove_token(folder.path(), "a").unwrap();
        assert!(
            open(folder.path(), &Auth::default())
                .unwrap()
                .check(&token)
                .is_none()
        );
    }

    #[test]
    fn a_name_that_is_empty_unreadable_or_taken_by_the_configuration_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[tokens.gate]\ntoken = \"long enough\"\nrole = \"viewer\"\n";
        let auth: Auth = toml::from_str(text).unwrap();
        for (name, reason) in [
            ("", "needs a name"),
            (" ", "needs a name"),
            ("a\nb", "control characters"),
            ("gate", "the configuration has"),
        ] {
            let error = add_token(folder.path(), &auth, name, Role::Viewer).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(!folder.path().join("access.json").exists());
    }
}
