//! Events as they happen: one tail of the journal for each listener, read at the listener's pace.

use crate::credential::Credential;
use crate::events::{Kept, read_filter};
use crate::problem::Problem;
use crate::query::RawParams;
use crate::recent::BATCH;
use crate::state::{Shared, ask};
use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use model::Event;
use sdk::{Actor, Mark};
use serde_json::json;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use store::{EventFilter, StoreError};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

/// How often a listener hears from us, events or none.
pub(crate) const BEAT: Duration = Duration::from_secs(5);

/// Events go out this long after the last ones at the earliest, so that a storm comes in batches;
/// a critical or major alarm that sounds goes out at once.
const BATCH_EVERY: Duration = Duration::from_millis(100);

/// How long a browser waits before it connects again.
const RETRY_MS: u32 = 2_000;

/// One listener.
struct Listener {
    shared: Shared,
    mark: watch::Receiver<Mark>,
    filter: EventFilter,
    /// Everything up to here was sent, or filtered out.
    cursor: u64,
    beat_at: Instant,
    /// The last event that must not wait for its batch.
    urgent: watch::Receiver<u64>,
    /// When the next batch may go out.
    batch_at: Instant,
    /// What goes out first.
    opening: Option<Bytes>,
    actor: Actor,
    credential: Credential,
    /// Somebody may do less than before.
    moved: watch::Receiver<u64>,
    _place: OwnedSemaphorePermit,
}

/// `GET /api/v1/stream`
pub(crate) async fn open(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(credential): Extension<Credential>,
    raw: RawParams,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = raw.only(&["from", "types", "min_severity", "grid"])?;
    let from = match headers.get("last-event-id") {
        Some(value) => Some(read_last_id(value)?),
        None => params.number("from")?,
    };
    let filter = read_filter(&shared, &params)?;
    let Ok(place) = Arc::clone(&shared.streams).try_acquire_owned() else {
        return Err(Problem::busy(format!(
            "{} streams are open; no more are served",
            shared.stream_clients_max
        )));
    };
    let mark = shared.tail.mark.clone();
    let kept = ask(&shared, "open a stream", Kept::of).await?;
    let mut opening = format!("retry: {RETRY_MS}\n\n");
    let cursor = start(from, kept, &mut opening);
    let listener = Listener {
        mark,
        filter,
        cursor,
        beat_at: Instant::now(),
        urgent: shared.tail.urgent.clone(),
        batch_at: Instant::now(),
        opening: Some(opening.into()),
        actor,
        credential,
        moved: shared.accounts.moved(),
        _place: place,
        shared,
    };
    let body = Body::from_stream(stream::unfold(listener, |mut listener| async move {
        let bytes = listener.next().await?;
        Some((Ok::<Bytes, Infallible>(bytes), listener))
    }));
    let fields = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    Ok((fields, body).into_response())
}

fn read_last_id(value: &HeaderValue) -> Result<u64, Problem> {
    let id = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    id.ok_or_else(|| Problem::bad_request("header `last-event-id` is no number of an event"))
}

/// Decides where to begin; a hole is announced, never skipped in silence.
fn start(from: Option<u64>, kept: Kept, opening: &mut String) -> u64 {
    let Some(from) = from else { return kept.newest };
    if from > kept.newest {
        write_reset(opening, "ahead", kept, kept.newest);
        return kept.newest;
    }
    if from < kept.before_oldest {
        write_reset(opening, "past_retention", kept, kept.before_oldest);
        return kept.before_oldest;
    }
    from
}

fn write_reset(out: &mut String, reason: &str, kept: Kept, cursor: u64) {
    let data = json!({"reason": reason, "oldest": kept.oldest, "newest": kept.newest});
    write_message(out, cursor, "reset", &data.to_string());
}

/// Writes one message in the form of server-sent events.
pub(crate) fn write_message(out: &mut String, id: u64, event: &str, data: &str) {
    // A line feed would end the field, so each line of the data gets a field of its own.
    let data = data.replace('\n', "\ndata: ");
    writeln!(out, "id: {id}\nevent: {event}\ndata: {data}\n").expect("a string takes any text");
}

impl Listener {
    /// Waits for what goes out next. `None` ends the stream; the listener comes back by itself.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        loop {
            if self.shared.stop.is_cancelled() {
                return None;
            }
            if Instant::now() >= self.beat_at {
                return self.beat();
            }
            let newest = self.mark.borrow_and_update().event;
            let has_news = self.cursor < newest;
            if has_news && self.may_send() {
                let bytes = self.read(newest).await?;
                // Whoever is far behind need not wait for what is there.
                if self.cursor >= newest {
                    self.batch_at = Instant::now() + BATCH_EVERY;
                }
                if bytes.is_empty() {
                    continue;
                }
                return Some(bytes);
            }
            self.wait(has_news).await?;
        }
    }

    fn may_send(&mut self) -> bool {
        *self.urgent.borrow_and_update() > self.cursor || Instant::now() >= self.batch_at
    }

    /// Waits for the first news, or, with news in hand, until they may go out. `None` ends the
    /// stream.
    async fn wait(&mut self, has_news: bool) -> Option<()> {
        let stop = self.shared.stop.clone();
        let until = if has_news {
            self.batch_at.min(self.beat_at)
        } else {
            self.beat_at
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            changed = self.moved.changed() => {
                changed.ok()?;
                self.is_welcome().then_some(())
            }
            changed = self.mark.changed(), if !has_news => changed.ok(),
            changed = self.urgent.changed(), if has_news => changed.ok(),
            () = tokio::time::sleep_until(until) => Some(()),
        }
    }

    fn is_welcome(&self) -> bool {
        self.credential.is_still_of(&self.shared, &self.actor)
    }

    /// Tells that the link lives and how far it has come; ends it when nobody may listen any more.
    fn beat(&mut self) -> Option<Bytes> {
        self.is_welcome().then_some(())?;
        self.beat_at = Instant::now() + BEAT;
        let data = self.shared.pulse.beat(&self.shared, self.cursor);
        let mut out = String::new();
        // The id lets a listener whose filter matches nothing come back to the right place.
        write_message(&mut out, self.cursor, "hb", &data);
        Some(out.into())
    }

    /// Reads what follows the cursor. `None` when the journal cannot be read: the listener comes
    /// back with its last id and misses nothing.
    async fn read(&mut self, newest: u64) -> Option<Bytes> {
        let shared = Shared::clone(&self.shared);
        shared.recent.follow(&shared, newest).await.ok()?;
        if let Some((bytes, reached)) = shared.recent.after(self.cursor, &self.filter)
            && reached > self.cursor
        {
            self.cursor = reached;
            return Some(bytes);
        }
        self.catch_up(newest).await
    }

    /// Reads the journal itself, for a listener that was away for long.
    async fn catch_up(&mut self, newest: u64) -> Option<Bytes> {
        let (after, filter) = (self.cursor, self.filter.clone());
        let answer = ask(&self.shared, "follow the events", move |hub| {
            match hub.reader.events(after, BATCH, &filter) {
                Ok(events) => Ok(Ok(events)),
                Err(StoreError::Expired { .. }) => Kept::of(hub).map(Err),
                Err(error) => Err(error),
            }
        })
        .await
        .ok()?;
        let mut out = String::new();
        match answer {
            Ok(events) => self.take(&events, newest, &mut out),
            Err(kept) => {
                self.cursor = kept.before_oldest.max(after);
                write_reset(&mut out, "past_retention", kept, self.cursor);
            }
        }
        Some(out.into())
    }

    fn take(&mut self, events: &[Event], newest: u64, out: &mut String) {
        for event in events {
            write_message(out, event.seq, &event.kind, &event.json);
        }
        let last = events.last().map_or(self.cursor, |event| event.seq);
        // A batch that is not full has seen everything up to the mark that was read before it.
        self.cursor = if events.len() < BATCH {
            last.max(newest)
        } else {
            last
        };
    }
}
