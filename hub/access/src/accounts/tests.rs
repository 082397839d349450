//! Sessions live as long as they should, over a restart too, and no longer.

use crate::{AccessFile, Accounts, AttemptKey, NewUser, Outcome, Settings, UserChange};
use model::Timestamp;
use sdk::Role;
use std::collections::BTreeMap;
use tempfile::TempDir;

const PASSWORD: &str = "a long enough one";

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_772_323_200_000).plus_s(second)
}

fn accounts(folder: &TempDir) -> Accounts {
    let settings = Settings::default();
    let file = AccessFile::new(folder.path(), BTreeMap::new(), &settings);
    Accounts::open(file, settings).unwrap().0
}

fn with_user() -> (TempDir, Accounts) {
    let folder = tempfile::tempdir().unwrap();
    let accounts = accounts(&folder);
    assert!(accounts.is_empty());
    let user = NewUser {
        name: "li".to_owned(),
        display_name: "李四".to_owned(),
        role: Role::Officer,
        password: PASSWORD.to_owned(),
        must_change_password: false,
        enabled: true,
    };
    accounts.file().add_user(None, &user).unwrap();
    assert!(!accounts.is_empty());
    (folder, accounts)
}

fn sign_in(accounts: &Accounts, second: i64) -> String {
    let person = accounts.prove("li", PASSWORD).unwrap();
    accounts.sign_in(&person, "10.0.0.7", at(second)).unwrap()
}

#[test]
fn only_the_right_password_of_somebody_who_may_come_in_is_proof() {
    let (_folder, accounts) = with_user();
    assert_eq!(accounts.prove("li", "another long one"), None);
    assert_eq!(accounts.prove("wang", PASSWORD), None);
    let person = accounts.prove("li", PASSWORD).unwrap();
    assert_eq!(person.display_name, "李四");
    let off = UserChange {
        enabled: Some(false),
        ..UserChange::default()
    };
    accounts.file().change_user(None, "li", &off).unwrap();
    accounts.refresh();
    assert_eq!(accounts.prove("li", PASSWORD), None);
}

#[test]
fn a_session_outlives_a_restart_but_not_its_age_and_is_stored_as_a_hash() {
    let (folder, before) = with_user();
    let cookie = sign_in(&before, 0);
    assert_eq!(cookie.len(), 64);
    let text = std::fs::read_to_string(folder.path().join("sessions.json")).unwrap();
    assert!(!text.contains(&cookie));
    let after = accounts(&folder);
    let session = after.signed_in(&cookie, at(86_399)).unwrap();
    assert_eq!(session.person.actor.name, "li");
    assert_eq!(session.ends_at, at(86_400));
    assert_eq!(after.signed_in(&cookie, at(86_400)), None);
    assert_eq!(after.signed_in("0123", at(1)), None);
    after.sign_out(session.id, at(2)).unwrap();
    assert_eq!(after.signed_in(&cookie, at(2)), None);
    assert_eq!(accounts(&folder).signed_in(&cookie, at(2)), None);
}

#[test]
fn half_an_hour_without_a_sign_of_life_locks_a_session_until_it_is_unlocked() {
    let (folder, accounts_) = with_user();
    let cookie = sign_in(&accounts_, 0);
    let session = |second| accounts_.signed_in(&cookie, at(second)).unwrap();
    let id = session(0).id;
    accounts_.is_alive(id, at(600));
    assert!(!session(2_399).is_locked);
    assert!(session(2_400).is_locked);
    let found = accounts_.sweep(at(2_400));
    assert_eq!((found[0].action, found[0].why), ("lock_session", "idle"));
    // It is told once, and a late sign of life does not open it.
    assert!(accounts_.sweep(at(2_401)).is_empty());
    accounts_.is_alive(id, at(2_402));
    assert!(session(2_402).is_locked);
    assert!(
        accounts(&folder)
            .signed_in(&cookie, at(2_402))
            .unwrap()
            .is_locked
    );
    accounts_.set_locked(id, false, at(2_403)).unwrap();
    assert!(!session(2_403).is_locked);
    accounts_.set_locked(id, true, at(2_404)).unwrap();
    assert!(session(2_404).is_locked);
}

#[test]
fn another_password_or_role_is_felt_by_the_sessions_of_that_user() {
    let (_folder, accounts) = with_user();
    let (one, two) = (sign_in(&accounts, 0), sign_in(&accounts, 1));
    let mut moved = accounts.moved();
    moved.mark_unchanged();
    let change = UserChange {
        role: Some(Role::Viewer),
        ..UserChange::default()
    };
    accounts.file().change_user(None, "li", &change).unwrap();
    let session = accounts.signed_in(&one, at(2)).unwrap();
    assert_eq!(session.person.actor.role, Role::Viewer);
    assert!(moved.has_changed().unwrap());
    let file = accounts.file();
    file.set_password(None, "li", "another long one", false)
        .unwrap();
    accounts.keep_with_new_password(session.id, at(3)).unwrap();
    assert!(accounts.signed_in(&one, at(4)).is_some());
    assert_eq!(accounts.signed_in(&two, at(4)), None);
    let found = accounts.sweep(at(5));
    assert_eq!((found.len(), found[0].why), (1, "user"));
    // Somebody new with the same name is somebody else.
    let user = NewUser {
        name: "chief".to_owned(),
        display_name: String::new(),
        role: Role::Admin,
        password: PASSWORD.to_owned(),
        must_change_password: false,
        enabled: true,
    };
    file.add_user(None, &user).unwrap();
    file.remove_user(None, "li").unwrap();
    assert_eq!(accounts.signed_in(&one, at(6)), None);
    let again = NewUser {
        name: "li".to_owned(),
        ..user
    };
    file.add_user(None, &again).unwrap();
    assert_eq!(accounts.signed_in(&one, at(7)), None);
}

#[test]
fn a_user_is_unlocked_by_a_change_of_the_file() {
    let (_folder, accounts) = with_user();
    let keys = || vec![AttemptKey::Name("li".to_owned())];
    for second in 0..5 {
        let attempt = accounts.attempt(keys(), at(second)).unwrap();
        attempt.end(Outcome::Wrong, at(second));
    }
    assert!(accounts.attempt(keys(), at(5)).is_err());
    assert_eq!(
        accounts.row("li", at(5)).unwrap().locked_until,
        Some(at(904))
    );
    accounts.file().unlock_user(None, "li").unwrap();
    assert_eq!(accounts.row("li", at(5)).unwrap().locked_until, None);
    assert!(accounts.attempt(keys(), at(5)).is_ok());
}

#[test]
fn the_seventeenth_session_of_a_user_ends_the_quietest() {
    let (_folder, accounts) = with_user();
    let cookies: Vec<String> = (0..17).map(|second| sign_in(&accounts, second)).collect();
    assert_eq!(accounts.signed_in(&cookies[0], at(20)), None);
    assert!(accounts.signed_in(&cookies[1], at(20)).is_some());
    assert!(accounts.signed_in(&cookies[16], at(20)).is_some());
}

#[tokio::test(start_paused = true)]
async fn one_password_is_hashed_at_a_time_and_few_wait() {
    let (_folder, accounts) = with_user();
    let first = accounts.turn().await;
    assert!(first.is_some());
    let before = tokio::time::Instant::now();
    assert!(accounts.turn().await.is_none());
    assert_eq!(before.elapsed().as_secs(), 10);
    drop(first);
    assert!(accounts.turn().await.is_some());
}
