//! Reads and writes the limits of a signal: one, or a list of levels, with deadband and delays.

use super::RuleError;
use super::fields::{Fields, wrong};
use super::node::{Form, Node};
use crate::kind::latch::{Level, Limits};
use model::Severity;
use serde_json::{Map, Value, json};

/// The keys by which a kind gives its limits.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// `above` and `below`.
    Sides,
    /// One key, for an amount that must not be exceeded.
    Amount(&'static str),
}

impl Keys {
    fn upper(self) -> &'static str {
        match self {
            Self::Sides => "above",
            Self::Amount(key) => key,
        }
    }

    /// Reads the limits of one level, if there are any.
    fn read(self, fields: &mut Fields<'_>) -> Result<(Option<f64>, Option<f64>), RuleError> {
        match self {
            Self::Sides => Ok((fields.number("above")?, fields.number("below")?)),
            Self::Amount(key) => {
                let amount = fields.number(key)?;
                if let Some(amount) = amount.filter(|amount| *amount <= 0.0) {
                    return Err(fields.wrong(key, format!("must be above 0, not {amount}")));
                }
                Ok((amount, None))
            }
        }
    }

    fn missing(self, fields: &Fields<'_>) -> RuleError {
        let reason = match self {
            Self::Sides => "is missing, and so is `below`".to_owned(),
            Self::Amount(_) => "is missing".to_owned(),
        };
        fields.wrong(self.upper(), reason)
    }
}

/// Reads everything of a rule that makes [`Limits`]; `default` is the limit of a rule that gives none.
pub(super) fn read(
    fields: &mut Fields<'_>,
    keys: Keys,
    default: Option<f64>,
) -> Result<Limits, RuleError> {
    let severity = fields.severity()?;
    let (above, below) = keys.read(fields)?;
    let deadband = fields.number("deadband")?.unwrap_or(0.0);
    if deadband < 0.0 {
        return Err(fields.wrong("deadband", format!("must not be negative: {deadband}")));
    }
    let on_delay_s = fields.seconds("on_delay_s")?.unwrap_or(0);
    let off_delay_s = fields.seconds("off_delay_s")?.unwrap_or(0);
    let more = fields.take("levels");
    let above = if above.is_none() && below.is_none() && more.is_none() {
        default
    } else {
        above
    };
    let mut levels = Vec::new();
    if above.is_some() || below.is_some() {
        let severity = severity.unwrap_or(Severity::Warning);
        levels.push(Level {
            severity,
            above,
            below,
        });
    }
    if let Some(node) = more {
        levels.extend(read_levels(node, keys)?);
    }
    check_levels(fields, keys, &mut levels, deadband)?;
    Ok(Limits {
        levels,
        deadband,
        on_delay_s,
        off_delay_s,
    })
}

fn read_levels(node: &Node, keys: Keys) -> Result<Vec<Level>, RuleError> {
    let upper = keys.upper();
    let Form::List(items) = &node.form else {
        let reason = format!(
            "must be a list such as [{{ {upper} = 400.0, severity = \"major\" }}], not {}",
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
        let severity = severity.ok_or_else(|| fields.missing("severity"))?;
        let (above, below) = keys.read(&mut fields)?;
        match keys {
            Keys::Sides => fields.refuse_the_rest("a level has `severity`, `above` and `below`")?,
            Keys::Amount(key) => {
                fields.refuse_the_rest(&format!("a level has `severity` and `{key}`"))?;
            }
        }
        if above.is_none() && below.is_none() {
            return Err(keys.missing(&fields));
        }
        Ok(Level {
            severity,
            above,
            below,
        })
    };
    items.iter().enumerate().map(read).collect()
}

/// Sorts the levels by severity and demands that a worse one lies farther out.
fn check_levels(
    fields: &Fields<'_>,
    keys: Keys,
    levels: &mut [Level],
    deadband: f64,
) -> Result<(), RuleError> {
    let key = if fields.has("levels") {
        "levels"
    } else {
        keys.upper()
    };
    if levels.is_empty() {
        let reason = match keys {
            Keys::Sides => "is missing; give `above`, `below` or `levels`".to_owned(),
            Keys::Amount(key) => format!("is missing; give `{key}` or `levels`"),
        };
        return Err(fields.wrong(key, reason));
    }
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

/// Writes limits as [`read`] reads them.
pub(super) fn write_json(limits: &Limits, keys: Keys, fields: &mut Map<String, Value>) {
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    put("deadband", json!(limits.deadband));
    put("on_delay_s", json!(limits.on_delay_s));
    put("off_delay_s", json!(limits.off_delay_s));
    let level_json = |level: &Level| {
        let mut fields = Map::new();
        for (key, limit) in [(keys.upper(), level.above), ("below", level.below)] {
            if let Some(limit) = limit {
                fields.insert(key.to_owned(), json!(limit));
            }
        }
        fields.insert("severity".to_owned(), json!(level.severity));
        fields
    };
    // One level is written as people write it, without a list.
    if let [level] = limits.levels.as_slice() {
        fields.extend(level_json(level));
    } else {
        let levels: Vec<Value> = limits
            .levels
            .iter()
            .map(|level| Value::Object(level_json(level)))
            .collect();
        fields.insert("levels".to_owned(), Value::Array(levels));
    }
}
