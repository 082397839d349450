//! Who is at the other end: a device of the register, or a person or program with a token.

use crate::packet::Connect;
use model::Reason;
use sdk::{Access, Actor, DeviceEntry, Devices, SecretHash};
use std::fmt;
use std::sync::Arc;

/// Version 5 reason codes of a CONNACK.
mod code {
    pub(super) const BAD_USER_NAME_OR_PASSWORD: u8 = 0x86;
    pub(super) const NOT_AUTHORIZED: u8 = 0x87;
    pub(super) const BAD_AUTHENTICATION_METHOD: u8 = 0x8c;
}

/// Whom a connection speaks for.
#[derive(Clone, Debug)]
pub(crate) enum Principal {
    Device {
        entry: Arc<DeviceEntry>,
        /// The secret that let it in; a changed one ends the session. `None` with a certificate.
        secret: Option<SecretHash>,
    },
    Person {
        actor: Actor,
        /// Looked at again now and then: it may be taken away.
        token: Token,
    },
}

/// A token in plain text, which no log shows.
#[derive(Clone)]
pub(crate) struct Token(pub(crate) String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

impl Principal {
    /// Names whom a client id belongs to: two owners may use the same.
    pub(crate) fn owner(&self) -> String {
        match self {
            Self::Device { entry, .. } => format!("device:{}", entry.device.id),
            Self::Person { actor, .. } => format!("actor:{}", actor.name),
        }
    }
}

/// Why a CONNECT is turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) reason: Reason,
    /// The version 5 reason code.
    pub(crate) code: u8,
    pub(crate) claimed: Option<String>,
}

fn deny(reason: &'static str, code: u8, claimed: Option<&str>) -> Denial {
    Denial {
        reason: reason.into(),
        code,
        claimed: claimed.map(str::to_owned),
    }
}

/// Finds out who connects.
///
/// A password decides: with it the user name is a device, or else the password is a token of a
/// person or program. A user name alone is a device's secret (ThingsBoard's access token), unless
/// a client certificate has already said which device this is.
///
/// A certificate never opens more than its own door: whatever else is right, the connection is that of
/// the device in the certificate, or of a device behind it if it is a gateway.
pub(crate) fn identify(
    devices: &Devices,
    access: &Access,
    connect: &Connect,
    certificate: &tls::Peer,
) -> Result<Principal, Denial> {
    if connect.wants_auth {
        let reason = "unknown_auth_method";
        return Err(deny(reason, code::BAD_AUTHENTICATION_METHOD, None));
    }
    let username = connect.username.as_deref();
    let password = connect.password.as_deref();
    let name = match certificate {
        tls::Peer::Nobody => None,
        tls::Peer::Named(name) => Some(name.as_str()),
        tls::Peer::Unnamed => {
            return Err(deny("certificate_unnamed", code::NOT_AUTHORIZED, None));
        }
    };
    match (password, name) {
        (Some(password), None) => with_password(devices, access, username.unwrap_or(""), password),
        (Some(password), Some(name)) => {
            let principal = with_password(devices, access, username.unwrap_or(""), password)?;
            let is_covered = match &principal {
                Principal::Device { entry, .. } => devices.vouches(name, entry),
                // A device's certificate is no way in for people, whatever token it came by.
                Principal::Person { .. } => devices.find_certified(name).is_none(),
            };
            let denied = || deny("certificate_mismatch", code::NOT_AUTHORIZED, Some(name));
            is_covered.then_some(principal).ok_or_else(denied)
        }
        (None, Some(name)) => with_certificate(devices, username, name),
        (None, None) => with_token(devices, username),
    }
}

fn with_password(
    devices: &Devices,
    access: &Access,
    username: &str,
    password: &str,
) -> Result<Principal, Denial> {
    let bad = code::BAD_USER_NAME_OR_PASSWORD;
    let Some(known) = devices.find(username) else {
        // Asked only here: a wrong secret of a device must not cost a look at the token files.
        return access
            .check(password)
            .map(|actor| Principal::Person {
                actor,
                token: Token(password.to_owned()),
            })
            .ok_or_else(|| {
                let claimed = (!username.is_empty()).then_some(username);
                deny("unknown_device", bad, claimed)
            });
    };
    if !known.device.enabled {
        let code = code::NOT_AUTHORIZED;
        return Err(deny("disabled_device", code, Some(username)));
    }
    let entry = devices
        .authenticate(username, password)
        .ok_or_else(|| deny("wrong_secret", bad, Some(username)))?;
    let secret = entry.secret;
    Ok(Principal::Device { entry, secret })
}

fn with_certificate(
    devices: &Devices,
    username: Option<&str>,
    name: &str,
) -> Result<Principal, Denial> {
    let denied = |reason| deny(reason, code::NOT_AUTHORIZED, Some(name));
    let holder = devices.find_certified(name);
    let holder = holder.ok_or_else(|| denied("unknown_device"))?;
    if !holder.device.enabled {
        return Err(denied("disabled_device"));
    }
    let entry = match username.filter(|username| *username != name) {
        None => holder,
        Some(username) => {
            let meant = devices.find(username);
            let meant = meant.or_else(|| devices.authenticate_token(username));
            let meant = meant.filter(|meant| Devices::may_write(&holder, meant));
            meant.ok_or_else(|| denied("certificate_mismatch"))?
        }
    };
    Ok(Principal::Device {
        entry,
        secret: None,
    })
}

fn with_token(devices: &Devices, username: Option<&str>) -> Result<Principal, Denial> {
    let Some(token) = username else {
        return Err(deny("no_credentials", code::NOT_AUTHORIZED, None));
    };
    // What was tried is not told: it may be a secret with one wrong letter.
    let bad = code::BAD_USER_NAME_OR_PASSWORD;
    let entry = devices
        .authenticate_token(token)
        .ok_or_else(|| deny("wrong_secret", bad, None))?;
    let secret = entry.secret;
    Ok(Principal::Device { entry, secret })
}
