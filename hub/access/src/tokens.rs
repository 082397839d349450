//! Tokens of automation, beside those of the configuration.

use crate::file::{Said, Stored, StoredToken};
use crate::random::{random, to_hex};
use crate::{AccessError, AccessFile};
use model::Timestamp;
use sdk::{Access, Actor, Clock, Role, TokenHash, TokenTable};
use serde::Serialize;
use serde_json::{Map, json};
use std::sync::{Mutex, PoisonError};

/// Random bytes in a token: 192 bits, beyond guessing.
const TOKEN_BYTES: usize = 24;

/// A token as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenRow {
    pub name: String,
    pub role: Role,
    /// It is of the configuration, and only the configuration changes it.
    pub configured: bool,
    /// It lets nobody in from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl AccessFile {
    /// Lets in whoever holds a token of the configuration or of the file, as it is at the time.
    pub fn access(&self) -> Result<Access, AccessError> {
        let now = Clock::System.now();
        let stored = self.read()?;
        let next = next_expiry(&stored, now);
        let table = self.token_table(stored, now);
        let seen = Mutex::new((self.stamp(), next));
        let file = self.clone();
        let reload = move || {
            // Asked at every request: one `stat`, and a read only if the file changed or a token
            // has come to its end.
            let stamp = file.stamp();
            let now = Clock::System.now();
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.0 == stamp && seen.1.is_none_or(|at| now < at) {
                return None;
            }
            let stored = file.read().ok()?;
            *seen = (stamp, next_expiry(&stored, now));
            Some(file.token_table(stored, now))
        };
        Ok(Access::new(table, reload))
    }

    fn token_table(&self, stored: Stored, now: Timestamp) -> TokenTable {
        let configured = self.configured.iter();
        let configured = configured.map(|(name, (hash, role))| (*hash, name.clone(), *role));
        let kept = stored.tokens.into_iter();
        let kept = kept.filter(|(_, token)| token.expires_at.is_none_or(|at| now < at));
        let kept = kept.filter_map(|(name, token)| {
            Some((TokenHash::from_hex(&token.sha256)?, name, token.role))
        });
        configured
            .chain(kept)
            .map(|(hash, name, role)| (hash, Actor { name, role }))
            .collect()
    }

    /// Makes a token, stores its hash and returns it. The name stands in the audit, so it is one
    /// that people can read and that nobody else has. Without an actor it is the command line.
    pub fn add_token(
        &self,
        by: Option<&Actor>,
        name: &str,
        (role, expires_at): (Role, Option<Timestamp>),
    ) -> Result<String, AccessError> {
        if expires_at.is_some_and(|at| at <= Clock::System.now()) {
            let reason = "the token would be over before it begins".to_owned();
            return Err(AccessError::invalid("expires_at", reason));
        }

        let token = to_hex(&random::<TOKEN_BYTES>()?);
        let sha256 = TokenHash::of(&token).to_hex();
        self.update(|stored| {
            self.check_name(stored, name)?;
            stored.tokens.insert(
                name.to_owned(),
                StoredToken {
                    sha256,
                    role,
                    expires_at,
                },
            );
            let mut said = said("add_token", name, role);
            if let Some(at) = expires_at {
                said.detail.insert("expires_at".to_owned(), json!(at));
            }
            stored.note(by, said);
            Ok(())
        })?;
        Ok(token)
    }

    /// Takes a token away; a running hub refuses it from then on.
    pub fn remove_token(&self, by: Option<&Actor>, name: &str) -> Result<(), AccessError> {
        self.update(|stored| {
            if let Some(token) = stored.tokens.remove(name) {
                stored.note(by, said("remove_token", name, token.role));
                return Ok(());
            }
            if self.configured.contains_key(name) {
                let reason = format!("token `{name}` is of the configuration; remove it there");
                return Err(AccessError::Conflict(reason));
            }
            let reason = format!("there is no token named `{name}`");
            Err(AccessError::NotFound(reason))
        })
    }

    /// Lists all tokens by name.
    pub fn tokens(&self) -> Result<Vec<TokenRow>, AccessError> {
        let row = |name: &String, role, configured, expires_at| TokenRow {
            name: name.clone(),
            role,
            configured,
            expires_at,
        };
        let configured = self.configured.iter();
        let mut rows: Vec<TokenRow> = configured
            .map(|(name, (_, role))| row(name, *role, true, None))
            .collect();
        let stored = self.read()?;
        let kept = stored.tokens.iter();
        rows.extend(kept.map(|(name, token)| row(name, token.role, false, token.expires_at)));
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rows)
    }
}

/// When the next token of the file comes to its end.
fn next_expiry(stored: &Stored, now: Timestamp) -> Option<Timestamp> {
    let ends = stored.tokens.values().filter_map(|token| token.expires_at);
    ends.filter(|at| *at > now).min()
}

fn said<'a>(action: &'static str, name: &'a str, role: Role) -> Said<'a> {
    Said {
        action,
        name,
        role,
        detail: Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::{AccessFile, Settings};
    use sdk::{Role, TokenHash};
    use std::collections::BTreeMap;
    use tempfile::TempDir;

    fn file(folder: &TempDir) -> AccessFile {
        let gate = (TokenHash::of("long enough"), Role::Viewer);
        let configured = BTreeMap::from([("gate".to_owned(), gate)]);
        AccessFile::new(folder.path(), configured, &Settings::default())
    }

    #[test]
    fn a_token_that_is_added_works_at_once_beside_those_of_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        let access = file.access().unwrap();
        assert!(access.check("guess").is_none());
        assert_eq!(access.check("long enough").unwrap().name, "gate");
        let token = file
            .add_token(None, "night", (Role::Officer, None))
            .unwrap();
        let actor = access.check(&token).unwrap();
        assert_eq!((actor.name.as_str(), actor.role), ("night", Role::Officer));
        assert!(file.add_token(None, "night", (Role::Admin, None)).is_err());
        let names: Vec<_> = file.tokens().unwrap().into_iter().map(|t| t.name).collect();
        assert_eq!(names, ["gate", "night"]);
    }

    #[test]
    fn a_token_with_an_end_lets_nobody_in_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        let access = file.access().unwrap();
        let now = sdk::Clock::System.now();
        let over = (Role::Viewer, Some(now));
        assert!(file.add_token(None, "over", over).is_err());
        let tomorrow = (Role::Viewer, Some(now.plus_s(86_400)));
        let token = file.add_token(None, "guest", tomorrow).unwrap();
        assert!(access.check(&token).is_some());
        let soon = Some(now.plus_ms(400));
        let brief = file.add_token(None, "brief", (Role::Viewer, soon)).unwrap();
        let until = std::time::Duration::from_secs(20);
        let begun = tokio::time::Instant::now();
        // Nothing changes on disk: it is the time alone.
        while access.check(&brief).is_some() {
            assert!(begun.elapsed() < until, "it goes on letting in");
            std::thread::yield_now();
        }
        assert!(sdk::Clock::System.now() >= now.plus_ms(400));
        assert!(access.check(&token).is_some());
        let rows = file.tokens().unwrap();
        assert_eq!(
            rows.iter()
                .find(|row| row.name == "brief")
                .unwrap()
                .expires_at,
            soon
        );
    }

    #[test]
    fn a_removed_token_is_refused_and_none_is_stored_in_clear() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        let token = file.add_token(None, "a", (Role::Viewer, None)).unwrap();
        let access = file.access().unwrap();
        let text = std::fs::read_to_string(folder.path().join("access.json")).unwrap();
        assert!(!text.contains(&token));
        file.remove_token(None, "a").unwrap();
        assert!(access.check(&token).is_none());
        let error = file.remove_token(None, "gate").unwrap_err();
        assert!(
            error.to_string().contains("of the configuration"),
            "{error}"
        );
    }

    #[test]
    fn a_name_that_is_empty_unreadable_or_taken_by_the_configuration_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (name, reason) in [
            ("", "name is needed"),
            (" ", "name is needed"),
            ("a\nb", "control characters"),
            ("gate", "the configuration has"),
        ] {
            let error = file(&folder)
                .add_token(None, name, (Role::Viewer, None))
                .unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(!folder.path().join("access.json").exists());
    }
}
