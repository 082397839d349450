//! Handshakes with a client of `dimpl`, over real sockets.

use super::crypto;
use crate::fuzzed::example;
use crate::wire::{ACK, Wire};
use crate::{Coap, Config};
use dimpl::{Dtls, Output, PskResolver};
use sdk::testkit::Kit;
use sdk::{Driver, DriverError};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::time::Instant;

const DEVICES: &[&str] = &[
    r#"{"id":"gas-1","kind":"gas_pressure"}"#,
    r#"{"id":"gas-2","kind":"gas_pressure"}"#,
];

struct Key(&'static [u8]);

impl PskResolver for Key {
    fn resolve(&self, _: &[u8]) -> Option<Vec<u8>> {
        Some(self.0.to_vec())
    }
}

/// A device that speaks DTLS.
struct Device {
    socket: UdpSocket,
    dtls: Dtls,
    heard: Vec<Vec<u8>>,
    is_connected: bool,
}

impl Device {
    async fn new(identity: &str, key: &'static [u8], socket: UdpSocket) -> Self {
        let config = dimpl::Config::builder()
            .with_crypto_provider(crypto::provider())
            .dtls13_cipher_suites(&[])
            .with_psk_client(identity.as_bytes().to_vec(), Arc::new(Key(key)))
            .build()
            .unwrap();
        let now = Instant::now().into_std();
        let mut dtls = Dtls::new_12_psk(Arc::new(config), now);
        dtls.set_active(true);
        dtls.handle_timeout(now).unwrap();
        let mut device = Self {
            socket,
            dtls,
            heard: Vec::new(),
            is_connected: false,
        };
        device.drain().await;
        device
    }

    async fn socket(hub: SocketAddr) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(hub).await.unwrap();
        socket
    }

    async fn drain(&mut self) {
        let mut record = vec![0; 20_000];
        loop {
            match self.dtls.poll_output(&mut record) {
                Output::Packet(packet) => drop(self.socket.send(packet).await.unwrap()),
                Output::ApplicationData(data) => self.heard.push(data.to_vec()),
                Output::Connected => self.is_connected = true,
                Output::Timeout(_) => break,
                _ => {}
            }
        }
    }

    async fn hear(&mut self) {
        let mut datagram = [0; 2_000];
        let len = self.socket.recv(&mut datagram).await.unwrap();
        self.dtls.handle_packet(&datagram[..len]).unwrap();
        self.drain().await;
    }

    async fn connect(&mut self) {
        while !self.is_connected {
            self.hear().await;
        }
    }

    async fn ask(&mut self, request: &[u8]) -> Wire {
        self.dtls.send_application_data(request).unwrap();
        self.drain().await;
        while self.heard.is_empty() {
            self.hear().await;
        }
        Wire::read(&self.heard.remove(0))
    }
}

fn config(keys: &std::path::Path) -> Config {
    let keys = keys.to_str().unwrap();
    let dtls = serde_json::json!({"listen": "127.0.0.1:0", "keys": keys, "sessions_max": 2});
    let config = serde_json::json!({"kind": "coap", "listen": "127.0.0.1:0", "dtls": dtls});
    serde_json::from_value(config).unwrap()
}

/// A request without a secret: the session says who it is.
fn post(device: &str, mid: u16) -> Vec<u8> {
    Wire::to(0, 2, mid, &format!("devices/{device}/telemetry"))
        .with(12, &[50])
        .payload(br#"{"pressure_kpa":1}"#)
        .bytes()
}

#[tokio::test]
async fn a_key_is_the_identity_of_a_device_and_of_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.csv");
    std::fs::write(&keys, "id,secret\ngas-1,key-of-gas-1\n").unwrap();
    let mut kit = Kit::new(DEVICES);
    let driver = Coap::open(config(&keys), kit.cx.clone()).await.unwrap();
    let [("listen", plain), ("dtls_listen", hub)] = driver.addresses()[..] else {
        panic!("two listeners");
    };
    #[expect(clippy::disallowed_methods, reason = "a test waits for its own task")]
    let served = tokio::spawn(driver.run());
    let socket = Device::socket(hub).await;
    let mut device = Device::new("gas-1", b"key-of-gas-1", socket).await;
    device.connect().await;
    let first = post("gas-1", 1);
    let (answer, stored) = tokio::join!(device.ask(&first), kit.store_next());
    assert_eq!((answer.kind, answer.code_text().as_str()), (ACK, "2.04"));
    assert_eq!(stored.unwrap().parts[0].device, model::DeviceKey(1));
    assert_eq!(device.ask(&post("gas-2", 2)).await.code_text(), "4.01");

    // The device starts anew at the same port: its message IDs begin anew, too.
    let mut again = Device::new("gas-1", b"key-of-gas-1", device.socket).await;
    again.connect().await;
    let (answer, stored) = tokio::join!(again.ask(&first), kit.store_next());
    assert_eq!(answer.code_text(), "2.04");
    assert!(stored.is_some());

    // Without a key there is the secret, as ever; and no session answers plain CoAP.
    let socket = Device::socket(plain).await;
    socket
        .send(&example(1, 50, br#"{"pressure_kpa":1}"#))
        .await
        .unwrap();
    assert!(kit.store_next().await.is_some());
    let socket = Device::socket(hub).await;
    socket
        .send(&example(1, 50, br#"{"pressure_kpa":1}"#))
        .await
        .unwrap();
    socket.send(&post("gas-1", 1)).await.unwrap();
    let answer = again.ask(&[0x40, 0, 0, 9]).await;
    assert_eq!(answer.kind, 3, "a ping in the session");
    assert!(kit.requests.try_recv().is_err());

    kit.cx.stop.cancel();
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn more_sessions_than_may_be_end_the_one_that_was_silent_for_longest() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.csv");
    std::fs::write(
        &keys,
        "id,secret\ngas-1,hex:0102030405060708090a0b0c0d0e0f10\n",
    )
    .unwrap();
    const KEY: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
    let kit = Kit::new(DEVICES);
    let driver = Coap::open(config(&keys), kit.cx.clone()).await.unwrap();
    let hub = driver.addresses()[1].1;
    #[expect(clippy::disallowed_methods, reason = "a test waits for its own task")]
    let served = tokio::spawn(driver.run());
    let mut devices = Vec::new();
    for _ in 0..3 {
        let mut device = Device::new("gas-1", KEY, Device::socket(hub).await).await;
        device.connect().await;
        devices.push(device);
    }
    for device in &mut devices[1..] {
        assert_eq!(device.ask(&[0x40, 0, 0, 9]).await.kind, 3);
    }
    // The first is not heard any more: its ping is the only one without an answer.
    let first = &mut devices[0];
    first.dtls.send_application_data(&[0x40, 0, 0, 9]).unwrap();
    first.drain().await;
    assert_eq!(devices[2].ask(&[0x40, 0, 0, 10]).await.kind, 3);
    assert!(devices[0].socket.try_recv(&mut [0; 100]).is_err());
    kit.cx.stop.cancel();
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_file_of_keys_that_is_not_there_is_told_at_the_start() {
    let kit = Kit::new(DEVICES);
    let config = config(std::path::Path::new("/nowhere/keys.csv"));
    let Err(DriverError::Config(why)) = Coap::open(config, kit.cx.clone()).await else {
        panic!("it opened");
    };
    assert!(why.starts_with("dtls.keys: /nowhere/keys.csv"), "{why}");
}
