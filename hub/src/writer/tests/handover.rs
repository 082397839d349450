//! One shift after another: what is said, signed and frozen, and what is overdue.

use super::{Rig, at, start};
use model::Timestamp;
use sdk::{Action, Actor, Clock, Command, CommandError, HandoverPart, Role};
use serde_json::{Value, json};
use store::EventFilter;

const MINUTE: i64 = 60_000;
/// The day shift of 08:00 to 20:00 in Shanghai begins at the epoch of these tests.
const END: i64 = 720 * MINUTE;

impl Rig {
    async fn sign(
        &self,
        name: &str,
        part: HandoverPart,
        version: u64,
    ) -> Result<Value, CommandError> {
        let actor = Actor {
            name: name.to_owned(),
            role: Role::Officer,
        };
        let snapshot = json!({"as_of_seq": 0, "sections": {"set_aside": {"count": 0}}});
        let action = Action::SignHandover {
            part,
            version,
            snapshot,
        };
        let done = self.operator.commit(Command { actor, action }).await;
        done.map(|done| done.body)
    }

    async fn explain(&self, version: u64) -> Result<Value, CommandError> {
        let change = json!({"explained": {"set_aside": true}, "outgoing": "无异常"});
        self.command(Action::PutHandover { version, change }).await
    }

    fn overdue(&self) -> Vec<String> {
        let filter = EventFilter {
            kinds: vec!["cityhub.shift.overdue".to_owned()],
            ..EventFilter::default()
        };
        let events = self.reader.events(0, 100, &filter).unwrap();
        events.into_iter().map(|event| event.json).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn two_persons_sign_and_the_handover_is_frozen_with_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    let draft = rig.published.handovers.draft();
    assert_eq!(
        (draft.id, draft.shift.as_str(), draft.ends_at),
        (1, "day", at(END))
    );
    let note = Action::ShiftLog {
        kind: "patrol".to_owned(),
        text: "巡检正常".to_owned(),
    };
    rig.command(note).await.unwrap();
    assert_eq!(rig.explain(0).await.unwrap()["version"], 1);
    let stale = rig.explain(0).await.unwrap_err();
    assert!(matches!(stale, CommandError::Refused { .. }), "{stale}");
    let early = rig.sign("wang", HandoverPart::Incoming, 1).await;
    assert!(matches!(early, Err(CommandError::Conflict(_))));

    rig.until(END - 5 * MINUTE).await;
    let signed = rig.sign("li", HandoverPart::Outgoing, 1).await.unwrap();
    assert_eq!(
        (&signed["state"], &signed["version"]),
        (&json!("draft"), &json!(2))
    );
    let alone = rig.sign("li", HandoverPart::Incoming, 2).await;
    assert!(matches!(alone, Err(CommandError::Conflict(_))));
    // What changes after a signature must be signed again; only the incoming word may come.
    rig.command(Action::PutHandover {
        version: 2,
        change: json!({"incoming": "已知悉"}),
    })
    .await
    .unwrap();
    let frozen = rig.sign("wang", HandoverPart::Incoming, 3).await.unwrap();
    assert_eq!(frozen["state"], "frozen");

    let stored = rig.reader.handover(1).unwrap().unwrap();
    assert_eq!(frozen["hash"], web::handover_hash(&stored.json));
    assert_eq!(stored.hash.as_deref(), frozen["hash"].as_str());
    let document: Value = serde_json::from_str(&stored.json).unwrap();
    assert_eq!(
        document["opinions"],
        json!({"outgoing": "无异常", "incoming": "已知悉"})
    );
    assert_eq!(document["sections"]["set_aside"]["count"], 0);
    assert_eq!(document["signatures"][1]["name"], "wang");
    let log = rig.reader.shift_log(Timestamp::MIN, 0, 10).unwrap();
    assert_eq!(
        (log[0].kind.as_str(), log[0].text.as_str()),
        ("patrol", "巡检正常")
    );
    let next = rig.published.handovers.draft();
    assert_eq!((next.id, next.shift.as_str()), (2, "night"));
    assert_eq!(next.responsible.as_deref(), Some("wang"));
    rig.stop().await;

    let rig = start(folder.path(), Clock::starting_at(at(END)));
    assert_eq!(rig.published.handovers.draft(), next);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_after_a_signature_takes_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.sign("li", HandoverPart::Outgoing, 0).await.unwrap();
    let changed = rig.explain(1).await.unwrap();
    assert_eq!(changed["signatures"], json!([]));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_unsigned_handover_is_overdue_once_half_an_hour_after_the_shift() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(folder.path(), Clock::starting_at(at(0)));
    rig.explain(0).await.unwrap();
    rig.until(END + 29 * MINUTE).await;
    assert_eq!(rig.overdue().len(), 0);
    rig.until(END + 32 * MINUTE).await;
    let told = rig.overdue();
    assert_eq!(told.len(), 1);
    let event: Value = serde_json::from_str(&told[0]).unwrap();
    assert_eq!(event["time"], json!(at(END + 30 * MINUTE)));
    assert_eq!(
        (&event["data"]["shift"], &event["subject"]),
        (&json!("day"), &json!("handover-1"))
    );
    rig.until(END + 600 * MINUTE).await;
    assert_eq!(rig.overdue().len(), 1);
    assert!(rig.published.handovers.draft().is_overdue);
    rig.stop().await;
}
