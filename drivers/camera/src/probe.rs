//! One probe of one camera, and what is told of it.

use crate::roster::Member;
use crate::rtsp::{self, Answer, Target};
use model::{Catalogue, MetricKey, Observation, Quality, Rejected, Value};
use sdk::{Context, Part, RawFrame, Submission};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// The metrics that this driver writes.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) online: MetricKey,
    pub(crate) fault: MetricKey,
}

impl Metrics {
    pub(crate) fn of(catalogue: &Catalogue) -> Result<Self, String> {
        let find = |name: &str| {
            let found = catalogue.find(name);
            found.ok_or_else(|| format!("the catalogue has no metric `{name}`"))
        };
        Ok(Self {
            online: find("online")?,
            fault: find("fault")?,
        })
    }
}

/// Somebody answered, or at least accepted the connection.
pub(crate) type Alive = Option<Answer>;

/// Nobody answered as a camera does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dead {
    reason: &'static str,
    detail: String,
    /// What came instead.
    received: Vec<u8>,
}

impl Dead {
    fn of(error: &std::io::Error) -> Self {
        let reason = match error.kind() {
            ErrorKind::ConnectionRefused => "connection_refused",
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => "link_closed",
            ErrorKind::TimedOut => "timeout",
            _ => "unreachable",
        };
        Self {
            reason,
            detail: error.to_string(),
            received: Vec::new(),
        }
    }

    fn timeout(timeout: Duration) -> Self {
        Self {
            reason: "timeout",
            detail: format!("no answer within {} ms", timeout.as_millis()),
            received: Vec::new(),
        }
    }
}

/// Asks on an open connection, and reads no more than the answer needs.
pub(crate) async fn ask<S>(stream: &mut S, target: &Target) -> Result<Alive, Dead>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(question) = target.question() else {
        return Ok(None);
    };
    let asked = stream.write_all(question.as_bytes()).await;
    asked.map_err(|error| Dead::of(&error))?;
    let (mut received, mut piece) = (Vec::new(), [0; 1_024]);
    loop {
        let len = stream.read(&mut piece).await;
        let len = len.map_err(|error| Dead::of(&error))?;
        if len == 0 {
            return Err(Dead::of(&ErrorKind::UnexpectedEof.into()));
        }
        received.extend_from_slice(piece.get(..len).unwrap_or_default());
        match rtsp::read(&received) {
            None => {}
            Some(Ok(answer)) => return Ok(Some(answer)),
            Some(Err(error)) => {
                return Err(Dead {
                    reason: error.reason(),
                    detail: error.to_string(),
                    received,
                });
            }
        }
    }
}

/// Asks cameras and tells of them.
#[derive(Clone, Debug)]
pub(crate) struct Prober {
    pub(crate) cx: Context,
    pub(crate) metrics: Metrics,
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
}

impl Prober {
    /// Connects and asks.
    pub(crate) async fn dial(&self, target: &Target) -> Result<Alive, Dead> {
        let mut stream = TcpStream::connect((target.host.as_str(), target.port))
            .await
            .map_err(|error| Dead::of(&error))?;
        let answer = ask(&mut stream, target).await;
        // A camera serves few; the place is given back at once.
        drop(stream.shutdown().await);
        answer
    }

    /// Asks within the time that a camera has; none when the hub stops meanwhile.
    pub(crate) async fn attempt(
        &self,
        asking: impl Future<Output = Result<Alive, Dead>>,
    ) -> Option<Result<Alive, Dead>> {
        let outcome = tokio::select! {
            biased;
            () = self.cx.stop.cancelled() => return None,
            outcome = tokio::time::timeout(self.timeout, asking) => outcome,
        };
        Some(outcome.unwrap_or_else(|_| Err(Dead::timeout(self.timeout))))
    }

    /// Tells whether an attempt counts, which so many came before.
    pub(crate) fn is_final(&self, outcome: &Result<Alive, Dead>, tries: u32) -> bool {
        outcome.is_ok() || tries >= self.retries
    }

    /// Tries as often as may be.
    pub(crate) async fn probe(&self, target: &Target) -> Option<Result<Alive, Dead>> {
        let mut tries = 0;
        loop {
            let outcome = self.attempt(self.dial(target)).await?;
            if self.is_final(&outcome, tries) {
                return Some(outcome);
            }
            tries += 1;
        }
    }

    /// Commits what was found. Gives whether the camera is there, if that is on disk. That nobody
    /// answers is told once; then the camera is as silent as it is.
    pub(crate) async fn tell(
        &self,
        member: &Member,
        outcome: Result<Alive, Dead>,
        told: Option<bool>,
    ) -> Option<bool> {
        let is_alive = outcome.is_ok();
        let submission = self.submission(member, outcome, told);
        match self.cx.ingest.commit(submission).await {
            Ok(_proof) => Some(is_alive),
            Err(error) => {
                tracing::debug!(%error, driver = self.cx.name, "a probe is not on disk");
                None
            }
        }
    }

    fn submission(
        &self,
        member: &Member,
        outcome: Result<Alive, Dead>,
        told: Option<bool>,
    ) -> Submission {
        let value = |metric, number| {
            Value::number(number).map(|value| Observation {
                metric,
                value,
                quality: Quality::GOOD,
                observed_at: None,
            })
        };
        let mut part = Part {
            device: member.key,
            received: 0,
            observations: Vec::new(),
            rejected: Vec::new(),
        };
        let mut quarantined = Vec::new();
        match outcome {
            Ok(answer) => {
                part.observations.extend(value(self.metrics.online, 1.0));
                if let Some(answer) = answer {
                    let fault = if answer.is_faulty() { 1.0 } else { 0.0 };
                    part.observations.extend(value(self.metrics.fault, fault));
                }
            }
            Err(dead) => {
                if told != Some(false) {
                    part.observations.extend(value(self.metrics.online, 0.0));
                }
                part.rejected.push(Rejected {
                    metric: None,
                    reason: dead.reason.into(),
                    detail: Some(format!("{}: {}", member.target, dead.detail)),
                });
                if !dead.received.is_empty() {
                    quarantined.push(RawFrame {
                        device: Some(member.key),
                        reason: dead.reason.into(),
                        detail: dead.detail,
                        bytes: dead.received,
                    });
                }
            }
        }
        let counted = part.observations.len() + part.rejected.len();
        part.received = u32::try_from(counted).unwrap_or(u32::MAX);
        Submission {
            parts: vec![part],
            quarantined,
        }
    }
}
