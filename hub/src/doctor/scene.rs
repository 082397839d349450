//! All that the checks look at, gathered once.

use super::Subject;
use super::hub_process::{self, Answers, Holder};
use super::machine::Machine;
use super::unit::Unit;
use crate::config::{ConfigError, Loaded};
use crate::stages::{self, Standing};
use std::path::PathBuf;
use std::time::Duration;
use store::{StoreError, Survey};

/// How long SQLite may check its file; `cityhub verify` takes what it needs.
const QUICK_CHECK: Duration = Duration::from_secs(20);

/// The unit of the package.
pub(crate) const SERVICE: &str = "cityhub.service";

/// An installation.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) subject: &'a Subject,
    pub(crate) loaded: Option<&'a Loaded>,
    /// Why there is no configuration.
    pub(crate) mistake: Option<&'a ConfigError>,
    /// The files that the configuration names, or which is wrong.
    pub(crate) standing: Option<Result<Standing, anyhow::Error>>,
    pub(crate) data_dir: PathBuf,
    pub(crate) holder: Option<Holder>,
    pub(crate) survey: Option<Result<Survey, StoreError>>,
    pub(crate) answers: Answers,
    pub(crate) service: Option<Unit>,
}

impl<'a> Scene<'a> {
    pub(crate) fn of(
        loaded: &'a Result<Loaded, ConfigError>,
        subject: &'a Subject,
        machine: &'a Machine,
    ) -> Self {
        let (loaded, mistake) = match loaded {
            Ok(loaded) => (Some(loaded), None),
            Err(error) => (None, Some(error)),
        };
        let data_dir = loaded.map_or_else(PathBuf::new, |loaded| loaded.config.data_dir.clone());
        let holder = hub_process::holder(machine, &data_dir);
        let is_running = holder.as_ref().is_some_and(Holder::is_hub);
        let answers = match loaded {
            Some(loaded) if is_running => hub_process::ask(loaded, subject.token.as_deref()),
            _ => Answers::default(),
        };
        let has_journal = data_dir.join("main.db").exists();
        let cursor_of = |name: &str| web::Subscriber::cursor_name(name);
        Self {
            machine,
            subject,
            loaded,
            mistake,
            standing: loaded.map(stages::read_standing),
            holder,
            survey: has_journal.then(|| {
                let mut survey = store::survey(&data_dir, QUICK_CHECK, &cursor_of)?;
                // The hub's own watch every device, and are no answer to what the city has.
                let is_own = |id: &str| id.starts_with('~');
                survey
                    .devices
                    .retain(|stored| !is_own(stored.device.id.as_str()));
                survey.rules.retain(|rule| !is_own(&rule.id));
                Ok(survey)
            }),
            answers,
            service: Unit::of(machine, SERVICE),
            data_dir,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.holder.as_ref().is_some_and(Holder::is_hub)
    }

    /// The survey, where it could be made.
    pub(crate) fn surveyed(&self) -> Option<&Survey> {
        self.survey.as_ref()?.as_ref().ok()
    }

    /// Where a key stands: file and line, or the key alone.
    pub(crate) fn place_of(&self, key: &str) -> Option<String> {
        let error = self.loaded?.error(key, "");
        Some(place(&error))
    }

    /// ` --config FILE` for commands to paste; nothing where the hub finds the file by itself.
    pub(crate) fn config_flag(&self) -> String {
        let mut flags = String::new();
        if let Some(file) = &self.subject.config {
            flags.push_str(&format!(" --config {}", file.display()));
        }
        if let Some(dir) = &self.subject.data_dir {
            flags.push_str(&format!(" --data-dir {}", dir.display()));
        }
        flags
    }

    /// The user of the service, where systemd knows it.
    pub(crate) fn service_user(&self) -> Option<&str> {
        let user = self.service.as_ref()?.get("User");
        (!user.is_empty()).then_some(user)
    }
}

/// Says where a mistake stands, such as `hub.toml:7 \`http.listen\``.
pub(crate) fn place(error: &ConfigError) -> String {
    let mut place = match (&error.variable, &error.file, error.line) {
        (Some(variable), ..) => variable.clone(),
        (None, Some(file), Some(line)) => format!("{}:{line}", file.display()),
        (None, Some(file), None) => file.display().to_string(),
        (None, None, _) => String::new(),
    };
    if let Some(key) = &error.key {
        if !place.is_empty() {
            place.push(' ');
        }
        place.push_str(&format!("`{key}`"));
    }
    place
}
