//! From the first byte to CONNACK: which protocol, who it is, and whether it may come in.

use crate::gate::{Gate, Peer};
use crate::identity::{self, Denial, Principal};
use crate::packet::{self, Connect, Flaw, Version, kind};
use crate::sessions::{Remembered, Seat};
use crate::telemetry::{self, Forbidden};
use bytes::{Buf, BytesMut};
use sdk::{COMMIT_DEADLINE, FeedError, KeptSession};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

/// Largest CONNECT: nobody has said yet who it is, and there may be thousands of them.
const CONNECT_BYTES_MAX: usize = 16 * 1024;

/// Read at first, for the smallest of packets need no more.
const READ_BYTES: usize = 1024;

/// How long a refusal may take to be written.
const REFUSAL_DEADLINE: Duration = Duration::from_secs(2);

/// A client that may come in; CONNACK is not sent yet.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) version: Version,
    pub(crate) connect: Connect,
    pub(crate) principal: Principal,
    /// The register as it was when the client was let in.
    pub(crate) devices_version: u64,
    pub(crate) seat: Seat,
    pub(crate) resumed: Resumed,
    /// Set where the client left its id to the hub.
    pub(crate) assigned_client_id: Option<String>,
    /// What followed CONNECT in the same read.
    pub(crate) inbox: BytesMut,
}

/// What is known of earlier sessions of this client.
#[derive(Debug, Default)]
pub(crate) struct Resumed {
    pub(crate) remembered: Option<Remembered>,
    /// Name of the cursor in the journal, for a session that has one.
    pub(crate) cursor_name: Option<String>,
    /// Where that cursor is.
    pub(crate) cursor: Option<u64>,
    /// The journal keeps a session of this client.
    pub(crate) is_stored: bool,
}

/// Why the connection ends before it began.
#[derive(Debug)]
enum Stop {
    /// Nothing to say to the client.
    Silent,
    Flaw(Flaw),
    UnknownVersion,
    Denied(Version, Denial, bool),
}

/// Reads CONNECT and decides. A client that is not admitted has been answered.
pub(crate) async fn admit<R, W>(
    reader: &mut R,
    writer: &mut W,
    peer: &Peer,
    gate: &Gate,
) -> Option<Admitted>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let within = Duration::from_secs(gate.config.connect_timeout_s);
    let connecting = async {
        let (version, connect, inbox) = tokio::select! {
            read = read_connect(reader) => read?,
            () = gate.cx.stop.cancelled() => return Err(Stop::Silent),
        };
        decide(version, connect, inbox, peer, gate).await
    };
    let stop = match tokio::time::timeout(within, connecting).await {
        Ok(Ok(admitted)) => return Some(admitted),
        Ok(Err(stop)) => stop,
        Err(_) => {
            gate.refuse("connect_timeout", None, peer, false);
            Stop::Silent
        }
    };
    let mut out = BytesMut::new();
    match stop {
        Stop::Silent => {}
        Stop::Flaw(flaw) => gate.refuse(flaw.reason(), None, peer, false),
        Stop::UnknownVersion => {
            gate.refuse("unknown_version", None, peer, false);
            packet::connack_unknown_version(&mut out);
        }
        Stop::Denied(version, denial, message) => {
            packet::connack_refused(&mut out, version, denial.code);
            gate.refuse(denial.reason, denial.claimed, peer, message);
        }
    }
    // If the refusal cannot be written, the client will find the connection closed all the same.
    drop(tokio::time::timeout(REFUSAL_DEADLINE, writer.write_all(&out)).await);
    drop(tokio::time::timeout(REFUSAL_DEADLINE, writer.flush()).await);
    None
}

async fn read_connect<R: AsyncRead + Unpin>(
    reader: &mut R,
) -> Result<(Version, Connect, BytesMut), Stop> {
    let mut inbox = BytesMut::with_capacity(READ_BYTES);
    loop {
        if let Some(frame) = packet::frame(&inbox).map_err(Stop::Flaw)? {
            if frame.kind() != kind::CONNECT || frame.first & 0x0f != 0 {
                return Err(Stop::Flaw(Flaw::Protocol));
            }
            if frame.total_len > CONNECT_BYTES_MAX {
                return Err(Stop::Flaw(Flaw::TooLarge));
            }
            if let Some(packet) = inbox.get(..frame.total_len) {
                let body = packet.get(frame.header_len..).unwrap_or_default();
                let version = packet::sniff(body).map_err(Stop::Flaw)?;
                let version = version.ok_or(Stop::UnknownVersion)?;
                let connect = packet::read_connect(version, packet).map_err(Stop::Flaw)?;
                inbox.advance(frame.total_len);
                return Ok((version, connect, inbox));
            }
        }
        inbox.reserve(READ_BYTES);
        match reader.read_buf(&mut inbox).await {
            Ok(0) | Err(_) => return Err(Stop::Silent),
            Ok(_) => {}
        }
    }
}

async fn decide(
    version: Version,
    mut connect: Connect,
    inbox: BytesMut,
    peer: &Peer,
    gate: &Gate,
) -> Result<Admitted, Stop> {
    let cx = &gate.cx;
    let denied = |denial| Stop::Denied(version, denial, false);
    // Read first: a change that comes in between is then looked at once more.
    let devices_version = cx.devices.version();
    let certificate = &peer.certificate;
    let principal =
        identity::identify(&cx.devices, &cx.access, &connect, certificate).map_err(denied)?;
    check_will(gate, &principal, &connect).map_err(|denial| Stop::Denied(version, denial, true))?;
    let assigned_client_id = assign_client_id(gate, version, &mut connect).map_err(denied)?;
    if matches!(principal, Principal::Device { .. }) {
        // What a device gets is live, and what it sends is in the journal: nothing is kept for it.
        connect.session_expiry_s = 0;
    }
    let key = (principal.owner(), connect.client_id.clone());
    let seat = gate.sessions.open(key, &cx.stop);
    let resumed = resume(gate, &principal, &connect, &seat).await;
    Ok(Admitted {
        version,
        connect,
        principal,
        devices_version,
        seat,
        resumed,
        assigned_client_id,
        inbox,
    })
}

/// A will is a publish in advance, so it needs the same right.
fn check_will(gate: &Gate, principal: &Principal, connect: &Connect) -> Result<(), Denial> {
    let Some(will) = &connect.will else {
        return Ok(());
    };
    let forbidden = match principal {
        Principal::Device { entry, .. } => {
            let desk = gate.desk(entry);
            match telemetry::may_will(desk, &will.topic) {
                Ok(()) => return Ok(()),
                Err(forbidden) => forbidden,
            }
        }
        Principal::Person { .. } => Forbidden::Topic {
            reason: "forbidden_topic",
            claimed: None,
        },
    };
    let (reason, claimed) = match forbidden {
        Forbidden::Topic { reason, claimed } => (reason, claimed),
        Forbidden::EveryChild => ("forbidden_topic", None),
    };
    Err(Denial {
        reason: reason.into(),
        code: 0x87,
        claimed,
    })
}

/// Names a client that gave no id. Version 3.1.1 allows that only if nothing is to be kept.
fn assign_client_id(
    gate: &Gate,
    version: Version,
    connect: &mut Connect,
) -> Result<Option<String>, Denial> {
    if !connect.client_id.is_empty() {
        return Ok(None);
    }
    if version == Version::V4 && !connect.clean_start {
        return Err(Denial {
            reason: "missing_client_id".into(),
            code: 0x85,
            claimed: connect.username.clone(),
        });
    }
    connect.client_id = gate.next_client_id();
    Ok(Some(connect.client_id.clone()))
}

/// Finds what the hub knows of this client's last session, and forgets it where the client starts
/// anew.
async fn resume(gate: &Gate, principal: &Principal, connect: &Connect, seat: &Seat) -> Resumed {
    let Principal::Person { actor, .. } = principal else {
        return Resumed::default();
    };
    let name = format!("mqtt:{}:{}", actor.name, connect.client_id);
    let (cursor, session) = look_up(gate, &name).await;
    if connect.clean_start {
        seat.forget();
        if (cursor.is_some() || session.is_some())
            && let Err(error) = gate.cx.ingest.keep_session(name.clone(), None).await
        {
            tracing::warn!(%error, "an ended session was not forgotten");
        }
        return Resumed {
            cursor_name: Some(name),
            ..Resumed::default()
        };
    }
    let is_stored = session.is_some();
    let now = gate.cx.clock.now();
    let session = session.filter(|kept| kept.expires_at.is_none_or(|at| at > now));
    if let Some(left) = session.as_ref().filter(|kept| kept.expires_at.is_some()) {
        // It is open again.
        let open = KeptSession {
            expiry_s: connect.session_expiry_s,
            expires_at: None,
            ..left.clone()
        };
        let kept = connect.session_expiry_s > 0;
        if kept && let Err(error) = gate.cx.ingest.keep_session(name.clone(), Some(open)).await {
            tracing::warn!(%error, "it was not noted that a session is open again");
        }
    }
    Resumed {
        remembered: seat
            .remembered(Instant::now())
            .or_else(|| session.map(|kept| Remembered::of(&kept))),
        cursor_name: Some(name),
        cursor,
        is_stored,
    }
}

async fn look_up(gate: &Gate, name: &str) -> (Option<u64>, Option<KeptSession>) {
    let (feed, wanted) = (Arc::clone(&gate.cx.tail.feed), name.to_owned());
    let looked_up = tokio::task::spawn_blocking(move || {
        Ok::<_, FeedError>((feed.cursor(&wanted)?, feed.session(&wanted)?))
    });
    match tokio::time::timeout(COMMIT_DEADLINE, looked_up).await {
        Ok(Ok(Ok(known))) => known,
        failed => {
            tracing::warn!(?failed, "could not look a subscriber's session up");
            (None, None)
        }
    }
}
