//! `[session]`: how long people stay signed in, and how often they may be wrong.

use super::{ConfigError, Loaded};
use schemars::JsonSchema;
use serde::Deserialize;

/// A week.
const SECONDS_MAX: u32 = 604_800;

/// Ten years: whoever means for ever says 0.
const PASSWORD_AGE_MAX_D: u32 = 3_653;

/// Passwords that are longer than this cannot be demanded.
const PASSWORD_LENGTH_MAX: usize = 64;

/// People at the console. What the figures come from is in `docs/adr/0017-sessions.md`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// Seconds without an action or sign of life after which a console is locked: alarms go on,
    /// actions ask for the password.
    pub lock_after_s: u32,
    /// Seconds after which people sign in again.
    pub max_age_s: u32,
    /// Wrong passwords after which a name is locked out.
    pub failures_max: u32,
    /// Wrong passwords after which an address is locked out, whatever the names; 0 sets no limit,
    /// as is right where all people come through one proxy.
    pub peer_failures_max: u32,
    /// Seconds that a lock-out lasts, and after which failures are forgotten.
    pub lock_out_s: u32,
    /// Characters that a new password needs.
    pub password_length_min: usize,
    /// Kinds of characters that a new password needs, of capitals, small letters, digits and all
    /// others: 0 to 4.
    pub password_kinds_min: usize,
    /// Days after which people choose another password at their next sign-in; 0 for never.
    pub password_max_age_d: u32,
}

impl Default for SessionConfig {
    fn default() -> Self {
        let access::Settings {
            lock_after_s,
            max_age_s,
            failures_max,
            peer_failures_max,
            lock_out_s,
            password_length_min,
            password_kinds_min,
            password_max_age_d,
        } = access::Settings::default();
        Self {
            lock_after_s,
            max_age_s,
            failures_max,
            peer_failures_max,
            lock_out_s,
            password_length_min,
            password_kinds_min,
            password_max_age_d,
        }
    }
}

impl SessionConfig {
    pub fn settings(&self) -> access::Settings {
        access::Settings {
            lock_after_s: self.lock_after_s,
            max_age_s: self.max_age_s,
            failures_max: self.failures_max,
            peer_failures_max: self.peer_failures_max,
            lock_out_s: self.lock_out_s,
            password_length_min: self.password_length_min,
            password_kinds_min: self.password_kinds_min,
            password_max_age_d: self.password_max_age_d,
        }
    }
}

impl Loaded {
    pub(super) fn check_session(&self) -> Result<(), ConfigError> {
        let session = &self.config.session;
        for (key, seconds) in [
            ("lock_after_s", session.lock_after_s),
            ("max_age_s", session.max_age_s),
            ("lock_out_s", session.lock_out_s),
        ] {
            if !(1..=SECONDS_MAX).contains(&seconds) {
                let reason = format!("must be 1 to {SECONDS_MAX}, not {seconds}");
                return Err(self.error(&format!("session.{key}"), reason));
            }
        }
        if session.failures_max == 0 {
            return Err(self.error("session.failures_max", "must be 1 or more"));
        }
        if !(1..=PASSWORD_LENGTH_MAX).contains(&session.password_length_min) {
            let reason = format!("must be 1 to {PASSWORD_LENGTH_MAX}");
            return Err(self.error("session.password_length_min", reason));
        }
        if session.password_kinds_min > 4 {
            return Err(self.error("session.password_kinds_min", "must be 0 to 4"));
        }
        if session.password_max_age_d > PASSWORD_AGE_MAX_D {
            let reason = format!("must be 0 (for ever) to {PASSWORD_AGE_MAX_D}");
            return Err(self.error("session.password_max_age_d", reason));
        }
        Ok(())
    }
}
