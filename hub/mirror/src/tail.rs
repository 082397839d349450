//! One mirror: reads on, sends, waits, goes back where it must; and tells how it does.

use crate::dead::DeadLetters;
use crate::influx::Server;
use crate::parcel::{Again, Ended, Next, Parcel, Size};
use crate::patience::{Wait, wait_after};
use crate::position::Position;
use crate::sentinel::Sentinel;
use crate::settings::MirrorConfig;
use crate::source::{Batch, Source};
use crate::status::{MirrorState, MirrorStatus};
use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;
use store::Reader;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often a mirror that has everything looks for more.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Positions that are not confirmed yet are remembered no closer than this.
const STEP: Duration = Duration::from_millis(500);

/// After so long without a lost connection, the whole lag is kept again.
const CALM: Duration = Duration::from_mins(5);

/// A mirror that is not running yet.
#[derive(Debug)]
pub struct Mirror {
    name: String,
    server: Server,
    sentinel: Option<Sentinel>,
    source: Option<Box<Source>>,
    dead: DeadLetters,
    status: watch::Sender<MirrorStatus>,
    size: Size,
    resend: Duration,
    /// What was taken and may be forgotten again.
    taken: VecDeque<Taken>,
    /// How far everything was taken.
    reached: Position,
    /// Lost connections since something was last confirmed in calm: each halves the lag, so that a connection
    /// that never holds does not stop everything.
    losses: u32,
    lost_at: Option<Instant>,
    is_hopeless: bool,
    /// Readings that were read and not taken yet.
    under_way: u64,
}

/// That everything up to a position was taken, between two moments.
#[derive(Copy, Clone, Debug)]
struct Taken {
    first: Instant,
    last: Instant,
    position: Position,
}

/// What became of a batch.
enum Carried {
    Done,
    /// What was taken before may be gone.
    GoBack,
    /// Nobody can tell whether it is the lines; with those that come meanwhile it is tried again.
    ReadAgain,
    Stopped,
}

impl Mirror {
    /// Prepares a mirror that goes on after `position`; `folder` is for what the server refuses.
    pub fn open(
        name: &str,
        config: &MirrorConfig,
        (reader, position): (Reader, Position),
        folder: &Path,
    ) -> Result<(Self, watch::Receiver<MirrorStatus>), String> {
        let (status, shown) = watch::channel(MirrorStatus::new(position));
        let lines = usize::try_from(config.batch_lines).unwrap_or(usize::MAX);
        let bytes = usize::try_from(config.batch_bytes).unwrap_or(usize::MAX);
        let has_lag = config.resend_s > 0;
        let mirror = Self {
            name: name.to_owned(),
            server: Server::open(config)?,
            sentinel: has_lag.then(|| Sentinel::new(config)).transpose()?,
            source: Some(Box::new(Source::new(reader, position, lines))),
            dead: DeadLetters::new(folder, name),
            status,
            size: Size { lines, bytes },
            resend: Duration::from_secs(config.resend_s.into()),
            taken: VecDeque::new(),
            reached: position,
            losses: 0,
            lost_at: None,
            is_hopeless: false,
            under_way: 0,
        };
        Ok((mirror, shown))
    }

    /// Mirrors until the stop. An error is one of the store: nothing can be read any more.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), String> {
        while !stop.is_cancelled() {
            self.confirm(&stop).await;
            let batch = self.read().await?;
            let is_level = batch.is_level;
            match self.carry(&batch, &stop).await {
                Carried::Done => self.note_taken(&batch),
                Carried::GoBack => {
                    self.go_back();
                    continue;
                }
                Carried::ReadAgain => {
                    if let Some(source) = &mut self.source {
                        source.go_back(self.reached);
                    }
                    continue;
                }
                Carried::Stopped => break,
            }
            if is_level {
                pause(&stop, LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// Reads on, away from the threads that serve sockets.
    async fn read(&mut self) -> Result<Batch, String> {
        let mut source = self.source.take().ok_or("the reading was lost")?;
        let read = tokio::task::spawn_blocking(move || {
            let batch = source.read();
            (source, batch)
        });
        let (source, batch) = read.await.map_err(|panic| panic.to_string())?;
        self.source = Some(source);
        batch.map_err(|error| error.to_string())
    }

    /// Sends a batch until the server has it, but for lines that it refuses.
    async fn carry(&mut self, batch: &Batch, stop: &CancellationToken) -> Carried {
        for unsayable in &batch.unsayable {
            self.bury(unsayable, "", 1);
        }
        self.under_way = batch.readings;
        let mut parcel = Parcel::new(&batch.lines, self.size, self.is_hopeless);
        while let Some(range) = parcel.next() {
            let text = batch.lines.part(range).to_owned();
            let written = tokio::select! {
                biased;
                () = stop.cancelled() => return Carried::Stopped,
                written = self.server.write(text) => written,
            };
            let next = parcel.answer(written);
            let (state, reason, wait) = match next {
                Next::GoOn => continue,
                Next::GoBack(reason) => {
                    // All that waits is read again, so that nothing is held here meanwhile.
                    self.wait(MirrorState::Retrying, reason, Wait::Failed, stop)
                        .await;
                    return Carried::GoBack;
                }
                Next::Again(Again::Busy(reason)) => (MirrorState::Retrying, reason, Wait::Busy),
                Next::Again(Again::Failed(reason)) => (MirrorState::Retrying, reason, Wait::Failed),
                Next::Again(Again::Denied(reason)) => (MirrorState::Denied, reason, Wait::Denied),
            };
            self.wait(state, reason, wait, stop).await;
            if stop.is_cancelled() {
                return Carried::Stopped;
            }
        }
        self.size.lines = parcel.size().lines;
        match parcel.end() {
            Ok(ended) => {
                self.note_ended(batch, ended);
                Carried::Done
            }
            Err(reason) => {
                let denied = MirrorState::Denied;
                self.wait(denied, reason, Wait::Denied, stop).await;
                Carried::ReadAgain
            }
        }
    }

    fn note_ended(&mut self, batch: &Batch, ended: Ended) {
        self.is_hopeless = ended.is_hopeless;
        for refused in &ended.refused {
            let lines = batch.lines.part(refused.lines.clone());
            self.bury(&refused.reason, lines, refused.lines.len() as u64);
        }
        if batch.lines.is_empty() {
            return;
        }
        let was = self.status.borrow().state;
        if was != MirrorState::Up {
            tracing::info!(
                mirror = self.name,
                "the mirror's server takes readings again"
            );
        }
        self.status.send_modify(|status| {
            status.state = MirrorState::Up;
            status.attempts = 0;
            status.sent_lines += ended.taken as u64;
            status.sent_readings += batch.in_lines;
        });
    }

    /// Counts and keeps what the server will never take.
    fn bury(&self, reason: &str, lines: &str, count: u64) {
        self.dead.keep(reason, lines);
        self.status.send_modify(|status| {
            status.dead_letters += count;
            status.last_dead_letter = Some(reason.to_owned());
        });
    }

    /// Says what went wrong, and waits before the next attempt.
    async fn wait(&self, state: MirrorState, reason: String, wait: Wait, stop: &CancellationToken) {
        let before = self.status.borrow().state;
        if before != state {
            tracing::warn!(
                mirror = self.name,
                reason,
                "the mirror's server takes nothing"
            );
        }
        self.tell_owed(false);
        let mut attempts = 0;
        self.status.send_modify(|status| {
            status.state = state;
            status.last_error = Some(reason);
            status.attempts = status.attempts.saturating_add(1);
            status.failures += 1;
            attempts = status.attempts;
        });
        pause(stop, wait_after(attempts, wait)).await;
    }

    /// Notes that the server took everything up to here.
    fn note_taken(&mut self, batch: &Batch) {
        self.reached = batch.position;
        self.under_way = 0;
        if batch.is_level
            && let Some(source) = &mut self.source
        {
            source.note_level();
        }
        self.tell_owed(batch.is_level);
        let now = Instant::now();
        if self.resend.is_zero() {
            self.believe(batch.position);
            return;
        }
        let last = self.taken.back().map(|taken| taken.position);
        if last.or(Some(self.status.borrow().confirmed)) == Some(batch.position) {
            return;
        }
        let first = self.taken.back().map(|taken| taken.first);
        let close = first.filter(|first| now.duration_since(*first) < STEP);
        if close.is_some() {
            self.taken.pop_back();
        }
        // The later time with the later position: nothing is believed too early.
        self.taken.push_back(Taken {
            first: close.unwrap_or(now),
            last: now,
            position: batch.position,
        });
    }

    fn tell_owed(&self, is_level: bool) {
        let Some(source) = &self.source else { return };
        let oldest = (!is_level).then(|| source.oldest_owed()).flatten();
        let owed = if is_level {
            0
        } else {
            source.owed() + self.under_way
        };
        self.status.send_modify(|status| {
            status.is_level = is_level;
            status.oldest_owed = oldest;
            status.owed = owed;
        });
    }

    /// Believes what was taken long enough ago, unless the server may have started anew since.
    async fn confirm(&mut self, stop: &CancellationToken) {
        let Some(sentinel) = &mut self.sentinel else {
            return;
        };
        let is_lost = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            is_lost = sentinel.look() => is_lost,
        };
        if is_lost {
            self.go_back();
            return;
        }
        let lag = self.resend / (1 << self.losses.min(16));
        let mut believed = None;
        while let Some(taken) = self.taken.pop_front_if(|taken| taken.last.elapsed() >= lag) {
            believed = Some(taken.position);
        }
        if self.lost_at.is_none_or(|at| at.elapsed() >= CALM) {
            self.losses = 0;
        }
        if let Some(position) = believed {
            self.believe(position);
        }
    }

    fn believe(&self, position: Position) {
        self.status.send_if_modified(|status| {
            let is_new = status.confirmed != position;
            status.confirmed = position;
            is_new
        });
    }

    /// Goes back to what the server is believed to keep.
    fn go_back(&mut self) {
        let confirmed = self.status.borrow().confirmed;
        self.reached = confirmed;
        self.under_way = 0;
        if let Some(source) = &mut self.source {
            source.go_back(confirmed);
        }
        if self.taken.is_empty() {
            return;
        }
        self.taken.clear();
        self.losses = self.losses.saturating_add(1);
        self.lost_at = Some(Instant::now());
        let from = confirmed.before;
        tracing::info!(
            mirror = self.name,
            %from,
            "sending again what the mirror's server may have forgotten"
        );
        self.status.send_modify(|status| status.rewinds += 1);
    }
}

/// Waits, but not beyond the stop.
async fn pause(stop: &CancellationToken, wait: Duration) {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = tokio::time::sleep(wait) => {}
    }
}
