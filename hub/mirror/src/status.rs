//! What a mirror tells about itself.

use crate::position::Position;
use model::Timestamp;

/// How a mirror does.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum MirrorState {
    /// The server takes what it is sent.
    Up,
    /// The last attempt failed; the next one comes.
    Retrying,
    /// The server does not want anything before people change something, such as the token.
    Denied,
}

/// What a mirror tells about itself; counts are since the hub's start.
#[derive(Clone, Debug, PartialEq)]
pub struct MirrorStatus {
    pub state: MirrorState,
    pub last_error: Option<String>,
    /// Failed attempts since the last that did not fail.
    pub attempts: u32,
    /// What the server can be believed to keep.
    pub confirmed: Position,
    /// Whether the server has everything that there was a second ago.
    pub is_level: bool,
    /// When the oldest reading that the server lacks was received, as far as that is known.
    pub oldest_owed: Option<Timestamp>,
    /// Readings that the server lacks, about.
    pub owed: u64,
    /// Readings and lines that the server took, those sent again too.
    pub sent_readings: u64,
    pub sent_lines: u64,
    /// Requests that failed.
    pub failures: u64,
    /// Lines that the server refused for good.
    pub dead_letters: u64,
    pub last_dead_letter: Option<String>,
    /// How often what was not confirmed was sent again.
    pub rewinds: u64,
}

impl MirrorStatus {
    pub fn new(confirmed: Position) -> Self {
        Self {
            state: MirrorState::Up,
            last_error: None,
            attempts: 0,
            confirmed,
            is_level: false,
            oldest_owed: None,
            owed: 0,
            sent_readings: 0,
            sent_lines: 0,
            failures: 0,
            dead_letters: 0,
            last_dead_letter: None,
            rewinds: 0,
        }
    }
}
