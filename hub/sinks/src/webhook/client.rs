//! Posts to one receiver, and reads of its answer what decides and what people are shown.

use bytes::Bytes;
use dial::Question;
pub(crate) use dial::Target;
use hyper::{HeaderMap, Method, StatusCode, header};
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// Of an answer this much is read; a connection with more on it is given up.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Of an answer this much is shown to people.
const DETAIL_CHARS_MAX: usize = 200;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<String>,
    /// The beginning of the body, for people.
    pub(crate) detail: String,
}

/// Posts to one target.
pub(crate) struct Client(dial::Client);

impl Client {
    pub(crate) fn new(
        target: Target,
        tls: Option<Arc<ClientConfig>>,
        tasks: TaskTracker,
        deadline: Duration,
    ) -> Self {
        Self(dial::Client::new(
            target,
            tls,
            tasks,
            (deadline, ANSWER_BYTES_MAX),
        ))
    }

    /// Posts a body and reads the answer, all within the deadline.
    pub(crate) async fn post(&mut self, fields: HeaderMap, body: Bytes) -> Result<Answer, String> {
        let question = Question {
            method: Method::POST,
            fields,
            body,
        };
        let answer = self.0.send(&question).await?;
        let bytes = answer.body.unwrap_or_default();
        let detail: String = String::from_utf8_lossy(&bytes)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(DETAIL_CHARS_MAX)
            .collect();
        let retry_after = answer.fields.get(header::RETRY_AFTER);
        Ok(Answer {
            status: answer.status,
            retry_after: retry_after
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            detail: detail.trim().to_owned(),
        })
    }
}
