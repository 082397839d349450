//! The mirrors while the hub runs.

use mirror::{Mirror, MirrorConfig, MirrorStatus, Position};
use model::Timestamp;
use sdk::{Clock, Mirrored, Operator};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::Reader;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use web::{Health, MirrorHealth, MirrorState};

/// How often the journal is told how far a mirror came: each word is a small commit.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// How long a mirror that cannot run waits before it tries again.
const RESTART_AFTER: Duration = Duration::from_secs(10);

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// With less of the disk left than one part in so many, and less than so many bytes, nothing is spared for mirrors any
/// more: what retention would have taken goes, so that the hub can go on acknowledging.
const FREE_ONE_IN: u64 = 10;
const FREE_BYTES: u64 = 4 << 30;

/// What every mirror needs.
#[derive(Debug)]
pub(crate) struct Mirrors {
    pub(crate) configs: BTreeMap<String, MirrorConfig>,
    pub(crate) data_dir: PathBuf,
    pub(crate) reader: Reader,
    pub(crate) operator: Operator,
    pub(crate) health: Health,
    pub(crate) clock: Clock,
}

/// What each mirror has not confirmed, from its earliest moment on.
type Unconfirmed = Arc<Mutex<BTreeMap<String, Timestamp>>>;

/// One mirror.
struct Kept {
    name: String,
    config: MirrorConfig,
    hub: Arc<Mirrors>,
    unconfirmed: Unconfirmed,
    /// What the journal was told last: the cursors and what is held.
    told: (Option<[u64; 3]>, Option<Timestamp>),
    /// What had been sent by then.
    told_sent: u64,
    position: Position,
    state_since: (MirrorState, Timestamp),
}

impl Mirrors {
    /// Runs every mirror until the stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let hub = Arc::new(self);
        let tasks = TaskTracker::new();
        let unconfirmed = Unconfirmed::default();
        for (name, config) in &hub.configs {
            let position = hub.position(name, config);
            if config.hold_max_age_d > 0 {
                lock(&unconfirmed).insert(name.clone(), position.before);
            }
            let kept = Kept {
                name: name.clone(),
                config: config.clone(),
                hub: Arc::clone(&hub),
                unconfirmed: Arc::clone(&unconfirmed),
                told: (None, None),
                told_sent: 0,
                position,
                state_since: (MirrorState::Up, hub.clock.now()),
            };
            tasks.spawn(kept.keep(stop.clone()));
        }
        tasks.close();
        tasks.wait().await;
    }

    /// Reads how far a mirror came in earlier runs, or where a new one begins.
    fn position(&self, name: &str, config: &MirrorConfig) -> Position {
        let mut cursors = [None; 3];
        for (cursor, name) in cursors.iter_mut().zip(Position::cursor_names(name)) {
            match self.reader.cursor(&name) {
                Ok(kept) => *cursor = kept,
                // The journal itself fails over this soon enough; until then everything is sent again.
                Err(error) => tracing::error!(mirror = name, %error, "no cursor can be read"),
            }
        }
        let begin = match config.backfill {
            true => Timestamp::from_millis(0),
            false => self.health.started_at(),
        };
        Position::of_cursors(cursors).unwrap_or(Position::at(begin))
    }
}

impl Kept {
    /// Keeps the mirror running: it may fail alone.
    async fn keep(mut self, stop: CancellationToken) {
        self.show(&MirrorStatus::new(self.position), MirrorState::Up);
        while !stop.is_cancelled() {
            let Err(reason) = self.serve(&stop).await else {
                continue;
            };
            tracing::error!(mirror = self.name, reason, "a mirror failed");
            let mut status = MirrorStatus::new(self.position);
            status.last_error = Some(reason);
            self.show(&status, MirrorState::Restarting);
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = tokio::time::sleep(RESTART_AFTER) => {}
            }
        }
    }

    async fn serve(&mut self, stop: &CancellationToken) -> Result<(), String> {
        let (config, from) = (&self.config, (self.hub.reader.clone(), self.position));
        let folder = self.hub.data_dir.join("mirror");
        let (mirror, mut shown) = Mirror::open(&self.name, config, from, &folder)?;
        let mut running = TaskTracker::new().spawn(mirror.run(stop.clone()));
        let mut tell = tokio::time::interval(TELL_EVERY);
        self.told_sent = 0;
        loop {
            tokio::select! {
                biased;
                ended = &mut running => {
                    self.look(&mut shown);
                    self.tell(true).await;
                    return ended.map_err(|panic| panic.to_string())?;
                }
                _ = tell.tick() => {
                    let sent = self.look(&mut shown);
                    if self.tell(sent > self.told_sent).await {
                        self.told_sent = sent;
                    }
                }
                changed = shown.changed() => {
                    if changed.is_ok() {
                        self.look(&mut shown);
                    }
                }
            }
        }
    }

    /// Shows how the mirror does; gives how much it sent.
    fn look(&mut self, shown: &mut watch::Receiver<MirrorStatus>) -> u64 {
        let status = shown.borrow_and_update().clone();
        self.position = status.confirmed;
        let state = match status.state {
            mirror::MirrorState::Up => MirrorState::Up,
            mirror::MirrorState::Retrying => MirrorState::Retrying,
            mirror::MirrorState::Denied => MirrorState::Denied,
        };
        self.show(&status, state);
        status.sent_readings
    }

    fn show(&mut self, status: &MirrorStatus, state: MirrorState) {
        if self.state_since.0 != state {
            self.state_since = (state, self.hub.clock.now());
        }
        let confirmed = status.confirmed;
        let is_first = confirmed.before.millis() == 0;
        self.hub.health.put_mirror(
            &self.name,
            MirrorHealth {
                kind: "influxdb",
                state,
                since: self.state_since.1,
                last_error: status.last_error.clone(),
                attempts: status.attempts,
                confirmed_before: confirmed.before,
                is_level: status.is_level,
                is_backfilling: is_first && !status.is_level,
                oldest_owed: status.oldest_owed,
                owed: status.owed,
                sent_readings: status.sent_readings,
                sent_lines: status.sent_lines,
                failures: status.failures,
                dead_letters: status.dead_letters,
                last_dead_letter: status.last_dead_letter.clone(),
                rewinds: status.rewinds,
                held_from: self.told.1,
            },
        );
    }

    /// Tells the journal how far the mirror came, if that is news. A commit of nothing but this word must
    /// not be news again, so that an idle hub stays idle.
    async fn tell(&mut self, has_sent: bool) -> bool {
        let cursors = self.position.cursors();
        let hold_from = self.hold_from();
        let is_first = self.told.0.is_none();
        let has_moved = self.told.0 != Some(cursors) && (has_sent || is_first);
        if !has_moved && self.told.1 == hold_from {
            return false;
        }
        let names = Position::cursor_names(&self.name).into_iter();
        let word = Mirrored {
            cursors: names.zip(cursors).collect(),
            hold_from,
        };
        let is_told = self.hub.operator.mirrored(word).await.is_ok();
        if is_told {
            self.told = (Some(cursors), hold_from);
        }
        is_told
    }

    /// From when on what was received is to be spared for all mirrors.
    fn hold_from(&self) -> Option<Timestamp> {
        let now = self.hub.clock.now();
        let mut unconfirmed = lock(&self.unconfirmed);
        match self.config.hold_max_age_d {
            0 => {}
            days => {
                let most = now.millis().saturating_sub(i64::from(days) * DAY_MS);
                // By the hour, so that a mirror that does not move is no news every time.
                let from = self.position.before.millis().max(most);
                let from = Timestamp::from_millis(from.div_euclid(HOUR_MS) * HOUR_MS);
                unconfirmed.insert(self.name.clone(), from);
            }
        }
        let from = unconfirmed.values().min().copied();
        from.filter(|_| has_room(&self.hub.data_dir))
    }
}

fn lock(unconfirmed: &Unconfirmed) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
    unconfirmed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells whether the disk has enough left to spare anything for mirrors.
fn has_room(data_dir: &Path) -> bool {
    rustix::fs::statvfs(data_dir).is_ok_and(|disk| {
        disk.f_bavail.saturating_mul(FREE_ONE_IN) >= disk.f_blocks
            || disk.f_bavail.saturating_mul(disk.f_frsize) >= FREE_BYTES
    })
}
