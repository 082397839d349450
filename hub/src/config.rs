//! The whole configuration: built-in defaults, the file, credentials, then `CITYHUB__…` variables.

mod approval;
mod auth;
mod certificates;
pub(crate) mod check;
mod credentials;
mod desk;
mod disk;
mod exposed;
mod history;
mod http;
mod limits;
mod locate;
mod log;
mod retention;
mod session;
mod store;
mod telemetry;

pub use approval::ApprovalConfig;
pub use auth::{Auth, Secret, Token};
pub use certificates::CertificatesConfig;
pub use desk::{
    HandoverConfig, LayerConfig, LayerStyle, MapConfig, ShiftConfig, TileCrs, TileDatum,
    TilesConfig,
};
pub use disk::DiskConfig;
pub use history::HistoryKind;
pub use http::HttpConfig;
pub use limits::{AddressConfig, DeviceLimits, LimitsConfig};
pub use locate::line_of;
pub use log::LogConfig;
pub use retention::{AgeConfig, RetentionConfig};
pub use session::SessionConfig;
pub use store::StoreConfig;
pub use telemetry::{OtlpConfig, TelemetryConfig};

use config::{Environment, File, FileFormat, Value};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The file that is read when none is named and it exists.
pub const DEFAULT_FILE: &str = "hub.toml";

/// The hub's configuration.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder of everything that the hub keeps.
    pub data_dir: PathBuf,
    /// Devices to register at start: a `.csv` or `.json` file, or a folder of such files.
    pub devices: Option<PathBuf>,
    /// Folder of rule files (`*.toml`).
    pub rules: Option<PathBuf>,
    /// Built-in rule packs by name, such as `gas = true`. A rule of the folder that has the id of
    /// a pack's rule replaces it.
    pub packs: BTreeMap<String, bool>,
    /// A metric table of the city beside the built-in one: metrics of its own, and other limits for
    /// those that are known (`name,unit,shape,min,max,rate_max_per_s,stuck_after_s,kind,source`).
    pub metrics: Option<PathBuf>,
    pub city: City,
    pub http: HttpConfig,
    pub certificates: CertificatesConfig,
    pub auth: Auth,
    pub session: SessionConfig,
    pub limits: LimitsConfig,
    pub approval: ApprovalConfig,
    /// Protocol listeners by name; `kind` says which driver.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub drivers: BTreeMap<String, Value>,
    /// How the devices of one model write, by name; `codec` says what reads it. A device names its
    /// own in its field `profile`.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub profiles: BTreeMap<String, Value>,
    /// Who is sent events, by name; `kind` says how.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub sinks: BTreeMap<String, Value>,
    pub intake: IntakeConfig,
    pub health: HealthConfig,
    pub cases: CasesConfig,
    pub canary: CanaryConfig,
    pub map: MapConfig,
    /// The shifts of the day by name; `day` and `night` unless said.
    pub shifts: BTreeMap<String, ShiftConfig>,
    pub handover: HandoverConfig,
    pub store: StoreConfig,
    pub log: LogConfig,
    pub telemetry: TelemetryConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            devices: None,
            rules: None,
            packs: BTreeMap::new(),
            metrics: None,
            city: City::default(),
            http: HttpConfig::default(),
            certificates: CertificatesConfig::default(),
            auth: Auth::default(),
            session: SessionConfig::default(),
            limits: LimitsConfig::default(),
            approval: ApprovalConfig::default(),
            drivers: BTreeMap::new(),
            profiles: BTreeMap::new(),
            sinks: BTreeMap::new(),
            intake: IntakeConfig::default(),
            health: HealthConfig::default(),
            cases: CasesConfig::default(),
            canary: CanaryConfig::default(),
            map: MapConfig::default(),
            shifts: BTreeMap::new(),
            handover: HandoverConfig::default(),
            store: StoreConfig::default(),
            log: LogConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

/// The city that this hub serves.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct City {
    pub name: String,
    /// 6-digit administrative division (GB/T 2260).
    pub code: String,
    /// IANA time zone in which schedules are read.
    pub time_zone: String,
    /// GeoJSON of unit grids (单元网格); each polygon has the property `code`.
    pub grid: Option<PathBuf>,
    /// CSV of event classes (事件分类, `code,name`), beside the built-in ones.
    pub categories: Option<PathBuf>,
    /// CSV of component classes (部件分类, `code,name`), beside the built-in ones.
    pub components: Option<PathBuf>,
    /// CSV of time limits (处置时限, `category,min_severity,amount,unit`), which are looked at before
    /// the built-in ones.
    pub time_limits: Option<PathBuf>,
    /// CSV of working times and holidays (`what,text`), instead of the built-in ones.
    pub working_times: Option<PathBuf>,
    /// CSV of what officers often say (`kind,text_zh,text_en`), instead of the built-in table.
    pub quick_phrases: Option<PathBuf>,
    /// What is shown is a demonstration: every screen says so.
    pub demo: bool,
}

impl Default for City {
    fn default() -> Self {
        Self {
            name: "示范市".to_owned(),
            code: "000000".to_owned(),
            time_zone: "Asia/Shanghai".to_owned(),
            grid: None,
            categories: None,
            components: None,
            time_limits: None,
            working_times: None,
            quick_phrases: None,
            demo: false,
        }
    }
}

/// What may come in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IntakeConfig {
    /// A reading that arrives more than this after its own time is late: it amends history and
    /// never sounds a live alarm.
    pub lateness_s: u32,
    /// Device times before this are a clock that was never set (RFC 3339).
    pub oldest: String,
    /// Device times further ahead than this are refused.
    pub ahead_max_s: u32,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        Self {
            lateness_s: 120,
            oldest: "2020-01-01T00:00:00Z".to_owned(),
            ahead_max_s: 86_400,
        }
    }
}

/// When a device is in trouble.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// Reports that a device may miss before it is offline, counted by the cadence that it
    /// declares; one that declares none is expected every 60 s.
    pub missed_max: u32,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { missed_max: 3 }
    }
}

/// Which alarms become cases, and when two of them are one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CasesConfig {
    /// CSV that says which alarms become which cases; its rows are looked at before the built-in
    /// ones.
    pub mapping: Option<PathBuf>,
    /// An alarm of the same class so near to an open case is a repeat of it.
    pub distance_m: f64,
    /// The same after so much time since it was measured last, or since the case was closed.
    pub within_s: u32,
    /// A case names the cameras so near.
    pub camera_distance_m: f64,
}

impl Default for CasesConfig {
    fn default() -> Self {
        // 50 m and 24 h are the defaults of a running city platform for similar cases.
        Self {
            mapping: None,
            distance_m: 50.0,
            within_s: 86_400,
            camera_distance_m: 200.0,
        }
    }
}

/// The hub's own test sensor.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CanaryConfig {
    pub enabled: bool,
    /// Seconds from one test to the next, 1 to 3600.
    pub every_s: u32,
    /// Where a failure is posted beside all other ways (`https://…` or `http://…`), so that it is
    /// heard of when these are what failed.
    pub webhook: Option<String>,
    /// Certificates (PEM) of the authorities to trust there instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl CanaryConfig {
    /// Makes the caller of the webhook, if there is one.
    pub(crate) fn caller(&self) -> Result<Option<sinks::Caller>, sinks::SinkError> {
        let (url, ca_file) = (self.webhook.as_deref(), self.ca_file.as_deref());
        let call = |url| sinks::Caller::new(url, ca_file, crate::canary::WEBHOOK_PATIENCE);
        url.map(call).transpose()
    }
}

impl Default for CanaryConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            every_s: 60,
            webhook: None,
            ca_file: None,
        }
    }
}

/// What is wrong with the configuration, and where: in a line of the file or in a variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigError {
    pub variable: Option<String>,
    pub file: Option<PathBuf>,
    pub line: Option<usize>,
    pub key: Option<String>,
    pub reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.variable, &self.file, self.line) {
            (Some(variable), ..) => write!(f, "variable {variable}: ")?,
            (None, Some(file), Some(line)) => write!(f, "{}:{line}: ", file.display())?,
            (None, Some(file), None) => write!(f, "{}: ", file.display())?,
            (None, None, _) => write!(f, "configuration: ")?,
        }
        if let Some(key) = &self.key {
            write!(f, "`{key}`: ")?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ConfigError {}

/// A configuration with the text it came from, so that later errors can name the line.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    file: Option<PathBuf>,
    text: String,
}

/// Reads the layers. `data_dir` is the flag of the command line, which wins over all.
pub fn load(file: Option<&Path>, data_dir: Option<&Path>) -> Result<Loaded, ConfigError> {
    let found = match file {
        Some(file) => Some(file.to_owned()),
        None => Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists()),
    };
    let text = match &found {
        Some(file) => std::fs::read_to_string(file).map_err(|error| ConfigError {
            file: Some(file.clone()),
            reason: format!("cannot be read: {error}"),
            ..ConfigError::default()
        })?,
        None => String::new(),
    };
    // The file alone first: its parser knows the line of every mistake.
    toml::from_str::<Config>(&text).map_err(|error| ConfigError {
        file: found.clone(),
        line: error.span().map(|span| locate::line_at(&text, span.start)),
        key: error
            .span()
            .and_then(|span| locate::key_at(&text, span.start)),
        reason: error.message().to_owned(),
        ..ConfigError::default()
    })?;
    let mut loaded = Loaded {
        config: Config::default(),
        file: found,
        text,
    };
    let layered = config::Config::builder()
        .add_source(File::from_str(&loaded.text, FileFormat::Toml))
        .add_source(variables().source(Some(credentials::read()?)))
        .add_source(variables())
        .build()
        .and_then(config::Config::try_deserialize::<Config>);
    loaded.config = layered.map_err(|error| ConfigError {
        reason: format!("{error} (a CITYHUB__ variable or credential is the likely cause)"),
        ..ConfigError::default()
    })?;
    loaded.anchor_paths();
    if let Some(dir) = data_dir {
        dir.clone_into(&mut loaded.config.data_dir);
    }
    loaded.check()?;
    Ok(loaded)
}

/// Names of keys in the environment, and of files that hold the value of one.
fn variables() -> Environment {
    Environment::with_prefix("CITYHUB")
        .prefix_separator("__")
        .separator("__")
}

impl Loaded {
    /// The text of the file; empty without one.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The file, where there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Reads the layers once more, as they are now.
    pub fn again(&self) -> Result<Self, ConfigError> {
        load(self.file.as_deref(), Some(&self.config.data_dir))
    }

    /// Makes an error that names the file and the line of `key` (`drivers.mqtt.listen`), or the
    /// variable that the value came from.
    pub fn error(&self, key: &str, reason: impl Into<String>) -> ConfigError {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let names = names.chain(credentials::read().unwrap_or_default().into_keys());
        let variable = locate::variable_of(key, names);
        let file = self.file.clone().filter(|_| variable.is_none());
        ConfigError {
            line: file.as_ref().and_then(|_| line_of(&self.text, key)),
            file,
            variable,
            key: Some(key.to_owned()),
            reason: reason.into(),
        }
    }

    /// Paths in the file are relative to the file, so that it works from any folder.
    fn anchor_paths(&mut self) {
        let Some(folder) = self.file.as_deref().and_then(Path::parent) else {
            return;
        };
        let config = &mut self.config;
        let mut paths: Vec<&mut PathBuf> = vec![&mut config.data_dir];
        paths.extend(config.devices.iter_mut());
        paths.extend(config.rules.iter_mut());
        paths.extend(config.metrics.iter_mut());
        paths.extend(config.city.grid.iter_mut());
        paths.extend(config.city.categories.iter_mut());
        paths.extend(config.city.components.iter_mut());
        paths.extend(config.city.time_limits.iter_mut());
        paths.extend(config.city.working_times.iter_mut());
        paths.extend(config.city.quick_phrases.iter_mut());
        paths.extend(config.map.layers.values_mut().map(|layer| &mut layer.file));
        paths.extend(config.cases.mapping.iter_mut());
        paths.extend(config.canary.ca_file.iter_mut());
        paths.extend(config.telemetry.ca_file());
        let mirrors = config.store.mirror.values_mut();
        paths.extend(mirrors.filter_map(|mirror| mirror.ca_file.as_mut()));
        if let Some(tls) = &mut config.http.tls {
            tls.anchor(folder);
        }
        for path in paths {
            if path.is_relative() {
                *path = folder.join(&*path);
            }
        }
        for part in config.drivers.values_mut().chain(config.sinks.values_mut()) {
            certificates::anchor_files(part, folder);
        }
    }
}

#[cfg(test)]
mod tests;
