//! Tokens of automation, beside those of the configuration.

use crate::file::{Said, Stored, StoredToken};
use crate::random::{random, to_hex};
use crate::{AccessError, AccessFile};
use sdk::{Access, Actor, Role, TokenHash, TokenTable};
use serde::Serialize;
use serde_json::Map;
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
}

impl AccessFile {
    /// Lets in whoever holds a token of the configuration or of the file, as it is at the time.
    pub fn access(&self) -> Result<Access, AccessError> {
        let table = self.token_table(self.read()?);
        let seen = Mutex::new(self.stamp());
        let file = self.clone();
        let reload = move || {
            // Asked at every request: one `stat`, and a read only if the file changed.
            let now = file.stamp();
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == now {
                return None;
            }
            *seen = now;
            file.read().ok().map(|stored| file.token_table(stored))
        };
        Ok(Access::new(table, reload))
    }

    fn token_table(&self, stored: Stored) -> TokenTable {
        let configured = self.configured.iter();
        let configured = configured.map(|(name, (hash, role))| (*hash, name.clone(), *role));
        let kept = stored.tokens.into_iter().filter_map(|(name, token)| {
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
        role: Role,
    ) -> Result<String, AccessError> {
        let token = to_hex(&random::<TOKEN_BYTES>()?);
        let sha256 = TokenHash::of(&token).to_hex();
        self.update(|stored| {
            self.check_name(stored, name)?;
            stored
                .tokens
                .insert(name.to_owned(), StoredToken { sha256, role });
            stored.note(by, said("add_token", name, role));
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
        let row = |name: &String, role, configured| TokenRow {
            name: name.clone(),
            role,
            configured,
        };
        let configured = self.configured.iter();
        let mut rows: Vec<TokenRow> = configured
            .map(|(name, (_, role))| row(name, *role, true))
            .collect();
        let stored = self.read()?;
        let kept = stored.tokens.iter();
        rows.extend(kept.map(|(name, token)| row(name, token.role, false)));
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rows)
    }
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
        let token = file.add_token(None, "night", Role::Officer).unwrap();
        let actor = access.check(&token).unwrap();
        assert_eq!((actor.name.as_str(), actor.role), ("night", Role::Officer));
        assert!(file.add_token(None, "night", Role::Admin).is_err());
        let names: Vec<_> = file.tokens().unwrap().into_iter().map(|t| t.name).collect();
        assert_eq!(names, ["gate", "night"]);
    }

    #[test]
    fn a_removed_token_is_refused_and_none_is_stored_in_clear() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        let token = file.add_token(None, "a", Role::Viewer).unwrap();
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
                .add_token(None, name, Role::Viewer)
                .unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(!folder.path().join("access.json").exists());
    }
}
