//! Cases as CAP 1.2 messages, judged by the schema of OASIS.

use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use tests::fleet::overpressure;
use tests::http::Api;
use tests::hub::{Hub, Place, root, words};
use tests::time::now_ms;

/// Judges a document by the schema.
fn judge(xml: &str) -> Output {
    let schema = root().join("tests/corpus/cap/CAP-v1.2.xsd");
    let mut child = Command::new("xmllint")
        .args(["--noout", "--nonet", "--schema"])
        .arg(schema)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("xmllint is installed");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(xml.as_bytes()).expect("xmllint reads");
    drop(stdin);
    child.wait_with_output().expect("xmllint ends")
}

fn text_of<'a>(xml: &'a str, element: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{element}>")).expect("it begins");
    rest.split_once(&format!("</{element}>"))
        .expect("it ends")
        .0
}

/// Fetches the message of a case, and demands that the schema has nothing against it.
#[track_caller]
fn message(api: &Api, case: &str) -> String {
    let reply = api.send("GET", &format!("/api/v1/cases/{case}/cap"), None);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let xml = reply.text();
    let judged = judge(&xml);
    assert!(judged.status.success(), "{}\n{xml}", words(&judged));
    xml
}

fn step(api: &Api, case: &str, report: &Value) {
    api.post(&format!("/api/v1/cases/{case}/steps"), report)
        .expect(200);
}

fn violate(hub: &Hub, device: &str) {
    hub.store(
        device,
        &json!({"ts": now_ms(), "values": {"pressure_kpa": 450.0}}),
    );
}

/// What goes through a name or a note of a person: marks of XML, both planes of Chinese characters,
/// control characters, and what is no character at all.
const HARD: &str = "调压箱 <A&B> \"x\" ']]>' 𠮷𪚥 \u{1}\u{7f}\u{85}\u{fffe} 末";

#[test]
fn alert_update_and_cancel_obey_the_schema_of_cap_and_name_all_messages_before() {
    let place = Place::default();
    let hub = place.start();
    hub.register(
        &json!([{"id": "gas-1", "kind": "gas_pressure", "name": HARD, "site": HARD,
             "location": {"lon": 118.0894, "lat": 24.4798, "datum": "GCJ02"}},
            {"id": "gas-2", "kind": "gas_pressure"}]),
    );
    let mut rule = overpressure();
    rule["title"] = json!(HARD);
    rule["category"] = json!("0403");
    hub.rule("over", &rule);
    violate(&hub, "gas-1");
    violate(&hub, "gas-2");
    let api = hub.api_as("platform");

    let mut earlier: Vec<String> = Vec::new();
    let mut next = |kind: &str| {
        let xml = message(&api, "c1");
        assert_eq!(text_of(&xml, "msgType"), kind);
        if !earlier.is_empty() {
            assert_eq!(text_of(&xml, "references"), earlier.join(" "));
        }
        let parts = ["sender", "identifier", "sent"].map(|part| text_of(&xml, part));
        earlier.push(parts.join(","));
        // Asked for again it is the same message.
        assert_eq!(message(&api, "c1"), xml);
        xml
    };
    let first = next("Alert");
    let headline = text_of(&first, "headline");
    assert_eq!(headline, "调压箱 &lt;A&amp;B&gt; \"x\" ']]&gt;' 𠮷𪚥  末");
    for taken in ["accept", "dispatch", "handle", "feedback", "verify"] {
        step(&api, "c1", &json!({"step": taken, "note": HARD}));
        next("Update");
    }
    step(
        &api,
        "c1",
        &json!({"step": "close", "override": true, "note": HARD}),
    );
    let last = next("Cancel");
    assert_eq!(text_of(&last, "references").split(' ').count(), 6);

    // One without a place, and voided.
    assert_eq!(text_of(&message(&api, "c2"), "msgType"), "Alert");
    step(&api, "c2", &json!({"step": "void", "note": "误报"}));
    assert_eq!(text_of(&message(&api, "c2"), "msgType"), "Cancel");

    // The schema can tell: each of these is refused.
    for (good, bad) in [
        ("<msgType>Cancel", "<msgType>Ended"),
        ("-00:00</sent>", "Z</sent>"),
        ("<scope>Restricted</scope>", ""),
        ("<urgency>Past</urgency>", "<urgency>past</urgency>"),
        (
            "<category>Infra</category>\n<event>",
            "<event>gas</event>\n<event>",
        ),
        ("<identifier>c1", "<identifier>\u{1}c1"),
        ("cap:1.2", "cap:1.1"),
        ("</areaDesc>", "</areaDesc><radius>1</radius>"),
    ] {
        assert!(last.contains(good), "{good} in {last}");
        let judged = judge(&last.replacen(good, bad, 1));
        assert!(
            !judged.status.success(),
            "`{bad}` is no mistake to the schema"
        );
    }
}
