//! What one session is subscribed to: live messages of the bus, and events of the journal.

use crate::connect::Resumed;
use crate::events::{EventTail, Outlet, Start};
use crate::fanout::{LiveMessage, Subscriber};
use crate::gate::Gate;
use crate::identity::Principal;
use crate::packet::{self, Connect, Filter, Qos};
use crate::sessions::{Filters, Remembered, Seat};
use crate::topics::{self, FilterRefusal, Reader, Source};
use bytes::BytesMut;
use model::Timestamp;
use sdk::{COMMIT_DEADLINE, Context, EXPIRY_NEVER_S, KeptSession};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;

/// Filters of one session; each costs memory, and no use of the contract needs more than a few.
const FILTERS_MAX: usize = 64;

/// Version 5 reason codes.
const QUOTA_EXCEEDED: u8 = 0x97;
const NO_SUBSCRIPTION: u8 = 0x11;

#[derive(Debug)]
pub(crate) struct Subscriptions {
    pub(crate) live: Option<Box<Subscriber>>,
    pub(crate) events: Option<Box<EventTail>>,
    /// Filters to events only: what the tail is held against.
    event_filters: Filters,
    /// All filters, as they are remembered for a session that is kept.
    filters: Filters,
    /// The session outlives its connection.
    kept: bool,
    expiry_s: u32,
    receive_max: u16,
    settled: Arc<AtomicU64>,
    cursor_name: Option<String>,
    /// What the journal knows of the cursor.
    cursor: Option<u64>,
    /// Go on where the last session was, and not at the newest event.
    resume: bool,
    /// The journal keeps something of this session.
    is_stored: bool,
}

impl Subscriptions {
    /// Starts empty, or with the filters of the session that is resumed.
    pub(crate) fn open(
        gate: &Gate,
        principal: &Principal,
        connect: &Connect,
        resumed: Resumed,
        seat: &Seat,
    ) -> Self {
        let remembered = resumed.remembered;
        let settled = remembered
            .as_ref()
            .map_or_else(Arc::default, |kept| Arc::clone(&kept.settled));
        let mut subscriptions = Self {
            live: None,
            events: None,
            event_filters: Filters::new(),
            filters: Filters::new(),
            kept: connect.session_expiry_s > 0,
            expiry_s: connect.session_expiry_s,
            receive_max: connect.receive_max,
            settled,
            cursor_name: resumed.cursor_name,
            cursor: resumed.cursor,
            resume: !connect.clean_start,
            is_stored: resumed.is_stored,
        };
        if let Some(Remembered { filters, .. }) = remembered {
            for (path, qos) in filters {
                // The role may have changed meanwhile, so the right is looked at again.
                let filter = Filter { path, qos };
                if let Err(code) = subscriptions.add(gate, principal, filter) {
                    tracing::debug!(code, "a remembered filter is not granted any more");
                }
            }
        }
        subscriptions.remember(seat);
        subscriptions
    }

    /// What the journal is to keep of this session; nothing of one that ends with its connection.
    fn word(&self, expires_at: Option<Timestamp>) -> Option<(String, KeptSession)> {
        let name = self.cursor_name.clone().filter(|_| self.kept)?;
        let filters = self.filters.iter();
        let session = KeptSession {
            filters: filters
                .map(|(path, qos)| (path.clone(), *qos as u8))
                .collect(),
            expiry_s: self.expiry_s,
            expires_at,
            begins_after: self
                .events
                .is_some()
                .then(|| self.settled.load(Ordering::Acquire)),
        };
        Some((name, session))
    }

    /// What the journal is to keep after a change of the filters, before the change is acknowledged.
    pub(crate) fn changed(&mut self) -> Option<(String, KeptSession)> {
        let word = self.word(None)?;
        self.is_stored = true;
        Some(word)
    }

    /// Takes the filters of a SUBSCRIBE and tells the reason code of each.
    pub(crate) fn subscribe(
        &mut self,
        gate: &Gate,
        principal: &Principal,
        filters: Vec<Filter>,
        seat: &Seat,
    ) -> Vec<u8> {
        let codes = filters
            .into_iter()
            .map(|filter| match self.add(gate, principal, filter) {
                Ok(granted) => granted as u8,
                Err(code) => code,
            })
            .collect();
        self.remember(seat);
        codes
    }

    fn add(&mut self, gate: &Gate, principal: &Principal, filter: Filter) -> Result<Qos, u8> {
        let reader = match principal {
            Principal::Device { entry, .. } => Reader::Device(entry.device.id.as_str()),
            Principal::Person { actor, .. } => Reader::Role(actor.role),
        };
        let source =
            topics::grant(reader, &filter.path).map_err(|refusal: FilterRefusal| refusal as u8)?;
        if self.filters.len() >= FILTERS_MAX && !self.filters.contains_key(&filter.path) {
            return Err(QUOTA_EXCEEDED);
        }
        let granted = match source {
            // Said once, and lost if it is: a node that still needs it gives occasion to say it again.
            Source::Own => Qos::AtMostOnce,
            Source::Bus => {
                let subscriber = self
                    .live
                    .get_or_insert_with(|| Box::new(gate.bus.fanout.subscriber()));
                // SUBACK promises what is committed from now on, however late the feeder wakes up.
                subscriber.add(&filter.path, gate.cx.tail.mark.borrow().commit);
                gate.bus.want();
                // What is live may be lost, so no more is promised.
                Qos::AtMostOnce
            }
            Source::Events => {
                let granted = filter.qos.min(Qos::AtLeastOnce);
                self.event_filters.insert(filter.path.clone(), granted);
                self.start_tail(gate);
                granted
            }
        };
        self.filters.insert(filter.path, granted);
        Ok(granted)
    }

    /// Tells whether something that is said to this client on a topic is wanted.
    pub(crate) fn wants(&self, topic: &str) -> bool {
        let mut filters = self.filters.keys();
        filters.any(|filter| topics::matches(filter, topic))
    }

    fn start_tail(&mut self, gate: &Gate) {
        if self.events.is_some() {
            return;
        }
        let newest = gate.cx.tail.mark.borrow().event;
        let known = self.cursor.max(Some(self.settled.load(Ordering::Acquire)));
        let after = match known {
            // A journal that was restored from a copy may be behind its subscriber.
            Some(cursor) if self.resume && (cursor > 0 || self.cursor.is_some()) => {
                cursor.min(newest)
            }
            _ => newest,
        };
        let start = Start {
            after,
            receive_max: self.receive_max,
            settled: Arc::clone(&self.settled),
            cursor: self
                .cursor_name
                .clone()
                .filter(|_| self.kept)
                .map(|name| (name, self.cursor)),
        };
        let tail = EventTail::new(&gate.cx.tail, &gate.cx.ingest, &gate.cx.city_code, start);
        self.events = Some(Box::new(tail));
    }

    /// Takes filters away and tells the reason code of each. A tail without filters rests where it
    /// is: a subscriber that comes back to events in the same session goes on from there.
    pub(crate) fn unsubscribe(&mut self, filters: &[String], seat: &Seat) -> Vec<u8> {
        let codes = filters
            .iter()
            .map(|filter| {
                if let Some(live) = &mut self.live {
                    live.remove(filter);
                }
                self.event_filters.remove(filter);
                match self.filters.remove(filter) {
                    Some(_) => 0,
                    None => NO_SUBSCRIPTION,
                }
            })
            .collect();
        self.remember(seat);
        codes
    }

    fn remember(&self, seat: &Seat) {
        if self.kept {
            seat.remember(&self.filters, &self.settled, Instant::now());
        }
    }

    /// Takes a PUBACK; false if nothing waits for it.
    pub(crate) fn acknowledge(&mut self, packet_id: u16) -> bool {
        self.events
            .as_mut()
            .is_some_and(|tail| tail.acknowledge(packet_id))
    }

    /// Writes events as far as the window allows, and has the cursor moved if that is due.
    pub(crate) fn send_events(&mut self, outlet: Outlet, out: &mut BytesMut) {
        if let Some(tail) = &mut self.events {
            if !self.event_filters.is_empty() {
                tail.send(&self.event_filters, outlet, out);
            }
            tail.move_cursor(Instant::now());
        }
    }

    /// Tells whether events should be read from the journal.
    pub(crate) fn wants_events(&self) -> bool {
        !self.event_filters.is_empty()
    }

    pub(crate) fn cursor_due(&self) -> Option<Instant> {
        self.events.as_ref().and_then(|tail| tail.cursor_due())
    }

    /// Leaves the journal and the register of sessions as the next connection should find them.
    pub(crate) async fn close(mut self, seat: &Seat, cx: &Context) {
        drop(self.live.take());
        if let Some(tail) = self.events.take()
            && tokio::time::timeout(COMMIT_DEADLINE, tail.finish())
                .await
                .is_err()
        {
            tracing::debug!("a subscriber's cursor was not moved in time");
        }
        if !seat.expire_after(self.expiry_s, Instant::now()) || !self.is_stored {
            return;
        }
        let expiry_ms = i64::from(self.expiry_s) * 1_000;
        let word = match self.word(Some(cx.clock.now().plus_ms(expiry_ms))) {
            Some(_) if self.expiry_s == EXPIRY_NEVER_S => return,
            Some((name, session)) => Some((name, Some(session))),
            None => self.cursor_name.map(|name| (name, None)),
        };
        if let Some((name, session)) = word
            && let Err(error) = cx.ingest.keep_session(name, session).await
        {
            tracing::debug!(%error, "the end of a session was not noted");
        }
    }
}

/// Waits for a live message; for ever, if nothing is subscribed.
pub(crate) async fn next_live(live: &mut Option<Box<Subscriber>>) -> Arc<LiveMessage> {
    match live {
        Some(subscriber) => match subscriber.messages.recv().await {
            Some(message) => message,
            // The subscriber holds a sender itself, so this does not happen.
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// Lets the tail read and move its cursor; waits for ever, if there is none.
pub(crate) async fn next_events(events: &mut Option<Box<EventTail>>, more: bool) {
    match events {
        Some(tail) => tail.progress(more).await,
        None => std::future::pending().await,
    }
}

/// Writes one live message, unless it is larger than the client takes.
pub(crate) fn send_live(message: &LiveMessage, outlet: Outlet, out: &mut BytesMut) {
    let size = message.topic.len() + message.payload.len();
    if size < outlet.packet_bytes_max {
        let (topic, payload) = (&message.topic, &message.payload);
        packet::publish(out, outlet.version, None, topic, payload);
    }
}
