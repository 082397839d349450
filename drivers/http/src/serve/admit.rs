//! Who may report for a device: by its secret, by a certificate, or by both where both are shown.

use super::{Shared, problem};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::Response;
use sdk::{DeviceEntry, Devices, Refusal};
use std::net::SocketAddr;
use std::sync::Arc;

/// Characters that are kept of what somebody claimed to be.
const CLAIMED_CHARS_MAX: usize = 128;

/// Why somebody is turned away.
struct Denial<'a> {
    status: StatusCode,
    reason: &'static str,
    claimed: &'a str,
    detail: &'static str,
}

/// Lets the device in, or a gateway that speaks for it. Whoever it is must name an enabled device.
pub(super) fn admit(
    shared: &Shared,
    peer: SocketAddr,
    device: &str,
    head: &Parts,
) -> Result<Arc<DeviceEntry>, Box<Response>> {
    decide(&shared.cx.devices, device, head).map_err(|denial| {
        let claimed = denial.claimed.chars().take(CLAIMED_CHARS_MAX).collect();
        shared.cx.ingest.refuse(Refusal {
            reason: denial.reason.into(),
            claimed: Some(claimed),
            peer: peer.to_string(),
            message: true,
        });
        Box::new(problem(denial.status, denial.reason, denial.detail))
    })
}

fn decide<'a>(
    devices: &Devices,
    device: &'a str,
    head: &'a Parts,
) -> Result<Arc<DeviceEntry>, Denial<'a>> {
    let deny = |status, reason, detail| Denial {
        status,
        reason,
        claimed: device,
        detail,
    };
    let secret = head
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let certificate = match head.extensions.get::<tls::Peer>() {
        None | Some(tls::Peer::Nobody) => None,
        Some(tls::Peer::Named(name)) => Some(name.as_str()),
        Some(tls::Peer::Unnamed) => {
            let detail = "a certificate needs one common name, or else one DNS name";
            return Err(deny(
                StatusCode::UNAUTHORIZED,
                "certificate_unnamed",
                detail,
            ));
        }
    };
    if secret.is_none() && certificate.is_none() {
        let detail = "send the device's secret as `Authorization: Bearer <secret>`";
        return Err(deny(StatusCode::UNAUTHORIZED, "no_secret", detail));
    }
    let Some(target) = devices.find(device) else {
        let detail = "the device is not registered; register it with PUT /api/v1/devices";
        return Err(deny(StatusCode::NOT_FOUND, "unknown_device", detail));
    };
    if !target.device.enabled {
        let detail = "the device is disabled";
        return Err(deny(StatusCode::FORBIDDEN, "device_disabled", detail));
    }
    if let Some(name) = certificate {
        covers(devices, name, &target)?;
    }
    match secret {
        Some(secret) if !opens(devices, secret, &target) => {
            let detail = "the secret is not this device's";
            Err(deny(StatusCode::UNAUTHORIZED, "wrong_secret", detail))
        }
        _ => Ok(target),
    }
}

/// A certificate never opens more than its own door, whatever secret comes with it.
fn covers<'a>(devices: &Devices, name: &'a str, target: &DeviceEntry) -> Result<(), Denial<'a>> {
    if devices.vouches(name, target) {
        return Ok(());
    }
    let (reason, detail) = match devices.find_certified(name) {
        None => (
            "unknown_device",
            "no device has the name of this certificate as id or as identity `certificate`",
        ),
        Some(_) => (
            "certificate_mismatch",
            "the certificate is neither this device's nor that of the gateway before it",
        ),
    };
    Err(Denial {
        status: StatusCode::UNAUTHORIZED,
        reason,
        claimed: name,
        detail,
    })
}

fn opens(devices: &Devices, secret: &str, target: &DeviceEntry) -> bool {
    if devices
        .authenticate(target.device.id.as_str(), secret)
        .is_some()
    {
        return true;
    }
    let parent = target.device.parent.as_ref();
    let gateway = parent.and_then(|parent| devices.authenticate(parent.as_str(), secret));
    gateway.is_some_and(|gateway| Devices::may_write(&gateway, target))
}
