//! rumqttd without anything around it: what the hub's figures are compared with.

use rumqttd::{Broker, Config, ConnectionSettings, Notification, RouterConfig, ServerSettings};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command};
use std::time::Duration;

/// The topics of the load.
const FILTER: &str = "devices/+/telemetry";

/// Runs the broker in this process, for ever.
pub(crate) fn serve(addr: SocketAddr) {
    let settings = ServerSettings {
        name: "bare".to_owned(),
        listen: addr,
        tls: None,
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 5_000,
            max_payload_size: 64 * 1024,
            max_inflight_count: 1_000,
            auth: None,
            external_auth: None,
            dynamic_filters: false,
        },
    };
    // Small segments, as the defaults let the log of one filter grow to 1 GB.
    let router = RouterConfig {
        max_connections: 10_010,
        max_outgoing_packet_count: 200,
        max_segment_size: 8 * 1024 * 1024,
        max_segment_count: 16,
        ..RouterConfig::default()
    };
    let config = Config {
        router,
        v4: Some(HashMap::from([("bare".to_owned(), settings)])),
        ..Config::default()
    };
    let mut broker = Broker::new(config);
    // One subscriber that takes everything, or the broker would store nothing at all.
    let (mut sender, mut receiver) = broker.link("sink").expect("a link");
    sender.subscribe(FILTER).expect("a subscription");
    std::thread::spawn(move || {
        while let Ok(notification) = receiver.recv() {
            if let Some(Notification::Unschedule) = notification {
                receiver.ready().expect("the router runs");
            }
        }
    });
    broker.start().expect("the broker runs");
}

/// A bare broker in a process of its own.
pub(crate) struct Bare {
    child: Child,
    pub(crate) addr: SocketAddr,
}

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Bare {
    /// Starts it and waits until it takes connections.
    pub(crate) async fn start() -> Self {
        // rumqttd cannot tell which port it was given, so a free one is looked for here.
        let probe = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = probe.local_addr().expect("a bound socket has an address");
        drop(probe);
        let program = std::env::current_exe().expect("this program has a path");
        let child = Command::new(program)
            .args(["bare-broker", &addr.to_string()])
            .spawn()
            .expect("this program starts");
        let bare = Self { child, addr };
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..500 {
            ticks.tick().await;
            if tokio::net::TcpStream::connect(addr).await.is_ok() {
                return bare;
            }
        }
        panic!("the bare broker never listened on {addr}");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}
