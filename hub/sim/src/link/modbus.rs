//! Modbus units that the hub asks: behind a DTU that dials in, or behind a server.

mod registers;

use super::asked::{Asked, HungUp};
use super::frame::identity;
use super::pressure::crc;
use super::{Backoff, CONNECT_TIMEOUT, Shared};
use crate::fleet::Device;
use crate::observation::Observation;
use crate::plan::Message;
use registers::{Registers, answer};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// What a DTU says when nothing else was said for so long (USR's usual text).
const HEARTBEAT: &[u8] = b"www.usr.cn";
const HEARTBEAT_EVERY: Duration = Duration::from_secs(30);
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that a server takes, as small gateways do.
const MASTERS_MAX: usize = 4;
/// An RTU request that reads has these bytes; a TCP one its header and these.
const RTU_REQUEST_BYTES: usize = 8;
const TCP_HEADER_BYTES: usize = 7;
const TCP_LENGTH_MAX: usize = 254;

/// The units of a line.
type Line = Asked<u8, Registers>;

fn kept(device: &Device, _: i64, observations: &[Observation]) -> Option<(u8, Registers)> {
    Some((unit_of(device)?, Registers::of(observations)))
}

/// Answers a request, if there is such a unit.
fn reply(line: &Line, unit: u8, request: &[u8]) -> Option<Vec<u8>> {
    let registers = line.ask(&unit)?;
    Some(answer(&registers, request))
}

/// Reads `LINE/UNIT`, with an offset or a name behind it or without.
fn unit_of(device: &Device) -> Option<u8> {
    let (_, unit) = device.identities.get("modbus")?.split_once('/')?;
    let end = unit.find(['@', '/']).unwrap_or(unit.len());
    unit.get(..end)?.parse().ok()
}

/// Counts the units behind a DTU, or those of the server.
fn expected(shared: &Shared, owner: Option<usize>) -> usize {
    let devices = shared.fleet.devices.iter();
    let here = devices.filter(|device| match owner {
        Some(owner) => device.parent == Some(owner),
        None => device.way == Some(crate::way::Way::ModbusTcp),
    });
    here.filter_map(unit_of).count()
}

/// A DTU that dials in, says who it is, and answers for the units behind it.
pub(crate) async fn dtu(
    shared: Arc<Shared>,
    addr: Arc<str>,
    owner: usize,
    backoff: Backoff,
    mut queue: mpsc::Receiver<Message>,
) {
    let line = Line::new(Arc::clone(&shared), kept);
    let registration = match shared.device(owner) {
        Some(device) => identity(device, "dtu").as_bytes().to_vec(),
        None => return,
    };
    line.gather(&mut queue, expected(&shared, Some(owner)))
        .await;
    tokio::select! {
        biased;
        () = line.fill(&mut queue) => {}
        () = dial(&line, &addr, &registration, backoff) => {}
    }
    line.close();
}

async fn dial(line: &Line, addr: &str, registration: &[u8], mut backoff: Backoff) {
    loop {
        let permit = line.shared.connecting.acquire().await;
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(addr)).await;
        drop(permit);
        match connected {
            Ok(Ok(stream)) => {
                backoff.reset();
                line.shared.tally.count(|counts| counts.connected += 1);
                // Whatever ended it, the DTU dials again.
                drop(answer_rtu(line, stream, registration).await);
                line.shared.tally.count(|counts| {
                    counts.connected -= 1;
                    counts.connections_lost += 1;
                });
            }
            Ok(Err(_)) | Err(_) => line
                .shared
                .tally
                .count(|counts| counts.connects_failed += 1),
        }
        let pause = backoff.step();
        line.shared.pause(pause).await;
    }
}

async fn put(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), HungUp> {
    match timeout(WRITE_TIMEOUT, stream.write_all(bytes)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(HungUp),
    }
}

async fn answer_rtu(line: &Line, mut stream: TcpStream, registration: &[u8]) -> Result<(), HungUp> {
    stream.set_nodelay(true).map_err(|_| HungUp)?;
    put(&mut stream, registration).await?;
    let mut received = Vec::new();
    loop {
        match timeout(HEARTBEAT_EVERY, stream.read_buf(&mut received)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => return Err(HungUp),
            Err(_) => put(&mut stream, HEARTBEAT).await?,
        }
        while let Some(request) = received.get(..RTU_REQUEST_BYTES) {
            let (pdu, sum) = request.split_at(RTU_REQUEST_BYTES - 2);
            if crc(pdu).to_le_bytes() != sum {
                received.drain(..1);
                continue;
            }
            let reply = match pdu {
                [unit, request @ ..] => reply(line, *unit, request).map(|reply| rtu(*unit, &reply)),
                [] => None,
            };
            received.drain(..RTU_REQUEST_BYTES);
            if let Some(reply) = reply {
                put(&mut stream, &reply).await?;
            }
        }
    }
}

/// Encloses an answer as RTU: unit, answer, CRC with its low byte first.
fn rtu(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut bytes = vec![unit];
    bytes.extend(pdu);
    let crc = crc(&bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

/// A server of units that the hub dials.
pub(crate) async fn server(
    shared: Arc<Shared>,
    addr: Arc<str>,
    mut queue: mpsc::Receiver<Message>,
) {
    let line = Arc::new(Line::new(Arc::clone(&shared), kept));
    line.gather(&mut queue, expected(&shared, None)).await;
    match TcpListener::bind(&*addr).await {
        Ok(listener) => tokio::select! {
            biased;
            () = line.fill(&mut queue) => {}
            () = serve(&line, &listener) => {}
        },
        Err(_) => {
            shared.tally.count(|counts| counts.connects_failed += 1);
            line.fill(&mut queue).await;
        }
    }
    line.close();
}

async fn serve(line: &Arc<Line>, listener: &TcpListener) {
    let mut masters = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if masters.len() < MASTERS_MAX => {
                if let Ok((stream, _)) = accepted {
                    let line = Arc::clone(line);
                    masters.spawn(async move { drop(answer_tcp(&line, stream).await) });
                }
            }
            Some(_) = masters.join_next() => {}
        }
    }
}

async fn answer_tcp(line: &Line, mut stream: TcpStream) -> Result<(), HungUp> {
    stream.set_nodelay(true).map_err(|_| HungUp)?;
    let mut received = Vec::new();
    loop {
        if stream.read_buf(&mut received).await.map_err(|_| HungUp)? == 0 {
            return Ok(());
        }
        while let Some((request, used)) = tcp_request(&received)? {
            let (head, pdu) = request.split_at(TCP_HEADER_BYTES);
            let unit = head.last().copied().unwrap_or(0);
            let reply = reply(line, unit, pdu).map(|reply| tcp(head, &reply));
            received.drain(..used);
            if let Some(reply) = reply {
                put(&mut stream, &reply).await?;
            }
        }
    }
}

/// Finds the first whole request; an error where there can be none.
fn tcp_request(received: &[u8]) -> Result<Option<(Vec<u8>, usize)>, HungUp> {
    let Some(head) = received.get(..TCP_HEADER_BYTES) else {
        return Ok(None);
    };
    let length = head.get(4..6).and_then(|two| two.try_into().ok());
    let length = usize::from(length.map(u16::from_be_bytes).unwrap_or(0));
    if !(2..=TCP_LENGTH_MAX).contains(&length) {
        return Err(HungUp);
    }
    let whole = received.get(..TCP_HEADER_BYTES - 1 + length);
    Ok(whole.map(|whole| (whole.to_vec(), whole.len())))
}

/// Encloses an answer for Modbus TCP: transaction and unit are those of the request.
fn tcp(head: &[u8], pdu: &[u8]) -> Vec<u8> {
    let mut bytes = head.get(..4).unwrap_or_default().to_vec();
    bytes.extend(u16::try_from(pdu.len() + 1).unwrap_or(0).to_be_bytes());
    bytes.extend(head.last());
    bytes.extend(pdu);
    bytes
}

#[cfg(test)]
mod tests;
