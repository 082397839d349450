//! The loop of a connection, with a protocol of letters: each line is a frame.

use super::{Conversation, Step, Talk, converse};
use crate::testkit::Kit;
use crate::testkit::conformance::Subject;
use crate::{Line, Order, Part, Submission};
use bytes::{Buf, Bytes, BytesMut};
use model::{DeviceKey, MetricKey, Observation, Timestamp, Value};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

const LIMITS: Conversation = Conversation {
    idle_timeout: Duration::from_secs(300),
    frame_timeout: Duration::from_secs(30),
    received_bytes_max: 64,
    noise_bytes_max: 100,
};

/// `r<anything>\n` is a reading, answered with the line; `p\n` is a ping; all else is noise.
struct Letters {
    line: Option<Line>,
    asked: Option<Order>,
}

impl Talk for Letters {
    fn next(&mut self, received: &mut BytesMut, _now: Timestamp) -> Option<Step> {
        let end = received.iter().position(|byte| *byte == b'\n')?;
        let line = received.split_to(end + 1).freeze();
        match line.first() {
            Some(b'r') => Some(Step::Commit {
                submission: submission(),
                reply: Some(Box::new(move |_| line)),
            }),
            Some(b'p') => Some(Step::Say(Bytes::from_static(b"pong\n"))),
            Some(b'b') => {
                if let Some(line) = &mut self.line {
                    line.bind(DeviceKey(1));
                }
                Some(Step::Nothing)
            }
            Some(b'a') => {
                let order = self.asked.take().unwrap();
                order.answer(Ok(serde_json::json!({"said": "a"})));
                Some(Step::Nothing)
            }
            _ => Some(Step::Skipped {
                bytes: line.remaining(),
                reason: "frame_unknown".into(),
                detail: String::new(),
            }),
        }
    }

    fn order(&mut self, order: Order, _now: Timestamp) -> Option<Bytes> {
        let said = format!("do {}\n", order.name);
        self.asked = Some(order);
        Some(said.into())
    }
}

fn submission() -> Submission {
    let observation = Observation {
        metric: MetricKey(0),
        value: Value::number(1.0).unwrap(),
        observed_at: None,
        quality: model::Quality::GOOD,
    };
    Submission {
        parts: vec![Part {
            device: DeviceKey(1),
            received: 1,
            observations: vec![observation],
            rejected: Vec::new(),
        }],
        quarantined: Vec::new(),
    }
}

fn serve(io: DuplexStream, cx: crate::Context) -> impl Future<Output = ()> + Send {
    let (line, orders) = cx.downlink.line();
    let talk = Letters {
        line: Some(line),
        asked: None,
    };
    converse(io, "peer".to_owned(), (talk, orders), LIMITS, cx)
}

fn begin(kit: &Kit) -> (DuplexStream, tokio::task::JoinHandle<()>) {
    let (peer, ours) = duplex(4096);
    #[expect(clippy::disallowed_methods, reason = "a test waits for its own task")]
    let served = tokio::spawn(serve(ours, kit.cx.clone()));
    (peer, served)
}

async fn line(peer: &mut DuplexStream) -> String {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.push(peer.read_u8().await.unwrap());
    }
    String::from_utf8(line).unwrap()
}

#[tokio::test(start_paused = true)]
async fn it_passes_the_checks_that_every_driver_passes() {
    let subject = Subject {
        devices: vec![r#"{"id":"a","kind":"smoke"}"#],
        serve: |io, cx| Box::pin(serve(io, cx)),
        greeting: Some((b"p\n".to_vec(), b"pong\n".to_vec())),
        good: |number| format!("r{number}\n").into_bytes(),
        ack: |number| format!("r{number}\n").into_bytes(),
        bad: b"x\n".to_vec(),
        bad_answer: Vec::new(),
    };
    subject.check().await;
}

#[tokio::test(start_paused = true)]
async fn answers_keep_the_order_of_the_frames() {
    let mut kit = Kit::new(&[r#"{"id":"a","kind":"smoke"}"#]);
    let (mut peer, _served) = begin(&kit);
    peer.write_all(b"r1\np\nr2\n").await.unwrap();
    let (first, second) = (kit.next().await.unwrap(), kit.next().await.unwrap());
    second.confirm(crate::Receipt::default());
    first.confirm(crate::Receipt::default());
    let said = [
        line(&mut peer).await,
        line(&mut peer).await,
        line(&mut peer).await,
    ];
    assert_eq!(said, ["r1\n", "pong\n", "r2\n"]);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_never_ends_is_given_up_and_the_next_one_is_taken() {
    let mut kit = Kit::new(&[r#"{"id":"a","kind":"smoke"}"#]);
    let (mut peer, _served) = begin(&kit);
    peer.write_all(b"xr1").await.unwrap();
    // The half frame's time runs out, its first byte goes, and what follows is a frame.
    tokio::time::sleep(LIMITS.frame_timeout + Duration::from_secs(1)).await;
    peer.write_all(b"\n").await.unwrap();
    kit.store_next().await.unwrap();
    assert_eq!(line(&mut peer).await, "r1\n");
    let drained = kit.refusals.drain();
    let reasons: Vec<_> = drained
        .samples
        .iter()
        .map(|(_, refusal, _)| refusal.reason.as_ref())
        .collect();
    assert_eq!(reasons, ["frame_timeout"]);
}

/// Sends a byte every so often until it is hung up on, and gives how long that took.
async fn trickle(peer: &mut DuplexStream, every: Duration) -> Duration {
    let begun = tokio::time::Instant::now();
    while peer.write_all(b"x").await.is_ok() {
        tokio::time::sleep(every).await;
    }
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_dribbles_and_never_ends_a_frame_is_hung_up_on_when_its_time_is_up() {
    let kit = Kit::new(&[r#"{"id":"a","kind":"smoke"}"#]);
    let (mut peer, _served) = begin(&kit);
    let held = trickle(&mut peer, Duration::from_secs(1)).await;
    assert!(held <= LIMITS.frame_timeout + Duration::from_secs(1));
    let drained = kit.refusals.drain();
    let samples = drained.samples.iter();
    let reasons: Vec<_> = samples
        .map(|(_, refusal, _)| refusal.reason.as_ref())
        .collect();
    assert_eq!(reasons, ["frame_timeout", "peer_too_slow"]);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_begins_frame_after_frame_and_ends_none_is_hung_up_on() {
    let kit = Kit::new(&[r#"{"id":"a","kind":"smoke"}"#]);
    let (mut peer, _served) = begin(&kit);
    let held = trickle(&mut peer, Duration::from_secs(40)).await;
    assert!(held < Duration::from_secs(17 * 40), "{held:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_whose_frames_are_late_but_good_may_stay() {
    let mut kit = Kit::new(&[r#"{"id":"a","kind":"smoke"}"#]);
    let (mut peer, served) = begin(&kit);
    for _ in 0..20 {
        peer.write_all(b"xr1").await.unwrap();
        tokio::time::sleep(Duration::from_secs(40)).await;
        peer.write_all(b"\n").await.unwrap();
        kit.store_next().await.unwrap();
        assert_eq!(line(&mut peer).await, "r1\n");
    }
    assert!(!served.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_nothing_or_only_noise_is_hung_up_on() {
    let kit = Kit::new(&[r#"{"id":"a","kind":"smoke"}"#]);
    let (mut silent, served) = begin(&kit);
    served.await.unwrap();
    assert_eq!(silent.read(&mut [0; 8]).await.unwrap(), 0);

    let (mut noisy, served) = begin(&kit);
    noisy
        .write_all(&[b"y\n".as_slice(); 60].concat())
        .await
        .unwrap();
    served.await.unwrap();
    let drained = kit.refusals.drain();
    // The budget is 100 bytes: the 51st line of two bytes breaks it.
    let counted: u64 = drained.messages.values().sum();
    assert_eq!(counted, 51);
}

#[tokio::test(start_paused = true)]
async fn more_than_a_frame_may_have_is_given_up_byte_by_byte() {
    let kit = Kit::new(&[r#"{"id":"a","kind":"smoke"}"#]);
    let (mut peer, _served) = begin(&kit);
    peer.write_all(&[b'z'; 70]).await.unwrap();
    peer.write_all(b"\np\n").await.unwrap();
    assert_eq!(line(&mut peer).await, "pong\n");
}

#[tokio::test(start_paused = true)]
async fn an_order_is_sent_down_the_line_and_its_answer_comes_back() {
    let kit = Kit::new(&[r#"{"id":"a","kind":"smoke"}"#]);
    let (mut peer, _served) = begin(&kit);
    peer.write_all(b"b\np\n").await.unwrap();
    assert_eq!(line(&mut peer).await, "pong\n");
    let args = serde_json::json!({});
    let asked = kit.cx.downlink.order(DeviceKey(1), "read".to_owned(), args);
    let device = async {
        assert_eq!(line(&mut peer).await, "do read\n");
        peer.write_all(b"a\n").await.unwrap();
    };
    let (answer, ()) = tokio::join!(asked, device);
    assert_eq!(answer, Ok(serde_json::json!({"said": "a"})));
}
