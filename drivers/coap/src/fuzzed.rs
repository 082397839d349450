//! The whole way of datagrams to submissions and answers without a socket, for fuzzers and benches.

use crate::endpoint::{Act, Endpoint, Limits};
use crate::peer::{Heard, Peer};
use crate::resource::Resources;
use bytes::Bytes;
use codecs::Book;
use sdk::IngestError;
use sdk::testkit::Kit;
use std::time::Duration;
use tokio::time::Instant;

/// The path at which [`Rig`] takes telemetry: device and secret.
pub const PATH: &str = "devices/gas-1/telemetry?k=s-gas-1";

/// One endpoint with a device `gas-1` behind it.
#[derive(Debug)]
pub struct Rig {
    endpoint: Endpoint,
    now: Instant,
    /// Has the writer's end, so that nothing is closed.
    _kit: Kit,
}

/// What came of a datagram.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub sent: usize,
    pub sent_bytes: usize,
    /// Values that were submitted, good and bad.
    pub values: usize,
}

impl Default for Rig {
    fn default() -> Self {
        let kit = Kit::new(&[
            r#"{"id":"gas-1","kind":"gas_pressure"}"#,
            r#"{"id":"gas-2","kind":"gas_pressure","identities":{"pressure_frame":"SHMK19060013"}}"#,
        ]);
        let resources = Resources {
            cx: kit.cx.clone(),
            book: Book::default(),
            raw_without_secret: true,
        };
        let limits = Limits {
            exchanges_max: 1_024,
            body_bytes_max: 4_096,
            bodies_bytes_max: 16_384,
            observers_max: 4,
            command_answer: Duration::from_secs(10),
        };
        Self {
            endpoint: Endpoint::new(resources, limits, Some(0)),
            now: Instant::now(),
            _kit: kit,
        }
    }
}

impl Rig {
    /// Takes one datagram from a port. Its commit fails, which is answered, too.
    pub fn take(&mut self, port: u8, datagram: &[u8]) -> Outcome {
        let heard = Heard {
            peer: Peer {
                address: ([127, 0, 0, 1], 1_024 + u16::from(port)).into(),
                session: 0,
            },
            identity: None,
            bytes: Bytes::copy_from_slice(datagram),
        };
        self.endpoint.receive(&heard, self.now);
        let mut outcome = Outcome::default();
        self.carry_out(&mut outcome);
        outcome
    }

    /// Lets time pass.
    pub fn pass(&mut self, seconds: u8) -> Outcome {
        self.now += Duration::from_secs(u64::from(seconds));
        self.endpoint.wake(self.now);
        let mut outcome = Outcome::default();
        self.carry_out(&mut outcome);
        outcome
    }

    /// Takes a session: each datagram has its port and the seconds before it in one byte, its length
    /// in the next.
    pub fn session(&mut self, mut input: &[u8]) {
        while let Some((&[control, len], rest)) = input.split_first_chunk() {
            let (datagram, rest) = rest.split_at(usize::from(len).min(rest.len()));
            self.pass(control >> 2);
            let outcome = self.take(control & 3, datagram);
            // Nobody proved to be a device, or it sent its secret: that is longer than a third.
            assert!(outcome.sent <= 2, "{outcome:?}");
            input = rest;
        }
    }

    fn carry_out(&mut self, outcome: &mut Outcome) {
        while let Some(act) = self.endpoint.next_act() {
            match act {
                Act::Send(_, bytes) => {
                    assert!(bytes.len() >= 4, "a message has a header");
                    outcome.sent += 1;
                    outcome.sent_bytes += bytes.len();
                }
                Act::Commit { flight, submission } => {
                    for part in submission.parts {
                        let counted = part.observations.len() + part.rejected.len();
                        assert_eq!(part.received as usize, counted);
                        outcome.values += counted;
                    }
                    let failed = Err(IngestError::Busy);
                    self.endpoint.committed(flight, failed, self.now);
                }
                Act::Listen { .. } => {}
            }
        }
    }
}

/// A request that posts a payload to [`PATH`]: its message ID, its content format, its body.
pub fn example(mid: u16, format: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = mid.to_be_bytes();
    // Confirmable, a token of two bytes, POST.
    let mut bytes = vec![0x42, 0x02, high, low, 0xca, 0xfe];
    let (path, query) = PATH.split_once('?').expect("it has a query");
    let mut last = 0;
    let segments = path.split('/').map(|segment| (11, segment.as_bytes()));
    let rest = [(12, std::slice::from_ref(&format)), (15, query.as_bytes())];
    for (number, value) in segments.chain(rest) {
        // All of them are shorter than thirteen bytes.
        let len = u8::try_from(value.len()).expect("it is short");
        bytes.push((number - last) << 4 | len);
        bytes.extend_from_slice(value);
        last = number;
    }
    bytes.push(0xff);
    bytes.extend_from_slice(payload);
    bytes
}
