//! The endpoint against a writer that the test holds in its hand, datagram by datagram.

mod commands;
mod messages;
mod telemetry;

use super::{Act, Endpoint, Limits};
use crate::peer::{Heard, Peer};
use crate::resource::Resources;
use crate::wire::{POST, Wire};
use bytes::Bytes;
use codecs::Book;
use sdk::testkit::Kit;
use sdk::{IngestError, Order, Receipt, Submission};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

const DEVICES: &[&str] = &[
    r#"{"id":"gas-1","kind":"gas_pressure","parent":"gw"}"#,
    r#"{"id":"gas-2","kind":"gas_pressure","identities":{"pressure_frame":"SHMK19060013"}}"#,
    r#"{"id":"gw","kind":"gateway"}"#,
    r#"{"id":"off","kind":"smoke","enabled":false}"#,
];

const TELEMETRY: &str = "devices/gas-1/telemetry?k=s-gas-1";

const JSON: &[u8] = br#"{"ts":1763700000000,"values":{"pressure_kpa":312.5}}"#;

/// One endpoint, its writer, and what came of it.
struct Rig {
    kit: Kit,
    endpoint: Endpoint,
    now: Instant,
    sent: Vec<(Peer, Bytes)>,
    /// Commits that wait.
    flights: Vec<(u64, Submission)>,
    lines: Vec<(u64, mpsc::Receiver<Order>)>,
    identity: Option<Arc<str>>,
}

impl Rig {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Resources)) -> Self {
        let kit = Kit::new(DEVICES);
        let mut resources = Resources {
            cx: kit.cx.clone(),
            book: Book::default(),
            raw_without_secret: false,
        };
        change(&mut resources);
        let limits = Limits {
            exchanges_max: 1_000,
            body_bytes_max: 4_096,
            bodies_bytes_max: 100_000,
            observers_max: 2,
            command_answer: Duration::from_secs(10),
        };
        Self {
            endpoint: Endpoint::new(resources, limits, Some(0x1000)),
            kit,
            now: Instant::now(),
            sent: Vec::new(),
            flights: Vec::new(),
            lines: Vec::new(),
            identity: None,
        }
    }

    fn peer(port: u16) -> Peer {
        Peer {
            address: ([127, 0, 0, 1], port).into(),
            session: 0,
        }
    }

    fn carry_out(&mut self) {
        while let Some(act) = self.endpoint.next_act() {
            match act {
                Act::Send(peer, bytes) => self.sent.push((peer, bytes)),
                Act::Commit { flight, submission } => self.flights.push((flight, submission)),
                Act::Listen { observer, orders } => self.lines.push((observer, orders)),
            }
        }
    }

    /// Has the endpoint hear bytes from a port, and gives what was sent for it.
    fn hear_bytes(&mut self, port: u16, bytes: &[u8]) -> Vec<Bytes> {
        self.sent.clear();
        let heard = Heard {
            peer: Self::peer(port),
            identity: self.identity.clone(),
            bytes: Bytes::copy_from_slice(bytes),
        };
        self.endpoint.receive(&heard, self.now);
        self.carry_out();
        let sent = std::mem::take(&mut self.sent);
        assert!(sent.iter().all(|(peer, _)| *peer == Self::peer(port)));
        sent.into_iter().map(|(_, bytes)| bytes).collect()
    }

    /// The same where one answer is expected.
    fn ask(&mut self, wire: &Wire) -> Wire {
        let sent = self.hear_bytes(1, &wire.bytes());
        let [answer] = sent.as_slice() else {
            panic!("{} answers to {wire:?}", sent.len());
        };
        Wire::read(answer)
    }

    /// Expects silence.
    fn tell(&mut self, wire: &Wire) {
        assert_eq!(
            self.hear_bytes(1, &wire.bytes()),
            Vec::<Bytes>::new(),
            "{wire:?}"
        );
    }

    /// Lets the time pass, and gives what was sent in it.
    fn pass(&mut self, seconds: f64) -> Vec<Wire> {
        self.sent.clear();
        let end = self.now + Duration::from_secs_f64(seconds);
        while let Some(at) = self.endpoint.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.endpoint.wake(self.now);
            self.carry_out();
        }
        self.now = end;
        let sent = std::mem::take(&mut self.sent);
        sent.iter().map(|(_, bytes)| Wire::read(bytes)).collect()
    }

    /// Commits what waits longest, as stored, and gives what was sent then.
    async fn store(&mut self) -> (Submission, Vec<Wire>) {
        self.store_as(|stored| Receipt {
            seq: 1,
            stored,
            ..Receipt::default()
        })
        .await
    }

    async fn store_as(&mut self, receipt: impl FnOnce(u64) -> Receipt) -> (Submission, Vec<Wire>) {
        let (flight, submission) = self.flights.remove(0);
        let ticket = self.kit.cx.ingest.submit(submission.clone()).await.unwrap();
        let pending = self.kit.next().await.unwrap();
        let parts = submission.parts.iter();
        let stored = parts.map(|part| part.observations.len() as u64).sum();
        pending.confirm(receipt(stored));
        let proof = ticket.committed().await.unwrap();
        (submission, self.land(flight, Ok(proof)))
    }

    fn fail(&mut self, error: IngestError) -> Vec<Wire> {
        let (flight, _) = self.flights.remove(0);
        self.land(flight, Err(error))
    }

    fn land(&mut self, flight: u64, outcome: Result<sdk::Committed, IngestError>) -> Vec<Wire> {
        self.sent.clear();
        self.endpoint.committed(flight, outcome, self.now);
        self.carry_out();
        let sent = std::mem::take(&mut self.sent);
        sent.iter().map(|(_, bytes)| Wire::read(bytes)).collect()
    }

    /// What was turned away, with how often.
    fn refused(&self) -> Vec<(String, u64)> {
        let drained = self.kit.refusals.drain();
        let messages = drained.messages.into_iter();
        messages
            .map(|((_, reason), count)| (reason.into_owned(), count))
            .collect()
    }
}

fn post(kind: u8, mid: u16, payload: &[u8]) -> Wire {
    Wire::to(kind, POST, mid, TELEMETRY)
        .with(12, &[50])
        .payload(payload)
}
