//! Takes the raw A5 5A frames of pressure terminals over TCP and UDP, and answers what is on disk.
//!
//! The frame itself is `codecs::pressure_frame`, which other carriers share.

mod talk;

use bytes::Bytes;
use codecs::pressure_frame::{FRAME_BYTES_MAX, bytes_of};
use sdk::{Context, Conversation, Driver, DriverError, Limits};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use talk::Answer;
use tokio::net::{TcpListener, UdpSocket};

/// Connections at once, as for every driver.
const CONNECTIONS_MAX: usize = 4_096;

/// Devices behind one address: a carrier's network hides many.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 1_024;

/// 1.1: "设备上报数据之后 5秒内再无任何上报，则服务端主动断开"; room for a slow network is left.
const IDLE_TIMEOUT_S: u64 = 30;
const FRAME_TIMEOUT_S: u64 = 30;
const NOISE_BYTES_MAX: usize = 64 * 1024;

/// Free ports of TCP whose number is taken in UDP.
const PORT_ATTEMPTS: usize = 16;

/// `[drivers.NAME]` with `kind = "pressure_frame"`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Always `pressure_frame`.
    pub kind: String,
    /// TCP address to listen on, such as `127.0.0.1:9700`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether datagrams are taken as well, on the same address and port.
    #[serde(default = "yes")]
    pub udp: bool,
    /// UDP address to listen on, where it is another than that of TCP.
    #[serde(default)]
    pub listen_udp: Option<SocketAddr>,
    /// What terminals are answered, as hexadecimal digits; an empty frame with their number unless set.
    #[serde(default)]
    pub answer_hex: Option<String>,
    /// TCP connections that are served at once.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// TCP connections from one address that are served at once.
    #[serde(default = "connections_per_address_max")]
    pub connections_per_address_max: usize,
    /// Seconds without a byte after which a connection is closed.
    #[serde(default = "idle_timeout_s")]
    pub idle_timeout_s: u64,
    /// Seconds after which a frame that was begun is given up.
    #[serde(default = "frame_timeout_s")]
    pub frame_timeout_s: u64,
    /// Bytes without a good frame between them after which a connection is closed.
    #[serde(default = "noise_bytes_max")]
    pub noise_bytes_max: usize,
}

fn yes() -> bool {
    true
}

fn connections_max() -> usize {
    CONNECTIONS_MAX
}

fn connections_per_address_max() -> usize {
    CONNECTIONS_PER_ADDRESS_MAX
}

fn idle_timeout_s() -> u64 {
    IDLE_TIMEOUT_S
}

fn frame_timeout_s() -> u64 {
    FRAME_TIMEOUT_S
}

fn noise_bytes_max() -> usize {
    NOISE_BYTES_MAX
}

/// The listener for pressure terminals.
#[derive(Debug)]
pub struct Pressure {
    config: Config,
    listener: TcpListener,
    socket: Option<UdpSocket>,
    addresses: Vec<(&'static str, SocketAddr)>,
    answer: Answer,
    cx: Context,
}

impl Driver for Pressure {
    const NAME: &'static str = "pressure_frame";
    type Config = Config;

    async fn open(config: Config, cx: Context) -> Result<Self, DriverError> {
        let limits = [config.connections_max, config.connections_per_address_max];
        if limits.contains(&0) || config.idle_timeout_s == 0 || config.frame_timeout_s == 0 {
            let text = "connections_max, connections_per_address_max, idle_timeout_s and \
                        frame_timeout_s must be above 0";
            return Err(DriverError::Config(text.to_owned()));
        }
        let answer = answer(&config)?;
        let (listener, socket, addresses) = bind(&config).await?;
        Ok(Self {
            config,
            listener,
            socket,
            addresses,
            answer,
            cx,
        })
    }

    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.addresses.clone()
    }

    async fn run(self) -> Result<(), DriverError> {
        let limits = Limits {
            connections_max: self.config.connections_max,
            connections_per_address_max: self.config.connections_per_address_max,
        };
        let conversation = conversation(&self.config);
        let connections = sdk::accept(self.listener, limits, &self.cx, |stream, peer| {
            let (answer, cx) = (self.answer.clone(), self.cx.clone());
            async move { serve(stream, peer.to_string(), answer, conversation, cx).await }
        });
        let datagrams = async {
            if let Some(socket) = self.socket {
                let make = |_| talk(&self.cx, self.answer.clone());
                sdk::datagrams(Arc::new(socket), self.cx.clone(), make).await;
            }
        };
        tokio::join!(connections, datagrams);
        Ok(())
    }
}

fn talk(cx: &Context, answer: Answer) -> talk::Conversation {
    talk::Conversation {
        devices: cx.devices.clone(),
        catalogue: Arc::clone(&cx.catalogue),
        answer,
        line: None,
    }
}

async fn serve<S>(stream: S, peer: String, answer: Answer, conversation: Conversation, cx: Context)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
{
    let (line, orders) = cx.downlink.line();
    let mut talk = talk(&cx, answer);
    talk.line = Some(line);
    sdk::converse(stream, peer, (talk, orders), conversation, cx).await;
}

fn conversation(config: &Config) -> Conversation {
    Conversation {
        idle_timeout: Duration::from_secs(config.idle_timeout_s),
        frame_timeout: Duration::from_secs(config.frame_timeout_s),
        received_bytes_max: 2 * FRAME_BYTES_MAX,
        noise_bytes_max: config.noise_bytes_max,
    }
}

fn answer(config: &Config) -> Result<Answer, DriverError> {
    let Some(digits) = &config.answer_hex else {
        return Ok(Answer::Frame);
    };
    let bytes = bytes_of(digits.as_bytes());
    if bytes.as_ref() == digits.as_bytes() {
        let text = format!("answer_hex: `{digits}` is no even number of hexadecimal digits");
        return Err(DriverError::Config(text));
    }
    Ok(Answer::Fixed(Bytes::from(bytes.into_owned())))
}

type Bound = (
    TcpListener,
    Option<UdpSocket>,
    Vec<(&'static str, SocketAddr)>,
);

/// Binds TCP, and UDP on the same port unless said otherwise.
async fn bind(config: &Config) -> Result<Bound, DriverError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (listener, address) = sdk::bind("listen", config.listen).await?;
        let mut addresses = vec![("listen", address)];
        let Some(wanted) = config.listen_udp.or(config.udp.then_some(address)) else {
            return Ok((listener, None, addresses));
        };
        match UdpSocket::bind(wanted)
            .await
            .and_then(|udp| Ok((udp.local_addr()?, udp)))
        {
            Ok((address, socket)) => {
                addresses.push(("listen_udp", address));
                return Ok((listener, Some(socket), addresses));
            }
            // Port 0 took one that only TCP has free.
            Err(_) if config.listen.port() == 0 && attempts < PORT_ATTEMPTS => {}
            Err(source) => {
                let what = format!("listen_udp {wanted}");
                return Err(DriverError::Io { what, source });
            }
        }
    }
}

#[cfg(test)]
mod tests;
