//! Scenarios: scripts of what happens in a city, played live or written as a stream.

mod cast;
mod curve;
mod library;
mod script;
mod span;
mod stage;
mod track;

pub(crate) use cast::cast;
use library::{Entry, LIBRARY, PACKS};
pub(crate) use script::Script;
pub(crate) use stage::Stage;

use crate::error::SimError;
use serde_json::Value;

/// Finds a scenario by its name and reads its script.
pub(crate) fn find(name: &str) -> Result<(&'static Entry, Script), SimError> {
    let entry = LIBRARY.iter().find(|entry| entry.name == name);
    let entry = entry.ok_or_else(|| {
        let known: Vec<&str> = LIBRARY.iter().map(|entry| entry.name).collect();
        SimError::Usage(format!(
            "there is no scenario `{name}`; known: {}",
            known.join(", ")
        ))
    })?;
    let script = entry.script()?;
    Ok((entry, script))
}

/// Lists every scenario with its sentence.
pub(crate) fn listing() -> Result<String, SimError> {
    let mut text = String::new();
    for entry in LIBRARY {
        let script = entry.script()?;
        text.push_str(&format!(
            "{:<16} {:>6}  {}\n",
            entry.name,
            length(script.duration.seconds()),
            script.title
        ));
    }
    Ok(text)
}

fn length(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h", s / 3600.0),
    }
}

impl Entry {
    fn script(&self) -> Result<Script, SimError> {
        Script::parse(self.scenario)
            .map_err(|reason| SimError::Usage(format!("scenario `{}`: {reason}", self.name)))
    }

    /// Gives the rules of its packs and of its own file, as the API takes them.
    pub(crate) fn rules(&self, packs: &[String]) -> Result<Vec<(String, Value)>, SimError> {
        let mut rules = Vec::new();
        for name in packs {
            let pack = PACKS.iter().find(|(known, _)| known == name);
            let (_, text) = pack.ok_or_else(|| {
                SimError::Usage(format!(
                    "scenario `{}`: there is no pack `{name}`",
                    self.name
                ))
            })?;
            read_rules(name, text, &mut rules)?;
        }
        read_rules(self.name, self.rules, &mut rules)?;
        Ok(rules)
    }
}

fn read_rules(name: &str, text: &str, rules: &mut Vec<(String, Value)>) -> Result<(), SimError> {
    let wrong = |reason: String| SimError::Usage(format!("rules of `{name}`: {reason}"));
    let table: toml::Table = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let Some(toml::Value::Table(listed)) = table.get("rules") else {
        return Ok(());
    };
    for (id, rule) in listed {
        let rule = serde_json::to_value(rule).map_err(|error| wrong(error.to_string()))?;
        rules.push((id.clone(), rule));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
