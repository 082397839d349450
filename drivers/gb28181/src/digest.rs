//! Digest sign-in as GB/T 28181 uses it: MD5 (RFC 2617, and without `qop` RFC 2069), and challenges
//! that carry their own time, so that none has to be remembered.

use md5::{Digest as _, Md5};
use model::Timestamp;
use ring::hmac;
use sdk::Secret;

/// Hexadecimal digits of the second in a challenge, and of its seal.
const SECOND_DIGITS: usize = 9;
const SEAL_BYTES: usize = 12;

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    text.extend(digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)));
    text
}

fn md5(parts: &[&str]) -> String {
    let mut hash = Md5::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hash.update(b":");
        }
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

/// What a device says to prove that it knows the password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) realm: String,
    pub(crate) nonce: String,
    uri: String,
    response: String,
    algorithm: String,
    qop: String,
    count: String,
    own_nonce: String,
}

impl Credentials {
    /// Reads the value of `Authorization`.
    pub(crate) fn read(value: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once(char::is_whitespace)?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let mut read = Self::default();
        for (name, value) in Fields(rest) {
            let place = match name.to_ascii_lowercase().as_str() {
                "username" => &mut read.username,
                "realm" => &mut read.realm,
                "nonce" => &mut read.nonce,
                "uri" => &mut read.uri,
                "response" => &mut read.response,
                "algorithm" => &mut read.algorithm,
                "qop" => &mut read.qop,
                "nc" => &mut read.count,
                "cnonce" => &mut read.own_nonce,
                _ => continue,
            };
            value.clone_into(place);
        }
        Some(read)
    }

    /// Tells whether they were made with this password for a request of this method.
    pub(crate) fn prove(&self, method: &str, password: &Secret) -> bool {
        if !self.algorithm.is_empty() && !self.algorithm.eq_ignore_ascii_case("md5") {
            return false;
        }
        let who = md5(&[&self.username, &self.realm, password.reveal()]);
        let what = md5(&[method, &self.uri]);
        let expected = match self.qop.as_str() {
            "" => md5(&[&who, &self.nonce, &what]),
            qop => md5(&[&who, &self.nonce, &self.count, &self.own_nonce, qop, &what]),
        };
        let said = self.response.to_ascii_lowercase();
        let differences = expected.bytes().zip(said.bytes());
        let differ = differences.fold(0, |sum, (a, b)| sum | (a ^ b));
        said.len() == expected.len() && differ == 0
    }
}

/// Pairs of `name=value` or `name="value"`, separated by commas.
struct Fields<'a>(&'a str);

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.trim_start_matches([',', ' ', '\t', '\r', '\n']);
        let (name, rest) = rest.split_once('=')?;
        let rest = rest.trim_start();
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        self.0 = rest;
        Some((name.trim(), value.trim()))
    }
}

/// Makes challenges and knows its own again. They hold the second at which they were made, and a seal.
#[derive(Debug)]
pub(crate) struct Challenges {
    key: hmac::Key,
    life_s: i64,
}

/// What a challenge that comes back is worth.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Fresh,
    /// Ours, and too old.
    Stale,
    Foreign,
}

impl Challenges {
    pub(crate) fn new(key: &[u8; 32], life_s: u32) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            life_s: i64::from(life_s),
        }
    }

    /// Seals a text so that nobody else can make it.
    pub(crate) fn seal(&self, text: &[u8]) -> String {
        let seal = hmac::sign(&self.key, text);
        hex(seal.as_ref().get(..SEAL_BYTES).unwrap_or_default())
    }

    pub(crate) fn make(&self, now: Timestamp) -> String {
        let second = format!("{:0SECOND_DIGITS$x}", now.millis().div_euclid(1_000).max(0));
        let seal = self.seal(second.as_bytes());
        second + &seal
    }

    pub(crate) fn judge(&self, nonce: &str, now: Timestamp) -> Freshness {
        let Some((second, seal)) = nonce.split_at_checked(SECOND_DIGITS) else {
            return Freshness::Foreign;
        };
        let made_s = i64::from_str_radix(second, 16);
        match made_s {
            Ok(made_s) if self.seal(second.as_bytes()) == seal => {
                let age_s = now.millis().div_euclid(1_000) - made_s;
                match (0..=self.life_s).contains(&age_s) {
                    true => Freshness::Fresh,
                    false => Freshness::Stale,
                }
            }
            _ => Freshness::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Challenges, Credentials, Freshness};
    use model::Timestamp;
    use sdk::Secret;

    const SAID: &str = "Digest username=\"34020000001320000001\", realm=\"3402000000\", \
        nonce=\"44010b73623249f6916a6acf7c316b8e\", \
        uri=\"sip:34020000002000000001@3402000000\", \
        response=\"da0b48d27ae30f5413ac57acfa686de3\", algorithm=MD5";

    #[test]
    fn the_response_of_the_vector_is_that_of_its_password_and_of_no_other() {
        let said = Credentials::read(SAID).unwrap();
        assert_eq!(said.username, "34020000001320000001");
        assert_eq!(said.realm, "3402000000");
        assert!(said.prove("REGISTER", &Secret::new("12345678")));
        assert!(!said.prove("REGISTER", &Secret::new("12345679")));
        assert!(!said.prove("MESSAGE", &Secret::new("12345678")));
        let other = Credentials::read(&SAID.replace("MD5", "SHA-256")).unwrap();
        assert!(!other.prove("REGISTER", &Secret::new("12345678")));
    }

    #[test]
    fn the_example_of_rfc_2617_is_proved_with_its_quality_of_protection() {
        // RFC 2617 section 3.5.
        let said = "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
            nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", qop=auth, \
            nc=00000001, cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\"";
        let said = Credentials::read(said).unwrap();
        assert!(said.prove("GET", &Secret::new("Circle Of Life")));
    }

    #[test]
    fn a_challenge_is_known_again_until_it_is_old_and_by_nobody_else() {
        let (ours, theirs) = (
            Challenges::new(&[1; 32], 300),
            Challenges::new(&[2; 32], 300),
        );
        let now = Timestamp::from_millis(1_772_323_200_000);
        let nonce = ours.make(now);
        assert_eq!(ours.judge(&nonce, now), Freshness::Fresh);
        assert_eq!(ours.judge(&nonce, now.plus_s(300)), Freshness::Fresh);
        assert_eq!(ours.judge(&nonce, now.plus_s(301)), Freshness::Stale);
        assert_eq!(theirs.judge(&nonce, now), Freshness::Foreign);
        assert_eq!(ours.judge("12345678é", now), Freshness::Foreign);
    }

    #[test]
    fn what_is_no_digest_is_none() {
        assert_eq!(Credentials::read("Basic abc"), None);
        assert_eq!(Credentials::read("Digest"), None);
        assert!(!Credentials::default().prove("REGISTER", &Secret::new("")));
    }
}
