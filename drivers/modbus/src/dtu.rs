//! DTUs that dial in: who they are, by the registration that they send, and then their line.

use crate::Shared;
use crate::bus::{Bus, Ended};
use crate::link::{Link, RtuLink, Stream};
use crate::plan::Plan;
use crate::texts;
use model::DeviceKey;
use sdk::{DeviceEntry, Refusal};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// A registration is an IMEI, an ICCID or a short text; some makes wrap it into more.
const REGISTRATION_BYTES_MAX: usize = 512;

/// Nothing more came for so long: the registration is whole.
const WHOLE_AFTER: Duration = Duration::from_millis(200);

/// Bytes of an unknown registration that are shown to the engineer.
const CLAIMED_BYTES_MAX: usize = 64;

/// Which DTU has which connection; a newer one ends the older.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<DeviceKey, CancellationToken>>,
}

impl Sessions {
    /// Takes the place of whoever had it.
    fn begin(&self, key: DeviceKey, stop: &CancellationToken) -> CancellationToken {
        let own = stop.child_token();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(older) = open.insert(key, own.clone()) {
            older.cancel();
            tracing::info!(?key, "a DTU dialled in again; its older connection ends");
        }
        own
    }

    fn end(&self, key: DeviceKey, own: &CancellationToken) {
        // Whoever was replaced is cancelled, and its place is another's.
        if !own.is_cancelled() {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.remove(&key);
        }
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve<S: Stream + 'static>(shared: Arc<Shared>, mut stream: S, peer: String) {
    let stop = shared.cx.stop.clone();
    let registered = tokio::select! {
        biased;
        () = stop.cancelled() => None,
        registered = register(&shared, &mut stream, &peer) => registered,
    };
    let Some((dtu, registration)) = registered else {
        return;
    };
    let id = dtu.device.id.as_str();
    tracing::info!(id, peer, "a DTU dialled in");
    let own = shared.sessions.begin(dtu.key, &stop);
    // Some makes put the registration before every packet.
    let known = shared.heartbeats.iter().cloned();
    let known: Arc<[Vec<u8>]> = known.chain([registration.clone()]).collect();
    let mut link = Link::Rtu(RtuLink::new(Box::new(stream), known));
    let mut bus = Bus::new(Arc::clone(&shared), id.to_owned(), peer, own.clone());
    let mut plan = Plan::default();
    let is_wanted = |snapshot: &crate::roster::Snapshot| snapshot.has_dtu(dtu.key, &registration);
    let ended = bus.run(&mut link, &mut plan, is_wanted).await;
    shared.sessions.end(dtu.key, &own);
    if let Ended::Closed(why) = ended {
        tracing::info!(id, why, "a DTU is gone");
    }
}

/// Reads until a registration is found; an unknown one is shown and turned away.
async fn register<S: Stream>(
    shared: &Shared,
    stream: &mut S,
    peer: &str,
) -> Option<(Arc<DeviceEntry>, Vec<u8>)> {
    let deadline = Instant::now() + shared.registration_timeout;
    let mut received = Vec::new();
    let mut told = false;
    loop {
        // A longer registration may begin with a shorter one, so it is waited for.
        let until = match received.is_empty() || told {
            true => deadline,
            false => deadline.min(Instant::now() + WHOLE_AFTER),
        };
        let mut bytes = [0; REGISTRATION_BYTES_MAX];
        match timeout_at(until, stream.read(&mut bytes)).await {
            Ok(Ok(0) | Err(_)) => {
                if !received.is_empty() && !told {
                    refuse(shared, "unknown_device", Some(&received), peer);
                }
                return None;
            }
            Ok(Ok(count)) => {
                received.extend_from_slice(bytes.get(..count)?);
                if received.len() <= REGISTRATION_BYTES_MAX {
                    continue;
                }
            }
            Err(_) => {}
        }
        let found = shared.roster.look();
        if let Some((key, registration)) = found.dtu(&received) {
            let entry = shared.cx.devices.get(key)?;
            return Some((entry, registration.to_vec()));
        }
        let too_long = received.len() > REGISTRATION_BYTES_MAX;
        let time_up = Instant::now() >= deadline;
        if received.is_empty() {
            refuse(shared, "no_registration", None, peer);
            return None;
        }
        if !told {
            refuse(shared, "unknown_device", Some(&received), peer);
            told = true;
        }
        if too_long || time_up {
            return None;
        }
    }
}

fn refuse(shared: &Shared, reason: &'static str, received: Option<&[u8]>, peer: &str) {
    let claimed = received.map(|received| {
        let shown = received.get(..received.len().min(CLAIMED_BYTES_MAX));
        texts::text(shown.unwrap_or_default())
    });
    tracing::debug!(reason, claimed, peer, "a DTU was turned away");
    shared.cx.ingest.refuse(Refusal {
        reason: reason.into(),
        claimed,
        peer: peer.to_owned(),
        message: true,
    });
}

#[cfg(test)]
mod tests;
