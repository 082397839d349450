//! Reads telemetry objects out of JSON without building a tree.

mod value;

use crate::{Decoded, Undecodable};
use model::{Catalogue, MetricKey, Observation};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use value::{TimestampSeed, ValueSeed, Wrong};

/// Metric keys whose repetition inside one object is noticed here; later ones are caught by the
/// writer as duplicates of the same instant.
const SEEN_KEYS: usize = 1024;

/// Runs one decoding of `payload`, and once more with `NaN` and `Infinity` quoted if that is what
/// broke it: Python's encoder writes them, and the values beside them are good.
pub(crate) fn parse<T>(
    payload: &[u8],
    mut run: impl FnMut(&[u8]) -> Result<T, serde_json::Error>,
) -> Result<T, Undecodable> {
    if payload.iter().all(u8::is_ascii_whitespace) {
        return Err(undecodable(
            "empty_payload",
            "the payload is empty".to_owned(),
        ));
    }
    let error = match run(payload) {
        Ok(parsed) => return Ok(parsed),
        Err(error) => error,
    };
    if let Err(utf8) = std::str::from_utf8(payload) {
        let detail = format!("byte {} is not UTF-8", utf8.valid_up_to());
        return Err(undecodable("invalid_utf8", detail));
    }
    if let Some(quoted) = quote_not_finite(payload)
        && let Ok(parsed) = run(&quoted)
    {
        return Ok(parsed);
    }
    let reason = if error.is_data() {
        "wrong_shape"
    } else {
        "invalid_json"
    };
    Err(undecodable(reason, error.to_string()))
}

pub(crate) fn undecodable(reason: &'static str, detail: String) -> Undecodable {
    Undecodable {
        reason: reason.into(),
        detail,
    }
}

/// Puts quotes around bare `NaN`, `Infinity` and `-Infinity`, and writes `Infinity` for a number
/// that no float can hold; `None` if there are none.
fn quote_not_finite(payload: &[u8]) -> Option<Vec<u8>> {
    let mut quoted = Vec::with_capacity(payload.len() + 16);
    let (mut rest, mut in_text, mut found) = (payload, false, false);
    while let Some((&byte, tail)) = rest.split_first() {
        if in_text {
            quoted.push(byte);
            rest = tail;
            if byte == b'\\'
                && let Some((&escaped, tail)) = tail.split_first()
            {
                quoted.push(escaped);
                rest = tail;
            }
            in_text = byte != b'"';
            continue;
        }
        let words: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
        if let Some(word) = words.into_iter().find(|word| rest.starts_with(word)) {
            quoted.push(b'"');
            quoted.extend_from_slice(word);
            quoted.push(b'"');
            rest = rest.get(word.len()..).unwrap_or_default();
            found = true;
            continue;
        }
        if byte == b'-' || byte.is_ascii_digit() {
            let is_number =
                |b: &u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
            let len = rest.iter().take_while(|b| is_number(b)).count();
            let (number, after) = rest.split_at(len);
            let value = std::str::from_utf8(number)
                .ok()
                .and_then(|text| text.parse::<f64>().ok());
            if value.is_some_and(f64::is_infinite) {
                quoted.extend_from_slice(b"\"Infinity\"");
                found = true;
            } else {
                quoted.extend_from_slice(number);
            }
            rest = after;
            continue;
        }
        in_text = byte == b'"';
        quoted.push(byte);
        rest = tail;
    }
    found.then_some(quoted)
}

/// Where decoded values go.
pub(crate) struct Sink<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) out: &'a mut Decoded,
}

/// One object of telemetry, or an array of them.
pub(crate) struct Message<'a, 'b>(pub(crate) &'b mut Sink<'a>);

impl<'de> DeserializeSeed<'de> for Message<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Message<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of telemetry or an array of such objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        visit_record(self.0, map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut empty = true;
        while seq.next_element_seed(Element(&mut *self.0))?.is_some() {
            empty = false;
        }
        if empty {
            self.0
                .out
                .reject(None, "no_values", || "the array is empty".to_owned());
        }
        Ok(())
    }
}

/// One element of an array of telemetry: anything but an object is rejected alone.
struct Element<'a, 'b>(&'b mut Sink<'a>);

impl Element<'_, '_> {
    fn wrong(self, what: &str) {
        let detail = || format!("expected an object of telemetry, found {what}");
        self.0.out.reject(None, "wrong_shape", detail);
    }
}

impl<'de> DeserializeSeed<'de> for Element<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of telemetry")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        visit_record(self.0, map)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.wrong("an array");
        Ok(())
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.wrong("a boolean");
        Ok(())
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.wrong("a number");
        Ok(())
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.wrong("a number");
        Ok(())
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.wrong("a number");
        Ok(())
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.wrong("a text");
        Ok(())
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.wrong("null");
        Ok(())
    }
}

/// Reads `{"ts":…,"values":{…}}` or a flat object of metrics, which may have a `ts` too.
fn visit_record<'de, A: MapAccess<'de>>(sink: &mut Sink<'_>, mut map: A) -> Result<(), A::Error> {
    let (first, received) = (sink.out.observations.len(), sink.out.received);
    let mut seen = Seen::default();
    let mut ts = None;
    while let Some(field) = map.next_key_seed(FieldSeed {
        catalogue: sink.catalogue,
        top: true,
    })? {
        match field {
            Field::Ts => {
                let read = map.next_value_seed(TimestampSeed)?;
                if ts.is_some() {
                    let detail = || "the key stands twice; the first one is kept".to_owned();
                    sink.out.reject(Some("ts"), "duplicate_key", detail);
                }
                ts.get_or_insert(read);
            }
            Field::Values => map.next_value_seed(ValuesSeed {
                sink,
                seen: &mut seen,
            })?,
            Field::Metric(key) => read_metric(sink, &mut seen, key, &mut map)?,
            Field::Unknown(name) => read_unknown(sink, &name, &mut map)?,
        }
    }
    match ts.unwrap_or(Ok(None)) {
        Ok(Some(at)) => {
            for observation in sink.out.observations.iter_mut().skip(first) {
                observation.observed_at = Some(at);
            }
        }
        Ok(None) => {}
        Err(problem) => reject_from(sink, first, &problem),
    }
    if sink.out.received == received {
        let detail = || "the object names no metric".to_owned();
        sink.out.reject(None, "no_values", detail);
    }
    Ok(())
}

/// Takes back the values of a record whose time cannot be read.
fn reject_from(sink: &mut Sink<'_>, first: usize, problem: &str) {
    let bad = sink.out.observations.split_off(first);
    for observation in bad {
        // Each was counted as received when it was read; `reject` counts again.
        sink.out.received = sink.out.received.saturating_sub(1);
        let name = sink
            .catalogue
            .def(observation.metric)
            .map(|def| def.name.as_str());
        sink.out
            .reject(name, "bad_timestamp", || problem.to_owned());
    }
}

fn read_metric<'de, A: MapAccess<'de>>(
    sink: &mut Sink<'_>,
    seen: &mut Seen,
    key: MetricKey,
    map: &mut A,
) -> Result<(), A::Error> {
    let Some(def) = sink.catalogue.def(key) else {
        return map.next_value::<IgnoredAny>().map(drop);
    };
    let parsed = map.next_value_seed(ValueSeed::of(def))?;
    let repeated = seen.insert(key);
    match parsed {
        // First write wins here as everywhere: a repeated key is ambiguous, not an update.
        _ if repeated => {
            let detail = || "the key stands twice in one object; the first one is kept".to_owned();
            sink.out.reject(Some(&def.name), "duplicate_key", detail);
        }
        Ok(value) => {
            sink.out.received = sink.out.received.saturating_add(1);
            let quality = sink.catalogue.judge(key, &value);
            let observation = Observation {
                metric: key,
                value,
                quality,
                observed_at: None,
            };
            sink.out.observations.push(observation);
        }
        Err(Wrong { reason, detail }) => sink.out.reject(Some(&def.name), reason, || detail),
    }
    Ok(())
}

fn read_unknown<'de, A: MapAccess<'de>>(
    sink: &mut Sink<'_>,
    name: &str,
    map: &mut A,
) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>()?;
    let detail = || "the metric catalogue has no such metric".to_owned();
    sink.out.reject(Some(name), "unknown_metric", detail);
    Ok(())
}

/// Metrics met in one object.
struct Seen([u64; SEEN_KEYS / 64]);

impl Default for Seen {
    fn default() -> Self {
        Self([0; SEEN_KEYS / 64])
    }
}

impl Seen {
    /// Notes a key and tells whether it was there already.
    fn insert(&mut self, key: MetricKey) -> bool {
        let Some(word) = self.0.get_mut(usize::from(key.0 / 64)) else {
            return false;
        };
        let bit = 1u64 << (key.0 % 64);
        let repeated = *word & bit != 0;
        *word |= bit;
        repeated
    }
}

enum Field {
    Ts,
    Values,
    Metric(MetricKey),
    Unknown(String),
}

struct FieldSeed<'a> {
    catalogue: &'a Catalogue,
    /// Whether `ts` and `values` have their meaning here.
    top: bool,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = Field;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldSeed<'_> {
    type Value = Field;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a metric name")
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<Field, E> {
        Ok(match name {
            "ts" if self.top => Field::Ts,
            "values" if self.top => Field::Values,
            name => match self.catalogue.find(name) {
                Some(key) => Field::Metric(key),
                None => Field::Unknown(name.to_owned()),
            },
        })
    }
}

/// The object under `values`.
struct ValuesSeed<'a, 'b> {
    sink: &'b mut Sink<'a>,
    seen: &'b mut Seen,
}

impl<'de> DeserializeSeed<'de> for ValuesSeed<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl ValuesSeed<'_, '_> {
    /// Rejects this record alone: what stands beside it in the message is good all the same.
    fn wrong<E>(self, what: &str) -> Result<(), E> {
        let detail = || format!("expected an object of metrics under `values`, found {what}");
        self.sink.out.reject(None, "wrong_shape", detail);
        Ok(())
    }
}

impl<'de> Visitor<'de> for ValuesSeed<'_, '_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of metrics under `values`")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let catalogue = self.sink.catalogue;
        while let Some(field) = map.next_key_seed(FieldSeed {
            catalogue,
            top: false,
        })? {
            match field {
                Field::Metric(key) => read_metric(self.sink, self.seen, key, &mut map)?,
                Field::Unknown(name) => read_unknown(self.sink, &name, &mut map)?,
                Field::Ts | Field::Values => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.wrong("an array")
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.wrong("a boolean")
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.wrong("a number")
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.wrong("a number")
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.wrong("a number")
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.wrong("a text")
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.wrong("null")
    }
}
