//! The findings as people and as programs read them.

use super::finding::{Finding, Level};
use super::texts::{self, Lang};
use model::Timestamp;
use serde_json::{Value, json};

/// What `cityhub doctor` found.
#[derive(Debug)]
pub struct Report {
    pub(crate) findings: Vec<Finding>,
    at: Timestamp,
}

/// A finding with its words.
struct Told<'a> {
    finding: &'a Finding,
    level: Level,
    what: String,
    why: String,
    to_do: String,
}

impl Report {
    pub(crate) fn new(findings: Vec<Finding>, at: Timestamp) -> Self {
        Self { findings, at }
    }

    /// The worst level of all findings: 0 where nothing is to be done, 1 for warnings, 2 for faults.
    pub fn exit_code(&self) -> u8 {
        let levels = self.findings.iter().map(texts::level);
        match levels.max() {
            Some(Level::Fault) => 2,
            Some(Level::Warning) => 1,
            Some(Level::Ok | Level::Unknown) | None => 0,
        }
    }

    fn told(&self, lang: Lang) -> impl Iterator<Item = Told<'_>> {
        self.findings.iter().map(move |finding| {
            let text = texts::of(finding);
            Told {
                finding,
                level: text.level,
                what: texts::fill(text.what.of(lang), &finding.words),
                why: texts::fill(text.why.of(lang), &finding.words),
                to_do: texts::fill(text.to_do.of(lang), &finding.words),
            }
        })
    }

    fn count(&self, level: Level) -> usize {
        let levels = self.findings.iter().map(texts::level);
        levels.filter(|found| *found == level).count()
    }

    /// One line a finding; where something is to be done, with place, reason and command.
    pub fn text(&self, lang: Lang) -> String {
        let mut text = String::new();
        for told in self.told(lang) {
            let level = texts::word(told.level, lang);
            let check = told.finding.check;
            text.push_str(&format!("{level}  {check:<15} {}\n", told.what));
            if told.level < Level::Unknown {
                continue;
            }
            let place = told.finding.place.clone().unwrap_or_default();
            for (label, words) in [("where", &place), ("why", &told.why), ("do", &told.to_do)] {
                for (number, line) in words.lines().enumerate() {
                    let label = if number == 0 {
                        texts::label(label, lang)
                    } else {
                        ""
                    };
                    text.push_str(&format!("{:26}{}{line}\n", "", texts::padded(label, 7)));
                }
            }
        }
        let counts = [Level::Fault, Level::Warning, Level::Unknown, Level::Ok]
            .map(|level| format!("{} {}", self.count(level), texts::word(level, lang).trim()));
        text.push_str(&counts.join(", "));
        text
    }

    /// The same for programs.
    pub fn json(&self, lang: Lang) -> Value {
        let findings: Vec<Value> = self
            .told(lang)
            .map(|told| {
                json!({
                    "level": told.level,
                    "check": told.finding.check,
                    "outcome": told.finding.outcome,
                    "what": told.what,
                    "where": told.finding.place,
                    "why": told.why,
                    "do": told.to_do,
                })
            })
            .collect();
        json!({
            "at": self.at,
            "version": env!("CARGO_PKG_VERSION"),
            "summary": {
                "fault": self.count(Level::Fault),
                "warning": self.count(Level::Warning),
                "unknown": self.count(Level::Unknown),
                "ok": self.count(Level::Ok),
            },
            "findings": findings,
        })
    }
}
