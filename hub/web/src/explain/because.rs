//! The sentence that says why a rule rang or did not, with the figures that decided.

use crate::evidence::{measured, quality_bars};
use crate::state::Inner;
use model::{Device, Reading, Timestamp};
use rules::Rule;
use serde_json::{Value, json};

/// All that is known of one rule on one device at one moment.
pub(super) struct Told<'a> {
    pub(super) hub: &'a Inner,
    pub(super) rule: &'a Rule,
    pub(super) spec: Value,
    pub(super) device: &'a Device,
    pub(super) at: Timestamp,
    pub(super) look: &'a Value,
    pub(super) schedule: &'a Value,
    /// Oldest first.
    pub(super) readings: Vec<&'a Reading>,
}

/// A limit on one side.
#[derive(Copy, Clone, Debug, PartialEq)]
struct Limit {
    value: f64,
    is_above: bool,
}

impl Told<'_> {
    /// Gives the outcome and the sentence.
    pub(super) fn because(&self, alarm: Option<&Value>) -> (&'static str, String) {
        if let Some(alarm) = alarm {
            return self.rang(alarm);
        }
        if self.schedule.get("open") == Some(&json!(false)) {
            return ("did_not_ring", self.closed());
        }
        let kind = self.rule.spec.condition.kind();
        let sentence = match kind {
            "silence" => self.not_silent(),
            "any" | "all" => self.not_together(),
            _ => self.not_beyond(kind),
        };
        ("did_not_ring", sentence)
    }

    fn rang(&self, alarm: &Value) -> (&'static str, String) {
        let text = |key: &str| alarm.get(key).and_then(Value::as_str).unwrap_or_default();
        let since = text("raised_at");
        let value = alarm.get("value").and_then(Value::as_f64);
        let limit = alarm.get("limit").and_then(Value::as_f64);
        let figures = match (value, limit) {
            (Some(value), Some(limit)) => {
                let unit = self.unit();
                format!(
                    " ({} against a limit of {})",
                    amount(value, unit),
                    amount(limit, unit)
                )
            }
            _ => String::new(),
        };
        let head = format!(
            "alarm {} ({}) was active since {since}{figures}",
            text("id"),
            text("severity")
        );
        let (outcome, tail) = match text("state") {
            "shelved" => {
                let by = alarm.get("shelved_by").and_then(Value::as_str);
                let by = by.map_or(String::new(), |by| format!(" by {by}"));
                let why = alarm.get("shelve_reason").and_then(Value::as_str);
                let why = why.map_or(String::new(), |why| format!(" ({why})"));
                let until = text("shelved_until");
                ("rang_unseen", format!("but shelved{by} until {until}{why}"))
            }
            "suppressed" => (
                "rang_unseen",
                format!("but suppressed by {}", text("suppressed_by")),
            ),
            "out_of_service" => ("rang_unseen", "but out of service".to_owned()),
            _ if self.rule.spec.shadow => (
                "rang_unseen",
                "but the rule was on trial and announced nothing".to_owned(),
            ),
            state => (
                "rang",
                format!("and people saw it as {}", state.replace('_', " ")),
            ),
        };
        (outcome, format!("{head}, {tail}"))
    }

    fn closed(&self) -> String {
        let zone = self
            .schedule
            .get("zone")
            .and_then(Value::as_str)
            .unwrap_or("UTC");
        let next = self.schedule.get("next_edge").and_then(Value::as_str);
        let next = next.map_or("and does not open again".to_owned(), |next| {
            format!("and opens at {next}")
        });
        let beyond = self.last_used().and_then(|reading| {
            let value = reading.value.as_number()?;
            let limit = self
                .limits()
                .into_iter()
                .find(|limit| limit.is_beyond(value))?;
            let side = if limit.is_above { "above" } else { "below" };
            let unit = self.unit();
            Some(format!(
                "; {} would have been {side} the limit of {}",
                amount(value, unit),
                amount(limit.value, unit)
            ))
        });
        format!(
            "the rule's schedule was closed (zone {zone}), {next}{}",
            beyond.unwrap_or_default()
        )
    }

    fn not_silent(&self) -> String {
        let away = self
            .look
            .pointer("/facts/resumed_at")
            .and_then(Value::as_str);
        let away = away.map_or(String::new(), |at| {
            format!("; the hub did not run until {at}, and that time does not count")
        });
        format!("{}{away}", self.countdown())
    }

    fn countdown(&self) -> String {
        let since = |at: Timestamp| amount(self.at.since_ms(at) as f64 / 1000.0, "s");
        let limit = self.figure("limit").map(|limit| amount(limit, "s"));
        let due = self.time("due_at");
        match self.readings.last() {
            Some(last) => {
                let heard = last.observed_at;
                let allowed = limit.map_or(String::new(), |limit| format!(" of {limit} allowed"));
                let due = due.map_or(String::new(), |due| {
                    format!("; its silence is due at {due}")
                });
                format!(
                    "it was heard at {heard}, {} before{allowed}{due}",
                    since(heard)
                )
            }
            None if self.look.is_null() => {
                "the rule counts in cadences, and the device declares none: it is not watched"
                    .to_owned()
            }
            None => {
                let due = due.map_or(String::new(), |due| {
                    format!("; its silence is due at {due}")
                });
                format!("nothing was received yet, but the patience had not run out{due}")
            }
        }
    }

    fn not_together(&self) -> String {
        let members: Vec<&str> = crate::rerun::texts(&self.spec, "of").collect();
        let facts = self.facts();
        format!(
            "its members ({}) were not active together as it demands{facts}",
            members.join(", ")
        )
    }

    /// Tells whether a value must be beyond its limit for a time before it rings.
    fn has_delay(&self) -> bool {
        let delay_s = self.spec.get("on_delay_s").and_then(Value::as_f64);
        delay_s.is_some_and(|delay_s| delay_s > 0.0)
    }

    fn not_beyond(&self, kind: &str) -> String {
        if let Some(sentence) = self.nothing_usable() {
            return sentence;
        }
        if let Some(sentence) = self.waits() {
            return sentence;
        }
        let unit = self.unit();
        if kind == "threshold"
            && let Some(reading) = self.last_used()
            && let Some(value) = reading.value.as_number()
        {
            let age_s = self.at.since_ms(reading.observed_at) / 1000;
            let aside = self.aside();
            return match self.nearest(value) {
                Some(limit) if limit.is_beyond(value) && !self.has_delay() => format!(
                    "{} at {} was beyond the limit of {}, but it came before revision {} of the \
                     rule, which counts from the next reading on{aside}",
                    amount(value, unit),
                    reading.observed_at,
                    amount(limit.value, unit),
                    self.rule.revision,
                ),
                Some(limit) if limit.is_beyond(value) => format!(
                    "{} at {} was beyond the limit of {}, but not for long enough{aside}",
                    amount(value, unit),
                    reading.observed_at,
                    amount(limit.value, unit)
                ),
                Some(limit) => format!(
                    "{} ({age_s} s before) is {} {} the limit of {}{aside}",
                    amount(value, unit),
                    amount((limit.value - value).abs(), unit),
                    if limit.is_above { "below" } else { "above" },
                    amount(limit.value, unit)
                ),
                None => format!("the last value was {}{aside}", amount(value, unit)),
            };
        }
        let value = self.figure("value");
        let limit = self.figure("limit");
        let what = self
            .spec
            .get("aggregate")
            .and_then(Value::as_str)
            .unwrap_or(kind);
        let facts = self.facts();
        match (
            value,
            limit.or_else(|| self.nearest(value?).map(|l| l.value)),
        ) {
            (Some(value), Some(limit)) => format!(
                "{what} was {}, {} from the limit of {}{facts}",
                amount(value, unit),
                amount((limit - value).abs(), unit),
                amount(limit, unit)
            ),
            (Some(value), None) => format!("{what} was {}{facts}", amount(value, unit)),
            _ => {
                let last = self.last_used().map(|r| r.observed_at);
                let last = last.map_or(String::new(), |at| format!("; the last value is of {at}"));
                format!("nothing that {what} looks for was there{last}{facts}")
            }
        }
    }

    /// Says that there was nothing to decide on.
    fn nothing_usable(&self) -> Option<String> {
        let metric = self.rule.spec.metric().unwrap_or("any metric");
        let Some(last) = self.readings.last() else {
            let reader = &self.hub.reader;
            let key = self
                .hub
                .devices
                .find(self.device.id.as_str())
                .map(|e| e.key);
            let seen = key.and_then(|key| reader.seen(key));
            let hint = match seen {
                None => "the device was never heard".to_owned(),
                Some(seen) if seen.first_received > self.at => {
                    format!("the device was first heard at {}", seen.first_received)
                }
                Some(_) => "the device was silent, or sent other metrics".to_owned(),
            };
            return Some(format!(
                "no reading of {metric} is there for this rule: {hint}"
            ));
        };
        if self.last_used().is_some() {
            return None;
        }
        let reason = self.barred(last).unwrap_or_default();
        let value = last
            .value
            .as_number()
            .map(|value| amount(value, self.unit()));
        Some(format!(
            "none of {} readings of {metric} could be used; the last, {} at {}: {reason}",
            self.readings.len(),
            value.unwrap_or_else(|| "a place".to_owned()),
            last.observed_at
        ))
    }

    /// Says that a timer was running.
    fn waits(&self) -> Option<String> {
        let due = self.time("due_at")?;
        let since = self.time("since")?;
        if self.look.get("active") == Some(&json!(true)) {
            return None;
        }
        let unit = self.unit();
        let value = self
            .figure("value")
            .map_or(String::new(), |v| amount(v, unit));
        let limit = self.figure("limit").or_else(|| {
            let value = self.figure("value")?;
            self.nearest(value).map(|limit| limit.value)
        });
        let limit = limit.map_or(String::new(), |v| {
            format!(" beyond the limit of {}", amount(v, unit))
        });
        Some(format!(
            "{value} was{limit} since {since}, but the delay was not over: it would be raised at {due}"
        ))
    }

    /// Mentions what the last reading was, when it is not the one that counts.
    fn aside(&self) -> String {
        let used = self.last_used().map(|r| r.observed_at);
        let last = self
            .readings
            .last()
            .filter(|last| Some(last.observed_at) != used);
        let Some((last, reason)) = last.and_then(|last| Some((last, self.barred(last)?))) else {
            return String::new();
        };
        let value = last
            .value
            .as_number()
            .map(|value| amount(value, self.unit()));
        let value = value.unwrap_or_else(|| "a place".to_owned());
        format!("; {value} at {} did not count: {reason}", last.observed_at)
    }

    fn barred(&self, reading: &Reading) -> Option<String> {
        let ignores = self.spec.get("uncertain").and_then(Value::as_str) == Some("ignore");
        if let Some(reason) = quality_bars(reading.quality, ignores) {
            return Some(reason);
        }
        let delay_ms = reading.received_at.since_ms(reading.observed_at);
        let lateness_ms = i64::from(self.hub.rule_settings.lateness_s) * 1000;
        (delay_ms > lateness_ms).then(|| format!("it came {} s late", delay_ms / 1000))
    }

    fn last_used(&self) -> Option<&Reading> {
        let used = |reading: &&&Reading| self.barred(reading).is_none();
        self.readings.iter().rev().find(used).copied()
    }

    pub(super) fn readings_shown(&self, limit: usize) -> Vec<Value> {
        let skipped = self.readings.len().saturating_sub(limit);
        let shown = self.readings.iter().skip(skipped);
        shown
            .map(|reading| {
                let def = self.hub.catalogue.def(reading.series.metric);
                let because = self.barred(reading);
                json!({
                    "at": reading.observed_at,
                    "metric": def.map(|def| def.name.as_str()),
                    "value": measured(&reading.value),
                    "unit": def.map(|def| def.unit.as_str()),
                    "quality": reading.quality.to_string(),
                    "age_s": self.at.since_ms(reading.observed_at) / 1000,
                    "used": because.is_none(),
                    "because": because,
                })
            })
            .collect()
    }

    /// Gives the limit that the last value was nearest to, and how far it was from it.
    pub(super) fn limit(&self) -> Value {
        let number = self
            .last_used()
            .and_then(|reading| reading.value.as_number());
        let value = self.figure("value").or(number);
        let found = value.and_then(|value| Some((value, self.nearest(value)?)));
        found.map_or(Value::Null, |(value, limit)| {
            json!({
                "limit": limit.value,
                "side": if limit.is_above { "above" } else { "below" },
                "value": value,
                "beyond_by": if limit.is_above { value - limit.value } else { limit.value - value },
                "unit": self.unit(),
            })
        })
    }

    fn nearest(&self, value: f64) -> Option<Limit> {
        let distance = |limit: &Limit| (limit.value - value).abs();
        let limits = self.limits().into_iter();
        limits.min_by(|a, b| distance(a).total_cmp(&distance(b)))
    }

    /// Reads the limits in the rule's public form, those of its levels too.
    fn limits(&self) -> Vec<Limit> {
        let mut limits = Vec::new();
        let levels = self.spec.get("levels").and_then(Value::as_array);
        for fields in std::iter::once(&self.spec).chain(levels.into_iter().flatten()) {
            for (key, is_above) in [("above", true), ("below", false)] {
                if let Some(value) = fields.get(key).and_then(Value::as_f64) {
                    limits.push(Limit { value, is_above });
                }
            }
        }
        limits
    }

    fn facts(&self) -> String {
        let facts = self.look.get("facts").and_then(Value::as_object);
        let lines: Vec<String> = facts
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("{} {}", name.replace('_', " "), plain(value)))
            .collect();
        if lines.is_empty() {
            return String::new();
        }
        format!(" ({})", lines.join(", "))
    }

    fn figure(&self, key: &str) -> Option<f64> {
        self.look.get(key)?.as_f64()
    }

    fn time(&self, key: &str) -> Option<&str> {
        self.look.get(key)?.as_str()
    }

    fn unit(&self) -> &str {
        self.rule.spec.unit(&self.hub.catalogue).unwrap_or_default()
    }
}

impl Limit {
    fn is_beyond(self, value: f64) -> bool {
        if self.is_above {
            value > self.value
        } else {
            value < self.value
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number
            .as_f64()
            .map_or(number.to_string(), |n| amount(n, "")),
        other => other.to_string(),
    }
}

/// Writes a figure with at most three decimals, and its unit.
fn amount(value: f64, unit: &str) -> String {
    let text = format!("{value:.3}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    if unit.is_empty() {
        return text.to_owned();
    }
    format!("{text} {unit}")
}
