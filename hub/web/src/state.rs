//! All that the web needs of the hub.

use crate::build::hash_of;
use crate::gate::Gate;
use crate::pace::Pace;
use crate::problem::Problem;
use crate::pulse::Pulse;
use crate::recent::Recent;
use crate::reload::Reloads;
use crate::roll::Roll;
use crate::{DeskSetup, Handovers, Health, Knocks, LongTerm, RuleList, Statuses, Subscribers, Tls};
use access::Accounts;
use model::{CaseRow, Catalogue};
use rules::CaseCounts;
use sdk::{Access, Clock, Devices, Downlink, Operator, Tail};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use store::{Reader, StoreError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Streams that may be open at once, unless the configuration says otherwise.
pub const STREAM_CLIENTS_MAX: usize = 256;

/// The city as the pages show it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct City {
    pub name: String,
    /// 行政区划代码, six digits.
    pub code: String,
    pub time_zone: String,
}

/// What the page of the system says of how the hub is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// The first digits of the SHA-256 of the configuration's text.
    pub config_hash: String,
    /// For how many days readings are kept; for ever unless said.
    pub readings_days: Option<u32>,
    pub events_days: Option<u32>,
}

impl Setting {
    /// `config` is the text of the configuration.
    pub fn new(config: &str, readings_days: Option<u32>, events_days: Option<u32>) -> Self {
        Self {
            config_hash: hash_of([config.as_bytes()]),
            readings_days,
            events_days,
        }
    }
}

/// The rows of cases whose figures moved since they were written to the store, by id.
pub type MovedCases = Arc<RwLock<HashMap<String, CaseRow>>>;

/// What the hub fills in and hands to [`crate::router`].
#[derive(Clone, Debug)]
pub struct State {
    pub reader: Reader,
    /// Where older readings are, if not in the journal.
    pub long_term: Option<Arc<dyn LongTerm>>,
    pub operator: Operator,
    pub devices: Devices,
    /// Where those that are connected take orders.
    pub downlink: Downlink,
    /// How they are doing, as of the last commit.
    pub statuses: Statuses,
    pub access: Access,
    /// Who may ask how often, and under which names of the hub.
    pub gate: Gate,
    /// Users and their sessions.
    pub accounts: Accounts,
    pub catalogue: Arc<Catalogue>,
    /// Every alarm that is not `normal`, as of the last commit.
    pub book: Arc<RwLock<Roll>>,
    /// How many cases are open, as of the last commit.
    pub cases: Arc<RwLock<CaseCounts>>,
    /// Cases whose figures moved since their row was written.
    pub moved_cases: MovedCases,
    /// The rules in force, as of the last commit.
    pub rules: RuleList,
    /// Who is sent events, as of the last commit.
    pub subscribers: Subscribers,
    /// Reads the rules of the configuration again.
    pub reloads: Reloads,
    pub tail: Tail,
    pub clock: Clock,
    pub health: Health,
    /// The certificates of the hub's own listeners.
    pub tls: Tls,
    /// How fast values come in, and how far the rules are.
    pub pace: Pace,
    /// What was set for the whole hub.
    pub setting: Setting,
    /// Identities that knocked but are not registered.
    pub knocks: Knocks,
    pub city: City,
    /// What the configuration says of the console.
    pub desk: Arc<DeskSetup>,
    /// The handover that is being prepared, as of the last commit.
    pub handovers: Handovers,
    /// Driver instances in the order of their keys, those of former configurations too.
    pub driver_names: Arc<[String]>,
    /// How the engine is set, for backtests.
    pub rule_settings: rules::Settings,
    pub stream_clients_max: usize,
    /// Ends every open stream.
    pub stop: CancellationToken,
}

/// The hub's part, and what the web itself keeps.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) state: State,
    /// One permit for each stream that may still open.
    pub(crate) streams: Arc<Semaphore>,
    /// What the streams share.
    pub(crate) recent: Recent,
    /// What every heartbeat says.
    pub(crate) pulse: Pulse,
    /// The turn to run a backtest.
    pub(crate) backtests: Arc<Semaphore>,
}

pub(crate) type Shared = Arc<Inner>;

impl Inner {
    pub(crate) fn new(state: State) -> Shared {
        let streams = Arc::new(Semaphore::new(state.stream_clients_max));
        let backtests = Arc::new(Semaphore::new(1));
        Arc::new(Self {
            state,
            streams,
            recent: Recent::default(),
            pulse: Pulse::default(),
            backtests,
        })
    }

    pub(crate) fn streams_open(&self) -> usize {
        self.stream_clients_max
            .saturating_sub(self.streams.available_permits())
    }

    pub(crate) fn alarms(&self) -> RwLockReadGuard<'_, Roll> {
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Inner {
    type Target = State;
    fn deref(&self) -> &State {
        &self.state
    }
}

/// Asks the store, away from the threads that serve sockets: an answer may touch the disk.
pub(crate) async fn ask<T: Send + 'static>(
    shared: &Shared,
    what: &'static str,
    question: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let shared = Arc::clone(shared);
    let answer = tokio::task::spawn_blocking(move || question(&shared)).await;
    answer
        .map_err(|error| Problem::internal(what, &error))?
        .map_err(|error| store_problem(what, &error))
}

/// Does work of some length away from the threads that serve sockets.
pub(crate) async fn work<T: Send + 'static>(
    shared: &Shared,
    what: &'static str,
    task: impl FnOnce(&Inner) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || task(&shared))
        .await
        .map_err(|error| Problem::internal(what, &error))?
}

pub(crate) fn store_problem(what: &'static str, error: &StoreError) -> Problem {
    match error {
        StoreError::Expired { oldest } => Problem::new(
            axum::http::StatusCode::GONE,
            "past-retention",
            format!("what came before event {oldest} is no longer kept"),
        )
        .with("oldest", *oldest),
        StoreError::Invalid(reason) => Problem::bad_request(reason.as_str()),
        StoreError::Locked(_)
        | StoreError::NewerFormat { .. }
        | StoreError::Damaged(_)
        | StoreError::Io { .. }
        | StoreError::Sqlite { .. }
        | StoreError::Broken(_)
        | StoreError::Refused(_) => Problem::internal(what, error),
    }
}
