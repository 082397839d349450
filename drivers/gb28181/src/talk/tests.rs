//! Registrations and heartbeats as devices send them; answers are those of RFC 3261 and GB/T 28181.

use super::Conversation;
use crate::fuzzed::{heartbeat, with_metrics};
use crate::manscdp::tests::vectors;
use crate::registrar::Shared;
use crate::{Config, shared};
use bytes::BytesMut;
use md5::{Digest as _, Md5};
use model::{DeviceKey, Timestamp};
use sdk::testkit::Kit;
use sdk::{Receipt, Step, Submission, Talk};
use std::sync::Arc;

const CAMERA: &str =
    r#"{"id":"cam","kind":"camera","identities":{"gb28181":"34020000001320000001"}}"#;
const RECORDER: &str =
    r#"{"id":"nvr","kind":"camera","identities":{"gb28181":"34020000001110000001"}}"#;
const CHANNEL: &str = r#"{"id":"ch2","kind":"camera","parent":"nvr",
    "identities":{"gb28181":"34020000001320000002"}}"#;

/// 2026-03-01T00:00:00Z
const NOW: Timestamp = Timestamp::from_millis(1_772_323_200_000);

struct Hub {
    kit: Kit,
    shared: Arc<Shared>,
    now: Timestamp,
}

/// What became of a request: the values committed by (device, metric), what was refused, what was said.
#[derive(Debug, Default)]
struct Outcome {
    values: Vec<(u32, &'static str, f64)>,
    refused: Vec<(String, String)>,
    rejected: Vec<String>,
    said: String,
}

impl Outcome {
    fn status(&self) -> &str {
        self.said.get(8..11).unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.said.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Hub {
    fn new(more: &str) -> Self {
        let mut kit = Kit::new(&[CAMERA, RECORDER, CHANNEL]);
        with_metrics(&mut kit);
        let config = format!(r#"{{"kind":"gb28181","listen":"127.0.0.1:0"{more}}}"#);
        let config: Config = serde_json::from_str(&config).unwrap();
        let shared = shared(&config, &kit.cx, &[7; 32]).unwrap();
        Self {
            kit,
            shared,
            now: NOW,
        }
    }

    fn secured() -> Self {
        Self::new(r#","password":"12345678","server_id":"34020000002000000001""#)
    }

    /// Takes a datagram from an address; commits succeed.
    async fn from(&mut self, peer: &str, text: &str) -> Outcome {
        let mut talk = Conversation::new(Arc::clone(&self.shared), peer.parse().unwrap(), false);
        let mut bytes = BytesMut::from(text.as_bytes());
        let mut outcome = Outcome::default();
        while let Some(step) = talk.next(&mut bytes, self.now) {
            match step {
                Step::Commit { submission, reply } => {
                    outcome.note(&self.kit, &submission);
                    let proof = self.commit(submission).await;
                    let said = reply.map(|reply| reply(&proof)).unwrap_or_default();
                    outcome.said += std::str::from_utf8(&said).unwrap();
                }
                Step::Say(said) => outcome.said += std::str::from_utf8(&said).unwrap(),
                Step::Refused {
                    reason,
                    claimed,
                    say,
                } => {
                    outcome.refused.push((reason.into_owned(), claimed));
                    outcome.said += std::str::from_utf8(&say.unwrap_or_default()).unwrap();
                }
                Step::Skipped { reason, .. } => outcome.rejected.push(reason.into_owned()),
                Step::Nothing | Step::Close { .. } => {}
            }
        }
        outcome
    }

    async fn take(&mut self, text: &str) -> Outcome {
        self.from("192.168.1.20:5060", text).await
    }

    async fn commit(&mut self, submission: Submission) -> sdk::Committed {
        let ingest = self.kit.cx.ingest.clone();
        let (proof, ()) = tokio::join!(ingest.commit(submission), async {
            self.kit.next().await.unwrap().confirm(Receipt::default());
        });
        proof.unwrap()
    }

    fn overdue(&self) -> Vec<(u32, &'static str, f64)> {
        let (_, submission) = self.shared.overdue(self.now, 10);
        let mut outcome = Outcome::default();
        outcome.note(&self.kit, &submission);
        outcome.values
    }
}

impl Outcome {
    fn note(&mut self, kit: &Kit, submission: &Submission) {
        for part in &submission.parts {
            for seen in &part.observations {
                let name = kit.cx.catalogue.def(seen.metric).unwrap().name.clone();
                let known = ["online", "fault", "alarm_priority", "alarm_method"];
                let name = known.into_iter().find(|known| *known == name).unwrap();
                let DeviceKey(device) = part.device;
                self.values
                    .push((device, name, seen.value.as_number().unwrap()));
            }
            let reasons = part
                .rejected
                .iter()
                .map(|rejected| rejected.reason.to_string());
            self.rejected.extend(reasons);
        }
    }
}

fn register(number: u32, more: &str) -> String {
    format!(
        "REGISTER sip:34020000002000000001@3402000000 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.168.1.20:5060;rport;branch=z9hG4bKr{number}\r\n\
         From: <sip:34020000001320000001@3402000000>;tag=2043466181\r\n\
         To: <sip:34020000001320000001@3402000000>\r\nCall-ID: 1011047669\r\n\
         CSeq: {number} REGISTER\r\nContact: <sip:34020000001320000001@192.168.1.20:5060>\r\n\
         {more}Content-Length: 0\r\n\r\n"
    )
}

fn md5(text: &str) -> String {
    Md5::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// RFC 2069: MD5(MD5(user:realm:password):nonce:MD5(method:uri)).
fn authorization(nonce: &str, password: &str) -> String {
    let who = md5(&format!("34020000001320000001:3402000000:{password}"));
    let what = md5("REGISTER:sip:34020000002000000001@3402000000");
    let response = md5(&format!("{who}:{nonce}:{what}"));
    format!(
        "Authorization: Digest username=\"34020000001320000001\", realm=\"3402000000\", \
         nonce=\"{nonce}\", uri=\"sip:34020000002000000001@3402000000\", response=\"{response}\", \
         algorithm=MD5\r\n"
    )
}

fn nonce(outcome: &Outcome) -> String {
    let challenge = outcome.header("WWW-Authenticate").unwrap();
    challenge.split('"').nth(3).unwrap().to_owned()
}

fn message(number: usize, sender: &str, body: &str) -> String {
    let text = String::from_utf8(heartbeat(number)).unwrap();
    let head = text.split("\r\n\r\n").next().unwrap();
    format!("{head}\r\n\r\n{body}")
        .replace("<sip:34020000001320000001@", &format!("<sip:{sender}@"))
}

#[tokio::test]
async fn every_vector_is_answered_as_it_says() {
    let vectors = vectors("sip-udp");
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        let (name, expect) = (vector["name"].as_str().unwrap(), &vector["expect"]);
        let text = vector["input_text"].as_str().unwrap();
        let mut hub = Hub::new("");
        let outcome = hub.take(text).await;
        if vector["kind"] == "error" {
            assert_eq!(outcome.status(), "403", "{name}");
            assert_eq!((outcome.values.len(), hub.shared.bound()), (0, 0), "{name}");
            let claimed = (
                "unknown_device".to_owned(),
                "34020000001320009999".to_owned(),
            );
            assert_eq!(outcome.refused, [claimed]);
            continue;
        }
        assert_eq!(
            outcome.status(),
            expect["reply_status"].to_string(),
            "{name}"
        );
        assert!(outcome.values.contains(&(1, "online", 1.0)), "{name}");
        if name == "sip_register_digest" {
            assert_eq!(outcome.header("Expires"), Some("3600"));
            assert_eq!(outcome.header("Date"), Some("2026-03-01T08:00:00.000"));
        } else {
            assert_eq!(outcome.header("Call-ID"), expect["call_id"].as_str());
            assert_eq!(outcome.header("CSeq"), Some("20 MESSAGE"));
            let via = "SIP/2.0/UDP 192.168.1.20:5060;branch=z9hG4bK-msg-1;rport=5060\
                       ;received=192.168.1.20";
            assert_eq!(outcome.header("Via"), Some(via));
            let tagged = "<sip:34020000002000000001@3402000000>;tag=";
            assert!(outcome.header("To").unwrap().starts_with(tagged));
        }
    }
}

#[tokio::test]
async fn a_device_registers_with_the_password_and_only_with_it() {
    let mut hub = Hub::secured();
    let asked = hub.take(&register(1, "Expires: 3600\r\n")).await;
    assert_eq!(asked.status(), "401");
    assert_eq!(hub.shared.bound(), 0);
    let nonce = nonce(&asked);
    let wrong = authorization(&nonce, "87654321");
    let refused = hub.take(&register(2, &wrong)).await;
    assert_eq!(
        (refused.status(), refused.refused[0].0.as_str()),
        ("403", "wrong_secret")
    );
    let right = authorization(&nonce, "12345678") + "Expires: 3600\r\n";
    let taken = hub.take(&register(3, &right)).await;
    assert_eq!(
        (taken.status(), taken.values.as_slice()),
        ("200", &[(1, "online", 1.0)][..])
    );
    assert_eq!(taken.header("Expires"), Some("3600"));
    // The old challenge, five minutes and a second later.
    hub.now = NOW.plus_s(301);
    let stale = hub.take(&register(4, &right)).await;
    assert_eq!(stale.status(), "401");
    assert!(
        stale
            .header("WWW-Authenticate")
            .unwrap()
            .ends_with("stale=true")
    );
    let foreign = authorization("44010b73623249f6916a6acf7c316b8e", "12345678");
    assert_eq!(hub.take(&register(5, &foreign)).await.status(), "401");
}

#[tokio::test]
async fn a_heartbeat_without_a_registration_or_from_elsewhere_is_forbidden_where_a_password_protects()
 {
    let mut hub = Hub::secured();
    let beat = |number| String::from_utf8(heartbeat(number)).unwrap();
    let early = hub.take(&beat(1)).await;
    assert_eq!(
        (early.status(), early.refused[0].0.as_str()),
        ("403", "not_registered")
    );
    let nonce = nonce(&hub.take(&register(1, "")).await);
    hub.take(&register(2, &authorization(&nonce, "12345678")))
        .await;
    assert_eq!(hub.take(&beat(2)).await.status(), "200");
    // Another port is another mapping of the same network; another address may be anybody.
    assert_eq!(
        hub.from("192.168.1.20:9999", &beat(3)).await.status(),
        "200"
    );
    assert_eq!(
        hub.from("192.168.1.21:5060", &beat(4)).await.status(),
        "403"
    );
}

#[tokio::test]
async fn what_comes_again_is_answered_the_same_and_done_once() {
    let mut hub = Hub::new("");
    let beat = String::from_utf8(heartbeat(1)).unwrap();
    let first = hub.take(&beat).await;
    hub.now = NOW.plus_s(2);
    let again = hub.take(&beat).await;
    assert_eq!((again.said, again.values.len()), (first.said, 0));
    let registered = hub.take(&register(1, "")).await;
    hub.now = NOW.plus_s(4);
    let again = hub.take(&register(1, "")).await;
    assert_eq!((again.said, again.values.len()), (registered.said, 0));
}

#[tokio::test]
async fn while_a_commit_is_under_way_the_same_request_waits_and_after_a_failure_it_is_done_again() {
    let hub = Hub::new("");
    let peer = "192.168.1.20:5060".parse().unwrap();
    let mut talk = Conversation::new(Arc::clone(&hub.shared), peer, false);
    let mut take = || talk.next(&mut BytesMut::from(heartbeat(1).as_slice()), NOW);
    let under_way = take().unwrap();
    assert!(matches!(under_way, Step::Commit { .. }));
    assert!(matches!(take(), Some(Step::Nothing)));
    drop(under_way);
    assert!(matches!(take(), Some(Step::Commit { .. })));
    assert_eq!(hub.shared.bound(), 0);
}

#[tokio::test]
async fn a_device_is_down_after_the_heartbeats_it_may_miss_or_when_its_registration_ends() {
    let mut hub = Hub::new("");
    hub.take(&String::from_utf8(heartbeat(1)).unwrap()).await;
    hub.now = NOW.plus_s(180);
    assert_eq!(hub.overdue(), []);
    hub.now = NOW.plus_s(181);
    assert_eq!(hub.overdue(), [(1, "online", 0.0)]);
    hub.shared.forget(&[DeviceKey(1)], hub.now);
    assert_eq!(hub.overdue(), []);
    // A registration for a minute is over before three heartbeats are.
    hub.take(&register(1, "Expires: 60\r\n")).await;
    hub.now = hub.now.plus_s(61);
    assert_eq!(hub.overdue(), [(1, "online", 0.0)]);
    // Signing off is at once.
    let off = hub.take(&register(2, "Expires: 0\r\n")).await;
    assert_eq!(
        (off.status(), off.values.as_slice()),
        ("200", &[(1, "online", 0.0)][..])
    );
    assert_eq!(hub.shared.bound(), 0);
}

fn keepalive(faulty: &str) -> String {
    format!(
        "<Query><CmdType>Keepalive</CmdType><DeviceID>34020000001110000001</DeviceID>\
         <Status>ON</Status>{faulty}</Query>"
    )
}

#[tokio::test]
async fn channels_follow_their_recorder_and_its_list_of_faults() {
    let mut hub = Hub::new("");
    let recorder = "34020000001110000001";
    let well = [(2, "online", 1.0), (2, "fault", 0.0), (3, "online", 1.0)];
    assert_eq!(
        hub.take(&message(1, recorder, &keepalive(""))).await.values,
        well
    );
    let info = "<Info><DeviceID>34020000001320000002</DeviceID><DeviceID>9</DeviceID></Info>";
    let ill = hub.take(&message(2, recorder, &keepalive(info))).await;
    assert_eq!(ill.values[2], (3, "online", 0.0));
    assert_eq!(ill.refused, [("unknown_device".to_owned(), "9".to_owned())]);
    // It is told once, and then the channel is as silent as it is.
    let still = hub.take(&message(3, recorder, &keepalive(info))).await;
    assert_eq!(still.values.len(), 2);
    assert_eq!(
        hub.take(&message(4, recorder, &keepalive(""))).await.values,
        well
    );
    hub.now = NOW.plus_s(181);
    assert_eq!(hub.overdue(), [(2, "online", 0.0), (3, "online", 0.0)]);
}

#[tokio::test]
async fn a_catalogue_switches_channels_and_an_alarm_tells_its_level() {
    let mut hub = Hub::new("");
    let recorder = "34020000001110000001";
    let catalogue = |status: &str| {
        format!(
            "<Response><CmdType>Catalog</CmdType><DeviceID>{recorder}</DeviceID><DeviceList><Item>\
             <DeviceID>34020000001320000002</DeviceID><Status>{status}</Status></Item></DeviceList>\
             </Response>"
        )
    };
    let off = hub.take(&message(1, recorder, &catalogue("OFF"))).await;
    assert_eq!(off.values, [(2, "online", 1.0), (3, "online", 0.0)]);
    let beat = hub.take(&message(2, recorder, &keepalive(""))).await;
    assert_eq!(beat.values, [(2, "online", 1.0), (2, "fault", 0.0)]);
    let on = hub.take(&message(3, recorder, &catalogue("ON"))).await;
    assert_eq!(on.values, [(2, "online", 1.0), (3, "online", 1.0)]);
    let alarm = "<Notify><CmdType>Alarm</CmdType><DeviceID>34020000001320000002</DeviceID>\
        <AlarmPriority>1</AlarmPriority><AlarmMethod>5</AlarmMethod>\
        <AlarmTime>2026-03-01T07:59:00</AlarmTime></Notify>";
    let told = hub.take(&message(4, recorder, alarm)).await;
    assert_eq!(told.status(), "200");
    assert!(told.values.contains(&(3, "alarm_priority", 1.0)));
    assert!(told.values.contains(&(3, "alarm_method", 5.0)));
}

#[tokio::test]
async fn what_cannot_be_read_is_kept_and_what_is_not_served_is_said_so() {
    let mut hub = Hub::new("");
    let camera = "34020000001320000001";
    for (body, status, reason) in [
        (
            "<!DOCTYPE a [<!ENTITY b \"c\">]><Notify/>",
            "400",
            "dtd_forbidden",
        ),
        ("<Notify>", "400", "bad_xml"),
        (
            "<Notify><CmdType>Keepalive</CmdType></Notify>",
            "400",
            "missing_element",
        ),
        (
            "<Notify><CmdType>MobilePosition</CmdType><DeviceID>1</DeviceID></Notify>",
            "200",
            "unknown_command",
        ),
    ] {
        let text = message(body.len(), camera, body);
        let outcome = hub.take(&text).await;
        assert_eq!(
            (outcome.status(), outcome.rejected.as_slice()),
            (status, &[reason.to_owned()][..])
        );
    }
    let plain = message(1, camera, "hello").replace("Application/MANSCDP+xml", "text/plain");
    assert_eq!(hub.take(&plain).await.status(), "415");
    let options = register(1, "").replace("REGISTER", "OPTIONS");
    assert_eq!(
        hub.take(&options).await.header("Allow"),
        Some("REGISTER, MESSAGE, OPTIONS")
    );
    let invite = register(2, "").replace("REGISTER", "INVITE");
    assert_eq!(hub.take(&invite).await.status(), "405");
    let torn = register(3, "").replace("CSeq: 3 REGISTER", "CSeq: 3 MESSAGE");
    assert_eq!(hub.take(&torn).await.status(), "400");
    let answer = register(4, "").replace(
        "REGISTER sip:34020000002000000001@3402000000 SIP/2.0",
        "SIP/2.0 200 OK",
    );
    assert_eq!(hub.take(&answer).await.said, "");
    assert_eq!(hub.take("\r\n\r\n").await.said, "");
    assert_eq!(hub.take("hello\r\n\r\n").await.rejected, ["start_line"]);
}
