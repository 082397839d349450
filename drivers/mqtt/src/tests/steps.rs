//! Steps of cases: acknowledged by what the writer says, in the order of the messages.

use super::{Bench, Client, GOOD, PATIENCE, refusal};
use sdk::{Action, CommandError, Done, PendingCommand, Request};
use serde_json::{Value, json};

const TOPIC: &str = "cases/c7/steps";

impl Bench {
    /// Waits for the next command that the gate sends to the writer.
    async fn command(&mut self) -> PendingCommand {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.kit.requests.recv()).await;
            if let Request::Command(pending) =
                next.expect("a command comes").expect("the gate is open")
            {
                return pending;
            }
        }
    }
}

fn done() -> Result<Done, CommandError> {
    Ok(Done {
        seq: 1,
        body: json!({"state": "accepted", "version": 2}),
    })
}

fn refused() -> Result<Done, CommandError> {
    Err(CommandError::Refused {
        reason: "impossible; possible now: accept".to_owned(),
        facts: json!({"state": "reported", "possible": ["accept"]}),
    })
}

async fn puback(client: &mut Client, id: u16) -> Vec<u8> {
    let packet = client.packet().await;
    assert_eq!(
        (packet[0], u16::from_be_bytes([packet[2], packet[3]])),
        (0x40, id)
    );
    packet[4..].to_vec()
}

#[tokio::test]
async fn a_step_is_acknowledged_when_the_writer_has_it_and_not_before() {
    let mut bench = Bench::new();
    let mut client = bench.person(5, "platform").await;
    client
        .publish(1, 1, TOPIC, br#"{"step":"accept","id":"m-1"}"#)
        .await;
    client.publish(1, 2, TOPIC, br#"{"step":"dispatch"}"#).await;
    let first = bench.command().await;
    let Action::CaseStep { id, report, key } = &first.command.action else {
        panic!("a step")
    };
    assert_eq!(
        (id.as_str(), report.id.as_deref(), key),
        ("c7", Some("m-1"), &None)
    );
    assert_eq!(first.command.actor.name, "platform");
    // The second waits its turn behind the first.
    assert!(bench.kit.requests.try_recv().is_err());
    first.answer(done());
    assert_eq!(puback(&mut client, 1).await, [0u8; 0]);
    bench.command().await.answer(refused());
    let answer = puback(&mut client, 2).await;
    // Reason 0x83 and 35 bytes of properties: a reason string of 32 bytes.
    assert_eq!(answer[..5], [0x83, 35, 0x1f, 0, 32]);
    assert_eq!(&answer[5..], b"impossible; possible now: accept");
}

#[tokio::test]
async fn version_3_is_acknowledged_and_told_the_outcome_on_a_topic() {
    let mut bench = Bench::new().with_bus();
    let mut client = bench.person(4, "platform").await;
    client.subscribe(9, &[("cases/+/steps/result", 1)]).await;
    assert_eq!(client.packet().await, [0x90, 3, 0, 9, 0]);
    client
        .publish(1, 1, TOPIC, br#"{"step":"close","id":"m-1"}"#)
        .await;
    bench.command().await.answer(refused());
    let mut packets = [client.packet().await, client.packet().await];
    packets.sort_by_key(|packet| packet[0]);
    let [told, acked] = packets;
    assert_eq!(acked, [0x40, 2, 0, 1]);
    let topic = "cases/c7/steps/result";
    let start = told.iter().position(|byte| *byte == b'{').unwrap();
    assert!(told[..start].ends_with(topic.as_bytes()));
    let outcome: Value = serde_json::from_slice(&told[start..]).unwrap();
    assert_eq!(
        outcome,
        json!({"case": "c7", "id": "m-1", "step": "close", "done": false, "state": "reported",
            "possible": ["accept"], "reason": "impossible; possible now: accept"})
    );
}

#[tokio::test]
async fn what_cannot_be_read_never_reaches_the_writer() {
    let mut bench = Bench::new();
    for (version, expected) in [(5, 0x99), (4, 0)] {
        let mut client = bench.person(version, "platform").await;
        client.publish(1, 1, TOPIC, b"close").await;
        let answer = puback(&mut client, 1).await;
        assert_eq!(answer.first().copied().unwrap_or(0), expected);
    }
    assert!(bench.kit.requests.try_recv().is_err());
    assert_eq!(bench.refused(), []);
}

#[tokio::test]
async fn those_who_may_not_report_steps_are_turned_away() {
    let mut bench = Bench::new();
    let mut officer = bench.person(5, "officer").await;
    officer.publish(1, 1, TOPIC, br#"{"step":"accept"}"#).await;
    assert_eq!(puback(&mut officer, 1).await[0], 0x87);
    let mut device = bench.device(5, "a").await;
    device.publish(1, 1, TOPIC, br#"{"step":"accept"}"#).await;
    assert_eq!(puback(&mut device, 1).await[0], 0x87);
    device.publish(1, 2, "devices/a/telemetry", GOOD).await;
    bench.store().await;
    assert_eq!(puback(&mut device, 2).await, [0u8; 0]);
    assert_eq!(
        bench.refused(),
        [
            refusal("forbidden_topic", None, true),
            refusal("forbidden_topic", Some("a"), true),
        ]
    );
}

#[tokio::test]
async fn a_step_that_the_writer_is_too_busy_for_is_not_acknowledged() {
    let mut bench = Bench::new();
    let mut client = bench.person(5, "platform").await;
    client.publish(1, 1, TOPIC, br#"{"step":"accept"}"#).await;
    bench.command().await.answer(Err(CommandError::Busy));
    // DISCONNECT, server busy.
    assert_eq!(client.packet().await[..3], [0xe0, 2, 0x89]);
}
