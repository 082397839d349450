//! Reads and writes `threshold` rules.

use crate::kind::threshold::{Level, Spec};
use crate::spec::RuleError;
use crate::spec::fields::{Fields, wrong};
use crate::spec::node::{Form, Node};
use model::Severity;
use serde_json::{Map, Value, json};

pub(super) fn read(fields: &mut Fields<'_>) -> Result<Spec, RuleError> {
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
        levels.push(Level {
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
    Ok(Spec {
        metric,
        levels,
        deadband,
        on_delay_s,
        off_delay_s,
    })
}

fn read_levels(node: &Node) -> Result<Vec<Level>, RuleError> {
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
        let level = Level {
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
fn check_levels(fields: &Fields<'_>, levels: &mut [Level], deadband: f64) -> Result<(), RuleError> {
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

pub(super) fn write_json(spec: &Spec, fields: &mut Map<String, Value>) {
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    put("metric", json!(spec.metric));
    put("deadband", json!(spec.deadband));
    put("on_delay_s", json!(spec.on_delay_s));
    put("off_delay_s", json!(spec.off_delay_s));
    let level_json = |level: &Level| {
        let mut fields = Map::new();
        for (key, limit) in [("above", level.above), ("below", level.below)] {
            if let Some(limit) = limit {
                fields.insert(key.to_owned(), json!(limit));
            }
        }
        fields.insert("severity".to_owned(), json!(level.severity));
        fields
    };
    // One level is written as people write it, without a list.
    if let [level] = spec.levels.as_slice() {
        fields.extend(level_json(level));
    } else {
        let levels: Vec<Value> = spec
            .levels
            .iter()
            .map(|level| Value::Object(level_json(level)))
            .collect();
        fields.insert("levels".to_owned(), Value::Array(levels));
    }
}
