//! Cameras that the hub asks whether they are there: RTSP OPTIONS (RFC 2326, 10.1), all on one port.

use super::Shared;
use super::asked::{Asked, HungUp};
use crate::fleet::Device;
use crate::observation::Observation;
use crate::plan::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

const REQUEST_BYTES_MAX: usize = 4096;
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECTIONS_MAX: usize = 64;

/// Cameras by their path.
type Cameras = Asked<String, ()>;

fn kept(device: &Device, _: i64, _: &[Observation]) -> Option<(String, ())> {
    Some((path(device.identities.get("rtsp")?).to_owned(), ()))
}

/// Cuts `rtsp://host:port` off.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_once('/').map_or("", |(_, path)| path)
}

/// Answers for all cameras until the end.
pub(crate) async fn server(
    shared: Arc<Shared>,
    addr: Arc<str>,
    mut queue: mpsc::Receiver<Message>,
) {
    let cameras = Arc::new(Cameras::new(Arc::clone(&shared), kept));
    match TcpListener::bind(&*addr).await {
        Ok(listener) => tokio::select! {
            biased;
            () = cameras.fill(&mut queue) => {}
            () = serve(&cameras, &listener) => {}
        },
        Err(_) => {
            shared.tally.count(|counts| counts.connects_failed += 1);
            cameras.fill(&mut queue).await;
        }
    }
    cameras.close();
}

async fn serve(cameras: &Arc<Cameras>, listener: &TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                if let Ok((stream, _)) = accepted {
                    let cameras = Arc::clone(cameras);
                    let talk = async move { converse(&cameras, stream).await };
                    connections.spawn(async move { drop(timeout(EXCHANGE_TIMEOUT, talk).await) });
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(cameras: &Cameras, mut stream: TcpStream) -> Result<(), HungUp> {
    let mut received = Vec::new();
    loop {
        if stream.read_buf(&mut received).await.map_err(|_| HungUp)? == 0 {
            return Ok(());
        }
        while let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = received.drain(..end + 4).collect();
            let head = String::from_utf8_lossy(&head);
            // A camera without power has no port that answers.
            let answer = answer(&head, |path| cameras.ask(&path.to_owned()).is_some());
            let answer = answer.ok_or(HungUp)?;
            stream
                .write_all(answer.as_bytes())
                .await
                .map_err(|_| HungUp)?;
        }
        if received.len() > REQUEST_BYTES_MAX {
            return Err(HungUp);
        }
    }
}

/// Answers a request to a camera that is there.
fn answer(head: &str, there: impl FnOnce(&str) -> bool) -> Option<String> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, url) = (words.next()?, words.next()?);
    let number = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("cseq"))
        .map_or("", |(_, value)| value.trim());
    if !there(path(url)) {
        return None;
    }
    Some(match method {
        "OPTIONS" => format!(
            "RTSP/1.0 200 OK\r\nCSeq: {number}\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY\r\n\r\n"
        ),
        _ => format!("RTSP/1.0 501 Not Implemented\r\nCSeq: {number}\r\n\r\n"),
    })
}

#[cfg(test)]
mod tests;
