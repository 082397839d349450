//! A step of the disposal of a case, as platforms report it over HTTP and MQTT alike.

use model::{CaseState, CaseStep, Timestamp};
use serde::{Deserialize, Serialize};

/// Longest note, in bytes.
const NOTE_BYTES_MAX: usize = 4_000;

/// Longest name of whoever did it.
const ACTOR_BYTES_MAX: usize = 200;

/// Longest id by which a repeated report is known.
const ID_BYTES_MAX: usize = 200;

/// The key of a report that gave none and no time either, by a way that may repeat it by itself: it
/// is held against the last one.
pub const UNNAMED: &str = "~unnamed";

/// What was reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepReport {
    pub step: CaseStep,
    /// Who did it; whoever reports, unless said.
    pub actor: Option<String>,
    /// When it was done; now, unless said.
    pub at: Option<Timestamp>,
    pub note: Option<String>,
    /// `close` although the sensor still measures the violation.
    #[serde(rename = "override", default)]
    pub overrides: bool,
    /// `return` to this state instead of the one before.
    pub to: Option<CaseState>,
    /// The new due time of `extend`, or the end of `defer`.
    pub until: Option<Timestamp>,
    /// The version of the case that the reporter saw.
    pub version: Option<u64>,
    /// A report that comes again with the same id is carried out once.
    pub id: Option<String>,
}

impl StepReport {
    /// Reads the JSON body of a report.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        // A list of values would be read as well, field by field.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err("a JSON object is expected".to_owned());
        }
        let mut report: Self = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let actor = report.actor.as_deref();
        if actor.is_some_and(|actor| actor.trim().is_empty()) {
            // The caller's own name would say of somebody else that he did it.
            return Err("`actor` is empty; leave it out if it is the caller".to_owned());
        }
        for (name, text, bytes_max) in [
            ("actor", &mut report.actor, ACTOR_BYTES_MAX),
            ("note", &mut report.note, NOTE_BYTES_MAX),
            ("id", &mut report.id, ID_BYTES_MAX),
        ] {
            *text = text
                .take()
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty());
            if text.as_ref().is_some_and(|text| text.len() > bytes_max) {
                return Err(format!("`{name}` is longer than {bytes_max} bytes"));
            }
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::StepReport;
    use model::{CaseState, CaseStep, Timestamp};

    #[test]
    fn a_report_is_read_with_times_in_either_form_and_blank_texts_are_none() {
        let body = br#"{"step":"return","at":1763700000000,"note":" why ","id":"  ",
            "to":"accepted","until":"2025-11-21T04:40:00Z"}"#;
        let report = StepReport::parse(body).unwrap();
        assert_eq!(
            (report.step, report.to),
            (CaseStep::Return, Some(CaseState::Accepted))
        );
        assert_eq!(report.at, Some(Timestamp::from_millis(1_763_700_000_000)));
        assert_eq!(report.until, report.at);
        assert_eq!((report.note.as_deref(), report.id), (Some("why"), None));
        assert!(!report.overrides);
    }

    #[test]
    fn what_is_unknown_or_too_long_is_refused_by_name() {
        for (body, named) in [
            (r#"{"step":"finish"}"#.to_owned(), "finish"),
            (r#"{"step":"accept","when":1}"#.to_owned(), "when"),
            (r#"{"actor":"li"}"#.to_owned(), "step"),
            (r#"{"step":"accept","actor":" "}"#.to_owned(), "actor"),
            (r#"["accept",null,null]"#.to_owned(), "object"),
            (r#""accept""#.to_owned(), "object"),
            (
                format!(r#"{{"step":"void","note":"{}"}}"#, "x".repeat(4_001)),
                "note",
            ),
        ] {
            let reason = StepReport::parse(body.as_bytes()).unwrap_err();
            assert!(reason.contains(named), "{reason}");
        }
    }
}
