//! Users of the small hub, one a role if a test wants them, and their browsers.

use super::{Answer, Hub};
use crate::State;
use access::{AccessFile, Accounts, Asks, NewUser, Settings, Trail};
use sdk::Role;
use std::collections::BTreeMap;
use std::sync::Arc;
use tempfile::TempDir;

/// The password of everybody.
pub(in crate::tests) const PASSWORD: &str = "a long enough one";

pub(super) fn accounts(dir: &TempDir) -> (Accounts, Asks) {
    let settings = Settings::default();
    let file = AccessFile::new(dir.path(), BTreeMap::new(), &settings);
    Accounts::open(file, settings).unwrap()
}

pub(super) fn trail(state: &State, asks: Asks) -> Trail {
    Trail::new(
        (state.accounts.clone(), asks),
        state.operator.clone(),
        Arc::clone(&state.tail.feed),
        state.clock.clone(),
    )
}

impl Hub {
    /// Lets somebody in who is named like their role.
    pub(in crate::tests) fn add_user(&self, role: Role) {
        let user = NewUser {
            name: format!("the-{}", role.name()),
            display_name: "值班员甲".to_owned(),
            role,
            password: PASSWORD.to_owned(),
            must_change_password: false,
            enabled: true,
        };
        self.state.accounts.file().add_user(None, &user).unwrap();
    }

    /// Signs in by the API and gives the cookie.
    pub(in crate::tests) async fn sign_in(&self, user: &str) -> String {
        let answer = self.try_sign_in(user, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let cookie = answer.header("set-cookie").split(';').next();
        cookie.unwrap().to_owned()
    }

    pub(in crate::tests) async fn try_sign_in(&self, user: &str, password: &str) -> Answer {
        let body = serde_json::json!({"user": user, "password": password}).to_string();
        self.ask("", "post", "/api/v1/session", &body).await
    }

    /// Asks as the console does.
    pub(in crate::tests) async fn ask_by(
        &self,
        cookie: &str,
        (method, path): (&str, &str),
        body: &str,
    ) -> Answer {
        let headers = [("cookie", cookie), ("x-requested-by", "console")];
        self.ask_with("", (method, path), &headers, body).await
    }
}
