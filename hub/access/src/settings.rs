//! How long sessions last, and how many failures are too many.

/// The figures of `[session]` in the configuration; where they come from stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Seconds without an action after which a session is locked.
    pub lock_after_s: u32,
    /// Seconds after which a session ends.
    pub max_age_s: u32,
    /// Failures in a row after which a name is locked out.
    pub failures_max: u32,
    /// Failures in a row after which an address is locked out; 0 sets no limit.
    pub peer_failures_max: u32,
    /// Seconds that a lock-out lasts, and after which failures are forgotten.
    pub lock_out_s: u32,
    /// Characters that a password needs.
    pub password_length_min: usize,
    /// Kinds of characters that a password needs: capitals, small letters, digits, others.
    pub password_kinds_min: usize,
    /// Days after which a password is to be changed; 0 for never.
    pub password_max_age_d: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lock_after_s: 1_800,
            max_age_s: 86_400,
            failures_max: 5,
            peer_failures_max: 50,
            lock_out_s: 900,
            password_length_min: 10,
            password_kinds_min: 0,
            password_max_age_d: 0,
        }
    }
}
