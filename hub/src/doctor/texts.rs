//! The table of checks: level and words of each outcome, in both languages (`texts.toml`).

use super::checks;
use super::finding::{Finding, Level};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

const TABLE: &str = include_str!("texts.toml");

/// A language of the output.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Lang {
    En,
    Zh,
}

impl Lang {
    pub fn parse(name: &str) -> Result<Self, String> {
        match name {
            "en" => Ok(Self::En),
            "zh" | "zh-CN" => Ok(Self::Zh),
            other => Err(format!(
                "`{other}` is no language of this program; known: en, zh-CN"
            )),
        }
    }

    /// The language of the user's locale, as setlocale(3) looks for it.
    pub fn of_locale() -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|value| !value.is_empty());
        match set {
            Some(locale) if locale.starts_with("zh") => Self::Zh,
            _ => Self::En,
        }
    }
}

/// A text in both languages.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Both {
    en: String,
    zh: String,
}

impl Both {
    pub(crate) fn of(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.en,
            Lang::Zh => &self.zh,
        }
    }
}

/// An outcome of a check.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outcome {
    pub(crate) level: Level,
    pub(crate) what: Both,
    #[serde(default)]
    pub(crate) why: Both,
    #[serde(default, rename = "do")]
    pub(crate) to_do: Both,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    levels: BTreeMap<String, Both>,
    labels: BTreeMap<String, Both>,
    checks: BTreeMap<String, BTreeMap<String, Outcome>>,
}

fn table() -> &'static Table {
    static READ: OnceLock<Table> = OnceLock::new();
    READ.get_or_init(|| toml::from_str(TABLE).expect("a test reads the table"))
}

pub(crate) fn of(finding: &Finding) -> &'static Outcome {
    table()
        .checks
        .get(finding.check)
        .and_then(|outcomes| outcomes.get(finding.outcome))
        .expect("a test compares what checks say with the table")
}

pub(crate) fn level(finding: &Finding) -> Level {
    of(finding).level
}

/// The word for a level, as wide as the widest.
pub(crate) fn word(level: Level, lang: Lang) -> String {
    let name = match level {
        Level::Ok => "ok",
        Level::Unknown => "unknown",
        Level::Warning => "warning",
        Level::Fault => "fault",
    };
    let word = table().levels.get(name).map_or(name, |both| both.of(lang));
    padded(word, 8)
}

pub(crate) fn label(name: &'static str, lang: Lang) -> &'static str {
    table().labels.get(name).map_or(name, |both| both.of(lang))
}

/// Fills up with spaces; a Chinese character is two columns wide.
pub(crate) fn padded(text: &str, width: usize) -> String {
    let columns: usize = text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
    format!("{text}{}", " ".repeat(width.saturating_sub(columns)))
}

/// Puts words where the text has their names in braces.
pub(crate) fn fill(text: &str, words: &[(&'static str, String)]) -> String {
    words.iter().fold(text.to_owned(), |text, (name, word)| {
        text.replace(&format!("{{{name}}}"), word)
    })
}

/// Lists every check with its outcomes as a Markdown table, as the documentation has it.
pub fn list(lang: Lang) -> String {
    let head = match lang {
        Lang::En => "| check | level | found | why it matters | what to do |",
        Lang::Zh => "| 检查 | 级别 | 发现 | 影响 | 处理 |",
    };
    let mut text = format!("{head}\n|---|---|---|---|---|\n");
    let cell = |words: &str| {
        let words = words.replace('|', "\\|").replace('<', "&lt;");
        words.trim().replace('\n', "<br>")
    };
    for check in checks::ALL {
        let Some(outcomes) = table().checks.get(check.name) else {
            continue;
        };
        let mut outcomes: Vec<&Outcome> = outcomes.values().collect();
        outcomes.sort_by_key(|outcome| std::cmp::Reverse(outcome.level));
        for outcome in outcomes.iter().filter(|outcome| outcome.level != Level::Ok) {
            let level = word(outcome.level, lang);
            let parts =
                [&outcome.what, &outcome.why, &outcome.to_do].map(|both| cell(both.of(lang)));
            let row = format!(
                "| `{}` | {} | {} |",
                check.name,
                level.trim(),
                parts.join(" | ")
            );
            text.push_str(&format!("{row}\n"));
        }
    }
    text
}

#[cfg(test)]
pub(crate) fn outcomes() -> Vec<(String, String, [String; 6])> {
    let all = table().checks.iter().flat_map(|(check, outcomes)| {
        outcomes.iter().map(move |(name, outcome)| {
            let texts = [&outcome.what, &outcome.why, &outcome.to_do]
                .map(|both| [both.en.clone(), both.zh.clone()]);
            let [[a, b], [c, d], [e, f]] = texts;
            (check.clone(), name.clone(), [a, b, c, d, e, f])
        })
    });
    all.collect()
}
