//! Posts one message to an address of people, for whoever has something to say past the journal.

use crate::webhook::{Client, Target};
use crate::{SinkError, tls};
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use rustls::ClientConfig;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// An address, and whom to trust that it is that address: the same as of a webhook.
#[derive(Clone, Debug)]
pub struct Caller {
    target: Target,
    tls: Option<Arc<ClientConfig>>,
    deadline: Duration,
}

impl Caller {
    /// `https://…` or `http://…`; `ca_file` has the authorities to trust instead of the system's.
    pub fn new(url: &str, ca_file: Option<&Path>, deadline: Duration) -> Result<Self, SinkError> {
        let target = Target::parse(url).map_err(|reason| SinkError::key("webhook", reason))?;
        let is_needed = target.is_tls || ca_file.is_some();
        let tls = is_needed.then(|| tls::client(ca_file)).transpose()?;
        Ok(Self {
            tls: tls.filter(|_| target.is_tls),
            target,
            deadline,
        })
    }

    /// Posts JSON over a connection of its own; anything but a 2xx is an error.
    pub async fn post(&self, body: &Value) -> Result<(), String> {
        let (target, tls) = (self.target.clone(), self.tls.clone());
        let mut client = Client::new(target, tls, TaskTracker::new(), self.deadline);
        let mut fields = HeaderMap::new();
        let json = HeaderValue::from_static("application/json");
        fields.insert(header::CONTENT_TYPE, json);
        fields.insert(header::USER_AGENT, HeaderValue::from_static("cityhub"));
        let answer = client.post(fields, Bytes::from(body.to_string())).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(format!("answered {}", answer.status.as_u16()))
    }
}
