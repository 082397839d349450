//! Sends HTTP requests to servers of others, over one connection to each: requests one after the other,
//! and no redirect is followed.

mod trust;

pub use trust::trust;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
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

/// Where a request goes.
#[derive(Clone, Debug)]
pub struct Target {
    uri: Uri,
    host: String,
    port: u16,
    pub is_tls: bool,
}

impl Target {
    pub fn parse(url: &str) -> Result<Self, String> {
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

    pub fn host(&self) -> &str {
        &self.host
    }

    fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub fields: HeaderMap,
    /// The body, or why it could not be read: it is too long, or the connection broke.
    pub body: Result<Bytes, String>,
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Question {
    pub method: Method,
    pub fields: HeaderMap,
    pub body: Bytes,
}

impl Question {
    /// Asks with GET and nothing else.
    pub fn get() -> Self {
        Self {
            method: Method::GET,
            fields: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

/// A connection that is open.
struct Link {
    send: SendRequest<Full<Bytes>>,
    /// Ends the connection with the link.
    _end: DropGuard,
}

/// Sends requests to one target.
pub struct Client {
    target: Target,
    tls: Option<Arc<ClientConfig>>,
    tasks: TaskTracker,
    deadline: Duration,
    /// A connection with more than this on it is given up.
    body_bytes_max: usize,
    link: Option<Link>,
    /// Connections that were opened.
    opened: u64,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Client {
    pub fn new(
        target: Target,
        tls: Option<Arc<ClientConfig>>,
        tasks: TaskTracker,
        (deadline, body_bytes_max): (Duration, usize),
    ) -> Self {
        Self {
            target,
            tls,
            tasks,
            deadline,
            body_bytes_max,
            link: None,
            opened: 0,
        }
    }

    /// Tells whether the connection of the last request is still there.
    pub fn is_open(&self) -> bool {
        self.link
            .as_ref()
            .is_some_and(|link| !link.send.is_closed())
    }

    /// Counts the connections that were opened so far.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// Sends a request and reads the answer, all within the deadline.
    pub async fn send(&mut self, question: &Question) -> Result<Answer, String> {
        let deadline = self.deadline;
        // A request that is given up takes its connection along.
        let link = self.link.take();
        match tokio::time::timeout(deadline, self.exchange(link, question)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} s", deadline.as_secs())),
        }
    }

    /// Speaks over this stream as if it had been connected.
    #[cfg(feature = "testkit")]
    pub async fn adopt<S>(&mut self, stream: S) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.link = Some(self.shake_hands(stream).await?);
        Ok(())
    }

    async fn exchange(
        &mut self,
        kept: Option<Link>,
        question: &Question,
    ) -> Result<Answer, String> {
        if let Some(mut link) = kept.filter(|link| !link.send.is_closed())
            && let Ok(response) = self.ask(&mut link, question).await
        {
            return Ok(self.read(link, response).await);
        }
        // The other side may close a connection at any moment between two requests.
        let mut link = self.connect().await?;
        self.opened = self.opened.saturating_add(1);
        let response = self.ask(&mut link, question).await?;
        Ok(self.read(link, response).await)
    }

    async fn ask(
        &self,
        link: &mut Link,
        question: &Question,
    ) -> Result<Response<Incoming>, String> {
        let mut request = Request::builder()
            .method(question.method.clone())
            .uri(self.target.path())
            .body(Full::new(question.body.clone()))
            .map_err(|error| error.to_string())?;
        question.fields.clone_into(request.headers_mut());
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

    async fn read(&mut self, link: Link, response: Response<Incoming>) -> Answer {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.body_bytes_max).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes);
        if body.is_ok() {
            self.link = Some(link);
        }
        Answer {
            status: head.status,
            fields: head.headers,
            body: body.map_err(|error| error.to_string()),
        }
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
                        tracing::debug!(%error, "a connection ended");
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
