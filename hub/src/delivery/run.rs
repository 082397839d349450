//! The delivery to one subscriber: from its cursor to the end of the journal, and on.

use super::Deliveries;
use super::patience::wait_after;
use model::Event;
use sdk::Delivered;
use sinks::{DeliveryError, Filter, Outlet};
use std::sync::Arc;
use std::time::Duration;
use store::{EventFilter, ParkedEvent, StoreError};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use web::{SinkHealth, SinkState, Subscriber};

/// Events read from the journal in one go.
const EVENTS_PER_READ: usize = 256;

/// The journal is told of a cursor no more often than this, but at every halt: each is a small
/// write, and a lost one only repeats events.
const CURSOR_PAUSE: Duration = Duration::from_millis(100);

/// Parked events of one subscriber. A subscriber that refuses more is broken, and waits for people.
const PARKED_MAX: u64 = 10_000;

/// The delivery to one subscriber.
pub(super) struct Run {
    hub: Arc<Deliveries>,
    subscriber: Subscriber,
    filter: Filter,
    outlet: Box<dyn Outlet>,
    halt: CancellationToken,
    mark: watch::Receiver<sdk::Mark>,
    /// Everything up to here is delivered, parked, or not for this subscriber.
    position: u64,
    /// What of it the journal knows.
    told: u64,
    told_at: Instant,
    attempts: u32,
    parked: u64,
}

/// How an attempt to deliver ended.
enum Settled {
    Taken,
    Refused(String),
    Halted,
}

impl Run {
    pub(super) fn new(
        hub: Arc<Deliveries>,
        subscriber: Subscriber,
        filter: Filter,
        outlet: Box<dyn Outlet>,
        halt: CancellationToken,
    ) -> Self {
        Self {
            mark: hub.mark.clone(),
            hub,
            subscriber,
            filter,
            outlet,
            halt,
            position: 0,
            told: 0,
            told_at: Instant::now(),
            attempts: 0,
            parked: 0,
        }
    }

    /// Delivers until the halt, and stores the cursor.
    pub(super) async fn deliver_from(mut self, cursor: u64) -> Result<(), String> {
        (self.position, self.told) = (cursor, cursor);
        let name = self.subscriber.name.clone();
        let counts = self.hub.ask_for(|reader| reader.parked_counts()).await?;
        self.parked = counts.get(&name).copied().unwrap_or(0);
        let delivered = match self.send_parked_again().await {
            Ok(()) => self.follow().await,
            Err(reason) => Err(reason),
        };
        self.tell().await;
        delivered
    }

    async fn follow(&mut self) -> Result<(), String> {
        while !self.halt.is_cancelled() {
            if self.mark.borrow_and_update().event <= self.position {
                self.grown().await;
                continue;
            }
            let after = self.position;
            let read = move |reader: &store::Reader| {
                reader.events(after, EVENTS_PER_READ, &EventFilter::default())
            };
            match self.hub.ask(read).await? {
                Ok(events) if events.is_empty() => self.grown().await,
                Ok(events) => self.deliver_all(&events).await?,
                Err(StoreError::Expired { oldest }) => self.skip_to(oldest),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// Waits until the journal grew; meanwhile it knows how far this is.
    async fn grown(&mut self) {
        self.tell().await;
        tokio::select! {
            biased;
            () = self.halt.cancelled() => {}
            changed = self.mark.changed() => if changed.is_err() {
                // Without a writer there is nothing to come.
                self.halt.cancelled().await;
            }
        }
    }

    /// Goes on behind a hole; its end is said where people look.
    fn skip_to(&mut self, oldest: u64) {
        let (name, after) = (&self.subscriber.name, self.position);
        if after > 0 {
            tracing::warn!(
                sink = name,
                after,
                oldest,
                "events that are past retention were missed"
            );
            self.show(|sink| {
                let reason = format!("events {} to {} are past retention", after + 1, oldest - 1);
                sink.last_error = Some(reason);
            });
        }
        self.position = oldest.saturating_sub(1).max(after);
    }

    async fn deliver_all(&mut self, events: &[Event]) -> Result<(), String> {
        let city = &self.hub.city_code;
        let wanted: Vec<Event> = events
            .iter()
            .filter(|event| self.filter.lets_pass(event, city))
            .cloned()
            .collect();
        let mut rest = wanted.as_slice();
        while !rest.is_empty() {
            let share = self.outlet.share(rest).clamp(1, rest.len());
            let (now, later) = rest.split_at(share);
            if !self.deliver(now).await || self.halt.is_cancelled() {
                return Ok(());
            }
            rest = later;
            if self.told_at.elapsed() >= CURSOR_PAUSE {
                self.tell().await;
            }
        }
        if let Some(last) = events.last() {
            self.position = last.seq;
        }
        if self.told_at.elapsed() >= CURSOR_PAUSE {
            self.tell().await;
        }
        Ok(())
    }

    /// Delivers some events as one; false if the halt came first.
    async fn deliver(&mut self, events: &[Event]) -> bool {
        match self.settle(events).await {
            Settled::Taken => {
                self.pass(events);
                true
            }
            Settled::Halted => false,
            Settled::Refused(reason) => match events {
                [event] => {
                    self.park(event, reason).await;
                    true
                }
                // One of them it was: the others are not to suffer for it.
                _ => self.deliver_each(events).await,
            },
        }
    }

    async fn deliver_each(&mut self, events: &[Event]) -> bool {
        for event in events {
            let one = std::slice::from_ref(event);
            match self.settle(one).await {
                Settled::Taken => self.pass(one),
                Settled::Refused(reason) => self.park(event, reason).await,
                Settled::Halted => return false,
            }
        }
        true
    }

    fn pass(&mut self, events: &[Event]) {
        if let Some(last) = events.last() {
            self.position = last.seq;
        }
        let (cursor, count) = (self.position, events.len() as u64);
        self.show(|sink| {
            sink.cursor = cursor;
            sink.delivered += count;
        });
    }

    async fn park(&mut self, event: &Event, reason: String) {
        let name = self.subscriber.name.as_str();
        tracing::warn!(sink = name, seq = event.seq, reason, "event parked");
        self.position = event.seq;
        self.parked += 1;
        let refused = vec![(event.clone(), reason)];
        self.say(refused, Vec::new()).await;
    }

    /// Tries until the subscriber has an answer to these events, or the halt comes.
    async fn settle(&mut self, events: &[Event]) -> Settled {
        loop {
            let (reason, after) = match self.outlet.deliver(events).await {
                Ok(()) => {
                    self.recover();
                    return Settled::Taken;
                }
                Err(DeliveryError::Refused { reason }) if self.parked < PARKED_MAX => {
                    self.recover();
                    return Settled::Refused(reason);
                }
                Err(DeliveryError::Refused { reason }) => {
                    let reason = format!("{PARKED_MAX} events are parked; next: {reason}");
                    (reason, None)
                }
                Err(DeliveryError::Retry { reason, after }) => (reason, after),
            };
            self.attempts = self.attempts.saturating_add(1);
            self.complain(reason);
            self.tell().await;
            let wait = wait_after(self.attempts, after);
            tokio::select! {
                biased;
                () = self.halt.cancelled() => return Settled::Halted,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn complain(&self, reason: String) {
        let (name, attempts) = (&self.subscriber.name, self.attempts);
        if attempts == 1 {
            tracing::warn!(sink = name, reason, "delivery is tried again");
        } else {
            tracing::debug!(sink = name, reason, attempts, "delivery is tried again");
        }
        let now = self.hub.clock.now();
        self.show(|sink| {
            if attempts == 1 {
                (sink.state, sink.since) = (SinkState::Retrying, now);
            }
            sink.attempts = attempts;
            sink.last_error = Some(reason);
        });
    }

    /// The subscriber answers again; what was wrong last stays to be read.
    fn recover(&mut self) {
        if self.attempts == 0 {
            return;
        }
        let attempts = std::mem::take(&mut self.attempts);
        tracing::info!(sink = self.subscriber.name, attempts, "delivery goes on");
        let now = self.hub.clock.now();
        self.show(|sink| {
            (sink.state, sink.since, sink.attempts) = (SinkState::Up, now, 0);
        });
    }

    /// Sends what people asked to be sent again; it is out of order, as it was set aside.
    async fn send_parked_again(&mut self) -> Result<(), String> {
        let mut after = 0;
        loop {
            let name = self.subscriber.name.clone();
            let rows: Vec<ParkedEvent> = self
                .hub
                .ask_for(move |reader| reader.parked(&name, after, EVENTS_PER_READ, true))
                .await?;
            for row in &rows {
                after = row.event.seq;
                match self.settle(std::slice::from_ref(&row.event)).await {
                    Settled::Halted => return Ok(()),
                    Settled::Taken => {
                        self.parked = self.parked.saturating_sub(1);
                        self.show(|sink| sink.delivered += 1);
                        self.say(Vec::new(), vec![after]).await;
                    }
                    Settled::Refused(reason) => {
                        self.say(vec![(row.event.clone(), reason)], Vec::new())
                            .await;
                    }
                }
            }
            if rows.len() < EVENTS_PER_READ {
                return Ok(());
            }
        }
    }

    fn show(&self, change: impl FnOnce(&mut SinkHealth)) {
        self.hub.health.change_sink(&self.subscriber.name, change);
    }

    /// Tells the journal how far this is, if it does not know.
    async fn tell(&mut self) {
        let position = self.position;
        self.show(|sink| sink.cursor = position);
        self.told_at = Instant::now();
        if self.told != self.position {
            self.say(Vec::new(), Vec::new()).await;
        }
    }

    async fn say(&mut self, refused: Vec<(Event, String)>, settled: Vec<u64>) {
        self.told = self.position;
        let word = Delivered {
            name: self.subscriber.name.clone(),
            epoch: self.subscriber.epoch,
            cursor: Some(self.position),
            refused,
            settled,
        };
        if let Err(error) = self.hub.operator.delivered(word).await {
            tracing::debug!(%error, "the journal does not hear of a delivery");
        }
    }
}
