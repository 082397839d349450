//! Who is let in now: users, their sessions, and the failures of those who were not let in.

use crate::attempts::Attempts;
use crate::file::{Stamp, StoredUser};
use crate::password::PasswordHash;
use crate::random::{random, to_hex};
use crate::sessions::{self, Sessions};
use crate::trail::{Ask, Asks};
use crate::users::{UserRow, no_user};
use crate::{
    AccessError, AccessFile, Attempt, AttemptKey, Barred, Outcome, SessionId, SessionRow, Settings,
};
use model::Timestamp;
use sdk::{Actor, Clock, TokenHash};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

/// 256 bits.
const COOKIE_BYTES: usize = 32;

/// Passwords that are hashed at once: each takes a core and 19 MiB for as long as it lasts, and the
/// hub has other work.
const HASHES_AT_ONCE: usize = 1;

/// Those that wait for their turn; more are turned away.
const HASHES_WAITING_MAX: usize = 64;

/// How long one waits.
const TURN_DEADLINE: Duration = Duration::from_secs(10);

/// Changes that wait for the audit trail.
const ASKS_MAX: usize = 64;

/// Somebody whose password was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub actor: Actor,
    pub display_name: String,
    pub must_change_password: bool,
    /// The mark of that password.
    password: String,
}

/// A session and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    pub id: SessionId,
    pub person: Person,
    pub is_locked: bool,
    pub since: Timestamp,
    pub ends_at: Timestamp,
}

/// What a look at all sessions found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) action: &'static str,
    pub(crate) user: String,
    pub(crate) why: &'static str,
}

struct Inner {
    file: AccessFile,
    settings: Settings,
    users: RwLock<BTreeMap<String, StoredUser>>,
    seen: Mutex<Option<Stamp>>,
    sessions: Mutex<Sessions>,
    /// Held while `sessions.json` is written, so that the newest comes last.
    writing: Mutex<()>,
    attempts: Mutex<Attempts>,
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Grows whenever somebody may do less than before, or something else.
    moved: watch::Sender<u64>,
    asks: mpsc::Sender<Ask>,
}

/// A handle on all of that.
#[derive(Clone)]
pub struct Accounts {
    inner: Arc<Inner>,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Accounts {
    /// Reads users and sessions; the other half goes to the [`crate::Trail`].
    pub fn open(file: AccessFile, settings: Settings) -> Result<(Self, Asks), AccessError> {
        let seen = file.stamp();
        let users = file.read()?.users;
        // Sessions that cannot be read are no reason not to start: people sign in again.
        let sessions = Sessions::read(file.folder()).unwrap_or_else(|error| {
            tracing::warn!(%error, "sessions are lost; everybody signs in again");
            Sessions::default()
        });
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let inner = Inner {
            file,
            settings,
            users: RwLock::new(users),
            seen: Mutex::new(seen),
            sessions: Mutex::new(sessions),
            writing: Mutex::new(()),
            attempts: Mutex::default(),
            turns: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
            waiting: Arc::new(Semaphore::new(HASHES_WAITING_MAX)),
            moved: watch::channel(0).0,
            asks,
        };
        let accounts = Self {
            inner: Arc::new(inner),
        };
        Ok((accounts, Asks(asked)))
    }

    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The file, for changes. They are to be followed by [`Self::told`].
    pub fn file(&self) -> &AccessFile {
        &self.inner.file
    }

    /// Tells when somebody may do less than before.
    pub fn moved(&self) -> watch::Receiver<u64> {
        self.inner.moved.subscribe()
    }

    /// Takes over what changed in the file: one `stat` if nothing did.
    pub fn refresh(&self) {
        let now = self.inner.file.stamp();
        {
            let mut seen = lock(&self.inner.seen);
            if *seen == now {
                return;
            }
            *seen = now;
        }
        let stored = match self.inner.file.read() {
            Ok(stored) => stored,
            Err(error) => {
                tracing::error!(%error, "users stay as they were before this change");
                return;
            }
        };
        {
            let mut attempts = lock(&self.inner.attempts);
            for (name, user) in &stored.users {
                if let Some(at) = user.unlocked_at {
                    attempts.pardon(&AttemptKey::Name(name.clone()), at);
                }
            }
        }
        let mut users = self
            .inner
            .users
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *users = stored.users;
        drop(users);
        self.inner.moved.send_modify(|count| *count += 1);
    }

    /// Waits until the audit trail has what was changed; the trail goes on to try if it cannot.
    pub async fn told(&self) {
        self.refresh();
        let (reply, done) = oneshot::channel();
        if self.inner.asks.send(Ask(reply)).await.is_ok() {
            drop(done.await);
        }
    }

    /// Tells whether there is nobody who could sign in.
    pub fn is_empty(&self) -> bool {
        self.refresh();
        self.users(|users| users.is_empty())
    }

    fn users<T>(&self, look: impl FnOnce(&BTreeMap<String, StoredUser>) -> T) -> T {
        look(
            &self
                .inner
                .users
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Gives the name that people know a user by.
    pub fn display_name(&self, user: &str) -> Option<String> {
        self.users(|users| users.get(user).map(|user| user.display_name.clone()))
    }

    /// Waits for the turn to hash a password. `None` means that too many wait already.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let _place = Arc::clone(&self.inner.waiting).try_acquire_owned().ok()?;
        let turn = Arc::clone(&self.inner.turns).acquire_owned();
        tokio::time::timeout(TURN_DEADLINE, turn).await.ok()?.ok()
    }

    /// Begins an attempt to give a password.
    pub fn attempt(&self, keys: Vec<AttemptKey>, now: Timestamp) -> Result<Attempt, Barred> {
        self.refresh();
        lock(&self.inner.attempts).begin(&keys, now, &self.inner.settings)?;
        Ok(Attempt::new(self.clone(), keys))
    }

    pub(crate) fn end_attempt(
        &self,
        keys: &[AttemptKey],
        outcome: Option<Outcome>,
        now: Timestamp,
    ) -> Vec<(AttemptKey, Timestamp)> {
        lock(&self.inner.attempts).end(keys, outcome, now, &self.inner.settings)
    }

    /// Tells who this is. It takes as long for a name that nobody has; call it with a turn, away
    /// from the threads that serve sockets.
    pub fn prove(&self, name: &str, password: &str) -> Option<Person> {
        let user = self.users(|users| users.get(name).filter(|user| user.enabled).cloned());
        let nobody = PasswordHash::of_nobody();
        let hash = user.as_ref().map_or(&nobody, |user| &user.password);
        let is_right = hash.is_of(password);
        user.filter(|_| is_right)
            .map(|user| person(name, &user, (&self.inner.settings, Clock::System.now())))
    }

    /// Opens a session and gives its cookie, which is kept nowhere.
    pub fn sign_in(
        &self,
        person: &Person,
        peer: &str,
        now: Timestamp,
    ) -> Result<String, AccessError> {
        let cookie = to_hex(&random::<COOKIE_BYTES>()?);
        let row = SessionRow {
            user: person.actor.name.clone(),
            password: person.password.clone(),
            since: now,
            active_at: now,
            locked: false,
            peer: peer.to_owned(),
        };
        lock(&self.inner.sessions).put(SessionId(TokenHash::of(&cookie)), row);
        self.write_sessions(now)?;
        Ok(cookie)
    }

    /// Tells whose session this is, unless it is over.
    pub fn signed_in(&self, cookie: &str, now: Timestamp) -> Option<SignedIn> {
        self.refresh();
        self.session(SessionId(TokenHash::of(cookie)), now)
    }

    /// The same, by its name.
    pub fn session(&self, id: SessionId, now: Timestamp) -> Option<SignedIn> {
        let row = lock(&self.inner.sessions).find(id)?.clone();
        let settings = &self.inner.settings;
        if row.is_over(now, settings) {
            return None;
        }
        let person = self.users(|users| {
            let user = users.get(&row.user)?;
            let is_same = user.enabled && user.password.mark() == row.password;
            is_same.then(|| person(&row.user, user, (settings, row.since)))
        })?;
        Some(SignedIn {
            id,
            person,
            is_locked: row.is_locked(now, settings),
            since: row.since,
            ends_at: row.ends_at(settings),
        })
    }

    /// Ends a session.
    pub fn sign_out(&self, id: SessionId, now: Timestamp) -> Result<(), AccessError> {
        lock(&self.inner.sessions).remove(id);
        self.inner.moved.send_modify(|count| *count += 1);
        self.write_sessions(now)
    }

    /// Notes that somebody sits there. What only moves on is written now and then.
    pub fn is_alive(&self, id: SessionId, now: Timestamp) {
        lock(&self.inner.sessions).change(id, |row| row.active_at = row.active_at.max(now));
    }

    /// Locks a session, or unlocks it.
    pub fn set_locked(
        &self,
        id: SessionId,
        locked: bool,
        now: Timestamp,
    ) -> Result<(), AccessError> {
        lock(&self.inner.sessions).change(id, |row| {
            row.locked = locked;
            if !locked {
                row.active_at = row.active_at.max(now);
            }
        });
        self.write_sessions(now)
    }

    /// Lets a session go on with the password that its user has now; all others end.
    pub fn keep_with_new_password(&self, id: SessionId, now: Timestamp) -> Result<(), AccessError> {
        self.refresh();
        let user = lock(&self.inner.sessions)
            .find(id)
            .map(|row| row.user.clone());
        let user = user.unwrap_or_default();
        let mark = self
            .users(|users| users.get(&user).map(|user| user.password.mark().to_owned()))
            .ok_or_else(|| no_user(&user))?;
        lock(&self.inner.sessions).change(id, |row| {
            row.password = mark;
            row.active_at = row.active_at.max(now);
        });
        self.write_sessions(now)
    }

    /// Lists the users by name.
    pub fn rows(&self, now: Timestamp) -> Vec<UserRow> {
        self.refresh();
        let rows = self.users(|users| {
            let rows = users.iter().map(|(name, user)| UserRow::of(name, user));
            rows.collect::<Vec<_>>()
        });
        rows.into_iter()
            .map(|row| self.completed(row, now))
            .collect()
    }

    /// Gives one user.
    pub fn row(&self, name: &str, now: Timestamp) -> Option<UserRow> {
        self.refresh();
        let row = self.users(|users| users.get(name).map(|user| UserRow::of(name, user)))?;
        Some(self.completed(row, now))
    }

    fn completed(&self, row: UserRow, now: Timestamp) -> UserRow {
        let key = AttemptKey::Name(row.name.clone());
        UserRow {
            locked_until: lock(&self.inner.attempts).locked_until(&key, now),
            last_seen: lock(&self.inner.sessions).last_seen(&row.name),
            ..row
        }
    }

    /// Finds sessions that are idle or over, and writes what has moved on.
    pub(crate) fn sweep(&self, now: Timestamp) -> Vec<Found> {
        let mut found = Vec::new();
        let ids = lock(&self.inner.sessions).ids();
        for id in ids {
            let signed_in = self.session(id, now);
            let mut sessions = lock(&self.inner.sessions);
            let Some(row) = sessions.find(id).cloned() else {
                continue;
            };
            let (action, why) = match signed_in {
                Some(session) if session.is_locked && !row.locked => {
                    sessions.change(id, |row| row.locked = true);
                    ("lock_session", "idle")
                }
                Some(_) => continue,
                None => {
                    sessions.remove(id);
                    let is_old = row.is_over(now, &self.inner.settings);
                    ("end_session", if is_old { "age" } else { "user" })
                }
            };
            found.push(Found {
                action,
                user: row.user,
                why,
            });
        }
        if found.iter().any(|found| found.action == "end_session") {
            self.inner.moved.send_modify(|count| *count += 1);
        }
        let wants_write = !found.is_empty() || lock(&self.inner.sessions).wants_write(now);
        if wants_write && let Err(error) = self.write_sessions(now) {
            tracing::error!(%error, "sessions are not written; a restart would lose them");
        }
        found
    }

    fn write_sessions(&self, now: Timestamp) -> Result<(), AccessError> {
        let _turn = lock(&self.inner.writing);
        let content = lock(&self.inner.sessions).written(now);
        sessions::write(self.inner.file.folder(), &content)
    }
}

/// Somebody as they are at a sign-in: a password that grew too old since then is changed at the next
/// one, and nobody is stopped in the middle of a shift.
fn person(name: &str, user: &StoredUser, (settings, at): (&Settings, Timestamp)) -> Person {
    let chosen = user.password_set_at.unwrap_or(user.created_at);
    let max_s = i64::from(settings.password_max_age_d) * 86_400;
    let is_old = max_s > 0 && chosen.plus_s(max_s) <= at;
    Person {
        actor: Actor {
            name: name.to_owned(),
            role: user.role,
        },
        display_name: user.display_name.clone(),
        must_change_password: user.must_change_password || is_old,
        password: user.password.mark().to_owned(),
    }
}

#[cfg(test)]
mod tests;
