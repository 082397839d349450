//! Lines as they are written, of events made with tracing itself.

use super::{Format, write_line};
use model::Timestamp;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps what `write_line` makes of each event.
#[derive(Clone)]
struct Kept {
    format: Format,
    text: Arc<Mutex<String>>,
}

impl Subscriber for Kept {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let at = Timestamp::parse("2026-11-22T08:00:00.007Z").unwrap();
        let mut text = self.text.lock().unwrap();
        write_line(&mut *text, self.format, (at, "warn", 0), event).unwrap();
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn lines(format: Format, say: impl FnOnce()) -> String {
    let text = Arc::new(Mutex::new(String::new()));
    let kept = Kept {
        format,
        text: Arc::clone(&text),
    };
    tracing::subscriber::with_default(kept, say);
    let text = text.lock().unwrap();
    text.clone()
}

#[test]
fn a_line_of_text_is_for_people() {
    let text = lines(Format::Text, || {
        tracing::warn!(target: "hub::x", sink = "city", seq = 12, late = true, share = 0.5, reason = "a b", "event parked");
    });
    let expected = "2026-11-22T08:00:00.007Z  WARN hub::x: event parked sink=city seq=12 late=true \
        share=0.5 reason=\"a b\"\n";
    assert_eq!(text, expected);
}

#[test]
fn a_line_of_json_has_the_same_names_every_time() {
    let text = lines(Format::Json, || {
        tracing::warn!(target: "hub::x", sink = "城", seq = 12_u64, level = "mine", rate = f64::NAN, "event parked");
    });
    let line: Value = serde_json::from_str(&text).unwrap();
    let expected = json!({"time": "2026-11-22T08:00:00.007Z", "level": "warn", "target": "hub::x",
        "message": "event parked", "sink": "城", "seq": 12, "level_": "mine", "rate": "NaN"});
    assert_eq!(line, expected);
    let order = text.find("\"time\"").unwrap() < text.find("\"level\"").unwrap();
    assert!(order && text.ends_with("}\n"), "{text}");
}

/// What a device might send to write lines of its own, to hide others, or to move the cursor.
const EVIL: &str =
    "x\n2026-01-01T00:00:00.000Z ERROR hub: forged\r\u{1b}[2J\u{9b}1m\u{2028}\u{202e}\0\" y=\"1\\";

#[test]
fn what_comes_from_the_field_stays_in_its_line_and_its_field() {
    for format in [Format::Text, Format::Json] {
        let text = lines(format, || {
            tracing::warn!(peer = EVIL, error = %EVIL, debug = ?EVIL, "refused {EVIL}");
        });
        assert_eq!(text.matches('\n').count(), 1, "{text:?}");
        assert!(text.ends_with('\n'));
        let inner = text.trim_end_matches('\n');
        assert!(!inner.chars().any(super::is_unsafe), "{text:?}");
    }
    let text = lines(Format::Json, || tracing::warn!(peer = EVIL, "refused"));
    let line: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["peer"], EVIL);
    assert_eq!(line["y"], Value::Null);
}

#[test]
fn a_value_without_end_is_cut_at_a_character() {
    let long = "界".repeat(2_000);
    let text = lines(Format::Json, || tracing::warn!(body = long, "too long"));
    let line: Value = serde_json::from_str(&text).unwrap();
    let body = line["body"].as_str().unwrap();
    // 4,096 bytes hold 1,365 characters of three bytes.
    assert_eq!(body.chars().count(), 1_366);
    assert!(body.ends_with('…'));
}
