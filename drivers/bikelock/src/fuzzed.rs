//! The whole way from bytes to submissions without a socket, for fuzzers and benches.

use crate::talk::Conversation;
use crate::{Config, shared};
use bytes::BytesMut;
use model::Timestamp;
use sdk::testkit::Kit;
use sdk::{Step, Talk};

/// One connection of a registered bike whose lock is 863725031194523.
#[derive(Debug)]
pub struct Rig {
    talk: Conversation,
}

impl Default for Rig {
    fn default() -> Self {
        let bike = r#"{"id":"bike","kind":"bike","identities":{"bikelock":"863725031194523"}}"#;
        let kit = Kit::new(&[bike]);
        let shared = shared(&config(), &kit.cx);
        Self {
            talk: Conversation::new(shared, None),
        }
    }
}

impl Rig {
    /// Takes all that is whole and gives how many values it had; each is counted once.
    pub fn take(&mut self, received: &mut BytesMut) -> usize {
        let mut values = 0;
        loop {
            let before = received.len();
            // 2021-01-18T14:05:17Z, a second after a line of the vectors.
            let now = Timestamp::from_millis(1_610_978_717_000);
            let Some(step) = self.talk.next(received, now) else {
                return values;
            };
            assert!(received.len() < before, "a step takes something");
            if let Step::Commit { submission, .. } = step {
                for part in submission.parts {
                    let counted = part.observations.len() + part.rejected.len();
                    assert_eq!(part.received as usize, counted);
                    values += counted;
                }
            }
        }
    }
}

/// A configuration without a file.
pub(crate) fn config() -> Config {
    Config {
        kind: "bikelock".to_owned(),
        listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        reply: crate::Reply::Command,
        connections_max: 1,
        connections_per_address_max: 1,
        idle_timeout_s: 1,
        frame_timeout_s: 1,
        noise_bytes_max: 1,
        time_past_max_d: 30,
        time_ahead_max_s: 600,
    }
}
