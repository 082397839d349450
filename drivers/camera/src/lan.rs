//! Listens to the cameras of a LAN and asks all of them now and then (WS-Discovery).

use crate::discovery::{self, Call};
use crate::probe::Metrics;
use bytes::BytesMut;
use model::{Observation, Quality, Timestamp, Value};
use ring::rand::{SecureRandom, SystemRandom};
use sdk::{Context, Devices, DriverError, Part, Step, Submission, Talk};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

/// `identities.onvif`: the UUID of a camera's endpoint reference, in lower case.
const ONVIF: &str = "onvif";

/// Where WS-Discovery 2005/04 speaks (section 2.4).
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
const PORT: u16 = 3_702;

/// After a Bye the camera is asked whether that is so, but not for each of a storm of them.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// The socket of this LAN.
#[derive(Debug)]
pub(crate) struct Lan {
    socket: Arc<UdpSocket>,
    pub(crate) address: SocketAddr,
}

impl Lan {
    pub(crate) async fn open(listen: SocketAddr) -> Result<Self, DriverError> {
        let failed = |source| DriverError::Io {
            what: format!("discovery_listen {listen}"),
            source,
        };
        let socket = UdpSocket::bind(listen).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        // Without a way for groups, as on a loopback, those that answer directly are heard still.
        if let IpAddr::V4(own) = listen.ip()
            && let Err(error) = socket.join_multicast_v4(GROUP, own)
        {
            tracing::warn!(%error, "calls to all cameras of the LAN are not heard");
        }
        Ok(Self {
            socket: Arc::new(socket),
            address,
        })
    }

    /// Serves until the stop.
    pub(crate) async fn serve(self, cx: Context, metrics: Metrics, period: Duration) {
        let again = Arc::new(Notify::new());
        let make = |peer: SocketAddr| Listener {
            devices: cx.devices.clone(),
            metrics,
            peer,
            again: Arc::clone(&again),
            queued: VecDeque::new(),
        };
        let listening = sdk::datagrams(Arc::clone(&self.socket), cx.clone(), make);
        tokio::join!(listening, self.ask_all(&cx, &again, period));
    }

    async fn ask_all(&self, cx: &Context, again: &Notify, period: Duration) {
        loop {
            let question = discovery::probe(&uuid());
            let group = SocketAddr::V4(SocketAddrV4::new(GROUP, PORT));
            if let Err(error) = self.socket.send_to(question.as_bytes(), group).await {
                tracing::debug!(%error, driver = cx.name, "the cameras of the LAN cannot be asked");
            }
            tokio::select! {
                biased;
                () = cx.stop.cancelled() => return,
                () = tokio::time::sleep(period) => {}
                () = async { again.notified().await; tokio::time::sleep(ASK_AGAIN).await } => {}
            }
        }
    }
}

/// Makes a UUID of random bits (RFC 9562 5.4).
fn uuid() -> String {
    let mut bytes = [0u8; 16];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        tracing::debug!("the system gives no random bytes");
    }
    let mut number = u128::from_be_bytes(bytes);
    number &= !(0xf000 << 64 | 0b11 << 62);
    number |= 0x4000 << 64 | 0b10 << 62;
    let digits = format!("{number:032x}");
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-")
}

/// One datagram.
struct Listener {
    devices: Devices,
    metrics: Metrics,
    peer: SocketAddr,
    again: Arc<Notify>,
    queued: VecDeque<Step>,
}

impl Talk for Listener {
    fn next(&mut self, received: &mut BytesMut, _now: Timestamp) -> Option<Step> {
        if let Some(step) = self.queued.pop_front() {
            return Some(step);
        }
        if received.is_empty() {
            return None;
        }
        let datagram = received.split();
        match discovery::read(&datagram) {
            Ok((Call::Bye, _)) => self.again.notify_one(),
            Ok((_, callers)) => {
                for caller in callers {
                    let step = self.hear(&caller);
                    self.queued.extend(step);
                }
            }
            // Questions of others in the group are none of ours.
            Err(discovery::CallError::Unknown) => {}
            Err(error) => {
                return Some(Step::Skipped {
                    bytes: datagram.len(),
                    reason: error.reason().into(),
                    detail: error.to_string(),
                });
            }
        }
        Some(Step::Nothing)
    }
}

impl Listener {
    fn hear(&self, caller: &discovery::Caller) -> Option<Step> {
        let found = self.devices.find_identity(ONVIF, &caller.uuid);
        let Some(entry) = found else {
            let shown = || Step::Refused {
                reason: "unknown_device".into(),
                claimed: caller.uuid.clone(),
                say: None,
            };
            let address = caller.address(Some(self.peer.ip()));
            tracing::debug!(
                uuid = caller.uuid,
                name = caller.name,
                address,
                "a camera nobody registered"
            );
            return caller.is_camera.then(shown);
        };
        let value = Value::number(1.0).filter(|_| entry.device.enabled)?;
        let observation = Observation {
            metric: self.metrics.online,
            value,
            quality: Quality::GOOD,
            observed_at: None,
        };
        Some(Step::Commit {
            submission: Submission {
                parts: vec![Part {
                    device: entry.key,
                    received: 1,
                    observations: vec![observation],
                    rejected: Vec::new(),
                }],
                quarantined: Vec::new(),
            },
            reply: None,
        })
    }
}
