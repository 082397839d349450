//! Keeps one connection to the server open, to notice when the server is another than before: a server whose
//! answers are not durable forgets what it took last, and nothing else tells of it.

use crate::settings::MirrorConfig;
use dial::{Client, Question, Target};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// How often the server is asked for its health; servers and proxies end idle connections after a minute or more.
const ASK_EVERY: Duration = Duration::from_secs(5);

const DEADLINE: Duration = Duration::from_secs(5);
const BODY_BYTES_MAX: usize = 1 << 20;

/// Watches one connection.
#[derive(Debug)]
pub(crate) struct Sentinel {
    client: Client,
    question: Question,
    asked_at: Option<Instant>,
    /// The connection is there and nobody has said that it will end.
    is_watching: bool,
}

impl Sentinel {
    pub(crate) fn new(config: &MirrorConfig) -> Result<Self, String> {
        let url = format!("{}/health", config.url.trim_end_matches('/'));
        let target = Target::parse(&url)?;
        let tls = match target.is_tls {
            true => Some(dial::trust(config.ca_file.as_deref())?),
            false => None,
        };
        let limits = (DEADLINE, BODY_BYTES_MAX);
        Ok(Self {
            client: Client::new(target, tls, TaskTracker::new(), limits),
            question: Question::get(),
            asked_at: None,
            is_watching: false,
        })
    }

    /// Tells whether the connection was lost since the last look, and keeps it or a new one open.
    pub(crate) async fn look(&mut self) -> bool {
        let was_lost = self.is_watching && !self.client.is_open();
        let is_due = self.asked_at.is_none_or(|at| at.elapsed() >= ASK_EVERY);
        if !was_lost && !is_due {
            return false;
        }
        let before = self.client.opened();
        let is_answered = self.ask().await;
        // Between the look above and the question it may have been lost as well.
        let is_another = self.client.opened() != before;
        let was_watching = std::mem::replace(&mut self.is_watching, is_answered == Some(true));
        if is_answered == Some(false) {
            // The server ends the connection as it said it would; the next one is opened before it can be
            // another server.
            self.is_watching = self.ask().await == Some(true);
        }
        was_watching && (was_lost || is_another || is_answered.is_none())
    }

    /// Asks for the server's health, whatever it may be; `false` if the connection is to end after it.
    async fn ask(&mut self) -> Option<bool> {
        self.asked_at = Some(Instant::now());
        let answer = self.client.send(&self.question).await.ok()?;
        let ends = answer.fields.get("connection");
        let ends = ends.and_then(|value| value.to_str().ok());
        Some(!ends.is_some_and(|value| value.eq_ignore_ascii_case("close")))
    }
}
