//! Lock-out: how often somebody may be wrong.
//!
//! A name that nobody has is counted like any other, so that the answers do not tell which names
//! there are. What is not decided yet counts as wrong, so that many guesses at once are no more
//! than many one after the other.

use crate::{Accounts, SessionId, Settings};
use model::Timestamp;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Names, addresses and sessions that are remembered; the one that failed longest ago makes room.
const KEYS_MAX: usize = 10_000;

/// Who is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AttemptKey {
    Name(String),
    Peer(IpAddr),
    /// Somebody at a locked console: a stranger who is wrong elsewhere does not keep its user out.
    Session(SessionId),
}

impl AttemptKey {
    /// Somebody with an IPv6 address has a whole net of them.
    pub fn of_peer(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let net = u128::from(address) & !u128::from(u64::MAX);
                Self::Peer(IpAddr::V6(Ipv6Addr::from(net)))
            }
            address @ IpAddr::V4(_) => Self::Peer(address),
        }
    }

    fn failures_max(&self, settings: &Settings) -> u32 {
        match self {
            Self::Name(_) | Self::Session(_) => settings.failures_max,
            Self::Peer(_) if settings.peer_failures_max == 0 => u32::MAX,
            Self::Peer(_) => settings.peer_failures_max,
        }
    }
}

/// Why an attempt may not even be made.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Barred {
    /// Too many failures.
    Until(Timestamp),
    /// As many attempts are under way as may fail.
    Busy,
}

/// How an attempt ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Right,
    Wrong,
}

#[derive(Clone, Debug, Default)]
struct Failures {
    count: u32,
    pending: u32,
    /// The last failure of a name; the first of an address.
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// Everybody who was wrong lately.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    known: HashMap<AttemptKey, Failures>,
}

impl Attempts {
    /// Begins an attempt under all of these keys, or under none.
    pub(crate) fn begin(
        &mut self,
        keys: &[AttemptKey],
        now: Timestamp,
        settings: &Settings,
    ) -> Result<(), Barred> {
        for key in keys {
            let Some(failures) = self.known.get_mut(key) else {
                continue;
            };
            failures.forget(now, settings);
            if let Some(until) = failures.until {
                return Err(Barred::Until(until));
            }
            if failures.count.saturating_add(failures.pending) >= key.failures_max(settings) {
                return Err(Barred::Busy);
            }
        }
        for key in keys {
            self.make_room();
            self.known.entry(key.clone()).or_default().pending += 1;
        }
        Ok(())
    }

    /// Ends an attempt; gives the keys that are locked out by it.
    pub(crate) fn end(
        &mut self,
        keys: &[AttemptKey],
        outcome: Option<Outcome>,
        now: Timestamp,
        settings: &Settings,
    ) -> Vec<(AttemptKey, Timestamp)> {
        let mut locked = Vec::new();
        for key in keys {
            let Some(failures) = self.known.get_mut(key) else {
                continue;
            };
            failures.pending = failures.pending.saturating_sub(1);
            let is_peer = matches!(key, AttemptKey::Peer(_));
            match outcome {
                // Whoever knows one password must not be free to guess all others.
                Some(Outcome::Right) if !is_peer => failures.count = 0,
                Some(Outcome::Wrong) => {
                    failures.count += 1;
                    if !is_peer || failures.since.is_none() {
                        failures.since = Some(now);
                    }
                    if failures.until.is_none() && failures.count >= key.failures_max(settings) {
                        let until = now.plus_s(settings.lock_out_s.into());
                        failures.until = Some(until);
                        locked.push((key.clone(), until));
                    }
                }
                Some(Outcome::Right) | None => {}
            }
            if failures.count == 0 && failures.pending == 0 {
                self.known.remove(key);
            }
        }
        locked
    }

    /// Tells until when a key is locked out.
    pub(crate) fn locked_until(&self, key: &AttemptKey, now: Timestamp) -> Option<Timestamp> {
        let until = self.known.get(key)?.until?;
        (until > now).then_some(until)
    }

    /// Forgets failures up to a time.
    pub(crate) fn pardon(&mut self, key: &AttemptKey, at: Timestamp) {
        if let Some(failures) = self.known.get_mut(key)
            && failures.since.is_some_and(|since| since <= at)
        {
            failures.reset();
        }
    }

    fn make_room(&mut self) {
        if self.known.len() < KEYS_MAX {
            return;
        }
        let oldest = self
            .known
            .iter()
            .filter(|(_, failures)| failures.pending == 0)
            .min_by_key(|(_, failures)| (failures.until, failures.since));
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.known.remove(&key);
        }
    }
}

impl Failures {
    fn reset(&mut self) {
        self.count = 0;
        self.since = None;
        self.until = None;
    }

    /// A lock-out that is over leaves nothing behind, and old failures are forgotten.
    fn forget(&mut self, now: Timestamp, settings: &Settings) {
        let is_old = self
            .since
            .is_some_and(|since| now >= since.plus_s(settings.lock_out_s.into()));
        if self.until.map_or(is_old, |until| now >= until) {
            self.reset();
        }
    }
}

/// An attempt that is under way. Dropped without an end, it never was.
#[derive(Debug)]
pub struct Attempt {
    accounts: Accounts,
    keys: Vec<AttemptKey>,
    is_open: bool,
}

impl Attempt {
    pub(crate) fn new(accounts: Accounts, keys: Vec<AttemptKey>) -> Self {
        Self {
            accounts,
            keys,
            is_open: true,
        }
    }

    /// Ends it; gives the keys that are locked out by it, and until when.
    pub fn end(mut self, outcome: Outcome, now: Timestamp) -> Vec<(AttemptKey, Timestamp)> {
        self.is_open = false;
        self.accounts.end_attempt(&self.keys, Some(outcome), now)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.is_open {
            let never = Timestamp::from_millis(0);
            self.accounts.end_attempt(&self.keys, None, never);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AttemptKey, Attempts, Barred, Outcome};
    use crate::Settings;
    use model::Timestamp;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(1_772_323_200_000).plus_s(second)
    }

    fn name(name: &str) -> AttemptKey {
        AttemptKey::Name(name.to_owned())
    }

    fn fail(attempts: &mut Attempts, keys: &[AttemptKey], second: i64) -> Result<usize, Barred> {
        let settings = Settings::default();
        attempts.begin(keys, at(second), &settings)?;
        Ok(attempts
            .end(keys, Some(Outcome::Wrong), at(second), &settings)
            .len())
    }

    #[test]
    fn the_fifth_failure_locks_a_name_out_for_a_quarter_of_an_hour() {
        let mut attempts = Attempts::default();
        let keys = [name("li")];
        for second in 0..4 {
            assert_eq!(fail(&mut attempts, &keys, second), Ok(0));
        }
        assert_eq!(fail(&mut attempts, &keys, 4), Ok(1));
        assert_eq!(fail(&mut attempts, &keys, 5), Err(Barred::Until(at(904))));
        assert_eq!(fail(&mut attempts, &keys, 903), Err(Barred::Until(at(904))));
        assert_eq!(fail(&mut attempts, &[name("wang")], 5), Ok(0));
        // Afterwards there are five again.
        assert_eq!(fail(&mut attempts, &keys, 904), Ok(0));
        assert_eq!(fail(&mut attempts, &keys, 905), Ok(0));
    }

    #[test]
    fn the_right_password_forgives_a_name_but_not_an_address() {
        let settings = Settings {
            peer_failures_max: 6,
            ..Settings::default()
        };
        let mut attempts = Attempts::default();
        let peer = AttemptKey::of_peer("10.0.0.7".parse().unwrap());
        let mut ends = |who: &str, outcome, second| {
            let keys = [name(who), peer.clone()];
            attempts.begin(&keys, at(second), &settings)?;
            Ok(attempts
                .end(&keys, Some(outcome), at(second), &settings)
                .len())
        };
        for second in 0..4 {
            assert_eq!(ends("li", Outcome::Wrong, second), Ok(0));
        }
        assert_eq!(ends("li", Outcome::Right, 4), Ok(0));
        assert_eq!(ends("li", Outcome::Wrong, 5), Ok(0));
        // The sixth failure of the address, whoever it was.
        assert_eq!(ends("wang", Outcome::Wrong, 6), Ok(1));
        assert_eq!(ends("zhao", Outcome::Right, 7), Err(Barred::Until(at(906))));
    }

    #[test]
    fn many_guesses_at_once_are_no_more_than_may_fail() {
        let mut attempts = Attempts::default();
        let settings = Settings::default();
        let keys = [name("li")];
        for _ in 0..5 {
            assert_eq!(attempts.begin(&keys, at(0), &settings), Ok(()));
        }
        assert_eq!(attempts.begin(&keys, at(0), &settings), Err(Barred::Busy));
        // Whoever goes away before the end has not been wrong.
        attempts.end(&keys, None, at(0), &settings);
        assert_eq!(attempts.begin(&keys, at(0), &settings), Ok(()));
    }

    #[test]
    fn a_pardon_counts_for_what_was_before_it() {
        let mut attempts = Attempts::default();
        let keys = [name("li")];
        for second in 0..5 {
            fail(&mut attempts, &keys, second).unwrap();
        }
        attempts.pardon(&keys[0], at(3));
        assert_eq!(attempts.locked_until(&keys[0], at(10)), Some(at(904)));
        attempts.pardon(&keys[0], at(4));
        assert_eq!(attempts.locked_until(&keys[0], at(10)), None);
        assert_eq!(fail(&mut attempts, &keys, 5), Ok(0));
    }

    #[test]
    fn a_storm_of_names_does_not_set_free_who_is_locked_out() {
        let mut attempts = Attempts::default();
        for second in 0..5 {
            fail(&mut attempts, &[name("li")], second).unwrap();
        }
        for n in 0..12_000 {
            fail(&mut attempts, &[name(&format!("n{n}"))], 10).unwrap();
        }
        assert!(attempts.known.len() <= 10_000);
        assert_eq!(
            fail(&mut attempts, &[name("li")], 20),
            Err(Barred::Until(at(904)))
        );
    }

    #[test]
    fn a_net_of_addresses_is_one_peer() {
        let key = |text: &str| AttemptKey::of_peer(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:10.0.0.7"), key("10.0.0.7"));
    }
}
