//! Reading the parameters of a request: each is known, given once, and within its limits.

use crate::problem::Problem;
use axum::extract::FromRequestParts;
use axum::extract::Query;
use axum::http::request::Parts;
use model::{Region, Timestamp};
use serde::de::DeserializeOwned;
use std::ops::RangeInclusive;

/// Regions of one request.
const REGIONS_MAX: usize = 32;

/// The parameters as they came, in order.
#[derive(Clone, Debug)]
pub(crate) struct RawParams(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for RawParams {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map(|Query(pairs)| Self(pairs))
            .map_err(|error| Problem::bad_request(format!("query: {error}")))
    }
}

impl RawParams {
    /// Accepts only parameters of this list, each at most once: a misspelt filter must not
    /// silently give everything.
    pub(crate) fn only(self, known: &[&str]) -> Result<Params, Problem> {
        let mut seen: Vec<&str> = Vec::new();
        let mut strange: Vec<&str> = Vec::new();
        for (name, _) in &self.0 {
            if !known.contains(&name.as_str()) {
                strange.push(name);
            } else if seen.contains(&name.as_str()) {
                let detail = format!("query parameter `{name}` is given more than once");
                return Err(Problem::bad_request(detail));
            } else {
                seen.push(name);
            }
        }
        if strange.is_empty() {
            return Ok(Params(self.0));
        }
        let list = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        let detail = format!(
            "unknown query parameter{} `{}`; known here: {list}",
            if strange.len() == 1 { "" } else { "s" },
            strange.join("`, `")
        );
        Err(Problem::bad_request(detail)
            .with("unknown", strange)
            .with("known", known))
    }
}

/// Parameters that this route knows.
#[derive(Clone, Debug)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Takes what a body gives in the place of a query.
    pub(crate) fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// Gives a parameter that is there and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, Problem> {
        self.text(name)
            .ok_or_else(|| Problem::bad_request(format!("query parameter `{name}` is missing")))
    }

    /// Splits a comma-separated list; an absent parameter is an empty list.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        self.text(name)
            .map(|value| {
                value
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .collect()
            })
            .unwrap_or_default()
    }

    /// Reads the regions of `grid`, separated by commas.
    pub(crate) fn regions(&self) -> Result<Vec<Region>, Problem> {
        let codes = self.list("grid");
        if codes.len() > REGIONS_MAX {
            let detail = format!("query parameter `grid` may hold {REGIONS_MAX} regions");
            return Err(Problem::bad_request(detail));
        }
        codes
            .into_iter()
            .map(|code| {
                Region::parse(code).map_err(|error| {
                    Problem::bad_request(format!("query parameter `grid`: {error}"))
                })
            })
            .collect()
    }

    pub(crate) fn limit(
        &self,
        default: usize,
        range: RangeInclusive<usize>,
    ) -> Result<usize, Problem> {
        let Some(text) = self.text("limit") else {
            return Ok(default);
        };
        text.parse()
            .ok()
            .filter(|limit| range.contains(limit))
            .ok_or_else(|| {
                Problem::bad_request(format!(
                    "query parameter `limit`: `{text}` is no number from {} to {}",
                    range.start(),
                    range.end()
                ))
            })
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.text(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    let detail =
                        format!("query parameter `{name}`: `{text}` is no whole number from 0");
                    Problem::bad_request(detail)
                })
            })
            .transpose()
    }

    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.text(name)
            .map(|text| {
                Timestamp::parse(text).map_err(|error| {
                    Problem::bad_request(format!("query parameter `{name}`: {error}"))
                })
            })
            .transpose()
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(other) => Err(Problem::bad_request(format!(
                "query parameter `{name}`: `{other}` is neither `true` nor `false`"
            ))),
        }
    }

    /// Reads a word by its table, naming the table when the word is not in it.
    pub(crate) fn word<T>(&self, name: &str, known: &[(&str, T)]) -> Result<Option<T>, Problem>
    where
        T: Copy,
    {
        self.text(name)
            .map(|text| look_up(name, text, known))
            .transpose()
    }

    /// Reads a comma-separated list of words.
    pub(crate) fn words<T: Copy>(
        &self,
        name: &str,
        known: &[(&str, T)],
    ) -> Result<Vec<T>, Problem> {
        self.list(name)
            .into_iter()
            .map(|text| look_up(name, text, known))
            .collect()
    }
}

fn look_up<T: Copy>(name: &str, text: &str, known: &[(&str, T)]) -> Result<T, Problem> {
    let found = known.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        let detail = format!(
            "query parameter `{name}`: `{text}` is none of {}",
            words.join(", ")
        );
        Problem::bad_request(detail)
    })
}

/// Reads a JSON body; a mistake is named with its line and column.
pub(crate) fn json_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() {
        return Err(Problem::bad_request("the body is empty; JSON is expected"));
    }
    // A list of values would be read as well, field by field.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::bad_request("body: a JSON object is expected"));
    }
    serde_json::from_slice(body).map_err(|error| Problem::bad_request(format!("body: {error}")))
}

pub(crate) fn bad_cursor(text: &str) -> Problem {
    Problem::bad_request(format!(
        "query parameter `cursor`: `{text}` was not given by this path"
    ))
}
