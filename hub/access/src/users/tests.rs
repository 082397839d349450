//! Users are added, changed and removed, and one administrator always stays.

use crate::{AccessFile, NewUser, Settings, UserChange};
use sdk::{Actor, Role};
use std::collections::BTreeMap;
use tempfile::TempDir;

fn file(folder: &TempDir) -> AccessFile {
    AccessFile::new(folder.path(), BTreeMap::new(), &Settings::default())
}

fn user(name: &str, role: Role) -> NewUser {
    NewUser {
        name: name.to_owned(),
        display_name: String::new(),
        role,
        password: "a long enough one".to_owned(),
        must_change_password: true,
        enabled: true,
    }
}

#[test]
fn the_last_administrator_can_neither_go_nor_become_less() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder);
    file.add_user(None, &user("chief", Role::Admin)).unwrap();
    file.add_user(None, &user("li", Role::Officer)).unwrap();
    let less = UserChange {
        role: Some(Role::Viewer),
        ..UserChange::default()
    };
    let off = UserChange {
        enabled: Some(false),
        ..UserChange::default()
    };
    for refused in [
        file.remove_user(None, "chief"),
        file.change_user(None, "chief", &less),
        file.change_user(None, "chief", &off),
    ] {
        let reason = refused.unwrap_err().to_string();
        assert!(reason.contains("last administrator"), "{reason}");
    }
    file.remove_user(None, "li").unwrap();
    file.add_user(None, &user("second", Role::Admin)).unwrap();
    file.change_user(None, "chief", &off).unwrap();
    assert!(file.remove_user(None, "second").is_err());
    file.remove_user(None, "chief").unwrap();
}

#[test]
fn a_change_says_who_made_it_what_was_and_what_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder);
    file.add_user(None, &user("li", Role::Officer)).unwrap();
    let by = Actor {
        name: "chief".to_owned(),
        role: Role::Admin,
    };
    let change = UserChange {
        role: Some(Role::Supervisor),
        enabled: Some(true),
        ..UserChange::default()
    };
    file.change_user(Some(&by), "li", &change).unwrap();
    // The same again changes nothing.
    file.change_user(Some(&by), "li", &change).unwrap();
    let stored = file.read().unwrap();
    assert_eq!(stored.changes.len(), 2);
    let last = stored.changes.last().unwrap();
    assert_eq!(
        (last.by.as_str(), last.by_role),
        ("chief", Some(Role::Admin))
    );
    assert_eq!(
        serde_json::to_value(&last.detail).unwrap(),
        serde_json::json!({"changed": {"role": {"before": "officer", "after": "supervisor"}}})
    );
}

#[test]
fn names_are_unique_readable_and_fit_in_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder);
    file.add_token(None, "gate", (Role::Viewer, None)).unwrap();
    file.add_user(None, &user("Li", Role::Officer)).unwrap();
    for (name, reason) in [
        ("li", "a user named `Li`"),
        ("gate", "a token named `gate`"),
        ("a b", "spaces"),
        ("a/b", "spaces"),
        ("", "needed"),
    ] {
        let error = file.add_user(None, &user(name, Role::Viewer)).unwrap_err();
        assert!(error.to_string().contains(reason), "{name}: {error}");
    }
    file.add_user(None, &user("值班员甲", Role::Officer))
        .unwrap();
    let rows = file.users().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["Li", "值班员甲"]);
    assert_eq!(rows[1].display_name, "值班员甲");
}
