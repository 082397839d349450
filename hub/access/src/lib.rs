//! Users, tokens, passwords, sessions and lock-out: who is let in, and for how long.
//!
//! Users and tokens are in `access.json` of the data directory, which `cityhub admin` and a running
//! hub both write; sessions are in `sessions.json`, which only the running hub writes. Neither holds
//! anything that lets somebody in who reads it.

mod accounts;
mod attempts;
mod error;
mod file;
mod password;
mod random;
mod sessions;
mod settings;
mod tokens;
mod trail;
mod users;

pub use accounts::{Accounts, Person, SignedIn};
pub use attempts::{Attempt, AttemptKey, Barred, Outcome};
pub use error::AccessError;
pub use file::AccessFile;
pub use password::PasswordHash;
pub use random::random;
pub use sessions::{SessionId, SessionRow};
pub use settings::Settings;
pub use tokens::TokenRow;
pub use trail::{Asks, Trail, TrailError};
pub use users::{NewUser, UserChange, UserRow};
