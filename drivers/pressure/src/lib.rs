//! Takes the raw A5 5A frames of pressure terminals over TCP and UDP, and answers what is on disk.
//!
//! The frame itself is `codecs::pressure_frame`, which other carriers share.

#[cfg(any(test, feature = "testkit"))]
pub mod fuzzed;
mod talk;

use bytes::Bytes;
use codecs::pressure_frame::{FRAME_BYTES_MAX, bytes_of};
use sdk::{Bound, ConnectionLimits, Context, Driver, DriverError, Line, Listening};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use talk::Answer;

/// 1.1: "设备上报数据之后 5秒内再无任何上报，则服务端主动断开"; room for a slow network is left.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Two of the longest frames.
const RECEIVED_BYTES_MAX: usize = 2 * FRAME_BYTES_MAX;

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
}

fn yes() -> bool {
    true
}

/// The listener for pressure terminals.
#[derive(Debug)]
pub struct Pressure {
    limits: ConnectionLimits,
    bound: Bound,
    answer: Answer,
    cx: Context,
}

impl Driver for Pressure {
    const NAME: &'static str = "pressure_frame";
    type Config = Listening<Config>;

    async fn open(config: Self::Config, cx: Context) -> Result<Self, DriverError> {
        let Listening { own, limits } = config;
        let answer = answer(&own)?;
        let bound = sdk::bind_both(own.listen, own.udp, own.listen_udp).await?;
        Ok(Self {
            limits,
            bound,
            answer,
            cx,
        })
    }

    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.bound.addresses.clone()
    }

    async fn run(self) -> Result<(), DriverError> {
        let conversation = self.limits.conversation(IDLE_TIMEOUT, RECEIVED_BYTES_MAX);
        let limits = (self.limits.places(), conversation);
        let connections = sdk::serve(self.bound.listener, limits, &self.cx, |line| {
            talk(&self.cx, self.answer.clone(), Some(line))
        });
        let datagrams = async {
            if let Some(socket) = self.bound.socket {
                let make = |_| talk(&self.cx, self.answer.clone(), None);
                sdk::datagrams(Arc::new(socket), self.cx.clone(), make).await;
            }
        };
        tokio::join!(connections, datagrams);
        Ok(())
    }
}

fn talk(cx: &Context, answer: Answer, line: Option<Line>) -> talk::Conversation {
    talk::Conversation {
        devices: cx.devices.clone(),
        catalogue: Arc::clone(&cx.catalogue),
        answer,
        line,
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

#[cfg(test)]
mod tests;
