//! Commands: observed, told, acknowledged, answered.

use super::Rig;
use crate::wire::{ACK, CON, GET, NON, POST, RST, Wire};
use model::DeviceKey;
use sdk::{Order, OrderError};
use serde_json::{Value, json};

const COMMANDS: &str = "devices/gas-1/commands?k=s-gas-1";

const DEVICE: DeviceKey = DeviceKey(1);

fn observe(mid: u16) -> Wire {
    Wire::to(CON, GET, mid, COMMANDS).with(6, &[]).token(b"tok")
}

type Asked = tokio::task::JoinHandle<Result<Value, OrderError>>;

impl Rig {
    /// Orders something of the device, and gives what it is told.
    async fn order(&mut self, name: &'static str) -> (Asked, Vec<Wire>) {
        let downlink = self.kit.cx.downlink.clone();
        let args = json!({"seconds": 60});
        #[expect(clippy::disallowed_methods, reason = "a test waits for its own task")]
        let asked =
            tokio::spawn(async move { downlink.order(DEVICE, name.to_owned(), args).await });
        let (observer, orders) = self.lines.last_mut().unwrap();
        let (observer, order): (u64, Order) = (*observer, orders.recv().await.unwrap());
        self.sent.clear();
        self.endpoint.order(observer, order, self.now);
        self.carry_out();
        let sent = std::mem::take(&mut self.sent);
        (
            asked,
            sent.iter().map(|(_, bytes)| Wire::read(bytes)).collect(),
        )
    }
}

fn body(wire: &Wire) -> Value {
    serde_json::from_slice(&wire.payload).unwrap()
}

fn ack(mid: u16) -> Wire {
    Wire::new(ACK, 0, mid).token(&[])
}

#[tokio::test(start_paused = true)]
async fn an_order_is_told_and_the_devices_answer_is_its_answer() {
    let mut rig = Rig::new();
    let registered = rig.ask(&observe(1));
    assert_eq!(
        (registered.code_text().as_str(), registered.option(12)),
        ("2.05", Some(50))
    );
    assert_eq!(body(&registered), json!({}));
    let (asked, sent) = rig.order("set_interval").await;
    let [notice] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    assert_eq!((notice.kind, notice.code_text().as_str()), (CON, "2.05"));
    assert_eq!(notice.token, b"tok");
    assert!(
        notice.option(6) > registered.option(6),
        "newer than what was before"
    );
    let told = body(notice);
    assert_eq!(
        (&told["command"], &told["args"]),
        (&json!("set_interval"), &json!({"seconds": 60}))
    );
    rig.tell(&ack(notice.mid));
    let number = told["id"].as_str().unwrap();
    let path = format!("devices/gas-1/commands/{number}?k=s-gas-1");
    let answered = rig.ask(&Wire::to(CON, POST, 2, &path).payload(br#"{"interval_s":60}"#));
    assert_eq!(answered.code_text(), "2.04");
    assert_eq!(asked.await.unwrap(), Ok(json!({"interval_s": 60})));
    let again = rig.ask(&Wire::to(CON, POST, 3, &path));
    assert_eq!(again.code_text(), "4.04", "it was answered");
    assert_eq!(body(&rig.ask(&Wire::to(CON, GET, 4, COMMANDS))), json!({}));
}

#[tokio::test(start_paused = true)]
async fn a_device_may_refuse_and_another_may_not_answer_for_it() {
    let mut rig = Rig::new();
    rig.ask(&observe(1));
    let (asked, sent) = rig.order("explode").await;
    let number = body(&sent[0])["id"].as_str().unwrap().to_owned();
    let other = format!("devices/gas-2/commands/{number}?k=s-gas-2");
    assert_eq!(rig.ask(&Wire::to(CON, POST, 2, &other)).code_text(), "4.04");
    let path = format!("devices/gas-1/commands/{number}?k=no");
    assert_eq!(rig.ask(&Wire::to(CON, POST, 3, &path)).code_text(), "4.01");
    let path = format!("devices/gas-1/commands/{number}?k=s-gas-1");
    let broken = Wire::to(CON, POST, 4, &path).payload(b"{");
    assert_eq!(rig.ask(&broken).code_text(), "4.00");
    let refused = Wire::to(CON, POST, 5, &path).payload(br#"{"error":"not here"}"#);
    assert_eq!(rig.ask(&refused).code_text(), "2.04");
    assert_eq!(
        asked.await.unwrap(),
        Err(OrderError::Refused("not here".to_owned()))
    );
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_alone_says_after_a_while_that_it_was_delivered() {
    let mut rig = Rig::new();
    rig.ask(&observe(1));
    let (asked, sent) = rig.order("reboot").await;
    rig.tell(&ack(sent[0].mid));
    rig.pass(9.9);
    assert!(!asked.is_finished());
    rig.pass(0.2);
    assert_eq!(asked.await.unwrap(), Ok(json!({"delivered": true})));
}

#[tokio::test(start_paused = true)]
async fn one_command_is_told_after_the_other_was_acknowledged() {
    let mut rig = Rig::new();
    rig.ask(&observe(1));
    let (_first, told) = rig.order("one").await;
    let (_second, sent) = rig.order("two").await;
    assert!(sent.is_empty(), "the first is not acknowledged");
    let next = rig.ask(&ack(told[0].mid));
    assert_eq!(body(&next)["command"], "two");
    // Whoever asks again sees what was told last.
    let seen = rig.ask(&Wire::to(CON, GET, 9, COMMANDS));
    assert_eq!(body(&seen)["command"], "two");
    assert_eq!(seen.option(6), None);
}

#[tokio::test(start_paused = true)]
async fn a_reset_ends_the_observation_and_so_does_silence() {
    for reset in [true, false] {
        let mut rig = Rig::new();
        rig.ask(&observe(1));
        assert!(rig.kit.cx.downlink.is_connected(DEVICE));
        let (asked, sent) = rig.order("one").await;
        if reset {
            rig.tell(&Wire::new(RST, 0, sent[0].mid).token(&[]));
        } else {
            // Three repetitions: a fourth would come after the hub has given the order up.
            let again = rig.pass(100.0);
            assert_eq!(again.len(), 3);
            assert!(again.iter().all(|wire| wire.bytes() == sent[0].bytes()));
        }
        assert_eq!(asked.await.unwrap(), Err(OrderError::NotConnected));
        assert!(!rig.kit.cx.downlink.is_connected(DEVICE));
    }
}

#[tokio::test(start_paused = true)]
async fn an_observation_ends_when_the_device_says_so() {
    let mut rig = Rig::new();
    rig.ask(&observe(1));
    let other_token = Wire::to(CON, GET, 2, COMMANDS).with(6, &[1]).token(b"no");
    assert_eq!(rig.ask(&other_token).code_text(), "2.05");
    assert!(rig.kit.cx.downlink.is_connected(DEVICE));
    let end = Wire::to(CON, GET, 3, COMMANDS).with(6, &[1]).token(b"tok");
    let ended = rig.ask(&end);
    assert_eq!(
        (ended.code_text().as_str(), ended.option(6)),
        ("2.05", None)
    );
    assert!(!rig.kit.cx.downlink.is_connected(DEVICE));
}

#[tokio::test(start_paused = true)]
async fn a_device_is_reached_at_its_newest_endpoint_only() {
    let mut rig = Rig::new();
    rig.ask(&observe(1));
    rig.ask(&observe(2));
    assert_eq!(rig.lines.len(), 1, "the same again is no new observation");
    let newer = rig.hear_bytes(2, &observe(3).bytes());
    assert_eq!(Wire::read(&newer[0]).code_text(), "2.05");
    assert_eq!(rig.lines.len(), 2);
    let (_asked, sent) = rig.order("one").await;
    assert_eq!(sent.len(), 1);
    assert!(rig.kit.cx.downlink.is_connected(DEVICE));
}

#[test]
fn strangers_do_not_observe_and_no_more_than_there_is_room_for() {
    let mut rig = Rig::new();
    let stranger = Wire::to(CON, GET, 1, "devices/gas-1/commands?k=no").with(6, &[]);
    assert_eq!(rig.ask(&stranger).code_text(), "4.01");
    let not_json = observe(2).with(17, &[60]);
    assert_eq!(rig.ask(&not_json).code_text(), "4.06");
    for (mid, device) in (3..).zip(["gas-1", "gas-2", "gw"]) {
        let path = format!("devices/{device}/commands?k=s-{device}");
        let wire = Wire::to(NON, GET, mid, &path)
            .with(6, &[])
            .token(device.as_bytes());
        let answer = rig.ask(&wire);
        assert_eq!((answer.kind, answer.code_text().as_str()), (NON, "2.05"));
        // The third is answered once, without Observe (RFC 7641 section 4.1).
        assert_eq!(answer.option(6).is_some(), device != "gw");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_observer_is_asked_once_a_day_whether_it_is_there() {
    let mut rig = Rig::new();
    rig.ask(&observe(1));
    assert!(rig.pass(86_000.0).is_empty());
    let sent = rig.pass(401.0);
    let [check] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    assert_eq!((check.kind, body(check)), (CON, json!({})));
    rig.tell(&ack(check.mid));
    assert_eq!(rig.pass(86_400.0).len(), 1);
    rig.pass(100.0);
    assert!(
        !rig.kit.cx.downlink.is_connected(DEVICE),
        "nobody acknowledged the second"
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_command_is_told_in_blocks() {
    let mut rig = Rig::new();
    rig.ask(&observe(1));
    let name: &'static str = Box::leak("x".repeat(1_500).into_boxed_str());
    let (_asked, sent) = rig.order(name).await;
    assert_eq!(
        (sent[0].payload.len(), sent[0].option(23)),
        (1_024, Some(8 | 6))
    );
    let rest = rig.ask(&Wire::to(CON, GET, 2, COMMANDS).with(23, &[1 << 4 | 6]));
    assert_eq!(rest.option(23), Some(1 << 4 | 6));
    assert_eq!(rest.option(4), sent[0].option(4), "of the same body");
    let whole = [sent[0].payload.as_slice(), &rest.payload].concat();
    let told: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(told["command"], name);
}
