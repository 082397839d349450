//! An operator's GBFS 3.0 feeds, which the hub fetches: what stands at each station.

use super::Shared;
use super::asked::{Asked, HungUp};
use crate::fleet::Device;
use crate::observation::Observation;
use crate::payload::uplink::instant;
use crate::plan::Message;
use crate::random::whole;
use crate::way::number;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Seconds for which a feed is good.
const TTL_S: u32 = 10;
const CONNECTIONS_MAX: usize = 16;
const REQUEST_BYTES_MAX: usize = 8192;
/// Docks of a station that says nothing of its size.
const CAPACITY: i64 = 20;

/// What stands at a station, of how many, and since when it is known.
type Count = (i64, i64, i64);
/// Stations by their ids.
type Stations = Asked<String, Count>;

fn station(device: &Device) -> Option<&str> {
    Some(device.identities.get("gbfs")?.split_once('/')?.1)
}

fn kept(device: &Device, ts_ms: i64, all: &[Observation]) -> Option<(String, Count)> {
    let parked = whole(number(all, "parked_count")?);
    let capacity = device
        .tags
        .get("capacity")
        .and_then(|text| text.parse().ok());
    let counts = (parked, capacity.unwrap_or(CAPACITY), ts_ms);
    Some((station(device)?.to_owned(), counts))
}

/// Serves the feeds until the end.
pub(crate) async fn server(
    shared: Arc<Shared>,
    addr: Arc<str>,
    mut queue: mpsc::Receiver<Message>,
) {
    let stations = Arc::new(Stations::new(Arc::clone(&shared), kept));
    let host = addr.to_string();
    match TcpListener::bind(&*addr).await {
        Ok(listener) => tokio::select! {
            biased;
            () = stations.fill(&mut queue) => {}
            () = serve(&stations, &listener, &host) => {}
        },
        Err(_) => {
            shared.tally.count(|counts| counts.connects_failed += 1);
            stations.fill(&mut queue).await;
        }
    }
    stations.close();
}

async fn serve(stations: &Arc<Stations>, listener: &TcpListener, host: &str) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                if let Ok((stream, _)) = accepted {
                    let (stations, host) = (Arc::clone(stations), host.to_owned());
                    connections.spawn(async move { drop(answer(&stations, stream, &host).await) });
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(stations: &Stations, mut stream: TcpStream, host: &str) -> Result<(), HungUp> {
    let mut received = Vec::new();
    loop {
        if stream.read_buf(&mut received).await.map_err(|_| HungUp)? == 0 {
            return Ok(());
        }
        while let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = received.drain(..end + 4).collect();
            let head = String::from_utf8_lossy(&head);
            let path = head.split(' ').nth(1).unwrap_or_default();
            let now_ms = crate::clock::wall_ms();
            let body = match path {
                "/gbfs.json" => Some(discovery(host, now_ms)),
                "/station_status.json" => Some(statuses(&counts(stations), now_ms)),
                _ => None,
            };
            let reply = body.map_or_else(
                || "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
                |body| response(&body),
            );
            stream
                .write_all(reply.as_bytes())
                .await
                .map_err(|_| HungUp)?;
        }
        if received.len() > REQUEST_BYTES_MAX {
            return Err(HungUp);
        }
    }
}

fn response(body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn counts(stations: &Stations) -> Vec<(String, Count)> {
    let devices = stations.shared.fleet.devices.iter();
    let known = devices.filter_map(|device| station(device).map(str::to_owned));
    known
        .filter_map(|id| stations.ask(&id).map(|count| (id, count)))
        .collect()
}

fn feed(now_ms: i64, data: &Value) -> Value {
    json!({"last_updated": instant(now_ms, "Z"), "ttl": TTL_S, "version": "3.0", "data": data})
}

fn discovery(host: &str, now_ms: i64) -> Value {
    let url = format!("http://{host}/station_status.json");
    feed(
        now_ms,
        &json!({"feeds": [{"name": "station_status", "url": url}]}),
    )
}

/// station_status: what is parked is there to be taken, and the rest of the docks is free.
fn statuses(counts: &[(String, Count)], now_ms: i64) -> Value {
    let stations: Vec<Value> = counts
        .iter()
        .map(|(id, (parked, capacity, at_ms))| {
            json!({
                "station_id": id,
                "num_vehicles_available": parked,
                "num_docks_available": (capacity - parked).max(0),
                "is_installed": true,
                "is_renting": true,
                "is_returning": true,
                "last_reported": instant(*at_ms, "Z"),
            })
        })
        .collect();
    feed(now_ms, &json!({"stations": stations}))
}

#[cfg(test)]
mod tests;
