//! Who can sign in, and tokens that strangers may know.

use crate::config::Loaded;
use crate::doctor::finding::Findings;
use crate::doctor::listeners;
use crate::doctor::scene::Scene;
use access::AccessFile;
use sdk::Role;

/// 128 bits as letters and digits are 22 characters; who writes words needs more.
const TOKEN_CHARACTERS_MIN: usize = 22;
/// Beginnings and parts of tokens that stand in documentation, examples and the demo city.
const PUBLISHED: [&str; 9] = [
    "demo",
    "test",
    "change",
    "example",
    "secret",
    "password",
    "token",
    "0123456789",
    "at least",
];

pub(super) fn people(scene: &Scene<'_>, findings: &mut Findings) {
    let Some(loaded) = scene.loaded else { return };
    let config = &loaded.config;
    let flag = scene.config_flag();
    let file = AccessFile::new(
        &config.data_dir,
        config.auth.hashes(),
        &config.session.settings(),
    );
    let (users, tokens) = match (file.users(), file.tokens()) {
        (Ok(users), Ok(tokens)) => (users, tokens),
        (Err(error), _) | (_, Err(error)) => {
            findings.say("unreadable", None, &[("reason", &error)]);
            return;
        }
    };
    let is_admin = |role: Role| role == Role::Admin;
    let users_on = users.iter().filter(|user| user.enabled);
    let has_admin = users_on.clone().any(|user| is_admin(user.role));
    match () {
        () if users.is_empty() && tokens.is_empty() => {
            findings.say("nobody", None, &[("flag", &flag)])
        }
        () if !has_admin => findings.say("no-admin", None, &[("flag", &flag)]),
        () => findings.say("ok", None, &[("count", &users_on.count())]),
    }
}

pub(super) fn tokens(scene: &Scene<'_>, findings: &mut Findings) {
    let Some(loaded) = scene.loaded else { return };
    let is_reached = listeners::wanted(loaded)
        .iter()
        .any(|wanted| wanted.key == "http.listen" && !wanted.address.ip().is_loopback());
    for name in weak(loaded) {
        let outcome = if is_reached { "weak" } else { "weak-here" };
        let key = format!("auth.tokens.{name}.token");
        findings.say(outcome, scene.place_of(&key), &[("name", &name)]);
    }
    if loaded.config.city.demo && is_reached {
        findings.say("demo", scene.place_of("city.demo"), &[]);
    }
}

fn weak(loaded: &Loaded) -> Vec<&str> {
    let tokens = loaded.config.auth.tokens.iter();
    let weak = tokens.filter(|(_, token)| is_weak(token.token.reveal()));
    weak.map(|(name, _)| name.as_str()).collect()
}

fn is_weak(token: &str) -> bool {
    let low = token.to_lowercase();
    token.chars().count() < TOKEN_CHARACTERS_MIN || PUBLISHED.iter().any(|part| low.contains(part))
}
