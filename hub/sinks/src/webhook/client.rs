//! One connection to one server: requests one after the other, and no redirect is followed.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{HeaderMap, Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Of an answer this much is read; a connection with more on it is given up.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Of an answer this much is shown to people.
const DETAIL_CHARS_MAX: usize = 200;

/// Where a request goes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    uri: Uri,
    host: String,
    port: u16,
    pub(crate) is_tls: bool,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url
            .parse()
            .map_err(|error| format!("`{url}` is no address: {error}"))?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("must begin with `https://` or `http://`".to_owned()),
        };
        let authority = uri.authority().ok_or("has no host in it")?;
        if authority.as_str().contains('@') {
            return Err("must not hold a user or password; use `token`".to_owned());
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        if host.is_empty() {
            return Err("has no host in it".to_owned());
        }
        Ok(Self {
            host: host.to_owned(),
            port: authority
                .port_u16()
                .unwrap_or(if is_tls { 443 } else { 80 }),
            is_tls,
            uri,
        })
    }

    fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<String>,
    /// The beginning of the body, for people.
    pub(crate) detail: String,
}

/// A connection that is open.
struct Link {
    send: SendRequest<Full<Bytes>>,
    /// Ends the connection with the link.
    _end: DropGuard,
}

/// Sends requests to one target.
pub(crate) struct Client {
    target: Target,
    tls: Option<Arc<ClientConfig>>,
    tasks: TaskTracker,
    deadline: Duration,
    link: Option<Link>,
}

impl Client {
    pub(crate) fn new(
        target: Target,
        tls: Option<Arc<ClientConfig>>,
        tasks: TaskTracker,
        deadline: Duration,
    ) -> Self {
        Self {
            target,
            tls,
            tasks,
            deadline,
            link: None,
        }
    }

    /// Posts a body and reads the answer, all within the deadline.
    pub(crate) async fn post(&mut self, fields: HeaderMap, body: Bytes) -> Result<Answer, String> {
        let deadline = self.deadline;
        // A request that is given up takes its connection along.
        let link = self.link.take();
        match tokio::time::timeout(deadline, self.exchange(link, fields, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} s", deadline.as_secs())),
        }
    }

    async fn exchange(
        &mut self,
        kept: Option<Link>,
        fields: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, String> {
        if let Some(mut link) = kept.filter(|link| !link.send.is_closed())
            && let Ok(response) = self.send(&mut link, &fields, &body).await
        {
            return self.read(link, response).await;
        }
        // The other side may close a connection at any moment between two requests.
        let mut link = self.connect().await?;
        let response = self.send(&mut link, &fields, &body).await?;
        self.read(link, response).await
    }

    async fn send(
        &self,
        link: &mut Link,
        fields: &HeaderMap,
        body: &Bytes,
    ) -> Result<Response<Incoming>, String> {
        let mut request = Request::post(self.target.path())
            .body(Full::new(body.clone()))
            .map_err(|error| error.to_string())?;
        fields.clone_into(request.headers_mut());
        if let Some(authority) = self.target.uri.authority()
            && let Ok(host) = authority.as_str().parse()
        {
            request.headers_mut().insert(header::HOST, host);
        }
        link.send.ready().await.map_err(|error| reason(&error))?;
        link.send
            .send_request(request)
            .await
            .map_err(|error| reason(&error))
    }

    async fn read(&mut self, link: Link, response: Response<Incoming>) -> Result<Answer, String> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let text = body.as_ref().map(|_| ()).is_ok();
        let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
        if text {
            self.link = Some(link);
        }
        let detail: String = String::from_utf8_lossy(&bytes)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(DETAIL_CHARS_MAX)
            .collect();
        let retry_after = head.headers.get(header::RETRY_AFTER);
        Ok(Answer {
            status: head.status,
            retry_after: retry_after
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            detail: detail.trim().to_owned(),
        })
    }

    async fn connect(&self) -> Result<Link, String> {
        let (host, port) = (self.target.host.as_str(), self.target.port);
        let stream = TcpStream::connect((host, port))
            .await
            .map_err(|error| format!("connect to {host}:{port}: {error}"))?;
        // Small requests that wait for answers: nothing is gained by waiting for more to send.
        drop(stream.set_nodelay(true));
        match &self.tls {
            None => self.shake_hands(stream).await,
            Some(config) => {
                let name = ServerName::try_from(host.to_owned())
                    .map_err(|error| format!("`{host}`: {error}"))?;
                let stream = TlsConnector::from(Arc::clone(config))
                    .connect(name, stream)
                    .await
                    .map_err(|error| format!("TLS with {host}:{port}: {error}"))?;
                self.shake_hands(stream).await
            }
        }
    }

    async fn shake_hands<S>(&self, stream: S) -> Result<Link, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (send, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| reason(&error))?;
        let end = CancellationToken::new();
        let ended = end.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                closed = connection => {
                    if let Err(error) = closed {
                        tracing::debug!(%error, "a connection to a webhook ended");
                    }
                }
            }
        });
        Ok(Link {
            send,
            _end: end.drop_guard(),
        })
    }
}

/// Says what went wrong with its cause, which hyper keeps apart.
fn reason(error: &hyper::Error) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
