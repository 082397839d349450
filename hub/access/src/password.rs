//! Passwords: which are taken, and how they are kept.

use crate::AccessError;
use crate::random::{from_hex, random, to_hex};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Memory of one hash in KiB, passes and lanes of argon2id: the first set of the OWASP Password
/// Storage Cheat Sheet, which is also the default of the crate. RFC 9106, section 4, has sets with
/// more memory; a hub that takes telemetry on two cores has better use for it.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What a hash of the file may ask for at most, so that a broken file cannot take all memory.
const MEMORY_KIB_MAX: u32 = 1 << 20;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 16;

/// RFC 9106, section 3.1: 16 bytes of salt are recommended for passwords.
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// Longest password, in bytes: long enough for any sentence, short enough to be hashed at once.
const BYTES_MAX: usize = 256;

/// Passwords that everybody tries first.
const COMMON: &str = include_str!("../data/common_passwords.csv");

/// A password as it is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordHash {
    /// `argon2id` is the only one.
    algorithm: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    hash: String,
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

impl PasswordHash {
    /// Hashes a password: this takes a noticeable time and memory, and is meant to.
    pub fn of(password: &str) -> Result<Self, AccessError> {
        let salt = random::<SALT_BYTES>()?;
        let mut made = Self {
            algorithm: "argon2id".to_owned(),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt: to_hex(&salt),
            hash: String::new(),
        };
        let hash = made
            .computed(password)
            .expect("the parameters above are within the limits of argon2");
        made.hash = to_hex(&hash);
        Ok(made)
    }

    /// Tells whether this is the password; takes as long when it is not.
    pub fn is_of(&self, password: &str) -> bool {
        let Some(kept) = from_hex(&self.hash).filter(|kept| kept.len() == HASH_BYTES) else {
            return false;
        };
        let Some(given) = self.computed(password) else {
            return false;
        };
        let differing = kept.iter().zip(given).fold(0, |sum, (a, b)| sum | (a ^ b));
        differing == 0
    }

    /// A hash that no password has, for names that nobody has.
    pub(crate) fn of_nobody() -> Self {
        Self {
            algorithm: "argon2id".to_owned(),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt: "0".repeat(SALT_BYTES * 2),
            hash: "0".repeat(HASH_BYTES * 2),
        }
    }

    /// Tells this password from all others that this user ever had.
    pub(crate) fn mark(&self) -> &str {
        &self.salt
    }

    fn computed(&self, password: &str) -> Option<[u8; HASH_BYTES]> {
        let is_bounded = self.memory_kib <= MEMORY_KIB_MAX
            && self.passes <= PASSES_MAX
            && self.lanes <= LANES_MAX;
        if self.algorithm != "argon2id" || !is_bounded {
            return None;
        }
        let salt = from_hex(&self.salt)?;
        let params =
            Params::new(self.memory_kib, self.passes, self.lanes, Some(HASH_BYTES)).ok()?;
        let mut hash = [0; HASH_BYTES];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.as_bytes(), &salt, &mut hash)
            .ok()?;
        Some(hash)
    }
}

/// What a new password must be.
#[derive(Copy, Clone, Debug)]
pub(crate) struct PasswordRules {
    pub(crate) length_min: usize,
    /// Of capitals, small letters, digits and all others.
    pub(crate) kinds_min: usize,
}

/// Refuses a password that is too short, or that somebody would guess.
pub(crate) fn check(password: &str, user: &str, rules: PasswordRules) -> Result<(), AccessError> {
    let length_min = rules.length_min;
    let refuse = |reason: String| Err(AccessError::invalid("password", reason));
    if password.chars().count() < length_min {
        return refuse(format!("a password needs {length_min} characters or more"));
    }
    let kinds = kinds(password);
    if kinds < rules.kinds_min {
        return refuse(format!(
            "a password needs {} of capitals, small letters, digits and signs, and has {kinds}",
            rules.kinds_min
        ));
    }
    if password.len() > BYTES_MAX {
        return refuse(format!("a password may have {BYTES_MAX} bytes at most"));
    }
    if password.chars().any(char::is_control) {
        return refuse("a password may not have control characters in it".to_owned());
    }
    let lower = password.to_lowercase();
    if is_of_name(&lower, &user.to_lowercase()) {
        return refuse("the password is made of the user's name".to_owned());
    }
    if is_common(&lower) || is_run(&lower) {
        return refuse("the password is one of those that everybody tries first".to_owned());
    }
    Ok(())
}

/// Counts the kinds of characters: capitals, small letters, digits, all others.
fn kinds(password: &str) -> usize {
    let kinds: [fn(char) -> bool; 4] = [
        char::is_uppercase,
        char::is_lowercase,
        char::is_numeric,
        |c| !(c.is_uppercase() || c.is_lowercase() || c.is_numeric()),
    ];
    let is_there = |is: &&fn(char) -> bool| password.chars().any(**is);
    kinds.iter().filter(is_there).count()
}

/// The name itself, again and again, or with digits and signs around it.
fn is_of_name(password: &str, name: &str) -> bool {
    let bare = password.trim_matches(|c: char| !c.is_alphabetic());
    !name.is_empty()
        && (password.replace(name, "").is_empty() || (bare == name && name.chars().count() > 2))
}

fn is_common(password: &str) -> bool {
    let rows = COMMON.lines().skip(1);
    rows.filter_map(|row| row.split(',').next())
        .any(|common| common == password)
}

/// One character again and again, or one step after the other: `aaaaaaaaaa`, `1234567890`.
fn is_run(password: &str) -> bool {
    let codes: Vec<i64> = password.chars().map(|c| i64::from(u32::from(c))).collect();
    let step = |pair: &[i64]| match pair {
        [a, b] => b - a,
        _ => 0,
    };
    let mut steps = codes.windows(2).map(step);
    let Some(first) = steps.next() else {
        return true;
    };
    // The keyboard's 0 comes after the 9.
    let is_wrap = |step: i64| first.abs() == 1 && step == -9 * first;
    first.abs() <= 1 && steps.all(|step| step == first || is_wrap(step))
}

#[cfg(test)]
mod tests;
