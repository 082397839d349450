//! What a check found; its words come from the table of texts.

use serde::{Deserialize, Serialize};

/// How bad a finding is, from nothing to do to something that must be done.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Ok,
    /// It could not be told from here.
    Unknown,
    Warning,
    Fault,
}

/// One finding: which outcome of which check, where, and what its text leaves open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) outcome: &'static str,
    /// A file with its line, a key, a folder.
    pub(crate) place: Option<String>,
    pub(crate) words: Vec<(&'static str, String)>,
}

/// All findings, in the order of the checks.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) all: Vec<Finding>,
    check: &'static str,
    before: usize,
    is_left_out: bool,
}

/// What every check says when it has found nothing.
pub(crate) const OK: &str = "ok";

impl Findings {
    pub(crate) fn begin(&mut self, check: &'static str) {
        self.check = check;
        self.before = self.all.len();
        self.is_left_out = false;
    }

    /// Says that there is nothing to look at.
    pub(crate) fn leave_out(&mut self) {
        self.is_left_out = true;
    }

    /// Says that all is well where the check said nothing.
    pub(crate) fn end(&mut self) {
        if self.is_silent() && !self.is_left_out {
            self.say(OK, None, &[]);
        }
    }

    /// Tells whether the check has said nothing so far.
    pub(crate) fn is_silent(&self) -> bool {
        self.all.len() == self.before
    }

    pub(crate) fn say(
        &mut self,
        outcome: &'static str,
        place: Option<String>,
        words: &[(&'static str, &dyn std::fmt::Display)],
    ) {
        let words = words
            .iter()
            .map(|(name, word)| (*name, plain(&word.to_string())));
        self.all.push(Finding {
            check: self.check,
            outcome,
            place,
            words: words.collect(),
        });
    }
}

/// Takes out what would steer a terminal: some words come from strangers.
fn plain(word: &str) -> String {
    let is_plain = |c: &char| !c.is_control() || *c == '\n';
    word.chars().filter(is_plain).collect()
}
