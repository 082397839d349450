//! What the NB-IoT platforms of the carriers push over HTTP: bytes in, reports out, nothing else.
//!
//! CTWing (中国电信), OneNET (中国移动) and OceanConnect (Huawei). Types wobble in the field: numbers
//! come as text, absent things as `""`, `-1` or `"undefined"`, so nothing here insists on one. A
//! message that cannot be read costs itself and none of those beside it.

mod ctwing;
mod field;
#[cfg(any(test, feature = "testkit"))]
pub mod fuzzed;
mod oceanconnect;
mod onenet;
mod readings;
mod seal;
#[cfg(test)]
mod tests;

pub use readings::Subject;
pub use seal::{AesKey, Token};

use codecs::Undecodable;
use model::Timestamp;
use serde_json::Value as Json;

/// One thing that a platform says of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What the device may be registered as, the surest first: (protocol, name).
    pub names: Vec<(&'static str, String)>,
    pub at: Moment,
    pub content: Result<Content, Undecodable>,
    pub origin: Origin,
}

/// When it was, as the platform says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    Unsaid,
    At(Timestamp),
    /// Something was said that is no time.
    Wrong(String),
}

/// What is said.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Values by their names, as the platform decoded them.
    Values(Json),
    /// What the device sent, as it sent it.
    Bytes(Vec<u8>),
    /// The platform sees the device, or no longer.
    Online(bool),
    /// The outcome of a command and the like, which holds no reading.
    Nothing,
}

/// What else is known of a report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    pub message_type: String,
    pub product: Option<String>,
    pub tenant: Option<String>,
    pub imei: Option<String>,
    /// A number or a text, as the platform has it.
    pub service: Json,
    /// CTWing: 1 information, 2 warning, 3 fault.
    pub event_type: Option<i64>,
}

/// Why a push as a whole is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is no push of this platform.
    Unreadable(Undecodable),
    /// Its signature is wrong, or there is none.
    Forged,
}

/// A platform, with what it signs and enciphers by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Platform {
    Ctwing,
    Oceanconnect,
    Onenet { token: Token, key: Option<AesKey> },
}

impl Platform {
    /// Reads the body of one push.
    pub fn read(&self, body: &[u8]) -> Result<Vec<Report>, Refused> {
        match self {
            Self::Ctwing => ctwing::read(body).map_err(Refused::Unreadable),
            Self::Oceanconnect => oceanconnect::read(body).map_err(Refused::Unreadable),
            Self::Onenet { token, key } => onenet::read(token, key.as_ref(), body),
        }
    }

    /// Answers the question by which OneNET tests an address: the text to give back.
    pub fn validate(&self, query: &str) -> Option<String> {
        match self {
            Self::Onenet { token, .. } => onenet::validate(token, query),
            Self::Ctwing | Self::Oceanconnect => None,
        }
    }
}

fn undecodable(reason: &'static str, detail: impl Into<String>) -> Undecodable {
    Undecodable {
        reason: reason.into(),
        detail: detail.into(),
    }
}
