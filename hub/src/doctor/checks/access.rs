//! Who can sign in, and tokens that strangers may know.

use crate::config::check::is_weak;
use crate::doctor::finding::Findings;
use crate::doctor::listeners;
use crate::doctor::scene::Scene;
use access::AccessFile;
use sdk::Role;

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
            findings.say("nobody", None, &[("flag", &flag)]);
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
    // Where strangers can try them the configuration itself refuses them.
    let tokens = loaded.config.auth.tokens.iter();
    for (name, _) in tokens.filter(|(_, token)| is_weak(token.token.reveal())) {
        let key = format!("auth.tokens.{name}.token");
        findings.say("weak", scene.place_of(&key), &[("name", name)]);
    }
    if loaded.config.city.demo && is_reached {
        findings.say("demo", scene.place_of("city.demo"), &[]);
    }
}
