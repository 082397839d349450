//! An outfall that reports by HJ 212: what it measures is stored in its units, a limit rings, and the pack's
//! limits are held against what comes late.

use crate::hj212::Sum;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use tests::hub::{Hub, Place, plain_config};
use tests::time::{PATIENCE, now_s_in_ms, until};

const DRIVER: &str = r#"
[packs]
sewage = true
[drivers.outfalls]
kind = "hj212"
listen = "127.0.0.1:0"
[profiles.outfall]
codec = "hj212"
codes = { i32101 = "water_level_m" }
"#;

/// The time of Beijing as frames have it, by `date`.
fn stamp(ms: i64) -> String {
    let seconds = format!("@{}", ms / 1000);
    let output = std::process::Command::new("date")
        .args(["-d", &seconds, "+%Y%m%d%H%M%S"])
        .env("TZ", "UTC-8")
        .output();
    String::from_utf8(output.unwrap().stdout)
        .unwrap()
        .trim()
        .to_owned()
}

struct Outfall(TcpStream);

impl Outfall {
    fn dial(hub: &Hub) -> Self {
        let stream = TcpStream::connect(hub.addr("outfalls.listen")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// Sends real-time data and waits for its 9014.
    fn report(&mut self, st: u8, at: i64, items: &str) {
        let (time, qn) = (stamp(at), format!("{}001", stamp(at)));
        let head = format!("QN={qn};ST={st};CN=2011;PW=123456;MN=OUTFALL01;Flag=5;");
        let frame = Sum::frame(&format!("{head}CP=&&DataTime={time};{items}&&"));
        self.0.write_all(frame.as_bytes()).unwrap();
        let expected = Sum::frame(&format!(
            "QN={qn};ST=91;CN=9014;PW=123456;MN=OUTFALL01;Flag=4;CP=&&&&"
        ));
        let mut heard = vec![0; expected.len()];
        self.0.read_exact(&mut heard).unwrap();
        assert_eq!(String::from_utf8(heard).unwrap(), expected);
    }
}

fn rang(hub: &Hub, rule: &str) -> bool {
    let alarms = hub.api().get("/api/v1/alarms?state=all");
    let items = alarms["items"].as_array().unwrap();
    items
        .iter()
        .any(|alarm| alarm["rule"] == rule && alarm["device"] == "outfall-1")
}

fn last(hub: &Hub, metric: &str) -> Value {
    hub.points("outfall-1", metric).last().unwrap()[1].clone()
}

#[test]
fn an_outfall_reports_and_rings_when_it_lets_out_too_much() {
    let place = Place::with_config(&(plain_config() + DRIVER));
    let hub = place.start();
    // Without a secret, so that any PW will do.
    let device = json!([{"id": "outfall-1", "kind": "sewage", "profile": "outfall", "cadence_s": 300,
        "tags": {"discharge": "sewer_b"}, "identities": {"hj212_mn": "OUTFALL01"}}]);
    let reply = hub.api().put("/api/v1/devices", &device);
    assert!((200..300).contains(&reply.status), "{}", reply.text());
    hub.rule(
        "cod_now",
        &json!({"kind": "threshold", "title": "污水COD超标", "select": {"kind": "sewage"},
                "metric": "cod_mgl", "above": 500.0, "severity": "minor"}),
    );
    let mut outfall = Outfall::dial(&hub);
    let now = now_s_in_ms();
    let good = "w01001-Rtd=7.2,w01001-Flag=N;w01018-Rtd=120.5,w01018-Flag=N;\
        w00000-Rtd=12.4,w00000-Flag=N;i32101-Rtd=1.35,i32101-Flag=N";
    outfall.report(32, now - 5_000, good);
    for (metric, value) in [
        ("ph", 7.2),
        ("cod_mgl", 120.5),
        ("flow_ls", 12.4),
        ("water_level_m", 1.35),
    ] {
        assert_eq!(last(&hub, metric), json!(value), "{metric}");
    }
    assert!(!rang(&hub, "cod_now"));
    // A value that its own flag doubts rings nobody; a good one does.
    outfall.report(32, now - 3_000, "w01018-Rtd=900,w01018-Flag=D");
    outfall.report(21, now - 2_000, "w01018-Rtd=499,w01018-Flag=N");
    assert!(!rang(&hub, "cod_now"));
    outfall.report(21, now - 1_000, "w01018-Rtd=620,w01018-Flag=N");
    until("its alarm", || rang(&hub, "cod_now"));

    // What a logger kept while its line was down: an hour and more above 500 mg/L.
    let day_ms = 86_400_000;
    for minutes in (0..80).step_by(5) {
        outfall.report(
            32,
            now - day_ms + minutes * 60_000,
            "w01018-Rtd=620,w01018-Flag=N",
        );
    }
    until("the alarm of the past", || rang(&hub, "sewage.sewer_b_cod"));
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    place.verify();
}
