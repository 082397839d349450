//! Registers the fleet with the hub's API, a thousand devices at a time.

use crate::api::Base;
use crate::error::SimError;
use crate::fleet::Fleet;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Devices in one request.
const CHUNK_DEVICES: usize = 1000;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// A hub that is still starting is asked again so often.
const TRIES: u32 = 20;
const TRY_EVERY: Duration = Duration::from_millis(500);

/// Registers every device; gateways come before their children.
pub(crate) async fn register(base: &Base, token: &str, fleet: &Fleet) -> Result<(), SimError> {
    let rows = fleet.rows();
    for chunk in rows.chunks(CHUNK_DEVICES) {
        let body = serde_json::to_vec(chunk)
            .map_err(|error| SimError::Register(format!("writing the devices: {error}")))?;
        put(base, token, "/api/v1/devices", &body).await?;
    }
    Ok(())
}

/// Puts rules, one by one, as the API takes them.
pub(crate) async fn put_rules(
    base: &Base,
    token: &str,
    rules: &[(String, serde_json::Value)],
) -> Result<(), SimError> {
    for (id, rule) in rules {
        let path = format!("/api/v1/rules/{id}");
        put(base, token, &path, rule.to_string().as_bytes()).await?;
    }
    Ok(())
}

async fn put(base: &Base, token: &str, path: &str, body: &[u8]) -> Result<(), SimError> {
    let mut reason = String::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            sleep(TRY_EVERY).await;
        }
        match timeout(REQUEST_TIMEOUT, base.exchange(token, ("PUT", path), body)).await {
            Ok(Ok(response)) if (200..300).contains(&response.status) => return Ok(()),
            Ok(Ok(response)) if response.status == 503 => reason = "the hub is busy".to_owned(),
            Ok(Ok(response)) => {
                let text = String::from_utf8_lossy(&response.body);
                return Err(SimError::Register(format!(
                    "status {}: {text}",
                    response.status
                )));
            }
            Ok(Err(error)) => reason = error,
            Err(_) => reason = "no answer in time".to_owned(),
        }
    }
    Err(SimError::Register(format!("{}: {reason}", base.host)))
}
