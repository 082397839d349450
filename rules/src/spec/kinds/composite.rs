//! Reads and writes `any` and `all` rules.

use crate::kind::composite::{Mode, Reach, Spec};
use crate::spec::RuleError;
use crate::spec::fields::{Fields, wrong};
use crate::spec::node::{Form, Node};
use model::Severity;
use serde_json::{Map, Value, json};

/// A composite of more rules than this is a mistake.
const OF_MAX: usize = 64;

pub(super) fn read(mode: Mode, fields: &mut Fields<'_>) -> Result<Spec, RuleError> {
    let node = fields.take("of").ok_or_else(|| fields.missing("of"))?;
    let of = read_of(node)?;
    let within_s = fields.seconds("within_s")?;
    let scope = match fields.text("scope")?.as_deref() {
        None | Some("device") => Reach::Device,
        Some("site") => Reach::Site,
        Some("grid") => Reach::Grid,
        Some(other) => {
            let reason = format!("must be `device`, `site` or `grid`, not `{other}`");
            return Err(fields.wrong("scope", reason));
        }
    };
    // All of one rule in one place means more than one device.
    let is_many = mode == Mode::All && of.len() == 1 && scope != Reach::Device;
    let devices_min = fields.count("devices_min")?;
    let devices_min = devices_min.unwrap_or(if is_many { 2 } else { 1 });
    if devices_min == 0 {
        return Err(fields.wrong("devices_min", "must be at least 1".to_owned()));
    }
    if scope == Reach::Device && devices_min > 1 {
        let reason = "one device is all there is in the scope `device`".to_owned();
        return Err(fields.wrong("devices_min", reason));
    }
    Ok(Spec {
        mode,
        of,
        within_s,
        scope,
        devices_min,
        severity: fields.severity()?.unwrap_or(Severity::Warning),
        suppress: fields.yes("suppress")?.unwrap_or(false),
        hold_s: fields.seconds("hold_s")?.unwrap_or(0),
    })
}

fn read_of(node: &Node) -> Result<Vec<String>, RuleError> {
    let Form::List(items) = &node.form else {
        let reason = format!("must be a list of rules, not {}", node.name());
        return Err(wrong(node, "of", reason));
    };
    if items.is_empty() || items.len() > OF_MAX {
        let reason = format!("must name 1 to {OF_MAX} rules, not {}", items.len());
        return Err(wrong(node, "of", reason));
    }
    let mut of: Vec<String> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let key = format!("of[{index}]");
        let Form::Text(id) = &item.form else {
            let reason = format!("must be the name of a rule, not {}", item.name());
            return Err(wrong(item, &key, reason));
        };
        if of.contains(id) {
            return Err(wrong(item, &key, format!("names `{id}` again")));
        }
        of.push(id.clone());
    }
    Ok(of)
}

pub(super) fn write_json(spec: &Spec, fields: &mut Map<String, Value>) {
    let scope = match spec.scope {
        Reach::Device => "device",
        Reach::Site => "site",
        Reach::Grid => "grid",
    };
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    put("of", json!(spec.of));
    put("scope", json!(scope));
    put("devices_min", json!(spec.devices_min));
    put("severity", json!(spec.severity));
    if let Some(within_s) = spec.within_s {
        put("within_s", json!(within_s));
    }
    if spec.suppress {
        put("suppress", json!(true));
    }
    if spec.hold_s > 0 {
        put("hold_s", json!(spec.hold_s));
    }
}
