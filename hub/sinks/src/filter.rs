//! Which events a subscriber wants.

use model::{Event, MinSeverity, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;

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

impl Filter {
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
            && begins(&self.regions, place.unwrap_or(city_code))
    }
}

#[cfg(test)]
mod tests;
