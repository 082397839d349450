//! Reads what a device writes, for tests, without help from the code under test.

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Reads one MQTT packet: its first byte and its body; `None` when the device has gone.
pub(crate) async fn packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let first = stream.read_u8().await.ok()?;
    let (mut length, mut shift) = (0usize, 0);
    loop {
        let byte = stream.read_u8().await.ok()?;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((first, body))
}

/// The parts of a PUBLISH body with QoS 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) topic: String,
    pub(crate) packet_id: [u8; 2],
    pub(crate) payload: Vec<u8>,
}

/// Takes a PUBLISH body apart; version 5 has an empty property list before the payload.
pub(crate) fn publish(body: &[u8], v5: bool) -> Publish {
    let topic_end = 2 + usize::from(body[0]) * 256 + usize::from(body[1]);
    let payload = topic_end + 2 + usize::from(v5);
    Publish {
        topic: String::from_utf8(body[2..topic_end].to_vec()).unwrap(),
        packet_id: [body[topic_end], body[topic_end + 1]],
        payload: body[payload..].to_vec(),
    }
}

/// Reads one HTTP request with a Content-Length: its head and its body.
pub(crate) async fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}
