//! Reads when a rule counts.

use super::RuleError;
use super::fields::{Fields, wrong};
use super::node::{Form, Node};
use crate::Schedule;

/// What one of the lists of a schedule does with each of its texts.
type Add = fn(&mut Schedule, &str) -> Result<(), String>;

const LISTS: [(&str, Add); 4] = [
    ("times", Schedule::add_times),
    ("weekdays", Schedule::add_weekdays),
    ("dates", Schedule::add_dates),
    ("except_dates", Schedule::add_except_dates),
];

pub(super) fn read(fields: &mut Fields<'_>) -> Result<Schedule, RuleError> {
    let mut schedule = Schedule::default();
    let Some(node) = fields.take("schedule") else {
        return Ok(schedule);
    };
    let mut parts = Fields::open(node, "schedule")?;
    for (key, add) in LISTS {
        if let Some(node) = parts.take(key) {
            read_list(node, &format!("schedule.{key}"), |text| {
                add(&mut schedule, text)
            })?;
        }
    }
    match (parts.text("from")?, parts.text("to")?) {
        (None, None) => {}
        (Some(_), Some(_)) if parts.has("times") => {
            let reason = "give either `times` or `from` and `to`, not both".to_owned();
            return Err(parts.wrong("from", reason));
        }
        (Some(from), Some(to)) => {
            let added = schedule.add_window(&from, &to);
            added.map_err(|reason| parts.wrong("from", reason))?;
        }
        (Some(_), None) => return Err(parts.missing("to")),
        (None, Some(_)) => return Err(parts.missing("from")),
    }
    parts.refuse_the_rest(
        "a schedule has `times` (or `from` and `to`), `weekdays`, `dates` and `except_dates`",
    )?;
    Ok(schedule)
}

/// Reads a list of texts, or one text in place of a list of one; weekdays may be numbers.
fn read_list(
    node: &Node,
    key: &str,
    mut add: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), RuleError> {
    let mut read = |item: &Node, key: &str| {
        let added = match &item.form {
            Form::Text(text) => add(text),
            Form::Number(number) => add(&number.to_string()),
            Form::Yes(_) | Form::List(_) | Form::Table(_) | Form::Other(_) => {
                Err(format!("must be a text in quotes, not {}", item.name()))
            }
        };
        added.map_err(|reason| wrong(item, key, reason))
    };
    let Form::List(items) = &node.form else {
        return read(node, key);
    };
    if items.is_empty() {
        let reason = "is empty; leave the key out where nothing is meant".to_owned();
        return Err(wrong(node, key, reason));
    }
    items
        .iter()
        .enumerate()
        .try_for_each(|(index, item)| read(item, &format!("{key}[{index}]")))
}
