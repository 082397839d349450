//! Users: people who sign in with a password.

use crate::file::{Said, Stored, StoredUser};
use crate::password::{self, PasswordHash};
use crate::{AccessError, AccessFile};
use model::Timestamp;
use sdk::{Actor, Clock, Role};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Longest name that is shown, in characters.
const DISPLAY_NAME_CHARS_MAX: usize = 64;

/// Somebody who is to be let in.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    pub name: String,
    /// What people call them; the name itself if it is left out.
    #[serde(default)]
    pub display_name: String,
    pub role: Role,
    pub password: String,
    /// Whoever chose the password is not who uses it.
    #[serde(default = "yes")]
    pub must_change_password: bool,
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewUser")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// What is to be another; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    pub display_name: Option<String>,
    pub role: Option<Role>,
    pub enabled: Option<bool>,
    pub must_change_password: Option<bool>,
}

/// A user as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UserRow {
    pub name: String,
    pub display_name: String,
    pub role: Role,
    pub enabled: bool,
    pub must_change_password: bool,
    pub created_at: Timestamp,
    pub locked_until: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
}

impl UserRow {
    pub(crate) fn of(name: &str, user: &StoredUser) -> Self {
        Self {
            name: name.to_owned(),
            display_name: user.display_name.clone(),
            role: user.role,
            enabled: user.enabled,
            must_change_password: user.must_change_password,
            created_at: user.created_at,
            locked_until: None,
            last_seen: None,
        }
    }
}

impl AccessFile {
    /// Lets somebody in from now on. Without an actor it is the command line.
    pub fn add_user(&self, by: Option<&Actor>, user: &NewUser) -> Result<(), AccessError> {
        self.check_user_name(&self.read()?, &user.name)?;
        let display_name = shown_name(&user.display_name, &user.name)?;
        password::check(&user.password, &user.name, self.rules)?;
        // Before the lock, because it takes its time.
        let hash = PasswordHash::of(&user.password)?;
        self.update(|stored| {
            self.check_user_name(stored, &user.name)?;
            stored.users.insert(
                user.name.clone(),
                StoredUser {
                    display_name: display_name.clone(),
                    role: user.role,
                    enabled: user.enabled,
                    must_change_password: user.must_change_password,
                    password: hash,
                    created_at: Clock::System.now(),
                    unlocked_at: None,
                    password_set_at: None,
                },
            );
            let detail = detail(json!({ "display_name": display_name, "enabled": user.enabled }));
            stored.note(by, said("add_user", &user.name, user.role, detail));
            Ok(())
        })
    }

    /// Changes what is not the password; says what was and what is.
    pub fn change_user(
        &self,
        by: Option<&Actor>,
        name: &str,
        change: &UserChange,
    ) -> Result<(), AccessError> {
        let shown = change.display_name.as_deref();
        let shown = shown.map(|shown| shown_name(shown, name)).transpose()?;
        self.update(|stored| {
            let mut user = find(stored, name)?.clone();
            let mut differences = Map::new();
            if let Some(shown) = &shown {
                replace(
                    &mut differences,
                    "display_name",
                    &mut user.display_name,
                    shown,
                );
            }
            if let Some(role) = &change.role {
                replace(&mut differences, "role", &mut user.role, role);
            }
            if let Some(enabled) = &change.enabled {
                replace(&mut differences, "enabled", &mut user.enabled, enabled);
            }
            if let Some(must) = &change.must_change_password {
                let kept = &mut user.must_change_password;
                replace(&mut differences, "must_change_password", kept, must);
            }
            if differences.is_empty() {
                return Ok(());
            }
            let role = user.role;
            if !(user.enabled && role.manages_users()) {
                keep_an_admin(stored, name)?;
            }
            stored.users.insert(name.to_owned(), user);
            let detail = Map::from_iter([("changed".to_owned(), Value::Object(differences))]);
            stored.note(by, said("change_user", name, role, detail));
            Ok(())
        })
    }

    pub fn remove_user(&self, by: Option<&Actor>, name: &str) -> Result<(), AccessError> {
        self.update(|stored| {
            let role = find(stored, name)?.role;
            keep_an_admin(stored, name)?;
            stored.users.remove(name);
            stored.note(by, said("remove_user", name, role, Map::new()));
            Ok(())
        })
    }

    /// Gives a user another password; all sessions that were made with the old one end.
    pub fn set_password(
        &self,
        by: Option<&Actor>,
        name: &str,
        password: &str,
        must_change_password: bool,
    ) -> Result<(), AccessError> {
        find(&self.read()?, name)?;
        password::check(password, name, self.rules)?;
        let hash = PasswordHash::of(password)?;
        self.update(|stored| {
            let Some(user) = stored.users.get_mut(name) else {
                return Err(no_user(name));
            };
            user.password = hash;
            user.password_set_at = Some(Clock::System.now());
            user.must_change_password = must_change_password;
            let role = user.role;
            stored.note(by, said("set_password", name, role, Map::new()));
            Ok(())
        })
    }

    /// Lets a user who was locked out try again.
    pub fn unlock_user(&self, by: Option<&Actor>, name: &str) -> Result<(), AccessError> {
        self.update(|stored| {
            let Some(user) = stored.users.get_mut(name) else {
                return Err(no_user(name));
            };
            user.unlocked_at = Some(Clock::System.now());
            let role = user.role;
            stored.note(by, said("unlock_user", name, role, Map::new()));
            Ok(())
        })
    }

    /// Lists the users by name, as the file knows them.
    pub fn users(&self) -> Result<Vec<UserRow>, AccessError> {
        let stored = self.read()?;
        let users = stored.users.iter();
        Ok(users.map(|(name, user)| UserRow::of(name, user)).collect())
    }

    /// A user's name is also a part of a path, and no two differ by capitals alone.
    fn check_user_name(&self, stored: &Stored, name: &str) -> Result<(), AccessError> {
        self.check_name(stored, name)?;
        if name
            .chars()
            .any(|c| c.is_whitespace() || "/?#%~".contains(c))
        {
            let reason = format!("the name {name:?} may not have spaces or any of / ? # % ~");
            return Err(AccessError::invalid("name", reason));
        }
        let lower = name.to_lowercase();
        let same = stored
            .users
            .keys()
            .find(|other| other.to_lowercase() == lower);
        same.map_or(Ok(()), |other| {
            let reason = format!("there is a user named `{other}` already");
            Err(AccessError::Conflict(reason))
        })
    }
}

fn shown_name(shown: &str, name: &str) -> Result<String, AccessError> {
    let shown = shown.trim();
    let refuse = |reason: String| Err(AccessError::invalid("display_name", reason));
    if shown.chars().any(char::is_control) {
        return refuse("a name may not have control characters in it".to_owned());
    }
    if shown.chars().count() > DISPLAY_NAME_CHARS_MAX {
        return refuse(format!(
            "a name may have {DISPLAY_NAME_CHARS_MAX} characters at most"
        ));
    }
    Ok(if shown.is_empty() { name } else { shown }.to_owned())
}

fn find<'a>(stored: &'a Stored, name: &str) -> Result<&'a StoredUser, AccessError> {
    stored.users.get(name).ok_or_else(|| no_user(name))
}

pub(crate) fn no_user(name: &str) -> AccessError {
    AccessError::NotFound(format!("there is no user named `{name}`"))
}

/// Nobody could let anybody in any more.
fn keep_an_admin(stored: &Stored, without: &str) -> Result<(), AccessError> {
    let rules = |user: &StoredUser| user.enabled && user.role.manages_users();
    let is_one = stored.users.get(without).is_some_and(rules);
    let mut others = stored.users.iter().filter(|(name, _)| *name != without);
    if !is_one || others.any(|(_, user)| rules(user)) {
        return Ok(());
    }
    let reason = format!("`{without}` is the last administrator who can sign in");
    Err(AccessError::Conflict(reason))
}

fn replace<T: Clone + PartialEq + Serialize>(
    differences: &mut Map<String, Value>,
    field: &str,
    kept: &mut T,
    wanted: &T,
) {
    if kept != wanted {
        let difference = json!({ "before": &*kept, "after": wanted });
        differences.insert(field.to_owned(), difference);
        kept.clone_from(wanted);
    }
}

fn detail(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn said<'a>(
    action: &'static str,
    name: &'a str,
    role: Role,
    detail: Map<String, Value>,
) -> Said<'a> {
    Said {
        action,
        name,
        role,
        detail,
    }
}

#[cfg(test)]
mod tests;
