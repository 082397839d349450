//! What every driver must do, whatever it speaks: the same checks for all, over a pipe and paused
//! time, with the commit in the check's hand.
#![expect(clippy::panic, reason = "a check that fails is a test that fails")]

use super::Kit;
use crate::{Context, Pending, Receipt, Registration};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// Longer than any patience of a driver, and gone at once where time is paused.
const A_WHILE: Duration = Duration::from_secs(3);

/// Bytes that fit the pipe to the driver; small, so that a driver that stops reading is felt.
const PIPE_BYTES: usize = 4096;

/// More frames than any queue holds.
const FRAMES_MAX: usize = 20_000;

type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One driver under examination.
pub struct Subject {
    /// Devices to register, as [`Kit::new`] takes them.
    pub devices: Vec<&'static str>,
    /// Serves one connection; a datagram driver takes each write as a datagram.
    pub serve: fn(DuplexStream, Context) -> Served,
    /// What the peer sends before anything else, such as a sign-in, and what it is told.
    pub greeting: Option<(Vec<u8>, Vec<u8>)>,
    /// A frame with readings, by its number, so that no two are the same; it makes one submission.
    pub good: fn(usize) -> Vec<u8>,
    /// The acknowledgement of `good(number)`.
    pub ack: fn(usize) -> Vec<u8>,
    /// Something that is no good frame, and after which a good one is taken all the same.
    pub bad: Vec<u8>,
    /// What the bad frame is answered with; empty for silence.
    pub bad_answer: Vec<u8>,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subject")
    }
}

struct Bench {
    kit: Kit,
    peer: DuplexStream,
    served: tokio::task::JoinHandle<()>,
}

impl Subject {
    /// Makes all the checks. To be called with paused time.
    pub async fn check(&self) {
        self.check_poller().await;
        self.the_stop_answers_what_is_in_flight().await;
    }

    /// Makes those that hold for a driver which asks: its next question is its acknowledgement, and
    /// at the stop it asks nothing more.
    pub async fn check_poller(&self) {
        self.no_acknowledgement_before_the_commit().await;
        self.no_acknowledgement_when_the_commit_fails().await;
        self.a_bad_frame_ends_nothing().await;
        self.a_full_queue_stops_the_reading().await;
    }

    async fn begin(&self) -> Bench {
        let kit = Kit::new(&self.devices);
        let (mut peer, ours) = duplex(PIPE_BYTES);
        #[expect(clippy::disallowed_methods, reason = "a test waits for its own task")]
        let served = tokio::spawn((self.serve)(ours, kit.cx.clone()));
        if let Some((hello, welcome)) = &self.greeting {
            send(&mut peer, hello).await;
            hear(&mut peer, welcome, "the greeting is answered").await;
        }
        Bench { kit, peer, served }
    }

    async fn no_acknowledgement_before_the_commit(&self) {
        let Bench {
            mut kit, mut peer, ..
        } = self.begin().await;
        send(&mut peer, &(self.good)(1)).await;
        let pending = next(&mut kit, "a good frame is submitted").await;
        silence(&mut peer, "before the commit").await;
        confirm(pending);
        hear(&mut peer, &(self.ack)(1), "the commit is acknowledged").await;
    }

    async fn no_acknowledgement_when_the_commit_fails(&self) {
        let Bench {
            mut kit, mut peer, ..
        } = self.begin().await;
        send(&mut peer, &(self.good)(1)).await;
        drop(next(&mut kit, "a good frame is submitted").await);
        silence(&mut peer, "after a commit that failed").await;
    }

    async fn a_bad_frame_ends_nothing(&self) {
        let Bench {
            mut kit, mut peer, ..
        } = self.begin().await;
        send(&mut peer, &self.bad).await;
        hear(&mut peer, &self.bad_answer, "the bad frame is answered").await;
        send(&mut peer, &(self.good)(1)).await;
        let mut pending = next(&mut kit, "a good frame is taken after a bad one").await;
        // A bad frame of a known device is kept in quarantine, and that is a submission, too.
        while pending
            .submission
            .parts
            .iter()
            .all(|part| part.observations.is_empty())
        {
            confirm(pending);
            pending = next(&mut kit, "a good frame is taken after a bad one").await;
        }
        confirm(pending);
        hear(&mut peer, &(self.ack)(1), "and acknowledged").await;
    }

    async fn the_stop_answers_what_is_in_flight(&self) {
        let Bench {
            mut kit,
            mut peer,
            served,
        } = self.begin().await;
        send(&mut peer, &(self.good)(1)).await;
        let pending = next(&mut kit, "a good frame is submitted").await;
        kit.cx.stop.cancel();
        silence(&mut peer, "at the stop, before the commit").await;
        confirm(pending);
        hear(
            &mut peer,
            &(self.ack)(1),
            "what was in flight is acknowledged",
        )
        .await;
        let ended = tokio::time::timeout(A_WHILE, served).await;
        assert!(
            matches!(ended, Ok(Ok(()))),
            "the connection ends by itself at the stop"
        );
    }

    async fn a_full_queue_stops_the_reading(&self) {
        let Bench { mut peer, kit, .. } = self.begin().await;
        for number in 0..FRAMES_MAX {
            let frame = (self.good)(number);
            let written = tokio::time::timeout(A_WHILE, peer.write_all(&frame)).await;
            if written.is_err() {
                drop(kit);
                return;
            }
        }
        panic!("{FRAMES_MAX} frames were read while nothing was committed");
    }
}

async fn send(peer: &mut DuplexStream, bytes: &[u8]) {
    peer.write_all(bytes).await.expect("the driver reads");
}

async fn hear(peer: &mut DuplexStream, expected: &[u8], what: &str) {
    let mut heard = vec![0; expected.len()];
    let read = tokio::time::timeout(A_WHILE, peer.read_exact(&mut heard)).await;
    assert!(
        matches!(read, Ok(Ok(_))),
        "{what}: nothing was said, or too little"
    );
    assert_eq!(heard, expected, "{what}");
}

async fn silence(peer: &mut DuplexStream, when: &str) {
    let mut heard = [0; 256];
    if let Ok(Ok(len @ 1..)) = tokio::time::timeout(A_WHILE, peer.read(&mut heard)).await {
        panic!("{when}: {:?} was said", heard.get(..len));
    }
}

async fn next(kit: &mut Kit, what: &str) -> Pending {
    let next = tokio::time::timeout(A_WHILE, kit.next()).await;
    next.ok().flatten().unwrap_or_else(|| panic!("{what}"))
}

fn confirm(pending: Pending) {
    let parts = pending.submission.parts.iter();
    let stored = parts.map(|part| part.observations.len() as u64).sum();
    pending.confirm(Receipt {
        seq: 1,
        stored,
        ..Receipt::default()
    });
}

/// Checks that an example of the configuration is taken, and that every key of it is described.
pub fn check_config(registration: &Registration, example_toml: &str) {
    let read = config::Config::builder()
        .add_source(config::File::from_str(
            example_toml,
            config::FileFormat::Toml,
        ))
        .build()
        .and_then(config::Config::try_deserialize::<config::Value>);
    let value = read.expect("the example is TOML");
    (registration.check)(value).expect("the example is taken");
    let schema = serde_json::Value::from((registration.schema)());
    let keys = schema
        .get("properties")
        .and_then(serde_json::Value::as_object)
        .expect("a configuration has keys");
    for (key, described) in keys {
        let text = described
            .get("description")
            .and_then(serde_json::Value::as_str);
        assert!(
            text.is_some_and(|text| !text.is_empty()),
            "`{key}` of `{}` has no doc comment",
            registration.kind
        );
    }
}
