//! Carries out what is asked of the subscriptions, and notes how far the deliveries came.

use super::carry_out::Answer;
use super::{Staged, Writer};
use model::{Catalogue, Timestamp};
use sdk::{Action, Actor, CommandError, Delivered, Done, PendingSession, SubscriptionVerb};
use serde_json::{Map, Value, json};
use sinks::{Known, SinkError, Start, Subscription};
use store::{Group, ParkedEvent, StoreError, StoredSession, StoredSubscription};
use web::Subscriber;

/// Each has a connection, a task and a line in the health report.
const SUBSCRIBERS_MAX: usize = 64;

impl Writer {
    pub(super) fn subscribe(
        &self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, action): (&Actor, &Action),
    ) -> Result<Answer, StoreError> {
        match action {
            Action::PutSubscription {
                name,
                spec,
                configured,
            } => self.put_subscription(group, staged, now, (actor, name, spec, *configured)),
            Action::DeleteSubscription { name, configured } => {
                Ok(self.delete_subscription(group, staged, (actor, name, *configured)))
            }
            Action::Subscription { name, verb } => {
                self.change_subscription(group, staged, now, (actor, name, verb))
            }
            Action::ConfigureSubscriptions(wanted) => {
                self.configure_subscriptions(group, staged, now, (actor, wanted))
            }
            _ => Ok(Err(CommandError::Invalid(
                "this is no action on a subscription".to_owned(),
            ))),
        }
    }

    /// Finds a subscription, changed or not by this very group.
    fn subscriber(&self, staged: &Staged, name: &str) -> Option<Subscriber> {
        match staged.subscribers.get(name) {
            Some(changed) => changed.clone(),
            None => self.published.subscribers.find(name),
        }
    }

    /// Brings all subscriptions of the configuration into force, or none of them.
    fn configure_subscriptions(
        &self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, wanted): (&Actor, &[(String, Value)]),
    ) -> Result<Answer, StoreError> {
        let known = self.published.subscribers.all();
        let is_wanted = |name: &str| wanted.iter().any(|(wanted, _)| wanted == name);
        let ended = |known: &&Subscriber| known.configured && !is_wanted(&known.name);
        let ended: Vec<String> = known
            .iter()
            .filter(ended)
            .map(|known| known.name.clone())
            .collect();
        let others = known.iter().filter(|known| !is_wanted(&known.name));
        let in_all = wanted.len() + others.count() - ended.len();
        if in_all > SUBSCRIBERS_MAX {
            let reason = format!("{in_all} subscriptions are more than {SUBSCRIBERS_MAX}");
            return Ok(Err(CommandError::Conflict(reason)));
        }
        for (name, spec) in wanted {
            if let Err(error) = self.check_configured(name, spec)? {
                return Ok(Err(error));
            }
        }
        // Those that go make room for those that come.
        for name in &ended {
            if let Err(error) = self.delete_subscription(group, staged, (actor, name, true)) {
                return Ok(Err(error));
            }
        }
        let mut unchanged = 0;
        for (name, spec) in wanted {
            match self.put_subscription(group, staged, now, (actor, name, spec, true))? {
                Ok(_) if !staged.subscribers.contains_key(name) => unchanged += 1,
                Ok(_) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        let put = wanted.len() - unchanged;
        let body = json!({ "put": put, "removed": ended.len(), "unchanged": unchanged });
        Ok(Ok(Done { seq: 0, body }))
    }

    /// Finds what would be refused before anything is changed.
    fn check_configured(
        &self,
        name: &str,
        spec: &Value,
    ) -> Result<Result<(), CommandError>, StoreError> {
        let wrong = |reason: String| format!("`sinks.{name}`: {reason}");
        let subscription = match self.read_subscription(spec) {
            Ok(subscription) => subscription,
            Err(error) => return Ok(Err(CommandError::Invalid(wrong(error.to_string())))),
        };
        if self.published.subscribers.find(name).is_some()
            || self
                .reader
                .cursor(&Subscriber::cursor_name(name))?
                .is_some()
        {
            return Ok(Ok(()));
        }
        let starts = self.starts_after(subscription.from).map(|_| ());
        Ok(starts.map_err(|error| CommandError::Conflict(wrong(error.to_string()))))
    }

    fn read_subscription(&self, spec: &Value) -> Result<Subscription, SinkError> {
        let subscription = Subscription::parse(spec)?;
        subscription.filter.check(&City(&self.catalogue))?;
        Ok(subscription)
    }

    fn put_subscription(
        &self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, name, spec, configured): (&Actor, &str, &Value, bool),
    ) -> Result<Answer, StoreError> {
        let known = self.subscriber(staged, name);
        if known.as_ref().is_some_and(|known| known.configured) && !configured {
            return Ok(Err(of_the_configuration(name)));
        }
        let mut fields = spec.as_object().cloned().unwrap_or_default();
        sinks::keep_masked(&mut fields, known.as_ref().map(|known| &known.spec));
        // It has begun; the configuration may go on to say where.
        let began = known.as_ref().and_then(|known| known.spec.get("from"));
        if let Some(began) = began.filter(|_| !configured)
            && let Err(error) = keep_start(name, &mut fields, began)
        {
            return Ok(Err(error));
        }
        let subscription = match self.read_subscription(&Value::Object(fields)) {
            Ok(subscription) => subscription,
            Err(error) => return Ok(Err(CommandError::Invalid(error.to_string()))),
        };
        let spec = subscription.to_json();
        if let Some(known) = &known
            && (&known.spec, known.configured) == (&spec, configured)
        {
            let body = known.to_json();
            return Ok(Ok(Done { seq: 0, body }));
        }
        if known.is_none() {
            // Those of the configuration were counted together.
            if !configured && self.published.subscribers.all().len() >= SUBSCRIBERS_MAX {
                let reason = format!("there are {SUBSCRIBERS_MAX} subscriptions already");
                return Ok(Err(CommandError::Conflict(reason)));
            }
            let cursor = Subscriber::cursor_name(name);
            // One that was taken out of the configuration and comes back goes on where it was.
            if self.reader.cursor(&cursor)?.is_none() {
                match self.starts_after(subscription.from) {
                    Ok(after) => group.cursor(&cursor, after),
                    Err(error) => return Ok(Err(error)),
                }
            }
        }
        let subscriber = Subscriber {
            name: name.to_owned(),
            revision: known.as_ref().map_or(1, |known| known.revision + 1),
            epoch: known.as_ref().map_or(epoch(now), |known| known.epoch),
            configured,
            paused: known.as_ref().is_some_and(|known| known.paused),
            shown: sinks::mask(&spec),
            spec,
        };
        let detail = subscriber.to_json();
        audit(group, actor, "put_subscription", name, &detail);
        stage(group, staged, subscriber);
        Ok(Ok(Done {
            seq: 0,
            body: detail,
        }))
    }

    fn starts_after(&self, from: Start) -> Result<u64, CommandError> {
        match from {
            Start::Now => Ok(self.last_event),
            Start::Beginning => Ok(0),
            Start::After(seq) if seq <= self.last_event => Ok(seq),
            Start::After(seq) => Err(CommandError::Conflict(format!(
                "event {seq} does not exist yet; the newest is {}",
                self.last_event
            ))),
        }
    }

    fn delete_subscription(
        &self,
        group: &mut Group,
        staged: &mut Staged,
        (actor, name, configured): (&Actor, &str, bool),
    ) -> Answer {
        let Some(known) = self.subscriber(staged, name) else {
            return Err(missing(name));
        };
        if known.configured != configured {
            return Err(of_the_configuration(name));
        }
        if configured {
            group.end_subscription(name);
        } else {
            group.forget_subscription(name, &Subscriber::cursor_name(name));
        }
        audit(group, actor, "delete_subscription", name, &json!({}));
        staged.subscribers.insert(name.to_owned(), None);
        Ok(Done {
            seq: 0,
            body: Value::Null,
        })
    }

    fn change_subscription(
        &self,
        group: &mut Group,
        staged: &mut Staged,
        now: Timestamp,
        (actor, name, verb): (&Actor, &str, &SubscriptionVerb),
    ) -> Result<Answer, StoreError> {
        let Some(mut subscriber) = self.subscriber(staged, name) else {
            return Ok(Err(missing(name)));
        };
        if let SubscriptionVerb::Resend { seq: Some(seq) }
        | SubscriptionVerb::Drop { seq: Some(seq) } = verb
            && !self.reader.is_parked(name, *seq)?
        {
            let reason = format!("event {seq} is not parked for `{name}`");
            return Ok(Err(CommandError::NotFound(reason)));
        }
        let (action, detail) = match verb {
            SubscriptionVerb::Pause => {
                subscriber.paused = true;
                ("pause_subscription", json!({}))
            }
            SubscriptionVerb::Resume => {
                subscriber.paused = false;
                ("resume_subscription", json!({}))
            }
            SubscriptionVerb::Replay { after } => {
                if let Err(error) = self.starts_after(Start::After(*after)) {
                    return Ok(Err(error));
                }
                group.cursor(&Subscriber::cursor_name(name), *after);
                // What is under way counts for nothing any more.
                subscriber.epoch = epoch(now).max(subscriber.epoch + 1);
                ("replay_subscription", json!({ "after": after }))
            }
            SubscriptionVerb::Resend { seq } => {
                group.send_again(name, *seq);
                ("resend_parked", json!({ "seq": seq }))
            }
            SubscriptionVerb::Drop { seq } => {
                group.unpark(name, *seq);
                ("drop_parked", json!({ "seq": seq }))
            }
        };
        subscriber.revision += 1;
        audit(group, actor, action, name, &detail);
        let body = subscriber.to_json();
        stage(group, staged, subscriber);
        Ok(Ok(Done { seq: 0, body }))
    }

    /// Notes how far a delivery came, unless it is of a life that is over.
    pub(super) fn note_delivered(&self, group: &mut Group, staged: &Staged, word: Delivered) {
        let known = self.subscriber(staged, &word.name);
        if known.is_none_or(|known| known.epoch != word.epoch) {
            return;
        }
        for (event, reason) in word.refused {
            let parked = ParkedEvent {
                at: group.stamp(),
                reason,
                again: false,
                event,
            };
            group.park(&word.name, parked);
        }
        for seq in word.settled {
            group.unpark(&word.name, Some(seq));
        }
        if let Some(seq) = word.cursor {
            group.cursor(&Subscriber::cursor_name(&word.name), seq);
        }
    }
}

/// Lets a subscription that has begun stay where it is: `from` may be left out, or be what it was.
fn keep_start(
    name: &str,
    fields: &mut Map<String, Value>,
    began: &Value,
) -> Result<(), CommandError> {
    let from = fields.entry("from").or_insert_with(|| began.clone());
    match (Start::parse(from), Start::parse(began)) {
        (Ok(from), Ok(began)) if from != began => {}
        _ => return Ok(()),
    }
    Err(CommandError::Conflict(format!(
        "`from`: subscription `{name}` began at {began} and stays where it is; POST \
         /api/v1/subscriptions/{name}/replay sends from elsewhere"
    )))
}

/// What filters may ask for.
struct City<'a>(&'a Catalogue);

impl Known for City<'_> {
    fn knows_type(&self, prefix: &str) -> bool {
        web::knows_event_type(prefix)
    }

    fn knows_kind(&self, kind: &str) -> bool {
        self.0.kinds().any(|known| known == kind)
    }
}

/// Keeps a session of a client of MQTT, or ends it with its cursor.
pub(super) fn keep_session(group: &mut Group, staged: &mut Staged, pending: PendingSession) {
    match &pending.session {
        None => group.end_session(&pending.name),
        Some(session) => group.keep_session(StoredSession {
            name: pending.name.clone(),
            filters: json!(session.filters).to_string(),
            expiry_s: session.expiry_s,
            expires_at: session.expires_at,
            begins_after: session.begins_after,
        }),
    }
    staged.sessions.push(pending);
}

/// Reads what an earlier run stored; what cannot be read is not delivered to, and said so.
pub(super) fn restore(stored: &StoredSubscription) -> Option<Subscriber> {
    match serde_json::from_str::<Subscriber>(&stored.json) {
        Ok(subscriber) => Some(Subscriber {
            name: stored.name.clone(),
            shown: sinks::mask(&subscriber.spec),
            ..subscriber
        }),
        Err(error) => {
            tracing::error!(name = stored.name, %error, "a subscription cannot be read");
            None
        }
    }
}

/// Another number for each life of a subscription, of whatever name.
fn epoch(now: Timestamp) -> u64 {
    now.millis().unsigned_abs()
}

fn stage(group: &mut Group, staged: &mut Staged, subscriber: Subscriber) {
    let json = serde_json::to_string(&subscriber).expect("a subscription is plain data");
    group.put_subscription(StoredSubscription {
        name: subscriber.name.clone(),
        json,
    });
    let name = subscriber.name.clone();
    staged.subscribers.insert(name, Some(subscriber));
}

fn audit(group: &mut Group, actor: &Actor, action: &str, name: &str, detail: &Value) {
    let role = actor.role.name();
    group.audit(&actor.name, role, action, name, &detail.to_string());
}

fn missing(name: &str) -> CommandError {
    CommandError::NotFound(format!("there is no subscription `{name}`"))
}

fn of_the_configuration(name: &str) -> CommandError {
    CommandError::Conflict(format!(
        "subscription `{name}` is of the configuration, and changes there"
    ))
}
