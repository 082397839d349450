//! The two small clients of the canary: one message over MQTT 3.1.1, one POST over HTTP/1.1.

use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: usize = 4_096;

/// Where a listener of the hub takes posts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// Host and port.
    authority: String,
    path: String,
}

impl Url {
    pub(crate) fn of(address: SocketAddr, path: &str) -> Self {
        Self {
            authority: address.to_string(),
            path: path.to_owned(),
        }
    }
}

fn broken(what: &'static str) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{what}: {error}")
}

/// Posts JSON; anything but a 2xx is an error.
pub(crate) async fn post(url: &Url, bearer: Option<&str>, body: &Value) -> Result<(), String> {
    let body = body.to_string();
    let bearer = bearer.map_or_else(String::new, |token| {
        format!("authorization: Bearer {token}\r\n")
    });
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\nuser-agent: cityhub-canary\r\n{bearer}\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        url.path,
        url.authority,
        body.len()
    );
    let connected = TcpStream::connect(&url.authority).await;
    let mut stream = connected.map_err(broken("connect"))?;
    let message = [head.as_bytes(), body.as_bytes()].concat();
    stream.write_all(&message).await.map_err(broken("send"))?;
    let mut answer = Vec::new();
    while answer.len() < ANSWER_BYTES_MAX && !answer.contains(&b'\n') {
        if stream
            .read_buf(&mut answer)
            .await
            .map_err(broken("receive"))?
            == 0
        {
            break;
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let line = text.lines().next().unwrap_or_default();
    let status = line.split(' ').nth(1).unwrap_or_default();
    if status.len() == 3 && status.starts_with('2') {
        return Ok(());
    }
    Err(format!("answered `{line}`"))
}

/// Signs in, publishes one message with QoS 1, waits for its PUBACK, and signs out.
pub(crate) async fn publish(
    address: SocketAddr,
    (name, secret): (&str, &str),
    (topic, payload): (&str, &[u8]),
) -> Result<(), String> {
    /// The packet that acknowledges: type 4, two bytes, packet id 1.
    const PUBACK: [u8; 4] = [0x40, 2, 0, 1];
    let connected = TcpStream::connect(address).await;
    let mut stream = connected.map_err(broken("connect"))?;
    let connect = connect_packet(name, secret)?;
    stream
        .write_all(&connect)
        .await
        .map_err(broken("CONNECT"))?;
    let mut answer = [0; 4];
    let read = stream.read_exact(&mut answer).await;
    read.map_err(broken("CONNACK"))?;
    if answer != [0x20, 2, 0, 0] {
        return Err(format!("CONNACK {answer:02x?}"));
    }
    let publish = publish_packet(topic, payload)?;
    stream
        .write_all(&publish)
        .await
        .map_err(broken("PUBLISH"))?;
    let read = stream.read_exact(&mut answer).await;
    read.map_err(broken("PUBACK"))?;
    if answer != PUBACK {
        return Err(format!("PUBACK {answer:02x?}"));
    }
    // It is stored; what becomes of the connection does not matter.
    drop(stream.write_all(&[0xe0, 0]).await);
    Ok(())
}

/// MQTT 3.1.1, 3.1: clean session, user name and password, keep alive 30 s.
fn connect_packet(name: &str, secret: &str) -> Result<Vec<u8>, String> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 0xc2, 0, 30];
    for text in [name, name, secret] {
        put_text(&mut body, text)?;
    }
    packet(0x10, &body)
}

/// MQTT 3.1.1, 3.3: QoS 1, packet id 1.
fn publish_packet(topic: &str, payload: &[u8]) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    put_text(&mut body, topic)?;
    body.extend([0, 1]);
    body.extend(payload);
    packet(0x32, &body)
}

fn put_text(out: &mut Vec<u8>, text: &str) -> Result<(), String> {
    let length = u16::try_from(text.len()).map_err(|error| error.to_string())?;
    out.extend(length.to_be_bytes());
    out.extend(text.as_bytes());
    Ok(())
}

/// All of the canary's packets are short: their length fits two bytes (MQTT 3.1.1, 2.2.3).
fn packet(kind: u8, body: &[u8]) -> Result<Vec<u8>, String> {
    let length = u16::try_from(body.len())
        .ok()
        .filter(|length| *length < 16_384);
    let length = length.ok_or_else(|| "a packet of more than 16 kB".to_owned())?;
    let mut out = vec![kind];
    let (low, high) = (length % 128, length / 128);
    let low = u8::try_from(low).map_err(|error| error.to_string())?;
    if high == 0 {
        out.push(low);
    } else {
        let high = u8::try_from(high).map_err(|error| error.to_string())?;
        out.extend([low | 0x80, high]);
    }
    out.extend(body);
    Ok(out)
}
