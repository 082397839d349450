//! Reads the rules, the code tables, the sinks and the certificates of the configuration again while the
//! hub runs, when somebody asks or by SIGHUP.

use crate::certificates::Keeper;
use crate::codes::{self, CodesInForce};
use crate::config::Loaded;
use crate::standing::Difference;
use crate::{rulebook, standing};
use anyhow::{Context as _, Result};
use model::Catalogue;
use sdk::{Action, Actor, Command, Operator};
use serde_json::{Value, json};
use std::sync::Arc;
use store::Reader;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use web::{ReadAgain, Reload, ReloadError, Reloaded, RuleList};

/// What reads the configuration's rules and sinks and brings them into force.
#[derive(Debug)]
pub(crate) struct Reloader {
    pub(crate) loaded: Loaded,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) operator: Operator,
    pub(crate) reader: Reader,
    pub(crate) in_force: RuleList,
    pub(crate) codes: CodesInForce,
    pub(crate) keeper: Keeper,
}

/// Begins to listen for SIGHUP, which would end the process otherwise.
pub(crate) fn hangups() -> Result<Signal> {
    signal(SignalKind::hangup()).context("listen for SIGHUP")
}

impl Reloader {
    /// Reloads whenever asked, one at a time, until told to stop.
    pub(crate) async fn serve(
        self,
        mut asked: mpsc::Receiver<Reload>,
        mut hangups: Signal,
        stop: CancellationToken,
    ) {
        loop {
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                request = asked.recv() => request,
                _ = hangups.recv() => None,
            };
            let actor = match &next {
                Some(request) => request.actor.clone(),
                None => standing::actor(),
            };
            // Whatever is wrong with a rule, a certificate that was renewed is to be shown.
            let both = async {
                let certificates = self.keeper.look(actor.clone(), true).await;
                let reloaded = self.reload(actor.clone()).await;
                reloaded.map(|reloaded| Reloaded {
                    certificates,
                    ..reloaded
                })
            };
            let reloaded = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                reloaded = both => reloaded,
            };
            tell(&reloaded);
            self.note(actor, &reloaded).await;
            if let Some(request) = next {
                request.answer(reloaded);
            }
        }
    }

    /// Says in the audit trail that somebody reloaded, also when nothing came of it; the changes of
    /// the rules are there by themselves.
    async fn note(&self, actor: Actor, reloaded: &Result<Reloaded, ReloadError>) {
        let detail = match reloaded {
            Ok(done) => json!(done),
            Err(error) => json!({ "error": error.to_string() }),
        };
        self.audit(actor, ("reload_rules", "rules"), detail).await;
    }

    async fn audit(&self, actor: Actor, (action, subject): (&str, &str), detail: Value) {
        let action = Action::Note {
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail,
            marks: Vec::new(),
        };
        if let Err(error) = self.operator.commit(Command { actor, action }).await {
            tracing::error!(%error, "the reload is not in the audit trail");
        }
    }

    /// Reads everything before anything is changed: a mistake leaves all as it was.
    async fn reload(&self, actor: Actor) -> Result<Reloaded, ReloadError> {
        let (loaded, catalogue) = (self.loaded.clone(), Arc::clone(&self.catalogue));
        let read = move || {
            let now = loaded
                .again()
                .map_err(|error| ReloadError::Config(error.to_string()))?;
            let codes =
                codes::read(&now).map_err(|error| ReloadError::Config(error.to_string()))?;
            let book = rulebook::of(&now, &catalogue).map_err(|error| match error.downcast() {
                Ok(error) => ReloadError::Rule(error),
                Err(error) => ReloadError::Config(format!("{error:#}")),
            })?;
            let unknown = book.unknown_categories(&codes).into_iter().next();
            if let Some(error) = unknown {
                return Err(ReloadError::Rule(error));
            }
            let sinks = standing::subscriptions(&now.config.sinks)
                .map_err(|error| ReloadError::Config(error.to_string()))?;
            Ok((book, codes, sinks))
        };
        let read = tokio::task::spawn_blocking(read).await;
        let read = read.map_err(|panic| ReloadError::Internal(panic.to_string()))?;
        let (book, codes, sinks) = read?;
        let operator = &self.operator;
        // What is wrong with the rules is known before the sinks, which are one command, are put.
        let rules = Difference::find(&self.reader, (book, &self.in_force)).await?;
        let sinks = standing::put_subscriptions(operator, actor.clone(), sinks).await?;
        // The tables come first, so that no case of a new rule misses its class.
        let version = codes.version().to_owned();
        let before = self.codes.put(Arc::new(codes));
        let carried_out = rules.carry_out(operator, actor.clone()).await;
        if carried_out.is_err() {
            self.codes.put(before);
        } else if before.version() != version {
            let detail = json!({ "before": before.version(), "after": version });
            self.audit(actor, ("reload_codes", "codes"), detail).await;
            tracing::info!(version, "code tables reloaded");
        }
        carried_out.map(|rules| Reloaded {
            rules,
            sinks,
            certificates: ReadAgain::default(),
        })
    }
}

fn tell(reloaded: &Result<Reloaded, ReloadError>) {
    match reloaded {
        Ok(done) => tracing::info!(
            put = done.rules.put,
            removed = done.rules.removed,
            unchanged = done.rules.unchanged,
            sinks_put = done.sinks.put,
            sinks_removed = done.sinks.removed,
            "rules and sinks reloaded"
        ),
        Err(error) => tracing::error!(%error, "nothing reloaded; what is in force stays"),
    }
}
