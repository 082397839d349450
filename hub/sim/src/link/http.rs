//! An HTTP connection of one device: one request at a time, repeated until answered.

use super::{Backoff, CONNECT_TIMEOUT, Shared};
use crate::http::{Request, Response, put_request, take_response};
use crate::payload::push::Platform;
use crate::plan::{Content, Message};
use crate::random::Random;
use crate::tally::Outcome;
use crate::way::Way;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// The whole exchange of one request.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// A connection that was idle for so long may have been closed by the hub; a new one is surer.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// Longest wait that a hub may ask for.
const RETRY_AFTER_S_MAX: u64 = 30;

/// What the answer means for the message.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Acked,
    Final(Outcome),
    Again { after: Option<Duration> },
}

/// The link of one device.
#[derive(Debug)]
pub(crate) struct HttpLink {
    shared: Arc<Shared>,
    addr: Arc<str>,
    queue: mpsc::Receiver<Message>,
    connection: Option<(TcpStream, Instant)>,
    backoff: Backoff,
    /// The platform that speaks for the device.
    platform: Option<Posts>,
}

/// Where a platform posts what.
#[derive(Clone, Debug)]
struct Posts {
    platform: Platform,
    path: String,
    token: String,
}

impl HttpLink {
    pub(crate) fn new(
        shared: Arc<Shared>,
        addr: Arc<str>,
        random: Random,
        queue: mpsc::Receiver<Message>,
    ) -> Self {
        Self {
            shared,
            addr,
            queue,
            connection: None,
            backoff: Backoff::new(random),
            platform: None,
        }
    }

    /// Lets a platform speak for the device: the address is then `[TOKEN@]HOST:PORT/PATH`.
    pub(crate) fn of(mut self, platform: Platform) -> Self {
        let addr = Arc::clone(&self.addr);
        let (host, path) = addr.split_once('/').unwrap_or((&addr, ""));
        let (token, host) = host.split_once('@').unwrap_or(("", host));
        self.platform = Some(Posts {
            platform,
            path: format!("/{path}"),
            token: token.to_owned(),
        });
        self.addr = Arc::from(host);
        self
    }

    /// Writes the request of a message, and leaves in the message what it says.
    fn request(&self, message: &mut Message) -> Option<Vec<u8>> {
        let device = self.shared.device(message.device)?;
        let mut bytes = Vec::with_capacity(512);
        let (path, token, body) = match &self.platform {
            None => {
                let path = format!("/devices/{}/telemetry", device.id);
                (path, device.secret.as_str(), message.payload())
            }
            Some(posts) => {
                let body = match &message.content {
                    Content::Garbage(bytes) => bytes.clone(),
                    Content::Observations(all) => {
                        let said = Way::Push(posts.platform).says(device, all).into_owned();
                        let measured = (message.ts_ms, said.as_slice());
                        let push = posts.platform.write(device, measured, &posts.token);
                        message.ts_ms = push.ts_ms;
                        message.content = Content::Observations(said);
                        push.body
                    }
                };
                (posts.path.clone(), "", body)
            }
        };
        put_request(
            &mut bytes,
            &Request {
                method: "POST",
                path: &path,
                host: &self.addr,
                token,
                body: &body,
            },
        );
        Some(bytes)
    }

    /// Sends message after message until the queue has ended or the drain is over.
    pub(crate) async fn run(mut self) {
        while let Some(mut message) = self.queue.recv().await {
            let Some(request) = self.request(&mut message) else {
                continue;
            };
            self.deliver(&message, &request).await;
        }
    }

    async fn deliver(&mut self, message: &Message, request: &[u8]) {
        let mut first = true;
        loop {
            if self.shared.out_of_time() {
                return self.shared.settle(message, Outcome::Abandoned);
            }
            self.shared.tally.count(|counts| match first {
                true => counts.sent += 1,
                false => counts.resent += 1,
            });
            first = false;
            let sent = Instant::now();
            let verdict = match timeout(EXCHANGE_TIMEOUT, self.exchange(request)).await {
                Ok(Ok(response)) if self.platform.is_some() => verdict_of_push(&response),
                Ok(Ok(response)) => verdict(&response),
                Ok(Err(())) | Err(_) => {
                    self.connection = None;
                    Verdict::Again { after: None }
                }
            };
            match verdict {
                Verdict::Acked => {
                    self.backoff.reset();
                    return self.shared.settle_acked(message, sent);
                }
                Verdict::Final(outcome) => {
                    self.backoff.reset();
                    return self.shared.settle(message, outcome);
                }
                Verdict::Again { after } => {
                    let pause = after.unwrap_or_else(|| self.backoff.step());
                    self.shared.pause(pause).await;
                }
            }
        }
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Response, ()> {
        // Taken out, so that a failed exchange leaves no half-read connection behind.
        let mut stream = match self.connection.take() {
            Some((stream, used)) if used.elapsed() < IDLE_MAX => stream,
            _ => self.connect().await?,
        };
        stream.write_all(request).await.map_err(drop)?;
        let mut bytes = Vec::with_capacity(512);
        loop {
            if stream.read_buf(&mut bytes).await.map_err(drop)? == 0 {
                return Err(());
            }
            if let Some((response, _)) = take_response(&bytes).map_err(drop)? {
                if !response.close {
                    self.connection = Some((stream, Instant::now()));
                }
                return Ok(response);
            }
        }
    }

    async fn connect(&self) -> Result<TcpStream, ()> {
        let _permit = self.shared.connecting.acquire().await.map_err(drop)?;
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(&*self.addr)).await;
        let Ok(Ok(stream)) = connected else {
            self.shared
                .tally
                .count(|counts| counts.connects_failed += 1);
            return Err(());
        };
        stream.set_nodelay(true).map_err(drop)?;
        Ok(stream)
    }
}

/// Reads an answer to a push, of which platforms look at the status alone.
fn verdict_of_push(response: &Response) -> Verdict {
    match verdict(response) {
        Verdict::Final(Outcome::PartlyStored) => Verdict::Acked,
        other => other,
    }
}

/// Reads an answer as contract and HTTP mean it: 204 stored, 200 partly, 503 and 429 later.
fn verdict(response: &Response) -> Verdict {
    match response.status {
        204 => Verdict::Acked,
        200..=299 => Verdict::Final(Outcome::PartlyStored),
        429 | 500..=599 => {
            let after_s = response.retry_after_s.map(|s| s.min(RETRY_AFTER_S_MAX));
            Verdict::Again {
                after: after_s.map(Duration::from_secs),
            }
        }
        _ => Verdict::Final(Outcome::Refused),
    }
}
