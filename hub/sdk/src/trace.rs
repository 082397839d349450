//! Which way single messages took: spans with the ids of W3C Trace Context, for those who collect them.
//!
//! Switched off, a [`Tracer`] is an empty pointer that each message looks at once.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Spans that wait to be sent; more are dropped and counted.
pub const SPANS_MAX: usize = 4_096;

/// Events whose trace is remembered until they are delivered.
const EVENTS_MAX: usize = 1_024;

/// A span of a trace, as the header `traceparent` names it (W3C Trace Context, section 3.2).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    id: u128,
    span: u64,
    is_sampled: bool,
}

impl Trace {
    /// Reads a `traceparent`; nothing for what the standard calls invalid.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(5, '-');
        let version = hex(parts.next()?, 2)?;
        let (id, span) = (hex(parts.next()?, 32)?, hex(parts.next()?, 16)?);
        let flags = hex(parts.next()?, 2)?;
        // Later versions may add parts; this one has none.
        let is_whole = version != 0 || parts.next().is_none();
        let is_known = version != 0xff && id != 0 && span != 0;
        (is_whole && is_known).then_some(Self {
            id,
            span: u64::try_from(span).ok()?,
            is_sampled: flags & 1 == 1,
        })
    }

    pub fn id(&self) -> u128 {
        self.id
    }

    pub fn span(&self) -> u64 {
        self.span
    }
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = |sign: u8| matches!(sign, b'0'..=b'9' | b'a'..=b'f');
    let is_right = text.len() == digits && text.bytes().all(is_hex);
    is_right.then(|| u128::from_str_radix(text, 16).ok())?
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.id, self.span)
    }
}

/// Whose work a span is, in the words of OpenTelemetry.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SpanKind {
    Internal,
    /// Answers a device.
    Server,
    /// Asks a receiver.
    Client,
}

/// What a span says beside its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Text(String),
    Number(i64),
}

impl From<u64> for Said {
    fn from(value: u64) -> Self {
        Self::Number(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Said {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// One stretch of the way of a message.
#[derive(Clone, Debug)]
pub struct Span {
    pub trace: Trace,
    pub parent: Option<u64>,
    pub name: &'static str,
    pub kind: SpanKind,
    pub begun: Instant,
    pub ended: Instant,
    pub said: Vec<(&'static str, Said)>,
    /// Why it failed, if it did.
    pub failed: Option<String>,
}

/// A message whose way is recorded: its first span, and what that came from.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    pub trace: Trace,
    pub parent: Option<u64>,
}

/// How many spans there were since the start.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanCounts {
    pub taken: u64,
    pub dropped: u64,
}

struct Book {
    /// A message is recorded when a random number is less.
    less_than: u64,
    keys: RandomState,
    numbers: AtomicU64,
    spans: mpsc::Sender<Span>,
    taken: AtomicU64,
    dropped: AtomicU64,
    events: Mutex<VecDeque<(u64, Trace)>>,
}

/// Records spans, or nothing.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Book>>);

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tracer").field(&self.is_on()).finish()
    }
}

impl Tracer {
    /// Records this share of the messages that bring no decision of their own.
    pub fn open(ratio: f64) -> (Self, mpsc::Receiver<Span>) {
        let (spans, waiting) = mpsc::channel(SPANS_MAX);
        let book = Book {
            less_than: threshold(ratio),
            keys: RandomState::new(),
            numbers: AtomicU64::new(1),
            spans,
            taken: AtomicU64::default(),
            dropped: AtomicU64::default(),
            events: Mutex::default(),
        };
        (Self(Some(Arc::new(book))), waiting)
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Decides whether the way of a message is recorded: as its sender did, or by chance.
    pub fn begin(&self, given: Option<&str>) -> Option<Traced> {
        let book = self.0.as_deref()?;
        match given.and_then(Trace::parse) {
            Some(parent) if parent.is_sampled => Some(Traced {
                trace: Trace {
                    span: book.number(),
                    ..parent
                },
                parent: Some(parent.span),
            }),
            Some(_) => None,
            None if book.number() < book.less_than => Some(Traced {
                trace: Trace {
                    id: u128::from(book.number()) << 64 | u128::from(book.number()),
                    span: book.number(),
                    is_sampled: true,
                },
                parent: None,
            }),
            None => None,
        }
    }

    /// Gives a span of its own to a part of the way behind `trace`.
    pub fn child(&self, trace: Trace) -> Trace {
        let span = self.0.as_deref().map_or(trace.span, Book::number);
        Trace { span, ..trace }
    }

    /// Records a span; never waits.
    pub fn record(&self, span: Span) {
        let Some(book) = self.0.as_deref() else {
            return;
        };
        let count = match book.spans.try_send(span) {
            Ok(()) => &book.taken,
            Err(_) => &book.dropped,
        };
        count.fetch_add(1, Relaxed);
    }

    /// Remembers which trace an event belongs to, for those who deliver it. Numbers only grow.
    pub fn remember(&self, event: u64, trace: Trace) {
        if let Some(book) = self.0.as_deref() {
            let mut events = book.events();
            if events.len() >= EVENTS_MAX {
                events.pop_front();
            }
            events.push_back((event, trace));
        }
    }

    /// Begins to record a delivery of these events, if the way of one of them is recorded.
    pub fn follow(&self, events: impl IntoIterator<Item = u64>) -> Option<Delivery> {
        let book = self.0.as_deref()?;
        let known = book.events();
        let find = |seq| known.binary_search_by_key(&seq, |(known, _)| *known).ok();
        let place = events.into_iter().find_map(find)?;
        let cause = known.get(place)?.1;
        drop(known);
        Some(Delivery {
            tracer: self.clone(),
            trace: self.child(cause),
            parent: cause.span,
            begun: Instant::now(),
        })
    }

    pub fn counts(&self) -> SpanCounts {
        let book = self.0.as_deref();
        book.map_or_else(SpanCounts::default, |book| SpanCounts {
            taken: book.taken.load(Relaxed),
            dropped: book.dropped.load(Relaxed),
        })
    }
}

impl Book {
    /// Gives a number that nobody can foresee and that is never 0.
    fn number(&self) -> u64 {
        let next = self.numbers.fetch_add(1, Relaxed);
        self.keys.hash_one(next).max(1)
    }

    fn events(&self) -> std::sync::MutexGuard<'_, VecDeque<(u64, Trace)>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of all numbers, clamped; a float saturates when it is cast"
)]
fn threshold(ratio: f64) -> u64 {
    (ratio.clamp(0.0, 1.0) * u64::MAX as f64) as u64
}

/// A delivery that is under way and recorded.
#[derive(Debug)]
pub struct Delivery {
    tracer: Tracer,
    trace: Trace,
    parent: u64,
    begun: Instant,
}

impl Delivery {
    /// What the receiver is told, as `traceparent`.
    pub fn trace(&self) -> Trace {
        self.trace
    }

    /// Records how it ended.
    pub fn end(self, sink: &str, events: u64, failed: Option<String>) {
        self.tracer.record(Span {
            trace: self.trace,
            parent: Some(self.parent),
            name: "deliver",
            kind: SpanKind::Client,
            begun: self.begun,
            ended: Instant::now(),
            said: vec![
                ("cityhub.sink", sink.into()),
                ("cityhub.events", events.into()),
            ],
            failed,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{EVENTS_MAX, SPANS_MAX, Span, SpanCounts, SpanKind, Trace, Tracer};
    use tokio::time::Instant;

    /// The example of W3C Trace Context, section 3.2.
    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_header_is_read_and_written_as_the_standard_has_it() {
        let trace = Trace::parse(EXAMPLE).unwrap();
        assert_eq!(trace.id(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(trace.span(), 0x00f0_67aa_0ba9_02b7);
        assert_eq!(trace.to_string(), EXAMPLE);
        let later = EXAMPLE.replacen("00-", "cc-", 1) + "-what-the-future-will-be-like";
        assert!(Trace::parse(&later).is_some());
        for invalid in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Trace::parse(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn the_sender_decides_and_else_the_ratio() {
        let (all, _kept) = Tracer::open(1.0);
        let (none, _kept) = Tracer::open(0.0);
        let traced = none.begin(Some(EXAMPLE)).unwrap();
        assert_eq!(traced.parent, Some(0x00f0_67aa_0ba9_02b7));
        assert_eq!(traced.trace.id(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_ne!(traced.trace.span(), 0x00f0_67aa_0ba9_02b7);
        let unsampled = EXAMPLE.replace("b7-01", "b7-00");
        assert_eq!(all.begin(Some(&unsampled)), None);
        assert_eq!(none.begin(None), None);
        let first = all.begin(Some("nonsense")).unwrap();
        assert_eq!(first.parent, None);
        assert_ne!(first.trace.id(), all.begin(None).unwrap().trace.id());
        let (some, _kept) = Tracer::open(0.25);
        let share = (0..10_000).filter(|_| some.begin(None).is_some()).count();
        // Ten standard deviations about 2,500.
        assert!((2_067..2_933).contains(&share), "{share}");
        assert_eq!(Tracer::default().begin(Some(EXAMPLE)), None);
    }

    #[test]
    fn what_is_not_recorded_costs_no_allocation() {
        let (rare, _kept) = Tracer::open(0.0);
        for tracer in [Tracer::default(), rare] {
            let counted = allocation_counter::measure(|| {
                assert_eq!(tracer.begin(None), None);
                assert!(tracer.follow([1, 2, 3]).is_none());
            });
            assert_eq!(counted.count_total, 0);
        }
    }

    fn span(trace: Trace) -> Span {
        Span {
            trace,
            parent: None,
            name: "test",
            kind: SpanKind::Internal,
            begun: Instant::now(),
            ended: Instant::now(),
            said: Vec::new(),
            failed: None,
        }
    }

    #[test]
    fn what_nobody_takes_is_dropped_and_counted() {
        let (tracer, waiting) = Tracer::open(1.0);
        let trace = Trace::parse(EXAMPLE).unwrap();
        for _ in 0..SPANS_MAX + 3 {
            tracer.record(span(trace));
        }
        let taken = SPANS_MAX as u64;
        assert_eq!(tracer.counts(), SpanCounts { taken, dropped: 3 });
        drop(waiting);
        tracer.record(span(trace));
        assert_eq!(tracer.counts().dropped, 4);
    }

    #[test]
    fn events_are_followed_until_others_push_them_out() {
        let (tracer, mut spans) = Tracer::open(1.0);
        let trace = Trace::parse(EXAMPLE).unwrap();
        tracer.remember(7, trace);
        let delivery = tracer.follow([6, 7]).unwrap();
        assert_eq!(delivery.trace().id(), trace.id());
        let sent = delivery.trace().span();
        delivery.end("city", 2, None);
        let recorded = spans.try_recv().unwrap();
        assert_eq!(
            (recorded.parent, recorded.trace.span()),
            (Some(trace.span()), sent)
        );
        assert!(tracer.follow([8]).is_none());
        for event in 0..EVENTS_MAX as u64 {
            tracer.remember(100 + event, trace);
        }
        assert!(tracer.follow([6, 7]).is_none());
    }
}
