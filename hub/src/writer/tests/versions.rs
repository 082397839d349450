//! A former version of a rule comes into force as a new one, and the audit trail says which.

use super::{at, start};
use sdk::{Action, Clock};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn a_rollback_is_a_new_version_and_is_audited_as_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let rig = start(dir.path(), Clock::starting_at(at(0)));
    rig.register().await;
    let first = rig.published.rules.find("over").unwrap().spec;
    let mut other = first.clone();
    other["above"] = json!(380.0);
    let put = Action::PutRule {
        id: "over".to_owned(),
        spec: other,
        reason: None,
    };
    assert_eq!(rig.command(put).await.unwrap()["revision"], 2);
    let back = Action::RollBackRule {
        id: "over".to_owned(),
        to: 1,
        spec: first.clone(),
        reason: None,
    };
    assert_eq!(rig.command(back).await.unwrap()["revision"], 3);
    let rule = rig.published.rules.find("over").unwrap();
    assert_eq!((rule.revision, rule.spec), (3, first));
    let head = rig.reader.audit_head().unwrap().0;
    let link = rig.reader.audit(head - 1, 1).unwrap().remove(0);
    let at_once = rig.reader.audit_at(link.at).unwrap();
    assert_eq!(at_once, std::slice::from_ref(&link));
    assert_eq!((&*link.action, &*link.subject), ("rollback_rule", "over"));
    let detail: serde_json::Value = serde_json::from_str(&link.detail).unwrap();
    assert_eq!((&detail["revision"], &detail["of"]), (&json!(3), &json!(1)));
    rig.stop().await;
}
