//! Keeps the shift log and the handover from one shift to the next.

use super::carry_out::Answer;
use super::{Staged, Writer};
use crate::shifts::Shifts;
use anyhow::Context as _;
use model::{Severity, Timestamp};
use sdk::{Action, Actor, CommandError, Done, HandoverPart};
use serde_json::{Value, json};
use store::{Group, NewEvent, Reader, StoredHandover};
use web::{HandoverChange, HandoverDraft, Signature, handover_hash, handover_json};

/// Signatures of a handover: of who goes and of who comes.
const SIGNATURES: usize = 2;

/// Takes up the draft of the last run, or begins one.
pub(super) fn restore(
    reader: &Reader,
    shifts: &Shifts,
    now: Timestamp,
) -> anyhow::Result<HandoverDraft> {
    match reader.handover_draft()? {
        Some(stored) => serde_json::from_str(&stored.json).context("the draft of the handover"),
        None => Ok(begin(shifts, now, 1, None)),
    }
}

fn begin(shifts: &Shifts, at: Timestamp, id: u64, responsible: Option<String>) -> HandoverDraft {
    let draft = HandoverDraft {
        id,
        responsible,
        began_at: at,
        ..HandoverDraft::default()
    };
    let Some(shift) = shifts.begun_by(at) else {
        return draft;
    };
    HandoverDraft {
        // Whoever looks before the first handover sees the whole shift.
        began_at: if id == 1 { shift.began_at.min(at) } else { at },
        opens_at: shifts.opens_at(&shift),
        overdue_at: shifts.overdue_at(&shift),
        ends_at: shift.ends_at,
        shift: shift.name,
        ..draft
    }
}

impl Writer {
    pub(super) fn desk(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, action): (&Actor, &Action),
    ) -> Answer {
        match action {
            Action::ShiftLog { kind, text } => {
                group.shift_log(&actor.name, kind, text);
                let detail = json!({ "kind": kind, "text": text });
                audit(group, actor, "shift_log", kind, &detail);
                let body = json!({ "at": now, "actor": actor.name, "kind": kind, "text": text });
                Ok(Done { seq: 0, body })
            }
            Action::PutHandover { version, change } => {
                self.put_handover(group, staged, (actor, *version, change))
            }
            Action::SignHandover {
                part,
                version,
                snapshot,
            } => self.sign_handover(group, staged, now, (actor, *part, *version, snapshot)),
            _ => Err(CommandError::Invalid(
                "this is nothing of a shift".to_owned(),
            )),
        }
    }

    fn draft(&self, staged: &Staged) -> HandoverDraft {
        let changed = staged.handover.clone();
        changed.unwrap_or_else(|| self.published.handovers.draft())
    }

    fn put_handover(
        &self,
        group: &mut Group,
        staged: &mut Staged,
        (actor, version, change): (&Actor, u64, &Value),
    ) -> Answer {
        let mut draft = self.draft(staged);
        check_version(&draft, version)?;
        let change: HandoverChange = serde_json::from_value(change.clone())
            .map_err(|error| CommandError::Invalid(error.to_string()))?;
        draft.apply(&change);
        audit(
            group,
            actor,
            "put_handover",
            &draft.id.to_string(),
            &json!(change),
        );
        let body = handover_json(&draft, None);
        keep(group, staged, draft);
        Ok(Done { seq: 0, body })
    }

    fn sign_handover(
        &self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, part, version, snapshot): (&Actor, HandoverPart, u64, &Value),
    ) -> Answer {
        let mut draft = self.draft(staged);
        check_version(&draft, version)?;
        if part == HandoverPart::Incoming && now < draft.opens_at {
            let reason = format!("the shift can be taken over from {} on", draft.opens_at);
            return Err(CommandError::Conflict(reason));
        }
        if draft
            .signatures
            .iter()
            .any(|signature| signature.part == part)
        {
            let reason = "this part of the handover is signed already".to_owned();
            return Err(CommandError::Conflict(reason));
        }
        if draft
            .signatures
            .iter()
            .any(|signature| signature.name == actor.name)
        {
            let reason = "two persons sign a handover, each for one part".to_owned();
            return Err(CommandError::Conflict(reason));
        }
        draft.signatures.push(Signature {
            part,
            name: actor.name.clone(),
            role: actor.role.name().to_owned(),
            at: now,
        });
        draft.version += 1;
        let id = draft.id.to_string();
        if draft.signatures.len() < SIGNATURES {
            let detail = json!({ "part": part, "version": draft.version });
            audit(group, actor, "sign_handover", &id, &detail);
            let body = handover_json(&draft, None);
            keep(group, staged, draft);
            return Ok(Done { seq: 0, body });
        }
        let json = frozen_text(&draft, snapshot, now);
        let hash = handover_hash(&json);
        let detail = json!({ "part": part, "version": draft.version, "hash": hash });
        audit(group, actor, "sign_handover", &id, &detail);
        let body = handover_json(&draft, Some((now, &hash)));
        group.handover(StoredHandover {
            id: draft.id,
            frozen_at: Some(now),
            hash: Some(hash),
            json,
        });
        let incoming = draft.signatures.iter();
        let mut incoming = incoming.filter(|of| of.part == HandoverPart::Incoming);
        let responsible = incoming.next().map(|signature| signature.name.clone());
        let next = begin(&self.shifts, now, draft.id + 1, responsible);
        keep(group, staged, next);
        Ok(Done { seq: 0, body })
    }

    /// Tells when an unsigned handover becomes overdue; one that nobody ever touched never does.
    pub(super) fn overdue_at(&self) -> Option<Timestamp> {
        let draft = self.published.handovers.draft();
        let is_used = draft.version > 0 || draft.id > 1;
        (is_used && !draft.is_overdue).then_some(draft.overdue_at)
    }

    /// Says once that a handover is overdue.
    pub(super) fn advance_handover(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
    ) {
        let Some(at) = self.overdue_at().filter(|at| *at <= now) else {
            return;
        };
        let mut draft = self.draft(staged);
        draft.is_overdue = true;
        let data = json!({
            "handover": draft.id,
            "shift": draft.shift,
            "ended_at": draft.ends_at,
            "responsible": draft.responsible,
        });
        self.last_event = group.event(&NewEvent {
            kind: "cityhub.shift.overdue",
            subject: &format!("handover-{}", draft.id),
            severity: Some(Severity::Minor),
            grid: None,
            time: at,
            data: &data.to_string(),
        });
        keep(group, staged, draft);
    }
}

fn check_version(draft: &HandoverDraft, version: u64) -> Result<(), CommandError> {
    if draft.version == version {
        return Ok(());
    }
    Err(CommandError::Refused {
        reason: format!("the handover has moved on to version {}", draft.version),
        facts: json!({ "version": draft.version }),
    })
}

/// Writes what both signed.
fn frozen_text(draft: &HandoverDraft, snapshot: &Value, now: Timestamp) -> String {
    let mut document = json!(draft);
    if let Some(fields) = document.as_object_mut() {
        fields.insert("signed_at".to_owned(), json!(now));
        if let Value::Object(snapshot) = snapshot {
            fields.extend(snapshot.clone());
        }
    }
    document.to_string()
}

fn keep(group: &mut Group, staged: &mut Staged, draft: HandoverDraft) {
    group.handover(StoredHandover {
        id: draft.id,
        frozen_at: None,
        hash: None,
        json: serde_json::to_string(&draft).expect("a draft is plain data"),
    });
    staged.handover = Some(draft);
}

fn audit(group: &mut Group, actor: &Actor, action: &str, subject: &str, detail: &Value) {
    let role = actor.role.name();
    group.audit(&actor.name, role, action, subject, &detail.to_string());
}
