//! A subscriber of `events/…` is a tail of the journal, with a cursor that its PUBACKs move.
//!
//! So a platform that asked for a persistent session resumes without a hole after any outage of
//! either side: what it has not acknowledged comes again.

use crate::packet::{self, Qos, Version};
use crate::sessions::Filters;
use crate::topics;
use bytes::BytesMut;
use model::Event;
use sdk::{Feed, FeedError, Ingest, IngestError, Mark, Tail};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

/// Events read from the journal in one go.
const EVENTS_PER_READ: usize = 256;

/// Unacknowledged events on their way to one subscriber.
pub(crate) const WINDOW_EVENTS: usize = 64;

/// A cursor moves in the journal after this many events …
const CURSOR_EVENTS: u64 = 256;

/// … or this long after the last move: each is a small write, and a lost one only repeats events.
const CURSOR_PAUSE: Duration = Duration::from_millis(100);

/// Room that a packet needs besides its topic and payload.
const PACKET_OVERHEAD_BYTES: usize = 16;

/// An event that was read and not settled yet; neighbours that need no PUBACK are one entry.
#[derive(Debug)]
struct Open {
    /// The last event that this entry stands for.
    seq: u64,
    /// Waits for this PUBACK; `None` if there is nothing to wait for.
    packet_id: Option<u16>,
}

type Moving = Pin<Box<dyn Future<Output = Result<(), IngestError>> + Send>>;

/// How a durable cursor is moved.
struct Cursor {
    name: String,
    ingest: Ingest,
    /// What the journal was last told.
    told: u64,
    told_at: Instant,
    moving: Option<Moving>,
}

/// The reading half of a tail.
struct Source {
    feed: Arc<dyn Feed>,
    mark: watch::Receiver<Mark>,
    /// The last event that was read.
    position: u64,
    reading: Option<JoinHandle<Result<Vec<Event>, FeedError>>>,
    /// Read, and not yet sent.
    waiting: VecDeque<Event>,
    /// The end of a hole that was just met: events up to here are past retention.
    hole: Option<u64>,
}

/// One session's tail of the journal.
pub(crate) struct EventTail {
    source: Source,
    city_code: String,
    open: VecDeque<Open>,
    in_flight: usize,
    window: usize,
    next_packet_id: u16,
    /// Up to here everything is acknowledged; shared with what is kept of the session.
    settled: Arc<AtomicU64>,
    cursor: Option<Cursor>,
}

impl std::fmt::Debug for EventTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventTail")
            .field("position", &self.source.position)
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

/// How a tail starts.
#[derive(Debug)]
pub(crate) struct Start {
    /// Go on after this event.
    pub(crate) after: u64,
    /// Unacknowledged events that the client takes at once.
    pub(crate) receive_max: u16,
    pub(crate) settled: Arc<AtomicU64>,
    /// Name of the durable cursor, if the session is to be kept, and what the journal knows of it.
    pub(crate) cursor: Option<(String, Option<u64>)>,
}

/// What the subscriber can take.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Outlet {
    pub(crate) version: Version,
    pub(crate) packet_bytes_max: usize,
    /// Bytes that may wait to be written before sending pauses.
    pub(crate) out_bytes_max: usize,
}

impl EventTail {
    pub(crate) fn new(tail: &Tail, ingest: &Ingest, city_code: &str, start: Start) -> Self {
        start.settled.fetch_max(start.after, Ordering::AcqRel);
        let cursor = start.cursor.map(|(name, known)| Cursor {
            name,
            ingest: ingest.clone(),
            // A cursor that the journal has never seen is told at once: an outage before the first
            // acknowledgement must not lose the place.
            told: known.unwrap_or(u64::MAX),
            told_at: Instant::now(),
            moving: None,
        });
        let source = Source {
            feed: Arc::clone(&tail.feed),
            mark: tail.mark.clone(),
            position: start.after,
            reading: None,
            waiting: VecDeque::new(),
            hole: None,
        };
        let mut tail = Self {
            source,
            city_code: city_code.to_owned(),
            open: VecDeque::new(),
            in_flight: 0,
            window: WINDOW_EVENTS.min(usize::from(start.receive_max)),
            next_packet_id: 0,
            settled: start.settled,
            cursor,
        };
        tail.place_cursor();
        tail
    }

    /// Tells the journal where this tail starts, unless it knows.
    fn place_cursor(&mut self) {
        let settled = self.settled.load(Ordering::Acquire);
        if let Some(cursor) = &mut self.cursor
            && cursor.told != settled
        {
            cursor.tell(settled);
        }
    }

    /// Waits until there is something to send or the journal took a cursor. Cancel-safe: what is
    /// under way goes on with the next call.
    pub(crate) async fn progress(&mut self, more: bool) {
        let more = more && self.source.waiting.is_empty() && self.in_flight < self.window;
        let cursor = &mut self.cursor;
        tokio::select! {
            () = self.source.read(), if more => {}
            () = poll_fn(|cx| poll_cursor(cursor, cx)) => {}
        }
        // After a hole the tail goes on behind it, and nothing before it is waited for.
        if let Some(end) = self.source.hole.take() {
            self.settle_without_packet(end);
        }
    }

    /// Writes what is waiting as far as the window and the buffer allow.
    pub(crate) fn send(&mut self, filters: &Filters, outlet: Outlet, out: &mut BytesMut) {
        while self.in_flight < self.window && out.len() < outlet.out_bytes_max {
            let Some(event) = self.source.waiting.pop_front() else {
                return;
            };
            let place = event.grid.as_deref().unwrap_or(&self.city_code);
            let topic = topics::event_topic(place, &event.kind);
            let granted = filters
                .iter()
                .filter(|(filter, _)| topics::matches(filter, &topic))
                .map(|(_, qos)| *qos)
                .max();
            let size = topic.len() + event.json.len() + PACKET_OVERHEAD_BYTES;
            match granted {
                Some(_) if size > outlet.packet_bytes_max => {
                    // The standard forbids to send it and has it count as sent.
                    tracing::warn!(seq = event.seq, "an event is too large for its subscriber");
                    self.settle_without_packet(event.seq);
                }
                Some(Qos::AtMostOnce) => {
                    let json = event.json.as_bytes();
                    packet::publish(out, outlet.version, None, &topic, json);
                    self.settle_without_packet(event.seq);
                }
                Some(Qos::AtLeastOnce | Qos::ExactlyOnce) => {
                    let packet_id = self.take_packet_id();
                    let json = event.json.as_bytes();
                    packet::publish(out, outlet.version, Some(packet_id), &topic, json);
                    self.in_flight += 1;
                    self.open.push_back(Open {
                        seq: event.seq,
                        packet_id: Some(packet_id),
                    });
                }
                None => self.settle_without_packet(event.seq),
            }
        }
    }

    /// Takes the next id that no event in flight has; the window is far smaller than the range.
    fn take_packet_id(&mut self) -> u16 {
        loop {
            self.next_packet_id = self.next_packet_id.checked_add(1).unwrap_or(1);
            let id = self.next_packet_id;
            if !self.open.iter().any(|open| open.packet_id == Some(id)) {
                return id;
            }
        }
    }

    /// Takes a PUBACK; false if nothing waits for it.
    pub(crate) fn acknowledge(&mut self, packet_id: u16) -> bool {
        let acked = self
            .open
            .iter_mut()
            .find(|open| open.packet_id == Some(packet_id));
        let Some(open) = acked else {
            return false;
        };
        open.packet_id = None;
        self.in_flight -= 1;
        self.settle();
        true
    }

    fn settle_without_packet(&mut self, seq: u64) {
        match self.open.back_mut() {
            Some(last) if last.packet_id.is_none() => last.seq = seq,
            _ => self.open.push_back(Open {
                seq,
                packet_id: None,
            }),
        }
        self.settle();
    }

    /// Moves on over everything that waits for nothing.
    fn settle(&mut self) {
        while let Some(open) = self.open.pop_front_if(|open| open.packet_id.is_none()) {
            self.settled.fetch_max(open.seq, Ordering::AcqRel);
        }
    }

    /// When the journal should be told next, if there is something to tell.
    pub(crate) fn cursor_due(&self) -> Option<Instant> {
        let cursor = self.cursor.as_ref()?;
        let news = self.settled.load(Ordering::Acquire) > cursor.told;
        (news && cursor.moving.is_none()).then(|| cursor.told_at + CURSOR_PAUSE)
    }

    /// Tells the journal how far the subscriber is, if that is due.
    pub(crate) fn move_cursor(&mut self, now: Instant) {
        let due = self.cursor_due();
        let settled = self.settled.load(Ordering::Acquire);
        let Some(cursor) = &mut self.cursor else {
            return;
        };
        let many = settled.saturating_sub(cursor.told) >= CURSOR_EVENTS;
        if due.is_some_and(|due| many || now >= due) {
            cursor.tell(settled);
        }
    }

    /// Tells the journal the last word. The caller sets the deadline.
    pub(crate) async fn finish(mut self) {
        if let Some(reading) = self.source.reading.take() {
            reading.abort();
        }
        let settled = self.settled.load(Ordering::Acquire);
        let Some(mut cursor) = self.cursor.take() else {
            return;
        };
        if cursor.moving.is_none() && cursor.told != settled {
            cursor.tell(settled);
        }
        while let Some(moving) = cursor.moving.take() {
            if moving.await.is_err() {
                return;
            }
            if cursor.told != settled {
                cursor.tell(settled);
            }
        }
    }
}

/// Completes the move of a cursor that is under way; pending for ever if there is none.
fn poll_cursor(cursor: &mut Option<Cursor>, cx: &mut Context<'_>) -> Poll<()> {
    let Some(cursor) = cursor else {
        return Poll::Pending;
    };
    let Some(moving) = &mut cursor.moving else {
        return Poll::Pending;
    };
    moving.as_mut().poll(cx).map(|moved| {
        cursor.moving = None;
        if let Err(error) = moved {
            tracing::debug!(%error, "a cursor was not moved");
        }
    })
}

impl Source {
    async fn read(&mut self) {
        while self.waiting.is_empty() && self.hole.is_none() {
            if self.reading.is_none() {
                if self.mark.borrow_and_update().event <= self.position {
                    self.grown().await;
                    continue;
                }
                let (feed, after) = (Arc::clone(&self.feed), self.position);
                let read = move || feed.events(after, EVENTS_PER_READ);
                self.reading = Some(tokio::task::spawn_blocking(read));
            }
            let Some(reading) = &mut self.reading else {
                continue;
            };
            let read = reading.await;
            self.reading = None;
            if !self.take(read) {
                // Nothing came although the mark moved, or the read failed: again when it moves on.
                self.grown().await;
            }
        }
    }

    /// Waits until the journal grew. Without a writer it never does.
    async fn grown(&mut self) {
        if self.mark.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Takes what was read; false if there was nothing.
    fn take(&mut self, read: Result<Result<Vec<Event>, FeedError>, JoinError>) -> bool {
        match read {
            Ok(Ok(events)) => {
                let Some(last) = events.last() else {
                    return false;
                };
                self.position = last.seq;
                self.waiting.extend(events);
                return true;
            }
            Ok(Err(FeedError::Expired { oldest })) if oldest > self.position => {
                // The sequence numbers show the hole to the subscriber; the log tells the operator.
                let after = self.position;
                tracing::warn!(
                    after,
                    oldest,
                    "a subscriber missed events that are past retention"
                );
                self.position = oldest;
                self.hole = Some(oldest);
                return true;
            }
            Ok(Err(error)) => tracing::warn!(%error, "could not read events for a subscriber"),
            Err(error) => tracing::warn!(%error, "could not read events for a subscriber"),
        }
        false
    }
}

impl Cursor {
    fn tell(&mut self, seq: u64) {
        let (ingest, name) = (self.ingest.clone(), self.name.clone());
        self.told = seq;
        self.told_at = Instant::now();
        self.moving = Some(Box::pin(
            async move { ingest.move_cursor(&name, seq).await },
        ));
    }
}
