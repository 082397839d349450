//! The table of all figures: what is not in it is not shown.

use serde::Deserialize;
use std::sync::LazyLock;

const TEXT: &str = include_str!("../../data/figures.csv");

/// What a figure is to Prometheus.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FigureKind {
    /// Only ever grows.
    Counter,
    Gauge,
    Histogram,
    /// Always 1; its labels are what it says.
    Info,
}

impl FigureKind {
    /// The word of the text form, which has none for `info`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge | Self::Info => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One row of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FigureRow {
    pub name: String,
    pub kind: FigureKind,
    /// `seconds`, `bytes`, `ratio`, or nothing for a count.
    pub unit: String,
    /// Names with `|` between them.
    pub(crate) labels: String,
    /// `always`, or the part of the configuration that must be there.
    pub(crate) shown: String,
    pub en: String,
    pub(crate) zh: String,
    /// What to do when it is bad; nothing where no value is bad by itself.
    pub(crate) bad_en: String,
    pub(crate) bad_zh: String,
}

impl FigureRow {
    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        self.labels.split('|').filter(|label| !label.is_empty())
    }
}

/// Gives every figure, in the order in which they are shown.
pub(crate) fn rows() -> &'static [FigureRow] {
    static ROWS: LazyLock<Vec<FigureRow>> = LazyLock::new(|| {
        let mut reader = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .from_reader(TEXT.as_bytes());
        let rows: Result<Vec<FigureRow>, _> = reader.deserialize().collect();
        rows.expect("the built-in table is checked by a test")
    });
    &ROWS
}

/// Gives the place of a figure in the table.
pub(crate) fn place_of(name: &str) -> Option<usize> {
    rows().iter().position(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::{FigureKind, rows};
    use std::collections::BTreeSet;

    #[test]
    fn names_are_said_once_and_tell_what_they_count() {
        let mut names = BTreeSet::new();
        for row in rows() {
            let name = row.name.as_str();
            assert!(names.insert(name), "{name} twice");
            assert!(
                name.starts_with("cityhub_") || name.starts_with("process_"),
                "{name}"
            );
            let base = name.strip_suffix("_total").unwrap_or(name);
            let ending = match row.unit.as_str() {
                "" => "",
                unit @ ("seconds" | "bytes" | "ratio") => unit,
                unit => panic!("{name}: {unit}"),
            };
            assert!(base.ends_with(ending), "{name} says no {ending}");
            for unit in ["_seconds", "_bytes", "_ratio"] {
                assert_eq!(base.ends_with(unit), unit == format!("_{ending}"), "{name}");
            }
            let is_total = name.ends_with("_total");
            assert_eq!(row.kind == FigureKind::Counter, is_total, "{name}");
            assert_eq!(
                row.kind == FigureKind::Info,
                name.ends_with("_info"),
                "{name}"
            );
        }
        assert!(names.len() > 40);
    }

    #[test]
    fn every_figure_is_explained_in_both_languages_and_names_no_device() {
        let is_chinese = |text: &str| {
            text.chars()
                .any(|sign| ('\u{4e00}'..='\u{9fff}').contains(&sign))
        };
        for row in rows() {
            let name = &row.name;
            assert!(row.en.ends_with('.') && is_chinese(&row.zh), "{name}");
            assert_eq!(row.bad_en.is_empty(), row.bad_zh.is_empty(), "{name}");
            assert!(row.bad_zh.is_empty() || is_chinese(&row.bad_zh), "{name}");
            assert!(!row.shown.is_empty(), "{name}");
            for label in row.labels() {
                assert!(
                    !["device", "id", "address", "peer"].contains(&label),
                    "{name}"
                );
            }
        }
    }
}
