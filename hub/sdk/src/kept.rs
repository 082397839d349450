//! What is kept of a subscriber's session, so that it is there after a restart.

use model::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An expiry that means: never (MQTT 5.0, 3.1.2.11.2).
pub const EXPIRY_NEVER_S: u32 = u32::MAX;

/// The subscriptions of a session that outlives its connection. Its place among the events is a
/// cursor of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSession {
    /// Topic filters, each with its granted quality of service.
    pub filters: BTreeMap<String, u8>,
    /// How long it is kept after its connection ended.
    pub expiry_s: u32,
    /// `None` while it is open, or for ever.
    pub expires_at: Option<Timestamp>,
    /// The event after which it begins, if it has no cursor yet. Not kept.
    #[serde(skip)]
    pub begins_after: Option<u64>,
}
