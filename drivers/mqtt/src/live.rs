//! Feeds committed readings to the bus while somebody is subscribed to them.

use crate::bus::Bus;
use crate::fanout::Wanted;
use crate::topics;
use bytes::Bytes;
use model::{Catalogue, DeviceKey, Reading, Timestamp, Value};
use sdk::{Context, LiveBatch};
use std::sync::Arc;
use tokio::sync::watch;

/// Readings that are looked at in one go.
const LIVE_READINGS_MAX: usize = 4_096;

/// Runs until `cx.stop`; tails the journal only while it is wanted.
pub(crate) async fn feed(cx: Context, bus: Bus) {
    let stop = cx.stop.clone();
    let mut wanted = bus.fanout.telemetry_wanted();
    let fed = async {
        while let Some(since) = until_wanted(&mut wanted).await {
            bus.want();
            feed_while_wanted(&cx, &bus, &mut wanted, since).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = fed => {}
    }
}

/// Waits for a subscription, and tells after which commit it begins.
async fn until_wanted(wanted: &mut watch::Receiver<Wanted>) -> Option<u64> {
    let wanted = wanted.wait_for(|wanted| wanted.subscriptions > 0).await;
    wanted.ok().map(|wanted| wanted.since)
}

async fn feed_while_wanted(
    cx: &Context,
    bus: &Bus,
    wanted: &mut watch::Receiver<Wanted>,
    mut position: u64,
) {
    let mut mark = cx.tail.mark.clone();
    loop {
        while mark.borrow_and_update().commit > position {
            let Some(batch) = read(cx, position).await else {
                return;
            };
            if batch.commit <= position {
                break;
            }
            position = batch.commit;
            for (topic, payload) in messages(cx, batch.readings) {
                bus.publish_when_free(topic, payload).await;
            }
        }
        let grown = tokio::select! {
            changed = mark.changed() => changed.is_ok(),
            () = unwanted(wanted) => return,
        };
        if !grown {
            // The writer is gone, so nothing will come; wait for the stop.
            std::future::pending::<()>().await;
        }
    }
}

async fn unwanted(wanted: &mut watch::Receiver<Wanted>) {
    drop(wanted.wait_for(|wanted| wanted.subscriptions == 0).await);
}

async fn read(cx: &Context, after: u64) -> Option<LiveBatch> {
    let feed = Arc::clone(&cx.tail.feed);
    let read = tokio::task::spawn_blocking(move || feed.live(after, LIVE_READINGS_MAX)).await;
    match read {
        Ok(Ok(batch)) => Some(batch),
        Ok(Err(error)) => {
            tracing::warn!(%error, "could not read live readings");
            None
        }
        Err(error) => {
            tracing::warn!(%error, "could not read live readings");
            None
        }
    }
}

/// Makes one message for each device and instant.
fn messages(cx: &Context, mut readings: Vec<Reading>) -> Vec<(String, Bytes)> {
    readings.sort_by_key(|reading| {
        let series = reading.series;
        (series.device, reading.observed_at, series.metric)
    });
    let same_message = |a: &Reading, b: &Reading| {
        (a.series.device, a.observed_at) == (b.series.device, b.observed_at)
    };
    readings
        .chunk_by(same_message)
        .filter_map(|group| {
            let first = group.first()?;
            let id = device_id(cx, first.series.device)?;
            let payload = payload(&cx.catalogue, first.observed_at, group);
            Some((topics::telemetry_topic(&id), payload))
        })
        .collect()
}

fn device_id(cx: &Context, key: DeviceKey) -> Option<String> {
    let entry = cx.devices.get(key)?;
    // What the hub sends itself is of no use to others.
    if entry.device.id.is_own() {
        return None;
    }
    Some(entry.device.id.as_str().to_owned())
}

/// Writes the hub's own JSON: what a device could have sent.
fn payload(catalogue: &Catalogue, at: Timestamp, group: &[Reading]) -> Bytes {
    let mut values = serde_json::Map::new();
    for reading in group {
        let Some(def) = catalogue.def(reading.series.metric) else {
            continue;
        };
        let value = match reading.value {
            Value::Number(number) => serde_json::json!(number),
            Value::Position(position) => serde_json::json!(position),
        };
        values.insert(def.name.clone(), value);
    }
    let message = serde_json::json!({ "ts": at.millis(), "values": values });
    message.to_string().into()
}
