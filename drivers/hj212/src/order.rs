//! Requests to devices and what becomes of them: 9011 says taken, data comes, 9012 says done.

use crate::answer::{frame, push};
use crate::crc::Checksum;
use crate::segment::{Edition, Segment};
use crate::table;
use crate::time;
use bytes::Bytes;
use model::{DeviceKey, Timestamp};
use sdk::{Order, OrderError};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Requests that one connection remembers; the oldest is given up for a new one.
const PENDING_MAX: usize = 16;

/// Seconds between real-time data that a device takes (HJ 212-2017, 1062).
const REALTIME_S: std::ops::RangeInclusive<u64> = 30..=3600;

/// Minutes between minute data that a device takes (HJ 212-2017, 1064).
const MINUTES: [u64; 11] = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30];

/// Longest name of an instrument (`PolId`).
const POLLUTANT_BYTES_MAX: usize = 16;

/// What ends a request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Ends {
    /// Data with this parameter, which is told under this name.
    Data(&'static str, &'static str),
    /// 9012.
    Result,
    /// 9012, with a count of the data frames before it.
    Counted,
}

/// Every order: its name, its command and what ends it.
const ORDERS: [(&str, &str, Ends); 9] = [
    ("read_time", "1011", Ends::Data("SystemTime", "system_time")),
    ("set_time", "1012", Ends::Result),
    (
        "read_interval",
        "1061",
        Ends::Data("RtdInterval", "seconds"),
    ),
    ("set_interval", "1062", Ends::Result),
    (
        "read_minute_interval",
        "1063",
        Ends::Data("MinInterval", "minutes"),
    ),
    ("set_minute_interval", "1064", Ends::Result),
    ("fetch_minutes", "2051", Ends::Counted),
    ("fetch_hours", "2061", Ends::Counted),
    ("fetch_days", "2031", Ends::Counted),
];

/// Who is spoken to, and how.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) st: String,
    pub(crate) pw: Option<String>,
    pub(crate) mn: String,
    pub(crate) edition: Edition,
    pub(crate) checksum: Checksum,
}

#[derive(Debug)]
struct Pending {
    qn: String,
    cn: &'static str,
    ends: Ends,
    order: Order,
    /// Data frames that came for it.
    frames: u32,
}

/// The requests of one connection that are under way.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pending: Vec<Pending>,
    /// Of the newest request, so that no two have the same QN.
    newest_ms: i64,
}

impl Requests {
    /// Writes the request for an order, or answers the order that cannot be one.
    pub(crate) fn ask(&mut self, order: Order, to: &Address, now: Timestamp) -> Option<Bytes> {
        let known = ORDERS.iter().find(|(name, ..)| *name == order.name);
        let Some((name, cn, ends)) = known else {
            let names: Vec<_> = ORDERS.iter().map(|(name, ..)| *name).collect();
            let reason = format!(
                "HJ 212 has no `{}`; it has {}",
                order.name,
                names.join(", ")
            );
            order.answer(Err(OrderError::Unsupported(reason)));
            return None;
        };
        let content = match content(name, &order.args, now) {
            Ok(content) => content,
            Err(reason) => {
                order.answer(Err(OrderError::Invalid(reason)));
                return None;
            }
        };
        let (qn, bytes) = self.write(cn, &content, to, now);
        if self.pending.len() >= PENDING_MAX {
            self.pending
                .remove(0)
                .order
                .answer(Err(OrderError::NoAnswer));
        }
        self.pending.push(Pending {
            qn,
            cn,
            ends: *ends,
            order,
            frames: 0,
        });
        Some(bytes)
    }

    /// Writes a request that sets the device's clock and that nobody waits for.
    pub(crate) fn calibrate(&mut self, to: &Address, now: Timestamp) -> Bytes {
        let content = format!("SystemTime={}", time::digits_s(now));
        self.write("1012", &content, to, now).1
    }

    fn write(&mut self, cn: &str, content: &str, to: &Address, now: Timestamp) -> (String, Bytes) {
        self.newest_ms = now.millis().max(self.newest_ms.saturating_add(1));
        let qn = time::digits(Timestamp::from_millis(self.newest_ms));
        let mut text = String::with_capacity(160);
        push(&mut text, "QN", Some(&qn));
        push(&mut text, "ST", Some(&to.st));
        push(&mut text, "CN", Some(cn));
        push(&mut text, "PW", to.pw.as_deref());
        push(&mut text, "MN", Some(&to.mn));
        let flag = to.edition.bits() | 1;
        // Writing to a text cannot fail.
        write!(text, "Flag={flag};CP=&&{content}&&").unwrap_or_default();
        let bytes = frame(&text, to.checksum);
        (qn, bytes)
    }

    /// Takes 9011 or 9012.
    pub(crate) fn result(&mut self, segment: &Segment<'_>) {
        // The edition of 2005 has the request's QN in the data area.
        let qn = segment.param("QN").or(segment.qn);
        let Some(index) = self
            .pending
            .iter()
            .position(|known| Some(known.qn.as_str()) == qn)
        else {
            return;
        };
        let kind = if segment.cn == Some("9011") {
            "QnRtn"
        } else {
            "ExeRtn"
        };
        let code = segment.param(kind).unwrap_or_default();
        let ends = self.pending.get(index).map(|known| known.ends);
        let outcome = match (kind, code, ends) {
            ("QnRtn", "1", _) | (_, "1", Some(Ends::Data(..))) => return,
            ("ExeRtn", "1", Some(Ends::Result)) => Ok(None),
            ("ExeRtn", "1" | "100", Some(Ends::Counted)) => Ok(Some(())),
            _ => Err(OrderError::Refused(meaning(kind, code))),
        };
        let done = self.pending.remove(index);
        let told = match outcome {
            Ok(None) => Ok(json!({})),
            Ok(Some(())) => Ok(json!({"frames": done.frames})),
            Err(error) => Err(error),
        };
        done.order.answer(told);
    }

    /// Takes data that a request may have asked for; tells whether it answers one.
    pub(crate) fn data(&mut self, device: DeviceKey, segment: &Segment<'_>) -> bool {
        let is_of = |known: &Pending| known.order.device == device && segment.cn == Some(known.cn);
        let exactly = |known: &Pending| is_of(known) && segment.qn == Some(known.qn.as_str());
        let mut pending = self.pending.iter();
        // Not every device repeats QN.
        let index = pending
            .position(exactly)
            .or_else(|| self.pending.iter().position(is_of));
        let Some(index) = index else {
            return false;
        };
        let Some(known) = self.pending.get_mut(index) else {
            return false;
        };
        known.frames = known.frames.saturating_add(1);
        let Ends::Data(param, name) = known.ends else {
            return false;
        };
        let Some(text) = segment.param(param) else {
            return false;
        };
        let value = match (time::parse(text), text.parse::<u64>()) {
            (Some(at), _) if param == "SystemTime" => json!({ name: at.to_string() }),
            (_, Ok(number)) => json!({ name: number }),
            _ => json!({ name: text }),
        };
        self.pending.remove(index).order.answer(Ok(value));
        true
    }
}

/// Writes the data area of a request.
fn content(name: &str, args: &Value, now: Timestamp) -> Result<String, String> {
    let number = |key: &str| {
        let given = args.get(key).and_then(Value::as_u64);
        given.ok_or_else(|| format!("`{key}` must be a whole number"))
    };
    let instant = |key: &str| {
        let given = args.get(key).and_then(Value::as_str).unwrap_or_default();
        let at = Timestamp::parse(given).map_err(|error| format!("`{key}`: {error}"))?;
        Ok::<_, String>(time::digits_s(at))
    };
    let content = match name {
        "set_time" => format!("SystemTime={}", time::digits_s(now)),
        "set_interval" => {
            let seconds = number("seconds")?;
            if !REALTIME_S.contains(&seconds) {
                return Err("`seconds` must be 30 to 3600 (HJ 212-2017, 1062)".to_owned());
            }
            format!("RtdInterval={seconds}")
        }
        "set_minute_interval" => {
            let minutes = number("minutes")?;
            if !MINUTES.contains(&minutes) {
                let known = "1, 2, 3, 4, 5, 6, 10, 12, 15, 20 or 30 (HJ 212-2017, 1064)";
                return Err(format!("`minutes` must be {known}"));
            }
            format!("MinInterval={minutes}")
        }
        "fetch_minutes" | "fetch_hours" | "fetch_days" => {
            let (from, to) = (instant("from")?, instant("to")?);
            if from > to {
                return Err("`from` must not be after `to`".to_owned());
            }
            format!("BeginTime={from},EndTime={to}")
        }
        _ => String::new(),
    };
    let pollutant = args.get("pol_id").and_then(Value::as_str);
    match pollutant {
        // The clock may be that of one instrument of the site.
        Some(id) if name.ends_with("_time") => {
            let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !plain || id.len() > POLLUTANT_BYTES_MAX {
                return Err("`pol_id` must be a code such as w01018".to_owned());
            }
            let mark = if content.is_empty() { "" } else { ";" };
            Ok(format!("PolId={id}{mark}{content}"))
        }
        _ => Ok(content),
    }
}

/// Says in words what a device answered.
fn meaning(kind: &str, code: &str) -> String {
    let mut known = table::rows(include_str!("../data/results.csv"));
    let words = known.find(|row: &[&str; 3]| matches!(row, [k, c, _] if *k == kind && *c == code));
    match words {
        Some([_, _, words]) => format!("{words} ({kind} {code})"),
        None => format!("{kind} {}", code.chars().take(8).collect::<String>()),
    }
}
