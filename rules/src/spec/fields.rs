//! The keys of one table of a rule, read one by one, so that a mistake can be named and placed.

use super::RuleError;
use super::node::{Form, Node};
use model::Severity;
use std::collections::{BTreeMap, BTreeSet};

/// The keys of one table, of which those that were read are remembered.
pub(super) struct Fields<'a> {
    path: String,
    line: Option<usize>,
    table: &'a BTreeMap<String, Node>,
    read: BTreeSet<String>,
}

impl<'a> Fields<'a> {
    pub(super) fn open(node: &'a Node, path: &str) -> Result<Self, RuleError> {
        let Form::Table(table) = &node.form else {
            let reason = format!("must be a table, not {}", node.name());
            return Err(wrong(node, path, reason));
        };
        Ok(Self {
            path: path.to_owned(),
            line: node.line,
            table,
            read: BTreeSet::new(),
        })
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.table.keys().cloned().collect()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Tells whether any table of a list has this key.
    pub(super) fn has_in_list(&self, list: &str, key: &str) -> bool {
        match self.table.get(list).map(|node| &node.form) {
            Some(Form::List(items)) => items
                .iter()
                .any(|item| matches!(&item.form, Form::Table(table) if table.contains_key(key))),
            _ => false,
        }
    }

    pub(super) fn take(&mut self, key: &str) -> Option<&'a Node> {
        self.read.insert(key.to_owned());
        self.table.get(key)
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, RuleError> {
        match self.take(key).map(|node| (&node.form, node)) {
            None => Ok(None),
            Some((Form::Text(text), _)) => Ok(Some(text.clone())),
            Some((_, node)) => Err(self.wrong(key, format!("must be a text, not {}", node.name()))),
        }
    }

    /// Gives a text that must be there.
    pub(super) fn needed(&mut self, key: &str) -> Result<String, RuleError> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    pub(super) fn yes(&mut self, key: &str) -> Result<Option<bool>, RuleError> {
        match self.take(key).map(|node| (&node.form, node)) {
            None => Ok(None),
            Some((Form::Yes(yes), _)) => Ok(Some(*yes)),
            Some((_, node)) => {
                let reason = format!("must be true or false, not {}", node.name());
                Err(self.wrong(key, reason))
            }
        }
    }

    pub(super) fn number(&mut self, key: &str) -> Result<Option<f64>, RuleError> {
        match self.take(key).map(|node| (&node.form, node)) {
            None => Ok(None),
            Some((Form::Number(number), _)) if number.is_finite() => Ok(Some(*number)),
            Some((Form::Number(number), _)) => {
                Err(self.wrong(key, format!("must be finite, not {number}")))
            }
            Some((_, node)) => {
                Err(self.wrong(key, format!("must be a number, not {}", node.name())))
            }
        }
    }

    pub(super) fn seconds(&mut self, key: &str) -> Result<Option<u32>, RuleError> {
        self.whole(key, "a whole number of seconds")
    }

    pub(super) fn count(&mut self, key: &str) -> Result<Option<u32>, RuleError> {
        self.whole(key, "a whole number")
    }

    fn whole(&mut self, key: &str, what: &str) -> Result<Option<u32>, RuleError> {
        let Some(number) = self.number(key)? else {
            return Ok(None);
        };
        if number < 0.0 || number > f64::from(u32::MAX) || number.fract() != 0.0 {
            return Err(self.wrong(key, format!("must be {what}, not {number}")));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the number is whole and in the range of u32"
        )]
        let whole = number as u32;
        Ok(Some(whole))
    }

    pub(super) fn severity(&mut self) -> Result<Option<Severity>, RuleError> {
        let Some(name) = self.text("severity")? else {
            return Ok(None);
        };
        let severity = Severity::parse(&name).ok_or_else(|| {
            let reason = format!("`{name}` is none of critical, major, minor and warning");
            self.wrong("severity", reason)
        })?;
        Ok(Some(severity))
    }

    pub(super) fn refuse_the_rest(&self, reason: &str) -> Result<(), RuleError> {
        let unknown = self.table.keys().find(|key| !self.read.contains(*key));
        unknown.map_or(Ok(()), |key| {
            Err(self.wrong(key, format!("unknown key; {reason}")))
        })
    }

    pub(super) fn missing(&self, key: &str) -> RuleError {
        self.wrong(key, "is missing".to_owned())
    }

    pub(super) fn wrong(&self, key: &str, reason: String) -> RuleError {
        let path = match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        RuleError {
            line: self.table.get(key).and_then(|node| node.line).or(self.line),
            key: Some(path),
            reason,
            ..RuleError::default()
        }
    }
}

pub(super) fn wrong(node: &Node, key: &str, reason: String) -> RuleError {
    RuleError {
        line: node.line,
        key: (!key.is_empty()).then(|| key.to_owned()),
        reason,
        ..RuleError::default()
    }
}
