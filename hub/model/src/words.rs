//! What things are called in the two languages of the console: tables, so that a city can change
//! them.

use crate::Severity;
use serde::Serialize;

const SEVERITIES: &str = include_str!("../data/severities.csv");
const QUICK_PHRASES: &str = include_str!("../data/quick_phrases.csv");

/// One name in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Names {
    pub zh: String,
    pub en: String,
}

/// What a severity is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeverityNames {
    #[serde(skip)]
    pub severity: Severity,
    /// Ⅰ to Ⅳ.
    pub numeral: String,
    pub zh: String,
    pub en: String,
    /// 红, 橙, 黄 or 蓝.
    pub colour_zh: String,
}

/// Something that is often said in a comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuickPhrase {
    /// Of the device; every kind, if none is named.
    pub kind: Option<String>,
    pub zh: String,
    pub en: String,
}

/// Gives the names of the severities, the worst first.
pub fn severity_names() -> Vec<SeverityNames> {
    let read = |cells: Vec<&str>| {
        let [severity, numeral, zh, en, colour, ..] = cells.as_slice() else {
            return None;
        };
        Some(SeverityNames {
            severity: Severity::parse(severity)?,
            numeral: (*numeral).to_owned(),
            zh: (*zh).to_owned(),
            en: (*en).to_owned(),
            colour_zh: (*colour).to_owned(),
        })
    };
    rows(SEVERITIES).filter_map(|(_, row)| read(row)).collect()
}

/// Gives the phrases that come with the hub.
pub fn quick_phrases() -> Vec<QuickPhrase> {
    read_quick_phrases(QUICK_PHRASES).expect("a test reads the whole table")
}

/// Reads a table of phrases (`kind,text_zh,text_en`); an error names the line.
pub fn read_quick_phrases(csv: &str) -> Result<Vec<QuickPhrase>, String> {
    rows(csv)
        .map(|(line, cells)| match cells.as_slice() {
            [kind, zh, en] if !zh.is_empty() => Ok(QuickPhrase {
                kind: (!kind.is_empty()).then(|| (*kind).to_owned()),
                zh: (*zh).to_owned(),
                en: if en.is_empty() { *zh } else { *en }.to_owned(),
            }),
            _ => Err(format!(
                "line {line}: `kind,text_zh,text_en` is expected, with a text_zh"
            )),
        })
        .collect()
}

/// Gives the rows under the header with the numbers of their lines.
fn rows(csv: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    csv.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .skip(1)
        .map(|(line, text)| (line, text.split(',').map(str::trim).collect()))
}

#[cfg(test)]
mod tests {
    use super::{quick_phrases, read_quick_phrases, severity_names};
    use crate::Severity;

    #[test]
    fn the_worst_severity_is_the_first_and_red() {
        let names = severity_names();
        let worst: Vec<(Severity, &str, &str)> = names
            .iter()
            .map(|row| (row.severity, row.numeral.as_str(), row.colour_zh.as_str()))
            .collect();
        assert_eq!(
            worst,
            [
                (Severity::Critical, "Ⅰ", "红"),
                (Severity::Major, "Ⅱ", "橙"),
                (Severity::Minor, "Ⅲ", "黄"),
                (Severity::Warning, "Ⅳ", "蓝"),
            ]
        );
    }

    #[test]
    fn a_phrase_is_for_a_kind_or_for_all_and_a_broken_row_names_its_line() {
        let phrases = quick_phrases();
        assert_eq!(phrases[0].kind, None);
        assert!(
            phrases
                .iter()
                .any(|row| row.kind.as_deref() == Some("gas_pressure"))
        );
        let error = read_quick_phrases("kind,text_zh,text_en\n,好,Good\nsmoke\n").unwrap_err();
        assert!(error.starts_with("line 3"), "{error}");
    }
}
