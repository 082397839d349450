//! Which events a subscriber wants.

use crate::SinkError;
use model::{Event, MinSeverity, Region, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;

/// Longest code of a category.
const CATEGORY_BYTES_MAX: usize = 32;

/// Which events a subscriber wants: those that pass every condition. An empty list lets all pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Types, or beginnings of them, such as `cityhub.case.`.
    #[serde(deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// `warning`, `minor`, `major` or `critical`; events without a severity always pass.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_severity: Option<Severity>,
    /// Kinds of devices, such as `gas_pressure`.
    #[serde(deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Beginnings of event category codes (事件类别).
    #[serde(deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Beginnings of unit grid codes: a city, district, street or grid.
    #[serde(deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
}

/// Reads a list, or one text with commas, which is all that a variable of the environment can say.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        Text(String),
        List(Vec<String>),
    }
    Ok(match Words::deserialize(deserializer)? {
        Words::List(list) => list,
        Words::Text(text) => text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}

/// What the filter asks of an event beyond its columns.
#[derive(Deserialize, Default)]
struct Body<'a> {
    #[serde(borrow, default)]
    data: Data<'a>,
}

#[derive(Deserialize, Default)]
struct Data<'a> {
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    category: Option<Category<'a>>,
    #[serde(borrow, default)]
    district: Option<Cow<'a, str>>,
}

/// An alarm says its category's code, a case its code and name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Category<'a> {
    Code(#[serde(borrow)] Cow<'a, str>),
    Named {
        #[serde(borrow)]
        code: Cow<'a, str>,
    },
}

impl Category<'_> {
    fn code(&self) -> &str {
        match self {
            Self::Code(code) | Self::Named { code } => code,
        }
    }
}

/// What a city knows, which a filter must not go beyond: one that lets nothing pass would not be
/// noticed.
pub trait Known {
    /// Tells whether there are events of a type that begins so.
    fn knows_type(&self, prefix: &str) -> bool;

    /// Tells whether there are devices of this kind.
    fn knows_kind(&self, kind: &str) -> bool;
}

impl Filter {
    /// Looks for conditions that nothing could ever fulfil.
    pub fn check(&self, known: &impl Known) -> Result<(), SinkError> {
        let wrong = |condition: &str, word: &str, reason: &str| {
            let condition = format!("filter.{condition}");
            Err(SinkError::key(&condition, format!("`{word}` {reason}")))
        };
        let is_type = |text: &str| known.knows_type(text.trim_end_matches('*'));
        if let Some(text) = self.types.iter().find(|text| !is_type(text)) {
            return wrong(
                "types",
                text,
                "is no type of events, nor the beginning of one",
            );
        }
        if let Some(kind) = self.kinds.iter().find(|kind| !known.knows_kind(kind)) {
            return wrong("kinds", kind, "is no kind of devices");
        }
        let is_code = |text: &str| {
            (1..=CATEGORY_BYTES_MAX).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        if let Some(code) = self.categories.iter().find(|code| !is_code(code)) {
            return wrong("categories", code, "is no code of a category");
        }
        for region in &self.regions {
            Region::parse(region).map_err(|error| SinkError::key("filter.regions", error))?;
        }
        Ok(())
    }

    /// Tells whether the subscriber wants this event; `city_code` is the place of an event that
    /// has no other.
    pub fn lets_pass(&self, event: &Event, city_code: &str) -> bool {
        let kind_fits = self.types.is_empty()
            || self
                .types
                .iter()
                .any(|prefix| event.kind.starts_with(prefix.trim_end_matches('*')));
        if !kind_fits || !MinSeverity(self.min_severity).lets_pass(event) {
            return false;
        }
        if self.kinds.is_empty() && self.categories.is_empty() && self.regions.is_empty() {
            return true;
        }
        let body: Body<'_> = serde_json::from_str(&event.json).unwrap_or_default();
        let data = body.data;
        let place = event.grid.as_deref().or(data.district.as_deref());
        let begins = |list: &[String], text: &str| {
            list.is_empty() || list.iter().any(|prefix| text.starts_with(prefix.as_str()))
        };
        let kind = data.kind.as_deref().unwrap_or_default();
        let category = data.category.as_ref().map_or("", Category::code);
        (self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted == kind))
            && begins(&self.categories, category)
            && (self.regions.is_empty() || lies_in(&self.regions, place.unwrap_or(city_code)))
    }
}

/// What is no code, of a subscription that was put before codes were checked, is taken as it is.
fn lies_in(regions: &[String], place: &str) -> bool {
    let holds = |text: &String| match Region::parse(text) {
        Ok(region) => region.holds(place),
        Err(_) => place.starts_with(text.as_str()),
    };
    regions.iter().any(holds)
}

#[cfg(test)]
mod tests;
