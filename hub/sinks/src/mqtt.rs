//! Publishes events to a broker of the subscriber: MQTT 3.1.1, QoS 1, and nothing counts as
//! delivered before the broker has acknowledged it.

use crate::{DeliveryError, Secret, Sink, SinkContext, SinkError, tls};
use model::Event;
use rumqttc::{
    AsyncClient, EventLoop, MqttOptions, NetworkOptions, Outgoing, Packet, QoS, TlsConfiguration,
    Transport,
};
use rustls::ClientConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Events on their way to the broker at once.
const WINDOW: u16 = 64;

/// What a packet may have; an event is far smaller.
const PACKET_BYTES_MAX: usize = 256 * 1024;

const KEEP_ALIVE: Duration = Duration::from_secs(30);

const TIMEOUT_S_MAX: u32 = 300;

/// The fields of a topic.
const FIELDS: [&str; 4] = ["{grid}", "{type}", "{city}", "{subject}"];

/// A broker of somebody else.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// `mqtts://host:8883` or `mqtt://host:1883`.
    pub url: String,
    /// Whoever uses the same one puts the other out; by default made of the city and the name.
    #[serde(default)]
    pub client_id: Option<String>,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    /// May have `{grid}` (the city's code where an event has no grid), `{type}`, `{city}` and
    /// `{subject}` in it.
    #[serde(default = "events_by_grid_and_type")]
    pub topic: String,
    /// After so long without an acknowledgement the same events are sent again.
    #[serde(default = "ten")]
    pub timeout_s: u32,
    /// Certificates (PEM) of the authorities to trust instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

fn events_by_grid_and_type() -> String {
    "events/{grid}/{type}".to_owned()
}

fn ten() -> u32 {
    10
}

/// Where the broker is.
#[derive(Clone, Debug)]
struct Broker {
    host: String,
    port: u16,
    is_tls: bool,
}

impl MqttConfig {
    fn broker(&self) -> Result<Broker, SinkError> {
        let wrong = |reason: &str| SinkError::key("url", format!("`{}` {reason}", self.url));
        let (is_tls, place) = match self.url.split_once("://") {
            Some(("mqtts", place)) => (true, place),
            Some(("mqtt", place)) => (false, place),
            _ => return Err(wrong("must begin with `mqtts://` or `mqtt://`")),
        };
        let place = place.trim_end_matches('/');
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) => {
                let port = port.parse().map_err(|_| wrong("has no good port"))?;
                (host, port)
            }
            None => (place, if is_tls { 8883 } else { 1883 }),
        };
        if host.is_empty() || host.contains(['/', '@', '?', '#']) {
            return Err(wrong("must have a host and a port, and nothing else"));
        }
        Ok(Broker {
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port,
            is_tls,
        })
    }

    fn check_topic(&self) -> Result<(), SinkError> {
        let fixed = FIELDS
            .iter()
            .fold(self.topic.clone(), |topic, field| topic.replace(field, ""));
        let is_wrong = self.topic.is_empty()
            || self.topic.starts_with('$')
            || fixed.contains(['+', '#', '{', '}', '\0']);
        if !is_wrong {
            return Ok(());
        }
        let reason = format!(
            "`{}` is no topic to publish to; its fields may be {}",
            self.topic,
            FIELDS.join(", ")
        );
        Err(SinkError::key("topic", reason))
    }
}

/// A connection and what its task tells.
struct Link {
    client: AsyncClient,
    /// An acknowledgement each, and at last why the connection ended.
    acks: mpsc::Receiver<Result<(), String>>,
    /// Ends the connection with the link.
    _end: DropGuard,
}

/// An open MQTT sink.
pub struct Mqtt {
    broker: Broker,
    tls: Option<Arc<ClientConfig>>,
    client_id: String,
    login: Option<(String, String)>,
    topic: String,
    city_code: String,
    deadline: Duration,
    tasks: TaskTracker,
    link: Option<Link>,
    name: String,
    tracer: sdk::Tracer,
}

impl std::fmt::Debug for Mqtt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mqtt")
            .field("broker", &self.broker)
            .finish_non_exhaustive()
    }
}

impl Sink for Mqtt {
    const NAME: &'static str = "mqtt";
    type Config = MqttConfig;

    fn check(config: &MqttConfig) -> Result<(), SinkError> {
        config.broker()?;
        config.check_topic()?;
        if !(1..=TIMEOUT_S_MAX).contains(&config.timeout_s) {
            let reason = format!("must be 1 to {TIMEOUT_S_MAX}");
            return Err(SinkError::key("timeout_s", reason));
        }
        if config.password.is_some() && config.user.is_none() {
            return Err(SinkError::key("password", "needs a `user`"));
        }
        if let Some(path) = &config.ca_file {
            tls::client(Some(path))?;
        }
        Ok(())
    }

    fn open(config: MqttConfig, cx: SinkContext) -> Result<Self, SinkError> {
        let broker = config.broker()?;
        let tls = broker
            .is_tls
            .then(|| tls::client(config.ca_file.as_deref()))
            .transpose()?;
        let password = config
            .password
            .as_ref()
            .map(|password| password.reveal().to_owned());
        Ok(Self {
            broker,
            tls,
            client_id: config
                .client_id
                .unwrap_or_else(|| format!("cityhub-{}-{}", cx.city_code, cx.name)),
            login: config.user.map(|user| (user, password.unwrap_or_default())),
            topic: config.topic,
            city_code: cx.city_code,
            deadline: Duration::from_secs(config.timeout_s.into()),
            tasks: cx.tasks,
            link: None,
            name: cx.name,
            tracer: cx.tracer,
        })
    }

    fn share(&self, events: &[Event]) -> usize {
        events.len().min(WINDOW.into()).max(1)
    }

    async fn deliver(&mut self, events: &[Event]) -> Result<(), DeliveryError> {
        let followed = self.tracer.follow(events.iter().map(|event| event.seq));
        let published = self.publish_all(events).await;
        if let Some(followed) = followed {
            let failed = published.as_ref().err().map(ToString::to_string);
            followed.end(&self.name, events.len() as u64, failed);
        }
        published
    }
}

impl Mqtt {
    async fn publish_all(&mut self, events: &[Event]) -> Result<(), DeliveryError> {
        if let Some(large) = events
            .iter()
            .find(|event| self.size(event) > PACKET_BYTES_MAX)
        {
            let reason = format!(
                "{} bytes are more than the {PACKET_BYTES_MAX} of a packet",
                self.size(large)
            );
            return Err(DeliveryError::Refused { reason });
        }
        // Whatever goes wrong, the next attempt begins with a new connection and sends all again.
        let kept = self.link.take().and_then(Link::if_alive);
        let link = kept.unwrap_or_else(|| self.connect());
        let link = tokio::time::timeout(self.deadline, self.publish(link, events))
            .await
            .unwrap_or_else(|_| {
                Err(format!(
                    "not acknowledged within {} s",
                    self.deadline.as_secs()
                ))
            })
            .map_err(DeliveryError::retry)?;
        self.link = Some(link);
        Ok(())
    }

    fn size(&self, event: &Event) -> usize {
        self.topic_of(event).len() + event.json.len() + 16
    }

    fn topic_of(&self, event: &Event) -> String {
        let place = event.grid.as_deref().unwrap_or(&self.city_code);
        self.topic
            .replace("{grid}", place)
            .replace("{type}", &event.kind)
            .replace("{city}", &self.city_code)
            .replace("{subject}", &event.subject.replace(['+', '#', '/'], "_"))
    }

    fn connect(&self) -> Link {
        let mut options = MqttOptions::new(&self.client_id, &self.broker.host, self.broker.port);
        options
            .set_clean_session(true)
            .set_keep_alive(KEEP_ALIVE)
            .set_inflight(WINDOW)
            .set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
        if let Some((user, password)) = &self.login {
            options.set_credentials(user, password);
        }
        if let Some(tls) = &self.tls {
            let tls = TlsConfiguration::Rustls(Arc::clone(tls));
            options.set_transport(Transport::tls_with_config(tls));
        }
        let (client, mut events) = AsyncClient::new(options, WINDOW.into());
        let mut network = NetworkOptions::new();
        network.set_connection_timeout(self.deadline.as_secs());
        network.set_tcp_nodelay(true);
        events.set_network_options(network);
        let (told, acks) = mpsc::channel(usize::from(WINDOW) + 1);
        let end = CancellationToken::new();
        let ended = end.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = pump(events, told) => {}
            }
        });
        Link {
            client,
            acks,
            _end: end.drop_guard(),
        }
    }

    async fn publish(&self, mut link: Link, events: &[Event]) -> Result<Link, String> {
        for event in events {
            let topic = self.topic_of(event);
            link.client
                .publish(topic, QoS::AtLeastOnce, false, event.json.as_bytes())
                .await
                .map_err(|error| error.to_string())?;
        }
        for _ in events {
            match link.acks.recv().await {
                Some(Ok(())) => {}
                Some(Err(reason)) => return Err(reason),
                None => return Err("the connection ended".to_owned()),
            }
        }
        Ok(link)
    }
}

impl Link {
    /// Nothing is to be heard between deliveries but that the connection ended.
    fn if_alive(mut self) -> Option<Self> {
        let heard = self.acks.try_recv();
        matches!(heard, Err(mpsc::error::TryRecvError::Empty)).then_some(self)
    }
}

/// Runs a connection until it fails; it is never mended, because the client would then send by
/// itself what the next attempt sends anyway.
async fn pump(mut events: EventLoop, told: mpsc::Sender<Result<(), String>>) {
    loop {
        let word = match events.poll().await {
            Ok(rumqttc::Event::Incoming(Packet::PubAck(_))) => Ok(()),
            Ok(
                rumqttc::Event::Incoming(Packet::Disconnect)
                | rumqttc::Event::Outgoing(Outgoing::Disconnect),
            ) => Err("the connection ended".to_owned()),
            Ok(_) => continue,
            Err(error) => Err(error.to_string()),
        };
        let is_over = word.is_err();
        if told.send(word).await.is_err() || is_over {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
