//! What a configuration must be beyond its form.

use super::{Config, ConfigError, Loaded, locate};
use crate::codes::WITHIN_S_MAX;
use std::collections::{BTreeMap, BTreeSet};
use tracing_subscriber::EnvFilter;

/// Whoever sends figures more rarely need not send them.
const METRICS_EVERY_S_MAX: u32 = 3_600;

const LOG_LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// A device that may miss more than this is not watched.
const MISSED_MAX: u32 = 1_000;

/// A camera that is farther away sees nothing of a case.
const CAMERA_M_MAX: f64 = 10_000.0;
/// A test that runs less often tells too late to be of use.
const CANARY_EVERY_S_MAX: u32 = 3_600;

impl Config {
    /// Gives what the rule engine must know.
    pub fn rule_settings(&self) -> rules::Settings {
        rules::Settings {
            lateness_s: self.intake.lateness_s,
            zone: rules::Zone::named(&self.city.time_zone)
                .expect("the check of the configuration refuses unknown zones"),
        }
    }
}

/// Characters of a token that can be taken for random, and how many different ones: 20 hexadecimal
/// digits are 80 bits.
const TOKEN_CHARACTERS_MIN: usize = 20;
const TOKEN_VARIETY_MIN: usize = 8;

/// Words that no random text has, in tokens of examples and demonstrations.
const TOKEN_WORDS: [&str; 6] = ["demo", "test", "token", "secret", "change", "example"];

pub(crate) fn is_weak(token: &str) -> bool {
    let lower = token.to_lowercase();
    let variety: BTreeSet<char> = lower.chars().collect();
    token.chars().count() < TOKEN_CHARACTERS_MIN
        || variety.len() < TOKEN_VARIETY_MIN
        || TOKEN_WORDS.iter().any(|word| lower.contains(word))
}

impl Loaded {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let config = &self.config;
        self.check_city()?;
        self.check_packs()?;
        if config.http.streams_max == 0 {
            return Err(self.error("http.streams_max", "must be 1 or more"));
        }
        if !(1..=MISSED_MAX).contains(&config.health.missed_max) {
            let reason = format!(
                "must be 1 to {MISSED_MAX}, not {}",
                config.health.missed_max
            );
            return Err(self.error("health.missed_max", reason));
        }
        self.check_certificates()?;
        self.check_cases()?;
        crate::shifts::Shifts::read(config).map_err(|(key, reason)| self.error(&key, reason))?;
        self.check_canary()?;
        if let Err(error) = model::Timestamp::parse(&config.intake.oldest) {
            return Err(self.error("intake.oldest", error.to_string()));
        }
        self.check_mirrors()?;
        self.check_history()?;
        if config.store.seal_cells < 1000 {
            return Err(self.error("store.seal_cells", "must be 1000 or more"));
        }
        self.check_retention()?;
        self.check_disk()?;
        self.check_log()?;
        self.check_telemetry()?;
        self.check_tokens()?;
        self.check_session()?;
        self.check_limits()?;
        self.check_sinks()?;
        self.check_profiles()?;
        self.check_drivers()
    }

    fn check_canary(&self) -> Result<(), ConfigError> {
        let canary = &self.config.canary;
        if !(1..=CANARY_EVERY_S_MAX).contains(&canary.every_s) {
            let reason = format!("must be 1 to {CANARY_EVERY_S_MAX}, not {}", canary.every_s);
            return Err(self.error("canary.every_s", reason));
        }
        let called = canary.caller().map_err(|error| {
            let reason = error.to_string();
            let field = locate::quoted(&reason).unwrap_or("webhook");
            self.error(&format!("canary.{field}"), reason)
        });
        called.map(|_| ())
    }

    fn check_mirrors(&self) -> Result<(), ConfigError> {
        for (name, mirror) in &self.config.store.mirror {
            let key = format!("store.mirror.{name}");
            self.check_name(&key, name)?;
            mirror
                .check()
                .map_err(|(field, reason)| self.error(&format!("{key}.{field}"), reason))?;
        }
        Ok(())
    }

    fn check_sinks(&self) -> Result<(), ConfigError> {
        for (name, value) in &self.config.sinks {
            let key = format!("sinks.{name}");
            self.check_name(&key, name)?;
            sinks::Subscription::read(value.clone()).map_err(|error| {
                let reason = error.to_string();
                let field = locate::quoted(&reason).map(|field| format!("{key}.{field}"));
                self.error(field.as_deref().unwrap_or(&key), reason)
            })?;
        }
        Ok(())
    }

    fn check_drivers(&self) -> Result<(), ConfigError> {
        for (name, value) in &self.config.drivers {
            let key = format!("drivers.{name}");
            self.check_name(&key, name)?;
            let registration = crate::drivers::find(value)
                .map_err(|reason| self.error(&format!("{key}.kind"), reason))?;
            (registration.check)(value.clone()).map_err(|error| {
                let reason = error.to_string();
                let field = locate::quoted(&reason).map(|field| format!("{key}.{field}"));
                self.error(field.as_deref().unwrap_or(&key), reason)
            })?;
        }
        Ok(())
    }

    fn check_profiles(&self) -> Result<(), ConfigError> {
        for (name, table) in &self.config.profiles {
            let key = format!("profiles.{name}");
            self.check_name(&key, name)?;
            crate::drivers::check_profile(table).map_err(|reason| {
                let field = locate::quoted(&reason).map(|field| format!("{key}.{field}"));
                self.error(field.as_deref().unwrap_or(&key), reason)
            })?;
        }
        Ok(())
    }

    fn check_packs(&self) -> Result<(), ConfigError> {
        let is_unknown = |name: &&String| !rules::pack_names().any(|known| known == **name);
        let Some(name) = self.config.packs.keys().find(is_unknown) else {
            return Ok(());
        };
        let known: Vec<&str> = rules::pack_names().collect();
        let reason = format!("there is no such pack; known: {}", known.join(", "));
        Err(self.error(&format!("packs.{name}"), reason))
    }

    fn check_city(&self) -> Result<(), ConfigError> {
        let config = &self.config;
        if config.city.code.len() != 6 || !config.city.code.bytes().all(|b| b.is_ascii_digit()) {
            let reason = format!(
                "`{}` is no 6-digit administrative division",
                config.city.code
            );
            return Err(self.error("city.code", reason));
        }
        if jiff::tz::TimeZone::get(&config.city.time_zone).is_err() {
            let reason = format!("`{}` is no IANA time zone", config.city.time_zone);
            return Err(self.error("city.time_zone", reason));
        }
        Ok(())
    }

    fn check_cases(&self) -> Result<(), ConfigError> {
        let cases = &self.config.cases;
        let most = rules::Repeat::DISTANCE_M_MAX;
        if !(0.0..=most).contains(&cases.distance_m) {
            return Err(self.error("cases.distance_m", format!("must be 0 to {most}")));
        }
        if cases.within_s > WITHIN_S_MAX {
            return Err(self.error("cases.within_s", format!("must be 0 to {WITHIN_S_MAX}")));
        }
        if !(0.0..=CAMERA_M_MAX).contains(&cases.camera_distance_m) {
            let reason = format!("must be 0 to {CAMERA_M_MAX}");
            return Err(self.error("cases.camera_distance_m", reason));
        }
        Ok(())
    }

    fn check_log(&self) -> Result<(), ConfigError> {
        let log = &self.config.log;
        if !matches!(log.format.as_str(), "text" | "json") {
            return Err(self.error("log.format", "must be `text` or `json`"));
        }
        // A bare word that is no level would be taken for the name of a module.
        let level = log.level.split(',').find(|part| !part.contains('='));
        if let Some(level) = level.map(str::trim)
            && !LOG_LEVELS
                .iter()
                .any(|known| level.eq_ignore_ascii_case(known))
        {
            let reason = format!("`{level}` is no level; known: {}", LOG_LEVELS.join(", "));
            return Err(self.error("log.level", reason));
        }
        if let Err(error) = EnvFilter::try_new(&log.level) {
            return Err(self.error("log.level", format!("`{}`: {error}", log.level)));
        }
        Ok(())
    }

    fn check_telemetry(&self) -> Result<(), ConfigError> {
        let Some(otlp) = &self.config.telemetry.otlp else {
            return Ok(());
        };
        if !(0.0..=1.0).contains(&otlp.trace_ratio) {
            return Err(self.error("telemetry.otlp.trace_ratio", "must be 0 to 1"));
        }
        if otlp.metrics_every_s > METRICS_EVERY_S_MAX {
            let reason = format!("must be 0 to {METRICS_EVERY_S_MAX}");
            return Err(self.error("telemetry.otlp.metrics_every_s", reason));
        }
        crate::telemetry::check(otlp)
            .map_err(|(key, reason)| self.error(&format!("telemetry.otlp.{key}"), reason))
    }

    fn check_tokens(&self) -> Result<(), ConfigError> {
        let mut owners = BTreeMap::new();
        for (name, token) in &self.config.auth.tokens {
            self.check_name(&format!("auth.tokens.{name}"), name)?;
            let key = format!("auth.tokens.{name}.token");
            let token = token.token.reveal();
            if token.chars().count() < 8 {
                return Err(self.error(&key, "a token needs 8 characters or more"));
            }
            if !self.config.http.listen.ip().is_loopback() && is_weak(token) {
                let reason = "a token that others than this machine can try needs 20 random \
                              characters or more; `cityhub admin token add` makes one";
                return Err(self.error(&key, reason));
            }
            if let Some(other) = owners.insert(token, name) {
                let reason = format!("`{other}` has the same token, so nobody can tell who it is");
                return Err(self.error(&key, reason));
            }
        }
        Ok(())
    }

    /// A variable can only name tables that are written so.
    pub(crate) fn check_name(&self, key: &str, name: &str) -> Result<(), ConfigError> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if !name.is_empty() && name.bytes().all(plain) {
            return Ok(());
        }
        let reason = format!("the name {name:?} may have lower-case letters, digits, _ and - only");
        Err(self.error(key, reason))
    }
}
