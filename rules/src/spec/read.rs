//! Reads rules key by key, so that every error can say which key, on which line, and why.

use super::node::{Form, Node};
use super::{RuleError, RuleSpec, Select, Targets};
use crate::Condition;
use crate::kind::{silence, threshold};
use model::{DeviceId, Severity};
use std::collections::{BTreeMap, BTreeSet};

/// Kinds of the contract that a later version brings.
const KINDS_TO_COME: [&str; 7] = [
    "window",
    "rate",
    "frozen",
    "geofence",
    "occupancy",
    "any",
    "all",
];

/// A factor of the cadence beyond this is a mistake.
const FACTOR_MAX: f64 = 1000.0;

/// Reads every `[rules.NAME]` table of a file; an error names file, line, rule and key.
pub fn parse_toml(file_name: &str, text: &str) -> Result<Vec<(String, RuleSpec)>, RuleError> {
    read_file(text).map_err(|error| RuleError {
        file: Some(file_name.to_owned()),
        ..error
    })
}

/// Reads one rule as the API takes it.
pub fn parse_json(id: &str, spec: &serde_json::Value) -> Result<RuleSpec, RuleError> {
    read_rule(id, &Node::from_json(spec)).map_err(|error| RuleError {
        rule: Some(id.to_owned()),
        ..error
    })
}

fn read_file(text: &str) -> Result<Vec<(String, RuleSpec)>, RuleError> {
    let document = Node::from_toml(text)?;
    let mut top = Fields::open(&document, "")?;
    let rules = top.take("rules");
    top.refuse_the_rest("a rule file has `[rules.NAME]` tables only")?;
    let Some(rules) = rules else {
        return Ok(Vec::new());
    };
    let Form::Table(rules) = &rules.form else {
        return Err(wrong(rules, "rules", "must be a table of rules".to_owned()));
    };
    let read = |(id, node): (&String, &Node)| {
        let in_rule = |error: RuleError| RuleError {
            rule: Some(id.clone()),
            line: error.line.or(node.line),
            ..error
        };
        let spec = read_rule(id, node).map_err(in_rule)?;
        Ok((id.clone(), spec))
    };
    rules.iter().map(read).collect()
}

fn read_rule(id: &str, node: &Node) -> Result<RuleSpec, RuleError> {
    if id.is_empty() || id.len() > 128 || id.chars().any(|c| c.is_control() || c == '/') {
        let reason = "a rule's name has 1 to 128 bytes, no control character and no /";
        return Err(RuleError {
            line: node.line,
            reason: reason.to_owned(),
            ..RuleError::default()
        });
    }
    let mut fields = Fields::open(node, "")?;
    let kind = fields.text("kind")?.ok_or_else(|| fields.missing("kind"))?;
    let title = fields.text("title")?.unwrap_or_else(|| id.to_owned());
    let category = fields.text("category")?;
    let enabled = fields.yes("enabled")?.unwrap_or(true);
    let shadow = fields.yes("shadow")?.unwrap_or(false);
    let targets = read_targets(&mut fields)?;
    let condition = match kind.as_str() {
        "threshold" => Condition::Threshold(read_threshold(&mut fields)?),
        "silence" => Condition::Silence(read_silence(&mut fields)?),
        kind if KINDS_TO_COME.contains(&kind) => {
            let reason = format!("kind `{kind}` is not supported by this version");
            return Err(fields.wrong("kind", reason));
        }
        kind => {
            let reason =
                format!("`{kind}` is no kind of rule; there are `threshold` and `silence`");
            return Err(fields.wrong("kind", reason));
        }
    };
    fields.refuse_the_rest(&format!("a `{kind}` rule has no such key"))?;
    Ok(RuleSpec {
        title,
        targets,
        condition,
        category,
        enabled,
        shadow,
    })
}

fn read_targets(fields: &mut Fields<'_>) -> Result<Targets, RuleError> {
    match (fields.take("select"), fields.take("devices")) {
        (Some(_), Some(_)) => {
            let reason = "give either `select` or `devices`, not both".to_owned();
            Err(fields.wrong("devices", reason))
        }
        (None, None) => {
            let reason = "is missing, and so is `devices`; `select = {}` means every device";
            Err(fields.wrong("select", reason.to_owned()))
        }
        (Some(select), None) => read_select(select).map(Targets::Select),
        (None, Some(devices)) => read_devices(devices).map(Targets::Devices),
    }
}

fn read_select(node: &Node) -> Result<Select, RuleError> {
    let mut fields = Fields::open(node, "select")?;
    let mut tags = BTreeMap::new();
    if let Some(node) = fields.take("tags") {
        let mut names = Fields::open(node, "select.tags")?;
        for name in names.names() {
            if let Some(value) = names.text(&name)? {
                tags.insert(name, value);
            }
        }
    }
    let select = Select {
        kind: fields.text("kind")?,
        site: fields.text("site")?,
        tags,
    };
    fields.refuse_the_rest("a selection has `kind`, `site` and `tags`")?;
    Ok(select)
}

fn read_devices(node: &Node) -> Result<Vec<DeviceId>, RuleError> {
    let Form::List(items) = &node.form else {
        let reason = format!("must be a list of device ids, not {}", node.name());
        return Err(wrong(node, "devices", reason));
    };
    if items.is_empty() {
        let reason = "is empty; `select = {}` means every device".to_owned();
        return Err(wrong(node, "devices", reason));
    }
    let read = |(index, item): (usize, &Node)| {
        let key = format!("devices[{index}]");
        match &item.form {
            Form::Text(id) => DeviceId::new(id).map_err(|e| wrong(item, &key, e.to_string())),
            _ => Err(wrong(
                item,
                &key,
                format!("must be a device id, not {}", item.name()),
            )),
        }
    };
    items.iter().enumerate().map(read).collect()
}

fn read_silence(fields: &mut Fields<'_>) -> Result<silence::Spec, RuleError> {
    let severity = fields.severity()?.unwrap_or(Severity::Warning);
    let patience = match (fields.number("factor")?, fields.seconds("after_s")?) {
        (Some(_), Some(_)) => {
            let reason = "give either `factor` or `after_s`, not both".to_owned();
            return Err(fields.wrong("after_s", reason));
        }
        (None, None) => {
            let reason = "is missing, and so is `after_s`".to_owned();
            return Err(fields.wrong("factor", reason));
        }
        (Some(factor), None) if factor > 0.0 && factor <= FACTOR_MAX => {
            silence::Patience::Factor(factor)
        }
        (Some(factor), None) => {
            let reason = format!("must be above 0 and at most {FACTOR_MAX}, not {factor}");
            return Err(fields.wrong("factor", reason));
        }
        (None, Some(0)) => {
            return Err(fields.wrong("after_s", "must be at least 1".to_owned()));
        }
        (None, Some(after_s)) => silence::Patience::AfterS(after_s),
    };
    Ok(silence::Spec { severity, patience })
}

fn read_threshold(fields: &mut Fields<'_>) -> Result<threshold::Spec, RuleError> {
    let metric = fields
        .text("metric")?
        .ok_or_else(|| fields.missing("metric"))?;
    let severity = fields.severity()?;
    let (above, below) = (fields.number("above")?, fields.number("below")?);
    let deadband = fields.number("deadband")?.unwrap_or(0.0);
    if deadband < 0.0 {
        return Err(fields.wrong("deadband", format!("must not be negative: {deadband}")));
    }
    let on_delay_s = fields.seconds("on_delay_s")?.unwrap_or(0);
    let off_delay_s = fields.seconds("off_delay_s")?.unwrap_or(0);
    let mut levels = Vec::new();
    if above.is_some() || below.is_some() {
        let severity = severity.unwrap_or(Severity::Warning);
        levels.push(threshold::Level {
            severity,
            above,
            below,
        });
    }
    match fields.take("levels") {
        Some(node) => levels.extend(read_levels(node)?),
        None if levels.is_empty() => {
            let reason = "is missing; a threshold needs `above`, `below` or `levels`".to_owned();
            return Err(fields.wrong("above", reason));
        }
        None => {}
    }
    check_levels(fields, &mut levels, deadband)?;
    Ok(threshold::Spec {
        metric,
        levels,
        deadband,
        on_delay_s,
        off_delay_s,
    })
}

fn read_levels(node: &Node) -> Result<Vec<threshold::Level>, RuleError> {
    let Form::List(items) = &node.form else {
        let reason = format!(
            "must be a list such as [{{ above = 400.0, severity = \"major\" }}], not {}",
            node.name()
        );
        return Err(wrong(node, "levels", reason));
    };
    if items.is_empty() {
        return Err(wrong(node, "levels", "is empty".to_owned()));
    }
    let read = |(index, item): (usize, &Node)| {
        let mut fields = Fields::open(item, &format!("levels[{index}]"))?;
        let severity = fields.severity()?;
        let level = threshold::Level {
            severity: severity.ok_or_else(|| fields.missing("severity"))?,
            above: fields.number("above")?,
            below: fields.number("below")?,
        };
        fields.refuse_the_rest("a level has `severity`, `above` and `below`")?;
        if level.above.is_none() && level.below.is_none() {
            return Err(fields.wrong("above", "is missing, and so is `below`".to_owned()));
        }
        Ok(level)
    };
    items.iter().enumerate().map(read).collect()
}

/// Sorts the levels by severity and demands that a worse one lies farther out.
fn check_levels(
    fields: &Fields<'_>,
    levels: &mut [threshold::Level],
    deadband: f64,
) -> Result<(), RuleError> {
    let key = if fields.has("levels") {
        "levels"
    } else {
        "above"
    };
    levels.sort_by_key(|level| level.severity);
    let above = levels.iter().filter_map(|level| level.above);
    let below = levels.iter().filter_map(|level| level.below);
    if let (Some(above), Some(below)) = (above.reduce(f64::min), below.reduce(f64::max))
        && below + deadband >= above - deadband
    {
        let reason = format!(
            "nothing is normal between below = {below} and above = {above} with a deadband of {deadband}"
        );
        return Err(fields.wrong(key, reason));
    }
    for pair in levels.windows(2) {
        let [mild, worse] = pair else { continue };
        let is_double = mild.severity == worse.severity;
        let above_turns = matches!((mild.above, worse.above), (Some(m), Some(w)) if w <= m);
        let below_turns = matches!((mild.below, worse.below), (Some(m), Some(w)) if w >= m);
        if is_double || above_turns || below_turns {
            let reason = format!(
                "each severity has one level, and a worse one lies farther out: `{}` and `{}` do not",
                mild.severity, worse.severity
            );
            return Err(fields.wrong(key, reason));
        }
    }
    Ok(())
}

/// The keys of one table, of which those that were read are remembered.
struct Fields<'a> {
    path: String,
    line: Option<usize>,
    table: &'a BTreeMap<String, Node>,
    read: BTreeSet<String>,
}

impl<'a> Fields<'a> {
    fn open(node: &'a Node, path: &str) -> Result<Self, RuleError> {
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

    fn names(&self) -> Vec<String> {
        self.table.keys().cloned().collect()
    }

    fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn take(&mut self, key: &str) -> Option<&'a Node> {
        self.read.insert(key.to_owned());
        self.table.get(key)
    }

    fn text(&mut self, key: &str) -> Result<Option<String>, RuleError> {
        match self.take(key).map(|node| (&node.form, node)) {
            None => Ok(None),
            Some((Form::Text(text), _)) => Ok(Some(text.clone())),
            Some((_, node)) => Err(self.wrong(key, format!("must be a text, not {}", node.name()))),
        }
    }

    fn yes(&mut self, key: &str) -> Result<Option<bool>, RuleError> {
        match self.take(key).map(|node| (&node.form, node)) {
            None => Ok(None),
            Some((Form::Yes(yes), _)) => Ok(Some(*yes)),
            Some((_, node)) => {
                let reason = format!("must be true or false, not {}", node.name());
                Err(self.wrong(key, reason))
            }
        }
    }

    fn number(&mut self, key: &str) -> Result<Option<f64>, RuleError> {
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

    fn seconds(&mut self, key: &str) -> Result<Option<u32>, RuleError> {
        let Some(number) = self.number(key)? else {
            return Ok(None);
        };
        if number < 0.0 || number > f64::from(u32::MAX) || number.fract() != 0.0 {
            let reason = format!("must be a whole number of seconds, not {number}");
            return Err(self.wrong(key, reason));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the number is whole and in the range of u32"
        )]
        let seconds = number as u32;
        Ok(Some(seconds))
    }

    fn severity(&mut self) -> Result<Option<Severity>, RuleError> {
        let Some(name) = self.text("severity")? else {
            return Ok(None);
        };
        let severity = Severity::parse(&name).ok_or_else(|| {
            let reason = format!("`{name}` is none of critical, major, minor and warning");
            self.wrong("severity", reason)
        })?;
        Ok(Some(severity))
    }

    fn refuse_the_rest(&self, reason: &str) -> Result<(), RuleError> {
        let unknown = self.table.keys().find(|key| !self.read.contains(*key));
        unknown.map_or(Ok(()), |key| {
            Err(self.wrong(key, format!("unknown key; {reason}")))
        })
    }

    fn missing(&self, key: &str) -> RuleError {
        self.wrong(key, "is missing".to_owned())
    }

    fn wrong(&self, key: &str, reason: String) -> RuleError {
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

fn wrong(node: &Node, key: &str, reason: String) -> RuleError {
    RuleError {
        line: node.line,
        key: (!key.is_empty()).then(|| key.to_owned()),
        reason,
        ..RuleError::default()
    }
}
