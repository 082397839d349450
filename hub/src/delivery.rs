//! Sends events to whoever subscribed: one loop for each subscriber, so that none waits for another.
//!
//! A loop reads after its durable cursor, delivers in order, and moves the cursor. What cannot be
//! delivered now is tried again for ever; what is refused is parked and shown, and the loop goes on.

mod patience;
mod run;

use model::Timestamp;
use patience::wait_after;
use run::Run;
use sdk::{Clock, Mark, Operator, Tracer};
use sinks::{SinkContext, Subscription};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use store::{Reader, StoreError};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use web::{Health, SinkHealth, SinkState, Subscriber, Subscribers};

/// How long what is being delivered may take to end when a loop is to stop.
const HALT: Duration = Duration::from_secs(3);

/// What every delivery needs.
#[derive(Debug)]
pub(crate) struct Deliveries {
    pub(crate) subscribers: Subscribers,
    pub(crate) reader: Reader,
    pub(crate) mark: watch::Receiver<Mark>,
    pub(crate) operator: Operator,
    pub(crate) health: Health,
    pub(crate) clock: Clock,
    pub(crate) city_code: String,
    pub(crate) tracer: Tracer,
}

/// One subscriber's delivery, as the list of subscriptions has it.
struct Kept {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Deliveries {
    /// Keeps one delivery for each subscription until the stop, then lets each end what it has in
    /// hand and store its cursor.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let hub = Arc::new(self);
        let tasks = TaskTracker::new();
        let mut kept: HashMap<String, Kept> = HashMap::new();
        let mut changes = hub.subscribers.changes();
        loop {
            changes.borrow_and_update();
            let wanted: Vec<String> = hub.subscribers.all().into_iter().map(|s| s.name).collect();
            kept.retain(|name, kept| {
                let stays = wanted.contains(name);
                if !stays {
                    kept.stop.cancel();
                }
                stays && !kept.task.is_finished()
            });
            for name in wanted {
                kept.entry(name).or_insert_with_key(|name| {
                    let stop = stop.child_token();
                    let keeper = Arc::clone(&hub).keep(name.clone(), stop.clone());
                    let task = tasks.spawn(keeper);
                    Kept { stop, task }
                });
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                changed = changes.changed() => if changed.is_err() { break },
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    /// Keeps the delivery to one subscriber running: it may fail alone, and starts anew with every
    /// change of the subscription.
    async fn keep(self: Arc<Self>, name: String, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let mut changes = self.subscribers.changes();
        let mut failures = 0;
        loop {
            changes.borrow_and_update();
            let subscriber = self.subscribers.find(&name);
            let Some(subscriber) = subscriber.filter(|_| !stop.is_cancelled()) else {
                self.health.remove_sink(&name);
                return;
            };
            let halt = stop.child_token();
            let serving = Arc::clone(&self).serve(subscriber.clone(), halt.clone());
            let mut serving = tasks.spawn(serving);
            let ended = tokio::select! {
                biased;
                ended = &mut serving => ended,
                () = stop.cancelled() => end(halt, serving).await,
                () = self.changed(&subscriber, &mut changes) => end(halt, serving).await,
            };
            let reason = match ended {
                // Stopped or changed: whichever it is, the beginning of this loop knows.
                Ok(Ok(())) => continue,
                Err(error) if error.is_cancelled() => continue,
                Ok(Err(reason)) => reason,
                Err(panic) => panic.to_string(),
            };
            failures += 1;
            tracing::error!(sink = name, reason, failures, "delivery failed");
            let since = self.clock.now();
            self.health.change_sink(&name, |sink| {
                sink.state = SinkState::Restarting;
                sink.since = since;
                sink.last_error = Some(reason);
            });
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.changed(&subscriber, &mut changes) => failures = 0,
                () = tokio::time::sleep(wait_after(failures, None)) => {}
            }
        }
    }

    /// Waits until the subscription is another.
    async fn changed(&self, subscriber: &Subscriber, changes: &mut watch::Receiver<u64>) {
        let is_same =
            |now: &Subscriber| (now.revision, now.epoch) == (subscriber.revision, subscriber.epoch);
        while self
            .subscribers
            .find(&subscriber.name)
            .is_some_and(|now| is_same(&now))
        {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Delivers until `halt`.
    async fn serve(
        self: Arc<Self>,
        subscriber: Subscriber,
        halt: CancellationToken,
    ) -> Result<(), String> {
        let wrong = |error: sinks::SinkError| error.to_string();
        let subscription = Subscription::parse(&subscriber.spec);
        let kind = subscription.as_ref().map_or("", Subscription::kind);
        let name = subscriber.name.clone();
        let cursor = self.position(&name).await?;
        let state = if subscriber.paused {
            SinkState::Paused
        } else {
            SinkState::Up
        };
        let now = self.clock.now();
        self.health
            .put_sink(&name, first_word(kind, state, now, cursor));
        let subscription = subscription.map_err(wrong)?;
        if subscriber.paused {
            halt.cancelled().await;
            return Ok(());
        }
        let cx = SinkContext {
            name,
            city_code: self.city_code.clone(),
            clock: self.clock.clone(),
            tasks: TaskTracker::new(),
            tracer: self.tracer.clone(),
        };
        let outlet = subscription.open(cx).map_err(wrong)?;
        let filter = subscription.filter.clone();
        let run = Run::new(self, subscriber, filter, outlet, halt);
        run.deliver_from(cursor).await
    }

    /// Reads how far a subscriber has come.
    async fn position(&self, name: &str) -> Result<u64, String> {
        let cursor = Subscriber::cursor_name(name);
        let cursor = self.ask_for(move |reader| reader.cursor(&cursor)).await?;
        Ok(cursor.unwrap_or(0))
    }

    /// Asks the store for what it must be able to say.
    async fn ask_for<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, String> {
        let answer = self.ask(question).await?;
        answer.map_err(|error| error.to_string())
    }

    /// Asks the store, away from the threads that serve sockets.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reader) -> T + Send + 'static,
    ) -> Result<T, String> {
        let reader = self.reader.clone();
        tokio::task::spawn_blocking(move || question(&reader))
            .await
            .map_err(|panic| panic.to_string())
    }
}

/// Halts a loop, and cuts it off if it does not end in time: what is under way is sent again.
async fn end(
    halt: CancellationToken,
    mut serving: JoinHandle<Result<(), String>>,
) -> Result<Result<(), String>, JoinError> {
    halt.cancel();
    if let Ok(ended) = tokio::time::timeout(HALT, &mut serving).await {
        return ended;
    }
    serving.abort();
    serving.await
}

fn first_word(kind: &str, state: SinkState, since: Timestamp, cursor: u64) -> SinkHealth {
    SinkHealth {
        kind: kind.to_owned(),
        state,
        since,
        cursor,
        attempts: 0,
        delivered: 0,
        last_error: None,
    }
}

#[cfg(test)]
mod tests;
