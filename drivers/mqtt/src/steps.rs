//! Steps of cases that platforms report: `cases/{id}/steps`.

use crate::packet::Qos;
use bytes::Bytes;
use sdk::{Action, Actor, Command, CommandError, Done, StepReport, UNNAMED};
use serde_json::{Value, json};

/// Version 5 reason codes of a PUBACK.
const IMPLEMENTATION_SPECIFIC: u8 = 0x83;
pub(crate) const PAYLOAD_FORMAT_INVALID: u8 = 0x99;

/// A step that waits for the writer, and the message that it came in.
#[derive(Clone, Debug)]
pub(crate) struct StepAsk {
    pub(crate) command: Command,
    pub(crate) case: String,
    /// The id of the report, which its outcome names.
    pub(crate) id: Option<String>,
    pub(crate) qos: Qos,
    pub(crate) packet_id: u16,
}

impl StepAsk {
    /// Reads a report; the error is what is published as its outcome.
    pub(crate) fn read(
        actor: &Actor,
        case: &str,
        payload: &[u8],
        (qos, packet_id): (Qos, u16),
    ) -> Result<Self, Bytes> {
        let report = StepReport::parse(payload).map_err(|reason| {
            let outcome = json!({ "case": case, "done": false, "reason": reason });
            Bytes::from(outcome.to_string())
        })?;
        let id = report.id.clone();
        // After an outage a client sends again what was not acknowledged, whether it was taken or not.
        let is_unnamed = id.is_none() && report.at.is_none();
        let action = Action::CaseStep {
            id: case.to_owned(),
            report,
            key: is_unnamed.then(|| UNNAMED.to_owned()),
        };
        let actor = actor.clone();
        Ok(Self {
            command: Command { actor, action },
            case: case.to_owned(),
            id,
            qos,
            packet_id,
        })
    }

    /// Writes the outcome: the reason code and words of the acknowledgement, and what is published.
    pub(crate) fn outcome(&self, said: &Result<Done, CommandError>) -> (u8, String, Bytes) {
        let mut outcome = json!({ "case": self.case, "id": self.id, "done": said.is_ok() });
        let mut put = |name: &str, value: &Value| {
            if let Some(fields) = outcome.as_object_mut() {
                fields.insert(name.to_owned(), value.clone());
            }
        };
        if let Action::CaseStep { report, .. } = &self.command.action {
            put("step", &json!(report.step));
        }
        let (code, words) = match said {
            Ok(done) => {
                for name in ["state", "version"] {
                    put(name, done.body.get(name).unwrap_or(&Value::Null));
                }
                (0, String::new())
            }
            Err(error) => {
                if let CommandError::Refused { facts, .. } = error {
                    for (name, value) in facts.as_object().into_iter().flatten() {
                        put(name, value);
                    }
                }
                let words = error.to_string();
                put("reason", &json!(words));
                (IMPLEMENTATION_SPECIFIC, words)
            }
        };
        (code, words, Bytes::from(outcome.to_string()))
    }
}
