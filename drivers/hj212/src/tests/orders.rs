//! Requests to a device, and its 9011, its data and its 9012.

use super::framed;
use super::talks::{DEVICE, NOW, hear, kit, shared};
use crate::Hj212Talk;
use model::DeviceKey;
use sdk::{Downlink, Order, OrderError, Talk};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// What is said in the first request at [`NOW`].
const QN: &str = "20260301080500000";

struct Bench {
    talk: Hj212Talk,
    downlink: Downlink,
    orders: mpsc::Receiver<Order>,
}

/// A device that has spoken once.
fn bench(edition: &str, flag: u8) -> Bench {
    let kit = kit(&[DEVICE]);
    let downlink = kit.cx.downlink.clone();
    let (line, orders) = downlink.line();
    let mut talk = Hj212Talk::new(shared(&kit.cx, edition), line);
    let hello = format!("QN=1;ST=39;CN=2011;PW=s-d1;MN=M1;Flag={flag};CP=&&LA-Rtd=63.2&&");
    drop(hear(&mut talk, &hello));
    Bench {
        talk,
        downlink,
        orders,
    }
}

/// Has an order given and answered by frames; gives what was asked and how it ended.
async fn carry_out(
    mut bench: Bench,
    (name, args): (&str, Value),
    answers: &[String],
) -> (String, Result<Value, OrderError>) {
    let asked = bench.downlink.order(DeviceKey(1), name.to_owned(), args);
    let device = async {
        let order = bench.orders.recv().await.unwrap();
        let said = bench.talk.order(order, NOW).unwrap_or_default();
        for answer in answers {
            drop(hear(&mut bench.talk, answer));
        }
        let said = String::from_utf8(said.to_vec()).unwrap();
        // The connection stays while the answer is waited for.
        (said, bench.talk)
    };
    let (answer, (said, _talk)) = tokio::join!(asked, device);
    (said, answer)
}

fn result(cn: &str, text: &str) -> String {
    format!("QN={QN};ST=91;CN={cn};PW=s-d1;MN=M1;Flag=4;CP=&&{text}&&")
}

fn request(cn: &str, content: &str) -> String {
    framed(&format!(
        "QN={QN};ST=39;CN={cn};PW=s-d1;MN=M1;Flag=5;CP=&&{content}&&"
    ))
}

fn reply(qn: &str, cn: &str, content: &str) -> String {
    format!("QN={qn};ST=39;CN={cn};PW=s-d1;MN=M1;Flag=4;CP=&&{content}&&")
}

#[tokio::test(start_paused = true)]
async fn an_interval_is_read_back() {
    let answers = [
        result("9011", "QnRtn=1"),
        reply(QN, "1061", "RtdInterval=30"),
        result("9012", "ExeRtn=1"),
    ];
    let (said, answer) = carry_out(bench("", 5), ("read_interval", json!({})), &answers).await;
    assert_eq!(said, request("1061", ""));
    assert_eq!(answer, Ok(json!({"seconds": 30})));
}

#[tokio::test(start_paused = true)]
async fn an_interval_is_set_and_the_device_says_when_it_is_done() {
    let answers = [result("9011", "QnRtn=1"), result("9012", "ExeRtn=1")];
    let order = ("set_minute_interval", json!({"minutes": 10}));
    let (said, answer) = carry_out(bench("", 9), order, &answers).await;
    let asked = format!("QN={QN};ST=39;CN=1064;PW=s-d1;MN=M1;Flag=9;CP=&&MinInterval=10&&");
    assert_eq!(said, framed(&asked));
    assert_eq!(answer, Ok(json!({})));
}

#[tokio::test(start_paused = true)]
async fn the_clock_is_read_and_set() {
    let answers = [reply("", "1011", "SystemTime=20260301080459")];
    let (_, answer) = carry_out(bench("", 5), ("read_time", json!({})), &answers).await;
    assert_eq!(
        answer,
        Ok(json!({"system_time": "2026-03-01T00:04:59.000Z"}))
    );
    let answers = [result("9012", "ExeRtn=1")];
    let order = ("set_time", json!({"pol_id": "w01018"}));
    let (said, answer) = carry_out(bench("", 5), order, &answers).await;
    assert_eq!(
        said,
        request("1012", "PolId=w01018;SystemTime=20260301080500")
    );
    assert_eq!(answer, Ok(json!({})));
}

#[tokio::test(start_paused = true)]
async fn history_comes_as_data_and_is_counted() {
    let order = json!({"from": "2026-03-01T00:00:00+08:00", "to": "2026-03-01T01:00:00+08:00"});
    let answers = [
        result("9011", "QnRtn=1"),
        reply(QN, "2051", "DataTime=20260301000000;LA-Avg=60.0"),
        reply(
            "20260301080501000",
            "2051",
            "DataTime=20260301001000;LA-Avg=61.0",
        ),
        result("9012", "ExeRtn=1"),
    ];
    let (said, answer) = carry_out(bench("", 5), ("fetch_minutes", order.clone()), &answers).await;
    assert_eq!(
        said,
        request("2051", "BeginTime=20260301000000,EndTime=20260301010000")
    );
    assert_eq!(answer, Ok(json!({"frames": 2})));
    let none = [result("9011", "QnRtn=1"), result("9012", "ExeRtn=100")];
    let (_, answer) = carry_out(bench("", 5), ("fetch_hours", order), &none).await;
    assert_eq!(answer, Ok(json!({"frames": 0})));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_in_words() {
    for (answers, words) in [
        ([result("9011", "QnRtn=3")], "wrong password (PW) (QnRtn 3)"),
        (
            [result("9012", "ExeRtn=5")],
            "the equipment is busy (ExeRtn 5)",
        ),
        ([result("9011", "QnRtn=77")], "QnRtn 77"),
    ] {
        let (_, answer) = carry_out(bench("", 5), ("set_time", json!({})), &answers).await;
        assert_eq!(answer, Err(OrderError::Refused(words.to_owned())));
    }
}

#[tokio::test(start_paused = true)]
async fn the_edition_of_2005_answers_with_the_number_in_the_data_area() {
    let answers = [
        format!("ST=91;CN=9011;PW=s-d1;MN=M1;Flag=0;CP=&&QN={QN};QnRtn=1&&"),
        format!("ST=91;CN=9012;PW=s-d1;MN=M1;CP=&&QN={QN};ExeRtn=1&&"),
    ];
    let order = ("set_interval", json!({"seconds": 60}));
    let (said, answer) = carry_out(bench("edition = \"2005\"", 1), order, &answers).await;
    let asked = format!("QN={QN};ST=39;CN=1062;PW=s-d1;MN=M1;Flag=1;CP=&&RtdInterval=60&&");
    assert_eq!((said, answer), (framed(&asked), Ok(json!({}))));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_request_ends_nothing() {
    let answers = [result("9012", "ExeRtn=1").replace(QN, "20260301080500001")];
    let (_, answer) = carry_out(bench("", 5), ("set_time", json!({})), &answers).await;
    assert_eq!(answer, Err(OrderError::NoAnswer));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_is_refused_before_anything_is_sent() {
    for (name, args) in [
        ("set_interval", json!({"seconds": 29})),
        ("set_interval", json!({})),
        ("set_minute_interval", json!({"minutes": 7})),
        (
            "fetch_days",
            json!({"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"}),
        ),
        ("fetch_days", json!({"from": "yesterday"})),
        ("read_time", json!({"pol_id": "a;b"})),
    ] {
        let (said, answer) = carry_out(bench("", 5), (name, args), &[]).await;
        assert!(
            matches!(answer, Err(OrderError::Invalid(_))),
            "{name}: {answer:?}"
        );
        assert_eq!(said, "");
    }
    let (_, answer) = carry_out(bench("", 5), ("reboot", json!({})), &[]).await;
    assert!(
        matches!(answer, Err(OrderError::Unsupported(_))),
        "{answer:?}"
    );
}
