//! The whole way from bytes to submissions without a socket, for fuzzers and benches.

use crate::talk::Conversation;
use crate::{Config, shared};
use bytes::BytesMut;
use model::Timestamp;
use sdk::testkit::Kit;
use sdk::{Step, Talk};

/// One connection of a registered truck whose number is 112233445566.
#[derive(Debug)]
pub struct Rig {
    talk: Conversation,
}

impl Default for Rig {
    fn default() -> Self {
        let truck = r#"{"id":"truck","kind":"truck","identities":{"jt808":"112233445566"}}"#;
        let kit = Kit::new(&[truck]);
        let shared = shared(&config(), &kit.cx).expect("the tables fit the built-in catalogue");
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
            // 2018-07-15T10:10:11+08:00, a second after the frame of the vectors.
            let now = Timestamp::from_millis(1_531_620_611_000);
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
        kind: "jt808".to_owned(),
        listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        authentication: crate::Authentication::Phone,
        connections_max: 1,
        connections_per_address_max: 1,
        idle_timeout_s: 1,
        frame_timeout_s: 1,
        noise_bytes_max: 1,
        time_past_max_d: 30,
        time_ahead_max_s: 600,
    }
}
