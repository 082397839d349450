//! Reads rules key by key, so that every error can say which key, on which line, and why.

use super::fields::{Fields, wrong};
use super::node::{Form, Node};
use super::{RuleError, RuleSpec, Select, Targets, Uncertain, kinds, schedule, targets};
use std::borrow::Cow;

/// Longest advice: a page of it is one that nobody reads when it matters.
const ADVICE_BYTES_MAX: usize = 8_000;

/// Gives the text of a file that a rule file names, by a path relative to the rule file.
pub type Beside<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Reads every `[rules.NAME]` table of a file; an error names file, line, rule and key.
pub fn parse_toml(file_name: &str, text: &str) -> Result<Vec<(String, RuleSpec)>, RuleError> {
    parse_toml_beside(file_name, text, &|_| {
        Err("other files cannot be read here; put the GeoJSON into the rule".to_owned())
    })
}

/// Reads a file like [`parse_toml`], and the GeoJSON files that its rules name.
pub fn parse_toml_beside(
    file_name: &str,
    text: &str,
    beside: Beside<'_>,
) -> Result<Vec<(String, RuleSpec)>, RuleError> {
    read_file(text, beside).map_err(|error| RuleError {
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

fn read_file(text: &str, beside: Beside<'_>) -> Result<Vec<(String, RuleSpec)>, RuleError> {
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
        let node = inline_files(node, beside).map_err(in_rule)?;
        let spec = read_rule(id, &node).map_err(in_rule)?;
        Ok((id.clone(), spec))
    };
    rules.iter().map(read).collect()
}

/// Puts the GeoJSON of a file in the place of the path that names it: `fences` or `fences.drawn`.
fn inline_files<'a>(rule: &'a Node, beside: Beside<'_>) -> Result<Cow<'a, Node>, RuleError> {
    let fences = |rule: &Node| match &rule.form {
        Form::Table(fields) => fields.get("fences").cloned(),
        _ => None,
    };
    let Some(mut node) = fences(rule) else {
        return Ok(Cow::Borrowed(rule));
    };
    let (place, key) = match &mut node.form {
        Form::Text(_) => (Some(&mut node), "fences"),
        Form::Table(parts) => (parts.get_mut("drawn"), "fences.drawn"),
        _ => (None, ""),
    };
    let Some((place, path)) = place.and_then(|place| match &place.form {
        Form::Text(path) => {
            let path = path.clone();
            Some((place, path))
        }
        _ => None,
    }) else {
        return Ok(Cow::Borrowed(rule));
    };
    let json = beside(&path).and_then(|text| {
        serde_json::from_str(&text).map_err(|error| format!("is no JSON: {error}"))
    });
    let json: serde_json::Value =
        json.map_err(|reason| wrong(place, key, format!("`{path}`: {reason}")))?;
    place.form = Node::from_json(&json).form;
    let mut rule = rule.clone();
    if let Form::Table(fields) = &mut rule.form {
        fields.insert("fences".to_owned(), node);
    }
    Ok(Cow::Owned(rule))
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
    let kind = fields.needed("kind")?;
    let title = fields.text("title")?.unwrap_or_else(|| id.to_owned());
    let category = fields.text("category")?;
    let enabled = fields.yes("enabled")?.unwrap_or(true);
    let shadow = fields.yes("shadow")?.unwrap_or(false);
    let schedule = schedule::read(&mut fields)?;
    let source = fields.text("source")?;
    let certainty = fields.text("certainty")?;
    let advice = fields.text("advice")?;
    if advice
        .as_ref()
        .is_some_and(|text| text.len() > ADVICE_BYTES_MAX)
    {
        let reason = format!("is longer than {ADVICE_BYTES_MAX} bytes");
        return Err(fields.wrong("advice", reason));
    }
    let latch = fields.yes("latch")?.unwrap_or(false);
    let uncertain = read_uncertain(&mut fields)?;
    // A composite takes the alarms of its members on every device, unless it says otherwise.
    let is_composite = matches!(kind.as_str(), "any" | "all");
    let targets = if is_composite && !fields.has("select") && !fields.has("devices") {
        Targets::Select(Select::default())
    } else {
        targets::read(&mut fields)?
    };
    let condition = kinds::read(&kind, &mut fields)?;
    fields.refuse_the_rest(&format!("rules of kind `{kind}` have no such key"))?;
    Ok(RuleSpec {
        title,
        targets,
        condition,
        category,
        enabled,
        shadow,
        schedule,
        source,
        certainty,
        advice,
        latch,
        uncertain,
    })
}

fn read_uncertain(fields: &mut Fields<'_>) -> Result<Uncertain, RuleError> {
    match fields.text("uncertain")?.as_deref() {
        None | Some("use") => Ok(Uncertain::Use),
        Some("ignore") => Ok(Uncertain::Ignore),
        Some(other) => {
            let reason = format!("must be `use` or `ignore`, not `{other}`");
            Err(fields.wrong("uncertain", reason))
        }
    }
}
