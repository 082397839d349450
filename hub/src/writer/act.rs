//! Carries out what people do to alarms.

use super::carry_out::Answer;
use super::{Staged, Writer};
use model::Timestamp;
use rules::{ActError, BookEvent, Verb};
use sdk::{Action, Actor, AlarmArgs, AlarmVerb, Command, CommandError, Done};
use serde_json::{Value, json};
use store::{Group, StoreError};

/// An action on one alarm, as the command carries it.
struct Act<'a> {
    id: &'a str,
    verb: AlarmVerb,
    version: Option<u64>,
    comment: Option<&'a str>,
    args: &'a AlarmArgs,
    key: Option<&'a str>,
}

impl<'a> Act<'a> {
    fn of(action: &'a Action) -> Option<Self> {
        let Action::Alarm {
            id,
            verb,
            version,
            comment,
            args,
            key,
        } = action
        else {
            return None;
        };
        Some(Self {
            id,
            verb: *verb,
            version: *version,
            comment: comment.as_deref(),
            args,
            key: key.as_deref(),
        })
    }

    fn action(&self, actor: &'a Actor) -> rules::Action<'a> {
        rules::Action {
            is_supervisor: actor.role.shelves_critical_alarms(),
            version: self.version,
            comment: self.comment,
            minutes: self.args.minutes,
            reason: self.args.reason.as_deref(),
            owner: self.args.owner.as_deref(),
            ..rules::Action::new(verb(self.verb), &actor.name)
        }
    }

    /// Gives what makes two requests the same.
    fn request(&self) -> Value {
        json!({
            "version": self.version,
            "comment": self.comment,
            "minutes": self.args.minutes,
            "reason": self.args.reason,
            "owner": self.args.owner,
        })
    }

    /// Says what the audit trail keeps beside who, what and which alarm.
    fn detail(&self, version: u64) -> Value {
        let mut detail = json!({ "comment": self.comment, "version": version });
        if let Some(fields) = detail.as_object_mut() {
            let minutes = self.args.minutes.map(|minutes| ("minutes", json!(minutes)));
            let reason = self
                .args
                .reason
                .as_ref()
                .map(|text| ("reason", json!(text)));
            let owner = self.args.owner.as_ref().map(|text| ("owner", json!(text)));
            for (name, value) in [minutes, reason, owner].into_iter().flatten() {
                fields.insert(name.to_owned(), value);
            }
        }
        detail
    }
}

fn verb(verb: AlarmVerb) -> Verb {
    match verb {
        AlarmVerb::Ack => Verb::Ack,
        AlarmVerb::Shelve => Verb::Shelve,
        AlarmVerb::Unshelve => Verb::Unshelve,
        AlarmVerb::Assign => Verb::Assign,
        AlarmVerb::Comment => Verb::Comment,
        AlarmVerb::FalseAlarm => Verb::FalseAlarm,
        AlarmVerb::OutOfService => Verb::OutOfService,
        AlarmVerb::InService => Verb::InService,
        AlarmVerb::Reset => Verb::Reset,
    }
}

impl Writer {
    pub(super) fn act(
        &mut self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        command: &Command,
    ) -> Result<Answer, StoreError> {
        let actor = &command.actor;
        let Some(act) = Act::of(&command.action) else {
            return Ok(Err(CommandError::Invalid(
                "this is no action on an alarm".to_owned(),
            )));
        };
        // A key belongs to whoever used it and to what it was used for.
        let key = act
            .key
            .map(|key| format!("{}|{}|{:?}|{key}", actor.name, act.id, act.verb));
        let request = act.request();
        if let Some(kept) = self.answered(staged, key.as_deref())? {
            return Ok(repeated(kept, &request, act.key.unwrap_or_default()));
        }
        let mut told = Vec::new();
        let action = act.action(actor);
        let at = (now, &self.engine as &dyn rules::Around);
        let mut taken = self.book.act(at, act.id, action, &mut told);
        if taken == Err(ActError::NotFound) {
            let Some(row) = self.reader.alarm(act.id)? else {
                return Ok(Err(missing(act.id, false)));
            };
            // It is over long ago, but something may still be said about it.
            self.book.recall(row);
            let at = (now, &self.engine as &dyn rules::Around);
            taken = self.book.act(at, act.id, action, &mut told);
        }
        let row = match taken {
            Ok(row) => row,
            Err(ActError::NotFound) => return Ok(Err(missing(act.id, true))),
            Err(error) => return Ok(Err(refusal(&error))),
        };
        let detail = act.detail(row.version).to_string();
        group.audit(
            &actor.name,
            actor.role.name(),
            action.verb.name(),
            act.id,
            &detail,
        );
        let body = self.shown(staged, &row);
        // The event of the action itself says who acted; what follows from it happens by itself.
        let own = told.iter().position(|event| match event {
            BookEvent::Alarm(event) => event.row.id == act.id && event.row.version == row.version,
            BookEvent::Flood(_) => false,
        });
        for (index, event) in told.into_iter().enumerate() {
            let by = (Some(index) == own).then_some((actor.name.as_str(), act.comment));
            self.tell(group, staged, event, by);
        }
        if let Some(key) = key {
            let kept = json!({ "request": request, "answer": body });
            group.idempotency(&key, &kept.to_string());
            staged.idempotent.insert(key, kept);
        }
        Ok(Ok(Done { seq: 0, body }))
    }

    /// Finds the answer that the same request got before.
    pub(super) fn answered(
        &self,
        staged: &Staged,
        key: Option<&str>,
    ) -> Result<Option<Value>, StoreError> {
        let Some(key) = key else { return Ok(None) };
        if let Some(body) = staged.idempotent.get(key) {
            return Ok(Some(body.clone()));
        }
        let stored = self.reader.idempotency(key)?;
        Ok(stored.and_then(|text| serde_json::from_str(&text).ok()))
    }
}

/// Gives the answer that the same request got; another request under the same key is a mistake.
pub(super) fn repeated(mut kept: Value, request: &Value, key: &str) -> Answer {
    if kept.get("request") != Some(request) {
        let reason = format!("the key `{key}` was used for another request");
        return Err(CommandError::Invalid(reason));
    }
    let body = kept.get_mut("answer").map(Value::take).unwrap_or_default();
    Ok(Done { seq: 0, body })
}

/// Says why the book does not take an action.
fn refusal(error: &ActError) -> CommandError {
    let reason = error.to_string();
    match error {
        ActError::NotFound => CommandError::NotFound(reason),
        ActError::Stale { .. } | ActError::Impossible { .. } => CommandError::Conflict(reason),
        ActError::Missing { .. } | ActError::TooLong { .. } => CommandError::Invalid(reason),
        ActError::NeedsSupervisor => CommandError::Forbidden(reason),
    }
}

fn missing(id: &str, past: bool) -> CommandError {
    if past {
        CommandError::Conflict(format!("alarm `{id}` is back to normal and closed"))
    } else {
        CommandError::NotFound(format!("there is no alarm `{id}`"))
    }
}
