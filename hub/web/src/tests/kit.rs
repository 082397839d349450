//! A hub for tests: the real store in a folder of its own, and a writer that does what the API
//! asks of it.

mod answer;
mod feed;
mod people;
mod place;
mod rows;

pub(super) use answer::Answer;

use crate::{Health, Knocks, RuleEntry, RuleList, STREAM_CLIENTS_MAX, State, Statuses, router};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use feed::Marks;
use http_body_util::BodyExt;
use model::{
    AlarmRow, Catalogue, Device, DeviceId, DeviceKey, MetricKey, Quality, Reading, Series,
    Severity, Timestamp, Value,
};
pub(super) use people::PASSWORD;
use place::{city, desk};
pub(crate) use rows::alarm;
use sdk::{
    Access, Action, Actor, Clock, CommandError, DeviceEntry, Devices, Done, Intake, Mark, Operator,
    PendingCommand, Role, SecretChange, SecretSalt, Tail, TokenHash, TokenTable,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use store::{Journal, NewEvent, Options, StoredDevice};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// The instant at which the tests' clock starts: 2026-03-01T00:00:00Z.
pub(crate) const START_MS: i64 = 1_772_323_200_000;

/// A small hub.
pub(super) struct Hub {
    pub(super) state: State,
    pub(super) router: Router,
    /// What the writer was asked to do.
    pub(super) commands: Arc<Mutex<Vec<sdk::Command>>>,
    /// Takes every token away.
    pub(super) revoked: Arc<AtomicBool>,
    journal: Arc<Mutex<Journal>>,
    mark: watch::Sender<Mark>,
    urgent: watch::Sender<u64>,
    now: Mutex<Timestamp>,
    _dir: TempDir,
    _tasks: TaskTracker,
}

pub(super) fn tokens() -> TokenTable {
    Role::ALL
        .into_iter()
        .map(|role| {
            let name = role.name().to_owned();
            (
                TokenHash::of(&format!("token-{name}")),
                Actor { name, role },
            )
        })
        .collect()
}

fn rule_settings() -> ::rules::Settings {
    ::rules::Settings {
        zone: ::rules::Zone::named("Asia/Shanghai").unwrap(),
        ..::rules::Settings::default()
    }
}

/// Events are kept for a month, so that a test can let them expire.
fn options() -> Options {
    Options {
        events_retention_days: Some(30),
        ..Options::default()
    }
}

impl Hub {
    pub(super) fn start() -> Self {
        Self::start_with(tokens(), STREAM_CLIENTS_MAX)
    }

    #[expect(clippy::too_many_lines, reason = "the parts of the hub, one a line")]
    pub(super) fn start_with(tokens: TokenTable, stream_clients_max: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let commands = Arc::new(Mutex::new(Vec::new()));
        let (accounts, asks) = people::accounts(&dir);
        let (mut journal, reader, recovered) = store::open(dir.path(), options()).unwrap();
        let catalogue = Catalogue::built_in();
        let names = catalogue.defs().iter().map(|def| def.name.as_str());
        journal.number_metrics(&names.collect::<Vec<_>>()).unwrap();
        let driver = journal.number_driver("mqtt").unwrap();
        assert_eq!(driver, 0);
        let (requests, intake) = Intake::open();
        let (mark, receiver) = watch::channel(Mark::default());
        let (urgent, urgent_receiver) = watch::channel(0);
        let start = Timestamp::from_millis(START_MS);
        let revoked = Arc::new(AtomicBool::new(false));
        let revoking = Arc::clone(&revoked);
        let health = Health::new("1.2.3", start);
        health.set_ready(true);
        health.watch_queue(&requests);
        let state = State {
            reader,
            long_term: None,
            operator: Operator::new(requests),
            devices: Devices::new(SecretSalt(recovered.salt)),
            downlink: sdk::Downlink::default(),
            statuses: Statuses::default(),
            accounts,
            gate: crate::Gate::default(),
            access: Access::new(tokens, move || {
                revoking.swap(false, Ordering::AcqRel).then(TokenTable::new)
            }),
            catalogue: Arc::new(catalogue),
            book: Arc::default(),
            cases: Arc::default(),
            moved_cases: Arc::default(),
            rules: RuleList::default(),
            subscribers: crate::Subscribers::default(),
            reloads: crate::Reloads::open().0,
            tail: Tail {
                feed: Arc::new(Marks(Arc::clone(&commands))),
                mark: receiver,
                urgent: urgent_receiver,
            },
            clock: Clock::starting_at(start),
            health,
            tls: crate::Tls::default(),
            pace: crate::Pace::default(),
            setting: crate::Setting::default(),
            knocks: Knocks::default(),
            city: city(),
            desk: Arc::new(desk()),
            handovers: crate::Handovers::default(),
            driver_names: ["mqtt".to_owned()].into(),
            rule_settings: rule_settings(),
            stream_clients_max,
            stop: CancellationToken::new(),
        };
        let writer = Writer {
            devices: state.devices.clone(),
            rules: state.rules.clone(),
            book: Arc::clone(&state.book),
            commands: Arc::clone(&commands),
            answers: HashMap::new(),
        };
        let tasks = TaskTracker::new();
        tasks.spawn(writer.run(intake));
        tasks.spawn(people::trail(&state, asks).follow(state.stop.clone()));
        Self {
            router: router(state.clone()),
            state,
            commands,
            revoked,
            journal: Arc::new(Mutex::new(journal)),
            mark,
            urgent,
            now: Mutex::new(start),
            _dir: dir,
            _tasks: tasks,
        }
    }

    /// Asks as `role`; an empty role asks without a token.
    pub(super) async fn ask(&self, role: &str, method: &str, path: &str, body: &str) -> Answer {
        self.ask_with(role, (method, path), &[], body).await
    }

    pub(super) async fn ask_with(
        &self,
        role: &str,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let response = self.open(role, (method, path), headers, body).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer {
            status,
            headers,
            text,
        }
    }

    /// Asks and gives the answer with its body still open.
    pub(super) async fn open(
        &self,
        role: &str,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<Body> {
        let mut request = Request::builder()
            .method(method.to_uppercase().as_str())
            .uri(path);
        if !role.is_empty() {
            request = request.header("authorization", format!("Bearer token-{role}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask("viewer", "get", path, "").await
    }

    /// Puts a device in the register and the store; returns its key.
    pub(super) fn register(&self, json: &str) -> DeviceKey {
        let device: Device = serde_json::from_str(json).unwrap();
        let mut journal = self.journal.lock().unwrap();
        let key = journal.next_device_key();
        let mut group = journal.begin(self.tick());
        group.put_device(&StoredDevice {
            key,
            device: device.clone(),
            secret_hash: None,
            grid: Some("350203010203".to_owned()),
        });
        let commit = journal.commit(group).unwrap();
        self.publish(commit);
        self.state.devices.put([DeviceEntry {
            key,
            device,
            secret: None,
            grid: Some("350203010203".to_owned()),
        }]);
        key
    }

    /// Stores readings `(metric, seconds after the start, value)`, received as they were observed.
    pub(super) fn store(&self, device: DeviceKey, readings: &[(&str, i64, f64)]) {
        let mut journal = self.journal.lock().unwrap();
        for (metric, at_s, value) in readings {
            let at = Timestamp::from_millis(START_MS).plus_s(*at_s);
            let mut now = self.now.lock().unwrap();
            *now = (*now).max(at).plus_ms(1);
            let mut group = journal.begin(*now);
            group.part(0, device, 1);
            let reading = Reading {
                series: Series {
                    device,
                    metric: self.metric(metric),
                },
                value: Value::number(*value).unwrap(),
                quality: Quality::GOOD,
                observed_at: at,
                received_at: *now,
            };
            group.observe(&mut journal, &reading, false).unwrap();
            let commit = journal.commit(group).unwrap();
            self.publish(commit);
        }
    }

    pub(super) fn metric(&self, name: &str) -> MetricKey {
        self.state.catalogue.find(name).unwrap()
    }

    /// Puts an alarm in the book and the store, and announces it.
    pub(super) fn raise(&self, row: &AlarmRow, kind: &str) -> u64 {
        self.state.book.write().unwrap().put(row.clone());
        self.announce(row, &format!("cityhub.alarm.{kind}"))
    }

    /// Commits an event about an alarm, with the row itself.
    pub(super) fn announce(&self, row: &AlarmRow, kind: &str) -> u64 {
        self.announce_all(&[(row.clone(), kind)])
    }

    /// Commits several events at once; gives the number of the last.
    pub(super) fn announce_all(&self, rows: &[(AlarmRow, &str)]) -> u64 {
        let mut journal = self.journal.lock().unwrap();
        let now = self.tick();
        let mut group = journal.begin(now);
        let mut event = 0;
        for (row, kind) in rows {
            group.alarm(row);
            let data = serde_json::to_string(row).unwrap();
            event = group.event(&NewEvent {
                kind,
                subject: &row.id,
                severity: Some(row.severity),
                grid: row.grid.as_deref(),
                time: now,
                data: &data,
            });
        }
        let commit = journal.commit(group).unwrap();
        self.mark.send_replace(Mark { commit, event });
        let sounds = |(row, kind): &&(AlarmRow, &str)| {
            row.severity >= Severity::Major && *kind == "cityhub.alarm.raised"
        };
        if rows.iter().any(|row| sounds(&row)) {
            self.urgent.send_replace(event);
        }
        event
    }

    /// Commits something else of the test's making.
    pub(super) fn commit(&self, fill: impl FnOnce(&mut store::Group)) {
        let mut journal = self.journal.lock().unwrap();
        let mut group = journal.begin(self.tick());
        fill(&mut group);
        let commit = journal.commit(group).unwrap();
        self.publish(commit);
    }

    /// Lets two months pass in the store, so that all events so far expire.
    pub(super) fn outlive_events(&self) {
        let mut now = self.now.lock().unwrap();
        *now = now.plus_s(60 * 86_400);
        self.journal.lock().unwrap().tick(*now).unwrap();
    }

    fn publish(&self, commit: u64) {
        self.mark.send_modify(|mark| mark.commit = commit);
    }

    fn tick(&self) -> Timestamp {
        let mut now = self.now.lock().unwrap();
        *now = now.plus_ms(1);
        *now
    }
}

/// A device with nothing around it.
struct Alone;

impl ::rules::Around for Alone {
    fn now(&self) -> Timestamp {
        Timestamp::MAX
    }
    fn heard(&self, _: &DeviceId) -> Option<Timestamp> {
        None
    }
    fn covers(&self, _: &str) -> Vec<::rules::Cover<'_>> {
        Vec::new()
    }
    fn cadence_ms(&self, _: &DeviceId) -> Option<i64> {
        None
    }
}

fn verb_of(verb: sdk::AlarmVerb) -> ::rules::Verb {
    let name = serde_json::to_value(verb).unwrap();
    ::rules::Verb::parse(name.as_str().unwrap()).unwrap()
}

fn refusal(error: &::rules::ActError) -> CommandError {
    use ::rules::ActError as E;
    let reason = error.to_string();
    match error {
        E::NotFound => CommandError::NotFound(reason),
        E::NeedsSupervisor => CommandError::Forbidden(reason),
        E::Missing { .. } | E::TooLong { .. } => CommandError::Invalid(reason),
        E::Stale { .. } | E::Impossible { .. } => CommandError::Conflict(reason),
    }
}

/// Does at once what the hub's writer does with a commit.
struct Writer {
    devices: Devices,
    rules: RuleList,
    book: Arc<RwLock<crate::Roll>>,
    commands: Arc<Mutex<Vec<sdk::Command>>>,
    answers: HashMap<String, serde_json::Value>,
}

impl Writer {
    async fn run(mut self, mut intake: Intake) {
        while let Some(request) = intake.requests.recv().await {
            if let sdk::Request::Command(pending) = request {
                self.answer(pending);
            }
        }
    }

    fn answer(&mut self, pending: PendingCommand) {
        let command = pending.command.clone();
        self.commands.lock().unwrap().push(command.clone());
        pending.answer(self.carry_out(command).map(|body| Done { seq: 77, body }));
    }

    fn put_devices(&self, rows: Vec<(Device, SecretChange)>) -> serde_json::Value {
        for (device, secret) in rows {
            let known = self.devices.find(device.id.as_str());
            let fresh = 1_000 + u32::try_from(self.devices.len()).unwrap();
            self.devices.put([DeviceEntry {
                key: known.as_ref().map_or(DeviceKey(fresh), |entry| entry.key),
                secret: match secret {
                    SecretChange::Keep => known.and_then(|entry| entry.secret),
                    SecretChange::Set(hash) => Some(hash),
                },
                device,
                grid: None,
            }]);
        }
        serde_json::Value::Null
    }

    fn carry_out(&mut self, command: sdk::Command) -> Result<serde_json::Value, CommandError> {
        match command.action {
            Action::PutDevices(rows) => Ok(self.put_devices(rows)),
            Action::DeleteDevice(id) => {
                self.devices
                    .remove(self.devices.find(id.as_str()).unwrap().key);
                Ok(serde_json::Value::Null)
            }
            Action::PutRule { id, spec, .. } | Action::RollBackRule { id, spec, .. } => {
                let revision = self.rules.find(&id).map_or(1, |rule| rule.revision + 1);
                let entry = RuleEntry { id, revision, spec };
                self.rules.put(entry.clone());
                Ok(entry.to_json())
            }
            Action::DecideRule { id, .. } => Err(CommandError::NotFound(id)),
            Action::DeleteRule { id, .. } => {
                if self.rules.find(&id).is_none() {
                    return Err(CommandError::NotFound(id));
                }
                self.rules.remove(&id);
                Ok(serde_json::Value::Null)
            }
            Action::Note { .. } => Ok(serde_json::Value::Null),
            Action::ShiftLog { .. } | Action::PutHandover { .. } | Action::SignHandover { .. } => {
                Ok(serde_json::Value::Null)
            }
            Action::ChangeRules { .. } | Action::ConfigureSubscriptions(_) => {
                panic!("the API has no such command")
            }
            Action::CaseStep { id: name, .. }
            | Action::PutSubscription { name, .. }
            | Action::DeleteSubscription { name, .. }
            | Action::Subscription { name, .. } => Err(CommandError::NotFound(name)),
            Action::Alarm {
                id,
                verb,
                version,
                comment,
                args,
                key,
            } => {
                // As the hub's writer does: a key belongs to who used it, and to what for.
                let key = key.map(|key| format!("{}|{id}|{key}", command.actor.name));
                if let Some(answer) = key.as_ref().and_then(|key| self.answers.get(key)) {
                    return Ok(answer.clone());
                }
                let action = ::rules::Action {
                    is_supervisor: command.actor.role.shelves_critical_alarms(),
                    version,
                    comment: comment.as_deref(),
                    minutes: args.minutes,
                    reason: args.reason.as_deref(),
                    owner: args.owner.as_deref(),
                    ..::rules::Action::new(verb_of(verb), &command.actor.name)
                };
                let now = Timestamp::from_millis(START_MS);
                let mut book = self.book.write().unwrap();
                let body = match book.act((now, &Alone), &id, action) {
                    Ok(row) => serde_json::to_value(row).unwrap(),
                    Err(error) => return Err(refusal(&error)),
                };
                if let Some(key) = key {
                    self.answers.insert(key, body.clone());
                }
                Ok(body)
            }
        }
    }
}
