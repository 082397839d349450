//! A value of a rule with the place where it stands, the same for TOML and JSON.

use super::RuleError;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// A value and its line, if it comes from a file.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: Option<usize>,
    pub(super) form: Form,
}

#[derive(Clone, Debug)]
pub(super) enum Form {
    Text(String),
    Number(f64),
    Yes(bool),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
    /// Something that no rule has a use for, by its name.
    Other(&'static str),
}

impl Node {
    pub(super) fn from_json(json: &Json) -> Self {
        let form = match json {
            Json::Null => Form::Other("null"),
            Json::Bool(yes) => Form::Yes(*yes),
            Json::Number(number) => number
                .as_f64()
                .map_or(Form::Other("number out of range"), Form::Number),
            Json::String(text) => Form::Text(text.clone()),
            Json::Array(items) => Form::List(items.iter().map(Self::from_json).collect()),
            Json::Object(fields) => Form::Table(
                fields
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::from_json(value)))
                    .collect(),
            ),
        };
        Self { line: None, form }
    }

    /// Gives the value as JSON, for what is read as a whole.
    pub(super) fn to_json(&self) -> Json {
        match &self.form {
            Form::Text(text) => Json::from(text.as_str()),
            Form::Number(number) => Json::from(*number),
            Form::Yes(yes) => Json::from(*yes),
            Form::List(items) => items.iter().map(Self::to_json).collect(),
            Form::Table(fields) => fields
                .iter()
                .map(|(key, value)| (key.clone(), value.to_json()))
                .collect(),
            Form::Other(_) => Json::Null,
        }
    }

    /// Reads a TOML document; the error has the line.
    pub(super) fn from_toml(text: &str) -> Result<Self, RuleError> {
        let lines = Lines::new(text);
        let document = DeTable::parse(text).map_err(|error| RuleError {
            line: error.span().map(|span| lines.line(span.start)),
            reason: error.message().trim_end().replace('\n', ", "),
            ..RuleError::default()
        })?;
        Ok(Self {
            line: Some(1),
            form: table(document.get_ref(), &lines),
        })
    }

    pub(super) fn name(&self) -> &'static str {
        match &self.form {
            Form::Text(_) => "a text",
            Form::Number(_) => "a number",
            Form::Yes(_) => "true or false",
            Form::List(_) => "a list",
            Form::Table(_) => "a table",
            Form::Other(name) => name,
        }
    }
}

/// Finds lines by byte offset.
struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    fn new(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            starts: breaks.map(|(offset, _)| offset + 1).collect(),
        }
    }

    fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset) + 1
    }
}

fn table(table: &DeTable<'_>, lines: &Lines) -> Form {
    let fields = table.iter().map(|(key, value)| {
        let node = Node {
            line: Some(lines.line(key.span().start)),
            form: form(value.get_ref(), lines),
        };
        (key.get_ref().clone().into_owned(), node)
    });
    Form::Table(fields.collect())
}

fn form(value: &DeValue<'_>, lines: &Lines) -> Form {
    match value {
        DeValue::String(text) => Form::Text(text.clone().into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Form::Other("a number out of range"), |number| {
                Form::Number(number as f64)
            }),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .map_or(Form::Other("a number out of range"), Form::Number),
        DeValue::Boolean(yes) => Form::Yes(*yes),
        DeValue::Datetime(_) => Form::Other("a date"),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| Node {
                line: Some(lines.line(item.span().start)),
                form: form(item.get_ref(), lines),
            });
            Form::List(items.collect())
        }
        DeValue::Table(fields) => table(fields, lines),
    }
}
