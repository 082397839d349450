//! Reads and writes which devices a rule watches.

use super::fields::{Fields, wrong};
use super::node::{Form, Node};
use super::{RuleError, Select, Targets};
use model::DeviceId;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(super) fn read(fields: &mut Fields<'_>) -> Result<Targets, RuleError> {
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

pub(super) fn write_json(targets: &Targets, fields: &mut Map<String, Value>) {
    match targets {
        Targets::Select(select) => {
            fields.insert("select".to_owned(), select.to_json());
        }
        Targets::Devices(ids) => {
            fields.insert("devices".to_owned(), json!(ids));
        }
    }
}

impl Select {
    fn to_json(&self) -> Value {
        let mut fields = Map::new();
        if let Some(kind) = &self.kind {
            fields.insert("kind".to_owned(), json!(kind));
        }
        if let Some(site) = &self.site {
            fields.insert("site".to_owned(), json!(site));
        }
        if !self.tags.is_empty() {
            fields.insert("tags".to_owned(), json!(self.tags));
        }
        Value::Object(fields)
    }
}
