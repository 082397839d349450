//! A small HTTP/1.1 client, one request a connection, and a reader of server-sent events.

use crate::time::PATIENCE;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Reads the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {} {}", self.status, self.text()))
    }

    /// Demands a status and gives the body as JSON (`null` when it is empty).
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        if self.body.is_empty() {
            return Value::Null;
        }
        self.json()
    }

    /// Demands an error in the form of RFC 9457, and gives it.
    #[track_caller]
    pub fn problem(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.text()
        );
        let problem = self.json();
        for field in ["type", "title", "request_id"] {
            assert!(problem[field].is_string(), "no {field}: {problem}");
        }
        assert_eq!(problem["status"], status, "{problem}");
        problem
    }
}

/// One request.
#[derive(Copy, Clone, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

impl Request<'_> {
    fn head(&self, addr: SocketAddr) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: {addr}\r\n", self.method, self.path);
        for (name, value) in self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", self.body.len()));
        head
    }

    /// Sends it on a connection of its own and reads the whole answer.
    pub fn send(&self, addr: SocketAddr) -> std::io::Result<Reply> {
        let mut stream = connect(addr)?;
        stream.write_all(
            self.head(addr)
                .replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")
                .as_bytes(),
        )?;
        // A server may refuse a large body before it has read it; its answer still counts.
        drop(stream.write_all(self.body));
        read_reply(&mut BufReader::new(stream))
    }
}

fn connect(addr: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

type Head = (u16, Vec<(String, String)>);

fn read_head(reader: &mut impl BufRead) -> std::io::Result<Head> {
    let bad = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned());
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| bad(&format!("no status line but {line:?}")))?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let text = line.trim_end();
        if text.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) = text.split_once(':').ok_or_else(|| bad("no colon"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_reply(reader: &mut impl BufRead) -> std::io::Result<Reply> {
    let (status, headers) = read_head(reader)?;
    let value = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, v)| v);
    let mut body = Vec::new();
    if value("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        Chunked { reader, left: 0 }.read_to_end(&mut body)?;
    } else if let Some(length) = value("content-length").and_then(|text| text.parse().ok()) {
        reader.take(length).read_to_end(&mut body)?;
    } else if status != 204 && status != 304 {
        reader.read_to_end(&mut body)?;
    }
    Ok(Reply {
        status,
        headers,
        body,
    })
}

/// Takes the chunk lengths out of a chunked body.
struct Chunked<R> {
    reader: R,
    left: usize,
}

impl<R: BufRead> Read for Chunked<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.left == 0 {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? == 0 {
                return Ok(0);
            }
            let text = line.trim();
            if text.is_empty() {
                continue;
            }
            self.left = usize::from_str_radix(text, 16).map_err(std::io::Error::other)?;
            if self.left == 0 {
                return Ok(0);
            }
        }
        let len = self.left.min(into.len());
        let read = self.reader.read(&mut into[..len])?;
        self.left -= read;
        Ok(read)
    }
}

/// A person or program with a token.
#[derive(Clone, Debug)]
pub struct Api {
    pub addr: SocketAddr,
    pub token: String,
}

impl Api {
    /// Sends a request with the token and demands that an answer comes.
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.send_bytes(method, path, "application/json", body.as_bytes())
    }

    pub fn send_bytes(&self, method: &str, path: &str, media: &str, body: &[u8]) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        let request = Request {
            method,
            path,
            headers: &[("authorization", &bearer), ("content-type", media)],
            body,
        };
        request
            .send(self.addr)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.send("GET", path, None).expect(200)
    }

    pub fn put(&self, path: &str, body: &Value) -> Reply {
        self.send("PUT", path, Some(body))
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, Some(body))
    }

    pub fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, None)
    }

    /// Opens a stream of events after `from`, or of those yet to come.
    pub fn stream(&self, query: &str, last_event_id: Option<u64>) -> Stream {
        let bearer = format!("Bearer {}", self.token);
        let id = last_event_id.map(|id| id.to_string());
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("accept", "text/event-stream"),
        ];
        headers.extend(id.as_deref().map(|id| ("last-event-id", id)));
        let path = format!("/api/v1/stream{query}");
        let request = Request {
            method: "GET",
            path: &path,
            headers: &headers,
            body: &[],
        };
        let mut stream = connect(self.addr).expect("the hub takes connections");
        stream
            .write_all(request.head(self.addr).as_bytes())
            .expect("the request is sent");
        let mut reader = BufReader::new(stream);
        let (status, headers) = read_head(&mut reader).expect("the stream answers");
        assert_eq!(status, 200, "the stream opens");
        assert!(
            headers
                .iter()
                .any(|(name, value)| name == "content-type"
                    && value.starts_with("text/event-stream"))
        );
        let body = Chunked { reader, left: 0 };
        Stream {
            lines: BufReader::new(body),
        }
    }
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    pub id: Option<u64>,
    pub event: String,
    pub data: String,
}

impl Sent {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("data is JSON")
    }
}

/// An open stream of server-sent events.
pub struct Stream {
    lines: BufReader<Chunked<BufReader<TcpStream>>>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl Stream {
    /// Waits for the next event; `None` when the stream ended.
    pub fn receive(&mut self) -> Option<Sent> {
        let mut sent = Sent {
            id: None,
            event: "message".to_owned(),
            data: String::new(),
        };
        let mut any = false;
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                if any {
                    return Some(sent);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => sent.id = value.parse().ok(),
                "event" => value.clone_into(&mut sent.event),
                "data" if sent.data.is_empty() => value.clone_into(&mut sent.data),
                "data" => {
                    sent.data.push('\n');
                    sent.data.push_str(value);
                }
                _ => continue,
            }
            any = true;
        }
    }

    /// Waits for the next event that is no heartbeat, as long as patience lasts.
    #[track_caller]
    pub fn next_fact(&mut self) -> Option<Sent> {
        let start = tokio::time::Instant::now();
        loop {
            let sent = self.receive()?;
            if sent.event != "hb" {
                return Some(sent);
            }
            assert!(start.elapsed() < PATIENCE, "nothing but heartbeats");
        }
    }

    /// Waits until an event of this type about an alarm of this rule comes, and gives its row.
    #[track_caller]
    pub fn wait_alarm(&mut self, kind: &str, rule: &str) -> Value {
        let wanted = format!("cityhub.alarm.{kind}");
        let start = tokio::time::Instant::now();
        loop {
            assert!(start.elapsed() < PATIENCE, "no {wanted} of rule {rule}");
            let sent = self.next_fact().expect("the stream is open");
            if sent.event == wanted {
                let event = sent.json();
                if event["data"]["rule"] == rule {
                    return event["data"].clone();
                }
            }
        }
    }
}
